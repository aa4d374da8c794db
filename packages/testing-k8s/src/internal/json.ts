/** JSON as an API server reads and writes it. */

/** @internal */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | JsonObject

/** @internal */
export interface JsonObject {
  readonly [key: string]: Json
}

/** @internal */
export type MutableJsonObject = { [key: string]: Json }

/** @internal */
export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** @internal */
export const isArray = (value: Json | undefined): value is ReadonlyArray<Json> => Array.isArray(value)

/** @internal */
export const asText = (value: Json | undefined): string => (typeof value === "string" ? value : "")

/** @internal */
export const asObject = (value: Json | undefined): JsonObject => (isObject(value) ? value : {})

/** The member at a path, if every step leads through an object. @internal */
export const at = (value: Json | undefined, ...path: ReadonlyArray<string>): Json | undefined => {
  let current = value
  for (const key of path) {
    if (!isObject(current) || !Object.hasOwn(current, key)) {
      return undefined
    }
    current = current[key]
  }
  return current
}

/** Parses a text; lone surrogates become U+FFFD, as Go's decoder makes them. @internal */
export const parse = (text: string): Json => {
  const parsed: Json = JSON.parse(text)
  return text.includes("\\u") ? wellFormed(parsed) : parsed
}

const wellFormed = (value: Json): Json => {
  if (typeof value === "string") {
    return value.toWellFormed()
  }
  if (isArray(value)) {
    return value.map(wellFormed)
  }
  if (isObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key.toWellFormed(), wellFormed(member)]))
  }
  return value
}

/** Whether two values are the same, whatever the order of keys. @internal */
export const equals = (left: Json | undefined, right: Json | undefined): boolean => {
  if (left === right) {
    return true
  }
  if (isArray(left) && isArray(right)) {
    return left.length === right.length && left.every((value, index) => equals(value, right[index]))
  }
  if (isObject(left) && isObject(right)) {
    const keys = Object.keys(left)
    return (
      keys.length === Object.keys(right).length &&
      keys.every((key) => Object.hasOwn(right, key) && equals(left[key], right[key]))
    )
  }
  return false
}

/** The name of a stored object. @internal */
export const nameOf = (object: JsonObject): string => asText(at(object, "metadata", "name"))
