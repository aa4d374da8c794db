/** Typed decoding as the API server's JSON decoder does it: zero values, messages. */
import { asObject, isArray, isObject, type Json, type JsonObject, type MutableJsonObject } from "./json.ts"
import { parseMicroTime, parseTime } from "./time.ts"

/** @internal */
export type FieldType =
  | "string"
  | "bool"
  | "int32"
  | "int64"
  | "time"
  | "microTime"
  | "stringMap"
  | "stringList"
  | "any"
  | { readonly struct: () => Struct; readonly pointer: boolean }
  | { readonly list: () => Struct }

/** @internal */
export interface Field {
  readonly name: string
  readonly type: FieldType
  /** Whether Go leaves the field out where it holds the zero value. */
  readonly omitEmpty: boolean
}

/** @internal */
export interface Struct {
  /** Go's name, for messages. */
  readonly name: string
  readonly goType: string
  readonly fields: ReadonlyArray<Field>
}

/** @internal */
export const optional = (name: string, type: FieldType): Field => ({ name, type, omitEmpty: true })

/** @internal */
export const always = (name: string, type: FieldType): Field => ({ name, type, omitEmpty: false })

/** @internal */
export const struct = (of: () => Struct): FieldType => ({ struct: of, pointer: false })

/** @internal */
export const pointer = (of: () => Struct): FieldType => ({ struct: of, pointer: true })

/** The message says what Go would say. @internal */
export class DecodeError extends Error {}

/** @internal */
export interface Decoded {
  /** With the zero values that Go writes. */
  readonly value: JsonObject
  /** Paths of fields that the type does not have, in the order of the text. */
  readonly unknown: ReadonlyArray<string>
}

const jsonKind = (value: Json): string =>
  typeof value === "boolean" ? "bool" : isArray(value) ? "array" : typeof value

const goTypeNames: Readonly<Partial<Record<string, string>>> = {
  time: "string",
  microTime: "string",
  stringMap: "map[string]string",
  stringList: "[]string"
}

const goTypeName = (type: FieldType): string => {
  if (typeof type === "string") {
    return goTypeNames[type] ?? type
  }
  return "struct" in type ? type.struct().goType : `[]${type.list().goType}`
}

const mismatch = (value: Json, owner: string, path: string, goType: string): never => {
  const isInteger = goType === "int32" || goType === "int64"
  const what = typeof value === "number" && isInteger ? `number ${value}` : jsonKind(value)
  throw new DecodeError(`json: cannot unmarshal ${what} into Go struct field ${owner}.${path} of type ${goType}`)
}

const zeros: Readonly<Partial<Record<string, Json>>> = { string: "", bool: false, int32: 0, int64: 0 }

const zeroOf = (type: FieldType): Json => {
  if (typeof type === "string") {
    return zeros[type] ?? null
  }
  return "struct" in type && !type.pointer ? zero(type.struct()) : null
}

/** What Go writes for an empty struct. @internal */
export const zero = (of: Struct): JsonObject =>
  Object.fromEntries(of.fields.filter((field) => !field.omitEmpty).map((field) => [field.name, zeroOf(field.type)]))

const limits = { int32: 2_147_483_647, int64: Number.MAX_SAFE_INTEGER }

const decodeField = (
  field: Field,
  value: Json,
  owner: string,
  path: string,
  unknown: Array<string>
): Json | undefined => {
  const { type } = field
  const fail = (at = path, goType = goTypeName(type)): never => mismatch(value, owner, at, goType)
  if (value === null) {
    return undefined
  }
  if (typeof type !== "string") {
    if ("struct" in type) {
      return isObject(value) ? decodeStruct(type.struct(), value, path, unknown) : fail()
    }
    if (!isArray(value)) {
      return fail()
    }
    return value.length === 0
      ? undefined
      : value.map((item, index) => decodeStruct(type.list(), asObject(item), `${path}[${index}]`, unknown))
  }
  switch (type) {
    case "string":
      return typeof value === "string" ? value || undefined : fail()
    case "bool":
      return typeof value === "boolean" ? value || undefined : fail()
    case "int32":
    case "int64":
      return typeof value === "number" && Number.isInteger(value) && Math.abs(value) <= limits[type]
        ? value || undefined
        : fail()
    case "time":
    case "microTime": {
      if (typeof value !== "string") {
        return fail()
      }
      const parsed = type === "time" ? parseTime(value) : parseMicroTime(value)
      if (parsed._tag === "Invalid") {
        throw new DecodeError(parsed.message)
      }
      return parsed.text
    }
    case "stringMap": {
      if (!isObject(value)) {
        return fail()
      }
      const entries = Object.keys(value)
        .sort()
        .map((key): readonly [string, Json] => {
          const member = value[key] ?? null
          return [
            key,
            member === null ? "" : typeof member === "string" ? member : mismatch(member, owner, path, "string")
          ]
        })
      return entries.length === 0 ? undefined : Object.fromEntries(entries)
    }
    case "stringList":
      if (!isArray(value)) {
        return fail()
      }
      return value.length === 0
        ? undefined
        : value.map((item) => (typeof item === "string" ? item : mismatch(item, owner, path, "string")))
    case "any":
      return value
  }
}

const decodeStruct = (of: Struct, value: JsonObject, path: string, unknown: Array<string>): JsonObject => {
  const result: MutableJsonObject = { ...zero(of) }
  for (const [key, member] of Object.entries(value)) {
    const field = of.fields.find((candidate) => candidate.name === key)
    const memberPath = path === "" ? key : `${path}.${key}`
    if (field === undefined) {
      unknown.push(memberPath)
    } else {
      const decoded = decodeField(field, member, of.name, memberPath, unknown)
      if (decoded !== undefined) {
        result[key] = decoded
      }
    }
  }
  return result
}

/** Throws a {@link DecodeError} where Go would fail. `kind` and `apiVersion` may stand beside the fields. @internal */
export const decode = (of: Struct, value: JsonObject): Decoded => {
  const { kind: _kind, apiVersion: _apiVersion, ...fields } = value
  const unknown: Array<string> = []
  return { value: decodeStruct(of, fields, "", unknown), unknown }
}
