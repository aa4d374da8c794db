/**
 * A Kubernetes API server inside the process, for tests of what talks to one.
 *
 * It listens on a TLS socket on loopback ({@link layer}), or serves a `KubernetesConnection` without one
 * ({@link layerConnection}), and speaks the part of the protocol that has to do with events: create, patch, list and
 * watch of events in `v1` and `events.k8s.io/v1`, namespaces, custom resources, pods and nodes to look up, discovery,
 * RBAC, access reviews. What it answers was compared with kube-apiserver 1.37.2, by content: JSON has neither the order
 * of fields nor the indentation that Go gives it. Faults are injected by script or by seed; each is one that a real
 * server, or what stands before it, was seen to give, and what was injected is counted.
 *
 * **When to use**
 *
 * For tests that need a fault at a certain moment, or no cluster at all. Use a real API server to learn what Kubernetes
 * does.
 *
 * **Details**
 *
 * Nothing depends on the time of day or on chance: times come from the `Clock` in which the server is made, resource
 * versions from a counter, uids from the seed and the name of the object, so that the same seed gives the same objects
 * whatever the order of requests. With a `TestClock`, timeouts, expiry and compaction happen when the test adjusts it.
 *
 * **Gotchas**
 *
 * HTTP/1.1 and JSON only: no protobuf, YAML, tables, server-side apply or OpenAPI. Objects other than events and
 * namespaces are stored as they are sent, without defaults, validation or `managedFields`; a
 * CustomResourceDefinition is served at once and its schema is not looked at. A namespace that does not exist is
 * answered 404 at once, where a real server takes 50 ms to be sure.
 *
 * **Example** (A create whose answer is lost)
 *
 * ```ts
 * import * as ApiServer from "@tidings/testing-k8s/ApiServer"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 * import * as https from "node:https"
 *
 * const create = (server: ApiServer.ApiServer["Service"], token: string) =>
 *   Effect.callback<number | string>((resume) => {
 *     const request = https.request(`${server.url}/api/v1/namespaces/default/events`, {
 *       method: "POST",
 *       ca: server.certificateAuthority,
 *       headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }
 *     })
 *     request.on("response", (response) => {
 *       response.resume()
 *       resume(Effect.succeed(response.statusCode ?? 0))
 *     })
 *     request.on("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? "")))
 *     request.end(JSON.stringify({ metadata: { name: "order-1.1" }, involvedObject: { namespace: "default" } }))
 *   })
 *
 * const program = Effect.gen(function* () {
 *   const server = yield* ApiServer.ApiServer
 *   const token = yield* server.token("writer")
 *   yield* server.inject(ApiServer.reset({ applied: true }))
 *
 *   assert.equal(yield* create(server, token), "ECONNRESET")
 *   assert.equal(yield* create(server, token), 409)
 *   assert.equal((yield* server.events).length, 1)
 *   assert.equal((yield* server.injected).Reset, 1)
 * })
 * await Effect.runPromise(program.pipe(Effect.provide(ApiServer.layer())))
 * ```
 *
 * @since 0.1.0
 */
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type { Chaos, Fault, Injected, Injection, InjectOptions, WatchCut } from "./Fault.ts"
import type { Fork } from "./internal/answering.ts"
import * as certificates from "./internal/certificates.ts"
import { Cluster, type SavedCluster } from "./internal/cluster.ts"
import { put as putObject } from "./internal/creating.ts"
import * as eventRateLimit from "./internal/eventRateLimit.ts"
import type { EventRateLimit } from "./internal/eventRateLimit.ts"
import * as faultRules from "./internal/faultRules.ts"
import { HttpsListener } from "./internal/httpsListener.ts"
import { asObject, type JsonObject, parse } from "./internal/json.ts"
import { kubeconfigText } from "./internal/kubeconfig.ts"
import * as memoryConnection from "./internal/memoryConnection.ts"
import { Objects, objectText } from "./internal/objects.ts"
import * as ports from "./internal/ports.ts"
import { type LoggedRequest, RequestLog } from "./internal/requestLog.ts"
import { seedOf } from "./internal/seed.ts"
import { ServerProcess } from "./internal/serverProcess.ts"
import { Refused } from "./internal/statuses.ts"
import { Store } from "./internal/store.ts"
import { allUsers, roleObjects, Tokens, type User } from "./internal/users.ts"

