import * as Context from "effect/Context"
import { crc32 } from "node:zlib"
import { LineSlices, type SegmentSource } from "../segment.ts"
import * as Block from "./block.ts"
import { Dictionaries, Rows } from "./rows.ts"
import { type IndexedSegment, type IndexReader, Scratch, type SegmentIndex } from "./segmentIndex.ts"
import { SegmentOrigins } from "./segmentOrigins.ts"
import { BlockSeries, Identities, mayHave, search, SeriesRoom } from "./series.ts"

/**
 * Bytes of a segment that one block covers, at least, while the segment grows. Tests use smaller blocks.
 *
 * @internal
 */
export const Step: Context.Reference<number> = Context.Reference<number>("@tidings/backend-fs/IndexStep", {
  defaultValue: () => 1_048_576
})

/** A table of all origins is in every such block. */
const ORIGINS_EACH = 4

/** Bytes before the end of a block that are compared before it is relied on. */
const CHECKED = 256

/**
 * Checksum of the last bytes before an offset of a segment; undefined where the segment is shorter.
 *
 * @internal
 */
export const checkBefore = (source: SegmentSource, offset: number): number | undefined => {
  const length = Math.min(offset, CHECKED)
  if (length === 0) return 0
  const bytes = Buffer.allocUnsafe(length)
  return source.read(bytes, 0, length, offset - length) === length ? crc32(bytes) : undefined
}

/**
 * What the segments before one have of its series.
 *
 * @internal
 */
export interface Earlier {
  readonly segments: ReadonlyArray<IndexedSegment>
  /** The origins of one of them. */
  readonly originsOf: (segment: IndexedSegment) => SegmentOrigins
  /** The places of those that may have some series of origins, newest first. */
  readonly find: (
    wanted: ReadonlyArray<readonly [origin: string, least: number, greatest: number]>
  ) => ReadonlyArray<number>
}

interface Surroundings {
  readonly source: SegmentSource
  readonly earlier: Earlier
  readonly predecessor: Block.Predecessor | undefined
}

interface Options extends Surroundings {
  readonly index: SegmentIndex
  readonly scratch: Scratch
  /** Whether each line is decoded: after one that has a valid checksum turned out to be no event. */
  readonly isStrict: boolean
  /** The most bytes that are read at once. */
  readonly slice: number
  readonly parts: BuilderParts
}

/**
 * Memory for one builder after the other: memory that is taken anew for each segment is given back late.
 *
 * @internal
 */
export class BuilderParts {
  readonly rows = new Rows(new Dictionaries(Array.from({ length: Block.DICTIONARIES }, () => 0)))
  readonly identities = new Identities()
  readonly room = new Scratch()
  readonly series = new SeriesRoom()
  /** How many blocks were made with it for a side file. */
  made = 0
}

type SupersededCounts = Map<string, [segment: number, unless: number, count: number]>

const keyOf = (segment: number, unless: number): string => `${segment} ${unless}`

/**
 * Makes the blocks of a segment from its lines, one after the other.
 *
 * @internal
 */
export class SegmentBuilder {
  private options: Options
  private hasEntries: boolean
  private readonly lines: LineSlices
  private readonly rows: Rows
  private readonly dictionaries: Dictionaries
  private readonly origins: SegmentOrigins
  /** They are those of another builder after the last use of this one. */
  readonly parts: BuilderParts
  private readonly ranges: Array<Block.Ranges | undefined> = []
  /** By their numbers in the notes. */
  private readonly segments: Array<string>
  private superseded: SupersededCounts = new Map()
  private repeated = new Map<number, number>()
  private tip: Block.Block | undefined
  private from: number
  /** Checksum of the segment up to the offset up to which lines were read. */
  private contentCheck: number
  /** Checksum of the bytes before the offset up to which lines were read. */
  private endCheck: number
  private damagedLines: number
  private damagedBytes: number

