/**
 * A block of a side file: what the lines between two offsets of a segment hold, as columns. `docs/reference/event-log.md`
 * has the format in full.
 */
import * as os from "node:os"
import { crc32 } from "node:zlib"
import * as Column from "./column.ts"

/** `TIX3`; columns are in the byte order of the machine, so one with the other byte order makes files of its own. */
const MAGIC = os.endianness() === "LE" ? 0x33584954 : 0x43584954
/** At the end of a block, from where the file is read backwards. */
const END_MAGIC = 0x32584954

const TWO_32 = 4_294_967_296

/**
 * Rows of lines; or nothing but the note that a sealed segment was compared.
 *
 * @internal
 */
export const KIND = { rows: 1, note: 2 } as const

/**
 * The columns, in their order in a block.
 *
 * @internal
 */
export const COLUMN = {
  /** Type and reason. */
  reason: 0,
  source: 1,
  object: 2,
  /** Of the event itself. */
  namespace: 3,
  /** Labels and cluster. */
  context: 4,
  /** A hash of the name of the event object; 0 where it is the one that follows from the identity. */
  name: 5,
  last: 6,
  /** Bits; a row that is never the state of its series has a 1. */
  dead: 7,
  origin: 8,
  seq: 9,
  /** Less the seq. */
  upTo: 10,
  /** Where the line starts, from the start of the line of the row before, or of the block. */
  start: 11
} as const

const COLUMNS = 12

/** Columns of group 0; the others are in group 1. */
const FILTER_COLUMNS = 8

/**
 * The dictionaries, each of the column of the same number.
 *
 * @internal
 */
export const DICTIONARY = { reason: 0, source: 1, object: 2, namespace: 3, context: 4, origin: 5 } as const

/** @internal */
export const DICTIONARIES = 6

/**
 * What is read, and checked, at once.
 *
 * @internal
 */
export const GROUP = { filter: 0, identity: 1, dictionaries: 2, relations: 3, origins: 4 } as const

const GROUPS = 5

const AT = {
  magic: 0,
  kind: 4,
  length: 8,
  check: 12,
  depth: 16,
  previousCheck: 20,
  previous: 24,
  from: 32,
  to: 40,
  contentCheck: 48,
  endCheck: 52,
  rows: 56,
  live: 60,
  firstRow: 64,
  liveSoFar: 68,
  minLast: 72,
  maxLast: 80,
  maxLastSoFar: 88,
  damagedLines: 96,
  flags: 100,
  damagedBytes: 104,
  dictionarySizes: 112,
  supersedes: 136,
  repeats: 140,
  groups: 144,
  columns: 208
} as const

/** @internal */
export const HEADER = AT.columns + COLUMNS * 16

/** Bytes after the groups: the length of the block, and the magic number. */
const TRAILER = 8

/**
 * A bit of the flags for each dictionary: that some row has an entry which was too long to be kept (number 0), so that only its
 * line tells.
 *
 * @internal
 */
export const untold = (dictionary: number): number => 1 << dictionary

/**
 * The bit of the flags that says that lines were read without checksums.
 *
 * @internal
 */
export const PLAIN = 256

/**
 * The bit of the flags that says that each line was decoded, because one with a valid checksum was no event.
 *
 * @internal
 */
export const STRICT = 512

/**
 * The bits of all dictionaries.
 *
 * @internal
 */
export const UNTOLD = 63

/** Through a view, as all that is read: a query looks at thousands of numbers before the methods of buffers are compiled. */
const int64At = (view: DataView, at: number): number => view.getInt32(at + 4, true) * TWO_32 + view.getUint32(at, true)

const writeInt64 = (bytes: Buffer, at: number, value: number): void => {
  const high = Math.floor(value / TWO_32)
  bytes.writeUInt32LE(value - high * TWO_32, at)
  bytes.writeInt32LE(high, at + 4)
}

/**
 * A row of this segment or an earlier one that later rows make history.
 *
 * @internal
 */
