/**
 * The handle that a host keeps: record about any object, query and watch.
 *
 * For events of kinds that a catalogue declares, prefer the catalogue's own methods (`EventManager.generator` for the
 * built-in one): they know which reasons a kind has and which data each needs.
 *
 * @since 0.1.0
 */
import * as Suggestion from "@tidings/templates/Suggestion"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as BackendModule from "./Backend.ts"
import { Backend } from "./Backend.ts"
import type { BackendError } from "./BackendError.ts"
import type { EventType, StoredEventType } from "./Event.ts"
import type { CallOptions, Fields } from "./EventCatalogue.ts"
import type { EventDataInput } from "./EventData.ts"
import { EventGenerator } from "./EventGenerator.ts"
import type {
  EventFilter,
  EventPage,
  EventQuery,
  ObjectSelector,
  OneOrMore,
  PageToken,
  WatchFrom,
  WatchItem
} from "./EventQuery.ts"
import * as acceptance from "./internal/acceptance.ts"
import * as declaredFields from "./internal/declaredFields.ts"
import { fairly } from "./internal/fairness.ts"
import * as text from "./internal/text.ts"
import { InvalidEvent, type Issue } from "./InvalidEvent.ts"
import type { ObjectReference } from "./ObjectReference.ts"
import * as RecorderModule from "./Recorder.ts"
import { type Recorded, type RecordError, Recorder } from "./Recorder.ts"
import * as TemplatesModule from "./Templates.ts"
import { type CatalogueError, Templates } from "./Templates.ts"
import * as Timestamp from "./Timestamp.ts"

/**
 * Which events are meant, as callers write it: times as `Date`, `DateTime` or RFC 3339 text. Where one value can stand, a list
 * of values can too, of which any one matches; an empty list matches nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventFilterInput {
  readonly resourceType?: OneOrMore<string> | undefined
  readonly resourceName?: OneOrMore<string> | undefined
  /** Involved objects by kind and name together. */
  readonly object?: OneOrMore<ObjectSelectorInput> | undefined
  /** Of the event itself, as `kubectl get events -n` means it. */
  readonly namespace?: OneOrMore<string> | undefined
  /** Of the involved object; the empty text means objects that are in no namespace. */
  readonly objectNamespace?: OneOrMore<string> | undefined
  /** Of the involved object: `apps`; the empty text means the core group. */
  readonly apiGroup?: OneOrMore<string> | undefined
  /** By id or name. */
  readonly cluster?: OneOrMore<string> | undefined
  /** `Normal`, `Warning`, or a type that another writer uses. */
  readonly eventType?: OneOrMore<StoredEventType> | undefined
  readonly reason?: OneOrMore<string> | undefined
  readonly source?: OneOrMore<string> | undefined
  /** Labels that the event has with exactly these values, all of them. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** A plain text in the message; upper and lower case are the same. */
  readonly match?: string | undefined
  /** The name of the event object itself. */
  readonly name?: OneOrMore<string> | undefined
  /** The identity of the series, as `EventId.format` writes it. */
  readonly id?: OneOrMore<string> | undefined
  /** Last seen at this time or later. */
  readonly since?: Timestamp.Input | undefined
  /** Last seen at this time or earlier; of a `Date` or `DateTime`, within its millisecond or earlier. */
  readonly until?: Timestamp.Input | undefined
}

/**
 * An involved object as callers name it.
 *
 * @category models
 * @since 0.2.0
 */
export interface ObjectSelectorInput {
  readonly kind: string
  readonly name: string
  /** `apps`; the empty text means the core group. */
  readonly apiGroup?: string | undefined
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
    return `invalid query: ${issues.join("; ")}`
  }
}

/**
 * What a call can say beside object, reason and data: the same as to a catalogue's method.
 *
 * @category models
 * @since 0.1.0
 */
export type CreateOptions = CallOptions

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
    /**
     * Records with the message that the template of the reason makes of the data. For reasons known only at run time: what
     * the catalogue's own method would refuse to do without is marked in the message (`Step <no stepId> of …`).
     *
     * Data that a catalogue declares for the kind of the object is read as the catalogue's own method reads it.
     */
    readonly createEventWithData: (
      reference: ObjectReference,
      reason: string,
      data: EventDataInput,
      options?: CreateOptions
    ) => Effect.Effect<Recorded, RecordError>
    /** The events that match, newest first; all of them unless the query says otherwise. */
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

