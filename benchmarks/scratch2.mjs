import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Layer from "effect/Layer"
import * as EventManager from "@tidings/core/EventManager"
import * as Backend from "@tidings/core/Backend"
import * as Recorder from "@tidings/core/Recorder"

const cpu = () => {
  const { user, system } = process.cpuUsage()
  return user + system
}
const N = 20_000
const measure = (effect) =>
  Effect.gen(function* () {
    const a = cpu()
    yield* effect
    return ((cpu() - a) * 1000) / N
  })

const main = Effect.gen(function* () {
  const manager = yield* EventManager.EventManager
  const recorder = yield* Recorder.Recorder
  const queue = yield* Queue.bounded(1024)
  const server = { metadata: { name: "search", namespace: "default" } }
  const reference = {
    apiVersion: "muster.giantswarm.io/v1alpha1",
    kind: "MCPServer",
    name: "search",
    namespace: "default"
  }
  const bare = Effect.gen(function* () {
    for (let i = 0; i < N; i++) {
      yield* Queue.offer(queue, i)
      yield* Queue.take(queue)
    }
  })
  const cases = {
    generator: Effect.gen(function* () {
      for (let i = 0; i < N; i++)
        yield* manager.generator.mcpServerEvent(server, "MCPServerFailed", { error: "connection refused" })
    }),
    withData: Effect.gen(function* () {
      for (let i = 0; i < N; i++)
        yield* manager.createEventWithData(reference, "MCPServerFailed", { error: "connection refused" })
    }),
    message: Effect.gen(function* () {
      for (let i = 0; i < N; i++)
        yield* recorder.record({ involvedObject: reference, reason: "Started", message: "It runs", type: "Normal" })
    }),
    args: Effect.gen(function* () {
      for (let i = 0; i < N; i++)
        yield* manager.generator.mcpServerEvent(server, "MCPServerFailed", {
          error: "connection refused",
          arguments: { a: 1, b: "two", c: [1, 2], d: { e: true } }
        })
    })
  }
  const results = Object.fromEntries(Object.keys(cases).map((k) => [k, []]))
  const ns = Object.fromEntries(Object.keys(cases).map((k) => [k, []]))
  const bares = []
  for (let round = 0; round < Number(process.env.ROUNDS ?? 21); round++) {
    for (const [name, effect] of Object.entries(cases)) {
      const b1 = yield* measure(bare)
      const c = yield* measure(effect)
      const b2 = yield* measure(bare)
      if (round < 3) continue
      bares.push(b1, b2)
      ns[name].push(c)
      results[name].push((b1 + b2) / 2 / c)
    }
  }
  const median = (xs) => xs.toSorted((a, b) => a - b)[xs.length >> 1]
  console.log("queue ns", median(bares).toFixed(0))
  for (const name of Object.keys(cases))
    console.log(name.padEnd(10), "ratio", median(results[name]).toFixed(3), "ns", median(ns[name]).toFixed(0))
})
await Effect.runPromise(main.pipe(Effect.provide(EventManager.layerMemory())))
