/**
 * What the response to a write says about the event object that was to be created or patched.
 */
import type { Outcome } from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import type * as Duration from "effect/Duration"
import type { KubernetesResponse } from "../KubernetesHttp.ts"
import * as json from "./json.ts"
import {
  forbidden,
  notKubernetes,
  refusedByGateway,
  throttled,
  transient,
  unauthenticated,
  unavailable
} from "./requestErrors.ts"
import { objectIn, type Status, statusIn, summaryOf } from "./response.ts"

/** What API servers write after the name of an object. */
const AFTER_NAME = /","namespace":"[-a-z0-9]+","uid":"[-0-9a-f]{36}","resourceVersion":"\d+","creationTimestamp":"/y

/** The last field of an event as API servers write it. In a text its quotes would be escaped. */
const LAST_FIELD = ',"reportingInstance":"'
const END = /[^"\\]*"\}\n$/y

/**
 * Whether the body is the event of this name as API servers write it, told from its beginning and its end: to parse the
 * whole body takes longer than everything else that is done with a response.
 */
const isPlainEvent = (body: string, name: string): boolean => {
  const beginning = `{"kind":"Event","apiVersion":"v1","metadata":{"name":"${name}`
  if (!body.startsWith(beginning)) return false
  AFTER_NAME.lastIndex = beginning.length
  const last = body.lastIndexOf(LAST_FIELD)
  END.lastIndex = last + LAST_FIELD.length
  return last !== -1 && AFTER_NAME.test(body) && END.test(body)
}

/** Whether the response holds the event of this name with its resourceVersion. */
const isEventOf = (response: KubernetesResponse, name: string): boolean => {
  if (response.body !== undefined && isPlainEvent(response.body, name)) return true
  const metadata = objectIn(response, "Event", "v1")?.["metadata"]
  return (
    json.fieldsOf(metadata)["name"] === name && json.textOf(json.fieldsOf(metadata)["resourceVersion"]) !== undefined
  )
}

/**
 * What the response to a create or a patch means for the series.
 *
 * @internal
 */
export type Verdict =
  /** The event is stored as it was sent. */
  | { readonly _tag: "Applied" }
  /** An object of this name exists. */
  | { readonly _tag: "Exists" }
  /** The object is at another resourceVersion. */
  | { readonly _tag: "Conflict" }
  /** No object of this name exists. */
  | { readonly _tag: "Missing" }
  /** A smaller event may be accepted. */
  | { readonly _tag: "TooLarge"; readonly detail: string }
  /** A field of the event is refused. */
  | { readonly _tag: "Invalid"; readonly detail: string }
  /** Another request would not help now. */
  | { readonly _tag: "Final"; readonly outcome: Outcome }

const applied: Verdict = { _tag: "Applied" }
const exists: Verdict = { _tag: "Exists" }
const conflict: Verdict = { _tag: "Conflict" }
const missing: Verdict = { _tag: "Missing" }

/** How long a namespace may be missing: it may be about to be created. */
const MISSING_NAMESPACE: Duration.Input = "1 minute"

/** How long an admission policy may refuse an event: it may be about to be changed. */
const REFUSED_BY_ADMISSION: Duration.Input = "10 minutes"

const retry = (error: BackendError.BackendError, parkAfter?: Duration.Input): Verdict => ({
  _tag: "Final",
  outcome: parkAfter === undefined ? { _tag: "Retry", error } : { _tag: "Retry", error, parkAfter }
})

const rejected = (reason: string): Verdict => ({ _tag: "Final", outcome: { _tag: "Rejected", reason } })

/**
 * Webhooks: `admission webhook "…" denied the request`, with any status from 400 on, also 404, 429 and 503. Policies:
 * `ValidatingAdmissionPolicy '…' denied request`; for a MutatingAdmissionPolicy that fails `policy '…' with binding '…'
 * denied request`, or `policy "…" denied request` where it cannot be set up.
 */
