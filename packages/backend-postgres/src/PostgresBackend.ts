/**
 * Events in PostgreSQL, of version 15 or later: for more events than one machine keeps, and for several programs that write and
 * read at once.
 *
 * The tables are made when the store is first used, in a schema of their own, `tidings` unless another one is named.
 *
 * @since 0.2.0
 */
import * as Backend from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { ArchiveStore } from "./ArchiveStore.ts"
import * as archiving from "./internal/archiving.ts"
import * as connection from "./internal/connection.ts"
import * as database from "./internal/database.ts"
import * as listening from "./internal/listening.ts"
import * as opening from "./internal/opening.ts"
import * as querying from "./internal/querying.ts"
import * as retention from "./internal/retention.ts"
import * as schema from "./internal/schema.ts"
import * as watching from "./internal/watching.ts"
import * as writing from "./internal/writing.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * Where the events are, and how the database is used.
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  /**
   * Where the database is, as `libpq` writes it: `postgres://user@host:5432/database?sslmode=verify-full`. {@link url} unless
   * given.
   *
   * - The parameters are `host` (also the directory of a socket), `port`, `user`, `password`, `dbname`, `sslmode`, `sslrootcert`
   *   (a file, or `system`), `sslcert`, `sslkey`, `sslpassword`, `passfile`, `connect_timeout` in seconds, `application_name` and
   *   `options`, and ours, `schema`, which other programs do not take. Any other one is an error.
   * - `sslmode` is one of `libpq`'s, `prefer` unless given: TLS where the server has it, without verifying who it is.
   * - A password that the URL does not have is that of `PGPASSWORD`, else of the password file (`passfile`, `PGPASSFILE`,
   *   `~/.pgpass`), which others must not be able to read.
   */
  readonly url?: string | Redacted.Redacted | undefined
  /** The schema of the tables: small letters, digits and `_`, at most 40. That of the URL, else `tidings`, unless given. */
  readonly schema?: string | undefined
  /**
   * Whether to make the tables where there are none, and to bring older ones to this version; otherwise using the store fails
   * then. True unless given. Needs the right to create the schema, or to create in it.
   */
  readonly migrate?: boolean | undefined
  /** How many connections are open at once at the most, one of which listens while there are watches. 10 unless given, at least 2. */
  readonly maxConnections?: number | undefined
  /**
   * How long states are kept after they were written, in whole days, at least one; without end unless given. What is older is
   * removed once an hour, as whole partitions, which takes the owner of the tables.
   */
  readonly maxAge?: Duration.Input | undefined
}

/**
 * What a store has.
 *
 * @category models
 * @since 0.2.0
 */
export interface Status {
  /** The identity of the store, which cursors are bound to. */
  readonly target: string
  /** The version of its tables. */
  readonly version: number
  /** The number of the newest state: positions follow one another in the order of commits. */
  readonly position: number
  /** The number of the newest state that retention has removed; 0 where it has removed none. */
  readonly forgotten: number
}

/**
 * What retention removed.
 *
 * @category models
 * @since 0.2.0
 */
export interface Pruned {
  /** The partitions, oldest first, one for each day (UTC). */
  readonly partitions: ReadonlyArray<string>
  /** How many states they had. */
  readonly states: number
}

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * What a store in PostgreSQL offers beside its backend.
 *
 * @category services
 * @since 0.2.0
 */
export class EventDatabase extends Context.Service<
  EventDatabase,
  {
    /** What the store has. Makes the tables where there are none, unless `migrate` is false. */
    readonly status: Effect.Effect<Status, BackendError>
    /**
     * Removes the states that were written on days (UTC) that ended so long ago, and the series that have not changed since.
     * Takes the owner of the tables. With `dryRun` it only answers what it would remove.
     */
    readonly prune: (
      maxAge: Duration.Input,
      options?: { readonly dryRun?: boolean | undefined }
    ) => Effect.Effect<Pruned, BackendError>
  }