export interface Relations {
  /** The rows that rows of this block supersede: the segment by its number in `Notes.segments`, and the row in it. */
  readonly supersededSegment: Uint32Array
  readonly supersededRow: Uint32Array
  /** The segment on which it depends whether the superseded row was alive, or `NO_SEGMENT`. */
  readonly supersededUnless: Uint32Array
  /** Rows of the segment that count only where an earlier segment is gone: the row, and that segment. */
  readonly repeatRow: Uint32Array
  readonly repeatSegment: Uint32Array
}

/** @internal */
export const NO_SEGMENT = 0xffffffff

/** @internal */
export const noRelations: Relations = {
  supersededSegment: new Uint32Array(),
  supersededRow: new Uint32Array(),
  supersededUnless: new Uint32Array(),
  repeatRow: new Uint32Array(),
  repeatSegment: new Uint32Array()
}

/**
 * The smallest and the greatest seq of each origin that is in the block.
 *
 * @internal
 */
export interface Ranges {
  readonly origin: Uint32Array
  readonly least: Float64Array
  readonly greatest: Float64Array
}

/**
 * The segment before this one, as it was when this one was indexed. Rows of this one name rows of all segments before it by their
 * numbers, so what is noted tells whether any of them has other lines.
 *
 * @internal
 */
export interface Predecessor {
  readonly key: string
  readonly size: number
  /** Checksum of its bytes. */
  readonly content: number
  /** Whether each of its lines was decoded, which leaves some out. */
  readonly isStrict: boolean
  /** `historyOf` its own predecessor; 0 where it was the first. */
  readonly before: number
}

/**
 * A number for all segments up to a predecessor: the sum of one for each. So two histories can be compared also where the oldest
 * segments were removed since.
 *
 * @internal
 */
export const historyOf = ({ before, content, isStrict, key, size }: Predecessor): number =>
  (before + crc32(`${key} ${size} ${content} ${isStrict}`)) >>> 0

/**
 * All origins of a segment so far: their texts and ranges of seqs, in the order of their numbers from 1; or, where they are
 * many, only sorted hashes of them.
 *
 * @internal
 */
export interface OriginTable {
  readonly texts: ReadonlyArray<string>
  readonly least: Float64Array
  readonly greatest: Float64Array
  readonly hashes: Uint32Array
}

/**
 * What a block tells in JSON.
 *
 * @internal
 */
export interface Notes {
  /** Absent where the segment was the first. */
  readonly predecessor?: Predecessor
  /** Keys of the segments that `relations` and `counts` name by their place in this list; the first is this one. */
  readonly segments: ReadonlyArray<string>
  /**
   * How many rows were superseded by rows of this segment so far (`[segment, unless, count]`), and how many rows of it
   * repeat one of an earlier segment (`[segment, count]`).
   */
  readonly superseded: ReadonlyArray<readonly [segment: number, unless: number, count: number]>
  readonly repeated: ReadonlyArray<readonly [segment: number, count: number]>
  /** Of a note: size and time of change of the segment when all of it was compared. */
  readonly sealed?: { readonly size: number; readonly modified: number }
}

/**
 * What a block is made of.
 *
 * @internal
 */
export interface Content {
  readonly kind: number
  readonly depth: number
  readonly previous: number
  readonly previousCheck: number
  readonly from: number
  readonly to: number
  /** Of the bytes of the segment from its start up to `to`. */
  readonly contentCheck: number
  readonly endCheck: number
  readonly rows: number
  readonly firstRow: number
  readonly liveBefore: number
  readonly maxLastBefore: number
  readonly damagedLines: number
  readonly damagedBytes: number
  readonly flags: number
  readonly dictionarySizes: ReadonlyArray<number>
  /** By their numbers; `dead` has 0 or 1 for each row. */
  readonly columns: ReadonlyArray<Float64Array | Uint32Array>
  /** The new entries of each dictionary, as Latin-1 texts of their bytes. */
  readonly entries: ReadonlyArray<ReadonlyArray<string>>
  readonly ranges: Ranges
  readonly relations: Relations
  readonly notes: Notes
  /** Absent where the block says nothing of all origins. */
  readonly origins?: OriginTable | undefined
}

/**
 * A block that was read, or is in memory only.
 *
 * @internal
 */
