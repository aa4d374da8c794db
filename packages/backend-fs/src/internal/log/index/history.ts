import * as Block from "./block.ts"
import type { Snapshot } from "./snapshot.ts"
import { type IndexedSegment, type IndexReader, type Scratch, topOf } from "./segmentIndex.ts"

/** What later rows say of the rows of one segment. */
interface Marks {
  readonly bits: Uint8Array
}

/**
 * Which rows are no longer the state of their series, since a later block says so. Blocks are to be told from the newest to the
 * oldest; then for each block all is known before its rows are looked at.
 *
 * @internal
 */
export class History {
  private readonly marks = new Map<string, Marks>()
  private readonly rows = new Map<string, number>()
  private readonly segments: ReadonlyArray<IndexedSegment>
  /** The blocks that were told. */
  private readonly told = new WeakSet<Block.Block>()

  constructor({ segments }: Snapshot) {
    this.segments = segments
    for (const segment of segments) {
      const top = topOf(segment)
      this.rows.set(segment.name.key, top === undefined ? 0 : top.firstRow + top.rows)
    }
  }

  /** Whether it is that of a snapshot. */
  isOf({ segments }: Snapshot): boolean {
    return (
      segments.length === this.segments.length &&
      segments.every(({ depth, index, tail }, at) => {
        const known = this.segments[at]!
        return known.index === index && known.depth === depth && known.tail === tail
      })
    )
  }

  /** Takes in what a block says, once. */
  tell(reader: IndexReader, block: Block.Block, scratch: Scratch): void {
    if ((block.supersedes === 0 && block.repeats === 0) || this.told.has(block)) return
    this.told.add(block)
    const words = reader.group(block, Block.GROUP.relations, scratch)
    const { repeatRow, repeatSegment, supersededRow, supersededSegment } = Block.readRelations(words, block)
    const own = reader.index.key
    // Most lines repeat one of their own segment, which needs no names of others.
    const areOwn = repeatRow.length === 0 && supersededSegment.every((segment) => segment === 0)
    const keys = (areOwn ? [own] : Block.readNotes(words).segments).map((key) => (this.rows.has(key) ? key : undefined))
    for (let index = 0; index < supersededRow.length; index++) {
      const key = keys[supersededSegment[index]!]
      if (key !== undefined) this.mark(key, supersededRow[index]!)
    }
    for (let index = 0; index < repeatRow.length; index++) {
      if (keys[repeatSegment[index]!] !== undefined) this.mark(own, repeatRow[index]!)
    }
  }

  private mark(key: string, row: number): void {
    let marks = this.marks.get(key)
    if (marks === undefined) {
      marks = { bits: new Uint8Array(((this.rows.get(key) ?? 0) + 8) >> 3) }
      this.marks.set(key, marks)
    }
    marks.bits[row >> 3]! |= 1 << (row & 7)
  }

  /** The bits of the rows of a segment that are marked; undefined where none is. */
  bitsOf(key: string): Uint8Array | undefined {
    return this.marks.get(key)?.bits
  }
}

/**
 * The number of series in the log, from the headers alone.
 *
 * @internal
 */
export const totalOf = ({ segments }: Snapshot, scratch: Scratch): number => {
  const keys = new Set(segments.map(({ name }) => name.key))
  let total = 0
  for (const segment of segments) {
    const top = topOf(segment)
    if (top === undefined) continue
    total += top.liveSoFar
    const notes = segment.index.notesOf(top, scratch)
    const isThere = (number: number): boolean => keys.has(notes.segments[number]!)
    for (const [of, unless, count] of notes.superseded) {
      // What depends on a segment that is there is not alive anyway.
      if (isThere(of) && (unless === Block.NO_SEGMENT || !isThere(unless))) total -= count
    }
    for (const [of, count] of notes.repeated) if (isThere(of)) total -= count
  }
  return total
}
