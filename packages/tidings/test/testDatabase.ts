/**
 * Stores in the database of `npm run test:postgres`, each in a schema of its own, which is removed at the end.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { randomBytes } from "node:crypto"

/** The URL of the database of the tests; the empty text where there is none. */
export const server: string = process.env["TIDINGS_TEST_DATABASE"] ?? ""

/** A client of the database itself. */
export const clientLayer = () => PgClient.layer({ url: Redacted.make(server), maxConnections: 2, prepare: false })

/** Where a store can be, and what the command is given for it. */
export interface Place {
  readonly schema: string
  /** The URL with its password. */
  readonly url: string
  /** The URL without its password, and the variables that the command needs beside it. */
  readonly open: string
  readonly environment: Readonly<Record<string, string>>
}

/** A place where nothing is stored yet. */
export const place = Effect.acquireRelease(
  Effect.sync((): Place => {
    const schema = `test_${randomBytes(8).toString("hex")}`
    const url = new URL(server)
    url.searchParams.set("schema", schema)
    const open = new URL(url)
    const password = decodeURIComponent(open.password)
    open.password = ""
    return {
      schema,
      url: url.toString(),
      open: open.toString(),
      environment: password === "" ? {} : { PGPASSWORD: password }
    }
  }),
  ({ schema }) =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql.unsafe(`drop schema if exists ${schema} cascade`)
    }).pipe(Effect.provide(clientLayer()), Effect.ignore)
)
