/**
 * What readers ask for, and what they get.
 *
 * @since 0.1.0
 */
import type * as Brand from "effect/Brand"
import { type Event, namespaceOf, type StoredEventType, type Write } from "./Event.ts"
import * as EventId from "./EventId.ts"
import { groupOf } from "./ObjectReference.ts"
import type { Micros } from "./Timestamp.ts"

/**
 * Which events are meant. Fields that are absent match everything; all that are present must match.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventFilter {
  /** The kind of the involved object, as its type spells it. */
  readonly resourceType?: string
  /** The name of the involved object. */
  readonly resourceName?: string
  /** The namespace of the event itself, as `kubectl get events -n` means it (`Event.namespaceOf`). */
  readonly namespace?: string
  /** The namespace of the involved object; the empty text for objects that are in none. */
  readonly objectNamespace?: string
  /** The API group of the involved object: `apps`; the empty text for the core group. */
  readonly apiGroup?: string
  /** `Normal`, `Warning`, or what another writer made up. */
  readonly eventType?: StoredEventType
  readonly reason?: string
  /** The component that reported. */
  readonly source?: string
  /** Last seen at this time or later. */
  readonly since?: Micros
  /** Last seen at this time or earlier. */
  readonly until?: Micros
  /** The name of the event object itself. With a namespace it is one event, which a backend may look up at once. */
  readonly name?: string
  /** The identity of the series as text (`EventId.format`). */
  readonly id?: string
}

/**
 * A page of a query: newest first by last seen.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventQuery extends EventFilter {
  /** How many events at the most; all of them when absent. */
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
 * - `Gap`: history between this cursor and the one before it is gone
 *
 * @category models
 * @since 0.1.0
 */
export type WatchItem = { readonly cursor: Cursor } & (
  | { readonly _tag: "Event"; readonly event: Event }
  | { readonly _tag: "Live" }
  | { readonly _tag: "Gap"; readonly reason: string }
)

/**
 * Whether an event matches a filter, by the meaning that every backend shares: exact texts, both ends of a time included.
 *
 * A state that no backend has answered yet has the namespace and the name that it would get.
 *
 * @category filtering
 * @since 0.1.0
 */
export const matches = (filter: EventFilter, event: Write & { readonly name?: string }): boolean => {
  const body = event.event
  const object = body.involvedObject
  return (
    (filter.resourceType === undefined || filter.resourceType === object.kind) &&
    (filter.resourceName === undefined || filter.resourceName === object.name) &&
    (filter.namespace === undefined || filter.namespace === namespaceOf(event)) &&
    (filter.objectNamespace === undefined || filter.objectNamespace === (object.namespace ?? "")) &&
    (filter.apiGroup === undefined || filter.apiGroup === groupOf(object)) &&
    (filter.eventType === undefined || filter.eventType === body.type) &&
    (filter.reason === undefined || filter.reason === body.reason) &&
    (filter.source === undefined || filter.source === body.source.component) &&
    (filter.since === undefined || event.last >= filter.since) &&
    (filter.until === undefined || event.last <= filter.until) &&
    (filter.name === undefined || filter.name === (event.name ?? EventId.objectName(event.id, object.name))) &&
    (filter.id === undefined || filter.id === EventId.format(event.id))
  )
}

/**
 * The filter of a query, without limit and page.
 *
 * @category conversions
 * @since 0.1.0
 */
export const filterOf = ({ limit: _limit, page: _page, ...filter }: EventQuery): EventFilter => filter
