/**
 * Checks whether events can be recorded and read in a database, and says what to do where they cannot. `tidings doctor` prints it.
 *
 * @since 0.2.0
 */
import type { Check } from "@tidings/core/BackendCheck"
import type { BackendError } from "@tidings/core/BackendError"
import * as CoverageText from "@tidings/core/CoverageText"
import type { Coverage } from "@tidings/core/EventQuery"
import * as Timestamp from "@tidings/core/Timestamp"
import type { PgClient } from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type PlacedStore, storesOf } from "./internal/coverage.ts"
import type * as database from "./internal/database.ts"
import * as failure from "./internal/failure.ts"
import * as opening from "./internal/opening.ts"
import * as querying from "./internal/querying.ts"
import { VERSION } from "./internal/schema.ts"
import type { Options } from "./PostgresBackend.ts"

const ADVICE: Readonly<Record<BackendError["reason"]["_tag"], string>> = {
  Transient: "see whether the server runs and can be reached from here: psql with the same URL",
  Throttled: "close connections that are not needed, raise max_connections of the server, or put a pooler before it",
  Unauthorized:
    "check the user, and the password in PGPASSWORD or ~/.pgpass; the owner of the tables grants rights (docs/guides/postgres.md)",
  Unavailable: "check the URL: host, port, database and sslmode",
  Full: "free space on the disk of the server",
  CursorMismatch: "",
  TargetMismatch: "the tables were replaced meanwhile: run it again"
}

const broken = (name: string, error: BackendError): Check => {
  const { _tag, detail } = error.reason
  // A check only reads, so whether something was written is not said.
  const [found, advice = ADVICE[_tag]] = failure.adviceIn(_tag === "Transient" ? detail : error.message)
  return { name, state: "broken", found, advice }
}

// ---------------------------------------------------------------------------
// the server
// ---------------------------------------------------------------------------

interface Server {
  readonly version: string
  readonly number: number
  readonly user: string
  readonly tls: boolean | null
  readonly readonly: boolean
}

/** The oldest version whose SQL the store uses. */
const OLDEST = 150_000

const serverOf = (sql: PgClient) =>
  Effect.map(
    sql<Server>`
      select current_setting('server_version') as version, current_setting('server_version_num')::int4 as number,
        current_user::text as user, (select ssl from pg_stat_ssl where pid = pg_backend_pid()) as tls,
        pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as readonly`,
    (rows) => rows[0]!
  )

const ofServer = (place: string, { number, readonly, tls, user, version }: Server): Check => {
  const found = `${place}, PostgreSQL ${version.split(" ")[0]!}, as ${user}, ${tls === true ? "with TLS" : "without TLS"}`
  const facts = { version, user, tls: tls === true, readOnly: readonly }
  if (number < OLDEST) {
    return { name: "database", state: "broken", found, advice: "use a server of version 15 or later", facts }
  }
  return readonly
    ? {
        name: "database",
        state: "note",
        found: `${found}; it is read-only, so events can be read and not be recorded`,
        advice: "to record, name the primary server",
        facts
      }
    : { name: "database", state: "ok", found, facts }
}

// ---------------------------------------------------------------------------
// tables and rights
// ---------------------------------------------------------------------------

interface Rights {
  readonly reads: boolean
  readonly writes: boolean
  readonly owns: boolean
}

const rightsOf = (sql: PgClient, schema: string) =>
  Effect.map(
    // By oid: a name is not looked up in a schema that one may not use.
    sql<Rights>`
      select has_schema_privilege(n.oid, 'usage')
          and bool_and(has_table_privilege(c.oid, 'select')) as reads,
        bool_and(case c.relname
          when 'states' then has_table_privilege(c.oid, 'insert')
          when 'current' then has_table_privilege(c.oid, 'insert') and has_table_privilege(c.oid, 'update')
          else has_any_column_privilege(c.oid, 'update') end) as writes,
        bool_and(pg_has_role(c.relowner, 'member')) as owns
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${schema} and c.relname in ('store', 'states', 'current')
      group by n.oid`,
    (rows) => rows[0]
  )

