import type { Occurrence } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import {
  type Checkpoint,
  type Durability,
  JournalDamaged,
  JournalError,
  JournalFailed,
  JournalFull,
  JournalLocked,
  type Journal,
  type OnFull,
  type Parked,
  READ_AHEAD
} from "@tidings/core/Journal"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as path from "node:path"
import { Disk } from "./disk.ts"
import { codeOf, fromDisk } from "./diskError.ts"
import { applyParked, Damaged, JournalFiles } from "./journalFiles.ts"
import { LogDirectory } from "./logDirectory.ts"

/** @internal */
export interface Options {
  readonly directory: string
  readonly durability: Exclude<Durability, "memory">
  readonly quota: number
  readonly onFull: OnFull
  readonly segmentSize: number
}

/** @internal */
export const inside = (logDirectory: string): string => path.join(logDirectory, "journal")

const LOCK = "lock"
const OWNER = "owner"
const RESERVE = "reserve"
/** Enough for a checkpoint of full memories: what is settled must be noted on a full disk too, or nothing is ever freed. */
const RESERVE_BYTES = 4 * 1024 * 1024

const bytesGauge = Metric.gauge("tidings_journal_bytes", { description: "Bytes of the journal's segments" })
const segmentsGauge = Metric.gauge("tidings_journal_segments", { description: "Segments of the journal" })
const damagedCounter = Metric.counter("tidings_journal_damaged_total", {
  description: "Records of the journal that could not be read",
  incremental: true
})
const tornCounter = Metric.counter("tidings_journal_torn_tails_total", {
  description: "Appends that a process did not finish before it ended, cut off at the next start",
  incremental: true
})
const syncTimer = Metric.timer("tidings_journal_sync_duration", {
  description: "How long the disk takes to make an append durable"
})

const isFull = (cause: unknown): boolean => ["ENOSPC", "EDQUOT", "EFBIG"].includes(codeOf(cause) ?? "")

const errorOf = (cause: unknown, directory: string): JournalError => {
  if (cause instanceof JournalError) return cause
  if (cause instanceof Damaged) {
    return new JournalError({
      reason: new JournalDamaged({
        detail: `${cause.file}: restore it from a copy; or remove it, then everything that is still in the journal is delivered again`
      }),
      cause
    })
  }
  const { message } = fromDisk(cause, directory)
  return new JournalError({
    reason: isFull(cause) ? new JournalFull({ detail: message }) : new JournalFailed({ detail: message }),
    cause
  })
}

