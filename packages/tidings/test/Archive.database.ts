// `tidings archive` as its users run it: processes that are started, killed and told to end, on a real PostgreSQL server.
import * as PgClient from "@effect/sql-pg/PgClient"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { tidings } from "./inEnvironment.ts"
import { clientLayer, type Place, place } from "./testDatabase.ts"

const own = path.join(import.meta.dirname, "..")

// The first run after a change of the sources builds the bundle.
beforeAll(() => {
  const { status, stderr } = spawnSync(process.execPath, [path.join(own, "bin", "tidings.mjs"), "--version"])
  assert.strictEqual(status, 0, stderr.toString())
}, 60_000)

/** A process of the command. */
interface Started {
  readonly child: ChildProcess
  /** What it has said on stderr. */
  readonly said: () => string
  /** Ends it with a signal, and answers its exit code. */
  readonly end: (signal?: NodeJS.Signals) => Effect.Effect<number | null>
}

type Environment = Readonly<Record<string, string>>

const start = (argv: ReadonlyArray<string>, environment: Environment): Effect.Effect<Started, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [path.join(own, "dist", "tidings.cjs"), ...argv], {
        env: { PATH: process.env["PATH"], HOME: "/nowhere", TIDINGS_DIRECTORY: "/nowhere/log", ...environment },
        stdio: ["ignore", "ignore", "pipe"]
      })
      let said = ""
      child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()))
      const closed = once(child, "close")
      return {
        child,
        said: () => said,
        end: (signal: NodeJS.Signals = "SIGTERM") =>
          Effect.promise(async () => {
            child.kill(signal)
            const [code] = await closed
            return code as number | null
          })
      }
    }),
    ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
  )

const eventually = <A>(found: Effect.Effect<A>, holds: (value: A) => boolean): Effect.Effect<A> =>
  Effect.gen(function* () {
    let value = yield* found
    const until = Date.now() + 20_000
    while (!holds(value)) {
      assert.isBelow(Date.now(), until, `still ${JSON.stringify(value)}`)
      yield* Effect.sleep("50 millis")
      value = yield* found
    }
    return value
  })

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "tidings-archive-"))),
  (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
)

/** Servers as clusters of one kubeconfig, each under a context of its own. */
const clusters = Effect.fnUntraced(function* (...contexts: ReadonlyArray<string>) {
  const home = yield* folder
  const files: Array<string> = []
  const servers: Array<ApiServer.ApiServer["Service"]> = []
  for (const context of contexts) {
    const server = yield* ApiServer.make()
    const file = path.join(home, context)
    const named = server.kubeconfig
      .replace(/current-context: .*/, `current-context: ${context}`)
      .replaceAll(
        /\b(name|cluster|user|current-context): "?(tidings|admin)\b"?/g,
        (_, key: string) => `${key}: ${context}`
      )
    fs.writeFileSync(file, named, { mode: 0o600 })
    files.push(file)
    servers.push(server)
  }
  return { servers, kubeconfig: files.join(path.delimiter) }
})

/** Records an event in the cluster of a context. */
const record = (kubeconfig: string, context: string, name: string) =>
  Effect.map(
    tidings(["emit", `Workflow/${name}`, "WorkflowExecuted", "--context", context], { KUBECONFIG: kubeconfig }),
    (ran) => assert.strictEqual(ran.code, 0, ran.err.join("\n"))
  )

/** What a list of the archive has: cluster and object of each event. */
const archived = ({ environment, open }: Place, ...argv: ReadonlyArray<string>) =>
  Effect.map(tidings(["list", "-o", "ndjson", "--limit", "all", "--database", open, ...argv], environment), ({ out }) =>
    out
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line))
      .map(({ cluster, involvedObject }) => `${cluster?.name}/${involvedObject.name}`)
      .sort()
  )

const environmentOf = ({ environment, open }: Place, kubeconfig: string): Environment => ({
  ...environment,
  KUBECONFIG: kubeconfig,
  TIDINGS_DATABASE: open,
  // What readers of the archive set is not what the archive reads.
  TIDINGS_BACKEND: "postgres"
})

