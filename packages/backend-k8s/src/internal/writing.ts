/**
 * The protocol of a write: whoever repeats it, whatever answer was lost, and whichever older request arrives late, a
 * series is one object, and its count never goes down.
 */
import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import type * as Timestamp from "@tidings/core/Timestamp"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { KubernetesConnection } from "../KubernetesConnection.ts"
import * as KubernetesEvent from "../KubernetesEvent.ts"
import type { KubernetesRequest, KubernetesResponse } from "../KubernetesHttp.ts"
import * as json from "./json.ts"
import { KeyedMutex } from "./keyedMutex.ts"
import { Lru } from "./lru.ts"
import * as names from "./names.ts"
import type { OwnCluster } from "./ownCluster.ts"
import { NoAnswer, notSent, NotKubernetes } from "./requestErrors.ts"
import { verdictOf } from "./writeVerdict.ts"

/** What is known of the object of a series. */
interface Known {
  readonly resourceVersion: string
  readonly upTo: number
  readonly count: number
  readonly first: Timestamp.Micros
  /** Of the involved object, where it is in the event. */
  readonly uid: string | undefined
  /**
   * The uid of the object that took the place of the involved one: the count grows no more, and no request that is still on
   * its way can raise it.
   */
  readonly replacedBy: string | undefined
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

/** How many answers are read for one write before it is put off: only other writers of the same object need several. */
const MAXIMUM_STEPS = 12

/** Who manages the fields, in `managedFields`. */
const FIELD_MANAGER = "fieldManager=tidings"

const contested: Backend.Outcome = {
  _tag: "Retry",
  error: BackendError.make(
    new BackendError.Transient({ applied: "no", detail: "another writer keeps changing the event" })
  )
}

const rejected = (reason: string): Backend.Outcome => ({ _tag: "Rejected", reason })

/**
 * Whether nothing can be written at the moment, this event or another: then the rest of a batch is not even tried.
 */
const stopsAll = (error: BackendError.BackendError): boolean => {
  const { reason } = error
  switch (reason._tag) {
    case "Unavailable":
    case "TargetMismatch":
      return true
    case "Throttled":
      return reason.scope === "backend"
    case "Transient":
      if (error.cause instanceof NotKubernetes) return true
      return error.cause instanceof NoAnswer || (reason.applied === "no" && error.cause !== undefined)
    default:
      return false
  }
}

/** Whether the object that an event is about has another uid than when the event was last written. */
const isReplaced = (before: string | undefined, now: string | undefined): boolean =>
  before !== undefined && now !== undefined && before !== now

/** Where a series goes on whose involved object was replaced, once or several times. */
interface Continuation {
  readonly id: EventId.EventId
  /** What the events of the objects before have counted, and up to where. */
  readonly counted: number
  readonly upTo: number
  /** Of the object that there is now, and of the one before it. */
  readonly uid: string
  readonly previousUid: string | undefined
}

/**
 * What of a series is about the object that took the place of an earlier one of its name: a series of its own, whose identity
 * follows from that of the series and from the uid, so that every repetition meets the same object. The event of the earlier
 * object keeps what it has counted, and is not changed any more.
 */
const continuationOf = (uid: string, id: EventId.EventId, before: Known, counted: number): Continuation => ({
  id: { origin: EventId.derivedOrigin(id.origin, uid), seq: id.seq },
  counted: counted + before.count,
  upTo: before.upTo,
  uid,
  previousUid: before.uid
})

const continued = (write: Write, { counted, id }: Continuation): Write => ({
  ...write,
  id,
  count: Math.max(1, write.count - counted),
  // When the first of them happened is not known here.
  first: write.last
})

/** Whether an object without our annotations is the event that was written all the same. */
const isStripped = ({ event: { event: stored } }: KubernetesEvent.StoredEvent, { event }: Write): boolean =>
  stored.reason === event.reason &&
  stored.reportingController === event.reportingController &&
  stored.reportingInstance === event.reportingInstance &&
  stored.involvedObject.kind === event.involvedObject.kind &&
  stored.involvedObject.name === event.involvedObject.name

/** @internal */
export const make = (options: {
  readonly connection: KubernetesConnection["Service"]
  /** Nothing is sent to another one. */
  readonly cluster: OwnCluster
  readonly uidOf: (involvedObject: ObjectReference) => Effect.Effect<KubernetesEvent.ShapeOptions>
  readonly concurrency: number
  readonly knownSeries: number
  readonly clusterScopedNamespace: string | undefined
}): Backend.Service["write"] => {
  const { cluster, clusterScopedNamespace, concurrency, connection, uidOf } = options
  const namespaceOf = (write: Write): string =>
    write.namespace ?? KubernetesEvent.namespaceOf(write.event.involvedObject, clusterScopedNamespace)
  const series = new Lru<Known>(options.knownSeries)
  const continuations = new Lru<Continuation>(options.knownSeries)
  const said = new Lru<true>(256)
  /** One write of a series at a time, and at most `concurrency` of all. */
  const mutex = new KeyedMutex(concurrency)

  const sayOfStripped = (namespace: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const message =
        `the annotations tidings.dev/… of events in namespace ${namespace} are removed in the cluster, so their data is ` +
        "lost and their counts may stop: let admission policies and controllers keep them"
      if (said.get(message) !== undefined) return Effect.void
      said.set(message, true)
      return Effect.logWarning(message)
    })

