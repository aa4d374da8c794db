import * as Backend from "@tidings/core/Backend"
import { BoundedCache } from "@tidings/core/BoundedCache"
import { BackendError, Transient } from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as Timestamp from "@tidings/core/Timestamp"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"
import * as Semaphore from "effect/Semaphore"
import { fromDisk, messageOf, unavailable } from "../diskError.ts"
import { LineEncoder } from "./lineEncoder.ts"
import { LogAppender, PartialWrite } from "./appender.ts"
import type { LogChanges } from "./changes.ts"
import type { LogDirectory } from "./directory.ts"
import type { LogIndex } from "./index/logIndex.ts"
import type { LogSync } from "./logSync.ts"
import { StoredSeries } from "./storedSeries.ts"
import { type Waiting, WriteGroup } from "./writeGroup.ts"

/** The longest write(2), and the longest line, in bytes. A longer one would block other fibers for long. */
const LARGEST_WRITE = 1_048_576

/** How often a write opens the log or searches it again, when other processes change it each time. */
const MOST_TRIES = 16

/** The answers to a batch of one write, as one object each, because nearly all are these. */
const CREATED = Exit.succeed<ReadonlyArray<Backend.Outcome>>([Backend.created])
const UPDATED = Exit.succeed<ReadonlyArray<Backend.Outcome>>([Backend.updated])
const PRESENT = Exit.succeed<ReadonlyArray<Backend.Outcome>>([Backend.present])

let lastOrigin = ""
const origins = new BoundedCache<string, boolean>(1_024)

/** Whether an origin can be read back from the text of an identity. In most cases it is that of the last write. */
const isOrigin = (origin: string): boolean => {
  if (origin === lastOrigin) return true
  let is = origins.get(origin)
  if (is === undefined) {
    is = EventId.parse(EventId.format({ origin, seq: 0 }))?.origin === origin
    origins.set(origin, is)
  }
  if (is) lastOrigin = origin
  return is
}

/** Why readers would not accept the line of a write; absent when they would. */
const problemOf = ({ count, event, first, id, last, upTo }: Write): string | undefined => {
  if (!isOrigin(id.origin)) return "id.origin is not text of printable ASCII"
  if (!Number.isSafeInteger(id.seq) || id.seq < 0) return "id.seq is not a whole number from 0"
  if (!Number.isSafeInteger(upTo) || upTo < 0) return "upTo is not a whole number from 0"
  if (!Number.isSafeInteger(count) || count < 1) return "count is not a whole number from 1"
  if (!Timestamp.isMicros(first) || !Timestamp.isMicros(last)) {
    return "first or last is not a time in whole microseconds of the years 0 to 9999"
  }
  if (event.reason === "") return "the reason is empty"
  if (typeof event.type !== "string") return "the type is not text"
  return undefined
}

/** With outcomes that are all failures a caller is not answered but fails, as when it is alone. */
const answerOf = (outcomes: ReadonlyArray<Backend.Outcome>): Outcomes => {
  const [first] = outcomes
  return first?._tag === "Retry" && outcomes.every(({ _tag }) => _tag === "Retry")
    ? Effect.fail(first.error)
    : Effect.succeed(outcomes)
}

const answerOfOne = (outcome: Backend.Outcome): Outcomes =>
  outcome === Backend.created
    ? CREATED
    : outcome === Backend.updated
      ? UPDATED
      : outcome === Backend.present
        ? PRESENT
        : answerOf([outcome])

const isSync = (scheduler: Scheduler.Scheduler): boolean => scheduler.executionMode === "sync"

/** Up to this number of writes those before one are searched for its series. */
const MOST_SEARCHED = 1_024

/**
 * Tells which series come again within what is written together. Nearly always the seqs of an origin ascend, and then none does; for
 * others the writes before them are searched, and in a very large batch it is taken for granted.
 */
class RepeatedSeries {
  private readonly batch: ReadonlyArray<Write>
  private origin: string | undefined
  private highest = -1
  private others: Map<string, number> | undefined

  constructor(batch: ReadonlyArray<Write>) {
    this.batch = batch
  }

  /** Whether the series of a write has come before it; asked for each write in order. */
  has(index: number): boolean {
    const { origin, seq } = this.batch[index]!.id
    this.origin ??= origin
    const isFirst = origin === this.origin
    const highest = isFirst ? this.highest : (this.others?.get(origin) ?? -1)
    if (seq > highest) {
      if (isFirst) this.highest = seq
      else (this.others ??= new Map()).set(origin, seq)
      return false
    }
    if (index > MOST_SEARCHED) return true
    for (let before = index - 1; before >= 0; before--) {
      const { id } = this.batch[before]!
      if (id.seq === seq && id.origin === origin) return true
    }
    return false
  }
}

interface WriterOptions {
  readonly directory: LogDirectory
  readonly changes: LogChanges
  readonly index: LogIndex
  /** Called with the number of bytes that were appended. */
  readonly wrote: (bytes: number) => void
  readonly clock: Clock.Clock
  /** Size of a segment in bytes after which the next one is begun. */
  readonly segmentSize: number
  /** What makes appended lines durable; absent where that is left to the system. */
  readonly sync?: LogSync | undefined
  /** Makes sure that there is a log, and answers its identity. */
  readonly prepare: Effect.Effect<string, BackendError>
  /** Logs what is to be told of the segments. */
  readonly report: Effect.Effect<void>
}

