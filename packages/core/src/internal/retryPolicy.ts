import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Backend from "../Backend.ts"
import { BackendError, Transient } from "../BackendError.ts"
import type { Write } from "../Event.ts"

/**
 * What a missing answer counts as.
 *
 * @internal
 */
export const missing: Backend.Outcome = {
  _tag: "Retry",
  error: new BackendError({ reason: new Transient({ applied: "unknown", detail: "the backend gave no answer" }) })
}

const isPassing = ({ reason }: BackendError): boolean => reason._tag === "Transient" || reason._tag === "Throttled"

/** @internal */
export const make = (
  backend: Backend.Service,
  options?: {
    readonly times?: number | undefined
    readonly baseDelay?: Duration.Input | undefined
    readonly maximumDelay?: Duration.Input | undefined
  }
): Effect.Effect<Backend.Service> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const random = yield* Random.Random
    const times = options?.times ?? 3
    const base = Duration.toMillis(options?.baseDelay ?? "50 millis")
    const maximum = Duration.toMillis(options?.maximumDelay ?? "2 seconds")

    const pause = (tries: number, error: BackendError): Effect.Effect<void> => {
      const jittered = Math.min(maximum, base * 2 ** Math.min(20, tries)) * (0.5 + 0.5 * random.nextDoubleUnsafe())
      const asked = error.reason._tag === "Throttled" ? error.reason.retryAfter : undefined
      return clock.sleep(Duration.millis(asked === undefined ? jittered : Math.max(jittered, Duration.toMillis(asked))))
    }

    const write = (
      batch: ReadonlyArray<Write>,
      tries: number
    ): Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError> =>
      Effect.matchEffect(backend.write(batch), {
        onFailure: (error) =>
          tries < times && isPassing(error)
            ? Effect.andThen(pause(tries, error), write(batch, tries + 1))
            : Effect.fail(error),
        onSuccess: (outcomes) => {
          const again: Array<number> = []
          let last: BackendError | undefined
          for (let index = 0; index < batch.length; index++) {
            const outcome = outcomes[index] ?? missing
            if (outcome._tag === "Retry" && isPassing(outcome.error)) {
              again.push(index)
              last = outcome.error
            }
          }
          if (last === undefined || tries >= times) return Effect.succeed(outcomes)
          return Effect.andThen(
            pause(tries, last),
            Effect.match(
              write(
                again.map((index) => batch[index]!),
                tries + 1
              ),
              {
                // Of the others the outcome is known; only those that were repeated remain unknown.
                onFailure: (error): ReadonlyArray<Backend.Outcome> => again.map(() => ({ _tag: "Retry", error })),
                onSuccess: (repeated) => repeated
              }
            ).pipe(
              Effect.map((repeated) => {
                const merged = batch.map((_, index) => outcomes[index] ?? missing)
                for (const [place, index] of again.entries()) merged[index] = repeated[place] ?? missing
                return merged
              })
            )
          )
        }
      })

    const reading = <A>(read: Effect.Effect<A, BackendError>, tries: number): Effect.Effect<A, BackendError> =>
      Effect.catch(read, (error) =>
        tries < times && isPassing(error)
          ? Effect.andThen(pause(tries, error), reading(read, tries + 1))
          : Effect.fail(error)
      )

    return {
      ...backend,
      target: reading(backend.target, 0),
      write: (batch) => write(batch, 0),
      query: (query) => reading(backend.query(query), 0)
    }
  })
