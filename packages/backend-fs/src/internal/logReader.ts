import { BackendError, CursorMismatch } from "@tidings/core/BackendError"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { crc32 } from "node:zlib"
import type { Disk, FileStatus } from "./disk.ts"
import { codeOf, fromDisk, unavailable } from "./diskError.ts"
import type { LogDirectory } from "./logDirectory.ts"
import * as LogLine from "./logLine.ts"
import * as SegmentName from "./segmentName.ts"

/**
 * How much is read at a time, in bytes, before others get their turn: some 300 lines, which take half a millisecond.
 */
const SLICE = 262_144

/** The longest line that is looked for, in bytes: a whole one of the greatest length, glued to a torn one. */
const LONGEST_LINE = 4 * 1_048_576

/** How many bytes before a position tell whether the log there is still the one that the position was taken from. */
const CHECKED = 256

/**
 * For how long after a newer segment came, in milliseconds, the one before it may still grow: writers look for a newer
 * one about every 20 milliseconds, and repeat what they wrote when they find that they looked too late.
 *
 * @internal
 */
export const GRACE = 250

// ---------------------------------------------------------------------------
// positions
// ---------------------------------------------------------------------------

/**
 * A place between two lines of the log.
 *
 * @internal
 */
export interface LogPosition {
  /** Absent before the first segment. */
  readonly segment: SegmentName.SegmentName | undefined
  readonly offset: number
  /** Of the bytes before it: lets a file be found out that was cut and grew again, or was replaced. */
  readonly check: number
}

/** @internal */
export const beginning: LogPosition = { segment: undefined, offset: 0, check: 0 }

/** @internal */
export const formatPosition = ({ check, offset, segment }: LogPosition): string =>
  segment === undefined ? "beginning" : `${segment.key}:${offset}:${check.toString(16)}`

const POSITION = /^([\d-]+):(\d{1,15}):([0-9a-f]{1,8})$/

/** @internal */
export const parsePosition = (text: string): Result.Result<LogPosition, BackendError> => {
  if (text === "beginning") return Result.succeed(beginning)
  const match = POSITION.exec(text)
  const segment = match === null ? undefined : SegmentName.parseKey(match[1]!)
  return match === null || segment === undefined
    ? Result.fail(mismatch("its position is none of an event log; begin anew without it"))
    : Result.succeed({ segment, offset: Number(match[2]), check: Number.parseInt(match[3]!, 16) })
}

/** @internal */
export const mismatch = (detail: string): BackendError => new BackendError({ reason: new CursorMismatch({ detail }) })

const checked = Buffer.allocUnsafe(CHECKED)

/**
 * The check of a place in a file; absent when the file does not reach that far.
 *
 * @internal
 */
export const checkAt = (disk: Disk, opened: number, offset: number): number | undefined => {
  const length = Math.min(offset, CHECKED)
  if (length === 0) return 0
  const found = disk.read(opened, checked, 0, length, offset - length)
  return found === length ? crc32(checked.subarray(0, length)) : undefined
}

// ---------------------------------------------------------------------------
// damage
// ---------------------------------------------------------------------------

interface Counted {
  identity: string
  /** Up to here the damage of this segment is counted. */
  to: number
}

/**
 * What was found damaged, each line once, however often it is read.
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

// ---------------------------------------------------------------------------
// one segment
// ---------------------------------------------------------------------------

/**
 * A segment that is open for reading.
 *
 * @internal
 */
export interface OpenSegment {
  readonly name: SegmentName.SegmentName
  readonly opened: number
  /** As it was when it was opened. */
  readonly status: FileStatus
}

/**
 * Opens a segment; absent when it is gone.
 *
 * @internal
 */
export const openSegment = (directory: LogDirectory, name: SegmentName.SegmentName): OpenSegment | undefined => {
  const { disk } = directory
  const path = directory.pathOf(name.file)
  let opened: number
  try {
    opened = disk.openToRead(path)
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
    throw fromDisk(cause, path)
  }
  try {
    const status = disk.statusOf(opened)
    if (status.kind !== "file")
      throw unavailable(`${path} is no regular file, which a segment of the log has to be: move it away`)
    return { name, opened, status }
  } catch (cause) {
    disk.close(opened)
    throw fromDisk(cause, path)
  }
}

/**
 * Reads a segment forward, slice by slice. Only whole lines are taken: what stands after the last line end is read again
 * the next time, so that a line being written, or cut off again, is never seen in part.
 *
 * @internal
 */
