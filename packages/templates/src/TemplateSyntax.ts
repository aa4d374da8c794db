/**
 * The syntax tree of a message template, without meaning: which fields there are and what they hold is checked by
 * `MessageTemplate.compile`.
 *
 * **When to use**
 *
 * Use it in tools that read or rewrite templates: a formatter, a converter, a list of the fields in use.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { Issues } from "./internal/issues.ts"
import { parseParts } from "./internal/parser.ts"
import type { Expression, Part } from "./internal/syntaxTree.ts"
import { TemplateError } from "./TemplateError.ts"
import * as TemplateLimits from "./TemplateLimits.ts"

export type { Branch, Call, Expression, Field, If, Literal, Part, Print, Span, Text } from "./internal/syntaxTree.ts"

/**
 * Reads a template without asking which fields and functions there are.
 *
 * **Details**
 *
 * Comments and trim markers leave no trace. Fails with a `TemplateError` that has every mistake of syntax.
 *
 * @category parsing
 * @since 0.1.0
 */
export const parse = (
  source: string,
  options?: { readonly limits?: TemplateLimits.Overrides | undefined }
): Result.Result<ReadonlyArray<Part>, TemplateError> => {
  const limits = TemplateLimits.make(options?.limits)
  const issues = new Issues(limits.issues)
  const parts = parseParts(source, limits, issues)
  return issues.count === 0
    ? Result.succeed(parts)
    : Result.fail(new TemplateError({ source, issues: issues.located(source) }))
}

const escapes: { readonly [character: string]: string } = { '"': '\\"', "\\": "\\\\", "\n": "\\n" }

const printExpression = (expression: Expression): string => {
  switch (expression._tag) {
    case "Field":
      return `.${expression.path.join(".")}`
    case "Literal":
      return typeof expression.value === "string"
        ? `"${expression.value.replaceAll(/["\\\n]/g, (character) => escapes[character] ?? character)}"`
        : String(expression.value)
    default:
      return [
        expression.name,
        ...expression.arguments.map((argument) =>
          argument._tag === "Call" ? `(${printExpression(argument)})` : printExpression(argument)
        )
      ].join(" ")
  }
}

/**
 * Writes a tree as a template in one spelling: no comments, no needless parentheses, a trim marker only where a `{` of
 * the text stands before an action. Reading the result gives the same tree.
 *
 * **Example** (Writing a template in one spelling)
 *
 * ```ts
 * import assert from "node:assert/strict"
 * import * as Result from "effect/Result"
 * import { TemplateSyntax } from "@tidings/templates"
 *
 * const parts = Result.getOrThrow(TemplateSyntax.parse("{{ if (.Error) }}: {{- .Error }}{{ end }}"))
 * assert.equal(TemplateSyntax.print(parts), "{{if .Error}}:{{.Error}}{{end}}")
 * ```
 *
 * @category printing
 * @since 0.1.0
 */
export const print = (parts: ReadonlyArray<Part>): string => {
  let written = ""
  // A `{` that the next characters would turn into `{{` is kept apart by white space that a trim marker takes away.
  const action = (body: string): void => {
    written += written.endsWith("{") ? ` {{- ${body}}}` : `{{${body}}}`
  }
  const writeAll = (some: ReadonlyArray<Part>): void => {
    for (const part of some) {
      switch (part._tag) {
        case "Text": {
          if (written.endsWith("{") && part.text.startsWith("{")) action("/**/")
          written += part.text.replaceAll(/\{(?=\{)/g, "{ {{- /**/}}")
          break
        }
        case "Print": {
          action(printExpression(part.expression))
          break
        }
        case "If": {
          for (const [index, branch] of part.branches.entries()) {
            action(`${index === 0 ? "if" : "else if"} ${printExpression(branch.condition)}`)
            writeAll(branch.parts)
          }
          if (part.otherwise !== undefined) {
            action("else")
            writeAll(part.otherwise)
          }
          action("end")
        }
      }
    }
  }
  writeAll(parts)
  return written
}
