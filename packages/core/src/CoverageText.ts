/**
 * What the coverage of an archive says, as sentences for people and agents.
 *
 * @since 0.2.0
 */
import type { Coverage, Gap } from "./EventQuery.ts"
import type { Micros } from "./Timestamp.ts"

/** Of more gaps the earlier ones are counted. */
const MOST_GAPS = 3

/**
 * Writes a time; `beside` is one that stands on the same line before it, so that its day can be left out.
 *
 * @category models
 * @since 0.2.0
 */
export type WriteTime = (at: Micros, beside?: Micros) => string

const gapText = ({ from, reason, to }: Gap, time: WriteTime): string => {
  const times =
    from === undefined || to === undefined
      ? [...(from === undefined ? [] : [` from ${time(from)}`]), ...(to === undefined ? [] : [` until ${time(to)}`])]
      : [` ${time(from)}–${time(to, from)}`]
  return `gap${times.join("")} (${reason})`
}

const sentence = ({ gaps, name, since, until }: Coverage, time: WriteTime): string => {
  const what = name ?? "what was recorded in this store directly"
  const complete =
    since === "unknown"
      ? "not known since when it is complete"
      : typeof until === "number"
        ? `complete from ${time(since)} until ${time(until)}, and not archived since`
        : `complete since ${time(since)}`
  const told = gaps.slice(-MOST_GAPS).map((gap) => gapText(gap, time))
  const more = gaps.length - told.length
  const earlier = more > 0 ? [`${more} earlier ${more === 1 ? "gap" : "gaps"}`] : []
  return `${what}: ${[complete, ...earlier, ...told].join("; ")}`
}

/**
 * One sentence for each store that an answer of an archive is about; none where the answer is of no archive: no entry has a
 * `name` then.
 *
 * **Example**
 *
 * ```ts
 * import * as CoverageText from "@tidings/core/CoverageText"
 * import * as Timestamp from "@tidings/core/Timestamp"
 * import assert from "node:assert/strict"
 *
 * const at = (text: string) => Timestamp.parse(text)!
 * const gap = {
 *   store: "uid-1",
 *   from: at("2026-11-29T02:10:00Z"),
 *   to: at("2026-11-29T02:14:00Z"),
 *   reason: "no replica of the archive was running"
 * }
 * const coverage = { store: "uid-1", name: "production", since: at("2026-11-01T00:00:00Z"), until: "now", gaps: [gap] } as const
 * assert.deepEqual(CoverageText.sentences([coverage], Timestamp.formatSeconds), [
 *   "production: complete since 2026-11-01T00:00:00Z; gap 2026-11-29T02:10:00Z–2026-11-29T02:14:00Z " +
 *     "(no replica of the archive was running)"
 * ])
 * ```
 *
 * @category conversions
 * @since 0.2.0
 */
export const sentences = (all: ReadonlyArray<Coverage>, time: WriteTime): ReadonlyArray<string> =>
  all.some(({ name }) => name !== undefined) ? all.map((coverage) => sentence(coverage, time)) : []
