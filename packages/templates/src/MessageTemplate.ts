/**
 * Message templates: a strict subset of Go's `text/template`, checked when they are compiled.
 *
 * **When to use**
 *
 * Use `compile` once for each template, at the start of a program or when a user sets one, and keep the result: it renders
 * in about the time of a hand-written function.
 *
 * **Details**
 *
 * Go accepts every template that is accepted here, and gives the same output. All others are refused with the position of
 * each mistake and a suggestion.
 *
 * ```text
 * {{.Name}}                                     the value of a field
 * {{if .Error}}: {{.Error}}{{end}}              only where the field has a value
 * {{if eq .Phase "Ready"}}…{{else if .Error}}…{{else}}…{{end}}
 * {{or .ServiceClass "no class"}}               the first that has a value
 * {{if and (gt .StepCount 1) (not .Quiet)}}…    and, or, not; eq, ne; lt, le, gt, ge; len of a list
 * {{.Arguments.region}}                         one key of an open field
 * {{- .Name -}}                                 without the white space before and after
 * {{/* a comment *\/}}  {{"{{"}}                 nothing, and two braces
 * ```
 *
 * Data is never interpreted: braces in it have no meaning. Control characters in it are printed unchanged; a program that
 * shows a message on a terminal must escape them.
 *
 * **Gotchas**
 *
 * - The text `"false"` is a text that is not empty, so `{{if .ConditionResult}}` is true for it: test
 *   `{{if eq .ConditionResult "true"}}`.
 * - Counts and durations print nothing at zero and below, where plain Go prints `0` and `0s`.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { check, fieldOf } from "./internal/checker.ts"
import { generate, inheritsNothing, readerOf } from "./internal/closures.ts"
import { Issues } from "./internal/issues.ts"
import { parseParts } from "./internal/parser.ts"
import { TemplateError } from "./TemplateError.ts"
import type { Field, Fields } from "./TemplateFields.ts"
import * as TemplateLimits from "./TemplateLimits.ts"
import type { Expression, Part } from "./TemplateSyntax.ts"

/**
 * A template that was checked and can be rendered. Frozen.
 *
 * @category models
 * @since 0.1.0
 */
export interface MessageTemplate<in D extends object = object> {
  /** The text it was compiled from. */
  readonly source: string
  /** The names of all fields that it reads, without the dot: `StepID`, and `Arguments` for `.Arguments.key`. */
  readonly fields: ReadonlySet<string>
  /** The data keys that it prints outside every if, which a message is incomplete without. Open fields do not count. */
  readonly required: ReadonlySet<string>
  /**
   * The message for some data.
   *
   * **Details**
   *
   * Pure, and it never throws. Only own properties of `data` are read. Nothing is printed for a value that is missing, is of
   * another type than declared, or throws when it is read. A string or list beyond the limit `text` is cut and ends in `…`.
   */
  readonly render: (data: D) => string
}

/**
 * Options of `compile`.
 *
 * @category models
 * @since 0.1.0
 */
export interface CompileOptions {
  /**
   * What is printed for a field outside every if that has no value, by its data key (`arguments.region` for a key of an
   * open field): a mark such as `<no stepId>`, so that a missing value is noticed. Nothing is printed where it returns
   * `undefined`, or when it is absent.
   *
   * **Details**
   *
   * A field has no value when it is missing, `null`, or an empty text or list. A count or duration of zero is a value and
   * prints nothing, and so does a value of another type than declared. Called when the template is compiled, never when it
   * is rendered.
   */
  readonly mark?: ((key: string) => string | undefined) | undefined
  /** Replaces some of `TemplateLimits.defaults`. */
  readonly limits?: TemplateLimits.Overrides | undefined
}

const namesIn = (root: ReadonlyArray<Part>): ReadonlySet<string> => {
  const names = new Set<string>()
  const ofExpression = (expression: Expression): void => {
    if (expression._tag === "Field") names.add(expression.path[0])
    else if (expression._tag === "Call") expression.arguments.forEach(ofExpression)
  }
  const ofParts = (parts: ReadonlyArray<Part>): void => {
    for (const part of parts) {
      if (part._tag === "Print") ofExpression(part.expression)
      else if (part._tag === "If") {
        for (const branch of part.branches) {
          ofExpression(branch.condition)
          ofParts(branch.parts)
        }
        ofParts(part.otherwise ?? [])
      }
    }
  }
  ofParts(root)
  return names
}

