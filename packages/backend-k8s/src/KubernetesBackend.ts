/**
 * The events of a Kubernetes cluster as a backend: written so that `kubectl` shows them right, and read whichever program wrote
 * them.
 *
 * @since 0.1.0
 */
import * as Backend from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import type { ClusterRef } from "@tidings/core/Event"
import { type EventFilter, isNothing } from "@tidings/core/EventQuery"
import * as MergedReader from "@tidings/core/MergedReader"
import type { Scope as CursorScope } from "@tidings/core/Position"
import type { Target } from "@tidings/core/Target"
import * as Clock from "effect/Clock"
import type * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import * as durations from "./internal/durations.ts"
import * as involvedObjects from "./internal/involvedObjects.ts"
import * as listing from "./internal/listing.ts"
import * as ownCluster from "./internal/ownCluster.ts"
import * as querying from "./internal/querying.ts"
import * as readingNothing from "./internal/readingNothing.ts"
import { notSent } from "./internal/requestErrors.ts"
import * as selection from "./internal/selection.ts"
import * as watching from "./internal/watching.ts"
import * as writing from "./internal/writing.ts"
import * as KubernetesConnection from "./KubernetesConnection.ts"

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

/**
 * How the backend writes and reads.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Number of concurrent writes. Those of one series are never concurrent. Default: 16. */
  readonly concurrency?: number | undefined
  /**
   * How long a write waits for the look-up of the uid of its involved object, where the event does not have it. After that
   * the event is written without. Zero: uids are not looked up. Default: 1 second.
   */
  readonly uidWait?: Duration.Input | undefined
  /**
   * Number of series whose version in the cluster is remembered, which saves a request when a count grows. The least
   * recently written one is forgotten first. Default: 8,192, some 2 MB.
   */
  readonly knownSeries?: number | undefined
  /**
   * The namespace of events about cluster-scoped objects, such as a Node; writing needs the permission in it. The API server
   * accepts them in no other one. Default: `default`, as in client-go.
   */
  readonly clusterScopedNamespace?: "default" | "kube-system" | undefined
  /** Number of events in a page of a list. Default: 500, as in kubectl. */
  readonly pageSize?: number | undefined
}

/**
 * The options of the connection and of the backend over it.
 *
 * @category models
 * @since 0.1.0
 */
export interface LayerOptions extends KubernetesConnection.Options, Options {}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/** How long the identity of the cluster is cached for the cursors of queries. */
const CLUSTER_ID_MILLIS = 60_000

/**
 * Makes the backend over a connection. Sends no request.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options?: Options) {
  const connection = yield* KubernetesConnection.KubernetesConnection
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const scope = yield* Effect.scope
  const wait = yield* durations.read("uidWait", options?.uidWait ?? "1 second")
  const list = listing.make(connection, Math.max(1, options?.pageSize ?? 500))

  const { epoch } = connection
  const makeLookUp: Effect.Effect<involvedObjects.LookUp> =
    Duration.toMillis(wait) > 0
      ? involvedObjects.make({ connection, clock, wait, scope })
      : Effect.succeed(() => Effect.succeed({}))
  let lookUp = yield* makeLookUp
  const cluster = ownCluster.make({
    connection,
    scope,
    onOther: Effect.map(makeLookUp, (made) => {
      lookUp = made
    })
  })

  let known: { readonly target: Target; readonly epoch: number; readonly until: number } | undefined
  const scopeOf = (filter: EventFilter): Effect.Effect<CursorScope, BackendError> =>
    Effect.suspend(() => {
      const now = clock.currentTimeMillisUnsafe()
      const asked = epoch()
      if (known !== undefined && known.epoch === asked && now < known.until) {
        return Effect.succeed({ mode: "kubernetes", target: known.target, filter })
      }
      return Effect.map(connection.target, (target) => {
        known = { target, epoch: asked, until: now + CLUSTER_ID_MILLIS }
        return { mode: "kubernetes", target, filter }
      })
    })

  const clusterOf = ({ id }: Target): ClusterRef => ({ id, name: connection.context })
  const reading = { connection, listing: list, clusterOf, clock, random }
  const one: MergedReader.Reader = {
    query: querying.make({ listing: list, clusterOf, scopeOf }),
    watch: watching.make(reading)
  }
  const copy = watching.copying(reading)
  const nothing = readingNothing.make(scopeOf)
  /** Several namespaces are read one by one: who may read them need not have the right to read all. */
  const several = MergedReader.make({
    mode: "kubernetes",
    target: Effect.map(scopeOf({}), ({ target }) => target),
    readers: (filter) =>
      selection.namespacesOf(filter).map((namespace) => ({
        key: namespace,
        query: (query) => one.query({ ...query, namespace }),
        watch: (filter, from) => one.watch({ ...filter, namespace }, from)
      })),
    incomplete: ({ reason }) =>
      reason._tag === "Unauthorized"
        ? { store: known?.target.id ?? connection.server, reason: reason.detail }
        : undefined
  })
  const readerOf = (filter: EventFilter): MergedReader.Reader =>
    selection.namespacesOf(filter).length > 1 ? several : one

  return Backend.Backend.of({
    mode: "kubernetes",
    target: cluster.target,
    write: writing.make({
      connection,
      cluster,
      lookUp: (reference) => lookUp(reference),
      concurrency: Math.max(1, options?.concurrency ?? 16),
      clusterScopedNamespace: options?.clusterScopedNamespace,
      knownSeries: Math.max(1, options?.knownSeries ?? 8_192)
    }),
    query: (query) => {
      const asked = selection.withPossibleNamespaces(query)
      return Effect.mapError(isNothing(asked) ? nothing.query(query) : readerOf(asked).query(asked), notSent)
    },
    copy: (filter, from) => {
      const asked = selection.withPossibleNamespaces(filter)
      return Stream.mapError(isNothing(asked) ? nothing.watch(filter, from) : copy(asked, from), notSent)
    },
    watch: (filter, from) => {
      const asked = selection.withPossibleNamespaces(filter)
      return Stream.mapError(
        isNothing(asked) ? nothing.watch(filter, from) : readerOf(asked).watch(asked, from),
        notSent
      )
    }
  })
})

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * The backend over a `KubernetesConnection` of the host: to share one connection, or to use a test double. Fails with
 * `Unavailable` where an option is invalid.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConnection = (
  options?: Options
): Layer.Layer<Backend.Backend, BackendError, KubernetesConnection.KubernetesConnection> =>
  Layer.effect(Backend.Backend, make(options))

