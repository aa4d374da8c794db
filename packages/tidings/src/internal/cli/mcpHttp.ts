/**
 * `tidings mcp --http`: the server for many clients, which only that flag loads.
 *
 * @internal
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as EventServer from "@tidings/mcp/EventServer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { randomBytes } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Failure } from "./failure.ts"
import * as mcpServer from "./mcpServer.ts"
import * as session from "./session.ts"
import * as words from "./words.ts"

const PATH = "/mcp"

/** So long may answers take that are under way when a signal comes. */
const GRACE = "2 seconds"

const NOT_FOR_BROWSERS =
  "Method not allowed: this is an endpoint of the Model Context Protocol, for clients that POST\n"

/**
 * What a person sees who opens the server in a browser, or a client that has another path: where the endpoint is, and what it
 * takes. It says nothing that is secret, and leaves what the endpoint itself answers alone.
 *
 * @internal
 */
export const signposts = HttpRouter.middleware(
  (respond) =>
    respond.pipe(
      Effect.catch((error) =>
        HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound"
          ? Effect.succeed(HttpServerResponse.text(`Not found: the endpoint is ${PATH}\n`, { status: 404 }))
          : Effect.fail(error)
      ),
      Effect.map((response) =>
        response.status === 405 && response.body._tag === "Empty"
          ? HttpServerResponse.setBody(response, HttpBody.text(NOT_FOR_BROWSERS))
          : response
      )
    ),
  { global: true }
)

/** @internal */
export interface Options {
  readonly port: number
  readonly host: string
  readonly allowedHosts: ReadonlyArray<string>
  readonly allowedOrigins: ReadonlyArray<string>
  readonly tokens: { readonly _tag: "None" | "Random" } | { readonly _tag: "Given"; readonly token: string }
}

const ALL_ADDRESSES = new Set(["0.0.0.0", "::"])

const inUrl = (host: string): string => (host.includes(":") ? `[${host}]` : host)

const cannotListen = (host: string, port: number, error: unknown): Failure => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined
  const why =
    code === "EADDRINUSE"
      ? "another program listens there"
      : code === "EACCES"
        ? "this user may not listen there"
        : cause instanceof Error
          ? cause.message
          : String(cause)
  return new Failure({
    detail: `cannot listen at ${inUrl(host)}:${port}: ${why}`,
    hint: "take another port, or --http 0 for a free one"
  })
}

/**
 * Serves until it is interrupted. Then calls that wait are answered, and those that are under way have a moment to end.
 *
 * @internal
 */
export const http = (options: mcpServer.Options, { allowedHosts, allowedOrigins, host, port, tokens }: Options) =>
  Effect.gen(function* () {
    const { command, version } = yield* session.Session
    const token =
      tokens._tag === "None"
        ? undefined
        : tokens._tag === "Given"
          ? tokens.token
          : randomBytes(24).toString("base64url")
    const closing = Deferred.makeUnsafe<void>()
    const node = createServer()
    const server = HttpRouter.serve(
      Layer.merge(
        EventServer.layerHttp({
          name: command,
          version,
          path: PATH,
          token,
          allowedOrigins,
          allowedHosts: ALL_ADDRESSES.has(host) ? allowedHosts : [...allowedHosts, inUrl(host)]
        }),
        signposts
      ),
      { disableLogger: true, disableListenLog: true }
    ).pipe(
      Layer.provide(mcpServer.tools({ ...options, closing: Deferred.await(closing) })),
      Layer.provide(NodeHttpServer.layer(() => node, { port, host, gracefulShutdownTimeout: GRACE }))
    )
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* Effect.mapError(Layer.build(server), (error) =>
          Predicate.isTagged(error, "ServeError") ? cannotListen(host, port, error) : error
        )
        // Released before the server, which waits for what is under way.
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            Deferred.doneUnsafe(closing, Effect.void)
            // Connections that clients keep for later become idle only when they have their answer.
            const idle = setInterval(() => node.closeIdleConnections(), 50)
            node.once("close", () => clearInterval(idle))
          })
        )
        const bound = node.address() as AddressInfo
        yield* words.say(`serving at http://${inUrl(bound.address)}:${bound.port}${PATH}; Ctrl-C ends it`)
        if (token === undefined) {
          yield* words.say(
            ALL_ADDRESSES.has(host)
              ? "note: there is no token, so every program that reaches this machine may ask"
              : "note: there is no token, so every process on this machine may ask"
          )
        } else if (tokens._tag === "Random") yield* words.say(`token: ${token}`)
        return yield* Effect.never
      })
    )
  }).pipe(mcpServer.withStore)
