import { assert, describe, it } from "@effect/vitest"
import * as EventServer from "@tidings/mcp/EventServer"
import { Context, Effect, Layer } from "effect"
import * as McpSchema from "effect/ai/McpSchema"
import * as McpServer from "effect/ai/McpServer"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import { layer } from "./support.ts"

const greet = Layer.effectDiscard(
  McpServer.McpServer.use((server) =>
    server.addTool({
      tool: new McpSchema.Tool({ name: "greet", inputSchema: { type: "object" } }),
      annotations: Context.empty(),
      handle: () => Effect.succeed(new McpSchema.CallToolResult({ content: [{ type: "text", text: "hello" }] }))
    })
  )
)

const serve = (options: Partial<EventServer.HttpOptions>) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      HttpRouter.toWebHandler(
        EventServer.layerHttp({ version: "1.0.0", token: undefined, ...options }).pipe(
          Layer.provide(layer()),
          Layer.provide(HttpServer.layerServices)
        ),
        { disableLogger: true }
      )
    ),
    ({ dispose }) => Effect.promise(dispose)
  )

const METADATA = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" }
}

const list = (headers: { readonly [name: string]: string }, path = "/mcp") =>
  new Request(`http://localhost:8811${path}`, {
    method: "POST",
    headers: {
      host: "localhost:8811",
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/list",
      ...headers
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: { _meta: METADATA } })
  })

const status = (
  { handler }: { readonly handler: (request: Request) => Promise<Response> },
  headers: { readonly [name: string]: string }
) => Effect.promise(async () => (await handler(list(headers))).status)

describe("the server over HTTP", () => {
  it.live("offers the tools of the host beside its own, at the path of the host", () =>
    Effect.gen(function* () {
      const { handler } = yield* serve({ registrations: greet, path: "/agents" })
      const response = yield* Effect.promise(() => handler(list({}, "/agents")))
      const text = yield* Effect.promise(() => response.text())
      for (const name of ["events", "event_summary", "greet"]) assert.include(text, `"name":"${name}"`)
    }).pipe(Effect.scoped)
  )

  it.live("lets in hosts and origins of this machine and those that are allowed, and no others", () =>
    Effect.gen(function* () {
      const web = yield* serve({ allowedHosts: ["events.example"], allowedOrigins: ["https://inspector.example"] })
      for (const [headers, expected] of [
        [{}, 200],
        [{ host: "127.0.0.1:1" }, 200],
        [{ host: "[::1]:8811" }, 200],
        [{ host: "events.example:443" }, 200],
        [{ host: "evil.example" }, 403],
        [{ host: "localhost.evil.example" }, 403],
        [{ origin: "http://localhost:6274" }, 200],
        [{ origin: "https://inspector.example" }, 200],
        [{ origin: "https://inspector.example:444" }, 403],
        [{ origin: "https://localhost.evil.example" }, 403],
        [{ origin: "http://localhost:6274/x" }, 403],
        [{ origin: "null" }, 403]
      ] as const) {
        assert.strictEqual(yield* status(web, headers), expected, JSON.stringify(headers))
      }
    }).pipe(Effect.scoped)
  )

  it.live("wants the token where there is one", () =>
    Effect.gen(function* () {
      const web = yield* serve({ token: "right-token" })
      for (const [authorization, expected] of [
        ["Bearer right-token", 200],
        ["bearer right-token", 200],
        ["Bearer right-toke", 401],
        ["Bearer right-token2", 401],
        ["Bearer", 401],
        ["right-token", 401]
      ] as const) {
        assert.strictEqual(yield* status(web, { authorization }), expected, authorization)
      }
      assert.strictEqual(yield* status(web, {}), 401)
    }).pipe(Effect.scoped)
  )
})
