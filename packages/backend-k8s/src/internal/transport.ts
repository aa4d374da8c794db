/**
 * Requests over connections of our own. Loaded only when there is a cluster to talk to.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Undici from "@effect/platform-node/Undici"
import type { BackendError } from "@tidings/core/BackendError"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpBody from "effect/http/HttpBody"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as UrlParams from "effect/http/UrlParams"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type { KubernetesRequest, KubernetesResponse, KubernetesStream } from "../KubernetesConnection.ts"
import { connectionError } from "./answer.ts"
import type { Credentials } from "./credentials.ts"

/** @internal */
export interface Transport {
  readonly send: (
    request: KubernetesRequest,
    credentials: Credentials
  ) => Effect.Effect<KubernetesResponse, BackendError>
  readonly open: (path: string, credentials: Credentials) => Effect.Effect<KubernetesStream, BackendError>
}

/**
 * How long a connection is kept that nobody uses: less than the 60 s after which load balancers drop it, and the API
 * server keeps it for 90 s.
 */
const IDLE_MILLIS = 45_000

/**
 * Time of silence after which the system asks whether the other side is there. With ten questions a second apart that
 * Node sets, a connection that is dead is known to be after 25 s.
 */
const KEEPALIVE_MILLIS = 15_000

const CONNECT_MILLIS = 10_000

/**
 * HTTP/1.1 on purpose. A request that is given up closes its connection there, so that the next one gets a good one; and
 * an unanswered PING of HTTP/2 keeps the system from asking, which hides a dead connection for a quarter of an hour.
 */
const makeDispatcher = (
  credentials: Credentials,
  proxy: string | undefined,
  connections: number | null
): Undici.Dispatcher => {
  const connect = {
    ...credentials.tls,
    allowH2: false,
    keepAlive: true,
    keepAliveInitialDelay: KEEPALIVE_MILLIS,
    timeout: CONNECT_MILLIS
  }
  const common = {
    allowH2: false,
    connections,
    pipelining: 1,
    keepAliveTimeout: IDLE_MILLIS,
    keepAliveMaxTimeout: IDLE_MILLIS
  }
  return proxy === undefined
    ? new Undici.Agent({ ...common, connect })
    : new Undici.ProxyAgent({
        ...common,
        uri: proxy.replace(/^socks5h:/, "socks5:"),
        requestTls: connect,
        proxyTls: { allowH2: false, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MILLIS, timeout: CONNECT_MILLIS }
      })
}

interface Pools {
  readonly fingerprint: string
  readonly dispatchers: ReadonlyArray<Undici.Dispatcher>
  readonly requests: HttpClient.HttpClient
  /** An open watch holds its connection, so watches have connections of their own. */
  readonly watches: HttpClient.HttpClient
}

// Made by hand: the client is needed here, not as a service, and again whenever the certificates change.
const clientOf = (dispatcher: Undici.Dispatcher): Effect.Effect<HttpClient.HttpClient> =>
  Effect.provideService(NodeHttpClient.makeUndici, NodeHttpClient.Dispatcher, dispatcher)

const requestOf = (
  server: string,
  userAgent: string,
  request: KubernetesRequest,
  credentials: Credentials
): HttpClientRequest.HttpClientRequest => {
  const headers: Record<string, string> = {
    ...credentials.headers,
    accept: request.accept ?? "application/json",
    "user-agent": userAgent
  }
  let body: HttpBody.HttpBody = HttpBody.empty
  if (request.body !== undefined) {
    headers["content-type"] = request.contentType ?? "application/json"
    body = HttpBody.raw(request.body)
  }
  return HttpClientRequest.makeWith(
    request.method,
    server + request.path,
    UrlParams.empty,
    Option.none(),
    Headers.fromRecordUnsafe(headers),
    body
  )
}

const headersOf = (response: HttpClientResponse.HttpClientResponse): Readonly<Record<string, string | undefined>> =>
  response.headers

/** @internal */
export const make = (options: {
  readonly server: string
  readonly userAgent: string
  readonly proxy: string | undefined
  readonly connections: number
}): Effect.Effect<Transport, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { proxy, server, userAgent } = options
    let pools: Pools | undefined
    let closed = false
    yield* Effect.addFinalizer(() =>
      Effect.promise(async () => {
        closed = true
        await Promise.all((pools?.dispatchers ?? []).map((dispatcher) => dispatcher.destroy()))
      })
    )

    const poolsFor = (credentials: Credentials): Effect.Effect<Pools, BackendError> =>
      pools !== undefined && pools.fingerprint === credentials.fingerprint
        ? Effect.succeed(pools)
        : Effect.gen(function* () {
            const dispatchers = yield* Effect.try({
              try: () => [
                makeDispatcher(credentials, proxy, options.connections),
                makeDispatcher(credentials, proxy, null)
              ],
              catch: (cause) => connectionError(cause, server)
            })
            const [requests, watches] = yield* Effect.forEach(dispatchers, clientOf)
            const old = pools
            pools = { fingerprint: credentials.fingerprint, dispatchers, requests: requests!, watches: watches! }
            // What is under way on the old ones ends there.
            for (const dispatcher of old?.dispatchers ?? []) void dispatcher.close().catch(() => undefined)
            if (closed) for (const dispatcher of dispatchers) void dispatcher.destroy().catch(() => undefined)
            return pools
          })

    const send: Transport["send"] = (request, credentials) =>
      Effect.flatMap(poolsFor(credentials), ({ requests }) =>
        requests.execute(requestOf(server, userAgent, request, credentials)).pipe(
          Effect.mapError((error) => connectionError(error, server)),
          Effect.flatMap((response) =>
            Effect.match(response.text, {
              onFailure: (): KubernetesResponse => ({
                status: response.status,
                headers: headersOf(response),
                body: undefined
              }),
              onSuccess: (body): KubernetesResponse => ({ status: response.status, headers: headersOf(response), body })
            })
          ),
          // A span per request would cost as much as the request does here.
          Effect.provideService(Tracer.DisablePropagation, true)
        )
      )

    const open: Transport["open"] = (path, credentials) =>
      Effect.flatMap(poolsFor(credentials), ({ watches }) =>
        watches.execute(requestOf(server, userAgent, { method: "GET", path }, credentials)).pipe(
          Effect.map(
            (response): KubernetesStream => ({
              status: response.status,
              headers: headersOf(response),
              text: Effect.orElseSucceed(response.text, () => undefined),
              bytes: Stream.mapError(response.stream, (error) => connectionError(error, server))
            })
          ),
          Effect.mapError((error) => connectionError(error, server)),
          Effect.provideService(Tracer.DisablePropagation, true)
        )
      )

    return { send, open }
  })
