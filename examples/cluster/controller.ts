/**
 * A small controller: what it records about objects of all four kinds, once, repeatedly and in many variations.
 */
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as EventGenerator from "@tidings/core/EventGenerator"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export const REPEATED = 7
export const SIMILAR = 15
export const COMPONENT = "example-controller"

export const reconcile = (namespace: string) =>
  Effect.gen(function* () {
    const events = yield* EventGenerator.EventGenerator
    const recorder = yield* Recorder.Recorder
    const server = { metadata: { name: "search", namespace } }
    const serviceClass = { metadata: { name: "web-app", namespace } }
    const workflow = { metadata: { name: "deploy", namespace } }
    const instance = { metadata: { name: "web-1", namespace } }

    // Once.
    yield* events.mcpServerEvent(server, "MCPServerStarted")
    yield* events.serviceClassEvent(serviceClass, "ServiceClassAvailable", { toolNames: ["x_docker_run"] })
    yield* events.serviceInstanceEvent(instance, "ServiceInstanceCreated", { serviceClass: "web-app" })

    // The same event again and again is one event with a count.
    for (let n = 0; n < REPEATED; n++) {
      yield* events.workflowEvent(workflow, "WorkflowStepFailed", { stepId: "build", error: "connection refused" })
      yield* Effect.sleep("150 millis")
    }

    // Many messages of one reason on one object: the first ones are events of their own, the rest is one aggregate.
    for (let n = 1; n <= SIMILAR; n++) {
      yield* events.workflowEvent(workflow, "WorkflowStepCompleted", { stepId: `step-${n}` })
    }
    return yield* recorder.flush("30 seconds")
  })

/** The recorder accepts into a journal and delivers in the background, as a controller in a cluster should. */
export const runtime = (cluster: { readonly kubeconfig?: string | undefined; readonly context?: string | undefined }) =>
  EventGenerator.EventGenerator.layer.pipe(
    Layer.provideMerge(
      Recorder.layer({
        component: COMPONENT,
        reportingController: `tidings.dev/${COMPONENT}`,
        reportingInstance: `${COMPONENT}-0`
      })
    ),
    Layer.provideMerge(Layer.mergeAll(Templates.layer, Journal.layerMemory(), KubernetesBackend.layer(cluster)))
  )
