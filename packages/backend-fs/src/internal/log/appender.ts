/**
 * Appends lines to the newest segment of an event log, to which other processes append too.
 *
 * - Each append is one write(2) to a file that is open for appending, which the kernel does not mix with others. There is no lock, so
 *   nothing is ever taken back: a line that was written in part is ended with a line end, which readers skip, and is written again.
 * - The appender checks at least every 20 ms of use whether a newer segment exists, and after each append whether its file still has
 *   a name. An append that ended long after the last check is repeated in the newest segment when there is one, because readers
 *   leave a segment `GRACE` after a newer one appeared. Readers show a line that was written twice once.
 * - When the log was deleted or replaced meanwhile, the append fails, and may or may not be found.
 */
import { BackendError, Transient } from "@tidings/core/BackendError"
import type * as Clock from "effect/Clock"
import { codeOf, diskFailure, fromDisk, unavailable } from "../diskError.ts"
import { endsInLine } from "../fileOperations.ts"
import type { LogDirectory, OpenSegment } from "./directory.ts"
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

/** @internal */
export class LogAppender {
  private readonly directory: LogDirectory
  private readonly clock: Clock.Clock
  private isClosed = false
  private current: OpenSegment | undefined
  /** The identity of the log that the segment belongs to. */
  target: string | undefined
  /** The highest number of a segment that was written to; it is not used again, also when all segments are deleted. */
  private highest = 0
  private checkedAt = 0n
  private appendsLeft = 0
  /** The segment may not end with a line end, so the next append has to start with one. */
  isTorn = false

  constructor(directory: LogDirectory, clock: Clock.Clock) {
    this.directory = directory
    this.clock = clock
  }

  close(): void {
    this.isClosed = true
    this.closeSegment()
  }

  private closeSegment(): void {
    if (this.current === undefined) return
    this.directory.disk.close(this.current.opened)
    this.current = undefined
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
    this.appendsLeft -= 1
    return true
  }

  /** Checks that the open segment exists and is the newest, and whether another process left a partial line in it. */
  private isNewest(now: bigint): boolean {
    const { current } = this
    if (current === undefined) return false
    const status = this.directory.disk.status(this.directory.pathOf(current.name.file))
    if (status === undefined || status.identity !== current.status.identity) return false
    if (this.directory.segments().some((name) => SegmentName.order(name, current.name) > 0)) return false
    if (!this.isTorn) this.isTorn = this.endsInPartialLine(current.opened)
    this.checked(now)
    return true
  }

  private checked(now: bigint): void {
    this.checkedAt = now
    this.appendsLeft = CHECK_VALID_APPENDS
  }

  /** Whether a segment ends in a line that nobody is writing any more: what a process has written so far is visible at once. */
  private endsInPartialLine(opened: number): boolean {
    const { disk } = this.directory
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const { size } = disk.statusOf(opened)
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
    if (this.target !== target) this.highest = 0
    // Another fiber may have opened it meanwhile.
    else if (this.isNewest(now)) return
    this.closeSegment()
    this.target = target
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const newest = this.directory.segments().at(-1)
      this.current =
        newest === undefined || newest.number < this.highest
          ? this.directory.createSegment(this.highest + 1)
          : this.directory.openSegment(newest, "append")
      if (this.current === undefined) continue
      this.isTorn = this.endsInPartialLine(this.current.opened)
      this.highest = this.current.name.number
      this.checked(now)
      return
    }
    throw unavailable(
      `no segment could be created in ${this.directory.path}: other processes were faster each time; try again`
    )
  }

  /**
   * Appends the first `length` bytes of a buffer, the lines of which end at `ends`. Throws `PartialWrite` where only the lines
   * before an offset were written.
   */
  append(buffer: Uint8Array, length: number, ends: ReadonlyArray<number>): void {
    const { disk } = this.directory
    const { opened } = this.current!
    let from = 0
    try {
      for (let cuts = 0; from < length; cuts++) {
        // The system gives a reason only when it writes nothing at all.
        if (cuts > MOST_TRIES) throw diskFailure("ENOSPC", "only parts were written")
        const reached = from + disk.append(opened, buffer, from, length - from)
        if (reached < length) {
          for (const end of ends) if (end <= reached) from = Math.max(from, end)
          this.isTorn = true
          disk.append(opened, LINE_END, 0, 1)
        } else {
          from = length
        }
        this.isTorn = false
      }
    } catch (cause) {
      this.isTorn = true
      throw new PartialWrite(from, fromDisk(cause, this.path))
    }
    this.checkAppended(buffer, length)
  }

  /** Repeats an append in the newest segment where the one it went to has no name, or is left by readers. */
  private checkAppended(buffer: Uint8Array, length: number): void {
    const now = this.clock.monotonicTimeNanosUnsafe()
    const isUnlinked = this.directory.disk.isUnlinked(this.current!.opened)
    if (!isUnlinked && (now - this.checkedAt <= HELD_UP || this.isNewest(now))) return
    const identity = this.directory.readIdentity()
    if (identity === undefined || identity !== this.target) {
      this.closeSegment()
      throw new BackendError({
        reason: new Transient({
          applied: "unknown",
          detail: `the event log in ${this.directory.path} was removed or replaced while it was written to`
        })
      })
    }
    this.openNewest(identity)
    this.append(buffer, length, [length])
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
