/**
 * A Kubernetes API server inside the process, for tests of what talks to one.
 *
 * It listens on a TLS socket on loopback and speaks the part of the protocol that has to do with events: create, patch,
 * list and watch of events in `v1` and `events.k8s.io/v1`, namespaces, custom resources, pods and nodes to look up,
 * discovery, RBAC, access reviews. What it answers was compared with kube-apiserver 1.37.2. Faults are injected by
 * script or by seed; each is one that a real server was seen to give, and what was injected is counted.
 *
 * **When to use**
 *
 * For tests that need a fault at a certain moment, or no cluster at all. Use a real API server to learn what Kubernetes
 * does.
 *
 * **Details**
 *
 * Nothing depends on the time of day or on chance: times come from the `Clock` of whoever makes the server, resource
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
import { type Identity, mastersGroup } from "./internal/access.ts"
import * as certificates from "./internal/certificates.ts"
import * as internalFaults from "./internal/faults.ts"
import * as internalHandlers from "./internal/handlers.ts"
import type { JsonObject } from "./internal/json.ts"
import * as internalMachine from "./internal/machine.ts"
import * as internalRateLimit from "./internal/rateLimit.ts"
import { hexDigits, uuid } from "./internal/seed.ts"
import { Refused } from "./internal/status.ts"
import * as internalStore from "./internal/store.ts"

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
 * What somebody may do, as in a Role of RBAC.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rule {
  /** `""` is the group of `v1`; `"*"` stands for all. */
  readonly apiGroups: ReadonlyArray<string>
  /** Plurals; `"*"` stands for all. */
  readonly resources: ReadonlyArray<string>
  /** `create`, `patch`, `get`, `list`, `watch`, …; `"*"` stands for all. */
  readonly verbs: ReadonlyArray<string>
  /** The namespaces in which it holds. Everywhere unless given. */
  readonly namespaces?: ReadonlyArray<string> | undefined
}

/**
 * Somebody with a token, and with a context of their name in the kubeconfig.
 *
 * @category models
 * @since 0.1.0
 */
export interface User {
  readonly name: string
  /**
   * `["system:serviceaccounts"]` unless given: an ordinary user, who meets priority and fairness. `system:masters` may do
   * everything and never meets it. `system:authenticated` is always added.
   */
  readonly groups?: ReadonlyArray<string> | undefined
  /** Stored as roles and bindings, as `kubectl` would. None unless given. */
  readonly rules?: ReadonlyArray<Rule> | undefined
}

/**
 * A bucket of the admission plugin EventRateLimit: beyond it, writing an event is answered 429 without Retry-After. Looks
 * at `v1` alone, and also at patches that change nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventRateLimit {
  /** What has a bucket of its own. `Namespace` unless given. */
  readonly type?: "Server" | "Namespace" | "User" | "SourceAndObject" | undefined
  /** Events per second. */
  readonly qps: number
  /** Size of the bucket. `qps` unless given. */
  readonly burst?: number | undefined
}

/**
 * Which requests are meant. What is absent matches all.
 *
 * @category models
 * @since 0.1.0
 */
export interface Match {
  /** `create`, `patch`, `update`, `delete`, `deletecollection`, `get`, `list` or `watch`. */
  readonly verb?: string | ReadonlyArray<string> | undefined
  /** The plural, such as `events`. */
  readonly resource?: string | ReadonlyArray<string> | undefined
  readonly namespace?: string | ReadonlyArray<string> | undefined
  /** Name of the object, also of one that is to be created. */
  readonly name?: string | RegExp | undefined
  /** Name of the user. */
  readonly user?: string | ReadonlyArray<string> | undefined
}

/**
 * Which requests meet an injected fault. Requests to which a real server never gives the fault do not count: a master
 * goes on although `tooManyRequests` waits for somebody.
 *
 * @category models
 * @since 0.1.0
 */
export interface InjectOptions extends Match {
  /** How many requests meet it; `Infinity` until {@link ApiServer} is healed. 1 unless given. */
  readonly times?: number | undefined
  /** How many requests that would meet it get through first. 0 unless given. */
  readonly skip?: number | undefined
}

