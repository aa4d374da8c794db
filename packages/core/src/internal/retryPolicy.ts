import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import type * as Backend from "../Backend.ts"
import { type BackendError, isTemporary } from "../BackendError.ts"
import type { Write } from "../Event.ts"
import type { EventFilter, WatchFrom, WatchItem } from "../EventQuery.ts"
import * as backoff from "./backoff.ts"
import { missing } from "./outcomes.ts"
import { overlay } from "./overlay.ts"
import * as text from "./text.ts"
import * as timeout from "../Timeout.ts"

const retryAfterMillis = ({ reason }: BackendError): number =>
  reason._tag === "Throttled" && reason.retryAfter !== undefined ? Duration.toMillis(reason.retryAfter) : 0

/**
 * An invalid option of a policy. It is a mistake in the program, so the layer dies with it.
 *
 * @internal
 */
export class InvalidPolicyOption extends Data.TaggedError("InvalidPolicyOption")<{
  readonly field: string
  readonly found: string
  readonly expected: string
}> {
  override get message(): string {
    return `${this.field} of the policy is ${this.found}, expected ${this.expected}`
  }
}

const readDelay = (field: string, given: Duration.Input): Effect.Effect<number> =>
  Effect.suspend(() => {
    const delay = timeout.read(given)
    return delay === undefined
      ? Effect.die(new InvalidPolicyOption({ field, found: text.show(given), expected: timeout.EXPECTED }))
      : Effect.succeed(Duration.toMillis(delay))
  })

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
    const first = yield* readDelay("baseDelay", options?.baseDelay ?? "50 millis")
    const maximum = yield* readDelay("maximumDelay", options?.maximumDelay ?? "2 seconds")

    const pause = (tries: number, retryAfter: number): Effect.Effect<void> => {
      const jittered = backoff.delay(tries + 1, { first, maximum }, random)
      return clock.sleep(Duration.millis(Math.max(jittered, retryAfter)))
    }

    const write = (
      batch: ReadonlyArray<Write>,
      tries: number
    ): Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError> =>
      Effect.matchEffect(backend.write(batch), {
        onFailure: (error) =>
          tries < times && isTemporary(error)
            ? Effect.andThen(pause(tries, retryAfterMillis(error)), write(batch, tries + 1))
            : Effect.fail(error),
        onSuccess: (outcomes) => {
          if (tries >= times) return Effect.succeed(outcomes)
          const again: Array<number> = []
          // The longest `retryAfter` of any of them, because they are written again together.
          let retryAfter = 0
          for (let index = 0; index < batch.length; index++) {
            const outcome = outcomes[index] ?? missing
            if (outcome._tag !== "Retry" || !isTemporary(outcome.error)) continue
            again.push(index)
            retryAfter = Math.max(retryAfter, retryAfterMillis(outcome.error))
          }
          if (again.length === 0) return Effect.succeed(outcomes)
          const rest = again.map((index) => batch[index]!)
          return Effect.andThen(
            pause(tries, retryAfter),
            Effect.match(write(rest, tries + 1), {
              // The outcomes of the others are known, so the whole has not failed.
              onFailure: (error) => merge(batch, outcomes, again, () => ({ _tag: "Retry", error })),
              onSuccess: (repeated) => merge(batch, outcomes, again, (place) => repeated[place] ?? missing)
            })
          )
        }
      })

    const reading = <A>(read: () => Effect.Effect<A, BackendError>, tries: number): Effect.Effect<A, BackendError> =>
      Effect.catch(Effect.suspend(read), (error) =>
        tries < times && isTemporary(error)
          ? Effect.andThen(pause(tries, retryAfterMillis(error)), reading(read, tries + 1))
          : Effect.fail(error)
      )

    /** Continues after the last item that was received. Only consecutive failures without an item count against `times`. */
    const watch = (filter: EventFilter, from: WatchFrom): Stream.Stream<WatchItem, BackendError> =>
      Stream.suspend(() => {
        let position = from
        let isLive = false
        let failures = 0
        let failure: BackendError | undefined
        let isOver = false

        const once = Stream.suspend(() => {
          failure = undefined
          return Stream.concat(
            Stream.filter(backend.watch(filter, position), (item) => {
              position = item.cursor
              failures = 0
              // The watch that continues reports the end of its snapshot again.
              if (item._tag === "Live" && isLive) return false
              if (item._tag === "Live") isLive = true
              return true
            }),
            Stream.sync(() => (isOver = true)).pipe(Stream.drain)
          ).pipe(
            Stream.catch((error) => {
              failure = error
              return Stream.empty
            })
          )
        })
        const next = Effect.suspend(() => {
          if (isOver) return Effect.undefined
          const again = Effect.succeed([once, undefined] as const)
          if (failure === undefined) return again
          if (failures >= times || !isTemporary(failure)) return Effect.fail(failure)
          return Effect.andThen(pause(failures++, retryAfterMillis(failure)), again)
        })
        return Stream.flatten(Stream.unfold(undefined, () => next))
      })

    return overlay(backend, {
      target: reading(() => backend.target, 0),
      write: (batch) => write(batch, 0),
      query: (query) => reading(() => backend.query(query), 0),
      watch
    })
  })

/** The outcomes of a batch, with those of the repeated items in their places. */
const merge = (
  batch: ReadonlyArray<Write>,
  outcomes: ReadonlyArray<Backend.Outcome>,
  again: ReadonlyArray<number>,
  repeated: (place: number) => Backend.Outcome
): ReadonlyArray<Backend.Outcome> => {
  const merged = batch.map((_, index) => outcomes[index] ?? missing)
  for (const [place, index] of again.entries()) merged[index] = repeated(place)
  return merged
}
