/**
 * Formats and parses Go durations, without error classes, for rendering.
 *
 * @internal
 */
const longest = 2n ** 63n - 1n
const shortest = -(2n ** 63n)

/** `whole`, followed by a point and the fraction of `width` digits without its trailing zeros, unless it is zero. */
const withFraction = (whole: number, fraction: number, width: number): string => {
  if (fraction === 0) return String(whole)
  let digits = String(fraction).padStart(width, "0")
  let end = digits.length
  while (digits.charCodeAt(end - 1) === 0x30) end -= 1
  if (end < digits.length) digits = digits.slice(0, end)
  return `${whole}.${digits}`
}

const clock = (seconds: number, nanoseconds: number): string => {
  const last = `${withFraction(seconds % 60, nanoseconds, 9)}s`
  if (seconds < 60) return last
  const minutes = Math.floor(seconds / 60)
  return minutes < 60 ? `${minutes}m${last}` : `${Math.floor(minutes / 60)}h${minutes % 60}m${last}`
}

const inUnit = (value: number, size: number, width: number): string => {
  const fraction = value % size
  return withFraction((value - fraction) / size, fraction, width)
}

/** Formats a safe integer that is not negative. */
const magnitude = (value: number): string => {
  if (value >= 1e9) {
    const nanoseconds = value % 1e9
    return clock((value - nanoseconds) / 1e9, nanoseconds)
  }
  if (value >= 1e6) return `${inUnit(value, 1e6, 6)}ms`
  if (value >= 1e3) return `${inUnit(value, 1e3, 3)}µs`
  return value === 0 ? "0s" : `${value}ns`
}

const formatBig = (value: bigint): string => {
  const clamped = value > longest ? longest : value < shortest ? shortest : value
  const size = clamped < 0n ? -clamped : clamped
  // The quotient and the remainder of 64 bits by a billion are both safe integers.
  const text =
    size < 1_000_000_000n
      ? magnitude(Number(size))
      : clock(Number(size / 1_000_000_000n), Number(size % 1_000_000_000n))
  return clamped < 0n ? `-${text}` : text
}

export const format = (value: number | bigint): string => {
  if (typeof value === "bigint") return formatBig(value)
  if (Number.isSafeInteger(value)) return value < 0 ? `-${magnitude(-value)}` : magnitude(value)
  if (Number.isNaN(value)) return "0s"
  if (!Number.isFinite(value)) return formatBig(value > 0 ? longest : shortest)
  return formatBig(BigInt(Math.round(value)))
}

/** Why a text is not a duration: `GoDuration` documents each reason. */
export type ErrorReason = "Empty" | "Syntax" | "MissingUnit" | "UnknownUnit" | "OutOfRange"

export interface Problem {
  readonly reason: ErrorReason
  readonly offset: number
}

const unitSizes: ReadonlyMap<string, number> = new Map([
  ["ns", 1],
  ["us", 1e3],
  ["\u00b5s", 1e3],
  ["\u03bcs", 1e3],
  ["ms", 1e6],
  ["s", 1e9],
  ["m", 60e9],
  ["h", 3600e9]
])

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39

const digitsEnd = (text: string, from: number): number => {
  let end = from
  while (isDigit(text.charCodeAt(end))) end += 1
  return end
}

/**
 * The nanoseconds of a decimal fraction of a unit. Go reads the digits into 64 bits, ignores those that do not fit, and
 * multiplies in 64-bit floating point. An exact result would differ from that in the last nanosecond.
 */
const fractionOf = (digits: string, unit: number): number => {
  if (digits === "") return 0
  // A number is exact for so many.
  if (digits.length <= 15) {
    let scale = 1
    for (let index = 0; index < digits.length; index++) scale *= 10
    return Math.trunc(Number(digits) * (unit / scale))
  }
  let gathered = 0n
  let scale = 1
  for (const digit of digits) {
    const next = gathered * 10n + BigInt(digit)
    if (next > longest + 1n) break
    gathered = next
    scale *= 10
  }
  return Math.trunc(Number(gathered) * (unit / scale))
}

const toNumber = (value: bigint): number | bigint =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value

export const parse = (text: string): number | bigint | Problem => {
  const negative = text.startsWith("-")
  let at = negative || text.startsWith("+") ? 1 : 0
  if (at === text.length) return { reason: "Empty", offset: at }
  if (text.length - at === 1 && text[at] === "0") return 0
  let total = 0n
  while (at < text.length) {
    const start = at
    const wholeEnd = digitsEnd(text, start)
    const hasPoint = text[wholeEnd] === "."
    const fractionStart = hasPoint ? wholeEnd + 1 : wholeEnd
    at = hasPoint ? digitsEnd(text, fractionStart) : wholeEnd
    if (wholeEnd === start && at === fractionStart) return { reason: "Syntax", offset: start }

    const unitStart = at
    while (at < text.length && text[at] !== "." && !isDigit(text.charCodeAt(at))) at += 1
    if (at === unitStart) return { reason: "MissingUnit", offset: unitStart }
    const unit = unitSizes.get(text.slice(unitStart, at))
    if (unit === undefined) return { reason: "UnknownUnit", offset: unitStart }

    let significant = start
    while (significant < wholeEnd && text[significant] === "0") significant += 1
    // 2^63 has 19 digits. Longer numbers are not converted, which would take time in the square of their length.
    if (wholeEnd - significant > 19) return { reason: "OutOfRange", offset: start }
    total += BigInt(text.slice(significant, wholeEnd) || "0") * BigInt(unit)
    total += BigInt(fractionOf(text.slice(fractionStart, unitStart), unit))
    if (total > longest + 1n) return { reason: "OutOfRange", offset: start }
  }
  if (negative) return toNumber(-total)
  return total > longest ? { reason: "OutOfRange", offset: 0 } : toNumber(total)
}
