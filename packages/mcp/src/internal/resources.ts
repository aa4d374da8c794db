/**
 * The events of an object as a resource, which is what the tool `events` answers for it.
 *
 * @internal
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as McpSchema from "effect/ai/McpSchema"
import type * as McpServer from "effect/ai/McpServer"
import type { Service as EventTools } from "../EventTools.ts"
import * as text from "./text.ts"
import * as uris from "./uris.ts"

const EXAMPLE = "events://Workflow/default/deploy"

const read = (executeTool: EventTools["executeTool"], uri: string) =>
  Effect.suspend((): Effect.Effect<McpSchema.ReadResourceResult, McpSchema.InvalidParams | McpSchema.InternalError> => {
    const meant = uris.parse(uri)
    if (meant === undefined) {
      return Effect.fail(
        new McpSchema.InvalidParams({
          message: `The uri is ${text.show(uri)}, expected events://KIND/NAMESPACE/NAME, each percent-encoded, for example ${EXAMPLE}`
        })
      )
    }
    return Effect.flatMap(executeTool("events", meant), ({ content, isError, structuredContent }) =>
      isError === true
        ? Effect.fail(new McpSchema.InternalError({ message: content.map((part) => part.text).join("\n") }))
        : Effect.succeed({
            contents: [{ uri, mimeType: "application/json", text: JSON.stringify(structuredContent) }]
          })
    )
  })

/** @internal */
export const register = (server: McpServer.McpServer["Service"], executeTool: EventTools["executeTool"]) =>
  server.addResourceTemplate({
    template: new McpSchema.ResourceTemplate({
      uriTemplate: uris.TEMPLATE,
      name: "events of an object",
      title: "Events of an object",
      description:
        "The events of one object, newest first, as the tool events answers them. The namespace may be empty: events://Node//worker-1. " +
        "Subscribers are told within a second when there are more; the cursor of the text, given to the tool events as after, leads to them.",
      mimeType: "application/json"
    }),
    annotations: Context.empty(),
    // A pattern with three parts would not match where the one in the middle is empty.
    routerPath: "events:://*",
    completions: {},
    handle: (uri) => read(executeTool, uri)
  })
