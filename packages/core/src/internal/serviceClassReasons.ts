import * as EventData from "../EventData.ts"
import type { Kind } from "../Catalogue.ts"

/**
 * The events of a service class: its life as a resource, its validation, and whether the tools that it needs are there.
 *
 * @internal
 */
export const serviceClass = {
  apiVersion: "muster.giantswarm.io/v1alpha1",
  fields: EventData.fields,
  reasons: {
    ServiceClassCreated: {
      type: "Normal",
      meaning: "The ServiceClass resource was created.",
      message: "Service class {{.Name}} was created{{if .Namespace}} in namespace {{.Namespace}}{{end}}"
    },
    ServiceClassUpdated: {
      type: "Normal",
      meaning: "The ServiceClass resource was changed.",
      message: "Service class {{.Name}} was updated{{if .Namespace}} in namespace {{.Namespace}}{{end}}"
    },
    ServiceClassDeleted: {
      type: "Normal",
      meaning: "The ServiceClass resource was deleted.",
      message: "Service class {{.Name}} was deleted{{if .Namespace}} from namespace {{.Namespace}}{{end}}"
    },
    ServiceClassValidated: {
      type: "Normal",
      meaning: "The definition of the service class is valid.",
      message: "The definition of service class {{.Name}} is valid"
    },
    ServiceClassValidationFailed: {
      type: "Warning",
      meaning: "The definition of the service class is not valid.",
      message: "The definition of service class {{.Name}} is not valid{{if .Error}}: {{.Error}}{{end}}"
    },
    ServiceClassAvailable: {
      type: "Normal",
      meaning: "All tools that the service class needs are there, so it became available.",
      message: "Service class {{.Name}} is available{{if .ToolNames}}, with the tools {{.ToolNames}}{{end}}"
    },
    ServiceClassUnavailable: {
      type: "Warning",
      meaning: "Tools that the service class needs are missing, so it became unavailable.",
      message:
        "Service class {{.Name}} is unavailable{{if .ToolNames}} for lack of {{.ToolNames}}{{end}}{{if .Error}}: {{.Error}}{{end}}"
    },
    ServiceClassToolsDiscovered: {
      type: "Normal",
      meaning: "Tools that the service class needs have appeared.",
      message: "Tools that service class {{.Name}} needs have appeared{{if .ToolNames}}: {{.ToolNames}}{{end}}"
    },
    ServiceClassToolsMissing: {
      type: "Warning",
      meaning: "Certain tools that the service class needs have gone.",
      message:
        "Tools that service class {{.Name}} needs have gone{{if .ToolNames}} ({{.ToolNames}}){{end}}{{if .Error}}: {{.Error}}{{end}}"
    },
    ServiceClassToolsRestored: {
      type: "Normal",
      meaning: "Tools that the service class needs were gone and are back.",
      message: "Tools that service class {{.Name}} needs are back{{if .ToolNames}}: {{.ToolNames}}{{end}}"
    }
  }
} as const satisfies Kind
