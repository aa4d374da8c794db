/**
 * Checks the expressions of a template: whether their fields and functions exist, and whether types match.
 *
 * @internal
 */
import { nearest } from "../Suggestion.ts"
import type { Field, Fields } from "../TemplateFields.ts"
import type { Call, Expression, Field as FieldExpression, Span } from "./syntaxTree.ts"
import * as Display from "./display.ts"
import type { Issues } from "./issues.ts"
import * as Words from "./words.ts"

/**
 * The type of an expression in a comparison. `number` is a count, a duration or a whole number, which can all be compared
 * in Go. `mixed` is the result of `and` or `or` with several types. `unknown` is a mistake that was reported already.
 */
export type Kind = "text" | "number" | "flag" | "list" | "open" | "mixed" | "unknown"

const kindNames: { readonly [K in Kind]: string } = {
  text: "a text",
  number: "a number",
  flag: "true or false",
  list: "a list",
  open: "an argument of any type",
  mixed: "values of several types",
  unknown: "a mistake"
}

export const fieldOf = <D extends object>(fields: Fields<D>, name: string): Field<D> | undefined =>
  Object.hasOwn(fields, name) ? fields[name] : undefined

const kindOfField = (field: Field<never>): Exclude<Kind, "mixed" | "unknown"> => {
  switch (field.type) {
    case "count":
    case "duration":
      return "number"
    case "flag":
    case "list":
    case "open":
      return field.type
    default:
      return "text"
  }
}

const together = (kinds: ReadonlyArray<Kind>): Kind => {
  const first = kinds[0] ?? "unknown"
  if (kinds.includes("unknown")) return "unknown"
  return kinds.every((kind) => kind === first) ? first : "mixed"
}

/** The kind of an expression that was checked before. */
export const kindOf = <D extends object>(expression: Expression, fields: Fields<D>): Kind => {
  switch (expression._tag) {
    case "Field": {
      const field = fieldOf(fields, expression.path[0])
      return field === undefined ? "unknown" : kindOfField(field)
    }
    case "Literal":
      return typeof expression.value === "string" ? "text" : typeof expression.value === "number" ? "number" : "flag"
    default:
      switch (expression.name) {
        case "and":
        case "or":
          return together(expression.arguments.map((argument) => kindOf(argument, fields)))
        case "len":
          return "number"
        default:
          return "flag"
      }
  }
}

/** Adds what is wrong with an expression to `issues`. */
export const check = <D extends object>(root: Expression, fields: Fields<D>, issues: Issues): void => {
  const didYouMean = (word: string | undefined): string | undefined =>
    // An issue past the limit is not reported, and the suggestion is the most expensive part of an issue.
    word === undefined || issues.isFull ? undefined : `did you mean ${word}?`

  const checkField = (expression: FieldExpression): Kind => {
    const [name, key, ...rest] = expression.path
    const field = fieldOf(fields, name)
    const place: Span = { offset: expression.offset, length: expression.length }
    const written = Display.name(`.${expression.path.join(".")}`)
    if (field === undefined) {
      const near = issues.isFull ? undefined : nearest(name, Object.keys(fields))
      const meant = near === undefined ? undefined : ["", near, ...expression.path.slice(1)].join(".")
      issues.add({ code: "unknown-field", message: `unknown field ${written}`, hint: didYouMean(meant), ...place })
      return "unknown"
    }
    if (field.type === "open") {
      if (key === undefined) {
        issues.add({
          code: "unknown-field",
          message: `${written} alone cannot be shown`,
          hint: `name a key: .${name}.key`,
          ...place
        })
        return "unknown"
      }
      if (rest.length > 0) {
        issues.add({
          code: "unknown-field",
          message: `${written} names more than one key`,
          hint: `only .${name}.${Display.name(key)} is possible`,
          ...place
        })
        return "unknown"
      }
      return "open"
    }
    if (key !== undefined) {
      issues.add({ code: "unknown-field", message: `.${name} has no fields inside`, hint: `write .${name}`, ...place })
      return "unknown"
    }
    return kindOfField(field)
  }

  const checkArity = (call: Call, place: Span, isArgument: boolean): boolean => {
    const arity = Words.functions.get(call.name)
    const count = call.arguments.length
    if (arity === undefined || (count >= arity.least && count <= arity.most)) return true
    const number = arity.least === arity.most ? `${arity.least}` : `at least ${arity.least}`
    issues.add({
      code: "argument-count",
      message: `${call.name} takes ${number} ${number.endsWith("1") ? "argument" : "arguments"}, got ${count}`,
      hint: isArgument && count === 0 ? `put ${call.name} and its arguments in parentheses` : undefined,
      ...place
    })
    return false
  }

  const incompatible = (message: string, place: Span): void =>
    issues.add({ code: "incompatible-types", message, ...place })

  const checkCall = (call: Call, isArgument: boolean): Kind => {
    const place = { offset: call.offset, length: call.name.length }
    if (!Words.functions.has(call.name)) {
      if (Words.unsupported.has(call.name)) {
        issues.add({ ...Words.refusal(call.name), ...place })
      } else {
        const words = [...Words.functions.keys(), ...Words.keywords, "true", "false"]
        const found = issues.isFull ? undefined : nearest(call.name, [...words, ...Object.keys(fields)])
        const near = found === undefined || words.includes(found) ? found : `.${found}`
        const hint = didYouMean(near)
        issues.add({ code: "unknown-word", message: `unknown word ${Display.quote(call.name)}`, hint, ...place })
      }
      return "unknown"
    }
    const kinds = call.arguments.map((argument) => checkExpression(argument, true))
    if (!checkArity(call, place, isArgument)) return "unknown"
    switch (call.name) {
      case "and":
      case "or":
        return together(kinds)
      case "not":
        return "flag"
      case "len": {
        const [argument] = call.arguments
        const kind = kinds[0] ?? "unknown"
        if (argument !== undefined && kind !== "unknown" && kind !== "list") {
          incompatible(`len counts the items of a list, got ${kindNames[kind]}`, argument)
        }
        return "number"
      }
      default:
        break
    }
    // A comparison compares each argument with the first.
    const ordered = call.name !== "eq" && call.name !== "ne"
    let first: Kind | undefined
    for (const [index, kind] of kinds.entries()) {
      const argument = call.arguments[index]
      if (kind === "unknown" || argument === undefined) continue
      if (ordered && kind !== "number") {
        incompatible(`${call.name} compares numbers, got ${kindNames[kind]}`, argument)
      } else if (kind === "list" || kind === "open" || kind === "mixed") {
        incompatible(`${call.name} cannot compare ${kindNames[kind]}`, argument)
      } else if (first !== undefined && kind !== first) {
        incompatible(
          `${call.name} compares values of one type, got ${kindNames[first]} and ${kindNames[kind]}`,
          argument
        )
      } else {
        first = kind
        continue
      }
      break
    }
    return "flag"
  }

  const checkExpression = (expression: Expression, isArgument: boolean): Kind => {
    switch (expression._tag) {
      case "Field":
        return checkField(expression)
      case "Literal":
        return kindOf(expression, fields)
      default:
        return checkCall(expression, isArgument)
    }
  }

  checkExpression(root, false)
}