  const remember = (key: string, write: Write, uid: string | undefined, response: KubernetesResponse): void => {
    const resourceVersion = versionOf(response)
    if (resourceVersion === undefined) series.delete(key)
    else {
      const { count, first, upTo } = write
      series.set(key, { resourceVersion, upTo, count, first, uid, replacedBy: undefined })
    }
  }

  const send = (request: KubernetesRequest): Effect.Effect<KubernetesResponse, BackendError.BackendError> =>
    cluster.isConfirmed() ? connection.request(request) : Effect.andThen(cluster.confirm, connection.request(request))

  const create = (path: string, write: Write, shape: KubernetesEvent.ShapeOptions) =>
    send({
      method: "POST",
      path: `${path}?${FIELD_MANAGER}`,
      body: JSON.stringify(KubernetesEvent.toResource(write, shape))
    })

  const patch = (path: string, name: string, body: unknown) =>
    send({
      method: "PATCH",
      path: `${path}/${name}?${FIELD_MANAGER}`,
      contentType: "application/merge-patch+json",
      body: JSON.stringify(body)
    })

  const deliver = Effect.fnUntraced(function* (
    write: Write,
    namespace: string
  ): Effect.fn.Return<Backend.Outcome, BackendError.BackendError> {
    const path = `/api/v1/namespaces/${namespace}/events`
    // Before the involved object is looked up as well: of another cluster it would be another object.
    if (!cluster.isConfirmed()) yield* cluster.confirm
    const shape: Mutable<KubernetesEvent.ShapeOptions> = {
      ...(yield* uidOf(write.event.involvedObject)),
      clusterScopedNamespace
    }
    let uid = write.event.involvedObject.uid ?? shape.uid
    /** The state of the series for the involved object that there is now. */
    let current = write
    let name = KubernetesEvent.nameOf(current)
    let key = `${namespace}/${name}`
    const ownKey = key
    let known = series.get(key)
    let exists = known !== undefined
    // A repeated write must find out what is there: what was known may have been deleted since.
    let resourceVersion = known !== undefined && known.upTo < write.upTo ? known.resourceVersion : undefined
    let counted = 0

    const goOn = (continuation: Continuation): void => {
      // Who last saw the object before has not looked since, or asked a server that lags behind.
      const isGiven = write.event.involvedObject.uid !== undefined
      if (!isGiven && (uid === undefined || uid === continuation.previousUid)) {
        uid = continuation.uid
        shape.uid = uid
      }
      counted = continuation.counted
      current = continued(write, continuation)
      name = KubernetesEvent.nameOf(current)
      key = `${namespace}/${name}`
      known = series.get(key)
      exists = known !== undefined
      resourceVersion = known !== undefined && known.upTo < write.upTo ? known.resourceVersion : undefined
    }
    const last = continuations.get(ownKey)
    if (last !== undefined && last.upTo < write.upTo) goOn(last)

    for (let step = 0; step < MAXIMUM_STEPS; step++) {
      if (known?.replacedBy !== undefined && known.upTo < write.upTo) {
        const continuation = continuationOf(known.replacedBy, current.id, known, counted)
        continuations.set(ownKey, continuation)
        goOn(continuation)
        // Each object that was replaced has steps of its own.
        step = 0
      }
      const isRead = exists && resourceVersion === undefined
      // The involved object was deleted and made anew: what is not counted yet is about the new one.
      const isEnd = exists && !isRead && isReplaced(known?.uid, uid)
      // An occurrence before is that of an earlier write, whose first one the object keeps.
      if (current !== write && known !== undefined) current = { ...current, first: known.first }
      const response = !exists
        ? yield* create(path, current, shape)
        : // The empty patch is the read of those who may only create and patch.
          yield* patch(
            path,
            name,
            isRead
              ? {}
              : isEnd
                ? KubernetesEvent.toEnd(resourceVersion!, uid!)
                : KubernetesEvent.toPatch(current, resourceVersion!, shape)
          )
      const verdict = verdictOf(exists ? "patch" : "create", namespace, name, response)
      switch (verdict._tag) {
        case "Applied": {
          if (!isRead && !isEnd) {
            if (response.body?.includes(KubernetesEvent.annotations.series) !== true) yield* sayOfStripped(namespace)
            remember(key, current, uid ?? known?.uid, response)
            return exists ? Backend.updated : Backend.created
          }
          const resource = json.parse(response.body)
          const stored = Result.getOrUndefined(KubernetesEvent.fromResource(resource))
          if (stored === undefined) continue
          if (!stored.own && isStripped(stored, current)) {
            // Its name is that of the series, whose counts grow with what is counted in.
            if (stored.event.count >= current.count) {
              yield* sayOfStripped(namespace)
              return Backend.present
            }
            return rejected(
              `annotations-stripped: the annotations tidings.dev/… of ${key} were removed in the cluster, so its count can ` +
                "grow no more: let admission policies and controllers keep them"
            )
          }
          if (!stored.own || EventId.format(stored.event.id) !== EventId.format(current.id)) {
            return rejected(`name-taken: ${key} is an event of somebody else`)
          }
          known = {
            resourceVersion: stored.resourceVersion,
            upTo: stored.event.upTo,
            count: stored.event.count,
            first: stored.event.first,
            replacedBy: KubernetesEvent.replacedBy(resource),
            uid: stored.event.event.involvedObject.uid
          }
          series.set(key, known)
          if (known.upTo >= write.upTo) return Backend.present
          if (known.replacedBy !== undefined) continue
          resourceVersion = known.resourceVersion
          continue
        }
        case "Exists":
          // Only the object itself says whose it is, and how far it counts.
          exists = true
          resourceVersion = undefined
          continue
        case "Conflict":
          series.delete(key)
          known = undefined
          resourceVersion = undefined
          continue
        case "Missing":
          series.delete(key)
          known = undefined
          exists = false
          resourceVersion = undefined
          continue
        case "TooLarge":
          if (shape.withoutData === true) return rejected(`too-large: ${verdict.detail}`)
          shape.withoutData = true
          continue
        case "Invalid":
          if (shape.withoutEventTime === true) return rejected(`invalid: ${verdict.detail}`)
          shape.withoutEventTime = true
          continue
        case "Final":
          return verdict.outcome
      }
    }
    return contested
  })

