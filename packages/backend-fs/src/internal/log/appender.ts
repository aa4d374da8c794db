/**
 * Appends lines to the newest segment of an event log, to which other processes append too.
 *
 * - Each append is one write(2) to a file that is open for appending, which the kernel does not mix with others. There is no lock, so
 *   nothing is ever taken back: a line that was written in part is ended with a line end, which readers skip, and is written again.
 * - Before each append the end of the segment is checked. If another process left a partial line there, the append starts with a line
 *   end. If the segment has reached its size limit, or is of an earlier day, the process rotates to a new segment: each process may
 *   do so, one of them creates the file, and the others open it.
 * - After each append the path has to lead to the same file, which has grown by what was appended; otherwise the append is repeated
 *   in the newest segment. Where others appended at the same moment, the lines are looked for, and written again unless they begin
 *   on a line of their own.
 * - The appender checks at least every 20 ms of use whether a newer segment exists. An append that ended long after the last check is
 *   repeated in the newest segment when there is one, because readers leave a segment `GRACE` after a newer one appeared. Readers
 *   show a line that was written twice once.
 * - What a segment begins with is noted before the first append to it is answered; otherwise a segment that is replaced before that
 *   is noted would be lost without a trace, with what others have appended to it.
 * - When the log was deleted or replaced meanwhile, the append fails, and may or may not be found.
 */
import { BackendError, Transient } from "@tidings/core/BackendError"
import type * as Clock from "effect/Clock"
import { codeOf, diskFailure, fromDisk, unavailable } from "../diskError.ts"
import { endsInLine, syncAncestors } from "../fileOperations.ts"
import type { LogDirectory, OpenSegment } from "./directory.ts"
import * as Limits from "./limits.ts"
import type { LogSync } from "./logSync.ts"
import type { LogMeta } from "./logMeta.ts"
import * as SegmentFormat from "./segmentFormat.ts"
import * as SegmentMark from "./segmentMark.ts"
import * as SegmentName from "./segmentName.ts"

/** How long a check is relied on that the open segment is the newest, in nanoseconds. */
const CHECK_VALID = 20_000_000n

/** Number of appends after which the check is repeated, also when the clock stands still. */
const CHECK_VALID_APPENDS = 1_024

/** Time since the last check after which an append is checked again when it has ended, in nanoseconds: well below `GRACE`. */
const HELD_UP = 100_000_000n

/** How often an operation is repeated that other processes interfere with. */
const MOST_TRIES = 16

const LINE_END = Buffer.from("\n")

/** Time after which a system has written back what was written, also without a sync, in milliseconds; 35 seconds on Linux. */
const WRITTEN_BACK = 600_000

/** How many of the newest segments are synced when a log is opened. */
const MOST_EARLIER = 8

const WHOLE: ReadonlyArray<number> = [0]

/** @internal */
export interface AppenderOptions {
  readonly directory: LogDirectory
  readonly clock: Clock.Clock
  /** Size of a segment in bytes after which the next one is begun. */
  readonly segmentSize: number
  /** What makes appended lines durable; absent where that is left to the system. */
  readonly sync?: LogSync | undefined
}

/** @internal */
export class LogAppender {
  private readonly directory: LogDirectory
  private readonly clock: Clock.Clock
  private readonly segmentSize: number
  private readonly sync: LogSync | undefined
  private isClosed = false
  private current: OpenSegment | undefined
  /** Size of the segment when it was last looked at. */
  private end = 0
  /** Size at which the open segment is complete: several of this size are within the limit of the log. */
  private fullAt = 0
  /** When the day of the open segment ends, in milliseconds since 1970. */
  private dayEnds = 0
  private readonly byte = new Uint8Array(1)
  /** The identity of the log that the segment belongs to. */
  target: string | undefined
  /** The highest number of a segment that was written to; it is not used again, also when all segments are deleted. */
  private highest = 0
  /** Number of the newest segment that could not be synced. */
  private sealedUpTo = 0
  /** The identity of the log of which everything that was there is synced with the first answer. */
  private syncedTarget: string | undefined
  /** Whether the open segment is of the first release, which has no checksums. */
  private isPlain = false
  /** Whether it is noted what the open segment begins with. */
  private isNoted = false
  private checkedAt = 0n
  private appendsLeft = 0
  /** The segment may not end with a line end, so the next append has to start with one. */
  isTorn = false

