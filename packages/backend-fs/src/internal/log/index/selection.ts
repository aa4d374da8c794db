import * as Block from "./block.ts"
import * as Column from "./column.ts"
import type { FilterPlan, SegmentFilter } from "./filterPlan.ts"
import type { History } from "./history.ts"
import type { Lists } from "./lists.ts"
import type { LineReader } from "./lineReader.ts"
import type { LogIndex } from "./logIndex.ts"
import type { IndexedSegment, IndexReader } from "./segmentIndex.ts"

/** Where fewer rows than this part of a block are meant, their numbers are read one by one. */
const FEW_OF = 8

/**
 * The rows of one block that are the state of their series and match a filter. What later blocks say has to be told before.
 *
 * @internal
 */
export class Selection {
  count = 0
  /** Lines that were read for the last block. */
  linesRead = 0
  private readonly lists: Lists
  private readonly index: LogIndex
  private readonly plan: FilterPlan
  private readonly history: History

  /** What is selected is in `lists`, until others use them. */
  constructor(index: LogIndex, plan: FilterPlan, history: History, lists: Lists) {
    this.index = index
    this.plan = plan
    this.history = history
    this.lists = lists
  }

  /** The rows that are meant, in order: the first so many of the list. */
  get rows(): Uint32Array {
    return this.lists.rows
  }

  /** By the row, for the rows that are meant: when it was last seen. */
  get lasts(): Float64Array {
    return this.lists.lasts
  }

  /** By the row: where the lines start, after `readStarts`. */
  get starts(): Float64Array {
    return this.lists.starts
  }

  /** 1 for each row that can match. */
  private get candidates(): Uint8Array {
    return this.lists.candidates
  }

  /** Selects rows of a block; false where there are none. */
  select(
    segment: IndexedSegment,
    filter: SegmentFilter,
    reader: IndexReader,
    block: Block.Block,
    lines: LineReader
  ): boolean {
    const { plan } = this
    const { rows } = block
    this.linesRead = 0
    this.lists.reserve(rows)
    const words = reader.group(block, Block.GROUP.filter, this.index.scratch)
    this.keepColumns(filter, block, words)
    if (this.count > 0) this.keepAlive(segment, block, words)
    if (this.count > 0) this.keepTimes(block, words)
    if (this.count > 0 && (plan.names !== undefined || plan.ids !== undefined)) {
      this.keepIdentities(segment, reader, block, words)
    }
    if (this.count > 0 && (plan.needsLine || (block.flags & Block.UNTOLD) !== 0)) this.keepLines(reader, block, lines)
    return this.count > 0
  }

  /** Leaves out rows of the list. */
  private keep(isMeant: (row: number) => boolean): void {
    const { count, rows } = this
    let kept = 0
    for (let index = 0; index < count; index++) {
      const row = rows[index]!
      if (isMeant(row)) rows[kept++] = row
    }
    this.count = kept
  }

  /** Leaves out rows that are not the state of their series. */
  private keepAlive(segment: IndexedSegment, block: Block.Block, { bytes }: Column.Words): void {
    const dead = block.columnOf(Block.COLUMN.dead, block.groupOf(Block.GROUP.filter).offset)
    if (dead.width !== 0) this.keep((row) => (bytes[dead.offset + (row >> 3)]! & (1 << (row & 7))) === 0)
    const bits = this.history.bitsOf(segment.name.key)
    if (bits === undefined) return
    const { firstRow } = block
    this.keep((row) => (bits[(firstRow + row) >> 3]! & (1 << ((firstRow + row) & 7))) === 0)
  }

  private keepTimes(block: Block.Block, words: Column.Words): void {
    const { lasts, plan } = this
    const column = block.columnOf(Block.COLUMN.last, block.groupOf(Block.GROUP.filter).offset)
    if (this.count > block.rows / FEW_OF) Column.read(words, column, block.rows, lasts)
    else {
      for (let index = 0; index < this.count; index++) {
        const row = this.rows[index]!
        lasts[row] = Column.at(words, column, block.rows, row)
      }
    }
    if (block.minLast >= plan.since && block.maxLast <= plan.until) return
    this.keep((row) => lasts[row]! >= plan.since && lasts[row]! <= plan.until)
  }

  /** Begins the list with the rows whose entries can match. */
  private keepColumns(filter: SegmentFilter, block: Block.Block, words: Column.Words): void {
    const { offset } = block.groupOf(Block.GROUP.filter)
    const searched = filter.few.findIndex(
      (numbers, dictionary) => numbers !== undefined && (block.flags & Block.untold(dictionary)) === 0
    )
    if (searched === -1 || filter.implied !== undefined) return this.keepAllColumns(filter, block, words, offset)
    const column = block.columnOf(searched, offset)
    const numbers = filter.few[searched]!
    let count = 0
    for (const number of numbers) count = Column.findRows(words, column, block.rows, number, this.rows, count)
    if (numbers.length > 1) this.rows.subarray(0, count).sort()
    this.count = count
    for (const [dictionary, allowed] of filter.allowed.entries()) {
      if (allowed === undefined || dictionary === searched || this.count === 0) continue
      const other = block.columnOf(dictionary, offset)
      this.keep((row) => allowed[Column.at(words, other, block.rows, row)] === 1)
    }
  }

