import type { JournalError } from "@tidings/core/Journal"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { errorOf, failed } from "./errors.ts"
import type { Ownership } from "./ownership.ts"

/** How long closing waits for a disk that does not answer. */
const CLOSE_TIMEOUT = Duration.seconds(5)

/**
 * How the operations of a journal run: none begins after the journal was closed or lost its directory, and closing waits for
 * those that use the disk, so that no file is closed during a sync.
 *
 * @internal
 */
export class Lifecycle {
  private readonly directory: string
  private readonly ownership: Ownership
  private isClosed = false
  private running = 0
  private readonly idle = Latch.makeUnsafe(true)

  constructor(directory: string, ownership: Ownership) {
    this.directory = directory
    this.ownership = ownership
  }

  attempt<A>(use: () => A): Effect.Effect<A, JournalError> {
    return Effect.try({ try: use, catch: (cause) => errorOf(cause, this.directory) })
  }

  mapError<A>(effect: Effect.Effect<A, unknown>): Effect.Effect<A, JournalError> {
    return Effect.mapError(effect, (cause) => errorOf(cause, this.directory))
  }

  /** Runs to its end what has begun, and makes closing wait for it. */
  complete<A>(effect: Effect.Effect<A, JournalError>): Effect.Effect<A, JournalError> {
    return Effect.uninterruptible(
      Effect.suspend(() => {
        this.running++
        this.idle.closeUnsafe()
        return Effect.ensuring(
          effect,
          Effect.sync(() => {
            if (--this.running === 0) this.idle.openUnsafe()
          })
        )
      })
    )
  }

  /** Fails after the journal was closed. */
  unlessClosed<A>(use: () => Effect.Effect<A, JournalError>): Effect.Effect<A, JournalError> {
    return Effect.suspend(() => {
      if (this.isClosed) return Effect.fail(failed(`the journal in ${this.directory} is closed`))
      try {
        return use()
      } catch (cause) {
        return Effect.fail(errorOf(cause, this.directory))
      }
    })
  }

  /** Fails after the journal was closed, or where its directory is another journal's by now. */
  whileOwned<A>(use: () => Effect.Effect<A, JournalError>): Effect.Effect<A, JournalError> {
    return this.unlessClosed(() => {
      this.ownership.check()
      return use()
    })
  }

  /** Refuses further operations. */
  close(): void {
    this.isClosed = true
  }

  /** Whether all operations have ended, once they have or the timeout passed. */
  readonly ended: Effect.Effect<boolean> = Effect.suspend(() =>
    Effect.map(Effect.timeoutOption(this.idle.await, CLOSE_TIMEOUT), (ended) => ended._tag === "Some")
  )
}