export class Block {
  readonly header: Buffer
  /** The header, read without the checks of `Buffer`, which take long in a new process. */
  private readonly view: DataView
  /** Offset in the side file. */
  readonly offset: number
  /** All of it, where it is in memory. */
  readonly memory: Column.Words | undefined
  readonly length: number
  readonly kind: number
  readonly depth: number
  readonly check: number
  readonly from: number
  readonly to: number
  readonly rows: number
  readonly live: number
  readonly firstRow: number
  readonly liveSoFar: number
  readonly minLast: number
  readonly maxLast: number
  readonly maxLastSoFar: number
  readonly supersedes: number
  readonly repeats: number

  constructor(header: Buffer, offset: number, memory?: Column.Words, view: DataView = viewOf(header)) {
    this.header = header
    this.offset = offset
    this.memory = memory
    this.view = view
    this.length = view.getUint32(AT.length, true)
    this.kind = view.getUint32(AT.kind, true)
    this.depth = view.getUint32(AT.depth, true)
    this.check = view.getUint32(AT.check, true)
    this.from = int64At(view, AT.from)
    this.to = int64At(view, AT.to)
    this.rows = view.getUint32(AT.rows, true)
    this.live = view.getUint32(AT.live, true)
    this.firstRow = view.getUint32(AT.firstRow, true)
    this.liveSoFar = view.getUint32(AT.liveSoFar, true)
    this.minLast = int64At(view, AT.minLast)
    this.maxLast = int64At(view, AT.maxLast)
    this.maxLastSoFar = int64At(view, AT.maxLastSoFar)
    this.supersedes = view.getUint32(AT.supersedes, true)
    this.repeats = view.getUint32(AT.repeats, true)
  }

  get previous(): number {
    return int64At(this.view, AT.previous)
  }

  get previousCheck(): number {
    return this.view.getUint32(AT.previousCheck, true)
  }

  /** Checksum of the segment up to `to`. */
  get contentCheck(): number {
    return this.view.getUint32(AT.contentCheck, true)
  }

  /** Checksum of the last 256 bytes of the segment before `to`. */
  get endCheck(): number {
    return this.view.getUint32(AT.endCheck, true)
  }

  /** Damaged lines of the segment up to the end of this block. */
  get damagedLines(): number {
    return this.view.getUint32(AT.damagedLines, true)
  }

  get damagedBytes(): number {
    return int64At(this.view, AT.damagedBytes)
  }

  get flags(): number {
    return this.view.getUint32(AT.flags, true)
  }

  /** Number of entries of a dictionary up to the end of this block. */
  dictionarySize(dictionary: number): number {
    return this.view.getUint32(AT.dictionarySizes + 4 * dictionary, true)
  }

  groupOf(group: number): { readonly offset: number; readonly length: number; readonly check: number } {
    const at = AT.groups + 12 * group
    return {
      offset: this.view.getUint32(at, true),
      length: this.view.getUint32(at + 4, true),
      check: this.view.getUint32(at + 8, true)
    }
  }

  /** A column, where the words hold the block from a group on. */
  columnOf(column: number, shift: number): Column.Column {
    const at = AT.columns + 16 * column
    return {
      offset: this.view.getUint32(at, true) - shift,
      width: this.view.getUint32(at + 4, true) as Column.Width,
      base: int64At(this.view, at + 8)
    }
  }
}

/**
 * The block that has this header; undefined when it is damaged. `header` is kept.
 *
 * @internal
 */
export const parseHeader = (header: Buffer, offset: number): Block | undefined => {
  if (header.length < HEADER) return undefined
  const view = viewOf(header)
  if (view.getUint32(AT.magic, true) !== MAGIC) return undefined
  return headerCheck(header, view) === view.getUint32(AT.check, true)
    ? new Block(header, offset, undefined, view)
    : undefined
}

const viewOf = (header: Buffer): DataView => new DataView(header.buffer, header.byteOffset, HEADER)

/** The checksum of a header, as if it were 0 itself. */
const headerCheck = (header: Buffer, view: DataView): number => {
  const check = view.getUint32(AT.check, true)
  view.setUint32(AT.check, 0, true)
  const found = crc32(header.length === HEADER ? header : header.subarray(0, HEADER))
  view.setUint32(AT.check, check, true)
  return found
}

