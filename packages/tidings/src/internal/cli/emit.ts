/**
 * `emit`: record an event, or many.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import type { Catalogue } from "./catalogue.ts"
import * as data from "./data.ts"
import type { Named } from "./drafting.ts"
import { examples } from "./examples.ts"
import * as defaultNamespace from "../defaultNamespace.ts"
import * as flags from "./flags.ts"
import * as selection from "./selection.ts"
import * as session from "./session.ts"

/** Stands for the lines of standard input. */
const LINES = "-"

const optional = (name: string, description: string) =>
  Argument.String(name).pipe(
    Argument.withDescription(description),
    Argument.optional,
    Argument.map(Option.getOrUndefined)
  )

const named = (
  written: string,
  namespace: string | undefined,
  catalogue: Catalogue,
  flag = ""
): Result.Result<Named, string> =>
  Result.flatMap(selection.readObject(written, catalogue), ({ kind, name }) =>
    name === undefined
      ? Result.fail(
          `${flag}${JSON.stringify(written)} names no object, expected KIND/NAME such as ${kind.kind}/${catalogue.samples.name}`
        )
      : Result.succeed({ kind, name, namespace })
  )

/** @internal */
export const emit = ({ samples }: Catalogue) =>
  Command.make(
    "emit",
    {
      object: Argument.String("KIND/NAME").pipe(
        Argument.withDescription(
          "The object that the event is about; - records an event for each line of JSON of stdin"
        )
      ),
      reason: optional("REASON", `What happened, in one word: ${samples.reason}. See explain`),
      message: optional("[MESSAGE]", "The message, used verbatim (default: the catalogue's for this reason)"),
      data: flags.texts("data", {
        value: "KEY=VALUE",
        description: "Data of the event, one flag per key: stepId=build, duration=1m30s, arguments.region=eu"
      }),
      type: flags.eventType("The type (default: the catalogue's for this reason, else Normal)"),
      namespace: flags.text("namespace", {
        alias: "n",
        value: "NAMESPACE",
        description: `The namespace of the object (default: that of the context on a cluster, else "${defaultNamespace.FALLBACK}"); "" for a cluster-scoped object`
      }),
      at: flags.time("at", {
        value: "TIME",
        description: "When it happened: 5m, 10:30, 2026-08-22T10:00:00Z (default now)"
      }),
      source: flags.text("source", {
        value: "COMPONENT",
        description: "Who reports it (default the name of this command)"
      }),
      label: flags.texts("label", {
        alias: "l",
        value: "KEY=VALUE",
        description: "A label of the event, for filters; several: a=1,b=2"
      }),
      related: flags.text("related", {
        value: "KIND/NAME",
        description: "Another object that it is about, in the same namespace"
      })
    },
    Effect.fnUntraced(function* (given) {
      const { at, message, namespace, object, reason, source, type } = given
      const { catalogue } = yield* session.Session
      if (source === "") return yield* session.refuse("--source is empty: leave it out")
      const written = given.label.flatMap(selection.split)
      const labels = written.length === 0 ? undefined : yield* session.check(selection.readLabels(written))
      const related =
        given.related === undefined
          ? undefined
          : yield* session.check(named(given.related, namespace, catalogue, "--related "))
      if (object === LINES) {
        if (reason !== undefined) {
          return yield* session.refuse(
            `unexpected ${JSON.stringify(reason)}: with -, the lines of stdin have the reasons`
          )
        }
        const { run } = yield* Effect.promise(() => import("./emittingLines.ts"))
        return yield* run({ namespace, type, at, source, labels, related, data: given.data })
      }
      if (reason === undefined) return yield* session.refuse("REASON is missing")
      const about = yield* session.check(named(object, namespace, catalogue))
      const fields = catalogue.fieldsOf(about.kind.kind)
      const read = yield* session.check(data.fromPairs(given.data, fields, "elsewhere"))
      const { one } = yield* Effect.promise(() => import("./emitting.ts"))
      const said = { object: about, related, reason, message, type, action: undefined, data: read, labels, at }
      yield* one(said, { component: source })
    }, session.verb("emit"))
  ).pipe(
    Command.withDescription(
      "Record an event. Waits until the backend has it, then prints its id. With - in place of the object it records an " +
        "event for each line of JSON on stdin, and prints the ids in the order of the lines."
    ),
    Command.withShortDescription("Record an event"),
    examples(
      samples.emit,
      'Deployment/web RolloutStarted "version 2 is rolling out" -n team-a',
      "Deployment/web RolloutFinished --at 10:30 --source deploy-script --label version=2 --related ReplicaSet/web-7d4b",
      "- --source ci < events.ndjson"
    )
  )
