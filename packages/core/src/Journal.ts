/**
 * The journal of a recorder: a log of accepted events, from which each sink delivers.
 *
 * An event is accepted when it is in the journal, and freed when every sink has settled, parked or dropped it. Its position
 * in the journal and the origin of the opening that accepted it are its identity. `layerMemory` lasts as long as the
 * process; the file journal of `@tidings/backend-fs` survives restarts and power loss.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Occurrence, Write } from "./Event.ts"
import type { Json } from "./EventData.ts"
import { type EventId, format, makeOrigin } from "./EventId.ts"
import * as dataSize from "./internal/dataSize.ts"
import { Notifier } from "./internal/notifier.ts"
import * as Timestamp from "./Timestamp.ts"

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/**
 * No room: the quota is reached, or the disk is full.
 *
 * @category errors
 * @since 0.1.0
 */
export class JournalFull extends Data.TaggedClass("JournalFull")<{ readonly detail: string }> {}

/**
 * The storage of the journal failed. Nothing of the batch is accepted.
 *
 * @category errors
 * @since 0.1.0
 */
export class JournalFailed extends Data.TaggedClass("JournalFailed")<{ readonly detail: string }> {}

/**
 * Another process owns the journal.
 *
 * @category errors
 * @since 0.1.0
 */
export class JournalLocked extends Data.TaggedClass("JournalLocked")<{ readonly detail: string }> {}

/**
 * The journal cannot be read: it has another format, or a part that cannot be skipped is damaged.
 *
 * @category errors
 * @since 0.1.0
 */
export class JournalDamaged extends Data.TaggedClass("JournalDamaged")<{ readonly detail: string }> {}

/**
 * The files of the journal are no longer those that this process has open: its directory was deleted, moved, replaced or
 * mounted over, or its lock was deleted. Nothing is accepted until they are back in their place.
 *
 * `applied`: `no` when the batch is certainly not in the journal. `unknown` when it was written before this was noticed: a
 * process that opens these files later may find and deliver it.
 *
 * @category errors
 * @since 0.2.0
 */
export class JournalLost extends Data.TaggedClass("JournalLost")<{
  readonly detail: string
  readonly applied: "no" | "unknown"
}> {}

/**
 * Why a journal failed.
 *
 * @category errors
 * @since 0.1.0
 */
export type JournalErrorReason = JournalFull | JournalFailed | JournalLocked | JournalDamaged | JournalLost

/**
 * The one error of journals, with a tagged `reason`.
 *
 * @category errors
 * @since 0.1.0
 */
export class JournalError extends Data.TaggedError("JournalError")<{
  readonly reason: JournalErrorReason
  readonly cause?: unknown
}> {
  override get message(): string {
    switch (this.reason._tag) {
      case "JournalFull":
        return `the journal is full: ${this.reason.detail}`
      case "JournalFailed":
        return `the journal failed: ${this.reason.detail}`
      case "JournalLocked":
        return `the journal is in use: ${this.reason.detail}`
      case "JournalDamaged":
        return `the journal cannot be read: ${this.reason.detail}`
      case "JournalLost":
        return `the journal was moved or replaced: ${this.reason.detail}`
    }
  }
}

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * An accepted occurrence and its identity.
 *
 * @category models
 * @since 0.1.0
 */
export interface JournalEntry {
  readonly id: EventId
  readonly occurrence: Occurrence
}

/**
 * A page of what a sink reads: entries in order, and the ranges that were removed before the sink had read them.
 *
 * @category models
 * @since 0.1.0
 */
export interface JournalPage {
  readonly entries: ReadonlyArray<JournalEntry>
  /** Ranges include both ends. */
  readonly lost: ReadonlyArray<{
    readonly from: number
    readonly to: number
    /** `quota` unless given: removed to make room. `damaged`: it cannot be read. */
    readonly reason?: "quota" | "damaged"
  }>
  /** The last sequence number that this page covers; the next read begins after it. */
  readonly reached: number
}

/**
 * The progress of a sink in one record: how far it has read, and everything up to there that is not settled.
 *
 * @category models
 * @since 0.1.0
 */
export interface Checkpoint {
  readonly upTo: number
  readonly state: Json
  /** The id of the store that the sink writes to; saved in a checkpoint before the first write. */
  readonly target?: string
  /** The aliases of the target that are known; absent where there are none. */
  readonly aliases?: ReadonlyArray<string>
  /** `true` where other stores may have the same names as the target. */
  readonly isUncertain?: boolean
  /** Where the target is, if a new store at the same place replaces it. */
  readonly place?: string
}

/**
 * A write that the backend will never accept, with the number of its occurrences that are not visible in the backend.
 *
 * @category models
 * @since 0.1.0
 */
export interface Parked {
  readonly write: Write
  readonly occurrences: number
  readonly reason: string
  readonly at: Timestamp.Micros
}

