/**
 * Prepares events for acceptance: what a caller gave becomes an occurrence that every store can keep.
 *
 * In this order: transforms, validation, rendering of the message, escaping and truncation.
 *
 * - An occurrence shares nothing that the caller can change, except for the frozen references of the cache.
 * - Its texts are well-formed, without control characters, and within the limits of Kubernetes' Events in bytes.
 * - Its data is JSON and within the limit of `dataSize.ts`.
 *
 * It never throws: what is wrong, getters and transforms that throw included, is an `InvalidEvent` with every issue.
 */
import * as GoDuration from "@tidings/templates/GoDuration"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { EventSource, EventType, Occurrence } from "../Event.ts"
import type { EventData, EventDataInput, Json } from "../EventData.ts"
import { InvalidEvent, type Issue } from "../InvalidEvent.ts"
import type { ObjectReference } from "../ObjectReference.ts"
import type { EventDraft } from "../EventDraft.ts"
import { BoundedCache } from "../BoundedCache.ts"
import * as Timestamp from "../Timestamp.ts"
import type { Transform } from "../Transform.ts"
import * as dataSize from "./dataSize.ts"
import * as json from "./json.ts"
import * as names from "./names.ts"
import * as text from "./text.ts"

const { LIMITS } = names

/** @internal */
export type Prepared =
  | { readonly _tag: "Accepted"; readonly occurrence: Occurrence }
  | { readonly _tag: "Filtered"; readonly by: string }
  | { readonly _tag: "Invalid"; readonly error: InvalidEvent }

/** @internal */
export interface Options {
  readonly transforms: ReadonlyArray<Transform>
  readonly source: EventSource
  readonly reportingController: string
  readonly reportingInstance: string
  readonly typeOf: (reason: string) => EventType | undefined
  readonly apiVersionOf: (kind: string) => string | undefined
  readonly render: (reason: string, data: EventData) => string
  readonly clock: Clock.Clock
}

/**
 * Makes the function that prepares the events of a recorder.
 *
 * @internal
 */
export const make = (options: Options): ((draft: EventDraft) => Prepared) => {
  const prepare = preparation(options)
  return (draft) => {
    try {
      return prepare(draft)
    } catch (thrown) {
      return invalid([unreadable("event", thrown)])
    }
  }
}

/**
 * The issue of a getter or a proxy of the caller that threw while its fields were read.
 *
 * @internal
 */
export const unreadable = (field: string, thrown: unknown): Issue => ({
  field,
  found: text.showThrown(thrown),
  expected: "plain data, whose fields can be read"
})

const preparation = (options: Options): ((draft: EventDraft) => Prepared) => {
  const { clock, render, reportingController, reportingInstance, source, transforms, typeOf } = options
  const readReference = referenceReader(options.apiVersionOf)
  return (given) => {
    const issues: Array<Issue> = []
    let draft = given
    if (typeof draft !== "object" || draft === null) {
      issue(issues, "event", draft, "an object with involvedObject and reason")
      return invalid(issues)
    }
    for (const transform of transforms) {
      let transformed: EventDraft | undefined
      try {
        transformed = transform.apply(draft)
      } catch (thrown) {
        issues.push({
          field: `transform ${transform.name}`,
          found: text.showThrown(thrown),
          expected: "a function that never throws"
        })
        return invalid(issues)
      }
      if (transformed === undefined) return { _tag: "Filtered", by: transform.name }
      draft = transformed
    }

    const { action, at, labels, message, reason, related, type } = draft
    // What a catalogue declares is the name of a reason.
    const declared = typeOf(reason)
    if (declared === undefined && (typeof reason !== "string" || !names.isReason(reason))) {
      issue(issues, "reason", reason, "a word that begins with a letter, such as Started: letters, digits, - _ .")
    }
    if (type !== undefined && type !== "Normal" && type !== "Warning") issue(issues, "type", type, "Normal or Warning")
    const involvedObject = readReference(issues, "involvedObject", draft.involvedObject)
    const readRelated = related === undefined ? undefined : readReference(issues, "related", related)
    const readLabels = labels === undefined ? undefined : copyLabels(issues, labels)
    if (message !== undefined && typeof message !== "string") issue(issues, "message", message, "a text")
    if (action !== undefined && (typeof action !== "string" || action === "")) {
      issue(issues, "action", action, "a text that is not empty")
    }
    if (at !== undefined && !Timestamp.isMicros(at)) {
      issue(issues, "at", at, "whole microseconds since 1970, in the years 0 to 9999")
    }
    const data = readData(issues, draft.data, involvedObject)
    if (issues.length > 0) return invalid(issues)

    // A reason is ASCII, so its length is its size in bytes and nothing in it needs escaping.
    const cutReason = reason.length <= LIMITS.reason ? reason : text.cut(reason, LIMITS.reason)
    const done = action ?? data.operation
    const occurrence: Occurrence = {
      at: at ?? Timestamp.now(clock),
      involvedObject,
      reason: cutReason,
      type: type ?? declared ?? "Normal",
      action: done === undefined || done === "" ? cutReason : text.tidy(done, LIMITS.action),
      message: text.tidy(text.withoutLineEnd(message ?? render(reason, data)), LIMITS.message),
      data: dataSize.bound(data),
      source,
      reportingController,
      reportingInstance
    }
    return {
      _tag: "Accepted",
      occurrence:
        readRelated === undefined && readLabels === undefined
          ? occurrence
          : {
              ...occurrence,
              ...(readRelated === undefined ? undefined : { related: readRelated }),
              ...(readLabels === undefined ? undefined : { labels: readLabels })
            }
    }
  }
}

