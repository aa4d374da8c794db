import type { Event } from "@tidings/core/Event"
import type { LogDirectory } from "../directory.ts"
import * as Block from "./block.ts"
import * as Column from "./column.ts"
import { type FilterPlan, SegmentFilter } from "./filterPlan.ts"
import { type History, totalOf } from "./history.ts"
import { LineReader } from "./lineReader.ts"
import { Selection } from "./selection.ts"
import type { LogIndex } from "./logIndex.ts"
import type { Snapshot } from "./snapshot.ts"
import { IndexDamaged, type IndexedSegment, type IndexReader, type Scratch, topOf } from "./segmentIndex.ts"

/** Work that is done before other fibers get a turn: rows that are looked at, and as many for each line that is read. */
const ROWS_AT_ONCE = 200_000
const ROWS_OF_LINE = 500
const ROWS_OF_BLOCK = 1_000

/** Lines of a page that are at most so far apart are read at once, up to so many bytes. */
const GAP = 8_192
const TOGETHER = 131_072

/** Where a later page has more than this part of the rows of a block, all lines of the block are read at once. */
const PART_OF_BLOCK = 8

const TWO_32 = 4_294_967_296

/**
 * A row of the log. Newer ones come later in the log.
 *
 * @internal
 */
export interface Place {
  /** Index of the segment in the snapshot. */
  readonly segment: number
  /** Number in the segment. */
  readonly row: number
  /** When it was last seen. */
  readonly last: number
}

/**
 * The last row of an earlier page.
 *
 * @internal
 */
export interface After {
  readonly last: number
  /** Key of its segment, and where its line starts. */
  readonly segment: string
  readonly start: number
}

/**
 * Rows that were found, each with the time last seen and its place as one number.
 */
class FoundRows {
  last: Array<number> = []
  place: Array<number> = []
  private readonly limit: number
  /** Rows that are not newer than this are not among the newest. */
  private least = Number.NEGATIVE_INFINITY
  /** Number of rows from which on it is worth to leave out what is too much. */
  private most: number

  constructor(limit: number) {
    this.limit = limit
    // In a log that is in the order of time, the first rows are the newest, and all others are left out at once.
    this.most = limit
  }

  /** Whether a row of this time, which comes before all others in the log, is among the newest. */
  isWanted(last: number): boolean {
    return this.limit > 0 && last > this.least
  }

  /** Whether no row with this time or an older one, which comes before all others in the log, is among the newest. */
  isFull(last: number): boolean {
    return this.limit === 0 || (this.last.length >= this.limit && last <= this.least)
  }

  add(last: number, place: number): void {
    this.last.push(last)
    this.place.push(place)
    if (this.last.length >= this.most) {
      this.prune()
      this.most = 2 * this.limit + 1_024
    }
  }

  /** Sorts, newest first, and leaves out what is too much. */
  prune(): void {
    const { last, limit, place } = this
    if (!this.isSorted()) {
      const order = Array.from(last.keys())
      order.sort((a, b) => last[b]! - last[a]! || place[b]! - place[a]!)
      this.last = order.map((index) => last[index]!)
      this.place = order.map((index) => place[index]!)
    }
    if (this.last.length > limit) {
      this.last.length = limit
      this.place.length = limit
    }
    if (this.last.length === limit) this.least = this.last.at(-1) ?? Number.POSITIVE_INFINITY
  }

  private isSorted(): boolean {
    const { last, place } = this
    for (let index = 1; index < last.length; index++) {
      const older = last[index]! - last[index - 1]!
      if (older > 0 || (older === 0 && place[index]! > place[index - 1]!)) return false
    }
    return true
  }
}

/**
 * Walks through an indexed log from the newest block to the oldest, for the rows of one query.
 *
 * @internal
 */
export class QueryWalk {
  /** Number of rows that match. */
  total = 0
  private readonly index: LogIndex
  private readonly directory: LogDirectory
  private readonly snapshot: Snapshot
  private readonly plan: FilterPlan
  private readonly after: After | undefined
  private readonly afterSegment: number
  private readonly history: History
  private readonly found: FoundRows
  /** Whether the total is known without the walk. */
  private readonly isTotalKnown: boolean
  /** The greatest time of all segments up to one. */
  private readonly maxLast: Array<number> = []
  private segment: number
  private depth = -1
  private filter: SegmentFilter | undefined
  private readonly selection: Selection
  private work = 0

