/**
 * The double of an API server, in a process of its own, that stores events at a steady rate: `node cluster.ts RATE SECONDS`.
 * Prints where its kubeconfig is, waits for a message to begin, and tells how many events it stored in which time.
 */
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import * as Effect from "effect/Effect"

const [rate, seconds] = process.argv.slice(2).map(Number) as [number, number]

/** An event as a kubelet writes it. */
const eventOf = (n: number, time: string): ApiServer.KubernetesObject => {
  const namespace = `team-${n % 10}`
  const name = `web-${(n % 500).toString(36)}-6b9f7c5d4-${(n % 97).toString(36)}`
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: `${name}.${n.toString(16).padStart(16, "0")}`, namespace },
    involvedObject: {
      apiVersion: "v1",
      kind: "Pod",
      name,
      namespace,
      uid: `7c0f8f64-8d1c-4a2e-9a51-${(n % 500).toString(16).padStart(12, "0")}`,
      resourceVersion: String(n),
      fieldPath: "spec.containers{app}"
    },
    reason: n % 5 === 0 ? "BackOff" : "Pulled",
    message: `Container image "registry.example.com/team/web:1.${n % 40}" already present on machine and can be accessed by the pod (${n})`,
    source: { component: "kubelet", host: `node-${n % 100}` },
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
    type: n % 5 === 0 ? "Warning" : "Normal",
    eventTime: null,
    reportingComponent: "kubelet",
    reportingInstance: `node-${n % 100}`
  }
}

const message = Effect.callback<void>((resume) => {
  process.once("message", () => resume(Effect.void))
})

const program = Effect.gen(function* () {
  const server = yield* ApiServer.ApiServer
  console.log(JSON.stringify({ kubeconfig: server.kubeconfigFile }))
  yield* message
  const total = rate * seconds
  const begun = performance.now()
  let stored = 0
  while (stored < total) {
    const due = Math.min(total, Math.floor(((performance.now() - begun) / 1_000) * rate))
    const time = `${new Date().toISOString().slice(0, 19)}Z`
    for (; stored < due; stored++) yield* server.put(eventOf(stored, time))
    yield* Effect.sleep("2 millis")
  }
  process.send!({ stored, millis: performance.now() - begun })
  yield* Effect.never
})

process.once("disconnect", () => process.exit(0))
await Effect.runPromise(
  Effect.provide(
    program,
    ApiServer.layer({
      namespaces: Array.from({ length: 10 }, (_, n) => `team-${n}`),
      requestLogSize: 10,
      seed: "archive"
    })
  )
)
