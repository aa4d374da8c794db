/**
 * What was found when somebody looked whether a backend can do its work.
 *
 * A backend may offer checks of its own: the command `tidings doctor` prints them, whatever they are about.
 *
 * @since 0.1.0
 */
import type { Json } from "./EventData.ts"

/**
 * How something is.
 *
 * - `ok`: as it should be
 * - `note`: it works, and there is something to know
 * - `broken`: something that users count on does not work
 *
 * @category models
 * @since 0.1.0
 */
export type State = "ok" | "note" | "broken"

/**
 * One thing that was looked at.
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
  /** What was looked at, in one or two words. */
  readonly name: string
  readonly state: State
  /** What was found, on one line. */
  readonly found: string
  /** What to do, where something is to be done. */
  readonly advice?: string | undefined
  /** What a program wants to know of it; a unit stands in the name: `freeBytes`. */
  readonly facts?: { readonly [fact: string]: Json } | undefined
}
