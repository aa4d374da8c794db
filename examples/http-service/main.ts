// An HTTP service on Effect that records events, and `tidings mcp` beside it on the same log: an agent asks what failed.
import { Client } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { on, once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

const directory = mkdtempSync(join(tmpdir(), "tidings-example-"))
const service = spawn(process.execPath, ["--conditions=@tidings/source", join(import.meta.dirname, "service.ts")], {
  env: { ...process.env, PORT: "0", TIDINGS_DIRECTORY: directory },
  stdio: ["ignore", "pipe", "inherit"]
})
try {
  // Its log says where it listens.
  let url: string | undefined
  for await (const [chunk] of on(service.stdout, "data", { close: ["end"] })) {
    url = /http:\/\/[\d.:]+/.exec(String(chunk))?.[0]
    if (url !== undefined) break
  }
  assert.ok(url !== undefined, "the service ended before it listened")

  // Configured as any client configures it: the command `npx`, the arguments `tidings mcp --directory …`.
  const command = join(dirname(createRequire(import.meta.url).resolve("tidings/package.json")), "bin", "tidings.mjs")
  const agent = new Client({ name: "agent", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } })
  await agent.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: [command, "mcp", "--backend", "filesystem", "--directory", directory]
    })
  )

  for (const rollout of ["web/rollouts/v2", "api/rollouts/v7-broken"]) {
    const response = await fetch(`${url}/deployments/${rollout}`, { method: "POST", headers: { connection: "close" } })
    console.log(`${response.status} ${(await response.text()).trim()}`)
  }

  const answer = await agent.callTool({
    name: "events",
    arguments: { resourceType: "Deployment", eventType: "Warning" }
  })
  const [text] = answer.content
  assert.ok(text?.type === "text")
  console.log(`\nThe agent asks for warnings about deployments, and is answered:\n\n${text.text}`)
  assert.match(text.text, /RolloutFailed +default\/Deployment\/api +v7-broken does not run: its image cannot be pulled/)

  await agent.close()
  service.kill("SIGTERM")
  const [code] = (await once(service, "close")) as [number | null]
  assert.equal(code, 143)
} finally {
  service.kill("SIGKILL")
  rmSync(directory, { recursive: true, force: true })
}
