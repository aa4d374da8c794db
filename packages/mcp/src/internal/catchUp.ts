/**
 * What changed after a cursor, and where nothing did, waiting for it.
 *
 * @internal
 */
import type { BackendError } from "@tidings/core/BackendError"
import type { Event } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventQuery from "@tidings/core/EventQuery"
import type * as EventReader from "@tidings/core/EventReader"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { SharedWatch } from "./sharedWatch.ts"

/** @internal */
export interface Change {
  readonly event: Event
  /** Covers this change and all before it. */
  readonly cursor: EventQuery.Cursor
}

/** @internal */
export interface CaughtUp {
  /** In the order of change; of a series, every state that the watch had. */
  readonly changes: ReadonlyArray<Change>
  /** The series that changed, also those that are not among `changes`. */
  readonly total: number
  /** Whether every change is among `changes`. */
  readonly isWhole: boolean
  readonly gaps: ReadonlyArray<EventQuery.Gap>
  /** Covers everything that was seen. */
  readonly cursor: EventQuery.Cursor
}

/** Ends the watch. */
class Live extends Data.TaggedError("Live") {}

/** States of the same series beside those of the series that are asked for. */
const MORE_STATES = 1_000

/** What is stored after a cursor. `timeless` is the filter that it is bound to; `filter` is it with times, which are looked at here. */
const read = (
  reader: EventReader.Service,
  filter: EventQuery.EventFilter,
  timeless: EventQuery.EventFilter,
  after: EventQuery.Cursor,
  limit: number
): Effect.Effect<CaughtUp, BackendError> =>
  Effect.suspend(() => {
    const changes: Array<Change> = []
    const kept = new Set<string>()
    const seen = new Set<string>()
    const gaps: Array<EventQuery.Gap> = []
    const matches = EventQuery.matcher(filter)
    let cursor = after
    let isFull = false
    let lastId: string | undefined

    const keep = (event: Event): void => {
      const id = EventId.format(event.id)
      seen.add(id)
      if (isFull) return
      isFull = (kept.size >= limit && !kept.has(id)) || changes.length >= limit + MORE_STATES
      if (isFull) return
      kept.add(id)
      // A series that only goes on counting is one change.
      if (id === lastId) changes.pop()
      lastId = id
      changes.push({ event, cursor })
    }

    const take = (items: ReadonlyArray<EventQuery.WatchItem>): Effect.Effect<void, Live> => {
      let isLive = false
      for (const item of items) {
        cursor = item.cursor
        if (item._tag === "Live") isLive = true
        else if (item._tag === "Gap") gaps.push(item)
        else if (matches(item.event)) keep(item.event)
      }
      return isLive ? Effect.fail(new Live()) : Effect.void
    }

    return Stream.runForEachArray(reader.watch(timeless, after), take).pipe(
      Effect.catchTag("Live", () => Effect.void),
      Effect.map(() => ({ changes, total: seen.size, isWhole: !isFull, gaps, cursor }))
    )
  })

const isNews = ({ gaps, total }: CaughtUp): boolean => total > 0 || gaps.length > 0

/** Of a call that waits. @internal */
export interface Waiting {
  readonly time: Duration.Duration
  /** Ends the wait early. */
  readonly closing: Effect.Effect<void>
  /** What the store is watched with meanwhile. */
  readonly watch: SharedWatch
}

/**
 * `timeless` is the filter that the cursor is bound to; `filter` is it with times.
 *
 * @internal
 */
export const catchUp = (
  reader: EventReader.Service,
  filter: EventQuery.EventFilter,
  timeless: EventQuery.EventFilter,
  after: EventQuery.Cursor,
  limit: number,
  { closing, time, watch }: Waiting
): Effect.Effect<CaughtUp, BackendError> => {
  if (Duration.isZero(time)) return read(reader, filter, timeless, after, limit)
  return Effect.gen(function* () {
    // Before anything is read, so that what comes between reading and waiting is heard.
    const listener = yield* watch.listen(filter)
    const readAfter = (cursor: EventQuery.Cursor) =>
      Effect.suspend(() => {
        listener.reset()
        return read(reader, filter, timeless, cursor, limit)
      })
    let found = yield* readAfter(after)
    if (isNews(found)) return found
    const next = Effect.andThen(
      listener.heard,
      Effect.suspend(() => Effect.map(readAfter(found.cursor), (more) => (found = more)))
    )
    yield* Effect.repeat(next, { until: isNews }).pipe(Effect.raceFirst(Effect.raceFirst(Effect.sleep(time), closing)))
    return found
  }).pipe(Effect.scoped)
}

/**
 * The last state of each series among the first so many changes, in the order of change.
 *
 * @internal
 */
export const statesOf = (changes: ReadonlyArray<Change>): ReadonlyArray<Event> => {
  const states = new Map<string, Event>()
  for (const { event } of changes) {
    const id = EventId.format(event.id)
    states.delete(id)
    states.set(id, event)
  }
  return [...states.values()]
}
