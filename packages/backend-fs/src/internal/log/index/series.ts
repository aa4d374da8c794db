import * as Block from "./block.ts"
import * as Column from "./column.ts"
import type { Rows } from "./rows.ts"
import type { IndexReader, Scratch } from "./segmentIndex.ts"
import type { SegmentOrigins } from "./segmentOrigins.ts"

const RECENT = 64

/** The series of one origin in a block that is being made, of which it is not known what came before. */
interface Wanted {
  /** Its number. */
  readonly origin: number
  least: number
  greatest: number
  open: number
}

/**
 * Memory for the series of one block after the other: memory that is taken anew for each is given back late.
 *
 * @internal
 */
export class SeriesRoom {
  table = new Int32Array()
  origin = new Float64Array()
  seq = new Float64Array()
  row = new Uint32Array()
  upTo = new Float64Array()
  settled = new Uint8Array()

  /** Makes it ready for so many rows, and for a table of a size. */
  clear(rows: number, size: number): void {
    if (this.table.length < size) this.table = new Int32Array(size)
    if (this.seq.length < rows) {
      const most = rows + (rows >> 2)
      this.origin = new Float64Array(most)
      this.seq = new Float64Array(most)
      this.row = new Uint32Array(most)
      this.upTo = new Float64Array(most)
      this.settled = new Uint8Array(most)
    }
    this.table.fill(-1, 0, size)
    this.settled.fill(0, 0, rows)
  }
}

/**
 * The series of a block that is being made, each with its state in the block. Rows that are not that state are marked as dead.
 *
 * @internal
 */
export class BlockSeries {
  count = 0
  /** How many are not settled. */
  open = 0
  readonly origin: Float64Array
  readonly seq: Float64Array
  /** The row that is the state. */
  readonly row: Uint32Array
  readonly upTo: Float64Array
  /** 1 where it is known what came before. */
  readonly settled: Uint8Array
  /** By the number of the origin. */
  readonly wanted = new Map<number, Wanted>()
  /** Some of them, to find them faster. */
  private readonly recent: Array<Wanted | undefined> = Array.from({ length: RECENT }, () => undefined)
  private readonly table: Int32Array
  private readonly mask: number

  /** It is good until the next one is made in the same room. */
  constructor(rows: Rows, room: SeriesRoom) {
    const { columns, count } = rows
    const origins = columns[Block.COLUMN.origin]!
    const seqs = columns[Block.COLUMN.seq]!
    const upTos = columns[Block.COLUMN.upTo]!
    const dead = columns[Block.COLUMN.dead]!
    let size = 16
    while (size < 2 * count) size *= 2
    this.mask = size - 1
    room.clear(count, size)
    this.table = room.table
    this.origin = room.origin
    this.seq = room.seq
    this.row = room.row
    this.upTo = room.upTo
    this.settled = room.settled
    for (let row = 0; row < count; row++) {
      const origin = origins[row]!
      const seq = seqs[row]!
      const slot = this.slotOf(origin, seq)
      const series = this.table[slot]!
      if (series === -1) {
        this.table[slot] = this.count
        this.origin[this.count] = origin
        this.seq[this.count] = seq
        this.row[this.count] = row
        this.upTo[this.count] = upTos[row]!
        this.count += 1
        this.open += 1
        this.want(origin, seq)
      } else if (upTos[row]! > this.upTo[series]!) {
        dead[this.row[series]!] = 1
        this.row[series] = row
        this.upTo[series] = upTos[row]!
      } else {
        dead[row] = 1
      }
    }
  }

  private wantedOf(origin: number): Wanted | undefined {
    const recent = this.recent[origin & (RECENT - 1)]
    return recent?.origin === origin ? recent : this.wanted.get(origin)
  }

  private want(origin: number, seq: number): void {
    const wanted = this.wantedOf(origin)
    if (wanted === undefined) {
      const added = { origin, least: seq, greatest: seq, open: 1 }
      this.wanted.set(origin, added)
      this.recent[origin & (RECENT - 1)] = added
      return
    }
    wanted.open += 1
    if (seq < wanted.least) wanted.least = seq
    if (seq > wanted.greatest) wanted.greatest = seq
  }

  /** The seqs of each origin, in the order in which they came. */
  ranges(): Block.Ranges {
    const { size } = this.wanted
    const ranges = { origin: new Uint32Array(size), least: new Float64Array(size), greatest: new Float64Array(size) }
    let index = 0
    for (const { greatest, least, origin } of this.wanted.values()) {
      ranges.origin[index] = origin
      ranges.least[index] = least
      ranges.greatest[index] = greatest
      index += 1
    }
    return ranges
  }

