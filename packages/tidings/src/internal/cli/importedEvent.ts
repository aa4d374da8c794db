/**
 * What becomes of an item of an import: the write that stores it under the identity that it has.
 *
 * - An event as Tidings prints it keeps its id, its count and `upTo`.
 * - An object of core/v1 as kubectl prints it is read as the Kubernetes backend reads it: one that Tidings wrote has its
 *   identity in annotations; any other is `{ origin: its uid, seq: 0 }`, with its resourceVersion as `upTo`. What an API
 *   server can have in a field is read as it reads it; what none can have, such as a time that is none, is refused.
 *
 * So what comes in twice is stored once, whichever way it came.
 *
 * @internal
 */
import * as KubernetesEvent from "@tidings/backend-k8s/KubernetesEvent"
import type { ClusterRef, Event, Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import * as Timestamp from "@tidings/core/Timestamp"
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

interface Expectation {
  readonly is: (value: unknown) => boolean
  readonly expected: string
}

const text: Expectation = { is: (value) => typeof value === "string", expected: "a text" }
const time: Expectation = {
  is: (value) => typeof value === "string" && Timestamp.parse(value) !== undefined,
  expected: `an RFC 3339 time such as "2026-11-28T10:00:00Z"`
}
// Whatever its size: less than 1 is read as 1.
const count: Expectation = { is: Number.isSafeInteger, expected: "a whole number" }

/** In the order in which the last time of an event is looked for. */
const TIMES = [
  "series.lastObservedTime",
  "lastTimestamp",
  "eventTime",
  "firstTimestamp",
  "metadata.creationTimestamp"
] as const

/** Fields that an API server has with such a value or not at all. Else another value would be stored in their place. */
const FIELDS: ReadonlyArray<readonly [path: string, expectation: Expectation]> = [
  ...TIMES.map((path) => [path, time] as const),
  ["series.count", count],
  ["count", count],
  ...["involvedObject.kind", "involvedObject.name", "reason", "message", "type", "action"].map(
    (path) => [path, text] as const
  )
]

const at = (value: unknown, path: string): unknown =>
  path
    .split(".")
    .reduce<unknown>((inside, key) => (Predicate.isReadonlyObject(inside) ? inside[key] : undefined), value)

/** What is wrong with a field of an object of core/v1 that would be stored as something else. */
const problemIn = (value: object): string | undefined => {
  for (const [path, { expected, is }] of FIELDS) {
    const found = at(value, path)
    if (found !== undefined && found !== null && !is(found)) return `${path} is ${show(found)}, expected ${expected}`
  }
  return TIMES.every((path) => KubernetesEvent.timeOf(at(value, path)) === undefined)
    ? `it has no time, expected ${time.expected} in lastTimestamp, eventTime, firstTimestamp or metadata.creationTimestamp`
    : undefined
}

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
  const problem = problemIn(value)
  if (problem !== undefined) return Result.fail(problem)
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
