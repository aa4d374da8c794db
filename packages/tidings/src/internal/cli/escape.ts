/**
 * Nothing that an event holds may drive a terminal.
 *
 * @internal
 */

// C0, DEL, C1, the Unicode line ends, and what reorders or hides text.
// oxlint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g
const UNSAFE_IN_BLOCKS =
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g

const SHORT: { readonly [character: string]: string } = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

const escapeOne = (character: string): string =>
  SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/**
 * The text on one line, control characters written out.
 *
 * @internal
 */
export const line = (text: string): string => (text.search(UNSAFE) === -1 ? text : text.replace(UNSAFE, escapeOne))

/**
 * The text with its line ends, all other control characters written out. Inside JSON the result is JSON again.
 *
 * @internal
 */
export const block = (text: string): string =>
  text.search(UNSAFE_IN_BLOCKS) === -1 ? text : text.replace(UNSAFE_IN_BLOCKS, escapeOne)

/**
 * A message on one line, without the blanks and line ends around it, as kubectl shows it.
 *
 * @internal
 */
export const message = (text: string): string => line(text.trim())
