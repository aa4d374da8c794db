/**
 * The protocol of a write: whoever repeats it, whatever answer was lost, and whichever older request arrives late, a
 * series is one object, and its count never goes down.
 */
import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import type { KubernetesConnection, KubernetesResponse } from "../KubernetesConnection.ts"
import * as KubernetesEvent from "../KubernetesEvent.ts"
import * as answer from "./answer.ts"
import { Lru } from "./lru.ts"
import * as syntax from "./syntax.ts"

/** What is known of the object of a series. */
interface Known {
  readonly resourceVersion: string
  readonly upTo: number
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
      return true
    case "Throttled":
      return reason.scope === "backend"
    case "Transient":
      return error.cause instanceof answer.NoAnswer || (reason.applied === "no" && error.cause !== undefined)
    default:
      return false
  }
}

const notTried = (error: BackendError.BackendError): BackendError.BackendError =>
  error.reason._tag === "Transient" && error.reason.applied === "unknown"
    ? BackendError.make(new BackendError.Transient({ applied: "no", detail: error.reason.detail }), error.cause)
    : error

/** @internal */
export const make = (options: {
  readonly connection: KubernetesConnection["Service"]
  readonly uidOf: (involvedObject: ObjectReference) => Effect.Effect<KubernetesEvent.ShapeOptions>
  readonly concurrency: number
  readonly knownSeries: number
}): Backend.Service["write"] => {
  const { concurrency, connection, uidOf } = options
  const series = new Lru<Known>(options.knownSeries)
  const said = new Lru<true>(256)
  const permits = Semaphore.makeUnsafe(concurrency)
  const locks = new Map<string, { readonly semaphore: Semaphore.Semaphore; users: number }>()

  const remember = (key: string, upTo: number, response: KubernetesResponse): void => {
    const resourceVersion = versionOf(response)
    if (resourceVersion === undefined) series.delete(key)
    else series.set(key, { resourceVersion, upTo })
  }

  const create = (path: string, write: Write, shape: KubernetesEvent.ShapeOptions) =>
    connection.request({
      method: "POST",
      path: `${path}?${FIELD_MANAGER}`,
      body: JSON.stringify(KubernetesEvent.toResource(write, shape))
    })

  const patch = (path: string, name: string, body: unknown) =>
    connection.request({
      method: "PATCH",
      path: `${path}/${name}?${FIELD_MANAGER}`,
      contentType: "application/merge-patch+json",
      body: JSON.stringify(body)
    })

  const deliver = Effect.fnUntraced(function* (
    write: Write,
    namespace: string,
    name: string
  ): Effect.fn.Return<Backend.Outcome, BackendError.BackendError> {
    const key = `${namespace}/${name}`
    const path = `/api/v1/namespaces/${namespace}/events`
    const shape: Mutable<KubernetesEvent.ShapeOptions> = { ...(yield* uidOf(write.event.involvedObject)) }
    const known = series.get(key)
    let exists = known !== undefined
    // A repeated write must find out what is there: what was known may have been deleted since.
    let resourceVersion = known !== undefined && known.upTo < write.upTo ? known.resourceVersion : undefined

    for (let step = 0; step < MAXIMUM_STEPS; step++) {
      const isRead = exists && resourceVersion === undefined
      const response = !exists
        ? yield* create(path, write, shape)
        : // The empty patch is the read of those who may only create and patch.
          yield* patch(path, name, isRead ? {} : KubernetesEvent.toPatch(write, resourceVersion!, shape))
      const verdict = answer.verdictOf(exists ? "patch" : "create", namespace, response)
      switch (verdict._tag) {
        case "Applied": {
          if (!isRead) {
            remember(key, write.upTo, response)
            return exists ? Backend.updated : Backend.created
          }
          const stored = Result.getOrUndefined(KubernetesEvent.fromResource(answer.parseBody(response.body)))
          if (stored === undefined) continue
          if (!stored.own || EventId.format(stored.event.id) !== EventId.format(write.id)) {
            return rejected(`name-taken: ${key} is an event of somebody else`)
          }
          series.set(key, { resourceVersion: stored.resourceVersion, upTo: stored.event.upTo })
          if (stored.event.upTo >= write.upTo) return Backend.present
          resourceVersion = stored.resourceVersion
          continue
        }
        case "Exists":
          // Whatever state of the series is there, the first occurrence is in it.
          if (write.upTo === write.id.seq) return Backend.present
          exists = true
          continue
        case "Conflict":
          series.delete(key)
          resourceVersion = undefined
          continue
        case "Missing":
          series.delete(key)
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

  /** One write of a series at a time, and not more than `concurrency` of all. */
  const inOrder = <A, E>(key: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      const lock = locks.get(key) ?? { semaphore: Semaphore.makeUnsafe(1), users: 0 }
      lock.users++
      locks.set(key, lock)
      return Effect.ensuring(
        lock.semaphore.withPermit(permits.withPermit(effect)),
        Effect.sync(() => {
          lock.users--
          if (lock.users === 0) locks.delete(key)
        })
      )
    })

  const sayOnce = (outcome: Backend.Outcome): Effect.Effect<Backend.Outcome> => {
    if (outcome._tag !== "Retry" || outcome.error.reason._tag !== "Unauthorized") return Effect.succeed(outcome)
    const { message } = outcome.error
    if (said.get(message) !== undefined) return Effect.succeed(outcome)
    said.set(message, true)
    return Effect.as(Effect.logWarning(`events cannot be written: ${message}`), outcome)
  }

  const writeOne = (write: Write): Effect.Effect<Backend.Outcome> => {
    const namespace = KubernetesEvent.namespaceOf(write.event.involvedObject)
    if (!syntax.isNamespaceName(namespace)) {
      return Effect.succeed(
        rejected(`bad-namespace: ${JSON.stringify(namespace.slice(0, 80))} cannot be the name of a namespace`)
      )
    }
    const name = KubernetesEvent.nameOf(write)
    return Effect.matchEffect(inOrder(`${namespace}/${name}`, deliver(write, namespace, name)), {
      onFailure: (error) => sayOnce({ _tag: "Retry", error }),
      onSuccess: sayOnce
    })
  }

  return (batch) =>
    Effect.suspend(() => {
      const [only] = batch
      if (only !== undefined && batch.length === 1) return Effect.map(writeOne(only), (outcome) => [outcome])
      let stopped: BackendError.BackendError | undefined
      return Effect.forEach(
        batch,
        (write) =>
          Effect.suspend((): Effect.Effect<Backend.Outcome> => {
            if (stopped !== undefined) return Effect.succeed({ _tag: "Retry", error: notTried(stopped) })
            return Effect.map(writeOne(write), (outcome) => {
              if (outcome._tag === "Retry" && stopsAll(outcome.error)) stopped = outcome.error
              return outcome
            })
          }),
        { concurrency }
      )
    })
}

// The first of them is that of metadata: the server writes it before annotations and references, and a text in which it
// stands has its quotes escaped. A wrong one would be refused, and read again.
const RESOURCE_VERSION = /"resourceVersion":\s?"(\d+)"/

const versionOf = (response: KubernetesResponse): string | undefined => RESOURCE_VERSION.exec(response.body ?? "")?.[1]