/**
 * A request of an operator in another process: to retry parked series, or to drop them.
 *
 * @category models
 * @since 0.1.0
 */
export interface ParkedRequest {
  readonly action: "retry" | "drop"
  readonly series: ReadonlyArray<EventId>
}

/**
 * What an accepted event survives.
 *
 * - `memory`: outages of the backend, as long as this process runs
 * - `process`: also the end of the process, in any way
 * - `disk`: also a crash of the machine
 *
 * @category models
 * @since 0.1.0
 */
export type Durability = "memory" | "process" | "disk"

/**
 * What happens to a new event when the quota is reached.
 *
 * - `fail`: it is refused with `JournalFull`
 * - `block`: it waits for room
 * - `dropOldest`: the oldest events are removed, and counted as dropped (`quota`) by the sinks that have not read them
 *
 * @category models
 * @since 0.1.0
 */
export type OnFull = "fail" | "block" | "dropOldest"

/**
 * How far beyond its last durable checkpoint a sink may have read, in entries.
 *
 * After a restart, a sink reads again what was read, and perhaps delivered, after the last checkpoint. If the quota had
 * removed a part of it, the rest would begin a new series and be counted twice. So a sink reads no further than this, and
 * after a restart the quota does not remove this number of entries after each checkpoint.
 *
 * @category models
 * @since 0.1.0
 */
export const READ_AHEAD = 8_192

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * The journal of a recorder.
 *
 * Sequence numbers are positions: they start at 1 and grow by one with each entry, also from one opening to the next. Each
 * opening generates an `origin` for what it accepts, and entries keep the origin of the opening that accepted them.
 *
 * `append` has one caller at a time, is all or nothing, and returns the identities in the order of the batch. The recorder
 * runs it uninterruptibly, so that what is stored and what the caller is told are the same. While it waits for room, with
 * nothing stored, it must be `Effect.interruptible`, or a recorder that closes could not end it.
 *
 * Entries are freed up to the oldest checkpoint of the sinks that have called `restore` since the journal was opened.
 *
 * @category services
 * @since 0.1.0
 */
export class Journal extends Context.Service<
  Journal,
  {
    /** The origin of what this opening accepts. */
    readonly origin: string
    readonly durability: Durability
    /** The last sequence number that was assigned. */
    readonly head: Effect.Effect<number>
    readonly append: (batch: ReadonlyArray<Occurrence>) => Effect.Effect<ReadonlyArray<EventId>, JournalError>
    readonly read: (sink: string, after: number, max: number) => Effect.Effect<JournalPage, JournalError>
    readonly checkpoint: (sink: string, checkpoint: Checkpoint) => Effect.Effect<void, JournalError>
    readonly restore: (sink: string) => Effect.Effect<Checkpoint | undefined, JournalError>
    /**
     * Keeps a write for an operator. `occurrences` is the total for its series, so a repetition adds nothing. Of several
     * writes of a series, the one with the highest `upTo` is kept, and of equal ones the last.
     */
    readonly park: (
      sink: string,
      write: Write,
      occurrences: number,
      reason: string
    ) => Effect.Effect<void, JournalError>
    readonly parked: (sink: string) => Effect.Effect<ReadonlyArray<Parked>, JournalError>
    /** Deletes parked writes, because they were delivered after all, or dropped. */
    readonly unpark: (sink: string, series: ReadonlyArray<EventId>) => Effect.Effect<void, JournalError>
    /** Takes the requests of other processes since the last call, in order. None where other processes cannot reach it. */
    readonly requests: (sink: string) => Effect.Effect<ReadonlyArray<ParkedRequest>, JournalError>
  }
>()("@tidings/core/Journal") {}

// ---------------------------------------------------------------------------
// in memory
// ---------------------------------------------------------------------------

const DEFAULT_CAPACITY = 100_000
/** The same as that of the file journal. */
const DEFAULT_QUOTA = 256 * 1024 * 1024

interface MemoryOptions {
  readonly capacity?: number | undefined
  readonly quota?: number | undefined
  readonly onFull?: OnFull | undefined
}

const bytesOf = (batch: ReadonlyArray<Occurrence>): number =>
  batch.reduce((bytes, occurrence) => bytes + dataSize.estimate(occurrence), 0)