const invalid = (issues: ReadonlyArray<Issue>): Prepared => ({ _tag: "Invalid", error: new InvalidEvent({ issues }) })

const issue = (issues: Array<Issue>, field: string, found: unknown, expected: string): void => {
  issues.push({ field, found: text.show(found), expected })
}

/** A reference as it was given, apart from its version, and read; and others of the same name. */
interface Known {
  readonly kind: string
  readonly namespace: string | undefined
  readonly uid: string | undefined
  readonly apiVersion: string | undefined
  readonly read: ObjectReference
  readonly other: Known | undefined
}

/** Number of names whose references are kept, and of references of one name: objects of several namespaces or kinds. */
const NAMES_KEPT = 8_192
const KEPT_OF_A_NAME = 8

/**
 * Reads references, with a cache: most events are about objects that others were about, so a reference that was read before is
 * neither validated nor stored again.
 */
const referenceReader = (
  apiVersionOf: (kind: string) => string | undefined
): ((issues: Array<Issue>, field: string, given: ObjectReference) => ObjectReference) => {
  const cache = new BoundedCache<string, Known>(NAMES_KEPT)
  return (issues, field, given) => {
    const ofName = cache.get(given?.name)
    for (let known = ofName; known !== undefined; known = known.other) {
      if (!isSame(known, given)) continue
      // A catalogue may declare the kind later, so its version is looked up each time.
      const apiVersion = given.apiVersion === undefined ? apiVersionOf(given.kind) : given.apiVersion
      if (apiVersion === known.apiVersion) return known.read
    }
    const earlier = issues.length
    const read = readReference(issues, field, given, apiVersionOf)
    // A fieldPath is rare and of any length, so such references are not cached.
    if (issues.length === earlier && given.fieldPath === undefined) {
      const { kind, name, namespace, uid } = given
      const { apiVersion } = Object.freeze(read)
      cache.set(name, { kind, namespace, uid, apiVersion, read, other: shorter(ofName, KEPT_OF_A_NAME - 1) })
    }
    return read
  }
}

const shorter = (known: Known | undefined, length: number): Known | undefined =>
  known === undefined || length === 0 ? undefined : { ...known, other: shorter(known.other, length - 1) }

const isSame = (before: Known, given: ObjectReference): boolean =>
  before.kind === given.kind &&
  before.namespace === given.namespace &&
  before.uid === given.uid &&
  given.fieldPath === undefined

/** The name and the namespace of an object of Kubernetes, which was given in the place of a reference to it. */
const metadataOf = (given: object): { readonly name: string; readonly namespace?: string } | undefined => {
  if (!("metadata" in given) || typeof given.metadata !== "object" || given.metadata === null) return undefined
  const { name, namespace } = given.metadata as { readonly name?: unknown; readonly namespace?: unknown }
  if (typeof name !== "string") return undefined
  return typeof namespace === "string" && namespace !== "" ? { name, namespace } : { name }
}

