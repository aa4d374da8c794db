/**
 * What the answers of an API server mean.
 */
import type { Outcome } from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import * as Duration from "effect/Duration"
import type { KubernetesResponse } from "../KubernetesConnection.ts"
import * as syntax from "./syntax.ts"

// ---------------------------------------------------------------------------
// Status
// ---------------------------------------------------------------------------

/**
 * The part of a Kubernetes `Status` that decides something.
 *
 * @internal
 */
export interface Status {
  readonly reason: string
  readonly message: string
  /** The resource in question: `events`, `namespaces`. */
  readonly kind: string
  readonly retryAfterSeconds: number | undefined
  readonly causes: ReadonlyArray<{ readonly reason: string; readonly field: string }>
}

const isFields = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const textOf = (value: unknown): string => (typeof value === "string" ? value : "")

/**
 * Reads a `Status` object; `undefined` when it is none.
 *
 * @internal
 */
export const statusOf = (value: unknown): Status | undefined => {
  if (!isFields(value) || value["kind"] !== "Status") return undefined
  const details = isFields(value["details"]) ? value["details"] : {}
  const seconds = details["retryAfterSeconds"]
  const causes = Array.isArray(details["causes"]) ? details["causes"] : []
  return {
    reason: textOf(value["reason"]),
    message: textOf(value["message"]),
    kind: textOf(details["kind"]),
    retryAfterSeconds: typeof seconds === "number" && seconds > 0 ? seconds : undefined,
    causes: causes.filter(isFields).map((cause) => ({ reason: textOf(cause["reason"]), field: textOf(cause["field"]) }))
  }
}

/** @internal */
export const parseBody = (body: string | undefined): unknown => {
  if (body === undefined || body === "") return undefined
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

const retryAfterOf = (response: KubernetesResponse, status: Status | undefined): Duration.Duration | undefined => {
  const header = response.headers["retry-after"]
  const seconds = header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) : status?.retryAfterSeconds
  return seconds === undefined ? undefined : Duration.seconds(seconds)
}

/** What the server said, short enough for a message. */
const saidBy = (response: KubernetesResponse, status: Status | undefined): string => {
  const text = status === undefined ? (response.body ?? "").replace(/\s+/g, " ").trim() : status.message
  return text === "" ? `HTTP ${response.status}` : `HTTP ${response.status}: ${syntax.cut(text, 600)}`
}

// ---------------------------------------------------------------------------
// answers of something else than an API server
// ---------------------------------------------------------------------------

/**
 * The cause of an error that says that the answer is none of an API server: a login page of a gateway, an empty body, a
 * redirect. What became of the request is unknown, and so is everything that was asked.
 *
 * @internal
 */
export class NoKubernetesAnswer extends Error {}

const EXCERPT = 120

/**
 * What answered, for a person who has to find it.
 *
 * @internal
 */
export const describe = (response: KubernetesResponse): string => {
  const type = response.headers["content-type"]
  const location = response.headers["location"]
  const body =
    response.body === undefined
      ? "a body that broke off"
      : response.body === ""
        ? "an empty body"
        : JSON.stringify(syntax.cut(response.body.replace(/\s+/g, " ").trim(), EXCERPT))
  return (
    `HTTP ${response.status}${type === undefined ? "" : ` ${syntax.cut(type, 80)}`}` +
    `${location === undefined ? "" : ` to ${syntax.cut(location, EXCERPT)}`} with ${body}`
  )
}

/** @internal */
export const foreign = (response: KubernetesResponse, expected: string, applied: "no" | "unknown") => {
  const detail = `expected ${expected}, and something that is no API server answered ${describe(response)}; check the server's address, gateways and proxies on the way`
  return BackendError.make(new BackendError.Transient({ applied, detail }), new NoKubernetesAnswer(detail))
}

/**
 * The object of an answer, when it is of the kind that was asked for.
 *
 * @internal
 */
