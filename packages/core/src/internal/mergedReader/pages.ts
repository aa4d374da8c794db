/**
 * Pages of several readers as one page.
 *
 * Whatever a reader has left was last seen when the last shown event was, or before it. A page token says that time, which
 * events of that time were shown, and of each reader the page token after which something is left of it. What was shown of the
 * page behind that token comes again, so a reader is asked for more than is shown.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { BackendError } from "../../BackendError.ts"
import type { Event } from "../../Event.ts"
import * as EventId from "../../EventId.ts"
import type * as EventQuery from "../../EventQuery.ts"
import type * as EventReader from "../../EventReader.ts"
import { isTexts } from "../acceptance.ts"
import * as order from "./order.ts"
import * as positions from "./positions.ts"

type Reader = Pick<EventReader.Service, "query"> & positions.Keyed

/** How far a query was read. */
export interface Reached {
  /** When the last event that was shown was last seen. */
  readonly until: number
  /** The identities of those shown that were last seen then. */
  readonly seen: ReadonlySet<string>
  /** Of each reader the page token after which something of it is left. */
  readonly tokens: ReadonlyArray<positions.Position<EventQuery.PageToken>>
}

/** What one reader answered. */
interface Answer {
  /** Absent where it did not answer. */
  readonly page: EventQuery.EventPage | undefined
  /** The events that were not shown yet, page by page, and the token that leads to each of these pages. */
  readonly parts: ReadonlyArray<Part>
  readonly isAtEnd: boolean
  readonly incomplete: ReadonlyArray<EventQuery.Incomplete>
}

interface Part {
  readonly token: positions.Position<EventQuery.PageToken>
  readonly events: ReadonlyArray<Event>
}

const isRest = (reached: Reached | undefined, { id, last }: Event): boolean =>
  reached === undefined || last < reached.until || (last === reached.until && !reached.seen.has(EventId.format(id)))

/**
 * How many times the limit a reader is asked for when a query goes on. A page behind one token has then been shown nearly whole
 * before the rest of it does not fill a page, and only then the reader is asked a second time: at most at every fourth page.
 */
const PAGES_AT_ONCE = 4

const ask = Effect.fnUntraced(function* (
  reader: Reader,
  filter: EventQuery.EventFilter,
  limit: number | undefined,
  reached: Reached | undefined,
  index: number
): Effect.fn.Return<Answer, BackendError> {
  const size = reached === undefined || limit === undefined ? limit : PAGES_AT_ONCE * limit
  const read = (token: positions.Position<EventQuery.PageToken>) =>
    reader.query({
      ...filter,
      ...(size === undefined ? undefined : { limit: size }),
      ...(token === null ? undefined : { page: token })
    })
  const parts: Array<Part> = []
  let token = reached?.tokens[index] ?? null
  const first = yield* read(token)
  let page = first
  let found = 0
  while (true) {
    const events = page.events.filter((event) => isRest(reached, event))
    parts.push({ token, events })
    found += events.length
    if (page.next === undefined || limit === undefined || found >= limit) break
    token = page.next
    page = yield* read(token)
  }
  return {
    page: first,
    parts: page.next === undefined ? parts : [...parts, { token: page.next, events: [] }],
    isAtEnd: page.next === undefined,
    incomplete: first.incomplete ?? []
  }
})

/** Nothing of a reader that did not answer; where none answered, or the error is not one to go on after, the error. */
const answered = (
  answers: ReadonlyArray<Result.Result<Answer, BackendError>>,
  tokens: Reached["tokens"] | undefined,
  incompleteOf: (error: BackendError) => EventQuery.Incomplete | undefined
): Effect.Effect<ReadonlyArray<Answer>, BackendError> => {
  const all: Array<Answer> = []
  let first: BackendError | undefined
  for (const [index, answer] of answers.entries()) {
    if (Result.isSuccess(answer)) {
      all.push(answer.success)
      continue
    }
    const incomplete = incompleteOf(answer.failure)
    if (incomplete === undefined) return Effect.fail(answer.failure)
    first ??= answer.failure
    const parts = [{ token: tokens?.[index] ?? null, events: [] }]
    all.push({ page: undefined, parts, isAtEnd: true, incomplete: [incomplete] })
  }
  return first !== undefined && answers.every(Result.isFailure) ? Effect.fail(first) : Effect.succeed(all)
}

/** The token of the first part of which not everything is shown; of the last part where everything is. */
const tokenAfter = (parts: ReadonlyArray<Part>, shown: number): positions.Position<EventQuery.PageToken> => {
  let left = shown
  for (const { events, token } of parts.slice(0, -1)) {
    if (left < events.length) return token
    left -= events.length
  }
  return parts.at(-1)!.token
}