/**
 * A fault and who meets it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Injection extends InjectOptions {
  readonly fault: Fault
}

/**
 * Faults by chance, out of a seed. Whether a request meets one depends on the seed, on who asks for what, and on how often
 * they did, and on nothing else: other requests in between change nothing. The first fault that applies is taken.
 *
 * @category models
 * @since 0.1.0
 */
export interface Chaos {
  readonly faults: ReadonlyArray<{
    readonly fault: Fault
    /** Share of the requests: from 0 to 1. */
    readonly rate: number
    readonly match?: Match | undefined
  }>
  /** The seed of the server unless given. */
  readonly seed?: string | number | undefined
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
  /** How many requests are remembered. 10,000 unless given. */
  readonly requestLogSize?: number | undefined
  /** Fixes uids, tokens and chaos. Drawn from the `Random` service unless given. */
  readonly seed?: string | number | undefined
}

/**
 * A request that came in.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoggedRequest {
  /** From 1, over all requests. */
  readonly ordinal: number
  /** Milliseconds since the epoch, by the clock of the server. */
  readonly at: number
  /** Which connection it came on: from 1, in the order of opening. */
  readonly connection: number
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** Without the question mark. */
  readonly query: string
  /** Undefined where the token is unknown. */
  readonly user: string | undefined
  /** Of Kubernetes: `list` and `watch` are both GET. */
  readonly verb: string
  readonly group: string
  /** Empty for paths such as `/version`. */
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  /** Name of the object, also of one that is to be created. */
  readonly name: string
  readonly userAgent: string | undefined
  /** Of the body. */
  readonly bytes: number
  /** Which fault it met. */
  readonly fault: Fault["_tag"] | undefined
  /** Undefined as long as there is no answer. */
  readonly status: number | undefined
}

// ---------------------------------------------------------------------------
// faults
// ---------------------------------------------------------------------------

/**
 * The connection is reset instead of an answer: what clients see of a server that is killed.
 *
 * @category faults
 * @since 0.1.0
 */
export interface Reset {
  readonly _tag: "Reset"
  /** Whether the request was carried out before. The client sees no difference. */
  readonly applied: boolean
}

/**
 * The connection is closed (FIN) instead of an answer.
 *
 * @category faults
 * @since 0.1.0
 */
export interface Close {
  readonly _tag: "Close"
  readonly applied: boolean
}

/**
 * No answer, and the connection stays open.
 *
 * @category faults
 * @since 0.1.0
 */
export interface Hang {
  readonly _tag: "Hang"
  readonly applied: boolean
}

/**
 * 504 after a time. The request is never carried out, or later than the answer: what a server does that gives up waiting
 * for etcd.
 *
 * @category faults
 * @since 0.1.0
 */
export interface Timeout {
  readonly _tag: "Timeout"
  readonly after: Duration.Duration
  /** How long after the answer the request is carried out; undefined: never. */
  readonly lateBy: Duration.Duration | undefined
  /** The bodies differ: the one of a write has a reason and JSON, the one of `--request-timeout` is plain text. */
  readonly by: "storage" | "request"
}

/**
 * 500, `rpc error: code = Unavailable`: the connection to etcd broke while the request was on its way.
 *
 * @category faults
 * @since 0.1.0
 */
export interface EtcdUnavailable {
  readonly _tag: "EtcdUnavailable"
  readonly applied: boolean
}

/**
 * 500, `etcdserver: request is too large`: an object of more than 1.5 MiB. Objects that are that large get it without
 * being injected.
 *
 * @category faults
 * @since 0.1.0
 */
export interface EtcdTooLarge {
  readonly _tag: "EtcdTooLarge"
}

/**
 * 503 in plain text: an aggregated API without a server behind it.
 *
 * @category faults
 * @since 0.1.0
 */
export interface ServiceUnavailable {
  readonly _tag: "ServiceUnavailable"
}

/**
 * 429 in plain text with Retry-After: priority and fairness. Never for `system:masters`.
 *
 * @category faults
 * @since 0.1.0
 */
export interface TooManyRequests {
  readonly _tag: "TooManyRequests"
  /** Seconds. */
  readonly retryAfter: number
}

/**
 * 429 without Retry-After: the admission plugin EventRateLimit, for the namespace of the event. Only for writes of events
 * in `v1`.
 *
 * @category faults
 * @since 0.1.0
 */
export interface EventRateLimited {
  readonly _tag: "EventRateLimit"
}

