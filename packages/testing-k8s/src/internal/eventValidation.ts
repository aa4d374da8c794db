/** What the server checks of an event. */
import { type EventVersion, isZero } from "./eventSchema.ts"
import { asObject, asText, at, equals, isObject, type JsonObject } from "./json.ts"
import { checkQualifiedName, checkSubdomain } from "./names.ts"
import { checkObjectNames, validateObjectMeta } from "./objectMeta.ts"
import { type FieldError, invalid, required } from "./fieldErrors.ts"

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