  constructor(options: Options) {
    const { index, scratch, source } = options
    this.options = options
    this.tip = index.tip
    const { tip } = this
    this.from = tip?.to ?? 0
    this.lines = new LineSlices(source, this.from, options.slice)
    this.contentCheck = tip?.contentCheck ?? 0
    this.endCheck = tip?.endCheck ?? 0
    this.damagedLines = tip?.damagedLines ?? 0
    this.damagedBytes = tip?.damagedBytes ?? 0
    this.parts = options.parts
    this.rows = this.parts.rows
    this.dictionaries = this.rows.dictionaries
    this.rows.begin(Array.from({ length: Block.DICTIONARIES }, (_, dictionary) => tip?.dictionarySize(dictionary) ?? 0))
    this.segments = [source.name.key]
    this.hasEntries = tip === undefined
    if (tip === undefined) {
      this.origins = new SegmentOrigins()
      return
    }
    this.origins = index.use((reader) => {
      const origins = SegmentOrigins.read(reader, index.length, scratch)
      const notes = reader.notesOf(tip, scratch)
      this.segments.push(...notes.segments.slice(1))
      for (const [segment, unless, count] of notes.superseded) {
        this.superseded.set(keyOf(segment, unless), [segment, unless, count])
      }
      for (const [segment, count] of notes.repeated) this.repeated.set(segment, count)
      return origins
    })
    const dictionary = this.dictionaries.all[Block.DICTIONARY.origin]!
    for (let number = 1; number <= this.origins.size; number++) dictionary.remember(this.origins.textOf(number), number)
  }

  /** Offset up to which lines were read. */
  get offset(): number {
    return this.lines.offset
  }

  /** Bytes that were read and are in no block. */
  get pending(): number {
    return this.lines.offset - this.from
  }

  /** Reads a slice below `limit`. True when there may be more. */
  readSlice(limit: number, final: boolean): boolean {
    const { lines } = this
    const length = lines.next(limit, final)
    if (length === 0) return lines.hasMore
    const before = this.contentCheck
    this.contentCheck = crc32(lines.buffer.subarray(0, length), before)
    const damaged = (bytes: number): void => {
      this.damagedLines += 1
      this.damagedBytes += bytes
    }
    const { format } = lines.source
    const { isStrict } = this.options
    this.rows.addLines(lines.buffer, length, lines.offset, format, isStrict, damaged, before, this.contentCheck)
    lines.taken(length)
    this.endCheck =
      length >= CHECKED
        ? crc32(lines.buffer.subarray(length - CHECKED, length))
        : (checkBefore(lines.source, lines.offset) ?? 0)
    return lines.hasMore
  }

  /** Continues with the same segment, opened anew; false when it does not have what was read any more. */
  reopen(surroundings: Surroundings): boolean {
    const { lines } = this
    this.options = { ...this.options, ...surroundings }
    lines.source = surroundings.source
    return checkBefore(lines.source, lines.offset) === this.endCheck
  }

  /** Looks up the texts that the segment has, so that they have the same numbers from now on: worth it for blocks that are kept. */
  loadEntries(): void {
    if (this.hasEntries) return
    this.hasEntries = true
    const { index, scratch } = this.options
    const wanted = (1 << Block.DICTIONARY.origin) - 1
    index.use((reader) =>
      reader.visitEntries(index.length, wanted, scratch, ({ bytes }, dictionary, id, start, end) =>
        this.dictionaries.all[dictionary]!.remember(bytes.toString("latin1", start, end), id)
      )
    )
  }

  /** Whether what was read comes after this block. */
  isAfter(tip: Block.Block | undefined): boolean {
    return this.tip === tip
  }

  /** Makes a block of what was read. Where it is not taken, what was read is kept for a larger block. */
  make(isTaken: boolean): Block.Block {
    const { rows, tip } = this
    const { count } = rows
    this.nameOrigins()
    const counts = isTaken ? undefined : this.counts()
    const series = new BlockSeries(rows, this.parts.series)
    const relations = this.relate(series)
    const depth = tip === undefined ? 0 : tip.depth + 1
    const ranges = series.ranges()
    if (isTaken) this.extendOrigins(depth, ranges)
    const columns = this.columns(isTaken)
    const content = {
      kind: Block.KIND.rows,
      depth,
      previous: tip?.offset ?? 0,
      previousCheck: tip?.check ?? 0,
      from: this.from,
      to: this.lines.offset,
      contentCheck: this.contentCheck,
      endCheck: this.endCheck,
      rows: count,
      firstRow: this.firstRow,
      liveBefore: tip?.liveSoFar ?? 0,
      maxLastBefore: tip?.maxLastSoFar ?? Block.NO_LAST,
      damagedLines: this.damagedLines,
      damagedBytes: this.damagedBytes,
      flags: rows.flags | this.formatFlags,
      dictionarySizes: this.dictionaries.sizes,
      columns,
      entries: this.dictionaries.all.map((one) => one.entries(isTaken)),
      ranges,
      relations,
      notes: this.notes(),
      origins: isTaken && depth % ORIGINS_EACH === ORIGINS_EACH - 1 ? this.origins.listed() : undefined
    }
    // One that is taken is written to a file, or copied, before the next one is made.
    const block = isTaken ? Block.encode(content, this.parts.room) : Block.encode(content)
    rows.revive()
    if (counts !== undefined) {
      this.superseded = counts.superseded
      this.repeated = counts.repeated
      return block
    }
    rows.clear()
    this.from = this.lines.offset
    this.parts.made += 1
    return block
  }

