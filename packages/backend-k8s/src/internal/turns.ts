/**
 * Lets effects with the same key run one after the other, and not more than a number of all at once.
 *
 * A semaphore for each key and one for all of them would do the same. It looks at everything that waits whenever a permit is
 * returned, which was a sixth of the CPU time of a burst of creates.
 */
import * as Effect from "effect/Effect"

interface Waiting {
  readonly key: string
  readonly begin: () => void
}

/** @internal */
export class Turns {
  private readonly most: number
  private readonly running = new Set<string>()
  /** In the order in which they came. */
  private readonly waiting = new Set<Waiting>()
  private isHandingOn = false

  constructor(most: number) {
    this.most = most
  }

  /** Runs the effect when it is its turn; it has none any more when it is interrupted before. */
  take<A, E>(key: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.uninterruptibleMask((restore) => {
      const run = Effect.ensuring(
        restore(effect),
        Effect.sync(() => this.end(key))
      )
      if (this.isFree(key)) {
        this.running.add(key)
        return run
      }
      let hasTurn = false
      const turn = Effect.callback<void>((resume) => {
        const one: Waiting = {
          key,
          begin: () => {
            hasTurn = true
            resume(Effect.void)
          }
        }
        this.waiting.add(one)
        return Effect.sync(() => this.waiting.delete(one))
      })
      return Effect.matchCauseEffect(restore(turn), {
        onFailure: (cause) => {
          // Interrupted between its turn and its first step.
          if (hasTurn) this.end(key)
          return Effect.failCause(cause)
        },
        onSuccess: () => run
      })
    })
  }

  private isFree(key: string): boolean {
    return this.running.size < this.most && !this.running.has(key)
  }

  private end(key: string): void {
    this.running.delete(key)
    // What begins may end at once, and must not go deeper into the stack with each one.
    if (this.isHandingOn) return
    this.isHandingOn = true
    try {
      for (let next = this.next(); next !== undefined; next = this.next()) {
        this.waiting.delete(next)
        this.running.add(next.key)
        next.begin()
      }
    } finally {
      this.isHandingOn = false
    }
  }

  private next(): Waiting | undefined {
    if (this.running.size >= this.most) return undefined
    for (const one of this.waiting) if (!this.running.has(one.key)) return one
    return undefined
  }
}
