/**
 * Texts that others wrote, made fit for an answer: on one line, without anything that acts, and bounded.
 *
 * @internal
 */
import * as ControlCharacters from "@tidings/core/ControlCharacters"

/** Characters that are invisible to people and that models read: the tags of Unicode. As halves of surrogate pairs. */
const TAG = /\udb40[\udc00-\udc7f]/g

const escapeTag = (pair: string): string => `\\u{${pair.codePointAt(0)!.toString(16)}}`

/** What stands at the end of a text that was cut. */
const CUT_MARK = "…"

/** Of names, reasons and types, which are at most 253 characters where Kubernetes has checked them. */
export const LONGEST_NAME = 256

/**
 * The text on one line with nothing in it that acts, at most so many characters; what is cut ends with `…`.
 *
 * @internal
 */
export const cut = (text: string, length: number): { readonly text: string; readonly isCut: boolean } => {
  // A megabyte is not escaped where a hundred characters are shown.
  const start = text.length > length ? text.slice(0, length) : text
  const escaped = ControlCharacters.escape(start.toWellFormed().replace(TAG, escapeTag))
  if (start === text && escaped.length <= length) return { text: escaped, isCut: false }
  return { text: `${escaped.slice(0, Math.max(0, length - CUT_MARK.length)).toWellFormed()}${CUT_MARK}`, isCut: true }
}

/**
 * The same of a name, a reason, a type.
 *
 * @internal
 */
export const plain = (text: string, length: number = LONGEST_NAME): string => cut(text, length).text

const encoder = new TextEncoder()

/**
 * The length in bytes of UTF-8.
 *
 * @internal
 */
export const byteLength = (text: string): number => encoder.encode(text).length

/**
 * What was found where something else was expected, as JSON, shortened.
 *
 * @internal
 */
export const show = (found: unknown): string => {
  const json = typeof found === "bigint" ? `${found}n` : (JSON.stringify(found) ?? String(found))
  return plain(json, 100)
}

const COLUMN_GAP = "  "

/**
 * `1 event`, `2 events`.
 *
 * @internal
 */
export const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`

/**
 * `1 event is left out`, `2 events are left out`.
 *
 * @internal
 */
export const leftOut = (count: number, what: string): string =>
  `${counted(count, what)} ${count === 1 ? "is" : "are"} left out`

/**
 * Rows in columns, the last of which is as wide as it is.
 *
 * @internal
 */
export const columns = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths: Array<number> = []
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length)
  }
  return rows
    .map((row) =>
      row
        .map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(widths[index]!)))
        .join(COLUMN_GAP)
        .trimEnd()
    )
    .join("\n")
}