  /** The columns as they are stored. Those of a block that is taken are changed, because they are needed no more. */
  private columns(isTaken: boolean): Array<Float64Array> {
    const { rows } = this
    const { count } = rows
    const columns: Array<Float64Array> = [...rows.columns]
    const own = (column: number): Float64Array =>
      (columns[column] = isTaken ? rows.columns[column]! : rows.columns[column]!.slice(0, count))
    const upTos = own(Block.COLUMN.upTo)
    const starts = own(Block.COLUMN.start)
    const seqs = columns[Block.COLUMN.seq]!
    let before = this.from
    for (let row = 0; row < count; row++) {
      upTos[row]! -= seqs[row]!
      const start = starts[row]!
      starts[row] = start - before
      before = start
    }
    return columns
  }

  /** How lines are read. */
  private get formatFlags(): number {
    return (this.lines.source.format === "plain" ? Block.PLAIN : 0) | (this.options.isStrict ? Block.STRICT : 0)
  }

  private get firstRow(): number {
    const { tip } = this
    return tip === undefined ? 0 : tip.firstRow + tip.rows
  }

  /** What was counted of earlier rows, which a block that is not taken must not change. */
  private counts(): { readonly superseded: SupersededCounts; readonly repeated: Map<number, number> } {
    const superseded: SupersededCounts = new Map()
    for (const [key, [segment, unless, count]] of this.superseded) superseded.set(key, [segment, unless, count])
    return { superseded, repeated: new Map(this.repeated) }
  }

  /** A block without rows that says that all of the segment was compared. */
  takeNote(sealed: { readonly size: number; readonly modified: number }): Block.Block {
    const { tip } = this
    const none = new Float64Array()
    return Block.encode({
      kind: Block.KIND.note,
      depth: tip === undefined ? 0 : tip.depth + 1,
      previous: tip?.offset ?? 0,
      previousCheck: tip?.check ?? 0,
      from: this.from,
      to: this.from,
      contentCheck: this.contentCheck,
      endCheck: this.endCheck,
      rows: 0,
      firstRow: this.firstRow,
      liveBefore: tip?.liveSoFar ?? 0,
      maxLastBefore: tip?.maxLastSoFar ?? Block.NO_LAST,
      damagedLines: this.damagedLines,
      damagedBytes: this.damagedBytes,
      flags: this.formatFlags,
      dictionarySizes: this.dictionaries.sizes,
      columns: Array.from({ length: 12 }, () => none),
      entries: Array.from({ length: Block.DICTIONARIES }, () => []),
      ranges: { origin: new Uint32Array(), least: none, greatest: none },
      relations: Block.noRelations,
      notes: { ...this.notes(), sealed },
      origins: this.origins.listed()
    })
  }

  /** Continues after a block that was made here, and has its place now. */
  placed(block: Block.Block): void {
    this.tip = block
  }

  private notes(): Block.Notes {
    const { predecessor } = this.options
    return {
      ...(predecessor === undefined ? undefined : { predecessor }),
      segments: this.segments,
      superseded: [...this.superseded.values()],
      repeated: [...this.repeated]
    }
  }

  /** Gives the new origins of the rows their numbers. */
  private nameOrigins(): void {
    const dictionary = this.dictionaries.all[Block.DICTIONARY.origin]!
    const fresh = dictionary.entries(false)
    let number = dictionary.size - fresh.length
    for (const text of fresh) {
      number += 1
      if (number > this.origins.size) this.origins.add(text, number)
    }
  }

  /** Makes the ranges of a block part of those of the segment. */
  private extendOrigins(depth: number, ranges: Block.Ranges): void {
    const { greatest, least, origin } = ranges
    for (let index = 0; index < origin.length; index++) {
      this.origins.extend(origin[index]!, least[index]!, greatest[index]!, depth)
    }
    this.ranges[depth] = ranges
  }

  // -------------------------------------------------------------------------
  // what came before
  // -------------------------------------------------------------------------

  private numberOf(key: string): number {
    const known = this.segments.indexOf(key)
    return known === -1 ? this.segments.push(key) - 1 : known
  }

