/** Leads a request to what answers it, at once: an API server without sockets, faults and time. */
import type { Admission } from "./admission.ts"
import { readBody } from "./bodies.ts"
import { builtInResources } from "./builtInResources.ts"
import { create } from "./creating.ts"
import { remove } from "./deleting.ts"
import { get, list, removeAll } from "./listing.ts"
import type { Objects } from "./objects.ts"
import { type Decision, decide, type Identity } from "./rbac.ts"
import { finalize, patch, update } from "./replacing.ts"
import { acceptsJson, type IncomingRequest, type RequestInfo } from "./request.ts"
import type { ResourceType } from "./resourceType.ts"
import { review } from "./reviews.ts"
import { answerPath } from "./serverPaths.ts"
import * as Status from "./statuses.ts"
import { type Answer, Refused } from "./statuses.ts"
import { planWatch, type WatchPlan } from "./watchPlan.ts"

/** @internal */
export type Outcome =
  | { readonly _tag: "Answer"; readonly answer: Answer }
  | { readonly _tag: "Watch"; readonly plan: WatchPlan }

/** @internal */
export interface Api {
  readonly objects: Objects
  readonly admission: Admission
  readonly serverAddress: () => string
}

/** @internal */
export const answered = (answer: Answer): Outcome => ({ _tag: "Answer", answer })

/** Whether the user may do what the request asks for. @internal */
export const authorize = ({ objects }: Api, identity: Identity, info: RequestInfo): Decision =>
  decide(
    identity,
    info.isResource
      ? {
          _tag: "Resource",
          verb: info.verb,
          group: info.group,
          resource: info.resource,
          subresource: info.subresource,
          namespace: info.namespace,
          name: info.name
        }
      : { _tag: "Path", verb: info.verb, path: info.path },
    objects.roles()
  )

const isNamespaceItself = (info: RequestInfo): boolean => info.resource === "namespaces" && info.group === ""

/** The resource that the path leads to; undefined where it leads to none. */
const resourceAt = ({ objects }: Api, info: RequestInfo): ResourceType | undefined => {
  const resource = objects
    .resources()
    .find(
      (candidate) =>
        candidate.group === info.group && candidate.version === info.version && candidate.plural === info.resource
    )
  if (resource === undefined || info.extra > 0) return undefined
  const isMisplaced =
    !isNamespaceItself(info) &&
    (resource.namespaced ? info.namespace === "" && info.name !== "" : info.namespace !== "")
  return isMisplaced ? undefined : resource
}

const isMethodAllowed = (resource: ResourceType, info: RequestInfo, method: string): boolean => {
  if (!resource.verbs.includes(info.verb) || method === "HEAD") return false
  const isNamed = info.name !== ""
  switch (info.verb) {
    case "create":
      return !isNamed && (!resource.namespaced || info.namespace !== "")
    case "update":
    case "patch":
      return isNamed
    default:
      return true
  }
}

const handleResource = (api: Api, identity: Identity, info: RequestInfo, request: IncomingRequest): Outcome => {
  const { admission, objects } = api
  const isBuiltInGroup = builtInResources.some(
    (candidate) => candidate.group === info.group && candidate.version === info.version
  )
  const missing = isBuiltInGroup ? Status.noSuchResource : Status.pageNotFound
  const resource = resourceAt(api, info)
  if (resource === undefined) {
    return answered(missing)
  }
  if (!acceptsJson(request.accept)) {
    return answered(Status.notAcceptable)
  }
  const change = { objects, admission, identity, resource, info, request }
  if (info.subresource !== "") {
    const isFinalize = isNamespaceItself(info) && info.subresource === "finalize" && info.verb === "update"
    return answered(isFinalize ? finalize(change) : missing)
  }
  if (!isMethodAllowed(resource, info, request.method)) {
    return answered(Status.methodNotAllowed)
  }
  switch (info.verb) {
    case "create":
      return answered(
        review(objects, identity, resource, request) ??
          create(
            objects,
            admission,
            identity,
            resource,
            { namespace: info.namespace },
            request,
            readBody(resource, request)
          )
      )
    case "get":
      return answered(get(objects, resource, info, request))
    case "list":
      return answered(list(objects, resource, info, request))
    case "watch":
      return { _tag: "Watch", plan: planWatch(objects, resource, info, request) }
    case "update":
      return answered(update(change))
    case "patch":
      return answered(patch(change))
    case "delete":
      return answered(remove(objects, resource, info))
    case "deletecollection":
      return answered(removeAll(objects, resource, info, request))
    default:
      return answered(Status.methodNotAllowed)
  }
}

/** Carries a request out, whose sender may do so. @internal */
export const handle = (api: Api, identity: Identity, info: RequestInfo, request: IncomingRequest): Outcome => {
  try {
    return info.isResource
      ? handleResource(api, identity, info, request)
      : answered(answerPath(info.path, request, api.objects.resources(), api.serverAddress()))
  } catch (error) {
    if (error instanceof Refused) {
      return answered(error.answer)
    }
    throw error
  }
}
