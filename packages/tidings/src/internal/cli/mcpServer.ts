/**
 * The server of `tidings mcp`, which only that verb loads.
 *
 * @internal
 */
import type { EventReader } from "@tidings/core/EventReader"
import * as EventServer from "@tidings/mcp/EventServer"
import * as EventTools from "@tidings/mcp/EventTools"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type { Catalogue } from "./catalogue.ts"
import * as kindNames from "./kindNames.ts"
import * as session from "./session.ts"

/** @internal */
export interface Options {
  readonly namespace: string | undefined
}

const kindOf =
  (catalogue: Catalogue) =>
  (written: string): string =>
    kindNames.read(written, catalogue)?.kind ?? written

const tools = ({ namespace }: Options): Layer.Layer<EventTools.EventTools, never, EventReader | session.Session> =>
  Layer.unwrap(session.Session.useSync(({ catalogue }) => EventTools.layer({ namespace, kindOf: kindOf(catalogue) })))

/**
 * Serves until stdin ends.
 *
 * @internal
 */
export const stdio = Effect.fnUntraced(
  function* (options: Options) {
    const { command, version } = yield* session.Session
    const server = EventServer.layerStdio({ name: command, version }).pipe(Layer.provide(tools(options)))
    // The server interrupts whoever launched it when its input ends.
    const serving = yield* Effect.forkChild(Layer.launch(server))
    const exit = yield* Fiber.await(serving)
    if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) return yield* Effect.failCause(exit.cause)
  },
  session.withReader({ create: true })
)