type Outcomes = Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError>

/** A write of the log: an effect, and for a recorder what it can wait for without a fiber. */
class LogWrite extends Backend.MergedWrite {
  private readonly writer: LogWriter
  private readonly batch: ReadonlyArray<Write>
  private readonly stored: (write: Write) => void

  constructor(writer: LogWriter, batch: ReadonlyArray<Write>, stored: (write: Write) => void) {
    super()
    this.writer = writer
    this.batch = batch
    this.stored = stored
  }

  override join(caller: Fiber.Fiber<unknown, unknown>, answer: Waiting["resume"]): (() => void) | undefined {
    return this.writer.join({ batch: this.batch, stored: this.stored, resume: answer }, caller)
  }
}

/**
 * Stores batches of writes in an event log: encodes those that the log does not have yet as lines, and appends them.
 *
 * @internal
 */
export class LogWriter {
  private readonly options: WriterOptions
  private readonly appender: LogAppender
  private readonly series: StoredSeries
  private readonly encoder = new LineEncoder()
  private readonly group: WriteGroup
  private buffer = Buffer.alloc(0)
  private isClosed = false

  constructor(options: WriterOptions) {
    this.options = options
    this.appender = new LogAppender(options)
    this.series = new StoredSeries(options.directory, options.index)
    this.group = new WriteGroup(this.storeGroup)
  }

  close(): void {
    this.isClosed = true
    this.group.close(this.closed())
    this.appender.close()
  }

  private closed(): Effect.Effect<never, BackendError> {
    return Effect.fail(unavailable(`the event log in ${this.options.directory.path} is closed`))
  }

  /**
   * Stores a batch, together with what others write in this turn of the event loop; `stored` is called with each write that is in the
   * log and was not before.
   */
  write(batch: ReadonlyArray<Write>, stored: (write: Write) => void): Backend.MergedWrite {
    return new LogWrite(this, batch, stored)
  }

  /** Brings a batch for a caller, as `MergedWrite.join` says. */
  join(one: Waiting, caller: Fiber.Fiber<unknown, unknown>): (() => void) | undefined {
    // What is run without waiting, by `Effect.runSync`, has no next turn.
    if (!this.isClosed && !isSync(caller.cache.scheduler) && this.group.isJoined(one.batch)) {
      return this.group.join(one, caller)
    }
    one.resume(this.writeNow(one.batch, one.stored))
    return undefined
  }

  /** Stores what several callers brought. Where the log has to be opened or searched first, they do that one by one. */
  private readonly storeGroup = (group: ReadonlyArray<Waiting>): void => {
    const [first] = group
    if (group.length === 1) {
      first!.resume(this.writeNow(first!.batch, first!.stored))
      return
    }
    let outcomes: ReadonlyArray<Backend.Outcome>
    try {
      if (this.isClosed || !this.appender.isReady() || !group.every(({ batch }) => this.series.isKnown(batch))) {
        for (const { batch, resume, stored } of group) resume(this.writeNow(batch, stored))
        return
      }
      const batch: Array<Write> = []
      const owners: Array<Waiting> = []
      for (const one of group) {
        for (const write of one.batch) {
          batch.push(write)
          owners.push(one)
        }
      }
      outcomes = this.storeAll(batch, (write, index) => owners[index]!.stored(write))
    } catch (cause) {
      const failure = this.failed(cause)
      for (const { resume } of group) resume(failure)
      return
    }
    let at = 0
    for (const { batch, resume } of group) {
      const from = at
      at += batch.length
      resume(batch.length === 1 ? answerOfOne(outcomes[from]!) : answerOf(outcomes.slice(from, at)))
    }
  }

  /** Stores a batch in this step, or answers what has to be done first. */
  private writeNow(batch: ReadonlyArray<Write>, stored: (write: Write) => void, tries = 0): Outcomes {
    if (this.isClosed) return this.closed()
    try {
      if (!this.appender.isReady()) return this.tryAgain(this.open, batch, stored, tries)
      if (batch.length === 1) {
        const outcomes = this.storeOne(batch[0]!, stored)
        if (outcomes !== undefined) return outcomes
      }
      if (tries < MOST_TRIES && !this.series.isKnown(batch)) {
        return this.tryAgain(this.mutex.withPermit(this.series.learn(batch)), batch, stored, tries)
      }
      return Effect.succeed(this.storeAll(batch, stored))
    } catch (cause) {
      return this.failed(cause)
    }
  }

  /** A failure of the disk; what is thrown otherwise is a defect of the program, of which the callers are told too. */
  private failed(cause: unknown): Effect.Effect<never, BackendError> {
    try {
      return Effect.fail(fromDisk(cause, this.appender.path))
    } catch (defect) {
      return Effect.die(defect)
    }
  }

