/**
 * The official client, as Effects.
 */
import { Client, type CallToolResult, type Transport } from "@modelcontextprotocol/client"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export class McpError extends Data.TaggedError("McpError")<{ readonly message: string }> {}

export const attempt = <A>(what: string, run: () => Promise<A>): Effect.Effect<A, McpError> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new McpError({ message: `${what}: ${cause instanceof Error ? cause.message : String(cause)}` })
  })

/** Opens the transport and shakes hands; closes both with the scope. */
export const connect = (transport: Transport): Effect.Effect<Client, McpError, Scope.Scope> => {
  const client = new Client(
    { name: "tidings-mcp-supervisor", version: "0.1.0" },
    // Without this the client speaks no revision from 2026-07-28 on.
    { versionNegotiation: { mode: "auto" } }
  )
  return Effect.acquireRelease(
    Effect.as(
      attempt("start", () => client.connect(transport, { timeout: 15_000 })),
      client
    ),
    () => Effect.ignore(attempt("close", () => client.close()))
  )
}

const textOf = ({ content }: CallToolResult): string =>
  content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n")

/** The text that the tool answers; an answer that says `isError` is a failure. */
export const call = (client: Client, name: string, args: Record<string, unknown>): Effect.Effect<string, McpError> =>
  Effect.flatMap(
    attempt(name, () => client.callTool({ name, arguments: args }, { timeout: 10_000 })),
    (result) => {
      const text = textOf(result)
      return result.isError === true ? Effect.fail(new McpError({ message: `${name}: ${text}` })) : Effect.succeed(text)
    }
  )
