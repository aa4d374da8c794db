import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as EventManager from "@tidings/core/EventManager"

const cpu = () => {
  const { user, system } = process.cpuUsage()
  return user + system
}
const N = 50_000
const median = (xs) => xs.toSorted((a, b) => a - b)[xs.length >> 1]
await Effect.runPromise(
  Effect.gen(function* () {
    const manager = yield* EventManager.EventManager
    const queue = yield* Queue.bounded(1024)
    const workflow = { metadata: { name: "deploy", namespace: "default" } }
    const repeat = (one) =>
      Effect.gen(function* () {
        const begun = cpu()
        for (let n = 0; n < N; n++) yield* one(n)
        return ((cpu() - begun) * 1_000) / N
      })
    const bare = (n) => Effect.andThen(Queue.offer(queue, n), Queue.take(queue))
    const rendered = () =>
      manager.generator.workflowEvent(workflow, "WorkflowStepFailed", {
        stepId: "build",
        stepTool: "x_docker_run",
        error: "connection refused"
      })
    const bares = []
    const costs = []
    for (let round = 0; round < 14; round++) {
      const a = yield* repeat(bare)
      const b = yield* repeat(rendered)
      if (round < 3) continue
      bares.push(a)
      costs.push(b)
    }
    console.log(
      "queue", median(bares).toFixed(0), "record", median(costs).toFixed(0),
      "ratio", (median(bares) / median(costs)).toFixed(3), "best", (Math.min(...bares) / Math.min(...costs)).toFixed(3)
    )
  }).pipe(Effect.provide(EventManager.layerMemory()))
)
