import * as Data from "effect/Data"
import type { BackendError } from "../BackendError.ts"
import type { JournalError } from "./journalError.ts"

// A module of its own, because both the recorders and what they implement need it. `Recorder.ts` exports it.

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
 * A time to wait that is none: negative, not a number, or no duration at all. Nothing was waited for.
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
    return `${this.field} is ${this.found}, expected a duration from 0 on, such as "10 seconds", or Infinity`
  }
}
