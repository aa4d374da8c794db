/**
 * What the official conformance suite asks a server for: its tools, resources, templates and prompts, by the names and with the
 * answers that the scenarios describe. A host registers its own in the same way.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as McpSchema from "effect/ai/McpSchema"
import * as McpServer from "effect/ai/McpServer"
import * as inputFixtures from "./inputFixtures.ts"
import { addTool, say, type Tools } from "./tools.ts"

const bytes = (base64: string): Uint8Array => Uint8Array.from(Buffer.from(base64, "base64"))

/** One red point. */
const PNG = bytes("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==")
/** The header of a sound without samples. */
const WAV = bytes("UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAAAAA==")

const image = { type: "image", data: PNG, mimeType: "image/png" } as const

/** The schema that must reach the client as it is. */
const JSON_SCHEMA_2020_12 = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } }
    }
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" }
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false
} as const

const toolsOf = (server: McpServer.McpServer["Service"]): Tools => ({
  test_simple_text: { handle: () => say("This is a simple text response for testing.") },
  test_image_content: { handle: () => Effect.succeed(new McpSchema.CallToolResult({ content: [image] })) },
  test_audio_content: {
    handle: () =>
      Effect.succeed(new McpSchema.CallToolResult({ content: [{ type: "audio", data: WAV, mimeType: "audio/wav" }] }))
  },
  test_embedded_resource: {
    handle: () =>
      Effect.succeed(
        new McpSchema.CallToolResult({
          content: [
            {
              type: "resource",
              resource: {
                uri: "test://embedded-resource",
                mimeType: "text/plain",
                text: "This is an embedded resource content."
              }
            }
          ]
        })
      )
  },
  test_multiple_content_types: {
    handle: () =>
      Effect.succeed(
        new McpSchema.CallToolResult({
          content: [
            { type: "text", text: "Multiple content types test:" },
            image,
            {
              type: "resource",
              resource: {
                uri: "test://mixed-content-resource",
                mimeType: "application/json",
                text: JSON.stringify({ test: "data", value: 123 })
              }
            }
          ]
        })
      )
  },
  test_error_handling: {
    handle: () =>
      Effect.succeed(
        new McpSchema.CallToolResult({
          isError: true,
          content: [{ type: "text", text: "This tool intentionally returns an error for testing" }]
        })
      )
  },
  json_schema_2020_12_tool: { inputSchema: JSON_SCHEMA_2020_12, handle: () => say("called") },
  test_custom_headers: {
    inputSchema: {
      type: "object",
      properties: {
        region: { type: "string", "x-mcp-header": "Region" },
        priority: { type: "integer", "x-mcp-header": "Priority" },
        dry: { type: "boolean", "x-mcp-header": "Dry" },
        query: { type: "string" }
      },
      required: ["region"]
    },
    handle: () => say("called")
  },
  test_tool_with_logging: {
    handle: () =>
      Effect.gen(function* () {
        for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
          yield* server.notifications["notifications/message"]({ level: "info", logger: "conformance", data })
          yield* Effect.sleep("50 millis")
        }
        return yield* say("logged")
      })
  },
  test_trigger_tool_change: {
    handle: () => Effect.andThen(addTool(server, "test_added", { handle: () => say("added") }), say("added a tool"))
  },
  test_trigger_prompt_change: {
    handle: () =>
      Effect.andThen(
        server.addPrompt({
          prompt: new McpSchema.Prompt({ name: "test_added", description: "A prompt that came later" }),
          annotations: Context.empty(),
          completions: {},
          handle: () => Effect.succeed(new McpSchema.GetPromptResult({ messages: [] }))
        }),
        say("added a prompt")
      )
  },
  // Answers in a stream. The suite wants the server to close it in between, and the client to continue with another.
  test_reconnection: {
    handle: () =>
      Effect.gen(function* () {
        yield* server.notifications["notifications/message"]({ level: "info", logger: "conformance", data: "begun" })
        yield* Effect.sleep("100 millis")
        return yield* say("reconnected")
      })
  },
  test_logging_tool: {
    handle: () =>
      Effect.andThen(
        server.notifications["notifications/message"]({ level: "info", logger: "conformance", data: "called" }),
        say("logged where the client asked for it")
      )
  },
  test_tool_with_progress: {
    handle: () =>
      Effect.gen(function* () {
        const token = yield* progressToken
        for (const progress of [0, 50, 100]) {
          if (token !== undefined) {
            yield* server.notifications["notifications/progress"]({ progressToken: token, progress, total: 100 })
          }
          yield* Effect.sleep("50 millis")
        }
        return yield* say("done")
      })
  }
})

