/**
 * The database of an archive: rows and the position of the watch that they come from are one transaction, under the lock of the
 * row of the store, as any other writing.
 */
import { BackendError, TargetMismatch } from "@tidings/core/BackendError"
import type { Cursor } from "@tidings/core/EventQuery"
import * as Target from "@tidings/core/Target"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { ArchiveStore, Commit, Committed, Opening, Span } from "../ArchiveStore.ts"
import { insert } from "./archivedStates.ts"
import * as coverage from "./coverage.ts"
import { type Database, type Opened, transaction } from "./database.ts"
import * as failure from "./failure.ts"
import * as spans from "./spans.ts"
import { channelOf, lockStore } from "./writing.ts"

/** After so long the row of a replica that is gone is removed. */
const FORGOTTEN = "1 day"

interface SourceRow {
  readonly key: number
  readonly id: string
  readonly name: string | null
  readonly aliases: ReadonlyArray<string>
  readonly uncertain: boolean
  readonly place: string | null
  readonly epoch: number
}

interface ReplicaRow {
  readonly replica: string
  readonly epoch: number
  readonly cursor: string | null
  readonly since: bigint | null
  readonly until: bigint | null
  readonly why: string | null
  readonly running: boolean
  readonly gone: boolean
}

/** When the row of a replica was written, and when it had been written before. */
interface Noted {
  readonly seen: bigint
  readonly before: bigint | null
}

/**
 * After how many commits in a row, each after one of another process, a name counts as shared. More than one, because a process
 * that was replaced may commit once more while it ends.
 */
const SHARED = 3

/** Finds out that another process commits under the name of a replica: then its row is not as this one has left it. */
class SharedNames {
  private readonly known = new Map<string, { seen: bigint; others: number }>()

  /** After a commit. */
  isShared({ key, replica }: Pick<Commit, "key" | "replica">, { before, seen }: Noted): boolean {
    const name = `${key} ${replica}`
    const last = this.known.get(name)
    const others = last === undefined || before === last.seen ? 0 : last.others + 1
    this.known.set(name, { seen, others })
    return others >= SHARED
  }

  /** After what this one wrote otherwise, or where it is not known whether it did. */
  forget({ key, replica }: Pick<Commit, "key" | "replica">): void {
    this.known.delete(`${key} ${replica}`)
  }
}

const numberOf = (value: bigint | null): number | undefined => (value === null ? undefined : Number(value))

const spanOf = ({ since, until, why }: Pick<ReplicaRow, "since" | "until" | "why">): Span | undefined =>
  since === null || until === null
    ? undefined
    : { since: Number(since), until: Number(until), ...(why === null ? undefined : { why }) }

const targetOf = ({ aliases, id, place, uncertain }: SourceRow): Target.Target =>
  Target.make(id, { aliases, isUncertain: uncertain, place: place ?? undefined })

