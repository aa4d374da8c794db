/**
 * Answers within a number of bytes: first long messages are cut, all at the same length, then events are left out.
 *
 * @internal
 */
import type { ToolResult } from "../Tool.ts"
import * as text from "./text.ts"

/** The lengths at which messages are cut, in characters; the first that lets everything in is taken. */
const LENGTHS = [65_536, 16_384, 4_096, 1_024, 512, 256, 160, 100, 60] as const

/** @internal */
export const SHORTEST = LENGTHS.at(-1)!

/** @internal */
export const sizeOf = (result: ToolResult): number => text.byteLength(JSON.stringify(result))

/**
 * The answer with as many of `count` things as fit, and how many these are. `build` makes it of the first so many, with
 * messages of at most so many characters.
 *
 * @internal
 */
export const fit = (
  count: number,
  maxBytes: number,
  build: (count: number, length: number) => ToolResult
): { readonly result: ToolResult; readonly count: number } => {
  for (const length of LENGTHS) {
    // No thing of an answer takes less than its message.
    if (count === 0 || length < maxBytes) {
      const result = build(count, length)
      if (count === 0 || sizeOf(result) <= maxBytes) return { result, count }
    }
  }
  let [fits, tooMany] = [0, count]
  let best = build(0, SHORTEST)
  while (tooMany - fits > 1) {
    const middle = (fits + tooMany) >> 1
    const result = build(middle, SHORTEST)
    if (sizeOf(result) <= maxBytes) {
      fits = middle
      best = result
    } else tooMany = middle
  }
  return { result: best, count: fits }
}
