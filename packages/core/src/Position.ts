/**
 * The inside of cursors and page tokens, for those who implement a backend.
 *
 * A cursor holds the mode and the id of its backend's target and the filter it was made for, beside a position that only
 * the backend understands. One that holds an alias of the target is valid too; those that are made from it hold the id. That is how a cursor of another store, cluster or filter is found out instead of being read as
 * some other place in history.
 *
 * @since 0.1.0
 */
import * as Base64Url from "effect/encoding/Base64Url"
import * as Result from "effect/Result"
import { BackendError, CursorMismatch } from "./BackendError.ts"
import type { Cursor, EventFilter, PageToken } from "./EventQuery.ts"
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

/** The fields of the first release, each of which has its place in a token, also where it is not set. */
const filterKeys = [
  "resourceType",
  "resourceName",
  "namespace",
  "eventType",
  "reason",
  "source",
  "since",
  "until"
] as const satisfies ReadonlyArray<keyof EventFilter>

/** Fields that came later, of which a token names those that are set: one without them is as it always was. */
const laterFilterKeys = ["objectNamespace", "apiGroup", "name", "id"] as const satisfies ReadonlyArray<
  Exclude<keyof EventFilter, (typeof filterKeys)[number]>
>

const describeFilter = (filter: EventFilter): string => {
  const parts = [...filterKeys, ...laterFilterKeys].flatMap((key) =>
    filter[key] === undefined ? [] : [`${key}=${String(filter[key])}`]
  )
  return parts.length === 0 ? "no filter" : parts.join(" ")
}

const canonical = (filter: EventFilter): string => {
  const first: Array<unknown> = filterKeys.map((key) => filter[key] ?? null)
  const later = laterFilterKeys.flatMap((key) => (filter[key] === undefined ? [] : [[key, filter[key]] as const]))
  return JSON.stringify(later.length === 0 ? first : [...first, Object.fromEntries(later)])
}

const VERSION = 1

/**
 * Makes the function that turns positions into texts of one scope: what does not change between the items of a watch is
 * worked out once.
 */
const encoder = (kind: "c" | "p", scope: Scope): ((position: string) => string) => {
  const head = JSON.stringify([VERSION, kind, scope.mode, scope.target.id, canonical(scope.filter)]).slice(0, -1)
  return (position) => Base64Url.encode(`${head},${JSON.stringify(position)}]`)
}

/** A token may have been made up: what it says must not drive a terminal. */
const told = (found: string): string => text.tidy(found, 200)

const mismatch = (detail: string) => new BackendError({ reason: new CursorMismatch({ detail }) })

const notOne = (name: string, token: string): BackendError =>
  mismatch(`${text.show(token)} is no ${name}; use one that a query or a watch gave`)

const decode = (kind: "c" | "p", scope: Scope, token: string): Result.Result<string, BackendError> => {
  const name = kind === "c" ? "cursor" : "page token"
  let parts: unknown
  try {
    parts = JSON.parse(Result.getOrThrow(Base64Url.decodeString(token)))
  } catch {
    return Result.fail(notOne(name, token))
  }
  if (
    !Array.isArray(parts) ||
    parts.length !== 6 ||
    !parts.every((part, index) => index === 0 || typeof part === "string")
  ) {
    return Result.fail(notOne(name, token))
  }
  const [version, foundKind, mode, target, filter, position] = parts as [number, string, string, string, string, string]
  if (version !== VERSION) {
    return Result.fail(mismatch(`the ${name} has format ${version}, this version reads format ${VERSION}; begin anew`))
  }
  if (foundKind !== kind) {
    return Result.fail(
      mismatch(kind === "c" ? "this is a page token, not a cursor" : "this is a cursor, not a page token")
    )
  }
  if (mode !== scope.mode) {
    return Result.fail(
      mismatch(`the ${name} is of a ${told(mode)} backend, this one is ${scope.mode}; begin anew without it`)
    )
  }
  if (!Target.isNamed(scope.target, target)) {
    return Result.fail(mismatch(`the ${name} is of ${told(target)}, this is ${scope.target.id}; begin anew without it`))
  }
  if (filter !== canonical(scope.filter)) {
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
