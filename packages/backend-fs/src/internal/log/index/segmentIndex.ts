import { crc32 } from "node:zlib"
import type { Disk } from "../../disk.ts"
import { unlessCode } from "../../diskError.ts"
import { closing } from "../../fileOperations.ts"
import type * as SegmentName from "../segmentName.ts"
import * as Block from "./block.ts"
import { Words } from "./column.ts"
import { LineBytes } from "./lineBytes.ts"
import { Lists } from "./lists.ts"

/**
 * Thrown where a side file is not what it was, or does not agree with its segment: it is made again, and the question is asked
 * again.
 *
 * @internal
 */
export class IndexDamaged {
  readonly key: string
  /** It was a line that was not the one of its row. */
  readonly isOfLine: boolean
  /** The index that was read. Absent: the one that is in use. */
  readonly index: SegmentIndex | undefined

  constructor(key: string, isOfLine = false, index?: SegmentIndex) {
    this.key = key
    this.isOfLine = isOfLine
    this.index = index
  }
}

/** The largest part of a block that is read. */
const LARGEST_GROUP = 1_073_741_824

const FIRST_CAPACITY = 65_536

/** Bytes of lines of a page that are read at once. */
const LINES = 196_608

/**
 * Bytes that blocks are read into. What was read is good until the next read.
 *
 * @internal
 */
export class Scratch {
  words = new Words(FIRST_CAPACITY)
  /** Columns of the block of which lines are read. */
  places = {
    block: undefined as Block.Block | undefined,
    start: new Float64Array(),
    seq: new Float64Array()
  }
  /** Rows of the block that a query looks at. */
  readonly lists = new Lists()
  private lineBytes: LineBytes | undefined

  /** Memory for the lines of a page: memory that is taken anew for each is given back late. */
  get lines(): LineBytes {
    return (this.lineBytes ??= new LineBytes(Buffer.allocUnsafeSlow(LINES)))
  }

  /** The columns, for so many rows at least, to be read into; then they are those of no block. */
  placesFor(rows: number): Scratch["places"] {
    if (this.places.seq.length < rows) {
      this.places = { block: undefined, start: new Float64Array(rows), seq: new Float64Array(rows) }
    }
    this.places.block = undefined
    return this.places
  }

  reserve(length: number): Words {
    if (this.words.bytes.length < length) this.words = new Words(2 * length)
    return this.words
  }
}

/**
 * The side file of one segment, or what there is in memory in place of one.
 *
 * A chain of blocks, each of which names the one before it. The file is only ever appended to. Where two processes append at once,
 * the last block of the file has a chain of its own, and what is not in it is left out.
 *
 * @internal
 */
export class SegmentIndex {
  readonly key: string
  /** Where the file is; it may not be there. */
  path: string
  /** Device and inode of the file; undefined where there is none. */
  identity: string | undefined
  /** The blocks of the chain by their depth, as far as they were read. */
  private readonly blocks: Array<Block.Block | undefined> = []
  tip: Block.Block | undefined
  disk: Disk
  private noted: { readonly block: Block.Block; readonly notes: Block.Notes } | undefined

  constructor(disk: Disk, key: string, path: string) {
    this.disk = disk
    this.key = key
    this.path = path
  }

  /** The index in a file; one without blocks where there is no file, or none that can be used. */
  static open(disk: Disk, key: string, path: string): SegmentIndex {
    const index = new SegmentIndex(disk, key, path)
    const opened = unlessCode(["ENOENT", "ELOOP", "EISDIR"], () => disk.openToRead(path))
    if (opened === undefined) return index
    closing(disk, opened, (file) => {
      const status = disk.statusOf(file)
      if (status.kind !== "file") return
      index.identity = status.identity
      const end = Buffer.alloc(Block.TRAILER_LENGTH)
      const at = status.size - end.length
      if (at < 0 || disk.read(file, end, 0, end.length, at) < end.length) return
      const length = Block.lastLength(end)
      if (length === undefined || length > status.size) return
      const tip = index.readHeader(file, status.size - length)
      if (tip === undefined || tip.length !== length) return
      index.tip = tip
      index.blocks[tip.depth] = tip
    })
    return index
  }

  /** Offset in the segment up to which lines are indexed. */
  get covered(): number {
    return this.tip?.to ?? 0
  }

  /** Number of blocks. */
  get length(): number {
    return this.tip === undefined ? 0 : this.tip.depth + 1
  }

  /** Continues with a file that has the same blocks. */
  moveTo(disk: Disk, path: string, identity: string | undefined): void {
    this.disk = disk
    this.path = path
    this.identity = identity
  }

  /** What a block of the index, or one after it, tells in JSON; the last answer is kept. */
  notesOf(block: Block.Block, scratch: Scratch): Block.Notes {
    if (this.noted?.block !== block) this.noted = { block, notes: this.use((reader) => reader.notesOf(block, scratch)) }
    return this.noted.notes
  }

  /** Adds a block that was written to the file, or is kept in memory. */
  push(block: Block.Block): void {
    this.blocks[block.depth] = block
    this.tip = block
  }

  private readHeader(file: number, offset: number): Block.Block | undefined {
    const header = Buffer.allocUnsafeSlow(Block.HEADER)
    if (this.disk.read(file, header, 0, header.length, offset) < header.length) return undefined
    return Block.parseHeader(header, offset)
  }

