/**
 * How events are printed, by what `-o`, `--no-headers` and `--utc` say.
 *
 * @internal
 */
import type { Event } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import { onlyOf } from "@tidings/core/EventQuery"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as documents from "./documents.ts"
import * as escape from "./escape.ts"
import type { Usage } from "./failure.ts"
import type * as flags from "./flags.ts"
import * as format from "./format.ts"
import type { Selected } from "./selection.ts"
import * as session from "./session.ts"
import * as table from "./table.ts"
import * as words from "./words.ts"

/** @internal */
export type Print = (events: ReadonlyArray<Event>) => Effect.Effect<void>

/** What the verb was told. @internal */
export interface Printed {
  readonly output: flags.EventOutput | undefined
  readonly noHeaders: boolean
  readonly utc: boolean
}

/** Whether the rows of a table may differ in their namespace. @internal */
export const isOfSeveral = ({ filter: { namespace } }: Selected): boolean => onlyOf(namespace) === undefined

/** What the verb knows. @internal */
export interface Place {
  /** Ages for what is printed once, the time of day for what stays on the screen. */
  readonly time: "age" | "clock"
  /** Whether the events may be in several namespaces. */
  readonly namespace: boolean
}

/** How to print, once it is known of which place the events are. @internal */
export interface Printer {
  /** Events one after the other. */
  readonly events: (place: Place) => Effect.Effect<Print, never, session.Session>
  /** The document of a list; absent where a list is printed event by event. */
  readonly document?: ((value: unknown) => string) | undefined
  /** Whether the same events are one row. */
  readonly isTable: boolean
}

const linesOf =
  (line: (event: Event) => string): Printer["events"] =>
  () =>
    Effect.succeed((events) => words.lines(events.map(line)))

const tableOf =
  (given: Printed, output: "table" | "wide"): Printer["events"] =>
  ({ namespace, time }) =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const colours = yield* session.colours
      const room = yield* words.Columns
      const tableWith = (cluster: boolean) =>
        format.events({
          format: output,
          now: () => Timestamp.now(clock),
          time: given.utc ? "utc" : time,
          namespace,
          cluster,
          titles: !given.noHeaders,
          colours,
          room
        })
      const clusters = new Set<string>()
      let made = tableWith(false)
      return (events) =>
        Effect.suspend(() => {
          const isOfOne = clusters.size < 2
          if (isOfOne) for (const { cluster } of events) clusters.add(cluster?.id ?? "")
          // From here on rows say which cluster they are of, below titles of their own.
          if (isOfOne && clusters.size > 1) made = tableWith(true)
          return words.lines(made.print(events))
        })
    })

const described = Effect.fnUntraced(function* (
  output: flags.Described,
  given: Printed
): Effect.fn.Return<Printer, Usage> {
  const shaping = yield* Effect.promise(() => import("./shaping.ts"))
  if (output._tag === "jsonpath") {
    const text = yield* session.check(shaping.template(output.written))
    return {
      isTable: false,
      document: text,
      events: linesOf((event) => text(EventJson.toStoredObject(event)))
    }
  }
  const columns = yield* session.check(shaping.columns(output.written))
  return {
    isTable: false,
    events: () =>
      Effect.gen(function* () {
        const { strong } = yield* session.colours
        const room = yield* words.Columns
        const made = table.make(columns, { room, paintTitle: strong, titles: !given.noHeaders })
        return (events) => Effect.suspend(() => words.lines(made.print(events)))
      })
  }
})

/**
 * The printer for what a command line says.
 *
 * @internal
 */
export const make = (given: Printed): Effect.Effect<Printer, Usage> => {
  const { output = "table" } = given
  if (typeof output === "object") return described(output, given)
  switch (output) {
    case "table":
    case "wide":
      return Effect.succeed({ isTable: true, events: tableOf(given, output) })
    case "name":
      return Effect.succeed({ isTable: false, events: linesOf(({ name }) => escape.line(`event/${name}`)) })
    case "ndjson":
      return Effect.succeed({ isTable: false, events: linesOf(EventJson.encode) })
    case "json":
      return Effect.succeed({ isTable: false, document: format.json, events: linesOf(format.jsonLine) })
    case "yaml":
      return Effect.map(documents.encoder("yaml"), (encode) => ({
        isTable: false,
        document: encode,
        events: linesOf((event) => `---\n${encode(EventJson.toStoredObject(event))}`)
      }))
  }
}