  /** Finds for each series of the block what came before, and marks what is dead. */
  private relate(series: BlockSeries): Block.Relations {
    const { index, scratch } = this.options
    const relations = new RelationList()
    // Those that are new stay open.
    const least = series.countNew(this.origins)
    if (series.open > least) {
      index.use((reader) => {
        for (let depth = index.length - 1; depth >= 0 && series.open > least; depth--) {
          const block = reader.block(depth)
          const ranges = (this.ranges[depth] ??= reader.rangesOf(block, scratch))
          if (mayHave(series, ranges, same)) this.searchBlock(reader, block, series, same, 0, relations)
        }
      })
    }
    const { find, originsOf, segments } = this.options.earlier
    const wanted: Array<readonly [string, number, number]> = []
    for (const [own, { greatest, least, open }] of series.wanted) {
      if (open > 0) wanted.push([this.origins.textOf(own), least, greatest])
    }
    if (segments.length === 0 || wanted.length === 0) return relations.take()
    for (const at of find(wanted)) {
      if (series.open === 0) break
      const segment = segments[at]!
      const origins = originsOf(segment)
      const theirs = new Map<number, number>()
      for (const [own, { greatest, least, open }] of series.wanted) {
        const number = open === 0 ? 0 : origins.numberOf(this.origins.textOf(own))
        if (number !== 0 && origins.mayHave(number, least, greatest)) theirs.set(number, own)
      }
      if (theirs.size > 0) this.searchSegment(segment, series, (origin) => theirs.get(origin) ?? 0, relations)
    }
    return relations.take()
  }

  private searchSegment(
    { depth, index, name, tail }: IndexedSegment,
    series: BlockSeries,
    translate: (origin: number) => number,
    relations: RelationList
  ): void {
    const { scratch } = this.options
    index.use((reader) => {
      const visit = (block: Block.Block): void => {
        if (block.rows === 0 || !mayHave(series, reader.rangesOf(block, scratch), translate)) return
        this.searchBlock(reader, block, series, translate, this.numberOf(name.key), relations)
      }
      if (tail !== undefined) visit(tail)
      for (let one = depth - 1; one >= 0 && series.open > 0; one--) visit(reader.block(one))
    })
  }

  private searchBlock(
    reader: IndexReader,
    block: Block.Block,
    series: BlockSeries,
    translate: (origin: number) => number,
    segment: number,
    relations: RelationList
  ): void {
    const { scratch } = this.options
    const depends = new Map<number, number>()
    if (block.repeats > 0) {
      const notes = reader.notesOf(block, scratch)
      const relations = reader.relationsOf(block, scratch)
      for (let index = 0; index < relations.repeatRow.length; index++) {
        depends.set(relations.repeatRow[index]!, this.numberOf(notes.segments[relations.repeatSegment[index]!]!))
      }
    }
    search(reader, block, series, translate, this.parts.identities, scratch, (found, row, upTo) => {
      const own = series.row[found]!
      if (upTo < series.upTo[found]!) {
        const unless = depends.get(row) ?? Block.NO_SEGMENT
        relations.supersede(segment, row, unless)
        const key = keyOf(segment, unless)
        const counted = this.superseded.get(key)
        if (counted === undefined) this.superseded.set(key, [segment, unless, 1])
        else counted[2] += 1
        if (unless === Block.NO_SEGMENT) series.settle(found)
        return
      }
      series.settle(found)
      if (segment === 0) {
        this.rows.columns[Block.COLUMN.dead]![own] = 1
      } else {
        relations.repeat(this.firstRow + own, segment)
        this.repeated.set(segment, (this.repeated.get(segment) ?? 0) + 1)
      }
    })
  }
}

const same = (origin: number): number => origin

class RelationList {
  private readonly segments: Array<number> = []
  private readonly rows: Array<number> = []
  private readonly unless: Array<number> = []
  private readonly repeats: Array<number> = []
  private readonly repeatSegments: Array<number> = []

  supersede(segment: number, row: number, unless: number): void {
    this.segments.push(segment)
    this.rows.push(row)
    this.unless.push(unless)
  }

  repeat(row: number, segment: number): void {
    this.repeats.push(row)
    this.repeatSegments.push(segment)
  }

  take(): Block.Relations {
    if (this.rows.length === 0 && this.repeats.length === 0) return Block.noRelations
    return {
      supersededSegment: Uint32Array.from(this.segments),
      supersededRow: Uint32Array.from(this.rows),
      supersededUnless: Uint32Array.from(this.unless),
      repeatRow: Uint32Array.from(this.repeats),
      repeatSegment: Uint32Array.from(this.repeatSegments)
    }
  }
}
