/**
 * What a recorder answers: what came of recording an event, how each sink does, and why an event was not recorded; and the
 * `Recorder` service itself. The layers that provide it are in `Recorder.ts`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { BackendError } from "./BackendError.ts"
import type { EventDraft } from "./EventDraft.ts"
import type { EventId } from "./EventId.ts"
import * as timeout from "./Timeout.ts"
import type { InvalidEvent } from "./InvalidEvent.ts"
import type { JournalError, Parked } from "./Journal.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * What came of recording: accepted, or left out by a transform of the host.
 *
 * @category models
 * @since 0.1.0
 */
export type Recorded =
  | { readonly _tag: "Accepted"; readonly id: EventId }
  | { readonly _tag: "Filtered"; readonly by: string }

/**
 * How one sink is through with an occurrence.
 *
 * - `Kept`: it is not, because the recorder was closed, or the sink was halted. It stays in the journal, and is delivered
 *   when the sink goes on, or by the next recorder on that journal.
 * - `Dropped` with the reason `shutdown` or `halted`: the same for a journal in memory, which ends with the process.
 * - `Pending`: it is not, and the timeout of the caller is over. The sink goes on with it.
 *
 * @category models
 * @since 0.1.0
 */
export type Settlement =
  | { readonly _tag: "Settled"; readonly how: "created" | "updated" | "present" }
  | { readonly _tag: "Parked"; readonly reason: string }
  | { readonly _tag: "Dropped"; readonly reason: string }
  | { readonly _tag: "Kept" }
  | { readonly _tag: "Pending" }

/**
 * What came of recording and waiting for every sink.
 *
 * @category models
 * @since 0.1.0
 */
export type Delivered =
  | { readonly _tag: "Accepted"; readonly id: EventId; readonly sinks: Readonly<Record<string, Settlement>> }
  | { readonly _tag: "Filtered"; readonly by: string }

/**
 * How one sink does.
 *
 * @category models
 * @since 0.1.0
 */
export interface SinkStatus {
  /** `degraded`: repeating after failures; `blocked`: waiting for something a person must do; `down`: gave up or closed. */
  readonly state: "up" | "degraded" | "blocked" | "down"
  /** Found in the journal at the start. */
  readonly recovered: number
  readonly settled: number
  readonly parked: number
  /** By reason. */
  readonly dropped: Readonly<Record<string, number>>
  /** Accepted and not settled, parked or dropped; includes what is held. */
  readonly pending: number
  /** Waiting in the correlator for their turn. */
  readonly held: number
  /** How long the longest waiting occurrence has waited. */
  readonly oldestAge: Duration.Duration
  readonly lastError?: string
}

/**
 * What a recorder has taken and what became of it, in occurrences. At every moment and for every sink:
 * `accepted + recovered = settled + parked + dropped + pending`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RecorderStatus {
  readonly accepted: number
  /**
   * Refused before acceptance, by reason: `invalid`, `full`, `closed`, `rejected`, `failed`, `interrupted`; and `unknown`,
   * of which the store did not say before the recorder was closed whether it has them.
   */
  readonly refused: Readonly<Record<string, number>>
  /** Left out by transforms, by their names. */
  readonly filtered: Readonly<Record<string, number>>
  readonly sinks: Readonly<Record<string, SinkStatus>>
}

/**
 * What was left when a flush ended, per sink.
 *
 * @category models
 * @since 0.1.0
 */
export interface FlushReport {
  /** Whether everything that was begun before the flush is through. */
  readonly complete: boolean
  /** What was begun before the flush, and is neither accepted nor refused. */
  readonly waiting: number
  readonly pending: Readonly<Record<string, number>>
}

/**
 * A series that a sink has parked.
 *
 * @category models
 * @since 0.1.0
 */
export interface ParkedSeries extends Parked {
  readonly sink: string
}

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/**
 * The recorder's scope is closing or closed.
 *
 * @category errors
 * @since 0.1.0
 */
export class Closed extends Data.TaggedClass("Closed")<{}> {}

