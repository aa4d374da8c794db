#!/usr/bin/env bash
# @effect/sql-pg 4.0.5: a number with a fraction is stored in an integer column as a rounded one, without an error.
#
# The guess, from other clients: the server is asked to read "2.5" as an integer, and refuses. `pg` does so, in the same run. Seen:
# this client sends a number as a double, which the server converts in an assignment: 2.5 becomes 2, -7.9 becomes -8.
#
# Why it matters: a count, a duration or a version that came out wrong is stored as a whole number that looks right. A check by the
# database, on which one relied with another client, is gone. What has to be whole is to be checked before the query, or given as
# text with a cast.
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
const numbers = [2.5, -7.9, 7]

const byEffect = await Effect.runPromise(
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* sql`create table numbers (n integer)`
    const stored = []
    for (const n of numbers) stored.push((yield* sql`insert into numbers values (${n}) returning n`)[0].n)
    return stored
  }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })), Effect.scoped)
)

const client = new pg.Client({ connectionString: url })
await client.connect()
const byPg = []
for (const n of numbers) {
  const answer = await client.query("insert into numbers values ($1) returning n", [n]).catch(({ code }) => code)
  byPg.push(typeof answer === "string" ? answer : answer.rows[0].n)
}
await client.end()
console.log(JSON.stringify({ byEffect, byPg }))
await server.stop()
await db.close()
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
# 22P02 is "invalid input syntax for type integer".
expected='{"byEffect":[2,-8,7],"byPg":["22P02","22P02",7]}'
echo "2.5, -7.9 and 7 in an integer column, @effect/sql-pg 4.0.5 and pg 8.23.1: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
