/**
 * Event data as a command line or a file of tests gives it.
 *
 * @internal
 */
import * as GoDuration from "@tidings/templates/GoDuration"
import * as Suggestion from "@tidings/templates/Suggestion"
import * as TemplateFields from "@tidings/templates/TemplateFields"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import type { FieldTypes } from "./catalogue.ts"
import * as numbers from "./numbers.ts"

/** @internal */
export interface Data {
  readonly [field: string]: unknown
}

/** What the object of an event answers itself. */
const OF_THE_OBJECT = { name: "text", namespace: "text" } as const

/** @internal */
export const templateFields = (fields: FieldTypes): Result.Result<TemplateFields.Fields, string> =>
  Result.mapError(TemplateFields.make({ ...OF_THE_OBJECT, arguments: "open", ...fields }), (error) => error.message)

const quote = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

// ---------------------------------------------------------------------------
// names
// ---------------------------------------------------------------------------

/** A field by its name in the data or in templates: `stepId`, `StepID`. */
const fieldNamed = (name: string, fields: FieldTypes): string | undefined =>
  Object.hasOwn(fields, name) ? name : Object.keys(fields).find((field) => TemplateFields.templateName(field) === name)

const unknownField = (name: string, fields: FieldTypes): string => {
  const meant = Suggestion.nearest(name, Object.keys(fields))
  const question = meant === undefined ? "." : `; did you mean ${meant}?`
  return `${quote(name)} is not a field${question} Anything of your own goes under arguments: arguments.${/^\w+$/.test(name) ? name : "key"}`
}

// ---------------------------------------------------------------------------
// values
// ---------------------------------------------------------------------------

/** A number without a unit is ambiguous: seconds, milliseconds and nanoseconds are all in use. */
const duration = (value: string): Result.Result<string, string> =>
  Result.mapBoth(GoDuration.parse(value), {
    onFailure: ({ reason }) =>
      reason === "MissingUnit"
        ? `a unit after each number, such as ${value.trim()}s or ${value.trim()}ms`
        : reason === "OutOfRange"
          ? numbers.LONGEST_DURATION
          : `a duration such as 1m30.5s`,
    onSuccess: GoDuration.format
  })

const parseJson = (text: string): Result.Result<unknown, "not JSON"> => {
  try {
    return Result.succeed(JSON.parse(text) as unknown)
  } catch {
    return Result.fail("not JSON")
  }
}

const isTexts = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((one) => typeof one === "string")

const list = (value: string): Result.Result<ReadonlyArray<string>, string> => {
  if (!value.trimStart().startsWith("[")) {
    return Result.succeed(value === "" ? [] : value.split(",").map((one) => one.trim()))
  }
  const parsed = parseJson(value)
  return Result.isSuccess(parsed) && isTexts(parsed.success)
    ? Result.succeed(parsed.success)
    : Result.fail(`a list such as a,b or ["a","b"]`)
}

/** Text of the command line as a value of a field; the failure says what was expected. */
const read = (type: FieldTypes[string], value: string): Result.Result<unknown, string> => {
  switch (type) {
    case "text":
      return Result.succeed(value)
    case "count": {
      const number = /^-?\d+$/.test(value) ? Number(value) : undefined
      return number !== undefined && Number.isSafeInteger(number)
        ? Result.succeed(number)
        : Result.fail(numbers.expectedWhole(number))
    }
    case "flag":
      return value === "true" || value === "false" ? Result.succeed(value === "true") : Result.fail("true or false")
    case "duration":
      return duration(value)
    case "list":
      return list(value)
    case "open": {
      const parsed = parseJson(value)
      return Result.isSuccess(parsed) && Predicate.isReadonlyObject(parsed.success)
        ? Result.succeed(parsed.success)
        : Result.fail(`a JSON object such as {"team":"web"}`)
    }
    default:
      return type.includes(value) ? Result.succeed(value) : Result.fail(`one of ${type.join(", ")}`)
  }
}

/**
 * An argument of one's own: JSON where it cannot be meant as anything else, text otherwise. `1.10` is a version and
 * stays one: as a number it would come back as `1.1`.
 */
const readArgument = (value: string): unknown => {
  const parsed = parseJson(value)
  if (Result.isFailure(parsed)) return value
  return typeof parsed.success === "number" && String(parsed.success) !== value ? value : parsed.success
}

