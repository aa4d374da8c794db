/**
 * How a sink waits: for a change, and for a time.
 *
 * Everything that may give the pump of a sink something to do says so with `notify`; the pump notes `changes` before it
 * looks at anything, and sleeps only while that number stays. So no change is lost, whenever it comes.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { SinkTime } from "./sinkTime.ts"

/** @internal */
export type RunFork = ReturnType<typeof Effect.runForkWith<never>>

/** @internal */
export class Signal {
  /** How often something has changed. */
  changes = 0
  // Level-triggered: whoever waits looks when it registers, and again at every change.
  private readonly waiting = new Set<() => void>()
  private alarm: { readonly at: number; readonly fiber: Fiber.Fiber<void> } | undefined
  private readonly time: SinkTime
  private readonly runFork: RunFork

  constructor(time: SinkTime, runFork: RunFork) {
    this.time = time
    this.runFork = runFork
  }

  /** Something has changed that the pump knows of, and perhaps others wait for. */
  lookAgain(): void {
    if (this.waiting.size === 0) return
    const woken = [...this.waiting]
    this.waiting.clear()
    for (const wake of woken) wake()
  }

  /** Something has changed that the pump has not looked at. */
  notify(): void {
    this.changes++
    this.lookAgain()
  }

  until(condition: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const look = () => {
        if (condition()) resume(Effect.void)
        else this.waiting.add(look)
      }
      look()
      return Effect.sync(() => this.waiting.delete(look))
    })
  }

  /** Notifies at a time of the monotonic clock; the earliest that was asked for counts. */
  notifyAt(at: number): void {
    if (at === Number.POSITIVE_INFINITY || (this.alarm !== undefined && this.alarm.at <= at)) return
    this.cancel()
    const ring = Effect.sync(() => {
      this.alarm = undefined
      this.notify()
    })
    const fiber = this.runFork(Effect.andThen(this.time.sleep(at - this.time.monotonic()), ring))
    this.alarm = { at, fiber }
  }

  /** For the end: nobody is notified any more at a time that was asked for. */
  cancel(): void {
    this.alarm?.fiber.interruptUnsafe()
  }
}
