import * as SegmentName from "../segmentName.ts"
import type { LogPosition } from "../position.ts"
import * as Block from "./block.ts"
import * as Column from "./column.ts"
import type { LogIndex } from "./logIndex.ts"
import type { Snapshot } from "./snapshot.ts"
import type { IndexedSegment, IndexReader } from "./segmentIndex.ts"
import { deadOf, Identities } from "./series.ts"

/** Blocks of which what was read is kept, since the series that are asked for are mostly in the newest. */
const MOST_KEPT = 16

/** Origins of which the seqs are kept. */
const MOST_BOUNDS = 65_536

/** A block, with what tells the state of its series. */
interface Loaded {
  readonly origin: Float64Array
  readonly seq: Float64Array
  readonly upTo: Float64Array
  readonly start: Float64Array
  /** 1 for rows that do not tell that nothing before them is higher. */
  readonly unsure: Uint8Array
}

/**
 * Visits all rows of a block.
 *
 * @internal
 */
export type VisitRow = (origin: string, seq: number, upTo: number) => void

/**
 * What a log has of series before a position, looked up one by one.
 *
 * @internal
 */
export class SeriesLookup {
  private readonly index: LogIndex
  private readonly snapshot: Snapshot
  private readonly until: LogPosition
  private readonly ranges = new Map<Block.Block, Block.Ranges>()
  private readonly loaded = new Map<Block.Block, Loaded>()
  private readonly identities = new Identities()
  /** The seqs of each origin; undefined where there is none of it. */
  private readonly bounds = new Map<string, { readonly least: number; readonly greatest: number } | undefined>()

  constructor(index: LogIndex, snapshot: Snapshot, until: LogPosition) {
    this.index = index
    this.snapshot = snapshot
    this.until = until
  }

  /** Offset in a segment up to which its rows count. */
  private limitOf({ name }: IndexedSegment): number {
    const { segment, offset } = this.until
    if (segment === undefined) return 0
    const order = SegmentName.order(name, segment)
    return order < 0 ? Number.POSITIVE_INFINITY : order === 0 ? offset : 0
  }

  /** The last seq that is counted into a series before the position; undefined when the series is not stored there. */
  get(origin: string, seq: number): number | undefined {
    const bounds = this.boundsOf(origin)
    if (bounds === undefined || seq > bounds.greatest || seq < bounds.least) return undefined
    let highest: number | undefined
    const { segments } = this.snapshot
    for (let at = segments.length - 1; at >= 0; at--) {
      const segment = segments[at]!
      const limit = this.limitOf(segment)
      if (limit === 0) continue
      const origins = this.index.originsOf(segment)
      const number = origins.numberOf(origin)
      if (number === 0 || !origins.mayHave(number, seq, seq)) continue
      const found = segment.index.use((reader) => this.search(segment, reader, number, seq, limit, highest))
      highest = found.highest
      if (found.isSure) return highest
    }
    return highest
  }

  private boundsOf(origin: string): { readonly least: number; readonly greatest: number } | undefined {
    if (this.bounds.has(origin)) return this.bounds.get(origin)
    let bounds: { least: number; greatest: number } | undefined
    for (const segment of this.snapshot.segments) {
      if (this.limitOf(segment) === 0) continue
      const origins = this.index.originsOf(segment)
      const number = origins.numberOf(origin)
      if (number === 0) continue
      bounds ??= { least: Number.POSITIVE_INFINITY, greatest: Number.NEGATIVE_INFINITY }
      bounds.least = Math.min(bounds.least, origins.leastOf(number))
      bounds.greatest = Math.max(bounds.greatest, origins.greatestOf(number))
    }
    if (this.bounds.size >= MOST_BOUNDS) this.bounds.clear()
    this.bounds.set(origin, bounds)
    return bounds
  }

  private search(
    { depth, tail }: IndexedSegment,
    reader: IndexReader,
    origin: number,
    seq: number,
    limit: number,
    before: number | undefined
  ): { readonly highest: number | undefined; readonly isSure: boolean } {
    let highest = before
    for (let one = tail === undefined ? depth - 1 : depth; one >= 0; one--) {
      const block = one === depth ? tail! : reader.block(one)
      if (block.rows === 0 || block.from >= limit || !this.mayHave(reader, block, origin, seq)) continue
      const loaded = this.load(reader, block)
      let isSure = false
      for (let row = 0; row < block.rows; row++) {
        if (loaded.seq[row] !== seq || loaded.origin[row] !== origin || loaded.start[row]! >= limit) continue
        if (highest === undefined || loaded.upTo[row]! > highest) highest = loaded.upTo[row]!
        if (loaded.unsure[row] === 0) isSure = true
      }
      if (isSure) return { highest, isSure }
    }
    return { highest, isSure: false }
  }

