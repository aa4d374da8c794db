/**
 * Writing while the API server and its etcd fail: only on a cluster that may be broken.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import { body } from "../../packages/backend-k8s/test/writes.ts"
import * as TestCluster from "./TestCluster.ts"

const cluster = await TestCluster.start()
afterAll(() => cluster[Symbol.asyncDispose]())
const { own } = cluster
const [, namespace] = cluster.namespaces

const quiet = Layer.succeed(References.MinimumLogLevel, "None")

const makeSeries = (origin: string, name: string, count: number): ReadonlyArray<Write> =>
  Array.from({ length: count }, (_, index) => ({
    id: { origin, seq: index * 100 + 1 },
    upTo: index * 100 + 1,
    count: 1,
    first: Date.now() * 1_000,
    last: Date.now() * 1_000,
    event: body({ involvedObject: { apiVersion: "v1", kind: "ConfigMap", name, namespace, uid: "u" }, data: {} })
  }))

const grown = (one: Write, by: number): Write => ({ ...one, upTo: one.upTo + by, count: one.count + by })

/** Repeats what is not settled, as a recorder does, until all is; returns what was answered on the way. */
const deliver = Effect.fnUntraced(function* (backend: Backend.Service, writes: ReadonlyArray<Write>) {
  const seen = new Set<string>()
  let left = writes
  while (left.length > 0) {
    const batch = left
    const outcomes = yield* backend.write(batch)
    for (const outcome of outcomes) {
      seen.add(outcome._tag === "Retry" ? `Retry ${outcome.error.reason._tag}` : outcome._tag)
    }
    left = batch.filter((_, index) => outcomes[index]?._tag === "Retry")
    if (left.length > 0) yield* Effect.sleep("100 millis")
  }
  return seen
})

const countsOf = (name: string) =>
  Effect.map(
    Effect.promise(() =>
      cluster.request({
        method: "GET",
        path: `/api/v1/namespaces/${namespace}/events?fieldSelector=${encodeURIComponent(`involvedObject.name=${name}`)}`
      })
    ),
    ({ body }) => {
      const { items } = JSON.parse(body ?? "{}") as {
        items: ReadonlyArray<{ metadata: { name: string }; count: number }>
      }
      return items.map(({ count }) => count)
    }
  )

describe("two deliverers of the same series, with answers lost at random", () => {
  /** Sends every request, and keeps a third of the answers to itself. */
  const forgetful = (seed: string) =>
    Layer.effect(
      KubernetesConnection.KubernetesConnection,
      Effect.gen(function* () {
        const connection = yield* KubernetesConnection.make(cluster.connectionOptions("user"))
        const random = yield* Random.Random.pipe(Random.withSeed(seed))
        const lost = BackendError.make(new BackendError.Transient({ applied: "unknown", detail: "lost on purpose" }))
        return KubernetesConnection.KubernetesConnection.of({
          ...connection,
          request: (request) =>
            Effect.flatMap(connection.request(request), (response) =>
              random.nextDoubleUnsafe() < 0.33 ? Effect.fail(lost) : Effect.succeed(response)
            )
        })
      })
    )

  it.live("end with exact counts, one object each", () =>
    Effect.gen(function* () {
      const origin = yield* EventId.makeOrigin
      const all = makeSeries(origin, "contested", 200)
      const deliverer = (seed: string) =>
        Effect.gen(function* () {
          const backend = yield* Backend.Backend
          for (const by of [0, 1, 3, 6])
            yield* deliver(
              backend,
              all.map((one) => (by === 0 ? one : grown(one, by)))
            )
        }).pipe(Effect.provide(Layer.provide(KubernetesBackend.layerConnection(), forgetful(seed)), { local: true }))
      yield* Effect.all([deliverer("one"), deliverer("two")], { concurrency: "unbounded" })
      const counts = yield* countsOf("contested")
      assert.strictEqual(counts.length, 200)
      assert.deepStrictEqual([...new Set(counts)], [7])
    }).pipe(Effect.provide(quiet))
  )
})

if (own !== undefined) {
  describe("an API server that", () => {
    it.live(
      "is killed and started again, and whose etcd stops, gets every event exactly once",
      () =>
        Effect.gen(function* () {
          const origin = yield* EventId.makeOrigin
          const all = makeSeries(origin, "outage", 2_000)
          const backend = yield* Backend.Backend
          const trouble = Effect.promise(async () => {
            const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))
            await pause(300)
            await own.killApiServer()
            await pause(500)
            await own.startApiServer({ waitUntilReady: false })
            await pause(4_000)
            await own.pauseEtcd()
            await pause(4_000)
            await own.resumeEtcd()
            await pause(500)
            await own.killEtcd()
            await own.startEtcd()
          })
          const work = Effect.gen(function* () {
            const seen = new Set<string>()
            for (let start = 0; start < all.length; start += 100) {
              const part = all.slice(start, start + 100)
              for (const answer of yield* deliver(backend, part)) seen.add(answer)
              for (const answer of yield* deliver(
                backend,
                part.map((one) => grown(one, 2))
              ))
                seen.add(answer)
              yield* Effect.sleep("300 millis")
            }
            return seen
          })
          const [seen] = yield* Effect.all([work, trouble], { concurrency: "unbounded" })
          const counts = yield* countsOf("outage")
          assert.strictEqual(counts.length, 2_000)
          assert.deepStrictEqual([...new Set(counts)], [3])
          assert.deepStrictEqual(
            [...seen].filter((answer) => answer === "Rejected" || answer === "Retry Unavailable"),
            []
          )
          assert.isTrue(seen.has("Retry Transient"))
        }).pipe(Effect.provide([cluster.layer("user", { timeout: "2 seconds" }), quiet])),
      180_000
    )

    it.live(
      "limits events per namespace says so for the namespace, and one that limits all says when to come back",
      () =>
        Effect.gen(function* () {
          const origin = yield* EventId.makeOrigin
          yield* Effect.promise(() => own.killApiServer())
          yield* Effect.promise(() => own.startApiServer({ eventRateLimit: { type: "Namespace", qps: 1, burst: 5 } }))
          const backend = yield* Backend.Backend
          const limited = yield* backend.write(makeSeries(origin, "limited", 20))
          const throttled = limited.flatMap((outcome) =>
            outcome._tag === "Retry" && outcome.error.reason._tag === "Throttled" ? [outcome.error.reason] : []
          )
          assert.isAtLeast(throttled.length, 10)
          assert.isTrue(throttled.every(({ retryAfter, scope }) => scope === "namespace" && retryAfter === undefined))
          assert.isAtLeast(limited.filter(({ _tag }) => _tag === "Settled").length, 5)

          yield* Effect.promise(() => own.killApiServer())
          yield* Effect.promise(() =>
            own.startApiServer({
              eventRateLimit: { type: "Namespace", qps: 100_000 },
              apiServerArguments: ["--enable-priority-and-fairness=false", "--max-mutating-requests-inflight=1"]
            })
          )
          const crowded = yield* backend.write(makeSeries(yield* EventId.makeOrigin, "crowded", 200))
          const asked = crowded.flatMap((outcome) =>
            outcome._tag === "Retry" && outcome.error.reason._tag === "Throttled" ? [outcome.error.reason] : []
          )
          assert.isAtLeast(asked.length, 1)
          assert.isTrue(asked.every(({ retryAfter, scope }) => scope === "backend" && retryAfter !== undefined))
        }).pipe(Effect.provide([cluster.layer("user"), quiet])),
      180_000
    )
  })
}
