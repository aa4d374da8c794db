/**
 * The events for agents while the supervisor runs: a server over Streamable HTTP, in this process, and an agent that asks.
 */
import { StreamableHTTPClientTransport, type Transport } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { layerReader } from "@tidings/core/Backend"
import * as EventServer from "@tidings/mcp/EventServer"
import * as EventTools from "@tidings/mcp/EventTools"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import { randomBytes } from "node:crypto"
import { createServer } from "node:http"
import { call, connect } from "./McpClient.ts"
import type { McpCommand } from "./McpProcess.ts"

/** Where agents ask, and what they have to bear. */
export class Endpoint extends Context.Service<Endpoint, { readonly url: string; readonly token: string }>()(
  "example/Endpoint"
) {}

/** Listens on a free port of this machine alone. */
export const layer = Layer.unwrap(
  Effect.sync(() => {
    const token = randomBytes(24).toString("base64url")
    const endpoint = Layer.effect(
      Endpoint,
      HttpServer.HttpServer.useSync(({ address }) => ({
        url: `${HttpServer.formatAddress(address)}/mcp`,
        token
      }))
    )
    return HttpRouter.serve(EventServer.layerHttp({ version: "0.1.0", token }), {
      disableLogger: true,
      disableListenLog: true
    }).pipe(
      Layer.provide(EventTools.layer()),
      Layer.provide(layerReader),
      Layer.merge(endpoint),
      Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
    )
  })
)

const ask = (transport: Transport, tool: string, args: Record<string, unknown>) =>
  Effect.scoped(Effect.flatMap(connect(transport), (client) => call(client, tool, args)))

export const askOverHttp = Effect.fnUntraced(function* (tool: string, args: Record<string, unknown>) {
  const { token, url } = yield* Endpoint
  const requestInit = { headers: { authorization: `Bearer ${token}` } }
  return yield* ask(new StreamableHTTPClientTransport(new URL(url), { requestInit }), tool, args)
})

export const askOverStdio = ({ args: given, command }: McpCommand, tool: string, args: Record<string, unknown>) =>
  ask(new StdioClientTransport({ command, args: [...given] }), tool, args)
