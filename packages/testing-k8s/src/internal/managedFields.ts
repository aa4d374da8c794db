/** `metadata.managedFields`: who wrote which field of an event. */
import type { IncomingRequest } from "./request.ts"
import { apiVersions, type EventVersion, isZero, toVersion } from "./eventSchema.ts"
import { asObject, asText, at, equals, isArray, isObject, type Json, type JsonObject } from "./json.ts"

type FieldSet = { [key: string]: FieldSet }

const isEmpty = (set: FieldSet): boolean => Object.keys(set).length === 0

const mapSetMembers = (set: FieldSet, map: (value: FieldSet, key: string) => FieldSet | undefined): FieldSet =>
  Object.fromEntries(
    Object.entries(set).flatMap(([key, value]) => {
      const mapped = map(value, key)
      return mapped === undefined ? [] : [[key, mapped]]
    })
  )

const mergeSets = (left: FieldSet, right: FieldSet): FieldSet => ({
  ...left,
  ...mapSetMembers(right, (value, key) => mergeSets(left[key] ?? {}, value))
})

/** What of `left` is also in `right`. */
const intersectSets = (left: FieldSet, right: FieldSet): FieldSet =>
  mapSetMembers(left, (value, key) => {
    const other = right[key]
    const rest = other === undefined ? {} : intersectSets(value, other)
    const isKept = isEmpty(value) ? other !== undefined : Object.keys(rest).some((name) => name !== ".")
    return isKept ? rest : undefined
  })

/** What of `left` is not in `right`. */
const subtractSets = (left: FieldSet, right: FieldSet): FieldSet =>
  mapSetMembers(left, (value, key) => {
    const other = right[key]
    const rest = other === undefined ? value : subtractSets(value, other)
    return other !== undefined && isEmpty(rest) ? undefined : rest
  })

const asSet = (value: Json | undefined): FieldSet =>
  Object.fromEntries(Object.entries(asObject(value)).map(([key, member]) => [key, asSet(member)]))

const itemSet = (keys: ReadonlyArray<string>): FieldSet => ({
  ".": {},
  ...Object.fromEntries(keys.map((key) => [key, {}]))
})

const mapSet = (value: JsonObject): FieldSet => itemSet(Object.keys(value).map((key) => `f:${key}`))

const metaSet = ({ annotations, finalizers, generateName, labels, ownerReferences }: JsonObject): FieldSet => ({
  ...(isObject(labels) ? { "f:labels": mapSet(labels) } : {}),
  ...(isObject(annotations) ? { "f:annotations": mapSet(annotations) } : {}),
  ...(typeof generateName === "string" ? { "f:generateName": {} } : {}),
  ...(isArray(finalizers) ? { "f:finalizers": itemSet(finalizers.map((item) => `v:${JSON.stringify(item)}`)) } : {}),
  ...(isArray(ownerReferences)
    ? {
        "f:ownerReferences": itemSet(
          ownerReferences.map((item) => `k:${JSON.stringify({ uid: at(item, "uid") ?? "" })}`)
        )
      }
    : {})
})

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
  const old = fieldSet(before)
  const walk = (set: FieldSet, path: ReadonlyArray<string>): FieldSet =>
    mapSetMembers(set, (children, key) => {
      const here = [...path, key]
      if (!isEmpty(children)) {
        const below = walk(children, here)
        return isEmpty(below) ? undefined : below
      }
      const wasThere = here.reduce<FieldSet | undefined>((current, step) => current?.[step], old) !== undefined
      const steps = here.filter((step) => step.startsWith("f:")).map((step) => step.slice(2))
      const isSame = !key.startsWith("f:") || equals(at(before, ...steps), at(after, ...steps))
      return wasThere && isSame ? undefined : {}
    })
  return walk(fieldSet(after), [])
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
 */
const managedFields = (before: JsonObject | undefined, after: JsonObject, writer: Writer): Json => {
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
      fieldsV1: intersectSets(subtractSets(asSet(at(entry, "fieldsV1")), changed), present)
    }))
    .filter((entry) => Object.keys(asObject(entry["fieldsV1"])).length > 0)
  const mine = entries.find((entry) => at(entry, "manager") === writer.manager)
  const owned = intersectSets(mergeSets(asSet(at(mine, "fieldsV1")), changed), present)
  const isSame = mine !== undefined && equals(owned, at(mine, "fieldsV1"))
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
            fieldsV1: owned
          }
        ])
  ]
  const order = (entry: JsonObject): string => `${asText(entry["time"])} ${asText(entry["manager"])}`
  return all.sort((left, right) => (order(left) < order(right) ? -1 : 1))
}

/** An event with its managed fields after a write. @internal */
export const withManagedFields = (before: JsonObject | undefined, after: JsonObject, writer: Writer): JsonObject => ({
  ...after,
  metadata: { ...asObject(after["metadata"]), managedFields: managedFields(before, after, writer) }
})

/** The name under which a client writes. @internal */
export const managerOf = (request: IncomingRequest): string =>
  request.query.get("fieldManager") || request.userAgent?.split("/")[0] || "unknown"
