/**
 * Watches over failures of the API server: only on a cluster that may be broken, that forgets after seconds what others
 * keep for minutes.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import type { Cursor } from "@tidings/core/EventQuery"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import { makeWrite, settle, watch } from "./following.ts"
import * as TestCluster from "./TestCluster.ts"

const quiet = Layer.succeed(References.MinimumLogLevel, "None")
if (process.env["TIDINGS_TEST_CLUSTER"] !== "kubeconfig") {
  const cluster = await TestCluster.start({ eventTtl: "20s", compactionInterval: "15s" })
  afterAll(() => cluster[Symbol.asyncDispose]())
  const own = cluster.own!
  const [, namespace] = cluster.namespaces
  const layer = cluster.layer("user", { timeout: "5 seconds" })
  const restart = Effect.promise(async () => {
    await own.killApiServer()
    await own.startApiServer({ waitUntilReady: false })
  })

  describe("a watch on a server that", () => {
    it.live("is killed and started again loses and repeats nothing", () =>
      Effect.gen(function* () {
        const backend = yield* Backend.Backend
        const filter = { resourceName: "restarted", namespace }
        const watching = yield* watch(backend, filter, "now")
        yield* watching.waitFor("Live")
        const before = Array.from({ length: 20 }, () => makeWrite(namespace, "restarted"))
        yield* Effect.forEach(before, (one) => settle(backend, one))
        yield* restart
        const after = Array.from({ length: 20 }, () => makeWrite(namespace, "restarted"))
        yield* Effect.forEach(after, (one) => settle(backend, one))
        yield* watching.until(() => watching.items.length >= 41)
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual(watching.shown(), ["Live", ...[...before, ...after].map(({ id }) => id.seq)])
      }).pipe(Effect.provide([layer, quiet]))
    )

    it.live(
      "has forgotten the changes since says Gap, then what survived; what expires is no news",
      () =>
        Effect.gen(function* () {
          const backend = yield* Backend.Backend
          const filter = { resourceName: "forgotten", namespace }
          const watching = yield* watch(backend, filter, "now")
          yield* watching.waitFor("Live")
          const cursor: Cursor = watching.items[0]!.cursor
          const early = makeWrite(namespace, "forgotten")
          yield* settle(backend, early)
          yield* watching.until(() => watching.items.length === 2)
          // Longer than events live, and than history is kept twice over; the rest of the cluster goes on.
          for (let round = 0; round < 24; round++) {
            yield* settle(backend, makeWrite(namespace, "noise"))
            yield* Effect.sleep("2 seconds")
          }
          assert.deepStrictEqual(watching.shown(), ["Live", early.id.seq])
          const late = makeWrite(namespace, "forgotten")
          yield* settle(backend, late)
          yield* watching.until(() => watching.items.length === 3)
          assert.deepStrictEqual(watching.shown(), ["Live", early.id.seq, late.id.seq])

          const resumed = yield* watch(backend, filter, cursor)
          yield* resumed.waitFor("Live")
          assert.deepStrictEqual(resumed.shown(), ["Gap", late.id.seq, "Live"])
        }).pipe(Effect.provide([layer, quiet])),
      150_000
    )
  })
} else {
  it("a watch on a failing server is tested only on a cluster that the test may break", () => {})
}
