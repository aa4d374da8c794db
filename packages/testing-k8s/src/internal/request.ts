/** What a request wants, read from its method, path and query alone. */
import { asText, at, parse } from "./json.ts"
import type { Attributes } from "./statuses.ts"

/** @internal */
export interface IncomingRequest {
  readonly method: string
  /** Without the query, as sent. */
  readonly path: string
  readonly query: URLSearchParams
  readonly accept: string | undefined
  readonly contentType: string | undefined
  readonly userAgent: string | undefined
  readonly body: string
}

/** @internal */
export interface RequestInfo extends Attributes {
  /** Undefined for paths such as `/version`, which name no resource. */
  readonly isResource: boolean
  readonly version: string
  readonly subresource: string
  readonly path: string
  /** Steps of the path below `/api/v1` or `/apis/GROUP/VERSION`, beyond what the fields say. */
  readonly extra: number
}

const verbs: Readonly<Record<string, string>> = {
  POST: "create",
  GET: "get",
  HEAD: "get",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete"
}

// As Go's conversion of query parameters does it.
const isTrue = (value: string | null): boolean => value !== null && !["false", "0"].includes(value.toLowerCase())

const wantsWatch = (query: URLSearchParams): boolean => isTrue(query.get("watch"))

const decodeSegment = (segment: string): string => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

const namespaceSubresources = new Set(["status", "finalize"])

/** @internal */
export const requestInfo = (method: string, path: string, query: URLSearchParams): RequestInfo => {
  const segments = path
    .split("/")
    .slice(1)
    .map(decodeSegment)
    .filter((segment, index, all) => segment !== "" || index < all.length - 1)
  const plain: RequestInfo = {
    isResource: false,
    verb: method.toLowerCase(),
    group: "",
    version: "",
    resource: "",
    subresource: "",
    namespace: "",
    name: "",
    path,
    extra: 0
  }
  const prefixLength = segments[0] === "api" ? 2 : segments[0] === "apis" ? 3 : Number.POSITIVE_INFINITY
  if (segments.length <= prefixLength || segments.includes("")) {
    return plain
  }
  const group = prefixLength === 2 ? "" : (segments[1] ?? "")
  const version = segments[prefixLength - 1] ?? ""
  let rest = segments.slice(prefixLength)
  let verb = verbs[method] ?? method.toLowerCase()
  const isWatchPath = rest[0] === "watch" && rest.length > 1
  if (isWatchPath) {
    rest = rest.slice(1)
  }
  let namespace = ""
  if (rest[0] === "namespaces" && rest.length > 1) {
    namespace = rest[1] ?? ""
    if (rest.length > 2 && !namespaceSubresources.has(rest[2] ?? "")) {
      rest = rest.slice(2)
    }
  }
  const [resource = "", name = "", subresource = ""] = rest
  if (isWatchPath) {
    verb = "watch"
  } else if (name === "" && verb === "get") {
    verb = wantsWatch(query) ? "watch" : "list"
  } else if (name === "" && verb === "delete") {
    verb = "deletecollection"
  }
  return {
    isResource: true,
    verb,
    group,
    version,
    resource,
    subresource,
    namespace,
    name,
    path,
    extra: Math.max(0, rest.length - 3)
  }
}

const metadataOnly = /^application\/json;as=partialobjectmetadata(?:list)?;g=meta\.k8s\.io;v=v1$/

/** Whether the client would have nothing but metadata, before a plain answer. @internal */
export const acceptsMetadataOnly = (accept: string | undefined): boolean =>
  metadataOnly.test(accept?.split(",")[0]?.replaceAll(" ", "").toLowerCase() ?? "")

/** Whether JSON is among what the client takes. @internal */
export const acceptsJson = (accept: string | undefined): boolean =>
  accept === undefined ||
  accept.trim() === "" ||
  acceptsMetadataOnly(accept) ||
  accept.split(",").some((one) => {
    const [type = "", ...parameters] = one.split(";").map((part) => part.trim().toLowerCase())
    const isPlain = parameters.every((parameter) => /^(?:q=|charset=|stream=watch)/.test(parameter))
    return isPlain && ["application/json", "application/*", "*/*"].includes(type)
  })

/** Whether the client would have all kinds at once (aggregated discovery), before a plain answer. @internal */
export const acceptsDiscovery = (accept: string | undefined): boolean =>
  accept !== undefined && /^application\/json;g=apidiscovery\.k8s\.io;v=v2;as=APIGroupDiscoveryList(?:,|$)/.test(accept)

const writeVerbs = new Set(["create", "update", "patch", "delete", "deletecollection"])

/** @internal */
export const isWrite = (info: RequestInfo): boolean => info.isResource && writeVerbs.has(info.verb)

/** Name of the object, which a create has only in its body. @internal */
export const objectName = (info: RequestInfo, body: string): string => {
  if (info.name !== "" || info.verb !== "create" || body === "") {
    return info.name
  }
  try {
    return asText(at(parse(body), "metadata", "name"))
  } catch {
    return ""
  }
}
