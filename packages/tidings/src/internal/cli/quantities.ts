/**
 * Sizes and ages, as options take them and answers show them.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Usage } from "./failure.ts"
import * as session from "./session.ts"

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  K: 1_024,
  KIB: 1_024,
  KB: 1_000,
  M: 1_024 ** 2,
  MIB: 1_024 ** 2,
  MB: 1_000 ** 2,
  G: 1_024 ** 3,
  GIB: 1_024 ** 3,
  GB: 1_000 ** 3,
  T: 1_024 ** 4,
  TIB: 1_024 ** 4,
  TB: 1_000 ** 4
}

/** @internal */
export const A_SIZE = "a size with its unit such as 10GiB or 500MB"

/** Bytes are counted exactly below this, 2^53. */
const TOO_LARGE = 8_192 * 1_024 ** 4

/**
 * A size such as `500MB`, `10GiB` or `1.5G` in bytes; the failure says what was expected. A number without a unit is none: `50`
 * may be meant as GiB, and what is beyond 50 bytes would be removed.
 *
 * @internal
 */
export const readSize = (text: string): Result.Result<number, string> => {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim())
  const unit = match === null ? undefined : UNITS[match[2]!.toUpperCase()]
  if (match === null || unit === undefined) return Result.fail(A_SIZE)
  const bytes = Math.floor(Number(match[1]) * unit)
  return bytes < TOO_LARGE ? Result.succeed(bytes) : Result.fail("a size of less than 8192TiB")
}

/** @internal */
export const AN_AGE = "an age such as 90d, 12h or 30m"

const DAY = 86_400

/** What is longer ago was long before there was an event, and microseconds are exact for as long. */
const MOST_DAYS = 100_000

const AT_MOST = `of at most ${MOST_DAYS}d (273 years)`

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: DAY, w: 7 * DAY }

/**
 * An age such as `90d`, `12h` or `1.5w` in seconds; the failure says what was expected.
 *
 * @internal
 */
export const readAge = (text: string): Result.Result<number, string> => {
  const match = /^(\d+(?:\.\d+)?)\s*([smhdw])$/.exec(text.trim())
  if (match === null) return Result.fail(AN_AGE)
  const seconds = Number(match[1]) * SECONDS[match[2]!]!
  return seconds <= MOST_DAYS * DAY ? Result.succeed(seconds) : Result.fail(`an age ${AT_MOST}`)
}

/**
 * The age beyond which a database removes what it has, in seconds: it does so by whole days.
 *
 * @internal
 */
export const readDays = (text: string | undefined): Effect.Effect<number | undefined, Usage> => {
  if (text === undefined) return Effect.undefined
  const seconds = readAge(text)
  if (Result.isSuccess(seconds) && seconds.success >= DAY) return Effect.succeed(seconds.success)
  const isTooLong = Result.isFailure(seconds) && seconds.failure !== AN_AGE
  const expected = isTooLong ? seconds.failure : "an age of at least a day, such as 90d"
  return session.refuse(`--max-age is ${JSON.stringify(text)}, expected ${expected}`)
}

const SIZES = ["bytes", "KiB", "MiB", "GiB", "TiB"]

/** @internal */
export const size = (bytes: number): string => {
  let value = bytes
  let unit = 0
  while (value >= 1_024 && unit < SIZES.length - 1) {
    value /= 1_024
    unit++
  }
  return `${Math.round(value * 10) / 10} ${SIZES[unit]}`
}

/** @internal */
export const age = (seconds: number): string => {
  for (const [unit, name] of [
    [86_400, "d"],
    [3_600, "h"],
    [60, "m"]
  ] as const) {
    if (seconds >= unit && seconds % unit === 0) return `${seconds / unit}${name}`
  }
  return `${seconds}s`
}
