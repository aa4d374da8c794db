import * as EventData from "../EventData.ts"
import type { Kind } from "../Catalogue.ts"

/**
 * The events of an MCP server: its life as a resource, as a process or connection, its tools, its health, its logins.
 *
 * @internal
 */
export const mcpServer = {
  apiVersion: "muster.giantswarm.io/v1alpha1",
  fields: EventData.fields,
  reasons: {
    MCPServerCreated: {
      type: "Normal",
      meaning: "The MCPServer resource was created.",
      message: "MCP server {{.Name}} was created{{if .Namespace}} in namespace {{.Namespace}}{{end}}"
    },
    MCPServerUpdated: {
      type: "Normal",
      meaning: "The MCPServer resource was changed.",
      message: "MCP server {{.Name}} was updated{{if .Namespace}} in namespace {{.Namespace}}{{end}}"
    },
    MCPServerDeleted: {
      type: "Normal",
      meaning: "The MCPServer resource was deleted.",
      message: "MCP server {{.Name}} was deleted{{if .Namespace}} from namespace {{.Namespace}}{{end}}"
    },
    MCPServerStarting: {
      type: "Normal",
      meaning: "The process of the server, or the connection to it, is being started.",
      message: "MCP server {{.Name}} is starting"
    },
    MCPServerStarted: {
      type: "Normal",
      meaning: "The server runs and is connected.",
      message: "MCP server {{.Name}} has started"
    },
    MCPServerStopped: {
      type: "Normal",
      meaning: "The server was stopped.",
      message: "MCP server {{.Name}} has stopped"
    },
    MCPServerRestarting: {
      type: "Normal",
      meaning: "The server is being stopped and started again.",
      message: "MCP server {{.Name}} is restarting"
    },
    MCPServerFailed: {
      type: "Warning",
      meaning: "An operation on the server failed.",
      message: "An operation on MCP server {{.Name}} failed{{if .Error}}: {{.Error}}{{end}}"
    },
    MCPServerToolsDiscovered: {
      type: "Normal",
      meaning: "The server listed the tools that it offers.",
      message: "MCP server {{.Name}} listed its tools{{if .ToolNames}}: {{.ToolNames}}{{end}}"
    },
    MCPServerToolsUnavailable: {
      type: "Warning",
      meaning: "The tools of the server could not be listed, or can no longer be called.",
      message:
        "MCP server {{.Name}} does not offer its tools{{if .ToolNames}} ({{.ToolNames}}){{end}}{{if .Error}}: {{.Error}}{{end}}"
    },
    MCPServerReconnected: {
      type: "Normal",
      meaning: "A connection to the server that was lost is back.",
      message: "MCP server {{.Name}} is connected again"
    },
    MCPServerHealthCheckFailed: {
      type: "Warning",
      meaning: "The server did not pass a health check.",
      message: "MCP server {{.Name}} did not pass a health check{{if .Error}}: {{.Error}}{{end}}"
    },
    MCPServerRecoveryStarted: {
      type: "Normal",
      meaning: "The server is being brought back without anybody's doing.",
      message: "Automatic recovery of MCP server {{.Name}} has begun"
    },
    MCPServerRecoverySucceeded: {
      type: "Normal",
      meaning: "Automatic recovery brought the server back.",
      message: "Automatic recovery brought MCP server {{.Name}} back"
    },
    MCPServerRecoveryFailed: {
      type: "Warning",
      meaning: "Automatic recovery gave up on the server.",
      message: "Automatic recovery gave up on MCP server {{.Name}}{{if .Error}}: {{.Error}}{{end}}"
    },
    MCPServerAuthRequired: {
      type: "Normal",
      meaning: "The server asks for an OAuth login before it can be used.",
      message: "MCP server {{.Name}} asks for an OAuth login before it can be used"
    },
    MCPServerTokenForwarded: {
      type: "Normal",
      meaning:
        "The ID token of the user was passed on to the server, which spared a second OAuth login (single sign-on).",
      message: "The ID token of the user was passed on to MCP server {{.Name}}, no second login is needed"
    },
    MCPServerTokenForwardingFailed: {
      type: "Warning",
      meaning:
        "The ID token of the user could not be passed on to the server. A separate login may follow, where one is configured.",
      message: "The ID token of the user could not be passed on to MCP server {{.Name}}{{if .Error}}: {{.Error}}{{end}}"
    },
    MCPServerTokenExchanged: {
      type: "Normal",
      meaning: "A local token was exchanged for one of the identity provider of the server's cluster (RFC 8693).",
      message: "A local token was exchanged for one that MCP server {{.Name}} accepts"
    },
    MCPServerTokenExchangeFailed: {
      type: "Warning",
      meaning:
        "The exchange of a local token for one of another cluster's identity provider (RFC 8693) failed. A separate login may follow, where one is configured.",
      message:
        "A local token could not be exchanged for one that MCP server {{.Name}} accepts{{if .Error}}: {{.Error}}{{end}}"
    }
  }
} as const satisfies Kind
