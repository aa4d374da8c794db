/**
 * What `top` counts and shows. Loaded by it alone.
 *
 * @internal
 */
import { type Event, namespaceOf } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type * as EventQuery from "@tidings/core/EventQuery"
import { EventReader } from "@tidings/core/EventReader"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as age from "./age.ts"
import * as escape from "./escape.ts"
import * as forgiving from "./forgiving.ts"
import * as documents from "./documents.ts"
import * as format from "./format.ts"
import * as missing from "./missing.ts"
import * as reconnecting from "./reconnecting.ts"
import * as searching from "./searching.ts"
import type * as selection from "./selection.ts"
import * as session from "./session.ts"
import * as sparkline from "./sparkline.ts"
import * as table from "./table.ts"
import * as words from "./words.ts"

/** So many events are in memory at a time. */
const PAGE = 20_000
/** In milliseconds. */
const REFRESH = 2_000

const NARROW = 16
const WIDE = 32
/** From so many columns on, the course over time is shown in more detail. */
const MUCH_ROOM = 120

/** @internal */
export interface How {
  readonly by: "reason" | "object" | "kind" | "source" | "namespace" | "type" | "cluster"
  readonly limit: number
  readonly output: "table" | "json" | "yaml"
  readonly search: searching.Search | undefined
  readonly watch: boolean
}

// ---------------------------------------------------------------------------
// counting
// ---------------------------------------------------------------------------

interface Group {
  readonly value: string
  /** Of a reason, which is counted for each type. */
  readonly type: string | undefined
  /** Of an object, which is counted for each cluster. */
  readonly cluster: string | undefined
  count: number
  warnings: number
  series: number
  first: number
  last: number
  readonly objects: Set<string>
  readonly course: sparkline.Course
}

interface Counts {
  readonly groups: Map<string, Group>
  readonly total: { count: number; series: number }
  /** The count of each series, where changes of it are to be counted. */
  readonly known: Map<string, number> | undefined
  readonly scale: sparkline.Scale
}

const textOf = (event: Event): string => `${event.event.involvedObject.kind}/${event.event.involvedObject.name}`

const keyOf: { readonly [By in How["by"]]: (event: Event) => string } = {
  reason: ({ event }) => event.reason,
  object: textOf,
  kind: ({ event }) => event.involvedObject.kind,
  source: ({ event }) => (event.source.component === "" ? event.reportingController : event.source.component),
  namespace: namespaceOf,
  cluster: ({ cluster }) => cluster?.name ?? cluster?.id ?? "",
  type: ({ event }) => event.type
}

const groupOf = ({ groups, scale }: Counts, by: How["by"], event: Event): Group => {
  const { involvedObject, type } = event.event
  const value = keyOf[by](event)
  const beside =
    by === "reason" ? type : by === "object" ? `${involvedObject.namespace ?? ""} ${event.cluster?.id}` : ""
  const key = `${value}\u0000${beside}`
  let group = groups.get(key)
  if (group === undefined) {
    group = {
      value,
      type: by === "reason" ? type : undefined,
      cluster: by === "object" ? keyOf.cluster(event) : undefined,
      count: 0,
      warnings: 0,
      series: 0,
      first: event.first,
      last: event.last,
      objects: new Set(),
      course: sparkline.course(scale)
    }
    groups.set(key, group)
  }
  return group
}

/** Counts what an event adds to what is known of its series. */
const add = (counts: Counts, by: How["by"], event: Event): void => {
  const { known, total } = counts
  const id = known === undefined ? "" : EventId.format(event.id)
  const before = known?.get(id) ?? 0
  const more = event.count - before
  if (more <= 0) return
  known?.set(id, event.count)
  const group = groupOf(counts, by, event)
  group.count += more
  total.count += more
  if (event.event.type === "Warning") group.warnings += more
  if (before === 0) {
    group.series++
    total.series++
  }
  group.first = Math.min(group.first, event.first)
  group.last = Math.max(group.last, event.last)
  group.objects.add(`${event.cluster?.id} ${event.event.involvedObject.namespace ?? ""}/${textOf(event)}`)
  sparkline.add(group.course, before === 0 ? event.first : event.last, event.last, more)
}

interface Counted {
  readonly selected: selection.Selected
  readonly counts: Counts
  readonly first: EventQuery.EventPage
}

