/**
 * From the options of a store to its database, which connects when it is first used.
 */
import { BackendError, Unavailable } from "@tidings/core/BackendError"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { userInfo } from "node:os"
import * as connection from "./connection.ts"
import * as database from "./database.ts"
import { SCHEMA_NAME } from "./schema.ts"

/** The schema where neither an option nor the URL names one. */
export const DEFAULT_SCHEMA = "tidings"

/** `TIDINGS_DATABASE`. */
export const url: Config.Config<Redacted.Redacted> = Config.Redacted("TIDINGS_DATABASE")

const environment: Config.Config<connection.Environment> = Config.map(
  Config.all({
    username: Config.option(Config.String("PGUSER")),
    password: Config.option(Config.Redacted("PGPASSWORD")),
    passfile: Config.option(Config.String("PGPASSFILE"))
  }),
  ({ passfile, password, username }) => ({
    username: Option.getOrElse(username, () => userInfo().username),
    password: Option.getOrUndefined(password),
    passfile: Option.getOrElse(passfile, () => connection.USUAL_PASSFILE)
  })
)

/** An error of options or of the environment. */
export const unavailable = (detail: string, cause?: unknown): BackendError =>
  new BackendError(
    cause === undefined ? { reason: new Unavailable({ detail }) } : { reason: new Unavailable({ detail }), cause }
  )

const notConfigured = (error: Config.ConfigError): BackendError =>
  unavailable(`the database is not known: ${error.message}; give a URL, or set TIDINGS_DATABASE`, error)

/** The text of a URL, which may be secret. */
export const textOf = (given: string | Redacted.Redacted): string =>
  typeof given === "string" ? given : Redacted.value(given)

/** What of the options says where the tables are. */
export interface Where {
  readonly url?: string | Redacted.Redacted | undefined
  readonly schema?: string | undefined
  readonly migrate?: boolean | undefined
  readonly maxConnections?: number | undefined
}

/** A database that was not connected to yet. */
export interface Opening {
  readonly db: database.Database
  /** Where it is, in words. */
  readonly place: string
}

/** Fails only where an option is wrong, or where no database is named. */
export const open = (where: Where): Effect.Effect<Opening, BackendError, Scope.Scope> =>
  Effect.gen(function* () {
    const given = where.url ?? (yield* Effect.mapError(url, notConfigured))
    const location = yield* Effect.fromResult(connection.parseUrl(textOf(given)))
    const schema = where.schema ?? location.schema ?? DEFAULT_SCHEMA
    if (!SCHEMA_NAME.test(schema)) {
      return yield* Effect.fail(
        unavailable(`the schema is ${JSON.stringify(schema)}: give small letters, digits and _, at most 40`)
      )
    }
    const around = yield* Effect.mapError(environment, notConfigured)
    const place = connection.describe(location)
    const db = yield* database.make({
      client: { place, ...connection.accountOf(location, around) },
      schema,
      migrate: where.migrate ?? true,
      pool: connection.poolOf(location, around),
      maxConnections: Math.max(2, where.maxConnections ?? 10)
    })
    return { db, place }
  })
