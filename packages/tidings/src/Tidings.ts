/**
 * Everything a host needs, in one layer, and for hosts without Effect as promises.
 *
 * @since 0.1.0
 */
import * as FileJournal from "@tidings/backend-fs/FileJournal"
import { Backend } from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import type { EventType } from "@tidings/core/Event"
import type * as EventCatalogue from "@tidings/core/EventCatalogue"
import { EventGenerator } from "@tidings/core/EventGenerator"
import * as EventManager from "@tidings/core/EventManager"
import * as Journal from "@tidings/core/Journal"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import * as Policy from "@tidings/core/Policy"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import type { Mistake } from "@tidings/templates/TemplateCheck"
import * as Config from "effect/Config"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as BackendChoice from "./BackendChoice.ts"
import * as host from "./internal/promises/host.ts"
import * as options from "./internal/options.ts"
import type * as Promised from "./Promised.ts"
import { InvalidOptions } from "./Rejection.ts"

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
 * How events are recorded, and where.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Omit<Recorder.RecorderOptions, "writeTimeout">, BackendChoice.Options {
  /**
   * A directory that keeps accepted events until the cluster has them, across restarts. `TIDINGS_JOURNAL` unless given;
   * in memory when neither is. The event log needs none: what is recorded is in it.
   */
  readonly journal?: string | undefined
}

/**
 * What the layer of everything provides.
 *
 * @category models
 * @since 0.2.0
 */
export type Services = Backend | EventGenerator | EventManager.EventManager | Recorder.Recorder | Templates.Templates

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

const chosenRecorder = (options: Options): Layer.Layer<Recorder.Recorder, SetupError, Backend | Templates.Templates> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { mode } = yield* Backend
      if (mode !== "kubernetes") return Recorder.layerDirect(options)
      const directory = options.journal ?? (yield* Config.withDefault(Config.String("TIDINGS_JOURNAL"), ""))
      const journal = directory === "" ? Journal.layerMemory() : FileJournal.layer({ directory })
      return Layer.provide(Recorder.layer(options), journal)
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
 * Everything over the backend that `BackendChoice` chooses: the journalled recorder for a cluster, the direct one for the
 * event log and memory.
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
 * The same, with every option from the environment: `TIDINGS_BACKEND`, `TIDINGS_DIRECTORY`, `TIDINGS_JOURNAL`,
 * `KUBECONFIG`.
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
 * What `create` answers: `EventManager` as promises, without a type of Effect. Every rejection is an `Error` with a `_tag`:
 * see `Rejection`.
 *
 * What a call leaves out about its object is filled in as the command does: the namespace that is meant where none is named
 * (on a cluster that of the context, else `default`; the empty text stands for an object that has none), and the API version
 * of kinds that a catalogue declares or that every cluster has.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tidings extends AsyncDisposable {
  /** Records with a message of the caller's own, which is taken as it is. */
  readonly createEvent: (
    reference: ObjectReference,
    reason: string,
    message: string,
    type: EventType
  ) => Promise<Promised.Recorded>
  /** The same for an object of a kind that some catalogue declares, whose apiVersion it therefore knows. */
  readonly createEventForCRD: (
    kind: string,
    name: string,
    namespace: string | undefined,
    reason: string,
    message: string,
    type: EventType
  ) => Promise<Promised.Recorded>
  /** Records with the message that the template of the reason makes of the data. For reasons known only at run time. */
  readonly createEventWithData: (
    reference: ObjectReference,
    reason: string,
    data: Promised.EventData,
    options?: Promised.CallOptions
  ) => Promise<Promised.Recorded>
  /** The events that match, newest first; all of them unless the query says otherwise. */
  readonly queryEvents: (query?: Promised.Query, options?: Promised.Ending) => Promise<Promised.Page>
  /**
   * A snapshot, `Live`, then what changes; from `"now"` unless told otherwise. It ends when the loop that reads it does, when
   * the signal is aborted, or when everything is closed, and then leaves nothing behind that would keep the process from
   * ending.
   */
  readonly watchEvents: (
    filter?: Promised.Filter,
    from?: Promised.WatchFrom,
    options?: Promised.Ending
  ) => AsyncIterable<Promised.WatchItem>
  /** Whether the backend that is read is a cluster. */
  readonly isKubernetesMode: boolean
  /** The built-in catalogue's methods. */
  readonly generator: PromisedGenerator
  /** Replaces the message of a reason from now on; a bad template is refused, and the former one stays. */
  readonly setTemplate: (reason: string, template: string) => Promise<void>
  /** The template of a reason's message, `undefined` where it has none. */
  readonly getTemplate: (reason: string) => string | undefined
  /**
   * Waits until everything that was recorded before it, awaited or not, is delivered, or until the deadline, and tells what is
   * left.
   */
  readonly flush: (deadline: Promised.Timespan) => Promise<Recorder.FlushReport>
  readonly status: () => Promise<Promised.Status>
  /**
   * Waits for the calls that were made before it, awaited or not, and delivers what is accepted, until the drain timeout; then
   * lets go of everything. Calls that record are answered as the recorder answers them (`RecorderError` with the reason `Closed`
   * or `Unknown`, or accepted); later ones are refused, `Closed`. Queries that come later, or take longer, reject with
   * `BackendError`. Loops that watch end.
   */
  readonly close: () => Promise<void>
}

/**
 * How `create` records, and where.
 *
 * @category models
 * @since 0.2.0
 */
export interface CreateOptions<Cs extends ReadonlyArray<Promised.Catalogue> = readonly []> extends Omit<
  Options,
  "patience" | "loginTimeout" | "drainTimeout"
> {
  /** How long a cluster has to answer before `auto` takes the event log. 3 seconds unless given. */
  readonly patience?: Promised.Timespan | undefined
  /** How long a credential plugin may take. 15 minutes at a terminal and 1 minute elsewhere unless given. */
  readonly loginTimeout?: Promised.Timespan | undefined
  /** How long `close` waits for what is under way and not delivered. 10 seconds unless given. */
  readonly drainTimeout?: Promised.Timespan | undefined
  /**
   * The namespace of objects that name none. That of the context on a cluster, else `default`, unless given.
   */
  readonly namespace?: string | undefined
  /**
   * Catalogues of the host's own, each found at the last part of its id with a small letter: `"shop/Orders"` at `orders`.
   */
  readonly catalogues?:
    | (Cs & EventCatalogue.DistinctReasons<readonly [typeof EventGenerator, ...Cs]> & FreeNames<Cs>)
    | undefined
  /** Where what the library says goes: a logger such as `console`, or `false` for nowhere. stderr unless given. */
  readonly logger?: Promised.Logger | false | undefined
}

type FreeNames<Cs extends ReadonlyArray<Promised.Catalogue>> =
  TakenName<Cs, keyof Tidings> extends infer Name
    ? [Name] extends [never]
      ? unknown
      : ReadonlyArray<Mistake<`two things would have the name ${Name & string}`>>
    : never

type TakenName<Cs, Seen, Found = never> = Cs extends readonly [infer C, ...infer Rest]
  ? TakenName<Rest, Seen | Promised.CatalogueName<C>, Found | Extract<Promised.CatalogueName<C>, Seen>>
  : Found

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
 *     reasons: { OrderShipped: { meaning: "The parcel is on its way.", message: "Order {{.Name}} was shipped after {{.Took}}" } }
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