const countAll = Effect.fnUntraced(function* (selected: selection.Selected, how: How) {
  const reader = yield* EventReader
  const { filter, times } = selected
  const counts: Counts = {
    groups: new Map(),
    total: { count: 0, series: 0 },
    known: how.watch ? new Map() : undefined,
    scale: sparkline.scale(times?.since)
  }
  const first = yield* reader.query({ ...filter, limit: PAGE })
  for (let page = first; ; page = yield* reader.query({ ...filter, limit: PAGE, page: page.next })) {
    const events = how.search === undefined ? page.events : (yield* how.search(page.events)).events
    for (const event of events) add(counts, how.by, event)
    if (page.next === undefined) return { selected, counts, first } satisfies Counted
  }
})

// ---------------------------------------------------------------------------
// showing
// ---------------------------------------------------------------------------

const ranked = ({ groups }: Counts): ReadonlyArray<Group> =>
  [...groups.values()].sort((a, b) => b.count - a.count || b.last - a.last || (a.value < b.value ? -1 : 1))

/** The time that is shown: what was asked for, else from the first event until now. */
const windowOf = ({ selected, counts }: Counted, now: number): readonly [from: number, to: number] => {
  const { since, until } = selected.times ?? {}
  const to = until === undefined ? now : Math.min(now, until)
  let from = since
  if (from === undefined) {
    from = to
    for (const { first } of counts.groups.values()) from = Math.min(from, first)
  }
  return [from, Math.max(to, from + 1)]
}

const linesOf = Effect.fnUntraced(function* (counted: Counted, how: How) {
  const now = Timestamp.now(yield* Clock.Clock)
  const room = yield* words.room
  const colours = yield* session.colours
  const [from, to] = windowOf(counted, now)
  const columns = room !== undefined && room < MUCH_ROOM ? NARROW : WIDE
  const warn = (text: string, { warnings }: Group): string => (warnings > 0 ? colours.warning(text) : text)
  const byReason = how.by === "reason"
  const groups = ranked(counted.counts).slice(0, how.limit)
  const isOfSeveral = new Set(groups.map(({ cluster }) => cluster)).size > 1
  const shown: ReadonlyArray<table.Column<Group>> = [
    { title: "COUNT", cell: ({ count }) => String(count) },
    ...(byReason
      ? [{ title: "TYPE", cell: ({ type }: Group) => escape.line(type ?? ""), paint: warn }]
      : [{ title: "WARNINGS", cell: ({ warnings }: Group) => String(warnings), paint: warn }]),
    ...(how.by === "object" ? [] : [{ title: "OBJECTS", cell: ({ objects }: Group) => String(objects.size) }]),
    { title: "LAST SEEN", cell: ({ last }) => age.ago(last, now) },
    ...(isOfSeveral ? [{ title: "CLUSTER", cell: ({ cluster }: Group) => escape.line(cluster ?? "") }] : []),
    { title: how.by.toUpperCase(), cell: ({ value }) => escape.line(value), paint: warn },
    {
      title: `OVER ${age.length(to - from)}`,
      cell: ({ course }) => sparkline.draw(course, from, to, columns)
    }
  ]
  return table.make(shown, { room, paintTitle: colours.strong }).print(groups)
})

const documentOf = (counted: Counted, how: How, now: number): unknown => {
  const [from, to] = windowOf(counted, now)
  const { first } = counted
  const all = ranked(counted.counts)
  return {
    by: how.by,
    since: Timestamp.format(from),
    until: Timestamp.format(to),
    count: counted.counts.total.count,
    events: counted.counts.total.series,
    groupCount: all.length,
    groups: all
      .slice(0, how.limit)
      .map(({ cluster, count, course, first, last, objects, series, type, value, warnings }) => ({
        [how.by]: value,
        ...(cluster === undefined || cluster === "" ? undefined : { cluster }),
        ...(type === undefined ? undefined : { type }),
        count,
        warnings,
        events: series,
        objects: objects.size,
        firstSeen: Timestamp.format(first),
        lastSeen: Timestamp.format(last),
        course: sparkline.sample(course, from, to, WIDE).map(Math.round)
      })),
    coverage: format.coverage(first.coverage),
    ...(first.incomplete === undefined ? undefined : { incomplete: first.incomplete })
  }
}