  private slotOf(origin: number, seq: number): number {
    let hash = Math.imul(origin, 0x9e3779b1) ^ Math.imul(seq | 0, 0x85ebca6b) ^ (seq / 4_294_967_296)
    hash ^= hash >>> 15
    let slot = hash & this.mask
    for (;;) {
      const series = this.table[slot]!
      if (series === -1 || (this.seq[series] === seq && this.origin[series] === origin)) return slot
      slot = (slot + 1) & this.mask
    }
  }

  /** The series of an origin and seq; -1 where it is not in the block. */
  find(origin: number, seq: number): number {
    return this.table[this.slotOf(origin, seq)]!
  }

  /** Whether it may be one of those of which it is not known what came before. */
  isWanted(origin: number, seq: number): boolean {
    const wanted = this.wantedOf(origin)
    return wanted !== undefined && wanted.open > 0 && seq >= wanted.least && seq <= wanted.greatest
  }

  /** How many there are whose seqs are outside of those that the origins of a segment have, so that the segment has none of them. */
  countNew(origins: SegmentOrigins): number {
    let count = 0
    for (let index = 0; index < this.count; index++) {
      const seq = this.seq[index]!
      if (!origins.mayHave(this.origin[index]!, seq, seq)) count += 1
    }
    return count
  }

  settle(series: number): void {
    if (this.settled[series] === 1) return
    this.settled[series] = 1
    this.open -= 1
    this.wanted.get(this.origin[series]!)!.open -= 1
  }
}

/**
 * Numbers of the origins of another segment in this one; 0 where it has none.
 *
 * @internal
 */
export type Translation = (origin: number) => number

/**
 * Whether a block may have series that are wanted.
 *
 * @internal
 */
export const mayHave = (
  series: BlockSeries,
  { greatest, least, origin }: Block.Ranges,
  translate: Translation
): boolean => {
  for (let index = 0; index < origin.length; index++) {
    const wanted = series.wanted.get(translate(origin[index]!))
    if (
      wanted !== undefined &&
      wanted.open > 0 &&
      least[index]! <= wanted.greatest &&
      greatest[index]! >= wanted.least
    ) {
      return true
    }
  }
  return false
}

/**
 * The bits of the rows of a block that are never the state of their series; undefined where there are none. A copy.
 *
 * @internal
 */
export const deadOf = (reader: IndexReader, block: Block.Block, scratch: Scratch): Uint8Array | undefined => {
  const { offset } = block.groupOf(Block.GROUP.filter)
  const column = block.columnOf(Block.COLUMN.dead, offset)
  if (column.width === 0) return undefined
  const { bytes } = reader.group(block, Block.GROUP.filter, scratch)
  return Uint8Array.prototype.slice.call(bytes, column.offset, column.offset + ((block.rows + 7) >> 3))
}

/**
 * Identity and state of each row of a block.
 *
 * @internal
 */
export class Identities {
  origin = new Float64Array()
  seq = new Float64Array()
  upTo = new Float64Array()

  read(reader: IndexReader, block: Block.Block, scratch: Scratch): void {
    const { rows } = block
    if (this.seq.length < rows) {
      this.origin = new Float64Array(2 * rows)
      this.seq = new Float64Array(2 * rows)
      this.upTo = new Float64Array(2 * rows)
    }
    const words = reader.group(block, Block.GROUP.identity, scratch)
    const { offset } = block.groupOf(Block.GROUP.identity)
    Column.read(words, block.columnOf(Block.COLUMN.origin, offset), rows, this.origin)
    Column.read(words, block.columnOf(Block.COLUMN.seq, offset), rows, this.seq)
    Column.read(words, block.columnOf(Block.COLUMN.upTo, offset), rows, this.upTo)
    for (let row = 0; row < rows; row++) this.upTo[row]! += this.seq[row]!
  }
}

/**
 * Visits the rows of a block that may be the state of a series that is not settled.
 *
 * @internal
 */
export const search = (
  reader: IndexReader,
  block: Block.Block,
  series: BlockSeries,
  translate: Translation,
  identities: Identities,
  scratch: Scratch,
  visit: (series: number, row: number, upTo: number) => void
): void => {
  const dead = deadOf(reader, block, scratch)
  identities.read(reader, block, scratch)
  const { origin, seq, upTo } = identities
  for (let row = 0; row < block.rows; row++) {
    if (dead !== undefined && (dead[row >> 3]! & (1 << (row & 7))) !== 0) continue
    const own = translate(origin[row]!)
    if (own === 0 || !series.isWanted(own, seq[row]!)) continue
    const found = series.find(own, seq[row]!)
    if (found !== -1 && series.settled[found] === 0) visit(found, block.firstRow + row, upTo[row]!)
  }
}