  private tryAgain(
    first: Effect.Effect<void, BackendError>,
    batch: ReadonlyArray<Write>,
    stored: (write: Write) => void,
    tries: number
  ): Outcomes {
    if (tries < MOST_TRIES) {
      return Effect.andThen(
        first,
        Effect.suspend(() => this.writeNow(batch, stored, tries + 1))
      )
    }
    const detail = `the segments in ${this.options.directory.path} change faster than they can be opened`
    return Effect.fail(new BackendError({ reason: new Transient({ applied: "no", detail }) }))
  }

  /** One fiber opens the log, or searches it, at a time. */
  private readonly mutex = Semaphore.makeUnsafe(1)

  /** Opens the newest segment; creates the directory when it does not exist. */
  private readonly open: Effect.Effect<void, BackendError> = this.mutex.withPermit(
    Effect.suspend(() =>
      Effect.flatMap(this.options.prepare, (target) =>
        this.options.directory.attempt(() => {
          if (this.appender.target !== target) this.series.clear()
          this.appender.openNewest(target)
        })
      ).pipe(Effect.tap(() => this.options.report))
    )
  )

  /**
   * Stores a single write of a known origin in a segment that ends with a line end, which is the common case. Absent in other
   * cases; then nothing was written.
   */
  private storeOne(write: Write, stored: (write: Write) => void): Outcomes | undefined {
    const { origin, seq } = write.id
    const { appender, series } = this
    if (appender.isTorn || !series.index.hasOrigin(origin)) return undefined
    const before = series.index.get(origin, seq)
    if (before !== undefined && before >= write.upTo) return PRESENT
    this.allocate()
    const length = this.encode(write, 0)
    if (typeof length === "string" || length === -1) return undefined
    try {
      appender.append(this.buffer, length, [length])
      this.options.wrote(length)
    } catch (cause) {
      throw cause instanceof PartialWrite ? cause.error : cause
    }
    series.index.raise(origin, seq, write.upTo)
    stored(write)
    this.options.changes.notify()
    return before === undefined ? CREATED : UPDATED
  }

  private allocate(): void {
    if (this.buffer.length === 0) this.buffer = Buffer.allocUnsafeSlow(LARGEST_WRITE + 1)
  }

  private storeAll(
    batch: ReadonlyArray<Write>,
    stored: (write: Write, index: number) => void
  ): ReadonlyArray<Backend.Outcome> {
    this.allocate()
    const outcomes: Array<Backend.Outcome> = []
    let error: BackendError | undefined
    let isAnswered = false
    const repeated = new RepeatedSeries(batch)
    /** Indices of the writes in the buffer, and where the line of each ends. */
    let buffered: Array<number> = []
    let ends: Array<number> = []
    let length = this.startBuffer()

    const flush = (): void => {
      let written = length
      try {
        if (buffered.length > 0) this.appender.append(this.buffer, length, ends)
        this.options.wrote(length)
      } catch (cause) {
        if (!(cause instanceof PartialWrite)) throw cause
        written = cause.written
        error = cause.error
      }
      for (let index = 0; index < buffered.length; index++) {
        const at = buffered[index]!
        const write = batch[at]!
        if (ends[index]! > written) {
          outcomes[at] = { _tag: "Retry", error: error! }
          continue
        }
        this.series.index.raise(write.id.origin, write.id.seq, write.upTo)
        isAnswered = true
        stored(write, at)
      }
      buffered = []
      ends = []
      length = this.startBuffer()
    }

    for (let index = 0; index < batch.length; index++) {
      const write = batch[index]!
      // What is stored of it is known only when the earlier write of it is.
      if (repeated.has(index) && buffered.length > 0) flush()
      const before = this.series.index.get(write.id.origin, write.id.seq)
      if (before !== undefined && before >= write.upTo) {
        outcomes[index] = Backend.present
        isAnswered = true
        continue
      }
      let end = this.encode(write, length)
      if (end === -1 && buffered.length > 0) {
        flush()
        end = this.encode(write, length)
      }
      if (typeof end === "string" || end === -1) {
        const reason =
          typeof end === "string"
            ? end
            : `as a line of the log it is longer than ${LARGEST_WRITE} bytes; shorten its data`
        outcomes[index] = { _tag: "Rejected", reason }
        isAnswered = true
      } else if (error === undefined) {
        outcomes[index] = before === undefined ? Backend.created : Backend.updated
        length = end
        buffered.push(index)
        ends.push(end)
      } else {
        outcomes[index] = { _tag: "Retry", error }
      }
    }
    flush()
    if (error !== undefined && !isAnswered) throw error
    this.options.changes.notify()
    return outcomes
  }

  /** Encodes a write as a line in the buffer: answers its end, -1 when there is no room for it, or why it can have no line. */
  private encode(write: Write, offset: number): number | string {
    const problem = problemOf(write)
    if (problem !== undefined) return problem
    try {
      return this.encoder.encodeInto(write, this.buffer, offset)
    } catch (cause) {
      return `it cannot be written as JSON: ${messageOf(cause)}`
    }
  }

  /** Starts the buffer with a line end where the segment may not end with one. */
  private startBuffer(): number {
    if (!this.appender.isTorn) return 0
    this.buffer[0] = 0x0a
    return 1
  }
}
