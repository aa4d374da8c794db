/**
 * Workflows of real tool calls: what runs, what is left out, what fails and whether the rest goes on.
 */
import * as EventGenerator from "@tidings/core/EventGenerator"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { objectOf, Supervisor } from "./Supervisor.ts"

export interface Step {
  readonly id: string
  readonly tool: string
  readonly args: Record<string, unknown>
  /** A tool call whose answer decides whether the step runs. */
  readonly condition?: { readonly tool: string; readonly args: Record<string, unknown>; readonly contains: string }
  readonly allowFailure?: boolean
}

export interface Workflow {
  readonly name: string
  readonly steps: ReadonlyArray<Step>
}

const toolsOf = (workflow: Workflow): ReadonlyArray<string> => [
  ...new Set(
    workflow.steps.flatMap(({ condition, tool }) => (condition === undefined ? [tool] : [condition.tool, tool]))
  )
]

/** Tells whether every tool of the workflow is there, and records it. */
export const check = Effect.fnUntraced(function* (workflow: Workflow) {
  const events = yield* EventGenerator.EventGenerator
  const supervisor = yield* Supervisor
  const object = objectOf(workflow.name)
  const present = yield* supervisor.tools
  const needed = toolsOf(workflow)
  const missing = needed.filter((tool) => !present.has(tool))
  if (missing.length > 0) {
    yield* events.workflowEvent(object, "WorkflowToolsMissing", { toolNames: missing })
    yield* events.workflowEvent(object, "WorkflowUnavailable", { toolNames: missing })
    return false
  }
  yield* events.workflowEvent(object, "WorkflowAvailable", { toolNames: needed })
  return true
})

/** Takes up a definition: refused when a tool of it is known to no server. */
export const create = Effect.fnUntraced(function* (workflow: Workflow) {
  const events = yield* EventGenerator.EventGenerator
  const supervisor = yield* Supervisor
  const object = objectOf(workflow.name)
  yield* events.workflowEvent(object, "WorkflowCreated", { stepCount: workflow.steps.length })
  const present = yield* supervisor.tools
  const unknown = toolsOf(workflow).filter((tool) => !present.has(tool))
  if (unknown.length > 0) {
    yield* events.workflowEvent(object, "WorkflowValidationFailed", {
      error: `no server has the tool ${unknown.join(", ")}`
    })
    return false
  }
  yield* events.workflowEvent(object, "WorkflowValidationSucceeded")
  return yield* check(workflow)
})

/** Runs the steps in order; answers whether the execution ended well. */
export const execute = Effect.fnUntraced(function* (workflow: Workflow, executionId: string) {
  const events = yield* EventGenerator.EventGenerator
  const supervisor = yield* Supervisor
  const object = objectOf(workflow.name)
  const begun = yield* Clock.currentTimeMillis
  yield* events.workflowEvent(object, "WorkflowExecutionStarted", { executionId })
  let done = 0
  for (const { allowFailure = false, args, condition, id: stepId, tool: stepTool } of workflow.steps) {
    const step = { stepId, stepTool, executionId }
    if (condition !== undefined) {
      const answer = yield* Effect.exit(supervisor.call(condition.tool, condition.args))
      const met = Exit.isSuccess(answer) && answer.value.includes(condition.contains)
      const conditionResult = String(met)
      yield* events.workflowEvent(object, "WorkflowStepConditionEvaluated", { ...step, conditionResult })
      if (!met) {
        yield* events.workflowEvent(object, "WorkflowStepSkipped", { ...step, conditionResult })
        continue
      }
    }
    yield* events.workflowEvent(object, "WorkflowStepStarted", step)
    const stepBegun = yield* Clock.currentTimeMillis
    const result = yield* Effect.result(supervisor.call(stepTool, args))
    if (result._tag === "Failure") {
      const error = result.failure.message
      yield* events.workflowEvent(object, "WorkflowStepFailed", { ...step, allowFailure, error })
      if (allowFailure) continue
      yield* events.workflowEvent(object, "WorkflowExecutionFailed", { executionId, stepId, error })
      return false
    }
    done++
    const duration = Duration.millis((yield* Clock.currentTimeMillis) - stepBegun)
    yield* events.workflowEvent(object, "WorkflowStepCompleted", { ...step, duration })
  }
  const duration = Duration.millis((yield* Clock.currentTimeMillis) - begun)
  yield* events.workflowEvent(object, "WorkflowExecutionCompleted", { executionId, stepCount: done, duration })
  yield* events.workflowEvent(object, "WorkflowExecutionTracked", { executionId })
  return true
})
