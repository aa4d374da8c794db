/** Reviews: who a user is, and what it may do. */
import { readBody } from "./bodies.ts"
import { invalid } from "./fieldErrors.ts"
import { asObject, asText, at, isObject, type JsonObject } from "./json.ts"
import type { Objects } from "./objects.ts"
import { decide, type Identity, rulesIn, type Wish } from "./rbac.ts"
import type { IncomingRequest } from "./request.ts"
import type { ResourceType } from "./resourceType.ts"
import * as Status from "./statuses.ts"
import { type Answer, refuse } from "./statuses.ts"

/** The attributes of these names that are not empty. */
const pick = (attributes: JsonObject, names: ReadonlyArray<string>): JsonObject =>
  Object.fromEntries(
    names.flatMap((name) => {
      const value = asText(attributes[name])
      return value === "" ? [] : [[name, value]]
    })
  )

const resourceWish = (attributes: JsonObject): Wish => {
  const text = (name: string): string => asText(attributes[name])
  return {
    _tag: "Resource",
    verb: text("verb"),
    group: text("group"),
    resource: text("resource"),
    subresource: text("subresource"),
    namespace: text("namespace"),
    name: text("name")
  }
}

const accessReview = (objects: Objects, identity: Identity, spec: JsonObject): Answer => {
  const { nonResourceAttributes, resourceAttributes } = spec
  if (isObject(resourceAttributes) === isObject(nonResourceAttributes)) {
    const value = isObject(nonResourceAttributes)
      ? { Path: asText(nonResourceAttributes["path"]), Verb: asText(nonResourceAttributes["verb"]) }
      : null
    return refuse(
      Status.invalidObject({ group: "authorization.k8s.io", kind: "" }, "", [
        invalid("spec", value, "exactly one of nonResourceAttributes or resourceAttributes must be specified")
      ])
    )
  }
  const path = asObject(nonResourceAttributes)
  const wish: Wish = isObject(resourceAttributes)
    ? resourceWish(resourceAttributes)
    : { _tag: "Path", verb: asText(path["verb"]), path: asText(path["path"]) }
  const decision = decide(identity, wish, objects.roles())
  return Status.jsonAnswer(201, {
    kind: "SelfSubjectAccessReview",
    apiVersion: "authorization.k8s.io/v1",
    metadata: {},
    spec: isObject(resourceAttributes)
      ? {
          resourceAttributes: pick(resourceAttributes, [
            "namespace",
            "verb",
            "group",
            "version",
            "resource",
            "subresource",
            "name"
          ])
        }
      : { nonResourceAttributes: pick(path, ["path", "verb"]) },
    status: {
      allowed: decision.allowed,
      ...(decision.reason === undefined ? {} : { reason: decision.reason })
    }
  })
}

const rulesReview = (objects: Objects, identity: Identity, namespace: string): Answer =>
  Status.jsonAnswer(201, {
    kind: "SelfSubjectRulesReview",
    apiVersion: "authorization.k8s.io/v1",
    metadata: {},
    spec: {},
    status: rulesIn(identity, namespace, objects.roles())
  })

const subjectReview = (objects: Objects, identity: Identity): Answer =>
  Status.jsonAnswer(201, {
    kind: "SelfSubjectReview",
    apiVersion: "authentication.k8s.io/v1",
    metadata: { creationTimestamp: objects.now() },
    status: {
      userInfo: {
        username: identity.name,
        ...(identity.uid === "" ? {} : { uid: identity.uid }),
        groups: identity.groups
      }
    }
  })

/** Undefined where the resource is no review, and is stored. @internal */
export const review = (
  objects: Objects,
  identity: Identity,
  resource: ResourceType,
  request: IncomingRequest
): Answer | undefined => {
  switch (resource.plural) {
    case "selfsubjectaccessreviews":
      return accessReview(objects, identity, asObject(readBody(resource, request)["spec"]))
    case "selfsubjectrulesreviews":
      return rulesReview(objects, identity, asText(at(readBody(resource, request), "spec", "namespace")))
    case "selfsubjectreviews":
      readBody(resource, request)
      return subjectReview(objects, identity)
    default:
      return undefined
  }
}
