#!/usr/bin/env bash
# undici 8.12.4: `agent.destroy()` does nothing after `agent.close()` has been called.
#
# A host stops: it asks an Agent to close (no new requests, what is under way may end), and after a time it destroys it, so
# that a response that never ends, such as a watch of Kubernetes, cannot keep the process alive. The guess: `destroy` ends
# what `close` waits for, as it does for a Pool. Seen: for an Agent the promise of `destroy` resolves at once, while the
# response stays open and its connection too, and the promise of `close` stays pending.
#
# Why it matters: the process does not end, or the connections of a replaced credential live on, though every promise that
# was awaited says that they are gone. A client has to abort its requests itself.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 undici@8.12.4
cat >run.mjs <<'PROGRAM'
import { createServer } from "node:http"
import { Agent, Pool } from "undici"

const server = createServer((_, response) => {
  response.writeHead(200)
  response.write("the first line of a response that goes on")
})
await new Promise((done) => server.listen(0, "127.0.0.1", done))
const origin = `http://127.0.0.1:${server.address().port}`
const connections = () => new Promise((done) => server.getConnections((_, count) => done(count)))
const wait = () => new Promise((done) => setTimeout(done, 1_000))

const seen = {}
for (const [name, make] of [["Pool", () => new Pool(origin)], ["Agent", () => new Agent()]]) {
  const dispatcher = make()
  const { body } = await dispatcher.request({ origin, method: "GET", path: "/" })
  let response = "open"
  body.on("error", () => (response = "ended"))
  body.resume()
  let close = "pending"
  dispatcher.close().then(() => (close = "resolved"), () => (close = "rejected"))
  let destroy = "pending"
  dispatcher.destroy().then(() => (destroy = "resolved"), () => (destroy = "rejected"))
  await wait()
  seen[name] = { close, destroy, response, connections: await connections() }
}
console.log(JSON.stringify(seen))
process.exit(0)
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='{"Pool":{"close":"resolved","destroy":"resolved","response":"ended","connections":0},"Agent":{"close":"pending","destroy":"resolved","response":"open","connections":1}}'
echo "undici 8.12.4: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
