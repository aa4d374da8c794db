/**
 * Options that are timeouts or delays: how recorders, policies and backends read them, for hosts that have such options too.
 *
 * @since 0.2.0
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as acceptance from "./internal/acceptance.ts"

/**
 * What a valid value is, for error messages.
 *
 * @category constants
 * @since 0.2.0
 */
export const EXPECTED = 'a duration from 0 on, such as "10 seconds", or Infinity'

/**
 * Reads any value as a duration from zero on; `undefined` where it is negative or not a duration. A number is milliseconds,
 * a text is in the form of Effect (`10 seconds`).
 *
 * **Example**
 *
 * ```ts
 * import * as Timeout from "@tidings/core/Timeout"
 * import * as Duration from "effect/Duration"
 * import assert from "node:assert/strict"
 *
 * assert.equal(Duration.toMillis(Timeout.read("10 seconds")!), 10_000)
 * assert.equal(Timeout.read(-1), undefined)
 * assert.equal(Timeout.read("5s"), undefined)
 * ```
 *
 * @category conversions
 * @since 0.2.0
 */
export const read = (input: unknown): Duration.Duration | undefined => {
  try {
    if (!acceptance.isDurationInput(input)) return undefined
    const duration = Option.getOrUndefined(Duration.fromInput(input))
    return duration === undefined || Duration.isNegative(duration) ? undefined : duration
  } catch {
    // A getter of the caller threw.
    return undefined
  }
}
