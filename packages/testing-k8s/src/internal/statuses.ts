/** What an API server says when it says no: the bodies of kube-apiserver 1.37. */
import type { FieldError } from "./fieldErrors.ts"
import type { Json } from "./json.ts"

/** @internal */
export interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string | ReadonlyArray<string>>> | undefined
}

/** Thrown inside a handler, and caught where it is called. @internal */
export class Refused extends Error {
  readonly answer: Answer
  constructor(answer: Answer) {
    super(answer.body)
    this.answer = answer
  }
}

/** @internal */
export const refuse = (answer: Answer): never => {
  throw new Refused(answer)
}

/** A group and the plural of a resource. @internal */
export interface GroupResource {
  readonly group: string
  readonly resource: string
}

/** @internal */
export interface Cause {
  readonly reason: string
  readonly message: string
  readonly field?: string | undefined
}

interface Details {
  readonly name?: string | undefined
  readonly group?: string | undefined
  readonly kind?: string | undefined
  readonly uid?: string | undefined
  readonly causes?: ReadonlyArray<Cause> | undefined
  readonly retryAfterSeconds?: number | undefined
}

const jsonType = "application/json"
const textType = "text/plain; charset=utf-8"
const noSniff = { "X-Content-Type-Options": "nosniff" }

const causeJson = (cause: Cause): Json => ({
  reason: cause.reason,
  message: cause.message,
  ...(cause.field === undefined ? {} : { field: cause.field })
})

/** Without what is empty, as Go leaves it out. */
const detailsJson = ({ causes, ...details }: Details): Json =>
  Object.fromEntries(
    Object.entries({ ...details, causes: causes?.map(causeJson) }).flatMap(([name, value]) =>
      value === undefined || value === "" || value === 0 ? [] : [[name, value]]
    )
  )

/** @internal */
export const statusObject = (
  code: number,
  reason: string | undefined,
  message: string,
  details?: Details,
  metadata: Json = {}
): Json => ({
  kind: "Status",
  apiVersion: "v1",
  metadata,
  status: "Failure",
  message,
  ...(reason === undefined ? {} : { reason }),
  ...(details === undefined ? {} : { details: detailsJson(details) }),
  code
})

/** @internal */
export const jsonAnswer = (status: number, body: Json, headers?: Answer["headers"]): Answer => ({
  status,
  contentType: jsonType,
  body: `${JSON.stringify(body)}\n`,
  headers
})

/** @internal */
export const textAnswer = (status: number, body: string, headers?: Answer["headers"]): Answer => ({
  status,
  contentType: textType,
  body,
  headers: { ...noSniff, ...headers }
})

const failure = (
  code: number,
  reason: string | undefined,
  message: string,
  details?: Details,
  headers?: Answer["headers"]
): Answer => jsonAnswer(code, statusObject(code, reason, message, details), headers)

const qualified = ({ group, resource }: GroupResource): string => (group === "" ? resource : `${resource}.${group}`)

/** @internal */
export const badRequest = (message: string): Answer => failure(400, "BadRequest", message)

/** @internal */
export const unauthorized: Answer = failure(401, "Unauthorized", "Unauthorized")

/** @internal */
export const notFound = (target: GroupResource, name: string): Answer =>
  failure(404, "NotFound", `${qualified(target)} "${name}" not found`, {
    name,
    group: target.group,
    kind: target.resource
  })

/** The path leads to no resource of a group that is built in. @internal */
export const noSuchResource: Answer = failure(404, "NotFound", "the server could not find the requested resource", {})

/** The path leads nowhere. @internal */
export const pageNotFound: Answer = textAnswer(404, "404 page not found\n")

/** @internal */
export const methodNotAllowed: Answer = failure(
  405,
  "MethodNotAllowed",
  "the server does not allow this method on the requested resource",
  {}
)

/** @internal */
export const notAcceptable: Answer = failure(
  406,
  "NotAcceptable",
  "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch",
  {}
)

/** @internal */
export const alreadyExists = (target: GroupResource, name: string): Answer =>
  failure(409, "AlreadyExists", `${qualified(target)} "${name}" already exists`, {
    name,
    group: target.group,
    kind: target.resource
  })

/** @internal */
export const conflict = (target: GroupResource, name: string): Answer =>
  failure(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${qualified(target)} "${name}": the object has been modified; please apply your changes to the latest version and try again`,
    { name, group: target.group, kind: target.resource }
  )

/** What is sent for a name belongs to another object of that name. @internal */
export const uidConflict = (target: GroupResource, name: string, key: string, wanted: string, found: string): Answer =>
  failure(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${qualified(target)} "${name}": StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${wanted}, UID in object meta: ${found}`,
    { name, group: target.group, kind: target.resource }
  )

const expiredMessage = "The resourceVersion for the provided list is too old."
const expiredContinueMessage =
  "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list."

/** @internal */
export const expired: Answer = failure(410, "Expired", expiredMessage)

/** @internal */
export const expiredContinue = (token: string): Answer =>
  jsonAnswer(410, statusObject(410, "Expired", expiredContinueMessage, undefined, { continue: token }))

/** @internal */
export const expiredWatch: Json = statusObject(410, "Expired", "The resourceVersion for the provided watch is too old.")

/** @internal */
export const entityTooLarge: Answer = failure(
  413,
  "RequestEntityTooLarge",
  "Request entity too large: limit is 3145728",
  undefined,
  { Connection: "close" }
)

/** @internal */
export const unsupportedPatchType: Answer = failure(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})

