/**
 * Requests over connections of our own. Loaded only when there is a cluster to talk to.
 */
import type { BackendError } from "@tidings/core/BackendError"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Socket } from "node:net"
import type { Readable } from "node:stream"
import { TLSSocket } from "node:tls"
import { gunzip } from "node:zlib"
import type { Dispatcher, ProxyAgent } from "undici"
import type { KubernetesRequest, KubernetesResponse, KubernetesStream } from "../KubernetesHttp.ts"
import { Breaks } from "./breaks.ts"
import type { Credentials } from "./credentials.ts"
import { connectionError } from "./requestErrors.ts"
import { Agent, buildConnector, request as requestStream } from "./undici.ts"

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

/** Connections that were made so recently are not suspected again. */
const SUSPICION_MILLIS = 1_000

/** The code with which undici closes a connection by itself: it is not needed any more, or a request was given up. */
const CLOSED_HERE = "UND_ERR_INFO"

const MAXIMUM_SERVERS = 64

/**
 * The servers that connections have led to. A name may lead to another cluster while the old one goes on serving: then no
 * connection ever breaks, and what is asked over the old ones says nothing of the new ones.
 */
class Servers {
  private readonly known = new Set<string>()

  /** Whether it is one that was not seen before; the first is what there is to begin with. */
  isAnother(socket: Socket): boolean {
    const tls = socket instanceof TLSSocket ? socket : undefined
    // Who takes up a session has its keys. It does not show its certificate then.
    if (tls?.isSessionReused() === true) return false
    const server = `${socket.remoteAddress} ${tls?.getPeerX509Certificate()?.fingerprint256}`
    if (this.known.has(server)) return false
    const [oldest] = this.known
    if (this.known.size >= MAXIMUM_SERVERS) this.known.delete(oldest!)
    this.known.add(server)
    return oldest !== undefined
  }
}

interface Proxy {
  readonly uri: string
  readonly Agent: typeof ProxyAgent
}

/**
 * HTTP/1.1 on purpose. A request that is given up closes its connection there, so that the next one gets a good one; and
 * an unanswered PING of HTTP/2 keeps the system from asking, which hides a dead connection for a quarter of an hour.
 */
const makeDispatcher = (
  credentials: Credentials,
  proxy: Proxy | undefined,
  connections: number | null,
  connected: (socket: Socket) => void
): Dispatcher => {
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
  if (proxy === undefined) {
    const connector = buildConnector(connect)
    return new Agent({
      ...common,
      connect: (options, callback) =>
        connector(options, (...made) => {
          if (made[0] === null) connected(made[1])
          callback(...made)
        })
    })
  }
  // What lies behind a proxy is not seen.
  const uri = proxy.uri.replace(/^socks5h:/i, "socks5:")
  return new proxy.Agent({
    ...common,
    uri,
    connectTimeout: CONNECT_MILLIS,
    requestTls: connect,
    // With these, undici would speak TLS to a SOCKS proxy.
    ...(/^socks5:/i.test(uri)
      ? undefined
      : {
          proxyTls: {
            allowH2: false,
            keepAlive: true,
            keepAliveInitialDelay: KEEPALIVE_MILLIS,
            timeout: CONNECT_MILLIS
          }
        })
  })
}

interface Pools {
  readonly fingerprint: string
  readonly madeAt: number
  readonly requests: Dispatcher
  /** An open watch holds its connection, so watches have connections of their own. */
  readonly watches: Dispatcher
}

const dispatchersOf = (pools: Pools | undefined): ReadonlyArray<Dispatcher> =>
  pools === undefined ? [] : [pools.requests, pools.watches]

const destroy = (dispatchers: ReadonlyArray<Dispatcher>): Promise<unknown> =>
  Promise.all(dispatchers.map((dispatcher) => dispatcher.destroy())).catch(() => undefined)

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

const firstValues = (
  headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
): Readonly<Record<string, string | undefined>> => {
  const values: Record<string, string | undefined> = {}
  for (const name in headers) {
    const value = headers[name]
    values[name] = typeof value === "string" ? value : value?.[0]
  }
  return values
}

/**
 * One request, straight on the pool. A client over it, Effect's as well as undici's own, makes a stream of the answer and
 * signals to cancel it, which doubles the CPU time of a create; an answer here is a kilobyte, and is wanted whole.
 */
