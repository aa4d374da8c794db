/**
 * The parts of undici that speak to an API server. All of it together, with `fetch`, caches and WebSockets, takes more
 * than twice as long to load, and a host pays for that at its start.
 */
import type * as undici from "undici"
// @ts-expect-error undici has types for all of it only; below they are given to its parts, and a test compares them
import buildConnectorPart from "undici/lib/core/connect.js"
// @ts-expect-error as above
import AgentPart from "undici/lib/dispatcher/agent.js"
// @ts-expect-error as above
import requestPart from "undici/lib/api/api-request.js"

/** @internal */
export const Agent: typeof undici.Agent = AgentPart

/** @internal */
export const buildConnector: typeof undici.buildConnector = buildConnectorPart

/**
 * A request whose answer goes on.
 *
 * @internal
 */
export const request = (
  dispatcher: undici.Dispatcher,
  options: undici.Dispatcher.RequestOptions
): Promise<undici.Dispatcher.ResponseData> => {
  const send: (
    this: undici.Dispatcher,
    options: undici.Dispatcher.RequestOptions
  ) => Promise<undici.Dispatcher.ResponseData> = requestPart
  return send.call(dispatcher, options)
}
