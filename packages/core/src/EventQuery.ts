/**
 * What readers ask for, and what they get.
 *
 * @since 0.1.0
 */
import type * as Brand from "effect/Brand"
import { type Event, namespaceOf, type StoredEventType, type Write } from "./Event.ts"
import * as EventId from "./EventId.ts"
import * as caseFolding from "./internal/caseFolding.ts"
import { groupOf } from "./ObjectReference.ts"
import type { Micros } from "./Timestamp.ts"

/**
 * One value, or a set of values of which any one matches. Order and repetition mean nothing; the empty set matches nothing.
 *
 * @category models
 * @since 0.2.0
 */
export type OneOrMore<A> = A | ReadonlyArray<A>

/**
 * An involved object as a filter names it.
 *
 * @category models
 * @since 0.2.0
 */
export interface ObjectSelector {
  /** As its type spells it: `Workflow`. */
  readonly kind: string
  readonly name: string
  /** `apps`; the empty text for the core group. Absent: any. */
  readonly apiGroup?: string
}

/**
 * Which events are meant. Fields that are absent match everything; all that are present must match, and of a set of
 * values any one.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventFilter {
  /** The kind of the involved object, as its type spells it. */
  readonly resourceType?: OneOrMore<string>
  /** The name of the involved object. */
  readonly resourceName?: OneOrMore<string>
  /**
   * Involved objects by kind and name together: two of them are these two, where `resourceType` and `resourceName` with
   * two values each would be four.
   */
  readonly object?: OneOrMore<ObjectSelector>
  /** The namespace of the event itself, as `kubectl get events -n` means it (`Event.namespaceOf`). */
  readonly namespace?: OneOrMore<string>
  /** The namespace of the involved object; the empty text for objects that are in none. */
  readonly objectNamespace?: OneOrMore<string>
  /** The API group of the involved object: `apps`; the empty text for the core group. */
  readonly apiGroup?: OneOrMore<string>
  /** The cluster, by its id or its name (`Event.cluster`). An event that names no cluster does not match. */
  readonly cluster?: OneOrMore<string>
  /** `Normal`, `Warning`, or what another writer made up. */
  readonly eventType?: OneOrMore<StoredEventType>
  readonly reason?: OneOrMore<string>
  /** The component that reported. */
  readonly source?: OneOrMore<string>
  /** Labels that the event has with exactly these values, all of them. */
  readonly labels?: Readonly<Record<string, string>>
  /**
   * A plain text that the message contains; the empty text means no filter. Upper and lower case are the same
   * (`isInMessage`).
   */
  readonly match?: string
  /** Last seen at this time or later. */
  readonly since?: Micros
  /** Last seen at this time or earlier. */
  readonly until?: Micros
  /** The name of the event object itself. With a namespace it is one event, which a backend may look up at once. */
  readonly name?: OneOrMore<string>
  /** The identity of the series as text (`EventId.format`). */
  readonly id?: OneOrMore<string>
}

/**
 * A page of a query: newest first by last seen.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventQuery extends EventFilter {
  /** How many events at the most; all of them when absent: the answer is in memory, however large the store is. */
  readonly limit?: number
  /** Where an earlier page ended. */
  readonly page?: PageToken
}

/**
 * Where a page ended: leads to older events. Opaque, and good only for the query that gave it.
 *
 * @category models
 * @since 0.1.0
 */
export type PageToken = Brand.Branded<string, "@tidings/core/PageToken">

/**
 * A position in the order of change: leads to newer events. Opaque; a restart does not invalidate it, another store or
 * filter does (`CursorMismatch`).
 *
 * @category models
 * @since 0.1.0
 */
export type Cursor = Brand.Branded<string, "@tidings/core/Cursor">

/**
 * History that a store should have and has not: removed, expired or damaged. `from` and `to` are times; one that is absent
 * is not known.
 *
 * @category models
 * @since 0.2.0
 */
export interface Gap {
  /** The id of the store (`Target.id`). */
  readonly store: string
  /** What people call it, in a watch of an archive, such as a cluster. */
  readonly name?: string
  readonly from?: Micros
  readonly to?: Micros
  /** What is missing and why, for people. */
  readonly reason: string
}

/**
 * For which time a store's history is complete, apart from its gaps. It is about the store: only the filters `cluster`,
 * `since` and `until` could change it.
 *
 * `unknown` is an answer: how long a cluster keeps events cannot be read from it, so it is not guessed.
 *
 * @category models
 * @since 0.2.0
 */
export interface Coverage {
  /** The id of the store (`Target.id`). */
  readonly store: string
  /** What people call it, of a store that is archived in another one, such as a cluster. */
  readonly name?: string
  /** Every event that was last seen at this time or later and was written to the store is still there, gaps aside. */
  readonly since: Micros | "unknown"
  readonly until: Micros | "now" | "unknown"
  readonly gaps: ReadonlyArray<Gap>
}

