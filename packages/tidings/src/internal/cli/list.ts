/**
 * `list`: what is stored.
 *
 * @internal
 */
import type { BackendError } from "@tidings/core/BackendError"
import { CLUSTER_SCOPED_NAMESPACE, type Event } from "@tidings/core/Event"
import * as EventQuery from "@tidings/core/EventQuery"
import { EventReader } from "@tidings/core/EventReader"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Command from "effect/cli/Command"
import type { Catalogue } from "./catalogue.ts"
import { examples } from "./examples.ts"
import { Absent, type Usage } from "./failure.ts"
import * as flags from "./flags.ts"
import * as forgiving from "./forgiving.ts"
import * as format from "./format.ts"
import * as missing from "./missing.ts"
import * as printing from "./printing.ts"
import { builtIn } from "./samples.ts"
import * as resuming from "./resuming.ts"
import * as searching from "./searching.ts"
import * as selection from "./selection.ts"
import * as session from "./session.ts"
import type { Order } from "./shaping.ts"
import * as words from "./words.ts"

const DEFAULT_LIMIT = 50

interface Answer {
  /** What was asked for in the end. */
  readonly selected: selection.Selected
  /** Oldest first. */
  readonly events: ReadonlyArray<Event>
  /** How many match; of a search that ended before everything was looked through, how many it found. */
  readonly total: number
  /** Absent where there is no store yet. */
  readonly cursor?: EventQuery.Cursor | undefined
  readonly coverage?: ReadonlyArray<EventQuery.Coverage> | undefined
  readonly incomplete?: ReadonlyArray<EventQuery.Incomplete> | undefined
  /** Where messages were searched: how many events were looked through, of how many. */
  readonly searched?: { readonly events: number; readonly of: number } | undefined
  /** What to say where something was not found. */
  readonly hints?: ReadonlyArray<string> | undefined
}

/** The newest events of a filter. `resumable` says whether the cursor is printed. */
const newest = Effect.fnUntraced(function* (
  selected: selection.Selected,
  search: searching.Search | undefined,
  resumable: boolean
): Effect.fn.Return<Answer, BackendError, EventReader> {
  const { filter, limit, timeless } = selected
  const reader = yield* EventReader
  const hasTimes = filter.since !== undefined || filter.until !== undefined
  // Taken before the query: what comes in between is shown twice, never missed.
  const timelessCursor =
    resumable && hasTimes ? yield* Stream.runHead(Stream.take(reader.watch(timeless, "now"), 1)) : Option.none()
  const found = search === undefined ? undefined : yield* searching.newest(filter, search, limit)
  const page = found?.first ?? (yield* reader.query(limit === undefined ? filter : { ...filter, limit }))
  return {
    selected,
    events: (found ?? page).events.toReversed(),
    total: found === undefined ? page.totalCount : found.events.length,
    searched: found === undefined ? undefined : { events: found.looked, of: page.totalCount },
    coverage: page.coverage,
    incomplete: page.incomplete,
    cursor: Option.isSome(timelessCursor) ? timelessCursor.value.cursor : page.cursor
  }
})

/** What changed after a cursor. */
const since = Effect.fnUntraced(function* (
  selected: selection.Selected,
  search: searching.Search | undefined,
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
      if (item._tag === "Gap") return words.say(missing.gapLine(item))
      if (item._tag === "Event" && EventQuery.matches(filter, item.event)) {
        const key = `${item.event.id.origin}.${item.event.id.seq}`
        const known = changed.get(key)
        if (known === undefined || known.upTo < item.event.upTo) changed.set(key, item.event)
      }
      return Effect.void
    })
  )
  const events = [...changed.values()].sort((a, b) => a.last - b.last)
  if (search === undefined) return { selected, events, total: events.length, cursor }
  const found = yield* search(events)
  const searched = { events: events.length, of: events.length }
  return { selected, events: found.events, total: found.events.length, cursor, searched }
})

const recordOne = ({ catalogue: { samples }, command }: session.Session["Service"]): string =>
  `record one with: ${command} emit ${samples === builtIn ? `${samples.object} ${samples.reason}` : samples.emit}`

