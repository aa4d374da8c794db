// A gateway on stdin and stdout: the tools of two MCP servers, and beside them those of Tidings, which tell how the two do.
import { Client, type CallToolResult, type Tool } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { Server } from "@modelcontextprotocol/server"
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import * as Tidings from "tidings/Tidings"

interface Route {
  readonly tool: Tool
  readonly call: (args: Record<string, unknown> | undefined, signal: AbortSignal) => Promise<CallToolResult>
}

const require = createRequire(import.meta.url)
const program = (name: string): string => join(dirname(require.resolve(`${name}/package.json`)), "dist", "index.js")

const upstreams = {
  everything: [program("@modelcontextprotocol/server-everything")],
  filesystem: [program("@modelcontextprotocol/server-filesystem"), process.cwd()]
}

const tidings = await Tidings.create({ component: "gateway", backend: "filesystem", console: false })
const routes = new Map<string, Route>()
const clients: Array<Client> = []

// The events of everything that happens here, for agents.
for (const tool of tidings.tools) {
  routes.set(tool.name, {
    tool,
    call: async (args, signal) => (await tidings.executeTool(tool.name, args, { signal })) as CallToolResult
  })
}

const textOf = ({ content }: CallToolResult): string =>
  content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n")

/** The tools of a server, each under the server's name, so that two servers may have the same tool. */
const aggregate = async (name: string, args: ReadonlyArray<string>): Promise<void> => {
  const server = { metadata: { name } }
  const failed = (what: string, error: unknown) =>
    tidings.generator.mcpServerEvent(server, "MCPServerFailed", {
      error: `${what}: ${error instanceof Error ? error.message : String(error)}`
    })
  const client = new Client({ name: "gateway", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } })
  clients.push(client)
  try {
    await client.connect(new StdioClientTransport({ command: process.execPath, args: [...args], stderr: "ignore" }))
    const { tools } = await client.listTools()
    await tidings.generator.mcpServerEvent(server, "MCPServerToolsDiscovered", {
      toolNames: tools.map((tool) => tool.name)
    })
    for (const tool of tools) {
      routes.set(`${name}_${tool.name}`, {
        tool: { ...tool, name: `${name}_${tool.name}` },
        call: async (given, signal) => {
          try {
            const result = await client.callTool({ name: tool.name, arguments: given }, { signal })
            if (result.isError === true) await failed(tool.name, textOf(result))
            return result
          } catch (error) {
            await failed(tool.name, error)
            throw error
          }
        }
      })
    }
  } catch (error) {
    // The gateway goes on without it, and its agents find out why.
    await failed("start", error)
  }
}
for (const [name, args] of Object.entries(upstreams)) await aggregate(name, args)

const gateway = serveStdio(() => {
  const server = new Server({ name: "gateway", version: "1.0.0" }, { capabilities: { tools: {} } })
  server.setRequestHandler("tools/list", () => ({
    tools: [...routes.values()].map(({ tool }) => tool)
  }))
  server.setRequestHandler("tools/call", async ({ params }, { mcpReq }) => {
    const route = routes.get(params.name)
    if (route !== undefined) return route.call(params.arguments, mcpReq.signal)
    return { content: [{ type: "text", text: `There is no tool ${params.name}` }], isError: true }
  })
  return server
})

// It ends with its input, or by a signal, and what it has recorded is stored by then.
let ending: Promise<unknown> | undefined
const end = () =>
  (ending ??= Promise.allSettled([gateway.close(), ...clients.map((client) => client.close())]).then(() =>
    tidings.close()
  ))
process.stdin.once("close", () => void end())
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void end().finally(() => process.kill(process.pid, signal)))
}
