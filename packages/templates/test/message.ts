import type { TemplateCheck } from "../src/index.ts"

/** The names of the vectors: thirteen fields, of which calls give all but the object's own two. */
export interface Names {
  readonly Name: never
  readonly Namespace: never
  readonly Operation: "operation"
  readonly ServiceClass: "serviceClass"
  readonly Error: "error"
  readonly StepID: "stepId"
  readonly StepTool: "stepTool"
  readonly ConditionResult: "conditionResult"
  readonly ExecutionID: "executionId"
  readonly Duration: "duration"
  readonly StepCount: "stepCount"
  readonly ToolNames: "toolNames"
  readonly AllowFailure: "allowFailure"
}

/** Takes a template only if the compiler finds nothing wrong with it. */
export const message = <const T extends string>(template: T & TemplateCheck.Check<T, Names>): string => template
