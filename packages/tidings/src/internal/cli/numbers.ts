/**
 * Numbers and durations, as options and data take them.
 *
 * @internal
 */
import * as Result from "effect/Result"

const MOST = Number.MAX_SAFE_INTEGER

/** What fits into 64 bits of nanoseconds. @internal */
export const LONGEST_DURATION = "a duration up to 2562047h (292 years)"

/**
 * A whole number from 0. The failure says what was expected, and which limit is exceeded where it is one but too large.
 *
 * @internal
 */
export const readWhole = (text: string): Result.Result<number, string> => {
  if (!/^\d+$/.test(text)) return Result.fail("a whole number")
  const number = Number(text)
  return number <= MOST ? Result.succeed(number) : Result.fail(`a whole number up to ${MOST}`)
}

/**
 * What was expected of a value that is no whole number of data, which may be negative.
 *
 * @internal
 */
export const expectedWhole = (found: unknown): string =>
  Number.isInteger(found) || typeof found === "bigint" ? `a whole number from -${MOST} to ${MOST}` : "a whole number"
