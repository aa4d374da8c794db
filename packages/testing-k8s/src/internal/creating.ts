/** Creates objects: by a request, and without one. */
import {
  type Admission,
  admitEventRate,
  admitNamespace,
  checkNew,
  checkRequestNamespace,
  checkSize
} from "./admission.ts"
import { decodeBody, fieldValidationOf, warningHeaders } from "./bodies.ts"
import { customResources } from "./customResources.ts"
import { asObject, asText, at, type Json, type JsonObject } from "./json.ts"
import { managerOf, withManagedFields } from "./managedFields.ts"
import { normalizeMeta } from "./objectMeta.ts"
import { objectAnswer, type Objects } from "./objects.ts"
import type { Identity } from "./rbac.ts"
import type { IncomingRequest } from "./request.ts"
import { eventVersionOf, groupResource, type ResourceType } from "./resourceType.ts"
import * as Status from "./statuses.ts"
import { type Answer, refuse } from "./statuses.ts"

const withoutServerFields = (meta: JsonObject): JsonObject => {
  const { deletionTimestamp: _deletion, managedFields: _managed, selfLink: _selfLink, ...rest } = meta
  return rest
}

/** Metadata as the server fills it when an object is created. */
const newMeta = (objects: Objects, resource: ResourceType, given: JsonObject, namespace: string): JsonObject => {
  const meta = withoutServerFields(given)
  const prefix = asText(meta["generateName"])
  const name = asText(meta["name"]) || (prefix === "" ? "" : `${prefix}${objects.drawNameSuffix()}`)
  return normalizeMeta({
    ...meta,
    name,
    ...(resource.namespaced ? { namespace } : {}),
    uid: objects.drawUid(resource, namespace, name),
    creationTimestamp: objects.now(),
    ...(resource.isCustom || resource.plural === "customresourcedefinitions" ? { generation: 1 } : {})
  })
}

const namespaceDefaults = (object: JsonObject): JsonObject => {
  const meta = asObject(object["metadata"])
  return {
    metadata: {
      ...meta,
      labels: { ...asObject(meta["labels"]), "kubernetes.io/metadata.name": asText(meta["name"]) }
    },
    spec: { finalizers: ["kubernetes"] },
    status: { phase: "Active" }
  }
}

const definitionDefaults = (object: JsonObject, now: string): JsonObject => {
  const condition = (type: string, reason: string, message: string): Json => ({
    type,
    status: "True",
    lastTransitionTime: now,
    reason,
    message
  })
  return {
    ...object,
    status: {
      conditions: [
        condition("NamesAccepted", "NoConflicts", "no conflicts found"),
        condition("Established", "InitialNamesAccepted", "the initial names have been accepted")
      ],
      acceptedNames: at(object, "spec", "names") ?? {},
      storedVersions: customResources(object).map((one) => one.version)
    }
  }
}

const withDefaults = (objects: Objects, resource: ResourceType, object: JsonObject): JsonObject => {
  switch (resource.plural) {
    case "namespaces":
      return namespaceDefaults(object)
    case "customresourcedefinitions":
      return definitionDefaults(object, objects.now())
    default:
      return object
  }
}

const withManager = (objects: Objects, resource: ResourceType, object: JsonObject, manager: string): JsonObject => {
  const version = eventVersionOf(resource)
  return version === undefined
    ? object
    : withManagedFields(undefined, object, { manager, version, time: objects.now() })
}

/** @internal */
export const create = (
  objects: Objects,
  admission: Admission,
  identity: Identity,
  resource: ResourceType,
  target: {
    readonly namespace: string
    /** Undefined: the name is in the body alone. */
    readonly name?: string
  },
  request: IncomingRequest,
  body: JsonObject
): Answer => {
  const { namespace } = target
  const { object, unknown } = decodeBody(resource, body, fieldValidationOf(request, "CreateOptions"))
  checkRequestNamespace(resource, object, namespace)
  const given = asObject(object["metadata"])
  admitNamespace(objects, resource, namespace, target.name ?? asText(given["name"]))
  const metadata = newMeta(objects, resource, given, namespace)
  const complete = admission.mutate(withDefaults(objects, resource, { ...object, metadata }))
  checkNew(resource, complete)
  admitEventRate(admission, resource, identity, complete)
  if (asText(given["resourceVersion"]) !== "") {
    refuse(Status.versionOnCreate)
  }
  const managed = withManager(objects, resource, complete, managerOf(request))
  const headers = warningHeaders(unknown)
  if (request.query.get("dryRun") === "All") {
    return objectAnswer(201, resource, managed, headers)
  }
  checkSize(resource, managed)
  const name = asText(metadata["name"])
  if (objects.get(resource, namespace, name) !== undefined) {
    refuse(Status.alreadyExists(groupResource(resource), name))
  }
  return objectAnswer(201, resource, objects.write(resource, managed), headers)
}

/** Creates or replaces an object without a request. Throws where the server would refuse to create it. @internal */
export const put = (
  objects: Objects,
  sent: JsonObject
): { readonly resource: ResourceType; readonly object: JsonObject } => {
  const resource = objects.resourceOf(asText(sent["apiVersion"]), asText(sent["kind"])) ?? refuse(Status.noSuchResource)
  const { object } = decodeBody(resource, sent, "Ignore")
  const given = asObject(object["metadata"])
  const namespace = resource.namespaced ? asText(given["namespace"]) || "default" : ""
  const { resourceVersion: _version, ...fresh } = newMeta(objects, resource, given, namespace)
  const old = asObject(at(objects.get(resource, namespace, asText(fresh["name"])), "metadata"))
  const isEnding = resource.plural === "namespaces" && at(object, "status", "phase") === "Terminating"
  const metadata = normalizeMeta({
    ...fresh,
    uid: given["uid"] ?? old["uid"] ?? fresh["uid"] ?? "",
    creationTimestamp: old["creationTimestamp"] ?? fresh["creationTimestamp"] ?? null,
    ...(isEnding ? { deletionTimestamp: objects.now() } : {})
  })
  const filled = withDefaults(objects, resource, { ...object, metadata })
  const complete = isEnding ? { ...filled, status: { phase: "Terminating" } } : filled
  admitNamespace(objects, resource, namespace, asText(metadata["name"]))
  checkNew(resource, complete)
  return { resource, object: objects.write(resource, withManager(objects, resource, complete, "unknown")) }
}
