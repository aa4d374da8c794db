/**
 * Where an answer ended, as agents give it back: the page token of a store, or, where not all that the store gave fits into the
 * answer, the last event that did.
 *
 * A page has the times of the query: `since: "1h"` is another time at the next call, and a token of a store is good only for
 * the filter that it was made with. It also has how many events were shown before it, which a store that is asked only for
 * what is older does not count.
 *
 * @internal
 */
import type { Event } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { EventFilter, PageToken } from "@tidings/core/EventQuery"
import type { Micros } from "@tidings/core/Timestamp"

/** @internal */
export interface Page {
  readonly since?: Micros
  readonly until?: Micros
  /** How many events were shown of the answers that `until` leaves out. */
  readonly shown: number
  /** Shown before, and last seen exactly at `until`. */
  readonly seen: ReadonlyArray<string>
  readonly token?: PageToken
}

/** Longer lists would make the page longer than an event. */
const MOST_SEEN = 8

const SHAPE = /^(-?\d{1,18})?\.(-?\d{1,18})?\.(\d{1,9})\.([\w.~-]*)!([\w-]*)$/

const format = ({ seen, shown, since, token, until }: Page): string =>
  `${since ?? ""}.${until ?? ""}.${shown}.${seen.join("~")}!${token ?? ""}`

/**
 * The page after one that the store has ended.
 *
 * @internal
 */
export const afterStore = ({ since, until }: EventFilter, before: Page | undefined, token: PageToken): string =>
  format({
    ...(since === undefined ? undefined : { since }),
    ...(until === undefined ? undefined : { until }),
    shown: before?.shown ?? 0,
    seen: before?.seen ?? [],
    token
  })

/**
 * The page after an event, where so many were shown up to it; `undefined` where too many were last seen at the same time.
 *
 * @internal
 */
export const afterEvent = (
  { since }: EventFilter,
  before: Page | undefined,
  events: ReadonlyArray<Event>
): string | undefined => {
  const last = events.at(-1)
  // What a store has shown page by page is not counted here.
  if (last === undefined || before?.token !== undefined) return undefined
  const again = before?.until === last.last ? before.seen : []
  const seen = [...again, ...events.filter((event) => event.last === last.last).map(({ id }) => EventId.format(id))]
  if (seen.length > MOST_SEEN || seen.some((id) => !/^[\w.-]+$/.test(id))) return undefined
  return format({
    ...(since === undefined ? undefined : { since }),
    until: last.last,
    shown: (before?.shown ?? 0) + events.length,
    seen
  })
}

/** @internal */
export const decode = (page: string): Page | undefined => {
  const match = SHAPE.exec(page)
  if (match === null) return undefined
  const [, since, until, shown, seen, token] = match
  return {
    ...(since === undefined ? undefined : { since: Number(since) }),
    ...(until === undefined ? undefined : { until: Number(until) }),
    shown: Number(shown),
    seen: seen === "" ? [] : seen!.split("~"),
    ...(token === "" ? undefined : { token: token as PageToken })
  }
}
