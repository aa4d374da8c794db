/**
 * Makes texts fit for terminals, log lines and objects of the API server: escaping, size in bytes, truncation.
 */
import * as ControlCharacters from "../ControlCharacters.ts"

/** Printed to mark where a text was cut. Three bytes of UTF-8. */
const CUT_MARK = "…"

// One range, so that the usual text costs one look.
const UNUSUAL = /[^ -~]/

/**
 * Control characters become visible (`\n`, `\u001b`), lone surrogates U+FFFD.
 *
 * @internal
 */
export const escapeControl = (text: string): string =>
  UNUSUAL.test(text) ? ControlCharacters.escape(text.toWellFormed()) : text

/**
 * The length in bytes of UTF-8.
 *
 * @internal
 */
export const byteLength = (text: string): number => {
  let bytes = text.length
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit < 0x80) continue
    if (unit < 0x800) bytes += 1
    else if (unit >= 0xd800 && unit < 0xdc00 && index + 1 < text.length) {
      bytes += 2
      index++
    } else bytes += 2
  }
  return bytes
}

/**
 * The text in at most `limit` bytes of UTF-8, cut between code points and marked with `…`.
 *
 * @internal
 */
export const cut = (text: string, limit: number): string => {
  if (text.length * 3 <= limit || (text.length <= limit && byteLength(text) <= limit)) return text
  let room = limit - 3
  let end = 0
  for (const character of text) {
    const code = character.codePointAt(0)!
    room -= code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
    if (room < 0) break
    end += character.length
  }
  return text.slice(0, end) + CUT_MARK
}

/**
 * The text with its control characters escaped, cut to at most `limit` bytes.
 *
 * @internal
 */
export const tidy = (text: string, limit: number): string =>
  // A unit of UTF-16 is at least one byte, and escaping never shortens, so what is beyond the limit is cut in any case.
  cut(escapeControl(text.length > limit ? text.slice(0, limit + 1) : text), limit)

/**
 * The text without trailing line ends, which outputs of programs have.
 *
 * @internal
 */
export const withoutLineEnd = (text: string): string => {
  let end = text.length
  while (end > 0 && (text.charCodeAt(end - 1) === 0x0a || text.charCodeAt(end - 1) === 0x0d)) end--
  return end === text.length ? text : text.slice(0, end)
}

const SHOWN_CHARACTERS = 60
const SHOWN_VALUES = 60

/**
 * A value as an error message shows it: as JSON where possible, shortened, on one line. The cost is bounded for any value.
 *
 * @internal
 */
export const show = (value: unknown): string => {
  const shown = escapeControl(describe(value))
  return shown.length > SHOWN_CHARACTERS ? `${shown.slice(0, SHOWN_CHARACTERS - 1).toWellFormed()}${CUT_MARK}` : shown
}

const describe = (value: unknown): string => {
  switch (typeof value) {
    case "undefined":
      return "missing"
    case "string":
      return JSON.stringify(value.slice(0, SHOWN_CHARACTERS))
    case "bigint":
      return `${value}n`
    case "number":
    case "boolean":
      return String(value)
    case "object":
      return describeObject(value)
    default:
      return `a ${typeof value}`
  }
}

const describeObject = (value: object | null): string => {
  let left = SHOWN_VALUES
  try {
    const json = JSON.stringify(value, (_, member: unknown) => {
      // Caught below. Without this limit the cost would not be bounded, and infinite for a value that contains itself.
      if (left-- === 0) throw new RangeError()
      return typeof member === "string" ? member.slice(0, SHOWN_CHARACTERS) : member
    })
    if (typeof json === "string") return json
  } catch {
    // Described below.
  }
  return Array.isArray(value) ? "a list" : "an object"
}

/**
 * Fields with texts as JSON, each of them shortened.
 *
 * @internal
 */
export const showFields = (fields: Readonly<Record<string, string>>): string =>
  `{${Object.entries(fields)
    .map(([key, value]) => `${JSON.stringify(key)}:${show(value)}`)
    .join(",")}}`

/**
 * A thrown value as text; never throws itself.
 *
 * @internal
 */
export const showThrown = (thrown: unknown): string => {
  try {
    return show(String(thrown))
  } catch {
    return show(thrown)
  }
}
