/**
 * Watches over failures of the API server: only on a cluster that may be broken, that forgets after seconds what others
 * keep for minutes.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { Cursor, EventFilter, WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as net from "node:net"
import * as KubernetesBackend from "../../src/KubernetesBackend.ts"
import { body } from "../writes.ts"
import * as TestCluster from "./TestCluster.ts"

const quiet = Layer.succeed(References.MinimumLogLevel, "None")
const origin = await Effect.runPromise(EventId.makeOrigin)
let seq = 0

const makeWrite = (namespace: string, name: string): Write => {
  const at = Date.now() * 1_000
  seq++
  return {
    id: { origin, seq },
    upTo: seq,
    count: 1,
    first: at,
    last: at,
    event: body({ involvedObject: { apiVersion: "v1", kind: "ConfigMap", name, namespace, uid: "u" }, data: {} })
  }
}

const settle = (backend: Backend.Service, one: Write): Effect.Effect<void, unknown> =>
  Effect.flatMap(backend.write([one]), ([outcome]) =>
    outcome?._tag === "Settled" ? Effect.void : Effect.andThen(Effect.sleep("100 millis"), settle(backend, one))
  )

const watch = Effect.fnUntraced(function* (backend: Backend.Service, filter: EventFilter, from: WatchFrom) {
  const items: Array<WatchItem> = []
  const fiber = yield* Effect.forkScoped(
    Stream.runForEach(backend.watch(filter, from), (item) => Effect.sync(() => items.push(item)))
  )
  const until = (condition: () => boolean): Effect.Effect<void> =>
    Effect.suspend(() => (condition() ? Effect.void : Effect.andThen(Effect.sleep("20 millis"), until(condition))))
  return {
    items,
    fiber,
    until,
    shown: () => items.map((item) => (item._tag === "Event" ? item.event.id.seq : item._tag)),
    waitFor: (tag: WatchItem["_tag"]) => until(() => items.some((item) => item._tag === tag))
  }
})

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

    it.live(
      "only seems to be there, because the way to it is dead, finds out within 45 seconds",
      () =>
        Effect.gen(function* () {
          const sockets = new Set<net.Socket>()
          let frozen = false
          const proxy = net.createServer((socket) => {
            const target = net.connect(own.port, "127.0.0.1")
            for (const one of [socket, target]) {
              sockets.add(one)
              one.on("error", () => {})
              one.on("close", () => {
                socket.destroy()
                target.destroy()
              })
            }
            socket.on("data", (data) => target.write(data))
            target.on("data", (data) => socket.write(data))
          })
          yield* Effect.promise(() => new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve)))
          yield* Effect.addFinalizer(() =>
            Effect.sync(() => {
              for (const socket of sockets) socket.destroy()
              proxy.close()
            })
          )
          const { port } = proxy.address() as net.AddressInfo
          const file = `${own.directory}/through-proxy`
          fs.writeFileSync(file, fs.readFileSync(own.kubeconfig, "utf8").replaceAll(`:${own.port}`, `:${port}`))
          const direct = yield* Backend.Backend
          const behind = yield* Effect.provide(
            Effect.gen(function* () {
              return yield* Backend.Backend
            }),
            yield* Layer.build(KubernetesBackend.layer({ kubeconfig: file, context: "user" }))
          )
          const watching = yield* watch(behind, { resourceName: "frozen", namespace }, "now")
          yield* watching.waitFor("Live")
          yield* Effect.sleep("1 second")
          frozen = true
          for (const socket of sockets) {
            // Neither data nor an end comes through any more, and the system still answers for the other side.
            socket.removeAllListeners("data")
            socket.pause()
          }
          assert.isTrue(frozen)
          const one = makeWrite(namespace, "frozen")
          yield* settle(direct, one)
          const started = Date.now()
          yield* watching.until(() => watching.items.length === 2)
          assert.deepStrictEqual(watching.shown(), ["Live", one.id.seq])
          assert.isBelow(Date.now() - started, 46_000)
          yield* Fiber.interrupt(watching.fiber)
        }).pipe(Effect.provide([layer, quiet])),
      90_000
    )
  })
} else {
  it("is tried on a cluster of its own only", () => {})
}
