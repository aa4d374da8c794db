/**
 * What a response of the API server says.
 */
import type { KubernetesResponse } from "../KubernetesHttp.ts"
import * as utf8 from "./utf8.ts"
import * as json from "./json.ts"

/**
 * The fields of a Kubernetes `Status` that are read here.
 *
 * @internal
 */
export interface Status {
  readonly reason: string
  readonly message: string
  /** The resource that the status is about: `events`, `namespaces`. */
  readonly kind: string
  readonly retryAfterSeconds: number | undefined
  readonly causes: ReadonlyArray<{ readonly reason: string; readonly field: string }>
}

/**
 * Reads a `Status` object; `undefined` when it is something else.
 *
 * @internal
 */
export const statusOf = (value: unknown): Status | undefined => {
  if (!json.isFields(value) || value["kind"] !== "Status") return undefined
  const details = json.fieldsOf(value["details"])
  const seconds = details["retryAfterSeconds"]
  return {
    reason: json.textOf(value["reason"]) ?? "",
    message: json.textOf(value["message"]) ?? "",
    kind: json.textOf(details["kind"]) ?? "",
    retryAfterSeconds: typeof seconds === "number" && seconds > 0 ? seconds : undefined,
    causes: json.listOf(details["causes"]).map((cause) => ({
      reason: json.textOf(cause["reason"]) ?? "",
      field: json.textOf(cause["field"]) ?? ""
    }))
  }
}

/**
 * The `Status` in the body of a response.
 *
 * @internal
 */
export const statusIn = ({ body }: Pick<KubernetesResponse, "body">): Status | undefined => statusOf(json.parse(body))

/**
 * The object in the body of a response, when it is of the kind that was asked for.
 *
 * @internal
 */
export const objectIn = (
  { body }: KubernetesResponse,
  kind: string,
  /** Absent where API servers leave it out of the response. */
  apiVersion?: string
): json.Fields | undefined => {
  const object = json.parse(body)
  if (!json.isFields(object) || object["kind"] !== kind) return undefined
  return apiVersion === undefined || object["apiVersion"] === apiVersion ? object : undefined
}

/**
 * Whether the API server says that the object does not exist. A 404 page of a gateway says nothing about the cluster.
 *
 * @internal
 */
export const isNotFound = (response: KubernetesResponse): boolean =>
  response.status === 404 && statusIn(response) !== undefined

/**
 * Whether the history that was asked for is gone. Only the API server knows that: a 410 page comes from a gateway.
 *
 * @internal
 */
export const isExpired = (code: number, status: Status | undefined): boolean =>
  status !== undefined && (code === 410 || status.reason === "Expired" || status.reason === "Gone")

/**
 * Status and message of a response, short enough for an error message.
 *
 * @internal
 */
export const summaryOf = (response: KubernetesResponse): string => {
  const status = statusIn(response)
  const text = status === undefined ? (response.body ?? "").replace(/\s+/g, " ").trim() : status.message
  return text === "" ? `HTTP ${response.status}` : `HTTP ${response.status}: ${utf8.cut(text, 600)}`
}

const EXCERPT = 120

/**
 * A response of something that is not an API server, for the person who has to find out what it is.
 *
 * @internal
 */
export const describe = (response: KubernetesResponse): string => {
  const type = response.headers["content-type"]
  const location = response.headers["location"]
  const body =
    response.body === undefined
      ? "a body that was cut off"
      : response.body === ""
        ? "an empty body"
        : JSON.stringify(utf8.cut(response.body.replace(/\s+/g, " ").trim(), EXCERPT))
  return (
    `HTTP ${response.status}${type === undefined ? "" : ` ${utf8.cut(type, 80)}`}` +
    `${location === undefined ? "" : ` to ${utf8.cut(location, EXCERPT)}`} with ${body}`
  )
}
