import type { BackendError } from "@tidings/core/BackendError"
import type { WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Target from "@tidings/core/Target"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { FoldTable } from "./foldTable.ts"
import * as LineMatcher from "./lineMatcher.ts"
import * as LogPosition from "./position.ts"
import { eventAt } from "./query.ts"
import { LogTail, type TailOptions } from "./tail.ts"
import { LogView } from "./view.ts"
import * as SegmentName from "./segmentName.ts"
import type { SeriesIndex } from "./seriesIndex.ts"

/** Events of the snapshot that are decoded at a time. */
const PAGE = 256

/**
 * One watch: a snapshot of the log, and then what is appended after it.
 *
 * @internal
 */
export class LogFollower {
  /** The next items; waits until there are some. */
  next: Effect.Effect<ReadonlyArray<WatchItem>, BackendError>
  private readonly options: TailOptions
  private readonly tail: LogTail
  private view: LogView | undefined

  private constructor(options: TailOptions, from: WatchFrom) {
    this.options = options
    this.tail = new LogTail(options)
    this.next = this.start(from)
  }

  /** A follower that closes its files with the scope. */
  static make(options: TailOptions, from: WatchFrom): Effect.Effect<LogFollower, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => {
        options.changes.attach()
        return new LogFollower(options, from)
      }),
      (follower) =>
        Effect.sync(() => {
          follower.closeView()
          follower.tail.close()
          options.changes.detach()
        })
    )
  }

  private closeView(): void {
    this.view?.close()
    this.view = undefined
  }

  private start(from: WatchFrom): Effect.Effect<ReadonlyArray<WatchItem>, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const view = yield* Effect.uninterruptible(
        Effect.tap(LogView.settled(this.options.directory), (view) => Effect.sync(() => (this.view = view)))
      )
      const items: Array<WatchItem> = []
      let after: LogPosition.LogPosition | undefined
      if (typeof from === "string" && from !== "beginning" && from !== "now") {
        const scope = { mode: "filesystem", target: Target.make(this.options.target), filter: this.options.filter }
        after = yield* Effect.fromResult(Result.flatMap(Position.decodeCursor(scope, from), LogPosition.parse))
        const gap = yield* this.options.directory.attempt(() => this.resumeFrom(view, after!))
        if (gap !== undefined) items.push(this.tail.gap(gap, from))
      }
      const end = yield* this.options.directory.attempt(() => this.endOf(view))
      if (
        from === "now" ||
        (typeof from === "object" && !(from.last >= 1)) ||
        (after !== undefined && LogPosition.isSame(after, end))
      ) {
        return this.goLive(items, end, undefined)
      }
      const table = new FoldTable()
      const matches = LineMatcher.make(this.options.filter)
      const scanned = yield* view.scan(this.options.ledger, (record, segment) => table.add(record, segment, matches), {
        until: end
      })
      yield* this.options.report
      let rows = table.matching().sort(table.byChange)
      if (typeof from === "object") rows = rows.slice(-Math.floor(from.last))
      if (after !== undefined) {
        const position = after
        rows = rows.filter((row) => {
          const at = table.at(row)
          return LogPosition.isBefore(position, view.segments[at.segment]!.name, at.start)
        })
      }
      return yield* this.show(view, table, rows, 0, items, scanned)
    })
  }

  /**
   * Compares the log with what it was when a cursor was made: fails when the log before the cursor was changed, and answers
   * the reason of a gap when segments after it are gone.
   */
  private resumeFrom(view: LogView, position: LogPosition.LogPosition): string | undefined {
    const { segment, offset } = position
    const names = view.segments.map(({ name }) => name)
    const found = view.segments.find(({ name }) => name.key === segment?.key)
    if (found !== undefined) {
      if (LogPosition.checkAt(this.options.directory.disk, found.opened, offset) !== position.check) {
        throw LogPosition.mismatch(
          `the log is not what it was when the cursor was taken (${found.name.file} was cut or replaced); start over without it`
        )
      }
      return SegmentName.missingAfter(found.name, names)
    }
    if (segment === undefined) return SegmentName.missingAfter(undefined, names)
    return `${segment.file}, where the cursor points to, is gone`
  }

  /** The position after the last complete line of a view. */
  private endOf(view: LogView): LogPosition.LogPosition {
    const newest = view.segments.at(-1)
    if (newest === undefined) return LogPosition.beginning
    const { disk } = this.options.directory
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
    return LogPosition.at(disk, newest, offset)
  }

  /** Decodes a page of the snapshot. */
  private show(
    view: LogView,
    table: FoldTable,
    rows: ReadonlyArray<number>,
    from: number,
    items: Array<WatchItem>,
    end: LogPosition.LogPosition
  ): Effect.Effect<ReadonlyArray<WatchItem>, BackendError> {
    const { disk } = this.options.directory
    const until = Math.min(rows.length, from + PAGE)
    return Effect.map(
      this.options.directory.attempt(() => {
        for (let index = from; index < until; index++) {
          const at = table.at(rows[index]!)
          const segment = view.segments[at.segment]!
          const cursor = this.tail.cursorAt(LogPosition.at(disk, segment, at.end))
          items.push({ _tag: "Event", event: eventAt(disk, segment, at), cursor })
        }
      }),
      () => {
        if (until >= rows.length) return this.goLive(items, end, table.toIndex())
        this.next = Effect.suspend(() => this.show(view, table, rows, until, [], end))
        return items
      }
    )
  }

  private goLive(
    items: Array<WatchItem>,
    position: LogPosition.LogPosition,
    index: SeriesIndex | undefined
  ): ReadonlyArray<WatchItem> {
    this.closeView()
    this.tail.start(position, index)
    this.next = this.tail.next
    items.push({ _tag: "Live", cursor: this.tail.cursorAt(position) })
    return items
  }
}
