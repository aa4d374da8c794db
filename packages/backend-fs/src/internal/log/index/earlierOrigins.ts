import { SegmentOrigins } from "./segmentOrigins.ts"
import type { IndexedSegment } from "./segmentIndex.ts"

/**
 * Which of many segments have an origin, so that not each of them has to be asked for each block.
 *
 * @internal
 */
export class EarlierOrigins {
  /** Reads the origins of a segment, of which nothing is kept. */
  private readonly read: (segment: IndexedSegment) => SegmentOrigins
  private readonly known: Array<IndexedSegment> = []
  /** The list that was compared last; it only grows. */
  private list: ReadonlyArray<IndexedSegment> | undefined
  /** The origins of all segments, each with the first and the last segment that have it in place of blocks. */
  private all = new SegmentOrigins()

  constructor(read: (segment: IndexedSegment) => SegmentOrigins) {
    this.read = read
  }

  /** Brings it to these segments, oldest first. */
  private update(segments: ReadonlyArray<IndexedSegment>): void {
    const { known } = this
    const isSame =
      this.list === segments ||
      known.every((one, at) => {
        const other = segments[at]
        return other !== undefined && one.index === other.index && one.depth === other.depth && one.tail === other.tail
      })
    this.list = segments
    if (!isSame) {
      known.length = 0
      this.all = new SegmentOrigins()
    }
    const { all } = this
    for (let at = known.length; at < segments.length; at++) {
      const segment = segments[at]!
      const origins = this.read(segment)
      for (let number = 1; number <= origins.size; number++) {
        const origin = origins.textOf(number)
        let own = all.numberOf(origin)
        if (own === 0) {
          own = all.size + 1
          all.add(origin, own)
        }
        all.extend(own, origins.leastOf(number), origins.greatestOf(number), at)
      }
      known.push(segment)
    }
  }

  /** The places of the segments that may have some series of origins, newest first. */
  find(
    segments: ReadonlyArray<IndexedSegment>,
    wanted: Iterable<readonly [origin: string, least: number, greatest: number]>
  ): ReadonlyArray<number> {
    this.update(segments)
    const { all } = this
    const found = new Uint8Array(segments.length)
    for (const [origin, least, greatest] of wanted) {
      const number = all.numberOf(origin)
      if (number === 0 || !all.mayHave(number, least, greatest)) continue
      const [first, last] = all.blocksOf(number)
      found.fill(1, first, last + 1)
    }
    const places: Array<number> = []
    for (let at = found.length - 1; at >= 0; at--) if (found[at] === 1) places.push(at)
    return places
  }
}
