/**
 * The arguments of a tool: what each is, for the schema that clients see, and how it is read. Both stand in one place, so
 * that a tool takes what it says it takes.
 *
 * @internal
 */
import * as TimeExpression from "@tidings/core/TimeExpression"
import type { Micros } from "@tidings/core/Timestamp"
import * as Suggestion from "@tidings/templates/Suggestion"
import * as Result from "effect/Result"
import type { Definition, JsonSchema } from "../Tool.ts"
import * as text from "./text.ts"

/** @internal */
export interface Field<out A> {
  readonly schema: JsonSchema
  /** A value that is right. */
  readonly example: unknown
  /** The failure is a noun phrase: what would be right. */
  readonly read: (given: unknown, now: Micros) => Result.Result<A, string>
}

/** @internal */
export type Fields = { readonly [name: string]: Field<unknown> }

/** @internal */
export type Arguments<F extends Fields> = {
  readonly [K in keyof F]?: F[K] extends Field<infer A> ? A : never
}

/** Longer ones would make cursors, which hold the filter, longer than an answer. */
const LONGEST_TEXT = 512

/** @internal */
export const word = (description: string, example: string): Field<string> => ({
  schema: { type: "string", description },
  example,
  read: (given) =>
    typeof given === "string" && given.length <= LONGEST_TEXT
      ? Result.succeed(given)
      : Result.fail(`a text of at most ${LONGEST_TEXT} characters`)
})

/** Opaque, as an earlier answer gave it. */
export const token = (description: string, example: string): Field<string> => ({
  schema: { type: "string", description },
  example,
  read: (given) => (typeof given === "string" ? Result.succeed(given) : Result.fail("the text of an earlier answer"))
})

/** @internal */
export const whole = (
  description: string,
  { least, most, normal }: { readonly least: number; readonly most: number; readonly normal?: number }
): Field<number> => ({
  schema: {
    type: "integer",
    description,
    minimum: least,
    maximum: most,
    ...(normal === undefined ? undefined : { default: normal })
  },
  example: normal ?? Math.min(most, 30),
  read: (given) =>
    Number.isSafeInteger(given) && (given as number) >= least && (given as number) <= most
      ? Result.succeed(given as number)
      : Result.fail(`a whole number from ${least} to ${most}`)
})

/** @internal */
export const flag = (description: string): Field<boolean> => ({
  schema: { type: "boolean", description, default: false },
  example: true,
  read: (given) => (typeof given === "boolean" ? Result.succeed(given) : Result.fail("true or false"))
})

/** @internal */
export const time = (description: string, example: string): Field<Micros> => ({
  schema: { type: "string", description },
  example,
  read: (given, now) =>
    typeof given === "string" ? TimeExpression.parse(given, now, "utc") : Result.fail(`a time such as "1h30m"`)
})

const TYPES = ["Normal", "Warning"] as const

/** A type that another writer made up is taken as it is, a slip is not. */
export const eventType = (description: string): Field<string> => ({
  schema: { type: "string", description },
  example: "Warning",
  read: (given) => {
    const expected = "Normal, Warning, or a type that another writer made up"
    if (typeof given !== "string" || given.length > LONGEST_TEXT) return Result.fail(expected)
    const meant = Suggestion.nearest(given, TYPES)
    if (meant === undefined) return Result.succeed(given)
    return meant.toLowerCase() === given.toLowerCase()
      ? Result.succeed(meant)
      : Result.fail(`${expected} (did you mean ${meant}?)`)
  }
})

/** @internal */
export const inputSchema = (fields: Fields, required: ReadonlyArray<string> = []): Definition["inputSchema"] => ({
  type: "object",
  properties: Object.fromEntries(Object.entries(fields).map(([name, { schema }]) => [name, schema])),
  ...(required.length === 0 ? undefined : { required }),
  additionalProperties: false
})

const exampleOf = (name: string, example: unknown): string => `for example ${JSON.stringify({ [name]: example })}`

/**
 * Reads the arguments of a call; the failure is a sentence for each that is wrong. What is absent, null or the empty text says
 * nothing, because clients fill in what a model leaves out.
 *
 * @internal
 */
export const read = <F extends Fields>(
  fields: F,
  given: unknown,
  now: Micros,
  required: ReadonlyArray<keyof F & string> = []
): Result.Result<Arguments<F>, ReadonlyArray<string>> => {
  const names = Object.keys(fields)
  if (given !== undefined && given !== null && (typeof given !== "object" || Array.isArray(given))) {
    return Result.fail([`the arguments are ${text.show(given)}, expected an object with any of ${names.join(", ")}`])
  }
  const wrong: Array<string> = []
  const values: { [name: string]: unknown } = {}
  for (const [name, value] of Object.entries(given ?? {})) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (field === undefined) {
      const meant = Suggestion.nearest(name, names)
      wrong.push(
        meant === undefined
          ? `${text.plain(name, 100)} is no argument of this tool, expected any of ${names.join(", ")}`
          : `${text.plain(name, 100)} is no argument of this tool (did you mean ${meant}?), ${exampleOf(meant, fields[meant]!.example)}`
      )
    } else if (value !== undefined && value !== null && value !== "") {
      const result = field.read(value, now)
      if (Result.isSuccess(result)) values[name] = result.success
      else wrong.push(`${name} is ${text.show(value)}, expected ${result.failure}, ${exampleOf(name, field.example)}`)
    }
  }
  for (const name of required) {
    if (!Object.hasOwn(values, name) && !wrong.some((one) => one.startsWith(`${name} `))) {
      wrong.push(`${name} is missing, ${exampleOf(name, fields[name]!.example)}`)
    }
  }
  return wrong.length === 0 ? Result.succeed(values as Arguments<F>) : Result.fail(wrong)
}
