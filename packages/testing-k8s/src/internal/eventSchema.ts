/** Events in their two versions, what is stored of them, and what field selectors can name. */
import { always, decode, type Decoded, optional, pointer, type Struct, struct, zero } from "./decode.ts"
import { asText, at, type Json, type JsonObject } from "./json.ts"
import { objectMeta } from "./objectMeta.ts"

/** `core` is `v1`, `events` is `events.k8s.io/v1`. @internal */
export type EventVersion = "core" | "events"

/** @internal */
export const apiVersions: Readonly<Record<EventVersion, string>> = { core: "v1", events: "events.k8s.io/v1" }

const objectReference: Struct = {
  name: "ObjectReference",
  goType: "v1.ObjectReference",
  fields: ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"].map((name) =>
    optional(name, "string")
  )
}

const eventSource: Struct = {
  name: "EventSource",
  goType: "v1.EventSource",
  fields: [optional("component", "string"), optional("host", "string")]
}

const eventSeries: Struct = {
  name: "EventSeries",
  goType: "v1.EventSeries",
  fields: [optional("count", "int32"), always("lastObservedTime", "microTime")]
}

const newEventSeries: Struct = {
  ...eventSeries,
  fields: [always("count", "int32"), always("lastObservedTime", "microTime")]
}

const coreEvent: Struct = {
  name: "Event",
  goType: "v1.Event",
  fields: [
    always(
      "metadata",
      struct(() => objectMeta)
    ),
    always(
      "involvedObject",
      struct(() => objectReference)
    ),
    optional("reason", "string"),
    optional("message", "string"),
    always(
      "source",
      struct(() => eventSource)
    ),
    always("firstTimestamp", "time"),
    always("lastTimestamp", "time"),
    optional("count", "int32"),
    optional("type", "string"),
    always("eventTime", "microTime"),
    optional(
      "series",
      pointer(() => eventSeries)
    ),
    optional("action", "string"),
    optional(
      "related",
      pointer(() => objectReference)
    ),
    always("reportingComponent", "string"),
    always("reportingInstance", "string")
  ]
}

const newEvent: Struct = {
  name: "Event",
  goType: "v1.Event",
  fields: [
    always(
      "metadata",
      struct(() => objectMeta)
    ),
    always("eventTime", "microTime"),
    optional(
      "series",
      pointer(() => newEventSeries)
    ),
    optional("reportingController", "string"),
    optional("reportingInstance", "string"),
    optional("action", "string"),
    optional("reason", "string"),
    always(
      "regarding",
      struct(() => objectReference)
    ),
    optional(
      "related",
      pointer(() => objectReference)
    ),
    optional("note", "string"),
    optional("type", "string"),
    always(
      "deprecatedSource",
      struct(() => eventSource)
    ),
    always("deprecatedFirstTimestamp", "time"),
    always("deprecatedLastTimestamp", "time"),
    optional("deprecatedCount", "int32")
  ]
}

const structs: Readonly<Record<EventVersion, Struct>> = { core: coreEvent, events: newEvent }

/** What core/v1 calls the fields of events.k8s.io/v1. */
const coreNames: Readonly<Record<string, string>> = {
  reportingController: "reportingComponent",
  regarding: "involvedObject",
  note: "message",
  deprecatedSource: "source",
  deprecatedFirstTimestamp: "firstTimestamp",
  deprecatedLastTimestamp: "lastTimestamp",
  deprecatedCount: "count"
}
const newNames = Object.fromEntries(Object.entries(coreNames).map(([newName, name]) => [name, newName]))

/** @internal */
export const isZero = (value: Json | undefined): boolean =>
  value === undefined || value === null || value === "" || value === 0 || value === false

/** The fields of a struct, each read from the field of another version that it stands for. */
const converted = (of: Struct, event: JsonObject, nameThere: (name: string) => string): JsonObject => {
  const filled = of.fields.map(({ name }) => [name, event[nameThere(name)] ?? null] as const)
  return { ...zero(of), ...Object.fromEntries(filled.filter(([, value]) => !isZero(value))) }
}

/** The stored event, which is as core/v1 has it, in the form of a version; without kind and apiVersion. @internal */
export const toVersion = (version: EventVersion, event: JsonObject): JsonObject =>
  version === "core" ? event : converted(newEvent, event, (name) => coreNames[name] ?? name)

/** An event with empty fields, as in a bookmark. @internal */
export const emptyEvent = (): JsonObject => zero(coreEvent)

const texts: Readonly<Record<EventVersion, WeakMap<JsonObject, string>>> = {
  core: new WeakMap(),
  events: new WeakMap()
}

/** The JSON of a stored event. Items of a list carry no kind and apiVersion. @internal */
export const eventText = (version: EventVersion, event: JsonObject, isItem: boolean): string => {
  let text = texts[version].get(event)
  if (text === undefined) {
    text = JSON.stringify(toVersion(version, event))
    texts[version].set(event, text)
  }
  return isItem ? text : `{"kind":"Event","apiVersion":"${apiVersions[version]}",${text.slice(1)}`
}

/** Reads an event of a version into the stored form. @internal */
export const decodeEvent = (version: EventVersion, value: JsonObject): Decoded => {
  const decoded = decode(structs[version], value)
  return version === "core"
    ? decoded
    : { ...decoded, value: converted(coreEvent, decoded.value, (name) => newNames[name] ?? name) }
}

const source = (event: JsonObject): string =>
  asText(at(event, "source", "component")) || asText(event["reportingComponent"])

const referenceFields = ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"]

const referenceLabels = (prefix: string): ReadonlyArray<readonly [string, (event: JsonObject) => string]> =>
  referenceFields.map((field) => [`${prefix}.${field}`, (event) => asText(at(event, "involvedObject", field))])

const commonLabels: ReadonlyArray<readonly [string, (event: JsonObject) => string]> = [
  ["reason", (event) => asText(event["reason"])],
  ["type", (event) => asText(event["type"])],
  ["metadata.name", (event) => asText(at(event, "metadata", "name"))],
  ["metadata.namespace", (event) => asText(at(event, "metadata", "namespace"))]
]

/** What a field selector can name. @internal */
export const fieldLabels: Readonly<Record<EventVersion, ReadonlyMap<string, (event: JsonObject) => string>>> = {
  core: new Map([
    ...referenceLabels("involvedObject"),
    ...commonLabels,
    ["reportingComponent", (event) => asText(event["reportingComponent"])],
    ["source", source]
  ]),
  events: new Map([
    ...referenceLabels("regarding"),
    ...commonLabels,
    ["reportingController", (event) => asText(event["reportingComponent"])]
  ])
}
