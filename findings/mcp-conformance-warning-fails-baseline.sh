#!/usr/bin/env bash
# @modelcontextprotocol/conformance 0.2.0-alpha.12: a warning is a failure where a list of expected failures is given, and only there.
#
# A server passes every scenario of the official suite. The guess: giving `--expected-failures` with an empty list changes
# nothing. Seen: a scenario with a warning passes without the list (exit code 0); with the list it is an unexpected failure (exit
# code 1), although the suite goes on to say that no check of it failed. Here the warning is about the name of a tool.
#
# Why it matters: what is read off the summary (`✓ NAME: N passed, 0 failed`) and off the exit code are not the same, and the
# first list of a project has entries whose scenarios its summary shows as passed.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 @modelcontextprotocol/sdk@1.32.2 @modelcontextprotocol/conformance@0.2.0-alpha.12
cat >run.mjs <<'PROGRAM'
import { spawn } from "node:child_process"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js"
import { ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js"

const tool = { name: "two words", description: "Names should have no spaces", inputSchema: { type: "object" } }
const http = createServer(async (request, response) => {
  let text = ""
  for await (const chunk of request) text += chunk
  const server = new Server({ name: "server", version: "1.0.0" }, { capabilities: { tools: {} } })
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [tool] }))
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined })
  await server.connect(transport)
  await transport.handleRequest(request, response, text === "" ? undefined : JSON.parse(text))
})
http.listen(0, "127.0.0.1")
await once(http, "listening")
writeFileSync("none.yaml", "server: []\n")
const suite = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
const run = async (...more) => {
  const url = `http://127.0.0.1:${http.address().port}/mcp`
  const args = [suite, "server", "--url", url, "--scenario", "tools-list", "--spec-version", "2025-11-25", ...more]
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "ignore"] })
  let text = ""
  child.stdout.on("data", (chunk) => (text += chunk))
  const [code] = await once(child, "close")
  return { result: /^Passed: .*$/m.exec(text)?.[0], code }
}
console.log(JSON.stringify({ without: await run(), with: await run("--expected-failures", "none.yaml") }))
process.exit(0)
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='{"without":{"result":"Passed: 2/2, 0 failed, 1 warnings","code":0},"with":{"result":"Passed: 2/2, 0 failed, 1 warnings","code":1}}'
echo "@modelcontextprotocol/conformance 0.2.0-alpha.12: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
