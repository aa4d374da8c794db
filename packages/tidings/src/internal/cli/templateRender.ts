/**
 * `template render`: a message from a template and some data.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as data from "./data.ts"
import * as escape from "./escape.ts"
import { examples } from "./examples.ts"
import * as flags from "./flags.ts"
import * as session from "./session.ts"
import * as templateVerbs from "./templateVerbs.ts"
import * as words from "./words.ts"

/** @internal */
export const templateRender = Command.make(
  "render",
  {
    template: templateVerbs.template,
    data: flags.texts("data", {
      value: "KEY=VALUE",
      description: "Data for the template, one flag per key: name=deploy, StepID=build, arguments.region=eu"
    })
  },
  Effect.fnUntraced(
    function* ({ data: pairs, template }) {
      const { catalogue } = yield* session.Session
      const given = yield* session.check(data.fromPairs(pairs, catalogue.fields, "in the data"))
      const compiled = yield* templateVerbs.compile(template)
      yield* words.data(escape.block(compiled.render(given)))
    },
    session.verb("template", "render")
  )
).pipe(
  Command.withDescription("Render a template with the data given."),
  Command.withShortDescription("Render a template with the data given"),
  examples("'Workflow {{.Name}} failed{{if .Error}}: {{.Error}}{{end}}' --data name=deploy --data error=timeout")
)