class Exchange implements Dispatcher.DispatchHandler {
  /** In milliseconds of the monotonic clock. */
  readonly deadline: number
  private readonly server: string
  private readonly breaks: Breaks
  private readonly underWay: Set<Exchange>
  private readonly resume: (answered: Effect.Effect<KubernetesResponse, BackendError>) => void
  private controller: Dispatcher.DispatchController | undefined
  private isGivenUp = false
  private status = 0
  private headers: KubernetesResponse["headers"] = {}
  private readonly chunks: Array<Buffer> = []

  constructor(
    server: string,
    breaks: Breaks,
    /** What has no answer yet. */
    underWay: Set<Exchange>,
    deadline: number,
    resume: (answered: Effect.Effect<KubernetesResponse, BackendError>) => void
  ) {
    this.server = server
    this.breaks = breaks
    this.underWay = underWay
    this.deadline = deadline
    this.resume = resume
    underWay.add(this)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    if (this.isGivenUp) this.abort()
  }

  onResponseStart(
    _: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  ): void {
    if (status < 200) return
    this.breaks.answered(status)
    this.status = status
    this.headers = firstValues(headers)
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.chunks.push(chunk)
  }

  onResponseEnd(): void {
    const { chunks } = this
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    if (this.headers["content-encoding"] !== "gzip") return this.complete(body)
    gunzip(body, (error, whole) => {
      if (error === null) this.complete(whole)
      else this.onResponseError(undefined, error)
    })
  }

  private complete(body: Buffer): void {
    this.done(Effect.succeed({ status: this.status, headers: this.headers, body: body.toString("utf8") }))
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, cause: Error): void {
    // The status line counts, whatever becomes of the rest.
    if (this.status === 0) return this.fail(cause)
    this.breaks.noAnswer()
    this.done(Effect.succeed({ status: this.status, headers: this.headers, body: undefined }))
  }

  fail(cause: unknown): void {
    this.breaks.noAnswer()
    this.done(Effect.fail(connectionError(cause, this.server)))
  }

  /** Its caller was interrupted. */
  giveUp(): void {
    this.underWay.delete(this)
    this.breaks.noAnswer()
    this.abort()
  }

  expire(late: BackendError): void {
    // Before it is aborted, which is an error of its own.
    this.done(Effect.fail(late))
    this.abort()
  }

  abort(): void {
    this.isGivenUp = true
    this.controller?.abort(new Error("the request was given up"))
  }

  private done(answered: Effect.Effect<KubernetesResponse, BackendError>): void {
    this.underWay.delete(this)
    this.resume(answered)
  }
}