export const objectIn = (
  response: KubernetesResponse,
  kind: string,
  /** Absent where API servers leave it out of the answer. */
  apiVersion?: string
): { readonly [key: string]: unknown } | undefined => {
  const object = parseBody(response.body)
  if (!isFields(object) || object["kind"] !== kind) return undefined
  return apiVersion === undefined || object["apiVersion"] === apiVersion ? object : undefined
}

/** How an API server goes on after the name of an object. */
const AFTER_NAME = /","namespace":"[-a-z0-9]+","uid":"[-0-9a-f]{36}","resourceVersion":"\d+","creationTimestamp":"/y

/** The last field of an event, as which it cannot stand in a text, and what comes after it. */
const LAST_FIELD = ',"reportingInstance":"'
const END = /[^"\\]*"\}\n$/y

/**
 * Whether the answer is the event of this name as API servers write it. Then its beginning and its end say so, without the
 * rest being parsed, which takes longer than everything else that is done with an answer.
 */
const isPlainEvent = (body: string, name: string): boolean => {
  const beginning = `{"kind":"Event","apiVersion":"v1","metadata":{"name":"${name}`
  if (!body.startsWith(beginning)) return false
  AFTER_NAME.lastIndex = beginning.length
  const last = body.lastIndexOf(LAST_FIELD)
  END.lastIndex = last + LAST_FIELD.length
  return last !== -1 && AFTER_NAME.test(body) && END.test(body)
}

/** Whether the answer has the event of this name, and the version that it is stored in. */
const isEventOf = (response: KubernetesResponse, name: string): boolean => {
  if (response.body !== undefined && isPlainEvent(response.body, name)) return true
  const metadata = objectIn(response, "Event", "v1")?.["metadata"]
  return isFields(metadata) && metadata["name"] === name && textOf(metadata["resourceVersion"]) !== ""
}

// ---------------------------------------------------------------------------
// permissions
// ---------------------------------------------------------------------------

/**
 * What somebody is not allowed to do.
 *
 * @internal
 */
export interface Permission {
  readonly verbs: ReadonlyArray<string>
  readonly group: string
  readonly resource: string
  readonly resourceNames?: ReadonlyArray<string> | undefined
  /** Absent: in all namespaces, or the resource has none. */
  readonly namespace: string | undefined
}

/**
 * The rule that grants a permission, and where it belongs.
 *
 * @internal
 */
export const ruleFor = (permission: Permission): string => {
  const list = (items: ReadonlyArray<string>) => `[${items.map((item) => JSON.stringify(item)).join(", ")}]`
  const names = permission.resourceNames === undefined ? "" : `, resourceNames: ${list(permission.resourceNames)}`
  const where = permission.namespace === undefined ? "a ClusterRole" : `a Role in namespace ${permission.namespace}`
  return (
    `to allow it, add the rule {apiGroups: ${list([permission.group])}, resources: ${list([permission.resource])}${names}, ` +
    `verbs: ${list(permission.verbs)}} to ${where} and bind it`
  )
}

const userIn = (message: string): string => {
  const user = /\bUser "([^"]*)"/i.exec(message)?.[1]
  const account = /^system:serviceaccount:([^:]+):(.+)$/.exec(user ?? "")
  if (account !== null) return ` to ServiceAccount ${account[1]}/${account[2]}`
  return user === undefined || user === "" ? "" : ` to User ${user}`
}

/** @internal */
export const forbidden = (response: KubernetesResponse, permission: Permission): BackendError.BackendError => {
  const status = statusOf(parseBody(response.body))
  const said = saidBy(response, status)
  const message = status?.message ?? ""
  const advice = /\bcannot impersonate/.test(message)
    ? `the kubeconfig asks to act as another user (as), which needs the verb impersonate${userIn(message)}`
    : `${ruleFor(permission)}${userIn(message)}`
  return BackendError.make(new BackendError.Unauthorized({ detail: `${said}; ${advice}` }))
}

