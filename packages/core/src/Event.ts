/**
 * The life of an event in types: what was recorded (`Occurrence`), what is written (`Write`), what is stored (`Event`).
 *
 * The names of the fields are those of a Kubernetes Event.
 *
 * @since 0.1.0
 */
import type { EventData, Json } from "./EventData.ts"
import type { EventId } from "./EventId.ts"
import type { ObjectReference } from "./ObjectReference.ts"
import type { Micros } from "./Timestamp.ts"

/**
 * The two types of a Kubernetes Event: what may be recorded.
 *
 * @category models
 * @since 0.1.0
 */
export type EventType = "Normal" | "Warning"

/**
 * The type of an event as it is stored. Other writers make up types of their own (`Error`), or give none (`""`): such a
 * type is kept, shown and filtered as what it is, and only a recorder refuses it.
 *
 * @category models
 * @since 0.2.0
 */
export type StoredEventType = EventType | (string & {})

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
  /** A recorder takes only `Normal` and `Warning`. */
  readonly type: StoredEventType
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
 * The cluster that an event was in.
 *
 * @category models
 * @since 0.2.0
 */
export interface ClusterRef {
  /** What tells it from all others: the uid of its namespace `kube-system`, or the best name there is (`Target.id`). */
  readonly id: string
  /** What people call it. */
  readonly name?: string
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
  /**
   * The namespace of the event itself, where another writer's event is copied into a store and was elsewhere than
   * `namespaceOf` would put it. A recorder sets none.
   */
  readonly namespace?: string
  /** The cluster that the event was in, where it is copied from one into a store of many. A recorder sets none. */
  readonly cluster?: ClusterRef
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
  /**
   * The namespace of the event itself, as `kubectl get events -n` means it. It is not always that of the object: an event
   * about a Node has one, and its object has none. Absent: where `namespaceOf` says.
   */
  readonly namespace?: string
  /** The uid that the store gave, where it gives one. */
  readonly uid?: string
  /** The cluster that it is in, or was copied from. A backend that is one cluster answers itself. */
  readonly cluster?: ClusterRef
  /** When the store made the event object, where it says so. */
  readonly creationTimestamp?: Micros
  /** The version that the store gave to this state, where it gives one. Opaque. */
  readonly resourceVersion?: string
  readonly annotations?: Readonly<Record<string, string>>
  /**
   * The object of core/v1 as the store has it, whole, its managed fields aside; absent where the store keeps no such
   * objects.
   */
  readonly object?: { readonly [field: string]: Json }
}

/**
 * The namespace of an event whose object is in none, as client-go has it.
 *
 * @category constants
 * @since 0.2.0
 */
export const CLUSTER_SCOPED_NAMESPACE = "default"

/**
 * The namespace of an event: its own where it names one, else that of its object, else `default`.
 *
 * **Example** (An event about a Node)
 *
 * ```ts
 * import * as Event from "@tidings/core/Event"
 * import assert from "node:assert/strict"
 *
 * const about = (involvedObject: { kind: string; name: string; namespace?: string }) => ({ event: { involvedObject } })
 * assert.equal(Event.namespaceOf(about({ kind: "Pod", name: "web-0", namespace: "team-a" })), "team-a")
 * assert.equal(Event.namespaceOf(about({ kind: "Node", name: "worker-1" })), "default")
 * assert.equal(Event.namespaceOf({ ...about({ kind: "Node", name: "worker-1" }), namespace: "kube-system" }), "kube-system")
 * ```
 *
 * @category getters
 * @since 0.2.0
 */
export const namespaceOf = (event: {
  readonly namespace?: string | undefined
  readonly event: { readonly involvedObject: ObjectReference }
}): string => {
  if (event.namespace !== undefined && event.namespace !== "") return event.namespace
  const { namespace } = event.event.involvedObject
  return namespace === undefined || namespace === "" ? CLUSTER_SCOPED_NAMESPACE : namespace
}
