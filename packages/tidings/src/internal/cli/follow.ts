/**
 * `follow`: the latest events, then what happens.
 *
 * @internal
 */
import type { BackendError } from "@tidings/core/BackendError"
import type { Event } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import * as EventQuery from "@tidings/core/EventQuery"
import { EventReader } from "@tidings/core/EventReader"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Command from "effect/cli/Command"
import { Failure } from "./failure.ts"
import { examples } from "./examples.ts"
import * as flags from "./flags.ts"
import * as format from "./format.ts"
import * as session from "./session.ts"
import * as words from "./words.ts"

const DEFAULT_LIMIT = 10
const FIRST_DELAY = 1_000
const LAST_DELAY = 30_000

type Print = (events: ReadonlyArray<Event>) => Effect.Effect<void>

const printer = Effect.fnUntraced(function* (output: format.Format, namespace: boolean) {
  switch (output) {
    case "table":
    case "wide": {
      const clock = yield* Clock.Clock
      const table = format.events({
        format: output,
        now: () => Timestamp.now(clock),
        time: "clock",
        namespace,
        colours: yield* session.colours,
        room: yield* words.room
      })
      return (events: ReadonlyArray<Event>) => Effect.suspend(() => words.lines(table.print(events)))
    }
    case "json":
      return (events: ReadonlyArray<Event>) => words.lines(events.map(format.jsonLine))
    case "ndjson":
      return (events: ReadonlyArray<Event>) => words.lines(events.map(EventJson.encode))
    case "yaml":
      return (events: ReadonlyArray<Event>) => words.lines(events.map((event) => `---\n${format.one("yaml", event)}`))
  }
})

/** Failures after which a watch may succeed again: of the network, or of a server that restarts. */
const mayReconnect = (error: BackendError): boolean =>
  error.reason._tag === "Transient" || error.reason._tag === "Throttled" || error.reason._tag === "Unavailable"

const watch = Effect.fnUntraced(function* (selected: flags.Selected, output: format.Format, showCursor: boolean) {
  const reader = yield* EventReader
  const print: Print = yield* printer(output, selected.filter.namespace === undefined)
  const { after, filter, limit, timeless } = selected
  // A cursor is bound to its filter, and a relative time is another one at every start.
  const watched = after === undefined ? filter : timeless
  let from: EventQuery.WatchFrom = after ?? (limit === undefined ? "beginning" : limit === 0 ? "now" : { last: limit })
  let cursor: EventQuery.Cursor | undefined = after
  let wasLive = false
  let failures = 0
  // The widths of the columns are known best when the whole snapshot is.
  let snapshot: Array<Event> = []

  const take = (items: ReadonlyArray<EventQuery.WatchItem>): Effect.Effect<void> => {
    const steps: Array<Effect.Effect<void>> = []
    let events: Array<Event> = []
    const flush = () => {
      if (events.length > 0) steps.push(print(events))
      events = []
    }
    for (const item of items) {
      cursor = item.cursor
      switch (item._tag) {
        case "Event":
          if (EventQuery.matches(filter, item.event)) (wasLive ? events : snapshot).push(item.event)
          break
        case "Gap":
          flush()
          steps.push(words.say(`-- gap: ${item.reason} --`))
          break
        case "Live":
          if (!wasLive && snapshot.length > 0) steps.push(print(snapshot))
          if (!wasLive && snapshot.length === 0) steps.push(words.say("no events yet; waiting"))
          wasLive = true
          failures = 0
          snapshot = []
      }
    }
    flush()
    return Effect.all(steps, { discard: true })
  }

  const again = (error: BackendError): Effect.Effect<void, BackendError> => {
    if (!wasLive || !mayReconnect(error)) return Effect.fail(error)
    failures++
    from = cursor ?? from
    const delay = Math.min(LAST_DELAY, FIRST_DELAY * 2 ** Math.min(10, failures - 1))
    const told = failures === 1 ? words.say(`-- interrupted: ${error.message}; retrying --`) : Effect.void
    return Effect.andThen(told, Effect.sleep(delay))
  }

  const follow: Effect.Effect<never, BackendError | Failure> = Effect.suspend(() =>
    Stream.runForEachArray(reader.watch(watched, from), take)
  ).pipe(
    Effect.andThen(Effect.fail(new Failure({ detail: "the backend ended the watch unexpectedly" }))),
    Effect.catchTag("BackendError", (error) => Effect.andThen(again(error), follow))
  )
  // A watch that is under way waits for a store that is away. One that has not begun would wait for a wrong address.
  yield* reader.target
  return yield* Effect.onExit(follow, () =>
    showCursor && cursor !== undefined ? words.say(`cursor: ${cursor}`) : Effect.void
  )
})

/** @internal */
export const follow = Command.make(
  "follow",
  { ...flags.selection(String(DEFAULT_LIMIT)), output: flags.eventFormat, showCursor: flags.showCursor },
  Effect.fnUntraced(function* ({ output = "table", showCursor, ...given }) {
    const { catalogue } = yield* session.Session
    const selected = yield* session.check(flags.select(given, catalogue, DEFAULT_LIMIT))
    if (showCursor && selected.after === undefined && selected.filter !== selected.timeless) {
      return yield* session.refuse("--show-cursor needs a filter without times: leave out --since and --until")
    }
    // The first event may be still to come, also the first of all.
    yield* flags
      .place(selected)
      .pipe(
        Effect.flatMap(flags.inPlace((placed) => watch(placed, output, showCursor))),
        session.withReader({ create: true })
      )
  }, session.verb("follow"))
).pipe(
  Command.withDescription(
    "Show the latest events, then new ones as they arrive. Runs until interrupted. -o json prints a line per event, " +
      "-o yaml a document."
  ),
  Command.withShortDescription("Show the latest events, then new ones as they arrive"),
  examples("", "MCPServer --type Warning", "-o ndjson --limit 0")
)
