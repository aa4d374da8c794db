/**
 * The port between what a host records and where it is delivered.
 *
 * Hosts do not call it: they record through `EventGenerator`, through a catalogue of their own, or through
 * `EventManager`, all of which stand in front of it.
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
import type { Options as SinkOptions } from "./internal/sink/context.ts"
import * as text from "./internal/text.ts"
import * as timeout from "./Timeout.ts"
import * as tracing from "./internal/tracing.ts"
import type { Issue } from "./InvalidEvent.ts"
import { Journal, type JournalError } from "./Journal.ts"
import { Templates } from "./Templates.ts"
import * as Transform from "./Transform.ts"

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
 * Options of a recorder that cannot work: each field, what was found in it and what would be right.
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
 * What every event of a recorder carries, and what stands before acceptance.
 *
 * @category options
 * @since 0.1.0
 */
export interface RecorderOptions {
  /** `source.component`: who reports. `tidings` unless given. */
  readonly component?: string | undefined
  /** `source.host`: on which machine. */
  readonly host?: string | undefined
  /** The controller, a qualified name such as `example.com/workflows`. The component unless given. */
  readonly reportingController?: string | undefined
  /** Which replica of it, such as the pod's name. The host unless given, else the controller. */
  readonly reportingInstance?: string | undefined
  /** Applied in this order, before the message is rendered. */
  readonly transforms?: ReadonlyArray<Transform.Transform> | undefined
  /** Whether values under keys that name secrets are masked, after the transforms. `true` unless given. */
  readonly maskSecrets?: boolean | undefined
  /** How many events `recordNow` keeps waiting at the most. 10,000 unless given. */
  readonly queueCapacity?: number | undefined
  /**
   * How long the closing scope waits for what is accepted and not delivered. 10 seconds unless given. An event that is being
   * stored when it begins to close is waited for at least a second.
   */
  readonly drainTimeout?: Duration.Input | undefined
  /** How long one write may take; then its outcome is unknown and it is repeated. 30 seconds unless given. */
  readonly writeTimeout?: Duration.Input | undefined
}

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * A recorder for which the backend's own write is the acceptance: nothing is kept twice.
 *
 * The recorder for a backend that is near and sure, such as the event log on disk or memory. Each occurrence is a series
 * of its own.
 *
 * - `record` fails when the event certainly was not written, with the backend's reason. Where nobody can tell, it repeats
 *   the write with the same id until somebody can, so a caller never repeats `record`.
 * - `recordNow` queues at most `queueCapacity` events. One worker writes them, repeating what fails without end. When the
 *   scope closes it has `drainTimeout`; what is left then is counted as dropped, `shutdown`.
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
 * @category layers
 * @since 0.1.0
 */
export const layerDirect = (
  options?: RecorderOptions
): Layer.Layer<Recorder, InvalidRecorderOptions, Backend | Templates> =>
  Layer.effect(
    Recorder,
    Effect.gen(function* () {
      const prepare = yield* preparation(options)
      const durations = yield* readDurations({
        drainTimeout: options?.drainTimeout ?? "10 seconds",
        writeTimeout: options?.writeTimeout ?? "30 seconds"
      })
      const made = yield* directRecorder.make({
        prepare,
        backend: yield* Backend,
        queueCapacity: Math.max(1, options?.queueCapacity ?? 10_000),
        ...durations
      })
      return tracing.recorder(made)
    })
  )

/**
 * A destination of a recorder, with a cursor of its own over the journal: a slow or dead one never holds up another.
 *
 * `backend` is the key of a backend. Two sinks need two keys, or both would get the same one:
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
  /** Names its cursor in the journal and its metrics: never change it while something is pending. */
  readonly name: string
  readonly backend: Effect.Effect<BackendService, never, R>
  /** `Correlation.defaults` unless given. */
  readonly correlation?: Correlation.Options | undefined
  /** Writes under way at once. 16 unless given. */
  readonly concurrency?: number | undefined
  /** Items in one write. 32 unless given. */
  readonly batch?: number | undefined
  /** Series in memory that wait for delivery; what is beyond stays in the journal. 1,024 unless given. */
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
 * A recorder that accepts into a journal and delivers in the background: the recorder for a cluster.
 *
 * `record` resolves when the event is as durable as the journal promises. From then on it becomes visible in every
 * sink's backend, counted exactly once, across outages of any length, and across restarts where the journal outlives
 * them. Retry is without end; what a backend will never take is parked. When the scope closes, the recorder refuses new
 * events, lets go of what is held and delivers until `drainTimeout`; the rest stays in a durable journal and is counted as
 * dropped, `shutdown`, of one in memory.
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
export const layer = <R = Backend>(
  options?: Omit<RecorderOptions, "writeTimeout"> & {
    /** One sink to `Backend` unless given. */
    readonly sinks?: ReadonlyArray<Sink<R>> | undefined
  }
): Layer.Layer<Recorder, InvalidRecorderOptions | JournalError, Journal | Templates | R> =>
  Layer.effect(
    Recorder,
    Effect.gen(function* () {
      const prepare = yield* preparation(options)
      // Where no sinks are given, nothing else says what `R` is, and it is `Backend`; the compiler cannot know.
      const given =
        options?.sinks ?? ([sink({ name: "default", backend: Backend })] as unknown as ReadonlyArray<Sink<R>>)
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
        prepare,
        journal: yield* Journal,
        sinks: backends,
        queueCapacity: Math.max(1, options?.queueCapacity ?? 10_000),
        ...(yield* readDurations({ drainTimeout: options?.drainTimeout ?? "10 seconds" }))
      })
      return tracing.recorder(made, links)
    })
  )

/** Reads options that are durations: each from zero on. */
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

/** What the compiler sees, and plain JavaScript does not. */
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

const preparation = Effect.fnUntraced(function* (options: RecorderOptions | undefined) {
  const templates = yield* Templates
  const component = options?.component ?? "tidings"
  const reportingController = options?.reportingController ?? component
  const reportingInstance = options?.reportingInstance ?? options?.host ?? reportingController
  const ofReporter = acceptance.checkReporter(reportingController, reportingInstance).map((issue) =>
    // The option that was given is the one to mend.
    issue.field === "reportingController" && options?.reportingController === undefined
      ? { ...issue, field: "component", expected: `${issue.expected}, or a reportingController beside it` }
      : issue
  )
  const issues = [...checkOptions(options ?? {}), ...ofReporter]
  if (issues.length > 0) return yield* new InvalidRecorderOptions({ issues })
  const transforms = options?.transforms ?? []
  return acceptance.make({
    transforms: options?.maskSecrets === false ? transforms : [...transforms, Transform.redact()],
    source: options?.host === undefined ? { component } : { component, host: options.host },
    reportingController,
    reportingInstance,
    clock: yield* Clock.Clock,
    render: templates.render,
    typeOf: (reason) => templates.reason(reason)?.type,
    apiVersionOf: (kind) => templates.kind(kind)?.apiVersion
  })
})
