/**
 * The tools of the suite that need something of the client: in revisions with sessions they ask while they are called, in
 * 2026-07-28 they answer what they need, and are called again with it.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as McpSchema from "effect/ai/McpSchema"
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import { say, type Tools } from "./tools.ts"

type Json = { readonly [name: string]: unknown }

/** What the client is asked for in a form. */
const form = (message: string, properties: Json) =>
  ({
    method: "elicitation/create",
    params: {
      mode: "form",
      message,
      requestedSchema: { type: "object", properties, required: Object.keys(properties) }
    }
  }) as const

const question = (text: string, maxTokens: number) =>
  ({
    method: "sampling/createMessage",
    params: { messages: [{ role: "user", content: { type: "text", text } }], maxTokens }
  }) as const

const roots = { method: "roots/list", params: {} } as const

type Request = McpSchema.McpInputRequest

/** What the client filled in, where it did and each of the fields is there. */
const accepted = (response: McpSchema.McpInputResponse | undefined, ...fields: ReadonlyArray<string>) => {
  const content = response?.["action"] === "accept" ? response["content"] : undefined
  if (typeof content !== "object" || content === null) return undefined
  return fields.every((field) => field in content) ? (content as Json) : undefined
}

const isComplete = (request: Request, response: McpSchema.McpInputResponse | undefined): boolean => {
  if (response === undefined) return false
  switch (request.method) {
    case "elicitation/create":
      return (
        accepted(response, ...(request.params["requestedSchema"] as { required: Array<string> }).required) !== undefined
      )
    case "sampling/createMessage":
      return "content" in response
    case "roots/list":
      return Array.isArray(response["roots"])
  }
}

const key = randomBytes(32)
const mac = (state: string): Buffer => createHmac("sha256", key).update(state).digest()

/** The state goes through the hands of the client, so it is signed. */
const sign = (state: string): string => `${state}.${mac(state).toString("base64url")}`

const verify = (given: string | undefined) => {
  const [state = "", signature = ""] = given?.split(/\.(?=[^.]*$)/) ?? []
  const expected = mac(state)
  const found = Buffer.from(signature)
  const isSame = found.length === 43 && timingSafeEqual(found, Buffer.from(expected.toString("base64url")))
  return isSame
    ? Effect.succeed(state)
    : Effect.fail(new McpSchema.InvalidParams({ message: "requestState is not what this server gave" }))
}

const responses = McpSchema.McpRequestContext.useSync(({ inputResponses = {} }) => inputResponses)

/** Answers with `complete` when the client has given everything that is asked for. */
const ask = <A, E>(
  inputRequests: { readonly [name: string]: Request },
  complete: (given: { readonly [name: string]: McpSchema.McpInputResponse }) => Effect.Effect<A, E>
) =>
  Effect.flatMap(responses, (given): Effect.Effect<A | McpSchema.InputRequired, E> => {
    const isGiven = Object.entries(inputRequests).every(([name, request]) => isComplete(request, given[name]))
    return isGiven ? complete(given) : Effect.succeed(new McpSchema.InputRequired({ inputRequests }))
  })

/** The same with a state, which is there from the second call on. */
const askWithState = (inputRequests: { readonly [name: string]: Request }, answer: string) =>
  Effect.gen(function* () {
    const { requestState } = yield* McpSchema.McpRequestContext
    if (requestState !== undefined) yield* verify(requestState)
    const outcome = yield* ask(inputRequests, () => say(answer))
    return outcome instanceof McpSchema.InputRequired && requestState === undefined
      ? new McpSchema.InputRequired({ inputRequests, requestState: sign("asked") })
      : outcome
  })

const confirm = { confirm: form("Please confirm", { ok: { type: "boolean" } }) }

const multiRound = Effect.gen(function* () {
  const { inputResponses = {}, requestState } = yield* McpSchema.McpRequestContext
  const first = form("Step 1: What is your name?", { name: { type: "string" } })
  const second = form("Step 2: What is your favorite color?", { color: { type: "string" } })
  const step = requestState === undefined ? 1 : Number(yield* verify(requestState))
  if (step === 1 && !isComplete(first, inputResponses["step1"])) {
    return new McpSchema.InputRequired({ inputRequests: { step1: first }, requestState: sign("1") })
  }
  if (step === 1 || !isComplete(second, inputResponses["step2"])) {
    return new McpSchema.InputRequired({ inputRequests: { step2: second }, requestState: sign("2") })
  }
  return yield* say("Thank you")
})

