/**
 * Where a recorder keeps what it has accepted until every sink is through with it.
 *
 * The journal is the only durable point of delivery: an event is accepted when it stands in it. Its place in it, and the
 * origin of the opening that accepted it, are its identity. `layerMemory` keeps it for the life of the process; the file journal of `@tidings/backend-fs` keeps it
 * across restarts and power loss.
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
 * The store of the journal failed. Nothing of the batch is accepted.
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
 * The journal cannot be read: it is of another format, or its state is damaged where that must not be passed over.
 *
 * @category errors
 * @since 0.1.0
 */
export class JournalDamaged extends Data.TaggedClass("JournalDamaged")<{ readonly detail: string }> {}

/**
 * The files of the journal are no longer those that this process has open: its directory was deleted, moved, replaced or mounted
 * over, or its lock was deleted. Nothing more is accepted until they are back in their place.
 *
 * `applied`: `no` when the batch is certainly not in the journal. `unknown` when it was written before this was noticed: who
 * opens those files later may find and deliver it.
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
        return `the journal has no room: ${this.reason.detail}`
      case "JournalFailed":
        return `the journal failed: ${this.reason.detail}`
      case "JournalLocked":
        return `the journal is in use: ${this.reason.detail}`
      case "JournalDamaged":
        return `the journal cannot be read: ${this.reason.detail}`
      case "JournalLost":
        return `the journal is not in its place: ${this.reason.detail}`
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
 * What a sink reads: entries in order, and the ranges that a quota took before the sink had read them.
 *
 * @category models
 * @since 0.1.0
 */
export interface JournalPage {
  readonly entries: ReadonlyArray<JournalEntry>
  /** Both ends belong to a range. */
  readonly lost: ReadonlyArray<{
    readonly from: number
    readonly to: number
    /** `quota` (it took the range) unless given; `damaged`: what stood there cannot be read. */
    readonly reason?: "quota" | "damaged"
  }>
  /** The last seq that this page covers: where the next read begins after. */
  readonly reached: number
}

/**
 * How far a sink is, in one record: what it has read, and everything of that which is not settled.
 *
 * @category models
 * @since 0.1.0
 */
export interface Checkpoint {
  readonly upTo: number
  readonly state: Json
  /** The id of what the sink writes to; bound in the first checkpoint, before the first write. */
  readonly target?: string
  /** The aliases of the target when it was bound or last learned more about; absent where it has none. */
  readonly aliases?: ReadonlyArray<string>
  /** Whether another store could have the names of the target; absent where that is not so. */
  readonly isUncertain?: boolean
  /** Where the target is, when a store that is begun anew there takes its place; absent where that is not so. */
  readonly place?: string
}

/**
 * A write that its backend will never take, kept aside with the number of its occurrences that no backend shows.
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
 * What somebody beside the process asks for about what is parked: to deliver series once more, or to give them up.
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
 * - `memory`: outages of the backend, within the life of this process
 * - `process`: also the end of the process in any way
 * - `disk`: also the end of the machine
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
 * - `dropOldest`: the oldest events that no sink has read make room, counted as dropped, `quota`
 *
 * @category models
 * @since 0.1.0
 */
export type OnFull = "fail" | "block" | "dropOldest"

/**
 * How far beyond its last durable checkpoint a sink may have read, in entries.
 *
 * What an earlier life read, and may have delivered, without a checkpoint behind it would be counted twice if a quota took
 * a part of it and the rest began a new series. So a sink reads no further than this, and after a restart a quota leaves
 * as many entries behind each checkpoint alone.
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
 * Seqs are places: they begin at 1 and grow by one with each entry, also across restarts. Each opening draws an `origin` of
 * its own for what it accepts, and entries keep the origin of the opening that accepted them.
 *
 * `append` has one caller, is all or nothing, and answers the identities in the order of the batch. The recorder runs it
 * without interruption, so that what is stored and what its caller is told are the same; where it waits for room, with
 * nothing stored, it waits in `Effect.interruptible`, or a recorder that closes cannot end it. Entries are freed up to the checkpoint that is furthest behind, of the sinks that have called
 * `restore` in this life.
 *
 * @category services
 * @since 0.1.0
 */