/** The statements that others are made of. */
const statements = (table: Database["table"]) => {
  const replicasOf = (sql: Opened["sql"], key: number) =>
    sql<ReplicaRow>`
      select replica, epoch, cursor, since, until, why, running,
        seen < now() - ${coverage.GONE_SECONDS}::double precision * interval '1 second' as gone
      from ${table("replicas")} where source = ${key} order by until desc nulls last, replica`

  const endSpan = (sql: Opened["sql"], key: number, { since, until, why }: Span) =>
    sql`insert into ${table("spans")} (source, since, until, why)
      values (${key}, ${BigInt(since)}, ${BigInt(Math.max(since, until))}, ${why ?? null})
      on conflict do nothing`

  const note = (sql: Opened["sql"], { cursor, epoch, isLive, key, replica, span, until }: Commit, written: bigint) =>
    sql<Noted>`
      with before as (select seen from ${table("replicas")} where source = ${key} and replica = ${replica})
      insert into ${table("replicas")} as r (source, replica, epoch, cursor, since, until, why, live, running, problem, states, seen)
      values (${key}, ${replica}, ${epoch}, ${cursor ?? null}, ${span === undefined ? null : BigInt(span.since)}::bigint,
        ${until === undefined ? null : BigInt(until)}::bigint, ${span?.why ?? null}, ${isLive}, true, null,
        ${written}::bigint, now())
      on conflict (source, replica) do update set epoch = excluded.epoch, cursor = excluded.cursor, since = excluded.since,
        until = excluded.until, why = excluded.why, live = excluded.live, running = true, problem = excluded.problem,
        states = r.states + excluded.states, seen = excluded.seen
      returning (extract(epoch from seen) * 1000000)::bigint as seen,
        (select (extract(epoch from seen) * 1000000)::bigint from before) as before`

  /** Whether another replica has copied everything in the epoch of a commit. */
  const isPreceded = (sql: Opened["sql"], { epoch, key, replica }: Commit) =>
    Effect.map(
      sql<{ is: boolean }>`
        select exists (
          select from ${table("replicas")}
          where source = ${key} and replica <> ${replica} and epoch = ${epoch} and cursor is not null and until is not null) as is`,
      (rows) => rows[0]!.is
    )

  const epochNow = (sql: Opened["sql"], key: number) =>
    Effect.flatMap(
      sql<{ epoch: number }>`select epoch from ${table("sources")} where key = ${key}`,
      (rows): Effect.Effect<number, BackendError> =>
        rows[0] === undefined
          ? Effect.fail(
              new BackendError({
                reason: new TargetMismatch({
                  expected: String(key),
                  found: "none",
                  detail: "the store is not among those that are archived here"
                })
              })
            )
          : Effect.succeed(rows[0].epoch)
    )

  /** The row of a store: found by any of its names, and made where there is none. */
  const sourceOf = (sql: Opened["sql"], target: Target.Target, name: string | undefined) =>
    Effect.gen(function* () {
      const rows = yield* sql<SourceRow>`
        select key, id, name, aliases, uncertain, place, epoch from ${table("sources")} order by key`
      const found =
        rows.find((row) => row.id === target.id) ?? rows.find((row) => Target.isContinued(targetOf(row), target))
      if (found === undefined) {
        return (yield* sql<SourceRow>`
          insert into ${table("sources")} (id, name, aliases, uncertain, place)
          values (${target.id}, ${name ?? null}, ${[...target.aliases]}::text[], ${target.isUncertain === true}, ${target.place ?? null})
          returning key, id, name, aliases, uncertain, place, epoch`)[0]!
      }
      // The id stays: it is on the events that are stored. What else the store is called now leads to it.
      const { aliases, id, isUncertain } = Target.learned(targetOf(found), target)
      const known = Target.make(found.id, { aliases: [id, ...aliases, ...found.aliases] }).aliases
      return (yield* sql<SourceRow>`
        update ${table("sources")} set name = coalesce(${name ?? null}, name), aliases = ${[...known]}::text[],
          uncertain = ${isUncertain === true}, place = ${target.place ?? null}
        where key = ${found.key}
        returning key, id, name, aliases, uncertain, place, epoch`)[0]!
    })

  /** Spans that touch become one row, so that their number is that of the gaps. */
  const mergeSpans = (sql: Opened["sql"], key: number) =>
    Effect.gen(function* () {
      const rows = yield* sql<Pick<ReplicaRow, "since" | "until" | "why">>`
        select since, until, why from ${table("spans")} where source = ${key}`
      const merged = spans.merge(rows.flatMap((row) => spanOf(row) ?? []))
      if (merged.length === rows.length) return
      yield* sql`delete from ${table("spans")} where source = ${key}`
      for (const span of merged) yield* endSpan(sql, key, span)
    })

  return { endSpan, epochNow, isPreceded, mergeSpans, note, replicasOf, sourceOf }
}