/**
 * The events of the cluster that `kubectl` would use.
 *
 * **When to use**
 *
 * In a controller in the cluster, and for programs outside that work on a cluster. The layer fails with `Unavailable` when no
 * cluster is configured; when a cluster does not answer, each write and read fails.
 *
 * **Details**
 *
 * - Writing needs the verbs `create` and `patch` on `events` of the core group, in the namespaces of the involved objects
 *   and in `default` for what is cluster-scoped. Reading needs `list` and `watch`, and one event by its name `get`, each
 *   in the namespace that is read.
 * - A write can be repeated at any time: the name of an event follows from its identity, and its count only grows, by a
 *   patch that applies to one version.
 * - `get` on the kinds of involved objects lets events carry the object's uid, by which `kubectl describe` finds them;
 *   `get` on namespace `kube-system` gives the uid that cursors and journals are bound to. Both are optional.
 * - A filter that names several namespaces reads them one by one: a query leaves out those that may not be read and says so
 *   (`EventPage.incomplete`), a watch fails. A namespace that there cannot be is left out, and what no event can match is
 *   answered without a request for events.
 * - A process writes to one cluster. While another one answers at the address, writes fail with `TargetMismatch`, and
 *   nothing is sent there.
 *
 * **Example**
 *
 * ```ts
 * import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
 * import * as Backend from "@tidings/core/Backend"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const count = Backend.Backend.use((backend) => backend.query({ namespace: "default" })).pipe(
 *   Effect.map((page) => page.totalCount),
 *   Effect.provide(KubernetesBackend.layer({ kubeconfig: "/nowhere/kubeconfig" }))
 * )
 * const error = await Effect.runPromise(Effect.flip(count))
 * assert.equal(error.reason._tag, "Unavailable")
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: LayerOptions): Layer.Layer<Backend.Backend, BackendError> =>
  Layer.provide(layerConnection(options), KubernetesConnection.layer(options))

/**
 * `layer`, with its options from a `Config`.
 *
 * **Example** (The context from the environment)
 *
 * ```ts
 * import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
 * import * as Config from "effect/Config"
 *
 * export const Events = KubernetesBackend.layerConfig({ context: Config.String("EVENTS_CONTEXT") })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Wrap<LayerOptions>
): Layer.Layer<Backend.Backend, BackendError | Config.ConfigError> =>
  Layer.unwrap(
    // Loaded here, because it brings Schema with it, which doubles what a host pays at its start.
    Effect.flatMap(
      Effect.promise(() => import("effect/Config")),
      ({ unwrap }) => Effect.map(unwrap(options), layer)
    )
  )
