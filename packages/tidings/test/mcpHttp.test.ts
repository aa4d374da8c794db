// What `tidings mcp --http` answers beside the protocol.
import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as EventServer from "@tidings/mcp/EventServer"
import * as EventTools from "@tidings/mcp/EventTools"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import { signposts } from "../src/internal/cli/mcpHttp.ts"

const store = Backend.layerReader.pipe(Layer.provide(Backend.layerMemory()))

const serve = (token: string | undefined) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const server = EventServer.layerHttp({ version: "1.0.0", path: "/mcp", token }).pipe(
        Layer.provide(Layer.provideMerge(EventTools.layer(), store)),
        Layer.provide(HttpServer.layerServices)
      )
      return HttpRouter.toWebHandler(Layer.merge(server, signposts), { disableLogger: true })
    }),
    ({ dispose }) => Effect.promise(dispose)
  ).pipe(
    Effect.map(
      ({ handler }) =>
        (method: string, path: string, headers: Record<string, string> = {}) =>
          Effect.promise(async () => {
            const response = await handler(
              new Request(`http://localhost:8811${path}`, { method, headers: { host: "localhost:8811", ...headers } })
            )
            return { status: response.status, allow: response.headers.get("allow"), text: await response.text() }
          })
    )
  )

describe("the server of tidings mcp --http", () => {
  it.live("says at every other path where its endpoint is, also to who has no token", () =>
    Effect.gen(function* () {
      const ask = yield* serve("right-token")
      for (const [method, path] of [
        ["GET", "/"],
        ["POST", "/"],
        ["OPTIONS", "/"],
        ["GET", "/sse"]
      ] as const) {
        assert.deepStrictEqual(yield* ask(method, path), {
          status: 404,
          allow: null,
          text: "Not found: the endpoint is /mcp\n"
        })
      }
    }).pipe(Effect.scoped)
  )

  it.live("checks at its endpoint as before: the host, then the origin, then the token, then the method", () =>
    Effect.gen(function* () {
      const ask = yield* serve("right-token")
      const authorization = "Bearer right-token"
      const evil = { host: "evil.example", origin: "https://evil.example" }
      for (const [headers, status, told] of [
        [evil, 403, /header Host/],
        [{ origin: evil.origin }, 403, /Pages of this Origin/],
        [{}, 401, /The token is missing or wrong/],
        [{ authorization, host: evil.host }, 403, /header Host/],
        [{ authorization }, 405, /^Method not allowed: this is an endpoint of the Model Context Protocol/]
      ] as const) {
        const answer = yield* ask("GET", "/mcp", headers)
        assert.strictEqual(answer.status, status)
        assert.match(answer.text, told)
        assert.strictEqual(answer.allow, status === 405 ? "POST, DELETE" : null)
      }
    }).pipe(Effect.scoped)
  )
})
