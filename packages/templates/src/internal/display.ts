/**
 * Texts of templates and data in error messages, without control characters. Each character is shown in one column, so that
 * a caret below it is at the right place; so this is not the escaping of messages.
 *
 * @internal
 */

const longest = 48

/** Characters without a width, or that change the direction or begin a line: they would hide or move their neighbours. */
const isUnsafe = (code: number): boolean =>
  (code >= 0x7f && code <= 0x9f) ||
  code === 0x061c ||
  (code >= 0x200b && code <= 0x200f) ||
  (code >= 0x2028 && code <= 0x202e) ||
  (code >= 0x2060 && code <= 0x206f) ||
  (code >= 0xd800 && code <= 0xdfff) ||
  code === 0xfeff

/** One code point as it is shown: C0 controls as their symbol (U+2400 to U+241F), others that are unsafe as U+FFFD. */
export const character = (value: string): string => {
  const code = value.codePointAt(0) ?? 0
  if (code === 0x09) return " "
  if (code < 0x20) return String.fromCharCode(0x2400 + code)
  return isUnsafe(code) ? "\uFFFD" : value
}

/** A text of any length in double quotes, cut after 48 code points. */
export const quote = (value: string): string => {
  let shown = ""
  let count = 0
  for (const point of value) {
    if (count === longest) return `"${shown}…"`
    shown += character(point)
    count += 1
  }
  return `"${shown}"`
}

/** A name as it stands in a template (`.StepID`), cut after 48 code points. */
export const name = (value: string): string => quote(value).slice(1, -1)
