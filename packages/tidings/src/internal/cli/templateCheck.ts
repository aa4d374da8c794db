/**
 * `template check`: is a template one?
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { examples } from "./examples.ts"
import * as session from "./session.ts"
import * as templateVerbs from "./templateVerbs.ts"
import * as words from "./words.ts"

/** @internal */
export const templateCheck = Command.make(
  "check",
  { template: templateVerbs.template },
  Effect.fnUntraced(
    function* ({ template }) {
      const { fields, required } = yield* templateVerbs.compile(template)
      const names = [...fields].map((name) => `.${name}`)
      yield* words.lines([
        names.length === 0 ? "valid: it uses no fields" : `valid: it uses ${names.join(", ")}`,
        ...(required.size === 0 ? [] : [`required (printed outside every if): ${[...required].join(", ")}`])
      ])
    },
    session.verb("template", "check")
  )
).pipe(
  Command.withDescription("Check a template. Shows each mistake, where it is, and how to fix it."),
  Command.withShortDescription("Check a template"),
  examples("'{{.Name}} failed{{if .Error}}: {{.Error}}{{end}}'", "- < message.tmpl")
)
