/**
 * Many events at a glance: how often what happened to which object, and which objects turned from Normal to Warning.
 *
 * **When to use**
 *
 * Use it before a list of events is read, by people or by agents: what takes a thousand lines as events takes ten as a
 * summary, and each of the ten leads to a query for the rest.
 *
 * **Details**
 *
 * A summary is worked out from the state of series, as every store answers them. The count of a series is that of its whole
 * life: of one that began before the time that is asked for, also what was before counts.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type { BackendError } from "./BackendError.ts"
import { type ClusterRef, type Event, namespaceOf, type StoredEventType } from "./Event.ts"
import type { Coverage, Cursor, EventFilter, Incomplete } from "./EventQuery.ts"
import { EventReader } from "./EventReader.ts"
import * as identity from "./internal/correlation/identity.ts"
import { groupOf } from "./ObjectReference.ts"
import type { Micros } from "./Timestamp.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * An object that events are about. One that was deleted and made anew under its name is the same.
 *
 * @category models
 * @since 0.2.0
 */
export interface SummaryObject {
  readonly kind: string
  readonly name: string
  /** The empty text where the object is in none. */
  readonly namespace: string
  /** `apps`; the empty text for the core group. */
  readonly apiGroup: string
  readonly cluster?: ClusterRef
}

/**
 * How much there is of something, and when.
 *
 * @category models
 * @since 0.2.0
 */
export interface Tally {
  /** The series. */
  readonly series: number
  /** The occurrences of all of them. */
  readonly count: number
  /** When the first was first seen. */
  readonly first: Micros
  /** When the last was last seen. */
  readonly last: Micros
}

/**
 * The same event, in however many series: a row of a table.
 *
 * @category models
 * @since 0.2.0
 */
export interface Row extends Tally {
  /** The series that was last seen. */
  readonly newest: Event
}

/**
 * What happened to one object for one reason.
 *
 * @category models
 * @since 0.2.0
 */
export interface Group extends Tally {
  readonly object: SummaryObject
  readonly reason: string
  readonly type: StoredEventType
  /** The one that was last seen: its message is the newest. */
  readonly newest: Event
}

/**
 * What happened for one reason, whatever the object.
 *
 * @category models
 * @since 0.2.0
 */
export interface Reason extends Tally {
  readonly reason: string
  readonly type: StoredEventType
  /** How many objects it happened to. */
  readonly objects: number
}

/**
 * An object whose newest events are Warnings, and to which something Normal happened before them.
 *
 * @category models
 * @since 0.2.0
 */
export interface Turn {
  readonly object: SummaryObject
  /** The earliest known time of a Warning after the last Normal event. */
  readonly at: Micros
  /** The last Normal event. */
  readonly from: Event
  /** The first Warning after it. */
  readonly to: Event
}

/**
 * What happened to one object, in the order in which it was last seen.
 *
 * @category models
 * @since 0.2.0
 */
export interface Story extends Tally {
  readonly object: SummaryObject
  /** The series, what was last seen longest ago first. */
  readonly events: ReadonlyArray<Event>
  /** Where the object turned from Normal to Warning and has not turned back. */
  readonly turn?: Turn
}

/**
 * The events of a filter at a glance.
 *
 * @category models
 * @since 0.2.0
 */
export interface Summary {
  /** All together; absent where there are no events. */
  readonly total?: Tally
  /** How many objects they are about. */
  readonly objects: number
  /** By object, reason and type; what was last seen most recently first. */
  readonly groups: ReadonlyArray<Group>
  /** By reason and type; the most frequent first. */
  readonly reasons: ReadonlyArray<Reason>
  /** Objects that turned from Normal to Warning; the most recent first. */
  readonly turned: ReadonlyArray<Turn>
}

/**
 * A summary of what a store has.
 *
 * @category models
 * @since 0.2.0
 */
export interface StoreSummary extends Summary {
  /** Follows what comes after it. */
  readonly cursor: Cursor
  readonly coverage: ReadonlyArray<Coverage>
  /** What did not answer: it is missing from the summary. */
  readonly incomplete?: ReadonlyArray<Incomplete>
}

// ---------------------------------------------------------------------------
// grouping
// ---------------------------------------------------------------------------

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

