/**
 * `template test`: keep the templates of a host honest.
 *
 * @internal
 */
import * as MessageTemplate from "@tidings/templates/MessageTemplate"
import type * as TemplateFields from "@tidings/templates/TemplateFields"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import { CommandError } from "../../CommandError.ts"
import type { FieldTypes } from "./catalogue.ts"
import * as data from "./data.ts"
import * as escape from "./escape.ts"
import { examples } from "./examples.ts"
import * as failure from "./failure.ts"
import * as session from "./session.ts"
import * as table from "./table.ts"
import * as templateVerbs from "./templateVerbs.ts"
import * as words from "./words.ts"

/** Why a line fails, on lines of its own; nothing when it passes. */
type Verdict = ReadonlyArray<string> | undefined

const show = (text: string): string => escape.line(JSON.stringify(text))

/** Characters of both texts that are shown before and after the first place where they differ. */
const BEFORE = 30
const AFTER = 50

/** The first place where both texts differ, with what is around it under each other and a caret. */
const difference = (expected: string, rendered: string): ReadonlyArray<string> => {
  let same = 0
  while (same < expected.length && expected[same] === rendered[same]) same++
  const before = expected.slice(0, same)
  const line = before.split("\n").length
  const column = Array.from(before.slice(before.lastIndexOf("\n") + 1)).length + 1
  const from = Math.max(0, same - BEFORE)
  const excerpt = (text: string): string =>
    `${from > 0 ? "…" : ""}${show(text.slice(from, same + AFTER))}${text.length > same + AFTER ? "…" : ""}`
  const caret = table.width(`${from > 0 ? "…" : ""}${show(expected.slice(from, same)).slice(0, -1)}`)
  return [
    `differs from line ${line}, column ${column} on:`,
    `expected ${excerpt(expected)}`,
    `rendered ${excerpt(rendered)}`,
    `         ${" ".repeat(caret)}^`
  ]
}

/** Numbers that a JavaScript number cannot hold stay whole: a duration may be one. */
const parse = (line: string): unknown =>
  JSON.parse(line, (_, value: unknown, context?: { readonly source?: string }) =>
    typeof value === "number" &&
    context?.source !== undefined &&
    /^-?\d+$/.test(context.source) &&
    !Number.isSafeInteger(value)
      ? BigInt(context.source)
      : value
  )

const judge = (line: string, types: FieldTypes, fields: TemplateFields.Fields): Verdict => {
  let test: unknown
  try {
    test = parse(line)
  } catch (error) {
    return [`it is not JSON: ${error instanceof Error ? error.message : String(error)}`]
  }
  if (typeof test !== "object" || test === null || Array.isArray(test)) return ["it is not a JSON object"]
  const { data: given = {}, expected, rejected, template } = test as { readonly [key: string]: unknown }
  if (typeof template !== "string") return [`it has no "template"`]
  if (rejected !== undefined && rejected !== true) return [`"rejected" can only be true`]
  if (rejected === true && expected !== undefined) return [`it has both "expected" and "rejected"`]
  if (rejected === undefined && typeof expected !== "string")
    return [`it has neither "expected" (a text) nor "rejected": true`]

  const compiled = MessageTemplate.compile(template, fields)
  if (Result.isFailure(compiled)) {
    return rejected === true
      ? undefined
      : [`expected ${show(expected as string)}`, "the template is rejected:", ...compiled.failure.message.split("\n")]
  }
  const values = data.fromJson(given, types)
  if (Result.isFailure(values)) return [values.failure]
  const rendered = compiled.success.render(values.success)
  if (rejected === true) return ["expected to be rejected", `rendered ${show(rendered)}`]
  return rendered === expected ? undefined : difference(expected as string, rendered)
}

const LONGEST = 120
const shorten = (line: string): string => (line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line)

/** @internal */
export const templateTest = Command.make(
  "test",
  {
    file: Argument.String("FILE").pipe(
      Argument.withDescription(
        "JSON Lines: { template, data, expected } or { template, rejected: true }; - is standard input"
      )
    )
  },
  Effect.fnUntraced(
    function* ({ file }) {
      const { catalogue } = yield* session.Session
      const fields = yield* Effect.mapError(
        Effect.fromResult(data.templateFields(catalogue.fields)),
        (detail) => new failure.Failure({ detail })
      )
      const text = yield* templateVerbs.read(file)
      let passed = 0
      let failed = 0
      const lines = text.replace(/^\ufeff/, "").split(/\r?\n/)
      for (const [index, line] of lines.entries()) {
        if (line.trim() === "") continue
        const verdict = judge(line, catalogue.fields, fields)
        if (verdict === undefined) {
          passed++
          continue
        }
        failed++
        yield* words.lines([
          `line ${index + 1}: ${escape.line(shorten(line))}`,
          ...verdict.map((one) => `  ${escape.line(one)}`)
        ])
      }
      yield* words.data(`${passed} passed, ${failed} failed`)
      if (passed + failed === 0) {
        return yield* new failure.Failure({ detail: `${file === "-" ? "standard input" : file} has no cases` })
      }
      if (failed > 0) return yield* new CommandError({ lines: [], exit: failure.EXIT.failed })
    },
    session.verb("template", "test")
  )
).pipe(
  Command.withDescription(
    "Test templates with a file of JSON Lines. Names in data are those of templates (StepID) or of the data (stepId); " +
      "durations are texts such as 1m30.5s or whole nanoseconds."
  ),
  Command.withShortDescription("Test templates with a file of cases"),
  examples("templates.jsonl")
)
