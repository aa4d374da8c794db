import type { BackendError } from "@tidings/core/BackendError"
import type { Event } from "@tidings/core/Event"
import type { WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Target from "@tidings/core/Target"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { closing } from "../fileOperations.ts"
import { ChangeWalk, type ChangesFrom } from "./index/changeWalk.ts"
import { FilterPlan } from "./index/filterPlan.ts"
import { endOf as endOfSnapshot } from "./index/snapshot.ts"
import { IndexDamaged } from "./index/segmentIndex.ts"
import * as LogPosition from "./position.ts"
import * as PlainObject from "./plainObject.ts"
import { LogTail, type TailOptions } from "./tail.ts"
import { endOf, repeat, type SegmentStatus, settledSegments } from "./view.ts"
import * as SegmentMark from "./segmentMark.ts"
import * as SegmentName from "./segmentName.ts"
import { SeriesIndex } from "./seriesIndex.ts"

/**
 * Events of the snapshot that are shown at a time. What is alive when V8 collects new objects makes it take more memory for them, so that
 * watching a million events with 64 of them at a time took 25 MB more.
 */
const PAGE = 16

/** Events that are read before other fibers get a turn. */
const MOST_IN_TURN = 64

/** Entries of each kind that are kept of what the snapshot showed. */
const MOST_SHOWN = 16_384

type EventItem = Extract<WatchItem, { readonly _tag: "Event" }>

const EventItemOf = PlainObject.make<[event: Event, cursor: EventItem["cursor"]], EventItem>(function (event, cursor) {
  this._tag = "Event"
  this.event = event
  this.cursor = cursor
})

/** A walk through the snapshot, and where the snapshot ends. */
interface Walk {
  readonly changes: ChangeWalk
  readonly end: LogPosition.LogPosition
}

/**
 * One watch: a snapshot of the log, and then what is appended after it.
 *
 * @internal
 */
export class LogFollower {
  /** The next items; waits until there are some. */
  private next: Effect.Effect<ReadonlyArray<WatchItem>, BackendError>
  private readonly options: TailOptions
  private readonly tail: LogTail
  /** Events of the snapshot that were read since other fibers had a turn. */
  private inTurn = 0
  /** After the last event that was shown. */
  private reached: LogPosition.LogPosition | undefined
  /**
   * What the snapshot showed, so that the tail does not show it again where a writer repeats a line: side files tell it too, but not
   * of a segment that was cut or replaced meanwhile.
   */
  private readonly shown = new SeriesIndex(MOST_SHOWN)

  private constructor(options: TailOptions, from: WatchFrom) {
    this.options = options
    this.tail = new LogTail(options)
    this.next = this.start(from)
  }

  /** The next items, of which there is at least one. */
  readonly pull: Effect.Effect<Arr.NonEmptyReadonlyArray<WatchItem>, BackendError> = Effect.suspend(() =>
    Effect.flatMap(this.next, (items) => (Arr.isReadonlyArrayNonEmpty(items) ? Effect.succeed(items) : this.pull))
  )

  /** A follower that closes its files with the scope. */
  static make(options: TailOptions, from: WatchFrom): Effect.Effect<LogFollower, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => {
        options.changes.attach()
        return new LogFollower(options, from)
      }),
      (follower) =>
        Effect.sync(() => {
          follower.tail.close()
          options.changes.detach()
        })
    )
  }

  private start(from: WatchFrom): Effect.Effect<ReadonlyArray<WatchItem>, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const { directory } = this.options
      const segments = yield* settledSegments(directory)
      const items: Array<WatchItem> = []
      let after: LogPosition.LogPosition | undefined
      if (typeof from === "string" && from !== "beginning" && from !== "now") {
        const scope = { mode: "filesystem", target: Target.make(this.options.target), filter: this.options.filter }
        after = yield* Effect.fromResult(Result.flatMap(Position.decodeCursor(scope, from), LogPosition.parse))
        const gap = yield* directory.attempt(() => this.resumeFrom(segments, after!))
        if (gap !== undefined) items.push(this.tail.gap(gap, after, from))
      }
      const end = yield* directory.attempt(() => endOf(directory, segments.at(-1)))
      if (
        from === "now" ||
        (typeof from === "object" && !(from.last >= 1)) ||
        (after !== undefined && LogPosition.isSame(after, end))
      ) {
        return this.goLive(items, end)
      }
      return yield* this.walk(typeof from === "object" ? { last: Math.floor(from.last) } : { after }, items)
    })
  }

  /** Begins to show what is stored. */
  private walk(from: ChangesFrom, items: Array<WatchItem>): Effect.Effect<ReadonlyArray<WatchItem>, BackendError> {
    const { directory, filter, index } = this.options
    this.reached = from.after
    const begin = index.use((snapshot) => {
      const changes = new ChangeWalk(index, directory, snapshot, new FilterPlan(filter), from)
      return Effect.as(
        repeat(directory, () => changes.goBack()),
        { changes, end: endOfSnapshot(snapshot) }
      )
    })
    return Effect.flatMap(
      Effect.tap(begin, () => this.options.report),
      (walk) => this.show(walk, from, items)
    )
  }

  /**
   * Compares the log with what it was when a cursor was made: fails when the log before the cursor was changed, and answers
   * the reason of a gap when segments after it are gone.
   */
  private resumeFrom(segments: ReadonlyArray<SegmentStatus>, position: LogPosition.LogPosition): string | undefined {
    const { segment, offset } = position
    const { directory } = this.options
    const names = segments.map(({ name }) => name)
    const named = names.find(({ key }) => key === segment?.key)
    const found = named === undefined ? undefined : directory.openSegment(named, "read")
    if (found !== undefined) {
      const check = closing(directory.disk, found.opened, (file) => LogPosition.checkAt(directory.disk, file, offset))
      if (check !== position.check) {
        throw LogPosition.mismatch(
          `the log is not what it was when the cursor was taken (${found.name.file} was cut or replaced); start over without it`
        )
      }
      // Nothing of it was read: another file in its place begins like it.
      return this.missingAfter(found.name, names, offset === 0 ? found.name.number - 1 : found.name.number)
    }
    if (segment === undefined) return this.missingAfter(undefined, names)
    return `${segment.file}, where the cursor points to, is gone`
  }

  /** What is gone of the segments after one, in words. */
  private missingAfter(
    segment: SegmentName.SegmentName | undefined,
    names: ReadonlyArray<SegmentName.SegmentName>,
    lossesAfter = segment?.number ?? 0
  ): string | undefined {
    const { directory } = this.options
    return (
      SegmentName.missingAfter(segment, names) ??
      SegmentMark.whatWasLost(directory, directory.logMeta(), lossesAfter)[0]
    )
  }

  /** Shows some of what is stored. */
  private show(
    walk: Walk,
    from: ChangesFrom,
    items: Array<WatchItem>
  ): Effect.Effect<ReadonlyArray<WatchItem>, BackendError> {
    const read = this.options.directory.attempt(() =>
      walk.changes.next(PAGE, (event, position) => {
        items.push(new EventItemOf(event, this.tail.cursorAt(position)))
        this.shown.raise(event.id.origin, event.id.seq, event.upTo)
        this.reached = position
      })
    )
    const shown = Effect.map(read, (hasMore): ReadonlyArray<WatchItem> => {
      if (!hasMore) return this.goLive(items, walk.end)
      const more = Effect.suspend(() => this.show(walk, from, []))
      this.inTurn += PAGE
      if (this.inTurn < MOST_IN_TURN) this.next = more
      else {
        this.inTurn = 0
        this.next = Effect.andThen(Effect.yieldNow, more)
      }
      return items
    })
    return Effect.catchDefect(shown, (defect) => {
      if (!(defect instanceof IndexDamaged)) return Effect.die(defect)
      this.options.index.reset(defect)
      // The log was changed meanwhile: what was shown is not shown again.
      return this.walk(this.reached === undefined ? from : { after: this.reached }, items)
    })
  }

  private goLive(items: Array<WatchItem>, position: LogPosition.LogPosition): ReadonlyArray<WatchItem> {
    this.tail.start(position, this.shown)
    this.next = this.tail.next
    items.push({ _tag: "Live", cursor: this.tail.cursorAt(position) })
    return items
  }
}
