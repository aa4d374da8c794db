/** What a watch begins with, and which changes it sees. */
import type { Change } from "./changeLog.ts"
import { emptyEvent } from "./eventSchema.ts"
import { asObject, type Json, type JsonObject } from "./json.ts"
import { type ListQuery, parseVersionNumber } from "./listQuery.ts"
import { prefixOf, queryOf } from "./listing.ts"
import { type Objects, objectText } from "./objects.ts"
import type { IncomingRequest, RequestInfo } from "./request.ts"
import { eventVersionOf, type ResourceType, tableOf } from "./resourceType.ts"
import * as Status from "./statuses.ts"
import { refuse } from "./statuses.ts"

/** A watch that can begin. @internal */
export interface WatchPlan {
  /** Written first, whatever happens; each a line. */
  readonly initial: ReadonlyArray<string>
  /** Whether the watch ends after `initial`. */
  readonly endsAtOnce: boolean
  /** Position in the log of changes to go on from. */
  readonly position: number
  readonly timeoutSeconds: number | undefined
  /** The line of a change, if the watch is meant to see it. */
  readonly line: (change: Change) => string | undefined
}

const lineOf = (type: string, objectText: string): string => `{"type":"${type}","object":${objectText}}\n`

/** A Status in the stream, with which a watch ends. @internal */
export const errorLine = (status: Json): string => lineOf("ERROR", JSON.stringify(status))

const bookmark = (resource: ResourceType, revision: number): string => {
  const empty = eventVersionOf(resource) === undefined ? {} : emptyEvent()
  const metadata = {
    resourceVersion: String(revision),
    annotations: { "k8s.io/initial-events-end": "true" }
  }
  return lineOf("BOOKMARK", objectText(resource, { ...empty, metadata }))
}

/** The lines of changes after a revision. */
const changeLines = (resource: ResourceType, query: ListQuery, after: number): WatchPlan["line"] => {
  const table = tableOf(resource)
  const prefix = prefixOf(query)
  const { matches } = query
  const isMeant = (object: JsonObject | undefined): object is JsonObject =>
    object !== undefined && (matches === undefined || matches(object))
  return (change) => {
    if (change.resource !== table || !change.key.startsWith(prefix) || change.revision <= after) {
      return undefined
    }
    const { before } = change
    if (isMeant(change.after)) {
      return lineOf(isMeant(before) ? "MODIFIED" : "ADDED", objectText(resource, change.after))
    }
    if (!isMeant(before)) {
      return undefined
    }
    // The old object, at the revision of its end or of its ceasing to match.
    const metadata = { ...asObject(before["metadata"]), resourceVersion: String(change.revision) }
    return lineOf("DELETED", objectText(resource, { ...before, metadata }))
  }
}

/** @internal */
export const planWatch = (
  objects: Objects,
  resource: ResourceType,
  info: RequestInfo,
  request: IncomingRequest
): WatchPlan => {
  const { store } = objects
  const query = queryOf(resource, info, request, true)
  const { matches, resourceVersion, sendInitialEvents, timeoutSeconds } = query
  const wanted = parseVersionNumber(resourceVersion === "" ? "0" : resourceVersion)
  if (wanted === undefined) {
    return refuse(Status.unparsableWatchVersion(resourceVersion))
  }
  const line = changeLines(resource, query, Number(wanted))
  const plan = (initial: ReadonlyArray<string>, position: number, endsAtOnce = false): WatchPlan => ({
    initial,
    endsAtOnce,
    position,
    timeoutSeconds: timeoutSeconds === undefined || timeoutSeconds <= 0 ? undefined : timeoutSeconds,
    line
  })
  const isInTheFuture = wanted > BigInt(store.revision)
  if (sendInitialEvents ?? wanted === 0n) {
    if (isInTheFuture) {
      return plan([errorLine(Status.versionTooLarge(wanted, store.revision, 1))], store.log.end(), true)
    }
    const prefix = prefixOf(query)
    const page = store.list(tableOf(resource), { prefix, start: prefix, revision: undefined, limit: 0, matches })
    const added = page.objects.map((object) => lineOf("ADDED", objectText(resource, object)))
    const isMarked = sendInitialEvents === true && query.wantsBookmarks
    return plan(isMarked ? [...added, bookmark(resource, store.revision)] : added, store.log.end())
  }
  if (wanted === 0n) {
    return plan([], store.log.end())
  }
  const position = isInTheFuture ? store.log.end() : store.positionAfter(Number(wanted))
  return position === undefined ? plan([errorLine(Status.expiredWatch)], store.log.end(), true) : plan([], position)
}
