/**
 * A line of JSON that describes an event, for `emit -`.
 *
 * @internal
 */
import * as Suggestion from "@tidings/templates/Suggestion"
import * as TimeExpression from "@tidings/core/TimeExpression"
import type { Micros } from "@tidings/core/Timestamp"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import type { Catalogue } from "./catalogue.ts"
import * as data from "./data.ts"
import type { Named, Said } from "./drafting.ts"
import type { Reporter } from "./emitting.ts"
import * as flags from "./flags.ts"
import * as kindNames from "./kindNames.ts"
import * as selection from "./selection.ts"

/** What the command line says of all lines; what a line says itself counts more. @internal */
export interface Defaults {
  readonly namespace: string | undefined
  readonly type: Said["type"]
  readonly at: Micros | undefined
  readonly source: string | undefined
  readonly labels: Said["labels"]
  readonly related: Named | undefined
  /** Values of `--data`, which are read as the fields of each kind are declared. */
  readonly data: ReadonlyArray<string>
}

/** @internal */
export interface Line {
  readonly said: Said
  readonly reporter: Reporter
}

/** Ends the reading of a line. */
class Wrong extends Error {}

const wrong = (field: string, found: unknown, expected: string): Wrong => {
  const text = found === undefined ? "missing" : JSON.stringify(found)
  return new Wrong(`${field} is ${text.length > 60 ? `${text.slice(0, 59)}…` : text}, expected ${expected}`)
}

const FIELDS = [
  "involvedObject",
  "reason",
  "message",
  "type",
  "namespace",
  "data",
  "labels",
  "related",
  "at",
  "source",
  "action"
] as const

const REFERENCE_FIELDS = ["kind", "name", "namespace", "apiVersion", "uid", "fieldPath", "resourceVersion"] as const

/** What others call a field. */
const OTHER_NAMES: ReadonlyMap<string, (typeof FIELDS)[number]> = new Map([
  ["object", "involvedObject"],
  ["regarding", "involvedObject"],
  ["note", "message"],
  ["time", "at"],
  ["timestamp", "at"],
  ["lasttimestamp", "at"],
  ["firsttimestamp", "at"],
  ["eventtime", "at"],
  ["component", "source"],
  ["reportingcontroller", "source"]
])

interface Fields {
  readonly [field: string]: unknown
}

const refuseUnknown = (value: Fields, fields: ReadonlyArray<string>, where: string): void => {
  const unknown = Object.keys(value).find((key) => !fields.includes(key))
  if (unknown === undefined) return
  const meant =
    (where === "" ? OTHER_NAMES.get(unknown.toLowerCase()) : undefined) ?? Suggestion.nearest(unknown, fields)
  throw new Wrong(
    `${where}${JSON.stringify(unknown)} is no field of an event` +
      (meant === undefined ? `, which has ${fields.join(", ")}` : `; did you mean ${meant}?`)
  )
}

/** `null` stands for nothing, as in JSON that other programs write. */
const present = (value: unknown): unknown => (value === null ? undefined : value)

const textIn = (value: Fields, field: string, expected: string, where = ""): string | undefined => {
  const found = present(value[field])
  if (found === undefined || typeof found === "string") return found
  throw wrong(`${where}${field}`, found, expected)
}

const referenceIn = (
  given: unknown,
  field: string,
  namespace: string | undefined,
  catalogue: Catalogue
): Named | undefined => {
  const value = present(given)
  if (value === undefined) return undefined
  const example = catalogue.samples.object
  if (typeof value === "string") {
    const read = selection.readObject(value, catalogue)
    if (Result.isFailure(read) || read.success.name === undefined)
      throw wrong(field, value, `KIND/NAME such as ${example}`)
    return { kind: read.success.kind, name: read.success.name, namespace }
  }
  if (!Predicate.isReadonlyObject(value))
    throw wrong(field, value, `KIND/NAME such as ${example}, or an object with kind and name`)
  const where = `${field}.`
  refuseUnknown(value, REFERENCE_FIELDS, where)
  const kindText = textIn(value, "kind", "a text", where)
  const kind = kindText === undefined ? undefined : kindNames.read(kindText, catalogue)
  if (kind === undefined) throw wrong(`${where}kind`, value["kind"], `a kind such as ${catalogue.samples.kind}`)
  const name = textIn(value, "name", "a text", where)
  if (name === undefined || name === "") throw wrong(`${where}name`, value["name"], "the name of the object")
  const apiVersion = textIn(value, "apiVersion", "a version such as v1 or apps/v1", where)
  return {
    kind: apiVersion === undefined || apiVersion === "" ? kind : { ...kind, apiVersion },
    name,
    namespace: textIn(value, "namespace", "a text", where) ?? namespace,
    uid: textIn(value, "uid", "a text", where),
    fieldPath: textIn(value, "fieldPath", "a text", where)
  }
}

