// `npm run torture [-- --json] [-- --only NAME]`: client-go's two recorders and Tidings, side by side on a real API server,
// as an ordinary user of it. What arrived is read back with `kubectl get events -o json`. `npm run torture -- archive` is
// another one, of an archive (archive/main.ts).
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"
import * as Cluster from "../../tools/cluster/Cluster.ts"
import { buildPeer } from "./peer.ts"
import * as Gateway from "./gateway.ts"

if (process.argv[2] === "archive") {
  const { status } = spawnSync(
    process.execPath,
    ["--conditions=@tidings/source", "benchmarks/torture/archive/main.ts", ...process.argv.slice(3)],
    { stdio: "inherit" }
  )
  process.exit(status ?? 1)
}

const { values: options } = parseArgs({
  options: { json: { type: "boolean", default: false }, only: { type: "string" } }
})
const log = (line: string) => console.error(line)
const sleep = (millis: number) => new Promise<void>((done) => setTimeout(done, millis))

// ---------------------------------------------------------------------------
// the contenders
// ---------------------------------------------------------------------------

interface Contender {
  readonly id: "record" | "events" | "tidings"
  readonly name: string
  readonly command: (args: ReadonlyArray<string>) => readonly [string, ReadonlyArray<string>]
}

interface Phase {
  readonly phase: string
  readonly asked: number
  readonly cpuMillis: number
  /** Of what was asked for, how much the recorder itself says it has not delivered; only some recorders say so. */
  readonly undelivered?: number
}

interface Process {
  readonly child: ChildProcess
  readonly reached: (phase: string) => Promise<Phase>
  readonly ended: Promise<void>
}

const start = (contender: Contender, args: ReadonlyArray<string>): Process => {
  const [command, full] = contender.command(args)
  const child = spawn(command, full, {
    stdio: ["pipe", "pipe", process.env["TORTURE_VERBOSE"] === undefined ? "ignore" : "inherit"]
  })
  const seen = new Map<string, Phase>()
  const waiting = new Map<string, (phase: Phase) => void>()
  createInterface({ input: child.stdout }).on("line", (line) => {
    const phase = JSON.parse(line) as Phase
    seen.set(phase.phase, phase)
    waiting.get(phase.phase)?.(phase)
  })
  const ended = new Promise<void>((done) => child.on("close", () => done()))
  return {
    child,
    ended,
    reached: (phase) => {
      const known = seen.get(phase)
      if (known !== undefined) return Promise.resolve(known)
      return Promise.race([
        new Promise<Phase>((done) => waiting.set(phase, done)),
        ended.then(() => Promise.reject(new Error(`${contender.name} ended before it was ${phase}`)))
      ])
    }
  }
}

// ---------------------------------------------------------------------------
// what arrived
// ---------------------------------------------------------------------------

interface StoredEvent {
  readonly count?: number
  readonly message?: string
  readonly involvedObject: { readonly name: string }
  readonly series?: { readonly count: number }
}

interface Found {
  readonly objects: number
  readonly visible: number
  /** Objects beyond one for each event that is told apart by object and message, and what came to another cluster. */
  readonly duplicates: number
}

const readBack = (cluster: Cluster.Cluster, namespace: string): Found => {
  const run = spawnSync("kubectl", ["get", "events", "-n", namespace, "-o", "json", "--chunk-size=500"], {
    encoding: "utf8",
    env: { ...process.env, ...cluster.environment },
    maxBuffer: 1 << 30
  })
  if (run.status !== 0) return { objects: -1, visible: -1, duplicates: 0 }
  const { items } = JSON.parse(run.stdout) as { readonly items: ReadonlyArray<StoredEvent> }
  const distinct = new Set(items.map(({ involvedObject, message }) => `${involvedObject.name} ${message}`))
  return {
    objects: items.length,
    visible: items.reduce((sum, { count, series }) => sum + Math.max(series?.count ?? 0, count ?? 0, 1), 0),
    duplicates: items.length - distinct.size
  }
}

/** Until everything asked for is there, or nothing has come for a while. */
const settle = async (cluster: Cluster.Cluster, namespace: string, asked: number, patience: number): Promise<Found> => {
  let found = readBack(cluster, namespace)
  let quiet = 0
  while (found.visible < asked && quiet < patience) {
    await sleep(2_000)
    quiet += 2_000
    const next = readBack(cluster, namespace)
    if (next.visible !== found.visible) quiet = 0
    if (next.visible >= 0) found = next
  }
  return found
}

