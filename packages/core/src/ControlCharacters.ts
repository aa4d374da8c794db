/**
 * Control characters in texts of unknown origin, made visible, so that no event and no answer of a server can drive the
 * terminal, or forge a line of the log, that shows it.
 *
 * **When to use**
 *
 * Use it for text of other writers before it is printed or logged: messages, names, errors of servers.
 *
 * **Details**
 *
 * These are the control characters of ASCII and Latin-1 (C0, DEL, C1), the line and paragraph separators, the marks and
 * overrides of writing direction, and the byte order mark. Each is written as JSON writes it: `\n`, `\r`, `\t`, else
 * `\u001b`.
 *
 * @since 0.2.0
 */

/**
 * The characters, as what stands between the brackets of a character class of a regular expression.
 *
 * @category constants
 * @since 0.2.0
 */
export const CHARACTERS = String.raw`\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff`

// One range, so that the usual text costs one look.
const UNUSUAL = /[^ -~]/
const CONTROL = new RegExp(`[${CHARACTERS}]`, "g")
const CONTROL_EXCEPT_LINE_FEED = new RegExp(String.raw`(?!\n)[${CHARACTERS}]`, "g")

const SHORT: { readonly [character: string]: string } = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

const escapeOne = (character: string): string =>
  SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/**
 * The text on one line.
 *
 * **Example**
 *
 * ```ts
 * import * as ControlCharacters from "@tidings/core/ControlCharacters"
 * import assert from "node:assert/strict"
 *
 * assert.equal(ControlCharacters.escape("\u001b[31mred\n"), "\\u001b[31mred\\n")
 * ```
 *
 * @category formatting
 * @since 0.2.0
 */
export const escape = (text: string): string => (UNUSUAL.test(text) ? text.replace(CONTROL, escapeOne) : text)

/**
 * The text with its line feeds. What is JSON before is JSON of the same value after.
 *
 * @category formatting
 * @since 0.2.0
 */
export const escapeExceptLineFeeds = (text: string): string =>
  UNUSUAL.test(text) ? text.replace(CONTROL_EXCEPT_LINE_FEED, escapeOne) : text