export type { EventRateLimit } from "./internal/eventRateLimit.ts"
export type { LoggedRequest } from "./internal/requestLog.ts"
export type { Rule, User } from "./internal/users.ts"
export * from "./Fault.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * An object as Kubernetes writes it in JSON. A type of a package such as `kubernetes-types` fits.
 *
 * @category models
 * @since 0.1.0
 */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name?: string | undefined
    readonly namespace?: string | undefined
    readonly uid?: string | undefined
    readonly [key: string]: unknown
  }
  readonly [key: string]: unknown
}

/**
 * How a server is made.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** A free one between 20,000 and 30,000 unless given: below those that systems hand out to clients. */
  readonly port?: number | undefined
  /**
   * Users beside, or instead of, the ones that are always there: `admin` (in `system:masters`), `writer` (creates and
   * patches events of `v1`), `reader` (gets, lists and watches events of both groups), `user` (both, and gets every
   * object), `nobody` (nothing).
   */
  readonly users?: ReadonlyArray<User> | undefined
  /** Objects that are there from the start, in this order. A CustomResourceDefinition comes before its objects. */
  readonly objects?: ReadonlyArray<KubernetesObject> | undefined
  /** Namespaces beside `default`, `kube-system`, `kube-public` and `kube-node-lease`. */
  readonly namespaces?: ReadonlyArray<string> | undefined
  /**
   * How long an event is kept after the last write that changed it, in whole seconds. 1 hour unless given. Writes share
   * leases, so that it may be up to 5 % or a minute more.
   */
  readonly eventTtl?: Duration.Input | undefined
  /** How often history is discarded, each time up to the time before. 5 minutes unless given; `Infinity` for never. */
  readonly compactionInterval?: Duration.Input | undefined
  /** None unless given. */
  readonly eventRateLimit?: EventRateLimit | ReadonlyArray<EventRateLimit> | undefined
  /** When a request that waits for etcd is answered 504. 1 minute unless given. */
  readonly requestTimeout?: Duration.Input | undefined
  /** Faults that requests meet, in this order. */
  readonly faults?: ReadonlyArray<Injection> | undefined
  readonly chaos?: Chaos | undefined
  /**
   * What a mutating webhook makes of each object that is created or changed by a request: one that removes annotations,
   * for example. It returns the object as it is unless given.
   */
  readonly webhook?: ((object: KubernetesObject) => KubernetesObject) | undefined
  /**
   * `false`: without a socket and without files, for tests that use `connection` alone. `url` leads nowhere then, `port` is
   * 0, and the names of the files are empty. `true` unless given.
   */
  readonly listen?: boolean | undefined
  /** How many requests are remembered. 10,000 unless given. */
  readonly requestLogSize?: number | undefined
  /** Fixes uids, tokens and chaos. Drawn from the `Random` service unless given. */
  readonly seed?: string | number | undefined
}

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/**
 * The server cannot do what a test asks of it.
 *
 * `Listen`: the port is in use. `UnknownUser`: there is no user of that name. `Refused`: the object would be refused by the API
 * server, for the reason in the message. `File`: the kubeconfig cannot be written.
 *
 * @category errors
 * @since 0.1.0
 */
export class ApiServerError extends Data.TaggedError("ApiServerError")<{
  readonly reason: "Listen" | "UnknownUser" | "Refused" | "File"
  readonly message: string
  readonly cause?: unknown
}> {}

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * What an API server had stored at a moment, to start it on again.
 *
 * @category models
 * @since 0.2.0
 */
