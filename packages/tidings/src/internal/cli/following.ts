/**
 * What `follow` does: the latest events, then what happens. Loaded by the verbs that follow.
 *
 * @internal
 */
import type { Event } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventQuery from "@tidings/core/EventQuery"
import { EventReader } from "@tidings/core/EventReader"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { CursorFile } from "./cursorFile.ts"
import type { Failure } from "./failure.ts"
import * as forgiving from "./forgiving.ts"
import type { Nearest } from "./nearMisses.ts"
import * as missing from "./missing.ts"
import * as outputReader from "./outputReader.ts"
import * as printing from "./printing.ts"
import * as reconnecting from "./reconnecting.ts"
import * as searching from "./searching.ts"
import * as selection from "./selection.ts"
import * as session from "./session.ts"
import * as words from "./words.ts"

/** @internal */
export interface How {
  readonly printer: printing.Printer
  readonly showCursor: boolean
  readonly cursorFile: CursorFile | undefined
  readonly search: searching.Search | undefined
}

/** In milliseconds: what was last seen before `--until` may arrive so much later. */
const GRACE = 1_000

/** At most this much is shown again after a run that was killed. */
const BETWEEN_SAVES = "1 second"
/** A run that is killed before the first save leaves no cursor, and the next one begins with the newest events. */
const BEFORE_FIRST_SAVE = "100 millis"

/** Ends when the time is over that is asked for, but not before what is stored was shown. */
const timeIsOver = Effect.fnUntraced(function* (until: Timestamp.Micros | undefined, live: Deferred.Deferred<void>) {
  if (until === undefined) return yield* Effect.never
  yield* Deferred.await(live)
  const left = (until - Timestamp.now(yield* Clock.Clock)) / 1_000
  if (left > 0) yield* Effect.sleep(left + GRACE)
})

/** What is shown first, and where the watch begins. */
interface Beginning {
  /** What the newest events are known by already; absent where the watch brings them. */
  readonly found:
    | { readonly events: ReadonlyArray<Event>; readonly total: number; readonly looked: number | undefined }
    | undefined
  readonly watched: EventQuery.EventFilter
  readonly from: EventQuery.WatchFrom
}

const beginningOf = Effect.fnUntraced(function* (
  selected: selection.Selected,
  { cursorFile, search, showCursor }: How
) {
  const { after, filter, limit, timeless } = selected
  const reader = yield* EventReader
  // A cursor is bound to its filter, and a relative time is another one at every start.
  if (after !== undefined) return { found: undefined, watched: timeless, from: after } satisfies Beginning
  const isResumable = (showCursor || cursorFile !== undefined) && filter !== timeless
  const watched = isResumable ? timeless : filter
  // Taken before the query, and what comes in between is left out again below.
  const now = isResumable ? yield* Stream.runHead(Stream.take(reader.watch(timeless, "now"), 1)) : undefined
  const cursor = now?._tag === "Some" ? now.value.cursor : undefined
  if (search !== undefined) {
    // The newest that match may be far back.
    const { events, first, looked } = yield* searching.newest(filter, search, limit)
    const from = limit === 0 ? "now" : first.cursor
    return { found: { events, total: first.totalCount, looked }, watched, from: cursor ?? from } satisfies Beginning
  }
  if (cursor === undefined) {
    const from = limit === 0 ? "now" : limit === undefined ? "beginning" : { last: limit }
    return { found: undefined, watched, from } satisfies Beginning
  }
  const page = yield* reader.query(limit === undefined ? filter : { ...filter, limit })
  return {
    found: { events: page.events, total: page.totalCount, looked: undefined },
    watched,
    from: cursor
  } satisfies Beginning
})

