/**
 * What changed after a cursor, and where nothing did, waiting for it: one watch, which ends with the call.
 *
 * @internal
 */
import type { BackendError } from "@tidings/core/BackendError"
import type { Event } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventQuery from "@tidings/core/EventQuery"
import type * as EventReader from "@tidings/core/EventReader"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

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
class Enough extends Data.TaggedError("Enough") {}

/** States of the same series beside those of the series that are asked for. */
const MORE_STATES = 1_000

/**
 * `timeless` is the filter that the cursor is bound to; `filter` is it with times, which are looked at here.
 *
 * @internal
 */
export const catchUp = (
  reader: EventReader.Service,
  filter: EventQuery.EventFilter,
  timeless: EventQuery.EventFilter,
  after: EventQuery.Cursor,
  options: {
    readonly limit: number
    readonly wait: Duration.Duration
    /** Ends the wait early. */
    readonly closing: Effect.Effect<void>
  }
): Effect.Effect<CaughtUp, BackendError> =>
  Effect.suspend(() => {
    const changes: Array<Change> = []
    const kept = new Set<string>()
    const seen = new Set<string>()
    const gaps: Array<EventQuery.Gap> = []
    const live = Deferred.makeUnsafe<void>()
    let cursor = after
    let isLive = false
    let isFull = false
    let lastId: string | undefined

    const keep = (event: Event): void => {
      const id = EventId.format(event.id)
      seen.add(id)
      if (isFull) return
      isFull = (kept.size >= options.limit && !kept.has(id)) || changes.length >= options.limit + MORE_STATES
      if (isFull) return
      kept.add(id)
      // A series that only goes on counting is one change.
      if (id === lastId) changes.pop()
      lastId = id
      changes.push({ event, cursor })
    }

    const take = (items: ReadonlyArray<EventQuery.WatchItem>): Effect.Effect<void, Enough> => {
      for (const item of items) {
        cursor = item.cursor
        if (item._tag === "Live") isLive = true
        else if (item._tag === "Gap") gaps.push(item)
        else if (EventQuery.matches(filter, item.event)) keep(item.event)
      }
      if (!isLive) return Effect.void
      if (seen.size > 0 || gaps.length > 0 || Duration.isZero(options.wait)) return Effect.fail(new Enough())
      Deferred.doneUnsafe(live, Effect.void)
      return Effect.void
    }

    return Stream.runForEachArray(reader.watch(timeless, after), take).pipe(
      Effect.raceFirst(
        Effect.andThen(Deferred.await(live), Effect.raceFirst(Effect.sleep(options.wait), options.closing))
      ),
      Effect.catchTag("Enough", () => Effect.void),
      Effect.map(() => ({ changes, total: seen.size, isWhole: !isFull, gaps, cursor }))
    )
  })

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
