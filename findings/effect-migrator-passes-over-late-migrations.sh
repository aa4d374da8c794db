#!/usr/bin/env bash
# effect 4.1.0, effect/sql: a migration whose number is below the newest one that ran is never run, without an error or a warning.
#
# Two branches add a migration each, 2 and 3; the one with 3 is merged and runs first. The guess: when 2 is there too, it runs as
# well, as Umzug and others do (in the same run), or the start fails since the order is broken. Seen: the Migrator remembers each
# migration in its table, but compares with the highest number alone. It answers that there was nothing to do, in this start and in
# all later ones, and the table of 2 is never made.
#
# Why it matters: tests start from an empty database, where 2 runs before 3, and pass. Only databases that were migrated in between,
# those with data, lack it, and it is seen when a statement fails there. A check is to be made by oneself: the numbers that the
# loader gives against those in the table. Numbers that are times make it more likely, not less.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit --legacy-peer-deps node@24.21.0 effect@4.1.0 @effect/sql-pg@4.0.5 umzug@3.8.3 \
  @electric-sql/pglite@0.5.14 @electric-sql/pglite-socket@0.2.17
cat >run.mjs <<'PROGRAM'
import * as PgClient from "@effect/sql-pg/PgClient"
import { PGlite } from "@electric-sql/pglite"
import { PGLiteSocketServer } from "@electric-sql/pglite-socket"
import { Effect, Redacted } from "effect"
import { Migrator } from "effect/sql"
import { memoryStorage, Umzug } from "umzug"

const db = await PGlite.create()
const server = new PGLiteSocketServer({ db, port: 0, host: "127.0.0.1" })
await server.start()
const url = `postgres://postgres:postgres@127.0.0.1:${server.server.address().port}/postgres?sslmode=disable`

const numbers = [[1, 3], [1, 2, 3], [1, 2, 3, 4]]

const ofEffect = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const migration = (n) => [n, `m${n}`, Effect.succeed(sql.unsafe(`create table t${n} (a int)`))]
  const ran = []
  for (const some of numbers) {
    const completed = yield* Migrator.make({})({ loader: Effect.succeed(some.map(migration)) })
    ran.push(completed.map(([id]) => id))
  }
  return ran
})

const storage = memoryStorage()
const ofUmzug = []
for (const some of numbers) {
  const migrations = some.map((n) => ({ name: String(n), up: async () => {} }))
  const completed = await new Umzug({ migrations, storage, logger: undefined }).up()
  ofUmzug.push(completed.map(({ name }) => Number(name)))
}

const layer = PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })
const effect = await Effect.runPromise(Effect.scoped(Effect.provide(ofEffect, layer)))
console.log(JSON.stringify({ effect, umzug: ofUmzug }))
process.exit(0)
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='{"effect":[[1,3],[],[4]],"umzug":[[1,3],[2],[4]]}'
echo "what runs of 1 and 3, then of 1 to 3, then of 1 to 4, effect 4.1.0 and umzug 3.8.3: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
