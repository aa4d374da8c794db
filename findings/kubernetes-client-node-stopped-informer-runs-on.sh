#!/usr/bin/env bash
# @kubernetes/client-node 2.0.1: an informer that was stopped runs on, in two ways.
#
# The guess: after the promise of `informer.stop()` is resolved no event comes any more, and `error` is for errors. Seen: `stop`
# aborts the watch, and the abort is told as an `error` (`AbortError`). The handler that the examples of the library show, which
# starts the informer again after a while, brings it back. And where `stop` is called while the first list is under way, there is
# nothing to abort yet: the watch begins after it, although the informer is stopped, and goes on for ever.
#
# Why it matters: a replica that lost its lease stops its informers and handles events all the same, beside the new leader. In the
# handler of `error` an `AbortError` has to be left out, and a callback has to know by itself that its informer was stopped.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 @kubernetes/client-node@2.0.1
cat >run.mjs <<'PROGRAM'
import { CoreV1Api, KubeConfig, makeInformer } from "@kubernetes/client-node"
import { createServer } from "node:http"
import { setTimeout as sleep } from "node:timers/promises"

// An API server with a list that takes its time, and a watch with an event every 100 ms.
let version = 10
let watches = 0
const server = createServer(async (request, response) => {
  const isWatch = new URL(request.url, "http://server").searchParams.get("watch") === "true"
  if (!isWatch) await sleep(300)
  response.writeHead(200, { "Content-Type": "application/json" })
  if (!isWatch) {
    const list = { apiVersion: "v1", kind: "EventList", metadata: { resourceVersion: String(version) }, items: [] }
    response.end(JSON.stringify(list))
    return
  }
  watches++
  const timer = setInterval(() => {
    version++
    const metadata = { name: `event-${version}`, namespace: "default", resourceVersion: String(version) }
    response.write(`${JSON.stringify({ type: "ADDED", object: { apiVersion: "v1", kind: "Event", metadata } })}\n`)
  }, 100)
  request.on("close", () => {
    watches--
    clearInterval(timer)
  })
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

const stopAfter = async (milliseconds, restart) => {
  const errors = []
  let isStopped = false
  let eventsAfterStop = 0
  const informer = makeInformer(config, "/api/v1/events", () => api.listEventForAllNamespaces())
  informer.on("add", () => {
    if (isStopped) eventsAfterStop++
  })
  informer.on("error", (error) => {
    errors.push(error.name)
    if (restart) setTimeout(() => informer.start(), 200)
  })
  void informer.start()
  await sleep(milliseconds)
  await informer.stop()
  isStopped = true
  await sleep(1_500)
  const seen = { errors: [...errors], watches, events: eventsAfterStop > 3 }
  restart = false
  await informer.stop()
  await sleep(300)
  return seen
}

console.log(
  JSON.stringify({
    whileItWatches: await stopAfter(1_000, false),
    withTheHandlerOfTheExamples: await stopAfter(1_000, true),
    whileItLists: await stopAfter(100, false)
  })
)
process.exit(0)
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='{"whileItWatches":{"errors":["AbortError"],"watches":0,"events":false},"withTheHandlerOfTheExamples":{"errors":["AbortError"],"watches":1,"events":true},"whileItLists":{"errors":[],"watches":1,"events":true}}'
echo "what is there after stop(), @kubernetes/client-node 2.0.1: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
