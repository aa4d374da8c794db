import * as EventData from "../EventData.ts"
import type { Kind } from "../Catalogue.ts"

/**
 * The events of a service instance: its life, its health, and the calls of its class's life-cycle tools. There is no such
 * resource in a cluster: the object of these events is synthetic, known by its name and namespace.
 *
 * @internal
 */
export const serviceInstance = {
  apiVersion: "muster.giantswarm.io/v1alpha1",
  fields: EventData.fields,
  reasons: {
    // its life
    ServiceInstanceCreated: {
      type: "Normal",
      meaning: "The instance was created from its service class.",
      message:
        "Service instance {{.Name}} was created from service class {{.ServiceClass}}{{if .Namespace}} in namespace {{.Namespace}}{{end}}"
    },
    ServiceInstanceStarting: {
      type: "Normal",
      meaning: "The instance is being started.",
      message: "Service instance {{.Name}} is starting{{if .StepTool}} with tool {{.StepTool}}{{end}}"
    },
    ServiceInstanceStarted: {
      type: "Normal",
      meaning: "The instance runs.",
      message: "Service instance {{.Name}} has started"
    },
    ServiceInstanceStopping: {
      type: "Normal",
      meaning: "The instance is being stopped.",
      message: "Service instance {{.Name}} is stopping{{if .StepTool}} with tool {{.StepTool}}{{end}}"
    },
    ServiceInstanceStopped: {
      type: "Normal",
      meaning: "The instance was stopped.",
      message: "Service instance {{.Name}} has stopped"
    },
    ServiceInstanceRestarting: {
      type: "Normal",
      meaning: "A restart of the instance began.",
      message: "Service instance {{.Name}} is restarting{{if .StepTool}} with tool {{.StepTool}}{{end}}"
    },
    ServiceInstanceRestarted: {
      type: "Normal",
      meaning: "A restart of the instance is done.",
      message:
        "Service instance {{.Name}} has restarted{{if .StepCount}} in {{.StepCount}} {{if eq .StepCount 1}}step{{else}}steps{{end}}{{end}}{{if .Duration}} within {{.Duration}}{{end}}"
    },
    ServiceInstanceDeleted: {
      type: "Normal",
      meaning: "The instance was deleted.",
      message: "Service instance {{.Name}} was deleted{{if .Namespace}} from namespace {{.Namespace}}{{end}}"
    },
    ServiceInstanceFailed: {
      type: "Warning",
      meaning: "An operation on the instance failed.",
      message: "An operation on service instance {{.Name}} failed{{if .Error}}: {{.Error}}{{end}}"
    },
    ServiceInstanceStateChanged: {
      type: "Normal",
      meaning: "The instance went from one state to another; conditionResult has the text that says which.",
      message: "Service instance {{.Name}} changed its state: {{.ConditionResult}}"
    },

    // its health
    ServiceInstanceHealthy: {
      type: "Normal",
      meaning: "The health checks of the instance pass.",
      message:
        "Service instance {{.Name}} is healthy{{if .StepCount}} after {{.StepCount}} {{if eq .StepCount 1}}check{{else}}checks{{end}}{{end}}{{if .Duration}} within {{.Duration}}{{end}}"
    },
    ServiceInstanceUnhealthy: {
      type: "Warning",
      meaning: "The health checks of the instance fail.",
      message:
        "Service instance {{.Name}} is unhealthy{{if .StepCount}} after {{.StepCount}} {{if eq .StepCount 1}}check{{else}}checks{{end}}{{end}}{{if .Duration}} within {{.Duration}}{{end}}{{if .Error}}: {{.Error}}{{end}}"
    },
    ServiceInstanceHealthCheckFailed: {
      type: "Warning",
      meaning: "The instance did not pass one health check.",
      message: "Service instance {{.Name}} did not pass a health check{{if .Error}}: {{.Error}}{{end}}"
    },
    ServiceInstanceHealthCheckRecovered: {
      type: "Normal",
      meaning: "The instance passes a health check again, after failures.",
      message:
        "Service instance {{.Name}} passes its health check again{{if .StepCount}} after {{.StepCount}} {{if eq .StepCount 1}}failure{{else}}failures{{end}}{{end}}{{if .Duration}} within {{.Duration}}{{end}}"
    },

    // the tools of its class
    ServiceInstanceToolExecutionStarted: {
      type: "Normal",
      meaning: "A life-cycle tool of the service class was called for the instance.",
      message: "Tool {{.StepTool}} was called for operation {{.Operation}} of service instance {{.Name}}"
    },
    ServiceInstanceToolExecutionCompleted: {
      type: "Normal",
      meaning: "The call of a life-cycle tool for the instance succeeded.",
      message: "Tool {{.StepTool}} succeeded in operation {{.Operation}} of service instance {{.Name}}"
    },
    ServiceInstanceToolExecutionFailed: {
      type: "Warning",
      meaning: "The call of a life-cycle tool for the instance failed.",
      message:
        "Tool {{.StepTool}} failed in operation {{.Operation}} of service instance {{.Name}}{{if .Error}}: {{.Error}}{{end}}"
    }
  }
} as const satisfies Kind