  private mayHave(reader: IndexReader, block: Block.Block, origin: number, seq: number): boolean {
    let ranges = this.ranges.get(block)
    if (ranges === undefined) {
      ranges = reader.rangesOf(block, this.index.scratch)
      this.ranges.set(block, ranges)
    }
    const at = ranges.origin.indexOf(origin)
    return at !== -1 && ranges.least[at]! <= seq && ranges.greatest[at]! >= seq
  }

  private load(reader: IndexReader, block: Block.Block): Loaded {
    const known = this.loaded.get(block)
    if (known !== undefined) return known
    const { rows } = block
    const { scratch } = this.index
    const unsure = new Uint8Array(rows)
    const dead = deadOf(reader, block, scratch)
    if (dead !== undefined) {
      for (let row = 0; row < rows; row++) if ((dead[row >> 3]! & (1 << (row & 7))) !== 0) unsure[row] = 1
    }
    if (block.repeats > 0) {
      for (const row of reader.relationsOf(block, scratch).repeatRow) unsure[row - block.firstRow] = 1
    }
    this.identities.read(reader, block, scratch)
    const { origin, seq, upTo } = this.identities
    const start = new Float64Array(rows)
    readStarts(reader, block, this.index, start)
    const loaded = {
      origin: origin.slice(0, rows),
      seq: seq.slice(0, rows),
      upTo: upTo.slice(0, rows),
      start,
      unsure
    }
    const oldest = this.loaded.keys().next().value
    if (this.loaded.size >= MOST_KEPT && oldest !== undefined) this.loaded.delete(oldest)
    this.loaded.set(block, loaded)
    return loaded
  }

  /** Visits all rows before the position, one segment after the other. */
  *visitAll(visit: VisitRow): Generator<void> {
    for (const segment of this.snapshot.segments) {
      const limit = this.limitOf(segment)
      if (limit > 0) yield visitRows(this.index, segment, undefined, limit, visit)
    }
  }
}

/** Where the lines of a block start, in the segment. */
const readStarts = (reader: IndexReader, block: Block.Block, index: LogIndex, into: Float64Array): void => {
  const words = reader.group(block, Block.GROUP.identity, index.scratch)
  const { offset } = block.groupOf(Block.GROUP.identity)
  Column.read(words, block.columnOf(Block.COLUMN.start, offset), block.rows, into)
  let at = block.from
  for (let row = 0; row < block.rows; row++) {
    at += into[row]!
    into[row] = at
  }
}

/**
 * Visits the rows of a segment before an offset that are of some origins, or all.
 *
 * @internal
 */
export const visitRows = (
  index: LogIndex,
  segment: IndexedSegment,
  wanted: ReadonlySet<string> | undefined,
  limit: number,
  visit: VisitRow
): void => {
  const { depth, tail } = segment
  const origins = index.originsOf(segment)
  const texts = new Map<number, string>()
  /** Blocks that may have a row of them. */
  const marked = new Uint8Array(depth + 1)
  if (wanted === undefined) marked.fill(1)
  else {
    for (const text of wanted) {
      const number = origins.numberOf(text)
      if (number === 0) continue
      texts.set(number, text)
      const [first, last] = origins.blocksOf(number)
      marked.fill(1, first, last + 1)
    }
    if (texts.size === 0) return
  }
  const textOf = (number: number): string | undefined => {
    const known = texts.get(number)
    if (known !== undefined || wanted !== undefined || number === 0) return known
    const text = origins.textOf(number)
    if (texts.size < MOST_BOUNDS) texts.set(number, text)
    return text
  }
  const identities = new Identities()
  segment.index.use((reader) => {
    for (let one = 0; one <= depth; one++) {
      if (marked[one] === 0) continue
      const block = one === depth ? tail : reader.block(one)
      if (block === undefined || block.rows === 0 || block.from >= limit) continue
      if (wanted !== undefined && !reader.rangesOf(block, index.scratch).origin.some((origin) => texts.has(origin))) {
        continue
      }
      identities.read(reader, block, index.scratch)
      let { rows } = block
      if (block.to > limit) {
        const starts = new Float64Array(rows)
        readStarts(reader, block, index, starts)
        rows = starts.findIndex((start) => start >= limit)
        if (rows === -1) rows = block.rows
      }
      const { origin, seq, upTo } = identities
      for (let row = 0; row < rows; row++) {
        const text = textOf(origin[row]!)
        if (text !== undefined) visit(text, seq[row]!, upTo[row]!)
      }
    }
  })
}
