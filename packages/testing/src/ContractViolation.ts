/**
 * The error of a backend that does not keep its contract.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * A check of the contract suite found something wrong: which check, and what was found where something else was right.
 *
 * @category errors
 * @since 0.1.0
 */
export class ContractViolation extends Data.TaggedError("ContractViolation")<{
  readonly check: string
  readonly detail: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.check}: ${this.detail}`
  }
}
