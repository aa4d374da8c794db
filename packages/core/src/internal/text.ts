/**
 * What must happen to a text before it stands on a terminal, in a log line or in an object of the API server.
 */

/** Printed to mark where a text was cut. Three bytes of UTF-8. */
const CUT_MARK = "…"

// Control characters of ASCII and Latin-1, line and paragraph separators, bidirectional overrides, and surrogates, of
// which only lone ones are replaced.
const SUSPECT =
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g

const escapeOne = (character: string): string => {
  switch (character) {
    case "\n":
      return "\\n"
    case "\r":
      return "\\r"
    case "\t":
      return "\\t"
  }
  const code = character.charCodeAt(0)
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`
}

/**
 * Control characters become visible (`\n`, `\x1b`, `\u{202e}`), lone surrogates U+FFFD.
 *
 * @internal
 */
export const escapeControl = (text: string): string =>
  SUSPECT.test(text) ? text.toWellFormed().replace(CONTROL, escapeOne) : text

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
  if (text.length * 3 <= limit || byteLength(text) <= limit) return text
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
 * A value as an error message shows it: JSON where it is some, shortened, on one line.
 *
 * @internal
 */
export const show = (value: unknown): string => {
  if (value === undefined) return "missing"
  let text: string | undefined
  try {
    text = typeof value === "bigint" ? `${value}n` : JSON.stringify(value)
  } catch {
    text = undefined
  }
  const shown = escapeControl(text ?? `a ${typeof value}`)
  return shown.length > 60 ? `${shown.slice(0, 59)}${CUT_MARK}` : shown
}
