/**
 * What the command itself looks for in messages, where `--grep` or `--exclude` is given.
 *
 * @internal
 */
import type { BackendError } from "@tidings/core/BackendError"
import type { Event } from "@tidings/core/Event"
import type { EventFilter, EventPage, PageToken } from "@tidings/core/EventQuery"
import { EventReader } from "@tidings/core/EventReader"
import * as Effect from "effect/Effect"
import type { Usage } from "./failure.ts"
import type { Patterns } from "./selection.ts"
import * as session from "./session.ts"
import * as words from "./words.ts"

/** What was found among the events that were looked through. @internal */
export interface Kept {
  readonly events: ReadonlyArray<Event>
  readonly looked: number
}

/** Looks through events in their order until enough are found. @internal */
export type Search = (events: ReadonlyArray<Event>, enough?: number) => Effect.Effect<Kept>

/** In milliseconds: so long signals and other work wait at the most, but for the message that is being looked at. */
const TURN = 20

const nextTurn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

const searchWith = (test: (message: string) => boolean): Search =>
  Effect.fnUntraced(function* (events, enough = Number.POSITIVE_INFINITY) {
    const found: Array<Event> = []
    let looked = 0
    let began = performance.now()
    while (looked < events.length && found.length < enough) {
      const event = events[looked++]!
      if (test(event.event.message)) found.push(event)
      if (performance.now() - began < TURN) continue
      yield* nextTurn
      began = performance.now()
    }
    return { events: found, looked }
  })

/**
 * The search for what was given; absent where nothing was.
 *
 * @internal
 */
export const make = (patterns: Patterns | undefined): Effect.Effect<Search | undefined, Usage> =>
  patterns === undefined
    ? Effect.undefined
    : Effect.promise(() => import("./patterns.ts")).pipe(
        Effect.flatMap(({ compile }) => session.check(compile(patterns))),
        Effect.map(searchWith)
      )

/** The newest events that match, the newest first. @internal */
export interface Found {
  readonly events: ReadonlyArray<Event>
  /** How many events were looked through. */
  readonly looked: number
  /** The page that was looked through first, which has what is known of the store. */
  readonly first: EventPage
}

const FIRST_PAGE = 1_000
/** So many events are in memory at a time. */
const LAST_PAGE = 64_000

/**
 * The newest events of a filter that a search finds, from the newest to older ones until there are enough.
 *
 * @internal
 */
export const newest = Effect.fnUntraced(function* (
  filter: EventFilter,
  search: Search,
  limit: number = Number.POSITIVE_INFINITY
): Effect.fn.Return<Found, BackendError, EventReader> {
  const reader = yield* EventReader
  const found: Array<Event> = []
  let looked = 0
  let size = limit === 0 ? 0 : FIRST_PAGE
  const first = yield* reader.query({ ...filter, limit: size })
  let page: EventPage = first
  while (true) {
    const kept = yield* search(page.events, limit - found.length)
    looked += kept.looked
    for (const event of kept.events) found.push(event)
    const next: PageToken | undefined = page.next
    if (found.length >= limit || next === undefined || limit === 0) return { events: found, looked, first }
    size = Math.min(LAST_PAGE, size * 4)
    page = yield* reader.query({ ...filter, limit: size, page: next })
  }
})

/**
 * How much was looked through, for stderr.
 *
 * @internal
 */
export const told = (found: number, looked: number, of: number = looked): string =>
  looked < of
    ? `looked through the newest ${looked} of ${words.counted(of, "event")}, ${found} match; look through all with --limit all`
    : `looked through ${words.counted(looked, "event")}, ${found} match${found === 1 ? "es" : ""}`
