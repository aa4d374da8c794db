import type { Occurrence } from "@tidings/core/Event"
import type * as EventId from "@tidings/core/EventId"
import type { Journal, JournalError } from "@tidings/core/Journal"
import * as Effect from "effect/Effect"
import type { OpenJournal } from "./opening.ts"
import * as sync from "./sync.ts"

type Appended = Effect.Effect<ReadonlyArray<EventId.EventId>, JournalError>

/**
 * Appends batches: makes room, writes, syncs where that is promised, and accepts.
 *
 * A batch is accepted as a whole or not at all, and only where a later opening of the directory will find it.
 *
 * @internal
 */
export const make = (journal: OpenJournal, isDurable: boolean): Journal["Service"]["append"] => {
  const { disk, entries, lifecycle, metrics, ownership, quota, sinks, writer } = journal
  const syncWritten = lifecycle.mapError(metrics.timeSync(sync.written(disk, writer, entries)))

  const makeDurable = (bytes: Buffer, count: number, isRetried: boolean): Effect.Effect<void, JournalError> =>
    Effect.catch(syncWritten, (error) => {
      writer.revoke(bytes)
      if (isRetried) return Effect.fail(error)
      // The segment is closed, and the batch goes into a new one.
      return lifecycle.whileOwned(() => {
        writer.write(bytes, count)
        return makeDurable(bytes, count, true)
      })
    })

  /** Does not accept what was written into files that may not be found again. */
  const accept = (batch: ReadonlyArray<Occurrence>, bytes: Buffer): ReadonlyArray<EventId.EventId> => {
    if (!ownership.isKept()) {
      writer.abandon(bytes)
      throw ownership.lost(writer.isUnlinked ? "no" : "unknown")
    }
    try {
      writer.keepOpen()
    } catch (cause) {
      writer.abandon(bytes)
      throw cause
    }
    return writer.commit(batch, bytes)
  }

  const write = (batch: ReadonlyArray<Occurrence>, bytes: Buffer): Appended => {
    writer.write(bytes, batch.length)
    if (!isDurable) return Effect.succeed(accept(batch, bytes))
    return lifecycle.complete(
      Effect.flatMap(makeDurable(bytes, batch.length, false), () => lifecycle.attempt(() => accept(batch, bytes)))
    )
  }

  return (batch) =>
    lifecycle.unlessClosed((): Appended => {
      // A journal that is lost accepts nothing more; a loss is noticed before the first batch after it is acknowledged.
      if (ownership.wasLost) ownership.check()
      if (batch.length === 0) return Effect.succeed([])
      sinks.expectNoMore()
      const bytes = writer.encode(batch)
      if (quota.hasRoom(bytes.length)) return write(batch, bytes)
      return Effect.andThen(
        quota.makeRoom(bytes.length),
        lifecycle.unlessClosed(() => write(batch, bytes))
      )
    })
}
