/**
 * Where a recorder keeps what it has accepted until every sink is through with it.
 *
 * The journal is the only durable point of delivery: an event is accepted when it stands in it. Its place in it, and the
 * origin of the opening that accepted it, are its identity. `layerMemory` keeps it for the life of the process; the file journal of `@tidings/backend-fs` keeps it
 * across restarts and power loss.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { Occurrence, Write } from "./Event.ts"
import type { Json } from "./EventData.ts"
import type { EventId } from "./EventId.ts"
import type { JournalError } from "./internal/journalError.ts"
import * as memoryJournal from "./internal/memoryJournal.ts"
import type { Micros } from "./Timestamp.ts"

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

export {
  JournalDamaged,
  JournalError,
  type JournalErrorReason,
  JournalFailed,
  JournalFull,
  JournalLocked,
  JournalLost
} from "./internal/journalError.ts"

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
  readonly at: Micros
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
// layers
// ---------------------------------------------------------------------------

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
}): Layer.Layer<Journal> => memoryJournal.layer(Journal, options)
