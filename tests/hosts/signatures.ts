// The types that `effectTypes.cjs` walks.
import type * as Tidings from "tidings/Tidings"

export type Answered = Tidings.Tidings
// A transform works on what `@tidings/core` has, and is made with it.
export type Options = Omit<Tidings.CreateOptions, "transforms">
export type Failed = ReturnType<typeof failed>

declare const tidings: Tidings.Tidings
const failed = () =>
  tidings.generator.workflowEvent({ metadata: { name: "deploy" } }, "WorkflowStepFailed", { stepId: "build" })
