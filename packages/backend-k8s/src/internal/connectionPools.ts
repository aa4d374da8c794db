/**
 * The connections to the API server.
 *
 * Connections are kept while their credentials are the same and lead to the same server; otherwise the next request gets
 * new ones, and the old ones are closed when their requests have ended.
 *
 * HTTP/1.1 on purpose. There, a request that is cancelled closes its connection, so that the next one gets a good one; and
 * in HTTP/2 an unanswered PING keeps TCP from probing, which hides a dead connection for a quarter of an hour.
 */
import type { BackendError } from "@tidings/core/BackendError"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Socket } from "node:net"
import type { Dispatcher, ProxyAgent } from "undici"
import type { Credentials } from "./credentials.ts"
import type { Epoch } from "./epoch.ts"
import { KnownServers } from "./knownServers.ts"
import { connectionError } from "./requestErrors.ts"
import { Agent, buildConnector } from "./undici.ts"

/**
 * How long an idle connection is kept: less than the 60 s after which load balancers drop it. The API server keeps it for
 * 90 s.
 */
const IDLE_MILLIS = 45_000

/**
 * Time without data after which TCP probes the other side. With the ten probes a second apart that Node sets, a dead
 * connection is found after 25 s.
 */
const KEEPALIVE_MILLIS = 15_000

const CONNECT_MILLIS = 10_000

/** Connections that were made so recently are not replaced again. */
const RECENT_MILLIS = 1_000

/** The code with which undici closes a connection that is idle or whose request was cancelled. */
const CLOSED_HERE = "UND_ERR_INFO"

/** @internal */
export interface Proxy {
  readonly uri: string
  readonly Agent: typeof ProxyAgent
}

/**
 * After two turns of the event loop. In the first one Node reads that the other side closed connections, and at its end undici
 * learns of it.
 */
const afterTwoTurns = (callback: () => void): void => void setImmediate(() => setImmediate(callback))

/** The requests that wait for the connection fail with it, before anything of them was sent. */
const closedMeanwhile = (): Error =>
  Object.assign(new Error("the server closed its connections while another one was made"), {
    code: "UND_ERR_CLOSED"
  })

const makeDispatcher = (
  credentials: Credentials,
  proxy: Proxy | undefined,
  connections: number | null,
  onConnect: (socket: Socket) => void,
  closedByServer: () => number
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
      connect: (options, callback) => {
        const before = closedByServer()
        connector(options, (...made) => {
          if (made[0] !== null) return callback(...made)
          const [, socket] = made
          onConnect(socket)
          afterTwoTurns(() => {
            if (closedByServer() === before) return callback(null, socket)
            socket.destroy()
            callback(closedMeanwhile(), null)
          })
        })
      }
    })
  }
  // Of the server behind a proxy nothing is known, so `onConnect` is not called.
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

/** @internal */
export interface Pools {
  readonly fingerprint: string
  readonly madeAt: number
  readonly requests: Dispatcher
  /** An open watch occupies its connection, so watches have connections of their own. */
  readonly watches: Dispatcher
}

const dispatchersOf = (pools: Pools | undefined): ReadonlyArray<Dispatcher> =>
  pools === undefined ? [] : [pools.requests, pools.watches]

const destroy = (pools: Pools | undefined): Promise<unknown> =>
  Promise.all(dispatchersOf(pools).map((dispatcher) => dispatcher.destroy())).catch(() => undefined)

/** @internal */
export class ConnectionPools {
  private pools: Pools | undefined
  private isClosed = false
  private readonly servers = new KnownServers()
  /** How many connections the server has closed. */
  private closedByServer = 0
  private readonly options: {
    readonly server: string
    readonly proxy: Proxy | undefined
    readonly connections: number
    readonly clock: Clock.Clock
    readonly epoch: Epoch
  }

  constructor(options: ConnectionPools["options"]) {
    this.options = options
  }

  /** The pools for these credentials, where there are some. */
  current(credentials: Credentials): Pools | undefined {
    return this.pools !== undefined && this.pools.fingerprint === credentials.fingerprint ? this.pools : undefined
  }

  get(credentials: Credentials): Effect.Effect<Pools, BackendError> {
    const current = this.current(credentials)
    return current === undefined ? this.renew(credentials) : Effect.succeed(current)
  }

  /**
   * After a request without a response: the path may be dead, and with it all idle connections. The next request gets a new
   * one instead of waiting for each of them to time out. Of many requests that time out together, the first one replaces
   * the connections.
   */
  replaceAfterTimeout(): void {
    this.options.epoch.advance()
    const { pools } = this
    if (pools !== undefined && this.options.clock.currentTimeMillisUnsafe() - pools.madeAt >= RECENT_MILLIS) {
      this.retire()
    }
  }

  close(): Promise<unknown> {
    this.isClosed = true
    return destroy(this.pools)
  }

  private renew(credentials: Credentials): Effect.Effect<Pools, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const pools = yield* Effect.try({
        try: () => this.make(credentials),
        catch: (cause) => connectionError(cause, this.options.server)
      })
      const old = this.pools
      this.pools = pools
      if (this.isClosed) yield* Effect.promise(() => destroy(pools))
      this.closeGently(old)
      return pools
    })
  }

  private make(credentials: Credentials): Pools {
    const { clock, connections, epoch, proxy } = this.options
    const onConnect = (socket: Socket): void => {
      if (!this.servers.isAnother(socket)) return
      epoch.advance()
      this.retire()
    }
    // A server may have been replaced since a request was allowed to go out, and its closed connections not been noticed yet,
    // where this process had no turn meanwhile. The request would then be sent to the new server over a new connection.
    const closed = (): number => this.closedByServer
    const pools: Pools = {
      fingerprint: credentials.fingerprint,
      madeAt: clock.currentTimeMillisUnsafe(),
      requests: makeDispatcher(credentials, proxy, connections, onConnect, closed),
      watches: makeDispatcher(credentials, proxy, null, onConnect, closed)
    }
    for (const dispatcher of dispatchersOf(pools)) {
      dispatcher.on("disconnect", (_origin, _targets, error: Error & { readonly code?: string }) => {
        if (this.pools !== pools || error.code === CLOSED_HERE) return
        this.closedByServer++
        epoch.advance()
      })
    }
    return pools
  }

  /** Lets the next request make new connections. */
  private retire(): void {
    this.closeGently(this.pools)
    this.pools = undefined
  }

  /** Closes connections as their requests end. */
  private closeGently(pools: Pools | undefined): void {
    for (const dispatcher of dispatchersOf(pools)) void dispatcher.close().catch(() => undefined)
  }
}
