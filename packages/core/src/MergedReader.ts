/**
 * Several stores, or several parts of one, read as one: the two sides of `Policy.route`, the namespaces of a cluster that are
 * read one by one, several clusters.
 *
 * The events of the sides are disjoint, so `totalCount` is their sum. A page is the newest of all sides, and of what comes
 * next the page token knows up to which time each was read. A cursor holds one of each side; of one side the items of a watch
 * leave in the order of change, between two sides in the order in which they come.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { BackendError, CursorMismatch } from "./BackendError.ts"
import type { Event } from "./Event.ts"
import * as EventId from "./EventId.ts"
import * as EventQuery from "./EventQuery.ts"
import type * as EventReader from "./EventReader.ts"
import { isTexts } from "./internal/acceptance.ts"
import * as json from "./internal/json.ts"
import * as Position from "./Position.ts"
import type * as Target from "./Target.ts"

/**
 * One of the stores that are read as one.
 *
 * @category models
 * @since 0.2.0
 */
export type Side = Pick<EventReader.Service, "query" | "watch">

/**
 * How stores are read as one.
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly mode: EventReader.Mode
  /** The identity of all of them together, to which cursors and page tokens are bound. */
  readonly target: Effect.Effect<Target.Target, BackendError>
  /** The sides that a filter is about; for the same filter always the same ones in the same order. */
  readonly sides: (filter: EventQuery.EventFilter) => ReadonlyArray<Side>
  /**
   * What an error means for a query when other sides answer: the part of the answer that is missing, or `undefined` where the
   * query fails. Unless given, every error fails the query. A watch fails in any case.
   */
  readonly incomplete?: ((error: BackendError) => EventQuery.Incomplete | undefined) | undefined
}

/** How far a query was read: events last seen at `until` or before it, without those of each side in `seen`. */
interface Reached {
  readonly until: number
  readonly seen: ReadonlyArray<ReadonlyArray<string>>
}

/** Where one side of a watch stands; `null` is the beginning. */
type Part = EventQuery.Cursor | null

const malformed = new BackendError({
  reason: new CursorMismatch({ detail: "it does not hold a position in each of the stores; start over" })
})

const isListOf = <A>(value: unknown, count: number, is: (one: unknown) => one is A): value is ReadonlyArray<A> =>
  Array.isArray(value) && value.length === count && value.every(is)

// The cursor of a side is checked by that side.
const isPart = (part: unknown): part is Part => part === null || typeof part === "string"

const readParts = (text: string, count: number): Result.Result<ReadonlyArray<Part>, BackendError> => {
  const parts = json.parse(text)
  return isListOf(parts, count, isPart) ? Result.succeed(parts) : Result.fail(malformed)
}

const readReached = (text: string, count: number): Result.Result<Reached, BackendError> => {
  const reached = json.parse(text)
  return typeof reached === "object" &&
    reached !== null &&
    "until" in reached &&
    typeof reached.until === "number" &&
    "seen" in reached &&
    isListOf(reached.seen, count, isTexts)
    ? Result.succeed({ until: reached.until, seen: reached.seen })
    : Result.fail(malformed)
}

