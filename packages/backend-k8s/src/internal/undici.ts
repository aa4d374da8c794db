/**
 * The parts of undici that speak to an API server. All of it together, with `fetch`, caches and WebSockets, takes more
 * than twice as long to load, and a host pays for that at its start.
 */
import type * as undici from "undici"
import buildConnectorPart from "undici/lib/core/connect.js"
import AgentPart from "undici/lib/dispatcher/agent.js"
import requestPart from "undici/lib/api/api-request.js"

/** @internal */
export const Agent: typeof undici.Agent = AgentPart

/** @internal */
export const buildConnector: typeof undici.buildConnector = buildConnectorPart

/**
 * A request whose response is read as a stream.
 *
 * @internal
 */
export const request = (
  dispatcher: undici.Dispatcher,
  options: undici.Dispatcher.RequestOptions
): Promise<undici.Dispatcher.ResponseData> => requestPart.call(dispatcher, options)
