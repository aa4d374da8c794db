/**
 * The file journal: accepts batches of occurrences, hands them to sinks in pages, and keeps for each sink how far it is.
 *
 * - Accepted entries stand in segments, files of up to `segmentSize` bytes. A segment is deleted as a whole, when the checkpoint of
 *   every sink is behind it, or when the quota evicts it.
 * - One process owns the directory. It checks before each acknowledgement and each change of a name that this is still so.
 * - With durability `disk` an append is acknowledged after `fdatasync`. With `process` nothing is synced before an entry is read,
 *   so that after a power failure no seq is given twice.
 * - Operations that use the disk are not interrupted, and closing waits for them.
 *
 * `opening.ts` opens it; `append.ts`, `sinkState.ts` and `read` below are its operations.
 */
import type { Journal, JournalError, JournalPage } from "@tidings/core/Journal"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as append from "./append.ts"
import { type OpenJournal, open, type Options } from "./opening.ts"
import * as sinkState from "./sinkState.ts"
import * as sync from "./sync.ts"

export type { Options }

/** @internal */
export const make = (options: Options): Effect.Effect<Journal["Service"], JournalError, Scope.Scope> =>
  Effect.map(open(options), (journal) => ({
    origin: journal.origin,
    durability: options.durability,
    head: Effect.sync(() => journal.writer.head),
    append: append.make(journal, options.durability === "disk"),
    read: (sink, after, max) => read(journal, sink, after, max),
    ...sinkState.make(journal)
  }))

const read = (
  { disk, entries, lifecycle, metrics, ownership, reader, reserve, sinks, writer }: OpenJournal,
  name: string,
  after: number,
  max: number
): Effect.Effect<JournalPage, JournalError> =>
  lifecycle.unlessClosed(() => {
    const sink = sinks.get(name)
    const { page, unsynced } = reader.read(name, after, max)
    sink.readUpTo = Math.max(sink.readUpTo, page.reached)
    metrics.count()
    if (page.reached === after || (unsynced.length === 0 && entries.areSynced)) return Effect.succeed(page)
    // What is in memory or in the open file is delivered also where the journal is lost; nothing can be synced there.
    if (!ownership.isKept()) return Effect.succeed(page)
    const syncRead = Effect.andThen(
      Effect.forEach(unsynced, (segment) => sync.segment(disk, writer, segment), { discard: true }),
      sync.directory(disk, entries)
    )
    return lifecycle.complete(Effect.as(reserve.use(lifecycle.mapError(syncRead)), page))
  })
