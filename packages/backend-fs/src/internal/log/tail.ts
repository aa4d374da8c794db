import type { BackendError } from "@tidings/core/BackendError"
import type { EventFilter, WatchItem } from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Target from "@tidings/core/Target"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { LogChanges } from "./changes.ts"
import type { LogDirectory, OpenSegment } from "./directory.ts"
import type { LogRecord } from "./line.ts"
import * as LineMatcher from "./lineMatcher.ts"
import * as LogPosition from "./position.ts"
import { type DamageLedger, SegmentReader } from "./segment.ts"
import { GRACE, LogView } from "./view.ts"
import * as SegmentName from "./segmentName.ts"
import { SeriesIndex } from "./seriesIndex.ts"

/**
 * What one watch reads.
 *
 * @internal
 */
export interface TailOptions {
  readonly directory: LogDirectory
  readonly changes: LogChanges
  readonly ledger: DamageLedger
  /** Logs and counts the damage that was found. */
  readonly report: Effect.Effect<void>
  readonly clock: Clock.Clock
  readonly filter: EventFilter
  readonly target: string
}

type Step =
  | { readonly _tag: "Items"; readonly items: Array<WatchItem> }
  /** There is nothing to read before a change, or before this many milliseconds have passed. */
  | { readonly _tag: "Idle"; readonly milliseconds?: number }
  /** There is a line to compare with what is stored before the position, which is not known yet. */
  | { readonly _tag: "IndexMissing" }
  /** The log before the position was cut, replaced or removed. */
  | { readonly _tag: "HistoryLost"; readonly reason: string }

/**
 * The live part of a watch: what any process appends after a position.
 *
 * - A line is shown only where it raises its series beyond what is stored before the position, so that a line that was
 *   written twice, or late, is not shown. What is stored there is read only when there is a line to compare with it.
 * - A segment is left for the next one when it has been superseded for `GRACE`, the time in which it may still grow.
 * - Where lines before the position were cut, replaced or removed, there is a `Gap`, and the tail continues from the
 *   oldest line that is there.
 *
 * @internal
 */
export class LogTail {
  private readonly options: TailOptions
  private readonly matches: (record: LogRecord) => boolean
  private target: string
  private encodeCursor: (position: string) => WatchItem["cursor"]
  private position = LogPosition.beginning
  /** What is stored before the position; absent until it is needed. */
  private index: SeriesIndex | undefined
  private current: { readonly segment: OpenSegment; readonly reader: SegmentReader } | undefined
  /** When a newer segment was first seen beside the current one, in nanoseconds. */
  private newerSince: bigint | undefined

  constructor(options: TailOptions) {
    this.options = options
    this.matches = LineMatcher.make(options.filter)
    this.target = options.target
    this.encodeCursor = this.encoderOf(options.target)
  }

  /** Starts after a position, with what is stored before it where that is known. */
  start(position: LogPosition.LogPosition, index: SeriesIndex | undefined): void {
    this.position = position
    this.index = index
  }

  close(): void {
    if (this.current === undefined) return
    this.options.directory.disk.close(this.current.segment.opened)
    this.current = undefined
    this.newerSince = undefined
  }

  cursorAt(position: LogPosition.LogPosition): WatchItem["cursor"] {
    return this.encodeCursor(LogPosition.format(position))
  }

  /** Its time is not known: the lines that would tell are gone. */
  gap(reason: string, cursor: WatchItem["cursor"] = this.cursorAt(this.position)): WatchItem {
    return { _tag: "Gap", store: this.target, reason, cursor }
  }

  private encoderOf(target: string): (position: string) => WatchItem["cursor"] {
    return Position.cursorEncoder({ mode: "filesystem", target: Target.make(target), filter: this.options.filter })
  }

  /** The next items; waits until there are some. */
  readonly next: Effect.Effect<ReadonlyArray<WatchItem>, BackendError> = Effect.suspend(() => {
    const { generation } = this.options.changes
    return Effect.flatMap(
      Effect.tap(
        this.options.directory.attempt(() => this.step()),
        () => this.options.report
      ),
      (step): Effect.Effect<ReadonlyArray<WatchItem>, BackendError> => {
        switch (step._tag) {
          case "Items":
            return step.items.length > 0 ? Effect.succeed(step.items) : Effect.andThen(Effect.yieldNow, this.next)
          case "Idle":
            return Effect.andThen(this.options.changes.after(generation, step.milliseconds), this.next)
          case "IndexMissing":
            return Effect.andThen(this.buildIndex(this.position), this.next)
          case "HistoryLost":
            return this.recover(step.reason)
        }
      }
    )
  })

  /** Reads what is stored up to a position, or in the whole log, and answers where that ends. */
  private buildIndex(until?: LogPosition.LogPosition): Effect.Effect<LogPosition.LogPosition, BackendError> {
    return Effect.suspend(() => {
      const index = new SeriesIndex()
      const scan = LogView.use(this.options.directory, (view) =>
        view.scan(this.options.ledger, (record) => void index.raise(record.origin, record.seq, record.upTo), { until })
      )
      return Effect.map(scan, (end) => {
        this.index = index
        return end
      })
    })
  }

