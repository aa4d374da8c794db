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
import * as LogMeta from "./logMeta.ts"
import * as LogPosition from "./position.ts"
import { type DamageLedger, SegmentReader } from "./segment.ts"
import type { LogIndex } from "./index/logIndex.ts"
import { IndexDamaged } from "./index/segmentIndex.ts"
import { SeriesLookup } from "./index/seriesLookup.ts"
import { endOf, GRACE, repeat, settledSegments } from "./view.ts"
import * as SegmentMark from "./segmentMark.ts"
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
  readonly index: LogIndex
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
  | { readonly _tag: "StoredUnknown" }
  /** The log before the position was cut, replaced or removed. */
  | { readonly _tag: "HistoryLost"; readonly reason: string }

/**
 * The live part of a watch: what any process appends after a position.
 *
 * - A line is shown only where it raises its series beyond what is stored before the position, so that a line that was
 *   written twice, or late, is not shown. The side files that tell are opened while there
 *   is nothing to read, and asked when there is a line to compare.
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
  private cursors: LogPosition.CursorEncoder<WatchItem["cursor"]>
  private position = LogPosition.beginning
  /** What this tail has read. */
  private readonly read = new SeriesIndex()
  /** Where it began: what is stored before is looked up. */
  private base = LogPosition.beginning
  /** What is stored before the base: looked up there; in `read`, as far as it is known; or not known until it is needed. */
  private stored: SeriesLookup | "read" | "unknown" = "unknown"
  private isPrepared = false
  /** Lines that were read and not shown yet. */
  private pending: Array<LogRecord> = []
  private current: { readonly segment: OpenSegment; readonly reader: SegmentReader } | undefined
  /**
   * Number of the segment after which losses are to be told, with the first line that is read: what was cut or replaced before that
   * is gone, however late it was.
   */
  private lossesAfter: number | undefined
  /** When a newer segment was first seen beside the current one, in nanoseconds. */
  private newerSince: bigint | undefined

  constructor(options: TailOptions) {
    this.options = options
    this.matches = LineMatcher.make(options.filter)
    this.target = options.target
    this.cursors = this.encoderOf(options.target)
  }

  /** Starts after a position, where this watch has shown series before. */
  start(position: LogPosition.LogPosition, shown: SeriesIndex): void {
    this.read.adopt(shown)
    this.position = position
    this.base = position
    if (position.segment !== undefined && position.offset === 0) this.lossesAfter = position.segment.number - 1
  }

  close(): void {
    if (this.current === undefined) return
    this.options.directory.disk.close(this.current.segment.opened)
    this.current = undefined
    this.newerSince = undefined
  }

  cursorAt(position: LogPosition.LogPosition): WatchItem["cursor"] {
    return this.cursors.of(position)
  }

  /** What is gone after a position. Its time is known where retention removed it, which notes it. */
  gap(reason: string, after: LogPosition.LogPosition, cursor?: WatchItem["cursor"]): WatchItem {
    const removed = this.options.directory.removedAfter(after.segment?.number ?? 0)
    return {
      _tag: "Gap",
      store: this.target,
      ...(removed === undefined ? undefined : { to: removed.until }),
      reason: removed === undefined ? reason : `${reason}: ${LogMeta.whatWasRemoved(removed)}`,
      cursor: cursor ?? this.cursorAt(this.position)
    }
  }

  private encoderOf(target: string): LogPosition.CursorEncoder<WatchItem["cursor"]> {
    const { filter } = this.options
    return new LogPosition.CursorEncoder(
      Position.cursorEncoder({ mode: "filesystem", target: Target.make(target), filter })
    )
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
            // The first event is not to wait for it; and where this fails, that event tells why.
            if (this.stored === "unknown" && !this.isPrepared) return Effect.andThen(this.prepare, this.next)
            return Effect.andThen(this.options.changes.after(generation, step.milliseconds), this.next)
          case "StoredUnknown":
            return Effect.andThen(this.openStored, this.next)
          case "HistoryLost":
            return this.recover(step.reason)
        }
      }
    )
  })

  private readonly prepare: Effect.Effect<void> = Effect.suspend(() => {
    this.isPrepared = true
    return Effect.ignore(this.openStored)
  })

  /** Makes it possible to look up what is stored before the base. */
  private readonly openStored: Effect.Effect<void, BackendError> = Effect.suspend(() =>
    Effect.map(
      this.options.index.use((snapshot) => Effect.succeed(snapshot)),
      (snapshot) => {
        this.stored = new SeriesLookup(this.options.index, snapshot, this.base)
      }
    )
  )

  /**
   * Continues after the log before the position changed: from the oldest line that is there, where what was stored is
   * known; else from the end.
   */
  private recover(reason: string): Effect.Effect<ReadonlyArray<WatchItem>, BackendError> {
    this.close()
    const { directory } = this.options
    const before = this.position
    const oldest = directory.attempt(() => {
      const segment = directory.segments()[0]
      return segment === undefined ? LogPosition.beginning : LogPosition.startOf(segment)
    })
    const end = Effect.flatMap(settledSegments(directory), (segments) =>
      directory.attempt(() => endOf(directory, segments.at(-1)))
    )
    return Effect.map(
      Effect.flatMap(this.readStored, (isKnown) => (isKnown ? oldest : end)),
      (position) => {
        this.position = position
        if (this.stored !== "read") this.base = position
        return [this.gap(reason, before)]
      }
    )
  }

  /** Reads all that was stored before the base, as long as the side files have it. False when it is not known. */
  private readonly readStored: Effect.Effect<boolean, BackendError> = Effect.suspend(() => {
    const { stored } = this
    if (typeof stored === "string") return Effect.succeed(stored === "read")
    const segments = stored.visitAll((origin, seq, upTo) => void this.read.raise(origin, seq, upTo))
    const all = repeat(this.options.directory, () => segments.next().done !== true)
    return Effect.catchDefect(Effect.as(all, true), (defect) =>
      defect instanceof IndexDamaged ? Effect.succeed(false) : Effect.die(defect)
    ).pipe(
      Effect.tap((isKnown) =>
        Effect.sync(() => {
          this.stored = isKnown ? "read" : "unknown"
        })
      )
    )
  })

  private step(): Step {
    if (this.pending.length > 0) return this.show([])
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
      const before = this.position
      const more = this.readSlice(size, false)
      if (this.lossesAfter !== undefined && reader.offset > 0) this.tellLosses(before, items)
      if (more || reader.offset > offset) return this.show(items)
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
      this.cursors = this.encoderOf(identity)
      this.position = LogPosition.beginning
      this.lossesAfter = undefined
      this.stored = "read"
      return {
        _tag: "Items",
        items: [this.gap("the event log was removed, and another one was created in its place", this.position)]
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
    const before = this.position
    const missing = SegmentName.missingAfter(before.segment, [name])
    this.position = LogPosition.startOf(name)
    this.lossesAfter ??= before.segment?.number ?? 0
    if (missing !== undefined) items.push(this.gap(missing, before))
  }

  /** Adds gaps for the segments up to the current one that were cut or replaced before a line of them was read. */
  private tellLosses(before: LogPosition.LogPosition, items: Array<WatchItem>): void {
    const { directory } = this.options
    const after = this.lossesAfter ?? 0
    this.lossesAfter = undefined
    for (const lost of SegmentMark.whatWasLost(directory, directory.logMeta(), after, before.segment!.number)) {
      items.push(this.gap(lost, before, this.cursorAt(before)))
    }
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
    const newer = next()
    if (newer === undefined) return { _tag: "Idle" }
    const left = GRACE - this.superseded(newer)
    if (left > 0) return { _tag: "Idle", milliseconds: Math.ceil(left) }
    // A process that had no turn since it asked for the size may have missed what was written before the time was up.
    if (this.options.directory.disk.statusOf(segment.opened).size !== size) return { _tag: "Items", items }
    this.readSlice(size, true)
    if (this.lossesAfter !== undefined && size > 0) this.tellLosses(LogPosition.startOf(segment.name), items)
    if (this.pending.length > 0) return this.show(items)
    if (size === 0 && !SegmentMark.isUnused(this.options.directory.logMeta(), segment.name, false)) {
      items.push(this.gap(SegmentName.isEmpty(segment.name), this.position))
    }
    const following = next()
    this.close()
    if (following !== undefined) this.moveTo(following, items)
    return { _tag: "Items", items }
  }

  /** For how long there has been a newer segment, in milliseconds. */
  private superseded(newer: SegmentName.SegmentName): number {
    const { clock, directory } = this.options
    const now = clock.monotonicTimeNanosUnsafe()
    this.newerSince ??= now
    // A watch that is behind does not wait for each segment. The clock of the file system may be another one, and ahead.
    const made = directory.disk.status(directory.pathOf(newer.file))?.made ?? Number.POSITIVE_INFINITY
    return Math.max(Number(now - this.newerSince) / 1_000_000, clock.currentTimeMillisUnsafe() - made)
  }

  /** Reads a slice. True when there may be more. */
  private readSlice(limit: number, final: boolean): boolean {
    const { reader, segment } = this.current!
    const more = reader.step(limit, final, (record) => this.pending.push(record))
    if (reader.offset !== this.position.offset)
      this.position = LogPosition.at(this.options.directory.disk, segment, reader.offset)
    return more
  }

  /** Adds the events that the lines change which were read. */
  private show(items: Array<WatchItem>): Step {
    if (this.pending.length === 0) return { _tag: "Items", items }
    if (this.stored === "unknown") return items.length > 0 ? { _tag: "Items", items } : { _tag: "StoredUnknown" }
    const { segment } = this.current!
    const { disk } = this.options.directory
    let shown = 0
    try {
      for (const record of this.pending) {
        const { origin, seq } = record
        const before =
          typeof this.stored === "string" || this.read.get(origin, seq) !== undefined
            ? undefined
            : this.stored.get(origin, seq)
        if (before !== undefined) this.read.raise(origin, seq, before)
        shown += 1
        if (!this.read.raise(origin, seq, record.upTo) || !this.matches(record)) continue
        const cursor = this.cursorAt(LogPosition.at(disk, segment, record.end))
        items.push({ _tag: "Event", event: record.event, cursor })
      }
    } catch (cause) {
      if (!(cause instanceof IndexDamaged)) throw cause
      this.options.index.reset(cause)
      this.stored = "unknown"
    }
    this.pending = this.pending.slice(shown)
    return { _tag: "Items", items }
  }
}
