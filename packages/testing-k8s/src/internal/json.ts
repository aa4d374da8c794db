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

// Go's encoder escapes these although JSON allows them as they are.
const goEscapes: Readonly<Record<string, string>> = {
  "<": "\\u003c",
  ">": "\\u003e",
  "&": "\\u0026",
  "\u2028": "\\u2028",
  "\u2029": "\\u2029"
}

/** The text that Go's encoder writes. @internal */
export const stringify = (value: Json, indent?: number): string =>
  JSON.stringify(value, undefined, indent).replace(/[<>&\u2028\u2029]/g, (character) => goEscapes[character] ?? "")

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

/** An object with its keys in order, at every depth. @internal */
export const sorted = (value: Json): Json => {
  if (isArray(value)) {
    return value.map(sorted)
  }
  if (isObject(value)) {
    return Object.fromEntries(
      Object.keys(value)
        .sort()
        .map((key) => [key, sorted(value[key] ?? null)])
    )
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

// Keys such as __proto__ are data here.
const set = (target: MutableJsonObject, key: string, value: Json): void => {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
}

/** RFC 7386. @internal */
export const mergePatch = (target: Json | undefined, patch: Json): Json => {
  if (!isObject(patch)) {
    return patch
  }
  const result: MutableJsonObject = { ...asObject(target) }
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) {
      delete result[key]
    } else {
      set(result, key, mergePatch(Object.hasOwn(result, key) ? result[key] : undefined, value))
    }
  }
  return result
}

const unescapePointer = (token: string): string => token.replaceAll("~1", "/").replaceAll("~0", "~")

const patchAt = (
  target: Json,
  path: ReadonlyArray<string>,
  change: (parent: Json, key: string) => Json | undefined
): Json | undefined => {
  const [key, ...rest] = path
  if (key === undefined) {
    return undefined
  }
  if (rest.length === 0) {
    return change(target, key)
  }
  const child = isArray(target) ? target[Number(key)] : at(target, key)
  if (child === undefined) {
    return undefined
  }
  const changed = patchAt(child, rest, change)
  if (changed === undefined) {
    return undefined
  }
  return isArray(target) ? target.with(Number(key), changed) : { ...asObject(target), [key]: changed }
}

/** RFC 6902 without `move` and `copy`; undefined when an operation fails. @internal */
export const jsonPatch = (target: Json, operations: ReadonlyArray<Json>): Json | undefined => {
  let result: Json | undefined = target
  for (const operation of operations) {
    if (result === undefined || !isObject(operation)) {
      return undefined
    }
    const path = asText(operation["path"]).split("/").slice(1).map(unescapePointer)
    const value = operation["value"] ?? null
    result = patchAt(result, path, (parent, key) => {
      const current = isArray(parent) ? parent[Number(key)] : at(parent, key)
      switch (operation["op"]) {
        case "test":
          return equals(current, value) ? parent : undefined
        case "add":
          if (isArray(parent)) {
            return parent.toSpliced(key === "-" ? parent.length : Number(key), 0, value)
          }
          return isObject(parent) ? { ...parent, [key]: value } : undefined
        case "replace":
          if (current === undefined) {
            return undefined
          }
          return isArray(parent) ? parent.with(Number(key), value) : { ...asObject(parent), [key]: value }
        case "remove": {
          if (current === undefined) {
            return undefined
          }
          if (isArray(parent)) {
            return parent.toSpliced(Number(key), 1)
          }
          const { [key]: _removed, ...rest } = asObject(parent)
          return rest
        }
        default:
          return undefined
      }
    })
  }
  return result
}