describe("tidings archive", () => {
  it.live("copies clusters into one database, where they are told apart, and ends in order on SIGTERM", () =>
    Effect.gen(function* () {
      const at = yield* place
      const { kubeconfig } = yield* clusters("production", "staging")
      yield* record(kubeconfig, "production", "before")
      const archive = yield* start(
        ["archive", "--context", "production", "--context", "staging"],
        environmentOf(at, kubeconfig)
      )
      yield* eventually(archived(at), (found) => found.length === 1)
      yield* record(kubeconfig, "staging", "meanwhile")
      yield* record(kubeconfig, "production", "meanwhile")
      const all = ["production/before", "production/meanwhile", "staging/meanwhile"]
      assert.deepStrictEqual(yield* eventually(archived(at), (found) => found.length === 3), all)
      assert.deepStrictEqual(yield* archived(at, "--cluster", "staging"), ["staging/meanwhile"])
      assert.deepStrictEqual(yield* archived(at, "--cluster", "staging,production"), all)
      assert.strictEqual(yield* archive.end(), 0)
      assert.match(
        archive.said(),
        /^archiving the cluster of context production, the cluster of context staging into the schema \S+ of the database \S+ at \S+\nended; 3 states written, and it goes on from here\n$/
      )
    }).pipe(Effect.scoped)
  )

  it.live("goes on where it was after it was killed, and of two that run one may die", () =>
    Effect.gen(function* () {
      const at = yield* place
      const { kubeconfig } = yield* clusters("production")
      const environment = environmentOf(at, kubeconfig)
      const replica = (name: string) => start(["archive", "--replica", name], environment)
      const first = yield* replica("a")
      const second = yield* replica("b")
      const names: Array<string> = []
      const more = Effect.suspend(() => {
        names.push(`production/w${names.length}`)
        return record(kubeconfig, "production", `w${names.length - 1}`)
      })
      const isWhole = (found: ReadonlyArray<string>) => found.length >= names.length
      yield* more
      yield* eventually(archived(at), isWhole)
      assert.strictEqual(yield* first.end("SIGKILL"), null)
      yield* more
      yield* eventually(archived(at), isWhole)
      yield* second.end("SIGKILL")
      yield* more
      const third = yield* replica("a")
      assert.deepStrictEqual(yield* eventually(archived(at), isWhole), names)
      assert.strictEqual(yield* third.end(), 0)
    }).pipe(Effect.scoped)
  )

  it.live("answers probes, and is not ready while its cluster is away", () =>
    Effect.gen(function* () {
      const at = yield* place
      const { kubeconfig, servers } = yield* clusters("production")
      yield* servers[0]!.killApiServer
      const archive = yield* start(["archive", "--health", "0", "--cluster", "shop"], environmentOf(at, kubeconfig))
      yield* eventually(Effect.sync(archive.said), (said) => /probes at port \d+/.test(said))
      const port = /probes at port (\d+)/.exec(archive.said())![1]!
      const ask = (where: string) =>
        Effect.promise(async () => {
          const response = await fetch(`http://127.0.0.1:${port}${where}`)
          return [response.status, await response.text()] as const
        })
      const [, why] = yield* eventually(ask("/readyz"), ([status, text]) => status === 503 && text.includes("failing"))
      assert.match(why, /^shop: failing: |^a store: failing: /)
      assert.strictEqual((yield* ask("/healthz"))[0], 200)
      yield* Effect.sleep("1 second")
      yield* servers[0]!.startApiServer({ rolesAfter: 0 })
      yield* eventually(ask("/readyz"), ([status]) => status === 200)
      yield* eventually(Effect.sync(archive.said), (said) => said.includes("-- shop is copied again --"))
      assert.match(archive.said(), /warning: .* is not copied now: /)
      yield* record(kubeconfig, "production", "a")
      assert.deepStrictEqual(yield* ask("/healthz"), [200, "ok\n"])
      yield* eventually(archived(at, "--cluster", "shop"), (found) => found.length === 1)
      const { ready, sources } = JSON.parse((yield* ask("/status"))[1])
      assert.deepInclude(sources[0], { name: "shop", phase: "live", written: 1, present: 0, gaps: 0 })
      assert.isTrue(ready)
      assert.match((yield* ask("/metrics"))[1], /tidings_archive_states_total\{store="shop",how="written"\} 1\n/)
      assert.strictEqual((yield* ask("/secrets"))[0], 404)
      assert.strictEqual(yield* archive.end(), 0)
    }).pipe(Effect.scoped)
  )

  it.live("copies an event log, and waits for a database that is away", () =>
    Effect.gen(function* () {
      const at = yield* place
      const home = yield* folder
      const directory = path.join(home, "log")
      yield* tidings(["emit", "Workflow/a", "WorkflowExecuted", "--directory", directory], {})
      const archive = yield* start(["archive", "--directory", directory], environmentOf(at, ""))
      assert.deepStrictEqual(yield* eventually(archived(at), (found) => found.length === 1), [`${directory}/a`])
      assert.strictEqual(yield* archive.end("SIGINT"), 130)
      const away = yield* start(["archive", "--directory", directory], {
        ...environmentOf(at, ""),
        TIDINGS_DATABASE: "postgres://u:never-to-be-seen@127.0.0.1:1/events"
      })
      yield* eventually(Effect.sync(away.said), (said) => said.includes("ECONNREFUSED"))
      assert.strictEqual(away.child.exitCode, null)
      assert.notInclude(away.said(), "never-to-be-seen")
      assert.strictEqual(yield* away.end(), 0)
    }).pipe(Effect.scoped)
  )

  it.live("says with every answer for which time it is complete, and tells what the cluster forgot meanwhile", () =>
    Effect.gen(function* () {
      const at = yield* place
      const { kubeconfig, servers } = yield* clusters("production")
      const environment = environmentOf(at, kubeconfig)
      const read = (...argv: ReadonlyArray<string>) => tidings([...argv, "--database", at.open], at.environment)
      yield* record(kubeconfig, "production", "before")
      const first = yield* start(["archive", "--context", "production"], environment)
      yield* eventually(archived(at), (found) => found.length === 1)
      const complete = yield* eventually(read("list"), ({ err }) => err.join("").includes("complete since"))
      assert.match(complete.err.join("\n"), /^production: complete since \d\d:\d\d:\d\d$/)
      assert.match(
        (yield* read("list", "--utc")).err.join("\n"),
        /^production: complete since 20\d\d-\d\d-\d\dT[\d:]+Z$/
      )
      yield* first.end("SIGKILL")

      for (const name of ["meanwhile", "too"]) yield* record(kubeconfig, "production", name)
      yield* servers[0]!.compact
      const second = yield* start(["archive", "--context", "production"], environment)
      yield* eventually(archived(at), (found) => found.length === 3)
      const gap = /^production: complete since .*; gap \d\d:\d\d:\d\d–\d\d:\d\d:\d\d \(.+\)$/
      const withGap = yield* eventually(read("list"), ({ err }) => err.join("").includes("; gap "))
      assert.match(withGap.err.join("\n"), gap)
      assert.match((yield* read("story", "Workflow/before")).err.join("\n"), gap)
      assert.match((yield* read("top")).err.join("\n"), gap)
      // Neither filter makes a gap smaller, but a time after it and another cluster do.
      assert.match((yield* read("list", "--reason", "WorkflowExecuted")).err.join("\n"), gap)
      const { coverage } = JSON.parse((yield* read("story", "Workflow/before", "-o", "json")).out.join("\n"))
      assert.deepInclude(coverage[0], { name: "production", until: "now" })
      assert.strictEqual(coverage[0].gaps.length, 1)
      yield* eventually(Effect.sync(second.said), (said) => /-- gap of production from \S+ to \S+: .* --/.test(said))

      const exported = (yield* read("export")).err.join("\n")
      assert.match(exported, /^-- gap of production from \S+Z to \S+Z: .+ --$/m)

      const doctor = yield* read("doctor", "-o", "json")
      const check = JSON.parse(doctor.out.join("\n")).checks.find(
        ({ name }: { readonly name: string }) => name === "archive"
      )
      assert.strictEqual(check.state, "note")
      assert.deepInclude(check.facts, { cluster: "production", gaps: 1, until: "now" })
      assert.isNumber(check.facts.statesPerSecond)
      assert.isNumber(check.facts.lagSeconds)
      yield* second.end()
      const stopped = yield* read("doctor")
      assert.strictEqual(stopped.code, 1)
      assert.match(stopped.out.join("\n"), /broken +archive .*no replica archives it now; /)
    }).pipe(Effect.scoped)
  )

  it.live("removes what was written longer ago than --max-age, as whole days, and says since when it is complete", () =>
    Effect.gen(function* () {
      const at = yield* place
      const { kubeconfig } = yield* clusters("production")
      const environment = environmentOf(at, kubeconfig)
      const sql = (text: string) =>
        PgClient.PgClient.use((client) => client.unsafe(text)).pipe(Effect.provide(clientLayer()), Effect.orDie)
      yield* record(kubeconfig, "production", "old")
      const first = yield* start(["archive", "--context", "production"], environment)
      yield* eventually(archived(at), (found) => found.length === 1)
      yield* first.end()
      // As if it had been written long ago.
      yield* sql(`select ${at.schema}.add_partition('2020-01-01')`)
      for (const table of ["states", "current"]) yield* sql(`update ${at.schema}.${table} set day = '2020-01-01'`)
      yield* record(kubeconfig, "production", "new")
      const second = yield* start(["archive", "--context", "production", "--max-age", "2d"], environment)
      assert.deepStrictEqual(
        yield* eventually(archived(at), (found) => found.length === 1 && found[0] === "production/new"),
        ["production/new"]
      )
      const partitions = sql(`select to_regclass('${at.schema}.states_20200101')::text as name`)
      yield* eventually(partitions, (rows) => (rows[0] as { readonly name: string | null }).name === null)
      assert.strictEqual(yield* second.end(), 0)
      for (const age of ["1h", "soon"]) {
        const refused = yield* tidings(["archive", "--max-age", age, "--context", "production"], environment)
        assert.strictEqual(refused.code, 2)
        assert.include(refused.err.join("\n"), `--max-age is "${age}", expected an age of at least a day, such as 90d`)
      }
    }).pipe(Effect.scoped)
  )

  it.live("is read by agents through tidings mcp, by cluster and with its coverage", () =>
    Effect.gen(function* () {
      const at = yield* place
      const { kubeconfig } = yield* clusters("production", "staging")
      yield* record(kubeconfig, "production", "a")
      yield* record(kubeconfig, "staging", "b")
      const contexts = ["--context", "production", "--context", "staging"]
      const archive = yield* start(["archive", ...contexts], environmentOf(at, kubeconfig))
      yield* eventually(archived(at), (found) => found.length === 2)
      const answers = yield* Effect.promise(() =>
        askAgent(at, [
          ["events", { cluster: "staging" }],
          ["event_summary", {}]
        ])
      )
      assert.match(
        answers[0]!,
        /^1 of 1 event, newest first\..*\n.*\n.*Workflow\/b.*\ncoverage: staging: complete since /
      )
      assert.match(answers[1]!, /\nCLUSTER .*\n(?:.*\n)*coverage: production: .*\ncoverage: staging: /)
      assert.strictEqual(yield* archive.end(), 0)
    }).pipe(Effect.scoped)
  )
})

