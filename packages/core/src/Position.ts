/**
 * The inside of cursors and page tokens, for those who implement a backend.
 *
 * A cursor holds the mode and the id of its backend's target and a fingerprint of the filter it was made for, beside a position
 * that only the backend understands. One that holds an alias of the target is valid too; those that are made from it hold the
 * id. A cursor of another store or of another filter is therefore refused, and never taken for a position in this one.
 *
 * A filter of any length adds as much to a cursor as none. The fingerprint is that of the fields that are set, so a field that
 * comes later changes nothing about a cursor without it. Formats 1 and 2, which hold the filter itself, are read.
 *
 * @since 0.1.0
 */
import * as Base64Url from "effect/encoding/Base64Url"
import * as Result from "effect/Result"
import { BackendError, CursorMismatch } from "./BackendError.ts"
import { type Cursor, type EventFilter, type ObjectSelector, type PageToken, valuesOf } from "./EventQuery.ts"
import * as caseFolding from "./internal/caseFolding.ts"
import * as fingerprint from "./internal/fingerprint.ts"
import * as json from "./internal/json.ts"
import * as text from "./internal/text.ts"
import * as Target from "./Target.ts"

/**
 * Where a cursor or page token is valid.
 *
 * @category models
 * @since 0.1.0
 */
export interface Scope {
  readonly mode: string
  readonly target: Target.Target
  readonly filter: EventFilter
}

/** The fields of a filter that name values, in the order in which a token names them. */
const valueKeys = [
  "resourceType",
  "resourceName",
  "namespace",
  "objectNamespace",
  "apiGroup",
  "cluster",
  "eventType",
  "reason",
  "source",
  "name",
  "id"
] as const satisfies ReadonlyArray<keyof EventFilter>

/** One value as itself, several in order, so that filters that mean the same are written the same. */
const setOf = (values: ReadonlyArray<string>): string | ReadonlyArray<string> => {
  const set = [...new Set(values)].sort()
  return set.length === 1 ? set[0]! : set
}

const objectText = ({ apiGroup, kind, name }: ObjectSelector): string =>
  JSON.stringify(apiGroup === undefined ? [kind, name] : [kind, name, apiGroup])

type Parts = { [key: string]: unknown }

/** The fields of a filter that are set, and no others. */
const partsOf = (filter: EventFilter, fold: (match: string) => string = caseFolding.foldCase): Parts => {
  const parts: Parts = {}
  for (const key of valueKeys) {
    const wanted = filter[key]
    if (wanted !== undefined) parts[key] = typeof wanted === "string" ? wanted : setOf(wanted)
  }
  if (filter.object !== undefined) parts["object"] = setOf(valuesOf(filter.object).map(objectText))
  const labels = Object.entries(filter.labels ?? {})
  if (labels.length > 0) parts["labels"] = labels.sort(([a], [b]) => (a < b ? -1 : 1))
  // Every message contains the empty text.
  if (filter.match !== undefined && filter.match !== "") parts["match"] = fold(filter.match)
  if (filter.since !== undefined) parts["since"] = filter.since
  if (filter.until !== undefined) parts["until"] = filter.until
  return parts
}

const fingerprintOf = (filter: EventFilter): string => fingerprint.hexadecimal(JSON.stringify(partsOf(filter)))