export class Backup {
  /** @internal */
  readonly saved: SavedCluster

  /** @internal */
  constructor(saved: SavedCluster) {
    this.saved = saved
  }
}

/**
 * A running API server and the handle on it.
 *
 * @category services
 * @since 0.1.0
 */
export class ApiServer extends Context.Service<
  ApiServer,
  {
    /** Such as `https://127.0.0.1:23456`. */
    readonly url: string
    readonly port: number
    /** PEM of the authority that the server's certificate comes from. */
    readonly certificateAuthority: string
    /** The same in a file, as long as the server is there. */
    readonly certificateAuthorityFile: string
    /** A kubeconfig with a context per user, under their names, and one for `certificate`; `admin` is the current one. */
    readonly kubeconfig: string
    /** The same in a file, as long as the server is there. Tokens are those of the start. */
    readonly kubeconfigFile: string
    /**
     * PEM of a certificate and its key for the user `certificate` in `system:serviceaccounts`, who may do what RBAC
     * grants them.
     */
    readonly clientCertificate: { readonly certificate: string; readonly key: string }
    /** The token of a user that is valid now. */
    readonly token: (user: string) => Effect.Effect<string, ApiServerError>
    /** Gives a user a new token. The old one is answered 401 from now on. */
    readonly rotateToken: (user: string) => Effect.Effect<string, ApiServerError>

    /**
     * A connection of a user to this server without a socket, until the scope ends: `user` unless given. It meets the same
     * faults as one with a socket.
     */
    readonly connection: (
      user?: string
    ) => Effect.Effect<KubernetesConnection.KubernetesConnection["Service"], ApiServerError, Scope.Scope>

    /** The events that are there, as `v1` has them, by namespace and name. */
    readonly events: Effect.Effect<ReadonlyArray<KubernetesObject>>
    /**
     * Stores an object without a request: creates it or replaces the one of its name. A given uid is kept. A Namespace
     * with the status `{ phase: "Terminating" }` is one that is being deleted.
     */
    readonly put: (object: KubernetesObject) => Effect.Effect<KubernetesObject, ApiServerError>
    /** Removes an object without a request, also a namespace. Whether there was one. */
    readonly remove: (object: KubernetesObject) => Effect.Effect<boolean>
    /** The resource version of the last change. */
    readonly resourceVersion: Effect.Effect<number>
    /** Discards all history now: watches and lists at an older resource version are answered 410. */
    readonly compact: Effect.Effect<void>

    /** Adds a fault behind those that wait already. */
    readonly inject: (fault: Fault, options?: InjectOptions) => Effect.Effect<void>
    /** Begins or replaces faults by chance. */
    readonly chaos: (chaos: Chaos) => Effect.Effect<void>
    /** Ends all faults that wait, and chaos. `injected` stays. */
    readonly heal: Effect.Effect<void>
    /** How often each fault was met so far. */
    readonly injected: Effect.Effect<Injected>
    /** How many injected faults no request has met yet, without those that have no end. */
    readonly remaining: Effect.Effect<number>

    /** Ends every watch that is open: `"end"`, as after `timeoutSeconds`, unless given. */
    readonly endWatches: (how?: WatchCut["how"]) => Effect.Effect<void>
    /** Writes into every watch that is open what no API server sends: half a line, the page of a gateway, a bookmark. */
    readonly writeToWatches: (chunk: string | Uint8Array) => Effect.Effect<void>

    /** The last requests, oldest first. */
    readonly requests: Effect.Effect<ReadonlyArray<LoggedRequest>>
    /** How many requests came in, also those that are not remembered. */
    readonly requestCount: Effect.Effect<number>
    /** How many TCP connections were opened in all, and how many are open now. */
    readonly connections: Effect.Effect<{ readonly opened: number; readonly open: number }>

    /**
     * SIGTERM: new connections are refused and idle ones closed at once; requests on their way and open watches go on for
     * the grace period (1 minute unless given).
     */
    readonly stopApiServer: (options?: { readonly grace?: Duration.Input | undefined }) => Effect.Effect<void>
    /** SIGKILL: every connection is reset and new ones are refused. */
    readonly killApiServer: Effect.Effect<void>
    /**
     * Listens again on the same port. Ordinary users are answered 403 until the roles are loaded: 120 milliseconds unless
     * given, by the clock. What is stored is the same, unless `etcd` gives it another one, for which a server that runs is
     * killed first:
     *
     * - `"empty"`: another cluster at the same address, with what this one had when it was made, under other uids
     * - a backup: this cluster as it was then, its resource versions set back too
     */
    readonly startApiServer: (options?: {
      readonly rolesAfter?: Duration.Input | undefined
      readonly etcd?: "empty" | Backup | undefined
    }) => Effect.Effect<void, ApiServerError>
    /** A snapshot of etcd. */
    readonly backup: Effect.Effect<Backup>
    /** SIGSTOP: connections are taken and stay open, nothing is answered on them. */
    readonly pauseApiServer: Effect.Effect<void>
    readonly resumeApiServer: Effect.Effect<void>
    /** Kills it, waits, and starts it again. */
    readonly outage: (duration: Duration.Input) => Effect.Effect<void, ApiServerError>
    /**
     * etcd does not answer: writes are answered 504 after 34 seconds, lists 500 after 40, the rest 504 after the request
     * timeout; watches are silent. None of them is carried out later.
     */
    readonly pauseEtcd: Effect.Effect<void>
    /** Requests that still wait go on. */
    readonly resumeEtcd: Effect.Effect<void>
  }
