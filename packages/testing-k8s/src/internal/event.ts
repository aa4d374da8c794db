/** Events: their two views, what the server checks, what it remembers of who wrote which field. */
import { always, decode, type Decoded, optional, pointer, type Struct, struct, zero } from "./decode.ts"
import {
  asObject,
  asText,
  at,
  equals,
  isArray,
  isObject,
  type Json,
  type JsonObject,
  type MutableJsonObject,
  stringify
} from "./json.ts"
import { checkObjectNames, objectMeta, validateObjectMeta } from "./meta.ts"
import { checkQualifiedName, checkSubdomain } from "./names.ts"
import { type FieldError, invalid, required } from "./status.ts"

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
const coreName = (name: string): string => coreNames[name] ?? name
const newNames = Object.fromEntries(Object.entries(coreNames).map(([newName, name]) => [name, newName]))

const isZero = (value: Json | undefined): boolean =>
  value === undefined || value === null || value === "" || value === 0 || value === false

const toCore = (event: JsonObject): JsonObject => {
  const result: MutableJsonObject = {}
  const zeros = zero(coreEvent)
  for (const field of coreEvent.fields) {
    const value = event[newNames[field.name] ?? field.name]
    if (!isZero(value)) {
      result[field.name] = value ?? null
    } else if (!field.omitEmpty) {
      result[field.name] = zeros[field.name] ?? null
    }
  }
  return result
}

/** The stored event, which is as core/v1 has it, in the form of a version; without kind and apiVersion. */
const toVersion = (version: EventVersion, event: JsonObject): JsonObject => {
  if (version === "core") {
    return event
  }
  const result: MutableJsonObject = {}
  const zeros = zero(newEvent)
  for (const field of newEvent.fields) {
    const value = event[coreName(field.name)]
    if (!isZero(value)) {
      result[field.name] = value ?? null
    } else if (!field.omitEmpty) {
      result[field.name] = zeros[field.name] ?? null
    }
  }
  return result
}

/** An event that nobody filled, as in a bookmark. @internal */
export const emptyEvent = (): JsonObject => zero(coreEvent)

const texts: Readonly<Record<EventVersion, WeakMap<JsonObject, string>>> = {
  core: new WeakMap(),
  events: new WeakMap()
}

/** The JSON of a stored event. Items of a list carry no kind and apiVersion. @internal */
export const eventText = (version: EventVersion, event: JsonObject, isItem: boolean): string => {
  let text = texts[version].get(event)
  if (text === undefined) {
    text = stringify(toVersion(version, event))
    texts[version].set(event, text)
  }
  return isItem ? text : `{"kind":"Event","apiVersion":"${apiVersions[version]}",${text.slice(1)}`
}

/** Reads an event of a version into the stored form. @internal */
export const decodeEvent = (version: EventVersion, value: JsonObject): Decoded => {
  const decoded = decode(structs[version], value)
  return version === "core" ? decoded : { ...decoded, value: toCore(decoded.value) }
}

const byteLength = (value: string): number => Buffer.byteLength(value)

const checkRequiredText = (event: JsonObject, field: string, limit: number): ReadonlyArray<FieldError> => {
  const value = asText(event[field])
  if (value === "") {
    return [required(field)]
  }
  return byteLength(value) > limit ? [invalid(field, "", `can have at most ${limit} characters`)] : []
}

const noMatch = "does not match event.namespace"

// With an eventTime the rules are strict, without one almost everything passes; whatever the version of the request.
const checkCommon = (version: EventVersion, event: JsonObject): ReadonlyArray<FieldError> => {
  const namespace = asText(at(event, "metadata", "namespace"))
  const involved = asText(at(event, "involvedObject", "namespace"))
  const wrongNamespace = [invalid("involvedObject.namespace", involved, noMatch)]
  if (isZero(event["eventTime"])) {
    const matches = involved === "" ? namespace === "" || namespace === "default" : involved === namespace
    return matches ? [] : wrongNamespace
  }
  const controllerField = version === "core" ? "reportingComponent" : "reportingController"
  const controller = asText(event["reportingComponent"])
  return [
    ...(involved === "" && namespace !== "default" && namespace !== "kube-system" ? wrongNamespace : []),
    ...(controller === "" ? [required(controllerField)] : []),
    ...checkQualifiedName(controller).map((detail) => invalid(controllerField, controller, detail)),
    ...checkRequiredText(event, "reportingInstance", 128),
    ...checkRequiredText(event, "action", 128),
    ...checkRequiredText(event, "reason", 128),
    ...(byteLength(asText(event["message"])) > 1024 ? [invalid("message", "", "can have at most 1024 characters")] : [])
  ]
}

