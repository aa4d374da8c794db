import * as GoDuration from "@tidings/templates/GoDuration"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { EventBody, EventSource, EventType } from "../Event.ts"
import type { EventData, EventDataInput, Json } from "../EventData.ts"
import { InvalidEvent, type Issue } from "../InvalidEvent.ts"
import type { ObjectReference } from "../ObjectReference.ts"
import type { EventDraft } from "../Recorder.ts"
import type { Transform } from "../Transform.ts"
import { remember } from "./remember.ts"
import * as text from "./text.ts"

/**
 * Limits of Kubernetes' Events in UTF-8 bytes: `reason`, `action` and `reportingInstance` 128, `note` (which is the
 * message) 1024.
 *
 * @internal
 */
export const LIMITS = { reason: 128, action: 128, reportingInstance: 128, message: 1_024, name: 253 } as const

const MAXIMUM_DEPTH = 32

/** @internal */
export type Prepared =
  | { readonly _tag: "Body"; readonly body: EventBody }
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
}

const matching = (pattern: RegExp) => (text: string) => pattern.test(text)

const isReason = remember(matching(/^[A-Za-z](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/))
const isKind = remember(matching(/^[A-Za-z][A-Za-z0-9]*$/))
const isApiVersion = remember(matching(/^(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/))
// What the API server asks of every name at least: one segment of a path.
// oxlint-disable-next-line no-control-regex
const NAME = /^(?!\.{1,2}$)[^\u0000-\u0020\u007f-\u00a0/%]+$/
const isNamespace = remember(matching(/^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/))
const LABEL_KEY =
  /^(?:[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/
const QUALIFIED_NAME = LABEL_KEY

/**
 * Works out an event at acceptance: transforms, checks, rendering, escaping, cutting.
 *
 * @internal
 */
export const make = (options: Options): ((draft: EventDraft) => Prepared) => {
  const { apiVersionOf, render, reportingController, reportingInstance, source, transforms, typeOf } = options
  return (given) => {
    let draft = given
    for (const transform of transforms) {
      let transformed: EventDraft | undefined
      try {
        transformed = transform.apply(draft)
      } catch (cause) {
        return invalid([
          {
            field: `transform ${transform.name}`,
            found: text.show(String(cause)),
            expected: "a function that never throws"
          }
        ])
      }
      if (transformed === undefined) return { _tag: "Filtered", by: transform.name }
      draft = transformed
    }

    const issues: Array<Issue> = []
    const { labels, reason, type } = draft
    if (typeof reason !== "string" || !isReason(reason)) {
      issue(issues, "reason", reason, "a word that begins with a letter, such as Started: letters, digits, - _ .")
    }
    if (type !== undefined && type !== "Normal" && type !== "Warning") issue(issues, "type", type, "Normal or Warning")
    const involvedObject = reference(issues, "involvedObject", draft.involvedObject, apiVersionOf)
    const related = draft.related === undefined ? undefined : reference(issues, "related", draft.related, apiVersionOf)
    if (labels !== undefined) checkLabels(issues, labels)
    if (draft.message !== undefined && typeof draft.message !== "string") {
      issue(issues, "message", draft.message, "a text")
    }
    if (draft.action !== undefined && (typeof draft.action !== "string" || draft.action === "")) {
      issue(issues, "action", draft.action, "a text that is not empty")
    }
    const data = readData(issues, draft.data, involvedObject)
    if (issues.length > 0) return invalid(issues)

    const message = draft.message ?? render(reason, data)
    const action = draft.action ?? (data.operation === undefined || data.operation === "" ? reason : data.operation)
    const body: EventBody = {
      involvedObject,
      reason: text.cut(reason, LIMITS.reason),
      type: type ?? typeOf(reason) ?? "Normal",
      action: text.cut(text.escapeControl(action), LIMITS.action),
      message: text.cut(text.escapeControl(message), LIMITS.message),
      data,
      source,
      reportingController,
      reportingInstance
    }
    return {
      _tag: "Body",
      body:
        related === undefined && labels === undefined
          ? body
          : {
              ...body,
              ...(related === undefined ? undefined : { related }),
              ...(labels === undefined ? undefined : { labels: { ...labels } })
            }
    }
  }
}

const invalid = (issues: ReadonlyArray<Issue>): Prepared => ({ _tag: "Invalid", error: new InvalidEvent({ issues }) })

const issue = (issues: Array<Issue>, field: string, found: unknown, expected: string): void => {
  issues.push({ field, found: text.show(found), expected })
}

const reference = (
  issues: Array<Issue>,
  field: string,
  given: ObjectReference,
  apiVersionOf: (kind: string) => string | undefined
): ObjectReference => {
  if (typeof given !== "object" || given === null) {
    issue(issues, field, given, "an object with kind and name")
    return { kind: "", name: "" }
  }
  const { fieldPath, kind, name, namespace, uid } = given
  if (typeof kind !== "string" || !isKind(kind)) issue(issues, `${field}.kind`, kind, "a kind such as Workflow")
  if (
    typeof name !== "string" ||
    !NAME.test(name) ||
    (name.length * 3 > LIMITS.name && text.byteLength(name) > LIMITS.name)
  ) {
    issue(issues, `${field}.name`, name, `the name of an object: 1 to ${LIMITS.name} bytes without / % and blanks`)
  }
  const hasNamespace = namespace !== undefined && namespace !== ""
  if (hasNamespace && (typeof namespace !== "string" || !isNamespace(namespace))) {
    issue(issues, `${field}.namespace`, namespace, "a namespace: 1 to 63 lower-case letters, digits and -")
  }
  if (uid !== undefined && uid !== "" && (typeof uid !== "string" || !NAME.test(uid) || uid.length > 128)) {
    issue(issues, `${field}.uid`, uid, "the uid of the object, or none")
  }
  if (fieldPath !== undefined && typeof fieldPath !== "string") issue(issues, `${field}.fieldPath`, fieldPath, "a text")
  const apiVersion = given.apiVersion === undefined || given.apiVersion === "" ? apiVersionOf(kind) : given.apiVersion
  if (apiVersion !== undefined && (typeof apiVersion !== "string" || !isApiVersion(apiVersion))) {
    issue(issues, `${field}.apiVersion`, apiVersion, "a version such as v1 or apps/v1")
  }
  const read: { -readonly [K in keyof ObjectReference]: ObjectReference[K] } = { kind, name }
  if (apiVersion !== undefined) read.apiVersion = apiVersion
  if (hasNamespace) read.namespace = namespace
  if (uid !== undefined && uid !== "") read.uid = uid
  if (fieldPath !== undefined && fieldPath !== "") read.fieldPath = text.escapeControl(fieldPath)
  return read
}

const checkLabels = (issues: Array<Issue>, labels: Readonly<Record<string, string>>): void => {
  for (const [key, value] of Object.entries(labels)) {
    if (!LABEL_KEY.test(key)) {
      issue(issues, "labels", key, "label keys such as team or example.com/team: letters, digits, - _ .")
    }
    if (typeof value !== "string" || !LABEL_VALUE.test(value)) {
      issue(issues, `labels.${key}`, value, "at most 63 letters, digits, - _ . with a letter or digit at both ends")
    }
  }
}

/**
 * Checks the options that every event of a recorder carries.
 *
 * @internal
 */
export const checkReporter = (reportingController: string, reportingInstance: string): ReadonlyArray<Issue> => {
  const issues: Array<Issue> = []
  if (!QUALIFIED_NAME.test(reportingController)) {
    issue(
      issues,
      "reportingController",
      reportingController,
      "a qualified name such as example.com/workflow-controller"
    )
  }
  if (reportingInstance === "" || text.byteLength(reportingInstance) > LIMITS.reportingInstance) {
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
        if (value !== name)
          issue(issues, "data.name", value, `the name of the involved object, ${text.show(name)}, or none`)
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
        if (typeof value === "string") data[key] = value
        else issue(issues, `data.${key}`, value, "a text")
        break
      case "stepCount":
        if (Number.isSafeInteger(value)) data[key] = value as number
        else issue(issues, "data.stepCount", value, "a whole number")
        break
      case "allowFailure":
        if (typeof value === "boolean") data[key] = value
        else issue(issues, "data.allowFailure", value, "true or false")
        break
      case "toolNames":
        if (Array.isArray(value) && value.every((one) => typeof one === "string"))
          data[key] = [...(value as Array<string>)]
        else issue(issues, "data.toolNames", value, "a list of texts")
        break
      case "duration": {
        const nanoseconds = readDuration(value)
        if (nanoseconds === undefined) {
          issue(
            issues,
            "data.duration",
            value,
            `a finite duration such as "1m30.5s", "90 seconds" or Duration.seconds(90)`
          )
        } else data[key] = nanoseconds
        break
      }
      case "arguments":
        if (typeof value === "object" && value !== null && !Array.isArray(value)) {
          data[key] = readJson(issues, "data.arguments", value, 0) ?? {}
        } else issue(issues, "data.arguments", value, "an object of JSON values")
        break
      default: {
        const json = readJson(issues, `data.${key}`, value, 0)
        // A plain assignment to __proto__ would set the prototype instead of the field.
        if (json !== undefined)
          Object.defineProperty(data, key, { value: json, enumerable: true, configurable: true, writable: true })
      }
    }
  }
  return data
}

/**
 * Nanoseconds of anything that is a finite duration.
 *
 * @internal
 */
export const readDuration = (value: unknown): number | undefined => {
  if (typeof value === "string") {
    const parsed = GoDuration.parse(value)
    if (Result.isSuccess(parsed)) return safe(Number(parsed.success))
  }
  const duration = Duration.fromInput(value as Duration.Input)
  if (Option.isNone(duration)) return undefined
  const nanoseconds = Duration.toNanos(duration.value)
  return Option.isNone(nanoseconds) ? undefined : safe(Number(nanoseconds.value))
}

const safe = (nanoseconds: number): number | undefined => (Number.isSafeInteger(nanoseconds) ? nanoseconds : undefined)

/** A copy that is JSON and nothing else, so that no later change of the caller's object reaches the event. */
const readJson = (issues: Array<Issue>, field: string, value: unknown, depth: number): Json | undefined => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value
    case "number":
      if (Number.isFinite(value)) return value
      break
    case "object": {
      if (value === null) return null
      if (depth >= MAXIMUM_DEPTH) {
        issues.push({ field, found: "nested deeper", expected: `at most ${MAXIMUM_DEPTH} levels, and no cycles` })
        return undefined
      }
      if (Array.isArray(value)) {
        const list: Array<Json> = []
        for (let index = 0; index < value.length; index++) {
          list.push(readJson(issues, `${field}[${index}]`, value[index] ?? null, depth + 1) ?? null)
        }
        return list
      }
      const prototype: unknown = Object.getPrototypeOf(value)
      if (prototype === null || prototype === Object.prototype) {
        const record: Record<string, Json> = {}
        for (const [key, member] of Object.entries(value)) {
          if (member === undefined) continue
          const json = readJson(issues, `${field}.${key}`, member, depth + 1)
          if (json === undefined) continue
          if (key === "__proto__")
            Object.defineProperty(record, key, { value: json, enumerable: true, configurable: true, writable: true })
          else record[key] = json
        }
        return record
      }
    }
  }
  issue(issues, field, value, "JSON: text, finite number, true, false, null, list or plain object")
  return undefined
}
