/**
 * A database with the tables of a store: connected to and made or migrated when it is first used, and again after a failure.
 */
import { BackendError, TargetMismatch, Unavailable } from "@tidings/core/BackendError"
import * as EventId from "@tidings/core/EventId"
import * as Timestamp from "@tidings/core/Timestamp"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as failure from "./failure.ts"
import { migrations, VERSION } from "./schema.ts"

/** A store that was found or made. */
export interface Opened {
  readonly sql: PgClient.PgClient
  readonly id: string
  readonly created: number
}

export interface Settings {
  readonly client: failure.Client
  readonly schema: string
  readonly migrate: boolean
  readonly pool: Effect.Effect<PgClient.PgPoolConfig, BackendError>
  readonly maxConnections: number
}

export interface Database {
  readonly schema: string
  /** A name of the schema: `tidings.current`. */
  readonly table: (name: string) => Statement.Fragment
  /** The client, also where there are no tables. */
  readonly client: Effect.Effect<PgClient.PgClient, BackendError>
  /** The error of the backend for one of the database; `applied` says what is known of a write. */
  readonly failed: (error: SqlError, applied?: "no" | "unknown") => BackendError
  readonly open: Effect.Effect<Opened, BackendError>
  /** Runs statements, with errors of the backend. Where they find no tables, the next use looks for them anew. */
  readonly run: <A>(
    use: (opened: Opened) => Effect.Effect<A, SqlError | BackendError>
  ) => Effect.Effect<A, BackendError>
}

/** The cause of the error of a store without tables that is to make none. */
export class NoTables extends Data.TaggedError("NoTables") {}

const unavailable = (detail: string): BackendError => new BackendError({ reason: new Unavailable({ detail }) })

const isSqlError = (error: unknown): error is SqlError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "SqlError"

/**
 * A transaction whose connection may be lost in its middle. The client's own then fails to roll back, which it takes for a
 * defect, in the place of the error that there was.
 */
export const transaction = <A, E>(sql: PgClient.PgClient, body: Effect.Effect<A, E>): Effect.Effect<A, E | SqlError> =>
  Effect.suspend(() => {
    let failed: { readonly error: E } | undefined
    const noted = Effect.tapError(body, (error) =>
      Effect.sync(() => {
        failed = { error }
      })
    )
    return Effect.catchDefect(sql.withTransaction(noted), (defect): Effect.Effect<never, E | SqlError> => {
      if (!isSqlError(defect)) return Effect.die(defect)
      return Effect.fail(failed === undefined ? defect : failed.error)
    })
  })

interface Found {
  readonly id: string
  readonly version: number
  readonly created: bigint
}

/** First half of the keys of our advisory locks: the letters `tidi`. */
const LOCKS = 0x7469_6469

