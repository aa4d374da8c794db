/**
 * What `story` finds out and shows. Loaded by it alone.
 *
 * @internal
 */
import type { Event } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import type * as EventQuery from "@tidings/core/EventQuery"
import { EventReader } from "@tidings/core/EventReader"
import * as EventSummary from "@tidings/core/EventSummary"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as age from "./age.ts"
import type { Colours } from "./colour.ts"
import * as escape from "./escape.ts"
import * as forgiving from "./forgiving.ts"
import * as documents from "./documents.ts"
import * as format from "./format.ts"
import * as missing from "./missing.ts"
import * as owners from "./owners.ts"
import * as searching from "./searching.ts"
import * as selection from "./selection.ts"
import * as session from "./session.ts"
import * as table from "./table.ts"
import * as words from "./words.ts"

/** What counts as news where no time is named. */
const NEWS = 24 * 3_600_000_000

/** @internal */
export interface How {
  readonly limit: number
  readonly output: "table" | "json" | "yaml"
  readonly search: searching.Search | undefined
}

// ---------------------------------------------------------------------------
// phases
// ---------------------------------------------------------------------------

/** A time in which an object failed, or did not. */
interface Phase {
  readonly isFailing: boolean
  readonly from: number
  /** When the next phase began; of the last one when something was last seen. */
  to: number
  /** The row that it began with. */
  readonly began: EventSummary.Row
}

interface Told {
  readonly story: EventSummary.Story
  /** By the time at which they were first seen. */
  readonly rows: ReadonlyArray<EventSummary.Row>
  readonly phases: ReadonlyArray<Phase>
  readonly warnings: number
  /** Who owns the object, as far as it is known and asked for. */
  readonly owners: ReadonlyArray<owners.Owner>
}

const isWarning = ({ newest }: EventSummary.Row): boolean => newest.event.type === "Warning"

/**
 * Of each row two moments are known, when it was first seen and when it was last seen: a phase ends with the first moment of the
 * other kind.
 */
const phasesOf = (rows: ReadonlyArray<EventSummary.Row>): ReadonlyArray<Phase> => {
  const moments = rows
    .flatMap((row) => [{ at: row.first, row }, ...(row.last > row.first ? [{ at: row.last, row }] : [])])
    .sort((a, b) => a.at - b.at)
  const phases: Array<Phase> = []
  for (const { at, row } of moments) {
    const current = phases.at(-1)
    if (current !== undefined) current.to = at
    if (current?.isFailing !== isWarning(row)) phases.push({ isFailing: isWarning(row), from: at, to: at, began: row })
  }
  return phases
}

const tellOne = (story: EventSummary.Story): Told => {
  const rows = EventSummary.rows(story.events).toSorted((a, b) => a.first - b.first || a.last - b.last)
  const warnings = rows.filter(isWarning).reduce((sum, { count }) => sum + count, 0)
  return { story, rows, phases: phasesOf(rows), warnings, owners: [] }
}

type State = "failing" | "recovered" | "normal"

const stateOf = ({ phases }: Told): State =>
  phases.at(-1)?.isFailing === true ? "failing" : phases.some(({ isFailing }) => isFailing) ? "recovered" : "normal"

interface Failures {
  readonly first: EventSummary.Row
  readonly last: EventSummary.Row
  /** What came after the last failure, and how long it had failed. */
  readonly recovered: { readonly row: EventSummary.Row; readonly after: number } | undefined
}

const failuresOf = ({ phases, rows }: Told): Failures | undefined => {
  const failures = rows.filter(isWarning)
  if (failures.length === 0) return undefined
  const index = phases.findLastIndex(({ isFailing }) => isFailing)
  const phase = phases[index]!
  const next = phases[index + 1]
  return {
    first: failures[0]!,
    last: failures.reduce((last, row) => (row.last >= last.last ? row : last)),
    recovered: next === undefined ? undefined : { row: next.began, after: next.from - phase.from }
  }
}

