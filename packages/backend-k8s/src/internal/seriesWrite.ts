/**
 * One write of a series, until its outcome is known.
 *
 * A series is one event object, whose name follows from the identity of the series. Its count never goes down, whichever process
 * repeats the write, whichever response was lost, and however late an earlier request arrives:
 *
 * - A create meets the object where there is one already, because the name is always the same.
 * - A patch names the resourceVersion of the state that it was made for, so the API server refuses it after any other
 *   write. The object is then read, and `seq` in its annotations says whether the write is counted in already.
 * - The state that an earlier write left is remembered (`Known`), which saves the read. A state that is wrong costs a
 *   request, never a count.
 *
 * Each response leads to the next request or to an outcome. Only other writers of the same object take more than a few
 * requests; after `MAXIMUM_REQUESTS` the write is retried later.
 */
import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import type * as Timestamp from "@tidings/core/Timestamp"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as KubernetesEvent from "../KubernetesEvent.ts"
import type { KubernetesRequest, KubernetesResponse } from "../KubernetesHttp.ts"
import * as json from "./json.ts"
import type { Lru } from "./lru.ts"
import { type Continuation, continuationOf, isReplaced, partOf } from "./replacement.ts"
import { type Verdict, verdictOf } from "./writeVerdict.ts"

/**
 * The last known state of the event object of a series.
 *
 * @internal
 */
export interface Known {
  readonly resourceVersion: string
  readonly upTo: number
  readonly count: number
  readonly first: Timestamp.Micros
  /** Of the involved object, where the event has it. */
  readonly uid: string | undefined
  /** Of the object that replaced the involved one: the event is closed, and its count does not grow any more. */
  readonly replacedBy: string | undefined
}

/**
 * What all writes share.
 *
 * @internal
 */
export interface SeriesContext {
  readonly send: (request: KubernetesRequest) => Effect.Effect<KubernetesResponse, BackendError.BackendError>
  /** Looks up the uid and the apiVersion of an involved object. */
  readonly lookUp: (
    involvedObject: ObjectReference
  ) => Effect.Effect<KubernetesEvent.ShapeOptions, BackendError.BackendError>
  /** Warns that annotations of events in a namespace are removed. */
  readonly warnOfRemovedAnnotations: (namespace: string) => Effect.Effect<void>
  readonly clusterScopedNamespace: string | undefined
  /** By namespace and name of the event object. */
  readonly known: Lru<Known>
  /** By namespace and name of the event object of the first series. */
  readonly continuations: Lru<Continuation>
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

type Purpose =
  | "create"
  /** An empty patch: a read for those who may only create and patch. */
  | "read"
  | "update"
  /** Ends the event of an involved object that was replaced. */
  | "close"

const MAXIMUM_REQUESTS = 12

/** Names Tidings as the manager of the fields, in `managedFields`. */
const FIELD_MANAGER = "fieldManager=tidings"

const contested: Backend.Outcome = {
  _tag: "Retry",
  error: BackendError.make(
    new BackendError.Transient({ applied: "no", detail: "another writer keeps changing the event" })
  )
}

const rejected = (reason: string): Backend.Outcome => ({ _tag: "Rejected", reason })

/** Whether an object without our annotations is nevertheless the event that was written. */
const isStripped = ({ event: { event: stored }, own }: KubernetesEvent.StoredEvent, { event }: Write): boolean =>
  !own &&
  stored.reason === event.reason &&
  stored.reportingController === event.reportingController &&
  stored.reportingInstance === event.reportingInstance &&
  stored.involvedObject.kind === event.involvedObject.kind &&
  stored.involvedObject.name === event.involvedObject.name

// The first one in the body is that of metadata: the server writes it before annotations and references, and in a text its
// quotes would be escaped. A wrong one would be refused, and the object read.
const RESOURCE_VERSION = /"resourceVersion":\s?"(\d+)"/

const versionIn = ({ body }: KubernetesResponse): string | undefined => RESOURCE_VERSION.exec(body ?? "")?.[1]

class SeriesWrite {
  private readonly context: SeriesContext
  private readonly write: Write
  private readonly namespace: string
  private readonly shape: Mutable<KubernetesEvent.ShapeOptions>
  private readonly firstKey: string
  /** Of the involved object. */
  private uid: string | undefined
  /** The part of the write that is about the present object. */
  private current: Write
  private name: string
  private key: string
  private known: Known | undefined
  /** Whether the event object is there, as far as known. */
  private exists: boolean
  /** The version to patch; `undefined` where the object must be read first. */
  private resourceVersion: string | undefined
  /** Whether the annotations of the event were removed in the cluster. */
  isWithoutAnnotations = false
  /** What the closed events of the series have counted. */
  private counted = 0

