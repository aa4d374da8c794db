/**
 * An event as JSON, under the names of a Kubernetes Event: what a line of the event log is and what `tidings -o ndjson`
 * prints (`toObject`), and the object as its store has it, which `-o json` and `-o yaml` print (`toStoredObject`).
 *
 * To the fields of core/v1 come four of our own: `data`, `id` (the identity, `<origin>.<seq>`), `upTo` (the last seq that
 * is counted in), and `cluster` (its id and name) where the event is in one or was copied from one. Times have six fractional digits, durations are Go's text.
 *
 * @since 0.1.0
 */
import * as GoDuration from "@tidings/templates/GoDuration"
import * as Result from "effect/Result"
import * as ControlCharacters from "./ControlCharacters.ts"
import type { ClusterRef, Event, EventBody, EventSource } from "./Event.ts"
import type { EventData, Json } from "./EventData.ts"
import * as EventId from "./EventId.ts"
import * as json from "./internal/json.ts"
import type { ObjectReference } from "./ObjectReference.ts"
import * as Timestamp from "./Timestamp.ts"

/**
 * The JSON shape of an event. `lastTimestamp` stands first and has a fixed width, so that a log can be bisected by time.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventObject {
  readonly lastTimestamp: string
  readonly firstTimestamp: string
  readonly count: number
  readonly type: string
  readonly reason: string
  readonly action: string
  readonly message: string
  readonly involvedObject: ObjectReference
  readonly related?: ObjectReference
  readonly source: EventSource
  readonly reportingComponent: string
  readonly reportingInstance: string
  /** As the object of core/v1 has it, where there is one. */
  readonly eventTime?: Json
  readonly series?: Json
  readonly metadata: {
    readonly name: string
    /** Of the event itself. Absent in lines of the first release about objects that are in none: it is `default`. */
    readonly namespace?: string
    readonly uid?: string
    readonly creationTimestamp?: string
    readonly resourceVersion?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly data: { readonly [field: string]: Json }
  readonly id: string
  readonly upTo: number
  /** The cluster that it is in, or was copied from. */
  readonly cluster?: ClusterRef
  readonly apiVersion: "v1"
  readonly kind: "Event"
}

/**
 * Event data as JSON: the duration as Go's text, absent fields left out.
 *
 * @category conversions
 * @since 0.1.0
 */
export const dataToObject = (data: EventData): { readonly [field: string]: Json } =>
  data.duration === undefined
    ? (data as { readonly [field: string]: Json })
    : { ...(data as { readonly [field: string]: Json }), duration: GoDuration.format(data.duration) }

/**
 * Event data from JSON; the failure says which field is wrong and what would be right.
 *
 * @category conversions
 * @since 0.1.0
 */
export const dataFromObject = (value: unknown): Result.Result<EventData, string> => {
  if (!isRecord(value)) return Result.fail("data is not an object")
  for (const key of Object.keys(value)) {
    const found = value[key]
    const expected = dataTypes.get(key)
    if (expected !== undefined && found !== undefined && !expected.is(found)) {
      return Result.fail(`data.${key} is not ${expected.name}`)
    }
  }
  const duration = Object.hasOwn(value, "duration") ? value["duration"] : undefined
  if (duration === undefined) return Result.succeed(value as EventData)
  const nanoseconds = typeof duration === "string" ? GoDuration.parse(duration) : undefined
  if (nanoseconds === undefined || Result.isFailure(nanoseconds)) {
    return Result.fail(`data.duration is not a duration such as "1m30.5s"`)
  }
  return Result.succeed({ ...(value as EventData), duration: Number(nanoseconds.success) })
}

interface DataType {
  readonly name: string
  readonly is: (value: unknown) => boolean
}

const text: DataType = { name: "text", is: (value: unknown) => typeof value === "string" }
const dataTypes: ReadonlyMap<string, DataType> = new Map<string, DataType>([
  ...[
    "name",
    "namespace",
    "operation",
    "serviceClass",
    "error",
    "stepId",
    "stepTool",
    "conditionResult",
    "executionId"
  ].map((key) => [key, text] as const),
  ["stepCount", { name: "a whole number", is: (value) => Number.isSafeInteger(value) }],
  ["allowFailure", { name: "true or false", is: (value) => typeof value === "boolean" }],
  [
    "toolNames",
    { name: "a list of texts", is: (value) => Array.isArray(value) && value.every((one) => typeof one === "string") }
  ],
  ["arguments", { name: "an object", is: (value) => isRecord(value) }]
])