>()("@tidings/backend-postgres/PostgresBackend/EventDatabase") {}

// ---------------------------------------------------------------------------
// configuration
// ---------------------------------------------------------------------------

/**
 * The URL of the database: `TIDINGS_DATABASE`.
 *
 * @category configuration
 * @since 0.2.0
 */
export const url: Config.Config<Redacted.Redacted> = opening.url

/**
 * Where a URL leads.
 *
 * @category models
 * @since 0.2.0
 */
export interface Place {
  /**
   * In words, without anything secret: `the database events at db.example.com:5432`, or
   * `the schema team_a of the database events at db.example.com:5432` where the schema is not the usual one.
   */
  readonly description: string
  /** The schema of the tables. */
  readonly schema: string
  /** Whether the URL itself has a password, which everybody sees who sees the URL. */
  readonly hasPassword: boolean
}

/**
 * Reads a URL without connecting: to say where events are, and to find out early that it is wrong. The error names nothing of
 * the URL that may be secret.
 *
 * **Example**
 *
 * ```ts
 * import * as PostgresBackend from "@tidings/backend-postgres/PostgresBackend"
 * import * as Result from "effect/Result"
 * import assert from "node:assert/strict"
 *
 * const { description, hasPassword } = Result.getOrThrow(
 *   PostgresBackend.placeOf("postgres://tidings:secret@db.example.com/events")
 * )
 * assert.equal(description, "the database events at db.example.com:5432")
 * assert.equal(hasPassword, true)
 * ```
 *
 * @category configuration
 * @since 0.2.0
 */
export const placeOf = (url: string | Redacted.Redacted): Result.Result<Place, BackendError> =>
  Result.map(connection.parseUrl(opening.textOf(url)), (location) => {
    const { password, schema = opening.DEFAULT_SCHEMA, sslPassword } = location
    const database = connection.describe(location)
    return {
      description: schema === opening.DEFAULT_SCHEMA ? database : `the schema ${schema} of ${database}`,
      schema,
      hasPassword: password !== undefined || sslPassword !== undefined
    }
  })

/**
 * Whether a store could not be used because it has no tables yet and is to make none (`migrate: false`): nothing was recorded.
 *
 * @category predicates
 * @since 0.2.0
 */
export const hasNoTables = ({ cause }: BackendError): boolean => cause instanceof database.NoTables

// ---------------------------------------------------------------------------
// rights
// ---------------------------------------------------------------------------

/**
 * The SQL that lets a role read a store, write to it and read it, or fill an archive (which includes both); the owner of the
 * tables executes it.
 *
 * A writer cannot change or remove a state, nor the tables. Retention and migrations take the owner.
 *
 * **Example**
 *
 * ```ts
 * import * as PostgresBackend from "@tidings/backend-postgres/PostgresBackend"
 * import assert from "node:assert/strict"
 *
 * assert.equal(PostgresBackend.grants("grafana", "reader")[0], `grant usage on schema tidings to "grafana"`)
 * ```
 *
 * @category rights
 * @since 0.2.0
 */
export const grants = (
  role: string,
  as: "reader" | "writer" | "archiver",
  options?: { readonly schema?: string | undefined }
): ReadonlyArray<string> => schema.grants(options?.schema ?? opening.DEFAULT_SCHEMA, role, as)

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/** The first day (UTC) of which states are kept. */
const dayBefore = (maxAge: Duration.Input): Effect.Effect<string, BackendError> =>
  Effect.gen(function* () {
    const age = Duration.fromInput(maxAge)
    if (Option.isNone(age) || !(Duration.toDays(age.value) >= 1)) {
      return yield* Effect.fail(
        opening.unavailable(`maxAge is ${JSON.stringify(maxAge)}: give at least a day, such as "90 days"`)
      )
    }
    const now = Timestamp.now(yield* Clock.Clock)
    return Timestamp.format(now - Math.floor(Duration.toMillis(age.value) * 1_000)).slice(0, 10)
  })

