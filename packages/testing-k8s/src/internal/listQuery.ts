/** What the query of a list or a watch asks for, and what is wrong with it. */
import { asText, at, type Json, type JsonObject, parse } from "./json.ts"
import { type Matcher, parseFieldSelector, parseLabelSelector } from "./selectors.ts"
import { type FieldError, forbiddenField, notSupported } from "./fieldErrors.ts"
import * as Status from "./statuses.ts"
import { refuse } from "./statuses.ts"
import type { Store } from "./store.ts"

/** @internal */
export interface ListQuery {
  /** Empty: all, or the resource has none. */
  readonly namespace: string
  readonly matches: Matcher | undefined
  readonly resourceVersion: string
  readonly versionMatch: string
  readonly continueToken: string
  /** 0: all. */
  readonly limit: number
  readonly timeoutSeconds: number | undefined
  readonly sendInitialEvents: boolean | undefined
  readonly wantsBookmarks: boolean
}

/** Undefined where a resourceVersion is no number. @internal */
export const parseVersionNumber = (text: string): bigint | undefined => (/^\d+$/.test(text) ? BigInt(text) : undefined)

const integerParameter = (query: URLSearchParams, name: string): number | undefined => {
  const text = query.get(name)
  if (text === null || text === "") {
    return undefined
  }
  return /^[+-]?\d+$/.test(text)
    ? Number(text)
    : refuse(Status.badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`))
}

const flagParameter = (query: URLSearchParams, name: string): boolean | undefined => {
  const text = query.get(name)
  return text === null ? undefined : !["false", "0"].includes(text.toLowerCase())
}

const bothMatch = (left: Matcher | undefined, right: Matcher | undefined): Matcher | undefined =>
  left === undefined || right === undefined ? (left ?? right) : (object) => left(object) && right(object)

const versionMatchErrors = (
  list: Pick<ListQuery, "continueToken" | "resourceVersion" | "versionMatch">
): ReadonlyArray<FieldError> => {
  const field = "resourceVersionMatch"
  const { continueToken, resourceVersion, versionMatch } = list
  if (versionMatch === "") {
    return []
  }
  if (continueToken !== "") {
    return [forbiddenField(field, "resourceVersionMatch is forbidden when continue is provided")]
  }
  if (resourceVersion === "") {
    return [forbiddenField(field, "resourceVersionMatch is forbidden unless resourceVersion is provided")]
  }
  if (versionMatch !== "Exact" && versionMatch !== "NotOlderThan") {
    return [notSupported(field, versionMatch, ["Exact", "NotOlderThan", ""])]
  }
  if (versionMatch === "Exact" && resourceVersion === "0") {
    return [forbiddenField(field, `resourceVersionMatch "exact" is forbidden for resourceVersion "0"`)]
  }
  return []
}

const watchErrors = (list: ListQuery): ReadonlyArray<FieldError> => {
  const field = "resourceVersionMatch"
  const { continueToken, resourceVersion, sendInitialEvents, versionMatch } = list
  if (sendInitialEvents === undefined) {
    if (versionMatch !== "") {
      return [forbiddenField(field, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")]
    }
    // Such a watch is one with initial events, and gets their resourceVersionMatch.
    return continueToken !== "" && (resourceVersion === "" || resourceVersion === "0")
      ? [forbiddenField(field, "resourceVersionMatch is forbidden when continue is provided")]
      : []
  }
  return versionMatch === "NotOlderThan"
    ? []
    : [forbiddenField(field, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")]
}

/** Throws what the server answers to a query that makes no sense. @internal */
export const checkListQuery = (list: ListQuery, isWatch: boolean): void => {
  const errors = isWatch
    ? watchErrors(list)
    : [
        ...versionMatchErrors(list),
        ...(list.sendInitialEvents === undefined
          ? []
          : [forbiddenField("sendInitialEvents", "sendInitialEvents is forbidden for list")])
      ]
  if (errors.length > 0) {
    refuse(Status.invalidObject({ group: "meta.k8s.io", kind: "ListOptions" }, "", errors))
  }
}

const tokenVersion = "meta.k8s.io/v1"

/** @internal */
export const continueToken = (revision: number, start: string): string =>
  Buffer.from(JSON.stringify({ v: tokenVersion, rv: revision, start })).toString("base64url")

const readContinueToken = (token: string): { readonly revision: number; readonly start: string } => {
  const bad = (problem: string): never =>
    refuse(Status.badRequest(`invalid continue token: continue key is not valid: ${problem}`))
  const wrongByte = token.search(/[^A-Za-z0-9_-]/)
  if (wrongByte >= 0) {
    return bad(`illegal base64 data at input byte ${wrongByte}`)
  }
  const text = Buffer.from(token, "base64url").toString()
  let value: Json
  try {
    value = parse(text)
  } catch {
    return bad(`invalid character '${text.slice(0, 1)}' looking for beginning of value`)
  }
  const version = asText(at(value, "v"))
  if (version !== tokenVersion) {
    return bad(`server does not recognize this encoded version ${version}`)
  }
  const start = asText(at(value, "start"))
  if (start === "" || start.split("/").some((step) => step === ".." || step === ".")) {
    return bad(start)
  }
  const revision = at(value, "rv")
  return { revision: typeof revision === "number" ? revision : 0, start }
}

/** Throws what the server answers to a query that it cannot read. @internal */
export const readListQuery = (
  query: URLSearchParams,
  /** Undefined where the resource has no namespaces, empty for all. */
  namespace: string | undefined,
  labels: ReadonlyMap<string, (object: JsonObject) => string>
): ListQuery => {
  const fields = parseFieldSelector(query.get("fieldSelector") ?? "", labels)
  return {
    // A list of all namespaces that selects one is a list of that one, also in its continue token.
    namespace: namespace === undefined ? "" : namespace || (fields?.namespace ?? ""),
    timeoutSeconds: integerParameter(query, "timeoutSeconds"),
    limit: Math.max(0, integerParameter(query, "limit") ?? 0),
    matches: bothMatch(fields?.matches, parseLabelSelector(query.get("labelSelector") ?? "")),
    resourceVersion: query.get("resourceVersion") ?? "",
    versionMatch: query.get("resourceVersionMatch") ?? "",
    continueToken: query.get("continue") ?? "",
    sendInitialEvents: flagParameter(query, "sendInitialEvents"),
    wantsBookmarks: flagParameter(query, "allowWatchBookmarks") ?? false
  }
}

/** The revision to read at (undefined: the newest), and where to start. @internal */
export const listStart = (
  list: ListQuery,
  store: Store
): { readonly revision: number | undefined; readonly start: string } => {
  const current = store.revision
  if (list.continueToken !== "") {
    if (list.resourceVersion !== "" && list.resourceVersion !== "0") {
      refuse(Status.badRequest("specifying resource version is not allowed when using continue"))
    }
    const { revision, start } = readContinueToken(list.continueToken)
    if (revision < 0) {
      return { revision: undefined, start }
    }
    if (revision < store.compacted) {
      refuse(Status.expiredContinue(continueToken(-1, start)))
    }
    return { revision, start }
  }
  if (list.resourceVersion === "" || list.resourceVersion === "0") {
    return { revision: undefined, start: "" }
  }
  const wanted = parseVersionNumber(list.resourceVersion)
  if (wanted === undefined) {
    const shown = JSON.stringify(list.resourceVersion)
    return refuse(
      Status.badRequest(
        `invalid resource version: resourceVersion: Invalid value: ${shown}: strconv.ParseUint: parsing ${shown}: invalid syntax`
      )
    )
  }
  if (wanted > BigInt(current)) {
    return refuse(Status.jsonAnswer(504, Status.versionTooLarge(wanted, current)))
  }
  const isExact = list.versionMatch === "Exact" || (list.versionMatch === "" && list.limit > 0)
  if (!isExact) {
    return { revision: undefined, start: "" }
  }
  return Number(wanted) < store.compacted ? refuse(Status.expired) : { revision: Number(wanted), start: "" }
}
