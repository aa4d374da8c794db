/**
 * Compiles a checked tree to one function from data to text, made of closures.
 *
 * It is fast because it makes few calls: a text with up to seven values is one `+` expression, an if around the value that
 * it tests reads the value once, and constant text is captured. It does not use `eval`, which some hosts forbid.
 *
 * @internal
 */
import { constant } from "effect/Function"
import type { Field, Fields, FieldType } from "../TemplateFields.ts"
import type { Call, Expression, If, Part } from "./syntaxTree.ts"
import { fieldOf, kindOf } from "./checker.ts"
import { format, parse } from "./goDuration.ts"

type Read<D, A> = (data: D) => A

/** The own property of an object, or `undefined`: inherited properties are not data. */
const own = (data: object, key: string): unknown =>
  Object.hasOwn(data, key) ? (data as { readonly [key: string]: unknown })[key] : undefined

/** Reads the value of a field from any data. */
export const readerOf = <D extends object>(field: Field<D>): Read<D, unknown> => {
  const { get, key } = field
  return get ?? ((data) => own(data, key))
}

/**
 * Reads the value of a field from data that inherits nothing (`inheritsNothing`), because `Object.hasOwn` would double the
 * cost of printing it.
 */
const fastReaderOf = <D extends object>(field: Field<D>): Read<D, unknown> => {
  const { get, key } = field
  return (
    get ?? (key in Object.prototype ? readerOf(field) : (data) => (data as { readonly [key: string]: unknown })[key])
  )
}

const empty = {}

/**
 * Whether an object has only own properties, apart from those that every object has. A loop over the properties of an empty
 * object finds what was assigned to `Object.prototype`, and costs a few nanoseconds.
 */
export const inheritsNothing = (data: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(data)
  if (prototype !== Object.prototype && prototype !== null) return false
  // oxlint-disable-next-line guard-for-in -- the inherited properties are meant
  for (const _ in empty) return false
  return true
}

const isHighSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdbff

/** Cuts a longer text to at most `most` UTF-16 code units, ending in `…`, and never within a surrogate pair. */
const clip = (text: string, most: number): string => {
  const end = most - 1
  return `${text.slice(0, isHighSurrogate(text.charCodeAt(end - 1)) ? end - 1 : end)}…`
}

// ---- values of each type --------------------------------------------------------------------------------------------

const textOf = (value: unknown): string => (typeof value === "string" ? value : "")

const countOf = (value: unknown): number =>
  typeof value === "number" && value > 0 && Number.isSafeInteger(value) ? value : 0

const nanosecondsOf = (value: unknown): number | bigint => {
  switch (typeof value) {
    case "number": {
      if (!(value > 0) || value === Number.POSITIVE_INFINITY) return 0
      const whole = Math.round(value)
      return Number.isSafeInteger(whole) ? whole : BigInt(whole)
    }
    case "bigint":
      return value <= 0n ? 0 : value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
    case "string": {
      const parsed = parse(value)
      return typeof parsed === "object" || parsed <= 0 ? 0 : parsed
    }
    default:
      return 0
  }
}

const nanosecondsText = (value: unknown): string => {
  const nanoseconds = nanosecondsOf(value)
  return nanoseconds === 0 ? "" : format(nanoseconds)
}

const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

const listText = (items: ReadonlyArray<unknown>, most: number): string => {
  let text = ""
  for (let index = 0; index < items.length && text.length <= most; index++) {
    const item = items[index]
    if (index > 0) text += ", "
    if (typeof item === "string") text += item
  }
  return text.length > most ? clip(text, most) : text
}

const argumentOf = (container: unknown, key: string): unknown =>
  typeof container === "object" && container !== null && !Array.isArray(container) ? own(container, key) : undefined

const argumentText = (value: unknown, most: number): string => {
  switch (typeof value) {
    case "string":
      return value.length > most ? clip(value, most) : value
    case "number":
      return Number.isSafeInteger(value) ? String(value) : ""
    case "boolean":
      return String(value)
    default:
      return ""
  }
}

const argumentTruth = (value: unknown): boolean =>
  typeof value === "number"
    ? Number.isSafeInteger(value) && value !== 0
    : value === true || (typeof value === "string" && value !== "")

/** Absent or empty. A value of another type than declared is not missing: it was masked on purpose. */
const isMissing = (value: unknown): boolean =>
  value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0)

