// The command and the promise API on a real PostgreSQL server.
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Attended, Overwrite } from "../src/internal/cli/words.ts"
import * as Tidings from "../src/Tidings.ts"
import { tidings } from "./inEnvironment.ts"
import { clientLayer, type Place, place, server } from "./testDatabase.ts"

const on = ({ environment, open }: Place, argv: ReadonlyArray<string>) =>
  tidings([...argv, "--database", open], environment)

const password = new URL(server).password

describe("the command on a database", () => {
  it.live("records and reads with every verb", () =>
    Effect.gen(function* () {
      const at = yield* place
      assert.deepStrictEqual((yield* on(at, ["emit", "Workflow/a", "WorkflowExecuted"])).err, [])
      yield* on(at, ["emit", "Workflow/b", "WorkflowStepFailed", "--data", "stepId=build", "--data", "error=full"])
      const list = yield* on(at, ["list", "-o", "ndjson"])
      assert.deepStrictEqual([list.code, list.err], [0, []])
      const events = list.out.filter((line) => line !== "").map((line) => JSON.parse(line))
      assert.deepStrictEqual(
        events.map(({ involvedObject }) => involvedObject.name),
        ["a", "b"]
      )
      const got = yield* on(at, ["get", events[0].id])
      assert.isTrue(got.out.some((line) => line.includes("WorkflowExecuted")))
      for (const [argv, expected] of [
        [["list", "--type", "Warning", "-o", "name"], /^event\/b\./],
        [["story", "Workflow/b"], /WorkflowStepFailed/],
        [["top", "--by", "reason"], /WorkflowExecuted/],
        [["export"], /"WorkflowStepFailed"/],
        [["wait", "Workflow/b", "--reason", "WorkflowStepFailed", "--since", "1h"], /WorkflowStepFailed/]
      ] as const) {
        const ran = yield* on(at, argv)
        assert.strictEqual(ran.code, 0, argv.join(" "))
        assert.isTrue(
          ran.out.some((line) => expected.test(line)),
          `${argv.join(" ")}: ${ran.out.join("\n")}`
        )
      }
      const cursor = (yield* on(at, ["list", "--show-cursor"])).err.find((line) => line.startsWith("cursor: "))!
      yield* on(at, ["emit", "Workflow/c", "WorkflowExecuted"])
      const since = yield* on(at, ["list", "-o", "name", "--after", cursor.slice("cursor: ".length)])
      assert.match(since.out.join("\n"), /^event\/c\.[^\n]*$/)
    }).pipe(Effect.scoped)
  )

  it.live("says where nothing was recorded yet, and makes no tables for it", () =>
    Effect.gen(function* () {
      const at = yield* place
      for (let times = 0; times < 2; times++) {
        const ran = yield* on(at, ["list"])
        assert.deepStrictEqual([ran.code, ran.out], [0, []])
        assert.match(
          ran.err.join("\n"),
          /^there are no events in the schema \S+ of the database .* yet; record one with: /
        )
        assert.include(ran.err.join("\n"), ` ${at.schema} `)
      }
      assert.include((yield* on(at, ["doctor"])).out.join("\n"), "none in the schema")
    }).pipe(Effect.scoped)
  )

  it.live("is the one of TIDINGS_DATABASE where the backend is postgres, and no other choice makes it so", () =>
    Effect.gen(function* () {
      const at = yield* place
      yield* on(at, ["emit", "Workflow/a", "WorkflowExecuted"])
      const environment = { ...at.environment, TIDINGS_DATABASE: at.url }
      for (const [argv, more] of [
        [["--backend", "postgres"], {}],
        [[], { TIDINGS_BACKEND: "postgres" }]
      ] as const) {
        const ran = yield* tidings(["list", "-o", "name", ...argv], { ...environment, ...more })
        assert.match(ran.out.join("\n"), /^event\/a\./)
        assert.deepStrictEqual(ran.err, [])
      }
      const auto = yield* tidings(["list", "-o", "name"], environment)
      assert.match(auto.err.join("\n"), /^there is no event log in \/nowhere\/log yet/)
    }).pipe(Effect.scoped)
  )

  it.live("takes a password in the URL with one line of warning, that of the environment and of a file with none", () =>
    Effect.gen(function* () {
      const at = yield* place
      if (password === "") return
      const warned = yield* tidings(["emit", "Workflow/a", "WorkflowExecuted", "--database", at.url])
      assert.deepStrictEqual(warned.err, [
        "warning: others see the password of --database in ps: use PGPASSWORD or ~/.pgpass instead"
      ])
      const home = fs.mkdtempSync(path.join(os.tmpdir(), "tidings-database-"))
      const passfile = path.join(home, "pgpass")
      fs.writeFileSync(passfile, `*:*:*:*:${decodeURIComponent(password)}\n`, { mode: 0o600 })
      const ofFile = yield* tidings(["list", "-o", "name", "--database", at.open], { PGPASSFILE: passfile })
      assert.deepStrictEqual([ofFile.code, ofFile.err], [0, []])
      fs.rmSync(home, { recursive: true })
      const { host, pathname, username } = new URL(at.open)
      const database = `the database ${pathname.slice(1)} at ${host}`
      for (const [url, environment, told, file] of [
        [at.open, {}, `${database} wants a password of the user "${username}", and there is none`, "~/.pgpass"],
        [at.open, { PGPASSFILE: passfile }, "and there is none", passfile],
        [at.open, { PGPASSWORD: "never-to-be-seen" }, "with the password of PGPASSWORD", "~/.pgpass"],
        [
          at.url.replace(`:${password}@`, ":never-to-be-seen@"),
          { PGPASSWORD: decodeURIComponent(password) },
          `${database} refuses the user "${username}" with the password of the URL: `,
          "~/.pgpass"
        ]
      ] as const) {
        for (const verb of [["list"], ["emit", "Workflow/a", "WorkflowExecuted"]]) {
          const ran = yield* tidings([...verb, "--database", url], environment)
          assert.strictEqual(ran.code, 4)
          const [error, hint] = ran.err.slice(-2)
          assert.include(error, told)
          assert.match(hint!, /^to give (another )?one, set PGPASSWORD or add a line to /)
          assert.include(hint, ` ${file}; a password in the URL comes before both`)
          assert.notInclude(ran.err.join("\n"), "never-to-be-seen")
        }
      }
    }).pipe(Effect.scoped)
  )

  it.live("names no password in any error", () =>
    Effect.gen(function* () {
      const at = yield* place
      const secret = "never-to-be-seen"
      const wrong = new URL(at.url)
      wrong.password = secret
      const away = new URL(wrong)
      away.host = "127.0.0.1:1"
      for (const url of [wrong, away]) {
        for (const argv of [["list"], ["emit", "Workflow/a", "WorkflowExecuted"], ["doctor"], ["follow"]]) {
          const ran = yield* tidings([...argv, "--database", url.toString()])
          assert.notStrictEqual(ran.code, 0)
          assert.notInclude([...ran.out, ...ran.err].join("\n"), secret)
        }
      }
    }).pipe(Effect.scoped)
  )

  it.live("takes what was exported from another store once, and refuses what only an event log has", () =>
    Effect.gen(function* () {
      const at = yield* place
      const home = fs.mkdtempSync(path.join(os.tmpdir(), "tidings-database-"))
      const log = path.join(home, "log")
      const file = path.join(home, "events.ndjson")
      for (const name of ["a", "b"])
        yield* tidings(["emit", `Workflow/${name}`, "WorkflowExecuted", "--directory", log])
      yield* tidings(["export", "--file", file, "--directory", log])
      assert.include((yield* on(at, ["import", file])).err.join("\n"), "2 events imported")
      assert.include((yield* on(at, ["import", file])).err.join("\n"), "0 events imported, 2 already there")
      fs.rmSync(home, { recursive: true })
      const ran = yield* on(at, ["retention"])
      assert.strictEqual(ran.code, 1)
      assert.deepStrictEqual(ran.err, [
        "error: retention is for an event log, and this is a database",
        "a database keeps everything until it is removed: tidings prune --max-age 90d does it once, tidings archive --max-age 90d every hour"
      ])
    }).pipe(Effect.scoped)
  )

  it.live("removes by prune the days that ended longer ago than it is told, and shows them first", () =>
    Effect.gen(function* () {
      const at = yield* place
      const sql = (text: string) =>
        PgClient.PgClient.use((client) => client.unsafe(text)).pipe(Effect.provide(clientLayer()), Effect.orDie)
      for (const name of ["a", "b"]) yield* on(at, ["emit", `Workflow/${name}`, "WorkflowExecuted"])
      yield* sql(`select ${at.schema}.add_partition('2020-01-31')`)
      for (const table of ["states", "current"]) yield* sql(`update ${at.schema}.${table} set day = '2020-01-31'`)
      yield* on(at, ["emit", "Workflow/c", "WorkflowExecuted"])
      const count = Effect.map(on(at, ["list", "-o", "name"]), ({ out }) => out.length)
      const dry = yield* on(at, ["prune", "--max-age", "30d", "--dry-run"])
      assert.deepStrictEqual(
        [dry.out, dry.err],
        [["2020-01-31"], ["would remove 1 day (2 states); without --dry-run they are removed"]]
      )
      assert.strictEqual(yield* count, 3)
      assert.deepStrictEqual((yield* on(at, ["prune", "--max-age", "30d"])).err, ["removed 1 day (2 states)"])
      assert.strictEqual(yield* count, 1)
      assert.deepStrictEqual((yield* on(at, ["prune", "--max-age", "30d"])).err, [
        "nothing was written to the database on days (UTC) that ended 30d ago"
      ])
      const without = yield* on(at, ["prune"])
      assert.strictEqual(without.code, 2)
      assert.include(without.err.join("\n"), "say with --max-age what is to be removed")
      assert.strictEqual((yield* on(at, ["prune", "--max-age", "1h"])).code, 2)
    }).pipe(Effect.scoped)
  )

  it.live("says how far a prune is that waits for who reads a day that it removes", () =>
    Effect.gen(function* () {
      const at = yield* place
      const sql = yield* PgClient.PgClient
      yield* on(at, ["emit", "Workflow/a", "WorkflowExecuted"])
      yield* sql.unsafe(`select ${at.schema}.add_partition('2020-01-31')`)
      for (const table of ["states", "current"])
        yield* sql.unsafe(`update ${at.schema}.${table} set day = '2020-01-31'`)
      const shown: Array<string> = []
      const prune = on(at, ["prune", "--max-age", "30d"]).pipe(
        Effect.provideService(Attended, () => true),
        Effect.provideService(Overwrite, (text) => void shown.push(text))
      )
      const reading = sql.withTransaction(
        Effect.gen(function* () {
          yield* sql.unsafe(`select count(*) from ${at.schema}.states_20200131`)
          const pruning = yield* Effect.forkScoped(prune)
          while (!shown.some((text) => text.includes("1 state removed"))) yield* Effect.sleep(10)
          return pruning
        })
      )
      assert.deepStrictEqual((yield* Fiber.join(yield* reading)).err, ["removed 1 day (1 state)"])
      assert.strictEqual(shown.at(-1), "\r\u001b[2K")
    }).pipe(Effect.scoped, Effect.provide(clientLayer()))
  )

  it.live("is checked by doctor", () =>
    Effect.gen(function* () {
      const at = yield* place
      yield* on(at, ["emit", "Workflow/a", "WorkflowExecuted"])
      const ran = yield* on(at, ["doctor", "-o", "json"])
      assert.strictEqual(ran.code, 0)
      const { checks, healthy } = JSON.parse(ran.out.join("\n"))
      assert.isTrue(healthy)
      assert.deepStrictEqual(
        checks
          .map(({ name, state }: { readonly name: string; readonly state: string }) => `${name} ${state}`)
          .slice(0, 6),
        ["store ok", "database ok", "rights ok", "tables ok", "events ok", "coverage ok"]
      )
    }).pipe(Effect.scoped)
  )
})

