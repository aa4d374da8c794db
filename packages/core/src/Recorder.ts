/**
 * The layers of the recorder, which accepts the events of a host and delivers them to backends.
 *
 * Hosts seldom call the recorder itself: they record with `EventGenerator`, with a catalogue of their own, or with
 * `EventManager`, which all call it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Backend, type Service as BackendService } from "./Backend.ts"
import * as Correlation from "./Correlation.ts"
import { Recorder } from "./Delivery.ts"
import * as acceptance from "./internal/acceptance.ts"
import * as directRecorder from "./internal/direct/recorder.ts"
import * as journalRecorder from "./internal/journal/recorder.ts"
import type { Preparation } from "./internal/intake.ts"
import type { Options as SinkOptions } from "./internal/sink/context.ts"
import * as text from "./internal/text.ts"
import * as timeout from "./Timeout.ts"
import * as tracing from "./internal/tracing.ts"
import * as transitionGate from "./internal/transitionGate.ts"
import type { Issue } from "./InvalidEvent.ts"
import { Journal, type JournalError } from "./Journal.ts"
import { Templates } from "./Templates.ts"
import * as Transform from "./Transform.ts"
import type { Transition } from "./Transition.ts"

// ---------------------------------------------------------------------------
// what a recorder takes and answers
// ---------------------------------------------------------------------------

export type { EventDraft } from "./EventDraft.ts"

export {
  Closed,
  type Delivered,
  type FlushReport,
  InvalidTimeout,
  type ParkedSeries,
  type Recorded,
  type RecordError,
  Recorder,
  RecorderError,
  type RecorderErrorReason,
  type RecorderStatus,
  Rejected,
  type Settlement,
  type SinkStatus,
  Unknown
} from "./Delivery.ts"

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

/**
 * Invalid options of a recorder: each field, what was found in it and what is expected.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidRecorderOptions extends Data.TaggedError("InvalidRecorderOptions")<{
  readonly issues: ReadonlyArray<Issue>
}> {
  override get message(): string {
    const issues = this.issues.map(({ expected, field, found }) => `${field} is ${found}, expected ${expected}`)
    return `the recorder cannot start: ${issues.join("; ")}`
  }
}

/**
 * What a recorder sets in every event, how it prepares events, and its limits.
 *
 * @category options
 * @since 0.1.0
 */
export interface RecorderOptions {
  /** `source.component` of every event: the reporting program. `tidings` unless given. */
  readonly component?: string | undefined
  /** `source.host` of every event: the machine it runs on. */
  readonly host?: string | undefined
  /** The controller, a qualified name such as `example.com/workflows`. The component unless given. */
  readonly reportingController?: string | undefined
  /** The replica of the controller, such as the name of its pod. The host unless given, else the controller. */
  readonly reportingInstance?: string | undefined
  /** Applied to each event in this order, before its message is rendered. */
  readonly transforms?: ReadonlyArray<Transform.Transform> | undefined
  /**
   * Whether events that report a state again and again, such as failed health checks, are recorded only when the state
   * changes: `true` for the transitions of the built-in reasons (`Transition.builtIn`), or a list of transitions. What is
   * held back is counted in `status.filtered`. `false` unless given: every occurrence is recorded.
   */
  readonly onlyTransitions?: boolean | ReadonlyArray<Transition> | undefined
  /** Whether values whose keys name secrets are masked, after the transforms. `true` unless given. */
  readonly maskSecrets?: boolean | undefined
  /** Maximum number of events of `recordNow` that wait. 10,000 unless given. */
  readonly queueCapacity?: number | undefined
  /**
   * How long the scope, when it closes, waits for the delivery of what is accepted. 10 seconds unless given. An event that
   * is being stored when it begins to close is awaited for at least one second.
   */
  readonly drainTimeout?: Duration.Input | undefined
  /** How long one write may take; then its outcome is unknown and it is repeated. 30 seconds unless given. */
  readonly writeTimeout?: Duration.Input | undefined
}

/**
 * The options of a recorder without a journal.
 *
 * @category options
 * @since 0.2.0
 */
