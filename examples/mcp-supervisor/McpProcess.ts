/**
 * One MCP server process and the official client that talks to it over stdin and stdout.
 */
import { Client } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export class McpError extends Data.TaggedError("McpError")<{ readonly message: string }> {}

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

const attempt = <A>(what: string, run: () => Promise<A>): Effect.Effect<A, McpError> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new McpError({ message: `${what}: ${cause instanceof Error ? cause.message : String(cause)}` })
  })

/** Starts the process, shakes hands, and ends it when the scope closes. */
export const start = ({ args, command }: McpCommand): Effect.Effect<McpProcess, McpError, Scope.Scope> =>
  Effect.gen(function* () {
    const client = new Client(
      { name: "tidings-mcp-supervisor", version: "0.1.0" },
      // Without this the client speaks no revision from 2026-07-28 on.
      { versionNegotiation: { mode: "auto" } }
    )
    const transport = new StdioClientTransport({ command, args: [...args], stderr: "ignore" })
    yield* Effect.acquireRelease(
      attempt("start", () => client.connect(transport, { timeout: 15_000 })),
      () => Effect.ignore(attempt("close", () => client.close()))
    )
    return {
      pid: transport.pid ?? 0,
      revision: client.getNegotiatedProtocolVersion(),
      tools: Effect.map(
        attempt("tools/list", () => client.listTools()),
        ({ tools }) => tools.map(({ name }) => name).sort()
      ),
      call: (name, args) =>
        Effect.flatMap(
          attempt(name, () => client.callTool({ name, arguments: args }, { timeout: 10_000 })),
          (result) => {
            const text = result.content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n")
            return result.isError === true
              ? Effect.fail(new McpError({ message: `${name}: ${text}` }))
              : Effect.succeed(text)
          }
        ),
      // Revisions from 2026-07-28 on have no ping.
      probe: Effect.asVoid(
        client.getProtocolEra() === "modern"
          ? attempt("server/discover", () => client.discover(PROBE))
          : attempt("ping", () => client.ping(PROBE))
      )
    }
  })
