/** Updates and patches. */
import { type Admission, admitEventRate, checkRequestNamespace, checkSize } from "./admission.ts"
import { type DecodedBody, decodeBody, decodePatched, fieldValidationOf, readBody, warningHeaders } from "./bodies.ts"
import { create } from "./creating.ts"
import { checkUpdate } from "./eventValidation.ts"
import { invalid } from "./fieldErrors.ts"
import { asObject, asText, at, equals, isArray, isObject, type Json, type JsonObject, nameOf, parse } from "./json.ts"
import { parseVersionNumber } from "./listQuery.ts"
import { managerOf, withManagedFields } from "./managedFields.ts"
import { normalizeMeta, validateObjectMeta } from "./objectMeta.ts"
import { objectAnswer, type Objects, objectText } from "./objects.ts"
import { jsonPatch, mergePatch } from "./patches.ts"
import type { Identity } from "./rbac.ts"
import type { IncomingRequest, RequestInfo } from "./request.ts"
import { eventVersionOf, groupKind, groupResource, keyOf, type ResourceType } from "./resourceType.ts"
import * as Status from "./statuses.ts"
import { type Answer, refuse } from "./statuses.ts"

/** Who changes what. */
interface Change {
  readonly objects: Objects
  readonly admission: Admission
  readonly identity: Identity
  readonly resource: ResourceType
  readonly info: RequestInfo
  readonly request: IncomingRequest
}

const sameButVersion = (before: JsonObject, after: JsonObject): boolean => {
  const strip = (object: JsonObject): Json => {
    const { managedFields: _managed, resourceVersion: _version, ...meta } = asObject(object["metadata"])
    return { ...object, metadata: meta }
  }
  return equals(strip(before), strip(after))
}

const checkRequestName = ({ info, resource }: Change, object: JsonObject): void => {
  const name = nameOf(object)
  if (name !== info.name) {
    refuse(Status.badRequest(`the name of the object (${name}) does not match the name on the URL (${info.name})`))
  }
  checkRequestNamespace(resource, object, info.namespace)
}

/** Refuses a change of another version, or of another object, than the one that is stored. */
const checkPreconditions = ({ request, resource }: Change, before: JsonObject, sentMeta: JsonObject): void => {
  const name = nameOf(before)
  const oldMeta = asObject(before["metadata"])
  const wanted = asText(sentMeta["resourceVersion"])
  const number = parseVersionNumber(wanted === "" ? "0" : wanted)
  if (number === undefined) {
    refuse(Status.unparsableVersion(wanted))
  } else if (number !== 0n && number !== BigInt(asText(oldMeta["resourceVersion"]))) {
    refuse(Status.conflict(groupResource(resource), name))
  }
  const uid = asText(sentMeta["uid"])
  if (uid !== "" && uid !== oldMeta["uid"] && request.method === "PUT") {
    const key = `/registry/${resource.plural}/${keyOf(resource, asText(oldMeta["namespace"]), name)}`
    refuse(Status.uidConflict(groupResource(resource), name, key, uid, asText(oldMeta["uid"])))
  }
}

/** What the server decides about the metadata of an object that is changed. */
const keptMeta = (sentMeta: JsonObject, oldMeta: JsonObject): JsonObject => {
  const { managedFields: _managed, selfLink: _selfLink, ...meta } = sentMeta
  return normalizeMeta({
    ...meta,
    name: oldMeta["name"] ?? "",
    namespace: oldMeta["namespace"] ?? null,
    uid: oldMeta["uid"] ?? "",
    resourceVersion: oldMeta["resourceVersion"] ?? "",
    creationTimestamp: oldMeta["creationTimestamp"] ?? null,
    deletionTimestamp: oldMeta["deletionTimestamp"] ?? null,
    generation: oldMeta["generation"] ?? null,
    managedFields: oldMeta["managedFields"] ?? null
  })
}

const withGeneration = (resource: ResourceType, before: JsonObject, after: JsonObject): JsonObject => {
  if (!resource.isCustom || equals(before["spec"], after["spec"])) {
    return after
  }
  const meta = asObject(after["metadata"])
  const generation = meta["generation"]
  return { ...after, metadata: { ...meta, generation: (typeof generation === "number" ? generation : 0) + 1 } }
}