describe("the promise API on a database", () => {
  it.live("keeps events, also through a restart of the host", () =>
    Effect.gen(function* () {
      const { url: database } = yield* place
      yield* Effect.promise(async () => {
        for (const name of ["a", "b"]) {
          await using tidings = await Tidings.create({
            backend: "postgres",
            database,
            component: "test",
            logger: false
          })
          assert.isFalse(tidings.isKubernetesMode)
          for (let times = 0; times < 3; times++) {
            await tidings.createEvent({ kind: "Workflow", name }, "Ran", "it ran", "Normal")
          }
          await tidings.flush(5_000)
        }
        await using tidings = await Tidings.create({ database, component: "test", logger: false })
        const { coverage, events, totalCount } = await tidings.queryEvents({})
        assert.strictEqual(totalCount, 2)
        assert.deepStrictEqual(
          events.map(({ count, event }) => [event.involvedObject.name, count]),
          [
            ["b", 3],
            ["a", 3]
          ]
        )
        assert.strictEqual(coverage.length, 1)
      })
    }).pipe(Effect.scoped)
  )

  it.live("accepts events while the server is away, and says in no log where its password is", () =>
    Effect.promise(async () => {
      const lines: Array<string> = []
      const take = (...said: ReadonlyArray<unknown>) => void lines.push(said.map(String).join(" "))
      const logger = { info: take, warn: take, error: take }
      const database = "postgres://u:never-to-be-seen@127.0.0.1:1/events?connect_timeout=1"
      const tidings = await Tidings.create({ backend: "postgres", database, logger, drainTimeout: 100 })
      await tidings.createEvent({ kind: "Workflow", name: "a" }, "Ran", "it ran", "Normal")
      await tidings.close()
      assert.match(lines.join("\n"), /Events go to the database events at 127\.0\.0\.1:1, as configured/)
      assert.notInclude(lines.join("\n"), "never-to-be-seen")
    })
  )
})
