import { BackendError } from "@tidings/core/BackendError"
import type { Occurrence } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import {
  type Checkpoint,
  type Durability,
  type Journal,
  JournalDamaged,
  JournalError,
  JournalFailed,
  JournalFull,
  JournalLocked,
  type JournalPage,
  type OnFull,
  type Parked,
  READ_AHEAD
} from "@tidings/core/Journal"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { hostname } from "node:os"
import * as path from "node:path"
import { Disk } from "./disk.ts"
import { codeOf, fromDisk, pathOf } from "./diskError.ts"
import * as journalPlace from "./journalPlace.ts"
import { appendAll, Damaged, JournalFiles, Names, SEGMENT, type Segment, syncNow } from "./journalFiles.ts"
import * as Lines from "./journalLines.ts"
import * as journalSync from "./journalSync.ts"
import { LogDirectory } from "./logDirectory.ts"
import { Ownership } from "./ownership.ts"
import * as parkedRequests from "./parkedRequests.ts"
import { checkpointsIn, SinkFiles } from "./sinkFiles.ts"

/** @internal */
export interface Options {
  readonly directory: string
  readonly durability: Exclude<Durability, "memory">
  readonly quota: number
  readonly onFull: OnFull
  readonly segmentSize: number
  /** 4 MiB unless given. */
  readonly reserve?: number
}

const LOCK = "lock"
const OWNER = "owner"
const RESERVE = "reserve"
/** Enough for a checkpoint of full memories: what is settled must be noted on a full disk too, or nothing is ever freed. */
const RESERVE_BYTES = 4 * 1024 * 1024
/** How long the end waits for a disk that does not answer. */
const LAST_WAIT = Duration.seconds(5)
/** A quota is as good as it is divided: only whole segments are freed or taken, and never the newest. */
const LEAST_SEGMENTS = 8

const bytesGauge = Metric.gauge("tidings_journal_bytes", { description: "Bytes of the journal's segments" })
const segmentsGauge = Metric.gauge("tidings_journal_segments", { description: "Segments of the journal" })
const damagedCounter = Metric.counter("tidings_journal_damaged_total", {
  description: "Records of the journal that could not be read",
  incremental: true
})
const tornCounter = Metric.counter("tidings_journal_torn_tails_total", {
  description: "Appends that were not finished when their process or the machine ended, cut off at the next start",
  incremental: true
})
const syncTimer = Metric.timer("tidings_journal_sync_duration", {
  description: "Milliseconds that the disk takes to make an append durable"
})

const isFull = (cause: unknown): boolean => ["ENOSPC", "EDQUOT", "EFBIG"].includes(codeOf(cause) ?? "")

const errorOf = (cause: unknown, directory: string): JournalError => {
  if (cause instanceof JournalError) return cause
  if (cause instanceof Damaged) {
    return new JournalError({ reason: new JournalDamaged({ detail: cause.message }), cause })
  }
  const { detail } = fromDisk(cause, pathOf(cause) ?? directory, "journal").reason
  return new JournalError({
    reason: isFull(cause) ? new JournalFull({ detail }) : new JournalFailed({ detail }),
    cause
  })
}

const sharesItsDirectory = (directory: string): JournalError =>
  failed(`${directory} holds an event log: give the journal a directory of its own`)

const failed = (detail: string): JournalError => new JournalError({ reason: new JournalFailed({ detail }) })

interface Sink {
  readonly files: SinkFiles
  /** One change at a time. */
  readonly one: Semaphore.Semaphore
  /** Where its checkpoint stands, once it was asked for or made in this life. */
  upTo: number | undefined
  /** What it may have read beyond its checkpoint, in this life or an earlier one. */
  readUpTo: number
}