/** What is left when the object of a request replaces the stored one. */
const replace = (change: Change, before: JsonObject, sent: JsonObject): JsonObject => {
  const { admission, identity, objects, request, resource } = change
  const oldMeta = asObject(before["metadata"])
  const sentMeta = asObject(sent["metadata"])
  checkPreconditions(change, before, sentMeta)
  const after = admission.mutate({ ...sent, metadata: keptMeta(sentMeta, oldMeta) })
  const uid = asText(sentMeta["uid"])
  const version = eventVersionOf(resource)
  const errors = [
    ...(uid !== "" && uid !== oldMeta["uid"] ? [invalid("metadata.uid", uid, "field is immutable")] : []),
    ...validateObjectMeta(asObject(after["metadata"]), () => []),
    ...(version === undefined ? [] : checkUpdate(version, before, after))
  ]
  if (errors.length > 0) {
    refuse(Status.invalidObject(groupKind(resource), nameOf(before), errors))
  }
  admitEventRate(admission, resource, identity, after)
  if (sameButVersion(before, after)) {
    return before
  }
  const changed =
    version === undefined
      ? withGeneration(resource, before, after)
      : withManagedFields(before, after, { manager: managerOf(request), version, time: objects.now() })
  if (request.query.get("dryRun") === "All") {
    return changed
  }
  checkSize(resource, changed)
  return objects.write(resource, changed)
}

const replaced = (change: Change, before: JsonObject, { object, unknown }: DecodedBody): Answer => {
  checkRequestName(change, object)
  const after = replace(change, before, object)
  return objectAnswer(200, change.resource, after, warningHeaders(unknown))
}

/** @internal */
export const update = (change: Change): Answer => {
  const { admission, identity, info, objects, request, resource } = change
  const body = readBody(resource, request)
  const decoded = decodeBody(resource, body, fieldValidationOf(request, "UpdateOptions"))
  checkRequestName(change, decoded.object)
  const before = objects.get(resource, info.namespace, info.name)
  if (before !== undefined) {
    return replaced(change, before, decoded)
  }
  return eventVersionOf(resource) === undefined
    ? refuse(Status.notFound(groupResource(resource), info.name))
    : // Events alone can be created by PUT.
      create(objects, admission, identity, resource, info, request, body)
}

const patchTypes: Readonly<Record<string, "merge" | "json">> = {
  "application/merge-patch+json": "merge",
  "application/strategic-merge-patch+json": "merge",
  "application/json-patch+json": "json"
}

const applyPatch = (type: "merge" | "json", shown: JsonObject, change: Json): JsonObject => {
  if (type === "json") {
    if (!isArray(change)) {
      return refuse(
        Status.badRequest(
          "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        )
      )
    }
    const patched = jsonPatch(shown, change)
    return isObject(patched) ? patched : refuse(Status.jsonPatchFailed)
  }
  if (!isObject(change)) {
    const what = isArray(change) ? "array" : typeof change
    return refuse(
      Status.badRequest(
        `error decoding patch: json: cannot unmarshal ${what} into Go value of type map[string]interface {}`
      )
    )
  }
  return asObject(mergePatch(shown, change))
}

/** @internal */
export const patch = (change: Change): Answer => {
  const { info, objects, request, resource } = change
  const type = patchTypes[request.contentType?.split(";")[0]?.trim() ?? ""]
  if (type === undefined) {
    return refuse(Status.unsupportedPatchType)
  }
  const validation = fieldValidationOf(request, "PatchOptions")
  const before = objects.get(resource, info.namespace, info.name)
  if (before === undefined) {
    return refuse(Status.notFound(groupResource(resource), info.name))
  }
  let sent: Json
  try {
    sent = parse(request.body)
  } catch {
    return refuse(Status.badRequest("invalid JSON patch"))
  }
  const patched = applyPatch(type, asObject(parse(objectText(resource, before))), sent)
  return replaced(change, before, decodePatched(resource, patched, validation))
}

/** Of a namespace: what lets one go that is being deleted. @internal */
export const finalize = ({ info, objects, request, resource }: Change): Answer => {
  const before = objects.get(resource, "", info.name)
  if (before === undefined) {
    return refuse(Status.notFound(groupResource(resource), info.name))
  }
  const finalizers = at(readBody(resource, request), "spec", "finalizers")
  const isEmpty = !isArray(finalizers) || finalizers.length === 0
  const after: JsonObject = { ...before, spec: isEmpty ? {} : { finalizers } }
  if (isEmpty && at(before, "metadata", "deletionTimestamp") !== undefined) {
    objects.remove(resource, "", info.name)
    return objectAnswer(200, resource, after)
  }
  return objectAnswer(200, resource, objects.write(resource, after))
}