const advance = (
  reached: Reached | undefined,
  shown: ReadonlyArray<order.OfReader<Event>>,
  answers: ReadonlyArray<Answer>
): Reached | undefined => {
  const until = shown.at(-1)?.value.last
  if (until === undefined) return undefined
  const seen = shown.flatMap(({ value }) => (value.last === until ? [EventId.format(value.id)] : []))
  return {
    until,
    seen: new Set(reached?.until === until ? [...reached.seen, ...seen] : seen),
    tokens: answers.map(({ parts }, index) => tokenAfter(parts, shown.filter(({ reader }) => reader === index).length))
  }
}

/** How many readers are asked at once. */
const READERS_AT_ONCE = 8

/** What is known of a store is what each of its readers knows: all gaps, and the shorter time. */
const coverageOf = (answers: ReadonlyArray<Answer>): ReadonlyArray<EventQuery.Coverage> => {
  const stores = new Map<string, EventQuery.Coverage>()
  for (const one of answers.flatMap(({ page }) => page?.coverage ?? [])) {
    const other = stores.get(one.store)
    stores.set(one.store, other === undefined ? one : both(other, one))
  }
  return [...stores.values()]
}

const both = (one: EventQuery.Coverage, other: EventQuery.Coverage): EventQuery.Coverage => {
  const key = ({ from, reason, to }: EventQuery.Gap): string => JSON.stringify([from, to, reason])
  const known = new Set(one.gaps.map(key))
  return {
    ...other,
    ...one,
    since: one.since === "unknown" || other.since === "unknown" ? "unknown" : Math.max(one.since, other.since),
    until:
      one.until === "unknown" || other.until === "unknown"
        ? "unknown"
        : one.until === "now"
          ? other.until
          : other.until === "now"
            ? one.until
            : Math.min(one.until, other.until),
    gaps: [...one.gaps, ...other.gaps.filter((gap) => !known.has(key(gap)))]
  }
}

/** A page of all readers; its cursor and its next page as values. */
export interface MergedPage extends Omit<EventQuery.EventPage, "cursor" | "next"> {
  /** `null` of a reader that did not answer: nothing of it was shown. */
  readonly cursors: ReadonlyArray<positions.Position<EventQuery.Cursor>>
  readonly next: Reached | undefined
}

/** @internal */
export const read = Effect.fnUntraced(function* (options: {
  readonly readers: ReadonlyArray<Reader>
  readonly filter: EventQuery.EventFilter
  readonly limit: number | undefined
  readonly reached: Reached | undefined
  readonly incomplete: (error: BackendError) => EventQuery.Incomplete | undefined
}): Effect.fn.Return<MergedPage, BackendError> {
  const { filter, reached, readers } = options
  const limit = options.limit === undefined ? undefined : Math.max(0, options.limit)
  const results = yield* Effect.forEach(
    readers,
    (reader, index) => Effect.result(ask(reader, filter, limit, reached, index)),
    { concurrency: READERS_AT_ONCE }
  )
  const answers = yield* answered(results, reached?.tokens, options.incomplete)
  const merged = order.merge(
    answers.map(({ parts }) => parts.flatMap(({ events }) => events)),
    (one, other) => one.last > other.last
  )
  const shown = limit === undefined ? merged : merged.slice(0, limit)
  const isLast = merged.length === shown.length && answers.every(({ isAtEnd }) => isAtEnd)
  const incomplete = answers.flatMap((answer) => answer.incomplete)
  return {
    events: shown.map(({ value }) => value),
    totalCount: answers.reduce((sum, { page }) => sum + (page?.totalCount ?? 0), 0),
    cursors: answers.map(({ page }) => page?.cursor ?? null),
    coverage: coverageOf(answers),
    ...(incomplete.length === 0 ? undefined : { incomplete }),
    next: isLast ? undefined : advance(reached, shown, answers)
  }
})

// ---------------------------------------------------------------------------
// page tokens
// ---------------------------------------------------------------------------

/** @internal */
export const encode = (readers: ReadonlyArray<Reader>, { seen, tokens, until }: Reached): string =>
  JSON.stringify({ until, seen: [...seen], pages: positions.toJson(readers, tokens) })

const isListOf = <A>(value: unknown, is: (one: unknown) => one is A): value is ReadonlyArray<A> =>
  Array.isArray(value) && value.every(is)

/** Also reads the first format, which names what was seen of each reader and no pages. */
export const decode = (readers: ReadonlyArray<Reader>, text: string): Result.Result<Reached, BackendError> =>
  positions.parse(text, (value) => {
    if (typeof value !== "object" || value === null || !("until" in value) || !("seen" in value)) return undefined
    const { seen, until } = value
    if (typeof until !== "number") return undefined
    if (!("pages" in value)) {
      if (!isListOf(seen, isTexts) || seen.length !== readers.length) return undefined
      return Result.succeed({ until, seen: new Set(seen.flat()), tokens: readers.map(() => null) })
    }
    return isTexts(seen)
      ? Result.map(positions.fromJson<EventQuery.PageToken>(readers, value.pages), (tokens) => ({
          until,
          seen: new Set(seen),
          tokens
        }))
      : undefined
  })
