/**
 * The heaviest load that was reported, fifteen times over, for a while: what the process of `tidings archive` needs for it. The
 * events come from the double of an API server, because a real one does not write so many on a small machine.
 */
import { type ChildProcess, fork, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { installCommand } from "../installed.ts"
import type { Group } from "../Measurement.ts"

/** 145,259 events in five minutes in one cluster (kubernetes/kubernetes#141022), times 15. */
const RATE = 7_260
/** A little more is offered, so that it is not less by what timers are late. */
const OFFERED = 7_300
const SECONDS = 30

/** The most memory that the process had at any time, which only the process itself knows, and the CPU that it took. */
const TELL_PEAK = `process.on("exit", () => {
  const { readFileSync, writeSync } = require("node:fs")
  let peak = process.resourceUsage().maxRSS
  try {
    // What resourceUsage says may be that of the process that started this one.
    peak = Number(/^VmHWM:\\s+(\\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"))[1])
  } catch {}
  const { system, user } = process.cpuUsage()
  writeSync(3, JSON.stringify({ megabytes: peak / 1_024, cpuMillis: (system + user) / 1_000 }))
})`

interface Fed {
  readonly stored: number
  readonly millis: number
}

const startCluster = async (): Promise<{ readonly child: ChildProcess; readonly kubeconfig: string }> => {
  const child = fork(join(import.meta.dirname, "cluster.ts"), [String(OFFERED), String(SECONDS)], {
    execArgv: ["--conditions=@tidings/source"],
    stdio: ["ignore", "pipe", "inherit", "ipc"]
  })
  const [line] = (await once(child.stdout!, "data")) as [Buffer]
  return { child, ...(JSON.parse(String(line)) as { kubeconfig: string }) }
}

const textOf = async (stream: NodeJS.ReadableStream): Promise<string> => {
  let text = ""
  for await (const chunk of stream) text += String(chunk)
  return text
}

/** `count` answers how many states are in the archive. */
export const run = async (url: string, count: () => Promise<number>): Promise<Group> => {
  const folder = mkdtempSync(join(tmpdir(), "tidings-bench-"))
  const cluster = await startCluster()
  const preload = join(folder, "tell-peak.cjs")
  writeFileSync(preload, TELL_PEAK)
  const archive = spawn(
    process.execPath,
    [
      "--require",
      preload,
      installCommand(folder),
      "archive",
      "--kubeconfig",
      cluster.kubeconfig,
      "--cluster",
      "double"
    ],
    {
      env: { ...process.env, NODE_OPTIONS: "", TIDINGS_DATABASE: url, TIDINGS_DIRECTORY: join(folder, "log") },
      stdio: ["ignore", "ignore", "pipe", "pipe"]
    }
  )
  try {
    const ended = once(archive, "exit") as Promise<[number | null]>
    const said = textOf(archive.stderr!)
    const told = textOf(archive.stdio[3] as NodeJS.ReadableStream)
    await setTimeout(3_000)
    cluster.child.send("begin")
    const [fed] = (await once(cluster.child, "message")) as [Fed]
    const fedAt = performance.now()
    let archived = await count()
    for (; archived < fed.stored && performance.now() - fedAt < 60_000; archived = await count()) await setTimeout(100)
    const lateMillis = performance.now() - fedAt
    archive.kill("SIGTERM")
    const [code] = await ended
    if (code !== 0) throw new Error(`tidings archive ended with ${code}: ${await said}`)
    const { cpuMillis, megabytes } = JSON.parse(await told) as {
      readonly megabytes: number
      readonly cpuMillis: number
    }
    const rate = Math.round((fed.stored / fed.millis) * 1_000)
    return {
      title: `tidings archive, fed ${OFFERED} events a second for ${SECONDS} seconds by the double of an API server`,
      rows: [
        {
          name: "events a second that the double stored",
          cost: rate,
          unit: "",
          bar: `at least ${RATE}`,
          met: rate >= RATE
        },
        {
          name: "events that are not in the archive",
          cost: fed.stored - archived,
          unit: "",
          bar: "0",
          met: archived === fed.stored
        },
        {
          name: "the last is in the archive after",
          cost: lateMillis,
          unit: "ms",
          bar: "at most 5000 ms",
          met: lateMillis <= 5_000
        },
        { name: "CPU of the archive, an event", cost: (cpuMillis * 1e6) / fed.stored, unit: "ns" },
        {
          name: "most memory of the archive (RSS)",
          cost: megabytes,
          unit: "MB",
          bar: "under 200 MB",
          met: megabytes < 200
        }
      ]
    }
  } finally {
    archive.kill("SIGKILL")
    cluster.child.disconnect()
    rmSync(folder, { recursive: true, force: true })
  }
}