/**
 * 403 in the words of RBAC: what a server answers that has just started and has not loaded its roles. Never for
 * `system:masters`.
 *
 * @category faults
 * @since 0.1.0
 */
export interface Forbidden {
  readonly _tag: "Forbidden"
}

/**
 * 403 with the cause `NamespaceTerminating`. Only for creates in a namespace.
 *
 * @category faults
 * @since 0.1.0
 */
export interface NamespaceTerminating {
  readonly _tag: "NamespaceTerminating"
}

/**
 * 401: a token that is not valid (any more).
 *
 * @category faults
 * @since 0.1.0
 */
export interface Unauthorized {
  readonly _tag: "Unauthorized"
}

/**
 * 413: a body of more than 3 MiB. Bodies that are that large get it without being injected.
 *
 * @category faults
 * @since 0.1.0
 */
export interface EntityTooLarge {
  readonly _tag: "EntityTooLarge"
}

/**
 * The request is carried out, and the connection is closed in the middle of the answer's body.
 *
 * @category faults
 * @since 0.1.0
 */
export interface Truncate {
  readonly _tag: "Truncate"
  /** At most the whole body but its last byte. */
  readonly afterBytes: number
}

/**
 * The request is carried out, and the answer's body comes bit by bit.
 *
 * @category faults
 * @since 0.1.0
 */
export interface Slow {
  readonly _tag: "Slow"
  readonly bytes: number
  readonly every: Duration.Duration
}

/**
 * The watch ends after a number of events.
 *
 * @category faults
 * @since 0.1.0
 */
export interface WatchCut {
  readonly _tag: "WatchCut"
  readonly afterEvents: number
  /** `end` is the end of the answer, as after `timeoutSeconds`. */
  readonly how: "reset" | "close" | "end"
}

/**
 * The watch is answered 200 and ends at once, without a word: what some servers do where the resource version is too old.
 *
 * @category faults
 * @since 0.1.0
 */
export interface WatchEmpty {
  readonly _tag: "WatchEmpty"
}

/**
 * The watch goes silent after a number of events, keeps its connection open and forgets its `timeoutSeconds`: what a
 * client sees of a server that vanished.
 *
 * @category faults
 * @since 0.1.0
 */
export interface WatchSilence {
  readonly _tag: "WatchSilence"
  readonly afterEvents: number
}

/**
 * The resource version of the watch is too old: 200 and one `ERROR` with code 410, or, as older servers do it, 410 itself.
 *
 * @category faults
 * @since 0.1.0
 */
export interface WatchExpired {
  readonly _tag: "WatchExpired"
  readonly where: "stream" | "connect"
}

/**
 * What can go wrong with a request.
 *
 * @category faults
 * @since 0.1.0
 */
export type Fault =
  | Reset
  | Close
  | Hang
  | Timeout
  | EtcdUnavailable
  | EtcdTooLarge
  | ServiceUnavailable
  | TooManyRequests
  | EventRateLimited
  | Forbidden
  | NamespaceTerminating
  | Unauthorized
  | EntityTooLarge
  | Truncate
  | Slow
  | WatchCut
  | WatchEmpty
  | WatchSilence
  | WatchExpired

/**
 * How often each fault was met.
 *
 * @category models
 * @since 0.1.0
 */
export type Injected = Readonly<Record<Fault["_tag"], number>>

interface Applied {
  /** Whether the request is carried out all the same. `false` unless given. */
  readonly applied?: boolean | undefined
}

/**
 * Resets the connection.
 *
 * @category faults
 * @since 0.1.0
 */
export const reset = (options: Applied = {}): Reset => ({ _tag: "Reset", applied: options.applied ?? false })

/**
 * Closes the connection.
 *
 * @category faults
 * @since 0.1.0
 */
export const close = (options: Applied = {}): Close => ({ _tag: "Close", applied: options.applied ?? false })

/**
 * Never answers.
 *
 * @category faults
 * @since 0.1.0
 */
export const hang = (options: Applied = {}): Hang => ({ _tag: "Hang", applied: options.applied ?? false })

/**
 * Answers 504 after a time.
 *
 * @category faults
 * @since 0.1.0
 */
