/**
 * The errors of requests: what a failed response or connection means for the caller.
 */
import * as BackendError from "@tidings/core/BackendError"
import * as Duration from "effect/Duration"
import type { KubernetesResponse } from "../KubernetesHttp.ts"
import { type Permission, ruleFor, subjectOf } from "./permissions.ts"
import { describe, type Status, statusIn, summaryOf } from "./response.ts"

// ---------------------------------------------------------------------------
// responses of the API server
// ---------------------------------------------------------------------------

/**
 * `applied` says whether the request may have taken effect.
 *
 * @internal
 */
export const transient = (applied: "no" | "unknown", detail: string): BackendError.BackendError =>
  BackendError.make(new BackendError.Transient({ applied, detail }))

/** @internal */
export const unavailable = (detail: string): BackendError.BackendError =>
  BackendError.make(new BackendError.Unavailable({ detail }))

/**
 * The same error for a caller who wrote nothing: who reads, or whose own request was not sent because an earlier one failed.
 *
 * @internal
 */
export const notSent = (error: BackendError.BackendError): BackendError.BackendError =>
  error.reason._tag === "Transient" && error.reason.applied === "unknown"
    ? BackendError.make(new BackendError.Transient({ applied: "no", detail: error.reason.detail }), error.cause)
    : error

/** The user that a message of the API server names. */
const subjectIn = (message: string): string => {
  const user = /\bUser "([^"]*)"/i.exec(message)?.[1]
  return user === undefined || user === "" ? "" : subjectOf(user)
}

/** @internal */
export const forbidden = (response: KubernetesResponse, permission: Permission): BackendError.BackendError => {
  const message = statusIn(response)?.message ?? ""
  const advice = /\bcannot impersonate/.test(message)
    ? `the kubeconfig asks to act as another user (as), which needs the verb impersonate${subjectIn(message)}`
    : `${ruleFor(permission)}${subjectIn(message)}`
  return BackendError.make(new BackendError.Unauthorized({ detail: `${summaryOf(response)}; ${advice}` }))
}

/**
 * The error of a response 401.
 *
 * @internal
 */
export const unauthenticated = (response: KubernetesResponse): BackendError.BackendError =>
  BackendError.make(
    new BackendError.Unauthorized({
      detail:
        `the API server does not accept the credentials (${summaryOf(response)}), ` +
        `which were reread; renew the token, the certificate or the login that the kubeconfig names`
    })
  )

/** EventRateLimit names the limits that were exceeded: Server, User, Namespace, SourceAndObject. The widest counts. */
const scopeOf = (message: string): BackendError.Throttled["scope"] => {
  const types = Array.from(message.matchAll(/limit reached on type (\w+)/g), ([, type]) => type)
  if (types.length === 0 || types.some((type) => type !== "Namespace" && type !== "SourceAndObject")) return "backend"
  return types.includes("Namespace") ? "namespace" : "object"
}

const retryAfterOf = (response: KubernetesResponse, status: Status | undefined): Duration.Duration | undefined => {
  const header = response.headers["retry-after"]
  const seconds = header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) : status?.retryAfterSeconds
  return seconds === undefined ? undefined : Duration.seconds(seconds)
}

/**
 * The error of a response 429.
 *
 * @internal
 */
export const throttled = (response: KubernetesResponse): BackendError.BackendError => {
  const status = statusIn(response)
  const retryAfter = retryAfterOf(response, status)
  const detail = summaryOf(response)
  // Priority and fairness limits all requests and gives a time; EventRateLimit gives none and names what it limits.
  return retryAfter === undefined
    ? BackendError.make(new BackendError.Throttled({ scope: scopeOf(status?.message ?? ""), detail }))
    : BackendError.make(new BackendError.Throttled({ scope: "backend", retryAfter, detail }))
}

/**
 * The error of a read that did not succeed.
 *
 * @internal
 */
export const readErrorOf = (response: KubernetesResponse, permission: Permission): BackendError.BackendError => {
  const code = response.status
  if (statusIn(response) === undefined && code !== 429 && code < 500)
    return notKubernetes(response, "the requested object, or a Status", "no")
  if (code === 401) return unauthenticated(response)
  if (code === 403) return forbidden(response, permission)
  if (code === 429) return throttled(response)
  if (code === 408 || code >= 500) return transient("no", summaryOf(response))
  return unavailable(`the API server does not serve events at this address: ${summaryOf(response)}`)
}

// ---------------------------------------------------------------------------
// responses of something else
// ---------------------------------------------------------------------------

/**
 * The cause of an error where something else than an API server answered: a login page of a gateway, an empty body, a
 * redirect. Whether the request had an effect is unknown.
 *
 * @internal
 */
export class NotKubernetes extends Error {}

/** @internal */
export const notKubernetes = (
  response: KubernetesResponse,
  expected: string,
  applied: "no" | "unknown"
): BackendError.BackendError => {
  const detail = `expected ${expected}, and something other than an API server answered ${describe(response)}; check the server's address, gateways and proxies on the way`
  return BackendError.make(new BackendError.Transient({ applied, detail }), new NotKubernetes(detail))
}

/**
 * A gateway or proxy before the API server refuses the request. Only a change of its configuration helps.
 *
 * @internal
 */
export const refusedByGateway = (response: KubernetesResponse): BackendError.BackendError => {
  const { cause } = notKubernetes(response, "an API server", "no")
  return BackendError.make(new BackendError.Unavailable({ detail: cause instanceof Error ? cause.message : "" }), cause)
}

// ---------------------------------------------------------------------------
// connections
// ---------------------------------------------------------------------------

/**
 * The cause of an error where no response came in time.
 *
 * @internal
 */
export class NoAnswer extends Error {}

/** Codes of failures before any byte of the request was sent. */
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
 * The error of a connection that failed, by the code of the innermost cause.
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
