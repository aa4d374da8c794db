/**
 * The journal of a host, and what is parked in it.
 *
 * @internal
 */
import * as JournalView from "@tidings/backend-fs/JournalView"
import * as EventId from "@tidings/core/EventId"
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { resolve } from "node:path"
import { Absent, Failure } from "./failure.ts"
import * as flags from "./flags.ts"
import * as session from "./session.ts"
import * as words from "./words.ts"

const whichFlags = {
  journal: flags.text("journal", {
    value: "DIRECTORY",
    description: "The journal of the host (default TIDINGS_JOURNAL, else beside the event log)"
  }),
  sink: flags.text("sink", { value: "NAME", description: "Only of this sink of the host (default all)" })
}

/** @internal */
export const output = flags.output(["table", "json", "ndjson", "yaml"])

/**
 * The verb itself, for those below it to ask for the flags that may stand before them.
 *
 * @internal
 */
export const base = Command.make("parked", { output }).pipe(Command.withSharedFlags(whichFlags))

/** @internal */
export interface Which {
  readonly journal: string | undefined
  readonly sink: string | undefined
}

/**
 * The journal that is meant; fails where there is none.
 *
 * @internal
 */
export const look = Effect.fnUntraced(function* ({ journal, sink }: Which) {
  if (journal === "") return yield* session.refuse("--journal is empty: leave it out")
  const known = yield* session.Session
  const path = journal === undefined ? yield* known.journal : resolve(journal)
  const view = yield* JournalView.read(path)
  if (view === undefined) {
    return yield* new Absent({
      detail: `there is no journal in ${path}`,
      hint: "name the journal of a host with --journal: FileJournal.layer creates it, and Recorder.layer keeps accepted events in it"
    })
  }
  const sinks = sink === undefined ? view.sinks : view.sinks.filter(({ name }) => name === sink)
  if (sink !== undefined && sinks.length === 0) {
    const names = view.sinks.map(({ name }) => name)
    return yield* new Failure({
      detail: `the host has no sink ${JSON.stringify(sink)}${names.length === 0 ? "" : `, only ${names.join(", ")}`}`
    })
  }
  for (const { damage } of sinks) if (damage !== undefined) yield* words.say(`warning: ${damage}`)
  return { view, sinks }
})

/** @internal */
export type State = "parked" | "retrying" | "retry asked" | "drop asked"

/** @internal */
export interface Row {
  readonly sink: JournalView.Sink
  readonly id: string
  readonly state: State
  readonly event: JournalView.ParkedEvent
}

/**
 * What is parked in these sinks, what waited longest first.
 *
 * @internal
 */
export const rowsOf = (sinks: ReadonlyArray<JournalView.Sink>): ReadonlyArray<Row> =>
  sinks
    .flatMap((sink) => {
      const asked = new Map<string, State>()
      for (const { action, series } of sink.requests) {
        for (const id of series) asked.set(EventId.format(id), `${action} asked`)
      }
      return sink.parked.map((event): Row => {
        const id = EventId.format(event.write.id)
        return { sink, id, event, state: asked.get(id) ?? (event.isRetried ? "retrying" : "parked") }
      })
    })
    .sort((a, b) => a.event.at - b.event.at)
