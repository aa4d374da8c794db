/** What the server checks of an object before it is stored. */
import { checkCreate, checkCreateMeta } from "./eventValidation.ts"
import type { FieldError } from "./fieldErrors.ts"
import { asObject, asText, at, type JsonObject, nameOf } from "./json.ts"
import { checkLabel, checkPathSegment, checkSubdomain } from "./names.ts"
import { validateObjectMeta } from "./objectMeta.ts"
import { type Objects, objectText } from "./objects.ts"
import type { Identity } from "./rbac.ts"
import { eventVersionOf, groupKind, groupResource, type ResourceType } from "./resourceType.ts"
import * as Status from "./statuses.ts"
import { refuse } from "./statuses.ts"

/** @internal */
export interface Admission {
  /** The bucket that is empty, if the admission plugin EventRateLimit refuses the event. */
  readonly rateLimit: (user: string, event: JsonObject) => { readonly type: string; readonly key: string } | undefined
  /** What a mutating webhook makes of an object. */
  readonly mutate: (object: JsonObject) => JsonObject
}

// etcd's default for a request; what it stores is about as long as the JSON.
const etcdRequestLimit = 1_572_864

/** Refuses an object in a namespace that is not there, or that is being deleted. @internal */
export const admitNamespace = (objects: Objects, resource: ResourceType, namespace: string, name: string): void => {
  if (!resource.namespaced) {
    return
  }
  const found = objects.namespace(namespace)
  if (found === undefined) {
    refuse(Status.notFound({ group: "", resource: "namespaces" }, namespace))
  }
  if (at(found, "metadata", "deletionTimestamp") !== undefined) {
    refuse(Status.namespaceTerminating(groupResource(resource), name, namespace))
  }
}

/** @internal */
export const admitEventRate = (
  admission: Admission,
  resource: ResourceType,
  identity: Identity,
  object: JsonObject
): void => {
  const limited = eventVersionOf(resource) === "core" ? admission.rateLimit(identity.name, object) : undefined
  if (limited !== undefined) {
    refuse(Status.eventRateLimited(limited.type, limited.key))
  }
}

/** @internal */
export const checkSize = (resource: ResourceType, object: JsonObject): void => {
  if (Buffer.byteLength(objectText(resource, object)) > etcdRequestLimit) {
    refuse(Status.etcdTooLarge)
  }
}

const nameCheck = (resource: ResourceType): ((name: string) => ReadonlyArray<string>) => {
  if (resource.plural === "namespaces") return checkLabel
  return resource.group === "rbac.authorization.k8s.io" ? checkPathSegment : checkSubdomain
}

/** Refuses an object that may not be created as it is. @internal */
export const checkNew = (resource: ResourceType, object: JsonObject): void => {
  const version = eventVersionOf(resource)
  const fail = (errors: ReadonlyArray<FieldError>): void => {
    if (errors.length > 0) {
      refuse(Status.invalidObject(groupKind(resource), nameOf(object), errors))
    }
  }
  if (version === undefined) {
    fail(validateObjectMeta(asObject(object["metadata"]), nameCheck(resource)))
  } else {
    fail(checkCreate(version, object))
    fail(checkCreateMeta(object))
  }
}

/** @internal */
export const checkRequestNamespace = (resource: ResourceType, object: JsonObject, namespace: string): void => {
  const own = asText(at(object, "metadata", "namespace"))
  if (resource.namespaced && own !== "" && own !== namespace) {
    refuse(Status.badRequest("the namespace of the provided object does not match the namespace sent on the request"))
  }
}
