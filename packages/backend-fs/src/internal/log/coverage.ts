import type { Coverage, Gap } from "@tidings/core/EventQuery"
import type { LogDirectory } from "./directory.ts"
import * as LogMeta from "./logMeta.ts"
import * as SegmentMark from "./segmentMark.ts"
import * as SegmentName from "./segmentName.ts"

/**
 * Damaged lines, in words.
 *
 * @internal
 */
export const whatIsDamaged = ({ bytes, lines }: { readonly lines: number; readonly bytes: number }): string =>
  `${lines === 1 ? "1 damaged line was" : `${lines} damaged lines were`} skipped (${bytes} bytes)`

/**
 * For which time the history of a log is complete. It begins when the log was created; after retention, with what the meta file notes
 * as removed; and if the first segments were deleted by other means, with the first event that is left.
 *
 * Gaps are: missing segments, because numbers are consecutive; empty ones, which were truncated, because a segment is created with its
 * first line, except where a writer was stopped between the two; ones that were truncated or replaced, because their first bytes
 * differ from those in the meta file or they are shorter than what was indexed; and damaged lines, which may have been events. File
 * times are not used, because a copy or a restore changes them.
 *
 * @internal
 */
export const coverageOf = (options: {
  readonly store: string
  readonly directory: LogDirectory
  /** Oldest first. */
  readonly segments: ReadonlyArray<{ readonly name: SegmentName.SegmentName; readonly size: number }>
  readonly damage: { readonly lines: number; readonly bytes: number }
}): Coverage => {
  const { damage, directory, segments, store } = options
  const meta = directory.logMeta()
  const gaps: Array<Gap> = []
  // Without times: those of files are changed by a copy or a restore.
  const gap = (reason: string): void => void gaps.push({ store, reason })
  let since: Coverage["since"] = meta.created ?? "unknown"
  let number = 0
  if (meta.removed !== undefined) {
    number = meta.removed.upTo
    // What was removed may be older than the log, such as what was imported.
    since = Math.max(meta.removed.until + 1, meta.created ?? Number.NEGATIVE_INFINITY)
    gaps.push({ store, to: meta.removed.until, reason: LogMeta.whatWasRemoved(meta.removed) })
  }
  for (const [index, { name, size }] of segments.entries()) {
    const missing = SegmentName.missingBetween(number, name.number)
    if (missing !== undefined && index === 0) since = directory.firstTimeOf(name) ?? "unknown"
    if (missing !== undefined) gap(missing)
    if (size === 0 && !SegmentMark.isUnused(meta, name, index === segments.length - 1)) gap(SegmentName.isEmpty(name))
    number = Math.max(number, name.number)
  }
  // Those that were begun since are there.
  number = Math.max(number, directory.segments().at(-1)?.number ?? 0)
  const newest = directory.highestKnown(meta)
  const missing = SegmentName.missingBetween(number, newest + 1)
  if (missing !== undefined) gap(missing)
  if (segments.length === 0 && newest > 0) since = "unknown"
  for (const lost of SegmentMark.whatWasLost(directory, meta)) gap(lost)
  if (damage.lines > 0) gap(whatIsDamaged(damage))
  return { store, since, until: "now", gaps }
}
