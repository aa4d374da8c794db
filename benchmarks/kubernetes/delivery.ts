/**
 * What a delivered event costs its host: a built host that records with Tidings, beside one that records with client-go's
 * `tools/record`, each a process of its own, in turns on the same API server.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { createInterface } from "node:readline"
import { rolldown } from "rolldown"
import type { Cluster } from "../../tools/cluster/Cluster.ts"
import { type Group, median } from "../Measurement.ts"
import { buildPeer } from "../torture/peer.ts"

const EVENTS = 20_000
const ROUNDS = 2
/** client-go's queue has room for 1,000 events and drops the others. */
const PENDING = 500
const POLL_MILLIS = 500

/** As a host builds itself: with everything that it imports, but the Kubernetes client, which only old logins need. */
export const buildHost = async (directory: string): Promise<string> => {
  const bundle = await rolldown({
    input: resolve("benchmarks/torture/tidings.ts"),
    platform: "node",
    resolve: {
      conditionNames: ["@tidings/source", "import", "node", "default"]
    },
    external: ["@kubernetes/client-node"],
    logLevel: "silent"
  })
  const { output } = await bundle.write({
    dir: directory,
    entryFileNames: "[name].mjs",
    chunkFileNames: "[name]-[hash].mjs"
  })
  await bundle.close()
  return join(directory, output[0].fileName)
}

interface Delivered {
  readonly startCpuMillis: number
  /** Without the start. */
  readonly cpuMillisPerEvent: number
  readonly megabytes: number
  /** Of the JSON of one stored event, as the API server returns it. */
  readonly bytesPerEvent: number
}

interface EventList {
  readonly metadata: { readonly remainingItemCount?: number }
  readonly items: ReadonlyArray<{ readonly metadata: { readonly name: string } }>
}

const eventsIn = async (cluster: Cluster, namespace: string, limit: number): Promise<EventList> => {
  const response = await cluster.request(`/api/v1/namespaces/${namespace}/events?limit=${limit}`)
  return response.json() as EventList
}

const sizeOfEvents = async (cluster: Cluster, namespace: string): Promise<number> => {
  const { items } = await eventsIn(cluster, namespace, 50)
  const sizes = await Promise.all(
    items.map(async ({ metadata: { name } }) =>
      Buffer.byteLength((await cluster.request(`/api/v1/namespaces/${namespace}/events/${name}`)).text.trim())
    )
  )
  return sizes.reduce((sum, size) => sum + size, 0) / sizes.length
}

/** The operating system counts the memory of the parent into `maxRSS` of a process, and not into this. */
const peakMemory = (pid: number): number =>
  Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1_024

const deliver = async (
  cluster: Cluster,
  namespace: string,
  command: string,
  args: ReadonlyArray<string>
): Promise<Delivered> => {
  await cluster.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }])
  const work = ["--namespace", namespace, "--work", "objects", "--count", String(EVENTS)]
  const child = spawn(command, [...args, "--kubeconfig", cluster.kubeconfig, "--context", "user", ...work], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  const cpuMillis = new Map<string, number>()
  createInterface({ input: child.stdout }).on("line", (line) => {
    const said = JSON.parse(line) as { readonly phase: string; readonly cpuMillis: number }
    cpuMillis.set(said.phase, said.cpuMillis)
  })
  const ended = new Promise<void>((done) => child.on("close", () => done()))
  for (;;) {
    const { items, metadata } = await eventsIn(cluster, namespace, 1)
    if (items.length + (metadata.remainingItemCount ?? 0) >= EVENTS) break
    if (child.exitCode !== null) throw new Error(`${command} ended before its events were delivered`)
    await new Promise((done) => setTimeout(done, POLL_MILLIS))
  }
  const megabytes = peakMemory(child.pid!)
  child.stdin.end()
  await ended
  const start = cpuMillis.get("ready")!
  return {
    startCpuMillis: start,
    cpuMillisPerEvent: (cpuMillis.get("closed")! - start) / EVENTS,
    megabytes,
    bytesPerEvent: await sizeOfEvents(cluster, namespace)
  }
}

const CLIENT_GO = "client-go tools/record"
const MEMORY = "Tidings, journal in memory"
const DISK = "Tidings, journal on disk"

/** The bars: of CPU time and of stored bytes, over those of client-go. */
const CPU_BAR = 0.3
const BYTES_BAR = 1.4

/** Needs Go, as the API server does. */
export const run = async (cluster: Cluster): Promise<ReadonlyArray<Group>> => {
  const peer = buildPeer()
  const directory = mkdtempSync(join(tmpdir(), "tidings-bench-"))
  try {
    const host = await buildHost(directory)
    const contenders: ReadonlyArray<readonly [string, string, (round: number) => ReadonlyArray<string>]> = [
      [CLIENT_GO, peer, () => ["--pending", String(PENDING)]],
      [MEMORY, process.execPath, () => [host]],
      [DISK, process.execPath, (round) => [host, "--journal", join(directory, `journal-${round}`)]]
    ]
    const runs = new Map<string, Array<Delivered>>(contenders.map(([name]) => [name, []]))
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, [name, command, args]] of contenders.entries()) {
        runs.get(name)!.push(await deliver(cluster, `delivery-${round}-${index}`, command, args(round)))
      }
    }
    const of = (name: string, field: keyof Delivered) => median(runs.get(name)!.map((one) => one[field]))
    const compared = (name: string, field: keyof Delivered) => of(name, field) / of(CLIENT_GO, field)
    const names = contenders.map(([name]) => name)
    const rows = (field: keyof Delivered, unit: "ms" | "MB" | "B", scale: number, bar?: number): Group["rows"] =>
      names.map((name) => ({
        name,
        cost: of(name, field) * scale,
        unit,
        ...(name === CLIENT_GO
          ? {}
          : {
              against: CLIENT_GO,
              ratio: compared(name, field),
              ...(bar === undefined ? {} : { bar: `at most ${bar} x`, met: compared(name, field) <= bar })
            })
      }))
    const what = `${EVENTS.toLocaleString("en")} events on ${EVENTS.toLocaleString("en")} objects`
    return [
      { title: `CPU per 1,000 delivered events, ${what}`, rows: rows("cpuMillisPerEvent", "ms", 1_000, CPU_BAR) },
      { title: "CPU of the start, until the host can record", rows: rows("startCpuMillis", "ms", 1) },
      { title: "Most memory of the process", rows: rows("megabytes", "MB", 1) },
      { title: "JSON of a stored event without data", rows: rows("bytesPerEvent", "B", 1, BYTES_BAR) }
    ]
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
