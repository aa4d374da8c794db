/**
 * The size of the data of an event: a cheap estimate, and the limit that applies to every backend.
 */
import * as EventJson from "../EventJson.ts"
import type { EventBody } from "../Event.ts"
import type { EventData, Json } from "../EventData.ts"
import * as json from "./json.ts"
import * as text from "./text.ts"

/**
 * Maximum size of the JSON of the data, in bytes of UTF-8. In a cluster the data is stored in an annotation, and all
 * annotations of an object together may have 256 KiB.
 *
 * @internal
 */
export const MAXIMUM_DATA = 65_536

/**
 * Size in bytes to which a text is cut in data that is too large.
 *
 * @internal
 */
export const MAXIMUM_TEXT = 1_024

const MARK = "…"

/** Minimum size of a value in JSON, in units of UTF-16. */
const unitsOf = (value: Json | undefined): number => {
  if (typeof value === "string") return value.length + 2
  if (typeof value !== "object" || value === null) return 8
  if (!Array.isArray(value)) return unitsOfFields(value as { readonly [key: string]: Json })
  let units = 2
  for (const one of value as ReadonlyArray<Json>) units += unitsOf(one) + 1
  return units
}

const unitsOfFields = (fields: { readonly [key: string]: Json | undefined }): number => {
  let units = 2
  for (const key in fields) units += key.length + 4 + unitsOf(fields[key])
  return units
}

/** Maximum number of bytes of JSON per unit of UTF-16: a control character becomes six. */
const MOST_BYTES_OF_A_UNIT = 6

/** Approximate size of reason, references and reporter. */
const ENVELOPE_BYTES = 512

/**
 * Approximate size of a body in memory, in bytes.
 *
 * @internal
 */
export const estimate = ({ data, message }: EventBody): number => ENVELOPE_BYTES + message.length + unitsOfFields(data)

const bytesOf = (value: Json): number => text.byteLength(JSON.stringify(value))

/** Replaces a value that is too large, by one of the same type where that is possible. */
const leftOut = (value: Json): Json => (Array.isArray(value) ? [MARK] : MARK)

interface Value {
  readonly holder: Record<string, Json>
  readonly key: string
  bytes: number
}

const valuesOf = (holder: Record<string, Json>): Array<Value> =>
  Object.keys(holder).map((key) => ({ holder, key, bytes: bytesOf(holder[key]!) }))

const largestFirst = (values: Array<Value>): Array<Value> => values.sort((a, b) => b.bytes - a.bytes)

const isRecord = (value: Json | undefined): value is { readonly [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * The data within its limit. For data that is clearly small enough, this costs only an estimate.
 *
 * Where it is too large, its values (the fields, and the entries of `arguments`) are shortened, the largest first: texts of
 * more than 1,024 bytes are cut to that length, with the mark of cut messages (`…`). If that is not enough, values are
 * replaced by the mark, the largest first; and if there are too many for that, the last ones are left out, and a field
 * named `…` has their number. Numbers and truth values are never changed.
 *
 * @internal
 */
export const bound = (data: EventData): EventData => {
  if (unitsOfFields(data) * MOST_BYTES_OF_A_UNIT <= MAXIMUM_DATA) return data
  const excess = () => bytesOf(EventJson.dataToObject(bounded)) - MAXIMUM_DATA
  let bounded = data
  if (excess() <= 0) return data

  const fields: Record<string, Json> = {}
  for (const key of Object.keys(data)) json.setField(fields, key, data[key])
  const entries: Record<string, Json> = {}
  const given = fields["arguments"]
  if (isRecord(given)) {
    for (const key of Object.keys(given)) json.setField(entries, key, given[key])
    fields["arguments"] = entries
  }
  bounded = fields
  const isIdentity = ({ holder, key }: Value) => holder === fields && (key === "name" || key === "namespace")
  const values = [
    ...valuesOf(fields).filter(({ key }) => key !== "arguments" || !isRecord(given)),
    ...valuesOf(entries)
  ].filter((value) => !isIdentity(value))

  let over = excess()
  const replace = (value: Value, by: Json): void => {
    const bytes = bytesOf(by)
    if (bytes >= value.bytes) return
    json.setField(value.holder, value.key, by)
    over -= value.bytes - bytes
    value.bytes = bytes
  }
  for (const value of largestFirst(values)) {
    if (over <= 0) return bounded
    const found = value.holder[value.key]
    if (typeof found === "string" && text.byteLength(found) > MAXIMUM_TEXT)
      replace(value, text.cut(found, MAXIMUM_TEXT))
  }
  for (const value of largestFirst(values)) {
    if (over <= 0) return bounded
    const found = value.holder[value.key]!
    if (typeof found === "string" || typeof found === "object") replace(value, leftOut(found))
  }
  let count = 0
  // Room for the field with their number.
  over += 64
  for (const { bytes, holder, key } of values.reverse()) {
    if (over <= 0) break
    delete holder[key]
    over -= bytes + bytesOf(key) + 2
    count++
  }
  if (count > 0) fields[MARK] = `${count} more`
  return bounded
}