const isRefusedByAdmission = (message: string): boolean =>
  /\badmission webhook ".*" denied the request/.test(message) ||
  /\b(?:\w+AdmissionPolicy|policy) ['"].*['"](?: with binding '.*')? denied request/.test(message)

/** Built-in admission plugins name the event (`events "…" is forbidden: …`); missing rights name the user after that. */
const isRefusedByPlugin = (message: string): boolean => /^\S+ ".*?" is forbidden: (?!User ")/.test(message)

const refusedByAdmission = (summary: string): Verdict =>
  retry(transient("no", `an admission policy of the cluster refuses the event: ${summary}`), REFUSED_BY_ADMISSION)

const isTooLong = ({ causes }: Status, field: string): boolean =>
  causes.some((cause) => cause.reason === "FieldValueTooLong" && cause.field === field)

const isTooLarge = (message: string): boolean =>
  message.includes("etcdserver: request is too large") || message.includes("trying to send message larger than max")

/**
 * Reads the response to a create or a patch of the event `name` in `namespace`.
 *
 * Only the event in the body proves that it is stored: a gateway may answer 2xx, too, with a page of its own.
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
      ? retry(transient("unknown", `the answer HTTP ${code} was cut off`))
      : retry(notKubernetes(response, `the event ${namespace}/${name}`, "unknown"))
  }
  const status = statusIn(response)
  if (status === undefined && code < 400) {
    return retry(notKubernetes(response, `the event ${namespace}/${name}, or a Status`, "unknown"))
  }
  const message = status?.message ?? response.body ?? ""
  const summary = summaryOf(response)
  if (isRefusedByAdmission(message)) return refusedByAdmission(summary)
  switch (code) {
    case 400:
      return status === undefined ? retry(refusedByGateway(response)) : rejected(`bad-request: ${summary}`)
    case 401:
      return retry(unauthenticated(response))
    case 403:
      return status === undefined
        ? retry(refusedByGateway(response))
        : forbiddenWrite(verb, namespace, response, status)
    case 404:
      // For a path that does not exist the Status names no kind.
      if (status?.reason !== "NotFound") break
      if (verb === "patch" && status.kind === "events") return missing
      if (status.kind !== "namespaces") break
      return retry(transient("no", `namespace ${namespace} does not exist: ${summary}`), MISSING_NAMESPACE)
    case 408:
      return retry(transient("unknown", summary))
    case 409:
      if (status?.reason === "AlreadyExists") return exists
      if (status?.reason === "Conflict") return conflict
      return retry(status === undefined ? refusedByGateway(response) : transient("no", summary))
    case 413:
      return { _tag: "TooLarge", detail: summary }
    case 422:
      if (status === undefined) return retry(refusedByGateway(response))
      return { _tag: isTooLong(status, "metadata.annotations") ? "TooLarge" : "Invalid", detail: summary }
    case 429:
      return retry(throttled(response))
  }
  if (code >= 500)
    return isTooLarge(message) ? { _tag: "TooLarge", detail: summary } : retry(transient("unknown", summary))
  return retry(unavailable(`the API server does not accept events at this address: ${summary}`))
}

const forbiddenWrite = (
  verb: "create" | "patch",
  namespace: string,
  response: KubernetesResponse,
  status: Status
): Verdict => {
  const summary = summaryOf(response)
  const { message } = status
  if (verb === "create" && status.causes.some(({ reason }) => reason === "NamespaceTerminating")) {
    return rejected(`namespace-terminating: namespace ${namespace} is being deleted and accepts no new objects`)
  }
  if (/exceeded quota/.test(message)) return retry(BackendError.make(new BackendError.Full({ detail: summary })))
  // Admission plugins say this while their caches fill, just after the server has started.
  if (/not yet ready to handle request/.test(message)) return retry(transient("no", summary))
  // Missing rights have the reason Forbidden; with any other reason an admission controller judged the event.
  if (status.reason !== "Forbidden" || isRefusedByPlugin(message)) return refusedByAdmission(summary)
  return retry(forbidden(response, { verbs: ["create", "patch"], group: "", resource: "events", namespace }))
}
