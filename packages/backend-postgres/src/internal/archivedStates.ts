/**
 * Stores states that are copied from elsewhere: each of them once, whichever replica brings it and in whichever order.
 */
import type { Event } from "@tidings/core/Event"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Commit } from "../ArchiveStore.ts"
import { columnsOf } from "./columns.ts"
import type { Database, Opened } from "./database.ts"

/** The number of an event that names its states: a resourceVersion is good within its epoch only, a seq is good for ever. */
const epochOf = ({ id }: Event, epoch: number): number => (id.seq === 0 ? epoch : 0)

/** Each state once, and of each series which of them is the newest. */
const unique = (rows: Commit["rows"]): { readonly rows: Commit["rows"]; readonly newest: Array<boolean> } => {
  const states = new Set<string>()
  const kept: Array<Commit["rows"][number]> = []
  const newest = new Map<string, number>()
  for (const row of rows) {
    const { cluster, id, upTo } = row.event
    const series = `${id.origin} ${id.seq} ${cluster?.id ?? ""}`
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
    const c = columnsOf(
      events,
      rows.map(({ line }) => line)
    )
    const epochs = events.map((event) => epochOf(event, epoch))
    const answer = yield* sql<{ written: bigint }>`
      with source as (
        select * from unnest(${c.cluster}::text[], ${c.clusterName}::text[], ${c.origin}::text[], ${c.seq}::bigint[],
          ${epochs}::integer[], ${c.upTo}::bigint[], ${newest}::boolean[], ${c.last}::bigint[], ${c.kind}::text[],
          ${c.objectName}::text[], ${c.objectNamespace}::text[], ${c.apiGroup}::text[], ${c.namespace}::text[],
          ${c.name}::text[], ${c.reason}::text[], ${c.type}::text[], ${c.source}::text[], ${c.labels}::text[],
          ${c.message}::text[], ${c.event}::text[])
        with ordinality as s(cluster, cluster_name, origin, seq, epoch, up_to, newest, last, kind, object_name,
          object_namespace, api_group, namespace, name, reason, type, source, labels, message, event, place)
      ), compared as (
        -- One look-up for each: of a join the planner may make a scan of the whole table.
        select s.*, c.epoch as current_epoch, c.up_to as current_up_to
        from source s left join lateral (
          select c.epoch, c.up_to from ${table("current")} c
          where c.origin = s.origin and c.seq = s.seq and c.cluster = s.cluster limit 1
        ) c on true
      ), fresh as (
        select j.*, ${position}::bigint + row_number() over (order by place) as position
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
        select position, ${day}::date, cluster, origin, seq, epoch, up_to, event from fresh
      ), kept as (
        insert into ${table("current")} as c (cluster, cluster_name, origin, seq, epoch, up_to, position, day, last, kind,
          object_name, object_namespace, api_group, namespace, name, reason, type, source, labels, message)
        select cluster, nullif(cluster_name, ''), origin, seq, epoch, up_to, position, ${day}::date, last, kind, object_name,
          object_namespace, api_group, namespace, name, reason, type, source,
          string_to_array(nullif(labels, ''), chr(1)), message
        from fresh where newest
        on conflict (origin, seq, cluster) do update set cluster_name = excluded.cluster_name, epoch = excluded.epoch,
          up_to = excluded.up_to, position = excluded.position, day = excluded.day, last = excluded.last,
          kind = excluded.kind, object_name = excluded.object_name, object_namespace = excluded.object_namespace,
          api_group = excluded.api_group, namespace = excluded.namespace, name = excluded.name, reason = excluded.reason,
          type = excluded.type, source = excluded.source, labels = excluded.labels, message = excluded.message
        where row(c.epoch, c.up_to) < row(excluded.epoch, excluded.up_to)
      )
      select count(*) as written from fresh`
    return answer[0]!.written
  })
