/**
 * Converts events to Event objects of the API server, and Event objects of any writer to events.
 *
 * What is written is a core/v1 Event that carries `eventTime`, `action`, `reportingComponent` and `reportingInstance`
 * beside `firstTimestamp`, `lastTimestamp` and `count`: the one shape that `kubectl get events`, `kubectl events` and
 * `kubectl describe` all show with the right age, count, source and order. What core/v1 has no field for is in
 * annotations.
 *
 * @since 0.1.0
 */
import {
  CLUSTER_SCOPED_NAMESPACE,
  type ClusterRef,
  type Event,
  type EventBody,
  type EventSource,
  type Write
} from "@tidings/core/Event"
import type { Json } from "@tidings/core/EventData"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Result from "effect/Result"
import * as eventData from "./internal/eventData.ts"
import * as json from "./internal/json.ts"
import * as names from "./internal/names.ts"
import * as utf8 from "./internal/utf8.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * The annotations of an event that Tidings wrote.
 *
 * - `series`: the identity of the first occurrence, `<origin>.<seq>`
 * - `seq`: the last seq that is counted in; a write that is not beyond it changes nothing
 * - `times`: first and last time with six fractional digits, `<first>/<last>`, because `lastTimestamp` has whole seconds;
 *   absent where `eventTime` has both
 * - `data`: the data of the event, as JSON; absent where it has only the name and namespace of the object
 * - `dataCut`: which values of the data were cut or left out, where some were
 * - `labels`: the labels as JSON, where Kubernetes does not take all of them as labels
 * - `count`: the count, where it is larger than Kubernetes' 32 bits
 * - `replacedBy`: the uid of the object that took the place of the one that the event is about; the event does not change any
 *   more
 *
 * @category models
 * @since 0.1.0
 */
export const annotations = {
  series: "tidings.dev/series",
  seq: "tidings.dev/seq",
  times: "tidings.dev/times",
  data: "tidings.dev/data",
  dataCut: "tidings.dev/data-cut",
  labels: "tidings.dev/labels",
  count: "tidings.dev/count",
  replacedBy: "tidings.dev/replaced-by"
} as const

/**
 * The limits of an event object, in bytes of UTF-8. Those of reason, action, instance and message are the API
 * server's, which checks them as soon as an event has an `eventTime`.
 *
 * @category models
 * @since 0.1.0
 */
export const limits = {
  /** `reason`, `action` and `reportingInstance`. */
  word: 128,
  message: 1_024,
  /** The JSON in the data annotation. The API server takes 256 KiB of annotations in all. */
  data: 65_536,
  /** A text in the data, once the data as a whole is too long. */
  dataText: 1_024
} as const

/**
 * The event as it is sent to be created.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventResource {
  readonly apiVersion: "v1"
  readonly kind: "Event"
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations: Readonly<Record<string, string>>
  }
  readonly involvedObject: ObjectReference
  readonly related?: ObjectReference
  readonly reason: string
  readonly message: string
  readonly type: string
  readonly action: string
  readonly eventTime?: string
  readonly firstTimestamp: string
  readonly lastTimestamp: string
  readonly count: number
  readonly source: EventSource
  readonly reportingComponent: string
  readonly reportingInstance: string
}

/**
 * An event as the API server has it.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredEvent {
  readonly event: Event
  /** Of the event object, which is not always that of the involved object. */
  readonly namespace: string
  readonly resourceVersion: string
  /** Whether it was written here: it has the annotations. */
  readonly own: boolean
}

// ---------------------------------------------------------------------------
// names
// ---------------------------------------------------------------------------

/**
 * The namespace of an event about an object: the object's, or, for what is cluster-scoped, `clusterScopedNamespace`, which
 * is `default` unless given, as client-go has it.
 *
 * **Details**
 *
 * `involvedObject.namespace` stays empty for what is cluster-scoped: `kubectl describe` looks for just that.
 *
 * @category getters
 * @since 0.1.0
 */
