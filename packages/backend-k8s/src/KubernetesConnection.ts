/**
 * The connection to the API server of a cluster, configured as that of `kubectl`.
 *
 * @since 0.1.0
 */
import * as BackendError from "@tidings/core/BackendError"
import type { Target } from "@tidings/core/Target"
import * as Clock from "effect/Clock"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as clusterTarget from "./internal/clusterTarget.ts"
import * as credentials from "./internal/credentials.ts"
import * as durations from "./internal/durations.ts"
import { Epoch } from "./internal/epoch.ts"
import type { KubeConfig } from "./internal/givenKubeConfig.ts"
import * as kubeconfig from "./internal/kubeconfig.ts"
import { proxyFor } from "./internal/proxy.ts"
import { connectionError, NoAnswer } from "./internal/requestErrors.ts"
import type { KubernetesRequest, KubernetesResponse, KubernetesStream } from "./KubernetesHttp.ts"

export type { KubeConfig } from "./internal/givenKubeConfig.ts"
export type { KubernetesRequest, KubernetesResponse, KubernetesStream } from "./KubernetesHttp.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * How to find and use a cluster.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Files to read, as `$KUBECONFIG` names them: several are separated by `:` (`;` on Windows) and merged. Default:
   * `$KUBECONFIG`, else `~/.kube/config`, else the service account of the pod.
   */
  readonly kubeconfig?: string | undefined
  /**
   * A `KubeConfig` of `@kubernetes/client-node` that the host has loaded. It is used instead of any file, its own methods give
   * the credentials, and it is not changed, not even where `context` names another one of its contexts.
   */
  readonly kubeConfig?: KubeConfig | undefined
  /** The context to use. Default: the current one. */
  readonly context?: string | undefined
  /**
   * How long a credential plugin may run, which may ask a person for a login. After that it is ended with its children.
   * Default: 15 minutes where standard input or standard error is a terminal, otherwise 1 minute. kubectl has no limit.
   */
  readonly loginTimeout?: Duration.Input | undefined
  /**
   * Whether a credential plugin may read the standard input, where it is a terminal and the `interactiveMode` of the plugin
   * asks for it. A host that reads the terminal itself sets `false`. Default: `true`.
   */
  readonly interactive?: boolean | undefined
  /**
   * How long a request may take until its response is complete, and a watch until it starts. Default: 30 seconds. The API
   * server itself responds after 34 s when its etcd does not.
   */
  readonly timeout?: Duration.Input | undefined
  /** Number of connections that requests share. Each watch has one of its own in addition. Default: 16. */
  readonly connections?: number | undefined
  /** Directory of the token of the service account in a pod. Default: `/var/run/secrets/kubernetes.io/serviceaccount`. */
  readonly serviceAccountDirectory?: string | undefined
}

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * A connection to the API server of one cluster.
 *
 * **Details**
 *
 * A request fails only without a response; a response of any status is a success. Tokens are read again within 10 seconds
 * after their files change, and when the server responds 401. One process of a credential plugin serves all requests that
 * wait for it.
 *
 * @category services
 * @since 0.1.0
 */
export class KubernetesConnection extends Context.Service<
  KubernetesConnection,
  {
    /** The address of the API server. */
    readonly server: string
    /** The name of the context. */
    readonly context: string
    /** The namespace of the context, `default` where it names none. */
    readonly namespace: string
    /** Where the configuration was found. */
    readonly source: string
    readonly request: (request: KubernetesRequest) => Effect.Effect<KubernetesResponse, BackendError.BackendError>
    /**
     * Whether a credential plugin is running, which may wait for a person to log in. Requests wait for it; their timeout
     * starts afterwards.
     */
    readonly isLoggingIn: () => boolean
    /** Sends a GET whose response is read as it arrives, over a connection of its own. */
    readonly open: (path: string) => Effect.Effect<KubernetesStream, BackendError.BackendError>
    /**
     * The cluster that answers. Its id is the uid of the namespace `kube-system`; where that may not be read, the uid of the
     * service account of the caller; for other users a digest of the server's address, and the target is uncertain. The
     * names that are not the id are aliases.
     */
    readonly target: Effect.Effect<Target, BackendError.BackendError>
    /**
     * Grows whenever another cluster may have taken the place of the one before: when a request gets no response or one of
     * status 500 and above, when the other side closes a connection, when a new connection leads to another server, and
     * after a minute without a response. An idle connection that is closed on this side does not count.
     */
    readonly epoch: () => number
  }