>()("@tidings/testing-k8s/ApiServer") {}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const defaultNamespaces = ["kube-system", "kube-public", "kube-node-lease", "default"]
const urlWithoutSocket = "https://api-server.test"

const asJson = (object: KubernetesObject): JsonObject => asObject(parse(JSON.stringify(object)))

const asKubernetesObject = (object: JsonObject): KubernetesObject =>
  // Whatever is stored has these three fields.
  object as JsonObject & KubernetesObject

const listenError = (port: number, cause: Error): ApiServerError =>
  new ApiServerError({ reason: "Listen", message: `cannot listen on 127.0.0.1:${port}: ${cause.message}`, cause })

/** Writes them into a directory of their own, which goes with the scope. */
const writeFiles = (files: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: async () => {
        const directory = await fs.mkdtemp(path.join(os.tmpdir(), "tidings-api-server-"))
        for (const [name, text] of Object.entries(files)) {
          await fs.writeFile(path.join(directory, name), text, { mode: 0o600 })
        }
        return directory
      },
      catch: (cause) =>
        new ApiServerError({ reason: "File", message: `cannot write the kubeconfig: ${String(cause)}`, cause })
    }),
    (directory) => Effect.promise(() => fs.rm(directory, { recursive: true, force: true }))
  )

/** The server, and what tests reach of it, before it takes requests. */
const makeParts = (options: Options, now: () => number, seed: number, fork: Fork) => {
  const compactionMillis = Duration.toMillis(options.compactionInterval ?? "5 minutes")
  const store = new Store({
    now: now(),
    compactionMillis: Number.isFinite(compactionMillis) && compactionMillis > 0 ? compactionMillis : undefined
  })
  const cluster = new Cluster(store, seed)
  const users = allUsers(options.users ?? [])
  const tokens = new Tokens(seed, users)
  const objects = new Objects({
    store,
    now,
    seed: () => cluster.seed,
    eventTtlSeconds: Math.max(1, Math.floor(Duration.toSeconds(options.eventTtl ?? "1 hour")))
  })
  const faults = faultRules.make(seed)
  for (const { fault, ...injectOptions } of options.faults ?? []) faults.inject(fault, injectOptions)
  faults.setChaos(options.chaos)
  const { webhook } = options
  const address = { host: new URL(urlWithoutSocket).host }
  const log = new RequestLog(options.requestLogSize ?? 10_000)
  const process = new ServerProcess({
    api: {
      objects,
      admission: {
        rateLimit: eventRateLimit.make([options.eventRateLimit ?? []].flat(), now),
        mutate: (object) => (webhook === undefined ? object : asJson(webhook(asKubernetesObject(object))))
      },
      serverAddress: () => address.host
    },
    faults,
    log,
    seed,
    now,
    fork,
    identify: (token) => {
      const identity = tokens.identify(token)
      return identity?.name.startsWith("system:serviceaccount:") === true
        ? { ...identity, uid: cluster.accountUid(identity.name) }
        : identity
    },
    requestTimeout: Duration.fromInputUnsafe(options.requestTimeout ?? "1 minute")
  })
  return { address, cluster, faults, log, objects, process, store, tokens, users }
}

