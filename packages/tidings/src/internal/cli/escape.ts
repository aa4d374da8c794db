/**
 * Nothing that an event holds may drive a terminal.
 *
 * @internal
 */
import * as ControlCharacters from "@tidings/core/ControlCharacters"

/**
 * The text on one line, control characters written out.
 *
 * @internal
 */
export const line = ControlCharacters.escape

/**
 * The text with its line ends, all other control characters written out. Inside JSON the result is JSON again.
 *
 * @internal
 */
export const block = ControlCharacters.escapeExceptLineFeeds

/**
 * A message on one line, without the blanks and line ends around it, as kubectl shows it.
 *
 * @internal
 */
export const message = (text: string): string => line(text.trim())
