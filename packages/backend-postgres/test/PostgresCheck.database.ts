// What the checks of a database find on a real server.
import { assert, describe, it } from "@effect/vitest"
import { PostgresBackend, PostgresCheck } from "@tidings/backend-postgres"
import * as Target from "@tidings/core/Target"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import { openArchive } from "./archives.ts"
import { clientLayer, open, schema, url } from "./testDatabase.ts"
import { first } from "./writes.ts"

const run = (at: string, name: string) =>
  Effect.map(PostgresCheck.run({ url: at, schema: name }), (checks) =>
    checks.map(({ found, name, state }) => [name, state, found] as const)
  )

/** The URL of the database for another role, which has no password here. */
const as = (role: string): string => {
  const other = new URL(url)
  other.username = role
  return other.toString()
}

describe("the checks of a database", () => {
  it.effect("say that there are no tables yet, and make none", () =>
    Effect.gen(function* () {
      const name = yield* schema
      for (let times = 0; times < 2; times++) {
        const [server, tables, ...others] = yield* run(url, name)
        assert.match(server!.join(" "), /^database ok the database .*, PostgreSQL \d+(\.\d+)?, as \S+, with(out)? TLS$/)
        assert.deepStrictEqual(tables, [
          "tables",
          "note",
          `none in the schema ${name} yet; they are made when an event is first recorded`
        ])
        assert.deepStrictEqual(others, [])
      }
    }).pipe(Effect.scoped)
  )

  it.effect("say what is stored, since when, and what the user may do", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const { backend } = yield* open({ schema: name })
      yield* backend.write([first(1), first(2)])
      const checks = yield* run(url, name)
      assert.deepStrictEqual(
        checks.map(([name, state]) => [name, state]),
        [
          ["database", "ok"],
          ["rights", "ok"],
          ["tables", "ok"],
          ["events", "ok"],
          ["coverage", "ok"]
        ]
      )
      assert.match(checks[1]![2], /owns the tables/)
      assert.match(checks[3]![2], /^2, \d+ MB with indexes; the newest was last seen at \d{4}-/)
      assert.match(checks[4]![2], /^[0-9a-f]{32} is complete since \d{4}-\d\d-\d\dT/)
    }).pipe(Effect.scoped)
  )

  it.effect("tell a reader from a writer, and from one who may nothing", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const { backend } = yield* open({ schema: name })
      yield* backend.write([first(1)])
      const sql = yield* PgClient.PgClient
      const role = `test_${randomBytes(6).toString("hex")}`
      const password = new URL(url).password
      yield* sql.unsafe(`create role ${role} login password '${decodeURIComponent(password)}'`)
      const rights = Effect.map(run(as(role), name), (checks) => checks.find(([name]) => name === "rights")!.slice(1))
      assert.deepStrictEqual(yield* rights, ["broken", `${role} may not read the tables`])
      for (const statement of PostgresBackend.grants(role, "reader", { schema: name })) yield* sql.unsafe(statement)
      assert.deepStrictEqual(yield* rights, ["note", `${role} may read, and not record`])
      for (const statement of PostgresBackend.grants(role, "writer", { schema: name })) yield* sql.unsafe(statement)
      assert.deepStrictEqual(yield* rights, [
        "ok",
        `${role} may read and record; migrations and retention take the owner`
      ])
      yield* sql.unsafe(`drop owned by ${role}`)
      yield* sql.unsafe(`drop role ${role}`)
    }).pipe(Effect.scoped, Effect.provide(clientLayer()))
  )

  it.effect("say of tables of another version which program they are for", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const { backend } = yield* open({ schema: name })
      yield* backend.write([first(1)])
      const sql = yield* PgClient.PgClient
      const tables = Effect.map(run(url, name), (checks) => checks.find(([name]) => name === "tables")!.slice(1))
      yield* sql.unsafe(`update ${name}.store set version = 1000`)
      const newer = yield* tables
      assert.strictEqual(newer[0], "broken")
      assert.match(newer[1]!, /^version 1000 in the schema \S+, and this program knows those up to \d+$/)
      yield* sql.unsafe(`update ${name}.store set version = 0`)
      assert.match((yield* tables)[1]!, /^version 0 in the schema \S+, and this program needs version \d+$/)
    }).pipe(Effect.scoped, Effect.provide(clientLayer()))
  )

  it.live(
    "say of a store that nobody archives any more what is lost, which differs between a cluster and an event log",
    () =>
      Effect.gen(function* () {
        const name = yield* schema
        const { store } = yield* openArchive({ schema: name })
        for (const target of [Target.make("cluster-1"), Target.make("log-1", { place: "/var/log/events" })]) {
          const { key } = yield* store.open({ target, replica: "one" })
          yield* store.leave({ key, replica: "one" })
        }
        const checks = yield* PostgresCheck.run({ url, schema: name })
        assert.deepStrictEqual(
          checks.flatMap(({ advice, name, state }) => (name === "archive" ? [[state, advice]] : [])),
          [
            [
              "broken",
              "run one: tidings archive; a cluster forgets its events after an hour or so, and what is not copied before is lost"
            ],
            [
              "broken",
              "run one: tidings archive --directory /var/log/events; what the limits of the event log remove before it is copied is lost"
            ]
          ]
        )
      }).pipe(Effect.scoped)
  )

  it.effect("name no password where the server refuses it, or is away", () =>
    Effect.gen(function* () {
      const wrong = new URL(url)
      wrong.password = "never-to-be-seen"
      const away = new URL(wrong)
      away.host = "127.0.0.1:1"
      for (const at of [wrong, away]) {
        const checks = yield* PostgresCheck.run({ url: at.toString() })
        assert.deepStrictEqual(
          checks.map(({ name, state }) => [name, state]),
          [["database", "broken"]]
        )
        assert.notInclude(JSON.stringify(checks), "never-to-be-seen")
        assert.isNotEmpty(checks[0]!.advice)
      }
    })
  )
})