type Parts = ReturnType<typeof makeParts>

const put = ({ objects, process }: Parts, object: KubernetesObject): Effect.Effect<KubernetesObject, ApiServerError> =>
  Effect.try({
    try: () => {
      process.advance()
      const stored = putObject(objects, asJson(object))
      return asKubernetesObject(asObject(parse(objectText(stored.resource, stored.object))))
    },
    catch: (cause) =>
      new ApiServerError({
        reason: "Refused",
        message: `the API server would refuse ${object.kind} ${object.metadata.name ?? ""}: ${cause instanceof Refused ? cause.answer.body.trim() : String(cause)}`,
        cause
      })
  })

/** What is there from the start. */
const putInitial = (parts: Parts, options: Options): Effect.Effect<void, ApiServerError> =>
  Effect.gen(function* () {
    for (const name of [...defaultNamespaces, ...(options.namespaces ?? [])]) {
      yield* put(parts, { apiVersion: "v1", kind: "Namespace", metadata: { name } })
    }
    for (const object of [...parts.users.flatMap(roleObjects), ...(options.objects ?? [])]) yield* put(parts, object)
  })

/** Where the server takes connections; `undefined` where it has no socket. */
interface Socket {
  readonly listener: HttpsListener
  readonly port: number
  readonly listen: Effect.Effect<void, ApiServerError>
}

const openSocket = (
  process: ServerProcess,
  wanted: number | undefined
): Effect.Effect<Socket, ApiServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const listener = new HttpsListener(process)
    const listen = (port: number) => Effect.mapError(listener.listen(port), (cause) => listenError(port, cause))
    const port = yield* Effect.acquireRelease(
      wanted === undefined || wanted === 0
        ? Effect.flatMap(ports.listenOnFree(listen), (free) =>
            free === undefined
              ? Effect.fail(new ApiServerError({ reason: "Listen", message: "there is no free port on 127.0.0.1" }))
              : Effect.succeed(free)
          )
        : Effect.as(listen(wanted), wanted),
      (taken) =>
        Effect.sync(() => {
          listener.close()
          process.kill()
          ports.release(taken)
        })
    )
    ports.reserve(port)
    return { listener, port, listen: Effect.suspend(() => listen(port)) }
  })

/** How the server is stopped, started and paused, with its socket. */
const lifecycle = (
  parts: Parts,
  options: Options,
  now: () => number,
  socket: Socket | undefined
): Pick<
  ApiServer["Service"],
  "killApiServer" | "outage" | "pauseApiServer" | "resumeApiServer" | "startApiServer" | "stopApiServer"
