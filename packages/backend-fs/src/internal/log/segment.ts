import type { Disk } from "../disk.ts"
import type { OpenSegment } from "./directory.ts"
import * as LogLine from "./line.ts"
import type * as SegmentName from "./segmentName.ts"

/** Bytes that are read before other fibers get a turn: about 300 lines, which take half a millisecond. */
const SLICE = 262_144

/** Length of the longest line that is read, in bytes: a complete line of the greatest length after a partial one. */
const LONGEST_LINE = 4 * 1_048_576

interface Counted {
  identity: string
  /** Offset up to which the damage of this segment is counted. */
  to: number
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
      counted = { identity, to: 0 }
      this.segments.set(name.key, counted)
    }
    return counted
  }
}

/**
 * Reads a segment forward, slice by slice. Only complete lines are read: what is after the last line end is read again the
 * next time, so that a line that is being written is never seen in part.
 *
 * @internal
 */
export class SegmentReader {
  /** Start of the next line to read. */
  offset: number
  private readonly disk: Disk
  private readonly segment: OpenSegment
  private readonly ledger: DamageLedger
  private readonly counted: Counted
  private buffer = Buffer.allocUnsafe(SLICE)

  constructor(disk: Disk, segment: OpenSegment, ledger: DamageLedger, offset: number) {
    this.disk = disk
    this.segment = segment
    this.ledger = ledger
    this.counted = ledger.countedOf(segment.name, segment.status.identity)
    this.offset = offset
  }

  /**
   * Reads the next slice below `limit`; true when there may be more. With `final` the segment grows no more, and what is
   * after its last line end counts as a line.
   */
  step(limit: number, final: boolean, visit: (record: LogLine.LogRecord) => void): boolean {
    const want = Math.min(this.buffer.length, limit - this.offset)
    if (want <= 0) return false
    const found = this.disk.read(this.segment.opened, this.buffer, 0, want, this.offset)
    if (found === 0) return false
    const end = this.buffer.lastIndexOf(0x0a, found - 1)
    if (end !== -1) {
      this.readLines(end + 1, visit)
      return this.offset < limit
    }
    if (found < this.buffer.length) {
      if (final && this.offset + found >= limit) this.readLines(found, visit)
      return false
    }
    if (this.buffer.length < LONGEST_LINE) {
      this.buffer = Buffer.allocUnsafe(4 * this.buffer.length)
      return true
    }
    this.readLines(LogLine.lastBeginning(this.buffer), visit)
    return true
  }

  /** Reads the lines of the first `length` bytes of the buffer. */
  private readLines(length: number, visit: (record: LogLine.LogRecord) => void): void {
    const { buffer, counted, offset } = this
    const counts = offset <= counted.to
    let start = 0
    while (start < length) {
      let end = buffer.indexOf(0x0a, start)
      if (end === -1 || end > length) end = length
      const after = Math.min(end + 1, length)
      const damaged = LogLine.readLine(buffer, start, end, offset, offset + after, visit)
      if (damaged > 0 && counts && offset + start >= counted.to) {
        this.ledger.lines += 1
        this.ledger.bytes += damaged
      }
      start = after
    }
    this.offset += length
    if (counts && this.offset > counted.to) counted.to = this.offset
  }
}