const describeFilter = (filter: EventFilter): string => {
  const parts = Object.entries(partsOf(filter)).map(
    ([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`
  )
  return parts.length === 0 ? "no filter" : parts.join(" ")
}

/** The filter as the text that tokens of format 2 hold. */
const inFormat2 = (filter: EventFilter): string => JSON.stringify(partsOf(filter, (match) => match.toLowerCase()))

/** Writes the filter of a token of format 2 as `inFormat2` does: an empty `match` was a filter of its own. */
const fromFormat2 = (text: string): string => {
  const parts = json.parse(text)
  if (typeof parts !== "object" || parts === null || !("match" in parts) || parts.match !== "") return text
  const { match: _, ...rest } = parts
  return JSON.stringify(rest)
}

/** The fields of a filter in format 1, each of which has its place there, also where it is not set. */
const placedInFormat1 = ["resourceType", "resourceName", "namespace", "eventType", "reason", "source", "since", "until"]

/** Fields that came later to format 1, which names those that are set in an object after the others. */
const namedInFormat1 = ["objectNamespace", "apiGroup", "name", "id"]

/** Converts the filter of a token of format 1 to format 2; undefined where it is malformed. */
const fromFormat1 = (text: string): string | undefined => {
  const fields = json.parse(text)
  if (!Array.isArray(fields)) return undefined
  const named: Parts = Object(fields[placedInFormat1.length])
  const filter: Parts = {}
  for (const [key, value] of [
    ...placedInFormat1.map((key, index) => [key, fields[index]] as const),
    ...namedInFormat1.map((key) => [key, named[key]] as const)
  ]) {
    if (value === null || value === undefined) continue
    if (typeof value !== (key === "since" || key === "until" ? "number" : "string")) return undefined
    filter[key] = value
  }
  return inFormat2(filter)
}

const FORMAT = 3

/** How each format says for which filter a token was made: as a text of the token, and as what it is compared with. */
const formats: ReadonlyMap<
  number,
  { readonly read: (text: string) => string | undefined; readonly of: (filter: EventFilter) => string }
> = new Map([
  [1, { read: fromFormat1, of: inFormat2 }],
  [2, { read: fromFormat2, of: inFormat2 }],
  [FORMAT, { read: (text: string) => text, of: fingerprintOf }]
])

/**
 * Makes the function that turns positions into texts of one scope: what does not change between the items of a watch is
 * worked out once.
 */
const encoder = (kind: "c" | "p", scope: Scope): ((position: string) => string) => {
  const head = JSON.stringify([FORMAT, kind, scope.mode, scope.target.id, fingerprintOf(scope.filter)]).slice(0, -1)
  if (!isPlainText(head)) return (position) => Base64Url.encode(`${head},${JSON.stringify(position)}]`)
  // Three bytes are four digits, so all but the end of the head has the same digits each time.
  const fixed = head.length - (head.length % 3)
  const digits = Base64Url.encode(head.slice(0, fixed))
  const rest = head.slice(fixed)
  return (position) =>
    isBarePosition(position)
      ? digits + urlOf(btoa(`${rest},"${position}"]`))
      : Base64Url.encode(`${head},${JSON.stringify(position)}]`)
}

/** Whether a position is the same in JSON, and has one byte a character. For each event of a watch: faster than an expression. */
const isBarePosition = (position: string): boolean => {
  for (let index = 0; index < position.length; index++) {
    const code = position.charCodeAt(index)
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return false
  }
  return true
}

const isPlainText = (text: string): boolean => !/[^ -~]/.test(text)

/** Base64 as base64url: without padding, and with two other digits. */
const urlOf = (base64: string): string => {
  const padding = base64.indexOf("=")
  const bare = padding === -1 ? base64 : base64.slice(0, padding)
  return /[+/]/.test(bare) ? bare.replaceAll("+", "-").replaceAll("/", "_") : bare
}

/** A token may have been made up: what it says must not drive a terminal. */
const told = (found: string): string => text.tidy(found, 200)

const mismatch = (detail: string) => new BackendError({ reason: new CursorMismatch({ detail }) })

const notOne = (name: string, token: string): BackendError =>
  mismatch(`${text.show(token)} is not a ${name}; use one that a query or a watch gave`)

const decode = (kind: "c" | "p", scope: Scope, token: string): Result.Result<string, BackendError> => {
  const name = kind === "c" ? "cursor" : "page token"
  const parts =
    typeof token === "string" ? json.parse(Result.getOrElse(Base64Url.decodeString(token), () => "")) : undefined
  if (
    !Array.isArray(parts) ||
    parts.length !== 6 ||
    !parts.every((part, index) => typeof part === (index === 0 ? "number" : "string"))
  ) {
    return Result.fail(notOne(name, token))
  }
  const [format, foundKind, mode, target, filter, position] = parts as [number, string, string, string, string, string]
  const reading = formats.get(format)
  if (reading === undefined) {
    return Result.fail(
      mismatch(`the ${name} has format ${told(String(format))}, this version reads formats 1 to ${FORMAT}; start over`)
    )
  }
  if (foundKind !== kind) {
    return Result.fail(
      mismatch(kind === "c" ? "this is a page token, not a cursor" : "this is a cursor, not a page token")
    )
  }
  if (mode !== scope.mode) {
    return Result.fail(
      mismatch(`the ${name} is of a ${told(mode)} backend, this one is ${scope.mode}; start over without it`)
    )
  }
  if (!Target.isNamed(scope.target, target)) {
    return Result.fail(mismatch(`the ${name} is of ${told(target)}, this is ${scope.target.id}; start over without it`))
  }
  if (reading.read(filter) !== reading.of(scope.filter)) {
    return Result.fail(
      mismatch(`the ${name} was made with another filter; this one is: ${told(describeFilter(scope.filter))}`)
    )
  }
  return Result.succeed(position)
}

/**
 * Makes cursors for one scope.
 *
 * **Example** (A cursor leads back to its position, and only there)
 *
 * ```ts
 * import * as Position from "@tidings/core/Position"
 * import * as Target from "@tidings/core/Target"
 * import * as Result from "effect/Result"
 * import assert from "node:assert/strict"
 *
 * const scope = { mode: "memory", target: Target.make("store-1"), filter: { namespace: "default" } }
 * const cursor = Position.cursorEncoder(scope)("42")
 * assert.deepEqual(Position.decodeCursor(scope, cursor), Result.succeed("42"))
 * assert.ok(Result.isFailure(Position.decodeCursor({ ...scope, target: Target.make("store-2") }, cursor)))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const cursorEncoder = (scope: Scope): ((position: string) => Cursor) =>
  encoder("c", scope) as (position: string) => Cursor

/**
 * The position in a cursor, or `CursorMismatch` when it belongs elsewhere.
 *
 * @category getters
 * @since 0.1.0
 */
export const decodeCursor = (scope: Scope, cursor: Cursor): Result.Result<string, BackendError> =>
  decode("c", scope, cursor)

/**
 * Makes page tokens for one scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pageTokenEncoder = (scope: Scope): ((position: string) => PageToken) =>
  encoder("p", scope) as (position: string) => PageToken

/**
 * The position in a page token, or `CursorMismatch` when it belongs elsewhere.
 *
 * @category getters
 * @since 0.1.0
 */
export const decodePageToken = (scope: Scope, token: PageToken): Result.Result<string, BackendError> =>
  decode("p", scope, token)