const unknownCredentials = (response: KubernetesResponse): BackendError.BackendError =>
  BackendError.make(
    new BackendError.Unauthorized({
      detail:
        `the API server does not accept the credentials (${saidBy(response, statusOf(parseBody(response.body)))}), ` +
        `which were read anew; renew the token, the certificate or the login that the kubeconfig names`
    })
  )

// ---------------------------------------------------------------------------
// errors that every request can have
// ---------------------------------------------------------------------------

const transient = (applied: "no" | "unknown", detail: string) =>
  BackendError.make(new BackendError.Transient({ applied, detail }))

const unavailable = (detail: string) => BackendError.make(new BackendError.Unavailable({ detail }))

/** EventRateLimit says which of its buckets are empty: Server, User, Namespace, SourceAndObject. The widest counts. */
const scopeOf = (message: string): BackendError.Throttled["scope"] => {
  const types = Array.from(message.matchAll(/limit reached on type (\w+)/g), ([, type]) => type)
  if (types.length === 0 || types.some((type) => type !== "Namespace" && type !== "SourceAndObject")) return "backend"
  return types.includes("Namespace") ? "namespace" : "object"
}

const throttled = (response: KubernetesResponse, status: Status | undefined): BackendError.BackendError => {
  const retryAfter = retryAfterOf(response, status)
  const detail = saidBy(response, status)
  // Who gives a time speaks for everything (priority and fairness); who gives none names what is limited.
  return retryAfter === undefined
    ? BackendError.make(new BackendError.Throttled({ scope: scopeOf(status?.message ?? ""), detail }))
    : BackendError.make(new BackendError.Throttled({ scope: "backend", retryAfter, detail }))
}

/** Something between here and the API server refuses the request; a person has to mend that. */
const refusedOnTheWay = (response: KubernetesResponse): BackendError.BackendError => {
  const { cause } = foreign(response, "an API server", "no")
  return BackendError.make(new BackendError.Unavailable({ detail: cause instanceof Error ? cause.message : "" }), cause)
}

// ---------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------

/**
 * What the answer to a create or a patch means for the series.
 *
 * @internal
 */
export type Verdict =
  /** Taken. */
  | { readonly _tag: "Applied" }
  /** There is an object of this name. */
  | { readonly _tag: "Exists" }
  /** The object is at another resourceVersion. */
  | { readonly _tag: "Conflict" }
  /** There is no object of this name. */
  | { readonly _tag: "Missing" }
  | { readonly _tag: "TooLarge"; readonly detail: string }
  | { readonly _tag: "Invalid"; readonly detail: string }
  | { readonly _tag: "Final"; readonly outcome: Outcome }

const applied: Verdict = { _tag: "Applied" }
const exists: Verdict = { _tag: "Exists" }
const conflict: Verdict = { _tag: "Conflict" }
const missing: Verdict = { _tag: "Missing" }

/** How long a namespace may be missing: it may be just being made. */
const MISSING_NAMESPACE: Duration.Input = "1 minute"

/** How long an admission policy may refuse an event: somebody may be just changing it. */
const REFUSED_BY_ADMISSION: Duration.Input = "10 minutes"

const retry = (error: BackendError.BackendError, parkAfter?: Duration.Input): Verdict => ({
  _tag: "Final",
  outcome: parkAfter === undefined ? { _tag: "Retry", error } : { _tag: "Retry", error, parkAfter }
})

const rejected = (reason: string): Verdict => ({ _tag: "Final", outcome: { _tag: "Rejected", reason } })

/**
 * A webhook says "admission webhook … denied the request", with any status from 400 on that it likes, also 404, 429 and 503.
 * A ValidatingAdmissionPolicy names itself so, and a MutatingAdmissionPolicy that fails is a "policy '…' with binding '…'",
 * or a `policy "…"` where it cannot be set up.
 */
