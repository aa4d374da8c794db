/**
 * A watch that goes on after an outage, from where it was interrupted.
 *
 * @internal
 */
import type { BackendError } from "@tidings/core/BackendError"
import type { Cursor, WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Failure, readingFailed } from "./failure.ts"
import * as words from "./words.ts"

/** In milliseconds. */
const FIRST_DELAY = 1_000
const LAST_DELAY = 30_000

/** Failures after which a watch may succeed again: of the network, or of a server that restarts. */
const mayReconnect = (error: BackendError): boolean =>
  error.reason._tag === "Transient" || error.reason._tag === "Throttled" || error.reason._tag === "Unavailable"

class Interrupted extends Data.TaggedError("Interrupted")<{ readonly error: BackendError }> {}

/**
 * Gives all items to `take`, without end. A failure before the first `Live` is final: a wrong address would be tried for
 * ever.
 *
 * @internal
 */
export const run = <E>(
  watch: (from: WatchFrom) => Stream.Stream<WatchItem, BackendError>,
  first: WatchFrom,
  take: (items: ReadonlyArray<WatchItem>) => Effect.Effect<void, E>
): Effect.Effect<never, BackendError | Failure | E> => {
  let from = first
  let cursor: Cursor | undefined
  let wasLive = false
  let failures = 0

  const goOn = (items: ReadonlyArray<WatchItem>): Effect.Effect<void, E> =>
    Effect.andThen(
      take(items),
      Effect.sync(() => {
        cursor = items.at(-1)?.cursor ?? cursor
        if (!items.some(({ _tag }) => _tag === "Live")) return
        wasLive = true
        failures = 0
      })
    )

  const again = (error: BackendError): Effect.Effect<void, BackendError> => {
    if (!wasLive || !mayReconnect(error)) return Effect.fail(error)
    failures++
    from = cursor ?? from
    const delay = Math.min(LAST_DELAY, FIRST_DELAY * 2 ** Math.min(10, failures - 1))
    const told = failures === 1 ? words.say(`-- interrupted: ${readingFailed(error)[0]}; retrying --`) : Effect.void
    return Effect.andThen(told, Effect.sleep(delay))
  }

  const all: Effect.Effect<never, BackendError | Failure | E> = Effect.suspend(() => {
    // An error of `take` is not one of the watch.
    const watching = Stream.runForEachArray(
      Stream.mapError(watch(from), (error) => new Interrupted({ error })),
      goOn
    )
    return Effect.andThen(watching, Effect.fail(new Failure({ detail: "the backend ended the watch unexpectedly" })))
  }).pipe(
    Effect.catchIf(
      (error): error is Interrupted => error instanceof Interrupted,
      ({ error }) => Effect.andThen(again(error), all)
    )
  )
  return all
}
