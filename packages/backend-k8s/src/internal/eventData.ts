import type { EventData, Json } from "@tidings/core/EventData"
import * as EventJson from "@tidings/core/EventJson"
import { isFields } from "./json.ts"
import * as utf8 from "./utf8.ts"

interface Value {
  /** As it is named in `cut`: `error`, `arguments.stdout`. */
  readonly path: string
  readonly holder: Record<string, Json>
  readonly key: string
  bytes: number
}

/** Of values that came from JSON. */
const isObject = (value: Json | undefined): value is Record<string, Json> => isFields(value)

const bytesOf = (value: Json): number => utf8.byteLength(JSON.stringify(value))

const valuesOf = (holder: Record<string, Json>, prefix: string): Array<Value> =>
  Object.entries(holder).map(([key, value]) => ({ path: prefix + key, holder, key, bytes: bytesOf(value) }))

/**
 * The data as the JSON of its annotation.
 *
 * JSON longer than `limit` bytes is shortened until it fits, the largest value first: texts longer than `textLimit`
 * bytes are cut to it and marked; when that is not enough, values are left out. A value is a field of the data, or an
 * entry of `arguments`. `cut` lists what was cut or left out, separated by commas.
 *
 * @internal
 */
export const encode = (
  data: EventData,
  limit: number,
  textLimit: number
): { readonly json: string; readonly cut: string | undefined } => {
  const json = JSON.stringify(EventJson.dataToObject(data))
  if (json.length * 3 <= limit || utf8.byteLength(json) <= limit) return { json, cut: undefined }

  // A copy that can be changed.
  const object = JSON.parse(json) as Record<string, Json>
  const entries = object["arguments"]
  const values = isObject(entries)
    ? [...valuesOf(object, "").filter(({ path }) => path !== "arguments"), ...valuesOf(entries, "arguments.")]
    : valuesOf(object, "")
  const largestFirst = () => values.sort((a, b) => b.bytes - a.bytes)
  const cut = new Set<string>()
  let bytes = utf8.byteLength(json)
  for (const value of largestFirst()) {
    if (bytes <= limit) break
    const text = value.holder[value.key]
    if (typeof text !== "string" || utf8.byteLength(text) <= textLimit) continue
    const shortened = utf8.cut(text, textLimit)
    value.holder[value.key] = shortened
    cut.add(value.path)
    bytes -= value.bytes
    value.bytes = bytesOf(shortened)
    bytes += value.bytes
  }
  for (const value of largestFirst()) {
    if (bytes <= limit) break
    delete value.holder[value.key]
    cut.add(value.path)
    // Without the comma between two values, so the rest is never longer than `bytes`.
    bytes -= value.bytes + bytesOf(value.key) + 1
  }
  return { json: JSON.stringify(object), cut: utf8.cut([...cut].join(","), textLimit) }
}