>()("@tidings/backend-k8s/KubernetesConnection") {}

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

const notConfigured = BackendError.make(
  new BackendError.Unavailable({
    detail:
      "no cluster is configured: KUBECONFIG is not set, there is no ~/.kube/config, and this is not a pod with a service account"
  })
)

/**
 * Where a cluster is configured, `undefined` where none is. Only looks for files, and sends no request.
 *
 * **Example**
 *
 * ```ts
 * import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const where = await Effect.runPromise(KubernetesConnection.configured({ kubeconfig: "/home/me/kubeconfig" }))
 * assert.equal(where, "/home/me/kubeconfig")
 * ```
 *
 * @category getters
 * @since 0.1.0
 */
export const configured = (options?: Options): Effect.Effect<string | undefined> =>
  Effect.map(kubeconfig.find(options ?? {}), (source) =>
    source === undefined ? undefined : kubeconfig.describe(source)
  )

/**
 * The names of the contexts that a kubeconfig has, in its order; none where no cluster is configured, and in a pod.
 *
 * Fails with `Unavailable` where a file cannot be read.
 *
 * **Example**
 *
 * ```ts
 * import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
 * import * as ConfigProvider from "effect/ConfigProvider"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const empty = ConfigProvider.fromUnknown({ HOME: "/nowhere" })
 * const names = await Effect.runPromise(
 *   Effect.provideService(KubernetesConnection.contextNames(), ConfigProvider.ConfigProvider, empty)
 * )
 * assert.deepEqual(names, [])
 * ```
 *
 * @category getters
 * @since 0.2.0
 */
export const contextNames = (
  options?: Pick<Options, "kubeconfig">
): Effect.Effect<ReadonlyArray<string>, BackendError.BackendError> =>
  Effect.flatMap(kubeconfig.find(options ?? {}), (source) =>
    source === undefined ? Effect.succeed([]) : kubeconfig.contextNames(source)
  )

/**
 * Whether a connection could not be made because no cluster is chosen: the kubeconfig does not exist, or has no current
 * context. Any other failure is about the cluster that is chosen.
 *
 * @category predicates
 * @since 0.2.0
 */
export const choosesNoCluster = ({ cause }: BackendError.BackendError): boolean =>
  cause instanceof kubeconfig.ChoosesNoCluster

/**
 * Whether this process runs in a pod: Kubernetes sets `KUBERNETES_SERVICE_HOST` in every one, also in those that have no
 * token of a service account.
 *
 * **Example**
 *
 * ```ts
 * import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
 * import * as ConfigProvider from "effect/ConfigProvider"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const laptop = ConfigProvider.fromUnknown({})
 * const isInPod = await Effect.runPromise(
 *   Effect.provideService(KubernetesConnection.isInPod, ConfigProvider.ConfigProvider, laptop)
 * )
 * assert.equal(isInPod, false)
 * ```
 *
 * @category getters
 * @since 0.2.0
 */
export const isInPod: Effect.Effect<boolean> = Effect.map(
  kubeconfig.variable("KUBERNETES_SERVICE_HOST"),
  (host) => host !== undefined
)

const USER_AGENT = "tidings/0.1.0"

const proxyEnvironment = Effect.all({
  httpProxy: firstOf("HTTP_PROXY", "http_proxy"),
  httpsProxy: firstOf("HTTPS_PROXY", "https_proxy"),
  noProxy: firstOf("NO_PROXY", "no_proxy")
})

function firstOf(name: string, otherName: string): Effect.Effect<string | undefined> {
  return Effect.flatMap(kubeconfig.variable(name), (value) =>
    value === undefined ? kubeconfig.variable(otherName) : Effect.succeed(value)
  )
}

/** For the environment, as in Go. A kubeconfig cannot have `socks5h:`. */
const PROXY_SCHEMES = ["http:", "https:", "socks5:", "socks5h:"]