/** Tells the gaps that no replica will cover any more; each takes a position, in which watches find it. */
const tell = (table: Database["table"], sql: Opened["sql"], position: bigint, { key }: Commit) =>
  Effect.gen(function* () {
    const { replicasOf } = statements(table)
    const replicas = yield* replicasOf(sql, key)
    const ended = yield* sql<Pick<ReplicaRow, "since" | "until" | "why">>`
      select since, until, why from ${table("spans")} where source = ${key}`
    const told = yield* sql<{ since: bigint; until: bigint }>`
      select since, until from ${table("gaps")} where source = ${key}`
    const gaps = told.map(({ since, until }) => ({ from: Number(since), to: Number(until) }))
    const all = [...replicas, ...ended].flatMap((row) => spanOf(row) ?? [])
    const holes = (spans.covered(all)?.holes ?? []).filter((hole) => !spans.isTold(hole, gaps))
    // One whose span is open and ends before a hole goes on from there, also the one that asks.
    const mayBeCovered = ({ from }: spans.Hole): boolean =>
      replicas.some(
        ({ gone, running, since, until }) =>
          running && !gone && since !== null && until !== null && Number(until) <= from
      )
    const [pending, certain] = [holes.filter(mayBeCovered), holes.filter((hole) => !mayBeCovered(hole))]
    if (certain.length > 0) {
      yield* sql`
        insert into ${table("gaps")} (position, source, store, since, until, reason)
        select ${position}::bigint + place, ${key}, (select id from ${table("sources")} where key = ${key}), since, until, reason
        from unnest(${certain.map(({ from }) => BigInt(from))}::bigint[], ${certain.map(({ to }) => BigInt(to))}::bigint[],
          ${certain.map(({ reason }) => reason)}::text[]) with ordinality as g(since, until, reason, place)`
    }
    return { gaps: certain.length, isPending: pending.length > 0 }
  })

/** Where a replica begins: at the furthest position of all. */
const openSource = (
  database: Database,
  { id, sql }: Opened,
  options: Parameters<ArchiveStore["Service"]["open"]>[0]
): Effect.Effect<Opening, SqlError | BackendError> =>
  transaction(
    sql,
    Effect.gen(function* () {
      const { table } = database
      const { endSpan, mergeSpans, note, replicasOf, sourceOf } = statements(table)
      yield* lockStore(database, { id, sql })
      const source = yield* sourceOf(sql, options.target, options.name)
      const { key } = source
      const rows = yield* replicasOf(sql, key)
      const own = rows.find(({ replica }) => replica === options.replica)
      // What any replica has committed is in the archive: the furthest position is good for all of them.
      const furthest = rows.find(({ cursor, epoch }) => epoch === source.epoch && cursor !== null)
      let span = furthest === undefined ? undefined : spanOf(furthest)
      if (furthest !== undefined && furthest !== own && span !== undefined) {
        span = { since: span.until, until: span.until }
      }
      const before = own === undefined ? undefined : spanOf(own)
      if (before !== undefined && furthest !== own) yield* endSpan(sql, key, before)
      yield* note(
        sql,
        {
          key,
          replica: options.replica,
          epoch: source.epoch,
          rows: [],
          isMixed: false,
          cursor: (furthest?.cursor ?? undefined) as Cursor | undefined,
          span,
          until: numberOf(furthest?.until ?? null),
          isLive: false,
          tell: false,
          isFirst: false
        },
        0n
      )
      // What a replica covered stays when its row goes.
      yield* sql`
        with gone as (
          delete from ${table("replicas")}
          where source = ${key} and replica <> ${options.replica} and seen < now() - ${FORGOTTEN}::interval
          returning source, since, until, why
        )
        insert into ${table("spans")} (source, since, until, why)
        select source, since, until, why from gone where since is not null and until is not null
        on conflict do nothing`
      yield* mergeSpans(sql, key)
      return {
        key,
        cluster: { id: source.id, ...(source.name === null ? undefined : { name: source.name }) },
        epoch: source.epoch,
        cursor: (furthest?.cursor ?? undefined) as Cursor | undefined,
        span,
        until: numberOf(furthest?.until ?? null)
      }
    })
  )

type NotedCommit = Omit<Committed, "isShared"> & { readonly noted: Noted }

