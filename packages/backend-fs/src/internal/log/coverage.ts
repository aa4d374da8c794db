import type { Coverage, Gap } from "@tidings/core/EventQuery"
import type { Micros } from "@tidings/core/Timestamp"
import type { DamageLedger } from "./segment.ts"
import type { LogView } from "./view.ts"
import * as SegmentName from "./segmentName.ts"

/** Some file systems do not know when a file was made, and answer with the beginning of time. */
const timeOf = (milliseconds: number): Micros | "unknown" =>
  milliseconds > 0 ? Math.floor(milliseconds * 1_000) : "unknown"

/**
 * For which time the history of a log is complete: since the log was begun, or, where its first segments were taken away,
 * since the oldest one that is left was made. Segments are numbered without gaps, so one that is missing between is found
 * out; damaged lines may have been events.
 *
 * @internal
 */
export const coverageOf = (options: {
  readonly store: string
  readonly view: LogView
  readonly damage: DamageLedger
  /** When the log was created, in milliseconds since 1970; absent where nobody knows. */
  readonly created: number | undefined
}): Coverage => {
  const { created = 0, damage, store, view } = options
  const gaps: Array<Gap> = []
  let since = timeOf(created)
  let number = 0
  for (const [index, { name, status }] of view.segments.entries()) {
    const missing = SegmentName.missingBetween(number, name.number)
    if (missing !== undefined && index === 0) since = timeOf(status.made)
    // Without times: those of files are changed by a copy or a restore.
    else if (missing !== undefined) gaps.push({ store, reason: missing })
    number = Math.max(number, name.number)
  }
  if (damage.lines > 0) {
    gaps.push({
      store,
      reason: `${damage.lines === 1 ? "1 damaged line was" : `${damage.lines} damaged lines were`} skipped (${damage.bytes} bytes)`
    })
  }
  return { store, since, until: "now", gaps }
}
