/**
 * One contender in a process of its own: creates events, or reads a watch, and says what it cost.
 */
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import { Backend } from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import { CoreV1Api, KubeConfig, Watch } from "@kubernetes/client-node"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import { Pool } from "undici"

const [contender, work, kubeconfig, namespace, count, inFlight] = process.argv.slice(2) as [
  "generated client" | "bare undici" | "Tidings",
  "create" | "watch",
  string,
  string,
  string,
  string
]
const total = Number(count)
const concurrency = Number(inFlight)
const origin = process.pid.toString(16).padStart(32, "0")

const write = (n: number): Write => ({
  id: { origin, seq: n },
  upTo: n,
  count: 1,
  first: 1_790_000_000_000_000 + n,
  last: 1_790_000_000_000_000 + n,
  event: {
    involvedObject: {
      apiVersion: "example.com/v1",
      kind: "Thing",
      name: `object-${n}`,
      namespace,
      uid: "00000000-0000-4000-8000-000000000001"
    },
    reason: "Measured",
    type: "Normal",
    action: "Measure",
    message: "it was measured",
    data: { name: `object-${n}`, namespace },
    source: { component: "bench" },
    reportingController: "bench",
    reportingInstance: "bench-0"
  }
})

const body = (n: number) => ({
  apiVersion: "v1",
  kind: "Event",
  metadata: { name: `${contender === "bare undici" ? "bare" : "generated"}-${process.pid}.${n}`, namespace },
  involvedObject: {
    apiVersion: "example.com/v1",
    kind: "Thing",
    name: `object-${n}`,
    namespace,
    uid: "00000000-0000-4000-8000-000000000001"
  },
  reason: "Measured",
  type: "Normal",
  action: "Measure",
  message: "it was measured",
  source: { component: "bench" },
  firstTimestamp: "2026-01-01T00:00:00Z",
  lastTimestamp: "2026-01-01T00:00:00Z",
  eventTime: "2026-01-01T00:00:00.000000Z",
  count: 1,
  reportingComponent: "bench",
  reportingInstance: "bench-0"
})

/** `concurrency` workers that take turns. */
const workers = async (one: (n: number) => Promise<unknown>): Promise<void> => {
  let next = 0
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (next < total) await one(++next)
    })
  )
}

const measured = async (warmUp: () => Promise<unknown>, run: () => Promise<void>): Promise<void> => {
  await warmUp()
  globalThis.gc?.()
  const memory = process.memoryUsage().rss
  const cpu = process.cpuUsage()
  const begun = performance.now()
  await run()
  const millis = performance.now() - begun
  const { system, user } = process.cpuUsage(cpu)
  console.log(
    JSON.stringify({
      millis,
      cpuMillis: (user + system) / 1_000,
      megabytes: (process.memoryUsage().rss - memory) / 1_048_576
    })
  )
}

if (contender === "Tidings") {
  await Effect.gen(function* () {
    const backend = yield* Backend
    const context = yield* Effect.context()
    const promise = Effect.runPromiseWith(context)
    if (work === "create") {
      yield* Effect.promise(() =>
        measured(
          () => promise(backend.write([write(total + 1)])),
          () => workers((n) => promise(backend.write([write(n)])))
        )
      )
    } else {
      yield* Effect.promise(() =>
        measured(
          () => promise(backend.target),
          () =>
            promise(
              backend.watch({}, "now").pipe(
                Stream.filter(({ _tag }) => _tag === "Event"),
                Stream.take(total),
                Stream.runDrain
              )
            )
        )
      )
    }
  }).pipe(
    Effect.provide(KubernetesBackend.layer({ kubeconfig, context: "user", concurrency: 32 })),
    Effect.scoped,
    Effect.runPromise
  )
} else {
  const config = new KubeConfig()
  config.loadFromFile(kubeconfig)
  config.setCurrentContext("user")
  const cluster = config.getCurrentCluster()!
  if (contender === "generated client") {
    const api = config.makeApiClient(CoreV1Api)
    const create = (n: number) => api.createNamespacedEvent({ namespace, body: body(n) as never })
    if (work === "create")
      await measured(
        () => create(total + 1),
        () => workers(create)
      )
    else {
      await measured(
        () => api.listNamespacedEvent({ namespace, limit: 1 }),
        () =>
          new Promise<void>((done, fail) => {
            let seen = 0
            const watch = new Watch(config)
            void watch.watch(
              "/api/v1/events",
              {},
              () => {
                if (++seen === total) done()
              },
              (error: unknown) => (seen < total ? fail(error) : undefined)
            )
          })
      )
    }
  } else {
    const ca =
      cluster.caData === undefined
        ? readFileSync(cluster.caFile!, "utf8")
        : Buffer.from(cluster.caData, "base64").toString()
    const pool = new Pool(cluster.server, { connections: 16, connect: { ca } })
    const headers = { "content-type": "application/json", authorization: `Bearer ${config.getCurrentUser()!.token!}` }
    const create = async (n: number) => {
      const response = await pool.request({
        method: "POST",
        path: `/api/v1/namespaces/${namespace}/events`,
        headers,
        body: JSON.stringify(body(n))
      })
      await response.body.json()
    }
    if (work === "create")
      await measured(
        () => create(total + 1),
        () => workers(create)
      )
    else {
      await measured(
        () => create(0),
        async () => {
          const response = await pool.request({ method: "GET", path: "/api/v1/events?watch=true", headers })
          let rest = ""
          let seen = 0
          response.body.setEncoding("utf8")
          for await (const chunk of response.body as AsyncIterable<string>) {
            const lines = (rest + chunk).split("\n")
            rest = lines.pop()!
            for (const line of lines) {
              JSON.parse(line)
              seen++
            }
            if (seen >= total) return
          }
        }
      )
    }
  }
}
process.exit(0)
