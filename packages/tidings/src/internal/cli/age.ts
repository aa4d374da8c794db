/**
 * How long ago, in few characters, and times of day.
 *
 * @internal
 */
import * as Timestamp from "@tidings/core/Timestamp"
import type { Micros } from "@tidings/core/Timestamp"

const YEAR_HOURS = 24 * 365

const two = (large: number, largeUnit: string, small: number, smallUnit: string): string =>
  small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`

/**
 * A length of time as kubectl prints it: one unit, and a second one while the first is small. The thresholds are those of
 * `HumanDuration` in k8s.io/apimachinery, so that ages read alike in both tools.
 *
 * @internal
 */
export const length = (micros: number): string => {
  const seconds = Math.max(0, Math.trunc(micros / 1_000_000))
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.trunc(seconds / 60)
  if (minutes < 10) return two(minutes, "m", seconds % 60, "s")
  if (minutes < 180) return `${minutes}m`
  const hours = Math.trunc(minutes / 60)
  if (hours < 8) return two(hours, "h", minutes % 60, "m")
  if (hours < 48) return `${hours}h`
  if (hours < 24 * 8) return two(Math.trunc(hours / 24), "d", hours % 24, "h")
  if (hours < YEAR_HOURS * 2) return `${Math.trunc(hours / 24)}d`
  if (hours < YEAR_HOURS * 8) return two(Math.trunc(hours / YEAR_HOURS), "y", Math.trunc(hours / 24) % 365, "d")
  return `${Math.trunc(hours / YEAR_HOURS)}y`
}

/**
 * Whether a time lies ahead. Clocks of two machines differ, so less than two seconds count as now (kubectl's tolerance).
 *
 * @internal
 */
export const isAhead = (at: Micros, now: Micros): boolean => Math.trunc((at - now) / 1_000_000) >= 2

/**
 * How long before `now` it was; what lies ahead says so.
 *
 * @internal
 */
export const ago = (at: Micros, now: Micros): string => (isAhead(at, now) ? `in ${length(at - now)}` : length(now - at))

const digits = (value: number): string => String(value).padStart(2, "0")

/**
 * The local time of day, with the day before it when it is not today: what stays true on a line that stands still.
 *
 * @internal
 */
export const clock = (at: Micros, now: Micros): string => {
  const date = new Date(Math.floor(at / 1_000))
  const time = `${digits(date.getHours())}:${digits(date.getMinutes())}:${digits(date.getSeconds())}`
  const today = new Date(Math.floor(now / 1_000))
  return date.getFullYear() === today.getFullYear() &&
    date.getMonth() === today.getMonth() &&
    date.getDate() === today.getDate()
    ? time
    : `${local(at).slice(0, 10)} ${time}`
}

/**
 * The local date and time with its distance from UTC.
 *
 * @internal
 */
export const local = (at: Micros): string => {
  const date = new Date(Math.floor(at / 1_000))
  const offset = -date.getTimezoneOffset()
  const zone = `${offset < 0 ? "-" : "+"}${digits(Math.trunc(Math.abs(offset) / 60))}:${digits(Math.abs(offset) % 60)}`
  return (
    `${String(date.getFullYear()).padStart(4, "0")}-${digits(date.getMonth() + 1)}-${digits(date.getDate())} ` +
    `${digits(date.getHours())}:${digits(date.getMinutes())}:${digits(date.getSeconds())} ${zone}`
  )
}

/** The same time of day on the last day on which it is over. */
const lastBefore = (at: Micros, now: Micros): Micros => {
  const date = new Date(Math.floor(at / 1_000))
  while (date.getTime() * 1_000 > now) date.setDate(date.getDate() - 1)
  return date.getTime() * 1_000
}

/**
 * That a time which may be meant to be over lies ahead, and how one that is over is written: a time of day is one of today.
 *
 * @internal
 */
export const inFuture = (at: Micros, now: Micros, write: (time: string) => string): string =>
  `in the future (${ago(at, now)}): ${local(at)}` +
  // Only where a time of day was given, an earlier day can be meant.
  (at - now < 86_400_000_000
    ? `; for an earlier day give the date: ${write(local(lastBefore(at, now)).slice(0, 19))}`
    : "")

/**
 * The date and time in UTC, to the second.
 *
 * @internal
 */
export const utc = (at: Micros): string => Timestamp.format(at).replace(/\.\d+Z$/, "Z")