const readReference = (
  issues: Array<Issue>,
  field: string,
  given: ObjectReference,
  apiVersionOf: (kind: string) => string | undefined
): ObjectReference => {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    issue(issues, field, given, "an object with kind and name")
    return { kind: "", name: "" }
  }
  const { fieldPath, kind, name, namespace, uid } = given
  if (typeof kind !== "string" || !names.isKind(kind)) issue(issues, `${field}.kind`, kind, "a kind such as Workflow")
  const metadata = name === undefined ? metadataOf(given) : undefined
  if (metadata !== undefined) {
    const meant = { kind: typeof kind === "string" ? kind : "Workflow", ...metadata }
    issue(
      issues,
      `${field}.metadata`,
      metadata,
      `name and namespace beside kind, as a reference has them: ${text.showFields(meant)}`
    )
  } else if (typeof name !== "string" || !names.isName(name)) {
    issue(
      issues,
      `${field}.name`,
      name,
      `the name of an object: 1 to ${LIMITS.name} bytes on one line, without a space or / at either end`
    )
  }
  const hasNamespace = namespace !== undefined && namespace !== ""
  if (hasNamespace && (typeof namespace !== "string" || !names.isNamespace(namespace))) {
    issue(issues, `${field}.namespace`, namespace, "a namespace: 1 to 63 lower-case letters, digits and -")
  }
  const hasUid = uid !== undefined && uid !== ""
  if (hasUid && (typeof uid !== "string" || !names.isUid(uid))) {
    issue(issues, `${field}.uid`, uid, "the uid of the object, or none")
  }
  if (fieldPath !== undefined && typeof fieldPath !== "string") issue(issues, `${field}.fieldPath`, fieldPath, "a text")
  const apiVersion = given.apiVersion === undefined || given.apiVersion === "" ? apiVersionOf(kind) : given.apiVersion
  if (apiVersion !== undefined && (typeof apiVersion !== "string" || !names.isApiVersion(apiVersion))) {
    issue(issues, `${field}.apiVersion`, apiVersion, "a version such as v1 or apps/v1")
  }
  const read: { -readonly [K in keyof ObjectReference]: ObjectReference[K] } = { kind, name }
  if (apiVersion !== undefined) read.apiVersion = apiVersion
  if (hasNamespace) read.namespace = namespace
  if (hasUid) read.uid = uid
  if (typeof fieldPath === "string" && fieldPath !== "") read.fieldPath = text.tidy(fieldPath, LIMITS.message)
  return read
}

/** Copies labels without those that are `undefined`, which callers write for a label that an event does not have. */
const copyLabels = (issues: Array<Issue>, labels: Readonly<Record<string, string>>): Record<string, string> => {
  const copy: Record<string, string> = {}
  if (typeof labels !== "object" || labels === null || Array.isArray(labels)) {
    issue(issues, "labels", labels, "an object of texts")
    return copy
  }
  for (const key of Object.keys(labels)) {
    const value = labels[key]
    if (value === undefined) continue
    if (!names.isQualifiedName(key)) {
      issue(issues, "labels", key, "label keys such as team or example.com/team: letters, digits, - _ .")
    }
    if (typeof value !== "string" || !names.isLabelValue(value)) {
      issue(
        issues,
        `labels.${text.tidy(key, LIMITS.name)}`,
        value,
        "at most 63 letters, digits, - _ . with a letter or digit at both ends"
      )
    }
    copy[key] = value
  }
  return copy
}

/**
 * Checks the options that every event of a recorder carries.
 *
 * @internal
 */
export const checkReporter = (reportingController: unknown, reportingInstance: unknown): ReadonlyArray<Issue> => {
  const issues: Array<Issue> = []
  if (typeof reportingController !== "string" || !names.isQualifiedName(reportingController)) {
    issue(
      issues,
      "reportingController",
      reportingController,
      "a qualified name such as example.com/workflow-controller"
    )
  }
  const size = typeof reportingInstance === "string" ? text.byteLength(reportingInstance) : 0
  if (size === 0 || size > LIMITS.reportingInstance) {
    issue(issues, "reportingInstance", reportingInstance, `1 to ${LIMITS.reportingInstance} bytes`)
  }
  return issues
}