const ofRights = ({ owns, reads, writes }: Rights, user: string): Check => {
  const facts = { reads, writes, owns }
  const grant = `the owner of the tables grants them: PostgresBackend.grants(${JSON.stringify(user)}, "${reads ? "writer" : "reader"}")`
  if (!reads) {
    return { name: "rights", state: "broken", found: `${user} may not read the tables`, advice: grant, facts }
  }
  if (!writes) {
    return { name: "rights", state: "note", found: `${user} may read, and not record`, advice: grant, facts }
  }
  return {
    name: "rights",
    state: "ok",
    found: owns
      ? `${user} owns the tables: reads, records, migrates and removes old events`
      : `${user} may read and record; migrations and retention take the owner`,
    facts
  }
}

const missing = (place: string, schema: string, mayMake: boolean): Check =>
  mayMake
    ? {
        name: "tables",
        state: "note",
        found: `none in the schema ${schema} yet; they are made when an event is first recorded`
      }
    : {
        name: "tables",
        state: "broken",
        found: `none in the schema ${schema} of ${place}, and this user may make none`,
        advice: `let the owner record once, or: create schema ${schema} authorization …`
      }

const ofVersion = (version: number, schema: string, owns: boolean): Check => {
  const facts = { version, known: VERSION, schema }
  if (version === VERSION) {
    return { name: "tables", state: "ok", found: `version ${version}, in the schema ${schema}`, facts }
  }
  if (version > VERSION) {
    return {
      name: "tables",
      state: "broken",
      found: `version ${version} in the schema ${schema}, and this program knows those up to ${VERSION}`,
      advice: "use a newer version of this program",
      facts
    }
  }
  return {
    name: "tables",
    state: "broken",
    found: `version ${version} in the schema ${schema}, and this program needs version ${VERSION}`,
    advice: owns
      ? "they are brought to it when this program first records"
      : "they are brought to it when the owner first records with this program",
    facts
  }
}

// ---------------------------------------------------------------------------
// what is stored
// ---------------------------------------------------------------------------

const timeOf = (at: Coverage["since"] | Coverage["until"]): string =>
  typeof at === "number" ? Timestamp.formatSeconds(at) : at

const factsOf = ({ gaps, since, store, until }: Coverage) => ({
  store,
  since: timeOf(since),
  until: timeOf(until),
  gaps: gaps.length
})

/** Of what programs recorded here themselves. */
const ofOwn = (coverage: Coverage): Check => ({
  name: "coverage",
  state: "ok",
  found: `${coverage.store} is complete since ${timeOf(coverage.since)}`,
  facts: factsOf(coverage)
})

const ofArchived = (
  { cluster, coverage, place, replicas }: PlacedStore,
  now: Timestamp.Micros,
  rate: number
): Check => {
  const live = replicas.filter(({ isLive }) => isLive)
  const copied = live.flatMap(({ until }) => until ?? [])
  const lagSeconds = copied.length === 0 ? undefined : Math.max(0, Math.round((now - Math.max(...copied)) / 1_000_000))
  const [told = ""] = CoverageText.sentences([coverage], Timestamp.formatSeconds)
  const facts = {
    ...factsOf(coverage),
    cluster: cluster.name ?? cluster.id,
    statesPerSecond: rate,
    ...(lagSeconds === undefined ? undefined : { lagSeconds }),
    replicas: replicas.map(({ isLive, name, problem, seen, states }) => ({
      name,
      live: isLive,
      seen: Timestamp.formatSeconds(seen),
      states,
      ...(problem === undefined ? undefined : { problem })
    }))
  }
  if (live.length === 0) {
    const last = replicas.toSorted((a, b) => b.seen - a.seen)[0]
    const why =
      last === undefined
        ? "no replica archives it"
        : `no replica archives it now; ${last.name} was last seen at ${Timestamp.formatSeconds(last.seen)}` +
          (last.problem === undefined ? "" : `: ${last.problem}`)
    const advice =
      place === undefined
        ? "run one: tidings archive; a cluster forgets its events after an hour or so, and what is not copied before is lost"
        : `run one: tidings archive --directory ${place}; what the limits of the event log remove before it is copied is lost`
    return { name: "archive", state: "broken", found: `${told}; ${why}`, advice, facts }
  }
  const found =
    `${told}; ${live.length} ${live.length === 1 ? "replica" : "replicas"} (${live.map(({ name }) => name).join(", ")})` +
    `${lagSeconds === undefined ? "" : `, copied up to ${lagSeconds} s ago`}, ${rate} states/s`
  return { name: "archive", state: coverage.gaps.length === 0 ? "ok" : "note", found, facts }
}

