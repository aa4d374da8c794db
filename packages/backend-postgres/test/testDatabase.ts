/**
 * Stores in the database of `npm run test:postgres`, each in a schema of its own, which is removed at the end.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import { PostgresBackend } from "@tidings/backend-postgres"
import { Backend } from "@tidings/core/Backend"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { randomBytes } from "node:crypto"

const given = process.env["TIDINGS_TEST_DATABASE"]

/** The URL of the database of the tests. */
export const url: string = given ?? ""

/** A client of the database itself. */
export const clientLayer = (at = url) => PgClient.layer({ url: Redacted.make(at), maxConnections: 4, prepare: false })

/** Whether the server is ours, and is removed with all that is in it. */
const isOurs = process.env["TIDINGS_TEST_POSTGRES"] !== undefined

/** A name of a schema that is not there yet; what is in it at the end is removed from a server that is not ours. */
export const schema = Effect.acquireRelease(
  Effect.sync(() => `test_${randomBytes(8).toString("hex")}`),
  (name) =>
    Effect.gen(function* () {
      if (isOurs) return
      const sql = yield* PgClient.PgClient
      yield* sql.unsafe(`drop schema if exists ${name} cascade`)
    }).pipe(Effect.provide(clientLayer()), Effect.ignore)
)

/** A new, empty store, whenever it is built. */
export const fresh = Layer.unwrap(Effect.map(schema, (name) => PostgresBackend.layer({ url, schema: name })))

export interface Opened {
  readonly backend: Backend["Service"]
  readonly database: PostgresBackend.EventDatabase["Service"]
}

/** Opens a store for the scope of a test. */
export const open = (options: PostgresBackend.Options) =>
  Effect.map(Layer.build(PostgresBackend.layer({ url, ...options })), (context): Opened => ({
    backend: Context.get(context, Backend),
    database: Context.get(context, PostgresBackend.EventDatabase)
  }))