/** @internal */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Journal["Service"], JournalError, Scope.Scope> {
  const { directory, durability, onFull, quota } = options
  const durable = durability === "disk"
  const disk = yield* Disk
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const tag = yield* EventId.makeOrigin
  const pathOf = (file: string) => path.join(directory, file)
  const attempt = <A>(use: () => A): Effect.Effect<A, JournalError> =>
    Effect.try({ try: use, catch: (cause) => errorOf(cause, directory) })

  const origin = yield* Effect.mapError(
    new LogDirectory({ path: directory, disk, clock, tag }).prepare(true),
    (error) => new JournalError({ reason: new JournalFailed({ detail: error.message }), cause: error })
  )
  yield* Effect.acquireRelease(
    Effect.flatMap(
      attempt(() => disk.lock(pathOf(LOCK))),
      (lock) =>
        lock === undefined
          ? Effect.fail(
              new JournalError({
                reason: new JournalLocked({
                  detail: `another process (${ownerOf(disk, pathOf(OWNER))}) owns ${directory}: end it, or give this one a directory of its own`
                })
              })
            )
          : Effect.succeed(lock)
    ),
    (lock) => Effect.sync(lock.release)
  )
  yield* attempt(() => writeSmall(disk, pathOf(OWNER), `process ${globalThis.process.pid}`))

  const files = new JournalFiles({ disk, directory, origin, segmentSize: options.segmentSize, durable })
  yield* Effect.acquireRelease(
    attempt(() => files.open()),
    () => Effect.sync(() => files.close())
  )

  let damagedCounted = 0
  let tornCounted = 0
  const measure = () => {
    bytesGauge.updateUnsafe(files.bytes, context)
    segmentsGauge.updateUnsafe(files.segmentCount, context)
    if (files.damagedRecords > damagedCounted) {
      damagedCounter.updateUnsafe(files.damagedRecords - damagedCounted, context)
      damagedCounted = files.damagedRecords
    }
    if (files.tornTails > tornCounted) {
      tornCounter.updateUnsafe(files.tornTails - tornCounted, context)
      tornCounted = files.tornTails
    }
  }
  measure()

  // -------------------------------------------------------------------------
  // room
  // -------------------------------------------------------------------------

  /** By sink: up to where its checkpoint stands, and up to where it may have read beyond it, in this life or the last. */
  const checkpointed = new Map<string, number>()
  const protectedUpTo = new Map<string, number>()
  const waiting = new Set<() => void>()

  const free = (): void => {
    if (checkpointed.size === 0) return
    if (!files.freeUpTo(Math.min(...checkpointed.values()))) return
    measure()
    const woken = [...waiting]
    waiting.clear()
    for (const wake of woken) wake()
  }

  const hasRoom = (bytes: number): boolean => files.bytes + bytes <= quota

  const full = (bytes: number) =>
    new JournalError({
      reason: new JournalFull({
        detail: `${directory} holds ${files.bytes} of ${quota} bytes, ${bytes} more do not fit: the backend takes too little, or the quota is too small`
      })
    })

  const makeRoom = (bytes: number): Effect.Effect<void, JournalError> =>
    Effect.suspend(() => {
      if (hasRoom(bytes)) return Effect.void
      if (bytes > quota || onFull === "fail") return Effect.fail(full(bytes))
      if (onFull === "block") {
        return Effect.andThen(
          Effect.callback<void>((resume) => {
            if (hasRoom(bytes)) return resume(Effect.void)
            const wake = () => resume(Effect.void)
            waiting.add(wake)
            return Effect.sync(() => waiting.delete(wake))
          }),
          makeRoom(bytes)
        )
      }
      return attempt(() => {
        const readUpTo = Math.max(0, ...protectedUpTo.values())
        while (!hasRoom(bytes)) if (!files.takeAfter(readUpTo)) throw full(bytes)
        measure()
      })
    })

  // -------------------------------------------------------------------------
  // append
  // -------------------------------------------------------------------------

  const synced = (bytes: Buffer, count: number): Effect.Effect<ReadonlyArray<EventId.EventId>, JournalError> =>
    Effect.callback((resume) => {
      const began = clock.monotonicTimeNanosUnsafe()
      const done = (again: boolean) => (cause: unknown) => {
        syncTimer.updateUnsafe(Duration.nanos(clock.monotonicTimeNanosUnsafe() - began), context)
        if (cause === null || cause === undefined) return resume(Effect.succeed(files.commit(count)))
        try {
          files.revoke(bytes)
          if (!again) throw cause
          // What the system could not write it may have thrown away: the file is sealed, the batch goes into a new one.
          files.write(bytes)
          files.syncLater(done(false))
        } catch (failure) {
          resume(Effect.fail(errorOf(failure, directory)))
        }
      }
      files.syncLater(done(true))
    })

  const append = (batch: ReadonlyArray<Occurrence>): Effect.Effect<ReadonlyArray<EventId.EventId>, JournalError> =>
    Effect.suspend(() => {
      if (batch.length === 0) return Effect.succeed([])
      const bytes = files.encode(batch)
      const write = Effect.suspend(() => {
        try {
          files.write(bytes)
        } catch (cause) {
          return Effect.fail(errorOf(cause, directory))
        }
        bytesGauge.updateUnsafe(files.bytes, context)
        return durable ? synced(bytes, batch.length) : Effect.succeed(files.commit(batch.length))
      })
      return hasRoom(bytes.length) ? write : Effect.andThen(makeRoom(bytes.length), write)
    })

  // -------------------------------------------------------------------------
  // checkpoints and what is parked
  // -------------------------------------------------------------------------

  const keepReserve = (): void => {
    if (disk.status(pathOf(RESERVE)) !== undefined) return
    try {
      writeSmall(disk, pathOf(RESERVE), "\0".repeat(RESERVE_BYTES))
    } catch {
      // No room for a reserve now; the next checkpoint tries again.
      removeQuietly(disk, pathOf(RESERVE))
    }
  }
  keepReserve()

  /** On a full disk the reserve makes room for what frees the rest. */
  const withReserve = <A>(use: () => A): A => {
    try {
      return use()
    } catch (cause) {
      if (!isFull(cause) || disk.status(pathOf(RESERVE)) === undefined) throw cause
      removeQuietly(disk, pathOf(RESERVE))
      return use()
    }
  }

  const parkedOf = new Map<string, Map<string, Parked>>()
  const parkedIn = (sink: string): Map<string, Parked> => {
    let parked = parkedOf.get(sink)
    if (parked === undefined) {
      parked = files.loadParked(sink)
      parkedOf.set(sink, parked)
      measure()
    }
    return parked
  }

  return {
    origin,
    durability,
    head: Effect.sync(() => files.head),
    append,
    read: (sink, after, max) =>
      attempt(() => {
        const page = files.read(sink, after, max)
        protectedUpTo.set(sink, Math.max(protectedUpTo.get(sink) ?? 0, page.reached))
        measure()
        return page
      }),
    checkpoint: (sink, checkpoint: Checkpoint) =>
      attempt(() => {
        withReserve(() => files.saveCheckpoint(sink, checkpoint))
        checkpointed.set(sink, checkpoint.upTo)
        free()
        keepReserve()
      }),
    restore: (sink) =>
      attempt(() => {
        const checkpoint = files.loadCheckpoint(sink)
        const upTo = checkpoint?.upTo ?? 0
        checkpointed.set(sink, upTo)
        protectedUpTo.set(sink, upTo + READ_AHEAD)
        return checkpoint
      }),
    park: (sink, write, occurrences, reason) =>
      attempt(() => {
        const change = { parked: { write, occurrences, reason, at: Timestamp.now(clock) } }
        const parked = parkedIn(sink)
        withReserve(() => files.appendParked(sink, change))
        applyParked(parked, change)
      }),
    parked: (sink) => attempt(() => [...parkedIn(sink).values()]),
    unpark: (sink, series) =>
      attempt(() => {
        const parked = parkedIn(sink)
        for (const id of series) {
          const unparked = EventId.format(id)
          if (!parked.has(unparked)) continue
          withReserve(() => files.appendParked(sink, { unparked }))
          parked.delete(unparked)
        }
      })
  }
})

const removeQuietly = (disk: Disk, file: string): void => {
  try {
    disk.unlink(file)
  } catch {
    // It is gone, which is what was wanted.
  }
}

const writeSmall = (disk: Disk, file: string, text: string): void => {
  removeQuietly(disk, file)
  const opened = disk.create(file, 0o600)
  try {
    const bytes = Buffer.from(text)
    let written = 0
    while (written < bytes.length) {
      const more = disk.append(opened, bytes, written, bytes.length - written)
      if (more === 0) throw Object.assign(new Error("the disk took nothing"), { code: "ENOSPC" })
      written += more
    }
  } finally {
    disk.close(opened)
  }
}

const ownerOf = (disk: Disk, file: string): string => {
  try {
    const opened = disk.openToRead(file)
    try {
      const bytes = Buffer.alloc(64)
      return bytes.toString("utf8", 0, disk.read(opened, bytes, 0, bytes.length, 0))
    } finally {
      disk.close(opened)
    }
  } catch {
    return "unknown"
  }
}