export const namespaceOf = (
  involvedObject: ObjectReference,
  clusterScopedNamespace: string = CLUSTER_SCOPED_NAMESPACE
): string =>
  involvedObject.namespace === undefined || involvedObject.namespace === ""
    ? clusterScopedNamespace
    : involvedObject.namespace

/**
 * The name of the event object of a write. It depends only on the identity and on the involved object, so a repeated write
 * goes to the same object.
 *
 * @category getters
 * @since 0.1.0
 */
export const nameOf = (write: Write): string => EventId.objectName(write.id, write.event.involvedObject.name)

// ---------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------

const MAXIMUM_COUNT = 2_147_483_647

const countOf = (write: Write): number => Math.min(write.count, MAXIMUM_COUNT)

/**
 * Whether an event can have an `eventTime`. With one, the API server checks the fields that events.k8s.io/v1 requires;
 * without one it does not, and kubectl shows the event as well.
 */
const takesEventTime = (fields: {
  readonly type: string
  readonly reason: string
  readonly action: string
  readonly reportingComponent: string
  readonly reportingInstance: string
}): boolean =>
  (fields.type === "Normal" || fields.type === "Warning") &&
  fields.reason !== "" &&
  fields.action !== "" &&
  fields.reportingInstance !== "" &&
  names.isQualifiedName(fields.reportingComponent)

const timesOf = (write: Write): string => `${Timestamp.format(write.first)}/${Timestamp.format(write.last)}`

/** `Timestamp.formatSeconds`, three times as fast where several times are of the same second. */
const secondsOf = (time: Timestamp.Micros): string => `${Timestamp.format(time).slice(0, -8)}Z`

/** Absent where the data has only the name and the namespace of the object, which `involvedObject` has as well. */
const encodeData = ({ data, involvedObject }: EventBody): ReturnType<typeof eventData.encode> | undefined =>
  isIdentity(data, involvedObject) ? undefined : eventData.encode(data, limits.data, limits.dataText)

const isIdentity = (data: EventBody["data"], { name, namespace }: ObjectReference): boolean => {
  if (data.name !== name || data.namespace !== namespace) return false
  for (const key in data) if (key !== "name" && key !== "namespace") return false
  return true
}

const identityOf = ({ name, namespace }: ObjectReference): EventBody["data"] =>
  namespace === undefined ? { name } : { name, namespace }

interface Parts {
  readonly annotations: Record<string, string>
  /** Annotations that an earlier state of the series may have, and this one does not. */
  readonly absent: Array<string>
  readonly labels: Readonly<Record<string, string>> | undefined
  readonly fields: {
    readonly reason: string
    readonly message: string
    readonly type: string
    readonly action: string
    readonly reportingComponent: string
    readonly reportingInstance: string
  }
}

const partsOf = (write: Write, options: ShapeOptions | undefined): Parts => {
  const body = write.event
  const own: Record<string, string> = {
    [annotations.series]: EventId.format(write.id),
    [annotations.seq]: String(write.upTo)
  }
  const absent: Array<string> = []
  const put = (name: string, value: string | undefined) => {
    if (value === undefined) absent.push(name)
    else own[name] = value
  }
  const fields = {
    reason: utf8.cut(body.reason, limits.word),
    message: utf8.cut(body.message, limits.message),
    type: body.type,
    action: utf8.cut(body.action, limits.word),
    reportingComponent: body.reportingController,
    reportingInstance: utf8.cut(body.reportingInstance, limits.word)
  }
  // For a single occurrence, `eventTime` is the exact first and last time.
  const isExact = write.first === write.last && options?.withoutEventTime !== true && takesEventTime(fields)
  put(annotations.times, isExact ? undefined : timesOf(write))
  const data = options?.withoutData === true ? undefined : encodeData(body)
  put(annotations.data, data?.json)
  put(annotations.dataCut, options?.withoutData === true ? "*" : data?.cut)
  // Kubernetes does not tell empty labels from none.
  const areLabelsFit = body.labels === undefined || areFit(Object.entries(body.labels))
  put(annotations.labels, areLabelsFit || options?.withoutData === true ? undefined : JSON.stringify(body.labels))
  put(annotations.count, write.count > MAXIMUM_COUNT ? String(write.count) : undefined)
  return {
    annotations: own,
    absent,
    labels:
      body.labels === undefined || areLabelsFit
        ? body.labels
        : Object.fromEntries(Object.entries(body.labels).filter(([key, value]) => isLabel(key, value))),
    fields
  }
}

