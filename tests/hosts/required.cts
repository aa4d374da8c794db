// The same of a host that is CommonJS.
import Tidings = require("tidings/Tidings")

const main = async (): Promise<void> => {
  const tidings = await Tidings.create({ backend: "memory" })
  await tidings.generator.workflowEvent({ metadata: { name: "deploy" } }, "WorkflowStepFailed", { stepId: "build" })
  // @ts-expect-error: a step has an id
  void (() => tidings.generator.workflowEvent({ metadata: { name: "deploy" } }, "WorkflowStepFailed"))
  await tidings.close()
}

void main()
