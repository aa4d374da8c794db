import * as Backend from "@tidings/core/Backend"
import { BackendError, Transient } from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as Timestamp from "@tidings/core/Timestamp"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { FileStatus } from "./disk.ts"
import { codeOf, fromDisk, unavailable } from "./diskError.ts"
import { LineEncoder } from "./lineEncoder.ts"
import type { LogChanges } from "./logChanges.ts"
import type { LogDirectory } from "./logDirectory.ts"
import type { LogRecord } from "./logLine.ts"
import * as LogPosition from "./logPosition.ts"
import type { DamageLedger } from "./logSegment.ts"
import { LogView } from "./logView.ts"
import * as SegmentName from "./segmentName.ts"
import { SeriesIndex } from "./seriesIndex.ts"

/** What one write(2) carries at the most, and the longest line, in bytes. A larger one would block others for long. */
const LARGEST_WRITE = 1_048_576

/** How long the writer trusts that it still writes to the newest segment, in nanoseconds. */
const TRUSTED = 20_000_000n

/**
 * When a write ended later than this after the last look, in nanoseconds, the process was held up in between, and the
 * writer looks again before it answers. Well below `GRACE`, for which readers wait.
 */
const HELD_UP = 100_000_000n

/** A clock that stands still must not make the trust endless: so many writes are one look. */
const TRUSTED_WRITES = 1_024

/** How often one write opens the log anew, when what it finds changes at once again. */
const MOST_TRIES = 16

/** How many entries of each kind the writer remembers of what it stored. */
const REMEMBERED = 65_536

/** How many origins are noted as seen in the log; beyond that each new one is looked up in the log. */
const MOST_SEEN = 4_194_304

const LINE_END = Buffer.from("\n")

const CREATED: ReadonlyArray<Backend.Outcome> = [Backend.created]
const UPDATED: ReadonlyArray<Backend.Outcome> = [Backend.updated]
const PRESENT: ReadonlyArray<Backend.Outcome> = [Backend.present]

interface Open {
  readonly name: SegmentName.SegmentName
  readonly opened: number
  readonly status: FileStatus
}

/** 30 bits of an origin, enough to tell that it was not seen. */
const hashOf = (origin: string): number => {
  let hash = 0x811c9dc5
  for (let index = 0; index < origin.length; index++) hash = Math.imul(hash ^ origin.charCodeAt(index), 0x01000193)
  return (hash ^ (hash >>> 15)) & 0x3fffffff
}

let lastOrigin = ""

/** Whether an origin can be read back from the text of an identity. Nearly always it is the one of the last write. */
const isOrigin = (origin: string): boolean => {
  if (origin === lastOrigin) return true
  const parsed = EventId.parse(EventId.format({ origin, seq: 0 }))
  if (parsed?.origin !== origin) return false
  lastOrigin = origin
  return true
}

/** Why no reader would take the line of a write; absent when one would. */
const objection = ({ count, event, first, id, last, upTo }: Write): string | undefined => {
  if (!isOrigin(id.origin)) return "id.origin is no text of printable ASCII"
  if (!Number.isSafeInteger(id.seq) || id.seq < 0) return "id.seq is no whole number from 0"
  if (!Number.isSafeInteger(upTo) || upTo < 0) return "upTo is no whole number from 0"
  if (!Number.isSafeInteger(count) || count < 1) return "count is no whole number from 1"
  if (!Timestamp.isMicros(first) || !Timestamp.isMicros(last)) {
    return "first or last is no time in whole microseconds of the years 0 to 9999"
  }
  if (event.reason === "") return "the reason is empty"
  if (typeof event.type !== "string") return "the type is no text"
  return undefined
}

/**
 * Appends to the newest segment.
 *
 * Several processes append to one segment at once: each write is one write(2) to a file that is open for appending, which
 * the kernel keeps in one piece. There is no lock, so nothing that another process may have written is ever taken back:
 * what was written in part is ended with a line end, and readers skip it.
 *
 * @internal
 */
export class LogWriter {
  private readonly directory: LogDirectory
  private readonly changes: LogChanges
  private readonly ledger: DamageLedger
  private readonly clock: Clock.Clock
  /** Makes sure that there is a log, and answers its identity. */
  private readonly prepare: Effect.Effect<string, BackendError>
  private readonly mutex = Semaphore.makeUnsafe(1)
  private ended = false
  private current: Open | undefined
  private target: string | undefined
  /** The highest number of a segment that this writer wrote to; it is never used again, also when all are deleted. */
  private highest = 0
  private lookedAt = 0n
  private writesLeft = 0
  /** The last byte of the segment may be no line end: the next write begins with one. */
  private torn = false
  private buffer = Buffer.alloc(0)
  private readonly encoder = new LineEncoder()
  /** What is stored of the origins that this writer wrote for. */
  private readonly stored = new SeriesIndex(REMEMBERED)
  /** Which origins the log has, up to `seenTo`: only ever too many. */
  private readonly seen = new Set<number>()
  private seenTo: LogPosition.LogPosition = LogPosition.beginning

