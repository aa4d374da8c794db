/**
 * Who may ask over HTTP: pages and programs of this machine, with the token.
 *
 * A page of another site must not reach the server through a browser on this machine: the browser names the site
 * as `Origin`, and where the name of the site leads to this machine (DNS rebinding), as `Host`.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** @internal */
export interface Rules {
  readonly token: string | undefined
  readonly allowedOrigins: ReadonlyArray<string>
  readonly allowedHosts: ReadonlyArray<string>
  /** Runs before a request that subscribes. */
  readonly subscribing: Effect.Effect<unknown>
}

const LOCAL = new Set(["localhost", "127.0.0.1", "[::1]"])

/** `example.com` of `example.com:8080`, `[::1]` of `[::1]:8080`. */
const nameOf = (host: string): string => host.replace(/:\d*$/, "").toLowerCase()

/** As long for a wrong token as for the right one. */
const isSame = (given: string, expected: string): boolean => {
  let difference = given.length ^ expected.length
  for (let index = 0; index < expected.length; index++) {
    difference |= (given.charCodeAt(index) || 0) ^ expected.charCodeAt(index)
  }
  return difference === 0
}

const refuse = (status: number, message: string, headers: Readonly<Record<string, string>> = {}) =>
  Effect.succeed(
    HttpServerResponse.jsonUnsafe({ jsonrpc: "2.0", id: null, error: { code: -32_600, message } }, { status, headers })
  )

/** @internal */
export const make = ({ allowedHosts, allowedOrigins, subscribing, token }: Rules) => {
  const hosts = new Set([...LOCAL, ...allowedHosts.map((host) => nameOf(host))])
  const origins = new Set(allowedOrigins.map((origin) => origin.toLowerCase()))

  const isAllowedOrigin = (origin: string): boolean => {
    const match = /^https?:\/\/([^/]+)$/i.exec(origin)
    return match !== null && (LOCAL.has(nameOf(match[1]!)) || origins.has(origin.toLowerCase()))
  }

  const cors = HttpMiddleware.cors({
    allowedOrigins: isAllowedOrigin,
    allowedMethods: ["POST", "DELETE"],
    exposedHeaders: ["Mcp-Session-Id", "MCP-Protocol-Version"]
  })

  const admit = <E, R>(
    respond: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
    HttpServerRequest.HttpServerRequest.use((request) => {
      const { headers } = request
      if (token !== undefined) {
        const given = /^bearer +(\S+) *$/i.exec(headers["authorization"] ?? "")?.[1]
        if (given === undefined || !isSame(given, token)) {
          return refuse(401, "The token is missing or wrong, expected the header Authorization: Bearer TOKEN", {
            "www-authenticate": "Bearer"
          })
        }
      }
      const admitted = Effect.provideService(
        respond,
        HttpServerRequest.HttpServerRequest,
        // The server behind knows origins only one by one, with their ports.
        request.modify({ headers: Headers.remove(headers, "origin") })
      )
      return headers["mcp-method"] === "subscriptions/listen" ? Effect.andThen(subscribing, admitted) : admitted
    })

  return <E, R>(
    respond: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
    HttpServerRequest.HttpServerRequest.use(({ headers }) => {
      const { host = "", origin } = headers
      if (!hosts.has(nameOf(host))) {
        return refuse(403, `The header Host is not one of this server, expected one of ${[...hosts].join(", ")}`)
      }
      if (origin === undefined) return admit(respond)
      if (!isAllowedOrigin(origin)) return refuse(403, "Pages of this Origin may not ask here")
      return cors(admit(respond))
    })
}
