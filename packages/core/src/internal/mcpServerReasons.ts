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
      message: "Created MCP server {{.Name}}{{if .Namespace}} in namespace {{.Namespace}}{{end}}"
    },
    MCPServerUpdated: {
      type: "Normal",
      meaning: "The MCPServer resource was updated.",
      message: "Updated MCP server {{.Name}}{{if .Namespace}} in namespace {{.Namespace}}{{end}}"
    },
    MCPServerDeleted: {
      type: "Normal",
      meaning: "The MCPServer resource was deleted.",
      message: "Deleted MCP server {{.Name}}{{if .Namespace}} from namespace {{.Namespace}}{{end}}"
    },
    MCPServerStarting: {
      type: "Normal",
      meaning: "The process of the server or the connection to it is starting.",
      message: "MCP server {{.Name}} is starting"
    },
    MCPServerStarted: {
      type: "Normal",
      meaning: "The server is running and connected.",
      message: "MCP server {{.Name}} started"
    },
    MCPServerStopped: {
      type: "Normal",
      meaning: "The server stopped.",
      message: "MCP server {{.Name}} stopped"
    },
    MCPServerRestarting: {
      type: "Normal",
      meaning: "The server is stopping and will start again.",
      message: "MCP server {{.Name}} is restarting"
    },
    MCPServerFailed: {
      type: "Warning",
      meaning: "An operation on the server failed.",
      message: "Operation on MCP server {{.Name}} failed{{if .Error}}: {{.Error}}{{end}}"
    },
    MCPServerToolsDiscovered: {
      type: "Normal",
      meaning: "The server listed its tools.",
      message: "Discovered tools of MCP server {{.Name}}{{if .ToolNames}}: {{.ToolNames}}{{end}}"
    },
    MCPServerToolsUnavailable: {
      type: "Warning",
      meaning: "The tools of the server could not be listed, or can no longer be called.",
      message:
        "Tools of MCP server {{.Name}} are unavailable{{if .ToolNames}} ({{.ToolNames}}){{end}}{{if .Error}}: {{.Error}}{{end}}"
    },
    MCPServerReconnected: {
      type: "Normal",
      meaning: "The lost connection to the server is restored.",
      message: "MCP server {{.Name}} reconnected"
    },
    MCPServerHealthCheckFailed: {
      type: "Warning",
      meaning: "The server failed a health check.",
      message: "MCP server {{.Name}} failed a health check{{if .Error}}: {{.Error}}{{end}}"
    },
    MCPServerRecoveryStarted: {
      type: "Normal",
      meaning: "Automatic recovery of the server started.",
      message: "Automatic recovery of MCP server {{.Name}} started"
    },
    MCPServerRecoverySucceeded: {
      type: "Normal",
      meaning: "Automatic recovery restored the server.",
      message: "Automatic recovery of MCP server {{.Name}} succeeded"
    },
    MCPServerRecoveryFailed: {
      type: "Warning",
      meaning: "Automatic recovery of the server failed and stopped trying.",
      message: "Automatic recovery of MCP server {{.Name}} failed{{if .Error}}: {{.Error}}{{end}}"
    },
    MCPServerAuthRequired: {
      type: "Normal",
      meaning: "The server requires an OAuth login before it can be used.",
      message: "MCP server {{.Name}} requires an OAuth login"
    },
    MCPServerTokenForwarded: {
      type: "Normal",
      meaning:
        "The ID token of the user was forwarded to the server, so that no second OAuth login is needed (single sign-on).",
      message: "Forwarded the ID token of the user to MCP server {{.Name}}, no separate login needed"
    },
    MCPServerTokenForwardingFailed: {
      type: "Warning",
      meaning:
        "Forwarding the ID token of the user to the server failed. A separate login may follow, if one is configured.",
      message: "Failed to forward the ID token of the user to MCP server {{.Name}}{{if .Error}}: {{.Error}}{{end}}"
    },
    MCPServerTokenExchanged: {
      type: "Normal",
      meaning: "A local token was exchanged for a token of the identity provider of the server's cluster (RFC 8693).",
      message: "Exchanged a local token for one that MCP server {{.Name}} accepts"
    },
    MCPServerTokenExchangeFailed: {
      type: "Warning",
      meaning:
        "The exchange of a local token for a token of the identity provider of the server's cluster (RFC 8693) failed. A separate login may follow, if one is configured.",
      message:
        "Failed to exchange a local token for one that MCP server {{.Name}} accepts{{if .Error}}: {{.Error}}{{end}}"
    }
  }
} as const satisfies Kind