const areFit = (labels: ReadonlyArray<readonly [string, string]>): boolean =>
  labels.length > 0 && labels.every(([key, value]) => isLabel(key, value))

const isLabel = (key: string, value: string): boolean => names.isQualifiedName(key) && names.isLabelValue(value)

/**
 * What is added to the object of an event, and what is left out.
 *
 * @category models
 * @since 0.1.0
 */
export interface ShapeOptions {
  /** The uid of the involved object, where the write has none. */
  readonly uid?: string | undefined
  /** The apiVersion of the involved object, where the write has none. */
  readonly apiVersion?: string | undefined
  /** The namespace of events about what is cluster-scoped. Default: `default`. */
  readonly clusterScopedNamespace?: string | undefined
  /** Leaves out the data and the labels that Kubernetes does not take: for an event that the server found too large. */
  readonly withoutData?: boolean | undefined
  /** Leaves out `eventTime` and so avoids its checks: for an event that the server found invalid. */
  readonly withoutEventTime?: boolean | undefined
}

const completed = (reference: ObjectReference, options: ShapeOptions | undefined): ObjectReference => {
  const uid = reference.uid ?? options?.uid
  const apiVersion = reference.apiVersion ?? options?.apiVersion
  return uid === reference.uid && apiVersion === reference.apiVersion
    ? reference
    : {
        ...reference,
        ...(apiVersion === undefined ? undefined : { apiVersion }),
        ...(uid === undefined ? undefined : { uid })
      }
}

/**
 * The object to create for a write.
 *
 * **Example** (What kubectl reads)
 *
 * ```ts
 * import * as KubernetesEvent from "@tidings/backend-k8s/KubernetesEvent"
 * import assert from "node:assert/strict"
 *
 * const resource = KubernetesEvent.toResource({
 *   id: { origin: "0123456789abcdef0123456789abcdef", seq: 7 },
 *   upTo: 9,
 *   count: 3,
 *   first: 1_000_000,
 *   last: 2_500_000,
 *   event: {
 *     involvedObject: { apiVersion: "v1", kind: "Node", name: "worker-1" },
 *     reason: "Rebooted",
 *     type: "Warning",
 *     action: "Rebooted",
 *     message: "The node was rebooted",
 *     data: { name: "worker-1" },
 *     source: { component: "example" },
 *     reportingController: "example.dev/controller",
 *     reportingInstance: "example-0"
 *   }
 * })
 * assert.equal(resource.metadata.name, "worker-1.0123456789abcdef.7")
 * assert.equal(resource.metadata.namespace, "default")
 * assert.equal(resource.lastTimestamp, "1970-01-01T00:00:02Z")
 * assert.equal(resource.metadata.annotations["tidings.dev/seq"], "9")
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const toResource = (write: Write, options?: ShapeOptions): EventResource => {
  const { annotations: own, fields, labels } = partsOf(write, options)
  const body = write.event
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: {
      name: nameOf(write),
      namespace: write.namespace ?? namespaceOf(body.involvedObject, options?.clusterScopedNamespace),
      ...(labels === undefined ? undefined : { labels }),
      annotations: own
    },
    involvedObject: completed(body.involvedObject, options),
    ...(body.related === undefined ? undefined : { related: body.related }),
    ...fields,
    ...(options?.withoutEventTime !== true && takesEventTime(fields)
      ? { eventTime: Timestamp.format(write.first) }
      : undefined),
    firstTimestamp: secondsOf(write.first),
    lastTimestamp: secondsOf(write.last),
    count: countOf(write),
    source: body.source
  }
}

// In a merge patch an absent key keeps the value, and null removes it.
const referencePatch = (reference: ObjectReference) => ({
  apiVersion: reference.apiVersion ?? null,
  kind: reference.kind,
  namespace: reference.namespace ?? null,
  name: reference.name,
  uid: reference.uid ?? null,
  fieldPath: reference.fieldPath ?? null
})

/**
 * The merge patch that closes the event of an object that was deleted and created again under its name, with the uid of
 * the new one. It applies at this resourceVersion only, and gives the event a new one, so that no earlier request can raise
 * its count afterwards.
 *
 * @category conversions
 * @since 0.2.0
 */
