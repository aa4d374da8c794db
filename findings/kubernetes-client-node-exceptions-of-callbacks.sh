#!/usr/bin/env bash
# @kubernetes/client-node 2.0.1: an exception in the callback of a `Watch` is swallowed; one in the callback of an informer ends the
# process, or the informer, and its event counts as handled.
#
# The guess: an exception in a callback is told to `done` or to `error`, or ends the process, and is the same for both. Seen: the
# callback of a watch runs inside the `try` that is there for lines that are no JSON, whose `catch` is empty: nothing is told, and
# the next event comes. The callback `add` of an informer that throws while it watches is an unhandled rejection, which ends a
# process of Node by default. While it lists, `start()` is rejected, the objects behind it in the list are not told, and no watch
# begins; after another `start()` these come, but not the one that failed. `error` is called in no case.
#
# Why it matters: a mistake in a handler, or a database that is away, loses events without a line in the log; the same code in an
# informer stops the program. Callbacks have to catch all by themselves, and to keep what failed. (Issue 856 of the project, which is
# closed, was about the first one.)
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 @kubernetes/client-node@2.0.1
cat >run.mjs <<'PROGRAM'
import { CoreV1Api, KubeConfig, makeInformer, Watch } from "@kubernetes/client-node"
import { createServer } from "node:http"
import { setTimeout as sleep } from "node:timers/promises"

// An API server with the events 1 to 3 in its list, and 4 to 6 in its watch.
const event = (n) => ({
  apiVersion: "v1",
  kind: "Event",
  metadata: { name: String(n), namespace: "default", resourceVersion: String(n) },
  involvedObject: {}
})
const server = createServer((request, response) => {
  response.writeHead(200, { "Content-Type": "application/json" })
  if (new URL(request.url, "http://server").searchParams.get("watch") === "true")
    for (const n of [4, 5, 6]) response.write(`${JSON.stringify({ type: "ADDED", object: event(n) })}\n`)
  else
    response.end(
      JSON.stringify({ apiVersion: "v1", kind: "EventList", metadata: { resourceVersion: "3" }, items: [1, 2, 3].map(event) })
    )
})
await new Promise((listening) => server.listen(0, "127.0.0.1", listening))
const config = new KubeConfig()
config.loadFromOptions({
  clusters: [{ name: "test", server: `http://127.0.0.1:${server.address().port}`, skipTLSVerify: true }],
  users: [{ name: "test" }],
  contexts: [{ name: "test", cluster: "test", user: "test" }],
  currentContext: "test"
})
const api = config.makeApiClient(CoreV1Api)
let seen = []
let told = []
process.on("unhandledRejection", (error) => told.push(`unhandled rejection: ${error.message}`))
const handle = (bad) => ({ metadata: { name } }) => {
  if (name === bad) throw new Error(`cannot handle ${name}`)
  seen.push(name)
}
const show = (what) => {
  console.log(`${what}: ${seen.join(", ")}; ${told.join(", ") || "nothing is told"}`)
  seen = []
  told = []
}

const bad5 = handle("5")
const request = await new Watch(config).watch("/api/v1/events", {}, (_, object) => bad5(object), () => told.push("done"))
await sleep(500)
show("watch")
request.abort()
await sleep(200)
told = []

const informerOf = (bad) => {
  const informer = makeInformer(config, "/api/v1/events", () => api.listEventForAllNamespaces())
  informer.on("add", handle(bad))
  informer.on("error", (error) => told.push(`error: ${error.message}`))
  return informer
}
const start = async (informer) => {
  await informer.start().catch((error) => told.push(`start: ${error.message}`))
  await sleep(500)
}
await start(informerOf("5"))
show("informer that watches")
const informer = informerOf("2")
await start(informer)
show("informer that lists")
await start(informer)
show("the same one started again")
process.exit(0)
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected="watch: 4, 6; nothing is told
informer that watches: 1, 2, 3, 4, 6; unhandled rejection: cannot handle 5
informer that lists: 1; start: cannot handle 2
the same one started again: 3, 4, 5, 6; nothing is told"
echo "the callback for 5 or 2 throws, @kubernetes/client-node 2.0.1:"
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