  /** The same by looking at each row. */
  private keepAllColumns(filter: SegmentFilter, block: Block.Block, words: Column.Words, offset: number): void {
    const { candidates } = this
    const { rows } = block
    if (this.plan.dictionaries === 0) {
      for (let row = 0; row < rows; row++) this.rows[row] = row
      this.count = rows
      return
    }
    candidates.fill(1, 0, rows)
    for (const [dictionary, allowed] of filter.allowed.entries()) {
      if (allowed === undefined || dictionary === Block.DICTIONARY.namespace) continue
      Column.keepAllowed(words, block.columnOf(dictionary, offset), rows, allowed, candidates)
    }
    this.keepNamespaces(filter, block, words, offset)
    let count = 0
    for (let row = 0; row < rows; row++) if (candidates[row] === 1) this.rows[count++] = row
    this.count = count
  }

  private keepNamespaces(filter: SegmentFilter, block: Block.Block, words: Column.Words, offset: number): void {
    const { candidates } = this
    const { rows } = block
    const { implied, impliedNumbers } = filter
    const namespaces = filter.allowed[Block.DICTIONARY.namespace]
    if (implied === undefined || namespaces === undefined) return
    const own = block.columnOf(Block.COLUMN.namespace, offset)
    const objects = block.columnOf(Block.COLUMN.object, offset)
    if (own.width === 0 && impliedNumbers.has(own.base)) {
      Column.keepAllowed(words, objects, rows, implied, candidates)
      return
    }
    const numbers = new Uint32Array(rows)
    const objectNumbers = new Uint32Array(rows)
    Column.read(words, own, rows, numbers)
    Column.read(words, objects, rows, objectNumbers)
    for (let row = 0; row < rows; row++) {
      candidates[row]! &= impliedNumbers.has(numbers[row]!) ? implied[objectNumbers[row]!]! : namespaces[numbers[row]!]!
    }
  }

  /** Leaves out rows that have none of the wanted identities and names. */
  private keepIdentities(
    segment: IndexedSegment,
    reader: IndexReader,
    block: Block.Block,
    filterWords: Column.Words
  ): void {
    const { plan } = this
    const { scratch } = this.index
    const { rows } = block
    const filterOffset = block.groupOf(Block.GROUP.filter).offset
    const names = plan.names === undefined ? undefined : new Float64Array(rows)
    if (names !== undefined) Column.read(filterWords, block.columnOf(Block.COLUMN.name, filterOffset), rows, names)
    const origins = new Float64Array(rows)
    const seqs = new Float64Array(rows)
    const table = plan.ids === undefined ? undefined : this.index.originsOf(segment)
    const words = reader.group(block, Block.GROUP.identity, scratch)
    const { offset } = block.groupOf(Block.GROUP.identity)
    Column.read(words, block.columnOf(Block.COLUMN.origin, offset), rows, origins)
    Column.read(words, block.columnOf(Block.COLUMN.seq, offset), rows, seqs)
    if (table !== undefined) {
      const wanted = new Map<number, Set<number>>()
      for (const { origin, seq } of plan.ids!) {
        const number = table.numberOf(origin)
        if (number !== 0) wanted.set(number, (wanted.get(number) ?? new Set()).add(seq))
      }
      this.keep((row) => wanted.get(origins[row]!)?.has(seqs[row]!) === true)
    }
    if (names !== undefined) {
      const { hashes, seqs: wanted } = plan.names!
      this.keep((row) => (names[row] === 0 ? wanted.has(seqs[row]!) : hashes.has(names[row]!)))
    }
  }

  /** Leaves out rows of which the lines do not match. */
  private keepLines(reader: IndexReader, block: Block.Block, lines: LineReader): void {
    const { lasts, plan } = this
    this.readStarts(reader, block)
    const { starts } = this
    this.linesRead += this.count
    this.keep((row) => {
      const end = row + 1 < block.rows ? starts[row + 1]! : block.to
      return plan.matches(lines.read(starts[row]!, end, lasts[row]!))
    })
  }

  /** Where the lines of a block start. */
  readStarts(reader: IndexReader, block: Block.Block): void {
    const words = reader.group(block, Block.GROUP.identity, this.index.scratch)
    const { offset } = block.groupOf(Block.GROUP.identity)
    Column.read(words, block.columnOf(Block.COLUMN.start, offset), block.rows, this.starts)
    let at = block.from
    for (let row = 0; row < block.rows; row++) {
      at += this.starts[row]!
      this.starts[row] = at
    }
  }
}
