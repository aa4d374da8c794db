// A gateway that aggregates two MCP servers and offers `events` among their tools: an agent asks it why a call failed.
import { Client } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const directory = mkdtempSync(join(tmpdir(), "tidings-example-"))
const agent = new Client({ name: "agent", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } })

const call = async (name: string, args: Record<string, unknown>) => {
  const { content, isError } = await agent.callTool({ name, arguments: args })
  const text = content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n")
  console.log(`\n${name} ${JSON.stringify(args)}${isError === true ? " fails" : ""}\n${text}`)
  return text
}

try {
  await agent.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: ["--conditions=@tidings/source", join(import.meta.dirname, "gateway.ts")],
      env: { TIDINGS_DIRECTORY: directory },
      cwd: import.meta.dirname
    })
  )
  const { tools } = await agent.listTools()
  const names = tools.map(({ name }) => name)
  console.log(`${names.length} tools: ${names.join(", ")}`)
  for (const name of ["events", "event_summary", "everything_echo", "filesystem_read_text_file"]) {
    assert.ok(names.includes(name), `the gateway has no tool ${name}`)
  }

  assert.match(await call("everything_get-sum", { a: 40, b: 2 }), /42/)
  assert.match(await call("filesystem_read_text_file", { path: "/etc/passwd" }), /Access denied/)
  assert.match(
    await call("events", { resourceType: "MCPServer", eventType: "Warning" }),
    /MCPServerFailed +default\/MCPServer\/filesystem .*read_text_file.*Access denied/
  )
} finally {
  await agent.close()
  rmSync(directory, { recursive: true, force: true })
}
