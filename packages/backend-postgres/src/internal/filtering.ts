/**
 * A filter as a condition on the columns of `current`, with the meaning that `EventQuery.matcher` has.
 */
import * as EventId from "@tidings/core/EventId"
import * as EventQuery from "@tidings/core/EventQuery"
import type { PgClient } from "@effect/sql-pg/PgClient"
import type { Fragment } from "effect/sql/Statement"
import { keyOf, labelOf, searchable } from "./columns.ts"

/** The columns that are compared with values alone. */
const COLUMNS = {
  resourceType: "kind",
  resourceName: "object_name",
  namespace: "namespace",
  objectNamespace: "object_namespace",
  apiGroup: "api_group",
  eventType: "type",
  reason: "reason",
  source: "source",
  name: "name"
} as const satisfies Partial<Record<keyof EventQuery.EventFilter, string>>

/** A time in the range of a column. */
const timeOf = (micros: number): bigint =>
  Number.isNaN(micros) ? 0n : BigInt(Math.min(9e18, Math.max(-9e18, Math.ceil(micros))))

/** The condition of a filter on the rows of a table that is called `c`. */
export const conditionOf = (sql: PgClient, filter: EventQuery.EventFilter): Fragment => {
  const all: Array<Fragment> = []
  // A statement is text with parameters: names of columns come from the tables above, values never do.
  const oneOf = (column: string, values: ReadonlyArray<string>): Fragment => {
    const keys = [...new Set(values.map(keyOf))]
    return keys.length === 1
      ? sql`${sql.literal(`c.${column}`)} = ${keys[0]!}`
      : sql`${sql.literal(`c.${column}`)} = any(${keys}::text[])`
  }
  if (EventQuery.isNothing(filter)) return sql`false`
  for (const [field, column] of Object.entries(COLUMNS)) {
    const wanted = filter[field as keyof typeof COLUMNS]
    if (wanted !== undefined) all.push(oneOf(column, EventQuery.valuesOf(wanted)))
  }
  if (filter.object !== undefined) {
    all.push(
      sql.or(
        EventQuery.valuesOf(filter.object).map(({ apiGroup, kind, name }) =>
          sql.and([
            sql`c.kind = ${keyOf(kind)}`,
            sql`c.object_name = ${keyOf(name)}`,
            ...(apiGroup === undefined ? [] : [sql`c.api_group = ${keyOf(apiGroup)}`])
          ])
        )
      )
    )
  }
  if (filter.cluster !== undefined) {
    const values = EventQuery.valuesOf(filter.cluster)
    // An event that is in none has the empty text.
    const ids = values.filter((value) => value !== "")
    all.push(ids.length === 0 ? sql`false` : sql.or([oneOf("cluster", ids), oneOf("cluster_name", ids)]))
  }
  if (filter.id !== undefined) {
    const ids = EventQuery.valuesOf(filter.id).flatMap((text) => EventId.parse(text) ?? [])
    all.push(
      ids.length === 0
        ? sql`false`
        : sql`(c.origin, c.seq) in (select * from unnest(${ids.map(({ origin }) => keyOf(origin))}::text[], ${ids.map(({ seq }) => BigInt(seq))}::bigint[]))`
    )
  }
  const labels = Object.entries(filter.labels ?? {}).map(([key, value]) => labelOf(key, value))
  if (labels.length > 0) all.push(sql`c.labels @> ${labels}::text[]`)
  if (filter.match !== undefined && filter.match !== "")
    all.push(sql`strpos(c.message, ${searchable(filter.match)}) > 0`)
  if (filter.since !== undefined) all.push(sql`c.last >= ${timeOf(filter.since)}`)
  if (filter.until !== undefined) all.push(sql`c.last <= ${timeOf(Math.floor(filter.until))}`)
  return all.length === 0 ? sql`true` : sql.and(all)
}