const checkSeries = (event: JsonObject): ReadonlyArray<FieldError> => {
  const series = event["series"]
  if (!isObject(series)) {
    return []
  }
  const count = series["count"]
  return [
    ...(typeof count === "number" && count >= 2 ? [] : [invalid("series.count", "", "should be at least 2")]),
    ...(isZero(series["lastObservedTime"]) ? [required("series.lastObservedTime")] : [])
  ]
}

const mustBeUnset = (event: JsonObject, field: string): ReadonlyArray<FieldError> => {
  const value = event[field]
  const isUnset = isZero(value) || (isObject(value) && Object.keys(value).length === 0)
  return isUnset ? [] : [invalid(field, "", "needs to be unset")]
}

/** @internal */
export const checkCreate = (version: EventVersion, event: JsonObject): ReadonlyArray<FieldError> => {
  const common = checkCommon(version, event)
  if (version === "core") {
    return common
  }
  const type = asText(event["type"])
  return [
    ...common,
    ...checkObjectNames(asObject(event["metadata"]), checkSubdomain),
    ...checkSeries(event),
    ...(isZero(event["eventTime"]) ? [required("eventTime")] : []),
    ...(type === "Normal" || type === "Warning" ? [] : [invalid("type", "", `has invalid value: ${type}`)]),
    ...["firstTimestamp", "lastTimestamp", "count", "source"].flatMap((field) => mustBeUnset(event, field))
  ]
}

/** Checks of the metadata, which the server makes only when {@link checkCreate} found nothing. @internal */
export const checkCreateMeta = (event: JsonObject): ReadonlyArray<FieldError> =>
  validateObjectMeta(asObject(event["metadata"]))

const immutableFields = [
  "involvedObject",
  "reason",
  "message",
  "source",
  "firstTimestamp",
  "lastTimestamp",
  "count",
  "type",
  "eventTime",
  "action",
  "related",
  "reportingComponent",
  "reportingInstance"
]

const immutableName = (field: string): string => (field === "reportingComponent" ? "reportingController" : field)

