import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as acceptance from "./acceptance.ts"

/**
 * What a duration must be, for error messages.
 *
 * @internal
 */
export const EXPECTED = 'a duration from 0 on, such as "10 seconds", or Infinity'

/**
 * How long to wait: what callers give, of any kind, as a duration from zero on; nothing where it is no such time.
 *
 * @internal
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
