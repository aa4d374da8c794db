/**
 * Answers within a number of bytes: first long messages are cut, all at the same length, then events are left out.
 *
 * @internal
 */
import type { Event } from "@tidings/core/Event"
import type { ToolResult } from "../Tool.ts"
import * as text from "./text.ts"

/** The lengths at which messages are cut, in characters; the first that lets everything in is taken. */
const LENGTHS = [65_536, 16_384, 4_096, 1_024, 512, 256, 160, 100, 60] as const

/** @internal */
export const SHORTEST = LENGTHS.at(-1)!

/** @internal */
export const sizeOf = (result: ToolResult): number => text.byteLength(JSON.stringify(result))

/**
 * The length of the longest message as an answer would have it.
 *
 * @internal
 */
export const longestOf = (events: ReadonlyArray<Event>): number =>
  events.reduce((longest, { event }) => Math.max(longest, text.plain(event.message, LENGTHS[0]).length), 0)

/**
 * The answer with as many of `count` things as fit, and how many these are. `build` makes it of the first so many, with
 * messages of at most so many characters; the longest message has `longest`.
 *
 * @internal
 */
export const fit = (
  count: number,
  maxBytes: number,
  build: (count: number, length: number) => ToolResult,
  longest: number
): { readonly result: ToolResult; readonly count: number } => {
  let size = 0
  for (const [index, length] of LENGTHS.entries()) {
    const next = LENGTHS[index + 1]
    // A greater length than all messages have cuts nothing either, and more than the whole answer never fits.
    if (next !== undefined && (next >= longest || length >= maxBytes)) continue
    const result = build(count, length)
    size = sizeOf(result)
    if (count === 0 || size <= maxBytes) return { result, count }
  }
  let best = build(0, SHORTEST)
  let [fits, tooMany] = [0, count]
  // Things are of about the same size, so the right number is near to what their average says.
  const empty = sizeOf(best)
  let guess = Math.floor((count * (maxBytes - empty)) / Math.max(1, size - empty))
  while (tooMany - fits > 1) {
    const tried = Math.min(Math.max(guess, fits + 1), tooMany - 1)
    const result = build(tried, SHORTEST)
    const tookBytes = sizeOf(result)
    if (tookBytes <= maxBytes) {
      fits = tried
      best = result
    } else tooMany = tried
    guess = Math.floor(tried + (maxBytes - tookBytes) / Math.max(1, (tookBytes - empty) / tried))
    // Near the right number one more step decides; far from it halves do.
    if (guess <= fits || guess >= tooMany) guess = tookBytes <= maxBytes ? fits + 1 : tooMany - 1
  }
  return { result: best, count: fits }
}
