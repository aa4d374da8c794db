/**
 * The syntax tree of a message template. Fields, functions and types are not checked here, but by `MessageTemplate.compile`.
 *
 * **When to use**
 *
 * Use it in tools that read or rewrite templates, such as a formatter, a converter, or a list of the fields in use.
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
 * Parses a template. Unknown fields and functions are accepted.
 *
 * **Details**
 *
 * Comments and trim markers are not part of the tree. Fails with a `TemplateError` that has every syntax error.
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
 * Prints a tree as a template in a canonical form: no comments, no needless parentheses, a trim marker only where a `{` of
 * a text precedes an action. Parsing the result gives the same tree.
 *
 * **Example** (Printing a template in canonical form)
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
  // A `{` that the next characters would extend to `{{` is followed by white space, which a trim marker removes.
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