const inAnswers: Tools = {
  test_input_required_result_elicitation: {
    handle: () =>
      ask({ user_name: form("What is your name?", { name: { type: "string" } }) }, ({ user_name }) =>
        say(`Hello, ${String(accepted(user_name)?.["name"])}!`)
      )
  },
  test_input_required_result_sampling: {
    handle: () =>
      ask({ capital_question: question("What is the capital of France?", 100) }, ({ capital_question }) =>
        say(JSON.stringify(capital_question?.["content"]))
      )
  },
  test_input_required_result_list_roots: {
    handle: () => ask({ client_roots: roots }, ({ client_roots }) => say(JSON.stringify(client_roots?.["roots"])))
  },
  test_input_required_result_request_state: { handle: () => askWithState(confirm, "state-ok") },
  test_input_required_result_tampered_state: { handle: () => askWithState(confirm, "confirmed") },
  test_input_required_result_multiple_inputs: {
    handle: () =>
      askWithState(
        {
          user_name: form("What is your name?", { name: { type: "string" } }),
          greeting: question("Generate a greeting", 50),
          client_roots: roots
        },
        "everything is there"
      )
  },
  test_input_required_result_multi_round: { handle: () => multiRound },
  test_input_required_result_capabilities: {
    handle: () =>
      Effect.flatMap(McpSchema.McpRequestContext, ({ clientCapabilities: { elicitation, sampling } }) =>
        ask(
          {
            ...(sampling === undefined ? undefined : { question: question("Anything to say?", 50) }),
            ...(elicitation === undefined ? undefined : confirm)
          },
          () => say("asked for what the client has")
        )
      )
  },
  test_missing_capability: { handle: () => ask({ question: question("Anything to say?", 50) }, () => say("answered")) },
  test_streaming_elicitation: { handle: () => ask(confirm, () => say("confirmed")) }
}

/** What a prompt of the suite answers. */
export const prompt = ask(
  { user_context: form("What context should the prompt use?", { context: { type: "string" } }) },
  ({ user_context }) =>
    Effect.succeed(
      new McpSchema.GetPromptResult({
        messages: [{ role: "user", content: { type: "text", text: String(accepted(user_context)?.["context"]) } }]
      })
    )
)

const failed = (message: string) =>
  new McpSchema.CallToolResult({ isError: true, content: [{ type: "text", text: message }] })

/** Asks the client that calls, where the revision has sessions. */
const reverse = (use: (client: McpSchema.McpReverseClient) => Effect.Effect<string, { readonly message: string }>) =>
  Effect.gen(function* () {
    const found = yield* Effect.serviceOption(McpSchema.McpServerClient)
    if (found._tag === "None") return failed("This revision has no requests of the server")
    return yield* Effect.flatMap(found.value.getClient, use).pipe(
      Effect.scoped,
      Effect.matchEffect({ onFailure: ({ message }) => Effect.succeed(failed(message)), onSuccess: say })
    )
  })

const decodeForm = Schema.decodeUnknownEffect(McpSchema.ElicitRequestFormParams)

const elicit = (message: string, properties: Json, required: ReadonlyArray<string>) =>
  reverse((client) =>
    decodeForm({ mode: "form", message, requestedSchema: { type: "object", properties, required } }).pipe(
      Effect.flatMap(client.elicit),
      Effect.map((result) => `User response: ${JSON.stringify(result)}`)
    )
  )

const string = { type: "string" } as const

const inRequests: Tools = {
  test_sampling: {
    inputSchema: { type: "object", properties: { prompt: string }, required: ["prompt"] },
    handle: ({ prompt: given }) =>
      reverse((client) =>
        Effect.map(
          client.createMessage({
            messages: [{ role: "user", content: { type: "text", text: String(given) } }],
            maxTokens: 100
          }),
          ({ content }) => `LLM response: ${JSON.stringify(content)}`
        )
      )
  },
  test_elicitation: {
    inputSchema: { type: "object", properties: { message: string }, required: ["message"] },
    handle: ({ message }) =>
      elicit(
        String(message),
        {
          username: { type: "string", description: "User's response" },
          email: { type: "string", description: "User's email address" }
        },
        ["username", "email"]
      )
  },
  test_elicitation_sep1034_defaults: {
    handle: () =>
      elicit(
        "Please check",
        {
          name: { type: "string", default: "John Doe" },
          age: { type: "integer", default: 30 },
          score: { type: "number", default: 95.5 },
          status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
          verified: { type: "boolean", default: true }
        },
        []
      )
  },
  test_elicitation_sep1330_enums: {
    handle: () => {
      const options = ["option1", "option2", "option3"]
      const titled = (word: string) =>
        ["First", "Second", "Third"].map((nth, index) => ({ const: `value${index + 1}`, title: `${nth} ${word}` }))
      return elicit(
        "Please choose",
        {
          untitledSingle: { type: "string", enum: options },
          titledSingle: { type: "string", oneOf: titled("Option") },
          legacyEnum: {
            type: "string",
            enum: ["opt1", "opt2", "opt3"],
            enumNames: ["Option One", "Option Two", "Option Three"]
          },
          untitledMulti: { type: "array", items: { type: "string", enum: options } },
          titledMulti: { type: "array", items: { anyOf: titled("Choice") } }
        },
        []
      )
    }
  }
}

export const tools: Tools = { ...inAnswers, ...inRequests }
