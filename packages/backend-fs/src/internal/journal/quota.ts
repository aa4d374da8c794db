import { JournalError, JournalFull, type OnFull } from "@tidings/core/Journal"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { Lifecycle } from "./lifecycle.ts"
import type { Metrics } from "./metrics.ts"
import type { RecentEntries } from "./recentEntries.ts"
import type { Segments } from "./segments.ts"
import type { Sinks } from "./sinks.ts"
import type { JournalWriter } from "./writer.ts"

interface Options {
  readonly directory: string
  /** In bytes. */
  readonly quota: number
  readonly onFull: OnFull
  readonly segments: Segments
  readonly recent: RecentEntries
  readonly writer: JournalWriter
  readonly sinks: Sinks
  readonly lifecycle: Lifecycle
  readonly metrics: Metrics
}

/**
 * Keeps a journal within its quota: frees what every sink has behind its checkpoint, and makes room for an append as `onFull`
 * says.
 *
 * @internal
 */
export interface Quota {
  readonly hasRoom: (bytes: number) => boolean
  /** Makes room, or fails with `JournalFull`. With `onFull: "block"` it waits, and can be interrupted. */
  readonly makeRoom: (bytes: number) => Effect.Effect<void, JournalError>
  /** Deletes the segments that no sink needs. */
  readonly free: () => void
  /** Lets the appends that wait for room try again. */
  readonly wake: () => void
}

/** @internal */
export const make = (options: Options): Quota => {
  const { directory, lifecycle, metrics, onFull, quota, recent, segments, sinks, writer } = options
  const freed = Latch.makeUnsafe(false)

  const hasRoom = (bytes: number): boolean => segments.bytes + bytes <= quota

  const wake = (): void => {
    freed.openUnsafe()
  }

  const full = (bytes: number): JournalError =>
    new JournalError({
      reason: new JournalFull({
        detail: `${directory} holds ${segments.bytes} of ${quota} bytes, ${bytes} more do not fit: the backend is too slow, or the quota too small`
      })
    })

  const makeRoom = (bytes: number): Effect.Effect<void, JournalError> =>
    lifecycle.whileOwned(() => {
      // Before the check, so that nothing that is freed after it is missed.
      freed.closeUnsafe()
      if (hasRoom(bytes)) return Effect.void
      if (bytes > quota) return Effect.fail(full(bytes))
      const upTo = sinks.settledUpTo
      if (upTo >= writer.head && segments.bytes > 0) {
        // Everything is settled, and only the newest segment is left.
        writer.begin()
        segments.freeUpTo(upTo)
      }
      if (onFull === "dropOldest") {
        const isEvictable = (from: number, to: number) => sinks.isEvictable(from, to)
        const evicted = (last: number) => recent.dropUpTo(last, writer.head)
        while (!hasRoom(bytes) && segments.evictOldest(isEvictable, evicted));
      }
      metrics.count()
      if (hasRoom(bytes)) return Effect.void
      if (onFull !== "block") return Effect.fail(full(bytes))
      return Effect.andThen(Effect.interruptible(freed.await), makeRoom(bytes))
    })

  return {
    hasRoom,
    makeRoom,
    free: () => {
      segments.freeUpTo(sinks.settledUpTo)
      metrics.count()
      wake()
    },
    wake
  }
}
