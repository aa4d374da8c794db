/**
 * `follow`: the latest events, then what happens.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import type { Catalogue } from "./catalogue.ts"
import { examples } from "./examples.ts"
import * as flags from "./flags.ts"
import * as printing from "./printing.ts"
import * as resuming from "./resuming.ts"
import * as searching from "./searching.ts"
import * as selection from "./selection.ts"
import * as session from "./session.ts"

const DEFAULT_LIMIT = 10

/** @internal */
export const follow = (catalogue: Catalogue) =>
  Command.make(
    "follow",
    { ...selection.selection(catalogue, String(DEFAULT_LIMIT)), ...flags.printed, ...resuming.flags },
    Effect.fnUntraced(function* ({ cursorFile, noHeaders, output, showCursor, utc, ...given }) {
      const resumed = yield* resuming.resume(cursorFile, given)
      const selected = yield* session.check(selection.select(resumed.given, catalogue, DEFAULT_LIMIT))
      const printer = yield* printing.make({ noHeaders, output, utc })
      const search = yield* searching.make(selected.patterns)
      const { run } = yield* Effect.promise(() => import("./following.ts"))
      yield* resumed.explaining(run(selected, { printer, showCursor, search, cursorFile: resumed.file }))
    }, session.verb("follow"))
  ).pipe(
    Command.withDescription(
      "Show the latest events, then new ones as they arrive. Runs until interrupted, or until --until. -o json prints a " +
        "line per event, -o yaml a document."
    ),
    Command.withShortDescription("Show the latest events, then new ones as they arrive"),
    examples(
      "",
      `${catalogue.samples.other.kind} --type Warning`,
      "-o ndjson --limit 0",
      "-o ndjson --until +10m",
      "-o ndjson --cursor-file cursor.txt"
    )
  )
