/**
 * Fibers that wait for a condition on state that other code changes.
 *
 * Level-triggered: a waiter tests its condition when it registers and again at every `notify`, so no change between the test
 * and the registration is missed.
 */
import * as Effect from "effect/Effect"

/** @internal */
export class Notifier {
  private readonly waiters = new Set<() => void>()

  /** Call it after every change that a condition may depend on. */
  notify(): void {
    if (this.waiters.size === 0) return
    const woken = [...this.waiters]
    this.waiters.clear()
    for (const wake of woken) wake()
  }

  /** Resolves once the condition holds. */
  until(condition: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const test = () => {
        if (condition()) resume(Effect.void)
        else this.waiters.add(test)
      }
      test()
      return Effect.sync(() => this.waiters.delete(test))
    })
  }
}
