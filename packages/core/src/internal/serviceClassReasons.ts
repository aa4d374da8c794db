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
      message: "Created service class {{.Name}}{{if .Namespace}} in namespace {{.Namespace}}{{end}}"
    },
    ServiceClassUpdated: {
      type: "Normal",
      meaning: "The ServiceClass resource was updated.",
      message: "Updated service class {{.Name}}{{if .Namespace}} in namespace {{.Namespace}}{{end}}"
    },
    ServiceClassDeleted: {
      type: "Normal",
      meaning: "The ServiceClass resource was deleted.",
      message: "Deleted service class {{.Name}}{{if .Namespace}} from namespace {{.Namespace}}{{end}}"
    },
    ServiceClassValidated: {
      type: "Normal",
      meaning: "The definition of the service class passed validation.",
      message: "Service class {{.Name}} is valid"
    },
    ServiceClassValidationFailed: {
      type: "Warning",
      meaning: "The definition of the service class failed validation.",
      message: "Service class {{.Name}} is invalid{{if .Error}}: {{.Error}}{{end}}"
    },
    ServiceClassAvailable: {
      type: "Normal",
      meaning: "All tools that the service class requires are available.",
      message: "Service class {{.Name}} is available{{if .ToolNames}} (tools {{.ToolNames}}){{end}}"
    },
    ServiceClassUnavailable: {
      type: "Warning",
      meaning: "Tools that the service class requires are missing, so it is unavailable.",
      message:
        "Service class {{.Name}} is unavailable{{if .ToolNames}} (missing tools {{.ToolNames}}){{end}}{{if .Error}}: {{.Error}}{{end}}"
    },
    ServiceClassToolsDiscovered: {
      type: "Normal",
      meaning: "Tools that the service class requires appeared.",
      message: "Discovered tools that service class {{.Name}} requires{{if .ToolNames}}: {{.ToolNames}}{{end}}"
    },
    ServiceClassToolsMissing: {
      type: "Warning",
      meaning: "Tools that the service class requires disappeared.",
      message:
        "Tools that service class {{.Name}} requires are missing{{if .ToolNames}} ({{.ToolNames}}){{end}}{{if .Error}}: {{.Error}}{{end}}"
    },
    ServiceClassToolsRestored: {
      type: "Normal",
      meaning: "Missing tools that the service class requires are available again.",
      message: "Tools that service class {{.Name}} requires are available again{{if .ToolNames}}: {{.ToolNames}}{{end}}"
    }
  }
} as const satisfies Kind