export interface DirectOptions extends RecorderOptions {
  /**
   * Whether the same event again becomes a count, as on a cluster: `Correlation.defaults`, or how many series are
   * remembered. `Correlation.off` unless given: each occurrence is a series of its own.
   */
  readonly correlation?: Correlation.RepeatOptions | undefined
}

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * A recorder without a journal: an event is accepted when the backend has written it.
 *
 * For a local, reliable backend, such as the event log on disk or memory. Each occurrence is a series of its own, unless
 * `correlation` is given: then the same event again (object, related object, reason, type, action and message are equal;
 * the data may differ) is the same series with a greater count, within the life of one recorder.
 *
 * - An occurrence is a write of its own in either case, and is stored before its caller is answered: a line in the event
 *   log, with its own data. What folds is what readers see: one event, its count, its first and last time, and the data of
 *   its latest occurrence. The id in the answer is that of the series.
 * - Equal events that are recorded at the same time are written one after the other. Different ones never wait for each
 *   other.
 * - An occurrence that was refused is not counted. While the outcome of one is unknown, the next one begins a new series, so
 *   that each occurrence that was stored is counted once.
 * - As with client-go, a restart begins new series.
 *
 * - `record` fails with the error of the backend when the event certainly was not written. Where the outcome of a write is
 *   not known, it retries the write with the same id until it is, so a caller never has to repeat `record`.
 * - `recordNow` queues at most `queueCapacity` events. One worker writes them, and retries failures without end. When the
 *   scope closes it has `drainTimeout`; what is left then is counted as dropped, with the reason `shutdown`.
 *
 * **Example** (Recording in memory)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Recorder from "@tidings/core/Recorder"
 * import * as Templates from "@tidings/core/Templates"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import assert from "node:assert/strict"
 *
 * const Live = Recorder.layerDirect({ component: "example" }).pipe(
 *   Layer.provideMerge(Layer.merge(Templates.layer, Backend.layerMemory()))
 * )
 * const status = await Effect.runPromise(
 *   Effect.gen(function* () {
 *     const recorder = yield* Recorder.Recorder
 *     yield* recorder.record({ involvedObject: { kind: "Pod", name: "web" }, reason: "Started", message: "It runs" })
 *     return yield* recorder.status
 *   }).pipe(Effect.provide(Live))
 * )
 * assert.equal(status.accepted, 1)
 * assert.equal(status.sinks["default"]?.settled, 1)
 * ```
 *
 * **Example** (The same event again becomes a count)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Correlation from "@tidings/core/Correlation"
 * import * as Recorder from "@tidings/core/Recorder"
 * import * as Templates from "@tidings/core/Templates"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import assert from "node:assert/strict"
 *
 * const Live = Recorder.layerDirect({ correlation: Correlation.defaults }).pipe(
 *   Layer.provideMerge(Layer.merge(Templates.layer, Backend.layerMemory()))
 * )
 * const page = await Effect.runPromise(
 *   Effect.gen(function* () {
 *     const recorder = yield* Recorder.Recorder
 *     const draft = { involvedObject: { kind: "Pod", name: "web" }, reason: "Restarted", message: "It runs again" }
 *     for (let n = 0; n < 1_000; n++) yield* recorder.record(draft)
 *     return yield* (yield* Backend.Backend).query({})
 *   }).pipe(Effect.provide(Live))
 * )
 * assert.deepEqual(page.events.map(({ count }) => count), [1_000])
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDirect = (
  options?: DirectOptions
): Layer.Layer<Recorder, InvalidRecorderOptions, Backend | Templates> =>
  Layer.effect(
    Recorder,
    Effect.gen(function* () {
      const preparation = yield* prepare(options)
      const capacity = yield* readCapacity(options?.correlation)
      const durations = yield* readDurations({
        drainTimeout: options?.drainTimeout ?? "10 seconds",
        writeTimeout: options?.writeTimeout ?? "30 seconds"
      })
      const made = yield* directRecorder.make({
        preparation,
        backend: yield* Backend,
        queueCapacity: Math.max(1, options?.queueCapacity ?? 10_000),
        capacity,
        ...durations
      })
      return tracing.recorder(made)
    })
  )

/**
 * A destination of a recorder. Each has its own position in the journal, so a slow or failing one never delays another.
 *
 * `backend` is the service key of a backend. Two sinks need two keys, or both would get the same backend:
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Recorder from "@tidings/core/Recorder"
 * import * as Context from "effect/Context"
 *
 * export class Archive extends Context.Service<Archive, Backend.Service>()("example/Archive") {}
 *
 * export const sinks = [
 *   Recorder.sink({ name: "cluster", backend: Backend.Backend }),
 *   Recorder.sink({ name: "archive", backend: Archive, correlation: "off" })
 * ]
 * ```
 *
 * @category options
 * @since 0.1.0
 */
export interface Sink<R> {
  readonly name: string
  readonly backend: Effect.Effect<BackendService, never, R>
  readonly options: Omit<SinkOptions, "name" | "writeTimeout"> & { readonly writeTimeout: Duration.Input }
}

