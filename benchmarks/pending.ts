// A host accepts a million events and delivers them, and then, its backend away, a million that it cannot deliver. Says how
// much memory it has after each, in megabytes. For `recorder.ts`, which runs it in a process of its own.
import * as FileJournal from "@tidings/backend-fs/FileJournal"
import * as Backend from "@tidings/core/Backend"
import { BackendError, Unavailable } from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

const EVENTS = 1_000_000

let isAway = false
const away = new BackendError({ reason: new Unavailable({ detail: "no route to host" }) })

const runtime = Recorder.layer({
  component: "bench",
  drainTimeout: 0,
  sinks: [Recorder.sink({ name: "default", backend: Backend.Backend, correlation: "off" })]
}).pipe(
  Layer.provideMerge(
    Layer.mergeAll(
      Templates.layer,
      Logger.layer([]),
      Layer.effect(
        Backend.Backend,
        Effect.map(Effect.provide(Backend.Backend, Backend.layerMemory()), (memory) => ({
          ...memory,
          write: (batch: ReadonlyArray<Write>) =>
            Effect.suspend(() => (isAway ? Effect.fail(away) : Effect.succeed(batch.map(() => Backend.created))))
        }))
      ),
      FileJournal.layer({ directory: process.argv[2]!, durability: "process", quota: 4 * 1024 ** 3 })
    )
  )
)

const megabytes = () => {
  globalThis.gc!()
  globalThis.gc!()
  return process.memoryUsage.rss() / 1_048_576
}

const program = Effect.gen(function* () {
  const recorder = yield* Recorder.Recorder
  const accept = Effect.gen(function* () {
    for (let n = 0; n < EVENTS; n++) {
      yield* recorder.record({
        involvedObject: { kind: "Workflow", name: `deploy-${n}`, namespace: "default" },
        reason: "WorkflowStepFailed",
        message: `Step build of workflow deploy-${n} failed in tool x_docker_run: connection refused`
      })
      if (n % 1_000 === 0) yield* Effect.promise(() => new Promise(setImmediate))
    }
  })
  yield* accept
  yield* recorder.flush("10 minutes")
  const delivered = megabytes()
  isAway = true
  yield* accept
  const pending = megabytes()
  const left = (yield* recorder.status).sinks["default"]!.pending
  if (left !== EVENTS) throw new Error(`${left} are pending`)
  console.log(JSON.stringify({ delivered, pending }))
})

await Effect.runPromise(Effect.provide(program, runtime))
process.exit(0)
