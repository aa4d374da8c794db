/**
 * Everything a host needs, in one layer, and for hosts without Effect as promises.
 *
 * @since 0.1.0
 */
import * as FileJournal from "@tidings/backend-fs/FileJournal"
import { Backend } from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import * as Correlation from "@tidings/core/Correlation"
import { EventGenerator } from "@tidings/core/EventGenerator"
import * as EventManager from "@tidings/core/EventManager"
import * as Journal from "@tidings/core/Journal"
import * as Policy from "@tidings/core/Policy"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Config from "effect/Config"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as BackendChoice from "./BackendChoice.ts"
import * as options from "./internal/options.ts"
import type { CreateOptions, Options } from "./internal/options.ts"
import * as host from "./internal/promises/host.ts"
import type { Services } from "./internal/promises/host.ts"
import type * as Promised from "./Promised.ts"
import type { Tidings } from "./Promised.ts"
import { InvalidOptions } from "./Rejection.ts"

export type { CreateOptions, Options } from "./internal/options.ts"
export type { Services } from "./internal/promises/host.ts"
export type { Tidings } from "./Promised.ts"

/**
 * What the layer can fail with when it is built.
 *
 * @category errors
 * @since 0.1.0
 */
export type SetupError =
  | BackendError
  | Config.ConfigError
  | InvalidOptions
  | Journal.JournalError
  | Recorder.InvalidRecorderOptions
  | Templates.CatalogueError

/**
 * Layers of the host's own, in the place of what the options choose.
 *
 * @category models
 * @since 0.2.0
 */
export interface Layers<E = never, E2 = never> {
  /**
   * Where events go and are read from: a backend of one's own, or one with policies of one's own around it. Options about the
   * choice of the backend are refused beside it. A layer that provides `Cli.DefaultNamespace` too says which namespace is
   * meant where none is named.
   */
  readonly backend?: Layer.Layer<Backend, E> | undefined
  /**
   * How events are accepted: with a journal of one's own, with several sinks. All options of the recorder are refused beside
   * it, except the drain timeout, which must be that of the recorder.
   */
  readonly recorder?: Layer.Layer<Recorder.Recorder, E2, Backend | Templates.Templates> | undefined
}

/** Nothing but the first step: what the others hold back protects an API server. */
const EQUAL_EVENTS: Correlation.Options = { ...Correlation.defaults, aggregateAt: 0, burst: 0 }

const chosenRecorder = (options: Options): Layer.Layer<Recorder.Recorder, SetupError, Backend | Templates.Templates> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { mode } = yield* Backend
      const isRemote = mode === "kubernetes" || mode === "postgres"
      const { correlation = mode === "postgres" ? EQUAL_EVENTS : Correlation.defaults } = options
      if (!isRemote) return Recorder.layerDirect({ ...options, correlation })
      const directory = options.journal ?? (yield* Config.withDefault(Config.String("TIDINGS_JOURNAL"), ""))
      const journal = directory === "" ? Journal.layerMemory() : FileJournal.layer({ directory })
      const sinks = [Recorder.sink({ name: "default", backend: Backend, correlation })]
      return Layer.provide(Recorder.layer({ ...options, sinks }), journal)
    })
  )

const chosenBackend = (options: Options): Layer.Layer<Backend, SetupError> => {
  const backend = BackendChoice.layer(options)
  // What the backend's layer says beside the backend, such as the namespace that is meant, is kept.
  return Layer.provideMerge(Policy.batch()(backend), backend)
}

const over = <E>(
  backend: Layer.Layer<Backend, E>,
  recorder: Layer.Layer<Recorder.Recorder, E, Backend | Templates.Templates>
): Layer.Layer<Services, E | Templates.CatalogueError> =>
  EventManager.layer.pipe(
    Layer.provideMerge(EventGenerator.layer),
    Layer.provideMerge(recorder),
    Layer.provideMerge(Templates.layer),
    Layer.provideMerge(backend)
  )

/**
 * Everything over the backend that `BackendChoice` chooses: the journalled recorder for a cluster and a database, which may be
 * away for a while, the direct one for the event log and memory. With either the same event again becomes a count, unless
 * `correlation` says otherwise.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Services, SetupError> => layerWith({}, options)

/**
 * The same with layers of the host's own.
 *
 * **Example** (A backend that some events never reach)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Policy from "@tidings/core/Policy"
 * import * as Tidings from "tidings/Tidings"
 *
 * export const layer = Tidings.layerWith({ backend: Backend.layerMemory().pipe(Policy.retry()) }, { component: "shop" })
 * ```
 *
 * @category layers
 * @since 0.2.0
 */