const isRefusedByAdmission = (message: string): boolean =>
  /\badmission webhook ".*" denied the request/.test(message) ||
  /\b(?:\w+AdmissionPolicy|policy) ['"].*['"](?: with binding '.*')? denied request/.test(message)

/** What an admission plugin of the server refuses is an event by its name; what is about rights begins with the user. */
const isRefusedByPlugin = (message: string): boolean => /^\S+ ".*?" is forbidden: (?!User ")/.test(message)

const refusedByAdmission = (said: string): Verdict =>
  retry(transient("no", `an admission policy of the cluster refuses the event: ${said}`), REFUSED_BY_ADMISSION)

const isTooLong = ({ causes }: Status, field: string): boolean =>
  causes.some((cause) => cause.reason === "FieldValueTooLong" && cause.field === field)

const isTooLarge = (message: string): boolean =>
  message.includes("etcdserver: request is too large") || message.includes("trying to send message larger than max")

/**
 * Reads the answer to a create or a patch of the event `name` in `namespace`.
 *
 * Only the event itself says that it is stored: a status of 2xx with anything else is an answer of something else.
 *
 * @internal
 */
export const verdictOf = (
  verb: "create" | "patch",
  namespace: string,
  name: string,
  response: KubernetesResponse
): Verdict => {
  const code = response.status
  if (code >= 200 && code < 300) {
    if (isEventOf(response, name)) return applied
    return response.body === undefined
      ? retry(transient("unknown", `the answer HTTP ${code} broke off`))
      : retry(foreign(response, `the event ${namespace}/${name}`, "unknown"))
  }
  const status = statusOf(parseBody(response.body))
  if (status === undefined && code < 400) {
    return retry(foreign(response, `the event ${namespace}/${name}, or a Status`, "unknown"))
  }
  const message = status?.message ?? response.body ?? ""
  const said = saidBy(response, status)
  if (isRefusedByAdmission(message)) return refusedByAdmission(said)
  switch (code) {
    case 400:
      return status === undefined ? retry(refusedOnTheWay(response)) : rejected(`bad-request: ${said}`)
    case 401:
      return retry(unknownCredentials(response))
    case 403:
      return status === undefined ? retry(refusedOnTheWay(response)) : forbiddenWrite(verb, namespace, response, status)
    case 404:
      // Of a path that does not exist the Status names no kind.
      if (status?.reason !== "NotFound") break
      if (verb === "patch" && status.kind === "events") return missing
      if (status.kind !== "namespaces") break
      return retry(transient("no", `namespace ${namespace} does not exist: ${said}`), MISSING_NAMESPACE)
    case 408:
      return retry(transient("unknown", said))
    case 409:
      if (status?.reason === "AlreadyExists") return exists
      if (status?.reason === "Conflict") return conflict
      return retry(status === undefined ? refusedOnTheWay(response) : transient("no", said))
    case 413:
      return { _tag: "TooLarge", detail: said }
    case 422:
      if (status === undefined) return retry(refusedOnTheWay(response))
      return { _tag: isTooLong(status, "metadata.annotations") ? "TooLarge" : "Invalid", detail: said }
    case 429:
      return retry(throttled(response, status))
  }
  if (code >= 500) return isTooLarge(message) ? { _tag: "TooLarge", detail: said } : retry(transient("unknown", said))
  return retry(unavailable(`the API server does not take events at this address: ${said}`))
}

const forbiddenWrite = (
  verb: "create" | "patch",
  namespace: string,
  response: KubernetesResponse,
  status: Status
): Verdict => {
  const said = saidBy(response, status)
  const { message } = status
  if (verb === "create" && status.causes.some(({ reason }) => reason === "NamespaceTerminating")) {
    return rejected(`namespace-terminating: namespace ${namespace} is being deleted and takes no new objects`)
  }
  if (/exceeded quota/.test(message)) return retry(BackendError.make(new BackendError.Full({ detail: said })))
  // Admission plugins say this while their caches fill, just after the server has started.
  if (/not yet ready to handle request/.test(message)) return retry(transient("no", said))
  // Rights that are missing have this reason; any other one is of something that judged the event.
  if (status.reason !== "Forbidden" || isRefusedByPlugin(message)) return refusedByAdmission(said)
  return retry(forbidden(response, { verbs: ["create", "patch"], group: "", resource: "events", namespace }))
}

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

/**
 * Whether history that was asked for is gone. Only the API server knows that: 410 with a page is of a gateway.
 *
 * @internal
 */
export const isExpired = (code: number, status: Status | undefined): boolean =>
  status !== undefined && (code === 410 || status.reason === "Expired" || status.reason === "Gone")

/**
 * The error of a read that did not succeed.
 *
 * @internal
 */
export const readErrorOf = (response: KubernetesResponse, permission: Permission): BackendError.BackendError => {
  const code = response.status
  const status = statusOf(parseBody(response.body))
  const said = saidBy(response, status)
  if (status === undefined && code !== 429 && code < 500)
    return foreign(response, "what was asked for, or a Status", "no")
  if (code === 401) return unknownCredentials(response)
  if (code === 403) return forbidden(response, permission)
  if (code === 429) return throttled(response, status)
  if (code === 408 || code >= 500) return transient("no", said)
  return unavailable(`the API server does not serve events at this address: ${said}`)
}

// ---------------------------------------------------------------------------
// connections
// ---------------------------------------------------------------------------

/**
 * The cause of an error that says that there was no answer in time.
 *
 * @internal
 */
export class NoAnswer extends Error {}

const NOTHING_WAS_SENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENETDOWN",
  "EADDRNOTAVAIL",
  "EMFILE",
  "ENFILE",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_CLOSED"
])