/**
 * A part of what was asked for that did not answer, such as one of several namespaces that may not be read.
 *
 * @category models
 * @since 0.2.0
 */
export interface Incomplete {
  /** The id of the store (`Target.id`). */
  readonly store: string
  /** What did not answer and why, for people. */
  readonly reason: string
}

/**
 * The answer to a query.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventPage {
  readonly events: ReadonlyArray<Event>
  /** The series that match, before `limit`. */
  readonly totalCount: number
  /** Absent when there is nothing older. */
  readonly next?: PageToken
  /** Follows what comes after this answer. When paging, the cursor of the first page is the one to keep. */
  readonly cursor: Cursor
  /** From when to when history is complete, for each store that was asked. */
  readonly coverage: ReadonlyArray<Coverage>
  /** What did not answer: its events are missing from `events` and `totalCount`. Absent when everything answered. */
  readonly incomplete?: ReadonlyArray<Incomplete>
}

/**
 * Where a watch begins: with every stored event, with none, with the `last` n that changed last, or after a cursor.
 *
 * @category models
 * @since 0.1.0
 */
export type WatchFrom = "beginning" | "now" | { readonly last: number } | Cursor

/**
 * What a watch yields. The cursor of each item covers all before it.
 *
 * - `Event`: a new event, or one whose count grew
 * - `Live`: the snapshot is over, what follows is new
 * - `Gap`: history between this cursor and the one before it is gone; of which time, where that is known
 *
 * @category models
 * @since 0.1.0
 */
export type WatchItem = { readonly cursor: Cursor } & (
  | { readonly _tag: "Event"; readonly event: Event }
  | { readonly _tag: "Live" }
  | ({ readonly _tag: "Gap" } & Gap)
)

/**
 * Makes the test whether a message contains a text, for many messages: what depends on the text alone is worked out once.
 *
 * @category filtering
 * @since 0.2.0
 */
export const messageMatcher: (text: string) => (message: string) => boolean = caseFolding.containing

/**
 * Whether a message contains a text, upper and lower case being the same: what `EventFilter.match` means.
 *
 * Texts are compared code point by code point, by Unicode's simple case folding (`CaseFolding.txt`, statuses C and S), without
 * a locale; in addition `İ` and `ı` are the same as `i`.
 *
 * **Example** (A capital sigma is a small one at every place in a word)
 *
 * ```ts
 * import * as EventQuery from "@tidings/core/EventQuery"
 * import assert from "node:assert/strict"
 *
 * assert.ok(EventQuery.isInMessage("ΟΔΟΣ", "Οδος 12 was closed, see οδοσήμανση"))
 * assert.ok(EventQuery.isInMessage("istanbul", "İSTANBUL is not reachable"))
 * ```
 *
 * @category filtering
 * @since 0.2.0
 */
export const isInMessage = (text: string, message: string): boolean => messageMatcher(text)(message)

/**
 * A text without the difference of upper and lower case, as long as before: for stores that search by themselves. A message
 * contains a text (`isInMessage`) where the folded message contains the folded text.
 *
 * **Example**
 *
 * ```ts
 * import * as EventQuery from "@tidings/core/EventQuery"
 * import assert from "node:assert/strict"
 *
 * assert.equal(EventQuery.foldCase("ΟΔΟΣ İzmir"), "οδοσ izmir")
 * ```
 *
 * @category filtering
 * @since 0.2.0
 */
export const foldCase: (text: string) => string = caseFolding.foldCase

/** What a filter is compared with: a state that no backend has answered yet has the name that it would get. */
type Candidate = Write & { readonly name?: string }

type Test = (event: Candidate) => boolean

/** Tests whether one of the wanted values is found. */
const isOneOf = (wanted: OneOrMore<string>, found: (event: Candidate) => string): Test => {
  const only = onlyOf(wanted)
  if (only !== undefined) return (event) => found(event) === only
  const set = new Set(valuesOf(wanted))
  return (event) => set.has(found(event))
}

const isObject = (wanted: OneOrMore<ObjectSelector>): Test => {
  const objects = valuesOf(wanted)
  return ({ event: { involvedObject } }) =>
    objects.some(
      ({ apiGroup, kind, name }) =>
        kind === involvedObject.kind &&
        name === involvedObject.name &&
        (apiGroup === undefined || apiGroup === groupOf(involvedObject))
    )
}

const isInCluster = (wanted: OneOrMore<string>): Test => {
  const set: ReadonlySet<string | undefined> = new Set(valuesOf(wanted))
  return ({ cluster }) => cluster !== undefined && (set.has(cluster.id) || set.has(cluster.name))
}

const hasLabels = (wanted: Readonly<Record<string, string>>): Test => {
  const labels = Object.entries(wanted)
  return ({ event: { labels: found = {} } }) =>
    labels.every(([key, value]) => Object.hasOwn(found, key) && found[key] === value)
}

