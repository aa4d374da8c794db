// `npm run torture [-- --json] [-- --only NAME]`: client-go's two recorders and Tidings, side by side on a real API server,
// as an ordinary user of it. What arrived is read back with `kubectl get events -o json`.
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"
import * as Cluster from "../../tools/cluster/Cluster.ts"
import { buildPeer } from "./peer.ts"

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
  /** Objects beyond one for each event that is told apart by object and message. */
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

interface Row {
  readonly id: string
  readonly title: string
  readonly args: ReadonlyArray<string>
  readonly asked: number
  /** How long nothing may come before the rest counts as lost. Held counts leave within 30 seconds. */
  readonly patience: number
  /** Together, because what is done to the cluster is done to all of them. */
  readonly during?: (cluster: Cluster.Cluster) => Promise<void>
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
    during: async (cluster) => {
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
    during: async (cluster) => {
      await sleep(3_000)
      await cluster.pauseEtcd()
      await sleep(60_000)
      await cluster.resumeEtcd()
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
  readonly lost: number
  /** Of the process until it could record: the runtime, and the loading of the client. */
  readonly startCpuMillis: number
  /** After that. */
  readonly cpuMillisPerEvent: number | undefined
}

const runOne = async (cluster: Cluster.Cluster, row: Row, contender: Contender, scratch: string): Promise<Result> => {
  const namespace = `torture-${row.id}-${contender.id}`
  const args = [
    ...(contender.id === "tidings" ? ["--journal", join(scratch, namespace)] : ["--recorder", contender.id]),
    "--kubeconfig",
    cluster.kubeconfig,
    "--context",
    "user",
    "--namespace",
    namespace
  ]
  const first = start(contender, [...args, ...row.args])
  const startCpuMillis = (await first.reached("ready")).cpuMillis
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
  const found = await settle(cluster, namespace, row.asked, row.patience)
  if (row.end !== "close") {
    last.child.stdin!.end()
    const closing = await last.reached("closing")
    if (row.end === undefined) cpuMillis = closing.cpuMillis
    await Promise.race([last.ended, sleep(20_000)])
    last.child.kill("SIGKILL")
  }
  const result = {
    row: row.id,
    contender: contender.name,
    asked: row.asked,
    ...found,
    lost: Math.max(0, row.asked - found.visible),
    startCpuMillis,
    cpuMillisPerEvent: cpuMillis === undefined ? undefined : (cpuMillis - startCpuMillis) / row.asked
  }
  log(
    `  ${contender.name.padEnd(26)} ${found.objects} objects, ${found.visible} of ${row.asked} visible, ${found.duplicates} duplicates`
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
    "| work | recorder | asked for | objects | visible by count | duplicates | lost | CPU ms, start | CPU ms per event |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
  ]
  for (const { id, title } of rows) {
    for (const one of results.filter(({ row }) => row === id)) {
      const lost = one.lost === 0 ? "0" : `**${one.lost}**`
      lines.push(
        `| ${title} | ${one.contender} | ${one.asked} | ${one.objects} | ${one.visible} | ${one.duplicates} | ${lost} | ${one.startCpuMillis.toFixed(0)} | ${one.cpuMillisPerEvent?.toFixed(2) ?? ""} |`
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
  await cluster.apply(rights)
  for (const row of rows.filter(({ id }) => options.only === undefined || options.only === id)) {
    log(`${row.title}:`)
    await cluster.apply(contenders.map(({ id }) => namespaceOf(`torture-${row.id}-${id}`)))
    if (row.during === undefined) {
      for (const contender of contenders) results.push(await runOne(cluster, row, contender, scratch))
    } else {
      const [, ...all] = await Promise.all([
        row.during(cluster),
        ...contenders.map((contender) => runOne(cluster, row, contender, scratch))
      ])
      results.push(...all)
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

client-go's two recorders (v0.37.2) and Tidings, side by side in one run on a real API server of Kubernetes 1.37, each as an ordinary user of the cluster, client-go without its client-side rate limit. What arrived was read back with \`kubectl get events -o json\`. "Visible by count" is the sum of the counts that \`kubectl\` shows; "lost" is what was asked for and is not visible. Tidings records into a journal on disk (\`process\`). CPU is that of the whole process, told apart into its start, until it can record, and what came after it. Tidings runs from its sources here, which Node has to strip of their types first. \`tools/events\` writes the count of a series only minutes later, so more may become visible after the run. \`npm run torture\` repeats the run and writes this page.

${table(results)}
`
  )
}
const ours = results.filter(({ contender }) => contender === "Tidings")
const bad = ours.filter(({ asked, duplicates, visible }) => visible !== asked || duplicates > 0)
log(
  bad.length === 0
    ? "\nTidings: every occurrence is there, once."
    : `\nTidings: not every occurrence is there once: ${bad.map(({ row }) => row).join(", ")}`
)
process.exitCode = bad.length === 0 ? 0 : 1
