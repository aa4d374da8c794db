/** Deletions of single objects. */
import { asObject, asText, at } from "./json.ts"
import { normalizeMeta } from "./objectMeta.ts"
import { objectAnswer, type Objects } from "./objects.ts"
import type { RequestInfo } from "./request.ts"
import { groupResource, type ResourceType } from "./resourceType.ts"
import * as Status from "./statuses.ts"
import { type Answer, refuse } from "./statuses.ts"

const undeletableNamespaces = new Set(["default", "kube-system", "kube-public"])

/** @internal */
export const remove = (objects: Objects, resource: ResourceType, info: RequestInfo): Answer => {
  const target = groupResource(resource)
  const before = objects.get(resource, info.namespace, info.name)
  if (resource.plural === "namespaces" && undeletableNamespaces.has(info.name)) {
    return refuse(Status.forbiddenDelete(target, info.name))
  }
  if (before === undefined) {
    return refuse(Status.notFound(target, info.name))
  }
  if (resource.plural === "namespaces") {
    // There is no namespace controller here that deletes its contents, so it stays in Terminating.
    const meta = asObject(before["metadata"])
    const after =
      meta["deletionTimestamp"] === undefined
        ? objects.write(resource, {
            ...before,
            metadata: normalizeMeta({ ...meta, deletionTimestamp: objects.now() }),
            status: { phase: "Terminating" }
          })
        : before
    return objectAnswer(200, resource, after)
  }
  objects.remove(resource, info.namespace, info.name)
  return Status.success({
    name: info.name,
    group: resource.group,
    kind: resource.plural,
    uid: asText(at(before, "metadata", "uid"))
  })
}
