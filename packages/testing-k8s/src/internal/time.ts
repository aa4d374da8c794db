/** Times as Go reads and writes them. */

/** @internal */
export type ParsedTime =
  | { readonly _tag: "Valid"; readonly text: string }
  | { readonly _tag: "Invalid"; readonly message: string }

const dateElements: ReadonlyArray<readonly [layout: string, pattern: RegExp]> = [
  ["2006", /^\d{4}/],
  ["-", /^-/],
  ["01", /^\d\d/],
  ["-", /^-/],
  ["02", /^\d\d/],
  ["T", /^T/],
  ["15", /^\d\d/],
  [":", /^:/],
  ["04", /^\d\d/],
  [":", /^:/],
  ["05", /^\d\d/]
]
const zoneElement: readonly [string, RegExp] = ["Z07:00", /^(?:Z|[+-]\d\d:\d\d)/]
const secondsLayout = "2006-01-02T15:04:05Z07:00"
const microsLayout = "2006-01-02T15:04:05.000000Z07:00"

const twoDigits = (value: number): string => String(value).padStart(2, "0")

/** RFC 3339 without a fraction. @internal */
export const formatSeconds = (millis: number): string => {
  const date = new Date(Math.floor(millis / 1000) * 1000)
  return `${date.toISOString().slice(0, 19)}Z`
}

/** As in the header `Date`. @internal */
export const formatHttpDate = (millis: number): string => new Date(millis).toUTCString()

const daysIn = (year: number, month: number): number => new Date(Date.UTC(year, month, 0)).getUTCDate()

const rangeError = (parts: ReadonlyArray<string>, zone: string): string | undefined => {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.map(Number)
  if (month < 1 || month > 12) return "month out of range"
  if (hour > 23) return "hour out of range"
  if (minute > 59) return "minute out of range"
  if (second > 59) return "second out of range"
  if (zone !== "Z" && Number(zone.slice(1, 3)) > 24) return "time zone offset hour out of range"
  if (zone !== "Z" && Number(zone.slice(4, 6)) > 60) return "time zone offset minute out of range"
  if (day < 1 || day > daysIn(year, month)) return "day out of range"
  return undefined
}

const parseWith = (value: string, layout: string, withMicros: boolean): ParsedTime => {
  const failed = (rest: string, element: string): ParsedTime => ({
    _tag: "Invalid",
    message: `parsing time ${JSON.stringify(value)} as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(rest)} as ${JSON.stringify(element)}`
  })
  let rest = value
  const parts: Array<string> = []
  for (const [element, pattern] of dateElements) {
    const found = pattern.exec(rest)?.[0]
    if (found === undefined) {
      return failed(rest, element)
    }
    if (/\d/.test(found)) {
      parts.push(found)
    }
    rest = rest.slice(found.length)
  }
  // Go takes a fraction after the seconds also where the layout has none.
  const fraction = (withMicros ? /^\.\d{6}/ : /^[.,]\d+/).exec(rest)?.[0]
  if (fraction === undefined && withMicros) {
    return failed(rest, ".000000")
  }
  rest = rest.slice(fraction?.length ?? 0)
  const zone = zoneElement[1].exec(rest)?.[0]
  if (zone === undefined) {
    return failed(rest, zoneElement[0])
  }
  rest = rest.slice(zone.length)
  if (rest !== "") {
    return { _tag: "Invalid", message: `parsing time ${JSON.stringify(value)}: extra text: ${JSON.stringify(rest)}` }
  }
  const outOfRange = rangeError(parts, zone)
  if (outOfRange !== undefined) {
    return { _tag: "Invalid", message: `parsing time ${JSON.stringify(value)}: ${outOfRange}` }
  }
  const sign = zone.startsWith("-") ? 1 : -1
  const offsetMinutes = zone === "Z" ? 0 : sign * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6)))
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.map(Number)
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute + offsetMinutes, second)
  const shown = `${String(date.getUTCFullYear()).padStart(4, "0")}-${twoDigits(date.getUTCMonth() + 1)}-${twoDigits(date.getUTCDate())}T${twoDigits(date.getUTCHours())}:${twoDigits(date.getUTCMinutes())}:${twoDigits(date.getUTCSeconds())}`
  return { _tag: "Valid", text: `${shown}${withMicros ? fraction : ""}Z` }
}

/** The time that was read last: what is written at the same time has the same text, and an event has it three times. */
let last: readonly [value: string, parsed: ParsedTime] | undefined

/** `metav1.Time`: a fraction is read and forgotten. @internal */
export const parseTime = (value: string): ParsedTime => {
  if (last?.[0] !== value) last = [value, parseWith(value, secondsLayout, false)]
  return last[1]
}

/** `metav1.MicroTime`: exactly six digits. @internal */
export const parseMicroTime = (value: string): ParsedTime => parseWith(value, microsLayout, true)
