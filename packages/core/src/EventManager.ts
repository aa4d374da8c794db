/**
 * The handle that a host keeps: record about any object, query and watch.
 *
 * For events of kinds that a catalogue declares, prefer the catalogue's own methods (`EventManager.generator` for the
 * built-in one): they know which reasons a kind has and which data each needs.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as BackendModule from "./Backend.ts"
import { Backend } from "./Backend.ts"
import type { BackendError } from "./BackendError.ts"
import type { EventType } from "./Event.ts"
import type { EventDataInput } from "./EventData.ts"
import { EventGenerator } from "./EventGenerator.ts"
import type { EventFilter, EventPage, EventQuery, PageToken, WatchFrom, WatchItem } from "./EventQuery.ts"
import * as text from "./internal/text.ts"
import { InvalidEvent, type Issue } from "./InvalidEvent.ts"
import type { ObjectReference } from "./ObjectReference.ts"
import * as RecorderModule from "./Recorder.ts"
import { type EventDraft, type Recorded, type RecordError, Recorder } from "./Recorder.ts"
import * as TemplatesModule from "./Templates.ts"
import { type CatalogueError, Templates } from "./Templates.ts"
import * as Timestamp from "./Timestamp.ts"

/**
 * Which events are meant, as callers write it: times as `Date`, `DateTime` or RFC 3339 text.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventFilterInput {
  readonly resourceType?: string | undefined
  readonly resourceName?: string | undefined
  readonly namespace?: string | undefined
  readonly eventType?: EventType | undefined
  readonly reason?: string | undefined
  readonly source?: string | undefined
  /** Last seen at this time or later. */
  readonly since?: Timestamp.Input | undefined
  /** Last seen at this time or earlier. */
  readonly until?: Timestamp.Input | undefined
}

/**
 * A query as callers write it.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventQueryInput extends EventFilterInput {
  /** How many events at the most; all of them when absent. */
  readonly limit?: number | undefined
  /** The `next` of an earlier page. */
  readonly page?: PageToken | undefined
}

/**
 * A query that cannot be asked: each field, what was found in it and what would be right.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidQuery extends Data.TaggedError("InvalidQuery")<{
  readonly issues: ReadonlyArray<Issue>
}> {
  override get message(): string {
    const issues = this.issues.map(({ expected, field, found }) => `${field} is ${found}, expected ${expected}`)
    return `the query cannot be asked: ${issues.join("; ")}`
  }
}

/**
 * What a call can say beside object, reason and data.
 *
 * @category models
 * @since 0.1.0
 */
export interface CreateOptions {
  readonly type?: EventType | undefined
  readonly action?: string | undefined
  readonly related?: ObjectReference | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
}

/**
 * Records events about any object, and reads them back.
 *
 * @category services
 * @since 0.1.0
 */
export class EventManager extends Context.Service<
  EventManager,
  {
    /** Records with a message of the caller's own, which is taken as it is. */
    readonly createEvent: (
      reference: ObjectReference,
      reason: string,
      message: string,
      type: EventType
    ) => Effect.Effect<Recorded, RecordError>
    /**
     * The same for an object of a kind that some catalogue declares, whose apiVersion it therefore knows. An empty
     * namespace stands for a cluster-scoped object.
     */
    readonly createEventForCRD: (
      kind: string,
      name: string,
      namespace: string,
      reason: string,
      message: string,
      type: EventType
    ) => Effect.Effect<Recorded, RecordError>
    /** Records with the message that the template of the reason makes of the data. For reasons known only at run time. */
    readonly createEventWithData: (
      reference: ObjectReference,
      reason: string,
      data: EventDataInput,
      options?: CreateOptions
    ) => Effect.Effect<Recorded, RecordError>
    /** The events that match, newest first. */
    readonly queryEvents: (query?: EventQueryInput) => Effect.Effect<EventPage, InvalidQuery | BackendError>
    /** A snapshot, `Live`, then what changes; from `"now"` unless told otherwise. */
    readonly watchEvents: (
      filter?: EventFilterInput,
      from?: WatchFrom
    ) => Stream.Stream<WatchItem, InvalidQuery | BackendError>
    /** Whether the backend that is read is a cluster; constant for the life of the layer. */
    readonly isKubernetesMode: boolean
    /** The built-in catalogue's methods. */
    readonly generator: EventGenerator["Service"]
  }
>()("@tidings/core/EventManager") {}