const objectOf = ({ cluster, event }: Event): SummaryObject => {
  const { kind, name, namespace = "" } = event.involvedObject
  const apiGroup = groupOf(event.involvedObject)
  return cluster === undefined ? { kind, name, namespace, apiGroup } : { kind, name, namespace, apiGroup, cluster }
}

const keyOf = ({ apiGroup, cluster, kind, name, namespace }: SummaryObject): string =>
  JSON.stringify([kind, name, namespace, apiGroup, cluster?.id])

const tallyOf = ({ count, first, last }: Event): Mutable<Tally> => ({ series: 1, count, first, last })

const count = (tally: Mutable<Tally>, { count, first, last }: Event): void => {
  tally.series++
  tally.count += count
  if (first < tally.first) tally.first = first
  if (last > tally.last) tally.last = last
}

const byLast = (a: { readonly last: Micros }, b: { readonly last: Micros }): number => b.last - a.last

const oldestFirst = (a: Event, b: Event): number => a.last - b.last || a.first - b.first

/** Of events in the order in which they were last seen. */
const turnOf = (object: SummaryObject, events: ReadonlyArray<Event>): Turn | undefined => {
  let turned = events.length
  while (turned > 0 && events[turned - 1]!.event.type === "Warning") turned--
  const before = events.slice(0, turned).findLast(({ event }) => event.type === "Normal")
  if (turned === events.length || before === undefined) return undefined
  // Of a series that began before, only its last time is known to be after.
  const since = ({ first, last }: Event): Micros => (first > before.last ? first : last)
  let to = events[turned]!
  for (const event of events.slice(turned + 1)) if (since(event) < since(to)) to = event
  return { object, at: since(to), from: before, to }
}

/**
 * The events of each object, in the order in which they were last seen; the object to which something happened most recently
 * comes first.
 *
 * @category grouping
 * @since 0.2.0
 */
export const stories = (events: Iterable<Event>): ReadonlyArray<Story> => {
  const found = new Map<
    string,
    { readonly object: SummaryObject; readonly tally: Tally; readonly events: Array<Event> }
  >()
  for (const event of events) {
    const object = objectOf(event)
    const key = keyOf(object)
    const known = found.get(key)
    if (known === undefined) found.set(key, { object, tally: tallyOf(event), events: [event] })
    else {
      count(known.tally, event)
      known.events.push(event)
    }
  }
  return [...found.values()]
    .map(({ events, object, tally }): Story => {
      const told = events.sort(oldestFirst)
      const turn = turnOf(object, told)
      return { object, ...tally, events: told, ...(turn === undefined ? undefined : { turn }) }
    })
    .sort(byLast)
}

/** What tells rows apart, where several clusters and namespaces are read as one. */
const rowKey = (event: Event): string =>
  JSON.stringify([identity.textOf(event.event, true), event.event.message, namespaceOf(event), event.cluster?.id ?? 0])

/**
 * The same events as one, in the order in which they were last seen: what was last seen longest ago first.
 *
 * A recorder counts repeats within its life. What several processes have recorded, or one before and after a restart, are
 * several series, which this shows as one row with the sum of their counts. Equal is what correlation takes for equal
 * (`Correlation.defaults`): object with its uid and `fieldPath`, related object, reason, type, action, source, reporter and
 * message; and the namespace and the cluster of the event.
 *
 * **Example** (Two processes that record the same)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import { EventManager, layerDirect } from "@tidings/core/EventManager"
 * import * as EventSummary from "@tidings/core/EventSummary"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import assert from "node:assert/strict"
 *
 * const record = EventManager.use((manager) =>
 *   manager.createEvent({ kind: "Pod", name: "web" }, "BackOff", "restarting failed container", "Warning")
 * )
 *
 * const program = Effect.gen(function* () {
 *   // Each has a recorder of its own.
 *   yield* Effect.provide(record, layerDirect(), { local: true })
 *   yield* Effect.provide(record, layerDirect(), { local: true })
 *   const { events, totalCount } = yield* (yield* Backend.Backend).query({})
 *   assert.equal(totalCount, 2)
 *   assert.deepEqual(EventSummary.rows(events).map(({ count, series }) => [count, series]), [[2, 2]])
 * })
 *
 * await Effect.runPromise(Effect.provide(program, Backend.layerMemory()))
 * ```
 *
 * @category grouping
 * @since 0.2.0
 */