const FILTER_FIELDS = [
  "resourceType",
  "resourceName",
  "object",
  "namespace",
  "objectNamespace",
  "apiGroup",
  "cluster",
  "eventType",
  "reason",
  "source",
  "labels",
  "match",
  "name",
  "id",
  "since",
  "until"
] as const satisfies ReadonlyArray<keyof EventFilterInput>

const QUERY_FIELDS = [...FILTER_FIELDS, "limit", "page"] as const satisfies ReadonlyArray<keyof EventQueryInput>

/** Of these the empty text is a value: in no namespace, of the core group. */
const MAY_BE_EMPTY: ReadonlySet<string> = new Set(["objectNamespace", "apiGroup"])

const isMisspelt = (type: string): boolean =>
  type !== "Normal" && type !== "Warning" && /^(?:normal|warning)$/i.test(type)

/**
 * A `Date` or `DateTime` is a whole millisecond, while events have microseconds: `until` takes in all of that millisecond, so
 * that an event is found by the `Date` of its own time, and by one made right after it.
 */
const LAST_OF_MILLISECOND = 999

const EXPECTED_TIME = `a Date, a DateTime or a time such as "2026-01-31T12:00:00Z"`

type Note = (field: string, found: unknown, expected: string) => void

const readText = (key: string, value: unknown, note: Note): string | undefined => {
  // In another case it is a slip, and in no store.
  if (key === "eventType" && (typeof value !== "string" || isMisspelt(value))) {
    note(key, value, "Normal, Warning, or a type that another writer uses")
  } else if (typeof value !== "string") note(key, value, "a text or a list of texts")
  else return value
  return undefined
}

/** One text as itself, of a list each of its texts. */
const readTexts = (key: string, value: unknown, note: Note): OneOrMore<string> | undefined => {
  if (!Array.isArray(value)) return readText(key, value, note)
  const texts: Array<string> = []
  for (const [index, one] of value.entries()) {
    if (one === "" && !MAY_BE_EMPTY.has(key)) note(`${key}[${index}]`, one, "a text that is not empty")
    const read = readText(key, one, (_, found, expected) => note(`${key}[${index}]`, found, expected))
    if (read !== undefined) texts.push(read)
  }
  return texts
}

const readObject = (key: string, value: unknown, note: Note): ObjectSelector | undefined => {
  const expected = `an object such as { kind: "Workflow", name: "deploy" }`
  if (typeof value !== "object" || value === null) {
    note(key, value, expected)
    return undefined
  }
  const { apiGroup, kind, name, ...others } = value as Readonly<Record<string, unknown>>
  const unknown = Object.keys(others)[0]
  if (unknown !== undefined) {
    note(`${key}.${text.tidy(unknown, 100)}`, others[unknown], among("a field", unknown, ["kind", "name", "apiGroup"]))
    return undefined
  }
  if (typeof kind !== "string" || kind === "") note(`${key}.kind`, kind, `a kind such as "Workflow"`)
  else if (typeof name !== "string" || name === "") note(`${key}.name`, name, "the name of an object")
  else if (apiGroup === undefined) return { kind, name }
  else if (typeof apiGroup === "string") return { kind, name, apiGroup }
  else note(`${key}.apiGroup`, apiGroup, `a text such as "apps"`)
  return undefined
}

const readObjects = (key: string, value: unknown, note: Note): OneOrMore<ObjectSelector> | undefined =>
  Array.isArray(value)
    ? value.flatMap((one, index) => readObject(`${key}[${index}]`, one, note) ?? [])
    : readObject(key, value, note)

/** An object with fields: of a `Map`, a list or a `Date` none would be read, and a filter without fields matches everything. */
const isObject = (value: unknown): value is object => Object.prototype.toString.call(value) === "[object Object]"

const readLabels = (key: string, value: unknown, note: Note): Readonly<Record<string, string>> | undefined => {
  if (!isObject(value)) {
    note(key, value, `an object such as { team: "payments" }`)
    return undefined
  }
  const labels = Object.entries(value)
  for (const [name, label] of labels) {
    if (typeof label !== "string") note(`${key}.${text.tidy(name, 100)}`, label, "a text")
  }
  // Also one called `__proto__`, which an assignment would lose, and the filter with it.
  return Object.fromEntries(labels)
}

