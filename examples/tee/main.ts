// Every event in two places: in an event log on disk and in a cluster, each delivered at its own pace.
//
// The cluster is a double of the API server in this process, which is away while the events are recorded. With a cluster of
// your own, `KubernetesBackend.layer()` stands in its place.
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as FileJournal from "@tidings/backend-fs/FileJournal"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as Backend from "@tidings/core/Backend"
import { EventGenerator } from "@tidings/core/EventGenerator"
import * as EventManager from "@tidings/core/EventManager"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { runMain } from "../gracefulEnd.ts"

/** The second backend has a service key of its own; `Backend` is the one that is read. */
class Log extends Context.Service<Log, Backend.Service>()("example/tee/Log") {}

const layerOf = (directory: string) => {
  const log = Layer.effect(Log, Backend.Backend).pipe(
    Layer.provide(FileBackend.layer({ directory: join(directory, "log"), console: false }))
  )
  const cluster = Layer.unwrap(
    ApiServer.ApiServer.use(({ kubeconfigFile }) =>
      Effect.succeed(KubernetesBackend.layer({ kubeconfig: kubeconfigFile }))
    )
  )
  // What is accepted is in the journal, also after `kill -9`, until both sinks have delivered it.
  const recorder = Recorder.layer({
    component: "tee",
    sinks: [
      Recorder.sink({ name: "cluster", backend: Backend.Backend }),
      Recorder.sink({ name: "log", backend: Log, correlation: "off" })
    ]
  }).pipe(Layer.provide(FileJournal.layer({ directory: join(directory, "journal") })))
  return EventManager.layer.pipe(
    Layer.provideMerge(EventGenerator.layer),
    Layer.provideMerge(recorder),
    Layer.provideMerge(Layer.mergeAll(Templates.layer, log, cluster)),
    Layer.provideMerge(ApiServer.layer())
  )
}

const program = Effect.gen(function* () {
  const server = yield* ApiServer.ApiServer
  const recorder = yield* Recorder.Recorder
  const { generator, queryEvents } = yield* EventManager.EventManager
  const log = yield* Log

  const tell = Effect.fnUntraced(function* (when: string) {
    const { sinks } = yield* recorder.status
    const states = Object.entries(sinks).map(
      ([name, { pending, settled, state }]) => `${name} ${state}: ${settled} delivered, ${pending} pending`
    )
    console.log(`${when.padEnd(28)} ${states.join("; ")}`)
    return sinks
  })

  yield* server.killApiServer
  for (let n = 0; n < 100; n++) {
    yield* generator.workflowEvent({ metadata: { name: `deploy-${n % 4}` } }, "WorkflowStepCompleted", {
      stepId: "build"
    })
  }
  // Nobody waits for the cluster: the log has every event while it is away.
  yield* recorder.flush("1 second")
  const away = yield* tell("the API server is away:")
  assert.deepEqual([away["log"]?.settled, away["cluster"]?.settled], [100, 0])

  yield* server.startApiServer()
  const { complete } = yield* recorder.flush("60 seconds")
  assert.ok(complete)
  const back = yield* tell("the API server is back:")
  assert.deepEqual([back["log"]?.settled, back["cluster"]?.settled], [100, 100])

  // A log keeps each occurrence, with correlation off; a cluster has one event for each series, with its count.
  const inCluster = yield* queryEvents({ reason: "WorkflowStepCompleted" })
  const inLog = yield* log.query({ reason: "WorkflowStepCompleted" })
  const occurrences = inCluster.events.reduce((sum, { count }) => sum + count, 0)
  console.log(
    `the cluster has ${inCluster.totalCount} events with ${occurrences} occurrences, the log ${inLog.totalCount}`
  )
  assert.deepEqual([occurrences, inLog.totalCount], [100, 100])
})

const directory = mkdtempSync(join(tmpdir(), "tidings-tee-"))
process.once("exit", () => rmSync(directory, { recursive: true, force: true }))
runMain(Effect.provide(program, layerOf(directory)))
