/**
 * Records events with Tidings, as the torture run tells it to; speaks the same protocol as the client-go peer.
 */
import * as FileJournal from "@tidings/backend-fs/FileJournal"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: {
    kubeconfig: { type: "string" },
    context: { type: "string", default: "user" },
    namespace: { type: "string", default: "default" },
    work: { type: "string", default: "objects" },
    count: { type: "string", default: "0" },
    interval: { type: "string", default: "0ms" },
    size: { type: "string", default: "0" },
    journal: { type: "string" }
  }
})
const count = Number(values.count)
const interval = Number.parseFloat(values.interval)
const size = Number(values.size)
const data = size === 0 ? {} : { data: { arguments: { payload: "x".repeat(size) } } }

const say = (phase: string, asked: number, more: object = {}) => {
  const { system, user } = process.cpuUsage()
  console.log(JSON.stringify({ phase, asked, cpuMillis: (user + system) / 1_000, ...more }))
}

const program = Effect.gen(function* () {
  const recorder = yield* Recorder.Recorder
  say("ready", 0)
  for (let n = 1; n <= count; n++) {
    const own = values.work === "objects"
    yield* recorder.record({
      involvedObject: {
        apiVersion: "torture.tidings.dev/v1",
        kind: "Thing",
        name: own ? `object-${n}` : "object",
        namespace: values.namespace,
        uid: `00000000-0000-4000-8000-${String(own ? n : 0).padStart(12, "0")}`
      },
      reason: "Tortured",
      action: "Torture",
      message: values.work === "messages" ? `it happened in way ${n}` : "it happened",
      ...data
    })
    if (interval > 0) yield* Effect.sleep(interval)
  }
  say("emitted", count)
  yield* Effect.promise(() => new Promise<void>((done) => void process.stdin.on("end", done).resume()))
  const { sinks } = yield* recorder.status
  const undelivered = Object.values(sinks).map(({ parked, pending }) => pending + parked)
  say("closing", count, { undelivered: undelivered.reduce((sum, n) => sum + n, 0) })
})

const journal =
  values.journal === undefined
    ? Journal.layerMemory()
    : FileJournal.layer({ directory: values.journal, durability: "process" })
const runtime = Recorder.layer({ component: "torture" }).pipe(
  Layer.provide(
    Layer.mergeAll(
      Templates.layer,
      journal,
      KubernetesBackend.layer({ kubeconfig: values.kubeconfig, context: values.context })
    )
  )
)
// What it logs must not come between the lines of the protocol.
await Effect.runPromise(program.pipe(Effect.provide(runtime), Effect.provideService(Logger.LogToStderr, true)))
say("closed", count)