type Mutable = { -readonly [K in keyof EventQuery]: EventQuery[K] }

const readField = (query: Mutable, key: keyof EventQueryInput, value: unknown, note: Note): void => {
  const set = <K extends keyof EventQuery>(key: K, read: EventQuery[K] | undefined): void => {
    if (read !== undefined) query[key] = read
  }
  switch (key) {
    case "since":
    case "until": {
      const micros = Timestamp.fromInput(value as Timestamp.Input)
      if (micros === undefined) return note(key, value, EXPECTED_TIME)
      const isMillisecond = typeof value !== "string" && micros % 1_000 === 0
      return set(key, key === "until" && isMillisecond ? micros + LAST_OF_MILLISECOND : micros)
    }
    case "limit":
      return Number.isSafeInteger(value) && (value as number) >= 0
        ? set(key, value as number)
        : note(key, value, "a whole number from 0")
    case "page":
      return typeof value === "string" ? set(key, value as PageToken) : note(key, value, "the next of an earlier page")
    case "match":
      return typeof value === "string" ? set(key, value) : note(key, value, "a text")
    case "object":
      return set(key, readObjects(key, value, note))
    case "labels":
      return set(key, readLabels(key, value, note))
    default:
      return set(key, readTexts(key, value, note))
  }
}

const read = (input: EventQueryInput, fields: ReadonlyArray<string>, issues: Array<Issue>): EventQuery => {
  const query: Mutable = {}
  const note: Note = (field, found, expected) => {
    issues.push({ field, found: text.show(found), expected })
  }
  if (!isObject(input)) {
    note("query", input, `an object with any of ${fields.join(", ")}`)
    return query
  }
  for (const key of Object.keys(input) as ReadonlyArray<keyof EventQueryInput>) {
    const value: unknown = input[key]
    // Nothing said, as a form or a command line leaves it; but of what may be empty, the empty text is one.
    if (value === undefined || (value === "" && !MAY_BE_EMPTY.has(key))) continue
    if (fields.includes(key)) readField(query, key, value, note)
    else note(text.tidy(key, 100), value, among("a field", key, fields))
  }
  return query
}

/** A getter or a proxy of the caller may throw: that is its mistake, and an error like any other. */
const readable: typeof read = (input, fields, issues) => {
  try {
    return read(input, fields, issues)
  } catch (thrown) {
    issues.push(acceptance.unreadable("query", thrown))
    return {}
  }
}

const among = (what: string, found: unknown, known: ReadonlyArray<string>): string => {
  const meant = typeof found === "string" ? Suggestion.nearest(found, known) : undefined
  const list = known.length === 0 ? what : `${what}: ${known.join(", ")}`
  return meant === undefined ? list : `${list} (did you mean ${meant}?)`
}

