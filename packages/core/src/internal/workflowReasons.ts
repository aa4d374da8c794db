import * as EventData from "../EventData.ts"
import type { Kind } from "../Catalogue.ts"

/**
 * The events of a workflow: its life as a resource, its executions and their steps, and the tools that it needs and is.
 *
 * @internal
 */
export const workflow = {
  apiVersion: "muster.giantswarm.io/v1alpha1",
  fields: EventData.fields,
  reasons: {
    // the resource
    WorkflowCreated: {
      type: "Normal",
      meaning: "The Workflow resource was created.",
      message:
        "Workflow {{.Name}}{{if .StepCount}} of {{.StepCount}} {{if eq .StepCount 1}}step{{else}}steps{{end}}{{end}} was created{{if .Namespace}} in namespace {{.Namespace}}{{end}}"
    },
    WorkflowUpdated: {
      type: "Normal",
      meaning: "The Workflow resource was changed.",
      message:
        "Workflow {{.Name}} was updated{{if .Namespace}} in namespace {{.Namespace}}{{end}}{{if .StepCount}} and has {{.StepCount}} {{if eq .StepCount 1}}step{{else}}steps{{end}}{{end}}"
    },
    WorkflowDeleted: {
      type: "Normal",
      meaning: "The Workflow resource was deleted.",
      message: "Workflow {{.Name}} was deleted{{if .Namespace}} from namespace {{.Namespace}}{{end}}"
    },
    WorkflowValidationFailed: {
      type: "Warning",
      meaning: "The definition of the workflow is not valid.",
      message: "The definition of workflow {{.Name}} is not valid{{if .Error}}: {{.Error}}{{end}}"
    },
    WorkflowValidationSucceeded: {
      type: "Normal",
      meaning: "The definition of the workflow is valid.",
      message: "The definition of workflow {{.Name}} is valid"
    },

    // its executions
    WorkflowExecutionStarted: {
      type: "Normal",
      meaning: "An execution of the workflow began.",
      message: "Execution{{if .ExecutionID}} {{.ExecutionID}}{{end}} of workflow {{.Name}} has begun"
    },
    WorkflowExecutionCompleted: {
      type: "Normal",
      meaning: "An execution of the workflow ended well.",
      message:
        "Execution{{if .ExecutionID}} {{.ExecutionID}}{{end}} of workflow {{.Name}} completed{{if .StepCount}} {{.StepCount}} {{if eq .StepCount 1}}step{{else}}steps{{end}}{{end}}{{if .Duration}} in {{.Duration}}{{end}}"
    },
    WorkflowExecutionFailed: {
      type: "Warning",
      meaning: "An execution of the workflow failed.",
      message:
        "Execution{{if .ExecutionID}} {{.ExecutionID}}{{end}} of workflow {{.Name}} failed{{if .StepID}} at step {{.StepID}}{{end}}{{if .Error}}: {{.Error}}{{end}}"
    },
    WorkflowExecutionTracked: {
      type: "Normal",
      meaning: "The state of an execution of the workflow was saved.",
      message:
        "The state of {{if .ExecutionID}}execution {{.ExecutionID}}{{else}}an execution{{end}} of workflow {{.Name}} was saved"
    },
    WorkflowExecuted: {
      type: "Normal",
      meaning: "An execution of the workflow ended well: the older name of WorkflowExecutionCompleted.",
      message:
        "Workflow {{.Name}} was executed{{if .StepCount}} with {{.StepCount}} {{if eq .StepCount 1}}step{{else}}steps{{end}}{{end}}{{if .Duration}} in {{.Duration}}{{end}}"
    },

    // the steps of an execution
    WorkflowStepStarted: {
      type: "Normal",
      meaning: "A step of an execution began.",
      message: "Step {{.StepID}} of workflow {{.Name}} has begun{{if .StepTool}} with tool {{.StepTool}}{{end}}"
    },
    WorkflowStepCompleted: {
      type: "Normal",
      meaning: "A step of an execution ended well.",
      message: "Step {{.StepID}} of workflow {{.Name}} completed{{if .StepTool}} with tool {{.StepTool}}{{end}}"
    },
    WorkflowStepFailed: {
      type: "Warning",
      meaning: "A step of an execution failed. Where the step is allowed to fail, the execution goes on.",
      message:
        "Step {{.StepID}} of workflow {{.Name}} failed{{if .StepTool}} in tool {{.StepTool}}{{end}}{{if .AllowFailure}}, the execution goes on{{end}}{{if .Error}}: {{.Error}}{{end}}"
    },
    WorkflowStepSkipped: {
      type: "Normal",
      meaning: "A step of an execution was left out, because its condition was not met.",
      message:
        "Step {{.StepID}} of workflow {{.Name}}{{if .StepTool}} with tool {{.StepTool}}{{end}} was skipped because its condition came out as {{.ConditionResult}}"
    },
    WorkflowStepConditionEvaluated: {
      type: "Normal",
      meaning: "The condition of a step was evaluated.",
      message:
        "The condition of step {{.StepID}}{{if .StepTool}} with tool {{.StepTool}}{{end}} of workflow {{.Name}} came out as {{.ConditionResult}}"
    },

    // the tools that it needs, and the tool that it is
    WorkflowAvailable: {
      type: "Normal",
      meaning: "All tools that the workflow needs are there, so it became available.",
      message: "Workflow {{.Name}} is available{{if .ToolNames}}, with the tools {{.ToolNames}}{{end}}"
    },
    WorkflowUnavailable: {
      type: "Warning",
      meaning: "Tools that the workflow needs are missing, so it became unavailable.",
      message:
        "Workflow {{.Name}} is unavailable{{if .ToolNames}} for lack of {{.ToolNames}}{{end}}{{if .Error}}: {{.Error}}{{end}}"
    },
    WorkflowToolsDiscovered: {
      type: "Normal",
      meaning: "Tools that the workflow needs have appeared.",
      message: "Tools that workflow {{.Name}} needs have appeared{{if .ToolNames}}: {{.ToolNames}}{{end}}"
    },
    WorkflowToolsMissing: {
      type: "Warning",
      meaning: "Certain tools that the workflow needs have gone.",
      message:
        "Tools that workflow {{.Name}} needs have gone{{if .ToolNames}} ({{.ToolNames}}){{end}}{{if .Error}}: {{.Error}}{{end}}"
    },
    WorkflowToolRegistered: {
      type: "Normal",
      meaning: "The workflow can be called as a tool, action_ and the name of the workflow.",
      message: "Workflow {{.Name}} can be called as tool action_{{.Name}}"
    },
    WorkflowToolUnregistered: {
      type: "Normal",
      meaning: "The tool of the workflow was withdrawn from the aggregator and can no longer be called.",
      message: "Workflow {{.Name}} can no longer be called as tool action_{{.Name}}"
    },
    WorkflowCapabilitiesRefreshed: {
      type: "Normal",
      meaning: "The aggregator took up what changed in the workflows.",
      message: "The aggregator took up the changes of workflow {{.Name}}"
    }
  }
} as const satisfies Kind
