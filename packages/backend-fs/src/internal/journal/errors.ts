import { JournalDamaged, JournalError, JournalFailed, JournalFull } from "@tidings/core/Journal"
import { codeOf, fromDisk, pathOf } from "../diskError.ts"

/**
 * State that has to be read cannot be read.
 *
 * @internal
 */
export class Damaged extends Error {}

const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"])

/** @internal */
export const failed = (detail: string, cause?: unknown): JournalError =>
  new JournalError({ reason: new JournalFailed({ detail }), cause })

/**
 * The error for what an operation on the journal in a directory threw.
 *
 * @internal
 */
export const errorOf = (cause: unknown, directory: string): JournalError => {
  if (cause instanceof JournalError) return cause
  if (cause instanceof Damaged) {
    return new JournalError({ reason: new JournalDamaged({ detail: cause.message }), cause })
  }
  const { detail } = fromDisk(cause, pathOf(cause) ?? directory, "journal").reason
  const reason = FULL.has(codeOf(cause) ?? "") ? new JournalFull({ detail }) : new JournalFailed({ detail })
  return new JournalError({ reason, cause })
}
