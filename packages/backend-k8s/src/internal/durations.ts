import * as BackendError from "@tidings/core/BackendError"
import * as Timeout from "@tidings/core/Timeout"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"

/**
 * Reads a duration in the options: zero or longer.
 *
 * @internal
 */
export const read = (
  field: string,
  given: Duration.Input
): Effect.Effect<Duration.Duration, BackendError.BackendError> =>
  Effect.suspend(() => {
    const duration = Timeout.read(given)
    if (duration !== undefined) return Effect.succeed(duration)
    const detail = `${field} is ${Formatter.format(given)}, expected ${Timeout.EXPECTED}`
    return Effect.fail(BackendError.make(new BackendError.Unavailable({ detail })))
  })
