/**
 * The tool `events`: which events match, and what happened since.
 *
 * @internal
 */
import type { BackendError } from "@tidings/core/BackendError"
import type { Event } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { Cursor, EventFilter, EventPage, PageToken } from "@tidings/core/EventQuery"
import type * as EventReader from "@tidings/core/EventReader"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Definition, ToolResult } from "../Tool.ts"
import * as catchUp from "./catchUp.ts"
import * as eventSchema from "./eventSchema.ts"
import * as fields from "./fields.ts"
import * as filters from "./filters.ts"
import * as fitting from "./fitting.ts"
import * as pages from "./pages.ts"
import type { SharedWatch } from "./sharedWatch.ts"
import * as text from "./text.ts"
import * as uris from "./uris.ts"

/** @internal */
export const NAME = "events"

const DEFAULT_LIMIT = 50
const MOST = 1_000
/** Clients give up on a call after a minute. */
const LONGEST_WAIT = 50

/** @internal */
export const argumentsOf = {
  ...filters.fields,
  limit: fields.whole("How many events at the most. All that match are counted in totalCount all the same", {
    least: 0,
    most: MOST,
    normal: DEFAULT_LIMIT
  }),
  page: fields.token("The next of an earlier answer: older events of the same arguments", "..0.!WzMsInAiXQ"),
  after: fields.token(
    "The cursor of an earlier answer with the same filter: what changed since, oldest first",
    "WzMsImMiXQ"
  ),
  waitSeconds: fields.whole(
    "With after: where nothing has changed yet, wait so many seconds for it. Answers at the first change",
    { least: 0, most: LONGEST_WAIT }
  ),
  follow: fields.flag(
    "Follow what comes after this answer: pushed as log messages where the connection allows it; in any case the answer says how to wait"
  ),
  maxBytes: filters.maxBytes
}

/** @internal */
export const definition: Definition = {
  name: NAME,
  title: "Kubernetes events",
  description:
    "What happened: the Kubernetes Events that match, newest first. Every argument is a filter that must match; all are " +
    "optional. totalCount is exact, whatever the limit. Each event is a series with a count. For an overview of many " +
    "events call event_summary first. To follow, call again with after = cursor and waitSeconds = 50. " +
    eventSchema.DATA_NOT_INSTRUCTIONS,
  inputSchema: fields.inputSchema(argumentsOf),
  outputSchema: eventSchema.object(
    {
      events: eventSchema.array(eventSchema.schema, "Newest first; with after in the order of change, oldest first"),
      totalCount: { type: "integer", description: "The series that match, also those that are not in events" },
      cursor: { type: "string", description: "Give it as after to see what came since" },
      next: { type: "string", description: "Give it as page to see older ones; absent where there are none" },
      coverage: eventSchema.coverageSchema,
      gaps: eventSchema.gapsSchema,
      incomplete: eventSchema.incompleteSchema,
      notes: eventSchema.array({ type: "string" }, "What is left out, and how to get it")
    },
    ["cursor", "next", "coverage", "gaps", "incomplete"]
  ),
  annotations: {
    title: "Kubernetes events",
    readOnlyHint: true,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false
  }
}

/** @internal */
export type Arguments = fields.Arguments<typeof argumentsOf>

/** Arguments that contradict each other. */
const contradictions = (given: Arguments): ReadonlyArray<string> => {
  const { after, page, waitSeconds } = given
  const wrong = [...filters.contradictions(given)]
  if (page !== undefined && after !== undefined) {
    wrong.push("page and after are both given, expected one of them: page leads to older events, after to newer ones")
  }
  if (waitSeconds !== undefined && waitSeconds > 0 && after === undefined) {
    wrong.push(
      'waitSeconds is given without after, expected the cursor of an earlier answer beside it, for example {"after":"<cursor>","waitSeconds":30}'
    )
  }
  return wrong
}

interface Answer {
  readonly events: ReadonlyArray<Event>
  readonly total: number
  readonly heading: string
  readonly more: { readonly [field: string]: unknown }
  /** Lines that say for which time the answer is complete. */
  readonly coverage: ReadonlyArray<string>
  readonly cursor: Cursor | undefined
  readonly notes: ReadonlyArray<string>
}

