/**
 * Self-checks of a backend: whether it can do its work, and what to do where it cannot.
 *
 * `tidings doctor` runs the checks that a backend offers and prints the results.
 *
 * @since 0.1.0
 */
import type { Json } from "./EventData.ts"

/**
 * The result of a check.
 *
 * - `ok`: it works
 * - `note`: it works, and there is something that users should know
 * - `broken`: something that users rely on does not work
 *
 * @category models
 * @since 0.1.0
 */
export type State = "ok" | "note" | "broken"

/**
 * One check with its result.
 *
 * **Example**
 *
 * ```ts
 * import type * as BackendCheck from "@tidings/core/BackendCheck"
 *
 * export const free: BackendCheck.Check = {
 *   name: "disk",
 *   state: "broken",
 *   found: "3 MB are free",
 *   advice: "free some space, or choose another directory",
 *   facts: { freeBytes: 3_000_000 }
 * }
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Check {
  /** What was checked, in one or two words. */
  readonly name: string
  readonly state: State
  /** What was found, on one line. */
  readonly found: string
  /** What a user should do about it. */
  readonly advice?: string | undefined
  /** Details for programs. A unit is part of the name: `freeBytes`. */
  readonly facts?: { readonly [fact: string]: Json } | undefined
}
