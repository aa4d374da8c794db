/**
 * `parked retry` and `parked drop`: what the host is asked to do.
 *
 * @internal
 */
import * as JournalView from "@tidings/backend-fs/JournalView"
import * as EventId from "@tidings/core/EventId"
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { examples } from "./examples.ts"
import { Failure } from "./failure.ts"
import * as parking from "./parking.ts"
import * as session from "./session.ts"
import * as words from "./words.ts"

const askFlags = {
  ids: Argument.String("[ID…]").pipe(
    Argument.withDescription("The events, by the ids that parked list prints"),
    Argument.atLeast(0)
  ),
  all: Flag.Boolean("all").pipe(
    Flag.withDescription("All events that are parked now"),
    Flag.withoutNegation,
    Flag.atLeast(0),
    Flag.map((values) => values.at(-1) ?? false)
  )
}

interface Given {
  readonly ids: ReadonlyArray<string>
  readonly all: boolean
}

type Action = "retry" | "drop"

/** The chosen rows; all of the ids have to be there, or nothing is asked for. */
const choose = Effect.fnUntraced(function* ({ all, ids }: Given, rows: ReadonlyArray<parking.Row>) {
  if (all) return rows
  const wanted = new Set(ids)
  const missing = [...wanted].filter((id) => !rows.some((row) => row.id === id))
  if (missing.length > 0) {
    const { command } = yield* session.Session
    return yield* new Failure({
      detail: `${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} not parked`,
      hint: `take the ids from: ${command} parked list`
    })
  }
  return rows.filter(({ id }) => wanted.has(id))
})

const ask = Effect.fnUntraced(function* (action: Action, given: Given) {
  if (given.all === given.ids.length > 0) {
    return yield* session.refuse(
      given.all
        ? "--all selects everything: leave out the ids"
        : `name what to ${action} by id, or everything with --all`
    )
  }
  const wrong = given.ids.find((id) => EventId.parse(id) === undefined)
  if (wrong !== undefined) return yield* session.refuse(`${JSON.stringify(wrong)} is not an event id`)
  const { sinks, view } = yield* parking.look(yield* parking.base)
  const chosen = yield* choose(given, parking.rowsOf(sinks))
  if (chosen.length === 0) return yield* words.say(`nothing is parked in ${view.directory}`)
  // What is asked for already is not asked for twice; what was asked for otherwise is, and the last word counts.
  const fresh = chosen.filter(({ state }) => state !== `${action} asked`)
  for (const sink of sinks) {
    const series = fresh.filter((row) => row.sink === sink).map(({ event }) => event.write.id)
    if (series.length > 0) yield* JournalView.request(view, sink, { action, series })
  }
  yield* words.lines(fresh.map(({ id }) => id))
  const before = chosen.length - fresh.length
  if (before > 0) yield* words.say(`${words.counted(before, "event")} of them: requested already`)
  if (fresh.length === 0) return
  const occurrences = fresh.reduce((sum, { event }) => sum + event.occurrences, 0)
  const what = `${action} ${words.counted(fresh.length, "event")} (${words.counted(occurrences, "occurrence")})`
  yield* words.say(
    view.owner === undefined
      ? `no host uses ${view.directory} now: the next one will be asked to ${what} when it starts`
      : `asked ${view.owner} to ${what}; it will within seconds`
  )
})

/** @internal */
export const parkedRetry = Command.make("retry", askFlags, (given) =>
  ask("retry", given).pipe(session.verb("parked", "retry"))
).pipe(
  Command.withDescription(
    "Ask the host to retry parked events, after the cause is fixed. What is rejected again is parked again. Prints the " +
      "ids of the events."
  ),
  Command.withShortDescription("Ask the host to retry parked events"),
  examples("0123456789abcdef0123456789abcdef.7", "--all --sink cluster")
)

/** @internal */
export const parkedDrop = Command.make("drop", askFlags, (given) =>
  ask("drop", given).pipe(session.verb("parked", "drop"))
).pipe(
  Command.withDescription(
    "Ask the host to drop parked events. They are lost, and counted as dropped. Prints the ids of the events."
  ),
  Command.withShortDescription("Ask the host to drop parked events"),
  examples("0123456789abcdef0123456789abcdef.7", "--all")
)
