/**
 * A durable journal for simulated worlds: what it has acknowledged survives every kill, what it has not is whole or gone.
 *
 * It stands in for a file journal where the recorder, or what is built on it, is tested with crashes. Each operation takes
 * its time, may fail, and may be cut short by a kill before or after it took effect; what happened is counted by the
 * simulation (`journal.appendLost`, `journal.appendUnanswered`, …).
 *
 * **Example** (Accepted before the kill, there after it)
 *
 * ```ts
 * import * as Journal from "@tidings/core/Journal"
 * import * as SimulatedJournal from "@tidings/testing/SimulatedJournal"
 * import * as Simulation from "@tidings/testing/Simulation"
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import assert from "node:assert/strict"
 *
 * const occurrence = {
 *   at: 0,
 *   involvedObject: { kind: "Order", name: "order-1", namespace: "shop" },
 *   reason: "Shipped",
 *   type: "Normal",
 *   action: "Ship",
 *   message: "order-1 was shipped",
 *   data: {},
 *   source: { component: "shop" },
 *   reportingController: "shop",
 *   reportingInstance: "shop-0"
 * } as const
 *
 * const run = Simulation.run({ seed: 1 }, (simulation) =>
 *   Effect.gen(function* () {
 *     const journal = SimulatedJournal.make(simulation)
 *     const host = simulation.process("host")
 *     const append = Journal.Journal.use((one) => one.append([occurrence]))
 *     yield* host.start(append.pipe(Effect.andThen(Effect.never), Effect.provide(journal.layer(host))))
 *     yield* Effect.sleep("1 second")
 *     yield* host.kill
 *     return journal.head()
 *   })
 * )
 * assert.deepEqual(run.exit, Exit.succeed(1))
 * ```
 *
 * @since 0.1.0
 */
import type { Occurrence } from "@tidings/core/Event"
import type { EventId } from "@tidings/core/EventId"
import {
  type Checkpoint,
  type Durability,
  Journal,
  type JournalError,
  type OnFull,
  type Parked
} from "@tidings/core/Journal"
import type * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"
import * as simulatedJournal from "./internal/simulatedJournal.ts"
import type { Process, Simulation } from "./Simulation.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

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

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * Makes a simulated journal, empty.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  simulation: Simulation,
  options?: {
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
): SimulatedJournal => {
  const made = simulatedJournal.make(simulation, options ?? {})
  return { ...made.handle, layer: (process) => Layer.effect(Journal, made.open(process)) }
}