export class Journal extends Context.Service<
  Journal,
  {
    /** Of what this opening accepts. */
    readonly origin: string
    readonly durability: Durability
    /** The last seq that was given. */
    readonly head: Effect.Effect<number>
    readonly append: (batch: ReadonlyArray<Occurrence>) => Effect.Effect<ReadonlyArray<EventId>, JournalError>
    readonly read: (sink: string, after: number, max: number) => Effect.Effect<JournalPage, JournalError>
    readonly checkpoint: (sink: string, checkpoint: Checkpoint) => Effect.Effect<void, JournalError>
    readonly restore: (sink: string) => Effect.Effect<Checkpoint | undefined, JournalError>
    /**
     * Keeps a write aside. `occurrences` is how many of its series are kept aside in all, so repeating it adds nothing; of a
     * series the highest `upTo` is kept, of equal ones the later.
     */
    readonly park: (
      sink: string,
      write: Write,
      occurrences: number,
      reason: string
    ) => Effect.Effect<void, JournalError>
    readonly parked: (sink: string) => Effect.Effect<ReadonlyArray<Parked>, JournalError>
    /** Forgets parked writes: they are delivered after all, or given up. */
    readonly unpark: (sink: string, series: ReadonlyArray<EventId>) => Effect.Effect<void, JournalError>
    /** Takes what was asked for beside this process since the last time, in order; none where nobody can ask. */
    readonly requests: (sink: string) => Effect.Effect<ReadonlyArray<ParkedRequest>, JournalError>
  }
>()("@tidings/core/Journal") {}

// ---------------------------------------------------------------------------
// in memory
// ---------------------------------------------------------------------------

const DEFAULT_CAPACITY = 100_000
/** As that of the file journal. */
const DEFAULT_QUOTA = 256 * 1024 * 1024

interface MemoryOptions {
  readonly capacity?: number | undefined
  readonly quota?: number | undefined
  readonly onFull?: OnFull | undefined
}

const bytesOf = (batch: ReadonlyArray<Occurrence>): number => {
  let bytes = 0
  for (const occurrence of batch) bytes += dataSize.estimate(occurrence)
  return bytes
}

const makeMemory = (origin: string, clock: Clock.Clock, options?: MemoryOptions): Journal["Service"] => {
  const quota = Math.max(1, options?.quota ?? DEFAULT_QUOTA)
  const capacity = Math.max(1, options?.capacity ?? DEFAULT_CAPACITY)
  const onFull = options?.onFull ?? "fail"
  /** The occurrences with the seqs from `first` on, the first of them at `start`. */
  let kept: Array<Occurrence | undefined> = []
  let start = 0
  let first = 1
  let head = 0
  /** Of what is kept, about. */
  let bytes = 0
  const checkpoints = new Map<string, Checkpoint>()
  const reading = new Map<string, number>()
  const parked = new Map<string, Map<string, Parked>>()
  const freed = new Notifier()

  const discard = (n: number): void => {
    for (let index = start; index < start + n; index++) {
      bytes -= dataSize.estimate(kept[index]!)
      // The list is shortened now and then only; what is settled must not live until then.
      kept[index] = undefined
    }
    start += n
    first += n
    if (start > 1_024 && start * 2 > kept.length) {
      kept = kept.slice(start)
      start = 0
    }
  }

  /** Up to where every sink's checkpoint stands. */
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

  /** Also what is larger than the quota alone, once nothing else is kept. */
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
 * A journal in the memory of this process: `record` resolves at once, and outages of the backend of any length lose
 * nothing while the process lives and the capacity lasts.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = (options?: {
  /** How many events it keeps at the most. 100,000 unless given. */
  readonly capacity?: number | undefined
  /** How many bytes of memory they take at the most, about. 256 MiB unless given. */
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