/**
 * The backend will never take this event.
 *
 * @category errors
 * @since 0.1.0
 */
export class Rejected extends Data.TaggedClass("Rejected")<{ readonly detail: string }> {}

/**
 * The recorder was closed while the event was being stored, and the store did not answer before the deadline; or, without a
 * journal, another store has taken its place before it did; or the files of the journal were deleted or moved meanwhile
 * (`JournalLost`). The event is there whole, or not at all; where a journal has it, it is delivered, by the next start if not
 * by this one. Recording it once more may count it twice.
 *
 * @category errors
 * @since 0.2.0
 */
export class Unknown extends Data.TaggedClass("Unknown")<{ readonly detail: string }> {}

/**
 * Why a recorder did not accept an event that was in order.
 *
 * @category errors
 * @since 0.1.0
 */
export type RecorderErrorReason = Closed | Rejected | Unknown | BackendError | JournalError

/**
 * An event that was in order was not accepted, with a tagged `reason`. Nothing was recorded, unless the reason is `Unknown`.
 *
 * @category errors
 * @since 0.1.0
 */
export class RecorderError extends Data.TaggedError("RecorderError")<{
  readonly reason: RecorderErrorReason
}> {
  override get message(): string {
    switch (this.reason._tag) {
      case "Closed":
        return "the event was not recorded: the recorder is closed"
      case "Rejected":
        return `the event was not recorded: the backend will never take it: ${this.reason.detail}`
      case "Unknown":
        return `it is unknown whether the event was recorded: ${this.reason.detail}`
      case "BackendError":
      case "JournalError":
        return `the event was not recorded: ${this.reason.message}`
    }
  }
}

/**
 * An invalid timeout: negative, not a number, or no duration. The call did not wait.
 *
 * @category errors
 * @since 0.2.0
 */
export class InvalidTimeout extends Data.TaggedError("InvalidTimeout")<{
  /** Which time: `deadline` or `timeout`. */
  readonly field: string
  readonly found: string
}> {
  override get message(): string {
    return `${this.field} is ${this.found}, expected ${timeout.EXPECTED}`
  }
}

/**
 * Everything that recording can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export type RecordError = InvalidEvent | RecorderError

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * Takes events and delivers them.
 *
 * - `record` resolves when the event is accepted, at the durability that the layer promises
 * - `recordSettled` also waits until every sink is through with it, or for `timeout` (without end unless given). It always
 *   resolves: a sink that is halted or closed answers `Kept`, or `Dropped` where the journal is in memory
 * - `recordNow` never fails and never waits; what it cannot take is counted in `status`
 * - `flush` waits for everything that was begun before it, whether it was accepted yet or not, until the deadline, and
 *   reports what is left
 *
 * @category services
 * @since 0.1.0
 */
export class Recorder extends Context.Service<
  Recorder,
  {
    readonly record: (draft: EventDraft) => Effect.Effect<Recorded, RecordError>
    readonly recordSettled: (
      draft: EventDraft,
      options?: { readonly timeout?: Duration.Input | undefined }
    ) => Effect.Effect<Delivered, RecordError | InvalidTimeout>
    readonly recordNow: (draft: EventDraft) => Effect.Effect<void>
    readonly flush: (deadline: Duration.Input) => Effect.Effect<FlushReport, InvalidTimeout>
    readonly status: Effect.Effect<RecorderStatus>
    /** What backends will never take, kept aside. A recorder without a journal keeps nothing. */
    readonly parked: Effect.Effect<ReadonlyArray<ParkedSeries>, JournalError>
    /** Delivers parked series once more; answers how many occurrences they carry. */
    readonly retryParked: (sink: string, series: ReadonlyArray<EventId>) => Effect.Effect<number, JournalError>
    /** Gives parked series up, counted as dropped, `parked`; answers how many occurrences they carry. */
    readonly dropParked: (sink: string, series: ReadonlyArray<EventId>) => Effect.Effect<number, JournalError>
  }
>()("@tidings/core/Recorder") {}
