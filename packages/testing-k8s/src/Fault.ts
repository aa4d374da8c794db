/**
 * What can go wrong between a client and an API server, which requests meet it, and how often.
 *
 * Every fault is one that a real server, or what stands before it, was seen to give. `ApiServer` exports all of this too.
 *
 * @since 0.2.0
 */
import * as Duration from "effect/Duration"

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
 * Something that stands before the server answers in its place: the page of a gateway, a login, a redirect, or the same
 * server in another version.
 *
 * @category faults
 * @since 0.2.0
 */
export interface Answer {
  readonly _tag: "Answer"
  readonly status: number
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Whether the request is carried out all the same. */
  readonly applied: boolean
}

/**
 * What can go wrong with a request.
 *
 * @category faults
 * @since 0.1.0
 */
export type Fault =
  | Answer
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
 * Answers in place of the server.
 *
 * **Example** (A login page instead of the events)
 *
 * ```ts
 * import * as ApiServer from "@tidings/testing-k8s/ApiServer"
 *
 * export const loginPage = ApiServer.answer({
 *   status: 200,
 *   headers: { "content-type": "text/html" },
 *   body: "<title>Sign in</title>"
 * })
 * ```
 *
 * @category faults
 * @since 0.2.0
 */
export const answer = (
  options: Applied & {
    readonly status: number
    /** `content-type: application/json` unless given. */
    readonly headers?: Readonly<Record<string, string>> | undefined
    /** A text goes as it is, everything else as JSON. */
    readonly body: unknown
  }
): Answer => ({
  _tag: "Answer",
  status: options.status,
  headers: options.headers ?? { "content-type": "application/json" },
  body: typeof options.body === "string" ? options.body : JSON.stringify(options.body),
  applied: options.applied ?? false
})

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
// who meets them
// ---------------------------------------------------------------------------

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
  /** What follows the question mark. */
  readonly query?: string | RegExp | undefined
  /** Text of the body. */
  readonly body?: string | RegExp | undefined
  /** Name of the user. */
  readonly user?: string | ReadonlyArray<string> | undefined
}

/**
 * Which requests meet an injected fault. Requests to which a real server never gives the fault do not count: a master
 * is not affected by a `tooManyRequests` that is left.
 *
 * @category models
 * @since 0.1.0
 */
export interface InjectOptions extends Match {
  /** How many requests meet it; `Infinity` until the server is healed. 1 unless given. */
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
