/**
 * Queries that are under way. It stands between the recorder and the backend, so that when everything is closed the recorder
 * delivers what it has, and the backend stays as long as a query needs it, up to the drain timeout.
 *
 * @internal
 */
import { BackendError, Unavailable } from "@tidings/core/BackendError"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const closed = new BackendError({ reason: new Unavailable({ detail: "it was closed" }) })

/** @internal */
export class Readings extends Context.Service<
  Readings,
  {
    /** Nothing more is begun. */
    readonly close: Effect.Effect<void>
    readonly whileOpen: <A, E>(reading: Effect.Effect<A, E>) => Effect.Effect<A, E | BackendError>
  }
>()("tidings/internal/Readings") {}

/** @internal */
export const layer = (drainTimeout: Duration.Duration): Layer.Layer<Readings> =>
  Layer.effect(
    Readings,
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const over = yield* Deferred.make<void>()
      let idle: Deferred.Deferred<void> | undefined
      let closedAt: number | undefined
      let underway = 0

      const close = Effect.sync(() => {
        closedAt ??= clock.currentTimeMillisUnsafe()
      })

      yield* Effect.addFinalizer(() =>
        Effect.gen(function* () {
          yield* close
          if (underway > 0) {
            idle = yield* Deferred.make<void>()
            const left = Duration.toMillis(drainTimeout) - (clock.currentTimeMillisUnsafe() - closedAt!)
            yield* Effect.timeoutOption(Deferred.await(idle), Duration.millis(Math.max(0, left)))
          }
          yield* Deferred.succeed(over, undefined)
        })
      )

      return Readings.of({
        close,
        whileOpen: (reading) =>
          Effect.suspend(() => {
            if (closedAt !== undefined) return Effect.fail(closed)
            underway++
            return Effect.raceFirst(Effect.andThen(Deferred.await(over), Effect.fail(closed)), reading).pipe(
              Effect.ensuring(
                Effect.sync(() => {
                  underway--
                  if (underway === 0 && idle !== undefined) Deferred.doneUnsafe(idle, Effect.void)
                })
              )
            )
          })
      })
    })
  )
