/**
 * A watch over a way that is dead and does not say so.
 */
import { afterAll, assert, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as fs from "node:fs"
import * as net from "node:net"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import { makeWrite, settle, watch } from "./following.ts"
import * as TestCluster from "./TestCluster.ts"

const cluster = await TestCluster.start()
afterAll(() => cluster[Symbol.asyncDispose]())
const [, namespace] = cluster.namespaces

if (cluster.own === undefined) {
  it("a half-open connection is tested only on a cluster that the test may break", () => {})
} else {
  const { own } = cluster
  it.live(
    "a watch whose connection only seems to live finds out within 45 seconds",
    () =>
      Effect.gen(function* () {
        const sockets = new Set<net.Socket>()
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
          Backend.Backend,
          yield* Layer.build(KubernetesBackend.layer({ kubeconfig: file, context: "user" }))
        )
        const watching = yield* watch(behind, { resourceName: "frozen", namespace }, "now")
        yield* watching.waitFor("Live")
        yield* Effect.sleep("1 second")
        for (const socket of sockets) {
          // Neither data nor an end comes through any more, and the system still answers for the other side.
          socket.removeAllListeners("data")
          socket.pause()
        }
        const one = makeWrite(namespace, "frozen")
        yield* settle(direct, one)
        yield* Effect.timeout(
          watching.until(() => watching.items.length === 2),
          "46 seconds"
        )
        assert.deepStrictEqual(watching.shown(), ["Live", one.id.seq])
      }).pipe(Effect.provide([cluster.layer("user"), Layer.succeed(References.MinimumLogLevel, "None")])),
    90_000
  )
}
