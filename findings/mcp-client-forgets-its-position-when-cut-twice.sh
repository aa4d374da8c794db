#!/usr/bin/env bash
# @modelcontextprotocol/sdk 1.32.2 and @modelcontextprotocol/client 2.4.0: a client that is cut off twice, without a notification
# in between, resumes from nowhere, so that what was sent meanwhile is lost.
#
# The guess: a client sends the id of the last event that it got as `Last-Event-ID` each time it opens the stream of notifications
# again, as an EventSource does, and a server with an event store sends what came after. Seen: the id is kept for each connection
# by itself. A connection that ended before it brought an event leaves none, and the next one is opened without the header. What the
# server has stored since is not sent, and nobody is told.
#
# Why it matters: a proxy that closes idle connections cuts a quiet stream again and again, so it is the usual case, and a test with
# one cut passes. Who follows resources by notifications has to read them anew after each cut. (Issue 2499 of the project is about
# it.)
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
import { ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js"
import { createServer } from "node:http"
import { setTimeout as sleep } from "node:timers/promises"

// An event store whose ids are numbers.
const makeStore = () => {
  const events = []
  return {
    storeEvent: async (streamId, message) => String(events.push({ streamId, message })),
    getStreamIdForEventId: async (id) => events[id - 1]?.streamId,
    replayEventsAfter: async (id, { send }) => {
      const { streamId } = events[id - 1]
      for (const [index, event] of events.entries())
        if (index >= id && event.streamId === streamId) await send(String(index + 1), event.message)
      return streamId
    }
  }
}

const run = async ({ Client, StreamableHTTPClientTransport }, notification, cuts) => {
  const server = new Server({ name: "server", version: "1.0.0" }, { capabilities: { resources: { subscribe: true } } })
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => "session", eventStore: makeStore() })
  await server.connect(transport)
  const positions = []
  let stream
  const http = createServer(async (request, response) => {
    let text = ""
    for await (const chunk of request) text += chunk
    if (request.method === "GET") {
      positions.push(request.headers["last-event-id"] === undefined ? "without an id" : "with an id")
      stream = response
    }
    await transport.handleRequest(request, response, text === "" ? undefined : JSON.parse(text))
  })
  await new Promise((listening) => http.listen(0, "127.0.0.1", listening))
  const until = async (condition) => {
    for (let n = 0; n < 200 && !condition(); n++) await sleep(50)
  }
  const got = []
  const client = new Client({ name: "client", version: "1.0.0" })
  client.onerror = () => {}
  client.setNotificationHandler(notification, ({ params }) => void got.push(params.uri))
  const send = (uri) => server.sendResourceUpdated({ uri })
  await client.connect(new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${http.address().port}/mcp`)))
  await until(() => positions.length === 1)
  await sleep(200)
  await send("test:before")
  await until(() => got.length === 1)
  for (let cut = 1; cut <= cuts; cut++) {
    stream.socket.destroy()
    await sleep(200)
    if (cut === cuts) await send("test:meanwhile")
    await until(() => positions.length === cut + 1)
    await sleep(300)
  }
  await send("test:after")
  await until(() => got.includes("test:after"))
  http.close()
  return `${got.map((uri) => uri.slice("test:".length)).join(", ")} (opened ${positions.join(", ")})`
}

const first = { Client, StreamableHTTPClientTransport }
for (const cuts of [1, 2]) {
  console.log(`sdk, cut ${cuts}: ${await run(first, ResourceUpdatedNotificationSchema, cuts)}`)
  console.log(`client, cut ${cuts}: ${await run(second, "notifications/resources/updated", cuts)}`)
}
process.exit(0)
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected="sdk, cut 1: before, meanwhile, after (opened without an id, with an id)
client, cut 1: before, meanwhile, after (opened without an id, with an id)
sdk, cut 2: before, after (opened without an id, with an id, without an id)
client, cut 2: before, after (opened without an id, with an id, without an id)"
echo "notifications that arrive, @modelcontextprotocol/sdk 1.32.2 and @modelcontextprotocol/client 2.4.0:"
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
