/**
 * Everything a host needs, in one layer, and for hosts without Effect as promises.
 *
 * @since 0.1.0
 */
import * as FileJournal from "@tidings/backend-fs/FileJournal"
import { Backend } from "@tidings/core/Backend"
import { BackendError, Unavailable } from "@tidings/core/BackendError"
import type { Generator } from "@tidings/core/EventCatalogue"
import type { EventDataInput } from "@tidings/core/EventData"
import { EventGenerator } from "@tidings/core/EventGenerator"
import * as EventManager from "@tidings/core/EventManager"
import type { EventPage, WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import type { EventType } from "@tidings/core/Event"
import * as Journal from "@tidings/core/Journal"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import * as Policy from "@tidings/core/Policy"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Config from "effect/Config"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import * as BackendChoice from "./BackendChoice.ts"

/**
 * What the layer can fail with when it is built.
 *
 * @category errors
 * @since 0.1.0
 */
export type SetupError =
  | BackendError
  | Config.ConfigError
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

const recorder = (options: Options): Layer.Layer<Recorder.Recorder, SetupError, Backend | Templates.Templates> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { mode } = yield* Backend
      if (mode !== "kubernetes") return Recorder.layerDirect(options)
      const directory = options.journal ?? (yield* Config.withDefault(Config.String("TIDINGS_JOURNAL"), ""))
      const journal = directory === "" ? Journal.layerMemory() : FileJournal.layer({ directory })
      return Layer.provide(Recorder.layer(options), journal)
    })
  )

/**
 * Everything over the backend that `BackendChoice` chooses: the journalled recorder for a cluster, the direct one for the
 * event log and memory.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<
  Backend | EventGenerator | EventManager.EventManager | Recorder.Recorder | Templates.Templates,
  SetupError
> =>
  EventManager.layer.pipe(
    Layer.provideMerge(EventGenerator.layer),
    Layer.provideMerge(recorder(options)),
    Layer.provideMerge(Templates.layer),
    Layer.provideMerge(Policy.batch()(BackendChoice.layer(options)))
  )

/**
 * The same, with every option from the environment: `TIDINGS_BACKEND`, `TIDINGS_DIRECTORY`, `TIDINGS_JOURNAL`,
 * `KUBECONFIG`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = layer()

/**
 * The built-in catalogue's methods as promises.
 *
 * @category models
 * @since 0.1.0
 */
export type PromisedGenerator = Generator<typeof EventGenerator.kinds, Promise<Recorder.Recorded>>

/**
 * What `create` answers: `EventManager` as promises. Rejections are the typed errors of the Effect API.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tidings extends AsyncDisposable {
  readonly createEvent: (
    reference: ObjectReference,
    reason: string,
    message: string,
    type: EventType
  ) => Promise<Recorder.Recorded>
  readonly createEventForCRD: (
    kind: string,
    name: string,
    namespace: string,
    reason: string,
    message: string,
    type: EventType
  ) => Promise<Recorder.Recorded>
  readonly createEventWithData: (
    reference: ObjectReference,
    reason: string,
    data: EventDataInput,
    options?: EventManager.CreateOptions
  ) => Promise<Recorder.Recorded>
  readonly queryEvents: (query?: EventManager.EventQueryInput) => Promise<EventPage>
  /** Ends when the loop that reads it does, or when everything is closed. */
  readonly watchEvents: (filter?: EventManager.EventFilterInput, from?: WatchFrom) => AsyncIterable<WatchItem>
  readonly isKubernetesMode: boolean
  readonly generator: PromisedGenerator
  readonly flush: (deadline: Duration.Input) => Promise<Recorder.FlushReport>
  readonly status: () => Promise<Recorder.RecorderStatus>
  /**
   * Refuses new events, delivers what is accepted until the drain timeout, and lets go of everything. Calls that record are
   * answered as the recorder answers them (`RecorderError` with the reason `Closed` or `Unknown`, or accepted), and queries
   * that are under way or come later reject with `BackendError`.
   */
  readonly close: () => Promise<void>
}

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
 * @category constructors
 * @since 0.1.0
 */
export const create = async (options?: Options): Promise<Tidings> => {
  const runtime = ManagedRuntime.make(layer(options))
  const context = await runtime.context().catch(async (error: unknown) => {
    await runtime.dispose()
    throw error
  })
  const { manager, recorder } = Effect.runSyncWith(context)(
    Effect.all({ manager: EventManager.EventManager, recorder: Recorder.Recorder })
  )
  // Not in the scope of the runtime, which would interrupt callers before the recorder can tell them what became of their
  // events.
  const run = Effect.runPromiseWith(context)
  const closed = Deferred.makeUnsafe<void>()
  const whileOpen = <A, E>(reading: Effect.Effect<A, E>): Effect.Effect<A, E | BackendError> =>
    Effect.raceFirst(
      Effect.andThen(
        Deferred.await(closed),
        Effect.fail(new BackendError({ reason: new Unavailable({ detail: "it was closed" }) }))
      ),
      reading
    )
  type Method = (...args: ReadonlyArray<unknown>) => Effect.Effect<Recorder.Recorded, Recorder.RecordError>
  const methods = Object.entries(manager.generator as unknown as Readonly<Record<string, unknown>>).filter(
    (entry): entry is [string, Method] =>
      typeof entry[1] === "function" && (entry[0].endsWith("Event") || entry[0] === "emit")
  )
  const generator = Object.fromEntries(
    methods.map(([name, method]) => [name, (...args: ReadonlyArray<unknown>) => run(method(...args))])
  ) as unknown as PromisedGenerator
  const close = () => {
    Deferred.doneUnsafe(closed, Effect.void)
    return runtime.dispose()
  }
  return {
    createEvent: (...args) => run(manager.createEvent(...args)),
    createEventForCRD: (...args) => run(manager.createEventForCRD(...args)),
    createEventWithData: (...args) => run(manager.createEventWithData(...args)),
    queryEvents: (query) => run(whileOpen(manager.queryEvents(query))),
    watchEvents: (filter, from) =>
      Stream.toAsyncIterableWith(
        Stream.interruptWhen(manager.watchEvents(filter, from), Deferred.await(closed)),
        context
      ),
    isKubernetesMode: manager.isKubernetesMode,
    generator,
    flush: (deadline) => run(recorder.flush(deadline)),
    status: () => run(recorder.status),
    close,
    [Symbol.asyncDispose]: close
  }
}
