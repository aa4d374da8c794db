/**
 * What `wait` does while it waits. Loaded by it alone.
 *
 * @internal
 */
import type { Event } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import * as EventQuery from "@tidings/core/EventQuery"
import { EventReader } from "@tidings/core/EventReader"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CommandError } from "../../CommandError.ts"
import { EXIT } from "./failure.ts"
import * as forgiving from "./forgiving.ts"
import type { Nearest } from "./nearMisses.ts"
import * as missing from "./missing.ts"
import type * as printing from "./printing.ts"
import * as reconnecting from "./reconnecting.ts"
import * as searching from "./searching.ts"
import type * as selection from "./selection.ts"
import * as words from "./words.ts"

/** @internal */
export interface How {
  readonly printer: printing.Printer
  readonly search: searching.Search | undefined
  /** As it was written. */
  readonly timeout: string
  /** The same in milliseconds; absent where there is no end. */
  readonly limit: number | undefined
}

/**
 * In microseconds: what comes while the command waits counts although its clock is so much behind. Clusters keep whole seconds,
 * and the clocks of two machines differ.
 */
const TOLERANCE = 10_000_000

/** Ends the watch. */
class Came extends Data.TaggedError("Came")<{ readonly event: Event }> {}

/** Nothing is there, and nothing is waited for. */
class Nothing extends Data.TaggedError("Nothing") {}

/** One event alone: a document where there is one for it. */
const show = Effect.fnUntraced(function* (event: Event, printer: printing.Printer) {
  if (printer.document !== undefined) return yield* words.data(printer.document(EventJson.toStoredObject(event)))
  yield* (yield* printer.events({ time: "age", namespace: true }))([event])
})

/** The newest event that is there already. */
const there = Effect.fnUntraced(function* (filter: EventQuery.EventFilter, search: searching.Search | undefined) {
  if (search !== undefined) return (yield* searching.newest(filter, search, 1)).events[0]
  return (yield* (yield* EventReader).query({ ...filter, limit: 1 })).events[0]
})

const first = Effect.fnUntraced(function* (
  given: selection.Selected,
  { limit, search }: How,
  started: Timestamp.Micros
) {
  const reader = yield* EventReader
  // A watch that has not begun would wait for a wrong address.
  yield* reader.target
  const wait = Effect.fnUntraced(function* (
    selected: selection.Selected,
    missed: (nearest: Nearest) => Effect.Effect<void>
  ) {
    const { filter, timeless, times } = selected
    const since = times?.since ?? started - TOLERANCE
    const isMatch = EventQuery.matcher(times === undefined ? { ...timeless, since } : filter)
    let isAsked = false
    const look = Effect.fnUntraced(function* (events: ReadonlyArray<Event>) {
      const matching = events.filter(isMatch)
      const kept = search === undefined ? matching : (yield* search(matching)).events
      const event = kept.at(-1)
      return event === undefined ? undefined : yield* new Came({ event })
    })
    const askOnce = Effect.gen(function* () {
      if (isAsked) return
      isAsked = true
      const event = yield* there(
        times === undefined ? { ...timeless, since: started - (started % 1_000_000) } : filter,
        search
      )
      // Clusters keep whole seconds; of a store that keeps more, what was before the start is known to be.
      const isBefore =
        times === undefined && event !== undefined && event.last < started && event.last % 1_000_000 !== 0
      if (event !== undefined && !isBefore) return yield* new Came({ event })
      if (limit === 0) return yield* new Nothing()
      const nearest = yield* forgiving.nearest(selected, [])
      if (nearest.corrected !== undefined) return yield* new forgiving.Corrected({ selected: nearest.corrected })
      for (const hint of nearest.hints) yield* words.say(hint)
      yield* missed(nearest)
    }).pipe(Effect.provideService(EventReader, reader))
    return yield* reconnecting.run(
      (from) => reader.watch(timeless, from),
      "now",
      Effect.fnUntraced(function* (items) {
        yield* look(items.flatMap((item) => (item._tag === "Event" ? [item.event] : [])))
        for (const item of items) if (item._tag === "Gap") yield* words.say(missing.gapLine(item))
        if (items.some(({ _tag }) => _tag === "Live")) yield* askOnce
      })
    )
  })
  return yield* forgiving.asMeant(given, wait)
})

/** @internal */
export const until = Effect.fnUntraced(function* (selected: selection.Selected, how: How) {
  const { limit, printer, timeout } = how
  const started = Timestamp.now(yield* Clock.Clock)
  const waiting = first(selected, how, started).pipe(
    Effect.catchTag("Came", ({ event }) => Effect.succeedSome(event)),
    Effect.catchTag("Nothing", () => Effect.succeedNone)
  )
  const event =
    limit === undefined || limit === 0 ? yield* waiting : Option.flatten(yield* Effect.timeoutOption(waiting, limit))
  if (Option.isSome(event)) return yield* show(event.value, printer)
  const lines =
    limit !== 0
      ? [`no such event came within ${timeout}`]
      : selected.times?.since === undefined
        ? ["there is no such event since the start", "what was last seen before the start counts only with --since"]
        : ["there is no such event since then"]
  return yield* new CommandError({ lines, exit: EXIT.timedOut })
})