/**
 * The JSON object of an event, as a line of a log has it: the same fields whatever the store. `fromObject` reads it back.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toObject = (event: Event): EventObject => {
  const body = event.event
  const { creationTimestamp, object, resourceVersion } = event
  const namespace = event.namespace ?? body.involvedObject.namespace
  const eventTime = object?.["eventTime"]
  const series = object?.["series"]
  return {
    lastTimestamp: Timestamp.format(event.last),
    firstTimestamp: Timestamp.format(event.first),
    count: event.count,
    type: body.type,
    reason: body.reason,
    action: body.action,
    message: body.message,
    involvedObject: body.involvedObject,
    ...(body.related === undefined ? undefined : { related: body.related }),
    source: body.source,
    reportingComponent: body.reportingController,
    reportingInstance: body.reportingInstance,
    ...(eventTime === undefined || eventTime === null ? undefined : { eventTime }),
    ...(series === undefined || series === null ? undefined : { series }),
    metadata: {
      name: event.name,
      ...(namespace === undefined ? undefined : { namespace }),
      ...(event.uid === undefined ? undefined : { uid: event.uid }),
      ...(creationTimestamp === undefined ? undefined : { creationTimestamp: Timestamp.format(creationTimestamp) }),
      ...(resourceVersion === undefined ? undefined : { resourceVersion }),
      ...(body.labels === undefined ? undefined : { labels: body.labels }),
      ...(event.annotations === undefined ? undefined : { annotations: event.annotations })
    },
    data: dataToObject(body.data),
    id: EventId.format(event.id),
    upTo: event.upTo,
    ...(event.cluster === undefined ? undefined : { cluster: event.cluster }),
    apiVersion: "v1",
    kind: "Event"
  }
}

/**
 * The event as its store has it: the object of core/v1, whole, with `data`, `id` and `upTo` beside its own fields. Where
 * the store keeps no such objects, what `toObject` gives.
 *
 * For people and for tools of Kubernetes: `tidings get -o yaml` prints it.
 *
 * @category conversions
 * @since 0.2.0
 */
export const toStoredObject = (event: Event): { readonly [field: string]: Json } | EventObject =>
  event.object === undefined
    ? toObject(event)
    : {
        ...event.object,
        data: dataToObject(event.event.data),
        id: EventId.format(event.id),
        upTo: event.upTo,
        ...(event.cluster === undefined ? undefined : { cluster: { ...event.cluster } })
      }

/**
 * The event as one line of JSON, without the line end, safe to print on a terminal.
 *
 * **Example** (There and back)
 *
 * ```ts
 * import type { Event } from "@tidings/core/Event"
 * import * as EventJson from "@tidings/core/EventJson"
 * import * as Result from "effect/Result"
 * import assert from "node:assert/strict"
 *
 * const event: Event = {
 *   id: { origin: "00000000000000000000000000000001", seq: 1 },
 *   upTo: 1,
 *   count: 1,
 *   first: 0,
 *   last: 0,
 *   name: "deploy.0000000000000000.1",
 *   namespace: "default",
 *   event: {
 *     involvedObject: { kind: "Workflow", name: "deploy", namespace: "default" },
 *     reason: "WorkflowExecuted",
 *     type: "Normal",
 *     action: "WorkflowExecuted",
 *     message: "Workflow deploy completed",
 *     data: { name: "deploy", namespace: "default", duration: 90_500_000_000 },
 *     source: { component: "example" },
 *     reportingController: "example",
 *     reportingInstance: "example-0"
 *   }
 * }
 * const line = EventJson.encode(event)
 * assert.match(line, /^\{"lastTimestamp":"1970-01-01T00:00:00.000000Z"/)
 * assert.match(line, /"duration":"1m30.5s"/)
 * assert.deepEqual(Result.getOrThrow(EventJson.decode(line)), event)
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const encode = (event: Event): string => {
  // JSON.stringify escapes the control characters of ASCII, and no others.
  return ControlCharacters.escapeExceptLineFeeds(JSON.stringify(toObject(event)))
}

const isRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isText = (value: unknown): value is string => typeof value === "string"
const isOptionalText = (value: unknown): boolean => value === undefined || typeof value === "string"

const isReference = (value: unknown): boolean =>
  isRecord(value) &&
  isText(value["kind"]) &&
  isText(value["name"]) &&
  isOptionalText(value["apiVersion"]) &&
  isOptionalText(value["namespace"]) &&
  isOptionalText(value["uid"]) &&
  isOptionalText(value["fieldPath"])

const isSource = (value: unknown): boolean =>
  isRecord(value) && isText(value["component"]) && isOptionalText(value["host"])

const isCluster = (value: unknown): boolean => isRecord(value) && isText(value["id"]) && isOptionalText(value["name"])

const clusterOf = ({ id, name }: ClusterRef): ClusterRef => (name === undefined ? { id } : { id, name })

const isTexts = (value: unknown): boolean => isRecord(value) && Object.values(value).every(isText)

const isOptional = (value: unknown, is: (value: unknown) => boolean): boolean => value === undefined || is(value)

const isWhole = (value: unknown, least: number): boolean => Number.isSafeInteger(value) && (value as number) >= least

const timeIn = (value: unknown): Timestamp.Micros | undefined => (isText(value) ? Timestamp.parse(value) : undefined)

type Rules<A> = ReadonlyArray<
  readonly [holds: (value: { readonly [K in keyof A]?: unknown }) => boolean, problem: string]
>

/** What an event must have beside its times and its identity, in the order in which it is checked. */
const eventRules: Rules<EventObject> = [
  [({ upTo }) => isWhole(upTo, 0), "upTo is not a whole number from 0"],
  [({ count }) => isWhole(count, 1), "count is not a whole number from 1"],
  [({ type }) => isText(type), "type is not text"],
  [({ reason }) => isText(reason) && reason !== "", "reason is missing"],
  [({ message }) => isText(message), "message is missing"],
  [({ action }) => isText(action), "action is missing"],
  [({ involvedObject }) => isReference(involvedObject), "involvedObject is not a reference to an object"],
  [({ related }) => isOptional(related, isReference), "related is not a reference to an object"],
  [({ source }) => isSource(source), "source names no component"],
  [({ reportingComponent }) => isText(reportingComponent), "reportingComponent is missing"],
  [({ reportingInstance }) => isText(reportingInstance), "reportingInstance is missing"],
  [({ cluster }) => isOptional(cluster, isCluster), "cluster names no id"],
  [({ metadata }) => isRecord(metadata) && isText(metadata["name"]), "metadata.name is missing"]
]