/**
 * Makes a sink.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sink = <R>(options: {
  /** Identifies its position in the journal and its metrics: never change it while something is pending. */
  readonly name: string
  readonly backend: Effect.Effect<BackendService, never, R>
  /** `Correlation.defaults` unless given. */
  readonly correlation?: Correlation.Options | undefined
  /** Maximum number of writes in flight. 16 unless given. */
  readonly concurrency?: number | undefined
  /** Maximum number of series in one write. 32 unless given. */
  readonly batch?: number | undefined
  /** Maximum number of series that wait for delivery in memory; the others stay in the journal. 1,024 unless given. */
  readonly capacity?: number | undefined
  /** How long one write may take; then its outcome is unknown and it is repeated. 30 seconds unless given. */
  readonly writeTimeout?: Duration.Input | undefined
}): Sink<R> => ({
  name: options.name,
  backend: options.backend,
  options: {
    correlation: options.correlation ?? Correlation.defaults,
    concurrency: Math.max(1, options.concurrency ?? 16),
    batch: Math.max(1, options.batch ?? 32),
    capacity: Math.max(1, options.capacity ?? 1_024),
    writeTimeout: options.writeTimeout ?? "30 seconds"
  }
})

/**
 * A recorder with a journal, which delivers in the background: the recorder for a cluster.
 *
 * `record` resolves when the event is in the journal, with the durability of the journal. It is then delivered to the
 * backend of every sink and counted exactly once, through outages of any length, and through restarts where the journal
 * survives them. Retries are without end; what a backend will never accept is parked. When the scope closes, the recorder
 * refuses new events, releases what correlation holds, and delivers until `drainTimeout`. The rest stays in a durable
 * journal; with one in memory it is counted as dropped, with the reason `shutdown`.
 *
 * **Example** (A journal in memory, one sink)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Journal from "@tidings/core/Journal"
 * import * as Recorder from "@tidings/core/Recorder"
 * import * as Templates from "@tidings/core/Templates"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import assert from "node:assert/strict"
 *
 * const Live = Recorder.layer({ component: "example" }).pipe(
 *   Layer.provideMerge(Layer.mergeAll(Templates.layer, Backend.layerMemory(), Journal.layerMemory()))
 * )
 * const page = await Effect.runPromise(
 *   Effect.gen(function* () {
 *     const recorder = yield* Recorder.Recorder
 *     const draft = { involvedObject: { kind: "Pod", name: "web" }, reason: "Restarted", message: "It runs again" }
 *     for (let n = 0; n < 1_000; n++) yield* recorder.record(draft)
 *     yield* recorder.flush("5 seconds")
 *     return yield* (yield* Backend.Backend).query({})
 *   }).pipe(Effect.provide(Live))
 * )
 * assert.equal(page.totalCount, 1)
 * assert.equal(page.events[0]?.count, 1_000)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export function layer(
  options?: JournalOptions & { readonly sinks?: undefined }
): Layer.Layer<Recorder, InvalidRecorderOptions | JournalError, Journal | Templates | Backend>
export function layer<const Sinks extends ReadonlyArray<Sink<unknown>>>(
  options: JournalOptions & { readonly sinks: Sinks }
): Layer.Layer<Recorder, InvalidRecorderOptions | JournalError, Journal | Templates | SinkServices<Sinks[number]>>
export function layer(
  options?: JournalOptions & { readonly sinks?: ReadonlyArray<Sink<unknown>> | undefined }
): Layer.Layer<Recorder, InvalidRecorderOptions | JournalError, unknown> {
  return layerOf(options, options?.sinks ?? [sink({ name: "default", backend: Backend })])
}

/** One sink to `Backend` unless `sinks` are given. Each sink has a `writeTimeout` of its own. */
type JournalOptions = Omit<RecorderOptions, "writeTimeout">

type SinkServices<S> = S extends Sink<infer R> ? R : never

const layerOf = <R>(
  options: JournalOptions | undefined,
  given: ReadonlyArray<Sink<R>>
): Layer.Layer<Recorder, InvalidRecorderOptions | JournalError, Journal | Templates | R> =>
  Layer.effect(
    Recorder,
    Effect.gen(function* () {
      const preparation = yield* prepare(options)
      const names = given.map(({ name }) => name)
      const twice = names.find((name, index) => names.indexOf(name) !== index)
      if (given.length === 0 || twice !== undefined) {
        const found = twice === undefined ? "no sink" : `two sinks named "${twice}"`
        return yield* new InvalidRecorderOptions({
          issues: [{ field: "sinks", found, expected: "at least one sink, each with a name of its own" }]
        })
      }
      const links = new tracing.Links()
      const backends: Array<{ readonly options: SinkOptions; readonly backend: BackendService }> = []
      for (const { backend, name, options: sinkOptions } of given) {
        const { correlation } = sinkOptions
        const { writeTimeout } = yield* readDurations({ writeTimeout: sinkOptions.writeTimeout })
        if (correlation !== "off") {
          const { aggregateWindow, refill } = correlation
          yield* readDurations({ "correlation.aggregateWindow": aggregateWindow, "correlation.refill": refill })
        }
        backends.push({
          backend: tracing.backend(yield* backend, name, links),
          options: { name, ...sinkOptions, writeTimeout }
        })
      }
      const made = yield* journalRecorder.make({
        preparation,
        journal: yield* Journal,
        sinks: backends,
        queueCapacity: Math.max(1, options?.queueCapacity ?? 10_000),
        ...(yield* readDurations({ drainTimeout: options?.drainTimeout ?? "10 seconds" }))
      })
      return tracing.recorder(made, links)
    })
  )