export const toEnd = (resourceVersion: string, uid: string) => ({
  metadata: { resourceVersion, annotations: { [annotations.replacedBy]: uid } }
})

/**
 * The uid of the object that has replaced the one that a stored event is about; absent where none has.
 *
 * @category getters
 * @since 0.2.0
 */
export const replacedBy = (resource: unknown): string | undefined => {
  const { annotations: own } = json.fieldsOf(json.fieldsOf(resource)["metadata"])
  return json.textOf(json.fieldsOf(own)[annotations.replacedBy])
}

/**
 * The merge patch that brings the object of a series to the state of a write, if the object still has this
 * resourceVersion: an older state that comes late meets another one and is refused.
 *
 * **Details**
 *
 * Everything in it is absolute. A uid and an apiVersion that an earlier write knew are kept; labels can be added and changed, not removed.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toPatch = (write: Write, resourceVersion: string, options?: ShapeOptions): unknown => {
  const { absent, annotations: own, fields, labels } = partsOf(write, options)
  const body = write.event
  const changed: Record<string, string | null> = own
  for (const name of absent) changed[name] = null
  const { apiVersion, uid, ...involvedObject } = completed(body.involvedObject, options)
  return {
    metadata: { resourceVersion, ...(labels === undefined ? undefined : { labels }), annotations: changed },
    involvedObject: {
      ...(apiVersion === undefined ? undefined : { apiVersion }),
      kind: involvedObject.kind,
      namespace: involvedObject.namespace ?? null,
      name: involvedObject.name,
      fieldPath: involvedObject.fieldPath ?? null,
      ...(uid === undefined ? undefined : { uid })
    },
    related: body.related === undefined ? null : referencePatch(body.related),
    ...fields,
    eventTime: options?.withoutEventTime !== true && takesEventTime(fields) ? Timestamp.format(write.first) : null,
    firstTimestamp: secondsOf(write.first),
    lastTimestamp: secondsOf(write.last),
    count: countOf(write),
    source: { component: body.source.component, host: body.source.host ?? null }
  }
}

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

/** The zero value of a time in Go, which some programs write for a time that is not set. */
const UNSET = Timestamp.parse("0001-01-01T00:00:00Z")

/**
 * Reads a time of an object of Kubernetes, in microseconds since 1970. `undefined` where there is none, where it is no RFC 3339 time,
 * and for `0001-01-01T00:00:00Z`, which programs in Go write for a time that is not set.
 *
 * **Example** (A time that is not set)
 *
 * ```ts
 * import * as KubernetesEvent from "@tidings/backend-k8s/KubernetesEvent"
 * import assert from "node:assert/strict"
 *
 * assert.equal(KubernetesEvent.timeOf("1970-01-01T00:00:01Z"), 1_000_000)
 * assert.equal(KubernetesEvent.timeOf("0001-01-01T00:00:00Z"), undefined)
 * ```
 *
 * @category getters
 * @since 0.2.0
 */
export const timeOf = (value: unknown): Timestamp.Micros | undefined => {
  const time = typeof value === "string" ? Timestamp.parse(value) : undefined
  return time === UNSET ? undefined : time
}

/** The texts among the fields of an object. */
const textFieldsOf = (value: unknown): Readonly<Record<string, string>> | undefined => {
  if (!json.isFields(value)) return undefined
  const entries = Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string")
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}

