/**
 * Answers queries from the current state of each series, in one statement: what it answers is of one moment.
 */
import { BackendError, CursorMismatch, Unavailable } from "@tidings/core/BackendError"
import type * as Backend from "@tidings/core/Backend"
import type { Event } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import * as EventQuery from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Target from "@tidings/core/Target"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Database, Opened } from "./database.ts"
import * as coverage from "./coverage.ts"
import { conditionOf } from "./filtering.ts"

export const MODE = "postgres"

export const targetOf = ({ id }: Opened): Target.Target => Target.make(id)

export const scopeOf = (opened: Opened, filter: EventQuery.EventFilter): Position.Scope => ({
  mode: MODE,
  target: targetOf(opened),
  filter
})

/** Reads the line of an event; the database has nothing else in that column. */
export const eventOf = (line: string): Result.Result<Event, BackendError> =>
  Result.mapError(
    EventJson.decode(line),
    (failure) => new BackendError({ reason: new Unavailable({ detail: `an event cannot be read: ${failure}` }) })
  )

export const mismatch = (detail: string) => new BackendError({ reason: new CursorMismatch({ detail }) })

const readPagePosition = (text: string): Result.Result<readonly [last: bigint, position: bigint], BackendError> => {
  const match = /^(-?\d{1,18}) (\d{1,18})$/.exec(text)
  return match === null
    ? Result.fail(mismatch("its position is not a time and a number; start with the first page"))
    : Result.succeed([BigInt(match[1]!), BigInt(match[2]!)])
}

/** What of the row of the store an answer needs. */
export interface Head {
  readonly position: bigint
  readonly forgotten: bigint
  readonly forgotten_last: bigint | null
}

/** The first row of an answer says what is of the whole store, each further one is an event of the page. */
interface Row {
  readonly position: bigint | null
  readonly forgotten: bigint | null
  readonly forgotten_last: bigint | null
  readonly total: bigint | null
  readonly archived: string | null
  readonly found: bigint | null
  readonly last: bigint | null
  readonly event: string | null
}

export const make =
  (database: Database): Backend.Service["query"] =>
  (query) =>
    database.run((opened) =>
      Effect.gen(function* () {
        const { sql } = opened
        const filter = EventQuery.filterOf(query)
        const scope = scopeOf(opened, filter)
        const clusters = yield* coverage.clustersOf(database, opened, filter)
        const condition = conditionOf(sql, clusters.filter)
        let after = sql`true` as ReturnType<typeof conditionOf>
        if (query.page !== undefined) {
          const [last, position] = yield* Effect.fromResult(
            Result.flatMap(Position.decodePageToken(scope, query.page), readPagePosition)
          )
          after = sql`(c.last, c.position) < (${last}::bigint, ${position}::bigint)`
        }
        const limit = query.limit === undefined ? undefined : Math.max(0, Math.floor(query.limit))
        // One more than is asked for tells whether there is a further page.
        const limited =
          limit === undefined || !Number.isSafeInteger(limit)
            ? sql.literal("")
            : sql`limit ${BigInt(limit + 1)}::bigint`
        const rows = yield* sql<Row>`
          with page as (
            select c.position, c.day, c.last from ${database.table("current")} c
            where ${condition} and ${after}
            order by c.last desc, c.position desc ${limited}
          ), counted as (
            select count(*) as total from ${database.table("current")} c where ${condition}
          )
          select h.position, h.forgotten, h.forgotten_last, t.total, ${coverage.archived(database, opened)} as archived,
            null::bigint as found, null::bigint as last, null::text as event
          from ${database.table("store")} h cross join counted t
          union all
          select null, null, null, null, null, p.position, p.last, s.event
          from page p left join ${database.table("states")} s on s.position = p.position and s.day = p.day
          order by last desc nulls first, found desc nulls first`
        const [head, ...page] = rows
        if (head === undefined || head.position === null || head.archived === null) {
          return yield* Effect.fail(
            new BackendError({ reason: new Unavailable({ detail: "the store has no row of its own" }) })
          )
        }
        const events: Array<Event> = []
        const end = limit ?? page.length
        for (const { event } of page.slice(0, end)) {
          // Retention removes the current state before the partition with its line.
          if (event === null) continue
          const read = eventOf(event)
          if (Result.isFailure(read)) return yield* Effect.fail(read.failure)
          events.push(read.success)
        }
        const oldest = end > 0 ? page[end - 1] : undefined
        const answer: EventQuery.EventPage = {
          events,
          totalCount: Number(head.total),
          cursor: Position.cursorEncoder(scope)(String(head.position)),
          coverage: coverage.of(opened, head, coverage.parse(head.archived), filter)
        }
        return page.length > end && oldest !== undefined
          ? { ...answer, next: Position.pageTokenEncoder(scope)(`${oldest.last} ${oldest.found}`) }
          : answer
      })
    )