/** @internal */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Journal["Service"], JournalError, Scope.Scope> {
  const { durability, onFull, quota } = options
  const durable = durability === "disk"
  const disk = yield* Disk
  const clock = yield* Clock.Clock
  const context = yield* Effect.context()
  // Drawn for each opening: a journal that was copied or put back from a backup never gives an identity twice.
  const origin = yield* EventId.makeOrigin
  const directory = yield* journalPlace.apart(disk, options.directory, (place) => {
    const shared = new LogDirectory({ path: options.directory, disk, clock, tag: origin }).readIdentity()
    if (shared !== undefined) new LogDirectory({ path: place, disk, clock, tag: origin, kind: "journal" }).adopt(shared)
  })
  const names = new Names(disk, directory)
  const attempt = <A>(use: () => A): Effect.Effect<A, JournalError> =>
    Effect.try({ try: use, catch: (cause) => errorOf(cause, directory) })

  // -------------------------------------------------------------------------
  // start
  // -------------------------------------------------------------------------

  const logDirectory = new LogDirectory({ path: directory, disk, clock, tag: origin, kind: "journal" })
  const firstOrigin = yield* Effect.mapError(logDirectory.prepare(true, "write"), (error) => {
    const { _tag, detail } = error.reason
    const reason = isOfAnotherKind(logDirectory)
      ? new JournalDamaged({ detail })
      : _tag === "Full"
        ? new JournalFull({ detail })
        : new JournalFailed({ detail })
    return new JournalError({ reason, cause: error })
  })
  yield* Effect.acquireRelease(
    Effect.flatMap(
      attempt(() => disk.lock(names.pathOf(LOCK), names.fileMode())),
      (lock) => {
        if (lock !== undefined) return Effect.succeed(lock)
        const detail =
          `${directory} belongs to ${ownerOf(disk, names.pathOf(OWNER))}, which runs: end that process, and this one can have ` +
          "it at once; or give this one a directory of its own. The lock is the system's, and deleting the file does not free it"
        return Effect.fail(new JournalError({ reason: new JournalLocked({ detail }) }))
      }
    ),
    (lock) => Effect.sync(lock.release)
  )

  const ownership = new Ownership(disk, names)
  names.guardWith(() => ownership.check())
  const files = new JournalFiles({
    disk,
    names,
    ownership,
    origin,
    firstOrigin,
    segmentSize: Math.max(1, Math.min(options.segmentSize, Math.floor(quota / LEAST_SEGMENTS)))
  })
  let closed = false
  /**
   * The sinks that were there and have not asked for their checkpoint yet. All that still exist do so before the first event
   * is accepted, and until then nothing that one of them needs is freed.
   */
  const expected = new Map<string, number>()
  /** What waits for room. */
  const waiting = new Set<() => void>()
  let underway = 0
  let ended: (() => void) | undefined
  yield* Effect.acquireRelease(
    attempt(() => {
      const there = disk.list(directory)
      if (journalPlace.hasLog(there)) throw sharesItsDirectory(directory)
      logDirectory.upgrade()
      // What is found is built on, so it must not be gone after a loss of power.
      names.syncNow()
      if (!there.some((file) => SEGMENT.test(file))) syncAncestors(disk, directory)
      files.open(there)
      for (const [file, upTo] of checkpointsIn(disk, names, there)) {
        // A sink that has read so far must find what is accepted from now on beyond it, whatever became of the entries.
        files.raise(upTo)
        expected.set(file, upTo)
      }
    }),
    () =>
      Effect.suspend(() => {
        closed = true
        wakeWaiting()
        const idle = Effect.callback<void>((resume) => {
          if (underway === 0) resume(Effect.void)
          else ended = () => resume(Effect.void)
        })
        // Under a disk that answers nothing any more the file stays open, for as long as the process lives.
        return Effect.flatMap(Effect.timeoutOption(idle, LAST_WAIT), (ended) =>
          ended._tag === "Some" ? Effect.ignore(attempt(() => files.end())) : Effect.void
        )
      })
  )
  yield* shown(bytesGauge, () => files.bytes)
  yield* shown(segmentsGauge, () => files.segmentCount)
  // For people, and for the message to whoever comes second.
  writeQuietly(disk, names, OWNER, [Buffer.from(owner())])

  // -------------------------------------------------------------------------
  // what happens on the disk
  // -------------------------------------------------------------------------

  const mapped = <A>(effect: Effect.Effect<A, unknown>): Effect.Effect<A, JournalError> =>
    Effect.mapError(effect, (cause) => errorOf(cause, directory))

  /** What was begun is not given up, and the end waits for it: no file is closed while the disk is busy with it. */
  const begun = <A>(effect: Effect.Effect<A, JournalError>): Effect.Effect<A, JournalError> =>
    Effect.uninterruptible(
      Effect.suspend(() => {
        underway++
        return Effect.ensuring(
          effect,
          Effect.sync(() => {
            underway--
            if (underway === 0) ended?.()
          })
        )
      })
    )

  /** Nothing is begun after the end, nor in a directory that is another one's by now. */
  const whileOpen = <A>(use: () => Effect.Effect<A, JournalError>): Effect.Effect<A, JournalError> =>
    beforeEnd(() => {
      ownership.check()
      return use()
    })

  const beforeEnd = <A>(use: () => Effect.Effect<A, JournalError>): Effect.Effect<A, JournalError> =>
    Effect.suspend(() => {
      if (closed) return Effect.fail(failed(`the journal in ${directory} is closed`))
      try {
        return use()
      } catch (cause) {
        return Effect.fail(errorOf(cause, directory))
      }
    })

  let damagedCounted = 0
  let tornCounted = 0
  const measure = () => {
    let damaged = files.damagedEntries
    for (const { files } of sinks.values()) damaged += files.damagedLines
    if (damaged > damagedCounted) {
      damagedCounter.updateUnsafe(damaged - damagedCounted, context)
      damagedCounted = damaged
    }
    if (files.tornTails > tornCounted) {
      tornCounter.updateUnsafe(files.tornTails - tornCounted, context)
      tornCounted = files.tornTails
    }
  }

  // -------------------------------------------------------------------------
  // sinks
  // -------------------------------------------------------------------------

  const sinks = new Map<string, Sink>()
  const sinkOf = (name: string): Sink => {
    let sink = sinks.get(name)
    if (sink === undefined) {
      sink = { files: new SinkFiles(disk, names, name), one: Semaphore.makeUnsafe(1), upTo: undefined, readUpTo: 0 }
      sinks.set(name, sink)
    }
    return sink
  }
  measure()

  // -------------------------------------------------------------------------
  // room
  // -------------------------------------------------------------------------

  function wakeWaiting(): void {
    const woken = [...waiting]
    waiting.clear()
    for (const wake of woken) wake()
  }

  const settledUpTo = (): number => {
    let least = Math.min(...expected.values())
    for (const { upTo } of sinks.values()) if (upTo !== undefined && upTo < least) least = upTo
    return least === Number.POSITIVE_INFINITY ? 0 : least
  }

  const free = (): void => {
    const upTo = settledUpTo()
    if (!files.freeUpTo(upTo) && waiting.size === 0) return
    measure()
    wakeWaiting()
  }

  const hasRoom = (bytes: number): boolean => files.bytes + bytes <= quota

  const full = (bytes: number) =>
    new JournalError({
      reason: new JournalFull({
        detail: `${directory} holds ${files.bytes} of ${quota} bytes, ${bytes} more do not fit: the backend takes too little, or the quota is too small`
      })
    })

  /** What every sink has behind its checkpoint or has not read yet. */
  const mayBeTaken = (from: number, to: number): boolean => {
    let known = false
    for (const { readUpTo, upTo } of sinks.values()) {
      if (upTo === undefined) continue
      known = true
      if (to > upTo && from <= readUpTo) return false
    }
    return known
  }

  const makeRoom = (bytes: number): Effect.Effect<void, JournalError> =>
    whileOpen(() => {
      if (hasRoom(bytes)) return Effect.void
      if (bytes > quota) return Effect.fail(full(bytes))
      const upTo = settledUpTo()
      if (upTo >= files.head && files.bytes > 0) {
        // Only the newest segment is left, and everything in it is over.
        files.begin()
        files.freeUpTo(upTo)
      }
      if (onFull === "dropOldest") while (!hasRoom(bytes) && files.take(mayBeTaken));
      measure()
      if (hasRoom(bytes)) return Effect.void
      if (onFull !== "block") return Effect.fail(full(bytes))
      const woken = Effect.interruptible(
        Effect.callback<void>((resume) => {
          const wake = () => resume(Effect.void)
          waiting.add(wake)
          return Effect.sync(() => waiting.delete(wake))
        })
      )
      return Effect.andThen(woken, makeRoom(bytes))
    })

  // -------------------------------------------------------------------------
  // append
  // -------------------------------------------------------------------------

  const sync = mapped(
    Effect.suspend(() => {
      const began = clock.monotonicTimeNanosUnsafe()
      return Effect.ensuring(
        journalSync.written(disk, files),
        Effect.sync(() => syncTimer.updateUnsafe(Duration.nanos(clock.monotonicTimeNanosUnsafe() - began), context))
      )
    })
  )

  const makeDurable = (bytes: Buffer, count: number, again: boolean): Effect.Effect<void, JournalError> =>
    Effect.catch(sync, (error) => {
      files.revoke(bytes)
      if (!again) return Effect.fail(error)
      // What the system could not write it may have thrown away: the file is sealed, the batch goes into a new one.
      return whileOpen(() => {
        files.write(bytes, count)
        return makeDurable(bytes, count, false)
      })
    })

  const append = (batch: ReadonlyArray<Occurrence>): Effect.Effect<ReadonlyArray<EventId.EventId>, JournalError> =>
    beforeEnd(() => {
      // One that is lost takes nothing more; that it is becomes known before the first batch is acknowledged.
      if (ownership.wasLost) ownership.check()
      if (batch.length === 0) return Effect.succeed([])
      if (expected.size > 0) expected.clear()
      const bytes = files.encode(batch)
      if (!hasRoom(bytes.length)) {
        return Effect.andThen(
          makeRoom(bytes.length),
          beforeEnd(() => write(batch, bytes))
        )
      }
      return write(batch, bytes)
    })

  const write = (
    batch: ReadonlyArray<Occurrence>,
    bytes: Buffer
  ): Effect.Effect<ReadonlyArray<EventId.EventId>, JournalError> => {
    files.write(bytes, batch.length)
    if (!durable) return Effect.succeed(acknowledge(batch, bytes))
    return begun(Effect.flatMap(makeDurable(bytes, batch.length, true), () => attempt(() => acknowledge(batch, bytes))))
  }

  /** What was written into files that may not be found again is not accepted. */
  const acknowledge = (batch: ReadonlyArray<Occurrence>, bytes: Buffer): ReadonlyArray<EventId.EventId> => {
    if (!ownership.isKept()) {
      files.abandon(bytes)
      throw ownership.lost(files.isUnlinked ? "no" : "unknown")
    }
    try {
      files.keepNamed()
    } catch (cause) {
      files.abandon(bytes)
      throw cause
    }
    return files.commit(batch)
  }

  // -------------------------------------------------------------------------
  // read
  // -------------------------------------------------------------------------

  const read = (name: string, after: number, max: number): Effect.Effect<JournalPage, JournalError> =>
    beforeEnd(() => {
      const sink = sinkOf(name)
      const { page, unsynced } = files.read(name, after, max)
      sink.readUpTo = Math.max(sink.readUpTo, page.reached)
      measure()
      if (page.reached === after || (unsynced.length === 0 && names.areSynced)) return Effect.succeed(page)
      // What is in memory or in the open file is delivered also where the journal is lost; there is nothing to be synced then.
      if (!ownership.isKept()) return Effect.succeed(page)
      return begun(Effect.as(withReserve(syncRead(unsynced)), page))
    })

  const syncNames = mapped(journalSync.names(disk, names))

  const syncRead = (segments: ReadonlyArray<Segment>): Effect.Effect<void, JournalError> =>
    Effect.andThen(
      mapped(Effect.forEach(segments, (segment) => journalSync.segment(disk, files, segment), { discard: true })),
      syncNames
    )

  // -------------------------------------------------------------------------
  // checkpoints and what is parked
  // -------------------------------------------------------------------------

  const hasReserve = (): boolean => disk.status(names.pathOf(RESERVE)) !== undefined

  const keepReserve = (): void => {
    if (!hasReserve()) writeQuietly(disk, names, RESERVE, filling(options.reserve ?? RESERVE_BYTES))
  }
  keepReserve()

  /** On a full disk the reserve makes room for what frees the rest. */
  const withReserve = <A>(effect: Effect.Effect<A, JournalError>): Effect.Effect<A, JournalError> =>
    Effect.catch(effect, (error) => {
      if (error.reason._tag !== "JournalFull" || !hasReserve()) return Effect.fail(error)
      removeQuietly(names, RESERVE)
      return effect
    })

  const syncAndClose = (file: number) => mapped(journalSync.andClose(disk, file))

  const replace = (file: string, bytes: Buffer): Effect.Effect<void, JournalError> =>
    whileOpen(() => {
      const opened = names.createTemporary(file)
      try {
        appendAll(disk, opened, bytes)
      } catch (cause) {
        disk.close(opened)
        throw cause
      }
      return Effect.andThen(
        Effect.andThen(
          syncAndClose(opened),
          attempt(() => {
            files.keepOpen()
            names.replace(file)
          })
        ),
        syncNames
      )
    })

  /** Of what is kept for one sink, one thing changes at a time, and none is left half done. */
  const changing = <A>(
    name: string,
    use: (sink: Sink) => Effect.Effect<A, JournalError>
  ): Effect.Effect<A, JournalError> =>
    Effect.suspend(() => {
      const sink = sinkOf(name)
      return sink.one.withPermit(begun(withReserve(whileOpen(() => use(sink)))))
    })

  const checkpoint = (name: string, made: Checkpoint): Effect.Effect<void, JournalError> =>
    Effect.flatMap(
      Effect.try({
        try: () => Lines.lineOf(JSON.stringify(made)),
        // The last checkpoint stands, and the sink tries again with what is left then.
        catch: (cause) => failed(`the checkpoint of the sink "${name}" cannot be encoded: ${String(cause)}`)
      }),
      (bytes) =>
        changing(name, (sink) =>
          Effect.andThen(
            replace(sink.files.checkpointFile, bytes),
            attempt(() => {
              sink.upTo = made.upTo
              sink.readUpTo = Math.max(sink.readUpTo, made.upTo)
              // Only now that it is durable may anything go that it makes superfluous.
              free()
              keepReserve()
            })
          )
        )
    )

  const changeParked = (
    name: string,
    parked: Parked | undefined,
    unparked: ReadonlyArray<EventId.EventId>
  ): Effect.Effect<void, JournalError> =>
    changing(name, ({ files }) => {
      const written = files.writeParked(parked, unparked)
      return Effect.andThen(
        Effect.tapError(Effect.andThen(syncAndClose(written.file), syncNames), () =>
          Effect.sync(() => files.takeBackParked())
        ),
        attempt(() => files.keepParked(written))
      )
    })

  return {
    origin,
    durability,
    head: Effect.sync(() => files.head),
    append,
    read,
    checkpoint,
    restore: (name) =>
      whileOpen(() => {
        const sink = sinkOf(name)
        const checkpoint = sink.files.loadCheckpoint()
        expected.delete(sink.files.checkpointFile)
        sink.upTo = checkpoint?.upTo ?? 0
        sink.readUpTo = Math.min(files.head, sink.upTo + READ_AHEAD)
        return Effect.succeed(checkpoint)
      }),
    park: (name, write, occurrences, reason) =>
      Effect.suspend(() => changeParked(name, { write, occurrences, reason, at: Timestamp.now(clock) }, [])),
    parked: (name) =>
      changing(name, ({ files }) => {
        const parked = files.loadParked()
        measure()
        const opened = files.openToSync()
        if (opened === undefined) return Effect.as(syncNames, parked)
        return Effect.as(Effect.andThen(syncAndClose(opened), syncNames), parked).pipe(
          Effect.tap(() => Effect.sync(() => files.synced()))
        )
      }),
    unpark: (name, series) => (series.length === 0 ? Effect.void : changeParked(name, undefined, series)),
    requests: (name) =>
      whileOpen(() => Effect.succeed(parkedRequests.take(disk, names, sinkOf(name).files.requestsFile)))
  }
})