/**
 * Ends at once when it is not read on: the iterator of a stream itself waits for the next chunk first, which may never
 * come.
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
  /** Whether answers may come compressed. The API server does so with those of 128 KiB and more. */
  readonly compression: boolean
  readonly connections: number
  readonly clock: Clock.Clock
  /** How long a request may take until its answer is there, and what it fails with then. */
  readonly timeout: Duration.Duration
  readonly late: BackendError
}): Effect.Effect<Transport, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { clock, compression, late, server, timeout, userAgent } = options
    const uri = options.proxy
    const proxy =
      uri === undefined
        ? undefined
        : // It needs all of undici.
          { uri, Agent: (yield* Effect.promise(() => import("undici"))).ProxyAgent }
    const { origin, pathname } = new URL(server)
    // An API server behind a gateway may have a path of its own.
    const base = pathname.replace(/\/+$/, "")
    const breaks = new Breaks(clock)
    const servers = new Servers()
    let pools: Pools | undefined
    // What is under way on pools that were replaced is ended here: to destroy such a pool does nothing any more.
    // All have the same time, so the first one is the first to be late.
    const underWay = new Set<Exchange>()
    const closing = Deferred.makeUnsafe<never, BackendError>()
    let closed = false
    yield* Effect.addFinalizer(() =>
      Effect.promise(() => {
        closed = true
        Deferred.doneUnsafe(closing, Effect.fail(connectionError(new Error("the connection was closed"), server)))
        for (const exchange of underWay) exchange.abort()
        return destroy(dispatchersOf(pools))
      })
    )

    const renewPools = Effect.fnUntraced(function* (credentials: Credentials): Effect.fn.Return<Pools, BackendError> {
      const [requests, watches] = yield* Effect.try({
        try: () =>
          [
            makeDispatcher(credentials, proxy, options.connections, connected),
            makeDispatcher(credentials, proxy, null, connected)
          ] as const,
        catch: (cause) => connectionError(cause, server)
      })
      const old = pools
      const renewed: Pools = {
        fingerprint: credentials.fingerprint,
        madeAt: clock.currentTimeMillisUnsafe(),
        requests,
        watches
      }
      pools = renewed
      for (const dispatcher of [requests, watches]) {
        dispatcher.on("disconnect", (_origin, _targets, error: Error & { readonly code?: string }) => {
          if (pools === renewed && error.code !== CLOSED_HERE) breaks.noAnswer()
        })
      }
      if (closed) yield* Effect.promise(() => destroy(dispatchersOf(renewed)))
      retire(old)
      return renewed
    })

    /** Whatever is asked from now on goes where the address leads now. */
    const connected = (socket: Socket): void => {
      if (!servers.isAnother(socket)) return
      breaks.noAnswer()
      retire(pools)
      pools = undefined
    }

    const retire = (old: Pools | undefined): void => {
      // What is under way on them ends there.
      for (const dispatcher of dispatchersOf(old)) void dispatcher.close().catch(() => undefined)
    }

    const poolsFor = (credentials: Credentials): Effect.Effect<Pools, BackendError> =>
      pools !== undefined && pools.fingerprint === credentials.fingerprint
        ? Effect.succeed(pools)
        : renewPools(credentials)

    const broken = (error: unknown): BackendError => {
      breaks.noAnswer()
      return connectionError(error, server)
    }

    /**
     * After an answer that did not come: the way may be dead, and with it the connections that nobody is using just now. The
     * next request gets a new one instead of finding out about each of them in turn.
     */
    const suspect = (): void => {
      breaks.noAnswer()
      // Of many that gave up together, the first renews for all.
      if (pools === undefined || clock.currentTimeMillisUnsafe() - pools.madeAt < SUSPICION_MILLIS) return
      retire(pools)
      pools = undefined
    }

    const scope = yield* Effect.scope
    const context = yield* Effect.context()
    const runFork = Effect.runForkWith(context)
    const timeoutMillis = Duration.toMillis(timeout)
    const monotonicMillis = () => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
    let isWatched = false

    /** Ends what is late; sleeps until the next one may be. One for all requests, since a timer for each costs as much as the rest of it. */
    const watchDeadlines: Effect.Effect<void> = Effect.suspend(() => {
      const now = monotonicMillis()
      for (const exchange of underWay) {
        if (exchange.deadline > now)
          return Effect.andThen(clock.sleep(Duration.millis(exchange.deadline - now)), watchDeadlines)
        suspect()
        exchange.expire(late)
      }
      isWatched = false
      return Effect.void
    })

    const exchange = (pool: Dispatcher, credentials: Credentials, request: KubernetesRequest) =>
      Effect.callback<KubernetesResponse, BackendError>((resume) => {
        const one = new Exchange(server, breaks, underWay, monotonicMillis() + timeoutMillis, resume)
        if (!isWatched && timeoutMillis !== Number.POSITIVE_INFINITY) {
          isWatched = true
          runFork(Effect.forkIn(watchDeadlines, scope))
        }
        const headers = headersOf(userAgent, request, credentials)
        if (compression && request.method === "GET") headers["accept-encoding"] = "gzip"
        try {
          pool.dispatch(
            {
              origin,
              path: base + request.path,
              method: request.method,
              headers,
              body: request.body ?? null,
              headersTimeout: 0,
              bodyTimeout: 0
            },
            one
          )
        } catch (cause) {
          one.fail(cause)
        }
        return Effect.sync(() => one.giveUp())
      })

    return {
      epoch: breaks.epoch,
      send: (request, credentials) =>
        pools !== undefined && pools.fingerprint === credentials.fingerprint
          ? exchange(pools.requests, credentials, request)
          : Effect.flatMap(poolsFor(credentials), ({ requests }) => exchange(requests, credentials, request)),
      open: (path, credentials) =>
        Effect.flatMap(poolsFor(credentials), ({ watches }) =>
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
              breaks.answered(statusCode)
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
                  suspect()
                  return Effect.fail(late)
                })
            })
          )
        )
    }
  })