/** The texts that `tidings mcp` answers to calls of tools. */
const askAgent = async (
  { environment, open }: Place,
  calls: ReadonlyArray<readonly [tool: string, given: object]>
): Promise<ReadonlyArray<string>> => {
  const child = spawn(process.execPath, [path.join(own, "dist", "tidings.cjs"), "mcp", "--database", open], {
    env: { PATH: process.env["PATH"], HOME: "/nowhere", ...environment },
    stdio: ["pipe", "pipe", "inherit"]
  })
  let out = ""
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()))
  const send = (message: object) => child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)
  const answer = async (id: number): Promise<string> => {
    for (;;) {
      const line = out
        .split("\n")
        .slice(0, -1)
        .find((line) => JSON.parse(line).id === id)
      if (line !== undefined) return JSON.parse(line).result?.content?.[0]?.text ?? line
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const clientInfo = { name: "test", version: "1" }
  send({ id: 0, method: "initialize", params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo } })
  await answer(0)
  send({ method: "notifications/initialized" })
  const texts: Array<string> = []
  for (const [index, [name, given]] of calls.entries()) {
    send({ id: index + 1, method: "tools/call", params: { name, arguments: given } })
    texts.push(await answer(index + 1))
  }
  child.stdin.end()
  await once(child, "close")
  return texts
}