// ---------------------------------------------------------------------------
// the command line
// ---------------------------------------------------------------------------

/**
 * Reads the values of `--data`. `object` says whether the object is given elsewhere, so that its name and namespace
 * are no data.
 *
 * @internal
 */
export const fromPairs = (
  pairs: ReadonlyArray<string>,
  fields: FieldTypes,
  object: "elsewhere" | "in the data"
): Result.Result<Data, string> => {
  const all: FieldTypes = object === "elsewhere" ? fields : { ...OF_THE_OBJECT, ...fields }
  const entries = new Map<string, unknown>()
  const own = new Map<string, unknown>()
  for (const pair of pairs) {
    const equals = pair.indexOf("=")
    if (equals < 1) return Result.fail(`--data is ${quote(pair)}, expected key=value`)
    const key = pair.slice(0, equals)
    const value = pair.slice(equals + 1)
    const argument = /^arguments\.(.+)$/i.exec(key)
    if (argument !== null) {
      own.set(argument[1]!, readArgument(value))
      continue
    }
    if (object === "elsewhere" && /^(?:name|namespace)$/i.test(key)) {
      return Result.fail(`--data ${key}: the object is named by KIND/NAME and -n, leave it out here`)
    }
    if (/^arguments$/i.test(key)) {
      const whole = read("open", value)
      if (Result.isFailure(whole)) return Result.fail(`--data ${key} is ${quote(value)}, expected ${whole.failure}`)
      for (const [name, member] of Object.entries(whole.success as object)) own.set(name, member)
      continue
    }
    const field = fieldNamed(key, all)
    if (field === undefined) return Result.fail(`--data ${unknownField(key, all)}`)
    const parsed = read(all[field]!, value)
    if (Result.isFailure(parsed)) {
      return Result.fail(`--data ${field} is ${quote(value)}, expected ${parsed.failure}`)
    }
    entries.set(field, parsed.success)
  }
  if (own.size > 0) entries.set("arguments", Object.fromEntries(own))
  return Result.succeed(Object.fromEntries(entries))
}

// ---------------------------------------------------------------------------
// files
// ---------------------------------------------------------------------------

interface Expectation {
  readonly is: (value: unknown) => boolean
  readonly expected: string | ((found: unknown) => string)
}

const text: Expectation = { is: (value) => typeof value === "string", expected: "a text" }

const expectations: Readonly<Record<Extract<FieldTypes[string], string>, Expectation>> = {
  text,
  count: { is: Number.isSafeInteger, expected: numbers.expectedWhole },
  flag: { is: (value) => typeof value === "boolean", expected: "true or false" },
  duration: {
    is: (value) =>
      typeof value === "bigint" ||
      Number.isSafeInteger(value) ||
      (typeof value === "string" && Result.isSuccess(GoDuration.parse(value))),
    expected: "whole nanoseconds or a text such as 1m30.5s"
  },
  list: { is: isTexts, expected: "a list of texts" },
  open: { is: Predicate.isReadonlyObject, expected: "an object" }
}

/**
 * Reads the data of a test: a JSON object under the names of the data or of templates. `null` stands for nothing.
 *
 * @internal
 */
export const fromJson = (value: unknown, fields: FieldTypes): Result.Result<Data, string> => {
  if (!Predicate.isReadonlyObject(value))
    return Result.fail(`data is ${JSON.stringify(value).slice(0, 60)}, expected an object such as {"stepId":"build"}`)
  const all: FieldTypes = { ...OF_THE_OBJECT, arguments: "open", ...fields }
  const entries: Array<readonly [string, unknown]> = []
  for (const [key, member] of Object.entries(value)) {
    const field = fieldNamed(key, all)
    if (field === undefined) return Result.fail(`data: ${unknownField(key, all)}`)
    if (member === null) continue
    const type = all[field]!
    const { expected, is } = typeof type === "string" ? expectations[type] : text
    if (!is(member)) {
      const words = typeof expected === "string" ? expected : expected(member)
      return Result.fail(
        `data.${key} is ${quote(typeof member === "bigint" ? String(member) : member)}, expected ${words}`
      )
    }
    entries.push([field, member])
  }
  return Result.succeed(Object.fromEntries(entries))
}
