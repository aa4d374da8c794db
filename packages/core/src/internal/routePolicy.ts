import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as Backend from "../Backend.ts"
import { BackendError, CursorMismatch } from "../BackendError.ts"
import type { Event, EventBody, StoredEventType, Write } from "../Event.ts"
import * as EventId from "../EventId.ts"
import * as EventQuery from "../EventQuery.ts"
import * as Position from "../Position.ts"
import * as Target from "../Target.ts"
import { missing } from "./outcomes.ts"

/**
 * Which events go to the other backend: all that is named must hold, and of a list any one.
 *
 * @internal
 */
export interface Condition {
  readonly resourceType?: string | ReadonlyArray<string> | undefined
  readonly namespace?: string | ReadonlyArray<string> | undefined
  readonly eventType?: StoredEventType | undefined
}

const holds = (wanted: string | ReadonlyArray<string> | undefined, found: string | undefined): boolean =>
  wanted === undefined ||
  (typeof wanted === "string" ? wanted === found : found !== undefined && wanted.includes(found))

const applies = (when: Condition, { involvedObject, type }: EventBody): boolean =>
  holds(when.resourceType, involvedObject.kind) &&
  holds(when.namespace, involvedObject.namespace) &&
  holds(when.eventType, type)

/** How far a query was read: events last seen at `until` or before it, without those of each side in `seen`. */
interface Reached {
  readonly until: number
  readonly seen: Sides<ReadonlyArray<string>>
}

/** Where one side of a watch stands; `null` is the beginning. */
type Part = EventQuery.Cursor | null

type Sides<A> = readonly [A, A]

const malformed = new BackendError({
  reason: new CursorMismatch({ detail: "it does not hold a position in each of the two stores; begin anew" })
})

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isPair = <A>(value: unknown, is: (part: unknown) => part is A): value is Sides<A> =>
  Array.isArray(value) && value.length === 2 && value.every(is)

const isTexts = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((one) => typeof one === "string")

// A cursor of either side is checked by that side.
const isPart = (part: unknown): part is Part => part === null || typeof part === "string"

const readParts = (text: string): Result.Result<Sides<Part>, BackendError> => {
  const parts = parse(text)
  return isPair(parts, isPart) ? Result.succeed(parts) : Result.fail(malformed)
}

const readReached = (text: string): Result.Result<Reached, BackendError> => {
  const reached = parse(text)
  return typeof reached === "object" &&
    reached !== null &&
    "until" in reached &&
    typeof reached.until === "number" &&
    "seen" in reached &&
    isPair(reached.seen, isTexts)
    ? Result.succeed({ until: reached.until, seen: reached.seen })
    : Result.fail(malformed)
}

/** Known under every pair of names of the two. */
const both = (primary: Target.Target, other: Target.Target): Target.Target => {
  const names = [primary.id, ...primary.aliases].flatMap((one) =>
    [other.id, ...other.aliases].map((another) => `${one} and ${another}`)
  )
  return Target.make(names[0]!, {
    aliases: names.slice(1),
    isUncertain: primary.isUncertain === true || other.isUncertain === true,
    // Only where each of them may be begun anew, may both.
    place: primary.place === undefined || other.place === undefined ? undefined : `${primary.place} and ${other.place}`
  })
}

