/**
 * Listing a cluster with very many events, beside `kubectl get events -A`, on a real API server, where Go is to build one.
 */
import { spawn, spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import * as Cluster from "../tools/cluster/Cluster.ts"
import { compare, type Group, median } from "./Measurement.ts"

const EVENTS = 50_000
const IN_FLIGHT = 64
const ROUNDS = 5

const eventOf = (n: number) => {
  const at = new Date(Date.now() - (EVENTS - n) * 60).toISOString()
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: `web-${n}.${n.toString(16).padStart(16, "0")}`, namespace: "default" },
    involvedObject: {
      apiVersion: "v1",
      kind: "Pod",
      namespace: "default",
      name: `web-${n % 5_000}`,
      uid: `pod-${n % 5_000}`
    },
    reason: n % 10 === 0 ? "BackOff" : "Pulled",
    message:
      n % 10 === 0 ? `Back-off restarting failed container web in pod web-${n}` : `Container image web:${n} is present`,
    type: n % 10 === 0 ? "Warning" : "Normal",
    source: { component: "kubelet", host: `node-${n % 100}` },
    firstTimestamp: `${at.slice(0, 19)}Z`,
    lastTimestamp: `${at.slice(0, 19)}Z`,
    count: 1 + (n % 7),
    reportingComponent: "kubelet",
    reportingInstance: `node-${n % 100}`
  }
}

const fill = async (cluster: Cluster.Cluster): Promise<void> => {
  const { Agent } = await import("undici")
  const agent = new Agent({
    connections: IN_FLIGHT,
    connect: { ca: readFileSync(cluster.certificateAuthority, "utf8") }
  })
  let next = 0
  const post = async (): Promise<void> => {
    while (next < EVENTS) {
      const { body, statusCode } = await agent.request({
        origin: cluster.server,
        path: "/api/v1/namespaces/default/events",
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${cluster.tokens["admin"]}` },
        body: JSON.stringify(eventOf(next++))
      })
      const text = await body.text()
      if (statusCode !== 201) throw new Error(`the API server answered ${statusCode}: ${text}`)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, post))
  await agent.close()
}

type Command = readonly [file: string, ...args: ReadonlyArray<string>]

/** Milliseconds of CPU, of user and system, as the shell counts those of its children. */
const cpuOf = (command: Command, env: NodeJS.ProcessEnv): number => {
  const { status, stderr, stdout } = spawnSync("bash", ["-c", '"$0" "$@" >/dev/null || exit 1; times', ...command], {
    env,
    encoding: "utf8"
  })
  if (status !== 0) throw new Error(`${command.join(" ")} failed: ${stderr}`)
  const [, children] = stdout.trim().split("\n")
  return [...children!.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1_000,
    0
  )
}

/** The most memory that the process had, in MB: looked at all the time, since it is gone with the process. */
const memoryOf = (command: Command, env: NodeJS.ProcessEnv): Promise<number> =>
  new Promise((resolve, reject) => {
    const [file, ...args] = command
    const child = spawn(file, args, { env, stdio: "ignore" })
    let peak = 0
    const look = setInterval(() => {
      try {
        const status = readFileSync(`/proc/${child.pid}/status`, "utf8")
        peak = Math.max(peak, Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1_024)
      } catch {
        // It has ended.
      }
    }, 2)
    child.on("close", (code) => {
      clearInterval(look)
      if (code === 0) resolve(peak)
      else reject(new Error(`${command.join(" ")} ended with ${code}`))
    })
  })

const WITH_KUBECTL = "kubectl get events -A"

/** None where there is no Go: then a line says so. */
export const run = async (tidings: string): Promise<ReadonlyArray<Group>> => {
  try {
    await Cluster.build({ progress: (line) => console.error(line) })
  } catch (error) {
    console.error(
      `*** NOT MEASURED ON A CLUSTER: ${error instanceof Error ? error.message.split("\n")[0] : String(error)} ***`
    )
    return []
  }
  await using cluster = await Cluster.start()
  await fill(cluster)
  const env = { ...process.env, ...cluster.environment, NODE_OPTIONS: "" }
  const commands: Readonly<Record<string, Command>> = {
    [WITH_KUBECTL]: ["kubectl", "get", "events", "-A"],
    "tidings list -A": [process.execPath, tidings, "list", "-A", "--backend", "kubernetes"]
  }
  const names = Object.keys(commands)
  const cpu = new Map<string, Array<number>>(names.map((name) => [name, []]))
  const memory = new Map<string, Array<number>>(names.map((name) => [name, []]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of names) {
      cpu.get(name)!.push(cpuOf(commands[name]!, env))
      memory.get(name)!.push(await memoryOf(commands[name]!, env))
    }
  }
  const medians = (costs: ReadonlyMap<string, ReadonlyArray<number>>) =>
    new Map([...costs].map(([name, list]) => [name, median(list)]))
  return [
    {
      title: `List a cluster with ${EVENTS} events (CPU)`,
      rows: compare(medians(cpu), WITH_KUBECTL, { "tidings list -A": { atMost: 0.4 } }, "ms")
    },
    {
      title: `List a cluster with ${EVENTS} events (memory)`,
      rows: compare(medians(memory), WITH_KUBECTL, { "tidings list -A": { atMost: 0.35 } }, "MB")
    }
  ]
}
