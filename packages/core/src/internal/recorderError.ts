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
 * Why a recorder did not accept an event that was in order.
 *
 * @category errors
 * @since 0.1.0
 */
export type RecorderErrorReason = Closed | Rejected | BackendError | JournalError

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
      case "JournalError":
        return `the event was not recorded: ${this.reason.message}`
    }
  }
}
