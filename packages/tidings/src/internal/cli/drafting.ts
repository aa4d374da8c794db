/**
 * What a command line, or a line of input, says of an event, and the draft that it makes.
 *
 * @internal
 */
import type { EventType } from "@tidings/core/Event"
import type { EventDraft } from "@tidings/core/EventDraft"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import type { Micros } from "@tidings/core/Timestamp"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as defaultNamespace from "../defaultNamespace.ts"
import type { Catalogue, FieldTypes } from "./catalogue.ts"
import type * as data from "./data.ts"
import type * as kindNames from "./kindNames.ts"
import * as session from "./session.ts"
import * as templateUses from "./templateUses.ts"

/** An object as it is named, before the store was asked for its kind. @internal */
export interface Named {
  readonly kind: kindNames.KindName
  readonly name: string
  /** As it was given; the empty text for none. */
  readonly namespace: string | undefined
  readonly uid?: string | undefined
  readonly fieldPath?: string | undefined
}

/** @internal */
export interface Said {
  readonly object: Named
  readonly related: Named | undefined
  readonly reason: string
  readonly message: string | undefined
  readonly type: EventType | undefined
  readonly action: string | undefined
  readonly data: data.Data
  readonly labels: Readonly<Record<string, string>> | undefined
  readonly at: Micros | undefined
}

/**
 * What the message of the catalogue cannot do without. An empty text is missing too: on a command line it is a variable that
 * is not set.
 */
const missingData = (message: string, fields: FieldTypes, given: data.Data): ReadonlyArray<string> =>
  templateUses.of(message, fields).required.filter((key) => given[key] === undefined || given[key] === "")

/**
 * What a careful reader would ask before anything is recorded. `needed` says how the data that is missing is given.
 *
 * @internal
 */
export const check = (
  { data, message, object, reason }: Said,
  catalogue: Catalogue,
  needed: (fields: ReadonlyArray<string>) => string
): Result.Result<void, string> => {
  const { kind } = object.kind
  const known = catalogue.reason(reason)
  if (known?.reason !== reason) return Result.void
  if (known.kind !== kind && catalogue.kind(kind) !== undefined) {
    return Result.fail(`${reason} is a reason of ${known.kind}, not of ${kind}`)
  }
  if (message !== undefined) return Result.void
  const missing = missingData(known.message, catalogue.fieldsOf(kind), data)
  return missing.length === 0 ? Result.void : Result.fail(`the message of ${reason} needs ${needed(missing)}`)
}

/**
 * The object as kubectl looks for it: with its API version, and in no namespace where its kind is in none, whatever the
 * namespace that is given.
 */
const referenceTo = (
  { fieldPath, name, namespace, uid }: Named,
  { apiVersion, group, kind, namespaced, written }: kindNames.KindName
): Effect.Effect<Result.Result<ObjectReference, string>> => {
  if (apiVersion === undefined && group !== undefined && group !== "") {
    return Effect.succeed(
      Result.fail(
        `${written} names a group without a version, and the kind is unknown: write ${kind}.v1.${group}/${name}, with its version`
      )
    )
  }
  const identity = {
    ...(apiVersion === undefined ? undefined : { apiVersion }),
    kind,
    name,
    ...(uid === undefined ? undefined : { uid }),
    ...(fieldPath === undefined ? undefined : { fieldPath })
  }
  if (namespaced === false) return Effect.succeed(Result.succeed(identity))
  return session.DefaultNamespace.useSync((meant) => {
    const within = namespace ?? meant ?? defaultNamespace.FALLBACK
    return Result.succeed(within === "" ? identity : { ...identity, namespace: within })
  })
}

/**
 * The draft, with the kinds as the store knows them. `resolve` asks for a kind.
 *
 * @internal
 */
export const draftOf = Effect.fnUntraced(function* (
  { action, at, data, labels, message, object, reason, related, type }: Said,
  resolve: (name: kindNames.KindName) => Effect.Effect<kindNames.KindName>
): Effect.fn.Return<Result.Result<EventDraft, string>> {
  const involvedObject = yield* referenceTo(object, yield* resolve(object.kind))
  if (Result.isFailure(involvedObject)) return Result.fail(involvedObject.failure)
  const other = related === undefined ? undefined : yield* referenceTo(related, yield* resolve(related.kind))
  if (other !== undefined && Result.isFailure(other)) return Result.fail(other.failure)
  return Result.succeed({
    involvedObject: involvedObject.success,
    related: other?.success,
    reason,
    type,
    action,
    message,
    data,
    labels,
    at
  })
})
