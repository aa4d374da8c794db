/**
 * What the promises of `Tidings.create` reject with: always an `Error` with a `_tag`, a message and fields.
 *
 * **Details**
 *
 * | `_tag`                   | when                                                        | fields beside `message`               |
 * | ------------------------ | ----------------------------------------------------------- | ------------------------------------- |
 * | `InvalidOptions`         | `create` with a wrong option, or a wrong variable of the environment | `issues`: `field`, `found`, `expected` |
 * | `InvalidRecorderOptions` | `create` with a component or controller that cannot be      | `issues`: `field`, `found`, `expected` |
 * | `CatalogueError`         | `create` with a wrong catalogue, `setTemplate` with no text as reason | `issues`: `path`, `detail`          |
 * | `TemplateError`          | `setTemplate` with a wrong template                         | `source`, `issues`: `line`, `column`, `message`, `hint` |
 * | `InvalidEvent`           | recording what is no event                                  | `issues`: `field`, `found`, `expected` |
 * | `RecorderError`          | recording what was not accepted                             | `reason`: `Closed`, `Rejected`, `Unknown`, `BackendError`, `JournalError` by its `_tag` |
 * | `InvalidQuery`           | `queryEvents` or `watchEvents` with what cannot be asked    | `issues`: `field`, `found`, `expected` |
 * | `InvalidTimeout`         | `flush` with an invalid deadline                            | `field`, `found`                      |
 * | `BackendError`           | the store does not answer, or not as it should; after `close`: `Unavailable` | `reason`: `Transient`, `Throttled`, `Unauthorized`, `Unavailable`, `Full`, `CursorMismatch`, `TargetMismatch` by its `_tag` |
 * | `JournalError`           | `create` with a journal that cannot be used                 | `reason`, by its `_tag`               |
 * | `Interrupted`            | the call was ended before its answer, by its signal or by a layer of the host | `call`, `cause`     |
 * | `Unexpected`             | a defect: of a layer of the host, or of Tidings             | `call`, `cause`                       |
 *
 * **Example** (Acting on what was wrong)
 *
 * ```ts
 * import * as Rejection from "tidings/Rejection"
 * import * as Tidings from "tidings/Tidings"
 * import assert from "node:assert/strict"
 *
 * await using tidings = await Tidings.create({ backend: "memory" })
 * try {
 *   await tidings.createEvent({ kind: "Pod", name: "web" }, "", "no reason", "Normal")
 *   assert.fail("an event needs a reason")
 * } catch (error) {
 *   assert.ok(Rejection.is(error))
 *   if (error._tag === "InvalidEvent") assert.equal(error.issues[0]?.field, "reason")
 * }
 * ```
 *
 * @since 0.2.0
 */
import type { BackendError } from "@tidings/core/BackendError"
import type { InvalidQuery } from "@tidings/core/EventManager"
import type { InvalidEvent, Issue } from "@tidings/core/InvalidEvent"
import type { JournalError } from "@tidings/core/Journal"
import type { InvalidRecorderOptions, InvalidTimeout, RecorderError } from "@tidings/core/Recorder"
import type { CatalogueError } from "@tidings/core/Templates"
import type { TemplateError } from "@tidings/templates/TemplateError"
import * as Data from "effect/Data"

/**
 * Options, or variables of the environment, with which nothing can be opened: each field, what was found in it and what
 * would be right. Nothing was opened.
 *
 * @category errors
 * @since 0.2.0
 */
export class InvalidOptions extends Data.TaggedError("InvalidOptions")<{
  readonly issues: ReadonlyArray<Issue>
}> {
  override get message(): string {
    const issues = this.issues.map(({ expected, field, found }) => `${field} is ${found}, expected ${expected}`)
    return `Tidings cannot start: ${issues.join("; ")}`
  }
}

/**
 * A call that was ended before its answer: its signal was aborted, or a layer that the host gave interrupted it. What it was
 * to do may have been done. `cause` is the reason of the signal.
 *
 * @category errors
 * @since 0.2.0
 */
export class Interrupted extends Data.TaggedError("Interrupted")<{
  /** Which method. */
  readonly call: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.call} was interrupted before its answer`
  }
}

/**
 * A defect: something threw that never should, such as a layer that the host gave. `cause` is what it threw.
 *
 * @category errors
 * @since 0.2.0
 */
export class Unexpected extends Data.TaggedError("Unexpected")<{
  /** Which method. */
  readonly call: string
  readonly cause: unknown
}> {
  override get message(): string {
    return `${this.call} failed unexpectedly: ${describe(this.cause)}`
  }
}

const describe = (cause: unknown): string => {
  try {
    return cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)
  } catch {
    return "something that has no text"
  }
}

/**
 * Everything that a promise of `Tidings.create` can reject with.
 *
 * @category errors
 * @since 0.2.0
 */
export type Rejection =
  | BackendError
  | CatalogueError
  | Interrupted
  | InvalidEvent
  | InvalidOptions
  | InvalidQuery
  | InvalidRecorderOptions
  | InvalidTimeout
  | JournalError
  | RecorderError
  | TemplateError
  | Unexpected

const TAGS: ReadonlySet<unknown> = new Set<Rejection["_tag"]>([
  "BackendError",
  "CatalogueError",
  "Interrupted",
  "InvalidEvent",
  "InvalidOptions",
  "InvalidQuery",
  "InvalidRecorderOptions",
  "InvalidTimeout",
  "JournalError",
  "RecorderError",
  "TemplateError",
  "Unexpected"
])

/**
 * Whether something that was caught came from a promise of `Tidings.create`.
 *
 * @category guards
 * @since 0.2.0
 */
export const is = (thrown: unknown): thrown is Rejection =>
  thrown instanceof Error && "_tag" in thrown && TAGS.has(thrown._tag)
