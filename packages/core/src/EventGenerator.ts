/**
 * The write side of Tidings: records the events of the four built-in kinds.
 *
 * **When to use**
 *
 * Use it where a host works with MCPServers, ServiceClasses, Workflows or ServiceInstances. For objects of your own
 * declare a catalogue of your own: see `EventCatalogue`.
 *
 * @since 0.1.0
 */
import * as EventCatalogue from "./EventCatalogue.ts"
import { mcpServer } from "./internal/mcpServerReasons.ts"
import { serviceClass } from "./internal/serviceClassReasons.ts"
import { serviceInstance } from "./internal/serviceInstanceReasons.ts"
import { workflow } from "./internal/workflowReasons.ts"

/**
 * The catalogue of the 69 built-in reasons: 20 of MCPServer, 10 of ServiceClass, 22 of Workflow, 17 of ServiceInstance.
 *
 * **Details**
 *
 * One method per kind (`mcpServerEvent`, `serviceClassEvent`, `workflowEvent`, `serviceInstanceEvent`), `emit`, where the
 * kind follows from the reason, and `crdEvent`, where only kind, name and namespace of the object are known. The compiler
 * knows which data each reason needs: a `WorkflowStepFailed` needs the `stepId`.
 *
 * A ServiceInstance is no resource of a cluster: its events are about a synthetic object of that kind.
 *
 * Failed health checks and events about tokens repeat without news: the option `onlyTransitions` of the recorder below
 * records them only when the state changes (`Transition`).
 *
 * **Example** (What happened to a workflow)
 *
 * ```ts
 * import { EventGenerator } from "@tidings/core/EventGenerator"
 * import * as EventManager from "@tidings/core/EventManager"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const workflow = { metadata: { name: "deploy", namespace: "default" } }
 * const instance = { metadata: { name: "web-1", namespace: "default" } }
 *
 * const program = Effect.gen(function* () {
 *   const generator = yield* EventGenerator
 *   yield* generator.workflowEvent(workflow, "WorkflowStepFailed", { stepId: "build", error: "exit code 2" })
 *   yield* generator.serviceInstanceEvent(instance, "ServiceInstanceCreated", { serviceClass: "web" })
 *   yield* generator.crdEvent("MCPServer", "github", "default", "MCPServerStarted")
 *
 *   const manager = yield* EventManager.EventManager
 *   const { events } = yield* manager.queryEvents()
 *   return events.map(({ event }) => event.message)
 * })
 *
 * assert.deepEqual(await Effect.runPromise(Effect.provide(program, EventManager.layerMemory())), [
 *   "MCP server github started",
 *   "Created service instance web-1 from service class web in namespace default",
 *   "Step build of workflow deploy failed: exit code 2"
 * ])
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class EventGenerator extends EventCatalogue.Service<EventGenerator>()("@tidings/core/EventGenerator", {
  MCPServer: mcpServer,
  ServiceClass: serviceClass,
  Workflow: workflow,
  ServiceInstance: serviceInstance
}) {}

/**
 * The reasons that the later generation of muster (github.com/giantswarm/muster, 1.7.8) has kept: 36 of the 69, which are
 * those of the first generation (0.1.135). It has added none.
 *
 * **Example** (What a program that knows the later generation does not know)
 *
 * ```ts
 * import { reasonsKept } from "@tidings/core/EventGenerator"
 * import * as Transform from "@tidings/core/Transform"
 * import assert from "node:assert/strict"
 *
 * export const asInLaterGeneration = Transform.filter("later-generation", ({ reason }) => reasonsKept.has(reason))
 * assert.equal(reasonsKept.size, 36)
 * ```
 *
 * @category constants
 * @since 0.2.0
 */
export const reasonsKept: ReadonlySet<string> = new Set([
  "MCPServerCreated",
  "MCPServerUpdated",
  "MCPServerDeleted",
  "MCPServerStarting",
  "MCPServerStarted",
  "MCPServerStopped",
  "MCPServerRestarting",
  "MCPServerFailed",
  "MCPServerToolsDiscovered",
  "MCPServerToolsUnavailable",
  "MCPServerHealthCheckFailed",
  "MCPServerRecoveryStarted",
  "MCPServerRecoverySucceeded",
  "MCPServerRecoveryFailed",
  "MCPServerAuthRequired",
  "MCPServerTokenForwarded",
  "MCPServerTokenForwardingFailed",
  "MCPServerTokenExchanged",
  "MCPServerTokenExchangeFailed",
  "WorkflowCreated",
  "WorkflowUpdated",
  "WorkflowDeleted",
  "WorkflowValidationFailed",
  "WorkflowValidationSucceeded",
  "WorkflowExecutionStarted",
  "WorkflowExecutionCompleted",
  "WorkflowExecutionFailed",
  "WorkflowExecutionTracked",
  "WorkflowStepStarted",
  "WorkflowStepCompleted",
  "WorkflowStepFailed",
  "WorkflowStepSkipped",
  "WorkflowStepConditionEvaluated",
  "WorkflowUnavailable",
  "WorkflowToolRegistered",
  "WorkflowCapabilitiesRefreshed"
])