/** The objects that the events name beside their own, the most frequent first. */
const namedBy = ({ story }: Told): ReadonlyArray<{ readonly object: string; readonly count: number }> => {
  const counts = new Map<string, number>()
  for (const { count, event } of story.events) {
    if (event.related === undefined) continue
    const object = `${event.related.kind}/${event.related.name}`
    counts.set(object, (counts.get(object) ?? 0) + count)
  }
  return [...counts].map(([object, count]) => ({ object, count })).sort((a, b) => b.count - a.count)
}

// ---------------------------------------------------------------------------
// one object
// ---------------------------------------------------------------------------

interface Screen {
  readonly now: number
  readonly room: number | undefined
  readonly colours: Colours
}

const cut = (text: string, { room }: Screen): string => (room === undefined ? text : table.truncate(text, room))

const objectText = ({ kind, name }: EventSummary.SummaryObject): string => escape.line(`${kind}/${name}`)

const placeOf = ({ cluster, namespace }: EventSummary.SummaryObject): string =>
  [
    ...(namespace === "" ? [] : [` in ${escape.line(namespace)}`]),
    ...(cluster === undefined ? [] : [` of ${format.clusterOf({ cluster })}`])
  ].join("")

const standing = (told: Told, now: number): string => {
  const last = told.phases.at(-1)!
  switch (stateOf(told)) {
    case "failing":
      return `failing for ${age.length(now - last.from)}`
    case "recovered":
      return `recovered ${age.ago(last.from, now)} ago`
    case "normal":
      return "no failure"
  }
}

const titleOf = (phase: Phase, index: number, told: Told, now: number): string => {
  const isLast = index === told.phases.length - 1
  const length = age.length((isLast && phase.isFailing ? now : phase.to) - phase.from)
  const word = phase.isFailing ? "failing" : index > 0 ? "recovered, normal" : "normal"
  return `-- ${word} for ${length}${isLast && phase.isFailing ? " until now" : ""} --`
}

const repeats = ({ count, first, last }: EventSummary.Row): string =>
  count === 1 ? "" : last > first ? `×${count} over ${age.length(last - first)}` : `×${count}`

const timeline = (told: Told, limit: number, screen: Screen): ReadonlyArray<string> => {
  const { colours, now, room } = screen
  const warn = (text: string, row: EventSummary.Row): string => (isWarning(row) ? colours.warning(text) : text)
  const columns: ReadonlyArray<table.Column<EventSummary.Row>> = [
    { title: "TIME", cell: ({ first }) => age.clock(first, now) },
    { title: "TYPE", cell: ({ newest }) => escape.line(newest.event.type), paint: warn },
    { title: "REASON", cell: ({ newest }) => escape.line(newest.event.reason), paint: warn },
    ...(told.rows.some(({ count }) => count > 1) ? [{ title: "REPEATS", cell: repeats }] : []),
    { title: "MESSAGE", cell: ({ newest }) => escape.message(newest.event.message) }
  ]
  const rows = told.rows.slice(-limit)
  const [title, ...lines] = table.make(columns, { room, paintTitle: colours.strong }).print(rows)
  const out = [title!]
  // Where earlier rows are left out, so are the phases that have only these.
  let next = told.phases.findLastIndex(({ from }) => from <= (rows[0]?.first ?? 0))
  for (const [index, row] of rows.entries()) {
    for (; next < told.phases.length && told.phases[next]!.from <= row.first; next++) {
      const phase = told.phases[next]!
      const text = cut(titleOf(phase, next, told, now), screen)
      out.push(phase.isFailing ? colours.warning(text) : colours.faint(text))
    }
    out.push(lines[index]!)
  }
  return out
}

const outcome = (told: Told, screen: Screen): ReadonlyArray<string> => {
  const { now } = screen
  const failures = failuresOf(told)
  const named = namedBy(told)
  const about = (at: number, { newest }: EventSummary.Row): string =>
    `${age.clock(at, now)}  ${escape.line(newest.event.reason)}: ${escape.message(newest.event.message)}`
  const rows: Array<readonly [string, string]> = []
  if (failures !== undefined) {
    const { first, last, recovered } = failures
    rows.push(["first failure", about(first.first, first)], ["last failure", about(last.last, last)])
    rows.push([
      "recovered by",
      recovered === undefined
        ? "nothing yet"
        : `${about(told.phases.findLast(({ began }) => began === recovered.row)!.from, recovered.row)}, after ${age.length(recovered.after)}`
    ])
  }
  if (named.length > 0) {
    rows.push(["names", named.map(({ count, object }) => `${escape.line(object)} (×${count})`).join(", ")])
  }
  if (told.owners.length > 0) {
    rows.push(["owner", told.owners.map(({ kind, name }) => escape.line(`${kind}/${name}`)).join(", ")])
  }
  const width = Math.max(0, ...rows.map(([name]) => name.length))
  return rows.map(([name, text]) => cut(`${name.padEnd(width)}  ${text}`, screen))
}

