/**
 * Which data a message uses.
 *
 * @internal
 */
import * as MessageTemplate from "@tidings/templates/MessageTemplate"
import * as TemplateFields from "@tidings/templates/TemplateFields"
import * as Result from "effect/Result"
import type { FieldTypes } from "./catalogue.ts"
import * as data from "./data.ts"

/** @internal */
export interface Uses {
  /** Data without which the message has a hole. */
  readonly required: ReadonlyArray<string>
  readonly optional: ReadonlyArray<string>
}

/** @internal */
export const of = (message: string, fields: FieldTypes): Uses => {
  const compiled = Result.flatMap(data.templateFields(fields), (all) => MessageTemplate.compile(message, all))
  if (Result.isFailure(compiled)) return { required: [], optional: [] }
  const template = compiled.success
  const used = Object.keys(fields).filter((field) => template.fields.has(TemplateFields.templateName(field)))
  return {
    required: used.filter((field) => template.required.has(field)),
    optional: used.filter((field) => !template.required.has(field))
  }
}
