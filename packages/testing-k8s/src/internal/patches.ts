/** Patches of JSON: RFC 7386 and RFC 6902. */
import {
  asObject,
  asText,
  at,
  equals,
  isArray,
  isObject,
  type Json,
  type JsonObject,
  type MutableJsonObject
} from "./json.ts"

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

const withMember = (target: Json, key: string, value: Json): Json =>
  isArray(target) ? target.with(Number(key), value) : { ...asObject(target), [key]: value }

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
  const changed = child === undefined ? undefined : patchAt(child, rest, change)
  return changed === undefined ? undefined : withMember(target, key, changed)
}

/** What becomes of the value that an operation is about; undefined when the operation fails. */
const operate = (operation: JsonObject, parent: Json, key: string): Json | undefined => {
  const value = operation["value"] ?? null
  const current = isArray(parent) ? parent[Number(key)] : at(parent, key)
  const op = operation["op"]
  if (op === "test") {
    return equals(current, value) ? parent : undefined
  }
  if (op === "add" && isArray(parent)) {
    return parent.toSpliced(key === "-" ? parent.length : Number(key), 0, value)
  }
  if (op === "add" ? !isObject(parent) : current === undefined) {
    return undefined
  }
  if (op === "add" || op === "replace") {
    return withMember(parent, key, value)
  }
  if (op !== "remove") {
    return undefined
  }
  const { [key]: _removed, ...rest } = asObject(parent)
  return isArray(parent) ? parent.toSpliced(Number(key), 1) : rest
}

/** RFC 6902 without `move` and `copy`; undefined when an operation fails. @internal */
export const jsonPatch = (target: Json, operations: ReadonlyArray<Json>): Json | undefined =>
  operations.reduce<Json | undefined>(
    (result, operation) =>
      result === undefined || !isObject(operation)
        ? undefined
        : patchAt(result, asText(operation["path"]).split("/").slice(1).map(unescapePointer), (parent, key) =>
            operate(operation, parent, key)
          ),
    target
  )
