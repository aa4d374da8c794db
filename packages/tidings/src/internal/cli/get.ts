/**
 * `get`: one event in full.
 *
 * @internal
 */
import type { BackendError } from "@tidings/core/BackendError"
import { type Event, namespaceOf } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import * as EventId from "@tidings/core/EventId"
import type { EventFilter } from "@tidings/core/EventQuery"
import { EventReader } from "@tidings/core/EventReader"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as documents from "./documents.ts"
import { examples } from "./examples.ts"
import { Failure } from "./failure.ts"
import * as flags from "./flags.ts"
import * as format from "./format.ts"
import * as session from "./session.ts"
import * as words from "./words.ts"

/** What `emit` prints, and the identity of other writers' events: it takes going through all of them, a name does not. */
const isIdentity = (text: string): boolean => {
  const id = EventId.parse(text)
  return id !== undefined && (id.seq === 0 || /^[0-9a-f]{32}$/.test(id.origin))
}

const find = Effect.fnUntraced(function* (
  written: string,
  given: { readonly namespace: string | undefined; readonly allNamespaces: boolean }
): Effect.fn.Return<Event, BackendError | Failure, EventReader | session.Session> {
  // As -o name prints it.
  const wanted = written.replace(/^events?\//i, "")
  const reader = yield* EventReader
  const meant = yield* session.DefaultNamespace
  const namespace = given.allNamespaces ? undefined : (given.namespace ?? meant)
  const filter: EventFilter = namespace === undefined ? {} : { namespace }
  const [named, ...others] = (yield* reader.query({ ...filter, name: wanted, limit: 2 })).events
  if (named !== undefined && others.length > 0) {
    yield* words.say(
      `note: events of this name are in several namespaces; showing the one in ${namespaceOf(named)}, choose another with --namespace`
    )
  }
  if (named !== undefined) return named
  if (isIdentity(wanted)) {
    const [identified] = (yield* reader.query({ ...filter, id: wanted, limit: 1 })).events
    if (identified !== undefined) return identified
  }
  const { command } = yield* session.Session
  return yield* new Failure({
    detail: `there is no event ${JSON.stringify(wanted)}${namespace === undefined ? "" : ` in namespace ${namespace}`}`,
    hint:
      namespace === undefined
        ? `take an id or a name from: ${command} list -o wide`
        : `look in all namespaces with --all-namespaces, or take an id or a name from: ${command} list -A -o wide`
  })
})

/** @internal */
export const get = () =>
  Command.make(
    "get",
    {
      id: Argument.String("ID").pipe(
        Argument.withDescription("The id that emit printed, or the name of an event from list -o wide")
      ),
      ...flags.placement,
      output: flags.output(["text", "json", "ndjson", "yaml"])
    },
    Effect.fnUntraced(function* ({ allNamespaces, id, namespace, output = "text" }) {
      if (namespace === "") return yield* session.refuse("--namespace is empty: leave it out")
      const event = yield* session.withReader({ create: false })(find(id, { allNamespaces, namespace }))
      if (output === "ndjson") return yield* words.data(EventJson.encode(event))
      if (output !== "text") return yield* documents.print(output, EventJson.toStoredObject(event))
      const options = { now: Timestamp.now(yield* Clock.Clock), colours: yield* session.colours }
      yield* words.prose(format.card(event, options).split("\n"), "First seen:  ".length)
    }, session.verb("get"))
  ).pipe(
    Command.withDescription("Show one event in full, with its data."),
    Command.withShortDescription("Show one event in full"),
    examples("deploy.0123456789abcdef.1", "0123456789abcdef0123456789abcdef.1 -o yaml")
  )