/** One test for each field of a filter that is set. */
const testsOf = (filter: EventFilter): ReadonlyArray<Test> => {
  const { match, since, until } = filter
  const tests: Array<Test> = []
  const add = <A>(wanted: A | undefined, make: (wanted: A) => Test): void => {
    if (wanted !== undefined) tests.push(make(wanted))
  }
  const addOneOf = (wanted: OneOrMore<string> | undefined, found: (event: Candidate) => string): void =>
    add(wanted, (wanted) => isOneOf(wanted, found))
  add(
    since,
    (since) =>
      ({ last }) =>
        last >= since
  )
  add(
    until,
    (until) =>
      ({ last }) =>
        last <= until
  )
  addOneOf(filter.resourceType, ({ event }) => event.involvedObject.kind)
  addOneOf(filter.resourceName, ({ event }) => event.involvedObject.name)
  add(filter.object, isObject)
  addOneOf(filter.namespace, namespaceOf)
  addOneOf(filter.objectNamespace, ({ event }) => event.involvedObject.namespace ?? "")
  addOneOf(filter.apiGroup, ({ event }) => groupOf(event.involvedObject))
  add(filter.cluster, isInCluster)
  addOneOf(filter.eventType, ({ event }) => event.type)
  addOneOf(filter.reason, ({ event }) => event.reason)
  addOneOf(filter.source, ({ event }) => event.source.component)
  add(filter.labels, hasLabels)
  addOneOf(filter.name, ({ event, id, name }) => name ?? EventId.objectName(id, event.involvedObject.name))
  addOneOf(filter.id, ({ id }) => EventId.format(id))
  add(match, (match) => {
    const isIn = messageMatcher(match)
    return ({ event }) => isIn(event.message)
  })
  return tests
}

/**
 * `matches` for many events: what depends on the filter alone is worked out once.
 *
 * @category filtering
 * @since 0.2.0
 */
export const matcher = (filter: EventFilter): ((event: Write & { readonly name?: string }) => boolean) => {
  const tests = testsOf(filter)
  return (event) => {
    for (const test of tests) if (!test(event)) return false
    return true
  }
}

/**
 * Whether an event matches a filter, by the meaning that every backend shares: exact texts, both ends of a time included.
 *
 * A state that no backend has answered yet has the namespace and the name that it would get.
 *
 * **Example** (Sets of values, and objects as pairs)
 *
 * ```ts
 * import type { Write } from "@tidings/core/Event"
 * import * as EventQuery from "@tidings/core/EventQuery"
 * import assert from "node:assert/strict"
 *
 * const write: Write = {
 *   id: { origin: "00000000000000000000000000000001", seq: 1 },
 *   upTo: 1,
 *   count: 1,
 *   first: 0,
 *   last: 0,
 *   event: {
 *     involvedObject: { kind: "Workflow", name: "deploy", namespace: "team-a" },
 *     reason: "WorkflowFailed",
 *     type: "Warning",
 *     action: "WorkflowFailed",
 *     message: "Workflow deploy failed: Connection refused",
 *     data: {},
 *     source: { component: "example" },
 *     reportingController: "example",
 *     reportingInstance: "example-0"
 *   }
 * }
 * assert.ok(EventQuery.matches({ namespace: ["team-a", "team-b"], match: "connection REFUSED" }, write))
 * assert.ok(EventQuery.matches({ object: { kind: "Workflow", name: "deploy" } }, write))
 * assert.ok(!EventQuery.matches({ namespace: [] }, write))
 * ```
 *
 * @category filtering
 * @since 0.1.0
 */
export const matches = (filter: EventFilter, event: Write & { readonly name?: string }): boolean =>
  matcher(filter)(event)

/**
 * The values of a field of a filter, one or more.
 *
 * @category getters
 * @since 0.2.0
 */
export const valuesOf = <A>(wanted: OneOrMore<A>): ReadonlyArray<A> =>
  Array.isArray(wanted) ? (wanted as ReadonlyArray<A>) : [wanted as A]

/**
 * The value of a field of a filter, where it allows exactly one: what a store that looks up single values can use.
 *
 * @category getters
 * @since 0.2.0
 */
export const onlyOf = <A>(wanted: OneOrMore<A> | undefined): A | undefined => {
  if (wanted === undefined) return undefined
  const values = valuesOf(wanted)
  return new Set(values).size === 1 ? values[0] : undefined
}

/**
 * Whether nothing can match, because a set is empty or the time ends before it begins.
 *
 * @category filtering
 * @since 0.2.0
 */
export const isNothing = (filter: EventFilter): boolean =>
  Object.values(filter).some((value) => Array.isArray(value) && value.length === 0) ||
  (filter.since !== undefined && filter.until !== undefined && filter.since > filter.until)

/**
 * The filter of a query, without limit and page.
 *
 * @category conversions
 * @since 0.1.0
 */
export const filterOf = ({ limit: _limit, page: _page, ...filter }: EventQuery): EventFilter => filter