/** Why there is nothing: nothing was recorded, or the filter or the namespace is to blame. */
const emptinessOf = Effect.fnUntraced(function* ({
  after,
  filter,
  meant
}: selection.Selected): Effect.fn.Return<string, BackendError, EventReader | session.Session> {
  if (after !== undefined) return "no events after this cursor"
  const known = yield* session.Session
  const { namespace, ...rest } = filter
  const count = (within: EventQuery.EventFilter) =>
    EventReader.use((reader) => Effect.map(reader.query({ ...within, limit: 0 }), ({ totalCount }) => totalCount))
  if (namespace !== undefined) {
    const named = EventQuery.valuesOf(namespace).join(", ")
    // Who may read this namespace need not be allowed to read all of them.
    const here = Object.keys(rest).length === 0 ? 0 : yield* count({ namespace })
    const isElsewhere = !EventQuery.valuesOf(namespace).includes(CLUSTER_SCOPED_NAMESPACE)
    const scoped = meant.find(({ kind }) => kind.namespaced === false)?.kind
    if (scoped !== undefined && isElsewhere) {
      return (
        `no events match in namespace ${named}; events about a ${scoped.kind} are usually in namespace ` +
        `${CLUSTER_SCOPED_NAMESPACE}: ${known.command} list -n ${CLUSTER_SCOPED_NAMESPACE}`
      )
    }
    return here === 0
      ? `no events in namespace ${named}; in all namespaces: ${known.command} list -A`
      : `no events match; without the filter there are ${here} in namespace ${named}`
  }
  const fallback = yield* session.DefaultNamespace
  const all = Object.keys(filter).length === 0 ? 0 : yield* count({})
  return all === 0
    ? `no events yet; ${recordOne(known)}`
    : `no events match; without the filter there are ${all}: ${known.command} list${fallback === undefined ? "" : " -A"}`
})

const isOfAnotherFilter = (error: BackendError): boolean => error.reason._tag === "CursorMismatch"

const answerIn = (
  selected: selection.Selected,
  search: searching.Search | undefined,
  resumable: boolean
): Effect.Effect<Answer, BackendError, EventReader | session.Session> => {
  const ask = (selected: selection.Selected) =>
    selected.after === undefined ? newest(selected, search, resumable) : since(selected, search, selected.after)
  const corrected = Effect.fnUntraced(function* (error: BackendError) {
    const nearest = yield* forgiving.nearest(selected, [])
    // The cursor was made with what was meant then.
    return yield* nearest.corrected === undefined ? Effect.fail(error) : ask(nearest.corrected)
  })
  return Effect.gen(function* () {
    const answer = yield* Effect.catchIf(ask(selected), isOfAnotherFilter, corrected)
    const isSearched = answer.searched !== undefined && answer.searched.of > 0
    if (selected.after !== undefined) {
      return answer.total > 0 || isSearched ? answer : { ...answer, hints: [yield* emptinessOf(answer.selected)] }
    }
    if (isSearched) return answer
    const nearest = yield* forgiving.nearest(selected, answer.total === 0 ? [] : answer.events)
    const meant = nearest.corrected === undefined ? answer : yield* ask(nearest.corrected)
    return meant.total > 0 || nearest.hints.length > 0
      ? { ...meant, hints: nearest.hints }
      : { ...meant, hints: [yield* emptinessOf(meant.selected)] }
  })
}

const answerTo = (given: selection.Selected, search: searching.Search | undefined, resumable: boolean) =>
  selection.place(given).pipe(
    Effect.flatMap(selection.inPlace((selected) => answerIn(selected, search, resumable))),
    session.withReader({ create: false }),
    Effect.catchIf(
      (error) => error instanceof Absent && given.after === undefined,
      (error) =>
        session.Session.useSync((known): Answer => ({
          selected: given,
          events: [],
          total: 0,
          hints: [`${(error as Absent).detail}; ${recordOne(known)}`]
        }))
    )
  )