/** @internal */
export const checkUpdate = (
  version: EventVersion,
  before: JsonObject,
  after: JsonObject
): ReadonlyArray<FieldError> => {
  const common = checkCommon(version, after)
  if (version === "core") {
    return common
  }
  return [
    ...common,
    ...(equals(before["series"], after["series"]) ? [] : checkSeries(after)),
    ...immutableFields
      .filter((field) => !equals(before[field], after[field]) && !(isZero(before[field]) && isZero(after[field])))
      .map((field) => invalid(immutableName(field), after[field] ?? null, "field is immutable"))
  ]
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

type FieldSet = { [key: string]: FieldSet }

const mergeSets = (left: FieldSet, right: FieldSet): FieldSet => {
  const result: FieldSet = { ...left }
  for (const [key, value] of Object.entries(right)) {
    result[key] = mergeSets(result[key] ?? {}, value)
  }
  return result
}

/** What of `left` is also in `right`. */
const intersectSets = (left: FieldSet, right: FieldSet): FieldSet => {
  const result: FieldSet = {}
  for (const [key, value] of Object.entries(left)) {
    const other = right[key]
    if (other === undefined) {
      continue
    }
    const isLeaf = Object.keys(value).length === 0
    const rest = intersectSets(value, other)
    if (isLeaf || Object.keys(rest).some((name) => name !== ".")) {
      result[key] = rest
    }
  }
  return result
}

/** What of `left` is not in `right`. */
const subtractSets = (left: FieldSet, right: FieldSet): FieldSet => {
  const result: FieldSet = {}
  for (const [key, value] of Object.entries(left)) {
    const other = right[key]
    if (other === undefined) {
      result[key] = value
      continue
    }
    const rest = subtractSets(value, other)
    if (Object.keys(rest).length > 0) {
      result[key] = rest
    }
  }
  return result
}

const sortSet = (set: FieldSet): Json =>
  Object.fromEntries(
    Object.keys(set)
      .sort()
      .map((key) => [key, sortSet(set[key] ?? {})])
  )

const asSet = (value: Json | undefined): FieldSet =>
  Object.fromEntries(Object.entries(asObject(value)).map(([key, member]) => [key, asSet(member)]))

const mapSet = (value: JsonObject): FieldSet => ({
  ".": {},
  ...Object.fromEntries(Object.keys(value).map((key) => [`f:${key}`, {}]))
})

const metaSet = (meta: JsonObject): FieldSet => {
  const result: FieldSet = {}
  for (const field of ["labels", "annotations"]) {
    const value = meta[field]
    if (isObject(value)) {
      result[`f:${field}`] = mapSet(value)
    }
  }
  if (typeof meta["generateName"] === "string") {
    result["f:generateName"] = {}
  }
  if (isArray(meta["finalizers"])) {
    result["f:finalizers"] = {
      ".": {},
      ...Object.fromEntries(meta["finalizers"].map((item) => [`v:${JSON.stringify(item)}`, {}]))
    }
  }
  if (isArray(meta["ownerReferences"])) {
    result["f:ownerReferences"] = {
      ".": {},
      ...Object.fromEntries(
        meta["ownerReferences"].map((item) => [`k:${stringify({ uid: at(item, "uid") ?? "" })}`, {}])
      )
    }
  }
  return result
}

const fieldSet = (event: JsonObject): FieldSet => {
  const result: FieldSet = {}
  for (const [field, value] of Object.entries(event)) {
    if (field === "metadata") {
      const meta = metaSet(asObject(value))
      if (Object.keys(meta).length > 0) {
        result["f:metadata"] = meta
      }
    } else if (isObject(value) && (field === "source" || field === "deprecatedSource")) {
      if (Object.keys(value).length > 0) {
        result[`f:${field}`] = Object.fromEntries(Object.keys(value).map((key) => [`f:${key}`, {}]))
      }
    } else if (isObject(value) && field === "series") {
      result["f:series"] = mapSet(value)
    } else if (isObject(value) ? Object.keys(value).length > 0 || field === "related" : !isZero(value)) {
      result[`f:${field}`] = {}
    }
  }
  return result
}

/** Paths whose values differ, of those that `after` has. */
const changedSet = (before: JsonObject, after: JsonObject): FieldSet => {
  const result: FieldSet = {}
  const all = fieldSet(after)
  const old = fieldSet(before)
  const walk = (set: FieldSet, path: ReadonlyArray<string>): FieldSet => {
    const changed: FieldSet = {}
    for (const [key, children] of Object.entries(set)) {
      const here = [...path, key]
      if (Object.keys(children).length > 0) {
        const below = walk(children, here)
        if (Object.keys(below).length > 0) {
          changed[key] = below
        }
        continue
      }
      const wasThere = here.reduce<FieldSet | undefined>((current, step) => current?.[step], old) !== undefined
      const steps = here.filter((step) => step.startsWith("f:")).map((step) => step.slice(2))
      const isValue = key.startsWith("f:")
      if (!wasThere || (isValue && !equals(at(before, ...steps), at(after, ...steps)))) {
        changed[key] = {}
      }
    }
    return changed
  }
  return Object.assign(result, walk(all, []))
}

/** Who wrote, through which version, when. @internal */
export interface Writer {
  readonly manager: string
  readonly version: EventVersion
  /** RFC 3339. */
  readonly time: string
}

/**
 * The field `metadata.managedFields` after a write. Entries of another version of the API vanish, as they do on the
 * real server, where the one cannot be converted into the other.
 *
 * @internal
 */
export const managedFields = (before: JsonObject | undefined, after: JsonObject, writer: Writer): Json => {
  const apiVersion = apiVersions[writer.version]
  const shown = toVersion(writer.version, after)
  const present = fieldSet(shown)
  const changed = before === undefined ? present : changedSet(toVersion(writer.version, before), shown)
  const old = at(before, "metadata", "managedFields")
  const entries = (isArray(old) ? old : []).filter((entry) => at(entry, "apiVersion") === apiVersion)
  const kept = entries
    .filter((entry) => at(entry, "manager") !== writer.manager)
    .map((entry): JsonObject => ({
      ...asObject(entry),
      fieldsV1: sortSet(intersectSets(subtractSets(asSet(at(entry, "fieldsV1")), changed), present))
    }))
    .filter((entry) => Object.keys(asObject(entry["fieldsV1"])).length > 0)
  const mine = entries.find((entry) => at(entry, "manager") === writer.manager)
  const owned = intersectSets(mergeSets(asSet(at(mine, "fieldsV1")), changed), present)
  const isSame = mine !== undefined && equals(sortSet(owned), at(mine, "fieldsV1"))
  const time = isSame && Object.keys(changed).length === 0 ? (at(mine, "time") ?? writer.time) : writer.time
  const all: Array<JsonObject> = [
    ...kept,
    ...(Object.keys(owned).length === 0
      ? []
      : [
          {
            manager: writer.manager,
            operation: "Update",
            apiVersion,
            time,
            fieldsType: "FieldsV1",
            fieldsV1: sortSet(owned)
          }
        ])
  ]
  const order = (entry: JsonObject): string => `${asText(entry["time"])} ${asText(entry["manager"])}`
  return all.sort((left, right) => (order(left) < order(right) ? -1 : 1))
}