/** @internal */
export const unsupportedBodyType: Answer = failure(
  415,
  "UnsupportedMediaType",
  "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf"
)

/** @internal */
export const jsonPatchFailed: Answer = failure(
  422,
  "Invalid",
  "the server rejected our request due to an error in our request",
  {}
)

/** @internal */
export const invalidObject = (
  kind: { readonly group: string; readonly kind: string },
  name: string,
  errors: ReadonlyArray<FieldError>
): Answer => {
  const texts = errors.map((error) => `${error.field}: ${error.body}`)
  const subject = kind.group === "" ? kind.kind : `${kind.kind}.${kind.group}`
  return failure(
    422,
    "Invalid",
    `${subject} "${name}" is invalid: ${texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`}`,
    {
      name,
      group: kind.group,
      kind: kind.kind,
      causes: errors.map((error) => ({ reason: error.type, message: error.body, field: error.field }))
    }
  )
}

/** A request as the authorizer sees it. @internal */
export interface Attributes {
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly namespace: string
  readonly name: string
}

/** @internal */
export const forbidden = (user: string, attributes: Attributes): Answer => {
  const { group, name, namespace, resource, verb } = attributes
  const subject = `${qualified(attributes)}${name === "" ? "" : ` "${name}"`}`
  const scope = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`
  return failure(
    403,
    "Forbidden",
    `${subject} is forbidden: User "${user}" cannot ${verb} resource "${resource}" in API group "${group}" ${scope}`,
    { name, group, kind: resource },
    noSniff
  )
}

/** @internal */
export const forbiddenPath = (user: string, verb: string, path: string): Answer =>
  failure(403, "Forbidden", `forbidden: User "${user}" cannot ${verb} path "${path}"`, {}, noSniff)

/** @internal */
export const forbiddenDelete = (target: GroupResource, name: string): Answer =>
  failure(403, "Forbidden", `${qualified(target)} "${name}" is forbidden: this namespace may not be deleted`, {
    name,
    group: target.group,
    kind: target.resource
  })

/** @internal */
export const namespaceTerminating = (target: GroupResource, name: string, namespace: string): Answer =>
  failure(
    403,
    "Forbidden",
    `${qualified(target)} "${name}" is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`,
    {
      name,
      group: target.group,
      kind: target.resource,
      causes: [
        {
          reason: "NamespaceTerminating",
          message: `namespace ${namespace} is being terminated`,
          field: "metadata.namespace"
        }
      ]
    }
  )

/** Admission plugin EventRateLimit: no Retry-After. @internal */
export const eventRateLimited = (type: string, key: string): Answer =>
  failure(429, "TooManyRequests", `Too many requests: limit reached on type ${type} for key ${key}`)

/** Priority and fairness: no Status. @internal */
export const tooManyRequests = (retryAfterSeconds: number): Answer =>
  textAnswer(429, "Too many requests, please try again later.\n", { "Retry-After": String(retryAfterSeconds) })

const internal = (message: string): Answer => failure(500, undefined, message)

/** The resourceVersion of a write is no number. @internal */
export const unparsableVersion = (version: string): Answer =>
  internal(`strconv.ParseUint: parsing ${JSON.stringify(version)}: invalid syntax`)

/** The resourceVersion of a watch is no number. @internal */
export const unparsableWatchVersion = (version: string): Answer =>
  internal(
    `resourceVersion: Invalid value: ${JSON.stringify(version)}: strconv.ParseUint: parsing ${JSON.stringify(version)}: invalid syntax`
  )

/** @internal */
export const versionOnCreate: Answer = internal("resourceVersion should not be set on objects to be created")

/** @internal */
export const etcdTooLarge: Answer = internal("etcdserver: request is too large")

/** The connection to etcd broke while the request was on its way. @internal */
export const etcdUnavailable: Answer = internal("rpc error: code = Unavailable desc = error reading from server: EOF")

/** What a list says when etcd stopped answering. @internal */
export const etcdSilent: Answer = internal(
  "rpc error: code = Unavailable desc = keepalive ping failed to receive ACK within timeout"
)

/** An aggregated API without a server behind it. @internal */
export const serviceUnavailable: Answer = textAnswer(503, "service unavailable\n")

/** A write that etcd did not answer. @internal */
export const storageTimeout: Answer = failure(
  504,
  "Timeout",
  "Timeout: request did not complete within requested timeout - context deadline exceeded",
  {}
)

/** Beyond `--request-timeout`: neither a content type of its own nor kind and apiVersion. @internal */
export const requestTimeout: Answer = {
  status: 504,
  contentType: textType,
  body: `{"metadata":{},"status":"Failure","message":"Timeout: request did not complete within the allotted timeout","reason":"Timeout","details":{},"code":504}\n`
}

const versionTooLargeCause = { reason: "ResourceVersionTooLarge", message: "Too large resource version" }

/** @internal */
export const versionTooLarge = (version: bigint, current: number, retryAfterSeconds?: number): Json =>
  statusObject(504, "Timeout", `Timeout: Too large resource version: ${version}, current: ${current}`, {
    causes: [versionTooLargeCause],
    retryAfterSeconds
  })

/** @internal */
export const success = (details: {
  readonly name: string
  readonly group: string
  readonly kind: string
  readonly uid: string
}): Answer =>
  jsonAnswer(200, {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: detailsJson(details)
  })

/** `/readyz` while etcd does not answer. @internal */
export const notReady: Answer = textAnswer(
  500,
  "[+]ping ok\n[+]log ok\n[-]etcd failed: reason withheld\n[-]etcd-readiness failed: reason withheld\nreadyz check failed\n"
)
