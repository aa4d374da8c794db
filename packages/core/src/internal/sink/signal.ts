/**
 * How the pump of a sink waits: for a change, and for a time.
 *
 * Everything that may give the pump work calls `notify`. The pump reads `changes` before it reads any other state, and
 * sleeps only while that number stays the same, so it never misses a change.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { RunFork } from "../backendWrite.ts"
import { Notifier } from "../notifier.ts"
import type { SinkTime } from "./time.ts"

/** @internal */
export class Signal {
  /** Number of notifications so far. */
  changes = 0
  private readonly notifier = new Notifier()
  private alarm: { readonly at: number; readonly fiber: Fiber.Fiber<void> } | undefined
  private readonly time: SinkTime
  private readonly runFork: RunFork

  constructor(time: SinkTime, runFork: RunFork) {
    this.time = time
    this.runFork = runFork
  }

  /** For a change by the pump itself, which others may wait for. */
  notifyOthers(): void {
    this.notifier.notify()
  }

  /** For any other change: wakes the pump too. */
  notify(): void {
    this.changes++
    this.notifier.notify()
  }

  until(condition: () => boolean): Effect.Effect<void> {
    return this.notifier.until(condition)
  }

  /** Notifies at a time of the monotonic clock; the earliest requested time wins. */
  notifyAt(at: number): void {
    if (at === Number.POSITIVE_INFINITY || (this.alarm !== undefined && this.alarm.at <= at)) return
    this.cancelAlarm()
    const ring = Effect.sync(() => {
      this.alarm = undefined
      this.notify()
    })
    const fiber = this.runFork(Effect.andThen(this.time.sleep(at - this.time.monotonic()), ring))
    this.alarm = { at, fiber }
  }

  cancelAlarm(): void {
    this.alarm?.fiber.interruptUnsafe()
  }
}