const makeMemory = (origin: string, clock: Clock.Clock, options?: MemoryOptions): Journal["Service"] => {
  const quota = Math.max(1, options?.quota ?? DEFAULT_QUOTA)
  const capacity = Math.max(1, options?.capacity ?? DEFAULT_CAPACITY)
  const onFull = options?.onFull ?? "fail"
  /** The occurrences with the sequence numbers from `first` on; the first of them is at index `start`. */
  let kept: Array<Occurrence | undefined> = []
  let start = 0
  let first = 1
  let head = 0
  /** Approximate size of what is kept. */
  let bytes = 0
  const checkpoints = new Map<string, Checkpoint>()
  const reading = new Map<string, number>()
  const parked = new Map<string, Map<string, Parked>>()
  const freed = new Notifier()

  const discard = (n: number): void => {
    for (let index = start; index < start + n; index++) {
      bytes -= dataSize.estimate(kept[index]!)
      // The list is only shortened now and then; the occurrence should be collected before.
      kept[index] = undefined
    }
    start += n
    first += n
    if (start > 1_024 && start * 2 > kept.length) {
      kept = kept.slice(start)
      start = 0
    }
  }

  /** Discards what every sink has a checkpoint for. */
  const free = (): void => {
    let upTo = Number.POSITIVE_INFINITY
    for (const sink of reading.keys()) upTo = Math.min(upTo, checkpoints.get(sink)?.upTo ?? 0)
    if (upTo === Number.POSITIVE_INFINITY || upTo < first) return
    discard(Math.min(upTo, head) - first + 1)
    freed.notify()
  }

  const room = (): number => capacity - (head - first + 1)

  const take = (batch: ReadonlyArray<Occurrence>, size: number): ReadonlyArray<EventId> => {
    bytes += size
    return batch.map((occurrence) => {
      kept.push(occurrence)
      return { origin, seq: ++head }
    })
  }

  /** A single batch may be larger than the quota, once nothing else is kept. */
  const fits = (count: number, size: number): boolean => count <= room() && (bytes + size <= quota || head < first)

  const full = (wanted: number) =>
    new JournalError({
      reason: new JournalFull({
        detail:
          `${capacity - room()} of ${capacity} events with ${bytes} of ${quota} bytes wait for the backend, ` +
          `${wanted} more do not fit`
      })
    })

  const append = (batch: ReadonlyArray<Occurrence>): Effect.Effect<ReadonlyArray<EventId>, JournalError> =>
    Effect.suspend(() => {
      const size = bytesOf(batch)
      if (fits(batch.length, size)) return Effect.succeed(take(batch, size))
      if (batch.length > capacity) return Effect.fail(full(batch.length))
      switch (onFull) {
        case "fail":
          return Effect.fail(full(batch.length))
        case "dropOldest":
          while (!fits(batch.length, size)) discard(1)
          return Effect.succeed(take(batch, size))
        case "block":
          return Effect.andThen(Effect.interruptible(freed.until(() => fits(batch.length, size))), append(batch))
      }
    })

  return {
    origin,
    durability: "memory",
    head: Effect.sync(() => head),
    append,
    read: (_sink, after, max) =>
      Effect.sync(() => {
        const from = Math.max(after + 1, first)
        const to = Math.min(head, from + max - 1)
        const entries: Array<JournalEntry> = []
        for (let seq = from; seq <= to; seq++) {
          entries.push({ id: { origin, seq }, occurrence: kept[start + seq - first]! })
        }
        return {
          entries,
          lost: from > after + 1 ? [{ from: after + 1, to: from - 1 }] : [],
          reached: Math.max(after, Math.max(to, from - 1))
        }
      }),
    checkpoint: (sink, checkpoint) =>
      Effect.sync(() => {
        checkpoints.set(sink, checkpoint)
        reading.set(sink, checkpoint.upTo)
        free()
      }),
    restore: (sink) =>
      Effect.sync(() => {
        const checkpoint = checkpoints.get(sink)
        reading.set(sink, checkpoint?.upTo ?? 0)
        return checkpoint
      }),
    park: (sink, write, occurrences, reason) =>
      Effect.sync(() => {
        const bySeries = parked.get(sink) ?? new Map<string, Parked>()
        parked.set(sink, bySeries)
        const key = format(write.id)
        const known = bySeries.get(key)
        if (known !== undefined && known.write.upTo > write.upTo) return
        bySeries.set(key, { write, occurrences, reason, at: Timestamp.now(clock) })
      }),
    parked: (sink) => Effect.sync(() => [...(parked.get(sink)?.values() ?? [])]),
    unpark: (sink, series) =>
      Effect.sync(() => {
        for (const id of series) parked.get(sink)?.delete(format(id))
      }),
    requests: () => Effect.succeed([])
  }
}

/**
 * A journal in the memory of this process: `record` resolves at once, and no outage of the backend loses events, as long as
 * the process runs and the capacity suffices.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = (options?: {
  /** Maximum number of events. 100,000 unless given. */
  readonly capacity?: number | undefined
  /** Approximate maximum size of the events in memory, in bytes. 256 MiB unless given. */
  readonly quota?: number | undefined
  /** `fail` unless given. */
  readonly onFull?: OnFull | undefined
}): Layer.Layer<Journal> =>
  Layer.effect(
    Journal,
    Effect.gen(function* () {
      return makeMemory(yield* makeOrigin, yield* Clock.Clock, options)
    })
  )
