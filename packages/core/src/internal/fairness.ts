/**
 * Keeps callers that record or query without a pause from blocking the event loop of the host.
 *
 * What answers in the same turn lets its caller continue at once, so many fibers that record, or a loop over pages, would starve the
 * timers and sockets of the host. So after a number of events, or some milliseconds, in one turn of the event loop, callers are
 * answered in the next.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/** Maximum number of events in one turn, which are a few milliseconds where an event costs microseconds. */
const MAXIMUM_PER_TURN = 512
/** Maximum duration of a turn in nanoseconds, for events that cost more, because they are large or the disk is slow. */
const MAXIMUM_TURN = 8_000_000n
/** The clock is read once per this number of events. */
const EVENTS_PER_CLOCK_READING = 16

/** @internal */
export class Fairness {
  private taken = 0
  private begunAt: bigint | undefined
  private isResetting = false
  private readonly clock: Clock.Clock

  constructor(clock: Clock.Clock) {
    this.clock = clock
  }

  /** Answers a caller at once, or in the next turn where a limit of this one is reached. */
  answer<A, E>(caller: Fiber.Fiber<unknown, unknown>, answer: Effect.Effect<A, E>): Effect.Effect<A, E> {
    this.taken++
    if (!this.isResetting && !this.isOver()) return answer
    if (!this.isResetting) {
      this.isResetting = true
      caller.currentDispatcher.scheduleTask(() => {
        this.taken = 0
        this.begunAt = undefined
        this.isResetting = false
      }, 0)
    }
    return Effect.andThen(Effect.yieldNow, answer)
  }

  private isOver(): boolean {
    if (this.taken >= MAXIMUM_PER_TURN) return true
    if (this.taken % EVENTS_PER_CLOCK_READING !== 0) return false
    const now = this.clock.monotonicTimeNanosUnsafe()
    this.begunAt ??= now
    return now - this.begunAt >= MAXIMUM_TURN
  }
}

/**
 * A query that is answered in the next turn where it and those before it have taken the time of one. A backend in memory or on disk
 * answers in the turn in which it is asked, also to a caller with promises.
 *
 * @internal
 */
export const fairly = <Query, Page, E>(
  clock: Clock.Clock,
  query: (asked: Query) => Effect.Effect<Page, E>
): ((asked: Query) => Effect.Effect<Page, E>) => {
  let begunAt = clock.monotonicTimeNanosUnsafe()
  const turn = Effect.andThen(
    Effect.yieldNow,
    Effect.sync(() => {
      begunAt = clock.monotonicTimeNanosUnsafe()
    })
  )
  const turnIfOver = Effect.suspend(() =>
    clock.monotonicTimeNanosUnsafe() - begunAt < MAXIMUM_TURN ? Effect.void : turn
  )
  return (asked) => Effect.tap(query(asked), () => turnIfOver)
}