/** The answer with messages of at most so many characters. */
const render = ({ coverage, cursor, events, heading, more, notes, total }: Answer, length: number): ToolResult => {
  const encoded = events.map((event) => eventSchema.encode(event, length))
  const cut = encoded.filter((event) => "messageLength" in event).length
  const said =
    cut === 0
      ? notes
      : [
          `${text.counted(cut, "message")} cut (…): ask for fewer events, or a larger maxBytes, to see the rest`,
          ...notes
        ]
  const structuredContent = {
    events: encoded,
    totalCount: total,
    ...(cursor === undefined ? undefined : { cursor }),
    ...more,
    notes: said
  }
  const lines = [
    `${heading} ${eventSchema.DATA_NOT_INSTRUCTIONS}`,
    ...(events.length === 0 ? [] : [eventSchema.table(events, length)]),
    ...coverage,
    ...said.map((note) => `note: ${note}`),
    ...(typeof more["next"] === "string" ? [`next: ${more["next"]}`] : []),
    ...(cursor === undefined ? [] : [`cursor: ${cursor}`])
  ]
  return { content: [{ type: "text", text: lines.join("\n") }], structuredContent }
}

const followNotes = (given: Arguments, kindOf: filters.Defaults["kindOf"]): ReadonlyArray<string> => {
  if (given.follow !== true) return []
  const { namespace = "", resourceName, resourceType } = given
  const how = `to follow, call ${NAME} again with the same filter, after = cursor and waitSeconds = ${LONGEST_WAIT}: it answers at the first change, and its cursor goes on from there`
  if (resourceType === undefined || resourceName === undefined) return [how]
  const uri = uris.make(kindOf(resourceType), namespace, resourceName)
  return [how, `a client that can subscribe to resources is told of changes of ${uri}`]
}

const incompleteNotes = ({ incomplete = [] }: EventPage): ReadonlyArray<string> =>
  incomplete.length === 0 ? [] : [`not everything answered, so events may be missing: see incomplete`]

const emptyNotes = (
  reader: EventReader.Service,
  filter: EventFilter
): Effect.Effect<ReadonlyArray<string>, BackendError> =>
  Object.keys(filter).length === 0
    ? Effect.succeed(["there are no events yet"])
    : Effect.map(reader.query({ limit: 0 }), ({ totalCount }) => [
        `nothing matches; without any filter there are ${text.counted(totalCount, "event")}`
      ])

// ---------------------------------------------------------------------------
// what is stored
// ---------------------------------------------------------------------------

/** The cursor of a filter without its times, which would be others at the next call. Taken before the query. */
const timelessCursor = (
  reader: EventReader.Service,
  filter: EventFilter,
  timeless: EventFilter
): Effect.Effect<Cursor | undefined, BackendError> =>
  filter.since === undefined && filter.until === undefined
    ? Effect.succeed(undefined)
    : Effect.map(Stream.runHead(reader.watch(timeless, "now")), (item) => Option.getOrUndefined(item)?.cursor)

interface Found extends EventPage {
  /** The series that match, with those that earlier pages have shown. */
  readonly total: number
}

/** Asks for a page, and leaves out what an earlier one has shown. */
const ask = (
  reader: EventReader.Service,
  filter: EventFilter,
  begun: pages.Page | undefined,
  limit: number
): Effect.Effect<Found, BackendError> => {
  const { seen = [], shown = 0, token } = begun ?? {}
  const again = token === undefined ? seen.length : 0
  return Effect.map(
    reader.query({ ...filter, limit: limit + again, ...(token === undefined ? undefined : { page: token }) }),
    (page) => {
      const events = again === 0 ? page.events : page.events.filter(({ id }) => !seen.includes(EventId.format(id)))
      const repeated = again === 0 ? seen.length : page.events.length - events.length
      return { ...page, events, total: shown + page.totalCount - repeated }
    }
  )
}

