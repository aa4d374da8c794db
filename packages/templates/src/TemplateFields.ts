/**
 * The fields that a message template may name: the type of each, and how its value is read from the data.
 *
 * **When to use**
 *
 * Declare the data of your messages once, as a record of data keys, and pass the result of `make` to
 * `MessageTemplate.compile`.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as Display from "./internal/display.ts"
import { isName } from "./internal/scanner.ts"
import type { TemplateName } from "./TemplateCheck.ts"

/**
 * The type of a field: its values, what it prints, and when it is true.
 *
 * | type | value | prints | true |
 * | --- | --- | --- | --- |
 * | `text`, or a list of the texts to choose from | `string` | as it is | when it is not empty |
 * | `count` | whole `number` | in decimal; nothing at zero or below | above zero |
 * | `duration` | nanoseconds as `number` or `bigint`, or Go's duration text | as Go writes it; nothing at zero or below | above zero |
 * | `flag` | `boolean` | `true` or `false` | when it is `true` |
 * | `list` | array of `string` | joined with `, ` | when it has an item |
 * | `open` | object with values of any kind, named `.Arguments.key` | a text, a whole number or a boolean as it is; nothing for anything else | when it prints, and is neither `0` nor `false` |
 *
 * A value that is missing (`undefined`, `null`) is the empty text, zero, `false`, the empty list. A value of another type
 * than the declared one prints nothing and is not true.
 *
 * @category models
 * @since 0.1.0
 */
export type FieldType =
  | "text"
  | "count"
  | "flag"
  | "duration"
  | "list"
  | "open"
  | readonly [string, ...ReadonlyArray<string>]

/**
 * One field of a template.
 *
 * **Details**
 *
 * `key` is the data key whose value the field prints. Only own properties of the data object are read, never inherited ones.
 * `get` is a function that reads the value instead, for speed: engines optimise `(data) => data.stepId` far better than one
 * function that reads any key. It should read only own properties too.
 *
 * @category models
 * @since 0.1.0
 */
export interface Field<in D extends object = object> {
  readonly type: FieldType
  readonly key: string
  readonly get?: ((data: D) => unknown) | undefined
}

/**
 * The fields that a template may name, by their name in the template (without the dot).
 *
 * @category models
 * @since 0.1.0
 */
export interface Fields<in D extends object = object> {
  readonly [templateName: string]: Field<D>
}

/**
 * Why a record of data keys is not valid.
 *
 * - `InvalidKey`: a key that no template could name, because it is not made of letters, digits and `_`, or begins with a
 *   digit.
 * - `SameName`: two keys that a template would name alike (`orderId` and `orderID` are both `.OrderID`).
 *
 * @category errors
 * @since 0.1.0
 */
export type TemplateFieldsErrorReason =
  | { readonly _tag: "InvalidKey"; readonly key: string }
  | { readonly _tag: "SameName"; readonly name: string; readonly keys: readonly [string, string] }

/**
 * An invalid record of data keys.
 *
 * @category errors
 * @since 0.1.0
 */
export class TemplateFieldsError extends Data.TaggedError("TemplateFieldsError")<{
  readonly reason: TemplateFieldsErrorReason
}> {
  override get message(): string {
    const { reason } = this
    return reason._tag === "InvalidKey"
      ? `the data key ${Display.quote(reason.key)} cannot be named in a template: use letters, digits and _, and no digit first`
      : `the data keys ${Display.quote(reason.keys[0])} and ${Display.quote(reason.keys[1])} are both .${Display.name(reason.name)} in a template: rename one`
  }
}

/**
 * The name of a data key in templates: its first letter is a capital, and an `Id` at its end is `ID`.
 *
 * **Example** (Naming data keys)
 *
 * ```ts
 * import assert from "node:assert/strict"
 * import { TemplateFields } from "@tidings/templates"
 *
 * assert.equal(TemplateFields.templateName("podCount"), "PodCount")
 * assert.equal(TemplateFields.templateName("stepId"), "StepID")
 * ```
 *
 * @category naming
 * @since 0.1.0
 */
export const templateName = <const K extends string>(key: K): TemplateName<K> => {
  const name = key.charAt(0).toUpperCase() + key.slice(1)
  return (name.endsWith("Id") ? `${name.slice(0, -2)}ID` : name) as TemplateName<K>
}

/**
 * Makes the fields of a template from the types of its data keys.
 *
 * **Details**
 *
 * `get` has functions that read the values of some keys (see `Field`). Fails with `TemplateFieldsError` where a key has no
 * name in templates, or two keys have the same one.
 *
 * **Example** (Declaring fields)
 *
 * ```ts
 * import assert from "node:assert/strict"
 * import * as Result from "effect/Result"
 * import { TemplateFields } from "@tidings/templates"
 *
 * const fields = Result.getOrThrow(TemplateFields.make({ orderId: "text", podCount: "count", pay: ["card", "cash"] }))
 * assert.deepEqual(Object.keys(fields), ["OrderID", "PodCount", "Pay"])
 *
 * const error = Result.getOrThrow(Result.flip(TemplateFields.make({ orderId: "text", orderID: "text" })))
 * assert.equal(error.reason._tag, "SameName")
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <D extends object = object>(
  types: { readonly [key: string]: FieldType },
  options?: { readonly get?: { readonly [key: string]: ((data: D) => unknown) | undefined } | undefined }
): Result.Result<Fields<D>, TemplateFieldsError> => {
  const getters = new Map(Object.entries(options?.get ?? {}))
  const fields = new Map<string, Field<D>>()
  for (const [key, type] of Object.entries(types)) {
    if (!isName(key)) return Result.fail(new TemplateFieldsError({ reason: { _tag: "InvalidKey", key } }))
    const name = templateName(key)
    const other = fields.get(name)
    if (other !== undefined) {
      return Result.fail(new TemplateFieldsError({ reason: { _tag: "SameName", name, keys: [other.key, key] } }))
    }
    const get = getters.get(key)
    fields.set(name, get === undefined ? { type, key } : { type, key, get })
  }
  return Result.succeed(Object.fromEntries(fields))
}
