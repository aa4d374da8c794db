/** Patches of JSON: RFC 7386 and RFC 6902. */
import { asObject, asText, at, equals, isArray, isObject, type Json, type MutableJsonObject } from "./json.ts"

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