// ---------------------------------------------------------------------------
// the rows
// ---------------------------------------------------------------------------

interface Place {
  /** Resolves when every contender has begun to record. */
  readonly recording: Promise<void>
  readonly begun: (contender: Contender["id"]) => void
  readonly cluster: Cluster.Cluster
  readonly gateway: Gateway.Gateway
  /** What the namespaces of a row show now. */
  readonly look: () => ReadonlyMap<Contender["id"], Found>
  /** Makes the namespaces and the rights of a row. */
  readonly prepare: () => Promise<void>
}

interface Row {
  readonly id: string
  readonly title: string
  readonly args: ReadonlyArray<string>
  readonly asked: number
  /** How long nothing may come before the rest counts as lost. Held counts leave within 30 seconds. */
  readonly patience: number
  /** All contenders run together, because what is done to the cluster is done to all of them. */
  readonly during?: (place: Place) => Promise<void>
  /** The same, where the cluster ends: what was visible in it then counts, and nothing that comes to its successor. */
  readonly replaces?: (place: Place) => Promise<ReadonlyMap<Contender["id"], Found>>
  readonly throughGateway?: boolean
  readonly before?: Cluster.ApiServerOptions
  readonly end?: "close" | "kill"
}

const rows: ReadonlyArray<Row> = [
  {
    id: "burst",
    title: "2,000 events on 2,000 objects in one burst",
    args: ["--work", "objects", "--count", "2000"],
    asked: 2_000,
    patience: 20_000
  },
  {
    id: "same",
    title: "the same event 1,000 times",
    args: ["--work", "same", "--count", "1000"],
    asked: 1_000,
    patience: 45_000
  },
  {
    id: "messages",
    title: "100 messages on one object",
    args: ["--work", "messages", "--count", "100"],
    asked: 100,
    patience: 45_000
  },
  {
    id: "apiserver",
    title: "1,000 events, API server killed for 40 s in mid-flight",
    args: ["--work", "objects", "--count", "1000", "--interval", "10ms"],
    asked: 1_000,
    patience: 60_000,
    during: async ({ cluster, recording }) => {
      await recording
      await sleep(3_000)
      await cluster.killApiServer()
      await sleep(40_000)
      await cluster.startApiServer()
    }
  },
  {
    id: "etcd",
    title: "1,000 events, etcd stopped for 60 s in mid-flight",
    args: ["--work", "objects", "--count", "1000", "--interval", "10ms"],
    asked: 1_000,
    patience: 90_000,
    during: async ({ cluster, recording }) => {
      await recording
      await sleep(3_000)
      await cluster.pauseEtcd()
      await sleep(60_000)
      await cluster.resumeEtcd()
    }
  },
  {
    id: "gateway",
    title: "1,000 events, a gateway answers 200 with a page of HTML for 20 s in mid-flight",
    args: ["--work", "objects", "--count", "1000", "--interval", "10ms"],
    asked: 1_000,
    patience: 60_000,
    throughGateway: true,
    during: async ({ gateway, recording }) => {
      await recording
      await sleep(3_000)
      gateway.set("page")
      await sleep(20_000)
      gateway.set("pass")
    }
  },
  {
    id: "large",
    title: "4,096 events on 4,096 objects, each with 20 KB of data",
    args: ["--work", "objects", "--count", "4096", "--interval", "2ms", "--size", "20000"],
    asked: 4_096,
    patience: 30_000
  },
  {
    id: "limit",
    title: "200 events in one namespace that may have 10 a second (EventRateLimit, burst 20)",
    args: ["--work", "objects", "--count", "200"],
    asked: 200,
    patience: 40_000,
    before: { eventRateLimit: { type: "Namespace", qps: 10, burst: 20 } }
  },
  {
    id: "replaced",
    title: "1,000 events, the API server replaced by an empty one at the same address in mid-flight",
    args: ["--work", "objects", "--count", "1000", "--interval", "10ms"],
    asked: 1_000,
    patience: 30_000,
    throughGateway: true,
    replaces: async ({ cluster, gateway, look, prepare, recording }) => {
      await recording
      await sleep(4_000)
      // Nothing more arrives, so what is read is what the cluster ends with.
      gateway.set("cut")
      await sleep(1_000)
      const visible = look()
      await cluster.killApiServer()
      await cluster.killEtcd()
      await cluster.startEtcd({ empty: true })
      await cluster.startApiServer()
      await prepare()
      gateway.set("pass")
      return visible
    }
  },
  {
    id: "end",
    title: "500 events, then an orderly end at once",
    args: ["--work", "objects", "--count", "500"],
    asked: 500,
    patience: 10_000,
    end: "close"
  },
  {
    id: "kill",
    title: "500 events, then kill -9 and a restart",
    args: ["--work", "objects", "--count", "500"],
    asked: 500,
    patience: 10_000,
    end: "kill"
  }
]