  constructor({ clock, directory, segmentSize, sync }: AppenderOptions) {
    this.directory = directory
    this.clock = clock
    this.segmentSize = segmentSize
    this.sync = sync
    if (sync === undefined) return
    sync.leave = (segment) => this.leave(segment)
    sync.appendAnew = (bytes) => this.appendAnew(bytes)
  }

  close(): void {
    this.isClosed = true
    this.closeSegment()
  }

  private closeSegment(): void {
    if (this.current === undefined) return
    if (this.sync === undefined) this.directory.disk.close(this.current.opened)
    else this.sync.close(this.current)
    this.current = undefined
  }

  /** Appends no more to a segment, nor to those before it. */
  private leave(segment: OpenSegment): void {
    this.sealedUpTo = Math.max(this.sealedUpTo, segment.name.number)
    if (this.current === segment) this.closeSegment()
  }

  private appendAnew(bytes: Uint8Array): void {
    if (!this.isReady()) {
      const identity = this.directory.readIdentity()
      if (identity === undefined || identity !== this.target) throw this.unknown("it was removed or replaced")
      this.openNewest(identity)
    }
    const lines = this.isTorn ? Buffer.concat([LINE_END, bytes]) : bytes
    try {
      this.append(lines, lines.length, [lines.length])
    } catch (cause) {
      throw cause instanceof PartialWrite ? cause.error : cause
    }
  }

  /** The path of the open segment, or else of the directory. */
  get path(): string {
    return this.current === undefined ? this.directory.path : this.directory.pathOf(this.current.name.file)
  }

  /** Whether the newest segment is open, for one more append; otherwise `openNewest` has to come first. */
  isReady(): boolean {
    const now = this.clock.monotonicTimeNanosUnsafe()
    const isChecked = this.current !== undefined && this.appendsLeft > 0 && now - this.checkedAt <= CHECK_VALID
    if (!isChecked && !this.isNewest(now)) return false
    this.lookAtEnd()
    if (this.isComplete(this.current!.name, this.end)) return false
    this.appendsLeft -= 1
    return true
  }

  /** Checks that the open segment exists and is the newest. */
  private isNewest(now: bigint): boolean {
    const { current } = this
    if (current === undefined) return false
    if (!this.directory.disk.leadsTo(this.directory.pathOf(current.name.file), current.status.identity)) return false
    if (this.directory.segments().some((name) => SegmentName.order(name, current.name) > 0)) return false
    this.checked(now)
    return true
  }

  private checked(now: bigint): void {
    this.checkedAt = now
    this.appendsLeft = CHECK_VALID_APPENDS
  }

  /** Looks whether another process has written since, and whether it left a part of a line. */
  private lookAtEnd(): void {
    const { disk } = this.directory
    const { opened } = this.current!
    // A read at the end is cheaper than the status of the file, and is all that a single writer needs.
    if (disk.read(opened, this.byte, 0, 1, this.end) === 0) return
    const isTorn = this.endsInPartialLine(opened)
    this.isTorn ||= isTorn
  }

  /** Whether no more lines are begun in a segment of this size: it is large enough, or of an earlier day. */
  private isComplete(name: SegmentName.SegmentName, size: number): boolean {
    if (size === 0) return false
    if (name.number >= SegmentName.HIGHEST) return name.date < this.directory.today()
    if (this.isPlain) return true
    return size >= this.fullAt || this.clock.currentTimeMillisUnsafe() >= this.dayEnds
  }