// ---- sequences ------------------------------------------------------------------------------------------------------

const mostAtOnce = 7

/** Concatenates values with the texts around and between them: there is one more text than there are values. */
const sequence = <D>(texts: ReadonlyArray<string>, values: ReadonlyArray<Read<D, string>>): Read<D, string> => {
  if (values.length > mostAtOnce) {
    const groups: Array<Read<D, string>> = []
    for (let from = 0; from < values.length; from += mostAtOnce) {
      const some = values.slice(from, from + mostAtOnce)
      const isLast = from + mostAtOnce >= values.length
      const around = texts.slice(from, from + some.length)
      groups.push(sequence([...around, isLast ? (texts.at(-1) ?? "") : ""], some))
    }
    return sequence(
      Array.from({ length: groups.length + 1 }, () => ""),
      groups
    )
  }
  const [s0 = "", s1 = "", s2 = "", s3 = "", s4 = "", s5 = "", s6 = "", s7 = ""] = texts
  const [v0, v1, v2, v3, v4, v5, v6] = values
  if (v0 === undefined) return () => s0
  if (v1 === undefined) return (data) => s0 + v0(data) + s1
  if (v2 === undefined) return (data) => s0 + v0(data) + s1 + v1(data) + s2
  if (v3 === undefined) return (data) => s0 + v0(data) + s1 + v1(data) + s2 + v2(data) + s3
  if (v4 === undefined) return (data) => s0 + v0(data) + s1 + v1(data) + s2 + v2(data) + s3 + v3(data) + s4
  if (v5 === undefined) {
    return (data) => s0 + v0(data) + s1 + v1(data) + s2 + v2(data) + s3 + v3(data) + s4 + v4(data) + s5
  }
  if (v6 === undefined) {
    return (data) => s0 + v0(data) + s1 + v1(data) + s2 + v2(data) + s3 + v3(data) + s4 + v4(data) + s5 + v5(data) + s6
  }
  return (data) =>
    s0 + v0(data) + s1 + v1(data) + s2 + v2(data) + s3 + v3(data) + s4 + v4(data) + s5 + v5(data) + s6 + v6(data) + s7
}

/**
 * Makes the function that renders a checked tree. Its data must be `inheritsNothing` and must not throw when it is read,
 * unless each field has a `get` that ensures both.
 */
export const generate = <D extends object>(root: ReadonlyArray<Part>, options: GeneratorOptions<D>): Read<D, string> =>
  new Generator(options).generate(root)

interface GeneratorOptions<D extends object> {
  readonly fields: Fields<D>
  /** Maximum number of characters that a value prints. */
  readonly most: number
  readonly mark: ((key: string) => string | undefined) | undefined
}

/** `and` and `or` return one of their arguments, so they are read as that argument would be. */
const isDeciding = (call: Call): boolean => call.name === "and" || call.name === "or"

/**
 * One method for each way in which an expression can be read: as a text or a number to compare, a list, a truth value, or
 * what it prints. Methods run once for each template. The functions that they return run for each event, and must not use
 * `this`.
 */
class Generator<D extends object> {
  readonly #options: GeneratorOptions<D>

  constructor(options: GeneratorOptions<D>) {
    this.#options = options
  }

  generate(root: ReadonlyArray<Part>): Read<D, string> {
    return this.#options.mark === undefined
      ? this.#parts(root)
      : this.#parts(root, (expression) => this.#printedOrMark(expression))
  }

  /** The type of a field, and how its value is read. */
  #readField(path: readonly [string, ...ReadonlyArray<string>]): readonly [FieldType, Read<D, unknown>] {
    const [name, key = ""] = path
    const field = fieldOf(this.#options.fields, name)
    if (field === undefined) throw new Error(`unknown field .${name} was not refused`)
    const read = fastReaderOf(field)
    return [field.type, field.type === "open" ? (data) => argumentOf(read(data), key) : read]
  }

