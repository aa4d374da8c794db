/**
 * Mutual exclusion by key, with a limit for all keys together.
 *
 * A semaphore for each key and one for all of them would do the same. `Semaphore` visits every waiter when a permit is
 * released, which was a sixth of the CPU time of a burst of creates.
 */
import * as Effect from "effect/Effect"

interface Waiter {
  readonly key: string
  readonly start: () => void
}

/** @internal */
export class KeyedMutex {
  private readonly limit: number
  private readonly running = new Set<string>()
  /** In the order of arrival. */
  private readonly waiters = new Set<Waiter>()
  private isStarting = false

  constructor(limit: number) {
    this.limit = limit
  }

  /** Runs the effect while no other one with this key runs, and fewer than `limit` of all. An interrupted waiter leaves the queue. */
  withLock<A, E>(key: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.uninterruptibleMask((restore) => {
      const run = Effect.ensuring(
        restore(effect),
        Effect.sync(() => this.release(key))
      )
      if (this.isFree(key)) {
        this.running.add(key)
        return run
      }
      let isLocked = false
      const lock = Effect.callback<void>((resume) => {
        const waiter: Waiter = {
          key,
          start: () => {
            isLocked = true
            resume(Effect.void)
          }
        }
        this.waiters.add(waiter)
        return Effect.sync(() => this.waiters.delete(waiter))
      })
      return Effect.matchCauseEffect(restore(lock), {
        onFailure: (cause) => {
          // Interrupted between `start` and the first step of the effect.
          if (isLocked) this.release(key)
          return Effect.failCause(cause)
        },
        onSuccess: () => run
      })
    })
  }

  private isFree(key: string): boolean {
    return this.running.size < this.limit && !this.running.has(key)
  }

  private release(key: string): void {
    this.running.delete(key)
    // An effect may end as soon as it is started, and calls this again: the outer loop starts the next one, so that the
    // stack does not grow with the number of waiters.
    if (this.isStarting) return
    this.isStarting = true
    try {
      for (let next = this.next(); next !== undefined; next = this.next()) {
        this.waiters.delete(next)
        this.running.add(next.key)
        next.start()
      }
    } finally {
      this.isStarting = false
    }
  }

  private next(): Waiter | undefined {
    if (this.running.size >= this.limit) return undefined
    for (const waiter of this.waiters) if (!this.running.has(waiter.key)) return waiter
    return undefined
  }
}
