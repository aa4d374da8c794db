import * as Backend from "@tidings/core/Backend"
import { BackendError, Transient } from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as Timestamp from "@tidings/core/Timestamp"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { fromDisk, messageOf, unavailable } from "../diskError.ts"
import { LineEncoder } from "./lineEncoder.ts"
import { LogAppender, PartialWrite } from "./appender.ts"
import type { LogChanges } from "./changes.ts"
import type { LogDirectory } from "./directory.ts"
import type { DamageLedger } from "./segment.ts"
import { StoredSeries } from "./storedSeries.ts"

/** The longest write(2), and the longest line, in bytes. A longer one would block other fibers for long. */
const LARGEST_WRITE = 1_048_576

/** How often a write opens the log or searches it again, when other processes change it each time. */
const MOST_TRIES = 16

const CREATED: ReadonlyArray<Backend.Outcome> = [Backend.created]
const UPDATED: ReadonlyArray<Backend.Outcome> = [Backend.updated]
const PRESENT: ReadonlyArray<Backend.Outcome> = [Backend.present]

let lastOrigin = ""

/** Whether an origin can be read back from the text of an identity. In most cases it is that of the last write. */
const isOrigin = (origin: string): boolean => {
  if (origin === lastOrigin) return true
  const parsed = EventId.parse(EventId.format({ origin, seq: 0 }))
  if (parsed?.origin !== origin) return false
  lastOrigin = origin
  return true
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

interface WriterOptions {
  readonly directory: LogDirectory
  readonly changes: LogChanges
  readonly ledger: DamageLedger
  readonly clock: Clock.Clock
  /** Makes sure that there is a log, and answers its identity. */
  readonly prepare: Effect.Effect<string, BackendError>
}

type Outcomes = Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError>

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
  private buffer = Buffer.alloc(0)
  private isClosed = false

  constructor(options: WriterOptions) {
    this.options = options
    this.appender = new LogAppender(options.directory, options.clock)
    this.series = new StoredSeries(options.directory, options.ledger)
  }

  close(): void {
    this.isClosed = true
    this.appender.close()
  }

  /** Stores a batch; `stored` is called with each write that is in the log and was not before. */
  write(batch: ReadonlyArray<Write>, stored: (write: Write) => void, tries = 0): Outcomes {
    return Effect.suspend((): Outcomes => {
      if (this.isClosed) return Effect.fail(unavailable(`the event log in ${this.options.directory.path} is closed`))
      try {
        if (!this.appender.isReady()) return this.tryAgain(this.open, batch, stored, tries)
        if (batch.length === 1) {
          const outcomes = this.storeOne(batch[0]!, stored)
          if (outcomes !== undefined) return Effect.succeed(outcomes)
        }
        if (tries < MOST_TRIES && !this.series.isKnown(batch)) {
          return this.tryAgain(this.mutex.withPermit(this.series.learn(batch)), batch, stored, tries)
        }
        return Effect.succeed(this.storeAll(batch, stored))
      } catch (cause) {
        return Effect.fail(fromDisk(cause, this.appender.path))
      }
    })
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
        Effect.suspend(() => this.write(batch, stored, tries + 1))
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
      )
    )
  )

  /**
   * Stores a single write of a known origin in a segment that ends with a line end, which is the common case. Absent in other
   * cases; then nothing was written.
   */
  private storeOne(write: Write, stored: (write: Write) => void): ReadonlyArray<Backend.Outcome> | undefined {
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

  private storeAll(batch: ReadonlyArray<Write>, stored: (write: Write) => void): ReadonlyArray<Backend.Outcome> {
    this.allocate()
    const outcomes: Array<Backend.Outcome> = []
    let error: BackendError | undefined
    let isAnswered = false
    /** Indices of the writes in the buffer, and where the line of each ends. */
    let buffered: Array<number> = []
    let ends: Array<number> = []
    let length = this.startBuffer()

    const flush = (): void => {
      let written = length
      try {
        if (buffered.length > 0) this.appender.append(this.buffer, length, ends)
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
        stored(write)
      }
      buffered = []
      ends = []
      length = this.startBuffer()
    }

    for (let index = 0; index < batch.length; index++) {
      const write = batch[index]!
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
