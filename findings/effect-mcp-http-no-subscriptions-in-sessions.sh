#!/usr/bin/env bash
# effect 4.1.0: over HTTP, `McpServer` has resource subscriptions in 2026-07-28 only; in revisions with sessions it refuses them.
#
# The same registrations are served on stdio and over Streamable HTTP. The guess: a client of 2025-11-25 that can subscribe to a
# resource on stdio can over HTTP too, in the session that it has there. Seen: over HTTP `initialize` says `subscribe: false`
# beside `listChanged: true`, and `resources/subscribe` is answered with -32601, while `server/discover` of 2026-07-28, at the
# same address, says `subscribe: true`. No option changes it: `allowSubscriptions` is about 2026-07-28 alone.
#
# Why it matters: what clients of the older revisions learn from a push on stdio they never learn over HTTP. A server for both
# needs another way to follow, such as a tool that waits for what comes after a cursor.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 effect@4.1.0
cat >run.mjs <<'PROGRAM'
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as McpProtocol from "effect/ai/McpProtocol"
import * as McpServer from "effect/ai/McpServer"
import * as McpTest from "effect/ai/McpTest"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"

const uri = "test://text"
const registrations = McpServer.resource({ uri, name: "text", content: Effect.succeed("text") })

const { handler } = HttpRouter.toWebHandler(
  McpServer.layerHttp({
    name: "server",
    version: "1.0.0",
    path: "/mcp",
    protocols: [McpProtocol.v2026_07_28, McpProtocol.v2025_11_25],
    registrations
  }).pipe(Layer.provide(HttpServer.layerServices)),
  { disableLogger: true }
)
const post = (body, headers) =>
  handler(
    new Request("http://localhost/mcp", {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
      body: JSON.stringify({ jsonrpc: "2.0", ...body })
    })
  )
// An answer is JSON, or the data of one event.
const answer = async (response) => JSON.parse((await response.text()).replace(/^data: /, ""))

const version = "2025-11-25"
const clientInfo = { name: "client", version: "1.0.0" }
const began = await post({
  id: 1,
  method: "initialize",
  params: { protocolVersion: version, capabilities: {}, clientInfo }
})
const session = { "mcp-session-id": began.headers.get("mcp-session-id"), "mcp-protocol-version": version }
const { resources } = (await answer(began)).result.capabilities
await (await post({ method: "notifications/initialized" }, session)).text()
const subscribed = await answer(await post({ id: 2, method: "resources/subscribe", params: { uri } }, session))

const newest = "2026-07-28"
const _meta = {
  "io.modelcontextprotocol/protocolVersion": newest,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": clientInfo
}
const discovered = await answer(
  await post({ id: 1, method: "server/discover", params: { _meta } }, {
    "mcp-protocol-version": newest,
    "mcp-method": "server/discover"
  })
)

// The transport of tests is, as stdio, a connection of one client.
const connection = await Effect.runPromise(
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* McpTest.makeClient(registrations, { protocols: [McpProtocol.v2025_11_25] })
      return yield* Effect.match(client.subscribe({ uri }), { onFailure: ({ code }) => code, onSuccess: () => "subscribed" })
    })
  )
)
console.log(
  JSON.stringify({
    "a connection, 2025-11-25": connection,
    "HTTP, 2025-11-25": { ...resources, answer: subscribed.error?.code ?? "subscribed" },
    "HTTP, 2026-07-28": discovered.result.capabilities.resources
  })
)
process.exit(0)
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='{"a connection, 2025-11-25":"subscribed","HTTP, 2025-11-25":{"subscribe":false,"listChanged":true,"answer":-32601},"HTTP, 2026-07-28":{"subscribe":true,"listChanged":true}}'
echo "effect 4.1.0: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
