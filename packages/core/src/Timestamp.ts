/**
 * Points in time as Tidings keeps them: whole microseconds since 1970-01-01T00:00:00Z.
 *
 * Kubernetes stores the time of an event with exactly six fractional digits (`MicroTime`), so microseconds are the
 * finest unit that survives a round trip through every backend.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"

/**
 * Microseconds since 1970-01-01T00:00:00Z, a whole number: exact until the year 2255, within 32 microseconds until 9999.
 *
 * @category models
 * @since 0.1.0
 */
export type Micros = number

/**
 * What a caller may give as a point in time: a `Date`, an Effect `DateTime`, or RFC 3339 text.
 *
 * A number is refused on purpose, because it does not show whether it is in milliseconds or microseconds.
 *
 * @category models
 * @since 0.1.0
 */
export type Input = Date | DateTime.DateTime | string

// The years 0 to 9999 are the range of RFC 3339. Their last microsecond cannot be represented as a number; this is the last
// one that can.
const EARLIEST: Micros = -62_167_219_200_000_000
const LATEST: Micros = 253_402_300_799_999_968

/**
 * Whether a value is a timestamp that can be formatted: whole microseconds in the years 0 to 9999.
 *
 * @category guards
 * @since 0.1.0
 */
export const isMicros = (value: unknown): value is Micros =>
  Number.isInteger(value) && (value as number) >= EARLIEST && (value as number) <= LATEST

/**
 * The time of a clock in microseconds.
 *
 * @category constructors
 * @since 0.1.0
 */
export const now = (clock: Clock.Clock): Micros =>
  // A number has the nanoseconds of today only in steps of 256. Rounding gives the right microsecond; the floor would be one
  // too low for every second millisecond.
  Math.round(Number(clock.currentTimeNanosUnsafe()) / 1_000)

/**
 * Reads a point in time; `undefined` where the value is not one, or is outside the years 0 to 9999.
 *
 * Text is RFC 3339 with a zone and any number of fractional digits, of which six are kept. Any other value that is neither a
 * `Date` nor a `DateTime` gives `undefined`, also in programs that the compiler has not checked.
 *
 * **Example** (RFC 3339 in, microseconds out)
 *
 * ```ts
 * import * as Timestamp from "@tidings/core/Timestamp"
 * import assert from "node:assert/strict"
 *
 * assert.equal(Timestamp.fromInput("1970-01-01T00:00:01.000002Z"), 1_000_002)
 * assert.equal(Timestamp.fromInput("1970-01-01T01:00:00+01:00"), 0)
 * assert.equal(Timestamp.fromInput("yesterday"), undefined)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromInput = (input: Input): Micros | undefined => {
  if (typeof input === "string") return parse(input)
  const millis =
    input instanceof Date ? input.getTime() : DateTime.isDateTime(input) ? DateTime.toEpochMillis(input) : Number.NaN
  return within(Math.round(millis * 1_000) + 0)
}

const within = (micros: number): Micros | undefined => (isMicros(micros) ? micros : undefined)

const rfc3339 =
  /^(\d{4}-\d{2}-\d{2})[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d+))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))$/

let lastDate = ""
let lastDay: number | undefined

/** The first second of a day in UTC; `undefined` for 30 February, which `Date.parse` reads as a day in March. */
const dayOf = (date: string): number | undefined => {
  // The times of a program are mostly of one day.
  if (date !== lastDate) {
    const millis = Date.parse(`${date}T00:00:00Z`)
    const isDay = !Number.isNaN(millis) && new Date(millis).toISOString().slice(0, 10) === date
    lastDay = isDay ? millis / 1_000 : undefined
    lastDate = date
  }
  return lastDay
}

/**
 * Reads RFC 3339 text; `undefined` when it is not, or when in UTC it lies outside the years 0 to 9999.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (text: string): Micros | undefined => {
  const match = rfc3339.exec(text)
  if (match === null) return undefined
  const day = dayOf(match[1]!)
  if (day === undefined) return undefined
  const [, , hours, minutes, seconds, fraction, sign, offsetHours, offsetMinutes] = match
  const offset = sign === undefined ? 0 : 3_600 * Number(offsetHours) + 60 * Number(offsetMinutes)
  const time = 3_600 * Number(hours) + 60 * Number(minutes) + Number(seconds)
  const whole = within((day + time - (sign === "-" ? -offset : offset)) * 1_000_000 + 0)
  if (whole === undefined) return undefined
  return fraction === undefined ? whole : Math.min(LATEST, whole + Number(fraction.slice(0, 6).padEnd(6, "0")))
}

let lastSecond = Number.NaN
let lastPrefix = ""

/**
 * RFC 3339 in UTC with six fractional digits and `Z`, 27 characters for the years 0 to 9999: texts of that width sort
 * as the times do.
 *
 * **Example**
 *
 * ```ts
 * import * as Timestamp from "@tidings/core/Timestamp"
 * import assert from "node:assert/strict"
 *
 * assert.equal(Timestamp.format(1_500_000), "1970-01-01T00:00:01.500000Z")
 * ```
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (micros: Micros): string => {
  const second = Math.floor(micros / 1_000_000)
  // Events come in bursts, so the text of the last second is cached: four times as fast as toISOString for each event.
  if (second !== lastSecond) {
    lastPrefix = new Date(second * 1_000).toISOString().slice(0, -4)
    lastSecond = second
  }
  const fraction = micros - second * 1_000_000
  return `${lastPrefix}${String(fraction).padStart(6, "0")}Z`
}

/**
 * RFC 3339 in UTC with whole seconds, as Kubernetes' `Time` has it (`firstTimestamp`, `lastTimestamp` of core/v1).
 *
 * @category formatting
 * @since 0.1.0
 */
export const formatSeconds = (micros: Micros): string =>
  `${new Date(Math.floor(micros / 1_000_000) * 1_000).toISOString().slice(0, -5)}Z`

/**
 * The `Date` of a timestamp, in whole milliseconds.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toDate = (micros: Micros): Date => new Date(Math.floor(micros / 1_000))

/**
 * The Effect `DateTime` of a timestamp, in whole milliseconds.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toDateTime = (micros: Micros): DateTime.Utc => DateTime.makeUnsafe(Math.floor(micros / 1_000))