const stored = Effect.fnUntraced(function* (
  reader: EventReader.Service,
  given: Arguments,
  filter: EventFilter,
  timeless: EventFilter,
  begun: pages.Page | undefined,
  kindOf: filters.Defaults["kindOf"]
): Effect.fn.Return<ToolResult, BackendError> {
  const limit = given.limit ?? DEFAULT_LIMIT
  const maxBytes = given.maxBytes ?? filters.DEFAULT_BYTES
  const isRest = begun !== undefined
  const hasTimes = filter.since !== undefined || filter.until !== undefined
  const early = isRest ? undefined : yield* timelessCursor(reader, filter, timeless)
  const first = yield* ask(reader, filter, begun, limit)
  const empty = first.total === 0 ? yield* emptyNotes(reader, filter) : []
  const follow = isRest ? [] : followNotes(given, kindOf)

  const nextOf = ({ events, next }: Found, shown: ReadonlyArray<Event>): string | undefined => {
    if (shown.length < events.length) return pages.afterEvent(filter, begun, shown)
    return next === undefined ? undefined : pages.afterStore(filter, begun, next)
  }

  const build =
    (found: Found) =>
    (count: number, length: number): ToolResult => {
      const events = count === found.events.length ? found.events : found.events.slice(0, count)
      const next = nextOf(found, events)
      const notes = [
        ...(next === undefined
          ? []
          : [`older events are left out: call ${NAME} again with the same arguments and page = next`]),
        ...(count < first.events.length
          ? [`only ${count} fit into ${maxBytes} bytes: a larger maxBytes shows more at once`]
          : []),
        ...incompleteNotes(found),
        ...empty,
        ...follow
      ]
      const shown = isRest ? `The next ${events.length}` : String(events.length)
      return render(
        {
          events,
          total: found.total,
          heading: `${shown} of ${text.counted(found.total, "event")}, newest first.`,
          cursor: isRest ? undefined : hasTimes ? early : found.cursor,
          coverage: eventSchema.coverageLines(found.coverage),
          notes,
          more: {
            ...(next === undefined ? undefined : { next }),
            coverage: eventSchema.coverage(found.coverage),
            ...(found.incomplete === undefined ? undefined : { incomplete: eventSchema.incomplete(found.incomplete) })
          }
        },
        length
      )
    }

  let found = first
  for (;;) {
    const { count, result } = fitting.fit(found.events.length, maxBytes, build(found), fitting.longestOf(found.events))
    if (count === found.events.length) return result
    if (pages.afterEvent(filter, begun, found.events.slice(0, count)) !== undefined) return result
    // Where the page ends only the store can say, so it is asked for just as many. Its answer may be longer by that.
    found = yield* ask(reader, filter, begun, count)
  }
})

// ---------------------------------------------------------------------------
// what changed
// ---------------------------------------------------------------------------

const changed = Effect.fnUntraced(function* (
  reader: EventReader.Service,
  given: Arguments,
  filter: EventFilter,
  timeless: EventFilter,
  after: Cursor,
  watch: SharedWatch,
  defaults: filters.Defaults
): Effect.fn.Return<ToolResult, BackendError> {
  const limit = given.limit ?? DEFAULT_LIMIT
  const found = yield* catchUp.catchUp(reader, filter, timeless, after, limit, {
    time: Duration.seconds(given.waitSeconds ?? 0),
    closing: defaults.closing,
    watch
  })
  const { changes, gaps, isWhole, total } = found
  const follow = followNotes(given, defaults.kindOf)

  const build = (count: number, length: number): ToolResult => {
    const isAll = isWhole && count === changes.length
    const events = catchUp.statesOf(changes.slice(0, count))
    return render(
      {
        events,
        total,
        heading:
          total === 0
            ? `Nothing changed since that cursor.`
            : `${events.length} of ${text.counted(total, "event")} that changed since that cursor, oldest first.`,
        coverage: [],
        cursor: isAll ? found.cursor : (changes[count - 1]?.cursor ?? after),
        notes: [
          ...(isAll ? [] : [`newer ones are left out: call ${NAME} again with the same filter and after = cursor`]),
          ...(gaps.length === 0 ? [] : ["history between that cursor and these events is gone: see gaps"]),
          ...follow
        ],
        more: { gaps: eventSchema.gaps(gaps) }
      },
      length
    )
  }
  const longest = fitting.longestOf(changes.map(({ event }) => event))
  return fitting.fit(changes.length, given.maxBytes ?? filters.DEFAULT_BYTES, build, longest).result
})

/** @internal */
export const run = (
  reader: EventReader.Service,
  watch: SharedWatch,
  given: Arguments,
  defaults: filters.Defaults
): Effect.Effect<ToolResult, BackendError | filters.Wrong> =>
  Effect.suspend((): Effect.Effect<ToolResult, BackendError | filters.Wrong> => {
    const wrong = contradictions(given)
    if (wrong.length > 0) return Effect.fail(new filters.Wrong({ wrong }))
    const { page } = given
    // What is no page of ours is refused by the store.
    const begun =
      page === undefined ? undefined : (pages.decode(page) ?? { shown: 0, seen: [], token: page as PageToken })
    const timeless = filters.timelessOf(given, defaults)
    const filter = filters.withTimes(timeless, begun ?? given)
    return given.after === undefined
      ? stored(reader, given, filter, timeless, begun, defaults.kindOf)
      : changed(reader, given, filter, timeless, given.after as Cursor, watch, defaults)
  })