  /**
   * Continues after the log before the position changed: from the oldest line that is there, where what was stored is
   * known; else from the end.
   */
  private recover(reason: string): Effect.Effect<ReadonlyArray<WatchItem>, BackendError> {
    this.close()
    const oldest = this.options.directory.attempt(() => {
      const segment = this.options.directory.segments()[0]
      return segment === undefined ? LogPosition.beginning : LogPosition.startOf(segment)
    })
    return Effect.map(this.index === undefined ? this.buildIndex() : oldest, (position) => {
      this.position = position
      return [this.gap(reason)]
    })
  }

  private step(): Step {
    if (this.current === undefined) {
      const step = this.open()
      if (step !== undefined) return step
    }
    const { reader, segment } = this.current!
    const { disk } = this.options.directory
    const { size } = disk.statusOf(segment.opened)
    const { offset } = reader
    if (size < offset) return { _tag: "HistoryLost", reason: `${segment.name.file} was cut` }
    const items: Array<WatchItem> = []
    if (size > offset) {
      if (LogPosition.checkAt(disk, segment.opened, offset) !== this.position.check) {
        return { _tag: "HistoryLost", reason: `${segment.name.file} was replaced` }
      }
      if (this.index === undefined) return { _tag: "IndexMissing" }
      const more = this.read(size, false, items)
      if (more || reader.offset > offset) return { _tag: "Items", items }
    }
    return this.stepAtEnd(size, items)
  }

  /** Opens the segment of the position, or the next one. */
  private open(): Step | undefined {
    const { position } = this
    const identity = this.options.directory.readIdentity()
    // The directory was deleted, or not created yet.
    if (identity === undefined) return { _tag: "Idle" }
    if (identity !== this.target) {
      this.target = identity
      this.encodeCursor = this.encoderOf(identity)
      this.position = LogPosition.beginning
      this.index ??= new SeriesIndex()
      return {
        _tag: "Items",
        items: [this.gap("the event log was removed, and another one was created in its place")]
      }
    }
    const names = this.options.directory.segments()
    const same = names.find(({ key }) => key === position.segment?.key)
    const name =
      same ?? names.find((name) => position.segment === undefined || SegmentName.order(name, position.segment) > 0)
    if (name === undefined) {
      return names.length === 0
        ? { _tag: "Idle" }
        : { _tag: "HistoryLost", reason: `${position.segment!.file} was removed` }
    }
    const segment = this.options.directory.openSegment(name, "read")
    if (segment === undefined) return { _tag: "Items", items: [] }
    const offset = same === undefined ? 0 : position.offset
    const items: Array<WatchItem> = []
    if (same === undefined) this.moveTo(name, items)
    this.current = {
      segment,
      reader: new SegmentReader(this.options.directory.disk, segment, this.options.ledger, offset)
    }
    if (LogPosition.checkAt(this.options.directory.disk, segment.opened, offset) !== this.position.check) {
      return { _tag: "HistoryLost", reason: `${name.file} was cut or replaced` }
    }
    return items.length === 0 ? undefined : { _tag: "Items", items }
  }

  private moveTo(name: SegmentName.SegmentName, items: Array<WatchItem>): void {
    const missing = SegmentName.missingAfter(this.position.segment, [name])
    this.position = LogPosition.startOf(name)
    if (missing !== undefined) items.push(this.gap(missing))
  }

  /** All of the current segment is read: looks for what replaced it or comes after it. */
  private stepAtEnd(size: number, items: Array<WatchItem>): Step {
    const { segment } = this.current!
    const path = this.options.directory.pathOf(segment.name.file)
    if (this.options.directory.disk.status(path)?.identity !== segment.status.identity) {
      this.close()
      return this.open() ?? { _tag: "Items", items }
    }
    const next = (): SegmentName.SegmentName | undefined =>
      this.options.directory.segments().find((name) => SegmentName.order(name, segment.name) > 0)
    if (next() === undefined) return { _tag: "Idle" }
    const now = this.options.clock.monotonicTimeNanosUnsafe()
    this.newerSince ??= now
    const left = GRACE - Number(now - this.newerSince) / 1_000_000
    if (left > 0) return { _tag: "Idle", milliseconds: Math.ceil(left) }
    if (this.index === undefined && size > this.current!.reader.offset) return { _tag: "IndexMissing" }
    this.read(size, true, items)
    const following = next()
    this.close()
    if (following !== undefined) this.moveTo(following, items)
    return { _tag: "Items", items }
  }

  /** Reads a slice, and adds the events that it changes. True when there may be more. */
  private read(limit: number, final: boolean, items: Array<WatchItem>): boolean {
    const { reader, segment } = this.current!
    const { disk } = this.options.directory
    const more = reader.step(limit, final, (record) => {
      if (!this.index!.raise(record.origin, record.seq, record.upTo) || !this.matches(record)) return
      const cursor = this.cursorAt(LogPosition.at(disk, segment, record.end))
      items.push({ _tag: "Event", event: record.event, cursor })
    })
    if (reader.offset !== this.position.offset) this.position = LogPosition.at(disk, segment, reader.offset)
    return more
  }
}