/**
 * Reads a query as callers write it.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toQuery = (input: EventQueryInput): Effect.Effect<EventQuery, InvalidQuery> =>
  Effect.suspend(() => {
    const issues: Array<Issue> = []
    const query: { -readonly [K in keyof EventQuery]: EventQuery[K] } = {}
    for (const key of ["resourceType", "resourceName", "namespace", "reason", "source"] as const) {
      const value = input[key]
      if (value === undefined || value === "") continue
      if (typeof value === "string") query[key] = value
      else issues.push({ field: key, found: text.show(value), expected: "a text" })
    }
    if (input.eventType !== undefined) {
      if (input.eventType === "Normal" || input.eventType === "Warning") query.eventType = input.eventType
      else issues.push({ field: "eventType", found: text.show(input.eventType), expected: "Normal or Warning" })
    }
    for (const key of ["since", "until"] as const) {
      const value = input[key]
      if (value === undefined) continue
      const micros = typeof value === "number" ? undefined : Timestamp.fromInput(value)
      if (micros !== undefined) query[key] = micros
      else {
        issues.push({
          field: key,
          found: text.show(value),
          expected: `a Date, a DateTime or a time such as "2026-01-31T12:00:00Z"`
        })
      }
    }
    if (input.limit !== undefined) {
      if (Number.isSafeInteger(input.limit) && input.limit >= 0) query.limit = input.limit
      else issues.push({ field: "limit", found: text.show(input.limit), expected: "a whole number from 0" })
    }
    if (input.page !== undefined) query.page = input.page
    return issues.length === 0 ? Effect.succeed(query) : Effect.fail(new InvalidQuery({ issues }))
  })

/**
 * Makes the manager from the services it stands on.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<EventManager["Service"], never, Backend | EventGenerator | Recorder | Templates> =
  Effect.gen(function* () {
    const backend = yield* Backend
    const generator = yield* EventGenerator
    const recorder = yield* Recorder
    const templates = yield* Templates
    return EventManager.of({
      createEvent: (involvedObject, reason, message, type) =>
        recorder.record({ involvedObject, reason, message, type }),
      createEventForCRD: (kind, name, namespace, reason, message, type) => {
        const entry = templates.kind(kind)
        if (entry === undefined) {
          const known = templates.kinds().map(({ kind }) => kind)
          const expected =
            known.length === 0
              ? "a kind that a catalogue declares"
              : `a kind that a catalogue declares: ${known.join(", ")}`
          return Effect.fail(new InvalidEvent({ issues: [{ field: "kind", found: text.show(kind), expected }] }))
        }
        const involvedObject: ObjectReference =
          namespace === ""
            ? { apiVersion: entry.apiVersion, kind, name }
            : { apiVersion: entry.apiVersion, kind, name, namespace }
        return recorder.record({ involvedObject, reason, message, type })
      },
      createEventWithData: (involvedObject, reason, data, options) => {
        const draft: EventDraft = { involvedObject, reason, data }
        return recorder.record(options === undefined ? draft : { ...draft, ...options })
      },
      queryEvents: (query = {}) => Effect.flatMap(toQuery(query), backend.query),
      watchEvents: (filter = {}, from = "now") =>
        Stream.unwrap(Effect.map(toQuery(filter), (filter: EventFilter) => backend.watch(filter, from))),
      isKubernetesMode: backend.mode === "kubernetes",
      generator
    })
  })

/**
 * The manager over services that the host has composed itself.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<EventManager, never, Backend | EventGenerator | Recorder | Templates> = Layer.effect(
  EventManager,
  make
)

/**
 * Everything over a backend whose own write is the acceptance: templates, the built-in catalogue, the direct recorder
 * and the manager.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDirect = (
  options?: RecorderModule.RecorderOptions
): Layer.Layer<
  EventManager | EventGenerator | Recorder | Templates,
  RecorderModule.InvalidRecorderOptions | CatalogueError,
  Backend
> =>
  layer.pipe(
    Layer.provideMerge(EventGenerator.layer),
    Layer.provideMerge(RecorderModule.layerDirect(options)),
    Layer.provideMerge(TemplatesModule.layer)
  )

/**
 * Everything in memory, for tests and short-lived programs.
 *
 * **Example** (Record, then query)
 *
 * ```ts
 * import * as EventManager from "@tidings/core/EventManager"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const messages = await Effect.runPromise(
 *   Effect.gen(function* () {
 *     const manager = yield* EventManager.EventManager
 *     const server = { metadata: { name: "search", namespace: "default" } }
 *     yield* manager.generator.mcpServerEvent(server, "MCPServerFailed", { error: "connection refused" })
 *     const page = yield* manager.queryEvents({ eventType: "Warning" })
 *     return page.events.map(({ event }) => event.data.error)
 *   }).pipe(Effect.provide(EventManager.layerMemory()))
 * )
 * assert.deepEqual(messages, ["connection refused"])
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = (
  options?: RecorderModule.RecorderOptions & { readonly capacity?: number | undefined }
): Layer.Layer<
  Backend | EventManager | EventGenerator | Recorder | Templates,
  RecorderModule.InvalidRecorderOptions | CatalogueError
> => Layer.provideMerge(layerDirect(options), BackendModule.layerMemory(options))
