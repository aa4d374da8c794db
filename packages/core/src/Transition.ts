/**
 * Events that report a state again and again, such as a failed health check every 30 seconds: recorded only when the state
 * changes, with the option `onlyTransitions` of recorders.
 *
 * **When to use**
 *
 * Use it where a reason repeats without news and its count says nothing. Without the option every occurrence is recorded,
 * and stores fold repeats into one event with a count.
 *
 * **Details**
 *
 * A recorder remembers for each object and transition which state was reported last. An event that reports the same state
 * is not recorded; its caller is answered `Filtered`, and it is counted under the name of the transition, in
 * `status.filtered` and in the metric `tidings_filtered_total`, as are the events that transforms leave out.
 *
 * What is remembered is in memory, so after a restart a state is recorded once more, and the same state in two processes
 * is recorded by both. It is remembered for the 4,096 objects of each transition that reported last; what is forgotten is
 * recorded once more. An event that could not be recorded does not count as reported.
 *
 * **Example** (A health check that fails three times, and once more after a recovery)
 *
 * ```ts
 * import * as EventManager from "@tidings/core/EventManager"
 * import * as Recorder from "@tidings/core/Recorder"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const server = { metadata: { name: "search", namespace: "default" } }
 *
 * const program = Effect.gen(function* () {
 *   const { generator, queryEvents } = yield* EventManager.EventManager
 *   const fail = generator.mcpServerEvent(server, "MCPServerHealthCheckFailed", { error: "timeout" })
 *   yield* fail
 *   assert.deepEqual(yield* fail, { _tag: "Filtered", by: "mcp-server-health" })
 *   yield* fail
 *   yield* generator.mcpServerEvent(server, "MCPServerRecoverySucceeded")
 *   yield* fail
 *   assert.equal((yield* queryEvents({ reason: "MCPServerHealthCheckFailed" })).totalCount, 2)
 *   assert.deepEqual((yield* (yield* Recorder.Recorder).status).filtered, { "mcp-server-health": 2 })
 * })
 * await Effect.runPromise(Effect.provide(program, EventManager.layerMemory({ onlyTransitions: true })))
 * ```
 *
 * @since 0.2.0
 */
import type * as Duration from "effect/Duration"

/**
 * States of an object that exclude each other, and the reasons that report them. `Time` is the type of durations.
 *
 * **Example** (A state of a host's own objects)
 *
 * ```ts
 * import * as EventManager from "@tidings/core/EventManager"
 * import * as Transition from "@tidings/core/Transition"
 *
 * const queue: Transition.Transition = {
 *   name: "queue-depth",
 *   states: ["QueueFull", "QueueDrained"],
 *   endedBy: ["QueueDeleted"],
 *   remindAfter: "1 hour"
 * }
 * export const layer = EventManager.layerMemory({ onlyTransitions: [...Transition.builtIn, queue] })
 * ```
 *
 * @category models
 * @since 0.2.0
 */
export interface Transition<Time = Duration.Input> {
  /** What held-back events are counted under, such as `mcp-server-health`. */
  readonly name: string
  /** The reasons that report a state. One is recorded where the state that was reported before is another, or none. */
  readonly states: ReadonlyArray<string>
  /** Reasons after which no state is known, so that the next one is recorded. They themselves are always recorded. */
  readonly endedBy?: ReadonlyArray<string> | undefined
  /**
   * A state that was not reported for so long is over, and the next report is recorded: for states whose end is not reported.
   * Never unless given.
   */
  readonly quietAfter?: Time | undefined
  /**
   * A state that lasts is recorded once more after so long, so that a store that deletes old events (kube-apiserver after
   * one hour, unless told otherwise) still has it. Never unless given.
   */
  readonly remindAfter?: Time | undefined
}

/**
 * Failed health checks of an MCP server: `MCPServerHealthCheckFailed` is recorded once until the server is started,
 * stopped, reconnected, recovered, created, updated or deleted, or until no check has failed for ten minutes.
 *
 * A check that passes is no event, so ten minutes without a failed one stand for it: twenty intervals of 30 seconds, which
 * is how often such checks commonly run.
 *
 * @category transitions
 * @since 0.2.0
 */
export const mcpServerHealth = {
  name: "mcp-server-health",
  states: ["MCPServerHealthCheckFailed"],
  endedBy: [
    "MCPServerCreated",
    "MCPServerUpdated",
    "MCPServerDeleted",
    "MCPServerStarted",
    "MCPServerStopped",
    "MCPServerReconnected",
    "MCPServerRecoverySucceeded"
  ],
  quietAfter: "10 minutes"
} as const satisfies Transition

/**
 * Whether the ID token of a user can be forwarded to an MCP server: `MCPServerTokenForwarded` and
 * `MCPServerTokenForwardingFailed` are recorded when the one follows the other, or the server was created, updated or
 * deleted. The state is that of the server, for all its users together.
 *
 * @category transitions
 * @since 0.2.0
 */
export const mcpServerTokenForwarding = {
  name: "mcp-server-token-forwarding",
  states: ["MCPServerTokenForwarded", "MCPServerTokenForwardingFailed"],
  endedBy: ["MCPServerCreated", "MCPServerUpdated", "MCPServerDeleted"]
} as const satisfies Transition

/**
 * Whether a token can be exchanged for one that an MCP server accepts: `MCPServerTokenExchanged` and
 * `MCPServerTokenExchangeFailed`, in the same way.
 *
 * @category transitions
 * @since 0.2.0
 */
export const mcpServerTokenExchange = {
  name: "mcp-server-token-exchange",
  states: ["MCPServerTokenExchanged", "MCPServerTokenExchangeFailed"],
  endedBy: ["MCPServerCreated", "MCPServerUpdated", "MCPServerDeleted"]
} as const satisfies Transition

/**
 * The transitions of the built-in reasons: what `onlyTransitions: true` means.
 *
 * @category transitions
 * @since 0.2.0
 */
export const builtIn = [mcpServerHealth, mcpServerTokenForwarding, mcpServerTokenExchange] as const
