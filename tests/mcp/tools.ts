/** A tool of the suite: a description that its list wants to have, and what it answers. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as McpSchema from "effect/ai/McpSchema"
import type * as McpServer from "effect/ai/McpServer"

type Added = Parameters<McpServer.McpServer["Service"]["addTool"]>[0]

export interface Tool {
  /** Any object unless given. */
  readonly inputSchema?: McpSchema.ToolJson
  readonly handle: (args: { readonly [name: string]: unknown }) => ReturnType<Added["handle"]>
}

export type Tools = { readonly [name: string]: Tool }

export const addTool = (server: McpServer.McpServer["Service"], name: string, { handle, inputSchema }: Tool) =>
  server.addTool({
    tool: new McpSchema.Tool({
      name,
      description: `The tool ${name} of the conformance suite`,
      inputSchema: inputSchema ?? { type: "object" }
    }),
    annotations: Context.empty(),
    handle: (args) => handle(args ?? {})
  })

export const say = (text: string) => Effect.succeed(new McpSchema.CallToolResult({ content: [{ type: "text", text }] }))
