/**
 * The life of an event in types: what was recorded (`Occurrence`), what is written (`Write`), what is stored (`Event`).
 *
 * The names of the fields are those of a Kubernetes Event.
 *
 * @since 0.1.0
 */
import type { EventData } from "./EventData.ts"
import type { EventId } from "./EventId.ts"
import type { ObjectReference } from "./ObjectReference.ts"
import type { Micros } from "./Timestamp.ts"

/**
 * The two types of a Kubernetes Event.
 *
 * @category models
 * @since 0.1.0
 */
export type EventType = "Normal" | "Warning"

/**
 * Who reported an event.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventSource {
  readonly component: string
  readonly host?: string
}

/**
 * An event as accepted: after transforms, rendering, escaping and cutting.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventBody {
  readonly involvedObject: ObjectReference
  readonly related?: ObjectReference
  readonly reason: string
  readonly type: EventType
  readonly action: string
  readonly message: string
  readonly data: EventData
  readonly source: EventSource
  readonly reportingController: string
  readonly reportingInstance: string
  readonly labels?: Readonly<Record<string, string>>
}

/**
 * An event as it happened once.
 *
 * @category models
 * @since 0.1.0
 */
export interface Occurrence extends EventBody {
  /** When it happened, never when it was sent. */
  readonly at: Micros
}

/**
 * The state of one series. Every number in it is absolute, so it can be written any number of times.
 *
 * @category models
 * @since 0.1.0
 */
export interface Write {
  /** Of the first occurrence: names the series. */
  readonly id: EventId
  /** The last seq that is counted in. */
  readonly upTo: number
  readonly count: number
  readonly first: Micros
  readonly last: Micros
  /** As of the latest occurrence. */
  readonly event: EventBody
}

/**
 * A series as a backend has it: its state, and what the store adds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Event extends Write {
  /** The name of the event object, unique in its namespace. */
  readonly name: string
  /** The uid that the store gave, where it gives one. */
  readonly uid?: string
  readonly annotations?: Readonly<Record<string, string>>
}
