/** Field selectors and label selectors. */
import { asText, at, type JsonObject } from "./json.ts"
import { badRequest, refuse as refuseWith } from "./statuses.ts"

/** @internal */
export type Matcher = (object: JsonObject) => boolean

/** Splits at commas that no backslash stands before. */
const splitTerms = (text: string): ReadonlyArray<string> => text.match(/(?:\\.?|[^\\,])+/gs) ?? []

const refuse = (message: string): never => refuseWith(badRequest(message))

const unescapeValue = (text: string): string =>
  text.replace(/\\(.?)|[=,]/gs, (found: string, escaped: string | undefined) => {
    if (escaped === undefined) {
      return refuse(`invalid field selector: unescaped character in value: ${found.charCodeAt(0)}`)
    }
    return /^[\\,=]$/.test(escaped) ? escaped : refuse(`invalid field selector: invalid escape sequence: \\${escaped}`)
  })

/** @internal */
export interface FieldSelector {
  readonly matches: Matcher
  /** The one namespace that can match, if the selector says so. */
  readonly namespace: string | undefined
}

/** Throws what the server answers to a selector it does not take. @internal */
export const parseFieldSelector = (
  text: string,
  labels: ReadonlyMap<string, (object: JsonObject) => string>
): FieldSelector | undefined => {
  const terms = splitTerms(text).map((term) => {
    const found = /^(.*?)(!=|==|=)(.*)$/s.exec(term)
    if (found === null) {
      return refuse(`invalid selector: '${term}'; can't understand '${term}'`)
    }
    const [, label = "", operator, value = ""] = found
    return { label, isEqual: operator !== "!=", value: unescapeValue(value) }
  })
  const tests = terms.map(({ label, isEqual, value }) => {
    const read = labels.get(label)
    if (read === undefined) {
      return refuse(`field label not supported: ${label}`)
    }
    return (object: JsonObject) => (read(object) === value) === isEqual
  })
  if (tests.length === 0) {
    return undefined
  }
  const namespace = terms.find(({ isEqual, label }) => isEqual && label === "metadata.namespace")?.value
  return { matches: (object) => tests.every((test) => test(object)), namespace }
}

/** What every object can be selected by. @internal */
export const metadataLabels: ReadonlyMap<string, (object: JsonObject) => string> = new Map([
  ["metadata.name", (object: JsonObject) => asText(at(object, "metadata", "name"))],
  ["metadata.namespace", (object: JsonObject) => asText(at(object, "metadata", "namespace"))]
])

/** Splits at commas that are not in parentheses. */
const splitRequirements = (text: string): ReadonlyArray<string> =>
  (text.match(/(?:\([^)]*\)?|[^(,])+/g) ?? []).map((part) => part.trim()).filter((part) => part !== "")

/** `=`, `==`, `!=`, `in`, `notin`, presence and absence. @internal */
export const parseLabelSelector = (text: string): Matcher | undefined => {
  const tests = splitRequirements(text).map((part): Matcher => {
    const labelOf = (object: JsonObject, key: string) => at(object, "metadata", "labels", key)
    const set = /^([^\s!=()]+)\s+(in|notin)\s*(.*)$/.exec(part)
    if (set !== null) {
      const [, key = "", operator, rest = ""] = set
      const values = /^\((.*)\)$/
        .exec(rest)?.[1]
        ?.split(",")
        .map((value) => value.trim())
      if (values === undefined) {
        return refuse(`unable to parse requirement: found '${rest}' expected: '('`)
      }
      return (object) => values.includes(asText(labelOf(object, key) ?? "\0")) === (operator === "in")
    }
    const comparison = /^([^\s!=]+)\s*(!=|==|=)\s*(\S*)$/.exec(part)
    if (comparison !== null) {
      const [, key = "", operator, value = ""] = comparison
      return (object) => (labelOf(object, key) === value) === (operator !== "!=")
    }
    const presence = /^(!?)\s*([^\s!=()]+)$/.exec(part)
    if (presence !== null) {
      const [, negation, key = ""] = presence
      return (object) => (labelOf(object, key) !== undefined) === (negation === "")
    }
    return refuse(`unable to parse requirement: found '${part}', expected: identifier`)
  })
  return tests.length === 0 ? undefined : (object) => tests.every((test) => test(object))
}