const tellInFull = (told: Told, limit: number, screen: Screen): ReadonlyArray<string> => {
  const { story } = told
  const title =
    `${objectText(story.object)}${placeOf(story.object)}: ${words.counted(story.series, "event")} with ` +
    `${words.counted(story.count, "occurrence")} over ${age.length(story.last - story.first)}, ${standing(told, screen.now)}`
  const ending = outcome(told, screen)
  return [
    screen.colours.strong(cut(title, screen)),
    ...timeline(told, limit, screen),
    ...(ending.length === 0 ? [] : ["", ...ending])
  ]
}

// ---------------------------------------------------------------------------
// many objects
// ---------------------------------------------------------------------------

const RANK: { readonly [S in State]: number } = { failing: 0, recovered: 1, normal: 2 }

/** Those that fail first, of these the one that failed most recently; then what was last seen most recently. */
const worstFirst = (a: Told, b: Told): number =>
  RANK[stateOf(a)] - RANK[stateOf(b)] ||
  (stateOf(a) === "failing" ? b.phases.at(-1)!.from - a.phases.at(-1)!.from : 0) ||
  b.story.last - a.story.last

const overview = (all: ReadonlyArray<Told>, screen: Screen): ReadonlyArray<string> => {
  const { colours, now, room } = screen
  const warn = (text: string, told: Told): string => (stateOf(told) === "failing" ? colours.warning(text) : text)
  const newest = ({ story }: Told): Event => story.events.at(-1)!
  const isOfSeveral = new Set(all.map(({ story }) => story.object.cluster?.id)).size > 1
  const columns: ReadonlyArray<table.Column<Told>> = [
    ...(isOfSeveral
      ? [{ title: "CLUSTER", cell: ({ story }: Told) => format.clusterOf(story.object), paint: colours.faint }]
      : []),
    { title: "STATE", cell: stateOf, paint: warn },
    { title: "FOR", cell: ({ phases }) => age.length(now - phases.at(-1)!.from) },
    { title: "OBJECT", cell: ({ story }) => objectText(story.object), paint: warn },
    { title: "NAMESPACE", cell: ({ story }) => escape.line(story.object.namespace), paint: colours.faint },
    { title: "COUNT", cell: ({ story }) => String(story.count) },
    { title: "WARNINGS", cell: ({ warnings }) => String(warnings) },
    { title: "LAST REASON", cell: (told) => escape.line(newest(told).event.reason), paint: warn },
    { title: "MESSAGE", cell: (told) => escape.message(newest(told).event.message) }
  ]
  return table.make(columns, { room, paintTitle: colours.strong }).print(all)
}

// ---------------------------------------------------------------------------
// documents
// ---------------------------------------------------------------------------

const objectOf = ({ story: { object } }: Told) => ({
  kind: object.kind,
  name: object.name,
  namespace: object.namespace,
  apiGroup: object.apiGroup,
  ...(object.cluster === undefined ? undefined : { cluster: object.cluster })
})

const eventOf = ({ count, first, last, newest }: EventSummary.Row) => ({
  type: newest.event.type,
  reason: newest.event.reason,
  message: newest.event.message,
  count,
  firstSeen: Timestamp.format(first),
  lastSeen: Timestamp.format(last)
})

