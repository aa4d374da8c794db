import type { Event } from "@tidings/core/Event"
import type { LogDirectory } from "../directory.ts"
import type * as LogPosition from "../position.ts"
import * as SegmentName from "../segmentName.ts"
import type * as Block from "./block.ts"
import { type FilterPlan, SegmentFilter } from "./filterPlan.ts"
import type { History } from "./history.ts"
import { LineBytes } from "./lineBytes.ts"
import { Lists } from "./lists.ts"
import { LineReader } from "./lineReader.ts"
import type { LogIndex } from "./logIndex.ts"
import type { Snapshot } from "./snapshot.ts"
import type { IndexedSegment, IndexReader } from "./segmentIndex.ts"
import { Selection } from "./selection.ts"

/** Blocks that are looked at before other fibers get a turn. */
const BLOCKS_AT_ONCE = 128

/** Where more than this part of the rows of a block are shown, all of its lines are read at once. */
const PART_AT_ONCE = 2

/** Bytes of lines that are read at once. */
const READ_AHEAD = 131_072

/**
 * Called with an event and the position after its line.
 *
 * @internal
 */
export type Visit = (event: Event, position: LogPosition.LogPosition) => void

/**
 * Where a walk begins: after a position, or with the last so many; else with the oldest.
 *
 * @internal
 */
export interface ChangesFrom {
  readonly after?: LogPosition.LogPosition | undefined
  readonly last?: number | undefined
}

/**
 * Walks through an indexed log in the order of change: the current state of each series that matches, oldest change first.
 *
 * It first goes back from the newest block to where it begins, for what later blocks say of earlier ones.
 *
 * @internal
 */
export class ChangeWalk {
  private readonly index: LogIndex
  private readonly directory: LogDirectory
  private readonly snapshot: Snapshot
  private readonly plan: FilterPlan
  private readonly from: ChangesFrom
  private readonly history: History
  private readonly selection: Selection
  private readonly filters = new Map<number, SegmentFilter>()
  private readonly buffer = new LineBytes(Buffer.allocUnsafeSlow(READ_AHEAD))
  private segment: number
  private block = -1
  /** The place of the next row among those of the block that are selected, and how many more rows are left out. */
  private place = 0
  private skip = 0
  /** How many more events are visited at once. */
  private left = 0
  private found = 0
  /** The block whose rows are selected, and what reads the lines of its segment. */
  private isSelected = false
  private lines: LineReader | undefined

  constructor(index: LogIndex, directory: LogDirectory, snapshot: Snapshot, plan: FilterPlan, from: ChangesFrom) {
    this.index = index
    this.directory = directory
    this.snapshot = snapshot
    this.plan = plan
    this.from = from
    this.history = index.historyOf(snapshot)
    this.selection = new Selection(index, plan, this.history, new Lists())
    this.segment = snapshot.segments.length
  }

  private blockAt(segment: IndexedSegment, reader: IndexReader): Block.Block | undefined {
    return this.block === segment.depth ? segment.tail : reader.block(this.block)
  }

  private filterOf(segment: IndexedSegment, reader: IndexReader): SegmentFilter {
    let filter = this.filters.get(this.segment)
    if (filter === undefined) {
      filter = new SegmentFilter(this.plan, reader, segment.depth, segment.tail, this.index.scratch)
      // Each is used on the way back and on the way forward.
      if (this.filters.size >= 4) this.filters.clear()
      this.filters.set(this.segment, filter)
    }
    return filter
  }