/** A gauge that is read when somebody looks, while the journal is open. */
const shown = (gauge: Metric.Gauge<number>, value: () => number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.contextWith((context: Context.Context<never>) =>
        Effect.sync(() =>
          Metric.registerUnsafe(gauge, context, { get: () => ({ value: value() }), update: nothing, modify: nothing })
        )
      ),
      (registration) => Effect.sync(() => registration.remove())
    )
  )

const nothing = () => {}

// ---------------------------------------------------------------------------
// small files
// ---------------------------------------------------------------------------

/** Whether what says who the journal is speaks of another format, or of nothing. */
const isOfAnotherKind = (directory: LogDirectory): boolean => {
  try {
    directory.readIdentity()
    return false
  } catch (cause) {
    // What the disk itself says has a cause.
    return cause instanceof BackendError && cause.cause === undefined
  }
}

/** Of a journal that begins, the names on the way to it may be as new as itself. */
const syncAncestors = (disk: Disk, directory: string): void => {
  for (let at = directory; at !== path.dirname(at);) {
    at = path.dirname(at)
    let opened: number
    try {
      opened = disk.openDirectory(at)
    } catch {
      // What this process may not open it has not made either.
      return
    }
    try {
      syncNow(disk, opened)
    } finally {
      disk.close(opened)
    }
  }
}