/**
 * Offset of the last block of a file, from the last bytes of the file; undefined when they are not the end of a block.
 *
 * @internal
 */
export const lastLength = (end: Buffer): number | undefined => {
  if (end.length < TRAILER || end.readUInt32LE(end.length - 4) !== END_MAGIC) return undefined
  const length = end.readUInt32LE(end.length - 8)
  return length >= HEADER + TRAILER && length % 8 === 0 ? length : undefined
}

/** @internal */
export const TRAILER_LENGTH = TRAILER

// ---------------------------------------------------------------------------
// dictionaries, ranges and relations
// ---------------------------------------------------------------------------

/** Writes a dictionary: the number of entries, their lengths, and their bytes. */
const writeEntries = (words: Column.Words, offset: number, entries: ReadonlyArray<string>): number => {
  const { bytes } = words
  bytes.writeUInt32LE(entries.length, offset)
  let at = offset + 4
  for (const entry of entries) {
    bytes.writeUInt32LE(entry.length, at)
    at += 4
  }
  for (const entry of entries) at += bytes.write(entry, at, "latin1")
  const end = Column.align(at)
  bytes.fill(0, at, end)
  return end
}

const sizeOfEntries = (entries: ReadonlyArray<string>): number => {
  let size = 4 + 4 * entries.length
  for (const entry of entries) size += entry.length
  return Column.align(size)
}

/**
 * Visits the entries of the dictionaries of a block that were read into words; `skip` says which dictionaries are not needed.
 *
 * @internal
 */
export const visitEntries = (
  words: Column.Words,
  block: Block,
  wanted: number,
  visit: (dictionary: number, id: number, start: number, end: number) => void
): void => {
  const { view } = words
  let at = 0
  for (let dictionary = 0; dictionary < DICTIONARIES; dictionary++) {
    const count = view.getUint32(at, true)
    at += 4
    let start = at + 4 * count
    if ((wanted & (1 << dictionary)) !== 0) {
      // Entries have numbers from 1.
      let id = block.dictionarySize(dictionary) - count + 1
      for (let index = 0; index < count; index++) {
        const end = start + view.getUint32(at + 4 * index, true)
        visit(dictionary, id, start, end)
        id += 1
        start = end
      }
    } else {
      for (let index = 0; index < count; index++) start += view.getUint32(at + 4 * index, true)
    }
    at = Column.align(start)
  }
}

const putNumbers = (words: Column.Words, offset: number, values: Uint32Array): number => {
  words.u32.set(values, offset >> 2)
  return offset + 4 * values.length
}

const putLongs = (words: Column.Words, offset: number, values: Float64Array): number => {
  for (let index = 0; index < values.length; index++) writeInt64(words.bytes, offset + 8 * index, values[index]!)
  return offset + 8 * values.length
}

const relationsSize = (ranges: Ranges, relations: Relations, notes: Buffer): number =>
  8 +
  Column.align(notes.length) +
  20 * ranges.origin.length +
  12 * relations.supersededRow.length +
  8 * relations.repeatRow.length

/** Writes the notes, the ranges and the relations. */
const writeRelations = (words: Column.Words, offset: number, { ranges, relations }: Content, notes: Buffer): number => {
  const { bytes } = words
  bytes.writeUInt32LE(notes.length, offset)
  bytes.writeUInt32LE(ranges.origin.length, offset + 4)
  notes.copy(bytes, offset + 8)
  let at = Column.align(offset + 8 + notes.length)
  bytes.fill(0, offset + 8 + notes.length, at)
  at = putNumbers(words, at, ranges.origin)
  at = putLongs(words, at, ranges.least)
  at = putLongs(words, at, ranges.greatest)
  at = putNumbers(words, at, relations.supersededSegment)
  at = putNumbers(words, at, relations.supersededRow)
  at = putNumbers(words, at, relations.supersededUnless)
  at = putNumbers(words, at, relations.repeatRow)
  return putNumbers(words, at, relations.repeatSegment)
}

const longsAt = ({ view }: Column.Words, at: number, count: number): Float64Array => {
  const list = new Float64Array(count)
  for (let index = 0; index < count; index++) list[index] = int64At(view, at + 8 * index)
  return list
}

