/**
 * The event server of a host with tools, resources and prompts of its own: those of the official conformance suite. It listens
 * on a free port and says where; any request with another Host or Origin than those of this machine is refused.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Backend from "@tidings/core/Backend"
import * as EventServer from "@tidings/mcp/EventServer"
import * as EventTools from "@tidings/mcp/EventTools"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as HttpRouter from "effect/http/HttpRouter"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as fixtures from "./fixtures.ts"

const node = createServer()

const server = HttpRouter.serve(
  EventServer.layerHttp({
    name: "conformance",
    version: "1.0.0",
    token: undefined,
    registrations: fixtures.layer
  }),
  { disableLogger: true, disableListenLog: true }
).pipe(
  Layer.provide(EventTools.layer()),
  Layer.provide(Backend.layerReader),
  Layer.provide(Backend.layerMemory()),
  Layer.provide(NodeHttpServer.layer(() => node, { port: 0, host: "127.0.0.1" }))
)

const program = Effect.gen(function* () {
  yield* Layer.build(server)
  console.error(`serving at http://127.0.0.1:${(node.address() as AddressInfo).port}/mcp`)
  return yield* Effect.never
})

NodeRuntime.runMain(Effect.scoped(program))
