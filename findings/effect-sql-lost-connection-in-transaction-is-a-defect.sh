#!/usr/bin/env bash
# effect 4.1.0, @effect/sql-pg 4.0.5: a transaction whose connection is lost in the middle ends with a defect, not with a failure.
#
# The guess: `withTransaction` fails with the `SqlError` of the next statement, so that `Effect.retry`, `catch` and
# `orElse` see it, as they do for the same statement outside of a transaction. Seen: after the failure it rolls back on the same
# connection; that fails as well, and its failure is taken for a defect, which replaces the first one.
#
# Why it matters: a server that restarts, or a proxy that closes a connection, is what a program retries. The retry is passed over,
# and the fiber dies; it happens to transactions only, and only where the connection is lost while one is open, so it is not seen
# before it happens. Such a transaction needs `Effect.catchDefect` around it.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit --legacy-peer-deps node@24.21.0 effect@4.1.0 @effect/sql-pg@4.0.5 \
  @electric-sql/pglite@0.5.14 @electric-sql/pglite-socket@0.2.17
cat >run.mjs <<'PROGRAM'
import * as PgClient from "@effect/sql-pg/PgClient"
import { PGlite } from "@electric-sql/pglite"
import { PGLiteSocketServer } from "@electric-sql/pglite-socket"
import { Cause, Effect, Exit, Redacted } from "effect"
import * as net from "node:net"

const db = await PGlite.create()
const server = new PGLiteSocketServer({ db, port: 0, host: "127.0.0.1", maxConnections: 10 })
await server.start()

// A proxy that closes all connections on demand.
const sockets = new Set()
const proxy = net.createServer((client) => {
  const upstream = net.connect(server.server.address().port, "127.0.0.1")
  for (const socket of [client, upstream]) {
    sockets.add(socket)
    socket.on("error", () => {})
  }
  client.pipe(upstream).pipe(client)
})
await new Promise((listening) => proxy.listen(0, "127.0.0.1", listening))
const url = `postgres://postgres:postgres@127.0.0.1:${proxy.address().port}/postgres?sslmode=disable`
const cut = Effect.promise(async () => {
  for (const socket of sockets) socket.destroy()
  sockets.clear()
  await new Promise((done) => setTimeout(done, 200))
})

const outcomeOf = (exit) =>
  Exit.isSuccess(exit) ? "success" : Cause.hasDies(exit.cause) ? "defect" : Cause.hasFails(exit.cause) ? "failure" : "other"

const seen = await Effect.runPromise(
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* sql`select 1`
    // The connection is lost between two statements.
    const slow = (statement) => Effect.andThen(statement, Effect.andThen(cut, statement))
    const inside = yield* Effect.exit(sql.withTransaction(slow(sql`select 2`)))
    const held = yield* Effect.exit(
      Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* sql.reserve
          return yield* slow(connection.executeUnprepared("select 3", [], undefined))
        })
      )
    )
    return { inTransaction: outcomeOf(inside), onTheSameConnectionWithoutOne: outcomeOf(held) }
  }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })), Effect.scoped)
)
console.log(JSON.stringify(seen))
process.exit(0)
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='{"inTransaction":"defect","onTheSameConnectionWithoutOne":"failure"}'
echo "a connection that is lost between two statements, @effect/sql-pg 4.0.5: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