const requiredBy = (root: ReadonlyArray<Part>, fields: Fields<never>): ReadonlySet<string> => {
  const keys = new Set<string>()
  for (const part of root) {
    if (part._tag !== "Print" || part.expression._tag !== "Field") continue
    const field = fieldOf(fields, part.expression.path[0])
    if (field !== undefined && field.type !== "open") keys.add(field.key)
  }
  return keys
}

const mostItems = 4096

/** A copy, one level deep, of a value whose getters may throw: each is read once, here. */
const withoutTraps = (value: unknown): unknown => {
  if (Array.isArray(value)) {
    // No more items than can be printed, because a proxy may report any length.
    const { length } = value
    const items: Array<unknown> = Array.from({ length: Math.min(length, mostItems) }, (_, index) => value[index])
    items.length = length
    return items
  }
  return typeof value === "object" && value !== null ? { ...value } : value
}

/** The same fields; a value that throws when it is read counts as missing. */
const guarded = <D extends object>(fields: Fields<D>): Fields<D> => {
  const guard = (field: Field<D>): Field<D> => {
    const read = readerOf(field)
    const get = (data: D): unknown => {
      try {
        return withoutTraps(read(data))
      } catch {
        return undefined
      }
    }
    return { ...field, get }
  }
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, guard(field)]))
}

/**
 * Checks and compiles a template.
 *
 * **Details**
 *
 * `fields` are the fields that the template may name (`TemplateFields.make`). Fails with a `TemplateError` that has every
 * mistake with its line, its column and, where there is one, a suggestion. A field that does not exist is a mistake in every
 * branch, also in one that is never rendered.
 *
 * **Example** (Compiling and rendering)
 *
 * ```ts
 * import assert from "node:assert/strict"
 * import * as Result from "effect/Result"
 * import { MessageTemplate, TemplateFields } from "@tidings/templates"
 *
 * const fields = Result.getOrThrow(TemplateFields.make({ name: "text", podCount: "count", took: "duration" }))
 * const template = Result.getOrThrow(
 *   MessageTemplate.compile("{{.Name}} scaled to {{.PodCount}}{{if .Took}} in {{.Took}}{{end}}", fields)
 * )
 * assert.equal(template.render({ name: "web", podCount: 3, took: 1_500_000_000 }), "web scaled to 3 in 1.5s")
 * assert.equal(template.render({ name: "web", podCount: 3 }), "web scaled to 3")
 * assert.deepEqual([...template.required], ["name", "podCount"])
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const compile = <D extends object = object>(
  source: string,
  fields: Fields<D>,
  options?: CompileOptions
): Result.Result<MessageTemplate<D>, TemplateError> => {
  const limits = TemplateLimits.make(options?.limits)
  const issues = new Issues(limits.issues)
  const parts = parseParts(source, limits, issues, (expression) => check(expression, fields, issues))
  if (issues.count > 0) return Result.fail(new TemplateError({ source, issues: issues.located(source) }))

  const names = namesIn(parts)
  const run = generate(parts, { fields, most: limits.text, mark: options?.mark })
  let runCarefully: ((data: D) => string) | undefined
  const careful = (data: D): string => {
    try {
      runCarefully ??= generate(parts, { fields: guarded(fields), most: limits.text, mark: options?.mark })
      return runCarefully(data)
    } catch {
      // Only a stack overflow, or a message beyond the maximum length of a string, leads here.
      return ""
    }
  }
  const render = [...names].every((name) => fieldOf(fields, name)?.get !== undefined)
    ? (data: D): string => {
        try {
          return run(data)
        } catch {
          return careful(data)
        }
      }
    : (data: D): string => {
        try {
          if (inheritsNothing(data)) return run(data)
        } catch {
          // Something in the data throws when it is read, so it is rendered again from a copy that does not.
        }
        return careful(data)
      }
  return Result.succeed(Object.freeze({ source, fields: names, required: requiredBy(parts, fields), render }))
}
