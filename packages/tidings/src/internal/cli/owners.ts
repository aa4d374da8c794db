/**
 * Who owns an object, as the events of its controller tell: an Event has no owner, and `related` is seldom set, but the controllers of
 * Kubernetes name what they create in their messages.
 *
 * @internal
 */
import type * as EventSummary from "@tidings/core/EventSummary"
import { EventReader } from "@tidings/core/EventReader"
import * as Effect from "effect/Effect"

/** @internal */
export interface Owner {
  readonly kind: string
  readonly name: string
}

/** The messages of kube-controller-manager, by the kind of what they name: pkg/controller of Kubernetes 1.36. */
const NAMED: ReadonlyMap<string, ReadonlyArray<RegExp>> = new Map([
  ["Pod", [/^(?:Created|Deleted) pod: (\S+)$/, /^(?:create|delete) Pod (\S+) in StatefulSet \S+ successful$/]],
  ["ReplicaSet", [/^Scaled (?:up|down) replica set (\S+) (?:to|from) /]],
  ["Job", [/^Created job (\S+)$/]]
])

/** A Deployment owns a ReplicaSet, which owns a Pod. */
const MOST = 3

/** How many messages that have the name are looked at: names that begin with it are among them. */
const LOOKED_AT = 200

/**
 * The owner, and the owner of that, as far as they are told. Of kinds that no controller names nothing is asked, and what cannot be
 * read is not told.
 *
 * @internal
 */
export const of = Effect.fnUntraced(function* (
  object: Pick<EventSummary.SummaryObject, "kind" | "name" | "namespace">
): Effect.fn.Return<ReadonlyArray<Owner>, never, EventReader> {
  const reader = yield* EventReader
  const owners: Array<Owner> = []
  let owned: Owner = object
  while (owners.length < MOST) {
    const { kind, name } = owned
    const patterns = NAMED.get(kind)
    if (patterns === undefined) break
    const page = yield* Effect.option(
      reader.query({
        match: name,
        ...(object.namespace === "" ? undefined : { namespace: object.namespace }),
        limit: LOOKED_AT
      })
    )
    if (page._tag === "None") break
    const told = page.value.events.find(({ event }) =>
      patterns.some((pattern) => pattern.exec(event.message)?.[1] === name)
    )
    if (told === undefined) break
    const { involvedObject } = told.event
    owned = { kind: involvedObject.kind, name: involvedObject.name }
    owners.push(owned)
  }
  return owners
})
