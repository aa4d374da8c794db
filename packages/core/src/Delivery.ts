/**
 * The `Recorder` service and its results: the outcome of recording an event, the status of each sink, and why an event was
 * not recorded. The layers that provide it are in `Recorder.ts`.
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
 * The result of recording: the event is accepted, or was left out by a transform of the host, or because it reports nothing
 * new (`onlyTransitions`). The id is that of this occurrence. Where a recorder without a journal has counted it as a repeat
 * (`Recorder.layerDirect`), it is that of its series, by which the event is found.
 *
 * @category models
 * @since 0.1.0
 */
export type Recorded =
  | { readonly _tag: "Accepted"; readonly id: EventId }
  | { readonly _tag: "Filtered"; readonly by: string }

/**
 * The outcome of an occurrence at one sink.
 *
 * - `Settled`: it is visible in the backend.
 * - `Parked`: the backend will never accept it, or it was stuck; it is kept for an operator.
 * - `Dropped`: it will not be delivered. With the reason `shutdown` or `halted`: the recorder was closed or the sink was
 *   halted, and the journal is in memory, which ends with the process.
 * - `Kept`: the recorder was closed or the sink was halted. It stays in the journal, and is delivered when the sink goes
 *   on, or by the next recorder with that journal.
 * - `Pending`: it has no outcome yet, and the timeout of the caller has passed. The sink goes on with it.
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
 * The result of recording and waiting for the outcome at every sink.
 *
 * @category models
 * @since 0.1.0
 */
export type Delivered =
  | { readonly _tag: "Accepted"; readonly id: EventId; readonly sinks: Readonly<Record<string, Settlement>> }
  | { readonly _tag: "Filtered"; readonly by: string }

/**
 * The status of one sink.
 *
 * @category models
 * @since 0.1.0
 */
export interface SinkStatus {
  /** `degraded`: retrying after failures; `blocked`: an operator must do something first; `down`: closed. */
  readonly state: "up" | "degraded" | "blocked" | "down"
  /** Occurrences that were in the journal at the start and not settled. */
  readonly recovered: number
  readonly settled: number
  readonly parked: number
  /** By reason. */
  readonly dropped: Readonly<Record<string, number>>
  /** Accepted or recovered, and neither settled nor parked nor dropped. Includes what is held. */
  readonly pending: number
  /** Held by correlation until their rate limit allows a write. */
  readonly held: number
  /** The age of the oldest pending occurrence. */
  readonly oldestAge: Duration.Duration
  readonly lastError?: string
}

/**
 * What a recorder has accepted and what happened to it, in occurrences. At every moment and for every sink:
 * `accepted + recovered = settled + parked + dropped + pending`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RecorderStatus {
  readonly accepted: number
  /**
   * Refused before acceptance, by reason: `invalid`, `full`, `closed`, `rejected`, `failed`, `interrupted`; and `unknown`,
   * where the store did not answer before the recorder was closed, so that it may have them.
   */
  readonly refused: Readonly<Record<string, number>>
  /** Left out by transforms and transitions, by their names. */
  readonly filtered: Readonly<Record<string, number>>
  readonly sinks: Readonly<Record<string, SinkStatus>>
}

/**
 * The result of a flush.
 *
 * @category models
 * @since 0.1.0
 */
export interface FlushReport {
  /** Whether everything that was begun before the flush has an outcome at every sink. */
  readonly complete: boolean
  /** Number of events that were begun before the flush and are neither accepted nor refused. */
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
 * The backend will never accept this event.
 *
 * @category errors
 * @since 0.1.0
 */
export class Rejected extends Data.TaggedClass("Rejected")<{ readonly detail: string }> {}

/**
 * The recorder was closed while the event was being stored, and the store did not answer before the deadline; or, without a
 * journal, another store has replaced it before it did; or the files of the journal were deleted or moved meanwhile
 * (`JournalLost`). The event is stored completely or not at all. Where a journal has it, it is delivered, at the latest
 * after the next start. Recording it again may count it twice.
 *
 * @category errors
 * @since 0.2.0
 */
export class Unknown extends Data.TaggedClass("Unknown")<{ readonly detail: string }> {}

/**
 * Why a recorder did not accept a valid event.
 *
 * @category errors
 * @since 0.1.0
 */
export type RecorderErrorReason = Closed | Rejected | Unknown | BackendError | JournalError

/**
 * A valid event was not accepted, with a tagged `reason`. Nothing was recorded, unless the reason is `Unknown`.
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
        return `the event was not recorded: the backend rejected it: ${this.reason.detail}`
      case "Unknown":
        return `it is unknown whether the event was recorded: ${this.reason.detail}`
      case "BackendError":
      case "JournalError":
        return `the event was not recorded: ${this.reason.message}`
    }
  }
}

/**
 * An invalid timeout: negative, not a number, or not a duration. The call did not wait.
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
 * The errors of recording.
 *
 * @category errors
 * @since 0.1.0
 */
export type RecordError = InvalidEvent | RecorderError

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * Accepts events and delivers them.
 *
 * - `record` resolves when the event is accepted, at the durability that the layer promises
 * - `recordSettled` also waits until the event has an outcome at every sink, at most for `timeout` (without limit unless
 *   given). It always resolves: the outcome at a sink that is halted or closed is `Kept`, or `Dropped` where the journal is
 *   in memory
 * - `recordNow` never fails and never waits; what it cannot accept is counted in `status`
 * - `flush` waits for everything that was begun before it, accepted or not, at most until the deadline, and reports what is
 *   left
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
    /** Series that are kept for an operator. A recorder without a journal keeps none. */
    readonly parked: Effect.Effect<ReadonlyArray<ParkedSeries>, JournalError>
    /** Delivers parked series once more; returns the number of their occurrences. */
    readonly retryParked: (sink: string, series: ReadonlyArray<EventId>) => Effect.Effect<number, JournalError>
    /** Drops parked series, counted as dropped with the reason `parked`; returns the number of their occurrences. */
    readonly dropParked: (sink: string, series: ReadonlyArray<EventId>) => Effect.Effect<number, JournalError>
  }
>()("@tidings/core/Recorder") {}
