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
        "Created workflow {{.Name}}{{if .Namespace}} in namespace {{.Namespace}}{{end}}{{if .StepCount}} ({{.StepCount}} {{if eq .StepCount 1}}step{{else}}steps{{end}}){{end}}"
    },
    WorkflowUpdated: {
      type: "Normal",
      meaning: "The Workflow resource was updated.",
      message:
        "Updated workflow {{.Name}}{{if .Namespace}} in namespace {{.Namespace}}{{end}}{{if .StepCount}} ({{.StepCount}} {{if eq .StepCount 1}}step{{else}}steps{{end}}){{end}}"
    },
    WorkflowDeleted: {
      type: "Normal",
      meaning: "The Workflow resource was deleted.",
      message: "Deleted workflow {{.Name}}{{if .Namespace}} from namespace {{.Namespace}}{{end}}"
    },
    WorkflowValidationFailed: {
      type: "Warning",
      meaning: "The definition of the workflow failed validation.",
      message: "Workflow {{.Name}} is invalid{{if .Error}}: {{.Error}}{{end}}"
    },
    WorkflowValidationSucceeded: {
      type: "Normal",
      meaning: "The definition of the workflow passed validation.",
      message: "Workflow {{.Name}} is valid"
    },

    // its executions
    WorkflowExecutionStarted: {
      type: "Normal",
      meaning: "An execution of the workflow started.",
      message: "Workflow {{.Name}} started{{if .ExecutionID}} (execution {{.ExecutionID}}){{end}}"
    },
    WorkflowExecutionCompleted: {
      type: "Normal",
      meaning: "An execution of the workflow succeeded.",
      message:
        "Workflow {{.Name}} completed{{if .StepCount}} {{.StepCount}} {{if eq .StepCount 1}}step{{else}}steps{{end}}{{end}}{{if .Duration}} in {{.Duration}}{{end}}{{if .ExecutionID}} (execution {{.ExecutionID}}){{end}}"
    },
    WorkflowExecutionFailed: {
      type: "Warning",
      meaning: "An execution of the workflow failed.",
      message:
        "Workflow {{.Name}} failed{{if .StepID}} at step {{.StepID}}{{end}}{{if .ExecutionID}} (execution {{.ExecutionID}}){{end}}{{if .Error}}: {{.Error}}{{end}}"
    },
    WorkflowExecutionTracked: {
      type: "Normal",
      meaning: "The state of an execution of the workflow was saved.",
      message:
        "Saved the state of {{if .ExecutionID}}execution {{.ExecutionID}}{{else}}an execution{{end}} of workflow {{.Name}}"
    },
    WorkflowExecuted: {
      type: "Normal",
      meaning: "An execution of the workflow succeeded: the older name of WorkflowExecutionCompleted.",
      message:
        "Workflow {{.Name}} completed{{if .StepCount}} {{.StepCount}} {{if eq .StepCount 1}}step{{else}}steps{{end}}{{end}}{{if .Duration}} in {{.Duration}}{{end}}"
    },

    // the steps of an execution
    WorkflowStepStarted: {
      type: "Normal",
      meaning: "A step of an execution started.",
      message: "Workflow {{.Name}} started step {{.StepID}}{{if .StepTool}} (tool {{.StepTool}}){{end}}"
    },
    WorkflowStepCompleted: {
      type: "Normal",
      meaning: "A step of an execution succeeded.",
      message: "Workflow {{.Name}} completed step {{.StepID}}{{if .StepTool}} (tool {{.StepTool}}){{end}}"
    },
    WorkflowStepFailed: {
      type: "Warning",
      meaning: "A step of an execution failed. If the step may fail (allowFailure), the execution continues.",
      message:
        "Step {{.StepID}} of workflow {{.Name}} failed{{if .StepTool}} (tool {{.StepTool}}){{end}}{{if .AllowFailure}}, execution continues{{end}}{{if .Error}}: {{.Error}}{{end}}"
    },
    WorkflowStepSkipped: {
      type: "Normal",
      meaning: "A step of an execution was skipped, because its condition was not met.",
      message:
        "Workflow {{.Name}} skipped step {{.StepID}}{{if .StepTool}} (tool {{.StepTool}}){{end}}: condition is {{.ConditionResult}}"
    },
    WorkflowStepConditionEvaluated: {
      type: "Normal",
      meaning: "The condition of a step was evaluated.",
      message:
        "Workflow {{.Name}} evaluated step {{.StepID}}{{if .StepTool}} (tool {{.StepTool}}){{end}}: condition is {{.ConditionResult}}"
    },

    // the tools that it needs, and the tool that it is
    WorkflowAvailable: {
      type: "Normal",
      meaning: "All tools that the workflow requires are available.",
      message: "Workflow {{.Name}} is available{{if .ToolNames}} (tools {{.ToolNames}}){{end}}"
    },
    WorkflowUnavailable: {
      type: "Warning",
      meaning: "Tools that the workflow requires are missing, so it is unavailable.",
      message:
        "Workflow {{.Name}} is unavailable{{if .ToolNames}} (missing tools {{.ToolNames}}){{end}}{{if .Error}}: {{.Error}}{{end}}"
    },
    WorkflowToolsDiscovered: {
      type: "Normal",
      meaning: "Tools that the workflow requires appeared.",
      message: "Discovered tools that workflow {{.Name}} requires{{if .ToolNames}}: {{.ToolNames}}{{end}}"
    },
    WorkflowToolsMissing: {
      type: "Warning",
      meaning: "Tools that the workflow requires disappeared.",
      message:
        "Tools that workflow {{.Name}} requires are missing{{if .ToolNames}} ({{.ToolNames}}){{end}}{{if .Error}}: {{.Error}}{{end}}"
    },
    WorkflowToolRegistered: {
      type: "Normal",
      meaning: "The workflow can be called as a tool, named action_ and the name of the workflow.",
      message: "Registered workflow {{.Name}} as tool action_{{.Name}}"
    },
    WorkflowToolUnregistered: {
      type: "Normal",
      meaning: "The aggregator withdrew the tool of the workflow, which can no longer be called.",
      message: "Unregistered tool action_{{.Name}} of workflow {{.Name}}"
    },
    WorkflowCapabilitiesRefreshed: {
      type: "Normal",
      meaning: "The aggregator applied changes of workflows.",
      message: "Aggregator applied changes of workflow {{.Name}}"
    }
  }
} as const satisfies Kind