  constructor(options: {
    readonly directory: LogDirectory
    readonly changes: LogChanges
    readonly ledger: DamageLedger
    readonly clock: Clock.Clock
    readonly prepare: Effect.Effect<string, BackendError>
  }) {
    this.directory = options.directory
    this.changes = options.changes
    this.ledger = options.ledger
    this.clock = options.clock
    this.prepare = options.prepare
  }

  /** Lets go of the segment for good. */
  end(): void {
    this.ended = true
    this.close()
  }

  private close(): void {
    if (this.current === undefined) return
    this.directory.disk.close(this.current.opened)
    this.current = undefined
  }

  /** Stores a batch; `stored` is called with each write that is in the log and was not before. */
  write(
    batch: ReadonlyArray<Write>,
    stored: (write: Write) => void,
    tries = 0
  ): Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError> {
    return Effect.suspend(() => {
      if (this.ended) return Effect.fail(unavailable(`the event log in ${this.directory.path} is closed`))
      try {
        const now = this.clock.monotonicTimeNanosUnsafe()
        if (this.current === undefined || this.writesLeft <= 0 || now - this.lookedAt > TRUSTED) {
          if (!this.stillNewest(now)) return this.tryAgain(this.open, batch, stored, tries)
        }
        this.writesLeft -= 1
        if (batch.length === 1) {
          const outcomes = this.appendOne(batch[0]!, stored)
          if (outcomes !== undefined) return Effect.succeed(outcomes)
        }
        for (const { id } of batch) {
          if (!this.stored.hasOrigin(id.origin) && tries < MOST_TRIES) {
            return this.tryAgain(this.learn(batch), batch, stored, tries)
          }
        }
        return Effect.succeed(this.append(batch, stored))
      } catch (cause) {
        return Effect.fail(fromDisk(cause, this.pathOfCurrent()))
      }
    })
  }

  private tryAgain(
    first: Effect.Effect<void, BackendError>,
    batch: ReadonlyArray<Write>,
    stored: (write: Write) => void,
    tries: number
  ): Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError> {
    return tries < MOST_TRIES
      ? Effect.andThen(
          first,
          Effect.suspend(() => this.write(batch, stored, tries + 1))
        )
      : Effect.fail(
          new BackendError({
            reason: new Transient({
              applied: "no",
              detail: `the segments in ${this.directory.path} change faster than they can be opened`
            })
          })
        )
  }

  private pathOfCurrent(): string {
    return this.current === undefined ? this.directory.path : this.directory.pathOf(this.current.name.file)
  }

  // -------------------------------------------------------------------------
  // which segment
  // -------------------------------------------------------------------------

  /** Whether the open segment is there and the newest; looks at its last byte too, which another process may have torn. */
  private stillNewest(now: bigint): boolean {
    const { current } = this
    if (current === undefined) return false
    const status = this.directory.disk.status(this.directory.pathOf(current.name.file))
    if (status === undefined || status.identity !== current.status.identity) return false
    if (this.directory.segments().some((name) => SegmentName.order(name, current.name) > 0)) return false
    if (!this.torn) this.torn = this.isTorn(current.opened)
    this.lookedAt = now
    this.writesLeft = TRUSTED_WRITES
    return true
  }