const referenceOf = (value: unknown): ObjectReference => {
  const fields = json.fieldsOf(value)
  const apiVersion = json.textOf(fields["apiVersion"])
  const namespace = json.textOf(fields["namespace"])
  const uid = json.textOf(fields["uid"])
  const fieldPath = json.textOf(fields["fieldPath"])
  return {
    ...(apiVersion === undefined ? undefined : { apiVersion }),
    kind: json.textOf(fields["kind"]) ?? "",
    name: json.textOf(fields["name"]) ?? "",
    ...(namespace === undefined ? undefined : { namespace }),
    ...(uid === undefined ? undefined : { uid }),
    ...(fieldPath === undefined ? undefined : { fieldPath })
  }
}

const SECOND = 1_000_000

const isSameSecond = (a: number, b: number): boolean => Math.floor(a / SECOND) === Math.floor(b / SECOND)

/**
 * First and last time. The exact ones of the annotation count as long as they agree with the fields that every tool can
 * change; `series.lastObservedTime` is where writers of events.k8s.io/v1 keep the last time.
 */
const timesFrom = (
  object: json.Fields,
  times: string | undefined
): { readonly first: number; readonly last: number } => {
  const creation = timeOf(json.fieldsOf(object["metadata"])["creationTimestamp"])
  const eventTime = timeOf(object["eventTime"])
  const firstTimestamp = timeOf(object["firstTimestamp"])
  const lastTimestamp = timeOf(object["lastTimestamp"])
  const observed = timeOf(json.fieldsOf(object["series"])["lastObservedTime"])
  const coarseFirst = firstTimestamp ?? eventTime ?? creation ?? lastTimestamp ?? 0
  const coarseLast = observed ?? lastTimestamp ?? eventTime ?? firstTimestamp ?? creation ?? 0
  const [exactFirst, exactLast] = (times ?? "").split("/").map(Timestamp.parse)
  const first =
    exactFirst !== undefined && isSameSecond(exactFirst, coarseFirst)
      ? exactFirst
      : eventTime !== undefined && isSameSecond(eventTime, coarseFirst)
        ? eventTime
        : coarseFirst
  const last = exactLast !== undefined && isSameSecond(exactLast, coarseLast) ? exactLast : Math.max(coarseLast, first)
  return { first, last }
}

const wholeNumber = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : undefined

const countFrom = (object: json.Fields, exact: string | undefined): number => {
  const count = wholeNumber(json.fieldsOf(object["series"])["count"]) ?? wholeNumber(object["count"]) ?? 1
  return count === MAXIMUM_COUNT ? (wholeNumber(Number(exact)) ?? count) : count
}

const sourceOf = (object: json.Fields): EventSource => {
  const source = json.fieldsOf(object["source"])
  const component = json.textOf(source["component"]) ?? json.textOf(object["reportingComponent"]) ?? ""
  const host = json.textOf(source["host"])
  return host === undefined ? { component } : { component, host }
}

const OWN_PREFIX = "tidings.dev/"