/**
 * A backend over the tables of a database, which it makes when there are none.
 *
 * The layer does not wait for the database: it connects when the store is first used, and again after a failure. So a program
 * starts while the database is away, and a recorder with a journal delivers later. The layer itself fails only where the options
 * are wrong.
 *
 * **Writing.** A batch is one transaction, at most 1,000 states in each. Writers take turns, in all processes, so that positions
 * follow one another in the order of commits. A write that is repeated is `present`. Where the connection is lost before the
 * answer to COMMIT, the error is `Transient` with `applied: "unknown"`, and the same batch can be repeated. An event of more than
 * 1 MiB as JSON is `Rejected`.
 *
 * **Reading.** A query reads the current state of each series by indexes, in one statement, with the exact total. `match` compares
 * the messages of what the other filters leave, so a time beside it makes it fast. A watch reads by position after each
 * notification (LISTEN), and four times a second where none arrive, as behind a pooler in transaction mode. While it runs it
 * survives failures that pass, for a minute; one that was resumed yields every state since its cursor.
 *
 * **Failing.** `Transient` while the server is away, restarts or ends a connection, `Throttled` where it has no connection left,
 * `Full` where its disk is, `Unauthorized` for a wrong password or a missing right, `Unavailable` for a read-only server, a
 * missing database and the like, `TargetMismatch` where the store was replaced.
 *
 * **Example** (Give the events of a program to a database)
 *
 * ```ts
 * import * as PostgresBackend from "@tidings/backend-postgres/PostgresBackend"
 * import * as EventManager from "@tidings/core/EventManager"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 *
 * const program = Effect.gen(function* () {
 *   const manager = yield* EventManager.EventManager
 *   yield* manager.createEvent({ kind: "Deployment", name: "web" }, "RolloutStarted", "version 2", "Normal")
 * })
 *
 * const Events = EventManager.layerDirect({ component: "web" }).pipe(
 *   Layer.provide(PostgresBackend.layer({ url: "postgres://tidings@db.example.com/events?sslmode=verify-full" }))
 * )
 * export const main = Effect.provide(program, Events)
 * ```
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<Backend.Backend | EventDatabase | ArchiveStore, BackendError> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const { maxAge } = options
      if (maxAge !== undefined) yield* dayBefore(maxAge)
      const { db, place } = yield* opening.open(options)
      const listener = yield* listening.make(db)
      const prune: EventDatabase["Service"]["prune"] = (age, options) =>
        Effect.flatMap(dayBefore(age), (day) =>
          options?.dryRun === true ? retention.preview(db, day) : retention.prune(db, day)
        )
      if (maxAge !== undefined) {
        const once = Effect.catch(prune(maxAge), (error) =>
          Effect.logWarning(`old events could not be removed from ${place}: ${error.message}`)
        )
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(once, Effect.sleep("1 hour"))))
      }
      return Context.make(Backend.Backend, {
        mode: querying.MODE,
        target: Effect.map(db.open, querying.targetOf),
        write: writing.make(db, listener.wake),
        query: querying.make(db),
        watch: watching.make(db, listener)
      }).pipe(
        Context.add(EventDatabase, { status: status(db), prune }),
        Context.add(ArchiveStore, archiving.make(db, listener.wake))
      )
    })
  )

const status = (db: database.Database): Effect.Effect<Status, BackendError> =>
  db.run(({ sql }) =>
    Effect.map(
      sql<{ id: string; version: number; position: bigint; forgotten: bigint }>`
        select id, version, position, forgotten from ${db.table("store")}`,
      (rows) => {
        const { forgotten, id, position, version } = rows[0]!
        return { target: id, version, position: Number(position), forgotten: Number(forgotten) }
      }
    )
  )

/**
 * {@link layer} with options from `Config`; the URL is {@link url} unless given.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerConfig = (
  options: Config.Wrap<Options> = {}
): Layer.Layer<Backend.Backend | EventDatabase | ArchiveStore, BackendError | Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))
