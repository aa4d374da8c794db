import type { BackendError } from "@tidings/core/BackendError"
import type { EventFilter, WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Target from "@tidings/core/Target"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { FoldTable } from "./foldTable.ts"
import type { LogChanges } from "./logChanges.ts"
import type { LogDirectory } from "./logDirectory.ts"
import type * as LogLine from "./logLine.ts"
import { eventAt } from "./logQuery.ts"
import * as LogReader from "./logReader.ts"
import * as SegmentName from "./segmentName.ts"
import { SeriesIndex } from "./seriesIndex.ts"

/** So many events of the snapshot are decoded at a time. */
const PAGE = 256

type Looked =
  | { readonly _tag: "Items"; readonly items: Array<WatchItem> }
  | { readonly _tag: "Idle"; readonly milliseconds?: number }
  /** What is stored before the position has to be known first. */
  | { readonly _tag: "Fold" }
  /** History is not what it was: what the follower knows it was is to be sorted out. */
  | { readonly _tag: "Lost"; readonly reason: string }

const isBefore = (a: LogReader.LogPosition, segment: SegmentName.SegmentName, start: number): boolean => {
  if (a.segment === undefined) return true
  const order = SegmentName.order(a.segment, segment)
  return order < 0 || (order === 0 && a.offset <= start)
}

const samePlace = (a: LogReader.LogPosition, b: LogReader.LogPosition): boolean =>
  a.segment?.key === b.segment?.key && a.offset === b.offset

/**
 * One watch: a snapshot, and then what is appended, by whatever process.
 *
 * It knows what is stored of each series before its position, so that a line that changes nothing (one that was written
 * twice, or that came late) is not shown. That knowledge is only gathered when something comes to be compared with it.
 *
 * @internal
 */
export class LogFollower {
  /** What to show next; waits until there is something. */
  next: Effect.Effect<ReadonlyArray<WatchItem>, BackendError>
  private readonly directory: LogDirectory
  private readonly changes: LogChanges
  private readonly ledger: LogReader.DamageLedger
  private readonly report: Effect.Effect<void>
  private readonly filter: EventFilter
  private readonly clock: Clock.Clock
  private target: string
  private cursorAt: (position: LogReader.LogPosition) => WatchItem["cursor"]
  private position: LogReader.LogPosition = LogReader.beginning
  private stored: SeriesIndex | undefined
  private current: { readonly segment: LogReader.OpenSegment; readonly reader: LogReader.SegmentReader } | undefined
  private view: LogReader.LogView | undefined
  /** When a newer segment was first seen beside the current one, in nanoseconds. */
  private newerSince: bigint | undefined

  constructor(options: {
    readonly directory: LogDirectory
    readonly changes: LogChanges
    readonly ledger: LogReader.DamageLedger
    readonly report: Effect.Effect<void>
    readonly clock: Clock.Clock
    readonly filter: EventFilter
    readonly from: WatchFrom
    readonly target: string
  }) {
    this.directory = options.directory
    this.changes = options.changes
    this.ledger = options.ledger
    this.report = options.report
    this.clock = options.clock
    this.filter = options.filter
    this.target = options.target
    this.cursorAt = this.cursorsOf(options.target)
    this.next = this.begin(options.from)
  }

  /** A follower that lets go of everything when the scope closes. */
  static make(options: ConstructorParameters<typeof LogFollower>[0]): Effect.Effect<LogFollower, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => {
        options.changes.attach()
        return new LogFollower(options)
      }),
      (follower) =>
        Effect.sync(() => {
          follower.close()
          options.changes.detach()
        })
    )
  }

  private close(): void {
    this.view?.close()
    this.view = undefined
    this.leave()
  }

  private cursorsOf(target: string): (position: LogReader.LogPosition) => WatchItem["cursor"] {
    const encode = Position.cursorEncoder({ mode: "filesystem", target: Target.make(target), filter: this.filter })
    return (position) => encode(LogReader.formatPosition(position))
  }

  // -------------------------------------------------------------------------
  // snapshot
  // -------------------------------------------------------------------------

  private begin(from: WatchFrom): Effect.Effect<ReadonlyArray<WatchItem>, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const view = yield* Effect.uninterruptible(
        Effect.tap(LogReader.settledView(this.directory), (view) => Effect.sync(() => (this.view = view)))
      )
      const items: Array<WatchItem> = []
      let after: LogReader.LogPosition | undefined
      if (typeof from === "string" && from !== "beginning" && from !== "now") {
        const scope = { mode: "filesystem", target: Target.make(this.target), filter: this.filter }
        after = yield* Effect.fromResult(Result.flatMap(Position.decodeCursor(scope, from), LogReader.parsePosition))
        const gap = yield* this.directory.attempt(() => this.resumeFrom(view, after!))
        if (gap !== undefined) items.push({ _tag: "Gap", reason: gap, cursor: from })
      }
      const end = yield* this.directory.attempt(() => this.endOf(view))
      if (
        from === "now" ||
        (typeof from === "object" && !(from.last >= 1)) ||
        (after !== undefined && samePlace(after, end))
      ) {
        return this.goLive(items, end)
      }
      const table = new FoldTable()
      const scanned = yield* LogReader.scan(
        this.directory,
        this.ledger,
        view,
        (record, segment) => table.take(record, segment, (record) => record.matches(this.filter)),
        { until: end }
      )
      yield* this.report
      this.stored = table.toIndex()
      let rows = table.matching().sort(table.byChange)
      if (typeof from === "object") rows = rows.slice(-Math.floor(from.last))
      if (after !== undefined) {
        const position = after
        rows = rows.filter((row) => {
          const at = table.at(row)
          return isBefore(position, view.segments[at.segment]!.name, at.start)
        })
      }
      return yield* this.show(view, table, rows, 0, items, scanned)
    })
  }

  /**
   * Whether the log still is as it was where a cursor points to. Fails when it is not; answers the reason when what
   * came after it is gone.
   */
  private resumeFrom(view: LogReader.LogView, position: LogReader.LogPosition): string | undefined {
    const { segment, offset } = position
    const names = view.segments.map(({ name }) => name)
    const found = view.segments.find(({ name }) => name.key === segment?.key)
    if (found !== undefined) {
      if (LogReader.checkAt(this.directory.disk, found.opened, offset) !== position.check) {
        throw LogReader.mismatch(
          `the log is not what it was when the cursor was taken (${found.name.file} was cut or replaced); begin anew without it`
        )
      }
      return missingAfter(found.name, names)
    }
    if (segment === undefined) return missingAfter(undefined, names)
    return `${segment.file}, where the cursor points to, is gone`
  }

  /** Where the newest segment of a view ends: after its last line end. */
  private endOf(view: LogReader.LogView): LogReader.LogPosition {
    const newest = view.segments.at(-1)
    if (newest === undefined) return LogReader.beginning
    const { disk } = this.directory
    const block = Buffer.allocUnsafe(65_536)
    let offset = newest.status.size
    while (offset > 0) {
      const length = Math.min(block.length, offset)
      const found = disk.read(newest.opened, block, 0, length, offset - length)
      const at = found === 0 ? -1 : block.lastIndexOf(0x0a, found - 1)
      if (at !== -1) {
        offset += at + 1 - length
        break
      }
      offset -= length
    }
    return { segment: newest.name, offset, check: LogReader.checkAt(disk, newest.opened, offset) ?? 0 }
  }

  private show(
    view: LogReader.LogView,
    table: FoldTable,
    rows: ReadonlyArray<number>,
    from: number,
    items: Array<WatchItem>,
    end: LogReader.LogPosition
  ): Effect.Effect<ReadonlyArray<WatchItem>, BackendError> {
    return Effect.map(
      this.directory.attempt(() => {
        const until = Math.min(rows.length, from + PAGE)
        for (let index = from; index < until; index++) {
          const at = table.at(rows[index]!)
          const segment = view.segments[at.segment]!
          items.push({
            _tag: "Event",
            event: eventAt(this.directory.disk, segment, at),
            cursor: this.cursorAt({
              segment: segment.name,
              offset: at.end,
              check: LogReader.checkAt(this.directory.disk, segment.opened, at.end) ?? 0
            })
          })
        }
        return until
      }),
      (until) => {
        if (until >= rows.length) return this.goLive(items, end)
        this.next = Effect.suspend(() => this.show(view, table, rows, until, [], end))
        return items
      }
    )
  }

  private goLive(items: Array<WatchItem>, position: LogReader.LogPosition): ReadonlyArray<WatchItem> {
    this.view?.close()
    this.view = undefined
    this.position = position
    this.next = this.live
    items.push({ _tag: "Live", cursor: this.cursorAt(position) })
    return items
  }

  // -------------------------------------------------------------------------
  // live
  // -------------------------------------------------------------------------

  private readonly live: Effect.Effect<ReadonlyArray<WatchItem>, BackendError> = Effect.suspend(() => {
    const { generation } = this.changes
    return Effect.flatMap(
      Effect.tap(
        this.directory.attempt(() => this.look()),
        () => this.report
      ),
      (looked): Effect.Effect<ReadonlyArray<WatchItem>, BackendError> => {
        switch (looked._tag) {
          case "Items":
            return looked.items.length > 0 ? Effect.succeed(looked.items) : Effect.andThen(Effect.yieldNow, this.live)
          case "Idle":
            return Effect.andThen(this.changes.after(generation, looked.milliseconds), this.live)
          case "Fold":
            return Effect.andThen(this.fold(this.position), this.live)
          case "Lost":
            return this.recover(looked.reason)
        }
      }
    )
  })

  /** Gathers what is stored up to a position, or in all, and answers where that ends. */
  private fold(until?: LogReader.LogPosition): Effect.Effect<LogReader.LogPosition, BackendError> {
    return Effect.suspend(() => {
      const stored = new SeriesIndex()
      return Effect.acquireUseRelease(
        LogReader.settledView(this.directory),
        (view) =>
          LogReader.scan(
            this.directory,
            this.ledger,
            view,
            (record) => {
              stored.raise(record.origin, record.seq, record.upTo)
            },
            { until }
          ),
        (view) => Effect.sync(() => view.close())
      ).pipe(
        Effect.map((end) => {
          this.stored = stored
          return end
        })
      )
    })
  }

  /**
   * Goes on after history changed behind the position: from the oldest line that there is, showing only what was not
   * known; where nothing was known yet, from the end.
   */
  private recover(reason: string): Effect.Effect<ReadonlyArray<WatchItem>, BackendError> {
    this.leave()
    const oldest = this.directory.attempt((): LogReader.LogPosition => {
      const segment = this.directory.segments()[0]
      return segment === undefined ? LogReader.beginning : { segment, offset: 0, check: 0 }
    })
    return Effect.map(this.stored === undefined ? this.fold() : oldest, (position) => {
      this.position = position
      return [{ _tag: "Gap", reason, cursor: this.cursorAt(position) }]
    })
  }

  private leave(): void {
    if (this.current === undefined) return
    this.directory.disk.close(this.current.segment.opened)
    this.current = undefined
    this.newerSince = undefined
  }

  private look(): Looked {
    if (this.current === undefined) {
      const found = this.enter()
      if (found !== undefined) return found
    }
    const { reader, segment } = this.current!
    const { disk } = this.directory
    const { size } = disk.statusOf(segment.opened)
    const { offset } = reader
    if (size < offset) return { _tag: "Lost", reason: `${segment.name.file} was cut` }
    const items: Array<WatchItem> = []
    if (size > offset) {
      if (LogReader.checkAt(disk, segment.opened, offset) !== this.position.check) {
        return { _tag: "Lost", reason: `${segment.name.file} was replaced` }
      }
      if (this.stored === undefined) return { _tag: "Fold" }
      const more = this.read(size, false, items)
      if (more || reader.offset > offset) return { _tag: "Items", items }
    }
    return this.lookAround(size, items)
  }

  /** Opens the segment that the position is in, or the next one. */
  private enter(): Looked | undefined {
    const { position } = this
    const identity = this.directory.readIdentity()
    // The directory is gone, or not made yet.
    if (identity === undefined) return { _tag: "Idle" }
    if (identity !== this.target) {
      this.target = identity
      this.cursorAt = this.cursorsOf(identity)
      this.position = LogReader.beginning
      this.stored ??= new SeriesIndex()
      return {
        _tag: "Items",
        items: [
          {
            _tag: "Gap",
            reason: "the event log was removed, and another one begun in its place",
            cursor: this.cursorAt(this.position)
          }
        ]
      }
    }
    const names = this.directory.segments()
    const same = names.find(({ key }) => key === position.segment?.key)
    const name =
      same ?? names.find((name) => position.segment === undefined || SegmentName.order(name, position.segment) > 0)
    if (name === undefined) {
      return names.length === 0 ? { _tag: "Idle" } : { _tag: "Lost", reason: `${position.segment!.file} was removed` }
    }
    const segment = LogReader.openSegment(this.directory, name)
    if (segment === undefined) return { _tag: "Items", items: [] }
    const offset = same === undefined ? 0 : position.offset
    const items: Array<WatchItem> = []
    if (same === undefined) this.moveTo(name, items)
    this.current = {
      segment,
      reader: new LogReader.SegmentReader(this.directory.disk, segment, this.ledger, offset)
    }
    if (LogReader.checkAt(this.directory.disk, segment.opened, offset) !== this.position.check) {
      return { _tag: "Lost", reason: `${name.file} was cut or replaced` }
    }
    return items.length === 0 ? undefined : { _tag: "Items", items }
  }

  private moveTo(name: SegmentName.SegmentName, items: Array<WatchItem>): void {
    const missing = missingAfter(this.position.segment, [name])
    this.position = { segment: name, offset: 0, check: 0 }
    if (missing !== undefined) items.push({ _tag: "Gap", reason: missing, cursor: this.cursorAt(this.position) })
  }

  /** Nothing more is to be read here: whether it is elsewhere. */
  private lookAround(size: number, items: Array<WatchItem>): Looked {
    const { segment } = this.current!
    const { disk } = this.directory
    const path = this.directory.pathOf(segment.name.file)
    if (disk.status(path)?.identity !== segment.status.identity) {
      // What was written before it was taken away is read; what takes its place is opened anew.
      this.leave()
      return this.enter() ?? { _tag: "Items", items }
    }
    const newer = this.directory.segments().some((name) => SegmentName.order(name, segment.name) > 0)
    if (!newer) return { _tag: "Idle" }
    const now = this.clock.monotonicTimeNanosUnsafe()
    this.newerSince ??= now
    const left = LogReader.GRACE - Number(now - this.newerSince) / 1_000_000
    if (left > 0) return { _tag: "Idle", milliseconds: Math.ceil(left) }
    if (this.stored === undefined && size > this.current!.reader.offset) return { _tag: "Fold" }
    this.read(size, true, items)
    const next = this.directory.segments().find((name) => SegmentName.order(name, segment.name) > 0)
    this.leave()
    if (next !== undefined) this.moveTo(next, items)
    return { _tag: "Items", items }
  }

  /** Reads a slice, and adds what it changes. */
  private read(limit: number, final: boolean, items: Array<WatchItem>): boolean {
    const { reader, segment } = this.current!
    const { disk } = this.directory
    const more = reader.step(limit, final, (record: LogLine.LogRecord) => {
      if (!this.stored!.raise(record.origin, record.seq, record.upTo) || !record.matches(this.filter)) return
      items.push({
        _tag: "Event",
        event: record.event,
        cursor: this.cursorAt({
          segment: segment.name,
          offset: record.end,
          check: LogReader.checkAt(disk, segment.opened, record.end) ?? 0
        })
      })
    })
    if (reader.offset !== this.position.offset) {
      this.position = {
        segment: segment.name,
        offset: reader.offset,
        check: LogReader.checkAt(disk, segment.opened, reader.offset) ?? 0
      }
    }
    return more
  }
}

/** Segments are numbered without gaps: a number that is missing was taken away. */
const missingAfter = (
  segment: SegmentName.SegmentName | undefined,
  names: ReadonlyArray<SegmentName.SegmentName>
): string | undefined => {
  let number = segment?.number ?? 0
  for (const name of names) {
    if (segment !== undefined && SegmentName.order(name, segment) <= 0) continue
    if (name.number > number + 1) {
      return name.number === number + 2
        ? `segment ${number + 1} of the log is gone`
        : `segments ${number + 1} to ${name.number - 1} of the log are gone`
    }
    number = Math.max(number, name.number)
  }
  return undefined
}
