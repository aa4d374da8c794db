#!/usr/bin/env bash
# undici 8.12.4: after a process had no turn for a while, an agent tells `disconnect` of the connections that the server closed
# only after new connections to its successor were made and the requests were given to them.
#
# The guess: who counts `disconnect` to notice that another server may have taken the place of the first one hears of it before a
# request goes there. Seen: the process does nothing for 0.7 s, as one that is stopped, or whose machine sleeps. Meanwhile the
# server closes its connections, and another one listens at the address. Of three requests after it, one was for the idle
# connection; all three go to the second server, over connections that are told before the `disconnect` of the first.
#
# Why it matters: what must go to one server alone, such as events to the cluster that they are about, is sent to another one that
# took its address. A check before the request does not help. The connection has to be held back until the event loop had its
# turn, and to be given up where others were closed meanwhile.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 undici@8.12.4
cat >server.mjs <<'PROGRAM'
import { createServer } from "node:http"

const serve = (body, port) =>
  new Promise((listening) => {
    const server = createServer((_, response) => response.end(body))
    server.listen(port, "127.0.0.1", () => listening(server))
  })
const first = await serve("first", 0)
const { port } = first.address()
process.stdout.write(String(port))
process.stdin.once("data", () =>
  setTimeout(() => {
    first.close(() => serve("second", port))
    first.closeAllConnections()
  }, 100)
)
PROGRAM
cat >run.mjs <<'PROGRAM'
import { spawn } from "node:child_process"
import { once } from "node:events"
import { Agent } from "undici"

const child = spawn(process.execPath, ["server.mjs"], { stdio: ["pipe", "pipe", "inherit"] })
const origin = `http://127.0.0.1:${(await once(child.stdout, "data"))[0]}`
const agent = new Agent({ connections: 4 })
const seen = []
agent.on("connect", () => seen.push("connect"))
agent.on("disconnect", () => seen.push("disconnect"))
const post = async () => {
  const { body } = await agent.request({ origin, path: "/", method: "POST" })
  seen.push(await body.text())
}
await post()
child.stdin.write("replace")
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700)
await Promise.all([post(), post(), post()])
console.log(seen.join(" "))
child.kill()
await agent.close()
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected="connect first connect connect connect disconnect second second second"
echo "undici 8.12.4: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