/**
 * Reads a query as callers write it. What is `undefined` or the empty text says nothing, except that an empty
 * `objectNamespace` or `apiGroup` means objects without a namespace and those of the core group; anything else must be
 * right. A list of values matches any of them.
 *
 * **Example** (Times as text, and what is wrong)
 *
 * ```ts
 * import { toQuery } from "@tidings/core/EventManager"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const query = await Effect.runPromise(
 *   toQuery({ since: "1970-01-01T00:00:01Z", namespace: "", reason: ["WorkflowFailed", "StepFailed"] })
 * )
 * assert.deepEqual(query, { since: 1_000_000, reason: ["WorkflowFailed", "StepFailed"] })
 *
 * const error = await Effect.runPromise(Effect.flip(toQuery({ since: "yesterday", limit: -1 })))
 * assert.deepEqual(error.issues.map(({ field }) => field), ["since", "limit"])
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const toQuery = (input: EventQueryInput): Effect.Effect<EventQuery, InvalidQuery> =>
  Effect.suspend(() => {
    const issues: Array<Issue> = []
    const query = readable(input, QUERY_FIELDS, issues)
    return issues.length === 0 ? Effect.succeed(query) : Effect.fail(new InvalidQuery({ issues }))
  })

const isFrom = (from: unknown): from is WatchFrom => {
  try {
    return typeof from === "object" && from !== null && "last" in from
      ? Number.isSafeInteger(from.last) && Number(from.last) >= 0
      : typeof from === "string" && from !== ""
  } catch {
    // A getter of the caller threw.
    return false
  }
}

const toWatch = (
  filter: EventFilterInput,
  from: WatchFrom
): Effect.Effect<readonly [EventFilter, WatchFrom], InvalidQuery> =>
  Effect.suspend(() => {
    const issues: Array<Issue> = []
    const query = readable(filter, FILTER_FIELDS, issues)
    if (!isFrom(from)) {
      const expected = `"beginning", "now", { last: 10 } or the cursor of an item`
      issues.push({ field: "from", found: text.show(from), expected })
    }
    return issues.length === 0 ? Effect.succeed([query, from] as const) : Effect.fail(new InvalidQuery({ issues }))
  })

const invalidEvent = (field: string, found: unknown, expected: string): Effect.Effect<never, InvalidEvent> =>
  Effect.fail(new InvalidEvent({ issues: [{ field, found: text.show(found), expected }] }))

/** The same of a call that records. */
const readably =
  <Arguments extends ReadonlyArray<unknown>>(
    record: (...call: Arguments) => Effect.Effect<Recorded, RecordError>
  ): ((...call: Arguments) => Effect.Effect<Recorded, RecordError>) =>
  (...call) =>
    Effect.suspend(() => {
      try {
        return record(...call)
      } catch (thrown) {
        return Effect.fail(new InvalidEvent({ issues: [acceptance.unreadable("event", thrown)] }))
      }
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
    const query = fairly(yield* Clock.Clock, (asked: EventQuery) => backend.query(asked))

    // A registration makes other fields for its kinds, so their readers are made anew too.
    const readers = new WeakMap<Fields, ReturnType<typeof declaredFields.reader>>()
    const readData = (kind: string, data: EventDataInput): declaredFields.Reading => {
      const fields = templates.kind(kind)?.fields
      if (fields === undefined) return { data, issues: undefined }
      if (!readers.has(fields)) readers.set(fields, declaredFields.reader(fields))
      return readers.get(fields)?.(data) ?? { data, issues: undefined }
    }

    return EventManager.of({
      createEvent: (involvedObject, reason, message, type) =>
        recorder.record({ involvedObject, reason, message, type }),
      createEventForCRD: (kind, name, namespace, reason, message, type) => {
        const entry = templates.kind(kind)
        if (entry === undefined) {
          const known = templates.kinds().map(({ kind }) => kind)
          return invalidEvent("kind", kind, among("a kind that a catalogue declares", kind, known))
        }
        const { apiVersion } = entry
        const involvedObject = namespace === "" ? { apiVersion, kind, name } : { apiVersion, kind, name, namespace }
        return recorder.record({ involvedObject, reason, message, type })
      },
      createEventWithData: readably((involvedObject, reason, data, options) => {
        const { data: read, issues = [] } = readData(involvedObject?.kind, data)
        const at = options?.at === undefined ? undefined : Timestamp.fromInput(options.at)
        if (issues.length > 0) return Effect.fail(new InvalidEvent({ issues }))
        if (options?.at !== undefined && at === undefined) return invalidEvent("options.at", options.at, EXPECTED_TIME)
        return recorder.record({
          involvedObject,
          reason,
          data: read,
          type: options?.type,
          action: options?.action,
          related: options?.related,
          labels: options?.labels,
          at
        })
      }),
      queryEvents: (asked = {}) => Effect.flatMap(toQuery(asked), query),
      watchEvents: (filter = {}, from = "now") =>
        Stream.unwrap(Effect.map(toWatch(filter, from), ([filter, from]) => backend.watch(filter, from))),
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
  options?: RecorderModule.DirectOptions
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
  options?: RecorderModule.DirectOptions & { readonly capacity?: number | undefined }
): Layer.Layer<
  Backend | EventManager | EventGenerator | Recorder | Templates,
  RecorderModule.InvalidRecorderOptions | CatalogueError
> => Layer.provideMerge(layerDirect(options), BackendModule.layerMemory(options))
