import { assert, describe, it } from "@effect/vitest"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { afterAll, beforeAll } from "vitest"
import { start, type TestCluster } from "./TestCluster.ts"

let cluster: TestCluster
beforeAll(async () => {
  cluster = await start()
})
afterAll(async () => {
  await cluster[Symbol.asyncDispose]()
})

const OBJECTS = 1_000
const ROUNDS = 10

interface Stored {
  readonly metadata: { readonly name: string }
  readonly involvedObject: { readonly name: string }
  readonly reason: string
  readonly count: number
}

/** All events of a namespace, page by page, as the administrator. */
const stored = async (namespace: string): Promise<ReadonlyArray<Stored>> => {
  const all: Array<Stored> = []
  let next = ""
  do {
    const { body } = await cluster.request({
      method: "GET",
      path: `/api/v1/namespaces/${namespace}/events?limit=500${next === "" ? "" : `&continue=${encodeURIComponent(next)}`}`
    })
    const page = JSON.parse(body ?? "{}") as {
      readonly items: ReadonlyArray<Stored>
      readonly metadata: { readonly continue?: string }
    }
    all.push(...page.items)
    next = page.metadata.continue ?? ""
  } while (next !== "")
  return all
}

describe("a recorder over a cluster that fails", () => {
  it.live(
    "delivers 10,000 events exactly once, though the API server is killed and etcd stops in the middle of them",
    () =>
      Effect.gen(function* () {
        const { own } = cluster
        const namespace = cluster.namespaces[1]
        const recorder = yield* Recorder.Recorder
        const recording = yield* Effect.forkChild(
          Effect.gen(function* () {
            for (let round = 0; round < ROUNDS; round++) {
              for (let n = 0; n < OBJECTS; n++) {
                yield* recorder.record({
                  involvedObject: {
                    apiVersion: "shop.example.com/v1",
                    kind: "Order",
                    name: `order-${n}`,
                    namespace,
                    uid: `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`
                  },
                  reason: "OrderChanged",
                  message: "The order was changed"
                })
                if (n % 50 === 0) yield* Effect.sleep("10 millis")
              }
            }
          })
        )
        // A cluster of somebody else is not broken; there the events only have to arrive.
        if (own !== undefined) {
          yield* Effect.sleep("500 millis")
          yield* Effect.promise(() => own.killApiServer())
          yield* Effect.sleep("5 seconds")
          yield* Effect.promise(() => own.startApiServer())
          yield* Effect.sleep("2 seconds")
          yield* Effect.promise(() => own.pauseEtcd())
          yield* Effect.sleep("10 seconds")
          yield* Effect.promise(() => own.resumeEtcd())
        }
        yield* Fiber.join(recording)
        const flushed = yield* recorder.flush("4 minutes")
        const status = yield* recorder.status
        assert.deepStrictEqual(flushed, { complete: true, waiting: 0, pending: { default: 0 } })
        assert.strictEqual(status.accepted, OBJECTS * ROUNDS)
        assert.strictEqual(status.sinks["default"]?.settled, OBJECTS * ROUNDS)
        const events = yield* Effect.promise(() => stored(namespace))
        const ours = events.filter(({ reason }) => reason === "OrderChanged")
        assert.strictEqual(ours.length, OBJECTS)
        assert.strictEqual(new Set(ours.map(({ involvedObject }) => involvedObject.name)).size, OBJECTS)
        assert.deepStrictEqual([...new Set(ours.map(({ count }) => count))], [ROUNDS])
      }).pipe(
        Effect.provide(
          Layer.unwrap(
            Effect.sync(() =>
              Recorder.layer({ component: "outage" }).pipe(
                Layer.provide(Layer.mergeAll(Templates.layer, Journal.layerMemory(), cluster.layer("writer")))
              )
            )
          )
        ),
        Effect.provide(Logger.layer([]))
      ),
    360_000
  )
})
