/**
 * The tool `record_event`: an agent says what it did. There only where the host asks for it.
 *
 * @internal
 */
import type { EventDataInput } from "@tidings/core/EventData"
import type { EventDraft } from "@tidings/core/EventDraft"
import * as EventId from "@tidings/core/EventId"
import type { Recorded, RecordError } from "@tidings/core/Delivery"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Definition, ToolResult } from "../Tool.ts"
import * as eventSchema from "./eventSchema.ts"
import * as failures from "./failures.ts"
import * as fields from "./fields.ts"
import * as text from "./text.ts"

/** @internal */
export const NAME = "record_event"

/** The recorder escapes and cuts it; more than this is a mistake of the model. */
const LONGEST_MESSAGE = 65_536

/** @internal */
export const REQUIRED = ["resourceType", "resourceName", "reason"] as const

/** @internal */
export const argumentsOf = {
  resourceType: fields.word("The kind of the object that it is about: Workflow", "Workflow"),
  resourceName: fields.word("The name of the object", "deploy"),
  namespace: fields.word(
    "The namespace of the object; absent for one that is in none, or for the usual one",
    "default"
  ),
  apiVersion: fields.word("Group and version of the kind, where it is not known here: apps/v1", "apps/v1"),
  reason: fields.word("What happened, in one word that begins with a capital letter", "WorkflowExecuted"),
  message: {
    schema: {
      type: "string",
      description: "What happened, for people. Taken from the catalogue of the reason unless given"
    },
    example: "all 3 steps are done",
    read: (given: unknown): Result.Result<string, string> =>
      typeof given === "string" && given.length <= LONGEST_MESSAGE
        ? Result.succeed(given)
        : Result.fail(`a text of at most ${LONGEST_MESSAGE} characters`)
  },
  eventType: {
    schema: {
      type: "string",
      enum: ["Normal", "Warning"],
      description: "Taken from the catalogue of the reason, else Normal"
    },
    example: "Warning",
    read: (given: unknown): Result.Result<"Normal" | "Warning", string> =>
      given === "Normal" || given === "Warning" ? Result.succeed(given) : Result.fail("Normal or Warning")
  },
  data: {
    schema: { type: "object", description: "Fields for the message of the reason: stepId, error, duration (1m30s)" },
    example: { stepId: "build", error: "disk full" },
    read: (given: unknown): Result.Result<EventDataInput, string> =>
      typeof given === "object" && given !== null && !Array.isArray(given)
        ? Result.succeed(given as EventDataInput)
        : Result.fail("an object")
  }
} satisfies fields.Fields

/** @internal */
export const definition: Definition = {
  name: NAME,
  title: "Record a Kubernetes event",
  description:
    "Records one event about an object, for people and other agents to see. Use it for what you did or found out, not for " +
    "what is in events already. Recording the same again counts the event up.",
  inputSchema: fields.inputSchema(argumentsOf, REQUIRED),
  outputSchema: eventSchema.object(
    {
      outcome: {
        type: "string",
        enum: ["recorded", "leftOut"],
        description: "leftOut: a rule of this host keeps it out"
      },
      id: { type: "string", description: "The identity of the event" },
      by: { type: "string", description: "The rule that left it out" }
    },
    ["id", "by"]
  ),
  annotations: {
    title: "Record a Kubernetes event",
    readOnlyHint: false,
    destructiveHint: false,
    idempotentHint: false,
    openWorldHint: false
  }
}

/** The names of a draft's fields, as the arguments have them. */
const argumentNames: { readonly [field: string]: string } = {
  "involvedObject.kind": "resourceType",
  "involvedObject.name": "resourceName",
  "involvedObject.namespace": "namespace",
  "involvedObject.apiVersion": "apiVersion",
  type: "eventType"
}

const refusal = (error: RecordError): ToolResult =>
  error._tag === "InvalidEvent"
    ? failures.ofArguments(
        NAME,
        error.issues.map(
          ({ expected, field, found }) =>
            `${text.plain(argumentNames[field] ?? field, 200)} is ${text.plain(found, 200)}, expected ${text.plain(expected, 500)}`
        )
      )
    : failures.result(
        `${text.plain(error.message, 1_000)}. ${
          error.reason._tag === "Unknown" ? "Look with events before you record it again." : "Call again later."
        }`
      )

const recorded = (answer: Recorded): ToolResult => {
  if (answer._tag === "Filtered") {
    const by = text.plain(answer.by)
    return {
      content: [{ type: "text", text: `Not recorded: the rule ${by} of this host leaves such events out.` }],
      structuredContent: { outcome: "leftOut", by }
    }
  }
  const id = EventId.format(answer.id)
  return { content: [{ type: "text", text: `Recorded: ${id}` }], structuredContent: { outcome: "recorded", id } }
}

/** @internal */
export const run = (
  record: (draft: EventDraft) => Effect.Effect<Recorded, RecordError>,
  given: fields.Arguments<typeof argumentsOf>,
  kindOf: (written: string) => string
): Effect.Effect<ToolResult> => {
  const { apiVersion, data, eventType, message, namespace, reason, resourceName, resourceType } = given
  const draft: EventDraft = {
    involvedObject: {
      ...(apiVersion === undefined ? undefined : { apiVersion }),
      // What is missing has been refused.
      kind: kindOf(resourceType ?? ""),
      name: resourceName ?? "",
      ...(namespace === undefined ? undefined : { namespace })
    },
    reason: reason ?? "",
    type: eventType,
    message,
    data
  }
  return Effect.match(record(draft), { onSuccess: recorded, onFailure: refusal })
}