export const timeout = (
  options: {
    /** 34 seconds (as for a write) unless given; 1 minute for `by: "request"`. */
    readonly after?: Duration.Input | undefined
    /** Carries the request out this long after the answer. Never unless given. */
    readonly lateBy?: Duration.Input | undefined
    /** `"storage"` unless given. */
    readonly by?: "storage" | "request" | undefined
  } = {}
): Timeout => ({
  _tag: "Timeout",
  after: Duration.fromInputUnsafe(options.after ?? (options.by === "request" ? "1 minute" : "34 seconds")),
  lateBy: options.lateBy === undefined ? undefined : Duration.fromInputUnsafe(options.lateBy),
  by: options.by ?? "storage"
})

/**
 * Answers 500, etcd being gone.
 *
 * @category faults
 * @since 0.1.0
 */
export const etcdUnavailable = (options: Applied = {}): EtcdUnavailable => ({
  _tag: "EtcdUnavailable",
  applied: options.applied ?? false
})

/**
 * Answers 500, the object being too large.
 *
 * @category faults
 * @since 0.1.0
 */
export const etcdTooLarge: EtcdTooLarge = { _tag: "EtcdTooLarge" }

/**
 * Answers 503.
 *
 * @category faults
 * @since 0.1.0
 */
export const serviceUnavailable: ServiceUnavailable = { _tag: "ServiceUnavailable" }

/**
 * Answers 429 with Retry-After; in seconds, 1 unless given, as priority and fairness mostly has it.
 *
 * @category faults
 * @since 0.1.0
 */
export const tooManyRequests = (options: { readonly retryAfter?: number | undefined } = {}): TooManyRequests => ({
  _tag: "TooManyRequests",
  retryAfter: options.retryAfter ?? 1
})

/**
 * Answers 429 without Retry-After.
 *
 * @category faults
 * @since 0.1.0
 */
export const eventRateLimited: EventRateLimited = { _tag: "EventRateLimit" }

/**
 * Answers 403.
 *
 * @category faults
 * @since 0.1.0
 */
export const forbidden: Forbidden = { _tag: "Forbidden" }

/**
 * Answers 403, the namespace being deleted.
 *
 * @category faults
 * @since 0.1.0
 */
export const namespaceTerminating: NamespaceTerminating = { _tag: "NamespaceTerminating" }

/**
 * Answers 401.
 *
 * @category faults
 * @since 0.1.0
 */
export const unauthorized: Unauthorized = { _tag: "Unauthorized" }

/**
 * Answers 413.
 *
 * @category faults
 * @since 0.1.0
 */
export const entityTooLarge: EntityTooLarge = { _tag: "EntityTooLarge" }

/**
 * Cuts the body of the answer after so many bytes.
 *
 * @category faults
 * @since 0.1.0
 */
export const truncate = (afterBytes: number): Truncate => ({ _tag: "Truncate", afterBytes })

/**
 * Sends the body of the answer bit by bit, the first bit after the first pause.
 *
 * @category faults
 * @since 0.1.0
 */
export const slow = (options: {
  /** How many bytes at once. */
  readonly bytes: number
  /** The pause before each bit. */
  readonly every: Duration.Input
}): Slow => ({ _tag: "Slow", bytes: Math.max(1, options.bytes), every: Duration.fromInputUnsafe(options.every) })

/**
 * Ends a watch.
 *
 * @category faults
 * @since 0.1.0
 */
export const watchCut = (
  options: {
    /** 0 unless given. */
    readonly afterEvents?: number | undefined
    /** `"reset"` unless given. */
    readonly how?: "reset" | "close" | "end" | undefined
  } = {}
): WatchCut => ({ _tag: "WatchCut", afterEvents: options.afterEvents ?? 0, how: options.how ?? "reset" })

/**
 * Ends a watch before it began.
 *
 * @category faults
 * @since 0.1.0
 */
export const watchEmpty: WatchEmpty = { _tag: "WatchEmpty" }

/**
 * Silences a watch.
 *
 * @category faults
 * @since 0.1.0
 */
export const watchSilence = (options: { readonly afterEvents?: number | undefined } = {}): WatchSilence => ({
  _tag: "WatchSilence",
  afterEvents: options.afterEvents ?? 0
})

/**
 * Refuses a watch as too old; in the stream unless told otherwise.
 *
 * @category faults
 * @since 0.1.0
 */
