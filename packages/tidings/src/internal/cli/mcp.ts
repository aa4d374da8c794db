/**
 * `mcp`: the events for agents, over the Model Context Protocol.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { examples } from "./examples.ts"
import * as flags from "./flags.ts"
import * as session from "./session.ts"

/** @internal */
export const mcp = Command.make(
  "mcp",
  {
    namespace: flags.text("namespace", {
      alias: "n",
      value: "NAMESPACE",
      description: "The namespace of calls that name none (default all)"
    })
  },
  Effect.fnUntraced(function* ({ namespace }) {
    if (namespace === "") return yield* session.refuse("--namespace is empty: leave it out")
    // What speaks the protocol is as large as the command, and no other verb needs it.
    const server = yield* Effect.promise(() => import("./mcpServer.ts"))
    yield* server.stdio({ namespace })
  }, session.verb("mcp"))
).pipe(
  Command.withDescription(
    "Serve the events to agents over the Model Context Protocol, on stdin and stdout. Ends when stdin does."
  ),
  Command.withShortDescription("Serve the events to agents (MCP)"),
  examples("", "-n team-a")
)
