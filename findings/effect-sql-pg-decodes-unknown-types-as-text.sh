#!/usr/bin/env bash
# @effect/sql-pg 4.0.5: values of types that it does not know are the bytes of the binary format, read as UTF-8.
#
# The guess, from other clients: a type without a decoder comes as the text that `psql` shows. `pg` does so, in the same run. Seen:
# all columns are asked for in the binary format, and the bytes of an unknown type are taken for text. A range and a
# tsvector come as a string with the bytes of their lengths in it, and the query succeeds. The id of a transaction (xid8) is a
# string where its bytes happen to be UTF-8, as those of 8 are; 1000 fails the query with "Invalid UTF-8 in text value".
#
# Why it matters: the same statement succeeds with one value and fails with the next, since it depends on the bytes; what succeeded
# is no text that anything can read. Such columns need a cast to text in the statement, each time.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit --legacy-peer-deps node@24.21.0 effect@4.1.0 @effect/sql-pg@4.0.5 pg@8.23.1 \
  @electric-sql/pglite@0.5.14 @electric-sql/pglite-socket@0.2.17
cat >run.mjs <<'PROGRAM'
import * as PgClient from "@effect/sql-pg/PgClient"
import { PGlite } from "@electric-sql/pglite"
import { PGLiteSocketServer } from "@electric-sql/pglite-socket"
import { Effect, Redacted } from "effect"
import pg from "pg"

const db = await PGlite.create()
const server = new PGLiteSocketServer({ db, port: 0, host: "127.0.0.1", maxConnections: 10 })
await server.start()
const url = `postgres://postgres:postgres@127.0.0.1:${server.server.address().port}/postgres?sslmode=disable`
const values = ["'abc'::tsvector", "'[1,5)'::int4range", "'8'::xid8", "'1000'::xid8", "'[1,5)'::int4range::text"]

const byEffect = await Effect.runPromise(
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    return yield* Effect.forEach(values, (value) =>
      sql.unsafe(`select ${value} as value`).pipe(
        Effect.map(([row]) => row.value),
        Effect.catch(() => Effect.succeed("failed"))
      )
    )
  }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })), Effect.scoped)
)

const client = new pg.Client({ connectionString: url })
await client.connect()
const byPg = []
for (const value of values) {
  const [row] = (await client.query(`select ${value} as value`)).rows
  byPg.push(typeof row.value === "string" ? row.value : JSON.stringify(row.value))
}
await client.end()
console.log(JSON.stringify({ byEffect, byPg }))
await server.stop()
await db.close()
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='{"byEffect":["\u0000\u0000\u0000\u0001abc\u0000\u0000\u0000","\u0002\u0000\u0000\u0000\u0004\u0000\u0000\u0000\u0001\u0000\u0000\u0000\u0004\u0000\u0000\u0000\u0005","\u0000\u0000\u0000\u0000\u0000\u0000\u0000\b","failed","[1,5)"],"byPg":["'"'abc'"'","[1,5)","8","1000","[1,5)"]}'
echo "a tsvector, a range, two values of xid8 and a cast, @effect/sql-pg 4.0.5 and pg 8.23.1: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