interface Result extends Found {
  readonly row: string
  readonly contender: string
  readonly asked: number
  /** What its recorder says it has not delivered. */
  readonly told: number
  readonly lost: number
  /** Of the process until it could record: the runtime, and the loading of the client. */
  readonly startCpuMillis: number
  /** After that. */
  readonly cpuMillisPerEvent: number | undefined
}

const namespaceFor = (row: Row, contender: Contender): string => `torture-${row.id}-${contender.id}`

const runOne = async (
  { begun, cluster, gateway }: Place,
  row: Row,
  contender: Contender,
  scratch: string,
  ending?: Promise<ReadonlyMap<Contender["id"], Found>>
): Promise<Result> => {
  const namespace = namespaceFor(row, contender)
  const args = [
    ...(contender.id === "tidings" ? ["--journal", join(scratch, namespace)] : ["--recorder", contender.id]),
    "--kubeconfig",
    row.throughGateway === true ? gateway.kubeconfig : cluster.kubeconfig,
    "--context",
    "user",
    "--namespace",
    namespace
  ]
  const first = start(contender, [...args, ...row.args])
  const startCpuMillis = (await first.reached("ready")).cpuMillis
  begun(contender.id)
  await first.reached("emitted")
  let cpuMillis: number | undefined
  let last = first
  if (row.end === "kill") {
    first.child.kill("SIGKILL")
    await first.ended
    last = start(contender, [...args, "--count", "0"])
    await last.reached("ready")
  } else if (row.end === "close") {
    first.child.stdin!.end()
    cpuMillis = (await first.reached("closed")).cpuMillis
    await first.ended
  }
  const ended = await ending
  const settled = await settle(cluster, namespace, row.asked, row.patience)
  const found = ended?.get(contender.id) ?? settled
  let told = 0
  if (row.end !== "close") {
    last.child.stdin!.end()
    const closing = await last.reached("closing")
    if (row.end === undefined) cpuMillis = closing.cpuMillis
    told = closing.undelivered ?? 0
    await Promise.race([last.ended, sleep(20_000)])
    last.child.kill("SIGKILL")
  }
  const result = {
    row: row.id,
    contender: contender.name,
    asked: row.asked,
    ...found,
    // What came to the successor of a cluster belongs to no object there.
    duplicates: found.duplicates + (ended === undefined ? 0 : settled.visible),
    told,
    lost: Math.max(0, row.asked - found.visible - told),
    startCpuMillis,
    cpuMillisPerEvent: cpuMillis === undefined ? undefined : (cpuMillis - startCpuMillis) / row.asked
  }
  log(
    `  ${contender.name.padEnd(26)} ${result.objects} objects, ${result.visible} of ${row.asked} visible, ${told} told, ${result.duplicates} too many`
  )
  return result
}

const namespaceOf = (name: string) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } })
const rights = [
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: "torture" },
    rules: [
      { apiGroups: ["", "events.k8s.io"], resources: ["events"], verbs: ["create", "patch", "update"] },
      { apiGroups: [""], resources: ["namespaces"], resourceNames: ["kube-system"], verbs: ["get"] }
    ]
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: "torture" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "torture" },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "user" }]
  }
]

