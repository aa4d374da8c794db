/**
 * The port between what a host records and where it is delivered.
 *
 * Hosts do not call it: they record through `EventGenerator`, through a catalogue of their own, or through
 * `EventManager`, all of which stand in front of it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { BackendError } from "./BackendError.ts"
import type { EventType } from "./Event.ts"
import type { EventDataInput } from "./EventData.ts"
import type { EventId } from "./EventId.ts"
import type { InvalidEvent } from "./InvalidEvent.ts"
import type { ObjectReference } from "./ObjectReference.ts"
import type { Micros } from "./Timestamp.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * An event before acceptance: what a caller said, and nothing worked out yet.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventDraft {
  readonly involvedObject: ObjectReference
  readonly related?: ObjectReference | undefined
  readonly reason: string
  /** The catalogue's type of the reason when absent, `Normal` for a reason outside it. */
  readonly type?: EventType | undefined
  /** `data.operation` when absent, else the reason. */
  readonly action?: string | undefined
  /** Taken as it is, never as a template. Rendered from the template of the reason when absent. */
  readonly message?: string | undefined
  readonly data?: EventDataInput | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** When it happened; now when absent. */
  readonly at?: Micros | undefined
}

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
 * @category models
 * @since 0.1.0
 */
export type Settlement =
  | { readonly _tag: "Settled"; readonly how: "created" | "updated" | "present" }
  | { readonly _tag: "Parked"; readonly reason: string }
  | { readonly _tag: "Dropped"; readonly reason: string }

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
  /** Found in the journal at the start. */
  readonly recovered: number
  /** Refused before acceptance, by reason: `invalid`, `full`, `closed`, `rejected`, `failed`, `interrupted`. */
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
  /** Whether everything accepted before the flush is through. */
  readonly complete: boolean
  readonly pending: Readonly<Record<string, number>>
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
 * Why a recorder did not accept an event that was in order.
 *
 * @category errors
 * @since 0.1.0
 */
export type RecorderErrorReason = Closed | Rejected | BackendError

/**
 * An event that was in order was not accepted, with a tagged `reason`. Nothing was recorded.
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
      case "BackendError":
        return `the event was not recorded: ${this.reason.message}`
    }
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
 * - `recordSettled` also waits until every sink is through with it
 * - `recordNow` never fails and never waits; what it cannot take is counted in `status`
 * - `flush` waits for what was accepted before it, until the deadline, and reports what is left
 *
 * @category services
 * @since 0.1.0
 */
export class Recorder extends Context.Service<
  Recorder,
  {
    readonly record: (draft: EventDraft) => Effect.Effect<Recorded, RecordError>
    readonly recordSettled: (draft: EventDraft) => Effect.Effect<Delivered, RecordError>
    readonly recordNow: (draft: EventDraft) => Effect.Effect<void>
    readonly flush: (deadline: Duration.Input) => Effect.Effect<FlushReport>
    readonly status: Effect.Effect<RecorderStatus>
  }
>()("@tidings/core/Recorder") {}