const PLURAL: { readonly [By in How["by"]]: string } = {
  reason: "reasons",
  object: "objects",
  kind: "kinds",
  source: "sources",
  namespace: "namespaces",
  cluster: "clusters",
  type: "types"
}

const HOME = "\u001b[H"
const TO_END_OF_LINE = "\u001b[K"
const TO_END_OF_SCREEN = "\u001b[J"
const CLEAR_SCREEN = "\u001b[2J"

const printOnce = Effect.fnUntraced(function* (counted: Counted, how: How) {
  const now = Timestamp.now(yield* Clock.Clock)
  switch (how.output) {
    case "table":
      if (counted.counts.groups.size > 0) yield* words.lines(yield* linesOf(counted, how))
      return
    case "json":
    case "yaml":
      return yield* documents.print(how.output, documentOf(counted, how, now))
  }
})

/** On a terminal one table that is written over; elsewhere a table, or a line of JSON, for each change. */
const refresh = Effect.fnUntraced(function* (counted: Counted, how: How, isFirst: boolean) {
  const now = Timestamp.now(yield* Clock.Clock)
  if (how.output === "json") return yield* words.data(escape.line(JSON.stringify(documentOf(counted, how, now))))
  const lines = yield* linesOf(counted, how)
  const room = yield* words.room
  if (room === undefined) return yield* words.lines(isFirst ? lines : ["", ...lines])
  const rows = (yield* words.Rows)() ?? Number.POSITIVE_INFINITY
  const text = lines.slice(0, Math.max(1, rows - 1)).map((line) => `${line}${TO_END_OF_LINE}`)
  return yield* words.data(`${isFirst ? CLEAR_SCREEN : ""}${HOME}${text.join("\n")}${TO_END_OF_SCREEN}`)
})

const goOn = Effect.fnUntraced(function* (counted: Counted, how: How) {
  const reader = yield* EventReader
  let isChanged = false
  let isFirst = true
  const isAtTerminal = (yield* words.room) !== undefined
  const paint = Effect.suspend(() => {
    // Ages change on a terminal although nothing happens.
    if (!isChanged && !isFirst && !isAtTerminal) return Effect.void
    isChanged = false
    const first = isFirst
    isFirst = false
    return refresh(counted, how, first)
  })
  const count = Effect.fnUntraced(function* (items: ReadonlyArray<EventQuery.WatchItem>) {
    const events = items.flatMap((item) => (item._tag === "Event" ? [item.event] : []))
    const kept = how.search === undefined ? events : (yield* how.search(events)).events
    const before = counted.counts.total.count
    for (const event of kept) add(counted.counts, how.by, event)
    isChanged ||= counted.counts.total.count !== before
  })
  const watching = reconnecting.run((from) => reader.watch(counted.selected.filter, from), counted.first.cursor, count)
  const painting = Effect.forever(Effect.andThen(paint, Effect.sleep(REFRESH)))
  return yield* Effect.raceFirst(watching, painting)
})

/** @internal */
export const show = Effect.fnUntraced(function* (given: selection.Selected, how: How) {
  let counted = yield* countAll(given, how)
  const isNothing = counted.first.totalCount === 0
  const nearest = isNothing ? yield* forgiving.nearest(given, []) : { hints: [] }
  if (nearest.corrected !== undefined) counted = yield* countAll(nearest.corrected, how)
  for (const hint of nearest.hints) yield* words.say(hint)
  const { coverage, incomplete } = counted.first
  const now = Timestamp.now(yield* Clock.Clock)
  for (const note of missing.notes({ filter: counted.selected.filter, now, coverage, incomplete }))
    yield* words.say(note)
  if (how.watch) return yield* goOn(counted, how)
  yield* printOnce(counted, how)
  const { counts } = counted
  if (how.search !== undefined) yield* words.say(searching.told(counts.total.series, counted.first.totalCount))
  if (counts.total.series === 0 && nearest.hints.length === 0) yield* words.say("no events match")
  if (counts.groups.size > how.limit) {
    yield* words.say(
      `${how.limit} of ${counts.groups.size} ${PLURAL[how.by]}, the most frequent; show all with --limit all`
    )
  }
})