const table = (results: ReadonlyArray<Result>): string => {
  const lines = [
    "| work | recorder | asked for | objects | visible by count | too many | told | lost | CPU ms, start | CPU ms per event |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
  ]
  for (const { id, title } of rows) {
    for (const one of results.filter(({ row }) => row === id)) {
      const lost = one.lost === 0 ? "0" : `**${one.lost}**`
      lines.push(
        `| ${title} | ${one.contender} | ${one.asked} | ${one.objects} | ${one.visible} | ${one.duplicates} | ${one.told} | ${lost} | ${one.startCpuMillis.toFixed(0)} | ${one.cpuMillisPerEvent?.toFixed(2) ?? ""} |`
      )
    }
  }
  return lines.join("\n")
}

const peer = buildPeer()
const contenders: ReadonlyArray<Contender> = [
  { id: "record", name: "client-go `tools/record`", command: (args) => [peer, args] },
  { id: "events", name: "client-go `tools/events`", command: (args) => [peer, args] },
  {
    id: "tidings",
    name: "Tidings",
    command: (args) => [process.execPath, ["--conditions=@tidings/source", "benchmarks/torture/tidings.ts", ...args]]
  }
]

const results: Array<Result> = []
const scratch = mkdtempSync(join(tmpdir(), "tidings-torture-"))
try {
  await using cluster = await Cluster.start({ progress: log })
  await using gateway = await Gateway.start(cluster, scratch)
  for (const row of rows.filter(({ id }) => options.only === undefined || options.only === id)) {
    log(`${row.title}:`)
    const waiting = new Set(contenders.map(({ id }) => id))
    const { promise: recording, resolve: allRecord } = Promise.withResolvers<void>()
    const place: Place = {
      recording,
      begun: (id) => {
        waiting.delete(id)
        if (waiting.size === 0) allRecord()
      },
      cluster,
      gateway,
      look: () => new Map(contenders.map((one) => [one.id, readBack(cluster, namespaceFor(row, one))])),
      prepare: async () => {
        await cluster.apply([...rights, ...contenders.map((one) => namespaceOf(namespaceFor(row, one)))])
      }
    }
    if (row.before !== undefined) {
      await cluster.stopApiServer()
      await cluster.startApiServer(row.before)
    }
    await place.prepare()
    if (row.during === undefined && row.replaces === undefined) {
      for (const contender of contenders) results.push(await runOne(place, row, contender, scratch))
    } else {
      const ending = row.replaces?.(place)
      const [, ...all] = await Promise.all([
        row.during?.(place),
        ...contenders.map((contender) => runOne(place, row, contender, scratch, ending))
      ])
      results.push(...all)
    }
    if (row.before !== undefined) {
      await cluster.stopApiServer()
      await cluster.startApiServer({ eventRateLimit: [] })
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

if (options.json) console.log(JSON.stringify(results, null, 2))
else console.log(`\n${table(results)}`)
if (options.only === undefined) {
  writeFileSync(
    "docs/reference/torture.md",
    `# Torture

client-go's two recorders (v0.37.2) and Tidings, side by side in one run on a real API server of Kubernetes 1.37, each as an ordinary user of the cluster, client-go without its client-side rate limit. What arrived was read back with \`kubectl get events -o json\`. "Visible by count" is the sum of the counts that \`kubectl\` shows; "too many" are objects beyond one for each event, and what came to another cluster than the one that it happened in; "told" is what the recorder itself counts as not delivered; "lost" is what was asked for and is neither visible nor told. Tidings records into a journal on disk (\`process\`). \`tools/events\` takes no data beside the message, so its large events are small ones. CPU is that of the whole process, told apart into its start, until it can record, and what came after it. Tidings runs from its sources here, which Node has to strip of their types first. \`tools/events\` writes the count of a series only minutes later, so more may become visible after the run. \`npm run torture\` repeats the run and writes this page.

${table(results)}
`
  )
}
const ours = results.filter(({ contender }) => contender === "Tidings")
// A write whose answer was lost with the cluster may be both visible and told.
const bad = ours.filter(({ asked, duplicates, told, visible }) => visible + told < asked || duplicates > 0)
log(
  bad.length === 0
    ? "\nTidings: every occurrence is there, once, or told."
    : `\nTidings: not every occurrence is there once, or told: ${bad.map(({ row }) => row).join(", ")}`
)
process.exitCode = bad.length === 0 ? 0 : 1