export const rows = (events: Iterable<Event>): ReadonlyArray<Row> => {
  const found = new Map<string, Mutable<Row>>()
  for (const event of events) {
    const key = rowKey(event)
    const row = found.get(key)
    if (row === undefined) found.set(key, { ...tallyOf(event), newest: event })
    else {
      if (oldestFirst(row.newest, event) <= 0) row.newest = event
      count(row, event)
    }
  }
  return [...found.values()].sort((a, b) => a.last - b.last)
}

/**
 * The summary of events, which may come in any order.
 *
 * **Example** (What happened to a Pod)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import { EventManager, layerDirect } from "@tidings/core/EventManager"
 * import * as EventSummary from "@tidings/core/EventSummary"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import assert from "node:assert/strict"
 *
 * const program = Effect.gen(function* () {
 *   const manager = yield* EventManager
 *   const pod = { kind: "Pod", name: "web", namespace: "default" }
 *   yield* manager.createEvent(pod, "Started", "it runs", "Normal")
 *   yield* Effect.sleep("2 millis")
 *   yield* manager.createEvent(pod, "BackOff", "restarting failed container", "Warning")
 *   const { groups, objects, turned } = EventSummary.of((yield* manager.queryEvents()).events)
 *   assert.equal(objects, 1)
 *   assert.deepEqual(groups.map(({ count, reason }) => [reason, count]), [["BackOff", 1], ["Started", 1]])
 *   assert.deepEqual(turned.map(({ to }) => to.event.message), ["restarting failed container"])
 * })
 *
 * await Effect.runPromise(Effect.provide(program, Layer.provide(layerDirect(), Backend.layerMemory())))
 * ```
 *
 * @category grouping
 * @since 0.2.0
 */
export const of = (events: Iterable<Event>): Summary => {
  const told = stories(events)
  const groups: Array<Group> = []
  const reasons = new Map<string, Mutable<Reason>>()
  let total: Mutable<Tally> | undefined
  for (const story of told) {
    const inStory = new Map<string, Mutable<Group>>()
    for (const event of story.events) {
      const { reason, type } = event.event
      const key = JSON.stringify([reason, type])
      const group = inStory.get(key)
      if (group === undefined) {
        inStory.set(key, { object: story.object, reason, type, ...tallyOf(event), newest: event })
      } else {
        count(group, event)
        group.newest = event
      }
      const known = reasons.get(key)
      if (known === undefined) reasons.set(key, { reason, type, ...tallyOf(event), objects: 1 })
      else {
        count(known, event)
        if (group === undefined) known.objects++
      }
      if (total === undefined) total = tallyOf(event)
      else count(total, event)
    }
    groups.push(...inStory.values())
  }
  return {
    ...(total === undefined ? undefined : { total }),
    objects: told.length,
    groups: groups.sort(byLast),
    reasons: [...reasons.values()].sort((a, b) => b.count - a.count || b.last - a.last),
    turned: told.flatMap(({ turn }) => turn ?? []).sort((a, b) => b.at - a.at)
  }
}

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

/**
 * The summary of what a store has for a filter; `since` and `until` of the filter are the window.
 *
 * Reads all that match at once: the store has to hold them in memory for as long as it takes.
 *
 * **Example** (The last hour of a namespace)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as EventSummary from "@tidings/core/EventSummary"
 * import * as Timestamp from "@tidings/core/Timestamp"
 * import * as Clock from "effect/Clock"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import assert from "node:assert/strict"
 *
 * const lastHour = Clock.clockWith((clock) =>
 *   EventSummary.read({ namespace: "default", since: Timestamp.now(clock) - 3_600_000_000 })
 * )
 * const Reader = Layer.provide(Backend.layerReader, Backend.layerMemory())
 * const { objects, total } = await Effect.runPromise(Effect.provide(lastHour, Reader))
 * assert.deepEqual([objects, total], [0, undefined])
 * ```
 *
 * @category reading
 * @since 0.2.0
 */
export const read = (filter: EventFilter): Effect.Effect<StoreSummary, BackendError, EventReader> =>
  EventReader.use((reader) =>
    Effect.map(reader.query(filter), ({ coverage, cursor, events, incomplete }) => ({
      ...of(events),
      cursor,
      coverage,
      ...(incomplete === undefined ? undefined : { incomplete })
    }))
  )