/** Reads options that are durations, from zero on. */
const readDurations = <Name extends string>(
  given: Readonly<Record<Name, Duration.Input>>
): Effect.Effect<Readonly<Record<Name, Duration.Duration>>, InvalidRecorderOptions> =>
  Effect.suspend(() => {
    const issues: Array<Issue> = []
    const durations = {} as Record<Name, Duration.Duration>
    for (const field in given) {
      const duration = timeout.read(given[field])
      if (duration !== undefined) durations[field] = duration
      else issues.push({ field, found: text.show(given[field]), expected: timeout.EXPECTED })
    }
    return issues.length === 0 ? Effect.succeed(durations) : Effect.fail(new InvalidRecorderOptions({ issues }))
  })

/** How many series a recorder without a journal remembers; none where it correlates nothing. */
const readCapacity = (
  given: Correlation.RepeatOptions | undefined
): Effect.Effect<number | undefined, InvalidRecorderOptions> =>
  Effect.suspend(() => {
    if (given === undefined || given === Correlation.off) return Effect.succeed(undefined)
    // Plain JavaScript may give anything.
    const isObject = typeof given === "object" && given !== null
    const capacity = isObject ? (given.capacity ?? Correlation.defaults.capacity) : undefined
    if (Number.isSafeInteger(capacity) && capacity! >= 1) return Effect.succeed(capacity)
    const issue = isObject
      ? { field: "correlation.capacity", found: text.show(capacity), expected: "a whole number from 1" }
      : {
          field: "correlation",
          found: text.show(given),
          expected: `"${Correlation.off}", or an object such as Correlation.defaults`
        }
    return Effect.fail(new InvalidRecorderOptions({ issues: [issue] }))
  })

/** Checks for plain JavaScript what the compiler checks. */
const checkOptions = ({ component, host, queueCapacity }: RecorderOptions): ReadonlyArray<Issue> => {
  const issues: Array<Issue> = []
  for (const [field, found] of Object.entries({ component, host })) {
    if (found === undefined || (typeof found === "string" && found !== "")) continue
    issues.push({ field, found: text.show(found), expected: "a text that is not empty" })
  }
  if (queueCapacity !== undefined && !Number.isSafeInteger(queueCapacity)) {
    issues.push({ field: "queueCapacity", found: text.show(queueCapacity), expected: "a whole number from 1" })
  }
  return issues
}

const prepare = Effect.fnUntraced(function* (
  options: RecorderOptions | undefined
): Effect.fn.Return<Preparation, InvalidRecorderOptions, Templates> {
  const templates = yield* Templates
  const component = options?.component ?? "tidings"
  const reportingController = options?.reportingController ?? component
  const reportingInstance = options?.reportingInstance ?? options?.host ?? reportingController
  const ofReporter = acceptance.checkReporter(reportingController, reportingInstance).map((issue) =>
    // The issue names the option that the caller has given.
    issue.field === "reportingController" && options?.reportingController === undefined
      ? { ...issue, field: "component", expected: `${issue.expected}, or a reportingController beside it` }
      : issue
  )
  const issues = [...checkOptions(options ?? {}), ...ofReporter]
  const transitions = transitionGate.read(issues, options?.onlyTransitions)
  if (issues.length > 0) return yield* new InvalidRecorderOptions({ issues })
  const transforms = options?.transforms ?? []
  const clock = yield* Clock.Clock
  return {
    prepare: acceptance.make({
      transforms: options?.maskSecrets === false ? transforms : [...transforms, Transform.redact()],
      source: options?.host === undefined ? { component } : { component, host: options.host },
      reportingController,
      reportingInstance,
      clock,
      render: templates.render,
      typeOf: (reason) => templates.reason(reason)?.type,
      apiVersionOf: (kind) => templates.kind(kind)?.apiVersion
    }),
    transitions: transitions.length === 0 ? undefined : new transitionGate.TransitionGate(transitions, clock)
  }
})
