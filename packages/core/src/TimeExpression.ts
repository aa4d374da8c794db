/**
 * Points in time as people write them: `1h30m`, `2 hours ago`, `yesterday`, `2026-08-22 10:00`. What the command takes for
 * `--since` and `--until`, and MCP tools for `since` and `until`.
 *
 * Programs that call the library give a `Date` or RFC 3339 text instead (`Timestamp.fromInput`), which cannot be
 * misunderstood.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import * as Timestamp from "./Timestamp.ts"
import type { Micros } from "./Timestamp.ts"

/**
 * Which time is meant where a text names no zone: that of the machine, or UTC.
 *
 * @category models
 * @since 0.2.0
 */
export type Zone = "local" | "utc"

const MICROS: ReadonlyMap<string, number> = new Map([
  ["ms", 1_000],
  ["s", 1_000_000],
  ["m", 60_000_000],
  ["h", 3_600_000_000],
  ["d", 86_400_000_000],
  ["w", 604_800_000_000]
])

const WORDS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ms: ["milli", "millis", "millisecond", "milliseconds"],
    s: ["sec", "secs", "second", "seconds"],
    m: ["min", "mins", "minute", "minutes"],
    h: ["hr", "hrs", "hour", "hours"],
    d: ["day", "days"],
    w: ["week", "weeks"]
  }).flatMap(([unit, words]) => words.map((word) => [word, unit] as const))
)

// Short units are lower case only: an "M" may be meant as a month, and a month has no fixed length.
const microsOf = (unit: string): number | undefined =>
  MICROS.get(unit) ?? MICROS.get(WORDS.get(unit.toLowerCase()) ?? "")

const PART = /(\d+(?:\.\d+)?)\s*([A-Za-z]+)(?:\s*,\s*|\s+and\s+|\s*)/y

/** The length of `1h30m`, `1.5h`, `2 hours and 5 min`; `undefined` when it is not a duration. */
const readLength = (text: string): number | undefined => {
  let total = 0
  let position = 0
  while (position < text.length) {
    PART.lastIndex = position
    const match = PART.exec(text)
    const unit = match === null ? undefined : microsOf(match[2]!)
    if (match === null || unit === undefined) return undefined
    total += Number(match[1]) * unit
    position = PART.lastIndex
  }
  return position === 0 ? undefined : Math.round(total)
}

/** A day and a time of day in a zone, in milliseconds; fields that are too large run over into the next. */
const millisOf = (
  zone: Zone,
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number
): number => {
  // Constructors of Date take the years 0 to 99 for 1900 to 1999; the setters do not.
  const date = new Date(0)
  if (zone === "utc") {
    date.setUTCFullYear(year, month, day)
    return date.setUTCHours(hour, minute, second, 0)
  }
  date.setFullYear(year, month, day)
  return date.setHours(hour, minute, second, 0)
}