  /** Reads the argument that determines the result of an `and` or `or`; `wanted` is how arguments are read. */
  #deciding<A>(call: Call, wanted: (argument: Expression) => Read<D, A>): Read<D, A> {
    const readers = call.arguments.map(wanted)
    const last = readers.pop()
    if (last === undefined) throw new Error(`${call.name} without arguments was not refused`)
    return readers.reduceRight((rest, read, index) => {
      const decides = this.#truth(call.arguments[index] ?? call)
      return call.name === "or"
        ? (data) => (decides(data) ? read(data) : rest(data))
        : (data) => (decides(data) ? rest(data) : read(data))
    }, last)
  }

  #textValue(expression: Expression): Read<D, string> {
    if (expression._tag === "Call" && isDeciding(expression))
      return this.#deciding(expression, (argument) => this.#textValue(argument))
    if (expression._tag === "Literal") return constant(String(expression.value))
    if (expression._tag === "Call") return this.#printed(expression)
    const [, read] = this.#readField(expression.path)
    return (data) => textOf(read(data))
  }

  #numberValue(expression: Expression): Read<D, number | bigint> {
    if (expression._tag === "Call" && isDeciding(expression))
      return this.#deciding(expression, (argument) => this.#numberValue(argument))
    if (expression._tag === "Literal") return constant(Number(expression.value))
    if (expression._tag === "Call") {
      const [list] = expression.arguments
      const items = list === undefined ? () => [] : this.#listValue(list)
      return (data) => items(data).length
    }
    const [type, read] = this.#readField(expression.path)
    return type === "duration" ? (data) => nanosecondsOf(read(data)) : (data) => countOf(read(data))
  }

  #listValue(expression: Expression): Read<D, ReadonlyArray<unknown>> {
    if (expression._tag === "Call" && isDeciding(expression))
      return this.#deciding(expression, (argument) => this.#listValue(argument))
    if (expression._tag !== "Field") return () => []
    const [, read] = this.#readField(expression.path)
    return (data) => listOf(read(data))
  }

  #equality(call: Call): Read<D, boolean> {
    const value: (argument: Expression) => Read<D, unknown> = (argument) => {
      switch (kindOf(argument, this.#options.fields)) {
        case "text":
          return this.#textValue(argument)
        case "number":
          return this.#numberValue(argument)
        default:
          return this.#truth(argument)
      }
    }
    const [first, ...others] = call.arguments.map(value)
    if (first === undefined) throw new Error(`${call.name} without arguments was not refused`)
    const [other] = others
    if (other !== undefined && others.length === 1) return (data) => first(data) === other(data)
    return (data) => {
      const wanted = first(data)
      return others.some((read) => read(data) === wanted)
    }
  }

  #comparison(call: Call): Read<D, boolean> {
    const [left, right] = call.arguments.map((argument) => this.#numberValue(argument))
    if (left === undefined || right === undefined) throw new Error(`${call.name} without arguments was not refused`)
    switch (call.name) {
      case "lt":
        return (data) => left(data) < right(data)
      case "le":
        return (data) => left(data) <= right(data)
      case "gt":
        return (data) => left(data) > right(data)
      default:
        return (data) => left(data) >= right(data)
    }
  }

  #callTruth(call: Call): Read<D, boolean> {
    switch (call.name) {
      case "and":
      case "or":
        return this.#deciding(call, (argument) => this.#truth(argument))
      case "not": {
        const [argument] = call.arguments
        const test = argument === undefined ? () => false : this.#truth(argument)
        return (data) => !test(data)
      }
      case "eq":
        return this.#equality(call)
      case "ne": {
        const equal = this.#equality(call)
        return (data) => !equal(data)
      }
      case "len": {
        const length = this.#numberValue(call)
        return (data) => length(data) !== 0
      }
      default:
        return this.#comparison(call)
    }
  }

  #truth(expression: Expression): Read<D, boolean> {
    if (expression._tag === "Call") return this.#callTruth(expression)
    if (expression._tag === "Literal") return constant(Boolean(expression.value))
    const [type, read] = this.#readField(expression.path)
    switch (type) {
      case "count":
        return (data) => countOf(read(data)) !== 0
      case "duration":
        return (data) => nanosecondsOf(read(data)) !== 0
      case "flag":
        return (data) => read(data) === true
      case "list":
        return (data) => listOf(read(data)).length > 0
      case "open":
        return (data) => argumentTruth(read(data))
      default:
        return (data) => textOf(read(data)) !== ""
    }
  }

  /** What an expression prints. */
  #printed(expression: Expression): Read<D, string> {
    const most = this.#options.most
    if (expression._tag === "Call" && isDeciding(expression))
      return this.#deciding(expression, (argument) => this.#printed(argument))
    if (expression._tag === "Call") {
      if (expression.name === "len") {
        const length = this.#numberValue(expression)
        return (data) => String(length(data))
      }
      const test = this.#callTruth(expression)
      return (data) => (test(data) ? "true" : "false")
    }
    if (expression._tag === "Literal") return constant(String(expression.value))
    const [type, read] = this.#readField(expression.path)
    switch (type) {
      case "count":
        return (data) => {
          const count = countOf(read(data))
          return count === 0 ? "" : String(count)
        }
      case "duration":
        return (data) => nanosecondsText(read(data))
      case "flag":
        return (data) => {
          const value = read(data)
          return value === true ? "true" : value === false || value === undefined || value === null ? "false" : ""
        }
      case "list":
        return (data) => listText(listOf(read(data)), most)
      case "open":
        return (data) => argumentText(read(data), most)
      default:
        return (data) => {
          const value = read(data)
          return typeof value === "string" ? (value.length > most ? clip(value, most) : value) : ""
        }
    }
  }

  /** A field that is printed outside every if, with a mark where it has no value. */
  #printedOrMark(expression: Expression): Read<D, string> {
    if (expression._tag !== "Field") return this.#printed(expression)
    const [name, argument] = expression.path
    const key = fieldOf(this.#options.fields, name)?.key ?? name
    const shown = this.#options.mark?.(argument === undefined ? key : `${key}.${argument}`)
    if (shown === undefined) return this.#printed(expression)
    const print = this.#printed(expression)
    const [, read] = this.#readField(expression.path)
    return (data) => {
      const text = print(data)
      return text !== "" && text !== "false" ? text : isMissing(read(data)) ? shown : text
    }
  }

  /** A fast path for `{{if .X}}before {{.X}} after{{end}}`, the most frequent if. `undefined` for any other. */
  #aroundItself(condition: Expression, body: ReadonlyArray<Part>): Read<D, string> | undefined {
    const most = this.#options.most
    const printed = body.filter((part) => part._tag !== "Text")
    const [only] = printed
    if (condition._tag !== "Field" || printed.length !== 1 || only?._tag !== "Print") return undefined
    const { expression } = only
    if (expression._tag !== "Field" || expression.path.join(".") !== condition.path.join(".")) return undefined
    const [type, read] = this.#readField(condition.path)
    // A value of these types may print something and be false, or print nothing and be true.
    if (type === "flag" || type === "list" || type === "open") return undefined
    const at = body.indexOf(only)
    const [before, after] = [body.slice(0, at), body.slice(at + 1)].map((parts) =>
      parts.map((part) => (part._tag === "Text" ? part.text : "")).join("")
    )
    if (type === "count" || type === "duration") {
      const value = this.#printed(expression)
      return (data) => {
        const text = value(data)
        return text === "" ? "" : before + text + after
      }
    }
    return (data) => {
      const value = read(data)
      return typeof value === "string" && value !== ""
        ? before + (value.length > most ? clip(value, most) : value) + after
        : ""
    }
  }

  #conditional(part: If): Read<D, string> {
    const [branch] = part.branches
    if (branch !== undefined && part.branches.length === 1 && part.otherwise === undefined) {
      const short = this.#aroundItself(branch.condition, branch.parts)
      if (short !== undefined) return short
    }
    const otherwise = this.#parts(part.otherwise ?? [])
    return part.branches.reduceRight((rest, { condition, parts }) => {
      const test = this.#truth(condition)
      const body = this.#parts(parts)
      return (data) => (test(data) ? body(data) : rest(data))
    }, otherwise)
  }

  #parts(parts: ReadonlyArray<Part>, print = (expression: Expression) => this.#printed(expression)): Read<D, string> {
    const texts = [""]
    const values: Array<Read<D, string>> = []
    const addText = (text: string): void => {
      texts[texts.length - 1] += text
    }
    for (const part of parts) {
      if (part._tag === "Text") addText(part.text)
      else if (part._tag === "Print" && part.expression._tag === "Literal") addText(String(part.expression.value))
      else {
        values.push(part._tag === "If" ? this.#conditional(part) : print(part.expression))
        texts.push("")
      }
    }
    return sequence(texts, values)
  }
}
