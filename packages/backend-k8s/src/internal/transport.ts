/**
 * Requests to the API server over connections of our own. Loaded only when there is a cluster to talk to.
 */
import type { BackendError } from "@tidings/core/BackendError"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Readable } from "node:stream"
import type { KubernetesRequest, KubernetesResponse, KubernetesStream } from "../KubernetesHttp.ts"
import { ConnectionPools, type Pools } from "./connectionPools.ts"
import type { Credentials } from "./credentials.ts"
import { Epoch } from "./epoch.ts"
import { Exchanges, firstValues } from "./exchange.ts"
import { connectionError } from "./requestErrors.ts"
import { request as requestStream } from "./undici.ts"

/** @internal */
export interface Transport {
  readonly send: (
    request: KubernetesRequest,
    credentials: Credentials
  ) => Effect.Effect<KubernetesResponse, BackendError>
  readonly open: (path: string, credentials: Credentials) => Effect.Effect<KubernetesStream, BackendError>
  /** See `KubernetesConnection.epoch`. */
  readonly epoch: () => number
}

const headersOf = (
  userAgent: string,
  request: Pick<KubernetesRequest, "accept" | "body" | "contentType">,
  credentials: Credentials
): Record<string, string | Array<string>> => {
  const headers: Record<string, string | Array<string>> = {
    ...credentials.headers,
    accept: request.accept ?? "application/json",
    "user-agent": userAgent
  }
  if (request.body !== undefined) headers["content-type"] = request.contentType ?? "application/json"
  return headers
}

/**
 * The chunks of a body. Ends as soon as its reader stops: the iterator of a stream itself would first wait for the next
 * chunk, which may never come.
 */
const chunksOf = (body: Readable): AsyncIterable<Uint8Array> => ({
  [Symbol.asyncIterator]: () => {
    const chunks = body.iterator() as AsyncIterator<Buffer>
    return {
      next: () => chunks.next(),
      return: () => {
        body.on("error", () => undefined).destroy()
        return Promise.resolve({ done: true, value: undefined })
      }
    }
  }
})

/** @internal */
export const make = (options: {
  readonly server: string
  readonly userAgent: string
  readonly proxy: string | undefined
  /** Whether responses may be compressed. The API server compresses those of 128 KiB and more. */
  readonly compression: boolean
  readonly connections: number
  readonly clock: Clock.Clock
  /** How long a request may take until its response is there, and the error after that. */
  readonly timeout: Duration.Duration
  readonly late: BackendError
}): Effect.Effect<Transport, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { clock, compression, connections, late, server, timeout, userAgent } = options
    const uri = options.proxy
    const proxy =
      uri === undefined
        ? undefined
        : // It needs all of undici.
          { uri, Agent: (yield* Effect.promise(() => import("undici"))).ProxyAgent }
    const { origin, pathname } = new URL(server)
    // An API server behind a gateway may have a path of its own.
    const base = pathname.replace(/\/+$/, "")
    const epoch = new Epoch(clock)
    const pools = new ConnectionPools({ server, proxy, connections, clock, epoch })
    const exchanges = new Exchanges({
      server,
      epoch,
      clock,
      timeout,
      late,
      onLate: () => pools.replaceAfterTimeout(),
      scope: yield* Effect.scope,
      context: yield* Effect.context()
    })
    const closing = Deferred.makeUnsafe<never, BackendError>()
    yield* Effect.addFinalizer(() =>
      Effect.promise(() => {
        Deferred.doneUnsafe(closing, Effect.fail(connectionError(new Error("the connection was closed"), server)))
        // Requests on pools that were replaced are ended here: such a pool is closed already, and to destroy it does nothing.
        exchanges.abortAll()
        return pools.close()
      })
    )

    const broken = (error: unknown): BackendError => {
      epoch.advance()
      return connectionError(error, server)
    }

    const sendOver = ({ requests }: Pools, request: KubernetesRequest, credentials: Credentials) => {
      const headers = headersOf(userAgent, request, credentials)
      if (compression && request.method === "GET") headers["accept-encoding"] = "gzip"
      return exchanges.send(requests, {
        origin,
        path: base + request.path,
        method: request.method,
        headers,
        body: request.body ?? null,
        headersTimeout: 0,
        bodyTimeout: 0
      })
    }

    const openOver = ({ watches }: Pools, path: string, credentials: Credentials) =>
      Effect.tryPromise({
        try: (signal) =>
          requestStream(watches, {
            origin,
            path: base + path,
            method: "GET",
            headers: headersOf(userAgent, {}, credentials),
            headersTimeout: 0,
            bodyTimeout: 0,
            signal
          }),
        catch: broken
      }).pipe(
        Effect.map(({ body, headers, statusCode }): KubernetesStream => {
          epoch.responded(statusCode)
          return {
            status: statusCode,
            headers: firstValues(headers),
            text: Effect.orElseSucceed(
              Effect.tryPromise(() => body.text()),
              () => undefined
            ),
            bytes: Stream.interruptWhen(Stream.fromAsyncIterable(chunksOf(body), broken), Deferred.await(closing))
          }
        }),
        Effect.timeoutOrElse({
          duration: timeout,
          orElse: () =>
            Effect.suspend(() => {
              pools.replaceAfterTimeout()
              return Effect.fail(late)
            })
        })
      )

    return {
      epoch: epoch.current,
      send: (request, credentials) => {
        const current = pools.current(credentials)
        return current === undefined
          ? Effect.flatMap(pools.get(credentials), (made) => sendOver(made, request, credentials))
          : sendOver(current, request, credentials)
      },
      open: (path, credentials) => Effect.flatMap(pools.get(credentials), (made) => openOver(made, path, credentials))
    }
  })