/** @internal */
export const make = (primary: Backend.Service, other: Backend.Service, when: Condition): Backend.Service => {
  const sides: Sides<Backend.Service> = [primary, other]
  const target = Effect.zipWith(primary.target, other.target, both)
  const scopeOf = (filter: EventQuery.EventFilter): Effect.Effect<Position.Scope, BackendError> =>
    Effect.map(target, (target) => ({ mode: `${primary.mode} and ${other.mode}`, target, filter }))

  const write = (batch: ReadonlyArray<Write>): Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError> => {
    const toOther = batch.map(({ event }) => applies(when, event))
    if (!toOther.includes(true)) return primary.write(batch)
    if (!toOther.includes(false)) return other.write(batch)
    // What one side answers is known even when the other fails, so a failure becomes the outcome of its items.
    const part = (backend: Backend.Service, side: boolean) => {
      const items = batch.filter((_, index) => toOther[index] === side)
      return Effect.catch(backend.write(items), (error) =>
        Effect.succeed(items.map((): Backend.Outcome => ({ _tag: "Retry", error })))
      )
    }
    return Effect.map(Effect.all([part(primary, false), part(other, true)], { concurrency: 2 }), ([first, second]) => {
      let nextFirst = 0
      let nextSecond = 0
      return toOther.map((routed) => (routed ? second[nextSecond++] : first[nextFirst++]) ?? missing)
    })
  }

  const query = (query: EventQuery.EventQuery): Effect.Effect<EventQuery.EventPage, BackendError> =>
    Effect.gen(function* () {
      const filter = EventQuery.filterOf(query)
      const scope = yield* scopeOf(filter)
      const reached =
        query.page === undefined
          ? undefined
          : yield* Effect.fromResult(Result.flatMap(Position.decodePageToken(scope, query.page), readReached))
      const [first, second] = yield* Effect.all(
        [
          sidePage(primary, filter, query.limit, reached?.until, reached?.seen[0]),
          sidePage(other, filter, query.limit, reached?.until, reached?.seen[1])
        ],
        { concurrency: 2 }
      )
      const merged = mergeNewestFirst(first.events, second.events)
      const shown = query.limit === undefined ? merged : merged.slice(0, Math.max(0, query.limit))
      const page = {
        events: shown.map(({ event }) => event),
        totalCount: first.totalCount + second.totalCount,
        cursor: Position.cursorEncoder(scope)(JSON.stringify([first.cursor, second.cursor]))
      }
      const isLast = merged.length === shown.length && !first.more && !second.more
      const next = isLast ? undefined : advance(reached, shown)
      return next === undefined ? page : { ...page, next: Position.pageTokenEncoder(scope)(JSON.stringify(next)) }
    })

  const watch = (
    filter: EventQuery.EventFilter,
    from: EventQuery.WatchFrom
  ): Stream.Stream<EventQuery.WatchItem, BackendError> =>
    Stream.unwrap(
      Effect.gen(function* () {
        const scope = yield* scopeOf(filter)
        const encode = Position.cursorEncoder(scope)
        let parts: [Part, Part] = [null, null]
        let starts: Sides<EventQuery.WatchFrom> = ["beginning", "beginning"]
        if (from === "now") {
          // "now" has no position of its own to resume from; the cursor of an empty query has.
          const [first, second] = yield* Effect.all([
            primary.query({ ...filter, limit: 0 }),
            other.query({ ...filter, limit: 0 })
          ])
          parts = [first.cursor, second.cursor]
          starts = [first.cursor, second.cursor]
        } else if (typeof from === "object") {
          starts = [from, from]
        } else if (from !== "beginning") {
          const decoded = yield* Effect.fromResult(Result.flatMap(Position.decodeCursor(scope, from), readParts))
          parts = [...decoded]
          starts = [decoded[0] ?? "beginning", decoded[1] ?? "beginning"]
        }
        const last = typeof from === "object" ? from.last : undefined
        const live: [boolean, boolean] = [false, false]
        const snapshots: Sides<Array<EventQuery.WatchItem>> = [[], []]
        const early: Array<readonly [0 | 1, EventQuery.WatchItem]> = []

        const emit = (side: 0 | 1, item: EventQuery.WatchItem): EventQuery.WatchItem => {
          parts[side] = item.cursor
          return { ...item, cursor: encode(JSON.stringify(parts)) }
        }
        const liveItem = (): EventQuery.WatchItem => ({ _tag: "Live", cursor: encode(JSON.stringify(parts)) })

        /** The last n of both snapshots, and from each side the position before what is shown of it. */
        const showSnapshot = (n: number): Array<EventQuery.WatchItem> => {
          const merged = mergeInOrder(snapshots[0], snapshots[1])
          const hidden = merged.slice(0, Math.max(0, merged.length - n))
          for (const { item, side } of hidden) parts[side] = item.cursor
          return merged.slice(hidden.length).map(({ item, side }) => emit(side, item))
        }

        const onItem = (side: 0 | 1, item: EventQuery.WatchItem): ReadonlyArray<EventQuery.WatchItem> => {
          const bothLive = live[0] && live[1]
          if (item._tag === "Live") {
            live[side] = true
            if (last === undefined) parts[side] = item.cursor
            else liveCursors[side] = item.cursor
            if (bothLive || !(live[0] && live[1])) return []
            if (last === undefined) return [liveItem()]
            const shown = showSnapshot(last)
            parts = [liveCursors[0] ?? parts[0], liveCursors[1] ?? parts[1]]
            return [...shown, liveItem(), ...early.map(([from, held]) => emit(from, held))]
          }
          if (last === undefined || bothLive) return [emit(side, item)]
          if (live[side]) early.push([side, item])
          else snapshots[side].push(item)
          return []
        }
        const liveCursors: [Part, Part] = [null, null]

        const sideStream = (side: 0 | 1) =>
          Stream.map(sides[side].watch(filter, starts[side]), (item) => [side, item] as const)
        return Stream.flattenIterable(
          Stream.map(Stream.merge(sideStream(0), sideStream(1)), ([side, item]) => onItem(side, item))
        )
      })
    )

  return { mode: primary.mode, target, write, query, watch }
}

