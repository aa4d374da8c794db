/** Answers requests over a store, at once: an API server without sockets and without faults. */
import { type Decision, decide, type Identity, type Roles, rulesIn } from "./access.ts"
import { decode, DecodeError } from "./decode.ts"
import {
  apiVersions,
  checkCreate,
  checkCreateMeta,
  checkUpdate,
  decodeEvent,
  emptyEvent,
  type EventVersion,
  eventText,
  fieldLabels,
  managedFields
} from "./event.ts"
import {
  asObject,
  asText,
  at,
  equals,
  isArray,
  isObject,
  type Json,
  jsonPatch,
  type JsonObject,
  mergePatch,
  type MutableJsonObject,
  parse,
  sorted,
  stringify
} from "./json.ts"
import { objectMeta, validateObjectMeta } from "./meta.ts"
import { checkLabel, checkPathSegment, checkSubdomain } from "./names.ts"
import { acceptsDiscovery, acceptsJson, type IncomingRequest, type RequestInfo } from "./request.ts"
import {
  builtInResources,
  customResources,
  discoveryList,
  groupList,
  groupOf,
  groupVersionOf,
  resourceList,
  type ResourceType,
  versionInfo
} from "./resources.ts"
import { uuid } from "./seed.ts"
import { metadataLabels } from "./selectors.ts"
import {
  checkListQuery,
  continueToken,
  type ListQuery,
  listStart,
  parseVersionNumber,
  readListQuery
} from "./listQuery.ts"
import * as Status from "./status.ts"
import { type Answer, type FieldError, Refused } from "./status.ts"
import { type Change, nameOf, type Store } from "./store.ts"
import { formatSeconds } from "./time.ts"

/** A watch that can begin. @internal */
export interface WatchPlan {
  /** Written first, whatever happens; each a line. */
  readonly initial: ReadonlyArray<string>
  /** Whether the watch ends after `initial`. */
  readonly endsAtOnce: boolean
  /** Position in the store's log to go on from. */
  readonly position: number
  readonly timeoutSeconds: number | undefined
  /** The line of a change, if the watch is meant to see it. */
  readonly line: (change: Change) => string | undefined
}

/** @internal */
export type Outcome =
  | { readonly _tag: "Answer"; readonly answer: Answer }
  | { readonly _tag: "Watch"; readonly plan: WatchPlan }

/** @internal */
export interface Handlers {
  /** Whether somebody may do what a request wants. */
  readonly authorize: (identity: Identity, info: RequestInfo) => Decision
  /** Does it. Never throws. */
  readonly handle: (identity: Identity, info: RequestInfo, request: IncomingRequest) => Outcome
  /** Creates or replaces an object; throws {@link Refused} where the server would refuse to create it. */
  readonly store: (object: JsonObject) => JsonObject
  readonly resourceOf: (apiVersion: string, kind: string) => ResourceType | undefined
  readonly remove: (apiVersion: string, kind: string, namespace: string, name: string) => JsonObject | undefined
  readonly events: () => ReadonlyArray<JsonObject>
}

/** @internal */
export interface HandlerOptions {
  readonly store: Store
  readonly now: () => number
  /** What uids and drawn names come from: another one in another cluster. */
  readonly seed: () => number
  readonly eventTtlSeconds: number
  readonly serverAddress: () => string
  /** The key of the bucket that is empty, if the admission plugin EventRateLimit refuses the event. */
  readonly rateLimit: (
    identity: Identity,
    event: JsonObject
  ) => { readonly type: string; readonly key: string } | undefined
}

/** Where events are stored; both groups lead there. */
const eventTable = "events"

// etcd's default for a request; what it stores is about as long as the JSON.
const etcdRequestLimit = 1_572_864
const undeletableNamespaces = new Set(["default", "kube-system", "kube-public"])
const nameAlphabet = "bcdfghjklmnpqrstvwxz2456789"

const refuse = (answer: Answer): never => {
  throw new Refused(answer)
}

const answered = (answer: Answer): Outcome => ({ _tag: "Answer", answer })

const tableOf = (resource: ResourceType): string =>
  resource.plural === "events" && (resource.group === "" || resource.group === "events.k8s.io")
    ? eventTable
    : `${resource.plural}.${resource.group}`

const eventVersionOf = (resource: ResourceType): EventVersion | undefined =>
  tableOf(resource) === eventTable ? (resource.group === "" ? "core" : "events") : undefined

const keyOf = (resource: ResourceType, namespace: string, name: string): string =>
  resource.namespaced ? `${namespace}/${name}` : name

const groupResource = (resource: ResourceType): Status.GroupResource => ({
  group: resource.group,
  resource: resource.plural
})

const warningHeaders = (unknown: ReadonlyArray<string>): Answer["headers"] =>
  unknown.length === 0
    ? undefined
    : { Warning: unknown.map((path) => `299 - ${JSON.stringify(`unknown field "${path}"`)}`) }

const kindWithGroup = (resource: ResourceType): { readonly group: string; readonly kind: string } => ({
  // Events are validated under their internal name, which has no group.
  group: eventVersionOf(resource) === undefined ? resource.group : "",
  kind: resource.kind
})

const managerOf = (request: IncomingRequest): string =>
  request.query.get("fieldManager") || request.userAgent?.split("/")[0] || "unknown"

