/**
 * Writes states of series: each batch is one transaction, which locks the row of the store, so that positions follow one another
 * in the order of commits.
 */
import * as Backend from "@tidings/core/Backend"
import { BackendError, TargetMismatch } from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Semaphore from "effect/Semaphore"
import type { SqlError } from "effect/sql/SqlError"
import { argumentsOf, columnsOf, intoCurrent, lineOf, seriesOf, UNNESTED } from "./columns.ts"
import { type Database, type Opened, transaction } from "./database.ts"
import * as failure from "./failure.ts"

/** The most states in one transaction: while it lasts, other writers wait. */
const MAXIMUM_BATCH = 1_000

/** As in an event log: what is longer is no event, but a document. */
const MAXIMUM_LINE = 1024 * 1024

/** How long the lock is kept at the most when its holder says nothing more, because its process was stopped. */
const IDLE_TIMEOUT = "30s"

/** The channel on which writers say that there is more to read. */
export const channelOf = (id: string): string => `tidings_${id}`

interface Row {
  readonly place: bigint
  readonly stored: bigint | null
  readonly written: bigint
}

interface Locked {
  readonly id: string
  readonly position: bigint
  readonly day: string
  readonly today: string
}

const replaced = (expected: string, found: string): BackendError =>
  new BackendError({
    reason: new TargetMismatch({ expected, found, detail: "the store was replaced while this program ran" })
  })

/**
 * Locks the row of the store for the rest of a transaction, and makes the partition of the day. What it answers is the last
 * position and the day of what is written now.
 */
export const lockStore = (
  { table }: Pick<Database, "table">,
  { id, sql }: Pick<Opened, "id" | "sql">
): Effect.Effect<{ readonly position: bigint; readonly day: string }, SqlError | BackendError> =>
  Effect.gen(function* () {
    const locked = (yield* sql<Locked>`
      select id, position, day::text as day, (now() at time zone 'utc')::date::text as today,
        set_config('idle_in_transaction_session_timeout', ${IDLE_TIMEOUT}, true) as timeout
      from ${table("store")} for update`)[0]
    if (locked === undefined || locked.id !== id) return yield* Effect.fail(replaced(id, locked?.id ?? "none"))
    // Never back: positions and days grow together, also where the clock of the server does not.
    const day = locked.day > locked.today ? locked.day : locked.today
    if (day !== locked.day) yield* sql`select ${table("add_partition")}(${day}::date)::text`
    return { position: locked.position, day }
  })

/** One transaction. `committing` is called when nothing but COMMIT is left: what fails later may be stored. */
const transact = (
  { table }: Database,
  { id, sql }: Opened,
  batch: ReadonlyArray<Write>,
  lines: ReadonlyArray<string>,
  committing: () => void
): Effect.Effect<ReadonlyArray<Row>, SqlError | BackendError> =>
  transaction(
    sql,
    Effect.gen(function* () {
      const { day, position } = yield* lockStore({ table }, { id, sql })
      const current = intoCurrent(sql)
      const rows = yield* sql<Row>`
        with source as (
          select * from unnest(${argumentsOf(sql, columnsOf(batch, lines))}) with ordinality as s(${sql.literal(UNNESTED)}, place)
        ), judged as (
          -- One look-up for each: of a join the planner may make a scan of the whole table.
          select s.*, (
            select c.up_to from ${table("current")} c
            where c.origin = s.origin and c.seq = s.seq and c.cluster = s.cluster
          ) as stored
          from source s
        ), fresh as (
          select j.*, ${position}::bigint + row_number() over (order by place) as position, ${day}::date as day
          from judged j where stored is null or stored < up_to
        ), logged as (
          insert into ${table("states")} (position, day, cluster, origin, seq, up_to, event)
          select position, day, cluster, origin, seq, up_to, event from fresh
        ), kept as (
          insert into ${table("current")} (${current.names}) select ${current.values} from fresh
          on conflict (${current.key}) do update set ${current.assignments}
        ), moved as (
          update ${table("store")} set position = position + (select count(*) from fresh), day = ${day}::date
          where exists (select from fresh)
          returning pg_notify(${channelOf(id)}, position::text)::text as told
        )
        select place, stored, up_to as written, (select told from moved) as told from judged order by place`
      committing()
      return rows
    })
  )

/** Where a series stands twice, a batch ends before the second. */
const batchesOf = (writes: ReadonlyArray<Write>): ReadonlyArray<ReadonlyArray<Write>> => {
  const batches: Array<Array<Write>> = []
  let batch: Array<Write> = []
  let series = new Set<string>()
  for (const write of writes) {
    const one = seriesOf(write)
    if (batch.length === MAXIMUM_BATCH || series.has(one)) {
      batches.push(batch)
      batch = []
      series = new Set()
    }
    batch.push(write)
    series.add(one)
  }
  if (batch.length > 0) batches.push(batch)
  return batches
}

const outcomeOf = ({ stored, written }: Row): Backend.Outcome =>
  stored === null ? Backend.created : stored < written ? Backend.updated : Backend.present

/** Makes the function that writes; `wrote` is called after each transaction. */
export const make = (database: Database, wrote: () => void): Backend.Service["write"] => {
  // The store takes one writer at a time. A second one has begun its transaction when the first ends; more would only hold
  // connections that readers can use.
  const turns = Semaphore.makeUnsafe(2)

  const writeBatch = (opened: Opened, writes: ReadonlyArray<Write>) =>
    Effect.suspend(() => {
      const lines = writes.map(lineOf)
      const isTaken = lines.map((line) => Buffer.byteLength(line) <= MAXIMUM_LINE)
      const batch = writes.filter((_, index) => isTaken[index])
      if (batch.length === 0) return Effect.succeed(writes.map(tooLong))
      const taken = lines.filter((_, index) => isTaken[index])
      return Effect.map(
        failure.withOutcome(database.failed, (committing) => transact(database, opened, batch, taken, committing)),
        (rows) => {
          wrote()
          let next = 0
          return isTaken.map((taken): Backend.Outcome => (taken ? outcomeOf(rows[next++]!) : tooLong()))
        }
      )
    })

  return (writes) => {
    if (writes.length === 0) return Effect.succeed([])
    return database.run((opened) =>
      Effect.gen(function* () {
        const outcomes: Array<Backend.Outcome> = []
        for (const batch of batchesOf(writes)) {
          const exit = yield* Effect.exit(turns.withPermits(1)(writeBatch(opened, batch)))
          if (Exit.isSuccess(exit)) {
            outcomes.push(...exit.value)
            continue
          }
          // What earlier transactions wrote is known: the others have no answer yet.
          if (outcomes.length > 0 && !Cause.hasInterrupts(exit.cause)) return outcomes
          return yield* Effect.failCause(exit.cause)
        }
        return outcomes
      })
    )
  }
}

const tooLong = (): Backend.Outcome => ({
  _tag: "Rejected",
  reason: `as JSON it has more than ${MAXIMUM_LINE} bytes`
})
