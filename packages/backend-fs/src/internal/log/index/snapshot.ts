import * as LogPosition from "../position.ts"
import { type IndexedSegment, topOf } from "./segmentIndex.ts"

/**
 * The log at one moment, indexed: the segments, oldest first.
 *
 * @internal
 */
export interface Snapshot {
  readonly segments: ReadonlyArray<IndexedSegment>
}

/**
 * The position after the last line of a snapshot.
 *
 * @internal
 */
export const endOf = ({ segments }: Snapshot): LogPosition.LogPosition => {
  const newest = segments.at(-1)
  if (newest === undefined) return LogPosition.beginning
  const top = topOf(newest)
  return top === undefined
    ? LogPosition.startOf(newest.name)
    : { segment: newest.name, offset: top.to, check: top.endCheck }
}