  /** Goes back to where the walk begins. True when there is more to do. */
  goBack(): boolean {
    for (let blocks = 0; blocks < BLOCKS_AT_ONCE;) {
      if (this.block < 0) {
        if (this.segment === 0) return false
        this.segment -= 1
        this.block = this.snapshot.segments[this.segment]!.depth
      }
      const segment = this.snapshot.segments[this.segment]!
      const isDone = segment.index.use((reader) => {
        const lines = new LineReader(this.directory, segment, this.index.decoder)
        try {
          for (; this.block >= 0 && blocks < BLOCKS_AT_ONCE; this.block--, blocks++) {
            const block = this.blockAt(segment, reader)
            if (block === undefined) continue
            if (this.isBefore(segment, block)) {
              this.block += 1
              return true
            }
            this.history.tell(reader, block, this.index.scratch)
            if (this.from.last !== undefined && this.count(segment, reader, block, lines)) return true
          }
        } finally {
          lines.close()
        }
        return false
      })
      if (isDone) return false
    }
    return true
  }

  /** Whether all of a block is before the position that the walk begins after. */
  private isBefore({ name }: IndexedSegment, { to }: Block.Block): boolean {
    const { after } = this.from
    if (after?.segment === undefined) return false
    const order = SegmentName.order(name, after.segment)
    return order < 0 || (order === 0 && to <= after.offset)
  }

  /** Counts the rows of a block that match; true when there are enough. */
  private count(segment: IndexedSegment, reader: IndexReader, block: Block.Block, lines: LineReader): boolean {
    if (block.rows === 0) return false
    const filter = this.filterOf(segment, reader)
    if (!this.selection.select(segment, filter, reader, block, lines)) return false
    this.found += this.selection.count
    if (this.found < this.from.last!) return false
    this.skip = this.found - this.from.last!
    return true
  }

  /** Visits the next events, at most so many. False when there are no more. */
  next(most: number, visit: Visit): boolean {
    const { segments } = this.snapshot
    let blocks = 0
    this.left = most
    while (this.left > 0 && blocks < BLOCKS_AT_ONCE) {
      const segment = segments[this.segment]
      if (segment === undefined) return this.left < most
      if (this.block > segment.depth) {
        this.segment += 1
        this.block = 0
        continue
      }
      if (this.block < 0) this.block = 0
      if (this.lines?.segment !== segment) {
        this.lines = new LineReader(this.directory, segment, this.index.decoder, this.buffer, READ_AHEAD)
      }
      const { lines } = this
      segment.index.use((reader) => {
        try {
          for (; this.block <= segment.depth && this.left > 0 && blocks < BLOCKS_AT_ONCE; blocks++) {
            const block = this.blockAt(segment, reader)
            if (block !== undefined && block.rows > 0) this.read(segment, reader, block, lines, visit)
            // The rest of a block comes the next time.
            if (this.isSelected && this.place < this.selection.count && this.left === 0) return
            this.block += 1
            this.place = 0
            this.isSelected = false
          }
        } finally {
          lines.close()
        }
      })
    }
    return true
  }

  /** Reads the events of a block from the next row on. */
  private read(
    segment: IndexedSegment,
    reader: IndexReader,
    block: Block.Block,
    lines: LineReader,
    visit: Visit
  ): void {
    const { after } = this.from
    const { selection } = this
    if (!this.isSelected) {
      if (!selection.select(segment, this.filterOf(segment, reader), reader, block, lines)) return
      selection.readStarts(reader, block)
      this.isSelected = true
      if (selection.count > block.rows / PART_AT_ONCE) {
        lines.prepareBlock(block, block.depth === 0 ? 0 : reader.block(block.depth - 1).contentCheck)
      }
    }
    const { count, lasts, rows, starts } = selection
    const isCut = after?.segment !== undefined && SegmentName.order(segment.name, after.segment) === 0
    for (; this.place < count && this.left > 0; this.place++) {
      const row = rows[this.place]!
      if (isCut && starts[row]! < after.offset) continue
      if (this.skip > 0) {
        this.skip -= 1
        continue
      }
      const before = row + 1 < block.rows ? starts[row + 1]! : block.to
      const event = lines.read(starts[row]!, before, lasts[row]!)
      this.left -= 1
      visit(event, lines.positionAt(lines.next))
    }
  }
}