  /**
   * Whether the segment ends without a line end, and not only because another process is just writing: what it has
   * written so far can be seen before it is through.
   */
  private isTorn(opened: number): boolean {
    const { disk } = this.directory
    const last = new Uint8Array(1)
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const { size } = disk.statusOf(opened)
      if (size === 0 || disk.read(opened, last, 0, 1, size - 1) !== 1 || last[0] === 0x0a) return false
      try {
        disk.settle(opened)
      } catch (cause) {
        // Only the owner of a file may set its times. Without that check a line end is written, and readers skip an empty line.
        if (codeOf(cause) === "EPERM" || codeOf(cause) === "EACCES") return true
        throw cause
      }
      if (disk.statusOf(opened).size === size) return true
    }
    return false
  }

  /** Opens the newest segment, or begins one; makes the directory when it is gone. */
  private readonly open: Effect.Effect<void, BackendError> = this.mutex.withPermit(
    Effect.suspend(() =>
      Effect.flatMap(this.prepare, (target) => this.directory.attempt(() => this.openNewest(target)))
    )
  )

  private openNewest(target: string): void {
    if (this.ended) return
    const { disk } = this.directory
    const now = this.clock.monotonicTimeNanosUnsafe()
    const before = this.current
    if (this.target !== target) {
      // Another log: nothing that was stored is in it.
      this.stored.clear()
      this.seen.clear()
      this.seenTo = LogPosition.beginning
      this.highest = 0
    }
    // Another fiber may have done it meanwhile.
    else if (before !== undefined && this.stillNewest(now)) return
    this.close()
    this.target = target
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const newest = this.directory.segments().at(-1)
      if (newest === undefined || newest.number < this.highest) {
        const begun = this.directory.createSegment(this.highest + 1)
        if (begun === undefined) continue
        this.current = { ...begun, status: disk.statusOf(begun.opened) }
        this.torn = false
      } else {
        let opened: number
        try {
          opened = disk.openToAppend(this.directory.pathOf(newest.file))
        } catch (cause) {
          throw fromDisk(cause, this.directory.pathOf(newest.file))
        }
        const status = disk.statusOf(opened)
        if (status.kind !== "file") {
          disk.close(opened)
          throw unavailable(
            `${this.directory.pathOf(newest.file)} is no regular file, which a segment of the log has to be: move it away`
          )
        }
        this.current = { name: newest, opened, status }
        this.torn = this.isTorn(opened)
      }
      this.highest = this.current.name.number
      this.lookedAt = now
      this.writesLeft = TRUSTED_WRITES
      return
    }
    throw unavailable(
      `no segment could be made in ${this.directory.path}: other processes were always faster; try again`
    )
  }

  // -------------------------------------------------------------------------
  // what is stored already
  // -------------------------------------------------------------------------

  /**
   * Finds out what the log has of the origins of a batch that this writer writes for the first time. An origin has one
   * writer at a time, so this is the only time.
   *
   * Reads what came since it read last, and notes of which origins it is; the whole log only when one of the batch's
   * origins may be among those noted before.
   */
  private learn(batch: ReadonlyArray<Write>): Effect.Effect<void, BackendError> {
    return this.mutex.withPermit(
      Effect.suspend(() => {
        const wanted = new Set<string>()
        for (const { id } of batch) if (!this.stored.hasOrigin(id.origin)) wanted.add(id.origin)
        if (wanted.size === 0) return Effect.void
        let again = this.seen.size >= MOST_SEEN
        for (const origin of wanted) again ||= this.seen.has(hashOf(origin))
        const from = again ? LogPosition.beginning : this.seenTo
        const learned = new SeriesIndex(REMEMBERED)
        for (const origin of wanted) learned.addOrigin(origin)
        let lastOrigin = ""
        const visit = (record: LogRecord): void => {
          const { origin } = record
          if (wanted.has(origin)) learned.raise(origin, record.seq, record.upTo)
          if (origin === lastOrigin) return
          lastOrigin = origin
          if (this.seen.size < MOST_SEEN) this.seen.add(hashOf(origin))
        }
        return Effect.map(
          LogView.use(this.directory, (view) => view.scan(this.ledger, visit, { from })),
          (end) => {
            this.seenTo = end
            this.stored.adopt(learned)
          }
        )
      })
    )
  }

  // -------------------------------------------------------------------------
  // appending
  // -------------------------------------------------------------------------

  /**
   * The short way for the common case: one write, of an origin that is known, to a segment that ends with a line end.
   * Absent when it is another case; then nothing was written, and the long way finds out.
   */
  private appendOne(write: Write, stored: (write: Write) => void): ReadonlyArray<Backend.Outcome> | undefined {
    const { origin, seq } = write.id
    if (this.torn || !this.stored.hasOrigin(origin)) return undefined
    const before = this.stored.get(origin, seq)
    if (before !== undefined && before >= write.upTo) return PRESENT
    this.allocate()
    const length = this.encode(write, 0)
    if (typeof length === "string" || length === -1) return undefined
    try {
      this.put(length, [length])
    } catch (cause) {
      throw cause instanceof WrittenInPart ? fromDisk(cause.cause, this.pathOfCurrent()) : cause
    }
    this.stored.raise(origin, seq, write.upTo)
    stored(write)
    this.changes.notify()
    return before === undefined ? CREATED : UPDATED
  }

  private allocate(): void {
    if (this.buffer.length === 0) this.buffer = Buffer.allocUnsafeSlow(LARGEST_WRITE + 1)
  }

  private append(batch: ReadonlyArray<Write>, stored: (write: Write) => void): ReadonlyArray<Backend.Outcome> {
    this.allocate()
    const outcomes: Array<Backend.Outcome> = []
    let error: BackendError | undefined
    let answered = false
    /** Which writes are in the buffer, and where the line of each ends. */
    let waiting: Array<number> = []
    let ends: Array<number> = []
    let length = this.begin()

    const leave = (): void => {
      let done = length
      try {
        if (waiting.length > 0) this.put(length, ends)
      } catch (cause) {
        if (!(cause instanceof WrittenInPart)) throw cause
        done = cause.done
        error = fromDisk(cause.cause, this.pathOfCurrent())
      }
      for (let index = 0; index < waiting.length; index++) {
        const at = waiting[index]!
        const write = batch[at]!
        if (ends[index]! > done) {
          outcomes[at] = { _tag: "Retry", error: error! }
          continue
        }
        this.stored.raise(write.id.origin, write.id.seq, write.upTo)
        answered = true
        stored(write)
      }
      waiting = []
      ends = []
      length = this.begin()
    }

    for (let index = 0; index < batch.length; index++) {
      const write = batch[index]!
      const before = this.stored.get(write.id.origin, write.id.seq)
      if (before !== undefined && before >= write.upTo) {
        outcomes[index] = Backend.present
        answered = true
        continue
      }
      let end = this.encode(write, length)
      if (end === -1 && waiting.length > 0) {
        leave()
        end = this.encode(write, length)
      }
      if (typeof end === "string" || end === -1) {
        const reason =
          typeof end === "string"
            ? end
            : `as a line of the log it is longer than ${LARGEST_WRITE} bytes; shorten its data`
        outcomes[index] = { _tag: "Rejected", reason }
        answered = true
      } else if (error === undefined) {
        outcomes[index] = before === undefined ? Backend.created : Backend.updated
        length = end
        waiting.push(index)
        ends.push(end)
      } else {
        outcomes[index] = { _tag: "Retry", error }
      }
    }
    leave()
    if (error !== undefined && !answered) throw error
    this.changes.notify()
    return outcomes
  }

  /** Puts the line of a write into the buffer: where it ends, -1 when there is no room, or why it can have no line. */
  private encode(write: Write, offset: number): number | string {
    const refused = objection(write)
    if (refused !== undefined) return refused
    try {
      return this.encoder.encodeInto(write, this.buffer, offset)
    } catch (cause) {
      return `it cannot be written as JSON: ${cause instanceof Error ? cause.message : String(cause)}`
    }
  }

  /** Begins the buffer anew: with a line end when the segment may not end with one. */
  private begin(): number {
    if (!this.torn) return 0
    this.buffer[0] = 0x0a
    return 1
  }

  /**
   * Appends the first `length` bytes of the buffer, the lines of which end at `ends`. What is written in part is ended
   * with a line end, and the line that was cut is written again whole: another process may have appended meanwhile, so
   * nothing can continue it.
   */
  private put(length: number, ends: ReadonlyArray<number>): void {
    const { disk } = this.directory
    const { opened } = this.current!
    let from = 0
    try {
      for (let cuts = 0; from < length; cuts++) {
        // The system gives no reason for writing less, only for writing nothing at all.
        if (cuts > MOST_TRIES) throw Object.assign(new Error("only parts were written"), { code: "ENOSPC" })
        const reached = from + disk.append(opened, this.buffer, from, length - from)
        if (reached < length) {
          for (const end of ends) if (end <= reached) from = Math.max(from, end)
          this.torn = true
          disk.append(opened, LINE_END, 0, 1)
        } else {
          from = length
        }
        this.torn = false
      }
    } catch (cause) {
      this.torn = true
      throw new WrittenInPart(from, cause)
    }
    this.lookAgain(length)
  }

  /**
   * Looks whether the segment still has its name, and, when the process was held up while it wrote, whether it still was
   * the newest segment that it wrote to: readers
   * wait for late lines only so long. If not, the lines are written again, to the newest; readers show them once.
   */
  private lookAgain(length: number): void {
    const now = this.clock.monotonicTimeNanosUnsafe()
    // A file without a name is one that nobody reads: the log, or this segment of it, was deleted meanwhile.
    const isUnlinked = this.directory.disk.isUnlinked(this.current!.opened)
    if (!isUnlinked && (now - this.lookedAt <= HELD_UP || this.stillNewest(now))) return
    const identity = this.directory.readIdentity()
    if (identity === undefined || identity !== this.target) {
      this.close()
      throw new BackendError({
        reason: new Transient({
          applied: "unknown",
          detail: `the event log in ${this.directory.path} was removed or replaced while it was written to`
        })
      })
    }
    this.openNewest(identity)
    this.put(length, [length])
  }
}

/** A write that failed after the first `done` bytes of it were stored. */
class WrittenInPart {
  readonly done: number
  readonly cause: unknown

  constructor(done: number, cause: unknown) {
    this.done = done
    this.cause = cause
  }
}