interface SidePage {
  readonly events: ReadonlyArray<Event>
  readonly totalCount: number
  readonly cursor: EventQuery.Cursor
  readonly more: boolean
}

const sidePage = Effect.fnUntraced(function* (
  backend: Backend.Service,
  filter: EventQuery.EventFilter,
  limit: number | undefined,
  reached: number | undefined,
  seen: ReadonlyArray<string> = []
): Effect.fn.Return<SidePage, BackendError> {
  if (reached === undefined) {
    const page = yield* backend.query(limit === undefined ? filter : { ...filter, limit })
    return { events: page.events, totalCount: page.totalCount, cursor: page.cursor, more: page.next !== undefined }
  }
  const whole = yield* backend.query({ ...filter, limit: 0 })
  const until = filter.until === undefined ? reached : Math.min(filter.until, reached)
  // What was seen is the newest of it, so this leaves `limit` of the rest.
  const page = yield* backend.query(
    limit === undefined ? { ...filter, until } : { ...filter, until, limit: limit + seen.length }
  )
  const known = new Set(seen)
  return {
    events: page.events.filter(({ id }) => !known.has(EventId.format(id))),
    totalCount: whole.totalCount,
    cursor: whole.cursor,
    more: page.next !== undefined
  }
})

interface Sided {
  readonly side: 0 | 1
  readonly event: Event
}

const mergeNewestFirst = (first: ReadonlyArray<Event>, second: ReadonlyArray<Event>): ReadonlyArray<Sided> => {
  const merged: Array<Sided> = []
  let a = 0
  let b = 0
  while (a < first.length || b < second.length) {
    const left = first[a]
    const right = second[b]
    if (right === undefined || (left !== undefined && left.last >= right.last)) {
      merged.push({ side: 0, event: left! })
      a++
    } else {
      merged.push({ side: 1, event: right })
      b++
    }
  }
  return merged
}

const lastOf = (item: EventQuery.WatchItem): number =>
  item._tag === "Event" ? item.event.last : Number.NEGATIVE_INFINITY

const mergeInOrder = (
  first: ReadonlyArray<EventQuery.WatchItem>,
  second: ReadonlyArray<EventQuery.WatchItem>
): ReadonlyArray<{ readonly side: 0 | 1; readonly item: EventQuery.WatchItem }> => {
  const merged: Array<{ readonly side: 0 | 1; readonly item: EventQuery.WatchItem }> = []
  let a = 0
  let b = 0
  while (a < first.length || b < second.length) {
    const left = first[a]
    const right = second[b]
    if (right === undefined || (left !== undefined && lastOf(left) <= lastOf(right))) {
      merged.push({ side: 0, item: left! })
      a++
    } else {
      merged.push({ side: 1, item: right })
      b++
    }
  }
  return merged
}

/** Whatever is left on either side was last seen when the last of what is shown was, or before it. */
const advance = (reached: Reached | undefined, shown: ReadonlyArray<Sided>): Reached | undefined => {
  const until = shown.at(-1)?.event.last
  if (until === undefined) return undefined
  const seenOf = (side: 0 | 1): ReadonlyArray<string> => {
    const ids = shown.flatMap((one) =>
      one.side === side && one.event.last === until ? [EventId.format(one.event.id)] : []
    )
    return reached?.until === until ? [...reached.seen[side], ...ids] : ids
  }
  return { until, seen: [seenOf(0), seenOf(1)] }
}
