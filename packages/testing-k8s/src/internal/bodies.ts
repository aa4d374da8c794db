/** What the server reads a body as, and what it says to one that it cannot read. */
import { decode, DecodeError } from "./decode.ts"
import { decodeEvent } from "./eventSchema.ts"
import { invalid, notSupported } from "./fieldErrors.ts"
import { asObject, asText, isArray, isObject, type Json, type JsonObject, parse } from "./json.ts"
import { objectMeta } from "./objectMeta.ts"
import type { IncomingRequest } from "./request.ts"
import { eventVersionOf, groupVersionOf, type ResourceType } from "./resourceType.ts"
import * as Status from "./statuses.ts"
import { type Answer, refuse } from "./statuses.ts"

/** @internal */
export type FieldValidation = "Ignore" | "Strict" | "Warn"

/** @internal */
export interface DecodedBody {
  readonly object: JsonObject
  /** Paths of fields that the type does not have, as far as the client is to be told of them. */
  readonly unknown: ReadonlyArray<string>
}

const mediaTypeOf = (request: IncomingRequest): string => request.contentType?.split(";")[0]?.trim() ?? ""

/** The body of a create or an update, before it is decoded. @internal */
export const readBody = (resource: ResourceType, request: IncomingRequest): JsonObject => {
  const mediaType = mediaTypeOf(request)
  if (mediaType !== "" && mediaType !== "application/json") {
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
  return apiVersion === expected
    ? body
    : refuse(
        Status.badRequest(
          `the API version in the data (${apiVersion}) does not match the expected API version (${expected})`
        )
      )
}

/** @internal */
export const fieldValidationOf = (request: IncomingRequest, optionsKind: string): FieldValidation => {
  const value = request.query.get("fieldValidation") ?? ""
  if (value === "" || value === "Warn") {
    return "Warn"
  }
  if (value === "Ignore" || value === "Strict") {
    return value
  }
  return refuse(
    Status.invalidObject({ group: "meta.k8s.io", kind: optionsKind }, "", [
      notSupported("fieldValidation", value, ["", "Ignore", "Strict", "Warn"])
    ])
  )
}

/** The warnings about fields that the type does not have. @internal */
export const warningHeaders = (unknown: ReadonlyArray<string>): Answer["headers"] =>
  unknown.length === 0
    ? undefined
    : { Warning: unknown.map((path) => `299 - ${JSON.stringify(`unknown field "${path}"`)}`) }

/** Decodes an object; `failed` refuses it. */
const decodeWith = (
  resource: ResourceType,
  body: JsonObject,
  validation: FieldValidation,
  failed: (problem: string) => never
): DecodedBody => {
  const version = eventVersionOf(resource)
  try {
    if (version === undefined) {
      const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = body
      return { object: { metadata: decode(objectMeta, asObject(metadata)).value, ...rest }, unknown: [] }
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

/** The object in a request. @internal */
export const decodeBody = (resource: ResourceType, body: JsonObject, validation: FieldValidation): DecodedBody =>
  decodeWith(resource, body, validation, (problem) =>
    refuse(
      Status.badRequest(
        `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: ${problem}`
      )
    )
  )

/** The object that a patch leads to. @internal */
export const decodePatched = (
  resource: ResourceType,
  patched: JsonObject,
  validation: FieldValidation
): DecodedBody => {
  const failed = (problem: string): never => {
    const shown = Object.fromEntries(Object.entries(patched).sort(([left], [right]) => (left < right ? -1 : 1)))
    const error = invalid("patch", JSON.stringify(shown), problem)
    return refuse(
      Status.jsonAnswer(
        422,
        Status.statusObject(422, "Invalid", ` "" is invalid: patch: ${error.body}`, {
          causes: [{ reason: error.type, message: error.body, field: error.field }]
        })
      )
    )
  }
  const kind = asText(patched["kind"])
  return kind === resource.kind
    ? decodeWith(resource, patched, validation, failed)
    : failed(`converting (v1.${kind}) to (core.${resource.kind}): unknown conversion`)
}
