/**
 * `follow: true` of the tool `events`, where the server may send messages to its client at any time: on stdin and stdout, in the
 * revisions that have sessions. What comes is pushed as log messages, the answers of the tool as their data.
 *
 * @internal
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as McpSchema from "effect/ai/McpSchema"
import type * as McpServer from "effect/ai/McpServer"
import type { Service as EventTools } from "../EventTools.ts"
import type { ToolResult } from "../Tool.ts"

/**
 * Whether there is one client, which also gets messages between calls. Set by the layer of the transport.
 *
 * @internal
 */
export const CanPush = Context.Reference<boolean>("@tidings/mcp/internal/CanPush", { defaultValue: () => false })

/** The name of the logger, by which clients tell pushed events from other log messages. */
const LOGGER = "tidings/events"
const NOTE = `what comes is pushed as notifications/message of the logger ${LOGGER}, until the next call with follow or the end of the server`
/** So many bytes the note takes in the text and in the data. */
const NOTE_BYTES = 2 * NOTE.length + 64
const WAIT_SECONDS = 50
const PAUSE = "5 seconds"

/** In revisions without sessions a message belongs to a request, and comes before its answer. */
const hasSessions = ({ protocolVersion }: McpSchema.McpRequestContext["Service"]): boolean =>
  protocolVersion < "2026-07-28"

type Arguments = { readonly [name: string]: unknown }

const withNote = (result: ToolResult): ToolResult => ({
  content: [...result.content.map(({ text, type }) => ({ type, text: `${text}\nnote: ${NOTE}` }))],
  structuredContent: {
    ...result.structuredContent,
    notes: [...((result.structuredContent?.["notes"] ?? []) as ReadonlyArray<string>), NOTE]
  }
})

/**
 * Calls the tool `events` of one server. One follower at a time: the next call with `follow` replaces the one before.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function* (
  server: McpServer.McpServer["Service"],
  executeTool: EventTools["executeTool"]
) {
  const scope = yield* Effect.scope
  const canPush = yield* CanPush
  let follower: Fiber.Fiber<unknown> | undefined

  const push = (filter: Arguments, cursor: unknown): Effect.Effect<never> =>
    Effect.suspend(() => {
      let after = cursor
      return Effect.flatMap(
        Effect.suspend(() => executeTool("events", { ...filter, after, waitSeconds: WAIT_SECONDS })),
        ({ content, isError, structuredContent }) => {
          if (isError === true || structuredContent === undefined) {
            const data = content.map(({ text }) => text).join("\n")
            return Effect.andThen(
              server.notifications["notifications/message"]({ level: "error", logger: LOGGER, data }),
              Effect.sleep(PAUSE)
            )
          }
          after = structuredContent["cursor"]
          const { events, gaps } = structuredContent as {
            readonly events: ReadonlyArray<{ readonly type: string }>
            readonly gaps: ReadonlyArray<unknown>
          }
          if (events.length === 0 && gaps.length === 0) return Effect.void
          const level = events.some(({ type }) => type !== "Normal") ? "warning" : "notice"
          return server.notifications["notifications/message"]({ level, logger: LOGGER, data: structuredContent })
        }
      ).pipe(Effect.forever)
    })

  return (args: unknown): Effect.Effect<ToolResult, never, McpSchema.McpRequestContext> =>
    Effect.gen(function* () {
      const given = (typeof args === "object" && args !== null ? args : {}) as Arguments
      const context = yield* McpSchema.McpRequestContext
      if (!canPush || given["follow"] !== true || !hasSessions(context)) return yield* executeTool("events", args)
      const { maxBytes } = given
      const result = yield* executeTool("events", {
        ...given,
        ...(maxBytes === undefined ? { maxBytes: 16_384 - NOTE_BYTES } : undefined)
      })
      const cursor = result.structuredContent?.["cursor"]
      if (result.isError === true || cursor === undefined) return result
      const { after: _after, follow: _follow, page: _page, until: _until, waitSeconds: _wait, ...filter } = given
      if (follower !== undefined) yield* Fiber.interrupt(follower)
      follower = yield* Effect.forkIn(push(filter, cursor), scope)
      return withNote(result)
    })
})
