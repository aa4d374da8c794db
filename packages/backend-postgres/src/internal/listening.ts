/**
 * Tells watches that there may be more to read: at once where notifications of the database arrive, and by asking again where
 * they do not, as behind a pooler that gives each transaction another connection.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { Database } from "./database.ts"
import { channelOf } from "./writing.ts"

/** How long a watch waits before it asks again where notifications arrive, because one may be lost with its connection. */
const WITH_NOTIFICATIONS = "5 seconds"
/** The same where none arrive. */
const WITHOUT_NOTIFICATIONS = "250 millis"
/** How long a notification to ourselves may take before they count as not arriving. */
const OWN_NOTIFICATION = "2 seconds"
/** After which time it is tried anew whether they arrive. */
const TRY_AGAIN = "1 minute"

export interface Listener {
  /** What `wait` waits for if it is called later: take it before reading, so that nothing between the two is missed. */
  readonly signal: () => Deferred.Deferred<void>
  /** Resolves when there may be something new since the signal was taken. */
  readonly wait: (signal: Deferred.Deferred<void>) => Effect.Effect<void>
  /** What this process has written is told without the database. */
  readonly wake: () => void
  /** Begins to listen, once, for as long as the scope of the listener is open. */
  readonly begin: Effect.Effect<void>
}

export const make = (database: Database): Effect.Effect<Listener, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    let signal = Deferred.makeUnsafe<void>()
    let arrives = false
    let hasBegun = false
    const wake = (): void => {
      const waiting = signal
      signal = Deferred.makeUnsafe()
      Deferred.doneUnsafe(waiting, Effect.void)
    }

    const listenOnce = Effect.scoped(
      Effect.gen(function* () {
        const { id, sql } = yield* database.open
        const channel = channelOf(id)
        const queue = yield* sql.listen(channel)
        yield* sql`select pg_notify(${channel}, 'listening')::text`
        const own = yield* Effect.timeoutOption(Queue.take(queue), OWN_NOTIFICATION)
        if (own._tag === "None") return
        arrives = true
        // What was written before this was told to no one.
        wake()
        yield* Effect.forever(Effect.map(Queue.takeAll(queue), wake))
      })
    )
    const listen = Effect.gen(function* () {
      while (true) {
        const exit = yield* Effect.exit(listenOnce)
        arrives = false
        // Those who wait read now, and find out what is the matter.
        wake()
        yield* Effect.sleep(exit._tag === "Success" ? TRY_AGAIN : "500 millis")
      }
    })

    return {
      signal: () => signal,
      wake,
      wait: (taken) =>
        Effect.suspend(() =>
          Effect.asVoid(
            Effect.timeoutOption(Deferred.await(taken), arrives ? WITH_NOTIFICATIONS : WITHOUT_NOTIFICATIONS)
          )
        ),
      begin: Effect.suspend(() => {
        if (hasBegun) return Effect.void
        hasBegun = true
        return Effect.asVoid(Effect.forkIn(listen, scope))
      })
    }
  })