  constructor(
    index: LogIndex,
    directory: LogDirectory,
    snapshot: Snapshot,
    plan: FilterPlan,
    limit: number,
    after: After | undefined
  ) {
    this.index = index
    this.directory = directory
    this.snapshot = snapshot
    this.plan = plan
    this.after = after
    // One more than is asked for tells whether there is another page.
    this.found = new FoundRows(limit + 1)
    this.afterSegment = this.segmentOf(after)
    this.history = index.historyOf(snapshot)
    this.selection = new Selection(index, plan, this.history, index.scratch.lists)
    let maxLast = Block.NO_LAST
    for (const segment of snapshot.segments) {
      maxLast = Math.max(maxLast, topOf(segment)?.maxLastSoFar ?? Block.NO_LAST)
      this.maxLast.push(maxLast)
    }
    this.isTotalKnown =
      plan.isOnlyTime && plan.since === Number.NEGATIVE_INFINITY && plan.until === Number.POSITIVE_INFINITY
    if (this.isTotalKnown) this.total = totalOf(snapshot, this.scratch)
    this.segment = snapshot.segments.length
  }

  private get scratch(): Scratch {
    return this.index.scratch
  }

  /** The segment of the last row of the earlier page, or else the first after it: its place among those that are there. */
  private segmentOf(after: After | undefined): number {
    if (after === undefined) return -1
    const at = this.snapshot.segments.findIndex(({ name }) => name.key >= after.segment)
    return at === -1 ? this.snapshot.segments.length : at
  }

  /** Does some of the work. True when there is more. */
  step(): boolean {
    this.work = 0
    while (this.work < ROWS_AT_ONCE) {
      if (this.depth < 0) {
        if (this.segment === 0 || this.isDone(this.maxLast[this.segment - 1]!)) return false
        this.segment -= 1
        this.depth = this.snapshot.segments[this.segment]!.depth
        this.filter = undefined
      }
      if (!this.walkSegment(this.snapshot.segments[this.segment]!)) return false
    }
    return true
  }

  /** Whether nothing that is as old as this matters any more. */
  private isDone(maxLast: number): boolean {
    return maxLast < this.plan.since || (this.isTotalKnown && this.found.isFull(maxLast))
  }

  /** Walks through blocks of a segment. False when nothing that is left matters. */
  private walkSegment(segment: IndexedSegment): boolean {
    return segment.index.use((reader) => {
      this.filter ??= this.filterOf(segment, reader)
      const lines = new LineReader(this.directory, segment, this.index.decoder)
      const before = this.segment === 0 ? Block.NO_LAST : this.maxLast[this.segment - 1]!
      try {
        while (this.depth >= 0 && this.work < ROWS_AT_ONCE) {
          // What is in no side file comes last.
          const block = this.depth === segment.depth ? segment.tail : reader.block(this.depth)
          this.depth -= 1
          if (block === undefined) continue
          if (this.isDone(Math.max(block.maxLastSoFar, before))) return false
          this.history.tell(reader, block, this.scratch)
          this.walkBlock(segment, reader, block, lines)
        }
      } finally {
        lines.close()
      }
      return true
    })
  }

  private filterOf(segment: IndexedSegment, reader: IndexReader): SegmentFilter | undefined {
    if (segment.depth === 0 && segment.tail === undefined) return undefined
    return new SegmentFilter(this.plan, reader, segment.depth, segment.tail, this.scratch)
  }

  private walkBlock(segment: IndexedSegment, reader: IndexReader, block: Block.Block, lines: LineReader): void {
    const { plan } = this
    this.work += ROWS_OF_BLOCK
    if (block.rows === 0 || block.maxLast < plan.since || block.minLast > plan.until) return
    if (this.isTotalKnown && !this.found.isWanted(block.maxLast)) return
    if (this.isTotalKnown && this.after !== undefined && block.minLast > this.after.last) return
    this.work += block.rows
    if (this.selection.select(segment, this.filter!, reader, block, lines)) this.collect(reader, block)
    this.work += this.selection.linesRead * ROWS_OF_LINE
  }

  /** Counts the rows that are left, and keeps those that may be on the page. */
  private collect(reader: IndexReader, block: Block.Block): void {
    const { after, afterSegment, found, segment, selection } = this
    const { count, lasts, rows } = selection
    let hasStarts = false
    for (let index = count - 1; index >= 0; index--) {
      const row = rows[index]!
      const last = lasts[row]!
      if (!found.isWanted(last)) continue
      if (after !== undefined) {
        if (last > after.last) continue
        if (last === after.last) {
          const isSame = this.snapshot.segments[afterSegment]?.name.key === after.segment
          if (segment > afterSegment || (segment === afterSegment && !isSame)) continue
          if (segment === afterSegment) {
            if (!hasStarts) selection.readStarts(reader, block)
            hasStarts = true
            if (selection.starts[row]! >= after.start) continue
          }
        }
      }
      found.add(last, segment * TWO_32 + block.firstRow + row)
    }
    if (!this.isTotalKnown) this.total += count
  }

  /** The rows of the page, newest first, and one more where there is another page. */
  rows(): ReadonlyArray<Place> {
    this.found.prune()
    const { last, place } = this.found
    return place.map((one, at) => ({ segment: Math.floor(one / TWO_32), row: one % TWO_32, last: last[at]! }))
  }
}

