/**
 * The events that are measured: large and various, as a busy cluster of workflows has them.
 */
import type { Write } from "@tidings/core/Event"

/** Microseconds between two events of the log. */
export const STEP = 86_400

const OBJECTS = 5_000
const REASONS = 40
const ORIGINS = 20
const NAMESPACES = ["default", "production", "staging"]
/** Of this many occurrences of an origin, one raises the count of an earlier series instead of beginning one. */
const REPEATS = 50
const TOOLS = ["x_docker_run", "x_kubernetes_apply", "x_github_create_pull_request", "x_prometheus_query_range"]

/** Constants of the program that records, as they are in real ones. */
const origins = Array.from({ length: ORIGINS }, (_, n) =>
  Buffer.from(n.toString(16).padStart(2, "0").repeat(16)).toString()
)
const reasons = Array.from({ length: REASONS }, (_, n) =>
  Buffer.from(`WorkflowStepReason${String(n).padStart(2, "0")}`).toString()
)

/** As a recorder hands them on: the same reference for all events of an object. */
const objects = Array.from({ length: OBJECTS }, (_, n) => ({
  apiVersion: "muster.giantswarm.io/v1alpha1",
  kind: "Workflow",
  name: `deploy-service-${String(n).padStart(4, "0")}`,
  namespace: NAMESPACES[n % 3]!
}))

/** The event at an index of a log that ends at a time: 5,000 objects, 40 reasons, 3 namespaces, 20 origins, about 800 bytes a line. */
export const writeAt = (index: number, end: number, total: number): Write => {
  const seq = Math.floor(index / ORIGINS) + 1
  const repeats = seq % REPEATS === 0 ? seq - REPEATS / 2 : seq
  const at = Math.floor(end - (total - index) * STEP)
  // Spread, so that neighbours are not of one object.
  const object = (index * 7_919) % OBJECTS
  const involvedObject = objects[object]!
  const { name, namespace } = involvedObject
  const reason = (index * 31) % REASONS
  const failed = reason % 4 === 3
  const stepTool = TOOLS[reason % TOOLS.length]!
  const executionId = `${(index * 2_654_435_761).toString(16).padStart(14, "0")}-${seq}`
  const error = failed
    ? `the tool answered with exit code ${index % 128}: connection refused by 10.0.${index % 256}.${object % 256}:8443 after three attempts`
    : undefined
  return {
    id: { origin: origins[index % ORIGINS]!, seq: repeats },
    upTo: seq,
    count: repeats === seq ? 1 : 2,
    first: at,
    last: at,
    event: {
      involvedObject,
      reason: reasons[reason]!,
      type: failed ? "Warning" : "Normal",
      action: reasons[reason]!,
      message: `Step build-${index % 997} of workflow ${name} took ${index % 5_003} ms${error === undefined ? "" : ` and failed: ${error}`}`,
      data: {
        name,
        namespace,
        stepId: `build-${index % 997}`,
        stepTool,
        executionId,
        ...(error === undefined ? undefined : { error })
      },
      source: { component: "workflow-controller" },
      reportingController: "workflow-controller",
      reportingInstance: "workflow-controller-7d9f8b6c5-x2x7k"
    }
  }
}

/** What a controller gives to the generator: a duration as text, as people write it. */
export const callAt = (n: number) => ({
  workflow: {
    metadata: {
      name: `deploy-service-${String((n * 7_919) % OBJECTS).padStart(4, "0")}`,
      namespace: NAMESPACES[n % 3]!
    }
  },
  data: {
    stepId: `build-${n % 997}`,
    stepTool: TOOLS[n % TOOLS.length]!,
    duration: `${1 + (n % 900)} millis`,
    error: `the tool answered with exit code ${n % 128}: connection refused by 10.0.${n % 256}.1:8443`
  } as const
})
