/**
 * The error of a message template: every mistake with its position and, where there is one, a suggestion.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Display from "./internal/display.ts"

/**
 * The kind of a mistake, for programs; `message` is for people.
 *
 * | code | the mistake |
 * | --- | --- |
 * | `unknown-field` | a field that the data does not have, or a field inside a field |
 * | `unknown-word` | a word that is neither a function nor a keyword |
 * | `unsupported` | valid in Go, left out here: `range`, `with`, variables, pipes, `printf`, the bare dot, … |
 * | `misplaced-keyword` | `if`, `else` or `end` anywhere but at the beginning of an action |
 * | `empty-action` | `{{}}` |
 * | `missing-value` | an `if`, an `else if` or a pair of parentheses with nothing in it |
 * | `missing-end` | an `if` that is never closed |
 * | `unexpected-end`, `unexpected-else` | without an open `if` |
 * | `duplicate-else` | an `else` or `else if` after the `else` |
 * | `unclosed-action`, `unclosed-comment`, `unclosed-text`, `unclosed-parenthesis` | its end is missing |
 * | `unexpected-parenthesis` | a `)` without a `(` |
 * | `bad-character` | a character that has no meaning inside an action |
 * | `bad-number` | not a decimal whole number up to 2^53 - 1 |
 * | `bad-escape` | a `\` in a text followed by something unknown |
 * | `bad-comment` | a comment that is not alone in its action |
 * | `missing-space` | two values without white space between them |
 * | `unexpected-argument` | something after a value, an `end` or an `else` that takes nothing |
 * | `argument-count` | too few or too many arguments for a function |
 * | `incompatible-types` | a comparison or `len` of what it cannot compare or count |
 * | `too-long`, `too-many-parts`, `too-deep`, `too-many-branches`, `too-many-arguments` | a limit (see `TemplateLimits`) |
 *
 * @category models
 * @since 0.1.0
 */
export type TemplateIssueCode =
  | "unknown-field"
  | "unknown-word"
  | "unsupported"
  | "misplaced-keyword"
  | "empty-action"
  | "missing-value"
  | "missing-end"
  | "unexpected-end"
  | "unexpected-else"
  | "duplicate-else"
  | "unclosed-action"
  | "unclosed-comment"
  | "unclosed-text"
  | "unclosed-parenthesis"
  | "unexpected-parenthesis"
  | "bad-character"
  | "bad-number"
  | "bad-escape"
  | "bad-comment"
  | "missing-space"
  | "unexpected-argument"
  | "argument-count"
  | "incompatible-types"
  | "too-long"
  | "too-many-parts"
  | "too-deep"
  | "too-many-branches"
  | "too-many-arguments"

/**
 * One mistake in a template.
 *
 * @category models
 * @since 0.1.0
 */
export interface TemplateIssue {
  readonly code: TemplateIssueCode
  /** What is wrong, in one clause. */
  readonly message: string
  /** What is expected, where that is known. */
  readonly hint?: string | undefined
  /** Where it begins in the source, in UTF-16 code units from 0. */
  readonly offset: number
  /** How many UTF-16 code units it spans. */
  readonly length: number
  /** The line, from 1. Lines end with a line feed. */
  readonly line: number
  /** The column in its line, from 1, in code points: an emoji counts once. */
  readonly column: number
}

const excerptWidth = 80

/** The line of an issue with a caret under it, at most 80 code points of it. */
const excerpt = (source: string, issue: TemplateIssue): string => {
  const lineStart = source.lastIndexOf("\n", issue.offset - 1) + 1
  const newline = source.indexOf("\n", issue.offset)
  const lineEnd = newline === -1 ? source.length : newline
  const line = Array.from(source.slice(lineStart, lineEnd), Display.character)
  const marked = Array.from(source.slice(issue.offset, Math.min(issue.offset + issue.length, lineEnd))).length

  const at = issue.column - 1
  const first = Math.max(0, Math.min(at - excerptWidth / 2, line.length - excerptWidth))
  const last = Math.min(line.length, first + excerptWidth)
  const before = first > 0 ? "…" : ""
  const shown = before + line.slice(first, last).join("") + (last < line.length ? "…" : "")
  const carets = "^".repeat(Math.max(1, Math.min(marked, last - at)))
  return `  ${shown}\n  ${" ".repeat(before.length + at - first)}${carets}`
}

/**
 * A template that was refused, with every mistake in it (up to the limit `issues`), in the order of the source.
 *
 * **Details**
 *
 * `message` shows each mistake with its line and a caret under it. Control characters of the template are shown as their
 * symbols (U+2400 and following), each of which takes one column, so that they cannot control the terminal and the caret is
 * at the right place.
 *
 * **Example** (Showing what is wrong)
 *
 * ```ts
 * import assert from "node:assert/strict"
 * import * as Result from "effect/Result"
 * import { MessageTemplate, TemplateFields } from "@tidings/templates"
 *
 * const fields = Result.getOrThrow(TemplateFields.make({ name: "text", stepId: "text" }))
 * const error = Result.getOrThrow(Result.flip(MessageTemplate.compile("{{.Name}} failed at {{.StepId}}", fields)))
 * assert.equal(
 *   error.message,
 *   [
 *     "1:23 unknown field .StepId (did you mean .StepID?)",
 *     "  {{.Name}} failed at {{.StepId}}",
 *     "                        ^^^^^^^"
 *   ].join("\n")
 * )
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class TemplateError extends Data.TaggedError("TemplateError")<{
  readonly source: string
  readonly issues: ReadonlyArray<TemplateIssue>
}> {
  override get message(): string {
    return this.issues
      .map((issue) => {
        const hint = issue.hint === undefined ? "" : ` (${issue.hint})`
        return `${issue.line}:${issue.column} ${issue.message}${hint}\n${excerpt(this.source, issue)}`
      })
      .join("\n")
  }
}
