/**
 * `parked list`.
 *
 * @internal
 */
import * as EventJson from "@tidings/core/EventJson"
import type { Micros } from "@tidings/core/Timestamp"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as age from "./age.ts"
import type { Colours } from "./colour.ts"
import * as escape from "./escape.ts"
import * as documents from "./documents.ts"
import { examples } from "./examples.ts"
import * as parking from "./parking.ts"
import * as session from "./session.ts"
import * as table from "./table.ts"
import * as words from "./words.ts"

const tableOf = (
  rows: ReadonlyArray<parking.Row>,
  options: {
    readonly now: Micros
    readonly hasSinks: boolean
    readonly colours: Colours
    readonly room: number | undefined
  }
): ReadonlyArray<string> => {
  const columns: ReadonlyArray<table.Column<parking.Row>> = [
    ...(options.hasSinks ? [{ title: "SINK", cell: ({ sink }: parking.Row) => escape.line(sink.name) }] : []),
    { title: "PARKED", cell: ({ event }) => age.ago(event.at, options.now) },
    { title: "STATE", cell: ({ state }) => state },
    { title: "COUNT", cell: ({ event }) => String(event.occurrences) },
    { title: "REASON", cell: ({ event }) => escape.line(event.write.event.reason) },
    {
      title: "OBJECT",
      cell: ({ event: { write } }) =>
        escape.line(`${write.event.involvedObject.kind}/${write.event.involvedObject.name}`)
    },
    { title: "ID", cell: ({ id }) => escape.line(id) },
    { title: "WHY", cell: ({ event }) => escape.line(event.reason) }
  ]
  return table.make(columns, { room: options.room, paintTitle: options.colours.strong }).print(rows)
}

/** A row as JSON: the event as everywhere, and what there is to say about it. */
const objectOf = ({ event, id, sink, state }: parking.Row) => {
  const { apiVersion: _, kind: __, metadata: ___, ...rest } = EventJson.toObject({ ...event.write, name: id })
  return {
    sink: sink.name,
    state,
    occurrences: event.occurrences,
    why: event.reason,
    parkedAt: Timestamp.format(event.at),
    ...rest
  }
}

/** @internal */
export const list = Effect.fnUntraced(function* ({
  output = "table",
  ...which
}: parking.Which & { readonly output: "table" | "json" | "ndjson" | "yaml" | undefined }) {
  const { sinks, view } = yield* parking.look(which)
  const rows = parking.rowsOf(sinks)
  switch (output) {
    case "table": {
      if (rows.length === 0) break
      const lines = tableOf(rows, {
        now: Timestamp.now(yield* Clock.Clock),
        hasSinks: view.sinks.length > 1,
        colours: yield* session.colours,
        room: yield* words.room
      })
      yield* words.lines(lines)
      break
    }
    case "ndjson":
      yield* words.lines(rows.map((row) => JSON.stringify(objectOf(row))))
      break
    case "json":
    case "yaml": {
      const value = { journal: view.directory, owner: view.owner ?? null, items: rows.map(objectOf) }
      yield* documents.print(output, value)
    }
  }
  if (rows.length === 0) return yield* words.say(`nothing is parked in ${view.directory}`)
  const { command } = yield* session.Session
  const occurrences = rows.reduce((sum, { event }) => sum + event.occurrences, 0)
  yield* words.say(
    `${words.counted(rows.length, "event")}, ${words.counted(occurrences, "occurrence")}; after fixing the cause: ` +
      `${command} parked retry ID; to drop them: ${command} parked drop ID`
  )
})

/** @internal */
export const parkedList = Command.make("list", { output: parking.output }, ({ output }) =>
  Effect.flatMap(parking.base, (which) => list({ ...which, output })).pipe(session.verb("parked", "list"))
).pipe(
  Command.withDescription("Show parked events, longest parked first. The same as parked without list."),
  Command.withShortDescription("Show parked events"),
  examples("", "-o ndjson --sink cluster")
)
