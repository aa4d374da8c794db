/** Gets and lists, and deletions of all that a list would have. */
import { fieldLabels } from "./eventSchema.ts"
import { asText, at, type JsonObject, nameOf } from "./json.ts"
import {
  checkListQuery,
  continueToken,
  type ListQuery,
  listStart,
  parseVersionNumber,
  readListQuery
} from "./listQuery.ts"
import { objectAnswer, type Objects, objectText } from "./objects.ts"
import { acceptsMetadataOnly, type IncomingRequest, type RequestInfo } from "./request.ts"
import { eventVersionOf, groupResource, groupVersionOf, type ResourceType, tableOf } from "./resourceType.ts"
import { metadataLabels } from "./selectors.ts"
import * as Status from "./statuses.ts"
import { type Answer, refuse } from "./statuses.ts"

/** What the query of a list or a watch asks for. Refuses what makes no sense. @internal */
export const queryOf = (
  resource: ResourceType,
  info: RequestInfo,
  request: IncomingRequest,
  isWatch: boolean
): ListQuery => {
  const version = eventVersionOf(resource)
  const query = readListQuery(
    request.query,
    resource.namespaced ? info.namespace : undefined,
    version === undefined ? metadataLabels : fieldLabels[version]
  )
  checkListQuery(query, isWatch)
  return query
}

/** What the keys of the objects begin with that a list is about. @internal */
export const prefixOf = (query: ListQuery): string => (query.namespace === "" ? "" : `${query.namespace}/`)

const metadataOnly = (object: JsonObject): JsonObject => ({
  kind: "PartialObjectMetadata",
  apiVersion: "meta.k8s.io/v1",
  metadata: object["metadata"] ?? {}
})

/** @internal */
export const list = (objects: Objects, resource: ResourceType, info: RequestInfo, request: IncomingRequest): Answer => {
  const query = queryOf(resource, info, request, false)
  const { revision, start } = listStart(query, objects.store)
  const prefix = prefixOf(query)
  const page = objects.store.list(tableOf(resource), {
    prefix,
    start: `${prefix}${start}`,
    revision,
    limit: query.limit,
    matches: query.matches
  })
  const shownAt = revision ?? objects.store.revision
  const token = page.last === undefined ? undefined : continueToken(shownAt, `${page.last.slice(prefix.length)}\0`)
  const isMetadataOnly = acceptsMetadataOnly(request.accept)
  const head = JSON.stringify({
    kind: isMetadataOnly ? "PartialObjectMetadataList" : resource.listKind,
    apiVersion: isMetadataOnly ? "meta.k8s.io/v1" : groupVersionOf(resource),
    metadata: {
      resourceVersion: String(shownAt),
      // Lists of custom resources always have it.
      ...(token !== undefined || resource.isCustom ? { continue: token ?? "" } : {}),
      ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining })
    }
  })
  const items = page.objects.map((object) =>
    isMetadataOnly ? JSON.stringify(metadataOnly(object)) : objectText(resource, object, true)
  )
  return {
    status: 200,
    contentType: "application/json",
    body: `${head.slice(0, -1)},"items":[${items.join(",")}]}\n`
  }
}

/** @internal */
export const get = (objects: Objects, resource: ResourceType, info: RequestInfo, request: IncomingRequest): Answer => {
  const { revision } = objects.store
  const wanted = parseVersionNumber(request.query.get("resourceVersion") || "0")
  if (wanted !== undefined && wanted > BigInt(revision)) {
    return refuse(Status.jsonAnswer(504, Status.versionTooLarge(wanted, revision)))
  }
  const found = objects.get(resource, info.namespace, info.name)
  if (found === undefined) {
    return refuse(Status.notFound(groupResource(resource), info.name))
  }
  return acceptsMetadataOnly(request.accept)
    ? Status.jsonAnswer(200, metadataOnly(found))
    : objectAnswer(200, resource, found)
}

/** @internal */
export const removeAll = (
  objects: Objects,
  resource: ResourceType,
  info: RequestInfo,
  request: IncomingRequest
): Answer => {
  const answer = list(objects, resource, info, request)
  const query = queryOf(resource, info, request, false)
  const prefix = prefixOf(query)
  const { matches } = query
  const page = objects.store.list(tableOf(resource), { prefix, start: prefix, revision: undefined, limit: 0, matches })
  for (const object of page.objects) {
    objects.remove(resource, asText(at(object, "metadata", "namespace")), nameOf(object))
  }
  return answer
}