const written = ({ replicas }: PlacedStore): number => replicas.reduce((sum, { states }) => sum + states, 0)

/** The archived stores, with what is written to them in a second. */
const ofArchive = (db: database.Database): Effect.Effect<ReadonlyArray<Check>, BackendError> =>
  Effect.gen(function* () {
    const before = yield* storesOf(db)
    if (before.length === 0) return []
    yield* Effect.sleep("1 second")
    const stores = yield* storesOf(db)
    const now = Timestamp.now(yield* Clock.Clock)
    return stores.map((store) => {
      const earlier = before.find(({ cluster }) => cluster.id === store.cluster.id)
      return ofArchived(store, now, earlier === undefined ? 0 : written(store) - written(earlier))
    })
  })

const ofStored = (db: database.Database): Effect.Effect<ReadonlyArray<Check>, BackendError> =>
  Effect.gen(function* () {
    const page = yield* querying.make(db)({ limit: 1 })
    const sizes = yield* db.run(({ sql }) =>
      Effect.map(
        sql<{ bytes: bigint }>`
          select coalesce(sum(pg_table_size(c.oid)), 0)::int8 + coalesce(sum(pg_indexes_size(c.oid)), 0)::int8 as bytes
          from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = ${db.schema} and c.relkind = 'r'`,
        (rows) => Number(rows[0]!.bytes)
      )
    )
    const newest = page.events[0]
    const events: Check = {
      name: "events",
      state: "ok",
      found: `${page.totalCount}, ${Math.ceil(sizes / 1_000_000)} MB with indexes${
        newest === undefined ? "" : `; the newest was last seen at ${Timestamp.formatSeconds(newest.last)}`
      }`,
      facts: { events: page.totalCount, bytes: sizes }
    }
    const own = page.coverage.filter(({ name }) => name === undefined).map(ofOwn)
    return [events, ...own, ...(yield* ofArchive(db))]
  })

/**
 * Checks a database: whether it is reachable and how, the version of its tables, what the user may do, what is stored and since
 * when it is complete. Changes nothing, and makes no tables.
 *
 * A database that is not known or whose URL is wrong is a failure; everything else is a check.
 *
 * **Example**
 *
 * ```ts
 * import * as PostgresCheck from "@tidings/backend-postgres/PostgresCheck"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const checks = await Effect.runPromise(PostgresCheck.run({ url: "postgres://127.0.0.1:1/events?connect_timeout=1" }))
 * assert.deepEqual(checks.map(({ name, state }) => [name, state]), [["database", "broken"]])
 * ```
 *
 * @category running
 * @since 0.2.0
 */
export const run = (options: Pick<Options, "url" | "schema"> = {}): Effect.Effect<ReadonlyArray<Check>, BackendError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { db, place } = yield* opening.open({ ...options, migrate: false, maxConnections: 2 })
      return yield* Effect.catch(look(db, place), (error) => Effect.succeed([broken("database", error)]))
    })
  )

const look = (db: database.Database, place: string): Effect.Effect<ReadonlyArray<Check>, BackendError> =>
  Effect.gen(function* () {
    const { schema } = db
    const sql = yield* db.client
    const ask = <A>(asked: Effect.Effect<A, Parameters<typeof db.failed>[0]>) =>
      Effect.mapError(asked, (error) => db.failed(error))
    const server = yield* ask(serverOf(sql))
    const checks = [ofServer(place, server)]
    const rights = yield* ask(rightsOf(sql, schema))
    if (rights === undefined) {
      const mayMake = yield* ask(
        Effect.map(
          sql<{ may: boolean }>`
            select case when to_regnamespace(${schema}) is null then has_database_privilege(current_database(), 'create')
              else has_schema_privilege(${schema}, 'create') end as may`,
          (rows) => rows[0]!.may
        )
      )
      return [...checks, missing(place, schema, mayMake)]
    }
    checks.push(ofRights(rights, server.user))
    if (!rights.reads) return checks
    const version = yield* ask(
      Effect.map(sql<{ version: number }>`select version from ${db.table("store")}`, (rows) => rows[0]?.version ?? 0)
    )
    checks.push(ofVersion(version, schema, rights.owns))
    if (version !== VERSION) return checks
    return [...checks, ...(yield* ofStored(db))]
  })
