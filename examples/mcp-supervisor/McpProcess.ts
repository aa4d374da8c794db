/**
 * One MCP server process and the official client that talks to it over stdin and stdout.
 */
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { attempt, call, connect, type McpError } from "./McpClient.ts"

export interface McpCommand {
  readonly command: string
  readonly args: ReadonlyArray<string>
}

export interface McpProcess {
  readonly pid: number
  /** The revision of the protocol that both speak, such as `2026-07-28`. */
  readonly revision: string | undefined
  readonly tools: Effect.Effect<ReadonlyArray<string>, McpError>
  /** The text that the tool answers; an answer that says `isError` is a failure. */
  readonly call: (tool: string, args: Record<string, unknown>) => Effect.Effect<string, McpError>
  /** Asks the server for the cheapest answer that its protocol revision has, never one from a cache. */
  readonly probe: Effect.Effect<void, McpError>
}

const PROBE = { timeout: 2_000 }

/** Starts the process, shakes hands, and ends it when the scope closes. */
export const start = ({ args, command }: McpCommand): Effect.Effect<McpProcess, McpError, Scope.Scope> =>
  Effect.gen(function* () {
    const transport = new StdioClientTransport({ command, args: [...args], stderr: "ignore" })
    const client = yield* connect(transport)
    return {
      pid: transport.pid ?? 0,
      revision: client.getNegotiatedProtocolVersion(),
      tools: Effect.map(
        attempt("tools/list", () => client.listTools()),
        ({ tools }) => tools.map(({ name }) => name).sort()
      ),
      call: (name, args) => call(client, name, args),
      // Revisions from 2026-07-28 on have no ping.
      probe: Effect.asVoid(
        client.getProtocolEra() === "modern"
          ? attempt("server/discover", () => client.discover(PROBE))
          : attempt("ping", () => client.ping(PROBE))
      )
    }
  })
