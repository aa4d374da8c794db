/**
 * `story`: what happened to an object, and to which objects something happened.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import type { Catalogue } from "./catalogue.ts"
import { examples } from "./examples.ts"
import * as flags from "./flags.ts"
import * as searching from "./searching.ts"
import * as selection from "./selection.ts"
import * as session from "./session.ts"

const DEFAULT_LIMIT = 50

/** @internal */
export const story = (catalogue: Catalogue) =>
  Command.make(
    "story",
    {
      ...selection.filters(catalogue),
      ...selection.times,
      limit: flags.count("limit", {
        value: "NUMBER|all",
        description: `Show at most this many events of an object, the newest, or objects (default ${DEFAULT_LIMIT})`
      }),
      output: flags.output(["table", "json", "yaml"])
    },
    Effect.fnUntraced(function* ({ limit, output = "table", ...given }) {
      const selected = yield* session.check(selection.select(given, catalogue, 0))
      const search = yield* searching.make(selected.patterns)
      const rows = limit === "all" ? Number.POSITIVE_INFINITY : (limit ?? DEFAULT_LIMIT)
      const { tell } = yield* Effect.promise(() => import("./stories.ts"))
      yield* selection
        .place(selected)
        .pipe(
          Effect.flatMap(selection.inPlace((placed) => tell(placed, { limit: rows, output, search }))),
          session.withReader({ create: false })
        )
    }, session.verb("story"))
  ).pipe(
    Command.withDescription(
      "Show what happened to an object, in order: repeats as one, phases with their durations, the first and the last " +
        "failure, what recovered it, and the objects that its events name. Without KIND/NAME: the objects of the last 24 " +
        "hours, those that fail first."
    ),
    Command.withShortDescription("Show what happened to an object"),
    examples(catalogue.samples.object, "", `${catalogue.samples.other.kind} --since 7d`, "pod/web -o json")
  )