/** What the server reads a body as. */
const readBody = (resource: ResourceType, request: IncomingRequest): JsonObject => {
  const contentType = request.contentType?.split(";")[0]?.trim() ?? ""
  if (contentType !== "" && contentType !== "application/json") {
    return refuse(Status.unsupportedBodyType)
  }
  const unrecognized = (problem: string, shown: string): never =>
    refuse(
      Status.badRequest(
        `the object provided is unrecognized (must be of type ${resource.kind}): couldn't get version/kind; json parse error: ${problem} (${shown})`
      )
    )
  let body: Json
  try {
    body = parse(request.body)
  } catch {
    const shown = request.body === "" ? "<empty>" : request.body.slice(0, 1_024)
    return unrecognized("unexpected end of JSON input", shown)
  }
  if (body === null) {
    return {}
  }
  if (!isObject(body)) {
    const what = isArray(body) ? "array" : typeof body
    return unrecognized(
      `json: cannot unmarshal ${what} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`,
      Buffer.from(request.body).toString("hex")
    )
  }
  const expected = groupVersionOf(resource)
  const apiVersion = asText(body["apiVersion"]) || expected
  const kind = asText(body["kind"]) || resource.kind
  if (kind !== resource.kind) {
    return refuse(
      Status.badRequest(
        `${kind} in version "${apiVersion}" cannot be handled as a ${resource.kind}: converting (v1.${kind}) to (core.${resource.kind}): unknown conversion`
      )
    )
  }
  if (apiVersion !== expected) {
    return refuse(
      Status.badRequest(
        `the API version in the data (${apiVersion}) does not match the expected API version (${expected})`
      )
    )
  }
  return body
}

type FieldValidation = "Ignore" | "Strict" | "Warn"

const fieldValidationOf = (request: IncomingRequest, optionsKind: string): FieldValidation => {
  const value = request.query.get("fieldValidation") ?? ""
  if (value === "" || value === "Warn") {
    return "Warn"
  }
  if (value === "Ignore" || value === "Strict") {
    return value
  }
  return refuse(
    Status.invalidObject({ group: "meta.k8s.io", kind: optionsKind }, "", [
      Status.notSupported("fieldValidation", value, ["", "Ignore", "Strict", "Warn"])
    ])
  )
}

const versionOf = (object: JsonObject): number => Number(at(object, "metadata", "resourceVersion"))

const sameButVersion = (before: JsonObject, after: JsonObject): boolean => {
  const strip = (object: JsonObject): Json => {
    const { managedFields: _managed, resourceVersion: _version, ...meta } = asObject(object["metadata"])
    return { ...object, metadata: meta }
  }
  return equals(strip(before), strip(after))
}

/** Browsers and command line tools get indented JSON, unless they say otherwise. */
const wantsIndent = ({ query, userAgent = "" }: IncomingRequest): boolean => {
  const pretty = query.get("pretty") ?? ""
  return pretty === ""
    ? /^(?:curl|Wget|Mozilla\/5\.0)/.test(userAgent)
    : ["1", "t", "T", "true", "TRUE", "True"].includes(pretty)
}

const indent = (request: IncomingRequest, outcome: Outcome): Outcome => {
  if (outcome._tag === "Watch" || outcome.answer.contentType !== "application/json" || !wantsIndent(request)) {
    return outcome
  }
  const body = stringify(JSON.parse(outcome.answer.body), 2)
  return answered({ ...outcome.answer, body })
}

// The order of fields, which Go's structs have and JSON does not.
const fieldOrders: Readonly<Record<string, ReadonlyArray<string>>> = {
  Role: ["metadata", "rules"],
  ClusterRole: ["metadata", "rules", "aggregationRule"],
  RoleBinding: ["metadata", "subjects", "roleRef"],
  ClusterRoleBinding: ["metadata", "subjects", "roleRef"],
  Namespace: ["metadata", "spec", "status"],
  CustomResourceDefinition: ["metadata", "spec", "status"]
}
const ruleOrder = ["verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"]

const inOrder = (object: JsonObject, order: ReadonlyArray<string>): JsonObject => {
  const rank = (key: string): number => (order.includes(key) ? order.indexOf(key) : order.length)
  return Object.fromEntries(Object.entries(object).sort(([left], [right]) => rank(left) - rank(right)))
}

const ordered = (resource: ResourceType, object: JsonObject): JsonObject => {
  const { rules } = object
  const isRole = resource.group === "rbac.authorization.k8s.io" && isArray(rules)
  const complete = isRole ? { ...object, rules: rules.map((rule) => inOrder(asObject(rule), ruleOrder)) } : object
  return inOrder(complete, fieldOrders[resource.kind] ?? [])
}