/**
 * Reads the ranges of seqs from the start of the last group of a block. The lists are copies.
 *
 * @internal
 */
export const readRanges = (words: Column.Words): Ranges => {
  const { u32, view } = words
  const count = view.getUint32(4, true)
  const at = rangesAt(words)
  return {
    origin: u32.slice(at >> 2, (at >> 2) + count),
    least: longsAt(words, at + 4 * count, count),
    greatest: longsAt(words, at + 12 * count, count)
  }
}

const rangesAt = ({ view }: Column.Words): number => Column.align(8 + view.getUint32(0, true))

/**
 * Reads what the last group of a block tells in JSON from its start.
 *
 * @internal
 */
export const readNotes = ({ bytes, view }: Column.Words): Notes =>
  JSON.parse(bytes.toString("utf8", 8, 8 + view.getUint32(0, true))) as Notes

/**
 * Reads what the last group of a block says of earlier rows from its start. The lists are copies.
 *
 * @internal
 */
export const readRelations = (words: Column.Words, block: Block): Relations => {
  const { u32, view } = words
  let at = rangesAt(words) + 20 * view.getUint32(4, true)
  const numbers = (count: number): Uint32Array => {
    const list = u32.slice(at >> 2, (at >> 2) + count)
    at += 4 * count
    return list
  }
  return {
    supersededSegment: numbers(block.supersedes),
    supersededRow: numbers(block.supersedes),
    supersededUnless: numbers(block.supersedes),
    repeatRow: numbers(block.repeats),
    repeatSegment: numbers(block.repeats)
  }
}

const originsSize = (origins: OriginTable | undefined): number =>
  origins === undefined ? 0 : 4 + sizeOfEntries(origins.texts) + 16 * origins.texts.length + 4 * origins.hashes.length

const writeOrigins = (words: Column.Words, offset: number, origins: OriginTable): number => {
  words.bytes.writeUInt32LE(origins.hashes.length, offset)
  let at = writeEntries(words, offset + 4, origins.texts)
  at = putLongs(words, at, origins.least)
  at = putLongs(words, at, origins.greatest)
  return putNumbers(words, at, origins.hashes)
}

/**
 * Reads the table of origins from the start of words; undefined where the block has none.
 *
 * @internal
 */
export const readOrigins = (words: Column.Words, length: number): OriginTable | undefined => {
  if (length === 0) return undefined
  const { bytes, view } = words
  const count = view.getUint32(4, true)
  const texts: Array<string> = []
  let at = 8 + 4 * count
  for (let index = 0; index < count; index++) {
    const end = at + view.getUint32(8 + 4 * index, true)
    texts.push(bytes.toString("latin1", at, end))
    at = end
  }
  at = Column.align(at)
  const hashesAt = (at + 16 * count) >> 2
  return {
    texts,
    least: longsAt(words, at, count),
    greatest: longsAt(words, at + 8 * count, count),
    hashes: words.u32.slice(hashesAt, hashesAt + view.getUint32(0, true))
  }
}

// ---------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------

/**
 * The largest and smallest time of no rows.
 *
 * @internal
 */
export const NO_LAST = -Number.MAX_SAFE_INTEGER

/**
 * Memory for one block after the other.
 *
 * @internal
 */
export interface Room {
  readonly reserve: (length: number) => Column.Words
}

/**
 * Writes a block into memory: its own, or that of `room`, where the block is good until the next one is written there.
 *
 * @internal
 */