const TLS_FAILURE =
  /^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH|EPROTO$)/

const PROXY_FAILURE = /Proxy response \((\d+)\)|Proxy Authentication Required/

/**
 * What went wrong with a connection, told from the code of the innermost error.
 *
 * @internal
 */
export const connectionError = (cause: unknown, server: string): BackendError.BackendError => {
  let code = ""
  let message = ""
  const visited = new Set<unknown>()
  const visit = (error: unknown): void => {
    if (!(error instanceof Error) || visited.has(error)) return
    visited.add(error)
    const found: unknown = "code" in error ? error.code : undefined
    if (typeof found === "string" && found !== "") code = found
    if (error.message !== "") message = error.message
    if (error instanceof AggregateError) for (const one of error.errors) visit(one)
    visit(error.cause)
  }
  visit(cause)
  const detail = `${server}: ${message === "" ? String(cause) : message}${code === "" || message.includes(code) ? "" : ` (${code})`}`
  if (TLS_FAILURE.test(code)) {
    return BackendError.make(
      new BackendError.Unavailable({ detail: `no trusted connection: ${detail}; ${adviceOnTls(code)}` }),
      cause
    )
  }
  if (PROXY_FAILURE.test(message)) {
    return BackendError.make(
      new BackendError.Unavailable({ detail: `the proxy refused the connection: ${detail}` }),
      cause
    )
  }
  return BackendError.make(
    new BackendError.Transient({ applied: NOTHING_WAS_SENT.has(code) ? "no" : "unknown", detail }),
    cause
  )
}

const adviceOnTls = (code: string): string => {
  if (code === "CERT_HAS_EXPIRED") return "renew the server's certificate"
  if (code === "CERT_NOT_YET_VALID") return "compare the clocks of this machine and the server"
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return "set tls-server-name in the kubeconfig to a name in the certificate"
  if (code.startsWith("ERR_SSL_") || code === "EPROTO")
    return "check that the address speaks HTTPS and takes the client certificate"
  return "check certificate-authority in the kubeconfig"
}
