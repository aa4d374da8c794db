/** Errors of fields, in the words of Kubernetes' validation. */
import type { Json } from "./json.ts"

/** @internal */
export interface FieldError {
  readonly type:
    | "FieldValueRequired"
    | "FieldValueInvalid"
    | "FieldValueForbidden"
    | "FieldValueTooLong"
    | "FieldValueNotSupported"
  readonly field: string
  readonly body: string
}

/** @internal */
export const required = (field: string, detail?: string): FieldError => ({
  type: "FieldValueRequired",
  field,
  body: detail === undefined ? "Required value" : `Required value: ${detail}`
})

/** @internal */
export const invalid = (field: string, value: Json, detail: string): FieldError => ({
  type: "FieldValueInvalid",
  field,
  body: `Invalid value: ${JSON.stringify(value)}: ${detail}`
})

/** @internal */
export const forbiddenField = (field: string, detail: string): FieldError => ({
  type: "FieldValueForbidden",
  field,
  body: `Forbidden: ${detail}`
})

/** @internal */
export const tooLong = (field: string, limit: number): FieldError => ({
  type: "FieldValueTooLong",
  field,
  body: `Too long: may not be more than ${limit} bytes`
})

/** @internal */
export const notSupported = (field: string, value: string, supported: ReadonlyArray<string>): FieldError => ({
  type: "FieldValueNotSupported",
  field,
  body: `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported.map((one) => JSON.stringify(one)).join(", ")}`
})