const typeIn = (value: Fields): Said["type"] => {
  const found = present(value["type"])
  if (found === undefined) return undefined
  const type = flags.TYPES.find((one) => typeof found === "string" && one.toLowerCase() === found.toLowerCase())
  if (type === undefined) throw wrong("type", found, flags.TYPES.join(" or "))
  return type
}

const timeIn = (value: Fields, now: Micros): Micros | undefined => {
  const found = present(value["at"])
  if (found === undefined) return undefined
  if (typeof found !== "string" && typeof found !== "number")
    throw wrong("at", found, "a time such as 2026-08-22T10:00:00Z")
  const parsed = TimeExpression.parse(String(found), now)
  if (Result.isFailure(parsed)) throw wrong("at", found, parsed.failure)
  return parsed.success
}

const reporterIn = (value: Fields): Reporter => {
  const found = present(value["source"])
  if (found === undefined) return {}
  if (typeof found === "string") {
    if (found === "") throw wrong("source", found, "the name of a component")
    return { component: found }
  }
  if (!Predicate.isReadonlyObject(found))
    throw wrong("source", found, "a component, or an object with component and host")
  refuseUnknown(found, ["component", "host"], "source.")
  return {
    component: textIn(found, "component", "a text", "source."),
    host: textIn(found, "host", "a text", "source.")
  }
}

const labelsIn = (value: Fields, given: Said["labels"]): Said["labels"] => {
  const found = present(value["labels"])
  if (found === undefined) return given
  if (!Predicate.isReadonlyObject(found)) throw wrong("labels", found, 'an object of texts such as {"team":"web"}')
  for (const [key, label] of Object.entries(found)) {
    if (typeof label !== "string") throw wrong(`labels.${key}`, label, "a text")
  }
  return { ...given, ...(found as Readonly<Record<string, string>>) }
}

const orThrow = <A>(result: Result.Result<A, string>): A => {
  if (Result.isFailure(result)) throw new Wrong(result.failure)
  return result.success
}

const readOrThrow = (value: unknown, defaults: Defaults, catalogue: Catalogue, now: Micros): Line => {
  if (!Predicate.isReadonlyObject(value))
    throw new Wrong("it is no JSON object, expected one with involvedObject and reason")
  if ("id" in value && "lastTimestamp" in value) {
    throw new Wrong("it is an event that is stored already, which import stores again under its id")
  }
  refuseUnknown(value, FIELDS, "")
  const namespace = textIn(value, "namespace", "a text") ?? defaults.namespace
  const object = referenceIn(value["involvedObject"], "involvedObject", namespace, catalogue)
  if (object === undefined) throw wrong("involvedObject", undefined, `KIND/NAME such as ${catalogue.samples.object}`)
  const reason = textIn(value, "reason", "a word such as Started")
  if (reason === undefined) throw wrong("reason", undefined, `a word such as ${catalogue.samples.reason}`)
  const fields = catalogue.fieldsOf(object.kind.kind)
  const ofAll = orThrow(data.fromPairs(defaults.data, fields, "elsewhere"))
  const own = present(value["data"])
  const reporter = reporterIn(value)
  return {
    said: {
      object,
      related: referenceIn(value["related"], "related", namespace, catalogue) ?? defaults.related,
      reason,
      message: textIn(value, "message", "a text"),
      type: typeIn(value) ?? defaults.type,
      action: textIn(value, "action", "a text"),
      data: own === undefined ? ofAll : { ...ofAll, ...orThrow(data.fromJson(own, fields)) },
      labels: labelsIn(value, defaults.labels),
      at: timeIn(value, now) ?? defaults.at
    },
    reporter: { component: reporter.component ?? defaults.source, host: reporter.host }
  }
}

/**
 * Reads what a line has; the failure says what is wrong, where, and what would be right.
 *
 * @internal
 */
export const read = (
  value: unknown,
  defaults: Defaults,
  catalogue: Catalogue,
  now: Micros
): Result.Result<Line, string> => {
  try {
    return Result.succeed(readOrThrow(value, defaults, catalogue, now))
  } catch (thrown) {
    if (thrown instanceof Wrong) return Result.fail(thrown.message)
    throw thrown
  }
}
