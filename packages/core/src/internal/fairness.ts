/**
 * Keeps the host's event loop turning while many fibers record without a pause.
 *
 * A recorder that answers in the same turn lets a fiber go on at once, and many such fibers together would never let a timer
 * or a socket of the host have its turn. So after a number of events in one turn of the event loop, callers are answered in
 * the next one.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/** Some microseconds each, so a turn takes some milliseconds at the most. */
const MAXIMUM_PER_TURN = 256

/** @internal */
export class Fairness {
  private taken = 0
  private isResetting = false

  /** The answer to a caller: at once, or in the next turn where this one has had its share. */
  answer<A, E>(caller: Fiber.Fiber<unknown, unknown>, answer: Effect.Effect<A, E>): Effect.Effect<A, E> {
    if (++this.taken < MAXIMUM_PER_TURN) return answer
    if (!this.isResetting) {
      this.isResetting = true
      caller.currentDispatcher.scheduleTask(() => {
        this.taken = 0
        this.isResetting = false
      }, 0)
    }
    return Effect.andThen(Effect.yieldNow, answer)
  }
}
