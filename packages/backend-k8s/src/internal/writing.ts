/**
 * Writes of batches: several series concurrently, each of them one write at a time.
 */
import type * as Backend from "@tidings/core/Backend"
import type * as BackendError from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as Effect from "effect/Effect"
import type { KubernetesConnection } from "../KubernetesConnection.ts"
import * as KubernetesEvent from "../KubernetesEvent.ts"
import { KeyedMutex } from "./keyedMutex.ts"
import type { LookUp } from "./involvedObjects.ts"
import { Lru } from "./lru.ts"
import * as names from "./names.ts"
import type { OwnCluster } from "./ownCluster.ts"
import type { Continuation } from "./replacement.ts"
import { NoAnswer, notSent, NotKubernetes } from "./requestErrors.ts"
import { type Known, type SeriesContext, writeSeries } from "./seriesWrite.ts"

const rejected = (reason: string): Backend.Outcome => ({ _tag: "Rejected", reason })

/**
 * Whether an error is about every write: then the rest of a batch is not sent.
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

/** Whether only a person can help, such as with missing rights. */
const needsPerson = ({ cause, reason }: BackendError.BackendError): boolean =>
  reason._tag === "Unauthorized" || cause instanceof NotKubernetes

/** Number of different warnings that are remembered as logged. */
const MAXIMUM_WARNINGS = 256

/** Logs each warning once. */
const makeWarn = (): ((message: string) => Effect.Effect<void>) => {
  const logged = new Lru<true>(MAXIMUM_WARNINGS)
  return (message) =>
    Effect.suspend(() => {
      if (logged.get(message) !== undefined) return Effect.void
      logged.set(message, true)
      return Effect.logWarning(message)
    })
}

/** Writes of a batch, with as many fibers as may write concurrently: a fiber for each write would cost more. */
const writeAll = (
  batch: ReadonlyArray<Write>,
  concurrency: number,
  namespaceOf: (write: Write) => string,
  writeOne: (write: Write) => Effect.Effect<Backend.Outcome>
): Effect.Effect<ReadonlyArray<Backend.Outcome>> => {
  let stopped: BackendError.BackendError | undefined
  /** By namespace: the error with which the server throttles it. */
  const throttled = new Map<string, BackendError.BackendError>()
  const attempt = (write: Write): Effect.Effect<Backend.Outcome> => {
    if (stopped !== undefined) return Effect.succeed({ _tag: "Retry", error: notSent(stopped) })
    const error = throttled.get(namespaceOf(write))
    return error === undefined ? writeOne(write) : Effect.succeed({ _tag: "Retry", error })
  }
  const outcomes = Array.from<Backend.Outcome>({ length: batch.length })
  let started = 0
  const writer = Effect.suspend(() => {
    let index = 0
    return Effect.whileLoop({
      while: () => started < batch.length,
      body: () => {
        index = started++
        return attempt(batch[index]!)
      },
      step: (outcome) => {
        outcomes[index] = outcome
        if (outcome._tag !== "Retry") return
        const { error } = outcome
        if (stopsAll(error)) stopped = error
        else if (error.reason._tag === "Throttled" && error.reason.scope === "namespace") {
          throttled.set(namespaceOf(batch[index]!), error)
        }
      }
    })
  })
  const writers = Array.from({ length: Math.min(concurrency, batch.length) }, () => writer)
  return Effect.as(Effect.all(writers, { concurrency: "unbounded", discard: true }), outcomes)
}

/** @internal */
export const make = (options: {
  readonly connection: KubernetesConnection["Service"]
  readonly cluster: OwnCluster
  readonly lookUp: LookUp
  readonly concurrency: number
  readonly knownSeries: number
  readonly clusterScopedNamespace: string | undefined
}): Backend.Service["write"] => {
  const { cluster, clusterScopedNamespace, concurrency, connection, knownSeries, lookUp } = options
  const mutex = new KeyedMutex(concurrency)
  const warn = makeWarn()

  const context: SeriesContext = {
    send: (request) =>
      cluster.isConfirmed()
        ? connection.request(request)
        : Effect.andThen(cluster.confirm, connection.request(request)),
    // In another cluster it would be another object.
    lookUp: (involvedObject) =>
      cluster.isConfirmed() ? lookUp(involvedObject) : Effect.andThen(cluster.confirm, lookUp(involvedObject)),
    warnOfRemovedAnnotations: (namespace) =>
      warn(
        `the annotations tidings.dev/… of events in namespace ${namespace} are removed in the cluster, so their data is ` +
          "lost and their counts may stop: configure admission policies and controllers to keep them"
      ),
    clusterScopedNamespace,
    known: new Lru<Known>(knownSeries),
    continuations: new Lru<Continuation>(knownSeries)
  }

  const namespaceOf = (write: Write): string =>
    write.namespace ?? KubernetesEvent.namespaceOf(write.event.involvedObject, clusterScopedNamespace)

  const warned = (outcome: Backend.Outcome): Effect.Effect<Backend.Outcome> =>
    outcome._tag === "Retry" && needsPerson(outcome.error)
      ? Effect.as(warn(`events cannot be written: ${outcome.error.message}`), outcome)
      : Effect.succeed(outcome)

  const writeOne = (write: Write): Effect.Effect<Backend.Outcome> => {
    const namespace = namespaceOf(write)
    if (!names.isNamespaceName(namespace)) {
      return Effect.succeed(
        rejected(`bad-namespace: ${JSON.stringify(namespace.slice(0, 80))} cannot be the name of a namespace`)
      )
    }
    const key = `${namespace}/${KubernetesEvent.nameOf(write)}`
    return Effect.matchEffect(mutex.withLock(key, writeSeries(context, write, namespace)), {
      onFailure: (error) => warned({ _tag: "Retry", error }),
      onSuccess: warned
    })
  }

  return (batch) =>
    Effect.suspend(() => {
      const [only] = batch
      return only !== undefined && batch.length === 1
        ? Effect.map(writeOne(only), (outcome) => [outcome])
        : writeAll(batch, concurrency, namespaceOf, writeOne)
    })
}
