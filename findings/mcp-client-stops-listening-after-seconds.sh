#!/usr/bin/env bash
# @modelcontextprotocol/sdk 1.32.2 and @modelcontextprotocol/client 2.4.0: after a server was away for 4 seconds, the requests of a
# client succeed again in the same session, and its notifications never come again.
#
# The guess: a client whose requests get through is connected, and opens its stream of notifications again, at the latest with the
# next request; or `onclose` tells that the connection is gone. Seen: with its default options it tries the stream twice more,
# within 2.5 seconds. Then `onerror` is told of it once among the errors of each attempt, `onclose` is not called, and no later
# request opens the stream: `resources/subscribe` is accepted, and what it asks for is never heard of.
#
# Why it matters: a restart of a gateway takes longer than that. A client that follows resources stays as it was, with fresh answers
# to everything that it asks, and takes the silence for rest. `maxRetries` in `reconnectionOptions` has to be set for it. (Issue 2098
# of the project is about it.)
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 @modelcontextprotocol/sdk@1.32.2 @modelcontextprotocol/client@2.4.0
cat >run.mjs <<'PROGRAM'
import * as second from "@modelcontextprotocol/client"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js"
import { ResourceUpdatedNotificationSchema, SubscribeRequestSchema } from "@modelcontextprotocol/sdk/types.js"
import { createServer } from "node:http"
import * as net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"

const listen = (server) => new Promise((listening) => server.listen(0, "127.0.0.1", listening))

const run = async ({ Client, StreamableHTTPClientTransport }, notification, seconds) => {
  const server = new Server({ name: "server", version: "1.0.0" }, { capabilities: { resources: { subscribe: true } } })
  server.setRequestHandler(SubscribeRequestSchema, () => ({}))
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => "session" })
  await server.connect(transport)
  const http = createServer((request, response) => transport.handleRequest(request, response))
  await listen(http)

  // A gateway that is away for some time, while the server and its session live on.
  let isAway = false
  const sockets = new Set()
  const gateway = net.createServer((client) => {
    if (isAway) {
      client.destroy()
      return
    }
    const upstream = net.connect(http.address().port, "127.0.0.1")
    for (const [socket, other] of [[client, upstream], [upstream, client]]) {
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => other.destroy())
    }
    client.pipe(upstream).pipe(client)
  })
  await listen(gateway)

  let got = 0
  let closed = 0
  const client = new Client({ name: "client", version: "1.0.0" })
  client.onerror = () => {}
  client.onclose = () => closed++
  client.setNotificationHandler(notification, () => void got++)
  const url = new URL(`http://127.0.0.1:${gateway.address().port}/mcp`)
  await client.connect(new StreamableHTTPClientTransport(url))
  await sleep(500)
  const uri = "test:resource"
  await server.sendResourceUpdated({ uri })
  await sleep(300)
  const before = got
  isAway = true
  for (const socket of sockets) socket.destroy()
  await sleep(seconds * 1_000)
  isAway = false
  await sleep(300)
  const request = await client.subscribeResource({ uri }).then(() => "succeeds", () => "fails")
  await sleep(4_000)
  await server.sendResourceUpdated({ uri })
  await sleep(300)
  return `${before} notification before, a request ${request}, ${got - before} after, ${closed} closed`
}

const first = { Client, StreamableHTTPClientTransport }
for (const seconds of [0.5, 4]) {
  console.log(`sdk, ${seconds} s: ${await run(first, ResourceUpdatedNotificationSchema, seconds)}`)
  console.log(`client, ${seconds} s: ${await run(second, "notifications/resources/updated", seconds)}`)
}
process.exit(0)
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected="sdk, 0.5 s: 1 notification before, a request succeeds, 1 after, 0 closed
client, 0.5 s: 1 notification before, a request succeeds, 1 after, 0 closed
sdk, 4 s: 1 notification before, a request succeeds, 0 after, 0 closed
client, 4 s: 1 notification before, a request succeeds, 0 after, 0 closed"
echo "a server that is away for some time, @modelcontextprotocol/sdk 1.32.2 and @modelcontextprotocol/client 2.4.0:"
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
