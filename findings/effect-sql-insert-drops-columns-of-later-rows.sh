#!/usr/bin/env bash
# effect 4.1.0, `sql.insert`: fields that only later rows have are not stored, without an error.
#
# The guess: rows of different fields give a statement with all of them, NULL or the default where a row has none, as `knex` does
# (in the same run), or an error. Seen: the columns are those of the first row. What is more in a later one is left out, in
# silence; the type of the argument, an array of any objects, says nothing of it.
#
# Why it matters: optional fields are left out of objects more often than they are set to undefined, so whether a value is stored
# depends on which row happens to come first in the batch. Rows have to be given all their fields before `sql.insert`.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit --legacy-peer-deps node@24.21.0 effect@4.1.0 @effect/sql-pg@4.0.5 knex@3.1.0 \
  @electric-sql/pglite@0.5.14 @electric-sql/pglite-socket@0.2.17
cat >run.mjs <<'PROGRAM'
import * as PgClient from "@effect/sql-pg/PgClient"
import { PGlite } from "@electric-sql/pglite"
import { PGLiteSocketServer } from "@electric-sql/pglite-socket"
import { Effect, Redacted } from "effect"
import knex from "knex"

const db = await PGlite.create()
const server = new PGLiteSocketServer({ db, port: 0, host: "127.0.0.1", maxConnections: 10 })
await server.start()
const url = `postgres://postgres:postgres@127.0.0.1:${server.server.address().port}/postgres?sslmode=disable`
const rows = [{ name: "a" }, { name: "b", note: "important" }]

const seen = await Effect.runPromise(
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* sql`create table effect_rows (name text, note text)`
    yield* sql`insert into effect_rows ${sql.insert(rows)}`
    yield* sql`create table knex_rows (name text, note text)`
    const statement = knex({ client: "pg" })("knex_rows").insert(rows).toSQL().toNative()
    yield* sql.unsafe(statement.sql, statement.bindings)
    const notes = (table) =>
      Effect.map(sql`select note from ${sql(table)} order by name`, (found) => found.map(({ note }) => note))
    return { byEffect: yield* notes("effect_rows"), byKnex: yield* notes("knex_rows") }
  }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })), Effect.scoped)
)
console.log(JSON.stringify(seen))
await server.stop()
await db.close()
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='{"byEffect":[null,null],"byKnex":[null,"important"]}'
echo "the notes of two rows, of which the second has one, effect 4.1.0 and knex 3.1.0: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
