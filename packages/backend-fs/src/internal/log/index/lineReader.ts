import type { Event } from "@tidings/core/Event"
import { crc32 } from "node:zlib"
import type { LogDirectory, OpenSegment } from "../directory.ts"
import * as LogLine from "../line.ts"
import type { LineDecoder } from "../lineDecoder.ts"
import * as LogPosition from "../position.ts"
import * as SegmentFormat from "../segmentFormat.ts"
import type { Block } from "./block.ts"
import { LineBytes } from "./lineBytes.ts"
import { IndexDamaged, type IndexedSegment } from "./segmentIndex.ts"
import { isWritten } from "./sliceChecksums.ts"

const NO_BUFFER = Buffer.alloc(0)

/** Bytes that the checksum of a position covers. */
const CHECKED = 256

/** The largest block that is read as a whole. */
const MOST_AT_ONCE = 8_388_608

/**
 * Reads single lines of a segment, which is opened when the first is read, and again after it was closed.
 *
 * @internal
 */
export class LineReader {
  private readonly directory: LogDirectory
  readonly segment: IndexedSegment
  private readonly decoder: LineDecoder
  private format: LogLine.Format | undefined
  /** Bytes that are read at once, where lines are read one after the other. */
  private readonly ahead: number
  private opened: OpenSegment | undefined
  private readonly lines: LineBytes
  /** Where the line starts that comes after the one that was read last. */
  next = 0

  /** Lines are read into `lines`; `ahead` bytes at once. */
  constructor(
    directory: LogDirectory,
    segment: IndexedSegment,
    decoder: LineDecoder,
    lines: LineBytes = new LineBytes(NO_BUFFER),
    ahead = 0
  ) {
    this.directory = directory
    this.decoder = decoder
    this.segment = segment
    this.ahead = ahead
    this.lines = lines
    lines.lend(segment.index)
  }

  close(): void {
    if (this.opened !== undefined) this.directory.disk.close(this.opened.opened)
    this.opened = undefined
  }

  private open(): OpenSegment {
    if (this.opened !== undefined) return this.opened
    const opened = this.directory.openSegment(this.segment.name, "read")
    if (opened === undefined) throw new IndexDamaged(this.segment.name.key)
    this.opened = opened
    if (opened.status.identity !== this.segment.identity) throw new IndexDamaged(this.segment.name.key)
    return opened
  }

  /** Whether the bytes between two offsets are in memory. */
  has(start: number, before: number): boolean {
    return start >= this.lines.from && before <= this.lines.to
  }

  /** Reads the bytes between two offsets, for lines that are asked for next. */
  prepare(start: number, before: number): void {
    this.load(start, before)
  }

  /**
   * Reads the lines of a block, for one after the other, and compares all of them with what was indexed: then they are not checked one by
   * one. `before` is the checksum of the segment up to the block.
   */
  prepareBlock({ contentCheck, from, to }: Block, before: number): void {
    const { lines } = this
    if (to - from > MOST_AT_ONCE || lines.isIntact(from, to)) return
    const at = this.load(from, to)
    if (crc32(lines.bytes.buffer.subarray(at, at + to - from), before) !== contentCheck) return
    lines.intactFrom = from
    lines.intactTo = to
  }

  /** Brings bytes into the memory, and answers where they start in it. */
  private load(start: number, before: number): number {
    const { lines } = this
    if (this.has(start, before)) return start - lines.base
    // With those that the checksum of a position at its start covers.
    const from = this.ahead === 0 ? start : Math.max(0, start - CHECKED)
    const length = Math.max(before - from, Math.min(this.ahead, this.segment.size - from))
    lines.reserve(length, this.ahead)
    // Until they are read, no bytes are there.
    lines.intactTo = lines.intactFrom
    lines.to = lines.from
    const found = this.directory.disk.read(this.open().opened, lines.bytes.buffer, 0, length, from)
    lines.base = from
    lines.from = from
    lines.to = from + found
    if (lines.to < before) throw new IndexDamaged(this.segment.name.key)
    return start - from
  }

  /** The event of the line that starts at an offset, before another offset; it was last seen at `last`. */
  read(start: number, before: number, last: number): Event {
    const at = this.load(start, before)
    const { bytes } = this.lines
    const { buffer } = bytes
    const upTo = at + before - start - 1
    const format = (this.format ??= SegmentFormat.formatOf(this.directory.disk, this.open()))
    // Between two rows is one line, in nearly all cases.
    if (format === "checked" && buffer[upTo] === 0x0a) {
      const isRight = this.lines.isIntact(start, before) || isWritten(bytes, at, upTo)
      const event = isRight ? this.decoder.read(bytes, at, upTo) : undefined
      if (event?.last === last) {
        this.next = before
        return event
      }
    }
    const lineEnd = buffer.indexOf(0x0a, at)
    const end = lineEnd === -1 || lineEnd >= at + before - start ? at + before - start : lineEnd
    const next = start + Math.min(end + 1 - at, before - start)
    this.next = next
    const event =
      (format === "checked" && LogLine.isIntact(buffer, at, end) ? this.decoder.read(bytes, at, end) : undefined) ??
      this.readOdd(at, end, start, next, format)
    if (event?.last !== last) throw new IndexDamaged(this.segment.name.key, true)
    return event
  }

  private readOdd(at: number, end: number, start: number, next: number, format: LogLine.Format): Event | undefined {
    let record: LogLine.LogRecord | undefined
    LogLine.readLine(this.lines.bytes.buffer, at, end, start - at, next, format, (one) => {
      record ??= one
    })
    // A byte order mark may stand before it.
    if (record === undefined || record.start > start + 3) return undefined
    this.next = record.end
    return record.event
  }

  /** The position at an offset. */
  positionAt(offset: number): LogPosition.LogPosition {
    const { base, bytes, from, to } = this.lines
    const { name } = this.segment
    if (offset - CHECKED < from || offset > to) return LogPosition.at(this.directory.disk, this.open(), offset)
    const at = offset - base
    return new LogPosition.LogPositionOf(name, offset, crc32(bytes.buffer.subarray(at - CHECKED, at)))
  }
}
