import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { LogDirectory } from "./logDirectory.ts"

/**
 * How long a change may go unnoticed when nothing reports it, in milliseconds. The kernel may merge, drop or never send
 * what it reports (an overflowing queue, a network file system), so what it reports is only a hint.
 */
const POLL = 250

/**
 * Tells the followers of a log when to look. One watcher of the kernel serves all of them, and runs while there are any.
 *
 * @internal
 */
export class LogChanges {
  /** Grows with each hint: who reads it before looking and waits for another one misses nothing. */
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

  /** Waits until there is a hint later than `generation`, at most until the next look is due. */
  after(generation: number, milliseconds: number = POLL): Effect.Effect<void> {
    const hint = Effect.callback<void>((resume) => {
      if (this.generation !== generation) return resume(Effect.void)
      const wake = () => resume(Effect.void)
      this.waiting.add(wake)
      return Effect.sync(() => this.waiting.delete(wake))
    })
    const due = Effect.map(Effect.sleep(Duration.millis(milliseconds)), () => this.watch())
    return Effect.raceFirst(hint, due)
  }

  /** A watcher stays with its directory, and is silent for ever when another one takes that name. */
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
      // Too many watchers or open files: looking from time to time has to do.
      this.unwatch()
    }
  }

  private unwatch(): void {
    this.watcher?.close()
    this.watcher = undefined
    this.watched = undefined
  }
}
