/**
 * Answers to filters that no event can match, such as one that names no namespace that there can be: without a request for events,
 * which the API server would refuse.
 */
import type { BackendError } from "@tidings/core/BackendError"
import type * as EventQuery from "@tidings/core/EventQuery"
import { filterOf } from "@tidings/core/EventQuery"
import type * as MergedReader from "@tidings/core/MergedReader"
import * as Position from "@tidings/core/Position"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { coverageOf } from "./querying.ts"

/** The position of new cursors: where a filter matches nothing, any one will do. */
const BEGINNING = "0"

/** @internal */
export const make = (
  scopeOf: (filter: EventQuery.EventFilter) => Effect.Effect<Position.Scope, BackendError>
): MergedReader.Reader => ({
  query: Effect.fnUntraced(function* (query): Effect.fn.Return<EventQuery.EventPage, BackendError> {
    const scope = yield* scopeOf(filterOf(query))
    if (query.page !== undefined) yield* Effect.fromResult(Position.decodePageToken(scope, query.page))
    return {
      events: [],
      totalCount: 0,
      cursor: Position.cursorEncoder(scope)(BEGINNING),
      coverage: [coverageOf(scope.target)]
    }
  }),
  watch: (filter, from) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const scope = yield* scopeOf(filter)
        const position =
          typeof from !== "string" || from === "beginning" || from === "now"
            ? BEGINNING
            : yield* Effect.fromResult(Position.decodeCursor(scope, from))
        const live: EventQuery.WatchItem = { _tag: "Live", cursor: Position.cursorEncoder(scope)(position) }
        return Stream.concat(Stream.succeed(live), Stream.never)
      })
    )
})