  /** Uses the file, which is open meanwhile. */
  use<A>(use: (reader: IndexReader) => A): A {
    const reader = new IndexReader(this)
    try {
      return use(reader)
    } finally {
      reader.close()
    }
  }

  known(depth: number): Block.Block | undefined {
    return this.blocks[depth]
  }

  /** Takes the header of the block before one. */
  takePrevious(header: Buffer, block: Block.Block): Block.Block {
    const previous = Block.parseHeader(header, block.previous)
    if (
      previous === undefined ||
      previous.check !== block.previousCheck ||
      previous.depth !== block.depth - 1 ||
      previous.to !== block.from
    ) {
      throw new IndexDamaged(this.key, false, this)
    }
    this.blocks[previous.depth] = previous
    return previous
  }

  /** Forgets all headers but the last. */
  forget(): void {
    const { tip } = this
    if (tip === undefined || this.blocks.some((block) => block?.memory !== undefined)) return
    this.blocks.length = 0
    this.blocks[tip.depth] = tip
  }
}

/**
 * Reads the blocks of a side file while it is open.
 *
 * @internal
 */
export class IndexReader {
  readonly index: SegmentIndex
  private readonly disk: Disk
  private file: number | undefined

  constructor(index: SegmentIndex) {
    this.index = index
    this.disk = index.disk
  }

  private readPrevious(block: Block.Block): Block.Block {
    const header = Buffer.allocUnsafe(Block.HEADER)
    const found = this.disk.read(this.opened(), header, 0, header.length, block.previous)
    return this.index.takePrevious(found === header.length ? header : header.subarray(0, found), block)
  }

  close(): void {
    if (this.file !== undefined) this.disk.close(this.file)
    this.file = undefined
  }

  private opened(): number {
    if (this.file !== undefined) return this.file
    const { identity, key, path } = this.index
    const file = unlessCode(["ENOENT", "ELOOP", "EISDIR"], () => this.disk.openToRead(path))
    if (file === undefined) throw new IndexDamaged(key, false, this.index)
    this.file = file
    if (this.disk.statusOf(file).identity !== identity) throw new IndexDamaged(key, false, this.index)
    return file
  }

  /** The block at a depth. */
  block(depth: number): Block.Block {
    const { index } = this
    let block = index.known(depth)
    if (block !== undefined) return block
    let above = depth + 1
    while ((block = index.known(above)) === undefined) above++
    while (block.depth > depth) block = index.known(block.depth - 1) ?? this.readPrevious(block)
    return block
  }

  /** Reads a group of a block, and answers the words that have it from their start. */
  group(block: Block.Block, group: number, scratch: Scratch): Words {
    const { check, length, offset } = block.groupOf(group)
    if (length > LARGEST_GROUP) throw new IndexDamaged(this.index.key, false, this.index)
    const words = scratch.reserve(length)
    if (length === 0) return words
    if (block.memory !== undefined) {
      words.bytes.set(block.memory.bytes.subarray(offset, offset + length))
      return words
    }
    const found = this.disk.read(this.opened(), words.bytes, 0, length, block.offset + offset)
    if (found < length || crc32(words.bytes.subarray(0, length)) !== check)
      throw new IndexDamaged(this.index.key, false, this.index)
    return words
  }

  notesOf(block: Block.Block, scratch: Scratch): Block.Notes {
    return Block.readNotes(this.group(block, Block.GROUP.relations, scratch))
  }

  rangesOf(block: Block.Block, scratch: Scratch): Block.Ranges {
    return Block.readRanges(this.group(block, Block.GROUP.relations, scratch))
  }

  relationsOf(block: Block.Block, scratch: Scratch): Block.Relations {
    return Block.readRelations(this.group(block, Block.GROUP.relations, scratch), block)
  }

  originsOf(block: Block.Block, scratch: Scratch): Block.OriginTable | undefined {
    const { length } = block.groupOf(Block.GROUP.origins)
    return length === 0 ? undefined : Block.readOrigins(this.group(block, Block.GROUP.origins, scratch), length)
  }

  /** Visits entries of dictionaries of the first `depth` blocks; `wanted` has a bit for each dictionary. */
  visitEntries(
    depth: number,
    wanted: number,
    scratch: Scratch,
    visit: (words: Words, dictionary: number, id: number, start: number, end: number) => void
  ): void {
    for (let one = 0; one < depth; one++) {
      const block = this.block(one)
      if (block.groupOf(Block.GROUP.dictionaries).length === 0) continue
      const words = this.group(block, Block.GROUP.dictionaries, scratch)
      Block.visitEntries(words, block, wanted, (dictionary, id, start, end) => visit(words, dictionary, id, start, end))
    }
  }
}

/**
 * A segment, as far as it is indexed.
 *
 * @internal
 */
export interface IndexedSegment {
  readonly name: SegmentName.SegmentName
  readonly index: SegmentIndex
  /** Number of blocks of the index that are meant. */
  readonly depth: number
  /** What comes after them, in memory. */
  readonly tail: Block.Block | undefined
  /** Of the segment, in bytes. */
  readonly size: number
  readonly identity: string
  readonly made: number
}

/**
 * The newest block of a segment, of which the counts are those of the whole segment.
 *
 * @internal
 */
export const topOf = ({ depth, index, tail }: IndexedSegment): Block.Block | undefined =>
  tail ?? (depth === 0 ? undefined : index.use((reader) => reader.block(depth - 1)))
