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
        "Created service instance {{.Name}} from service class {{.ServiceClass}}{{if .Namespace}} in namespace {{.Namespace}}{{end}}"
    },
    ServiceInstanceStarting: {
      type: "Normal",
      meaning: "The instance is starting.",
      message: "Service instance {{.Name}} is starting{{if .StepTool}} (tool {{.StepTool}}){{end}}"
    },
    ServiceInstanceStarted: {
      type: "Normal",
      meaning: "The instance is running.",
      message: "Service instance {{.Name}} started"
    },
    ServiceInstanceStopping: {
      type: "Normal",
      meaning: "The instance is stopping.",
      message: "Service instance {{.Name}} is stopping{{if .StepTool}} (tool {{.StepTool}}){{end}}"
    },
    ServiceInstanceStopped: {
      type: "Normal",
      meaning: "The instance stopped.",
      message: "Service instance {{.Name}} stopped"
    },
    ServiceInstanceRestarting: {
      type: "Normal",
      meaning: "A restart of the instance started.",
      message: "Service instance {{.Name}} is restarting{{if .StepTool}} (tool {{.StepTool}}){{end}}"
    },
    ServiceInstanceRestarted: {
      type: "Normal",
      meaning: "A restart of the instance completed.",
      message:
        "Service instance {{.Name}} restarted{{if .Duration}} in {{.Duration}}{{end}}{{if .StepCount}} ({{.StepCount}} {{if eq .StepCount 1}}step{{else}}steps{{end}}){{end}}"
    },
    ServiceInstanceDeleted: {
      type: "Normal",
      meaning: "The instance was deleted.",
      message: "Deleted service instance {{.Name}}{{if .Namespace}} from namespace {{.Namespace}}{{end}}"
    },
    ServiceInstanceFailed: {
      type: "Warning",
      meaning: "An operation on the instance failed.",
      message: "Operation on service instance {{.Name}} failed{{if .Error}}: {{.Error}}{{end}}"
    },
    ServiceInstanceStateChanged: {
      type: "Normal",
      meaning: "The instance changed its state; conditionResult says from which to which.",
      message: "Service instance {{.Name}} changed state: {{.ConditionResult}}"
    },

    // its health
    ServiceInstanceHealthy: {
      type: "Normal",
      meaning: "The health checks of the instance pass.",
      message:
        "Service instance {{.Name}} is healthy{{if .StepCount}} after {{.StepCount}} {{if eq .StepCount 1}}check{{else}}checks{{end}}{{end}}{{if .Duration}} in {{.Duration}}{{end}}"
    },
    ServiceInstanceUnhealthy: {
      type: "Warning",
      meaning: "The health checks of the instance fail.",
      message:
        "Service instance {{.Name}} is unhealthy{{if .StepCount}} after {{.StepCount}} {{if eq .StepCount 1}}check{{else}}checks{{end}}{{end}}{{if .Duration}} in {{.Duration}}{{end}}{{if .Error}}: {{.Error}}{{end}}"
    },
    ServiceInstanceHealthCheckFailed: {
      type: "Warning",
      meaning: "The instance failed a health check.",
      message: "Service instance {{.Name}} failed a health check{{if .Error}}: {{.Error}}{{end}}"
    },
    ServiceInstanceHealthCheckRecovered: {
      type: "Normal",
      meaning: "The instance passes health checks again after failures.",
      message:
        "Service instance {{.Name}} passes health checks again{{if .StepCount}} after {{.StepCount}} {{if eq .StepCount 1}}failure{{else}}failures{{end}}{{end}}{{if .Duration}} in {{.Duration}}{{end}}"
    },

    // the tools of its class
    ServiceInstanceToolExecutionStarted: {
      type: "Normal",
      meaning: "A life-cycle tool of the service class was called for the instance.",
      message: "Called tool {{.StepTool}} for operation {{.Operation}} of service instance {{.Name}}"
    },
    ServiceInstanceToolExecutionCompleted: {
      type: "Normal",
      meaning: "A life-cycle tool succeeded for the instance.",
      message: "Tool {{.StepTool}} completed operation {{.Operation}} of service instance {{.Name}}"
    },
    ServiceInstanceToolExecutionFailed: {
      type: "Warning",
      meaning: "A life-cycle tool failed for the instance.",
      message:
        "Tool {{.StepTool}} failed in operation {{.Operation}} of service instance {{.Name}}{{if .Error}}: {{.Error}}{{end}}"
    }
  }
} as const satisfies Kind