/** @internal */
export const make = (options: HandlerOptions): Handlers => {
  const { store } = options
  let generated = 0

  const definitions = (): ReadonlyArray<ResourceType> =>
    store
      .all("customresourcedefinitions.apiextensions.k8s.io")
      .toSorted((left, right) => versionOf(left) - versionOf(right))
      .flatMap(customResources)
  const resources = (): ReadonlyArray<ResourceType> => [...builtInResources, ...definitions()]

  const roles = (): Roles => ({
    clusterRoles: store.all("clusterroles.rbac.authorization.k8s.io"),
    roles: store.all("roles.rbac.authorization.k8s.io"),
    clusterRoleBindings: store.all("clusterrolebindings.rbac.authorization.k8s.io"),
    roleBindings: store.all("rolebindings.rbac.authorization.k8s.io")
  })

  const namespaceObject = (name: string): JsonObject | undefined => store.get("namespaces.", name)

  const now = (): string => formatSeconds(options.now())

  const objectText = (resource: ResourceType, object: JsonObject, isItem: boolean): string => {
    const version = eventVersionOf(resource)
    if (version !== undefined) {
      return eventText(version, object, isItem)
    }
    if (resource.isCustom) {
      return stringify(sorted({ ...object, kind: resource.kind, apiVersion: groupVersionOf(resource) }))
    }
    return stringify(isItem ? object : { kind: resource.kind, apiVersion: groupVersionOf(resource), ...object })
  }

  const objectAnswer = (
    status: number,
    resource: ResourceType,
    object: JsonObject,
    headers?: Answer["headers"]
  ): Answer => bodyAnswer(status, objectText(resource, object, false), headers)

  const bodyAnswer = (status: number, text: string, headers?: Answer["headers"]): Answer => ({
    status,
    contentType: "application/json",
    body: `${text}\n`,
    headers
  })

  const admitNamespace = (resource: ResourceType, namespace: string, name: string): void => {
    if (!resource.namespaced) {
      return
    }
    const found = namespaceObject(namespace)
    if (found === undefined) {
      refuse(Status.notFound({ group: "", resource: "namespaces" }, namespace))
    }
    if (at(found, "metadata", "deletionTimestamp") !== undefined) {
      refuse(Status.namespaceTerminating(groupResource(resource), name, namespace))
    }
  }

  const checkName = (resource: ResourceType): ((name: string) => ReadonlyArray<string>) => {
    if (resource.plural === "namespaces") return checkLabel
    return resource.group === "rbac.authorization.k8s.io" ? checkPathSegment : checkSubdomain
  }

  const withDefaults = (resource: ResourceType, object: JsonObject): JsonObject => {
    if (resource.plural === "namespaces") {
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
    if (resource.plural === "customresourcedefinitions") {
      const names = at(object, "spec", "names") ?? {}
      const condition = (type: string, reason: string, message: string): Json => ({
        type,
        status: "True",
        lastTransitionTime: now(),
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
          acceptedNames: names,
          storedVersions: customResources(object).map((one) => one.version)
        }
      }
    }
    return object
  }

  const decodeGeneric = (resource: ResourceType, body: JsonObject): JsonObject => {
    const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = body
    return ordered(resource, { metadata: decode(objectMeta, asObject(metadata)).value, ...rest })
  }

  const decodeBody = (
    resource: ResourceType,
    body: JsonObject,
    validation: FieldValidation
  ): { readonly object: JsonObject; readonly unknown: ReadonlyArray<string> } => {
    const version = eventVersionOf(resource)
    const failed = (problem: string): never =>
      refuse(
        Status.badRequest(
          `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: ${problem}`
        )
      )
    try {
      if (version === undefined) {
        return { object: decodeGeneric(resource, body), unknown: [] }
      }
      const { unknown, value } = decodeEvent(version, body)
      if (validation === "Strict" && unknown.length > 0) {
        return failed(`strict decoding error: ${unknown.map((path) => `unknown field "${path}"`).join(", ")}`)
      }
      return { object: value, unknown: validation === "Ignore" ? [] : unknown }
    } catch (error) {
      if (error instanceof DecodeError) {
        return failed(error.message)
      }
      throw error
    }
  }

  const checkRequestNamespace = (resource: ResourceType, object: JsonObject, namespace: string): void => {
    const own = asText(at(object, "metadata", "namespace"))
    if (resource.namespaced && own !== "" && own !== namespace) {
      refuse(Status.badRequest("the namespace of the provided object does not match the namespace sent on the request"))
    }
  }

  const orderMeta = (meta: MutableJsonObject): JsonObject => decode(objectMeta, meta).value

  /** Metadata as the server fills it when an object is created. */
  const freshMeta = (resource: ResourceType, given: JsonObject, namespace: string, keepUid: boolean): JsonObject => {
    const { deletionTimestamp: _deletion, managedFields: _managed, selfLink: _selfLink, ...meta } = given
    const prefix = asText(meta["generateName"])
    let name = asText(meta["name"])
    if (name === "" && prefix !== "") {
      generated += 1
      const digits = uuid(options.seed(), `name ${generated}`).replaceAll("-", "")
      const suffix = Array.from(
        { length: 5 },
        (_, index) =>
          nameAlphabet[Number.parseInt(digits.slice(index * 4, index * 4 + 4), 16) % nameAlphabet.length] ?? "b"
      )
      name = `${prefix}${suffix.join("")}`
    }
    const key = keyOf(resource, namespace, name)
    // A name that is used again after a deletion is another object.
    const uid = uuid(options.seed(), `uid ${tableOf(resource)} ${key} ${life(resource, key)}`)
    return orderMeta({
      ...meta,
      ...(name === "" ? {} : { name }),
      ...(resource.namespaced ? { namespace } : {}),
      uid: keepUid && asText(meta["uid"]) !== "" ? asText(meta["uid"]) : uid,
      creationTimestamp: now(),
      ...(resource.isCustom || resource.plural === "customresourcedefinitions" ? { generation: 1 } : {})
    })
  }

  const lives = new Map<string, number>()
  const life = (resource: ResourceType, key: string): number => lives.get(`${tableOf(resource)} ${key}`) ?? 0

  const checkSize = (resource: ResourceType, object: JsonObject): void => {
    if (Buffer.byteLength(objectText(resource, object, false)) > etcdRequestLimit) {
      refuse(Status.etcdTooLarge)
    }
  }

  const write = (resource: ResourceType, key: string, object: JsonObject): JsonObject => {
    const isEvent = tableOf(resource) === eventTable
    const isNew = store.get(tableOf(resource), key) === undefined
    const stored = store.put(tableOf(resource), key, object, isEvent ? options.eventTtlSeconds : undefined)
    if (isNew) {
      const id = `${tableOf(resource)} ${key}`
      lives.set(id, (lives.get(id) ?? 0) + 1)
    }
    return stored
  }

  const admitEvent = (resource: ResourceType, identity: Identity, object: JsonObject): void => {
    if (eventVersionOf(resource) === "core") {
      const limited = options.rateLimit(identity, object)
      if (limited !== undefined) {
        refuse(Status.eventRateLimited(limited.type, limited.key))
      }
    }
  }

  const create = (
    identity: Identity,
    resource: ResourceType,
    namespace: string,
    request: IncomingRequest,
    body: JsonObject,
    forced?: string
  ): Answer => {
    const validation = fieldValidationOf(request, "CreateOptions")
    const { object, unknown } = decodeBody(resource, body, validation)
    checkRequestNamespace(resource, object, namespace)
    const given = asObject(object["metadata"])
    admitNamespace(resource, namespace, forced ?? asText(given["name"]))
    const meta = freshMeta(resource, given, namespace, false)
    const version = eventVersionOf(resource)
    const complete = withDefaults(resource, { ...object, metadata: meta })
    checkNew(resource, version, complete)
    admitEvent(resource, identity, complete)
    if (asText(given["resourceVersion"]) !== "") {
      refuse(Status.versionOnCreate)
    }
    const name = asText(meta["name"])
    const key = keyOf(resource, namespace, name)
    const managed =
      version === undefined ? complete : withManagedFields(version, undefined, complete, managerOf(request))
    if (request.query.get("dryRun") === "All") {
      return objectAnswer(201, resource, managed, warningHeaders(unknown))
    }
    checkSize(resource, managed)
    if (store.get(tableOf(resource), key) !== undefined) {
      refuse(Status.alreadyExists(groupResource(resource), name))
    }
    return objectAnswer(201, resource, write(resource, key, managed), warningHeaders(unknown))
  }

  const checkNew = (resource: ResourceType, version: EventVersion | undefined, object: JsonObject): void => {
    const name = nameOf(object)
    const fail = (errors: ReadonlyArray<FieldError>): void => {
      if (errors.length > 0) {
        refuse(Status.invalidObject(kindWithGroup(resource), name, errors))
      }
    }
    if (version === undefined) {
      fail(validateObjectMeta(asObject(object["metadata"]), checkName(resource)))
    } else {
      fail(checkCreate(version, object))
      fail(checkCreateMeta(object))
    }
  }

  const withManagedFields = (
    version: EventVersion,
    before: JsonObject | undefined,
    after: JsonObject,
    manager: string
  ): JsonObject => {
    const entries = managedFields(before, after, { manager, version, time: now() })
    const meta = asObject(after["metadata"])
    return { ...after, metadata: orderMeta({ ...meta, managedFields: entries }) }
  }

  /** What is left when what somebody sends replaces what is stored. */
  const replace = (
    identity: Identity,
    resource: ResourceType,
    request: IncomingRequest,
    before: JsonObject,
    sent: JsonObject
  ): JsonObject => {
    const name = nameOf(before)
    const oldMeta = asObject(before["metadata"])
    const sentMeta = asObject(sent["metadata"])
    const wanted = asText(sentMeta["resourceVersion"])
    const number = parseVersionNumber(wanted === "" ? "0" : wanted)
    if (number === undefined) {
      refuse(Status.unparsableVersion(wanted))
    } else if (number !== 0n && number !== BigInt(asText(oldMeta["resourceVersion"]))) {
      refuse(Status.conflict(groupResource(resource), name))
    }
    const uid = asText(sentMeta["uid"])
    const isOtherUid = uid !== "" && uid !== oldMeta["uid"]
    if (isOtherUid && request.method === "PUT") {
      const key = `/registry/${resource.plural}/${keyOf(resource, asText(oldMeta["namespace"]), name)}`
      refuse(Status.uidConflict(groupResource(resource), name, key, uid, asText(oldMeta["uid"])))
    }
    const { managedFields: _managed, selfLink: _selfLink, ...meta } = sentMeta
    const after: JsonObject = {
      ...sent,
      metadata: orderMeta({
        ...meta,
        name,
        ...(oldMeta["namespace"] === undefined ? {} : { namespace: oldMeta["namespace"] }),
        uid: oldMeta["uid"] ?? "",
        resourceVersion: oldMeta["resourceVersion"] ?? "",
        creationTimestamp: oldMeta["creationTimestamp"] ?? null,
        deletionTimestamp: oldMeta["deletionTimestamp"] ?? null,
        generation: oldMeta["generation"] ?? null,
        managedFields: oldMeta["managedFields"] ?? null
      })
    }
    const version = eventVersionOf(resource)
    const errors = [
      ...(isOtherUid ? [Status.invalid("metadata.uid", uid, "field is immutable")] : []),
      ...validateObjectMeta(asObject(after["metadata"]), () => []),
      ...(version === undefined ? [] : checkUpdate(version, before, after))
    ]
    if (errors.length > 0) {
      refuse(Status.invalidObject(kindWithGroup(resource), name, errors))
    }
    admitEvent(resource, identity, after)
    if (sameButVersion(before, after)) {
      return before
    }
    const changed =
      version === undefined
        ? withGeneration(resource, before, after)
        : withManagedFields(version, before, after, managerOf(request))
    if (request.query.get("dryRun") === "All") {
      return changed
    }
    checkSize(resource, changed)
    return write(resource, keyOf(resource, asText(oldMeta["namespace"]), name), changed)
  }

  const withGeneration = (resource: ResourceType, before: JsonObject, after: JsonObject): JsonObject => {
    if (!resource.isCustom || equals(before["spec"], after["spec"])) {
      return after
    }
    const meta = asObject(after["metadata"])
    const generation = meta["generation"]
    return {
      ...after,
      metadata: orderMeta({ ...meta, generation: (typeof generation === "number" ? generation : 0) + 1 })
    }
  }

  const update = (identity: Identity, resource: ResourceType, info: RequestInfo, request: IncomingRequest): Answer => {
    const body = readBody(resource, request)
    const { object, unknown } = decodeBody(resource, body, fieldValidationOf(request, "UpdateOptions"))
    checkRequestName(resource, object, info)
    const before = store.get(tableOf(resource), keyOf(resource, info.namespace, info.name))
    if (before === undefined) {
      if (eventVersionOf(resource) === undefined) {
        return refuse(Status.notFound(groupResource(resource), info.name))
      }
      // Events alone can be created by PUT.
      return create(identity, resource, info.namespace, request, body, info.name)
    }
    const after = replace(identity, resource, request, before, object)
    return objectAnswer(200, resource, after, warningHeaders(unknown))
  }

  const checkRequestName = (resource: ResourceType, object: JsonObject, info: RequestInfo): void => {
    const name = nameOf(object)
    if (name !== info.name) {
      refuse(Status.badRequest(`the name of the object (${name}) does not match the name on the URL (${info.name})`))
    }
    checkRequestNamespace(resource, object, info.namespace)
  }

  const patchTypes: Readonly<Record<string, "merge" | "json">> = {
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "merge",
    "application/json-patch+json": "json"
  }

  const patch = (identity: Identity, resource: ResourceType, info: RequestInfo, request: IncomingRequest): Answer => {
    const type = patchTypes[request.contentType?.split(";")[0]?.trim() ?? ""]
    if (type === undefined) {
      return refuse(Status.unsupportedPatchType)
    }
    const validation = fieldValidationOf(request, "PatchOptions")
    const before = store.get(tableOf(resource), keyOf(resource, info.namespace, info.name))
    if (before === undefined) {
      return refuse(Status.notFound(groupResource(resource), info.name))
    }
    let change: Json
    try {
      change = parse(request.body)
    } catch {
      return refuse(Status.badRequest("invalid JSON patch"))
    }
    const shown: JsonObject = asObject(parse(objectText(resource, before, false)))
    const patched = applyPatch(type, shown, change)
    const { object, unknown } = decodePatched(resource, patched, validation)
    checkRequestName(resource, object, info)
    const after = replace(identity, resource, request, before, object)
    return objectAnswer(200, resource, after, warningHeaders(unknown))
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

  const decodePatched = (
    resource: ResourceType,
    patched: JsonObject,
    validation: FieldValidation
  ): { readonly object: JsonObject; readonly unknown: ReadonlyArray<string> } => {
    const failed = (problem: string): never => {
      const top = Object.fromEntries(
        Object.keys(patched)
          .sort()
          .map((key) => [key, patched[key] ?? null])
      )
      const error = Status.invalid("patch", stringify(top), problem)
      return refuse(
        Status.jsonAnswer(
          422,
          Status.statusObject(422, "Invalid", ` "" is invalid: patch: ${error.body}`, {
            causes: [{ reason: error.type, message: error.body, field: error.field }]
          })
        )
      )
    }
    const version = eventVersionOf(resource)
    const kind = asText(patched["kind"])
    if (kind !== resource.kind) {
      return failed(`converting (v1.${kind}) to (core.${resource.kind}): unknown conversion`)
    }
    try {
      if (version === undefined) {
        return { object: decodeGeneric(resource, patched), unknown: [] }
      }
      const { unknown, value } = decodeEvent(version, patched)
      if (validation === "Strict" && unknown.length > 0) {
        return failed(`strict decoding error: ${unknown.map((path) => `unknown field "${path}"`).join(", ")}`)
      }
      return { object: value, unknown: validation === "Ignore" ? [] : unknown }
    } catch (error) {
      if (error instanceof DecodeError) {
        return failed(error.message)
      }
      throw error
    }
  }

  const listQuery = (
    resource: ResourceType,
    info: RequestInfo,
    request: IncomingRequest,
    isWatch = false
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

  const prefixOf = (list: ListQuery): string => (list.namespace === "" ? "" : `${list.namespace}/`)

  const list = (resource: ResourceType, info: RequestInfo, request: IncomingRequest): Answer => {
    const query = listQuery(resource, info, request)
    const { revision, start } = listStart(query, store)
    const prefix = prefixOf(query)
    const page = store.list(tableOf(resource), {
      prefix,
      start: `${prefix}${start}`,
      revision,
      limit: query.limit,
      matches: query.matches
    })
    const at = revision ?? store.revision()
    const token = page.last === undefined ? undefined : continueToken(at, `${page.last.slice(prefix.length)}\0`)
    const items = page.objects.map((object) => objectText(resource, object, true)).join(",")
    const version = String(at)
    const apiVersion = groupVersionOf(resource)
    if (resource.isCustom) {
      const meta = stringify({
        continue: token ?? "",
        ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
        resourceVersion: version
      })
      return bodyAnswer(
        200,
        `{"apiVersion":"${apiVersion}","items":[${items}],"kind":"${resource.listKind}","metadata":${meta}}`
      )
    }
    const meta = stringify({
      resourceVersion: version,
      ...(token === undefined ? {} : { continue: token }),
      ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining })
    })
    return bodyAnswer(
      200,
      `{"kind":"${resource.listKind}","apiVersion":"${apiVersion}","metadata":${meta},"items":[${items}]}`
    )
  }

  const watchLine = (type: string, text: string): string => `{"type":"${type}","object":${text}}\n`

  const watch = (resource: ResourceType, info: RequestInfo, request: IncomingRequest): WatchPlan => {
    const query = listQuery(resource, info, request, true)
    const { matches, resourceVersion, sendInitialEvents, timeoutSeconds } = query
    const wanted = parseVersionNumber(resourceVersion === "" ? "0" : resourceVersion)
    if (wanted === undefined) {
      return refuse(Status.unparsableWatchVersion(resourceVersion))
    }
    const table = tableOf(resource)
    const prefix = prefixOf(query)
    const current = store.revision()
    const text = (object: JsonObject): string => objectText(resource, object, false)
    const isMeant = (object: JsonObject | undefined): object is JsonObject =>
      object !== undefined && (matches === undefined || matches(object))
    const after = Number(wanted)
    const line = (change: Change): string | undefined => {
      if (change.resource !== table || !change.key.startsWith(prefix) || change.revision <= after) {
        return undefined
      }
      const { before } = change
      if (isMeant(change.after)) {
        return watchLine(isMeant(before) ? "MODIFIED" : "ADDED", text(change.after))
      }
      if (!isMeant(before)) {
        return undefined
      }
      // The old object, at the revision of its end or of its ceasing to match.
      const meta: MutableJsonObject = { ...asObject(before["metadata"]), resourceVersion: String(change.revision) }
      return watchLine("DELETED", text({ ...before, metadata: meta }))
    }
    const plan = (initial: ReadonlyArray<string>, position: number, endsAtOnce = false): WatchPlan => ({
      initial,
      endsAtOnce,
      position,
      timeoutSeconds: timeoutSeconds === undefined || timeoutSeconds <= 0 ? undefined : timeoutSeconds,
      line
    })
    const errorLine = (status: Json): string => watchLine("ERROR", stringify(status))
    if (sendInitialEvents ?? wanted === 0n) {
      if (wanted > BigInt(current)) {
        return plan([errorLine(Status.versionTooLarge(wanted, current, 1))], store.end(), true)
      }
      const { objects } = store.list(table, { prefix, start: prefix, revision: undefined, limit: 0, matches })
      const added = objects.map((object) => watchLine("ADDED", text(object)))
      const isMarked = sendInitialEvents === true && query.wantsBookmarks
      return plan(isMarked ? [...added, bookmark(resource, current)] : added, store.end())
    }
    if (wanted === 0n) {
      return plan([], store.end())
    }
    const position = wanted > BigInt(current) ? store.end() : store.positionAfter(Number(wanted))
    return position === undefined ? plan([errorLine(Status.expiredWatch)], store.end(), true) : plan([], position)
  }

  const bookmark = (resource: ResourceType, revision: number): string => {
    const empty = eventVersionOf(resource) === undefined ? {} : emptyEvent()
    const metadata = {
      resourceVersion: String(revision),
      annotations: { "k8s.io/initial-events-end": "true" }
    }
    return watchLine("BOOKMARK", objectText(resource, { ...empty, metadata }, false))
  }

  const removeObject = (resource: ResourceType, namespace: string, name: string): JsonObject | undefined =>
    store.remove(tableOf(resource), keyOf(resource, namespace, name))

  const remove = (resource: ResourceType, info: RequestInfo): Answer => {
    const target = groupResource(resource)
    const before = store.get(tableOf(resource), keyOf(resource, info.namespace, info.name))
    if (resource.plural === "namespaces" && undeletableNamespaces.has(info.name)) {
      return refuse(Status.forbiddenDelete(target, info.name))
    }
    if (before === undefined) {
      return refuse(Status.notFound(target, info.name))
    }
    if (resource.plural === "namespaces") {
      // Nobody empties it here, so it stays as it is.
      const meta = asObject(before["metadata"])
      const after =
        meta["deletionTimestamp"] === undefined
          ? write(resource, info.name, {
              ...before,
              metadata: orderMeta({ ...meta, deletionTimestamp: now() }),
              status: { phase: "Terminating" }
            })
          : before
      return objectAnswer(200, resource, after)
    }
    removeObject(resource, info.namespace, info.name)
    return Status.success({
      name: info.name,
      group: resource.group,
      kind: resource.plural,
      uid: asText(at(before, "metadata", "uid"))
    })
  }

  const removeAll = (resource: ResourceType, info: RequestInfo, request: IncomingRequest): Answer => {
    const answer = list(resource, info, request)
    const query = listQuery(resource, info, request)
    const prefix = prefixOf(query)
    const { objects } = store.list(tableOf(resource), {
      prefix,
      start: prefix,
      revision: undefined,
      limit: 0,
      matches: query.matches
    })
    for (const object of objects) {
      removeObject(resource, asText(at(object, "metadata", "namespace")), nameOf(object))
    }
    return answer
  }

  const get = (resource: ResourceType, info: RequestInfo, request: IncomingRequest): Answer => {
    const wanted = parseVersionNumber(request.query.get("resourceVersion") || "0")
    if (wanted !== undefined && wanted > BigInt(store.revision())) {
      return refuse(Status.jsonAnswer(504, Status.versionTooLarge(wanted, store.revision())))
    }
    const found = store.get(tableOf(resource), keyOf(resource, info.namespace, info.name))
    return found === undefined
      ? refuse(Status.notFound(groupResource(resource), info.name))
      : objectAnswer(200, resource, found)
  }

  const finalize = (resource: ResourceType, info: RequestInfo, request: IncomingRequest): Answer => {
    const before = store.get(tableOf(resource), info.name)
    if (before === undefined) {
      return refuse(Status.notFound(groupResource(resource), info.name))
    }
    const finalizers = at(readBody(resource, request), "spec", "finalizers")
    const isEmpty = !isArray(finalizers) || finalizers.length === 0
    const after: JsonObject = { ...before, spec: isEmpty ? {} : { finalizers } }
    if (isEmpty && at(before, "metadata", "deletionTimestamp") !== undefined) {
      store.remove(tableOf(resource), info.name)
      return objectAnswer(200, resource, after)
    }
    return objectAnswer(200, resource, write(resource, info.name, after))
  }

  const accessReview = (identity: Identity, spec: JsonObject): Answer => {
    const resourceAttributes = spec["resourceAttributes"]
    const pathAttributes = spec["nonResourceAttributes"]
    if (isObject(resourceAttributes) === isObject(pathAttributes)) {
      const value = isObject(pathAttributes)
        ? { Path: asText(pathAttributes["path"]), Verb: asText(pathAttributes["verb"]) }
        : null
      return refuse(
        Status.invalidObject({ group: "authorization.k8s.io", kind: "" }, "", [
          Status.invalid("spec", value, "exactly one of nonResourceAttributes or resourceAttributes must be specified")
        ])
      )
    }
    const text = (attributes: Json | undefined, name: string): string => asText(at(attributes, name))
    const decision = isObject(resourceAttributes)
      ? decide(
          identity,
          {
            _tag: "Resource",
            verb: text(resourceAttributes, "verb"),
            group: text(resourceAttributes, "group"),
            resource: text(resourceAttributes, "resource"),
            subresource: text(resourceAttributes, "subresource"),
            namespace: text(resourceAttributes, "namespace"),
            name: text(resourceAttributes, "name")
          },
          roles()
        )
      : decide(
          identity,
          { _tag: "Path", verb: text(pathAttributes, "verb"), path: text(pathAttributes, "path") },
          roles()
        )
    const order = isObject(resourceAttributes)
      ? ["namespace", "verb", "group", "version", "resource", "subresource", "name"]
      : ["path", "verb"]
    const attributes = asObject(isObject(resourceAttributes) ? resourceAttributes : pathAttributes)
    return Status.jsonAnswer(201, {
      kind: "SelfSubjectAccessReview",
      apiVersion: "authorization.k8s.io/v1",
      metadata: {},
      spec: {
        [isObject(resourceAttributes) ? "resourceAttributes" : "nonResourceAttributes"]: Object.fromEntries(
          order.filter((name) => asText(attributes[name]) !== "").map((name) => [name, attributes[name] ?? ""])
        )
      },
      status: {
        allowed: decision.allowed,
        ...(decision.reason === undefined ? {} : { reason: decision.reason })
      }
    })
  }

  const review = (identity: Identity, resource: ResourceType, request: IncomingRequest): Answer | undefined => {
    switch (resource.plural) {
      case "selfsubjectaccessreviews":
        return accessReview(identity, asObject(readBody(resource, request)["spec"]))
      case "selfsubjectrulesreviews": {
        const namespace = asText(at(readBody(resource, request), "spec", "namespace"))
        return Status.jsonAnswer(201, {
          kind: "SelfSubjectRulesReview",
          apiVersion: "authorization.k8s.io/v1",
          metadata: {},
          spec: {},
          status: rulesIn(identity, namespace, roles())
        })
      }
      case "selfsubjectreviews":
        readBody(resource, request)
        return Status.jsonAnswer(201, {
          kind: "SelfSubjectReview",
          apiVersion: "authentication.k8s.io/v1",
          metadata: { creationTimestamp: now() },
          status: {
            userInfo: {
              username: identity.name,
              ...(identity.uid === "" ? {} : { uid: identity.uid }),
              groups: identity.groups
            }
          }
        })
      default:
        return undefined
    }
  }

  const handleResource = (identity: Identity, info: RequestInfo, request: IncomingRequest): Outcome => {
    const all = resources()
    const resource = all.find(
      (candidate) =>
        candidate.group === info.group && candidate.version === info.version && candidate.plural === info.resource
    )
    const isCustomGroup = !builtInResources.some(
      (candidate) => candidate.group === info.group && candidate.version === info.version
    )
    const missing = isCustomGroup ? Status.pageNotFound : Status.noSuchResource
    const isNamespaceItself = info.resource === "namespaces" && info.group === ""
    const isMisplaced =
      resource !== undefined &&
      !isNamespaceItself &&
      (resource.namespaced ? info.namespace === "" && info.name !== "" : info.namespace !== "")
    if (resource === undefined || isMisplaced || info.extra > 0) {
      return answered(missing)
    }
    if (!acceptsJson(request.accept)) {
      return answered(Status.notAcceptable)
    }
    if (info.subresource !== "") {
      const isFinalize = isNamespaceItself && info.subresource === "finalize"
      return answered(isFinalize && info.verb === "update" ? finalize(resource, info, request) : missing)
    }
    const isNamed = info.name !== ""
    const isRight =
      resource.verbs.includes(info.verb) &&
      request.method !== "HEAD" &&
      (info.verb === "create"
        ? !isNamed && (!resource.namespaced || info.namespace !== "")
        : info.verb === "update" || info.verb === "patch"
          ? isNamed
          : true)
    if (!isRight) {
      return answered(Status.methodNotAllowed)
    }
    switch (info.verb) {
      case "create":
        return answered(
          review(identity, resource, request) ??
            create(identity, resource, info.namespace, request, readBody(resource, request))
        )
      case "get":
        return answered(get(resource, info, request))
      case "list":
        return answered(list(resource, info, request))
      case "watch":
        return { _tag: "Watch", plan: watch(resource, info, request) }
      case "update":
        return answered(update(identity, resource, info, request))
      case "patch":
        return answered(patch(identity, resource, info, request))
      case "delete":
        return answered(remove(resource, info))
      case "deletecollection":
        return answered(removeAll(resource, info, request))
      default:
        return answered(Status.methodNotAllowed)
    }
  }

  const discover = (segments: ReadonlyArray<string>, accept: string | undefined): Json | undefined => {
    const [root, group, version] = segments
    if (group === undefined && acceptsDiscovery(accept)) return discoveryList(resources(), root === "api")
    if (root === "api") {
      return group === undefined
        ? {
            kind: "APIVersions",
            versions: ["v1"],
            serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: options.serverAddress() }]
          }
        : resourceList(resources(), "", group)
    }
    if (group === undefined) {
      return groupList(resources())
    }
    return version === undefined ? groupOf(resources(), group) : resourceList(resources(), group, version)
  }

  const handlePath = (info: RequestInfo, request: IncomingRequest): Answer => {
    const segments = info.path.split("/").filter((segment, index) => segment !== "" || index === 1)
    const [root = ""] = segments
    if (root === "api" || root === "apis") {
      const body = discover(segments, request.accept)
      if (body === undefined) {
        return Status.pageNotFound
      }
      return request.method === "GET" ? Status.jsonAnswer(200, body) : Status.methodNotAllowed
    }
    if (segments.length !== 1) {
      return Status.pageNotFound
    }
    switch (root) {
      case "version":
        return request.method === "GET"
          ? { status: 200, contentType: "application/json", body: stringify(versionInfo, 2) }
          : Status.methodNotAllowed
      case "healthz":
      case "livez":
      case "readyz":
        return Status.textAnswer(
          200,
          request.query.has("verbose")
            ? `[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]etcd-readiness ok\n${root} check passed\n`
            : "ok"
        )
      default:
        return Status.pageNotFound
    }
  }

  const eventResource = builtInResources.find((resource) => resource.plural === "events" && resource.group === "")

  const resourceOf: Handlers["resourceOf"] = (apiVersion, kind) =>
    resources().find((resource) => resource.kind === kind && groupVersionOf(resource) === apiVersion)

  return {
    authorize: (identity, info) =>
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
        roles()
      ),
    handle: (identity, info, request) => {
      try {
        return indent(
          request,
          info.isResource ? handleResource(identity, info, request) : answered(handlePath(info, request))
        )
      } catch (error) {
        if (error instanceof Refused) {
          return indent(request, answered(error.answer))
        }
        throw error
      }
    },
    resourceOf,
    remove: (apiVersion, kind, namespace, name) => {
      const resource = resourceOf(apiVersion, kind)
      return resource === undefined ? undefined : removeObject(resource, namespace, name)
    },
    store: (object) => {
      const resource = resourceOf(asText(object["apiVersion"]), asText(object["kind"]))
      if (resource === undefined) {
        return refuse(Status.noSuchResource)
      }
      const { object: decoded } = decodeBody(resource, object, "Ignore")
      const given = asObject(decoded["metadata"])
      const namespace = resource.namespaced ? asText(given["namespace"]) || "default" : ""
      const { resourceVersion: _version, ...fresh } = freshMeta(resource, given, namespace, true)
      const key = keyOf(resource, namespace, asText(fresh["name"]))
      const old = asObject(at(store.get(tableOf(resource), key), "metadata"))
      const isEnding = at(decoded, "status", "phase") === "Terminating"
      const meta = orderMeta({
        ...fresh,
        ...(old["uid"] === undefined || asText(given["uid"]) !== "" ? {} : { uid: old["uid"] }),
        ...(old["creationTimestamp"] === undefined ? {} : { creationTimestamp: old["creationTimestamp"] }),
        ...(resource.plural === "namespaces" && isEnding ? { deletionTimestamp: now() } : {})
      })
      const filled = withDefaults(resource, { ...decoded, metadata: meta })
      const complete =
        meta["deletionTimestamp"] === undefined ? filled : { ...filled, status: { phase: "Terminating" } }
      admitNamespace(resource, namespace, asText(meta["name"]))
      const version = eventVersionOf(resource)
      checkNew(resource, version, complete)
      const managed = version === undefined ? complete : withManagedFields(version, undefined, complete, "unknown")
      const stored = write(resource, key, managed)
      return asObject(parse(objectText(resource, stored, false)))
    },
    events: () =>
      eventResource === undefined
        ? []
        : store.all(eventTable).map((event) => ({ kind: "Event", apiVersion: apiVersions.core, ...event }))
  }
}