/**
 * Makes a connection. Reads the configuration, and sends no request: a cluster that is down now may be up later.
 *
 * Fails with `Unavailable` when no cluster is configured or the configuration is invalid.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options?: Options) {
  const source = yield* kubeconfig.find(options ?? {})
  if (source === undefined) return yield* notConfigured
  const load = kubeconfig.load(source, options?.context)
  const loaded = yield* load
  const proxy = proxyFor(new URL(loaded.server), loaded.proxyUrl, yield* proxyEnvironment)
  if (proxy !== undefined && !PROXY_SCHEMES.some((scheme) => proxy.startsWith(`${scheme}//`))) {
    return yield* BackendError.make(
      new BackendError.Unavailable({
        detail: `the proxy ${proxy.replace(/\/\/[^@/]*@/, "//")} cannot be used; use one of http, https, socks5`
      })
    )
  }
  const address = loaded.server.replace(/\/+$/, "")
  const clock = yield* Clock.Clock
  const { loginTimeout } = options ?? {}
  const identity = yield* credentials.make({
    loaded,
    reload: load,
    clock,
    running: {
      interactive: options?.interactive ?? true,
      timeoutMillis:
        loginTimeout === undefined
          ? credentials.loginMillis()
          : Duration.toMillis(yield* durations.read("loginTimeout", loginTimeout))
    }
  })
  const Transport = yield* Effect.promise(() => import("./internal/transport.ts"))
  const timeout = yield* durations.read("timeout", options?.timeout ?? "30 seconds")
  const transport = yield* Transport.make({
    server: address,
    userAgent: USER_AGENT,
    proxy,
    compression: !loaded.disableCompression,
    connections: options?.connections ?? 16,
    clock,
    timeout,
    late: lateError(address, timeout)
  })

  const noticeTls = (error: BackendError.BackendError): void => {
    if (error.reason._tag === "Unavailable") identity.expire()
  }

  /** After a 401, repeats the request once with renewed credentials. */
  const authorized = <A extends { readonly status: number }>(
    use: (current: credentials.Credentials) => Effect.Effect<A, BackendError.BackendError>,
    /** Discards the body of a response that is not used. */
    discard: (response: A) => Effect.Effect<unknown> = () => Effect.void
  ): Effect.Effect<A, BackendError.BackendError> =>
    Effect.flatMap(identity.get, (current) =>
      Effect.matchEffect(use(current), {
        onFailure: (error) => {
          noticeTls(error)
          return Effect.fail(error)
        },
        onSuccess: (response) => {
          if (response.status !== 401) return Effect.succeed(response)
          return Effect.flatMap(identity.renew(current), (renewed) =>
            renewed.generation === current.generation
              ? Effect.succeed(response)
              : Effect.andThen(discard(response), use(renewed))
          )
        }
      })
    )

  const request = (request: KubernetesRequest) => authorized((current) => transport.send(request, current))

  const open = (path: string) =>
    authorized(
      (current) => transport.open(path, current),
      ({ text }) => text
    )

  const target = clusterTarget.make({
    address,
    tls: Effect.map(identity.get, ({ tls }) => tls),
    request,
    epoch: transport.epoch,
    clock
  })

  return KubernetesConnection.of({
    server: address,
    context: loaded.context,
    namespace: loaded.namespace,
    source: kubeconfig.describe(loaded.source),
    request,
    isLoggingIn: identity.isLoggingIn,
    open,
    target,
    epoch: transport.epoch
  })
})

/**
 * What carries requests to the API server and its responses back.
 *
 * It fails only where there is no response, with the cause: an `Error` whose `code` (`ECONNREFUSED`, `ECONNRESET`, …) says
 * whether the request may have had an effect all the same. It adds the credentials itself.
 *
 * @category models
 * @since 0.2.0
 */
export interface Transport {
  readonly request: (request: KubernetesRequest) => Effect.Effect<KubernetesResponse, unknown>
  /** Asks for a response that goes on, such as a watch. It ends when its bytes are not read on. */
  readonly open: (path: string) => Effect.Effect<TransportStream, unknown>
  /** How often the other side has closed a connection so far. Default: never. */
  readonly breaks?: (() => number) | undefined
}

/**
 * A response that goes on, as a {@link Transport} has it.
 *
 * @category models
 * @since 0.2.0
 */
export interface TransportStream extends Omit<KubernetesStream, "bytes"> {
  readonly bytes: Stream.Stream<Uint8Array, unknown>
}

const lateError = (address: string, timeout: Duration.Duration): BackendError.BackendError =>
  BackendError.make(
    new BackendError.Transient({
      applied: "unknown",
      detail: `${address}: no answer within ${Duration.format(timeout)}`
    }),
    new NoAnswer()
  )