const readData = (
  issues: Array<Issue>,
  given: EventDataInput | undefined,
  involvedObject: ObjectReference
): EventData => {
  const { name, namespace } = involvedObject
  const data: Record<string, Json> = namespace === undefined ? { name } : { name, namespace }
  if (given === undefined) return data
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    issue(issues, "data", given, "an object with the fields of event data")
    return data
  }
  for (const key in given) {
    const value = given[key]
    if (value === undefined) continue
    switch (key) {
      case "name":
        if (value !== name) {
          issue(issues, "data.name", value, `the name of the involved object, ${text.show(name)}, or none`)
        }
        break
      case "namespace":
        if (value !== (namespace ?? "")) {
          issue(
            issues,
            "data.namespace",
            value,
            `the namespace of the involved object, ${text.show(namespace ?? "")}, or none`
          )
        }
        break
      case "operation":
      case "serviceClass":
      case "error":
      case "stepId":
      case "stepTool":
      case "conditionResult":
      case "executionId":
        // A store that keeps UTF-8 would change a lone surrogate.
        if (typeof value === "string") data[key] = value.toWellFormed()
        else issue(issues, `data.${key}`, value, "a text")
        break
      case "stepCount":
        if (Number.isSafeInteger(value)) data[key] = (value as number) + 0
        else issue(issues, "data.stepCount", value, "a whole number")
        break
      case "allowFailure":
        if (typeof value === "boolean") data[key] = value
        else issue(issues, "data.allowFailure", value, "true or false")
        break
      case "toolNames":
        if (isTexts(value)) data[key] = value.map((one) => one.toWellFormed())
        else issue(issues, "data.toolNames", value, "a list of texts")
        break
      case "duration": {
        const nanoseconds = readDuration(value)
        if (nanoseconds === undefined) issue(issues, "data.duration", value, EXPECTED_DURATION)
        else data[key] = nanoseconds
        break
      }
      case "arguments":
        if (typeof value === "object" && value !== null && !Array.isArray(value)) {
          data[key] = json.read(issues, "data.arguments", value) ?? {}
        } else issue(issues, "data.arguments", value, "an object of JSON values")
        break
      default: {
        const read = json.read(issues, `data.${key}`, value)
        if (read !== undefined) json.setField(data, key, read)
      }
    }
  }
  return data
}

/** @internal */
export const isTexts = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((one) => typeof one === "string")

/**
 * What a valid duration is, for error messages.
 *
 * @internal
 */
export const EXPECTED_DURATION = `a finite duration such as "1m30.5s", "90 seconds" or Duration.seconds(90)`

/**
 * Whole nanoseconds of any duration of at most 292 years (64 bits, as in Go); exact up to 104 days (2^53 nanoseconds).
 *
 * @internal
 */
export const readDuration = (value: unknown): number | undefined => {
  if (typeof value === "string") {
    const nanoseconds = readWords(value) ?? GoDuration.read(value)
    if (nanoseconds !== undefined) return Number(nanoseconds)
  }
  if (!isDurationInput(value)) return undefined
  const duration = Duration.fromInput(value)
  if (Option.isNone(duration)) return undefined
  const nanoseconds = Duration.toNanos(duration.value)
  if (Option.isNone(nanoseconds)) return undefined
  const whole = Number(nanoseconds.value)
  return Math.abs(whole) <= 2 ** 63 ? whole : undefined
}

const NANOSECONDS: ReadonlyMap<string, number> = new Map(
  (
    [
      ["nano", 1],
      ["micro", 1e3],
      ["milli", 1e6],
      ["second", 1e9],
      ["minute", 60e9],
      ["hour", 3_600e9],
      ["day", 86_400e9],
      ["week", 604_800e9]
    ] as const
  ).flatMap(([unit, size]) => [[unit, size] as const, [`${unit}s`, size] as const])
)

/**
 * A whole number and a unit, such as `123 millis`, which is how most durations are written; as `Duration.fromInput` reads it, in
 * a tenth of the time. Other texts are left to that.
 */
const readWords = (text: string): number | undefined => {
  const space = text.indexOf(" ")
  if (space < 1 || space > 15) return undefined
  let amount = 0
  for (let index = 0; index < space; index++) {
    const digit = text.charCodeAt(index) - 0x30
    if (digit < 0 || digit > 9) return undefined
    amount = 10 * amount + digit
  }
  const size = NANOSECONDS.get(text.slice(space + 1))
  if (size === undefined) return undefined
  const nanoseconds = amount * size
  return nanoseconds <= Number.MAX_SAFE_INTEGER ? nanoseconds : undefined
}

/**
 * Whether a value is a duration for Effect. NaN and objects without any of its units are excluded, which Effect reads as
 * zero.
 *
 * @internal
 */
export const isDurationInput = (value: unknown): value is Duration.Input =>
  !Number.isNaN(value) && (!isObject(value) || Duration.isDuration(value) || hasUnits(value))

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

const UNITS: ReadonlySet<string> = new Set([
  "weeks",
  "days",
  "hours",
  "minutes",
  "seconds",
  "milliseconds",
  "microseconds",
  "nanoseconds"
])

/** Seconds and nanoseconds as a pair, or an object of units. */
const hasUnits = (value: object): boolean => {
  const entries = Object.entries(value)
  return (
    entries.length > 0 &&
    entries.every(
      ([key, amount]) => (Array.isArray(value) || UNITS.has(key)) && (amount === undefined || Number.isFinite(amount))
    )
  )
}