> => {
  const { cluster, process } = parts
  const kill = (): void => {
    socket?.listener.close()
    socket?.listener.dropHeld()
    process.kill()
  }
  const startApiServer: ApiServer["Service"]["startApiServer"] = (startOptions = {}) =>
    Effect.suspend(() => {
      const { etcd } = startOptions
      if (etcd === undefined && process.isListening) {
        return Effect.void
      }
      const rolesAfter = Duration.toMillis(startOptions.rolesAfter ?? "120 millis")
      const start = Effect.andThen(
        socket?.listen ?? Effect.void,
        Effect.sync(() => process.start(now() + rolesAfter))
      )
      if (etcd === undefined) return start
      // Watches that a stopped server still serves end with its data.
      kill()
      cluster.replace(etcd === "empty" ? undefined : etcd.saved)
      return etcd === "empty" ? Effect.andThen(putInitial(parts, options), start) : start
    })
  return {
    startApiServer,
    stopApiServer: (stopOptions = {}) =>
      Effect.sync(() => {
        socket?.listener.close()
        process.stop(Duration.fromInputUnsafe(stopOptions.grace ?? "1 minute"))
      }),
    killApiServer: Effect.sync(kill),
    pauseApiServer: Effect.sync(() => process.pause()),
    resumeApiServer: Effect.sync(() => {
      process.resume()
      socket?.listener.resume()
    }),
    outage: (duration) =>
      Effect.sync(kill).pipe(Effect.andThen(Effect.sleep(duration)), Effect.andThen(startApiServer()))
  }
}

/** What is stored, with what is due by now done first. */
const contents = (
  parts: Parts
): Pick<ApiServer["Service"], "backup" | "compact" | "events" | "put" | "remove" | "resourceVersion"> => {
  const { cluster, objects, process, store } = parts
  const now = <A>(look: () => A): Effect.Effect<A> =>
    Effect.sync(() => {
      process.advance()
      return look()
    })
  return {
    events: now(() => objects.events().map(asKubernetesObject)),
    put: (object) => put(parts, object),
    remove: ({ apiVersion, kind, metadata: { name = "", namespace = "default" } }) =>
      now(() => {
        const resource = objects.resourceOf(apiVersion, kind)
        return resource !== undefined && objects.remove(resource, namespace, name) !== undefined
      }),
    resourceVersion: now(() => store.revision),
    compact: now(() => store.compact()),
    backup: now(() => new Backup(cluster.save()))
  }
}

const knownUser = <A>({ tokens }: Parts, user: string, use: (token: string) => A): Effect.Effect<A, ApiServerError> =>
  Effect.suspend(() => {
    const token = tokens.all.get(user)
    return token === undefined
      ? Effect.fail(
          new ApiServerError({
            reason: "UnknownUser",
            message: `there is no user "${user}", only ${[...tokens.all.keys()].join(", ")}`
          })
        )
      : Effect.succeed(use(token))
  })

const connect = (
  parts: Parts,
  url: string,
  user: string
): Effect.Effect<KubernetesConnection.KubernetesConnection["Service"], ApiServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const { process, tokens } = parts
    yield* knownUser(parts, user, () => undefined)
    const transport = yield* memoryConnection.make({
      process,
      token: () => tokens.all.get(user) ?? "",
      userAgent: "tidings/test"
    })
    return yield* Effect.orDie(
      KubernetesConnection.fromTransport({
        server: url,
        context: user,
        source: "an API server in this process",
        certificateAuthority: certificates.authority,
        transport
      })
    )
  })