/**
 * Makes the reader.
 *
 * **Example** (Two stores)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as MergedReader from "@tidings/core/MergedReader"
 * import * as Target from "@tidings/core/Target"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import assert from "node:assert/strict"
 *
 * const program = Effect.scoped(
 *   Effect.gen(function* () {
 *     const one = yield* Backend.Backend.pipe(Effect.provide(Layer.fresh(Backend.layerMemory())))
 *     const other = yield* Backend.Backend.pipe(Effect.provide(Layer.fresh(Backend.layerMemory())))
 *     const both = MergedReader.make({
 *       mode: "memory and memory",
 *       target: Effect.succeed(Target.make("both")),
 *       sides: () => [one, other]
 *     })
 *     return yield* both.query({ limit: 10 })
 *   })
 * )
 * const page = await Effect.runPromise(program)
 * assert.equal(page.coverage.length, 2)
 * ```
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (options: Options): EventReader.Service => {
  const { mode, sides, target } = options
  const scopeOf = (filter: EventQuery.EventFilter): Effect.Effect<Position.Scope, BackendError> =>
    Effect.map(target, (target) => ({ mode, target, filter }))

  const query = Effect.fnUntraced(function* (
    query: EventQuery.EventQuery
  ): Effect.fn.Return<EventQuery.EventPage, BackendError> {
    const filter = EventQuery.filterOf(query)
    const { limit } = query
    const asked = sides(filter)
    const scope = yield* scopeOf(filter)
    const reached =
      query.page === undefined
        ? undefined
        : yield* Effect.fromResult(
            Result.flatMap(Position.decodePageToken(scope, query.page), (text) => readReached(text, asked.length))
          )
    const answers = yield* Effect.forEach(
      asked,
      (side, index) => Effect.result(sidePage(side, filter, limit, reached?.until, reached?.seen[index])),
      { concurrency: SIDES_AT_ONCE }
    )
    const pages = yield* answered(answers, options.incomplete)
    const merged = mergeNewestFirst(pages.map(({ page }) => page.events))
    const shown = limit === undefined ? merged : merged.slice(0, Math.max(0, limit))
    const isLast = merged.length === shown.length && !pages.some(({ page }) => page.more)
    const next = isLast ? undefined : advance(reached, shown, asked.length)
    const incomplete = pages.flatMap(({ incomplete, page }) => [...incomplete, ...(page.incomplete ?? [])])
    return {
      events: shown.map(({ event }) => event),
      totalCount: pages.reduce((sum, { page }) => sum + page.totalCount, 0),
      cursor: Position.cursorEncoder(scope)(JSON.stringify(pages.map(({ page }) => page.cursor))),
      coverage: coverageOf(pages.map(({ page }) => page)),
      ...(incomplete.length === 0 ? undefined : { incomplete }),
      ...(next === undefined ? undefined : { next: Position.pageTokenEncoder(scope)(JSON.stringify(next)) })
    }
  })

  const watch = (
    filter: EventQuery.EventFilter,
    from: EventQuery.WatchFrom
  ): Stream.Stream<EventQuery.WatchItem, BackendError> =>
    Stream.unwrap(
      Effect.gen(function* () {
        const asked = sides(filter)
        const scope = yield* scopeOf(filter)
        const resumed =
          typeof from === "string" && from !== "beginning" && from !== "now"
            ? yield* Effect.fromResult(
                Result.flatMap(Position.decodeCursor(scope, from), (text) => readParts(text, asked.length))
              )
            : undefined
        const merge = new Merge(asked.length, Position.cursorEncoder(scope), from, resumed)
        const startOf = (side: number): EventQuery.WatchFrom =>
          resumed === undefined ? from : (resumed[side] ?? "beginning")
        const streams = asked.map((one, side) =>
          Stream.map(one.watch(filter, startOf(side)), (item) => [side, item] as const)
        )
        return Stream.flattenIterable(
          Stream.map(Stream.mergeAll(streams, { concurrency: "unbounded" }), ([side, item]) => merge.take(side, item))
        )
      })
    )

  return { mode, target, query, watch }
}

/** How many sides are asked at once. */
const SIDES_AT_ONCE = 8

// ---------------------------------------------------------------------------
// pages
// ---------------------------------------------------------------------------

interface SidePage extends Omit<EventQuery.EventPage, "cursor"> {
  /** `null` is the beginning: of a side that did not answer nothing was shown. */
  readonly cursor: Part
  readonly more: boolean
}

const sidePage = Effect.fnUntraced(function* (
  side: Side,
  filter: EventQuery.EventFilter,
  limit: number | undefined,
  reached: number | undefined,
  seen: ReadonlyArray<string> = []
): Effect.fn.Return<SidePage, BackendError> {
  if (reached === undefined) {
    const page = yield* side.query(limit === undefined ? filter : { ...filter, limit })
    return { ...page, more: page.next !== undefined }
  }
  const whole = yield* side.query({ ...filter, limit: 0 })
  const until = filter.until === undefined ? reached : Math.min(filter.until, reached)
  // What was seen is the newest of it, so this leaves `limit` of the rest.
  const page = yield* side.query(
    limit === undefined ? { ...filter, until } : { ...filter, until, limit: limit + seen.length }
  )
  const known = new Set(seen)
  return {
    ...whole,
    events: page.events.filter(({ id }) => !known.has(EventId.format(id))),
    more: page.next !== undefined
  }
})

interface Answered {
  readonly page: SidePage
  readonly incomplete: ReadonlyArray<EventQuery.Incomplete>
}

/** Of a side that did not answer an empty page; where none answered, or the error is not one to go on after, the error. */
const answered = (
  answers: ReadonlyArray<Result.Result<SidePage, BackendError>>,
  incompleteOf: Options["incomplete"] = () => undefined
): Effect.Effect<ReadonlyArray<Answered>, BackendError> => {
  const pages: Array<Answered> = []
  let first: BackendError | undefined
  for (const answer of answers) {
    if (Result.isSuccess(answer)) {
      pages.push({ page: answer.success, incomplete: [] })
      continue
    }
    const incomplete = incompleteOf(answer.failure)
    if (incomplete === undefined) return Effect.fail(answer.failure)
    first ??= answer.failure
    const page: SidePage = { events: [], totalCount: 0, cursor: null, coverage: [], more: false }
    pages.push({ page, incomplete: [incomplete] })
  }
  return first !== undefined && answers.every(Result.isFailure) ? Effect.fail(first) : Effect.succeed(pages)
}

/** One of each store, also where several sides are parts of one. */
const coverageOf = (pages: ReadonlyArray<SidePage>): ReadonlyArray<EventQuery.Coverage> => {
  const all = pages.flatMap(({ coverage }) => coverage)
  return all.filter((one, index) => all.findIndex(({ store }) => store === one.store) === index)
}