export const make = (database: Database, wrote: () => void): ArchiveStore["Service"] => {
  const { table } = database
  const { endSpan, epochNow, isPreceded, note } = statements(table)
  const names = new SharedNames()

  const commitAll = (
    { id, sql }: Opened,
    commit: Commit,
    committing: () => void
  ): Effect.Effect<NotedCommit, SqlError | BackendError> =>
    transaction(
      sql,
      Effect.gen(function* () {
        const { day, position } = yield* lockStore(database, { id, sql })
        const epoch = yield* epochNow(sql, commit.key)
        const written = commit.rows.length === 0 ? 0n : yield* insert(table, sql, position, day, commit)
        if (commit.isMixed) {
          yield* sql`update ${table("sources")} set mixed = true where key = ${commit.key} and not mixed`
        }
        if (commit.ended !== undefined) yield* endSpan(sql, commit.key, commit.ended)
        const isOutrun = commit.isFirst && (yield* isPreceded(sql, commit))
        const [noted] = yield* note(
          sql,
          isOutrun ? { ...commit, cursor: undefined, span: undefined, until: undefined } : commit,
          written
        )
        const told =
          commit.tell && !isOutrun ? yield* tell(table, sql, position + written, commit) : { gaps: 0, isPending: false }
        const end = position + written + BigInt(told.gaps)
        if (end > position) {
          yield* sql`
            update ${table("store")} set position = ${end}::bigint, day = ${day}::date
            returning pg_notify(${channelOf(id)}, position::text)::text as told`
        }
        committing()
        return { ...told, written: Number(written), isOvertaken: epoch > commit.epoch || isOutrun, noted: noted! }
      })
    )

  /** A commit that changes only the row of this replica, which needs no lock because no other replica writes that row. */
  const commitNote = ({ sql }: Opened, commit: Commit): Effect.Effect<NotedCommit, SqlError | BackendError> =>
    Effect.gen(function* () {
      const epoch = yield* epochNow(sql, commit.key)
      const [noted] = yield* note(sql, commit, 0n)
      return { written: 0, isOvertaken: epoch > commit.epoch, gaps: 0, isPending: false, noted: noted! }
    })

  const withOutcome = <A>(run: (opened: Opened, committing: () => void) => Effect.Effect<A, SqlError | BackendError>) =>
    database.run((opened) => failure.withOutcome(database.failed, (committing) => run(opened, committing)))

  return {
    open: (options) =>
      Effect.tap(
        withOutcome((opened) => openSource(database, opened, options)),
        ({ key }) => Effect.sync(() => names.forget({ key, replica: options.replica }))
      ),
    commit: (commit) =>
      withOutcome((opened, committing) =>
        commit.rows.length === 0 && commit.ended === undefined && !commit.tell && !commit.isFirst
          ? commitNote(opened, commit)
          : Effect.tap(commitAll(opened, commit, committing), ({ gaps, written }) =>
              written + gaps > 0 ? Effect.sync(wrote) : Effect.void
            )
      ).pipe(
        Effect.map(({ noted, ...committed }): Committed => ({ ...committed, isShared: names.isShared(commit, noted) })),
        Effect.tapError(() => Effect.sync(() => names.forget(commit)))
      ),
    newEpoch: ({ ended, epoch, key, replica }) =>
      withOutcome(({ id, sql }) => {
        names.forget({ key, replica })
        return transaction(
          sql,
          Effect.gen(function* () {
            yield* lockStore(database, { id, sql })
            if (ended !== undefined) yield* endSpan(sql, key, ended)
            yield* sql`update ${table("sources")} set epoch = epoch + 1 where key = ${key} and epoch = ${epoch}`
            yield* sql`
              update ${table("replicas")} set cursor = null, since = null, until = null, why = null, live = false, seen = now()
              where source = ${key} and replica = ${replica}`
          })
        )
      }),
    leave: ({ key, problem, replica }) =>
      withOutcome(({ sql }) => {
        names.forget({ key, replica })
        return Effect.asVoid(sql`
          update ${table("replicas")} set live = false, running = ${problem !== undefined}, problem = ${problem ?? null}, seen = now()
          where source = ${key} and replica = ${replica}`)
      }),
    stores: coverage.storesOf(database)
  }
}
