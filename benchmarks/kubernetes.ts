/**
 * Writing and following events in a cluster, against the generated client of `@kubernetes/client-node` as it comes and
 * against bare undici: on a local TLS server that only answers, and, where Go is, on a real API server. There a whole host is
 * measured beside one with client-go's recorder too.
 */
import { type ChildProcess, fork, spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import * as Cluster from "../tools/cluster/Cluster.ts"
import * as Delivery from "./kubernetes/delivery.ts"
import { type Group, median, type Row } from "./Measurement.ts"

const CONTENDERS = ["bare undici", "generated client", "Tidings"] as const
type Contender = (typeof CONTENDERS)[number]
const ROUNDS = 3
const WATCHED = 50_000

interface Cost {
  readonly millis: number
  readonly cpuMillis: number
  readonly megabytes: number
}

interface Place {
  readonly title: string
  readonly kubeconfig: string
  readonly namespace: string
  readonly creates: number
}

const measure = (
  contender: Contender,
  work: "create" | "watch",
  place: Place,
  count: number,
  inFlight: number
): Cost => {
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    [
      "--conditions=@tidings/source",
      "--expose-gc",
      "benchmarks/kubernetes/client.ts",
      contender,
      work,
      place.kubeconfig,
      place.namespace,
      String(count),
      String(inFlight)
    ],
    { encoding: "utf8", timeout: 300_000 }
  )
  if (status !== 0) throw new Error(`${contender} failed to ${work}: ${stderr}`)
  return JSON.parse(stdout) as Cost
}

const inTurns = (
  work: "create" | "watch",
  place: Place,
  count: number,
  inFlight: number
): ReadonlyMap<Contender, Cost> => {
  const costs = new Map<Contender, Array<Cost>>(CONTENDERS.map((name) => [name, []]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const contender of CONTENDERS) costs.get(contender)!.push(measure(contender, work, place, count, inFlight))
  }
  return new Map(
    [...costs].map(([name, list]) => [
      name,
      {
        millis: median(list.map(({ millis }) => millis)),
        cpuMillis: median(list.map(({ cpuMillis }) => cpuMillis)),
        megabytes: median(list.map(({ megabytes }) => megabytes))
      }
    ])
  )
}

const cpuRows = (costs: ReadonlyMap<Contender, Cost>, count: number, bars: boolean): ReadonlyArray<Row> => {
  const cpu = (name: Contender) => (costs.get(name)!.cpuMillis * 1_000_000) / count
  const rate = (name: Contender) => `${Math.round((count / costs.get(name)!.millis) * 1_000)} a second`
  const tidings = cpu("Tidings")
  return [
    { name: `bare undici, CPU (${rate("bare undici")})`, cost: cpu("bare undici"), unit: "ns" },
    {
      name: `Tidings, CPU (${rate("Tidings")})`,
      cost: tidings,
      unit: "ns",
      against: "bare undici",
      ratio: tidings / cpu("bare undici"),
      ...(bars ? { bar: "at most 2 x", met: tidings <= 2 * cpu("bare undici") } : {})
    },
    {
      name: `generated client, CPU (${rate("generated client")})`,
      cost: cpu("generated client"),
      unit: "ns",
      against: "Tidings",
      ratio: cpu("generated client") / tidings,
      ...(bars ? { bar: "at least 5 x", met: cpu("generated client") >= 5 * tidings } : {})
    }
  ]
}

const bareServer = () =>
  new Promise<{ readonly server: ChildProcess; readonly kubeconfig: string; readonly address: string }>(
    (done, fail) => {
      const server = fork("benchmarks/kubernetes/server.ts", [String(WATCHED)], {
        execArgv: ["--conditions=@tidings/source"],
        stdio: ["ignore", "pipe", "inherit", "ipc"]
      })
      server.once("error", fail)
      server.stdout!.once("data", (line: Buffer) =>
        done({ server, ...(JSON.parse(String(line)) as { kubeconfig: string; address: string }) })
      )
    }
  )

const groupsOf = (place: Place, bars: boolean): ReadonlyArray<Group> =>
  [1, 32].map((inFlight) => ({
    title: `Create events on ${place.title}, ${inFlight} in flight`,
    rows: cpuRows(inTurns("create", place, place.creates, inFlight), place.creates, bars)
  }))

export const run = async (): Promise<ReadonlyArray<Group>> => {
  const groups: Array<Group> = []
  const { address, kubeconfig, server } = await bareServer()
  try {
    const place: Place = { title: "a local TLS server", kubeconfig, namespace: "default", creates: 3_000 }
    groups.push(...groupsOf(place, true))

    const connections = async (): Promise<number> => {
      const { Agent } = await import("undici")
      const config = JSON.parse(readFileSync(kubeconfig, "utf8")) as {
        readonly clusters: ReadonlyArray<{ readonly cluster: { readonly "certificate-authority-data": string } }>
      }
      const ca = Buffer.from(config.clusters[0]!.cluster["certificate-authority-data"], "base64").toString()
      const agent = new Agent({ connect: { ca } })
      const response = await agent.request({ origin: address, method: "GET", path: "/connections" })
      const count = Number(await response.body.text())
      await agent.close()
      return count
    }
    const opened: Array<Row> = []
    for (const contender of CONTENDERS) {
      const before = await connections()
      measure(contender, "create", place, 2_000, 32)
      // Each look at the counter opens one of its own.
      const cost = (await connections()) - before - 1
      opened.push({
        name: `${contender}: connections for 2,000 creates, 32 in flight`,
        cost,
        unit: "",
        ...(contender === "Tidings" ? { bar: "at most 40", met: cost <= 40 } : {})
      })
    }
    groups.push({ title: "Connections opened", rows: opened })

    const many = measure("Tidings", "create", place, 100_000, 32)
    groups.push({
      title: "Memory for 100,000 events, 32 in flight",
      rows: [{ name: "Tidings", cost: Math.max(0, many.megabytes), unit: "MB" }]
    })

    groups.push({
      title: `Follow ${WATCHED.toLocaleString("en")} events`,
      rows: cpuRows(inTurns("watch", place, WATCHED, 1), WATCHED, false)
    })
  } finally {
    server.disconnect()
  }

  let cluster: Cluster.Cluster
  try {
    cluster = await Cluster.start({ progress: (line) => console.error(line) })
  } catch (error) {
    console.error(
      `*** NOT MEASURED ON A REAL API SERVER: ${error instanceof Error ? error.message.split("\n")[0] : String(error)} ***`
    )
    return groups
  }
  try {
    await cluster.apply([
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRole",
        metadata: { name: "bench" },
        rules: [
          { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
          { apiGroups: [""], resources: ["namespaces"], resourceNames: ["kube-system"], verbs: ["get"] }
        ]
      },
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRoleBinding",
        metadata: { name: "bench" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "bench" },
        subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "user" }]
      }
    ])
    groups.push(
      ...groupsOf(
        { title: "a real API server", kubeconfig: cluster.kubeconfig, namespace: "default", creates: 2_000 },
        false
      ),
      ...(await Delivery.run(cluster))
    )
  } finally {
    await cluster.stop()
  }
  return groups
}