export class SegmentReader {
  /** Up to here it was read: the beginning of a line. */
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
   * Reads the next slice below `limit`; true when there may be more. With `final` the segment grows no more, and what
   * stands after its last line end is a line too.
   */
  step(limit: number, final: boolean, visit: (record: LogLine.LogRecord) => void): boolean {
    const want = Math.min(this.buffer.length, limit - this.offset)
    if (want <= 0) return false
    const found = this.disk.read(this.segment.opened, this.buffer, 0, want, this.offset)
    if (found === 0) return false
    const end = this.buffer.lastIndexOf(0x0a, found - 1)
    if (end !== -1) {
      this.take(end + 1, visit)
      return this.offset < limit
    }
    if (found < this.buffer.length) {
      if (final && this.offset + found >= limit) this.take(found, visit)
      return false
    }
    if (this.buffer.length < LONGEST_LINE) {
      this.buffer = Buffer.allocUnsafe(4 * this.buffer.length)
      return true
    }
    this.take(LogLine.lastBeginning(this.buffer), visit)
    return true
  }

  /** Reads the lines of the first `length` bytes of the buffer. */
  private take(length: number, visit: (record: LogLine.LogRecord) => void): void {
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

// ---------------------------------------------------------------------------
// the whole log
// ---------------------------------------------------------------------------

/**
 * The log as it is at one moment: every segment open, so that nothing can be taken away while it is read.
 *
 * @internal
 */
export class LogView {
  readonly segments: ReadonlyArray<OpenSegment>
  private readonly disk: Disk
  private open = true

  constructor(disk: Disk, segments: ReadonlyArray<OpenSegment>) {
    this.disk = disk
    this.segments = segments
  }

  close(): void {
    if (!this.open) return
    this.open = false
    for (const { opened } of this.segments) this.disk.close(opened)
  }
}

const view = (directory: LogDirectory): LogView => {
  const segments: Array<OpenSegment> = []
  try {
    for (const name of directory.segments()) {
      const segment = openSegment(directory, name)
      if (segment !== undefined) segments.push(segment)
    }
  } catch (cause) {
    for (const { opened } of segments) directory.disk.close(opened)
    throw cause
  }
  return new LogView(directory.disk, segments)
}

/**
 * A view in which all but the newest segment are complete. Whoever gets one has to close it.
 *
 * @internal
 */
export const settledView = (directory: LogDirectory): Effect.Effect<LogView, BackendError> =>
  Effect.clockWith((clock) => {
    const look: Effect.Effect<LogView, BackendError> = Effect.flatMap(
      directory.attempt(() => view(directory)),
      (found) => {
        const newest = found.segments.at(-1)
        const age = newest === undefined ? GRACE : clock.currentTimeMillisUnsafe() - newest.status.made
        // A clock that is behind the disk's says nothing.
        if (found.segments.length < 2 || age >= GRACE || age < 0) return Effect.succeed(found)
        found.close()
        return Effect.andThen(Effect.sleep(GRACE - age), look)
      }
    )
    return look
  })

/**
 * Reads a view, oldest first, and answers where it ended. Others get their turn between two slices.
 *
 * @internal
 */
export const scan = (
  directory: LogDirectory,
  ledger: DamageLedger,
  view: LogView,
  visit: (record: LogLine.LogRecord, segment: number) => void,
  bounds: { readonly from?: LogPosition | undefined; readonly until?: LogPosition | undefined } = {}
): Effect.Effect<LogPosition, BackendError> =>
  Effect.suspend(() => {
    const { disk } = directory
    const { from, until } = bounds
    let index = -1
    let reader: SegmentReader | undefined
    let end: LogPosition = beginning
    const step = (): boolean => {
      const segment = view.segments[index]
      if (segment !== undefined && reader !== undefined) {
        const last = until?.segment !== undefined && until.segment.key === segment.name.key
        const limit = last ? Math.min(until.offset, segment.status.size) : segment.status.size
        const final = !last && index < view.segments.length - 1
        if (reader.step(limit, final, (record) => visit(record, index))) return true
        end = { segment: segment.name, offset: reader.offset, check: checkAt(disk, segment.opened, reader.offset) ?? 0 }
        if (last) return false
      }
      index += 1
      const next = view.segments[index]
      if (next === undefined) return false
      if (until !== undefined && (until.segment === undefined || SegmentName.order(next.name, until.segment) > 0))
        return false
      let offset = 0
      if (from?.segment !== undefined) {
        const order = SegmentName.order(next.name, from.segment)
        if (order < 0) offset = next.status.size
        // A segment that is no longer what it was is read whole.
        else if (order === 0 && checkAt(disk, next.opened, from.offset) === from.check) offset = from.offset
      }
      reader = new SegmentReader(disk, next, ledger, offset)
      return true
    }
    const loop: Effect.Effect<LogPosition, BackendError> = Effect.suspend(() =>
      Effect.flatMap(directory.attempt(step, view.segments[Math.max(0, index)]?.name.file), (more) =>
        more ? Effect.andThen(Effect.yieldNow, loop) : Effect.succeed(end)
      )
    )
    return loop
  })
