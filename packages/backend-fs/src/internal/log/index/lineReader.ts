import type { Event } from "@tidings/core/Event"
import { crc32 } from "node:zlib"
import { bytesOf } from "../bytes.ts"
import type { LogDirectory, OpenSegment } from "../directory.ts"
import * as LogLine from "../line.ts"
import type { LineDecoder } from "../lineDecoder.ts"
import * as LogPosition from "../position.ts"
import * as SegmentFormat from "../segmentFormat.ts"
import { IndexDamaged, type IndexedSegment } from "./segmentIndex.ts"
import { isWritten } from "./sliceChecksums.ts"

const NO_BUFFER = Buffer.alloc(0)
const NO_BYTES = bytesOf(NO_BUFFER)

/** Bytes that the checksum of a position covers. */
const CHECKED = 256

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
  private buffer: Buffer
  private bytes = NO_BYTES
  /** Which bytes of the segment are in the buffer. */
  private from = 0
  private to = 0
  /** Where the line starts that comes after the one that was read last. */
  next = 0

  /** Lines are read into the buffer, as far as it is large enough; `ahead` bytes at once. */
  constructor(
    directory: LogDirectory,
    segment: IndexedSegment,
    decoder: LineDecoder,
    buffer: Buffer = NO_BUFFER,
    ahead = 0
  ) {
    this.directory = directory
    this.decoder = decoder
    this.segment = segment
    this.ahead = ahead
    this.buffer = buffer
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
    return start >= this.from && before <= this.to
  }

  /** Reads the bytes between two offsets, for lines that are asked for next. */
  prepare(start: number, before: number): void {
    this.load(start, before)
  }

  /** Brings bytes into the buffer, and answers where they start in it. */
  private load(start: number, before: number): number {
    if (this.has(start, before)) return start - this.from
    // With those that the checksum of a position at its start covers.
    const from = this.ahead === 0 ? start : Math.max(0, start - CHECKED)
    const length = Math.max(before - from, Math.min(this.ahead, this.segment.size - from))
    if (this.buffer.length < length) this.buffer = Buffer.allocUnsafeSlow(Math.max(this.ahead, 2 * length))
    const found = this.directory.disk.read(this.open().opened, this.buffer, 0, length, from)
    this.from = from
    this.to = from + found
    if (this.to < before) throw new IndexDamaged(this.segment.name.key)
    return start - from
  }

  /** The event of the line that starts at an offset, before another offset; it was last seen at `last`. */
  read(start: number, before: number, last: number): Event {
    const at = this.load(start, before)
    const { buffer } = this
    if (this.bytes.buffer !== buffer) this.bytes = bytesOf(buffer)
    const upTo = at + before - start - 1
    // Between two rows is one line, in nearly all cases.
    if (buffer[upTo] === 0x0a && isWritten(this.bytes, at, upTo)) {
      this.format ??= SegmentFormat.formatOf(this.directory.disk, this.open())
      const event = this.format === "checked" ? this.decoder.read(this.bytes, at, upTo) : undefined
      if (event?.last === last) {
        this.next = before
        return event
      }
    }
    const lineEnd = buffer.indexOf(0x0a, at)
    const end = lineEnd === -1 || lineEnd >= at + before - start ? at + before - start : lineEnd
    const next = start + Math.min(end + 1 - at, before - start)
    const format = (this.format ??= SegmentFormat.formatOf(this.directory.disk, this.open()))
    this.next = next
    const event =
      (format === "checked" && LogLine.isIntact(buffer, at, end)
        ? this.decoder.read(this.bytes, at, end)
        : undefined) ?? this.readOdd(at, end, start, next, format)
    if (event?.last !== last) throw new IndexDamaged(this.segment.name.key, true)
    return event
  }

  private readOdd(at: number, end: number, start: number, next: number, format: LogLine.Format): Event | undefined {
    let record: LogLine.LogRecord | undefined
    LogLine.readLine(this.buffer, at, end, start - at, next, format, (one) => {
      record ??= one
    })
    // A byte order mark may stand before it.
    if (record === undefined || record.start > start + 3) return undefined
    this.next = record.end
    return record.event
  }

  /** The position at an offset. */
  positionAt(offset: number): LogPosition.LogPosition {
    const { name } = this.segment
    if (offset - CHECKED < this.from || offset > this.to)
      return LogPosition.at(this.directory.disk, this.open(), offset)
    const at = offset - this.from
    return { segment: name, offset, check: crc32(this.buffer.subarray(at - CHECKED, at)) }
  }
}
