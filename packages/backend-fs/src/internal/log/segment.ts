import type { Disk } from "../disk.ts"
import type { OpenSegment } from "./directory.ts"
import * as LogLine from "./line.ts"
import * as SegmentFormat from "./segmentFormat.ts"
import type * as SegmentName from "./segmentName.ts"

/** Bytes that are read before other fibers get a turn: about 300 lines, which take half a millisecond. */
const SLICE = 262_144

/** Length of the longest line that is read, in bytes: a complete line of the greatest length after a partial one. */
const LONGEST_LINE = 4 * 1_048_576

interface Counted {
  identity: string
  /** Offset up to which the damage of this segment is counted. */
  to: number
  lines: number
  bytes: number
}

/**
 * Counts damaged lines, each once, however often it is read.
 *
 * @internal
 */
export class DamageLedger {
  lines = 0
  bytes = 0
  private readonly segments = new Map<string, Counted>()

  countedOf(name: SegmentName.SegmentName, identity: string): Counted {
    let counted = this.segments.get(name.key)
    if (counted === undefined || counted.identity !== identity) {
      counted = { identity, to: 0, lines: 0, bytes: 0 }
      this.segments.set(name.key, counted)
    }
    return counted
  }

  /** Counts what is damaged up to an offset of a segment, less what was counted of it. */
  note(name: SegmentName.SegmentName, identity: string, to: number, { bytes, lines }: Damage): void {
    const counted = this.countedOf(name, identity)
    // A line that was changed since is found out without that the segment grew.
    if (to < counted.to || (to === counted.to && lines <= counted.lines)) return
    this.add(counted, lines - counted.lines, bytes - counted.bytes)
    counted.to = to
  }

  add(counted: Counted, lines: number, bytes: number): void {
    counted.lines += lines
    counted.bytes += bytes
    this.lines += lines
    this.bytes += bytes
  }
}

/**
 * How much of a segment is damaged.
 *
 * @internal
 */
export interface Damage {
  readonly lines: number
  readonly bytes: number
}

/**
 * The bytes of a segment.
 *
 * @internal
 */
export interface SegmentSource {
  readonly name: SegmentName.SegmentName
  /** Whether its lines have checksums. */
  readonly format: LogLine.Format
  /** Reads up to `length` bytes, and answers how many. */
  readonly read: (into: Uint8Array, offset: number, length: number, position: number) => number
}

/**
 * The bytes of an open segment.
 *
 * @internal
 */
export const sourceOf = (disk: Disk, segment: OpenSegment): SegmentSource => ({
  name: segment.name,
  get format() {
    return SegmentFormat.formatOf(disk, segment)
  },
  read: (into, offset, length, position) => disk.read(segment.opened, into, offset, length, position)
})

/**
 * Cuts a segment into slices of complete lines. What is after the last line end is read again the next time, so that a line that is
 * being written is never seen in part.
 *
 * @internal
 */
export class LineSlices {
  /** Start of the next line to read. */
  offset: number
  /** The lines of the last slice are at its start. */
  buffer = Buffer.alloc(0)
  private readonly slice: number
  /** There may be more after the last slice. */
  hasMore = true
  source: SegmentSource

  constructor(source: SegmentSource, offset: number, slice: number = SLICE) {
    this.source = source
    this.slice = Math.min(slice, SLICE)
    this.offset = offset
  }

  /**
   * Reads the next slice below `limit`, and answers its length, 0 where there is no complete line. With `final` the segment grows
   * no more, and what is after its last line end counts as a line. `taken` has to be called with the length.
   */
  next(limit: number, final: boolean): number {
    this.hasMore = false
    // One byte more than there is, so that the end is seen.
    const size = Math.min(this.slice, limit - this.offset + 1)
    if (this.buffer.length < size) this.buffer = Buffer.allocUnsafeSlow(size)
    const want = Math.min(this.buffer.length, limit - this.offset)
    if (want <= 0) return 0
    const found = this.source.read(this.buffer, 0, want, this.offset)
    if (found === 0) return 0
    const end = this.buffer.lastIndexOf(0x0a, found - 1)
    if (end !== -1) {
      this.hasMore = this.offset + end + 1 < limit
      return end + 1
    }
    if (found < this.buffer.length) return final && this.offset + found >= limit ? found : 0
    this.hasMore = true
    if (this.buffer.length < LONGEST_LINE) {
      this.buffer = Buffer.allocUnsafeSlow(4 * this.buffer.length)
      return 0
    }
    return LogLine.lastBeginning(this.buffer)
  }

  taken(length: number): void {
    this.offset += length
  }
}

/**
 * Reads the records of the lines at the start of a buffer that was read at `position`; `damaged` is called with the start of each
 * damaged line in the buffer and the number of its bytes that are lost.
 *
 * @internal
 */
export const readLines = (
  buffer: Buffer,
  length: number,
  position: number,
  format: LogLine.Format,
  visit: (record: LogLine.LogRecord) => void,
  damaged: (start: number, bytes: number) => void
): void => {
  let start = 0
  while (start < length) {
    let end = buffer.indexOf(0x0a, start)
    if (end === -1 || end > length) end = length
    const after = Math.min(end + 1, length)
    const bytes = LogLine.readLine(buffer, start, end, position, position + after, format, visit)
    if (bytes > 0) damaged(start, bytes)
    start = after
  }
}

/**
 * Reads a segment forward, slice by slice.
 *
 * @internal
 */
export class SegmentReader {
  private readonly ledger: DamageLedger
  private readonly counted: Counted
  private readonly lines: LineSlices

  constructor(disk: Disk, segment: OpenSegment, ledger: DamageLedger, offset: number) {
    this.ledger = ledger
    this.counted = ledger.countedOf(segment.name, segment.status.identity)
    this.lines = new LineSlices(sourceOf(disk, segment), offset)
  }

  /** Start of the next line to read. */
  get offset(): number {
    return this.lines.offset
  }

  /**
   * Reads the next slice below `limit`; true when there may be more. With `final` the segment grows no more, and what is
   * after its last line end counts as a line.
   */
  step(limit: number, final: boolean, visit: (record: LogLine.LogRecord) => void): boolean {
    const { counted, lines } = this
    const length = lines.next(limit, final)
    if (length === 0) return lines.hasMore
    const { offset } = lines
    const counts = offset <= counted.to
    readLines(lines.buffer, length, offset, lines.source.format, visit, (start, bytes) => {
      if (counts && offset + start >= counted.to) this.ledger.add(counted, 1, bytes)
    })
    lines.taken(length)
    if (counts && lines.offset > counted.to) counted.to = lines.offset
    return lines.hasMore
  }
}