const arrangement = (sortBy: string | undefined, reverse: boolean): Effect.Effect<Order, Usage> => {
  const sorted: Effect.Effect<Order, Usage> =
    sortBy === undefined
      ? Effect.succeed({ sort: (events) => events, hasField: () => true })
      : Effect.flatMap(
          Effect.promise(() => import("./shaping.ts")),
          ({ sorter }) => session.check(sorter(sortBy))
        )
  return reverse
    ? Effect.map(sorted, (order) => ({ ...order, sort: (events) => order.sort(events).toReversed() }))
    : sorted
}

/** @internal */
export const list = (catalogue: Catalogue) =>
  Command.make(
    "list",
    {
      ...selection.selection(catalogue, String(DEFAULT_LIMIT)),
      ...flags.printed,
      sortBy: flags.text("sort-by", {
        value: "PATH",
        description: "Sort by this field, as kubectl does: .count, .metadata.name"
      }),
      reverse: flags.given("reverse", "Print what would be last first: the newest"),
      watch: flags.given("watch", "Go on with new events as they arrive, as follow does", "w"),
      ...resuming.flags
    },
    Effect.fnUntraced(function* ({ cursorFile, noHeaders, output, reverse, showCursor, sortBy, utc, watch, ...given }) {
      if (watch && (reverse || sortBy !== undefined)) {
        return yield* session.refuse(
          `--watch prints events as they arrive: leave out ${reverse ? "--reverse" : "--sort-by"}`
        )
      }
      const resumed = yield* resuming.resume(cursorFile, given)
      const selected = yield* session.check(selection.select(resumed.given, catalogue, DEFAULT_LIMIT))
      const printer = yield* printing.make({ noHeaders, output, utc })
      if (watch) {
        const search = yield* searching.make(selected.patterns)
        const { run } = yield* Effect.promise(() => import("./following.ts"))
        return yield* resumed.explaining(run(selected, { printer, showCursor, search, cursorFile: resumed.file }))
      }
      const order = yield* arrangement(sortBy, reverse)
      const resumable = showCursor || resumed.file !== undefined || printer.document !== undefined
      const answer = yield* resumed.explaining(answerTo(selected, yield* searching.make(selected.patterns), resumable))
      const { coverage, cursor, events, hints = [], incomplete, searched, total } = answer

      if (printer.document !== undefined) {
        const arranged = order.sort(events)
        const page = { events: arranged, total, searched, cursor, coverage, incomplete }
        yield* words.data(printer.document(format.document(page)))
      } else if (events.length > 0) {
        const print = yield* printer.events({ time: "age", namespace: printing.isOfSeveral(answer.selected) })
        yield* print(order.sort(printer.isTable ? format.grouped(events) : events))
      }

      const { filter } = answer.selected
      const now = Timestamp.now(yield* Clock.Clock)
      for (const note of missing.notes({ filter, now, utc, coverage, incomplete })) yield* words.say(note)
      for (const hint of hints) yield* words.say(hint)
      if (events.length > 0 && !order.hasField(events)) {
        yield* words.say(`note: no event here has the field ${sortBy}, so --sort-by changes nothing`)
      }
      if (searched !== undefined && selected.limit !== 0)
        yield* words.say(searching.told(total, searched.events, searched.of))
      else if (events.length < total) {
        yield* words.say(`${events.length} of ${total} events, the newest; show all with --limit all`)
      }
      if (showCursor && cursor !== undefined) yield* words.say(`cursor: ${cursor}`)
      if (resumed.file !== undefined && cursor !== undefined) yield* resumed.file.save(cursor)
    }, session.verb("list"))
  ).pipe(
    Command.withDescription(
      "List events, oldest first. If more events match than --limit allows, the newest are shown."
    ),
    Command.withShortDescription("List events"),
    examples(
      "",
      `${catalogue.samples.object} --since 1h30m`,
      "-n team-a --type Warning -o ndjson",
      "-A --for Node/worker-1",
      "-o ndjson --cursor-file cursor.txt"
    )
  )
