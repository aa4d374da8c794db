/**
 * Keeps the host's event loop turning while many fibers record without a pause.
 *
 * A recorder that answers in the same turn lets a fiber go on at once, and many such fibers together would never let a timer
 * or a socket of the host have its turn. So after a number of events in one turn of the event loop, callers are answered in
 * the next one.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/** A turn takes some milliseconds at the most, where an event costs some microseconds; */
const MAXIMUM_PER_TURN = 512
/** and where events cost more, because they are large or the disk is slow, it ends after this time, in nanoseconds. */
const MAXIMUM_TURN = 8_000_000n
/** How often the time is looked at, in events. */
const LOOK = 16

/** @internal */
export class Fairness {
  private taken = 0
  private begunAt: bigint | undefined
  private isResetting = false
  private readonly clock: Clock.Clock

  constructor(clock: Clock.Clock) {
    this.clock = clock
  }

  /** The answer to a caller: at once, or in the next turn where this one has had its share. */
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
    if (this.taken % LOOK !== 0) return false
    const now = this.clock.monotonicTimeNanosUnsafe()
    this.begunAt ??= now
    return now - this.begunAt >= MAXIMUM_TURN
  }
}
