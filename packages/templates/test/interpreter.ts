import { GoDuration, type TemplateFields, type TemplateSyntax } from "../src/index.ts"
import { fields } from "./support.ts"
import { Result } from "effect"

/**
 * Renders a tree in the plainest way: a second opinion on what the compiled closures print. Of data whose texts stay
 * below the limit.
 */
export const interpret = (
  parts: ReadonlyArray<TemplateSyntax.Part>,
  data: { readonly [key: string]: unknown }
): string =>
  parts
    .map((part) => {
      switch (part._tag) {
        case "Text":
          return part.text
        case "Print":
          return text(valueOf(part.expression, data))
        default: {
          const branch = part.branches.find(({ condition }) => isTrue(valueOf(condition, data)))
          return interpret(branch?.parts ?? part.otherwise ?? [], data)
        }
      }
    })
    .join("")

type Value =
  | { readonly type: TemplateFields.FieldType; readonly value: unknown }
  | { readonly type: "whole"; readonly value: number }

const positive = (type: Value["type"], value: unknown): bigint => {
  if (type === "count")
    return typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? BigInt(value) : 0n
  if (typeof value === "string") {
    const parsed = GoDuration.parse(value)
    return Result.isSuccess(parsed) && parsed.success > 0 ? BigInt(parsed.success) : 0n
  }
  if (typeof value === "bigint") return value > 0n ? value : 0n
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? BigInt(Math.round(value)) : 0n
}

const text = ({ type, value }: Value): string => {
  switch (type) {
    case "whole":
      return String(value)
    case "flag":
      return value === null || value === undefined ? "false" : typeof value === "boolean" ? String(value) : ""
    case "count":
      return positive(type, value) === 0n ? "" : String(positive(type, value))
    case "duration":
      return positive(type, value) === 0n ? "" : GoDuration.format(positive(type, value))
    case "list":
      return Array.isArray(value) ? value.map((item: unknown) => (typeof item === "string" ? item : "")).join(", ") : ""
    case "open":
      return typeof value === "string" || typeof value === "boolean" || Number.isSafeInteger(value) ? String(value) : ""
    default:
      return typeof value === "string" ? value : ""
  }
}

const isTrue = (value: Value): boolean => {
  switch (value.type) {
    case "whole":
      return value.value !== 0
    case "flag":
      return value.value === true
    case "list":
      return Array.isArray(value.value) && value.value.length > 0
    case "open":
      return !["", "0", "false"].includes(text(value)) || value.value === "0" || value.value === "false"
    default:
      return text(value) !== ""
  }
}

const comparable = (value: Value): string | bigint | boolean => {
  switch (value.type) {
    case "whole":
      return BigInt(value.value)
    case "count":
    case "duration":
      return positive(value.type, value.value)
    case "flag":
      return value.value === true
    default:
      return text(value)
  }
}

const valueOf = (expression: TemplateSyntax.Expression, data: { readonly [key: string]: unknown }): Value => {
  if (expression._tag === "Literal") {
    const { value } = expression
    return typeof value === "number"
      ? { type: "whole", value }
      : { type: typeof value === "string" ? "text" : "flag", value }
  }
  if (expression._tag === "Field") {
    const field = fields[expression.path[0]]
    const value = data[field?.key ?? ""]
    if (field?.type !== "open") return { type: field?.type ?? "text", value }
    const container = typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {}
    return { type: "open", value: (container as Record<string, unknown>)[expression.path[1] ?? ""] }
  }
  const values = expression.arguments.map((argument) => valueOf(argument, data))
  const [first, ...rest] = values as [Value, ...Array<Value>]
  const flag = (value: boolean): Value => ({ type: "flag", value })
  const compared = (): readonly [number | bigint, number | bigint] => [
    comparable(first) as bigint,
    comparable(rest[0] ?? first) as bigint
  ]
  switch (expression.name) {
    case "and":
      return values.find((value) => !isTrue(value)) ?? values.at(-1) ?? first
    case "or":
      return values.find(isTrue) ?? values.at(-1) ?? first
    case "not":
      return flag(!isTrue(first))
    case "len":
      return { type: "whole", value: Array.isArray(first.value) ? first.value.length : 0 }
    case "eq":
      return flag(rest.some((value) => comparable(value) === comparable(first)))
    case "ne":
      return flag(rest.every((value) => comparable(value) !== comparable(first)))
    case "lt":
      return flag(compared()[0] < compared()[1])
    case "le":
      return flag(compared()[0] <= compared()[1])
    case "gt":
      return flag(compared()[0] > compared()[1])
    default:
      return flag(compared()[0] >= compared()[1])
  }
}