export const watchExpired = (options: { readonly where?: "stream" | "connect" | undefined } = {}): WatchExpired => ({
  _tag: "WatchExpired",
  where: options.where ?? "stream"
})

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/**
 * The server cannot do what a test asks of it.
 *
 * `Listen`: the port is in use. `UnknownUser`: nobody has that name. `Refused`: the object would be refused by the API
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
  readonly saved: internalStore.Saved
  /** @internal */
  readonly cluster: number

  /** @internal */
  constructor(saved: internalStore.Saved, cluster: number) {
    this.saved = saved
    this.cluster = cluster
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
    /** How many injected faults nobody met yet, those without end apart. */
    readonly remaining: Effect.Effect<number>

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

const ordinaryGroups = ["system:serviceaccounts"]
const authenticatedGroup = "system:authenticated"
const firstPort = 20_000
const portCount = 10_000
const certificateUser = "certificate"

const eventGroups = ["", "events.k8s.io"]
const writeRule: Rule = { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] }
const readRule: Rule = { apiGroups: eventGroups, resources: ["events"], verbs: ["get", "list", "watch"] }
const lookUpRule: Rule = { apiGroups: ["*"], resources: ["*"], verbs: ["get"] }

const defaultUsers: ReadonlyArray<User> = [
  { name: "admin", groups: [mastersGroup] },
  { name: "writer", rules: [writeRule] },
  { name: "reader", rules: [readRule] },
  { name: "user", rules: [writeRule, readRule, lookUpRule] },
  { name: "nobody" }
]
const defaultNamespaces = ["kube-system", "kube-public", "kube-node-lease", "default"]

const roleObjects = (user: User): ReadonlyArray<KubernetesObject> =>
  (user.rules ?? []).flatMap(({ namespaces, ...rule }, index) => {
    const apiVersion = "rbac.authorization.k8s.io/v1"
    const name = `tidings:${user.name}:${index}`
    const subjects = [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: user.name }]
    const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name }
    return [
      { apiVersion, kind: "ClusterRole", metadata: { name }, rules: [rule] },
      ...(namespaces === undefined
        ? [{ apiVersion, kind: "ClusterRoleBinding", metadata: { name }, subjects, roleRef }]
        : namespaces.map((namespace) => ({
            apiVersion,
            kind: "RoleBinding",
            metadata: { name, namespace },
            subjects,
            roleRef
          })))
    ]
  })

const kubeconfigText = (url: string, tokens: ReadonlyMap<string, string>): string => {
  const base64 = (text: string): string => Buffer.from(text).toString("base64")
  // A JSON string is a YAML string.
  const names = [...tokens.keys(), certificateUser].map((name) => JSON.stringify(name))
  return [
    "apiVersion: v1",
    "kind: Config",
    "current-context: admin",
    "clusters:",
    "- name: tidings",
    "  cluster:",
    `    server: ${url}`,
    `    certificate-authority-data: ${base64(certificates.authority)}`,
    "contexts:",
    ...names.flatMap((name) => [`- name: ${name}`, "  context:", "    cluster: tidings", `    user: ${name}`]),
    "users:",
    ...[...tokens].flatMap(([name, token]) => [
      `- name: ${JSON.stringify(name)}`,
      "  user:",
      `    token: ${JSON.stringify(token)}`
    ]),
    `- name: ${certificateUser}`,
    "  user:",
    `    client-certificate-data: ${base64(certificates.clientCertificate)}`,
    `    client-key-data: ${base64(certificates.clientKey)}`,
    ""
  ].join("\n")
}

const asJson = (object: KubernetesObject): JsonObject => JSON.parse(JSON.stringify(object)) as JsonObject

const asKubernetesObject = (object: JsonObject): KubernetesObject =>
  // Whatever is stored has these three fields.
  object as JsonObject & KubernetesObject

const fileError = (cause: unknown): ApiServerError =>
  new ApiServerError({ reason: "File", message: `cannot write the kubeconfig: ${String(cause)}`, cause })

const listenError = (port: number, cause: Error): ApiServerError =>
  new ApiServerError({ reason: "Listen", message: `cannot listen on 127.0.0.1:${port}: ${cause.message}`, cause })

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
      catch: fileError
    }),
    (directory) => Effect.promise(() => fs.rm(directory, { recursive: true, force: true }))
  )

