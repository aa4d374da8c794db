/**
 * What the three template verbs share.
 *
 * @internal
 */
import * as MessageTemplate from "@tidings/templates/MessageTemplate"
import type { TemplateError } from "@tidings/templates/TemplateError"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Argument from "effect/cli/Argument"
import { CommandError } from "../../CommandError.ts"
import * as data from "./data.ts"
import * as escape from "./escape.ts"
import * as failure from "./failure.ts"
import * as session from "./session.ts"
import * as standardInput from "./standardInput.ts"
import * as words from "./words.ts"

/** @internal */
export const template = Argument.String("TEMPLATE").pipe(
  Argument.withDescription("The template, in single quotes; - reads it from standard input")
)

const stdin = Effect.flatMap(standardInput.text, Stream.mkString)

/**
 * The text of a file, or of standard input for `-`.
 *
 * @internal
 */
export const read = Effect.fnUntraced(function* (file: string) {
  if (file === "-") return yield* stdin
  const files = yield* FileSystem.FileSystem
  return yield* Effect.mapError(
    files.readFileString(file),
    (error) =>
      new failure.Failure({
        detail: `cannot read ${JSON.stringify(file)}: ${failure.whyOf(error)}`,
        hint: "give the path of a file with one test per line, or - for standard input"
      })
  )
})

/** The template of an argument; the line end that an editor puts after it is none of it. */
const sourceOf = (given: string) =>
  given === "-" ? Effect.map(stdin, (text) => text.replace(/\r?\n$/, "")) : Effect.succeed(given)

const tell = ({ issues, message }: TemplateError): Effect.Effect<never, CommandError> =>
  Effect.andThen(
    Effect.andThen(
      words.say(`error: the template has ${issues.length === 1 ? "a mistake" : `${issues.length} mistakes`}`),
      Console.error(escape.block(message))
    ),
    // All of it has been said, with more lines than an error has.
    Effect.fail(new CommandError({ lines: [], exit: failure.EXIT.failed }))
  )

/** The template of an argument, compiled against the fields of all kinds. @internal */
export const compile = Effect.fnUntraced(function* (given: string) {
  const { catalogue } = yield* session.Session
  const fields = yield* Effect.mapError(
    Effect.fromResult(data.templateFields(catalogue.fields)),
    (detail) => new failure.Failure({ detail })
  )
  const compiled = MessageTemplate.compile(yield* sourceOf(given), fields)
  return Result.isSuccess(compiled) ? compiled.success : yield* tell(compiled.failure)
})
