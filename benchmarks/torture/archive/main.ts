// `npm run torture -- archive [--events N] [--seconds N]`: an archive of two replicas, beside an informer of client-go that
// inserts batches, on a real API server whose events live shortly, while replicas, informer, PostgreSQL and API server are
// killed and etcd is compacted. What there was is known from a watch of etcd that was opened first.
import * as PgClient from "@effect/sql-pg/PgClient"
import * as PostgresBackend from "@tidings/backend-postgres/PostgresBackend"
import { Backend } from "@tidings/core/Backend"
import type { Coverage, WatchItem } from "@tidings/core/EventQuery"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { rmSync, writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import * as Cluster from "../../../tools/cluster/Cluster.ts"
import { install, installed, makeDirectory, Server } from "../../../tools/postgres/server.ts"
import { buildPeer } from "../peer.ts"
import * as truths from "./truth.ts"
import * as writers from "./writers.ts"

const { values } = parseArgs({
  options: { events: { type: "string", default: "20000" }, seconds: { type: "string", default: "180" } }
})
const events = Number(values.events)
const seconds = Number(values.seconds)
const log = (line: string) => console.error(line)
const sleep = (millis: number) => new Promise<void>((done) => setTimeout(done, millis))

/** A program that is killed and started again. */
class Victim {
  readonly name: string
  readonly command: ReadonlyArray<string>
  private child: ChildProcess | undefined

  constructor(name: string, command: ReadonlyArray<string>) {
    this.name = name
    this.command = command
  }

  start(): void {
    const [program, ...args] = this.command
    const output = process.env["TORTURE_VERBOSE"] === undefined ? "ignore" : "inherit"
    this.child = spawn(program!, args, { stdio: ["ignore", output, output] })
  }

  async kill(): Promise<void> {
    const { child } = this
    this.child = undefined
    if (child === undefined || child.exitCode !== null) return
    const ended = once(child, "exit")
    child.kill("SIGKILL")
    await ended
  }
}

const rights = [
  { apiVersion: "v1", kind: "Namespace", metadata: { name: "torture" } },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: "archive" },
    rules: [
      { apiGroups: [""], resources: ["events"], verbs: ["get", "list", "watch"] },
      { apiGroups: [""], resources: ["namespaces"], resourceNames: ["kube-system"], verbs: ["get"] }
    ]
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: "archive" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "archive" },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "reader" }]
  }
]

interface Stored {
  readonly uid: string
  readonly version: string
  readonly n: bigint
}

const query = <A extends object>(url: string, text: string): Promise<ReadonlyArray<A>> =>
  Effect.runPromise(
    PgClient.PgClient.pipe(
      Effect.flatMap((sql) => sql.unsafe<A>(text)),
      Effect.provide(PgClient.layer({ url: Redacted.make(url), prepare: false }))
    )
  )

/** The archive as one who follows it from the beginning sees it. */
const openReader = (url: string) => {
  const items: Array<WatchItem> = []
  const context = Layer.build(PostgresBackend.layer({ url }))
  const program = Effect.scoped(
    Effect.gen(function* () {
      const backend = Context.get(yield* context, Backend)
      const { cursor } = yield* backend.query({ limit: 0 })
      yield* Stream.runForEach(backend.watch({}, cursor), (item) => Effect.sync(() => void items.push(item)))
    })
  )
  const fiber = Effect.runFork(program)
  return { items, close: () => fiber.interruptUnsafe() }
}

const coverageOf = (url: string): Promise<ReadonlyArray<Coverage>> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.flatMap(Layer.build(PostgresBackend.layer({ url })), (context) =>
        Effect.map(Context.get(context, Backend).query({ limit: 0 }), ({ coverage }) => coverage)
      )
    )
  )