  const sayOnce = (outcome: Backend.Outcome): Effect.Effect<Backend.Outcome> => {
    if (outcome._tag !== "Retry") return Effect.succeed(outcome)
    const { cause, message, reason } = outcome.error
    const isForAPerson = reason._tag === "Unauthorized" || cause instanceof NotKubernetes
    if (!isForAPerson) return Effect.succeed(outcome)
    if (said.get(message) !== undefined) return Effect.succeed(outcome)
    said.set(message, true)
    return Effect.as(Effect.logWarning(`events cannot be written: ${message}`), outcome)
  }

  const writeOne = (write: Write): Effect.Effect<Backend.Outcome> => {
    const namespace = namespaceOf(write)
    if (!names.isNamespaceName(namespace)) {
      return Effect.succeed(
        rejected(`bad-namespace: ${JSON.stringify(namespace.slice(0, 80))} cannot be the name of a namespace`)
      )
    }
    const name = KubernetesEvent.nameOf(write)
    return Effect.matchEffect(mutex.withLock(`${namespace}/${name}`, deliver(write, namespace)), {
      onFailure: (error) => sayOnce({ _tag: "Retry", error }),
      onSuccess: sayOnce
    })
  }

  return (batch) =>
    Effect.suspend(() => {
      const [only] = batch
      if (only !== undefined && batch.length === 1) return Effect.map(writeOne(only), (outcome) => [outcome])
      let stopped: BackendError.BackendError | undefined
      /** Namespaces that the server wants less of, and what it said. */
      const limited = new Map<string, BackendError.BackendError>()
      const attempt = (write: Write): Effect.Effect<Backend.Outcome> => {
        if (stopped !== undefined) return Effect.succeed({ _tag: "Retry", error: notSent(stopped) })
        const limit = limited.get(namespaceOf(write))
        return limit === undefined ? writeOne(write) : Effect.succeed({ _tag: "Retry", error: limit })
      }
      const outcomes = Array.from<Backend.Outcome>({ length: batch.length })
      let begun = 0
      // A fiber that writes one after the other costs less than a fiber for each.
      const writer = Effect.suspend(() => {
        let index = 0
        return Effect.whileLoop({
          while: () => begun < batch.length,
          body: () => {
            index = begun++
            return attempt(batch[index]!)
          },
          step: (outcome) => {
            outcomes[index] = outcome
            if (outcome._tag !== "Retry") return
            const { error } = outcome
            if (stopsAll(error)) stopped = error
            else if (error.reason._tag === "Throttled" && error.reason.scope === "namespace") {
              limited.set(namespaceOf(batch[index]!), error)
            }
          }
        })
      })
      const writers = Array.from({ length: Math.min(concurrency, batch.length) }, () => writer)
      return Effect.as(Effect.all(writers, { concurrency: "unbounded", discard: true }), outcomes)
    })
}

// The first of them is that of metadata: the server writes it before annotations and references, and a text in which it
// stands has its quotes escaped. A wrong one would be refused, and read again.
const RESOURCE_VERSION = /"resourceVersion":\s?"(\d+)"/

const versionOf = (response: KubernetesResponse): string | undefined => RESOURCE_VERSION.exec(response.body ?? "")?.[1]