/**
 * Makes a connection over a transport of one's own: a tunnel, or an API server in the same process, as
 * `@tidings/testing-k8s` has it.
 *
 * **Example** (A cluster that is always being upgraded)
 *
 * ```ts
 * import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import assert from "node:assert/strict"
 *
 * const response = { status: 503, headers: {}, body: "upgrading" }
 * const program = Effect.gen(function* () {
 *   const connection = yield* KubernetesConnection.fromTransport({
 *     server: "https://cluster.example",
 *     transport: {
 *       request: () => Effect.succeed(response),
 *       open: () => Effect.succeed({ ...response, text: Effect.succeed(response.body), bytes: Stream.empty })
 *     }
 *   })
 *   assert.equal((yield* connection.request({ method: "GET", path: "/version" })).status, 503)
 *   // Whatever answers next may be another cluster.
 *   assert.equal(connection.epoch(), 1)
 * })
 * await Effect.runPromise(program)
 * ```
 *
 * @category constructors
 * @since 0.2.0
 */
export const fromTransport = Effect.fnUntraced(function* (options: {
  /** The address of the API server. */
  readonly server: string
  readonly transport: Transport
  /** The name of the context. Default: `""`. */
  readonly context?: string | undefined
  /** The namespace of the context. Default: `default`. */
  readonly namespace?: string | undefined
  /** Where the configuration was found, for messages. Default: the address. */
  readonly source?: string | undefined
  /** PEM of the authority of the server's certificate, which is one of the names of the cluster. */
  readonly certificateAuthority?: string | undefined
  /** Time until an answer must be there, for everything but watches. Default: 30 seconds. */
  readonly timeout?: Duration.Input | undefined
}) {
  const { certificateAuthority: ca, server, transport } = options
  const clock = yield* Clock.Clock
  const own = new Epoch(clock)
  const timeout = yield* durations.read("timeout", options.timeout ?? "30 seconds")
  const failed = (cause: unknown): BackendError.BackendError => {
    own.advance()
    return connectionError(cause, server)
  }
  const late = Effect.suspend(() => {
    own.advance()
    return Effect.fail(lateError(server, timeout))
  })
  const answered = <A extends { readonly status: number }>(
    response: Effect.Effect<A, unknown>
  ): Effect.Effect<A, BackendError.BackendError> =>
    response.pipe(
      Effect.mapError(failed),
      Effect.timeoutOrElse({ duration: timeout, orElse: () => late }),
      Effect.tap(({ status }) => Effect.sync(() => own.responded(status))),
      Effect.onInterrupt(() => Effect.sync(own.advance))
    )
  const epoch = (): number => own.current() + (transport.breaks?.() ?? 0)
  const request = (request: KubernetesRequest) => answered(transport.request(request))
  const target = clusterTarget.make({
    address: server,
    tls: Effect.succeed(ca === undefined ? {} : { ca }),
    request,
    epoch,
    clock
  })
  return KubernetesConnection.of({
    server,
    context: options.context ?? "",
    namespace: options.namespace ?? "default",
    source: options.source ?? server,
    request,
    isLoggingIn: () => false,
    open: (path) =>
      Effect.map(answered(transport.open(path)), (stream) => ({
        ...stream,
        bytes: Stream.mapError(stream.bytes, failed)
      })),
    target,
    epoch
  })
})

/**
 * A connection to the cluster that `kubectl` would use. Its connections are closed with the layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<KubernetesConnection, BackendError.BackendError> =>
  Layer.effect(KubernetesConnection, make(options))

/**
 * `layer`, with its options from a `Config`.
 *
 * **Example** (The context from the environment)
 *
 * ```ts
 * import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
 * import * as Config from "effect/Config"
 *
 * export const Connection = KubernetesConnection.layerConfig({
 *   context: Config.String("MY_CONTEXT"),
 *   timeout: Config.Duration("MY_TIMEOUT")
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<KubernetesConnection, BackendError.BackendError | Config.ConfigError> =>
  Layer.unwrap(
    // Loaded here, because it brings Schema with it, which doubles what a host pays at its start.
    Effect.flatMap(
      Effect.promise(() => import("effect/Config")),
      ({ unwrap }) => Effect.map(unwrap(options), layer)
    )
  )