export const encode = (content: Content, room?: Room): Block => {
  const { columns, entries, ranges, relations, rows } = content
  const notes = Buffer.from(JSON.stringify(content.notes))
  let size = HEADER + COLUMNS * Column.largestColumn(rows) + relationsSize(ranges, relations, notes) + TRAILER + 64
  for (const list of entries) size += sizeOfEntries(list)
  size += originsSize(content.origins)
  const words = room?.reserve(size) ?? new Column.Words(size)
  const { bytes } = words
  bytes.fill(0, 0, HEADER)
  const groups: Array<readonly [start: number, end: number]> = []
  let at: number = HEADER
  let start = at
  let live = rows
  for (let column = 0; column < COLUMNS; column++) {
    if (column === FILTER_COLUMNS) {
      groups.push([start, at])
      start = at
    }
    const values = columns[column]!
    let written: Column.Column
    if (column === COLUMN.dead) {
      let dead = 0
      for (let row = 0; row < rows; row++) dead += values[row]!
      live -= dead
      written = { offset: at, width: dead === 0 ? 0 : 1, base: 0 }
      if (dead > 0) {
        const end = at + Column.align((rows + 7) >> 3)
        bytes.fill(0, at, end)
        for (let row = 0; row < rows; row++) if (values[row] === 1) bytes[at + (row >> 3)]! |= 1 << (row & 7)
        at = end
      }
    } else {
      written = Column.write(words, at, values, rows)
      at += Column.lengthOf(written.width, rows)
    }
    const entry = AT.columns + 16 * column
    bytes.writeUInt32LE(written.offset, entry)
    bytes.writeUInt32LE(written.width, entry + 4)
    writeInt64(bytes, entry + 8, written.base)
  }
  groups.push([start, at])
  start = at
  if (entries.some((list) => list.length > 0)) for (const list of entries) at = writeEntries(words, at, list)
  groups.push([start, at])
  start = at
  at = writeRelations(words, at, content, notes)
  groups.push([start, at])
  start = at
  if (content.origins !== undefined) at = writeOrigins(words, at, content.origins)
  groups.push([start, at])
  const length = (at + TRAILER + 7) & ~7
  bytes.fill(0, at, length)
  bytes.writeUInt32LE(length, length - 8)
  bytes.writeUInt32LE(END_MAGIC, length - 4)

  let minLast = -NO_LAST
  let maxLast = NO_LAST
  const lasts = columns[COLUMN.last]!
  for (let row = 0; row < rows; row++) {
    if (lasts[row]! < minLast) minLast = lasts[row]!
    if (lasts[row]! > maxLast) maxLast = lasts[row]!
  }
  bytes.writeUInt32LE(MAGIC, AT.magic)
  bytes.writeUInt32LE(content.kind, AT.kind)
  bytes.writeUInt32LE(length, AT.length)
  bytes.writeUInt32LE(content.depth, AT.depth)
  bytes.writeUInt32LE(content.previousCheck, AT.previousCheck)
  writeInt64(bytes, AT.previous, content.previous)
  writeInt64(bytes, AT.from, content.from)
  writeInt64(bytes, AT.to, content.to)
  bytes.writeUInt32LE(content.contentCheck, AT.contentCheck)
  bytes.writeUInt32LE(content.endCheck, AT.endCheck)
  bytes.writeUInt32LE(rows, AT.rows)
  bytes.writeUInt32LE(live, AT.live)
  bytes.writeUInt32LE(content.firstRow, AT.firstRow)
  bytes.writeUInt32LE(content.liveBefore + live, AT.liveSoFar)
  writeInt64(bytes, AT.minLast, minLast)
  writeInt64(bytes, AT.maxLast, maxLast)
  writeInt64(bytes, AT.maxLastSoFar, Math.max(content.maxLastBefore, maxLast))
  bytes.writeUInt32LE(content.damagedLines, AT.damagedLines)
  bytes.writeUInt32LE(content.flags, AT.flags)
  writeInt64(bytes, AT.damagedBytes, content.damagedBytes)
  for (const [dictionary, count] of content.dictionarySizes.entries()) {
    bytes.writeUInt32LE(count, AT.dictionarySizes + 4 * dictionary)
  }
  bytes.writeUInt32LE(relations.supersededRow.length, AT.supersedes)
  bytes.writeUInt32LE(relations.repeatRow.length, AT.repeats)
  for (let group = 0; group < GROUPS; group++) {
    const [from, to] = groups[group]!
    bytes.writeUInt32LE(from, AT.groups + 12 * group)
    bytes.writeUInt32LE(to - from, AT.groups + 12 * group + 4)
    bytes.writeUInt32LE(crc32(bytes.subarray(from, to)), AT.groups + 12 * group + 8)
  }
  bytes.writeUInt32LE(headerCheck(bytes, words.view), AT.check)
  return new Block(Buffer.from(bytes.subarray(0, HEADER)), 0, words)
}