const prepare = (sql: PgClient.PgClient, { client, migrate, schema }: Settings) =>
  Effect.gen(function* () {
    const { place } = client
    const find = sql<Found>`select id, version, created from ${sql.literal(schema)}.store`.pipe(
      Effect.map((rows) => rows[0]),
      Effect.catch((error) => (failure.isMissing(error) ? Effect.succeed(undefined) : Effect.fail(error)))
    )
    const found = yield* find
    if (found !== undefined && found.version > VERSION) {
      return yield* Effect.fail(
        unavailable(
          `${place} has tables of version ${found.version}, this program knows those up to ${VERSION}; use a newer one`
        )
      )
    }
    if (found !== undefined && found.version === VERSION) return found
    if (!migrate) {
      if (found === undefined) {
        const detail = `${place} has no tables in its schema ${schema} yet, and none are to be made`
        return yield* new BackendError({ reason: new Unavailable({ detail }), cause: new NoTables() })
      }
      return yield* Effect.fail(
        unavailable(
          `${place} has tables of version ${found.version} in its schema ${schema}, this program needs version ${VERSION}, and none are to be changed`
        )
      )
    }
    const id = yield* EventId.makeOrigin
    const now = Timestamp.now(yield* Clock.Clock)
    return yield* Effect.mapError(
      transaction(
        sql,
        Effect.gen(function* () {
          // Of several that start at once the first makes the tables. The lock is the transaction's: one of a session would
          // go back to the pool with its connection.
          yield* sql`select pg_advisory_xact_lock(${LOCKS}::int4, hashtext(${schema}))::text`
          // A schema that is there may belong to a role that may make none.
          const schemas = yield* sql<{ is: boolean }>`select to_regnamespace(${schema}) is not null as is`
          if (!schemas[0]!.is) yield* sql`create schema ${sql.literal(schema)}`
          const present = yield* sql<{ is: boolean }>`select to_regclass(${`${schema}.store`}) is not null as is`
          let current: Found | undefined
          if (present[0]!.is)
            current = (yield* sql<Found>`select id, version, created from ${sql.literal(schema)}.store`)[0]
          for (let version = current?.version ?? 0; version < VERSION; version++) {
            for (const statement of migrations[version]!(schema)) yield* sql.unsafe(statement)
          }
          if (current === undefined) {
            yield* sql`insert into ${sql.literal(schema)}.store (id, version, created, position, day, forgotten)
              values (${id}, ${VERSION}, ${BigInt(now)}, 0, (now() at time zone 'utc')::date, 0)`
          } else {
            yield* sql`update ${sql.literal(schema)}.store set version = ${VERSION}`
          }
          yield* sql`select ${sql.literal(schema)}.add_partition(day)::text from ${sql.literal(schema)}.store`
          return (yield* sql<Found>`select id, version, created from ${sql.literal(schema)}.store`)[0]!
        })
      ),
      (error) => {
        const made = failure.fromSql(error, client)
        return made.reason._tag === "Unauthorized" || failure.codeOf(error) === "25006"
          ? new BackendError({
              reason: new Unavailable({
                detail: `${place} has no tables of version ${VERSION} in its schema ${schema}, and this connection may not make them: ${made.message}`
              }),
              cause: error
            })
          : made
      }
    )
  })

/** Connects lazily: a server that is away when a program starts is like one that is away later. */
export const make = (settings: Settings): Effect.Effect<Database, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const turn = Semaphore.makeUnsafe(1)
    const failed: Database["failed"] = (error, applied) => failure.fromSql(error, settings.client, applied)
    let client: PgClient.PgClient | undefined
    let opened: Opened | undefined
    /** The store that was found first: another one in its place is not written to. */
    let bound: string | undefined

    const connect = Effect.gen(function* () {
      if (client !== undefined) return client
      const config = yield* settings.pool
      client = yield* PgClient.make({
        ...config,
        maxConnections: settings.maxConnections,
        idleTimeout: "1 minute",
        // Named statements are lost behind a pooler, and a plan that is made without the values of a filter may be a bad one.
        prepare: false,
        maxMessageSize: 256 * 1024 * 1024
      }).pipe(
        Effect.provide(Reactivity.layer),
        Scope.provide(scope),
        Effect.mapError((error) => failed(error))
      )
      return client
    })

    const open = Effect.gen(function* () {
      if (opened !== undefined) return opened
      const sql = yield* connect
      const { created, id } = yield* Effect.mapError(prepare(sql, settings), (error) =>
        error instanceof BackendError ? error : failed(error)
      )
      if (bound !== undefined && bound !== id) {
        return yield* Effect.fail(
          new BackendError({
            reason: new TargetMismatch({
              expected: bound,
              found: id,
              detail: `the schema ${settings.schema} of ${settings.client.place} was replaced`
            })
          })
        )
      }
      bound = id
      opened = { sql, id, created: Number(created) }
      return opened
    })

    const opening = Effect.suspend(() => (opened === undefined ? turn.withPermits(1)(open) : Effect.succeed(opened)))
    return {
      schema: settings.schema,
      client: turn.withPermits(1)(connect),
      failed,
      table: (name) => Statement.fragment([Statement.literal(`${settings.schema}.${name}`)]),
      open: opening,
      run: (use) =>
        Effect.mapError(Effect.flatMap(opening, use), (error) => {
          const told = error instanceof BackendError ? error : failed(error)
          if (failure.isOfMissingTables(told)) opened = undefined
          return told
        })
    }
  })
