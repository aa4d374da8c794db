import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { LogDirectory } from "./directory.ts"

/**
 * Interval at which followers look for changes that were not reported, in milliseconds. The kernel may merge or drop reports (an
 * overflowing queue), and sends none for a network file system.
 */
const POLL = 250

/**
 * Wakes the followers of a log when it may have changed. They share one watcher of the directory, which runs while there are any.
 *
 * @internal
 */
export class LogChanges {
  /** Number of reports. Read it before looking, and pass it to `after`, to miss none. */
  generation = 0
  private readonly directory: LogDirectory
  private readonly waiting = new Set<() => void>()
  private followers = 0
  private watcher: { readonly close: () => void } | undefined
  private watched: string | undefined

  constructor(directory: LogDirectory) {
    this.directory = directory
  }

  notify(): void {
    this.generation += 1
    if (this.waiting.size === 0) return
    const woken = [...this.waiting]
    this.waiting.clear()
    for (const wake of woken) wake()
  }

  attach(): void {
    this.followers += 1
    this.watch()
  }

  detach(): void {
    this.followers -= 1
    if (this.followers === 0) this.unwatch()
  }

  /** Waits for a report later than `generation`, or until the time has passed. */
  after(generation: number, milliseconds: number = POLL): Effect.Effect<void> {
    const reported = Effect.callback<void>((resume) => {
      if (this.generation !== generation) return resume(Effect.void)
      const wake = () => resume(Effect.void)
      this.waiting.add(wake)
      return Effect.sync(() => this.waiting.delete(wake))
    })
    const due = Effect.map(Effect.sleep(Duration.millis(milliseconds)), () => this.watch())
    return Effect.raceFirst(reported, due)
  }

  /** Watches the directory that the path leads to: a watcher of one that was replaced reports nothing more. */
  private watch(): void {
    try {
      const identity = this.directory.disk.status(this.directory.path)?.identity
      if (this.watcher !== undefined && identity === this.watched) return
      this.unwatch()
      if (identity === undefined) return
      this.watched = identity
      this.watcher = this.directory.disk.watch(
        this.directory.path,
        () => this.notify(),
        () => this.unwatch()
      )
    } catch {
      // Too many watchers or open files: the interval has to do.
      this.unwatch()
    }
  }

  private unwatch(): void {
    this.watcher?.close()
    this.watcher = undefined
    this.watched = undefined
  }
}
