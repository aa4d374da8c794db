/**
 * `get`: one event in full.
 *
 * @internal
 */
import { Backend } from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import type { Event } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { EventFilter, PageToken } from "@tidings/core/EventQuery"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import { examples } from "./examples.ts"
import { Failure } from "./failure.ts"
import * as flags from "./flags.ts"
import * as format from "./format.ts"
import * as session from "./session.ts"
import * as words from "./words.ts"

/** A backend answers by object, type and time, not by identity, so its events are gone through, so many at a time. */
const PAGE = 1_000

const find = Effect.fnUntraced(function* (
  wanted: string,
  given: { readonly namespace: string | undefined; readonly allNamespaces: boolean }
): Effect.fn.Return<Event, BackendError | Failure, Backend | session.Session> {
  const backend = yield* Backend
  const meant = yield* session.DefaultNamespace
  const namespace = given.allNamespaces ? undefined : (given.namespace ?? meant)
  const filter: EventFilter = namespace === undefined ? {} : { namespace }
  const id = EventId.parse(wanted)
  const isWanted = (event: Event): boolean =>
    event.name === wanted || (id !== undefined && event.id.seq === id.seq && event.id.origin === id.origin)
  let page: PageToken | undefined
  do {
    const answer = yield* backend.query({ ...filter, limit: PAGE, ...(page === undefined ? undefined : { page }) })
    const found = answer.events.find(isWanted)
    if (found !== undefined) return found
    page = answer.next
  } while (page !== undefined)
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
export const get = Command.make(
  "get",
  {
    id: Argument.String("ID").pipe(
      Argument.withDescription("What emit printed, or the name of an event from list -o wide")
    ),
    ...flags.placement,
    output: flags.output(["text", "json", "ndjson", "yaml"])
  },
  Effect.fnUntraced(function* ({ allNamespaces, id, namespace, output = "text" }) {
    if (namespace === "") return yield* session.refuse("--namespace is empty: leave it out")
    const event = yield* session.withBackend({ create: false })(find(id, { allNamespaces, namespace }))
    yield* words.data(
      output === "text"
        ? format.card(event, { now: Timestamp.now(yield* Clock.Clock), colours: yield* session.colours })
        : format.one(output, event)
    )
  }, session.verb("get"))
).pipe(
  Command.withDescription("Show one event in full, with its data."),
  Command.withShortDescription("Show one event in full"),
  examples("deploy.0123456789abcdef.1", "0123456789abcdef0123456789abcdef.1 -o yaml")
)