  /** Whether a segment ends in a line that no process is still writing: what a process has written so far is visible at once. */
  private endsInPartialLine(opened: number): boolean {
    const { disk } = this.directory
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const { size } = disk.statusOf(opened)
      this.end = size
      if (!endsInLine(disk, opened, size)) return false
      try {
        disk.settle(opened)
      } catch (cause) {
        // Only the owner of a file may set its times. A line end too many is an empty line, which readers skip.
        if (codeOf(cause) === "EPERM" || codeOf(cause) === "EACCES") return true
        throw cause
      }
      if (disk.statusOf(opened).size === size) return true
    }
    return false
  }

  /** Opens the newest segment of the log with this identity, or begins one. */
  openNewest(target: string): void {
    if (this.isClosed) return
    const now = this.clock.monotonicTimeNanosUnsafe()
    if (this.target !== target) this.highest = this.sealedUpTo = 0
    // Another fiber may have opened it meanwhile.
    else if (this.isNewest(now) && !this.isComplete(this.current!.name, this.end)) return
    this.closeSegment()
    this.target = target
    const meta = this.directory.upgradeLog()
    const { limits, sealedUpTo: ofFirstRelease } = meta
    const sealedUpTo = Math.max(this.sealedUpTo, ofFirstRelease)
    this.fullAt = Limits.segmentSize(limits, this.segmentSize)
    this.syncEarlier(target)
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const newest = this.directory.segments().at(-1)
      const isUsable =
        newest !== undefined &&
        newest.number >= this.highest &&
        newest.number > sealedUpTo &&
        !this.directory.isCompressed(newest)
      const opened = isUsable ? this.directory.openSegment(newest, "append") : this.begin(newest)
      if (opened === undefined) continue
      this.use(opened, meta)
      if (this.isComplete(opened.name, this.end)) {
        this.highest = opened.name.number
        this.closeSegment()
        const next = this.begin(opened.name)
        if (next === undefined) continue
        this.use(next, meta)
      }
      this.highest = this.current!.name.number
      this.checked(now)
      return
    }
    throw unavailable(
      `no segment could be created in ${this.directory.path}: other processes were faster each time; try again`
    )
  }

  private use(segment: OpenSegment, meta: LogMeta): void {
    this.current = segment
    this.dayEnds = SegmentName.endOfDay(segment.name) / 1_000
    this.isTorn = this.endsInPartialLine(segment.opened)
    this.isPlain = SegmentFormat.formatOf(this.directory.disk, segment) === "plain"
    this.directory.linkNewest(segment.name)
    this.isNoted = SegmentMark.isNoted(this.directory, meta, segment)
    if (this.end === 0 && meta.begun.some((mark) => mark.segment?.key === segment.name.key)) {
      SegmentMark.noteCut(this.directory, this.clock, segment.name)
    }
    this.sync?.appended(segment)
  }

  /** What a writer that was stopped has written is stored, and has to be durable where a write of it is answered. */
  private syncEarlier(target: string): void {
    const { directory, sync } = this
    if (sync === undefined || this.syncedTarget === target) return
    syncAncestors(directory.disk, directory.path)
    const names = directory.segments()
    const recent = this.clock.currentTimeMillisUnsafe() - WRITTEN_BACK
    for (const name of names.slice(-MOST_EARLIER)) {
      const segment = directory.openSegment(name, "read")
      if (segment === undefined) continue
      if (segment.status.modified >= recent) sync.appended(segment)
      sync.close(segment)
    }
    this.syncedTarget = target
  }

  /** Begins the segment after all that there were; absent when another process did. */
  private begin(newest: SegmentName.SegmentName | undefined): OpenSegment | undefined {
    let number = Math.max(this.highest, newest?.number ?? 0, this.directory.highestKnown()) + 1
    while (number < SegmentName.HIGHEST && this.directory.isTaken(number)) number++
    return this.directory.createSegment(Math.min(number, SegmentName.HIGHEST))
  }

  /**
   * Appends the first `length` bytes of a buffer, the lines of which end at `ends`. Throws `PartialWrite` where only the lines
   * before an offset were written.
   */
  append(buffer: Uint8Array, length: number, ends: ReadonlyArray<number>, tries = 0): void {
    const { disk } = this.directory
    const { opened } = this.current!
    let from = 0
    let grown = 0
    /** Where the lines were cut, each piece of whole lines is one write. */
    let starts: ReadonlyArray<number> = WHOLE
    try {
      for (let cuts = 0; from < length; cuts++) {
        // The system gives a reason only when it writes nothing at all.
        if (cuts > MOST_TRIES) throw diskFailure("ENOSPC", "only parts were written")
        const written = disk.append(opened, buffer, from, length - from)
        const reached = from + written
        grown += written
        if (reached < length) {
          const before = from
          for (const end of ends) if (end <= reached) from = Math.max(from, end)
          if (from > before) starts = starts.concat(from)
          this.isTorn = true
          grown += disk.append(opened, LINE_END, 0, 1)
        } else {
          from = length
        }
        this.isTorn = false
      }
    } catch (cause) {
      this.isTorn = true
      const error = fromDisk(cause, this.path)
      if (from > 0 && !this.keeps(buffer.subarray(0, from), starts)) from = 0
      if (from > 0) this.sync?.appended(this.current!, buffer.subarray(0, from))
      throw new PartialWrite(from, error)
    }
    this.checkAppended(buffer, length, { starts, grown, tries })
  }

  /** Whether lines that were written before an append failed stay: they are in a segment that readers still read. */
  private keeps(lines: Uint8Array, starts: ReadonlyArray<number>): boolean {
    const { directory } = this
    const { name, status } = this.current!
    try {
      if (directory.files.status(directory.pathOf(name.file))?.identity !== status.identity) return false
      if (!this.isNewest(this.clock.monotonicTimeNanosUnsafe())) return false
      const whole = starts.filter((start) => start < lines.length)
      this.isNoted ||= this.noteBeginning(lines, whole, this.end, false)
      return this.isNoted
    } catch {
      return false
    }
  }

  /** Notes what the open segment begins with. False where lines that were just appended to it after an offset are gone by then. */
  private noteBeginning(lines: Uint8Array, starts: ReadonlyArray<number>, after: number, isCut: boolean): boolean {
    const segment = this.current!
    if (!SegmentMark.noteOpen(this.directory, this.clock, segment, isCut)) return false
    // What was noted may be what another process wrote after the segment was cut.
    this.end = this.directory.disk.statusOf(segment.opened).size
    return this.areOnLinesOfTheirOwn(segment.opened, lines, starts, Math.min(after, this.end))
  }

  /** Repeats an append in the newest segment where the one it went to has no name, is left by readers, or mixed it with others. */
  private checkAppended(
    buffer: Uint8Array,
    length: number,
    { grown, starts, tries }: { readonly starts: ReadonlyArray<number>; readonly grown: number; readonly tries: number }
  ): void {
    const { disk } = this.directory
    const { name, opened, status } = this.current!
    // The file itself: a compressed one in its place is another.
    const found = this.directory.files.status(this.directory.pathOf(name.file))
    const now = this.clock.monotonicTimeNanosUnsafe()
    if (found?.identity === status.identity && (now - this.checkedAt <= HELD_UP || this.isNewest(now))) {
      const { end } = this
      this.end = found.size
      const after = Math.max(0, Math.min(end, found.size - grown))
      if (found.size === end + grown || this.areOnLinesOfTheirOwn(opened, buffer.subarray(0, length), starts, after)) {
        const isCut = found.size < end + grown
        if (isCut) this.isNoted = false
        this.isNoted ||= this.noteBeginning(buffer.subarray(0, length), starts, after, isCut)
        if (this.isNoted) {
          return this.sync?.appended(this.current!, buffer.subarray(0, length))
        }
        this.closeSegment()
      } else {
        if (tries >= MOST_TRIES) throw this.unknown("other processes write parts of lines into it each time")
        if (this.endsInPartialLine(opened)) disk.append(opened, LINE_END, 0, 1)
        return this.append(buffer, length, [length], tries + 1)
      }
    }
    const identity = this.directory.readIdentity()
    if (identity === undefined || identity !== this.target) {
      this.closeSegment()
      throw this.unknown("it was removed or replaced while it was written to")
    }
    this.openNewest(identity)
    if (tries >= MOST_TRIES) throw this.unknown("its segments were removed each time")
    this.append(buffer, length, [length], tries + 1)
  }

  /** Whether lines that were appended after an offset are there as they were given, and do not continue the line of another process. */
  private areOnLinesOfTheirOwn(
    opened: number,
    lines: Uint8Array,
    starts: ReadonlyArray<number>,
    after: number
  ): boolean {
    const from = Math.max(0, after - 1)
    const bytes = Buffer.allocUnsafe(this.end - from)
    const length = this.directory.disk.read(opened, bytes, 0, bytes.length, from)
    const isThere = (lines: Uint8Array): boolean => {
      for (let at = bytes.indexOf(lines); at !== -1 && at + lines.length <= length; at = bytes.indexOf(lines, at + 1)) {
        if (from + at === 0 || lines[0] === LINE_END[0] || bytes[at - 1] === LINE_END[0]) return true
      }
      return false
    }
    return starts.every((start, index) => isThere(lines.subarray(start, starts[index + 1])))
  }

  private unknown(what: string): BackendError {
    return new BackendError({
      reason: new Transient({ applied: "unknown", detail: `the event log in ${this.directory.path}: ${what}` })
    })
  }
}

/**
 * An append that failed after the lines up to an offset were written.
 *
 * @internal
 */
export class PartialWrite {
  readonly written: number
  readonly error: BackendError

  constructor(written: number, error: BackendError) {
    this.written = written
    this.error = error
  }
}
