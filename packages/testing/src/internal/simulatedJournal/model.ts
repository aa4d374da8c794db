/**
 * The types of a simulated journal. `SimulatedJournal` exports them.
 *
 * @internal
 */
import type { Occurrence } from "@tidings/core/Event"
import type { EventId } from "@tidings/core/EventId"
import type { Checkpoint, Durability, Journal, JournalError, OnFull, Parked } from "@tidings/core/Journal"
import type * as Duration from "effect/Duration"
import type * as Layer from "effect/Layer"
import type { Process } from "../../Simulation.ts"

/**
 * How often each operation fails with `JournalFailed`: shares of 1. An operation that fails has done nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Faults {
  readonly append?: number | undefined
  readonly read?: number | undefined
  readonly checkpoint?: number | undefined
  /** Of parking and of forgetting what is parked. */
  readonly park?: number | undefined
}

/**
 * All that is durable of a journal at one moment: what a backup, or a copy of its directory, has.
 *
 * @category models
 * @since 0.2.0
 */
export interface Backup {
  readonly occurrences: ReadonlyArray<Occurrence>
  readonly origins: ReadonlyArray<string>
  readonly kept: ReadonlyArray<number>
  readonly checkpoints: ReadonlyMap<string, string>
  readonly parked: ReadonlyMap<string, ReadonlyMap<string, string>>
  readonly taken: ReadonlyMap<string, ReadonlyArray<number>>
}

/**
 * A simulated durable journal.
 *
 * @category models
 * @since 0.1.0
 */
export interface SimulatedJournal {
  /**
   * Opens it for the life that a process has when the layer is built. Fails with `JournalLocked` while another process has
   * it open.
   */
  readonly layer: (process: Process) => Layer.Layer<Journal, JournalError>
  readonly setFaults: (faults: Faults) => void
  /** What is durable now. */
  readonly backup: () => Backup
  /** Replaces all that is durable: by an earlier state of this journal, or by one of another, which makes it a copy. */
  readonly putBack: (backup: Backup) => void
  /** The last seq that is durable. */
  readonly head: () => number
  /** Every occurrence that was ever durable, in order: that with seq 1 first, freed or not. */
  readonly occurrences: () => ReadonlyArray<Occurrence>
  /** Their identities. */
  readonly ids: () => ReadonlyArray<EventId>
  /** The seqs that the quota took before this sink had them behind a checkpoint. */
  readonly taken: (sink: string) => ReadonlyArray<number>
  readonly checkpoint: (sink: string) => Checkpoint | undefined
  readonly parked: (sink: string) => ReadonlyArray<Parked>
}

/**
 * How a simulated journal is made.
 *
 * @category options
 * @since 0.2.0
 */
export interface Options {
  /** What is counted is counted under it; `journal` unless given. */
  readonly name?: string | undefined
  /** `disk` unless given. A kill is all that happens to it, so `process` and `disk` differ in the word alone. */
  readonly durability?: Exclude<Durability, "memory"> | undefined
  /** How long each half of an operation takes at the most; 1 millisecond unless given. With 0 it answers at once. */
  readonly latency?: Duration.Input | undefined
  readonly faults?: Faults | undefined
  /** How many events it keeps at the most; without limit unless given. */
  readonly capacity?: number | undefined
  /** What happens then; `fail` unless given. */
  readonly onFull?: OnFull | undefined
  /**
   * How far beyond its checkpoint an earlier life of a sink may have read, which a quota must leave alone.
   * `Journal.READ_AHEAD` unless given.
   */
  readonly readAhead?: number | undefined
}