/**
 * Starts a server that ends with the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<ApiServer["Service"], ApiServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const now = (): number => clock.currentTimeMillisUnsafe()
    const seed = seedOf(String(options.seed ?? (yield* Random.nextInt)))
    const run = yield* FiberSet.makeRuntime<never, void, never>()
    const parts = makeParts(options, now, seed, (effect) => run(effect))
    const { faults, log, process, tokens } = parts
    yield* putInitial(parts, options)
    const socket = options.listen === false ? undefined : yield* openSocket(process, options.port)
    process.start(Number.NEGATIVE_INFINITY)
    const url = socket === undefined ? urlWithoutSocket : `https://127.0.0.1:${socket.port}`
    parts.address.host = new URL(url).host
    const kubeconfig = kubeconfigText(url, tokens.all)
    const directory =
      socket === undefined ? undefined : yield* writeFiles({ kubeconfig, "ca.crt": certificates.authority })
    const fileOf = (name: string): string => (directory === undefined ? "" : path.join(directory, name))
    return ApiServer.of({
      url,
      port: socket?.port ?? 0,
      certificateAuthority: certificates.authority,
      certificateAuthorityFile: fileOf("ca.crt"),
      kubeconfig,
      kubeconfigFile: fileOf("kubeconfig"),
      clientCertificate: { certificate: certificates.clientCertificate, key: certificates.clientKey },
      token: (user) => knownUser(parts, user, (token) => token),
      rotateToken: (user) => knownUser(parts, user, () => tokens.rotate(user)),
      connection: (user = "user") => connect(parts, url, user),
      ...contents(parts),
      inject: (fault, injectOptions = {}) => Effect.sync(() => faults.inject(fault, injectOptions)),
      chaos: (chaos) => Effect.sync(() => faults.setChaos(chaos)),
      heal: Effect.sync(faults.clear),
      injected: Effect.sync(faults.injected),
      remaining: Effect.sync(faults.remaining),
      endWatches: (how = "end") => Effect.sync(() => process.watches.end(how)),
      writeToWatches: (chunk) => Effect.sync(() => process.watches.write(chunk)),
      requests: Effect.sync(() => log.last()),
      requestCount: Effect.sync(() => log.count),
      connections: Effect.sync(() => ({ opened: process.connections.opened, open: process.connections.open })),
      ...lifecycle(parts, options, now, socket),
      pauseEtcd: Effect.sync(() => process.pauseEtcd()),
      resumeEtcd: Effect.sync(() => process.resumeEtcd())
    })
  })

/**
 * Starts a server with the layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<ApiServer, ApiServerError> =>
  Layer.effect(ApiServer, make(options))

/**
 * A server without a socket, and the connection of a user to it: for tests of what works on a `KubernetesConnection`, such
 * as a host with the backend of Kubernetes. Everything happens in the process and by the clock of the test.
 *
 * **Example** (A host whose cluster goes away for a minute)
 *
 * ```ts
 * import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
 * import * as EventManager from "@tidings/core/EventManager"
 * import * as ApiServer from "@tidings/testing-k8s/ApiServer"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import assert from "node:assert/strict"
 *
 * const cluster = KubernetesBackend.layerConnection().pipe(Layer.provideMerge(ApiServer.layerConnection()))
 *
 * const test = Effect.gen(function* () {
 *   const server = yield* ApiServer.ApiServer
 *   const manager = yield* EventManager.EventManager
 *   yield* server.killApiServer
 *   const failed = yield* Effect.flip(manager.createEvent({ kind: "Pod", name: "web" }, "Started", "it runs", "Normal"))
 *   assert.match(failed.message, /ECONNREFUSED/)
 *   yield* server.startApiServer()
 *   yield* Effect.sleep(200)
 *   yield* manager.createEvent({ kind: "Pod", name: "web" }, "Started", "it runs", "Normal")
 *   assert.equal((yield* server.events).length, 1)
 * })
 * await Effect.runPromise(test.pipe(Effect.provide(Layer.provideMerge(EventManager.layerDirect(), cluster))))
 * ```
 *
 * @category layers
 * @since 0.2.0
 */
export const layerConnection = (
  options: Omit<Options, "listen" | "port"> & {
    /** Who asks. `user` unless given. */
    readonly user?: string | undefined
  } = {}
): Layer.Layer<ApiServer | KubernetesConnection.KubernetesConnection, ApiServerError> =>
  Layer.effect(
    KubernetesConnection.KubernetesConnection,
    ApiServer.use((server) => server.connection(options.user))
  ).pipe(Layer.provideMerge(layer({ ...options, listen: false })))
