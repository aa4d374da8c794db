/**
 * The error of an event that is not valid.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * One thing that is wrong with an event.
 *
 * @category errors
 * @since 0.1.0
 */
export interface Issue {
  /** Where: `reason`, `involvedObject.name`, `data.stepCount`. */
  readonly field: string
  /** What was found there, shortened. */
  readonly found: string
  /** What would be right. */
  readonly expected: string
}

/**
 * Names every field of an event that is wrong, what was found in it and what would be right. Nothing was recorded.
 *
 * **Example**
 *
 * ```ts
 * import { InvalidEvent } from "@tidings/core/InvalidEvent"
 * import assert from "node:assert/strict"
 *
 * const error = new InvalidEvent({ issues: [{ field: "reason", found: "\"\"", expected: "a word such as Started" }] })
 * assert.equal(error.message, "the event was not recorded: reason is \"\", expected a word such as Started")
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidEvent extends Data.TaggedError("InvalidEvent")<{
  readonly issues: ReadonlyArray<Issue>
}> {
  override get message(): string {
    const issues = this.issues.map(({ expected, field, found }) => `${field} is ${found}, expected ${expected}`)
    return `the event was not recorded: ${issues.join("; ")}`
  }
}
