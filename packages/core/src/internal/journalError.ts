import * as Data from "effect/Data"

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
