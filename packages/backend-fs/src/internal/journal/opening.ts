/**
 * Opens a journal in a directory: creates it where it is missing, takes its lock, finds the last accepted entry, and learns how far
 * sinks are.
 *
 * It fails where another process has the lock (`JournalLocked`), where the directory holds something else or a format that this
 * version does not know (`JournalDamaged`), and for what the disk answers.
 */
import { BackendError } from "@tidings/core/BackendError"
import * as EventId from "@tidings/core/EventId"
import {
  type Durability,
  JournalDamaged,
  JournalError,
  JournalFailed,
  JournalFull,
  type OnFull
} from "@tidings/core/Journal"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Disk } from "../disk.ts"
import { syncAncestors } from "../fileOperations.ts"
import * as SegmentName from "../log/segmentName.ts"
import { withNamedFailures } from "../namedFailures.ts"
import { holdsLog, StoreDirectory } from "../storeDirectory.ts"
import { DirectoryEntries } from "./directoryEntries.ts"
import { failed } from "./errors.ts"
import { isSegment } from "./fileNames.ts"
import { Lifecycle } from "./lifecycle.ts"
import * as metrics from "./metrics.ts"
import { Ownership, writeOwner } from "./ownership.ts"
import * as place from "./place.ts"
import * as quota from "./quota.ts"
import { JournalReader } from "./reader.ts"
import { RecentEntries } from "./recentEntries.ts"
import * as reserve from "./reserve.ts"
import { Segments } from "./segments.ts"
import { Sinks } from "./sinks.ts"
import { JournalWriter } from "./writer.ts"

/** The quota frees whole segments and never the newest, so it is divided into at least this many. */
const LEAST_SEGMENTS = 8

/** @internal */
export interface Options {
  readonly directory: string
  readonly durability: Exclude<Durability, "memory">
  /** In bytes. */
  readonly quota: number
  readonly onFull: OnFull
  /** In bytes. */
  readonly segmentSize: number
  /** Size of the reserve in bytes; 4 MiB unless given. */
  readonly reserve?: number
}

/**
 * What the operations of an open journal share.
 *
 * @internal
 */
export interface OpenJournal {
  /** The origin of what this opening accepts. */
  readonly origin: string
  readonly disk: Disk
  readonly clock: Clock.Clock
  readonly entries: DirectoryEntries
  readonly ownership: Ownership
  readonly lifecycle: Lifecycle
  readonly segments: Segments
  readonly writer: JournalWriter
  readonly reader: JournalReader
  readonly sinks: Sinks
  readonly reserve: reserve.Reserve
  readonly quota: quota.Quota
  readonly metrics: metrics.Metrics
}

/** @internal */
export const open = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<OpenJournal, JournalError, Scope.Scope> {
  const disk = withNamedFailures(yield* Disk)
  const clock = yield* Clock.Clock
  // Drawn for each opening, so that a copy of a journal never gives an identity twice.
  const origin = yield* EventId.makeOrigin
  const storeAt = (path: string, kind: "log" | "journal") =>
    new StoreDirectory({ path, disk, clock, tag: () => origin }, kind)
  const directory = yield* place.apart(disk, options.directory, (place) => {
    const shared = storeAt(options.directory, "log").readIdentity()
    if (shared !== undefined) storeAt(place, "journal").writeIdentity(shared)
  })
  const store = storeAt(directory, "journal")
  const firstOrigin = yield* prepare(store)
  const entries = new DirectoryEntries(disk, directory)
  const ownership = yield* Ownership.acquire(disk, entries)
  const lifecycle = new Lifecycle(directory, ownership)
  const segments = new Segments(disk, entries)
  const recent = new RecentEntries()
  const segmentSize = Math.max(1, Math.min(options.segmentSize, Math.floor(options.quota / LEAST_SEGMENTS)))
  const writer = new JournalWriter({ disk, entries, segments, recent, ownership, origin, segmentSize })
  const reader = new JournalReader({ disk, segments, recent, writer, ownership, origin })
  const sinks = new Sinks(disk, entries)

  const counters = yield* metrics.make({
    bytes: () => segments.bytes,
    segments: () => segments.list.length,
    damaged: () => reader.damagedEntries + sinks.damagedLines,
    torn: () => writer.tornTails
  })
  const room = quota.make({
    directory,
    quota: options.quota,
    onFull: options.onFull,
    segments,
    recent,
    writer,
    sinks,
    lifecycle,
    metrics: counters
  })

  yield* Effect.acquireRelease(
    lifecycle.attempt(() => {
      const files = disk.list(directory)
      if (SegmentName.areIn(files)) throw failed(holdsLog(directory))
      store.upgrade()
      // New entries follow what is found here, so that must not be gone after a power failure.
      entries.syncNow()
      if (!files.some(isSegment)) syncAncestors(disk, directory)
      segments.load(files, firstOrigin)
      writer.recover()
      // A sink that has read up to a seq must find what is accepted from now on after it, whatever became of the entries.
      writer.raise(sinks.expect(files))
      counters.count()
    }),
    () =>
      Effect.suspend(() => {
        lifecycle.close()
        room.wake()
        // While the disk does not answer, the file stays open, as long as the process lives.
        return Effect.flatMap(lifecycle.ended, (ended) =>
          ended ? Effect.ignore(lifecycle.attempt(() => writer.end())) : Effect.void
        )
      })
  )
  writeOwner(entries)
  const spare = reserve.make(disk, entries, options.reserve)
  spare.restore()
  return {
    origin,
    disk,
    clock,
    entries,
    ownership,
    lifecycle,
    segments,
    writer,
    reader,
    sinks,
    reserve: spare,
    quota: room,
    metrics: counters
  }
})

/** Creates the directory and its identity where they are missing, and answers the identity. */
const prepare = (store: StoreDirectory): Effect.Effect<string, JournalError> =>
  Effect.mapError(store.prepare(true, "write"), (error) => {
    const { _tag, detail } = error.reason
    const reason = isOfAnotherKind(store)
      ? new JournalDamaged({ detail })
      : _tag === "Full"
        ? new JournalFull({ detail })
        : new JournalFailed({ detail })
    return new JournalError({ reason, cause: error })
  })

/** Whether the identity is of another kind or format, or damaged. */
const isOfAnotherKind = (store: StoreDirectory): boolean => {
  try {
    store.readIdentity()
    return false
  } catch (cause) {
    // An error of the disk has a cause.
    return cause instanceof BackendError && cause.cause === undefined
  }
}