const documentOf = (told: Told) => {
  const { story } = told
  const failures = failuresOf(told)
  return {
    object: objectOf(told),
    state: stateOf(told),
    since: Timestamp.format(told.phases.at(-1)!.from),
    events: story.series,
    count: story.count,
    warnings: told.warnings,
    firstSeen: Timestamp.format(story.first),
    lastSeen: Timestamp.format(story.last),
    phases: told.phases.map(({ from, isFailing, to }) => ({
      state: isFailing ? "failing" : "normal",
      from: Timestamp.format(from),
      to: Timestamp.format(to),
      seconds: (to - from) / 1_000_000
    })),
    ...(failures === undefined
      ? undefined
      : {
          firstFailure: eventOf(failures.first),
          lastFailure: eventOf(failures.last),
          ...(failures.recovered === undefined
            ? undefined
            : {
                recovered: { ...eventOf(failures.recovered.row), afterSeconds: failures.recovered.after / 1_000_000 }
              })
        }),
    names: namedBy(told),
    ...(told.owners.length === 0 ? undefined : { owners: told.owners })
  }
}

const inFull = (told: Told, limit: number) => ({
  ...documentOf(told),
  items: told.story.events.slice(-limit).map(EventJson.toStoredObject)
})

// ---------------------------------------------------------------------------
// telling
// ---------------------------------------------------------------------------

interface Answer {
  readonly page: EventQuery.EventPage
  readonly told: ReadonlyArray<Told>
  /** How many events a search found. */
  readonly found: number
}

const ask = Effect.fnUntraced(function* (selected: selection.Selected, search: searching.Search | undefined) {
  const reader = yield* EventReader
  const page = yield* reader.query(selected.filter)
  const events = search === undefined ? page.events : (yield* search(page.events)).events
  return { page, told: EventSummary.stories(events).map(tellOne), found: events.length } satisfies Answer
})

/** @internal */
export const tell = Effect.fnUntraced(function* (given: selection.Selected, how: How) {
  const now = Timestamp.now(yield* Clock.Clock)
  const namesObjects = given.meant.some(({ name }) => name !== undefined)
  const isNews = !namesObjects && given.times === undefined
  const meant = isNews ? selection.make({ ...given, times: { since: now - NEWS } }) : given
  let answer: Answer = yield* ask(meant, how.search)
  const nearest = yield* forgiving.nearest(meant, answer.page.events)
  if (nearest.corrected !== undefined) answer = yield* ask(nearest.corrected, how.search)
  const { coverage, events, incomplete } = answer.page
  const sorted = answer.told.toSorted(worstFirst)
  const told = !namesObjects
    ? sorted
    : yield* Effect.forEach(sorted, (one) => Effect.map(owners.of(one.story.object), (owners) => ({ ...one, owners })))
  const shown = namesObjects ? told : told.slice(0, how.limit)
  const screen = { now, room: yield* words.room, colours: yield* session.colours }
  if (how.output !== "table") {
    const one = told[0]
    const document =
      namesObjects && told.length === 1 && one !== undefined
        ? { ...inFull(one, how.limit), coverage: format.coverage(coverage) }
        : {
            total: told.length,
            coverage: format.coverage(coverage),
            objects: shown.map((one) => (namesObjects ? inFull(one, how.limit) : documentOf(one)))
          }
    yield* documents.print(how.output, document)
  } else if (namesObjects) {
    for (const [index, one] of shown.entries()) {
      yield* words.lines([...(index === 0 ? [] : [""]), ...tellInFull(one, how.limit, screen)])
    }
  } else if (shown.length > 0) yield* words.lines(overview(shown, screen))

  for (const note of missing.notes({ filter: meant.filter, now, coverage, incomplete })) yield* words.say(note)
  if (how.search !== undefined) yield* words.say(searching.told(answer.found, events.length))
  for (const hint of nearest.hints) yield* words.say(hint)
  if (told.length === 0 && nearest.hints.length === 0) {
    yield* words.say(
      events.length === 0 && isNews
        ? "no events in the last 24 hours; look further back with --since"
        : "no events match"
    )
  }
  if (shown.length < told.length) {
    yield* words.say(`${shown.length} of ${told.length} objects, those that fail first; show all with --limit all`)
  }
  for (const one of namesObjects ? told : []) {
    if (one.rows.length > how.limit && how.output === "table") {
      const of = told.length === 1 ? "" : ` of ${objectText(one.story.object)}${placeOf(one.story.object)}`
      yield* words.say(`the newest ${how.limit} of ${one.rows.length} rows${of}; show all with --limit all`)
    }
  }
})