/**
 * Reads the events of rows.
 *
 * @internal
 */
export class RowReader {
  private readonly index: LogIndex
  private readonly directory: LogDirectory
  private readonly snapshot: Snapshot
  /** It is one of several pages. */
  private readonly isLater: boolean
  private block: Block.Block | undefined
  private segment = -1
  /** The row that was read last. */
  lastRead: After | undefined

  /** `isLater`: for a page after another one. */
  constructor(index: LogIndex, directory: LogDirectory, snapshot: Snapshot, isLater: boolean) {
    this.index = index
    this.directory = directory
    this.snapshot = snapshot
    this.isLater = isLater
  }

  /** Reads the events of some rows, in order. */
  read(rows: ReadonlyArray<Place>, from: number, to: number, into: Array<Event>): void {
    const { decoder, scratch } = this.index
    let at = from
    while (at < to) {
      const { segment } = rows[at]!
      const indexed = this.snapshot.segments[segment]!
      const lines = new LineReader(this.directory, indexed, decoder, scratch.lines)
      try {
        indexed.index.use((reader) => {
          for (; at < to && rows[at]!.segment === segment; at++)
            into.push(this.readOne(indexed, reader, rows, at, lines, at === to - 1))
        })
      } finally {
        lines.close()
      }
    }
  }

  private readOne(
    segment: IndexedSegment,
    reader: IndexReader,
    rows: ReadonlyArray<Place>,
    at: number,
    lines: LineReader,
    isLast: boolean
  ): Event {
    const place = rows[at]!
    const { last } = place
    const block = this.blockOf(segment, reader, place)
    // Another reader may have left those of another block there, and the page before those of this one.
    if (this.index.scratch.places.block !== block) this.readColumns(reader, block)
    if (block !== this.block || this.segment !== place.segment) {
      this.block = block
      this.segment = place.segment
      if (this.isLater && this.isFull(rows, at, block)) {
        lines.prepareBlock(block, block.depth === 0 ? 0 : reader.block(block.depth - 1).contentCheck)
      }
    }
    const { places } = this.index.scratch
    const row = place.row - block.firstRow
    const start = places.start[row]!
    const upper = row + 1 < block.rows ? places.start[row + 1]! : block.to
    if (!lines.has(start, upper)) lines.prepare(this.leastStart(rows, at, block, start), upper)
    const event = lines.read(start, upper, last)
    if (event.id.seq !== places.seq[row]) throw new IndexDamaged(segment.name.key)
    if (isLast) this.lastRead = { last, segment: segment.name.key, start }
    return event
  }

  /**
   * Whether so many of the rows are in the block that the pages after this one are likely to have the rest of its rows. Then its lines
   * stay in memory for them.
   */
  private isFull(rows: ReadonlyArray<Place>, at: number, block: Block.Block): boolean {
    const { segment } = rows[at]!
    let end = at
    while (end < rows.length && rows[end]!.segment === segment && rows[end]!.row >= block.firstRow) end++
    return end - at > block.rows / PART_OF_BLOCK
  }

  private readColumns(reader: IndexReader, block: Block.Block): void {
    const { rows } = block
    const { scratch } = this.index
    const { seq, start } = scratch.placesFor(rows)
    const { offset } = block.groupOf(Block.GROUP.identity)
    const words = reader.group(block, Block.GROUP.identity, scratch)
    Column.read(words, block.columnOf(Block.COLUMN.start, offset), rows, start)
    Column.read(words, block.columnOf(Block.COLUMN.seq, offset), rows, seq)
    let at = block.from
    for (let row = 0; row < rows; row++) {
      at += start[row]!
      start[row] = at
    }
    scratch.places.block = block
  }

  /** Where the first of the lines starts that come next, so that those which are close together are read at once. */
  private leastStart(rows: ReadonlyArray<Place>, at: number, block: Block.Block, start: number): number {
    const starts = this.index.scratch.places.start
    let least = start
    for (let next = at + 1; next < rows.length; next++) {
      const { row, segment } = rows[next]!
      const other = row - block.firstRow
      if (segment !== this.segment || other < 0 || other >= block.rows) break
      const otherStart = starts[other]!
      if (otherStart > start || least - otherStart > GAP || start - otherStart > TOGETHER) break
      least = otherStart
    }
    return least
  }

  /** The block that has a row. */
  private blockOf({ depth, tail }: IndexedSegment, reader: IndexReader, { row, segment }: Place): Block.Block {
    const has = (block: Block.Block): boolean => row >= block.firstRow && row < block.firstRow + block.rows
    if (this.block !== undefined && this.segment === segment && has(this.block)) return this.block
    if (tail !== undefined && row >= tail.firstRow) return tail
    let one = depth - 1
    let block = reader.block(one)
    while (!has(block) && one > 0) block = reader.block(--one)
    return block
  }
}