/**
 * Reads an Event object of core/v1, of Tidings or of another writer. Events that were written through events.k8s.io/v1 are the
 * same objects. The failure says what is wrong with it.
 *
 * **Details**
 *
 * An event of another writer has the identity `{ origin: its uid, seq: 0 }`, its own count, and its resourceVersion as
 * `upTo`. Its last time is that of its series, else `lastTimestamp`, else `eventTime`; its source is `source.component`,
 * else `reportingComponent`, and a count that is absent or less than 1 is 1, both as kubectl has it. Its type is kept also
 * where it is neither Normal nor Warning, and an action that is missing is the reason. `object` is the object itself, without
 * its managed fields. `cluster` is the one that it was read from, where that is known.
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromResource = (value: unknown, cluster?: ClusterRef): Result.Result<StoredEvent, string> => {
  if (!json.isFields(value)) return Result.fail("an event is an object")
  const metadata = json.fieldsOf(value["metadata"])
  const name = json.textOf(metadata["name"])
  const resourceVersion = json.textOf(metadata["resourceVersion"])
  if (name === undefined || resourceVersion === undefined) {
    return Result.fail("the event has no metadata.name or no metadata.resourceVersion")
  }
  const uid = json.textOf(metadata["uid"])
  const all = textFieldsOf(metadata["annotations"]) ?? {}
  const series = EventId.parse(all[annotations.series] ?? "")
  const seq = Number(all[annotations.seq])
  const own = series !== undefined && Number.isSafeInteger(seq) && seq >= 0
  const foreignAnnotations = textFieldsOf(
    Object.fromEntries(Object.entries(all).filter(([key]) => !(own && key.startsWith(OWN_PREFIX))))
  )
  const allLabels = own ? json.parse(all[annotations.labels]) : undefined
  const labels = json.isFields(allLabels) ? (textFieldsOf(allLabels) ?? {}) : textFieldsOf(metadata["labels"])
  const involvedObject = referenceOf(value["involvedObject"])
  const data = !own
    ? undefined
    : all[annotations.data] === undefined && all[annotations.dataCut] === undefined
      ? Result.succeed(identityOf(involvedObject))
      : EventJson.dataFromObject(json.parse(all[annotations.data]) ?? {})
  const source = sourceOf(value)
  const reason = json.textOf(value["reason"]) ?? (own ? "" : "Unknown")
  const related = value["related"]
  const body: EventBody = {
    involvedObject,
    ...(json.isFields(related) ? { related: referenceOf(related) } : undefined),
    reason,
    type: json.textOf(value["type"]) ?? "",
    action: json.textOf(value["action"]) ?? (own ? "" : reason),
    message: json.textOf(value["message"]) ?? "",
    data: data !== undefined && Result.isSuccess(data) ? data.success : {},
    source,
    reportingController: json.textOf(value["reportingComponent"]) ?? (own ? "" : source.component),
    reportingInstance: json.textOf(value["reportingInstance"]) ?? (own ? "" : (source.host ?? "")),
    ...(labels === undefined ? undefined : { labels })
  }
  const namespace = json.textOf(metadata["namespace"]) ?? CLUSTER_SCOPED_NAMESPACE
  const creationTimestamp = timeOf(metadata["creationTimestamp"])
  const event: Event = {
    id: own ? series : { origin: uid ?? name, seq: 0 },
    upTo: own ? seq : versionNumber(resourceVersion),
    count: countFrom(value, own ? all[annotations.count] : undefined),
    ...timesFrom(value, own ? all[annotations.times] : undefined),
    event: body,
    name,
    namespace,
    ...(cluster === undefined ? undefined : { cluster }),
    ...(uid === undefined ? undefined : { uid }),
    ...(creationTimestamp === undefined ? undefined : { creationTimestamp }),
    resourceVersion,
    ...(foreignAnnotations === undefined ? undefined : { annotations: foreignAnnotations }),
    object: withoutManagedFields(value, metadata)
  }
  return Result.succeed({ event, namespace, resourceVersion, own })
}

/** The object without its managed fields, which kubectl does not show either. */
const withoutManagedFields = (object: json.Fields, metadata: json.Fields): { readonly [field: string]: Json } => {
  const { managedFields: _, ...rest } = metadata
  return {
    // The items of a list have no apiVersion and kind.
    apiVersion: "v1",
    kind: "Event",
    ...(object as { readonly [field: string]: Json }),
    metadata: rest as Json
  }
}

/**
 * A resourceVersion as a number: since Kubernetes 1.35 the versions of one resource may be compared, and those that etcd
 * gives always could. 0 for one that is no number.
 *
 * @category conversions
 * @since 0.1.0
 */
export const versionNumber = (resourceVersion: string): number => {
  const version = /^\d{1,16}$/.test(resourceVersion) ? Number(resourceVersion) : 0
  return Number.isSafeInteger(version) ? version : 0
}
