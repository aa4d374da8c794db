/**
 * `import`: events that were exported, or that kubectl prints.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import { examples } from "./examples.ts"
import * as failure from "./failure.ts"
import * as flags from "./flags.ts"
import type { Source } from "./importing.ts"
import * as session from "./session.ts"
import * as standardInput from "./standardInput.ts"

/** `-` is standard input. */
const sourceOf = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<Source, never, Stdio.Stdio | FileSystem.FileSystem> {
  if (path === "-") return { name: "stdin", text: yield* standardInput.text }
  const files = yield* FileSystem.FileSystem
  const text = Stream.mapError(
    Stream.decodeText(files.stream(path)),
    (error) => new failure.Failure({ detail: `cannot read ${JSON.stringify(path)}: ${failure.whyOf(error)}` })
  )
  return { name: path, text }
})

/** @internal */
export const importVerb = () =>
  Command.make(
    "import",
    {
      files: Argument.String("[FILE...]").pipe(
        Argument.withDescription("What to read, in this order; - is standard input (default -)"),
        Argument.variadic()
      ),
      cluster: flags.text("cluster", {
        value: "NAME",
        description: "The cluster that the events are from, where they name none: a filter of the store"
      })
    },
    Effect.fnUntraced(function* ({ cluster, files }) {
      if (cluster === "") return yield* session.refuse("--cluster is empty: leave it out")
      const sources = yield* Effect.forEach(files.length === 0 ? ["-"] : files, sourceOf)
      const importing = yield* Effect.promise(() => import("./importing.ts"))
      yield* session.withBackend({ create: true })(
        importing.run(sources, cluster === undefined ? undefined : { id: cluster })
      )
    }, session.verb("import"))
  ).pipe(
    Command.withDescription(
      "Store events from files or standard input: lines of JSON as export prints them, and what kubectl get events prints " +
        "with -o json or -o yaml. They keep their identity, so importing twice stores them once. What cannot be read is " +
        "told with its place, and the rest is stored."
    ),
    Command.withShortDescription("Store events that were exported, or that kubectl prints"),
    examples("backup.ndjson", "--cluster production events.yaml", "< events.json")
  )
