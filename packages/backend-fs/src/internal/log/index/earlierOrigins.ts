import * as Context from "effect/Context"
import { type Bytes, bytesOf, isSame } from "../bytes.ts"
import { quickHashOf } from "../hash.ts"
import * as Block from "./block.ts"
import type { Words } from "./column.ts"
import { SegmentOrigins } from "./segmentOrigins.ts"
import { type IndexedSegment, type IndexReader, type Scratch, topOf } from "./segmentIndex.ts"

/** Seqs of an origin that are looked for. */
type WantedSeqs = readonly [origin: string, least: number, greatest: number]

/**
 * How many times as long it takes to take in an origin as to compare it with those that are wanted. Imported events have an origin each, and
 * to take in those of a million takes seconds and 140 MB, for which the few lines that a query finds unindexed are no reason.
 */
const TAKING_IN = 20

/**
 * So many origins are always taken in. Tests look for those that are wanted also where there are few.
 *
 * @internal
 */
export const FewOrigins: Context.Reference<number> = Context.Reference<number>("@tidings/backend-fs/FewOrigins", {
  defaultValue: () => 65_536
})

/**
 * Which of many segments have an origin, so that not each of them has to be asked for each block.
 *
 * Where their origins are many and few lines are left to be indexed, those that are wanted are looked for in the side files, until that has
 * taken as long as to take in all.
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
  private readonly scratch: Scratch
  private readonly few: number
  /** Origins that were compared since all were taken in. */
  private compared = 0

  /** `few`: with more origins than this, those that are wanted are looked for. */
  constructor(read: (segment: IndexedSegment) => SegmentOrigins, scratch: Scratch, few: number) {
    this.read = read
    this.scratch = scratch
    this.few = few
  }

  /** Whether what was taken in is of the first of these segments. */
  private isKnown(segments: ReadonlyArray<IndexedSegment>): boolean {
    return (
      this.list === segments ||
      this.known.every((one, at) => {
        const other = segments[at]
        return other !== undefined && one.index === other.index && one.depth === other.depth && one.tail === other.tail
      })
    )
  }

  /** Brings it to these segments, oldest first. */
  private update(segments: ReadonlyArray<IndexedSegment>): void {
    const { known } = this
    const isKnown = this.isKnown(segments)
    this.list = segments
    if (!isKnown) {
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

  /** The places of the segments that may have some series of origins, newest first. `isLast`: it is not asked much more often. */
  find(
    segments: ReadonlyArray<IndexedSegment>,
    wanted: ReadonlyArray<WantedSeqs>,
    isLast: boolean
  ): ReadonlyArray<number> {
    const missing = isLast ? this.missing(segments) : 0
    if (missing > this.few && this.compared < TAKING_IN * missing) {
      this.compared += missing
      return this.look(segments, wanted)
    }
    this.compared = 0
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

  /** How many origins have to be taken in, those of which several segments have as often. */
  private missing(segments: ReadonlyArray<IndexedSegment>): number {
    let count = 0
    for (let at = this.isKnown(segments) ? this.known.length : 0; at < segments.length; at++) {
      count += topOf(segments[at]!)?.dictionarySize(Block.DICTIONARY.origin) ?? 0
    }
    return count
  }

  /** The same as `find`, from the side files. */
  private look(segments: ReadonlyArray<IndexedSegment>, wanted: ReadonlyArray<WantedSeqs>): ReadonlyArray<number> {
    const origins = new Wanted(wanted)
    const places: Array<number> = []
    for (let at = segments.length - 1; at >= 0; at--) {
      const { depth, index, tail } = segments[at]!
      const isThere = index.use((reader) => {
        const blocks = Array.from({ length: depth }, (_, one) => reader.block(one))
        if (tail !== undefined) blocks.push(tail)
        return this.isIn(reader, blocks, origins)
      })
      if (isThere) places.push(at)
    }
    return places
  }

  /** Whether a segment may have some of the seqs. */
  private isIn(reader: IndexReader, blocks: ReadonlyArray<Block.Block>, wanted: Wanted): boolean {
    /** By the number of the origin. */
    const found = new Map<number, WantedSeqs>()
    for (const block of blocks) {
      if (block.groupOf(Block.GROUP.dictionaries).length > 0) {
        const words = reader.group(block, Block.GROUP.dictionaries, this.scratch)
        wanted.match(words, block, (id, one) => found.set(id, one))
      }
      if (found.size === 0) continue
      const { greatest, least, origin } = reader.rangesOf(block, this.scratch)
      for (let index = 0; index < origin.length; index++) {
        const seqs = found.get(origin[index]!)
        if (seqs !== undefined && least[index]! <= seqs[2] && greatest[index]! >= seqs[1]) return true
      }
    }
    return false
  }
}

/** Origins that are looked for among entries of dictionaries. */
class Wanted {
  private readonly all: ReadonlyArray<WantedSeqs>
  private readonly bytes: ReadonlyArray<Bytes>
  /** By the hash of their bytes, with open addressing: their places in the list from 1; 0 is none. */
  private readonly table: Int32Array

  constructor(all: ReadonlyArray<WantedSeqs>) {
    this.all = all
    this.bytes = all.map(([origin]) => bytesOf(Buffer.from(origin, "latin1")))
    let size = 16
    while (size < 4 * all.length) size *= 2
    this.table = new Int32Array(size)
    for (const [index, { buffer, view }] of this.bytes.entries()) {
      let slot = quickHashOf(view, 0, buffer.length) & (size - 1)
      while (this.table[slot] !== 0) slot = (slot + 1) & (size - 1)
      this.table[slot] = index + 1
    }
  }

  /** Calls with the number of each entry of a block that is one of them. */
  match(words: Words, block: Block.Block, visit: (id: number, wanted: WantedSeqs) => void): void {
    const { table } = this
    const mask = table.length - 1
    const bytes = bytesOf(words.bytes)
    Block.visitEntries(words, block, 1 << Block.DICTIONARY.origin, (_, id, start, end) => {
      for (let slot = quickHashOf(bytes.view, start, end) & mask; table[slot] !== 0; slot = (slot + 1) & mask) {
        const index = table[slot]! - 1
        const one = this.bytes[index]!
        if (one.buffer.length === end - start && isSame(one, 0, bytes, start, end - start)) visit(id, this.all[index]!)
      }
    })
  }
}
