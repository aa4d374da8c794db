#!/usr/bin/env bash
# @modelcontextprotocol/conformance 0.2.0-alpha.12: with `--spec-version 2025-06-18` the suite speaks 2025-11-25.
#
# A server that serves several revisions of the Model Context Protocol runs the official suite once for each. The guess:
# `--spec-version` is what the suite's client offers at `initialize`. Seen: it only selects scenarios. For 2025-06-18 the client
# offers 2025-11-25, its newest with sessions, and takes what the server answers.
#
# Why it matters: the run for 2025-06-18 is green, and shows nothing about how the server speaks 2025-06-18. Only a client that
# is made to offer that revision does.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 @modelcontextprotocol/sdk@1.32.2 @modelcontextprotocol/conformance@0.2.0-alpha.12
cat >run.mjs <<'PROGRAM'
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:http"
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js"

const offered = new Set()
const http = createServer(async (request, response) => {
  let text = ""
  for await (const chunk of request) text += chunk
  const body = text === "" ? undefined : JSON.parse(text)
  if (body?.method === "initialize") offered.add(body.params.protocolVersion)
  const server = new Server({ name: "server", version: "1.0.0" }, { capabilities: {} })
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined })
  await server.connect(transport)
  await transport.handleRequest(request, response, body)
})
http.listen(0, "127.0.0.1")
await once(http, "listening")
const suite = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
const seen = {}
for (const revision of ["2025-06-18", "2025-11-25"]) {
  offered.clear()
  const url = `http://127.0.0.1:${http.address().port}/mcp`
  const args = [suite, "server", "--url", url, "--scenario", "ping", "--spec-version", revision]
  const [code] = await once(spawn(process.execPath, args, { stdio: "ignore" }), "close")
  seen[revision] = { offered: [...offered], code }
}
console.log(JSON.stringify(seen))
process.exit(0)
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='{"2025-06-18":{"offered":["2025-11-25"],"code":0},"2025-11-25":{"offered":["2025-11-25"],"code":0}}'
echo "@modelcontextprotocol/conformance 0.2.0-alpha.12: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
