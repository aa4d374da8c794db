/**
 * Reads JSON values of callers, with limits for depth and number of values, so that a value that contains itself, or shares
 * its parts many times, is refused at little cost.
 *
 * @internal
 */
import type { Json } from "../EventData.ts"
import type { Issue } from "../InvalidEvent.ts"
import * as text from "./text.ts"

/** @internal */
export const MAXIMUM_DEPTH = 32

/** @internal */
export const MAXIMUM_VALUES = 65_536

const MAXIMUM_ISSUES = 10

const MAXIMUM_PATH = 200

/**
 * A plain object: a literal, a result of `JSON.parse`, or one without a prototype.
 *
 * @internal
 */
export const isPlain = (value: object): value is { readonly [key: string]: unknown } => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/**
 * Sets a field of any name: an assignment to `__proto__` would set the prototype instead.
 *
 * @internal
 */
export const setField = (record: Record<string, unknown>, key: string, value: unknown): void => {
  if (key === "__proto__") {
    Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true })
  } else record[key] = value
}

/**
 * The same value as `Json`, for values of this package that have only plain objects, lists, texts and numbers: the compiler
 * does not accept an interface as `Json`.
 *
 * @internal
 */
export const ofPlain = (value: object): Json => value as Json

const INVALID = Symbol("not JSON")

interface Budget {
  left: number
}

/**
 * A copy of a value that is JSON, so that later changes of the caller's object do not change the event. Where it is not
 * JSON: `undefined`, and the issues are added to `issues`.
 *
 * @internal
 */
export const read = (issues: Array<Issue>, field: string, value: unknown): Json | undefined => {
  const copied = copy(value, 0, { left: MAXIMUM_VALUES })
  if (copied !== INVALID) return copied
  // The path is computed only for an issue.
  const before = issues.length
  explain(issues, field, value, 0, { left: MAXIMUM_VALUES }, before + MAXIMUM_ISSUES)
  if (issues.length === before) {
    issues.push({ field, found: "larger", expected: `at most ${MAXIMUM_VALUES} values, and no cycles` })
  }
  return undefined
}

/**
 * The value that a text says in JSON; `undefined` where it is not JSON.
 *
 * @internal
 */
export const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const copy = (value: unknown, depth: number, budget: Budget): Json | typeof INVALID => {
  if (budget.left-- <= 0) return INVALID
  switch (typeof value) {
    case "string":
      // A store that keeps UTF-8 would change a lone surrogate.
      return value.toWellFormed()
    case "boolean":
      return value
    case "number":
      // JSON has no -0.
      return Number.isFinite(value) ? value + 0 : INVALID
    case "object": {
      if (value === null) return null
      if (depth >= MAXIMUM_DEPTH) return INVALID
      if (Array.isArray(value)) {
        const list: Array<Json> = []
        for (let index = 0; index < value.length; index++) {
          const member = copy(value[index] ?? null, depth + 1, budget)
          if (member === INVALID) return INVALID
          list.push(member)
        }
        return list
      }
      if (!isPlain(value)) return INVALID
      const record: Record<string, Json> = {}
      for (const key of Object.keys(value)) {
        const given = value[key]
        if (given === undefined) continue
        const member = copy(given, depth + 1, budget)
        if (member === INVALID) return INVALID
        setField(record, key.toWellFormed(), member)
      }
      return record
    }
    default:
      return INVALID
  }
}

const explain = (
  issues: Array<Issue>,
  field: string,
  value: unknown,
  depth: number,
  budget: Budget,
  most: number
): void => {
  if (budget.left-- <= 0 || issues.length >= most) return
  if (typeof value === "object" && value !== null && (Array.isArray(value) || isPlain(value))) {
    if (depth >= MAXIMUM_DEPTH) {
      issues.push({ field, found: "nested deeper", expected: `at most ${MAXIMUM_DEPTH} levels, and no cycles` })
      return
    }
    const isList = Array.isArray(value)
    for (const key of Object.keys(value)) {
      const member = (value as { readonly [key: string]: unknown })[key]
      if (member === undefined) continue
      explain(issues, isList ? `${field}[${key}]` : `${field}.${key}`, member, depth + 1, budget, most)
      if (budget.left <= 0 || issues.length >= most) return
    }
    return
  }
  if (value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value)) return
  issues.push({
    field: text.tidy(field, MAXIMUM_PATH),
    found: text.show(value),
    expected: "JSON: text, finite number, true, false, null, list or plain object"
  })
}
