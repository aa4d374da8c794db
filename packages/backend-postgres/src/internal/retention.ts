/**
 * Forgets what was written before a day: first the current states, in parts, with what was forgotten noted in the same
 * transaction, then whole partitions.
 */
import type { BackendError } from "@tidings/core/BackendError"
import * as Effect from "effect/Effect"
import { type Database, type Opened, transaction } from "./database.ts"

/** The most positions that one transaction forgets: writers wait as long as it takes. */
const PART = 10_000n

/** How long dropping a partition waits for those who read it: while it waits, others wait behind it. */
const LOCK_TIMEOUT = "2s"

export interface Pruned {
  /** The names of the partitions that were dropped, oldest first. */
  readonly partitions: ReadonlyArray<string>
  /** How many states they had. */
  readonly states: number
}

/** The partitions of what was written before a day, oldest first. */
const partitionsBefore = (database: Database, { sql }: Opened, before: string) =>
  sql<{ name: string }>`
    select c.relname::text as name
    from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = ${`${database.schema}.states`}::regclass
      and c.relname::text < ${`states_${before.replaceAll("-", "")}`} collate "C"
    order by c.relname::text collate "C"`

const statesIn = ({ table }: Database, { sql }: Opened, partition: string) =>
  Effect.map(sql<{ n: bigint }>`select count(*) as n from ${table(partition)}`, (rows) => rows[0]!.n)

/** What {@link prune} would remove. */
export const preview = (database: Database, before: string): Effect.Effect<Pruned, BackendError> =>
  database.run((opened) =>
    Effect.gen(function* () {
      const partitions = yield* partitionsBefore(database, opened, before)
      let states = 0n
      for (const { name } of partitions) states += yield* statesIn(database, opened, name)
      return { partitions: partitions.map(({ name }) => name), states: Number(states) }
    })
  )

/** Forgets what was written before a day, such as `2026-11-01`. */
export const prune = (database: Database, before: string): Effect.Effect<Pruned, BackendError> =>
  database.run((opened) =>
    Effect.gen(function* () {
      const { sql } = opened
      const { table } = database
      const ends = yield* sql<{ upTo: bigint | null; forgotten: bigint }>`
        select (select max(position) from ${table("states")} where day < ${before}::date) as "upTo", forgotten
        from ${table("store")}`
      const { forgotten, upTo } = ends[0]!
      const end = upTo === null || upTo < forgotten ? forgotten : upTo
      for (let from = forgotten; from < end;) {
        const to = from + PART < end ? from + PART : end
        yield* transaction(
          sql,
          Effect.gen(function* () {
            yield* sql`
              update ${table("store")} set
                forgotten = ${to}::bigint,
                forgotten_last = greatest(forgotten_last,
                  (select max(last) from ${table("current")} where position <= ${to}::bigint))
              where forgotten < ${to}::bigint`
            yield* sql`delete from ${table("current")} where position <= ${to}::bigint`
          })
        )
        from = to
      }
      const partitions = yield* partitionsBefore(database, opened, before)
      const dropped: Array<string> = []
      let states = 0n
      for (const { name } of partitions) {
        states += yield* transaction(
          sql,
          Effect.gen(function* () {
            yield* sql`select set_config('lock_timeout', ${LOCK_TIMEOUT}, true)`
            const counted = yield* statesIn(database, opened, name)
            yield* sql`drop table ${table(name)}`
            return counted
          })
        )
        dropped.push(name)
      }
      return { partitions: dropped, states: Number(states) }
    })
  )
