/**
 * `list`: what is stored.
 *
 * @internal
 */
import type { BackendError } from "@tidings/core/BackendError"
import { CLUSTER_SCOPED_NAMESPACE, type Event } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import * as EventQuery from "@tidings/core/EventQuery"
import { EventReader } from "@tidings/core/EventReader"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Command from "effect/cli/Command"
import { examples } from "./examples.ts"
import { Absent } from "./failure.ts"
import * as flags from "./flags.ts"
import * as format from "./format.ts"
import * as session from "./session.ts"
import * as words from "./words.ts"

const DEFAULT_LIMIT = 50

interface Answer {
  /** What was asked for in the end. */
  readonly selected: flags.Selected
  /** Oldest first. */
  readonly events: ReadonlyArray<Event>
  readonly total: number
  /** Absent where there is no store yet. */
  readonly cursor?: EventQuery.Cursor | undefined
  readonly coverage?: ReadonlyArray<EventQuery.Coverage> | undefined
  readonly incomplete?: ReadonlyArray<EventQuery.Incomplete> | undefined
  /** What to say where nothing was found. */
  readonly emptiness?: string | undefined
}

/** The newest events of a filter. `resumable` says whether anybody gets to see the cursor. */
const newest = Effect.fnUntraced(function* (
  selected: flags.Selected,
  resumable: boolean
): Effect.fn.Return<Answer, BackendError, EventReader> {
  const { filter, limit, timeless } = selected
  const reader = yield* EventReader
  const hasTimes = filter.since !== undefined || filter.until !== undefined
  // Taken before the query: what comes in between is shown twice, never missed.
  const timelessCursor =
    resumable && hasTimes ? yield* Stream.runHead(Stream.take(reader.watch(timeless, "now"), 1)) : Option.none()
  const page = yield* reader.query(limit === undefined ? filter : { ...filter, limit })
  return {
    selected,
    events: page.events.toReversed(),
    total: page.totalCount,
    coverage: page.coverage,
    incomplete: page.incomplete,
    cursor: Option.isSome(timelessCursor) ? timelessCursor.value.cursor : page.cursor
  }
})

/** What changed after a cursor. */
const since = Effect.fnUntraced(function* (
  selected: flags.Selected,
  after: EventQuery.Cursor
): Effect.fn.Return<Answer, BackendError, EventReader> {
  const { filter, timeless } = selected
  const reader = yield* EventReader
  const changed = new Map<string, Event>()
  let cursor = after
  yield* reader.watch(timeless, after).pipe(
    Stream.takeUntil((item) => item._tag === "Live"),
    Stream.runForEach((item) => {
      cursor = item.cursor
      if (item._tag === "Gap") return words.say(`-- gap: ${item.reason} --`)
      if (item._tag === "Event" && EventQuery.matches(filter, item.event)) {
        const key = `${item.event.id.origin}.${item.event.id.seq}`
        const known = changed.get(key)
        if (known === undefined || known.upTo < item.event.upTo) changed.set(key, item.event)
      }
      return Effect.void
    })
  )
  const events = [...changed.values()].sort((a, b) => a.last - b.last)
  return { selected, events, total: events.length, cursor }
})

const recordOne = ({ command }: session.Session["Service"]): string =>
  `record one with: ${command} emit Workflow/deploy WorkflowExecuted`

/** Why there is nothing: nothing was recorded, or the filter or the namespace is to blame. */
const emptinessOf = Effect.fnUntraced(function* ({
  after,
  filter,
  kind
}: flags.Selected): Effect.fn.Return<string, BackendError, EventReader | session.Session> {
  if (after !== undefined) return "no events after this cursor"
  const known = yield* session.Session
  const { namespace, ...rest } = filter
  const count = (within: EventQuery.EventFilter) =>
    EventReader.use((reader) => Effect.map(reader.query({ ...within, limit: 0 }), ({ totalCount }) => totalCount))
  if (namespace !== undefined) {
    const named = EventQuery.valuesOf(namespace).join(", ")
    // Who may read this namespace need not be allowed to read all of them.
    const here = Object.keys(rest).length === 0 ? 0 : yield* count({ namespace })
    if (kind?.namespaced === false && namespace !== CLUSTER_SCOPED_NAMESPACE) {
      return (
        `no events match in namespace ${named}; events about a ${kind.kind} are usually in namespace ` +
        `${CLUSTER_SCOPED_NAMESPACE}: ${known.command} list -n ${CLUSTER_SCOPED_NAMESPACE}`
      )
    }
    return here === 0
      ? `no events in namespace ${named}; in all namespaces: ${known.command} list -A`
      : `no events match; without the filter there are ${here} in namespace ${named}`
  }
  const meant = yield* session.DefaultNamespace
  const all = Object.keys(filter).length === 0 ? 0 : yield* count({})
  return all === 0
    ? `no events yet; ${recordOne(known)}`
    : `no events match; without the filter there are ${all}: ${known.command} list${meant === undefined ? "" : " -A"}`
})

const answerTo = (given: flags.Selected, resumable: boolean) =>
  flags.place(given).pipe(
    Effect.flatMap(
      flags.inPlace((selected) =>
        Effect.gen(function* () {
          const answer: Answer = yield* selected.after === undefined
            ? newest(selected, resumable)
            : since(selected, selected.after)
          return answer.total > 0 ? answer : { ...answer, emptiness: yield* emptinessOf(selected) }
        })
      )
    ),
    session.withReader({ create: false }),
    Effect.catchIf(
      (error) => error instanceof Absent && given.after === undefined,
      (error) =>
        session.Session.useSync((known): Answer => ({
          selected: given,
          events: [],
          total: 0,
          emptiness: `${(error as Absent).detail}; ${recordOne(known)}`
        }))
    )
  )

/** @internal */
export const list = Command.make(
  "list",
  { ...flags.selection(String(DEFAULT_LIMIT)), output: flags.eventFormat, showCursor: flags.showCursor },
  Effect.fnUntraced(function* ({ output = "table", showCursor, ...given }) {
    const { catalogue } = yield* session.Session
    const selected = yield* session.check(flags.select(given, catalogue, DEFAULT_LIMIT))
    const resumable = showCursor || output === "json" || output === "yaml"
    const answer = yield* answerTo(selected, resumable)
    const { coverage, cursor, emptiness, events, incomplete, total } = answer

    switch (output) {
      case "table":
      case "wide": {
        const table = format.events({
          format: output,
          now: Timestamp.now(yield* Clock.Clock),
          time: "age",
          namespace: answer.selected.filter.namespace === undefined,
          colours: yield* session.colours,
          room: yield* words.room
        })
        if (events.length > 0) yield* words.lines(table.print(events))
        break
      }
      case "ndjson":
        yield* words.lines(events.map(EventJson.encode))
        break
      case "json":
      case "yaml":
        yield* words.data(format.list(output, { events, total, cursor, coverage, incomplete }))
    }

    for (const { reason } of incomplete ?? []) yield* words.say(`note: these events are not all: ${reason}`)
    if (emptiness !== undefined) yield* words.say(emptiness)
    else if (events.length < total) {
      yield* words.say(`${events.length} of ${total} events, the newest; show all with --limit all`)
    }
    if (showCursor && cursor !== undefined) yield* words.say(`cursor: ${cursor}`)
  }, session.verb("list"))
).pipe(
  Command.withDescription("List events, oldest first. If more events match than --limit allows, the newest are shown."),
  Command.withShortDescription("List events"),
  examples("", "Workflow/deploy --since 1h30m", "-n team-a --type Warning -o ndjson", "-A --for Node/worker-1")
)
