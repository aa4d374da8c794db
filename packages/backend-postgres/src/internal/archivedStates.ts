/**
 * Stores states that are copied from elsewhere: each of them once, whichever replica brings it and in whichever order.
 */
import type { Event } from "@tidings/core/Event"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Commit } from "../ArchiveStore.ts"
import { argumentsOf, columnsOf, intoCurrent, seriesOf, UNNESTED } from "./columns.ts"
import type { Database, Opened } from "./database.ts"

/** The number of an event that names its states: a resourceVersion is valid only within its epoch, a seq always. */
const epochOf = ({ id }: Event, epoch: number): number => (id.seq === 0 ? epoch : 0)

/** Each state once, and of each series which of them is the newest. */
const unique = (rows: Commit["rows"]): { readonly rows: Commit["rows"]; readonly newest: Array<boolean> } => {
  const states = new Set<string>()
  const kept: Array<Commit["rows"][number]> = []
  const newest = new Map<string, number>()
  for (const row of rows) {
    const { upTo } = row.event
    const series = seriesOf(row.event)
    const state = `${upTo} ${series}`
    if (states.has(state)) continue
    states.add(state)
    const before = newest.get(series)
    if (before === undefined || kept[before]!.event.upTo < upTo) newest.set(series, kept.length)
    kept.push(row)
  }
  const is = kept.map(() => false)
  for (const index of newest.values()) is[index] = true
  return { rows: kept, newest: is }
}

/** Inserts the states that are not stored; what it answers is how many those are. */
export const insert = (
  table: Database["table"],
  sql: Opened["sql"],
  position: bigint,
  day: string,
  { epoch, rows: given }: Commit
): Effect.Effect<bigint, SqlError> =>
  Effect.gen(function* () {
    const { newest, rows } = unique(given)
    const events = rows.map(({ event }) => event)
    const columns = columnsOf(
      events,
      rows.map(({ line }) => line)
    )
    const epochs = events.map((event) => epochOf(event, epoch))
    const current = intoCurrent(sql, ["epoch"])
    const answer = yield* sql<{ written: bigint }>`
      with source as (
        select * from unnest(${argumentsOf(sql, columns)}, ${epochs}::integer[], ${newest}::boolean[])
        with ordinality as s(${sql.literal(UNNESTED)}, epoch, newest, place)
      ), compared as (
        -- One look-up for each: of a join the planner may make a scan of the whole table.
        select s.*, c.epoch as current_epoch, c.up_to as current_up_to
        from source s left join lateral (
          select c.epoch, c.up_to from ${table("current")} c
          where c.origin = s.origin and c.seq = s.seq and c.cluster = s.cluster limit 1
        ) c on true
      ), fresh as (
        select j.*, ${position}::bigint + row_number() over (order by place) as position, ${day}::date as day
        from compared j
        -- A state that is newer than the current one of its epoch cannot be stored, and the current one is. Any other one may be:
        -- another replica was ahead, or the series is older than the epoch. Then the states themselves say so.
        where current_up_to is null or case when current_epoch = epoch and current_up_to <= up_to then current_up_to < up_to
        else not exists (
          select from ${table("states")} t
          where t.up_to = j.up_to and hashtext(t.origin) = hashtext(j.origin) and t.origin = j.origin and t.seq = j.seq
            and t.cluster = j.cluster
            and (t.epoch = j.epoch
              -- What an earlier epoch has, and did not change when the cluster was put back.
              or split_part(t.event, ',"cluster":{"id":', 1) = split_part(j.event, ',"cluster":{"id":', 1))
        ) end
      ), logged as (
        insert into ${table("states")} (position, day, cluster, origin, seq, epoch, up_to, event)
        select position, day, cluster, origin, seq, epoch, up_to, event from fresh
      ), kept as (
        insert into ${table("current")} as c (${current.names}) select ${current.values} from fresh where newest
        on conflict (${current.key}) do update set ${current.assignments}
        where row(c.epoch, c.up_to) < row(excluded.epoch, excluded.up_to)
      )
      select count(*) as written from fresh`
    return answer[0]!.written
  })