interface Sided<A> {
  readonly side: number
  readonly event: A
}

/** Merges lists that are in order; of equal ones those of the first side come first. */
const mergeInOrder = <A>(
  lists: ReadonlyArray<ReadonlyArray<A>>,
  isBefore: (one: A, other: A) => boolean
): ReadonlyArray<Sided<A>> => {
  const merged: Array<Sided<A>> = []
  const next = lists.map(() => 0)
  while (true) {
    let side = -1
    for (let index = 0; index < lists.length; index++) {
      if (next[index]! >= lists[index]!.length) continue
      if (side === -1 || isBefore(lists[index]![next[index]!]!, lists[side]![next[side]!]!)) side = index
    }
    if (side === -1) return merged
    merged.push({ side, event: lists[side]![next[side]!]! })
    next[side]!++
  }
}

const mergeNewestFirst = (lists: ReadonlyArray<ReadonlyArray<Event>>): ReadonlyArray<Sided<Event>> =>
  mergeInOrder(lists, (one, other) => one.last > other.last)

/** Whatever is left on any side was last seen when the last of what is shown was, or before it. */
const advance = (
  reached: Reached | undefined,
  shown: ReadonlyArray<Sided<Event>>,
  sides: number
): Reached | undefined => {
  const until = shown.at(-1)?.event.last
  if (until === undefined) return undefined
  const seen = Array.from({ length: sides }, (_, side) => {
    const ids = shown.flatMap((one) =>
      one.side === side && one.event.last === until ? [EventId.format(one.event.id)] : []
    )
    return reached?.until === until ? [...(reached.seen[side] ?? []), ...ids] : ids
  })
  return { until, seen }
}

// ---------------------------------------------------------------------------
// watches
// ---------------------------------------------------------------------------

const lastOf = (item: EventQuery.WatchItem): number =>
  item._tag === "Event" ? item.event.last : Number.NEGATIVE_INFINITY

/**
 * Puts the items of several watches into one: `Live` comes when all of them are.
 *
 * Where a watch begins with the last n events or with none, a cursor that holds the beginning of one side would lead back
 * before that. So items are held until every side has a position.
 */
class Merge {
  private readonly encode: (position: string) => EventQuery.Cursor
  private readonly parts: Array<Part>
  private readonly isLive: Array<boolean>
  /** The position of each side at the end of its snapshot. */
  private readonly liveAt: Array<Part>
  private readonly snapshots: Array<Array<EventQuery.WatchItem>>
  private readonly held: Array<readonly [number, EventQuery.WatchItem]> = []
  /** How many events of the snapshots are shown, where they are held. */
  private readonly last: number | undefined

  constructor(
    sides: number,
    encode: (position: string) => EventQuery.Cursor,
    from: EventQuery.WatchFrom,
    resumed: ReadonlyArray<Part> | undefined
  ) {
    this.encode = encode
    this.parts = resumed === undefined ? Array.from({ length: sides }, () => null) : [...resumed]
    this.isLive = this.parts.map(() => false)
    this.liveAt = this.parts.map(() => null)
    this.snapshots = this.parts.map(() => [])
    this.last = from === "now" ? 0 : typeof from === "object" ? from.last : undefined
  }

  take(side: number, item: EventQuery.WatchItem): ReadonlyArray<EventQuery.WatchItem> {
    const wereLive = this.isLive.every(Boolean)
    if (item._tag === "Live") {
      this.isLive[side] = true
      if (this.last === undefined) this.parts[side] = item.cursor
      else this.liveAt[side] = item.cursor
      if (wereLive || !this.isLive.every(Boolean)) return []
      return this.last === undefined ? [this.live()] : this.showHeld(this.last)
    }
    if (this.last === undefined || wereLive) return [this.emit(side, item)]
    if (this.isLive[side]) this.held.push([side, item])
    else this.snapshots[side]!.push(item)
    return []
  }

  private cursor(): EventQuery.Cursor {
    return this.encode(JSON.stringify(this.parts))
  }

  private live(): EventQuery.WatchItem {
    return { _tag: "Live", cursor: this.cursor() }
  }

  private emit(side: number, item: EventQuery.WatchItem): EventQuery.WatchItem {
    this.parts[side] = item.cursor
    return { ...item, cursor: this.cursor() }
  }

  /** The last n of all snapshots, then what came meanwhile; a cursor leads back to before what is shown of each side. */
  private showHeld(last: number): Array<EventQuery.WatchItem> {
    const merged = mergeInOrder(this.snapshots, (one, other) => lastOf(one) < lastOf(other))
    const hidden = merged.slice(0, Math.max(0, merged.length - last))
    for (const { event, side } of hidden) this.parts[side] = event.cursor
    const shown = merged.slice(hidden.length).map(({ event, side }) => this.emit(side, event))
    for (const [side, at] of this.liveAt.entries()) this.parts[side] = at ?? this.parts[side]!
    return [...shown, this.live(), ...this.held.map(([side, item]) => this.emit(side, item))]
  }
}
