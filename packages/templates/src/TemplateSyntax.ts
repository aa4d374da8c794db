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
import { TemplateError } from "./TemplateError.ts"
import * as TemplateLimits from "./TemplateLimits.ts"

/**
 * Where something stands in the source, in UTF-16 code units from 0.
 *
 * @category models
 * @since 0.1.0
 */
export interface Span {
  readonly offset: number
  readonly length: number
}

/**
 * `.Name`, or `.Arguments.key`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Field extends Span {
  readonly _tag: "Field"
  readonly path: readonly [string, ...ReadonlyArray<string>]
}

/**
 * A text, a whole number, `true` or `false`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Literal extends Span {
  readonly _tag: "Literal"
  readonly value: string | number | boolean
}

/**
 * A function with its arguments. The name is any word: whether it is a function is not a matter of syntax.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call extends Span {
  readonly _tag: "Call"
  readonly name: string
  readonly arguments: ReadonlyArray<Expression>
}

/**
 * What an action prints, or an if tests. Parentheses leave no trace.
 *
 * @category models
 * @since 0.1.0
 */
export type Expression = Field | Literal | Call

/**
 * Text outside actions, after trim markers did their work. Never empty, never beside another text.
 *
 * @category models
 * @since 0.1.0
 */
export interface Text {
  readonly _tag: "Text"
  readonly text: string
}

/**
 * An action that prints a value.
 *
 * @category models
 * @since 0.1.0
 */
export interface Print {
  readonly _tag: "Print"
  readonly expression: Expression
}

/**
 * An `if` or `else if` with what follows it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Branch {
  readonly condition: Expression
  readonly parts: ReadonlyArray<Part>
}

/**
 * An if: its first branch and one for each `else if`. `otherwise` is there when there is an `{{else}}`, also an empty one.
 *
 * @category models
 * @since 0.1.0
 */
export interface If {
  readonly _tag: "If"
  readonly branches: ReadonlyArray<Branch>
  readonly otherwise?: ReadonlyArray<Part> | undefined
}

/**
 * A piece of a template.
 *
 * @category models
 * @since 0.1.0
 */
export type Part = Text | Print | If

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