  constructor(context: SeriesContext, write: Write, namespace: string, found: KubernetesEvent.ShapeOptions) {
    this.context = context
    this.write = write
    this.namespace = namespace
    this.shape = { ...found, clusterScopedNamespace: context.clusterScopedNamespace }
    this.uid = write.event.involvedObject.uid ?? found.uid
    this.current = write
    this.name = KubernetesEvent.nameOf(write)
    this.key = `${namespace}/${this.name}`
    this.firstKey = this.key
    this.known = context.known.get(this.key)
    this.exists = this.known !== undefined
    this.resourceVersion = this.versionToPatch()
  }

  /** A repeated write reads the object first: it may have been deleted since the write that is remembered. */
  private versionToPatch(): string | undefined {
    return this.known !== undefined && this.known.upTo < this.write.upTo ? this.known.resourceVersion : undefined
  }

  /** Starts with the event of the present object, where an earlier write has found the involved one replaced. */
  skipClosed(): void {
    const continuation = this.context.continuations.get(this.firstKey)
    if (continuation !== undefined && continuation.upTo < this.write.upTo) this.continueWith(continuation)
  }

  private continueWith(continuation: Continuation): void {
    const isUidGiven = this.write.event.involvedObject.uid !== undefined
    // A look-up that found the previous object was made before it was replaced, or by a server that lags behind.
    if (!isUidGiven && (this.uid === undefined || this.uid === continuation.previousUid)) {
      this.uid = continuation.uid
      this.shape.uid = this.uid
    }
    this.counted = continuation.counted
    this.current = partOf(this.write, continuation)
    this.name = KubernetesEvent.nameOf(this.current)
    this.key = `${this.namespace}/${this.name}`
    this.known = this.context.known.get(this.key)
    this.exists = this.known !== undefined
    this.resourceVersion = this.versionToPatch()
  }

  /** Turns to the event of the object that replaced the involved one, where the event is closed. */
  continueIfClosed(): boolean {
    const { known } = this
    if (known?.replacedBy === undefined || known.upTo >= this.write.upTo) return false
    const continuation = continuationOf(known.replacedBy, this.current.id, known, this.counted)
    this.context.continuations.set(this.firstKey, continuation)
    this.continueWith(continuation)
    return true
  }

  nextPurpose(): Purpose {
    if (!this.exists) return "create"
    if (this.resourceVersion === undefined) return "read"
    return isReplaced(this.known?.uid, this.uid) ? "close" : "update"
  }

  request(purpose: Purpose): Effect.Effect<KubernetesResponse, BackendError.BackendError> {
    const { known, resourceVersion, shape } = this
    // Only the event itself says when the first occurrence for the present object was.
    if (this.current !== this.write && known !== undefined) this.current = { ...this.current, first: known.first }
    switch (purpose) {
      case "create":
        return this.create(KubernetesEvent.toResource(this.current, shape))
      case "read":
        return this.patch({})
      case "update":
        return this.patch(KubernetesEvent.toPatch(this.current, resourceVersion!, shape))
      case "close":
        return this.patch(KubernetesEvent.toEnd(resourceVersion!, this.uid!))
    }
  }

  private create(resource: KubernetesEvent.EventResource) {
    return this.context.send({
      method: "POST",
      path: `/api/v1/namespaces/${this.namespace}/events?${FIELD_MANAGER}`,
      body: JSON.stringify(resource)
    })
  }

  private patch(body: unknown) {
    return this.context.send({
      method: "PATCH",
      path: `/api/v1/namespaces/${this.namespace}/events/${this.name}?${FIELD_MANAGER}`,
      contentType: "application/merge-patch+json",
      body: JSON.stringify(body)
    })
  }

