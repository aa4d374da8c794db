/**
 * The methods of a catalogue: each makes an event of an object, a reason and data, and passes it to the recorder.
 *
 * Everything that depends only on the definition is computed once, when the layer is built. A valid call allocates only the
 * draft of its event.
 *
 * @internal
 */
import * as Suggestion from "@tidings/templates/Suggestion"
import * as Effect from "effect/Effect"
import type { CallOptions, Kind, Kinds } from "../Catalogue.ts"
import type { EventDataInput } from "../EventData.ts"
import { InvalidEvent, type Issue } from "../InvalidEvent.ts"
import type { ObjectInput, ObjectReference } from "../ObjectReference.ts"
import type { Recorded, RecordError, Recorder } from "../Delivery.ts"
import type { Templates } from "../Templates.ts"
import * as Timestamp from "../Timestamp.ts"
import * as acceptance from "./acceptance.ts"
import * as declaredFields from "./declaredFields.ts"
import * as names from "./names.ts"
import * as text from "./text.ts"

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

type Record = (
  object: ObjectInput,
  reason: string,
  data?: EventDataInput,
  options?: CallOptions
) => Effect.Effect<Recorded, RecordError>

/**
 * The methods of a catalogue, by name.
 *
 * @internal
 */
export const make = (
  kinds: Kinds,
  recorder: Recorder["Service"],
  templates: Templates["Service"]
): { readonly [name: string]: unknown } => {
  const ofKind = new Map<string, Record>()
  const ofReason = new Map<string, Record>()
  const methods: { [name: string]: unknown } = {}

  for (const [kind, definition] of Object.entries(kinds)) {
    const record = readable(makeRecord(kind, definition, recorder, templates))
    methods[names.methodName(kind)] = record
    ofKind.set(kind, record)
    for (const reason of Object.keys(definition.reasons)) ofReason.set(reason, record)
  }

  methods["emit"] = (...call: Parameters<Record>) => {
    const record = ofReason.get(call[1])
    return record === undefined
      ? refuse([unknownName("reason", call[1], "the reasons of the catalogue", ofReason.keys())])
      : record(...call)
  }

  methods["crdEvent"] = (
    kind: string,
    name: string,
    namespace: string | undefined,
    reason: string,
    data?: EventDataInput,
    options?: CallOptions
  ) => {
    const record = ofKind.get(kind)
    return record === undefined
      ? refuse([unknownName("kind", kind, "the kinds of the catalogue", ofKind.keys())])
      : record({ metadata: { name, namespace } }, reason, data, options)
  }

  return methods
}

/** A getter or a proxy of the caller may throw, which is reported as an `InvalidEvent`. */
const readable =
  (record: Record): Record =>
  (object, reason, data, options) => {
    try {
      return record(object, reason, data, options)
    } catch (thrown) {
      return refuse([acceptance.unreadable("event", thrown)])
    }
  }

const makeRecord = (
  kind: string,
  definition: Kind,
  recorder: Recorder["Service"],
  templates: Templates["Service"]
): Record => {
  const { apiVersion } = definition
  const needs = new Map(
    Object.keys(definition.reasons).map((reason) => [reason, templates.reason(reason)?.needs ?? []])
  )
  const readData = declaredFields.reader(definition.fields)

  return (object, reason, data, options) => {
    let issues: Array<Issue> | undefined

    const name = object?.metadata?.name
    if (!isGiven(name)) issues = [nameless(object, kind)]
    if (isGiven(object?.kind) && object.kind !== kind) {
      issues = add(issues, "object.kind", object.kind, `${kind}, or none`)
    }
    const needed = needs.get(reason)
    if (needed === undefined) {
      ;(issues ??= []).push(unknownName("reason", reason, `the reasons of ${kind}`, needs.keys()))
    } else if (needed.length > 0) {
      for (const key of needed) if (!has(data, key)) issues = add(issues, `data.${key}`, undefined, neededBy(reason))
    }

    let given = data
    if (readData !== undefined) {
      const read = readData(data)
      given = read.data
      if (read.issues !== undefined) issues = [...(issues ?? []), ...read.issues]
    }

    const at = options?.at === undefined ? undefined : Timestamp.fromInput(options.at)
    if (options?.at !== undefined && at === undefined) {
      issues = add(issues, "options.at", options.at, "a Date, a DateTime or RFC 3339 text such as 2026-03-01T12:00:00Z")
    }
    if (issues !== undefined) return refuse(issues)

    return recorder.record({
      involvedObject: referenceOf(object, name!, kind, apiVersion),
      reason,
      data: given,
      type: options?.type,
      action: options?.action,
      related: options?.related,
      labels: options?.labels,
      at
    })
  }
}

const referenceOf = (object: ObjectInput, name: string, kind: string, apiVersion: string): ObjectReference => {
  const { namespace, uid } = object.metadata!
  const version = isGiven(object.apiVersion) ? object.apiVersion : apiVersion
  const reference: Mutable<ObjectReference> = isGiven(namespace)
    ? { apiVersion: version, kind, name, namespace }
    : { apiVersion: version, kind, name }
  if (isGiven(uid)) reference.uid = uid
  return reference
}

/** What is wrong with an object that has no name where objects have it. */
const nameless = (object: unknown, kind: string): Issue => {
  if (typeof object !== "object" || object === null) {
    return {
      field: "object",
      found: text.show(object),
      expected: `an object with metadata.name, the name of the ${kind}`
    }
  }
  const { metadata, name, namespace } = object as ObjectInput & Partial<ObjectReference>
  if (metadata === undefined && typeof name === "string") {
    const meant = { name, ...(typeof namespace === "string" ? { namespace } : undefined) }
    const expected = `name and namespace in metadata, as an object has them: {"metadata":${text.showFields(meant)}}`
    return { field: "object.name", found: text.show(name), expected }
  }
  return { field: "object.metadata.name", found: text.show(metadata?.name), expected: `the name of the ${kind}` }
}

const has = (data: EventDataInput | undefined, key: string): boolean =>
  typeof data === "object" && data !== null && Object.hasOwn(data, key) && data[key] !== undefined

const neededBy = (reason: string): string => `a value, which the message of ${reason} requires`

/** Kubernetes and its clients use empty texts, `null` and `undefined` for absent values. */
const isGiven = (value: string | null | undefined): value is string =>
  value !== undefined && value !== null && value !== ""

// ---------------------------------------------------------------------------
// refusals
// ---------------------------------------------------------------------------

const refuse = (issues: ReadonlyArray<Issue>): Effect.Effect<never, InvalidEvent> =>
  Effect.fail(new InvalidEvent({ issues }))

const add = (issues: Array<Issue> | undefined, field: string, found: unknown, expected: string): Array<Issue> => {
  const all = issues ?? []
  all.push({ field, found: text.show(found), expected })
  return all
}

const unknownName = (field: string, found: unknown, what: string, known: Iterable<string>): Issue => {
  const meant = typeof found === "string" ? Suggestion.nearest(found, known) : undefined
  return {
    field,
    found: text.show(found),
    expected: meant === undefined ? `one of ${what}` : `one of ${what} (did you mean ${meant}?)`
  }
}
