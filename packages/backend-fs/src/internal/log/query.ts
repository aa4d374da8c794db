import type { BackendError } from "@tidings/core/BackendError"
import type { Event } from "@tidings/core/Event"
import * as EventQuery from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Target from "@tidings/core/Target"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { coverageOf } from "./coverage.ts"
import type { LogDirectory } from "./directory.ts"
import { FilterPlan } from "./index/filterPlan.ts"
import type { LogIndex } from "./index/logIndex.ts"
import { endOf } from "./index/snapshot.ts"
import { type After, QueryWalk, RowReader } from "./index/queryWalk.ts"
import * as LogPosition from "./position.ts"
import type { DamageLedger } from "./segment.ts"
import { repeat } from "./view.ts"

/** Events that are decoded before other fibers get a turn. */
const DECODED_AT_ONCE = 256

const readPage = (scope: Position.Scope, token: EventQuery.PageToken): Result.Result<After, BackendError> =>
  Result.flatMap(Position.decodePageToken(scope, token), (text) => {
    const match = /^(-?\d+) ([\d-]+) (\d+)$/.exec(text)
    return match === null
      ? Result.fail(LogPosition.mismatch("its position is not one of an event log; start over without it"))
      : Result.succeed({ last: Number(match[1]), segment: match[2]!, start: Number(match[3]) })
  })

/**
 * Answers a query from the index: the rows of the page by walking from the newest block to the oldest, and then their lines.
 *
 * @internal
 */
export const query = (
  directory: LogDirectory,
  index: LogIndex,
  ledger: DamageLedger,
  target: string,
  query: EventQuery.EventQuery
): Effect.Effect<EventQuery.EventPage, BackendError> =>
  Effect.suspend(() => {
    const filter = EventQuery.filterOf(query)
    const scope: Position.Scope = { mode: "filesystem", target: Target.make(target), filter }
    const page = query.page === undefined ? undefined : readPage(scope, query.page)
    if (page !== undefined && Result.isFailure(page)) return Effect.fail(page.failure)
    const plan = new FilterPlan(filter)
    const limit = query.limit === undefined ? Number.POSITIVE_INFINITY : Math.max(0, Math.floor(query.limit))

    return index.use((snapshot) =>
      Effect.gen(function* () {
        const walk = yield* directory.attempt(
          () => new QueryWalk(index, directory, snapshot, plan, limit, page?.success)
        )
        yield* repeat(directory, () => walk.step())
        const places = walk.rows()
        const count = Math.min(limit, places.length)
        const events: Array<Event> = []
        const reader = new RowReader(index, directory, snapshot, page !== undefined)
        yield* repeat(directory, () => {
          reader.read(places, events.length, Math.min(count, events.length + DECODED_AT_ONCE), events)
          return events.length < count
        })
        const end = yield* directory.attempt(() => endOf(snapshot))
        const cursor = Position.cursorEncoder(scope)(LogPosition.format(end))
        const coverage = [coverageOf({ store: target, directory, segments: snapshot.segments, damage: ledger })]
        const answer = { events, totalCount: walk.total, cursor, coverage }
        const oldest = reader.lastRead
        if (oldest === undefined || places.length <= count) return answer
        return {
          ...answer,
          next: Position.pageTokenEncoder(scope)(`${oldest.last} ${oldest.segment} ${oldest.start}`)
        }
      })
    )
  })