/** A time of day of today, or of a day so many days later. */
const onDay = (zone: Zone, now: Micros, days: number, hour: number, minute: number, second: number): Micros => {
  const date = new Date(Math.floor(now / 1_000))
  const [year, month, day] =
    zone === "utc"
      ? [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
      : [date.getFullYear(), date.getMonth(), date.getDate()]
  return millisOf(zone, year, month, day + days, hour, minute, second) * 1_000
}

const DAYS: { readonly [word: string]: number } = { yesterday: -1, today: 0, tomorrow: 1 }

const CLOCK = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/
const DATE =
  /^(\d{4})-(\d{2})-(\d{2})(?:(?:[Tt]|\s+)(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?\s*(Z|z|UTC|[+-]\d{2}:?\d{2})?$/

const EXAMPLES = `1h30m, "2 hours ago", yesterday, 10:30, 2026-08-22, 2026-08-22T10:00:00Z, @1755856800`

const refuse = (why: string): Result.Result<never, string> => Result.fail(`a time such as ${EXAMPLES}${why}`)

const readDate = (match: RegExpExecArray, meant: Zone): Result.Result<Micros, string> => {
  const [year, month, day, hour, minute, second] = [1, 2, 3, 4, 5, 6].map((index) => Number(match[index] ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number
  ]
  const zone = match[8]
  if (zone !== undefined && match[4] === undefined) return refuse(" (a zone needs a time of day before it)")
  // Read as UTC first: JavaScript rolls 30 February over into March, and another day than the given one is never meant.
  const asUtc = new Date(millisOf("utc", year, month - 1, day, hour, minute, second))
  if (
    asUtc.getUTCMonth() !== month - 1 ||
    asUtc.getUTCDate() !== day ||
    asUtc.getUTCHours() !== hour ||
    minute > 59 ||
    second > 59
  ) {
    return refuse(" (there is no such day or time of day)")
  }
  let millis = asUtc.getTime()
  if (zone === undefined) {
    millis = millisOf(meant, year, month - 1, day, hour, minute, second)
  } else if (zone.length >= 5) {
    const offset = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2))
    if (offset > 18 * 60 || Number(zone.slice(-2)) > 59) return refuse(" (there is no such zone)")
    millis -= (zone.startsWith("-") ? -1 : 1) * offset * 60_000
  }
  return Result.succeed(millis * 1_000 + Number((match[7] ?? "").padEnd(6, "0").slice(0, 6)))
}

/**
 * Reads a point in time as people write one; the failure is a noun phrase with examples, for "expected …".
 *
 * A length alone means that long ago, `+` or `in` before it that far ahead. What names no zone is in the given one (local
 * time unless given), a day without a time of day is its first moment. What could be read in two ways is refused.
 *
 * **Example** (Lengths, days and times of day)
 *
 * ```ts
 * import * as TimeExpression from "@tidings/core/TimeExpression"
 * import * as Timestamp from "@tidings/core/Timestamp"
 * import * as Result from "effect/Result"
 * import assert from "node:assert/strict"
 *
 * const now = Timestamp.parse("2026-08-22T12:00:00Z")!
 * const read = (text: string) => Result.map(TimeExpression.parse(text, now, "utc"), Timestamp.formatSeconds)
 * assert.deepEqual(read("1h30m"), Result.succeed("2026-08-22T10:30:00Z"))
 * assert.deepEqual(read("yesterday"), Result.succeed("2026-08-21T00:00:00Z"))
 * assert.deepEqual(read("10:30"), Result.succeed("2026-08-22T10:30:00Z"))
 * assert.ok(Result.isFailure(read("5")))
 * ```
 *
 * @category constructors
 * @since 0.2.0
 */
export const parse = (input: string, now: Micros, zone: Zone = "local"): Result.Result<Micros, string> => {
  const read = readAny(input, now, zone)
  return Result.isSuccess(read) && !Timestamp.isMicros(read.success)
    ? refuse(" (too far away, expected a time in the years 0 to 9999)")
    : read
}

const readAny = (input: string, now: Micros, zone: Zone): Result.Result<Micros, string> => {
  const text = input.trim()
  const word = text.toLowerCase()
  if (word === "now") return Result.succeed(now)
  if (Object.hasOwn(DAYS, word)) return Result.succeed(onDay(zone, now, DAYS[word]!, 0, 0, 0))

  const unix = /^@(\d+)(?:\.(\d{1,9}))?$/.exec(text)
  if (unix !== null) {
    return Result.succeed(Number(unix[1]) * 1_000_000 + Number((unix[2] ?? "").padEnd(6, "0").slice(0, 6)))
  }
  // Ten digits are the seconds, thirteen the milliseconds of the years 2001 to 2286; other numbers are ambiguous.
  if (/^\d{10}$/.test(text)) return Result.succeed(Number(text) * 1_000_000)
  if (/^\d{13}$/.test(text)) return Result.succeed(Number(text) * 1_000)
  if (/^[-+]?\d+(?:\.\d+)?$/.test(text)) return refuse(` (a bare number has no unit: ${text.replace(/^[-+]/, "")}m?)`)
  if (/^\d{1,2}[/.]\d{1,2}[/.]\d{2,4}/.test(text)) return refuse(" (day and month could be swapped)")

  const clock = CLOCK.exec(text)
  if (clock !== null) {
    const [hour, minute, second] = [Number(clock[1]), Number(clock[2]), Number(clock[3] ?? 0)] as const
    if (hour > 23 || minute > 59 || second > 59) return refuse(" (there is no such time of day)")
    return Result.succeed(onDay(zone, now, 0, hour, minute, second))
  }
  const date = DATE.exec(text)
  if (date !== null) return readDate(date, zone)

  const relative = /^(\+|-|in\s+)?\s*(.*?)(\s+ago)?$/i.exec(text)!
  const ahead = relative[1] !== undefined && relative[1] !== "-"
  const length = readLength(relative[2]!)
  if (length !== undefined) {
    if (ahead && relative[3] !== undefined) return refuse(" (it is either ahead or ago)")
    return Result.succeed(now + (ahead ? length : -length))
  }
  return /\d+\s*M$/.test(text) ? refuse(" (a month has no fixed length; minutes are m)") : refuse("")
}