// So that a server whose socket is closed for a while does not lose its port to one that starts meanwhile.
const reservedPorts = new Set<number>()

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
    const seed = internalMachine.seedOf(String(options.seed ?? (yield* Random.nextInt)))
    const run = yield* FiberSet.makeRuntime<never, void, never>()

    const given = options.users ?? []
    const users = [...defaultUsers.filter(({ name }) => !given.some((user) => user.name === name)), ...given]
    const identities = new Map<string, Identity>(
      users.map(({ groups = ordinaryGroups, name }) => [
        name,
        { name, uid: name, groups: [...groups, authenticatedGroup] }
      ])
    )
    const tokens = new Map(users.map(({ name }) => [name, hexDigits(seed, `token ${name} 0`)]))
    const rotations = new Map<string, number>()

    const ttlSeconds = Math.max(1, Math.floor(Duration.toSeconds(options.eventTtl ?? "1 hour")))
    const compactionMillis = Duration.toMillis(options.compactionInterval ?? "5 minutes")
    const store = internalStore.make({
      now: now(),
      compactionMillis: Number.isFinite(compactionMillis) && compactionMillis > 0 ? compactionMillis : undefined
    })
    const limits = [options.eventRateLimit ?? []].flat()
    const rateLimit = internalRateLimit.make(limits, now)
    const faults = internalFaults.make(seed)
    let port = 0
    /** How many histories there were: what is made in one has other uids than what is made in another. */
    let histories = 0
    /** In which of them the cluster was made: service accounts are of a cluster. */
    let cluster = 0
    const seedOf = (history: number): number => (history === 0 ? seed : internalMachine.seedOf(`${seed} ${history}`))
    const handlers = internalHandlers.make({
      store,
      now,
      seed: () => seedOf(histories),
      eventTtlSeconds: ttlSeconds,
      serverAddress: () => `127.0.0.1:${port}`,
      rateLimit: (identity, event) => (limits.length === 0 ? undefined : rateLimit(identity.name, event))
    })
    const machine = internalMachine.make({
      store,
      handlers,
      faults,
      seed,
      now,
      fork: (effect) => run(effect),
      identify: (token) => {
        const found = [...tokens].find(([, valid]) => valid === token)
        const identity = found === undefined ? undefined : identities.get(found[0])
        return identity?.name.startsWith("system:serviceaccount:") === true
          ? { ...identity, uid: uuid(seedOf(cluster), `account ${identity.name}`) }
          : identity
      },
      requestTimeout: Duration.fromInputUnsafe(options.requestTimeout ?? "1 minute"),
      requestLogSize: options.requestLogSize ?? 10_000
    })

    const put = (object: KubernetesObject): Effect.Effect<KubernetesObject, ApiServerError> =>
      Effect.try({
        try: () => {
          machine.advance()
          return asKubernetesObject(handlers.store(asJson(object)))
        },
        catch: (cause) =>
          new ApiServerError({
            reason: "Refused",
            message: `the API server would refuse ${object.kind} ${object.metadata.name ?? ""}: ${cause instanceof Refused ? cause.answer.body.trim() : String(cause)}`,
            cause
          })
      })

    const putInitial = Effect.gen(function* () {
      for (const name of [...defaultNamespaces, ...(options.namespaces ?? [])]) {
        yield* put({ apiVersion: "v1", kind: "Namespace", metadata: { name } })
      }
      for (const object of [...users.flatMap(roleObjects), ...(options.objects ?? [])]) yield* put(object)
    })
    yield* putInitial
    for (const { fault, ...injectOptions } of options.faults ?? []) {
      faults.inject(fault, injectOptions)
    }
    faults.setChaos(options.chaos)

    const listenOnFreePort = Effect.gen(function* () {
      const start = (process.pid * 31 + reservedPorts.size) % portCount
      for (let step = 0; step < portCount; step++) {
        const candidate = firstPort + ((start + step * 7) % portCount)
        if (reservedPorts.has(candidate)) {
          continue
        }
        const result = yield* Effect.result(machine.listen(candidate))
        if (result._tag === "Success") {
          return candidate
        }
      }
      return yield* new ApiServerError({ reason: "Listen", message: "there is no free port on 127.0.0.1" })
    })
    const listen = (wanted: number) =>
      machine.listen(wanted).pipe(Effect.mapError((cause) => listenError(wanted, cause)))

    port = yield* Effect.acquireRelease(
      options.port === undefined || options.port === 0 ? listenOnFreePort : listen(options.port),
      (taken) =>
        Effect.sync(() => {
          machine.kill()
          reservedPorts.delete(taken)
        })
    )
    reservedPorts.add(port)
    const url = `https://127.0.0.1:${port}`
    const kubeconfig = kubeconfigText(url, tokens)
    const directory = yield* writeFiles({ kubeconfig, "ca.crt": certificates.authority })

    const knownUser = <A>(user: string, use: (token: string) => A): Effect.Effect<A, ApiServerError> =>
      Effect.suspend(() => {
        const token = tokens.get(user)
        return token === undefined
          ? Effect.fail(
              new ApiServerError({
                reason: "UnknownUser",
                message: `there is no user "${user}", only ${[...tokens.keys()].join(", ")}`
              })
            )
          : Effect.succeed(use(token))
      })

    const startApiServer: ApiServer["Service"]["startApiServer"] = (startOptions = {}) =>
      Effect.suspend(() => {
        const { etcd } = startOptions
        if (etcd === undefined && machine.isListening()) {
          return Effect.void
        }
        const rolesAfter = Duration.toMillis(startOptions.rolesAfter ?? "120 millis")
        const start = Effect.suspend(() => {
          machine.forbidUntil(now() + rolesAfter)
          return Effect.asVoid(listen(port))
        })
        if (etcd === undefined) return start
        // Watches that a stopped server still serves end with its data.
        machine.kill()
        histories++
        cluster = etcd === "empty" ? histories : etcd.cluster
        store.load(etcd === "empty" ? undefined : etcd.saved)
        return etcd === "empty" ? Effect.andThen(putInitial, start) : start
      })

    return ApiServer.of({
      url,
      port,
      certificateAuthority: certificates.authority,
      certificateAuthorityFile: path.join(directory, "ca.crt"),
      kubeconfig,
      kubeconfigFile: path.join(directory, "kubeconfig"),
      clientCertificate: { certificate: certificates.clientCertificate, key: certificates.clientKey },
      token: (user) => knownUser(user, (token) => token),
      rotateToken: (user) =>
        knownUser(user, () => {
          const turn = (rotations.get(user) ?? 0) + 1
          const token = hexDigits(seed, `token ${user} ${turn}`)
          rotations.set(user, turn)
          tokens.set(user, token)
          return token
        }),
      events: Effect.sync(() => {
        machine.advance()
        return handlers.events().map(asKubernetesObject)
      }),
      put,
      remove: ({ apiVersion, kind, metadata: { name = "", namespace = "default" } }) =>
        Effect.sync(() => {
          machine.advance()
          return handlers.remove(apiVersion, kind, namespace, name) !== undefined
        }),
      resourceVersion: Effect.sync(() => {
        machine.advance()
        return store.revision()
      }),
      compact: Effect.sync(() => {
        machine.advance()
        store.compact()
      }),
      inject: (fault, injectOptions = {}) => Effect.sync(() => faults.inject(fault, injectOptions)),
      chaos: (chaos) => Effect.sync(() => faults.setChaos(chaos)),
      heal: Effect.sync(faults.clear),
      injected: Effect.sync(faults.injected),
      remaining: Effect.sync(faults.remaining),
      requests: Effect.sync(() => machine.requests().map((request) => ({ ...request }))),
      requestCount: Effect.sync(machine.requestCount),
      connections: Effect.sync(machine.connections),
      stopApiServer: (stopOptions = {}) =>
        Effect.sync(() => machine.stop(Duration.fromInputUnsafe(stopOptions.grace ?? "1 minute"))),
      killApiServer: Effect.sync(machine.kill),
      startApiServer,
      backup: Effect.sync(() => {
        machine.advance()
        return new Backup(store.save(), cluster)
      }),
      pauseApiServer: Effect.sync(machine.pause),
      resumeApiServer: Effect.sync(machine.resume),
      outage: (duration) =>
        Effect.sync(machine.kill).pipe(Effect.andThen(Effect.sleep(duration)), Effect.andThen(startApiServer())),
      pauseEtcd: Effect.sync(() => machine.setEtcd(false)),
      resumeEtcd: Effect.sync(() => machine.setEtcd(true))
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