/** What became of the states that there were. */
const judge = (name: string, truth: truths.Truth, stored: ReadonlyArray<Stored>, isTold: (at: number) => boolean) => {
  const found = new Map(stored.map(({ n, uid, version }) => [truths.keyOf(uid, version), Number(n)]))
  let kept = 0
  let told = 0
  let lost = 0
  for (const [key, at] of truth.states) {
    if (found.has(key)) kept++
    else if (isTold(at)) told++
    else lost++
  }
  const doubled = [...found.values()].reduce((sum, n) => sum + n - 1, 0)
  const unknown = [...found.keys()].filter((key) => !truth.states.has(key)).length
  return { name, states: truth.states.size, kept, told, lost, doubled, unknown }
}

const directory = makeDirectory()
const programs = installed(15) ?? install(directory)
const database = await Server.make(programs.bin, directory)
let failed = false
try {
  await using cluster = await Cluster.start({
    progress: log,
    eventTtl: "150s",
    // What is in etcd is read by the watch that knows the truth.
    apiServerArguments: ["--storage-media-type=application/json"]
  })
  await cluster.apply(rights)
  const url = database.url()
  await query(url, "create table informer_events (uid text, version text, count bigint, event text)")
  const truth = await truths.watch(cluster.etcdPort)
  // Makes the tables, so that who follows begins with them.
  const reader = openReader(url)

  const replica = (name: string) =>
    new Victim(name, [
      process.execPath,
      "--conditions=@tidings/source",
      "benchmarks/torture/archive/archiver.ts",
      ...["--kubeconfig", cluster.kubeconfig, "--database", url, "--replica", name]
    ])
  const one = replica("one")
  const two = replica("two")
  const informer = new Victim("informer", [
    buildPeer("informer"),
    ...["--kubeconfig", cluster.kubeconfig, "--database", url]
  ])
  for (const victim of [one, two, informer]) victim.start()
  await sleep(8_000)

  log(`writing ${events} events in ${seconds} s …`)
  const writing = Effect.runPromise(
    Effect.scoped(writers.run({ kubeconfig: cluster.kubeconfig, events, millis: seconds * 1_000 }))
  )
  const startedAt = Date.now()
  const at = async (part: number) => sleep(Math.max(0, startedAt + part * seconds * 1_000 - Date.now()))
  const kills = async () => {
    for (let n = 0; n < 20; n++) {
      await at(0.03 + (n * 0.9) / 20)
      await Promise.all([one.kill(), informer.kill()])
      await sleep(200)
      one.start()
      informer.start()
    }
  }
  const failures = async () => {
    for (const [part, what] of [
      [0.1, "postgres"],
      [0.22, "api server"],
      [0.3, "postgres"],
      [0.45, "postgres"],
      [0.5, "compaction"],
      [0.55, "second replica"],
      [0.6, "postgres"],
      [0.7, "api server"],
      [0.8, "postgres"],
      [0.87, "compaction"]
    ] as const) {
      await at(part)
      log(`  ${Math.round(part * 100)} %: ${what}, ${truth.states.size} states so far`)
      switch (what) {
        case "postgres":
          await database.stop("kill")
          await sleep(1_500)
          for (;;) {
            try {
              await database.start()
              break
            } catch {
              await sleep(300)
            }
          }
          break
        case "api server":
          await cluster.killApiServer()
          await sleep(1_000)
          await cluster.startApiServer()
          break
        case "compaction":
          // While nobody reads, so that what comes meanwhile cannot be had.
          await one.kill()
          await sleep(1_500)
          await truths.compact(cluster.etcdPort, truth.revision())
          break
        case "second replica":
          await two.kill()
      }
    }
  }
  await Promise.all([writing, kills(), failures()])
  one.start()
  log("everything is written; waiting until the archive has read it …")
  const until = Date.now() + 150_000
  let gaps: Coverage["gaps"] = []
  let stored = -1
  // A gap is told when no replica may still cover it: one that died counts as gone after a minute.
  for (;;) {
    await sleep(20_000)
    gaps = (await coverageOf(url))[0]?.gaps ?? []
    const [row] = await query<{ states: bigint; gaps: bigint }>(
      url,
      "select (select count(*) from tidings.states) as states, (select count(*) from tidings.gaps) as gaps"
    )
    const isSettled = Number(row!.states) === stored && Number(row!.gaps) >= gaps.length
    if (isSettled || Date.now() > until) break
    stored = Number(row!.states)
  }
  // A state is known here a moment after it was made.
  const margin = 2_000_000
  const isTold = (time: number): boolean =>
    gaps.some(({ from, to }) => (from ?? 0) <= time && time - margin <= (to ?? Number.MAX_SAFE_INTEGER))
  const archived = await query<Stored>(
    url,
    `select event::json -> 'metadata' ->> 'uid' as uid, event::json -> 'metadata' ->> 'resourceVersion' as version,
       count(*) as n from tidings.states group by 1, 2`
  )
  const inserted = await query<Stored>(url, "select uid, version, count(*) as n from informer_events group by 1, 2")
  const results = [
    judge("Tidings, two replicas", truth, archived, isTold),
    judge("client-go informer, inserts in batches", truth, inserted, () => false)
  ]
  const followed = reader.items.flatMap((item) =>
    item._tag === "Event" ? [truths.keyOf(item.event.uid ?? "", item.event.resourceVersion ?? "")] : []
  )
  const told = reader.items.filter(({ _tag }) => _tag === "Gap").length
  const rows = await query<{ n: bigint }>(url, "select count(*) as n from tidings.gaps")
  reader.close()
  truth.close()
  for (const victim of [one, two, informer]) await victim.kill()

  const table = [
    "| who | states that there were | kept | in a gap that is told | lost | doubled |",
    "| --- | ---: | ---: | ---: | ---: | ---: |",
    ...results.map(
      ({ doubled, kept, lost, name, states, told }) =>
        `| ${name} | ${states} | ${kept} | ${told} | ${lost === 0 ? "0" : `**${lost}**`} | ${doubled === 0 ? "0" : `**${doubled}**`} |`
    )
  ].join("\n")
  const gapLines = gaps.map(
    ({ from, reason, to }) => `- ${(((to ?? 0) - (from ?? 0)) / 1_000_000).toFixed(1)} s: ${reason}`
  )
  console.log(`\n${table}\n\nGaps:\n${gapLines.join("\n")}`)
  const [ours] = results
  const isExact = followed.length === archived.length && new Set(followed).size === archived.length
  console.log(
    `One who followed the archive: ${followed.length} states, ${isExact ? "each once" : "NOT each once"}, ${told} of ${Number(rows[0]!.n)} gaps.`
  )
  failed = ours!.lost > 0 || ours!.doubled > 0 || ours!.unknown > 0 || !isExact || told !== Number(rows[0]!.n)
  if (!failed && events >= 20_000) {
    writeFileSync(
      "docs/reference/torture-archive.md",
      `# Torture of an archive

An [archive](../guides/archive.md) of two replicas and a shared informer of client-go that inserts what it is told in batches, side by side in one run on a real API server of Kubernetes 1.37 that keeps events for 150 seconds. Three writers (core/v1, events.k8s.io/v1 and Tidings) wrote ${events} events in ${seconds} seconds, and let the counts of a part of them grow. Meanwhile one replica and the informer were killed 20 times, PostgreSQL 5 times and the API server twice, the other replica died, and etcd was compacted twice, the second time while no replica ran. What there was is known from a watch of etcd itself, which was opened first and not disturbed. "Lost" is what is neither kept nor in a gap that is told. \`npm run torture -- archive\` repeats the run and writes this page.

${table}

The gaps that the archive told:

${gapLines.join("\n")}

One who followed the archive over all of that got ${followed.length} states, each once, and ${told} ${told === 1 ? "gap" : "gaps"}.
`
    )
  }
} finally {
  await database.remove()
  rmSync(directory, { recursive: true, force: true })
}
log(
  failed
    ? "\nTidings: not every state is there once, or told."
    : "\nTidings: every state is there once, or in a gap that is told."
)
process.exit(failed ? 1 : 0)
