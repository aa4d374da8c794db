// An MCP server over stdin and stdout that speaks the revisions that are named: `node server.ts 2026-07-28 2025-11-25`.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeStdio from "@effect/platform-node/NodeStdio"
import * as McpProtocol from "effect/ai/McpProtocol"
import * as McpServer from "effect/ai/McpServer"
import * as Layer from "effect/Layer"

const REVISIONS = {
  "2026-07-28": McpProtocol.v2026_07_28,
  "2025-11-25": McpProtocol.v2025_11_25,
  "2025-06-18": McpProtocol.v2025_06_18,
  "2025-03-26": McpProtocol.v2025_03_26,
  "2024-11-05": McpProtocol.v2024_11_05
}

const [first, ...rest] = process.argv.slice(2).map((name) => REVISIONS[name as keyof typeof REVISIONS])
const server = McpServer.layerStdio({
  name: "probed",
  version: "1.0.0",
  protocols: [first!, ...rest],
  registrations: Layer.empty
})
NodeRuntime.runMain(Layer.launch(Layer.provide(server, NodeStdio.layer)))