const watch = Effect.fnUntraced(function* (
  selected: selection.Selected,
  how: How,
  missed: (nearest: Nearest) => Effect.Effect<void>
) {
  const { cursorFile, printer, search, showCursor } = how
  const reader = yield* EventReader
  const print = yield* printer.events({ time: "clock", namespace: printing.isOfSeveral(selected) })
  const { after, filter, limit, times } = selected
  const isMatch = EventQuery.matcher(filter)
  const live = yield* Deferred.make<void>()
  // A watch that is under way waits for a store that is away. One that has not begun would wait for a wrong address.
  yield* reader.target
  const { found, from, watched } = yield* beginningOf(selected, how)
  const known = new Map((found?.events ?? []).map(({ id, upTo }) => [EventId.format(id), upTo]))
  let cursor: EventQuery.Cursor | undefined = after
  /** The same, of what was printed. */
  let printed: EventQuery.Cursor | undefined
  let saved: EventQuery.Cursor | undefined = after
  let wasLive = false
  // The widths of the columns are known best when the whole snapshot is.
  let snapshot: Array<Event> = []

  const isNew = ({ id, upTo }: Event): boolean => known.size === 0 || upTo > (known.get(EventId.format(id)) ?? -1)
  const keep = (events: ReadonlyArray<Event>): Effect.Effect<ReadonlyArray<Event>> =>
    search === undefined ? Effect.succeed(events) : Effect.map(search(events), (kept) => kept.events)
  const show = (events: ReadonlyArray<Event>): Effect.Effect<void> =>
    Effect.flatMap(keep(events), (kept) => (kept.length > 0 ? print(kept) : Effect.void))

  const goLive = Effect.fnUntraced(function* (
    events: ReadonlyArray<Event>
  ): Effect.fn.Return<void, forgiving.Corrected> {
    const all = [...(found?.events.toReversed() ?? []), ...(yield* keep(events))]
    const nearest =
      after === undefined && (found === undefined || found.total === 0)
        ? yield* Effect.provideService(forgiving.nearest(selected, all), EventReader, reader)
        : { hints: [] }
    if (nearest.corrected !== undefined) {
      // It was made for a filter that is left.
      cursor = undefined
      return yield* new forgiving.Corrected({ selected: nearest.corrected })
    }
    if (all.length > 0) yield* print(all)
    if (found?.looked !== undefined && limit !== 0) {
      yield* words.say(searching.told(found.events.length, found.looked, found.total))
    }
    for (const hint of nearest.hints) yield* words.say(hint)
    const isOver = times?.until !== undefined && times.until <= Timestamp.now(yield* Clock.Clock)
    const none = after !== undefined || limit === 0 ? "no new events yet" : "no events yet"
    yield* missed(nearest)
    if (all.length === 0) yield* words.say(isOver ? "no events until then" : `${none}; waiting`)
  })

  const take = (items: ReadonlyArray<EventQuery.WatchItem>): Effect.Effect<void, forgiving.Corrected> => {
    const steps: Array<Effect.Effect<void, forgiving.Corrected>> = []
    let events: Array<Event> = []
    const flush = () => {
      if (events.length > 0) steps.push(show(events))
      events = []
    }
    for (const item of items) {
      cursor = item.cursor
      switch (item._tag) {
        case "Event":
          if (isMatch(item.event) && isNew(item.event)) (wasLive ? events : snapshot).push(item.event)
          break
        case "Gap":
          flush()
          steps.push(words.say(missing.gapLine(item)))
          break
        case "Live":
          if (!wasLive) steps.push(goLive(snapshot))
          wasLive = true
          snapshot = []
      }
    }
    flush()
    const until = cursor
    const isShown = wasLive
    steps.push(
      Effect.suspend(() => {
        if (!isShown) return Effect.void
        printed = until
        return Effect.asVoid(Deferred.succeed(live, undefined))
      })
    )
    return Effect.all(steps, { discard: true })
  }

  const save: Effect.Effect<void, Failure> = Effect.suspend(() => {
    const reached = printed
    if (cursorFile === undefined || reached === undefined || reached === saved) return Effect.void
    return Effect.tap(cursorFile.save(reached), () =>
      Effect.sync(() => {
        saved = reached
      })
    )
  })
  const saving: Effect.Effect<never, Failure> =
    cursorFile === undefined
      ? Effect.never
      : Effect.andThen(
          Effect.andThen(Deferred.await(live), Effect.delay(save, BEFORE_FIRST_SAVE)),
          Effect.forever(Effect.delay(save, BETWEEN_SAVES))
        )

  let hasLeft = false
  const leaving = Effect.andThen(
    Effect.flatten(outputReader.Left),
    Effect.sync(() => {
      hasLeft = true
    })
  )
  const all = reconnecting.run((from) => reader.watch(watched, from), from, take)
  return yield* Effect.onExit(Effect.raceAllFirst([all, timeIsOver(times?.until, live), leaving, saving]), () =>
    Effect.gen(function* () {
      // A reader that has left has not taken all.
      if (!hasLeft) yield* save
      if (showCursor && cursor !== undefined) yield* words.say(`cursor: ${cursor}`)
    })
  )
})

/** @internal */
export const run = (selected: selection.Selected, how: How) =>
  selection.place(selected).pipe(
    Effect.flatMap(
      selection.inPlace((placed) =>
        forgiving.asMeant(placed, (meant, missed) =>
          // The event that had the right spelling is the newest one; it is shown also with a limit of 0.
          watch(meant !== placed && meant.limit === 0 ? { ...meant, limit: 1 } : meant, how, missed)
        )
      )
    ),
    // The first event may be still to come, also the first of all.
    session.withReader({ create: true })
  )