export const layerWith = <E = never, E2 = never>(
  layers: Layers<E, E2>,
  given: Options = {}
): Layer.Layer<Services, E | E2 | SetupError> =>
  Layer.unwrap(
    Effect.suspend(() => {
      const issues = options.issuesOfLayer(given, layers)
      return issues.length > 0
        ? Effect.fail(new InvalidOptions({ issues }))
        : Effect.succeed(
            over<E | E2 | SetupError>(layers.backend ?? chosenBackend(given), layers.recorder ?? chosenRecorder(given))
          )
    })
  )

/**
 * The same, with every option from the environment: `TIDINGS_BACKEND`, `TIDINGS_DIRECTORY`, `TIDINGS_DATABASE`,
 * `TIDINGS_JOURNAL`, `KUBECONFIG`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = layer()

// ---------------------------------------------------------------------------
// promises
// ---------------------------------------------------------------------------

/**
 * The built-in catalogue's methods as promises.
 *
 * @category models
 * @since 0.1.0
 */
export type PromisedGenerator = Promised.Generator<typeof EventGenerator.kinds>

/**
 * Tidings for a host that is not on Effect.
 *
 * **Example** (Open, record, read, close)
 *
 * ```ts
 * import * as Tidings from "tidings/Tidings"
 * import assert from "node:assert/strict"
 *
 * await using tidings = await Tidings.create({ backend: "memory", component: "my-service" })
 * await tidings.generator.workflowEvent({ metadata: { name: "deploy" } }, "WorkflowStepFailed", { stepId: "build" })
 * const { events } = await tidings.queryEvents({ eventType: "Warning" })
 * assert.equal(events[0]?.event.reason, "WorkflowStepFailed")
 * ```
 *
 * **Example** (A catalogue of the host's own)
 *
 * ```ts
 * import * as EventCatalogue from "@tidings/core/EventCatalogue"
 * import * as Tidings from "tidings/Tidings"
 * import assert from "node:assert/strict"
 *
 * class Orders extends EventCatalogue.Service<Orders>()("shop/Orders", {
 *   Order: {
 *     apiVersion: "shop.example.com/v1",
 *     fields: { took: "duration" },
 *     reasons: { OrderShipped: { meaning: "The order is on its way.", message: "Order {{.Name}} was shipped after {{.Took}}" } }
 *   }
 * }) {}
 *
 * await using tidings = await Tidings.create({ backend: "memory", catalogues: [Orders] })
 * await tidings.orders.orderEvent({ metadata: { name: "o-17" } }, "OrderShipped", { took: 90_000 })
 * const { events } = await tidings.queryEvents({ resourceType: "Order" })
 * assert.equal(events[0]?.event.message, "Order o-17 was shipped after 1m30s")
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const create = <const Cs extends ReadonlyArray<Promised.Catalogue> = readonly []>(
  options?: CreateOptions<Cs>
): Promise<Tidings & Promised.Catalogues<Cs>> => createWith({}, options)

/**
 * The same with layers of the host's own, for what the options do not reach: policies, routes, several sinks, a backend of
 * one's own.
 *
 * **Example** (A store in memory that is tried again)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Policy from "@tidings/core/Policy"
 * import * as Tidings from "tidings/Tidings"
 * import assert from "node:assert/strict"
 *
 * const backend = Backend.layerMemory().pipe(Policy.retry())
 * await using tidings = await Tidings.createWith({ backend }, { component: "my-service" })
 * assert.equal(tidings.isKubernetesMode, false)
 * ```
 *
 * @category constructors
 * @since 0.2.0
 */
export const createWith = async <
  E = never,
  E2 = never,
  const Cs extends ReadonlyArray<Promised.Catalogue> = readonly []
>(
  layers: Layers<E, E2>,
  given: CreateOptions<Cs> = {}
): Promise<Tidings & Promised.Catalogues<Cs>> => {
  const read = host.read(given, layers)
  const backend: Layer.Layer<Backend, E | SetupError> = layers.backend ?? chosenBackend(read.options)
  return host.make(
    (readings) =>
      over<E | E2 | SetupError>(Layer.provideMerge(readings, backend), layers.recorder ?? chosenRecorder(read.options)),
    read
  )
}

/**
 * The services behind the promises, for what only the Effect API has, such as what is parked.
 *
 * **Example** (What is parked)
 *
 * ```ts
 * import * as Recorder from "@tidings/core/Recorder"
 * import * as Effect from "effect/Effect"
 * import * as Tidings from "tidings/Tidings"
 * import assert from "node:assert/strict"
 *
 * await using tidings = await Tidings.create({ backend: "memory" })
 * const parked = Recorder.Recorder.use((recorder) => recorder.parked)
 * assert.deepEqual(await Effect.runPromiseWith(Tidings.contextOf(tidings))(parked), [])
 * ```
 *
 * @category getters
 * @since 0.2.0
 */
export const contextOf = (tidings: Tidings): Context.Context<Services> => host.contextOf(tidings)