const metadataRules: Rules<EventObject["metadata"]> = [
  [({ labels }) => isOptional(labels, isTexts), "metadata.labels are not texts"],
  [({ annotations }) => isOptional(annotations, isTexts), "metadata.annotations are not texts"],
  [({ uid }) => isOptionalText(uid), "metadata.uid is not text"],
  [({ namespace }) => isOptionalText(namespace), "metadata.namespace is not text"],
  [({ resourceVersion }) => isOptionalText(resourceVersion), "metadata.resourceVersion is not text"],
  [
    ({ creationTimestamp }) => isOptional(creationTimestamp, (time) => timeIn(time) !== undefined),
    "metadata.creationTimestamp is not an RFC 3339 time"
  ]
]

/** The fields that are checked by the rules; `fromObject` converts the others. */
type Checked = Omit<EventObject, "lastTimestamp" | "firstTimestamp" | "id" | "data" | "apiVersion" | "kind">

const problemIn = (value: { readonly [K in keyof EventObject]?: unknown }): string | undefined =>
  (eventRules.find(([holds]) => !holds(value)) ??
    metadataRules.find(([holds]) => !holds(value.metadata as object)))?.[1]

const isChecked = (value: object): value is Checked => problemIn(value) === undefined

/**
 * Reads the JSON object of an event; the failure says what is wrong with it.
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromObject = (value: unknown): Result.Result<Event, string> => {
  if (!isRecord(value)) return Result.fail("an event is a JSON object")
  const last = timeIn(value["lastTimestamp"])
  const first = timeIn(value["firstTimestamp"])
  if (last === undefined) return Result.fail("lastTimestamp is not an RFC 3339 time")
  if (first === undefined) return Result.fail("firstTimestamp is not an RFC 3339 time")
  const id = isText(value["id"]) ? EventId.parse(value["id"]) : undefined
  if (id === undefined) return Result.fail("id is not an identity such as <origin>.<seq>")
  const object: object = value
  if (!isChecked(object)) return Result.fail(problemIn(object)!)
  const { annotations, creationTimestamp, labels, name, namespace, resourceVersion, uid } = object.metadata
  const created = timeIn(creationTimestamp)
  const { cluster, related, source } = object
  const data = dataFromObject(value["data"] ?? {})
  if (Result.isFailure(data)) return Result.fail(data.failure)
  const body: EventBody = {
    involvedObject: object.involvedObject,
    ...(related === undefined ? undefined : { related }),
    reason: object.reason,
    type: object.type,
    action: object.action,
    message: object.message,
    data: data.success,
    source:
      source.host === undefined ? { component: source.component } : { component: source.component, host: source.host },
    reportingController: object.reportingComponent,
    reportingInstance: object.reportingInstance,
    ...(labels === undefined ? undefined : { labels })
  }
  return Result.succeed({
    id,
    upTo: object.upTo,
    count: object.count,
    first,
    last,
    event: body,
    name,
    ...(namespace === undefined || namespace === "" ? undefined : { namespace }),
    ...(cluster === undefined ? undefined : { cluster: clusterOf(cluster) }),
    ...(uid === undefined ? undefined : { uid }),
    ...(created === undefined ? undefined : { creationTimestamp: created }),
    ...(resourceVersion === undefined ? undefined : { resourceVersion }),
    ...(annotations === undefined ? undefined : { annotations })
  })
}

/**
 * Reads one line of JSON; the failure says what is wrong with it.
 *
 * @category conversions
 * @since 0.1.0
 */
export const decode = (line: string): Result.Result<Event, string> => {
  const value = json.parse(line)
  return value === undefined ? Result.fail("it is not JSON") : fromObject(value)
}
