/**
 * What becomes of an item of an import: the write that stores it under the identity that it has.
 *
 * - An event as Tidings prints it keeps its id, its count and `upTo`.
 * - An object of core/v1 as kubectl prints it is read as the Kubernetes backend reads it: one that Tidings wrote has its
 *   identity in annotations; any other is `{ origin: its uid, seq: 0 }`, with its resourceVersion as `upTo`.
 *
 * So what comes in twice is stored once, whichever way it came.
 *
 * @internal
 */
import * as KubernetesEvent from "@tidings/backend-k8s/KubernetesEvent"
import type { ClusterRef, Event, Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"

/** Lines of Tidings have microseconds, and objects of an API server whole seconds. */
const isOwnTime = (value: unknown): boolean => typeof value === "string" && /\.\d{6}Z$/.test(value)

const clusterIn = (value: unknown): ClusterRef | undefined => {
  if (!Predicate.isReadonlyObject(value) || typeof value["id"] !== "string") return undefined
  const { id, name } = value
  return typeof name === "string" ? { id, name } : { id }
}

/** Only what belongs to an event in any store. */
const writeOf = ({ cluster, count, event, first, id, last, namespace, upTo }: Event): Write => ({
  id,
  upTo,
  count,
  first,
  last,
  event,
  ...(namespace === undefined ? undefined : { namespace }),
  ...(cluster === undefined ? undefined : { cluster })
})

const show = (value: unknown): string => (value === undefined ? "missing" : JSON.stringify(value))

/**
 * The write of an item. `cluster` is the one that it is from, where the item names none.
 *
 * @internal
 */
export const read = (value: unknown, cluster: ClusterRef | undefined): Result.Result<Write, string> => {
  if (!Predicate.isReadonlyObject(value)) return Result.fail("it is not an object, expected an Event")
  const { apiVersion, kind, metadata } = value
  if (kind === "List" || kind === "EventList")
    return Result.fail(`it is a ${kind} without items, expected a list of them`)
  if (typeof value["involvedObject"] === "string") {
    return Result.fail("it is no stored event, but what describes one: emit - records such lines")
  }
  if (kind !== undefined && kind !== "Event") return Result.fail(`kind is ${show(kind)}, expected "Event"`)
  if (apiVersion !== undefined && apiVersion !== "v1") {
    return Result.fail(`apiVersion is ${show(apiVersion)}, expected "v1", which kubectl get events prints`)
  }
  const named = clusterIn(value["cluster"]) ?? cluster
  const { id: idText, upTo } = value
  if (isOwnTime(value["lastTimestamp"])) {
    const event = EventJson.fromObject(value)
    if (Result.isFailure(event)) return Result.fail(event.failure)
    return Result.succeed(writeOf(named === undefined ? event.success : { ...event.success, cluster: named }))
  }
  const stored = KubernetesEvent.fromResource(value, named)
  if (Result.isFailure(stored)) return Result.fail(stored.failure)
  const { event, own, resourceVersion } = stored.success
  if (!Predicate.isReadonlyObject(value["involvedObject"]))
    return Result.fail("involvedObject is missing, expected that of an Event")
  if (
    !own &&
    (!Predicate.isReadonlyObject(metadata) || typeof metadata["uid"] !== "string" || metadata["uid"] === "")
  ) {
    return Result.fail("metadata.uid is missing, which is the identity of an event")
  }
  if (!own && event.upTo === 0) {
    return Result.fail(`metadata.resourceVersion is ${show(resourceVersion)}, expected a whole number`)
  }
  // As `tidings -o json` prints it, its identity stands beside its own fields.
  const id = typeof idText === "string" ? EventId.parse(idText) : undefined
  return Result.succeed(
    writeOf(id !== undefined && Number.isSafeInteger(upTo) ? { ...event, id, upTo: upTo as number } : event)
  )
}