  /** The outcome after a response; none where another request has to follow. */
  onResponse(purpose: Purpose, response: KubernetesResponse): Backend.Outcome | undefined {
    const verdict = verdictOf(purpose === "create" ? "create" : "patch", this.namespace, this.name, response)
    if (verdict._tag !== "Applied") return this.onRefused(verdict)
    if (purpose === "read" || purpose === "close") return this.onRead(response)
    this.isWithoutAnnotations = response.body?.includes(KubernetesEvent.annotations.series) !== true
    this.remember(response)
    return purpose === "create" ? Backend.created : Backend.updated
  }

  private remember(response: KubernetesResponse): void {
    const resourceVersion = versionIn(response)
    if (resourceVersion === undefined) return this.context.known.delete(this.key)
    const { count, first, upTo } = this.current
    const uid = this.uid ?? this.known?.uid
    this.context.known.set(this.key, { resourceVersion, upTo, count, first, uid, replacedBy: undefined })
  }

  /** Compares the object in a response with the write. */
  private onRead(response: KubernetesResponse): Backend.Outcome | undefined {
    const resource = json.parse(response.body)
    const stored = Result.getOrUndefined(KubernetesEvent.fromResource(resource))
    if (stored === undefined) return undefined
    if (isStripped(stored, this.current)) return this.onStripped(stored)
    if (!stored.own || EventId.format(stored.event.id) !== EventId.format(this.current.id)) {
      return rejected(`name-taken: ${this.key} is an event of another writer`)
    }
    const known: Known = {
      resourceVersion: stored.resourceVersion,
      upTo: stored.event.upTo,
      count: stored.event.count,
      first: stored.event.first,
      replacedBy: KubernetesEvent.replacedBy(resource),
      uid: stored.event.event.involvedObject.uid
    }
    this.known = known
    this.context.known.set(this.key, known)
    if (known.upTo >= this.write.upTo) return Backend.present
    if (known.replacedBy === undefined) this.resourceVersion = known.resourceVersion
    return undefined
  }

  /** Without `seq`, the count of the object tells whether the write is counted in: its name is that of the series alone. */
  private onStripped(stored: KubernetesEvent.StoredEvent): Backend.Outcome {
    if (stored.event.count < this.current.count) {
      return rejected(
        `annotations-stripped: the annotations tidings.dev/… of ${this.key} were removed in the cluster, so its count can ` +
          "grow no more: configure admission policies and controllers to keep them"
      )
    }
    this.isWithoutAnnotations = true
    return Backend.present
  }

  /** The outcome after a request that was refused; none where another request has to follow. */
  private onRefused(verdict: Exclude<Verdict, { readonly _tag: "Applied" }>): Backend.Outcome | undefined {
    const { context, key, shape } = this
    switch (verdict._tag) {
      case "Exists":
        // Only the object itself says whose it is, and what it counts.
        this.exists = true
        this.resourceVersion = undefined
        return undefined
      case "Conflict":
        context.known.delete(key)
        this.known = undefined
        this.resourceVersion = undefined
        return undefined
      case "Missing":
        context.known.delete(key)
        this.known = undefined
        this.exists = false
        this.resourceVersion = undefined
        return undefined
      case "TooLarge":
        if (shape.withoutData === true) return rejected(`too-large: ${verdict.detail}`)
        shape.withoutData = true
        return undefined
      case "Invalid":
        if (shape.withoutEventTime === true) return rejected(`invalid: ${verdict.detail}`)
        shape.withoutEventTime = true
        return undefined
      case "Final":
        return verdict.outcome
    }
  }
}

/**
 * Writes the state of a series to its event object in a namespace.
 *
 * @internal
 */
export const writeSeries = Effect.fnUntraced(function* (
  context: SeriesContext,
  write: Write,
  namespace: string
): Effect.fn.Return<Backend.Outcome, BackendError.BackendError> {
  const found = yield* context.lookUp(write.event.involvedObject)
  const series = new SeriesWrite(context, write, namespace, found)
  series.skipClosed()
  for (let requests = 0; requests < MAXIMUM_REQUESTS; requests++) {
    // The event of each object that was replaced has requests of its own.
    if (series.continueIfClosed()) requests = 0
    const purpose = series.nextPurpose()
    const outcome = series.onResponse(purpose, yield* series.request(purpose))
    if (outcome === undefined) continue
    if (series.isWithoutAnnotations) yield* context.warnOfRemovedAnnotations(namespace)
    return outcome
  }
  return contested
})
