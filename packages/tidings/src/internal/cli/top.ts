/**
 * `top`: what happens most.
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

const DEFAULT_LIMIT = 20

const BY = ["reason", "object", "kind", "source", "namespace", "type", "cluster"] as const

/** @internal */
export const top = (catalogue: Catalogue) =>
  Command.make(
    "top",
    {
      ...selection.filters(catalogue),
      ...selection.times,
      by: flags.choice("by", BY, { value: BY.join("|"), description: `What is counted (default ${BY[0]})` }),
      limit: flags.count("limit", {
        value: "NUMBER|all",
        description: `Show at most this many rows, the most frequent (default ${DEFAULT_LIMIT})`
      }),
      watch: flags.given("watch", "Go on with what happens, until interrupted", "w"),
      output: flags.output(["table", "json", "yaml"])
    },
    Effect.fnUntraced(function* ({ by = "reason", limit, output = "table", watch, ...given }) {
      const selected = yield* session.check(selection.select(given, catalogue, 0))
      if (watch && given.until !== undefined) {
        return yield* session.refuse("--watch goes on with what happens, and --until ends before: leave one out")
      }
      if (watch && output === "yaml") return yield* session.refuse("--watch prints tables, or lines with -o json")
      const search = yield* searching.make(selected.patterns)
      const rows = limit === "all" ? Number.POSITIVE_INFINITY : (limit ?? DEFAULT_LIMIT)
      const { show } = yield* Effect.promise(() => import("./tops.ts"))
      yield* selection
        .place(selected)
        .pipe(
          Effect.flatMap(selection.inPlace((placed) => show(placed, { by, limit: rows, output, search, watch }))),
          session.withReader({ create: watch })
        )
    }, session.verb("top"))
  ).pipe(
    Command.withDescription(
      "Show what happens most: occurrences by reason, object, kind, source, namespace, type or cluster, the most frequent first, " +
        "with their course over time."
    ),
    Command.withShortDescription("Show what happens most"),
    examples("", "--by object --type Warning --since 1h", "-n team-a --watch", "--by source -o json")
  )
