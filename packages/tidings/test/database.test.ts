// Which database is meant, as far as that shows without a server.
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"
import * as BackendChoice from "../src/BackendChoice.ts"
import { InvalidOptions } from "../src/Rejection.ts"
import * as Tidings from "../src/Tidings.ts"
import { memory, run } from "./harness.ts"
import { tidings } from "./inEnvironment.ts"

const URL_OF_NONE = "postgres://u:never-to-be-seen@127.0.0.1:1/events?connect_timeout=1"

describe("flags that name a store", () => {
  it.effect("are refused where they name two of different kinds", () =>
    Effect.gen(function* () {
      for (const [argv, told] of [
        [["--directory", "x"], "error: --database names a database and --directory an event log: leave one out"],
        [["--context", "x"], "error: --database names a database and --context a cluster: leave one out"],
        [["--kubeconfig", "x"], "error: --database names a database and --kubeconfig a cluster: leave one out"],
        [
          ["--backend", "filesystem"],
          "error: --database names a database, and --backend filesystem is the event log: leave one out"
        ],
        [
          ["--backend", "kubernetes"],
          "error: --database names a database, and --backend kubernetes is a cluster: leave one out"
        ],
        [
          ["--cluster-scoped-namespace", "default"],
          "error: --cluster-scoped-namespace is about a cluster, and a database is meant: leave it out"
        ]
      ] as const) {
        const ran = yield* tidings(["list", "--database", URL_OF_NONE, ...argv])
        assert.deepStrictEqual([ran.code, ran.err[0]], [2, told])
      }
      const empty = yield* tidings(["list", "--database", ""])
      assert.deepStrictEqual([empty.code, empty.err[0]], [2, "error: --database is empty: leave it out"])
    })
  )

  it.live("say of a server of another kind at the port that it is no PostgreSQL server", () =>
    Effect.gen(function* () {
      const told =
        /^error: the store cannot be used: what answers for the database events at 127\.0\.0\.1:\d+ is no PostgreSQL server: /
      for (const banner of ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.6\r\n"]) {
        const server = yield* Effect.acquireRelease(
          Effect.promise(async () => {
            const server = createServer((socket) => {
              socket.on("error", () => {})
              socket.once("data", () => socket.write(banner))
            })
            server.listen(0, "127.0.0.1")
            await once(server, "listening")
            return server
          }),
          (server) => Effect.sync(() => void server.close())
        )
        const { port } = server.address() as AddressInfo
        for (const mode of ["disable", "prefer"]) {
          const url = `postgres://u@127.0.0.1:${port}/events?sslmode=${mode}&connect_timeout=2`
          const { code, err } = yield* tidings(["list", "--database", url], { PGPASSWORD: "p" })
          assert.strictEqual(code, 4)
          assert.match(err[0]!, told)
        }
      }
    }).pipe(Effect.scoped)
  )

  it.effect("name a database that is away, or is none, in an error without its password", () =>
    Effect.gen(function* () {
      for (const [argv, what] of [
        [["list"], ""],
        [["get", "x"], ""],
        [["top"], ""],
        [["follow"], ""],
        [["wait", "Workflow/a"], ""],
        [["emit", "Workflow/a", "WorkflowExecuted"], "the event was not recorded: "]
      ] as const) {
        const away = yield* tidings([...argv, "--database", URL_OF_NONE])
        assert.strictEqual(away.code, 4)
        assert.deepStrictEqual(away.err, [
          "warning: others see the password of --database in ps: use PGPASSWORD or ~/.pgpass instead",
          `error: ${what}the database events at 127.0.0.1:1 does not answer: connect ECONNREFUSED 127.0.0.1:1`,
          "to find out why, check host and port of the URL, and whether the server runs and can be reached from here"
        ])
      }
      const checked = yield* tidings(["doctor", "--database", URL_OF_NONE])
      assert.match(
        checked.out.join("\n"),
        /database {2}the database events at 127\.0\.0\.1:1 does not answer: connect \S+ \S+\n +to find out why, check host and port/
      )
      const none = yield* tidings(["list", "--backend", "postgres"])
      assert.strictEqual(none.code, 4)
      assert.match(none.err.join("\n"), /no database is named: give its URL, such as .*, or set TIDINGS_DATABASE to it/)
      const other = yield* tidings(["list", "--database", "mysql://u:never-to-be-seen@h/d"])
      assert.match(other.err.join("\n"), /does not begin with postgres:\/\//)
      assert.notInclude([...checked.out, ...checked.err, ...other.err].join("\n"), "never-to-be-seen")
    })
  )

  it.effect("are the only ones that mean a database where the environment has but its URL", () =>
    Effect.gen(function* () {
      const environment = { TIDINGS_DATABASE: URL_OF_NONE }
      const auto = yield* tidings(["list"], environment)
      assert.strictEqual(auto.code, 0)
      assert.match(auto.err.join("\n"), /^there is no event log in \/nowhere\/log yet/)
      const directory = yield* tidings(["list", "--directory", "/nowhere/else"], {
        ...environment,
        TIDINGS_BACKEND: "postgres"
      })
      assert.match(directory.err.join("\n"), /^there is no event log in \/nowhere\/else yet/)
      for (const [argv, more] of [
        [["--backend", "postgres"], {}],
        [[], { TIDINGS_BACKEND: "postgres" }]
      ] as const) {
        const ran = yield* tidings(["list", ...argv], { ...environment, ...more })
        assert.match(ran.err.join("\n"), /ECONNREFUSED/)
        // It is not seen in ps.
        assert.notInclude(ran.err.join("\n"), "warning")
      }
    })
  )
})

describe("tidings archive", () => {
  it.effect("is refused where it is not known what is copied, or into what", () =>
    Effect.gen(function* () {
      for (const [argv, code, told] of [
        [["--directory", "/nowhere/log"], 4, "no database is named: give its URL"],
        [["--database", URL_OF_NONE], 4, "no cluster is configured to archive"],
        [["--database", URL_OF_NONE, "--backend", "postgres"], 2, "leave out --backend"],
        [["--database", URL_OF_NONE, "--context", ""], 2, "--context is empty"],
        [["--database", URL_OF_NONE, "--cluster", "x", "--context", "a", "--context", "b"], 2, "--cluster names one"],
        [["--database", "mysql://u:never-to-be-seen@h/d", "--directory", "x"], 4, "does not begin with postgres://"],
        [["--database", URL_OF_NONE, "--directory", "x", "--health", "high"], 2, "expected a port"],
        [["--database", URL_OF_NONE, "--directory", "x", "--max-age", "1h"], 2, "at least a day"],
        [
          ["--database", URL_OF_NONE, "--directory", "x", "--max-age", "100001d"],
          2,
          "expected an age of at most 100000d (273 years)"
        ],
        [["--database", URL_OF_NONE, "--directory", "/nowhere/log"], 4, "there is no event log in /nowhere/log"]
      ] as const) {
        const ran = yield* tidings(["archive", ...argv])
        assert.strictEqual(ran.code, code, `${argv.join(" ")}: ${ran.err.join("\n")}`)
        assert.include(ran.err.join("\n"), told)
        assert.notInclude(ran.err.join("\n"), "never-to-be-seen")
      }
    })
  )

  it.effect("is a verb of tidings, and of no command over a backend of one's own", () =>
    Effect.gen(function* () {
      const { layer } = yield* memory()
      assert.notInclude((yield* run(layer, ["--help"])).out.join("\n"), "archive")
    })
  )
})

describe("the option database", () => {
  const refused = async (options: object): Promise<string> => {
    try {
      await Tidings.create(options)
      return "accepted"
    } catch (error) {
      assert.instanceOf(error, InvalidOptions)
      return error.message
    }
  }

  it("is refused where it is no URL or has no effect, and the refusal has no password", async () => {
    for (const [options, told] of [
      [{ database: "mysql://u:never-to-be-seen@h/d" }, "a URL such as postgres://user@host/database"],
      [{ database: 5 }, "a URL such as postgres://user@host/database"],
      [{ database: URL_OF_NONE, backend: "filesystem" }, "nothing beside the backend 'filesystem'"],
      [{ database: URL_OF_NONE, backend: "auto" }, "nothing beside the backend 'auto'"],
      [{ database: URL_OF_NONE, backend: "postgres", directory: "x" }, "nothing beside the backend postgres"],
      [{ databse: URL_OF_NONE }, "did you mean database?"]
    ] as const) {
      const message = await refused(options)
      assert.include(message, told)
      assert.notInclude(message, "never-to-be-seen")
    }
  })

  it.effect("may be redacted, and names the backend postgres", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Effect.scoped(Effect.provide(Effect.void, BackendChoice.layer({ database: Redacted.make("postgres://a,b/c") })))
      )
      assert.include(String(error), "names several hosts")
    })
  )
})