const isToken = Schema.is(McpSchema.ProgressToken)

const progressToken = McpSchema.McpRequestContext.useSync(({ requestMetadata }) => {
  const metadata: { readonly [name: string]: unknown } | undefined = requestMetadata
  const token = metadata?.["progressToken"]
  return isToken(token) ? token : undefined
})

const text = Schema.String

const prompts = Layer.mergeAll(
  McpServer.prompt({
    name: "test_simple_prompt",
    description: "A prompt without arguments",
    content: () => Effect.succeed("This is a simple prompt for testing.")
  }),
  McpServer.prompt({
    name: "test_prompt_with_arguments",
    description: "A prompt with two arguments",
    parameters: {
      arg1: text.annotate({ description: "First test argument" }),
      arg2: text.annotate({ description: "Second test argument" })
    },
    completion: {
      arg1: (input) => Effect.succeed(["test", "testing", "paris", "park"].filter((value) => value.startsWith(input)))
    },
    content: ({ arg1, arg2 }) => Effect.succeed(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)
  }),
  McpServer.prompt({
    name: "test_prompt_with_embedded_resource",
    description: "A prompt with a resource",
    parameters: { resourceUri: text.annotate({ description: "URI of the resource to embed" }) },
    content: ({ resourceUri }) =>
      Effect.succeed([
        {
          role: "user" as const,
          content: {
            type: "resource" as const,
            resource: { uri: resourceUri, mimeType: "text/plain", text: "Embedded resource content for testing." }
          }
        },
        {
          role: "user" as const,
          content: { type: "text" as const, text: "Please process the embedded resource above." }
        }
      ])
  }),
  McpServer.prompt({
    name: "test_prompt_with_image",
    description: "A prompt with an image",
    content: () =>
      Effect.succeed([
        { role: "user" as const, content: image },
        { role: "user" as const, content: { type: "text" as const, text: "Please analyze the image above." } }
      ])
  })
)

const resources = Layer.mergeAll(
  McpServer.resource({
    uri: "test://static-text",
    name: "static-text",
    description: "A text",
    mimeType: "text/plain",
    content: Effect.succeed({
      contents: [
        {
          uri: "test://static-text",
          mimeType: "text/plain",
          text: "This is the content of the static text resource."
        }
      ]
    })
  }),
  McpServer.resource({
    uri: "test://static-binary",
    name: "static-binary",
    description: "An image",
    mimeType: "image/png",
    content: Effect.succeed({ contents: [{ uri: "test://static-binary", mimeType: "image/png", blob: PNG }] })
  }),
  McpServer.resource({
    uri: "test://watched-resource",
    name: "watched-resource",
    description: "A text to subscribe to",
    mimeType: "text/plain",
    content: Effect.succeed("watched")
  }),
  McpServer.resource`test://template/${McpSchema.param("id", text)}/data`({
    name: "template",
    description: "The data of an id",
    mimeType: "application/json",
    content: (uri, id) =>
      Effect.succeed({
        contents: [
          {
            uri,
            mimeType: "application/json",
            text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` })
          }
        ]
      })
  })
)

const tools = Layer.effectDiscard(
  McpServer.McpServer.use((server) =>
    Effect.forEach(Object.entries({ ...toolsOf(server), ...inputFixtures.tools }), ([name, tool]) =>
      addTool(server, name, tool)
    )
  )
)

const inputPrompt = Layer.effectDiscard(
  McpServer.McpServer.use((server) =>
    server.addPrompt({
      prompt: new McpSchema.Prompt({
        name: "test_input_required_result_prompt",
        description: "A prompt that asks the client for its context"
      }),
      annotations: Context.empty(),
      completions: {},
      handle: () => inputFixtures.prompt
    })
  )
)

/** For the `registrations` of a server. */
export const layer: Layer.Layer<never, never, McpServer.McpServer> = Layer.mergeAll(
  tools,
  prompts,
  inputPrompt,
  resources
)
