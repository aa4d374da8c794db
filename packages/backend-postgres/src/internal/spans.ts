/**
 * What replicas covered together: the spans of time for which one of them copied everything, and the gaps between them.
 */
import type { Micros } from "@tidings/core/Timestamp"
import type { Span } from "../ArchiveStore.ts"

/** A time that no replica covered. */
export interface Hole {
  readonly from: Micros
  readonly to: Micros
  readonly reason: string
}

/** All of them together. */
export interface Covered {
  readonly since: Micros
  readonly until: Micros
  readonly holes: ReadonlyArray<Hole>
}

const UNEXPLAINED = "no replica of the archive was running"

/**
 * Of two that begin together the one that says why comes first: the other is of a replica that went on from there at once, and may
 * have come further meanwhile.
 */
const inOrder = (a: Span, b: Span): number =>
  a.since - b.since || Number(a.why === undefined) - Number(b.why === undefined)

/** Spans that touch or overlap as one, in the order of time; the first of them says why. */
export const merge = (spans: ReadonlyArray<Span>): ReadonlyArray<Span> => {
  const merged: Array<Span> = []
  for (const span of [...spans].sort(inOrder)) {
    const last = merged.at(-1)
    if (last === undefined || span.since > last.until) merged.push(span)
    else if (span.until > last.until) merged[merged.length - 1] = { ...last, until: span.until }
  }
  return merged
}

/** What is covered; undefined where nothing is. */
export const covered = (spans: ReadonlyArray<Span>): Covered | undefined => {
  const merged = merge(spans)
  const first = merged[0]
  if (first === undefined) return undefined
  return {
    since: first.since,
    until: merged.at(-1)!.until,
    holes: merged.slice(1).map(({ since, why }, index) => ({
      from: merged[index]!.until,
      to: since,
      reason: why ?? UNEXPLAINED
    }))
  }
}

/** Whether a gap that was told has all of a hole in it. */
export const isTold = (
  { from, to }: Hole,
  told: ReadonlyArray<{ readonly from: Micros; readonly to: Micros }>
): boolean => told.some((gap) => gap.from <= from && to <= gap.to)
