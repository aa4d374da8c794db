/**
 * Queries and watches of a simulated API server.
 *
 * @internal
 */
import * as BackendError from "@tidings/core/BackendError"
import { type Event, namespaceOf } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventQuery from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { cut, read } from "./requests.ts"
import type { Server } from "./server.ts"
import type { Stored } from "./store.ts"

const eventOf = ({ write: state }: Stored): Event => ({
  ...state,
  name: EventId.objectName(state.id, state.event.involvedObject.name),
  namespace: namespaceOf(state)
})

/** What exists and matches. Nothing does while another server answers, whose store is empty. */
const existing = ({ replacement, store }: Server, filter: EventQuery.EventFilter): Array<Stored> =>
  replacement === undefined ? store.existing().filter((one) => EventQuery.matches(filter, one.write)) : []

const mismatch = (detail: string) => BackendError.make(new BackendError.CursorMismatch({ detail }))

const numberOf = (text: string): Result.Result<number, BackendError.BackendError> =>
  /^\d{1,16}$/.test(text) ? Result.succeed(Number(text)) : Result.fail(mismatch("its position is not a number"))

/** Where a page ended: by time, then by order of change. */
const placeOf = (text: string): Result.Result<readonly [number, number], BackendError.BackendError> => {
  const match = /^(-?\d{1,16}) (\d{1,16})$/.exec(text)
  return match === null
    ? Result.fail(mismatch("its position is not one of a query"))
    : Result.succeed([Number(match[1]), Number(match[2])])
}

/** @internal */
export const query = (
  server: Server,
  asked: EventQuery.EventQuery
): Effect.Effect<EventQuery.EventPage, BackendError.BackendError> =>
  read(server, () => {
    const filter = EventQuery.filterOf(asked)
    const scope: Position.Scope = { mode: "simulated", target: server.target(), filter }
    const matching = existing(server, filter).sort((a, b) => b.write.last - a.write.last || b.position - a.position)
    const decoded =
      asked.page === undefined
        ? Result.succeed(undefined)
        : Result.flatMap(Position.decodePageToken(scope, asked.page), placeOf)
    return Result.map(decoded, (after) => {
      const older =
        after === undefined
          ? matching
          : matching.filter(
              (one) => one.write.last < after[0] || (one.write.last === after[0] && one.position < after[1])
            )
      const events = asked.limit === undefined ? older : older.slice(0, Math.max(0, asked.limit))
      const page = {
        events: events.map(eventOf),
        totalCount: matching.length,
        cursor: Position.cursorEncoder(scope)(String(server.store.position)),
        coverage: [{ store: scope.target.id, since: "unknown", until: "now", gaps: [] }] as const
      }
      const end = events.at(-1)
      return events.length < older.length && end !== undefined
        ? { ...page, next: Position.pageTokenEncoder(scope)(`${end.write.last} ${end.position}`) }
        : page
    })
  })

/** @internal */
export const watch = (
  server: Server,
  filter: EventQuery.EventFilter,
  from: EventQuery.WatchFrom
): Stream.Stream<EventQuery.WatchItem, BackendError.BackendError> =>
  Stream.unwrap(
    read(server, () => {
      const { dice, store } = server
      const scope: Position.Scope = { mode: "simulated", target: server.target(), filter }
      const cursorAt = (at: number) => Position.cursorEncoder(scope)(String(at))
      const itemsAfter = (after: number): Array<EventQuery.WatchItem> =>
        existing(server, filter)
          .filter((one) => one.position > after)
          .map((one) => ({ _tag: "Event", event: eventOf(one), cursor: cursorAt(one.position) }))
      const gap = (): EventQuery.WatchItem => ({
        _tag: "Gap",
        store: scope.target.id,
        reason: "the server has lost its history",
        cursor: cursorAt(store.forgottenUpTo)
      })

      const watched = server.target()
      let reached = store.position
      let snapshot: Array<EventQuery.WatchItem> = []
      if (from === "beginning") snapshot = itemsAfter(0)
      else if (typeof from === "object") snapshot = from.last > 0 ? itemsAfter(0).slice(-from.last) : []
      else if (from !== "now") {
        const decoded = Result.flatMap(Position.decodeCursor(scope, from), numberOf)
        if (Result.isFailure(decoded)) return Result.fail(decoded.failure)
        snapshot = itemsAfter(decoded.success)
        if (decoded.success < store.forgottenUpTo) {
          server.count("gap")
          snapshot.unshift(gap())
        }
      }
      snapshot.push({ _tag: "Live", cursor: cursorAt(reached) })

      const changed = Effect.callback<void>((resume) => {
        if (reached !== store.position || server.target() !== watched) return resume(Effect.void)
        const awake = () => resume(Effect.void)
        return Effect.sync(store.whenChanged(awake).cancel)
      })
      const next: Effect.Effect<Array<EventQuery.WatchItem>, BackendError.BackendError> = Effect.suspend(() => {
        if (reached === store.position && server.target() === watched) return Effect.andThen(changed, next)
        if (server.target() !== watched || server.outage !== undefined || dice.chance(server.faults.resetAfter ?? 0)) {
          server.count("cut")
          return Effect.fail(cut)
        }
        const items = itemsAfter(reached)
        reached = store.position
        return items.length === 0 ? next : Effect.succeed(items)
      })
      return Result.succeed(
        Stream.concat(Stream.fromIterable(snapshot), Stream.flattenIterable(Stream.fromEffectRepeat(next)))
      )
    })
  )
