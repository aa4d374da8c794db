/**
 * Fills an archive with millions of states by SQL on the server, a tenth of the time that commits take: what is measured
 * afterwards is reading.
 */
import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"

/** How many rows one statement makes. */
const PART = 250_000

/** What is computed of the number of a state, by the name of its place in a line. */
const COLUMNS: Readonly<Record<string, string>> = {
  n: "n::text",
  nhex: "to_hex(n)",
  hex: "lpad(to_hex(n), 12, '0')",
  time: `to_char(timestamptz 'epoch' + (1790000000000000 + n) * interval '1 microsecond', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
  object: "object",
  team: "team",
  node: "node",
  reason: "reason",
  kind: "kind",
  type: "type"
}

/**
 * Adds the states `from` to `upTo` behind those that are there. `line` is what is stored of a state, with the names of `COLUMNS` in
 * braces where it differs between states.
 */
export const fill = (
  sql: PgClient.PgClient,
  schema: string,
  { cluster, kinds, line }: { readonly cluster: string; readonly kinds: ReadonlyArray<string>; readonly line: string },
  from: number,
  upTo: number
) =>
  Effect.gen(function* () {
    // The pieces of the line between the places, so that the server only has to put them together.
    const built = line
      .split(/\{(\w+)\}/)
      .map((piece, index) => (index % 2 === 0 ? `'${piece.replaceAll("'", "''")}'` : COLUMNS[piece]!))
      .join(" || ")
    const table = (name: string) => sql.literal(`${schema}.${name}`)
    // Made anew at the end, sorted: entries of millions of rows one by one take ten times as long.
    const indexes = yield* sql<{ name: string; definition: string }>`
      select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as definition
      from pg_index i where i.indrelid = ${`${schema}.current`}::regclass and not i.indisprimary`
    for (const { name } of indexes) yield* sql`drop index ${sql.literal(name)}`
    for (let begin = from; begin <= upTo; begin += PART) {
      const end = Math.min(upTo, begin + PART - 1)
      yield* sql`
        with made as (
          select n, (n % 500)::text as object, (n % 40)::text as team, (n % 100)::text as node, (n % 20)::text as reason,
            (${[...kinds]}::text[])[n % 4 + 1] as kind, case when n % 5 = 0 then 'Warning' else 'Normal' end as type,
            lpad(to_hex(n), 12, '0') as hex
          from generate_series(${BigInt(begin)}::bigint, ${BigInt(end)}::bigint) n
        ), logged as (
          insert into ${table("states")} (position, day, cluster, origin, seq, up_to, event)
          select n, (select day from ${table("store")}), ${cluster}, '5f0c9a3e-8a55-4a57-9b1c-' || hex, 0, n, ${sql.literal(built)}
          from made
        )
        insert into ${table("current")} (cluster, cluster_name, origin, seq, up_to, position, day, last, kind, object_name,
          object_namespace, api_group, namespace, name, reason, type, source, message)
        select ${cluster}, 'production', '5f0c9a3e-8a55-4a57-9b1c-' || hex, 0, n, n, (select day from ${table("store")}),
          1790000000000000 + n, kind, 'web-' || object, 'team-' || team, '', 'team-' || team, 'web-' || object || '.' || to_hex(n),
          'Reason' || reason, type, 'kubelet',
          'back-off restarting failed container app in pod web-' || object || '_team-' || team || '(' || n || ')'
        from made`
      yield* sql`update ${table("store")} set position = ${BigInt(end)}::bigint`
    }
    yield* sql.withTransaction(
      Effect.gen(function* () {
        yield* sql`set local maintenance_work_mem = '256MB'`
        for (const { definition } of indexes) yield* sql.unsafe(definition)
      })
    )
  })