const removeQuietly = (names: Names, file: string): void => {
  try {
    names.remove(file)
  } catch {
    // It is as it was.
  }
}

/** Writes a file that is good to have; without it everything goes on. */
const writeQuietly = (disk: Disk, names: Names, file: string, chunks: Iterable<Uint8Array>): void => {
  try {
    names.remove(file)
    const opened = names.create(file)
    try {
      for (const chunk of chunks) appendAll(disk, opened, chunk)
    } finally {
      disk.close(opened)
    }
  } catch {
    removeQuietly(names, file)
  }
}

/** Bytes that no file system stores as fewer. */
function* filling(size: number): Generator<Uint8Array, void> {
  const chunk = new Uint32Array(16_384)
  let state = 0x9e3779b9
  for (let left = size; left > 0; left -= chunk.byteLength) {
    for (let index = 0; index < chunk.length; index++) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      chunk[index] = state
    }
    yield new Uint8Array(chunk.buffer, 0, Math.min(left, chunk.byteLength))
  }
}

const owner = (): string => `process ${process.pid} on ${hostname()}`

const ownerOf = (disk: Disk, file: string): string => {
  try {
    const opened = disk.openToRead(file)
    try {
      const bytes = Buffer.alloc(512)
      const found = bytes.toString("utf8", 0, disk.read(opened, bytes, 0, bytes.length, 0))
      return found === owner() ? "another journal of this very process" : found
    } finally {
      disk.close(opened)
    }
  } catch {
    return "another process"
  }
}
