/**
 * Reads JSON that others wrote, field by field: responses of the API server, events of other writers, kubeconfigs.
 *
 * `fieldsOf`, `listOf`, `textOf` and `textsOf` take a value of the wrong type for an absent one. `readFields`,
 * `readList`, `readText`, `readTexts` and `readFlag` throw `Malformed`, which names the field.
 */

/** @internal */
export type Fields = { readonly [key: string]: unknown }

/** @internal */
export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * The fields of an object.
 *
 * @internal
 */
export const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})

/**
 * The objects in a list.
 *
 * @internal
 */
export const listOf = (value: unknown): ReadonlyArray<Fields> => (Array.isArray(value) ? value.filter(isFields) : [])

/**
 * A text that is not empty: Go writes an absent text as `""`, `null` or not at all.
 *
 * @internal
 */
export const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined

/**
 * The texts in a list.
 *
 * @internal
 */
export const textsOf = (value: unknown): ReadonlyArray<string> =>
  Array.isArray(value) ? value.filter((one) => typeof one === "string") : []

/**
 * The value of a JSON text; `undefined` where there is no text or it is not JSON.
 *
 * @internal
 */
export const parse = (text: string | undefined): unknown => {
  if (text === undefined || text === "") return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

// ---------------------------------------------------------------------------
// with errors
// ---------------------------------------------------------------------------

/**
 * What is wrong, and in which field.
 *
 * @internal
 */
export class Malformed extends Error {}

const kindOf = (value: unknown): string =>
  Array.isArray(value) ? "a list" : typeof value === "object" ? "a map" : `a ${typeof value}`

const malformed = (at: string, expected: string, value: unknown): Malformed =>
  new Malformed(`${at} must be ${expected}, and is ${kindOf(value)}`)

/**
 * The fields of the object at `at`; none where it is absent or null.
 *
 * @internal
 */
export const readFields = (value: unknown, at: string): Fields => {
  if (value === undefined || value === null) return {}
  if (!isFields(value)) throw malformed(at, "a map", value)
  return value
}

/** @internal */
export const readList = (value: unknown, at: string): ReadonlyArray<unknown> => {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw malformed(at, "a list", value)
  return value
}

/**
 * The text in a field. Absent and empty are the same, as they are to kubectl.
 *
 * @internal
 */
export const readText = (from: Fields, key: string, at: string): string | undefined => {
  const value = from[key]
  if (value === undefined || value === null || value === "") return undefined
  if (typeof value !== "string") throw malformed(`${at}.${key}`, "text in quotes", value)
  return value
}

/** @internal */
export const readTexts = (from: Fields, key: string, at: string): ReadonlyArray<string> =>
  readList(from[key], `${at}.${key}`).map((value, index) => {
    if (value === null) return ""
    if (typeof value !== "string") throw malformed(`${at}.${key}[${index}]`, "text in quotes", value)
    return value
  })

/** @internal */
export const readFlag = (from: Fields, key: string, at: string): boolean => {
  const value = from[key]
  if (value === undefined || value === null) return false
  if (typeof value !== "boolean") throw malformed(`${at}.${key}`, "true or false", value)
  return value
}
