import * as BackendError from "@tidings/core/BackendError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Option from "effect/Option"

/**
 * Reads an option that is a duration from zero on.
 *
 * @internal
 */
export const read = (
  field: string,
  given: Duration.Input
): Effect.Effect<Duration.Duration, BackendError.BackendError> =>
  Effect.suspend(() => {
    const duration = Option.filter(
      typeof given === "number" && Number.isNaN(given) ? Option.none() : Duration.fromInput(given),
      (one) => !Duration.isNegative(one)
    )
    const detail = `${field} is ${Formatter.format(given)}, expected a duration from 0 on, such as "10 seconds", or Infinity`
    return Option.isSome(duration)
      ? Effect.succeed(duration.value)
      : Effect.fail(BackendError.make(new BackendError.Unavailable({ detail })))
  })
