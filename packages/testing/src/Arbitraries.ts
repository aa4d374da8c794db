/**
 * Arbitraries of everything that travels through a recorder and a backend, for property tests.
 *
 * Two kinds of text run through them. What a caller may hand in (`anyText`, and so `eventDraft`) is any JavaScript
 * string, lone surrogates included. What a store holds (`text`, and so `eventData`, `eventBody`, `write`, `event`) is
 * well-formed Unicode, because nothing else survives JSON in every store. Both mix what `Schema.String` draws with texts
 * that have broken programs: template syntax, terminal sequences, line ends, quotes, names of `Object.prototype`.
 *
 * Everything that is written is valid for a Kubernetes API server: names, namespaces, labels, a reason of at most 128
 * bytes, a message of at most 1,024 bytes without control characters.
 *
 * @since 0.1.0
 */
import {
  type ClusterRef,
  type Event,
  type EventBody,
  type EventType,
  namespaceOf,
  type Occurrence,
  type StoredEventType,
  type Write
} from "@tidings/core/Event"
import type { EventData, EventDataInput, Json } from "@tidings/core/EventData"
import * as EventId from "@tidings/core/EventId"
import type { EventFilter, EventQuery, OneOrMore } from "@tidings/core/EventQuery"
import * as ObjectReference from "@tidings/core/ObjectReference"
import type { EventDraft } from "@tidings/core/Recorder"
import type { Micros } from "@tidings/core/Timestamp"
import * as Arbitrary from "effect/Arbitrary"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

// ---------------------------------------------------------------------------
// building blocks
// ---------------------------------------------------------------------------

const integer = (minimum: number, maximum: number): Arbitrary.Arbitrary<number> =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const boolean = Arbitrary.schema(Schema.Boolean)

const pattern = (expression: RegExp): Arbitrary.Arbitrary<string> =>
  Arbitrary.schema(Schema.String.check(Schema.isPattern(expression)))

/** Shrinks towards the first. */
const oneOf = <A>(...choices: ReadonlyArray<Arbitrary.Arbitrary<A>>): Arbitrary.Arbitrary<A> =>
  Arbitrary.flatMap(integer(0, choices.length - 1), (index) => choices[index]!)

const anyOf = <A>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.map(integer(0, values.length - 1), (index) => values[index]!)

const optional = <A>(present: Arbitrary.Arbitrary<A>): Arbitrary.Arbitrary<A | undefined> =>
  oneOf<A | undefined>(Arbitrary.Constant(undefined), present)

type Compact<T> = { readonly [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  readonly [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

const compact = <T extends object>(value: T): Compact<T> =>
  Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Compact<T>

const record = <F extends Record<string, Arbitrary.Arbitrary<unknown>>>(fields: F) =>
  Arbitrary.map(
    Arbitrary.all(fields) as Arbitrary.Arbitrary<{
      [K in keyof F]: F[K] extends Arbitrary.Arbitrary<infer A> ? A : never
    }>,
    (value) => compact(value)
  )

// ---------------------------------------------------------------------------
// texts
// ---------------------------------------------------------------------------

const hostile: ReadonlyArray<string> = [
  "plain",
  "",
  "{{.Name}}",
  "{{ if .Error }}",
  "{{/*",
  "}}",
  "${HOME} $(id) `id` %s %d",
  "\u001b[31mred\u001b[0m",
  "\u001b]0;title\u0007",
  "\u009b31m",
  "\u0000",
  "\u007f",
  "first\nsecond",
  "carriage\r\nreturn",
  "tab\tulator",
  "\u2028\u2029",
  "\u202eright to left",
  "\ufeff",
  "ünïcödé",
  "漢字かな",
  "👩‍👩‍👧‍👦",
  "e\u0301",
  "\"quoted\" and 'quoted'",
  "back\\slash and /slash",
  "</script>&amp;",
  "a,b=c;d:e",
  " around ",
  "../../passwd",
  "__proto__",
  "constructor",
  "toString",
  "null",
  "true",
  "-1e9",
  "1m30.5s",
  "2006-01-02T15:04:05Z",
  "long ".repeat(100)
]

const pieces = Arbitrary.map(Arbitrary.array(anyOf(hostile), { maxLength: 4 }), (parts) => parts.join(""))

/**
 * Any JavaScript string, lone surrogates and control characters included: what a caller may hand in.
 *
 * @category texts
 * @since 0.1.0
 */
export const anyText: Arbitrary.Arbitrary<string> = oneOf(
  Arbitrary.schema(Schema.String),
  anyOf(hostile),
  pieces,
  anyOf(["\ud800", "\udc00", "half \ud83d of an emoji", "\udc00\ud800"])
)

/**
 * Well-formed Unicode with difficult characters: every store must keep it unchanged.
 *
 * @category texts
 * @since 0.1.0
 */
export const text: Arbitrary.Arbitrary<string> = oneOf(
  Arbitrary.map(Arbitrary.schema(Schema.String), (value) => value.toWellFormed()),
  anyOf(hostile),
  pieces
)

const encoder = new TextEncoder()

const cut = (value: string, bytes: number): string => {
  if (encoder.encode(value).length <= bytes) return value
  let kept = ""
  let length = 0
  for (const character of value) {
    length += encoder.encode(character).length
    if (length > bytes) break
    kept += character
  }
  return kept
}

/**
 * A message as a recorder makes it: not empty, no control characters, at most 1,024 UTF-8 bytes.
 *
 * @category texts
 * @since 0.1.0
 */
export const message: Arbitrary.Arbitrary<string> = Arbitrary.map(
  oneOf(text, text, anyOf(["x".repeat(1_024), "ü".repeat(600), "🎉 ".repeat(300)])),
  (value) => cut(value.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ""), 1_024) || "message"
)

/**
 * The name of an object: a DNS-1123 subdomain, as nearly every kind of Kubernetes has it.
 *
 * @category texts
 * @since 0.1.0
 */
export const objectName: Arbitrary.Arbitrary<string> = oneOf(
  anyOf(["deploy", "deploy-2", "web-0.shop.example.com", "0", "a", `${"long-".repeat(40)}name`]),
  pattern(/^[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?$/)
)

/**
 * A namespace: a DNS-1123 label. Three that the contract suite uses come up often, so that filters match.
 *
 * @category texts
 * @since 0.1.0
 */
export const namespace: Arbitrary.Arbitrary<string> = oneOf(
  anyOf(["default", "team-a", "team-b"]),
  pattern(/^[a-z]([-a-z0-9]{0,10}[a-z0-9])?$/)
)

/**
 * A reason in CamelCase, at most 128 bytes.
 *
 * @category texts
 * @since 0.1.0
 */
export const reason: Arbitrary.Arbitrary<string> = oneOf(
  anyOf(["Started", "StepStarted", "StepFailed", "X", `Long${"Reason".repeat(20)}`]),
  pattern(/^[A-Z][A-Za-z0-9]{0,30}$/)
)

/**
 * Labels that Kubernetes takes.
 *
 * @category texts
 * @since 0.1.0
 */
export const labels: Arbitrary.Arbitrary<Readonly<Record<string, string>>> = Arbitrary.map(
  Arbitrary.array(
    Arbitrary.all({
      key: oneOf(
        anyOf(["app", "tier", "app.kubernetes.io/name", "example.com/Owner_1.x"]),
        pattern(/^[a-z][-a-z0-9]{0,8}[a-z0-9]$/)
      ),
      value: oneOf(anyOf(["", "shop", "A_b-c.9", "x".repeat(63)]), pattern(/^[a-z0-9]([-a-z0-9_.]{0,10}[a-z0-9])?$/))
    }),
    { maxLength: 4 }
  ),
  (entries) => Object.fromEntries(entries.map(({ key, value }) => [key, value]))
)

// ---------------------------------------------------------------------------
// data
// ---------------------------------------------------------------------------

const shortText = Arbitrary.map(text, (value) => cut(value, 60))

// No -0: JSON has none, so no store gives it back.
const scalar: Arbitrary.Arbitrary<Json> = oneOf<Json>(
  shortText,
  Arbitrary.Constant(null),
  boolean,
  integer(-1_000_000, 1_000_000),
  anyOf([0.1, -1.5, 1e300, 5e-324, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])
)

const objectOf = (value: Arbitrary.Arbitrary<Json>): Arbitrary.Arbitrary<{ readonly [key: string]: Json }> =>
  Arbitrary.map(Arbitrary.array(Arbitrary.all({ key: shortText, value }), { maxLength: 4 }), (entries) =>
    Object.fromEntries(entries.map(({ key, value }) => [key, value]))
  )

const nested = (value: Arbitrary.Arbitrary<Json>): Arbitrary.Arbitrary<Json> =>
  oneOf<Json>(value, Arbitrary.array(value, { maxLength: 4 }), objectOf(value))

/**
 * A JSON value up to four levels deep, with hostile keys and values.
 *
 * @category data
 * @since 0.1.0
 */
export const json: Arbitrary.Arbitrary<Json> = nested(nested(nested(scalar)))

/**
 * Nanoseconds, a whole number: zero, negative, tiny, and up to 104 days.
 *
 * @category data
 * @since 0.1.0
 */
export const durationNanos: Arbitrary.Arbitrary<number> = oneOf(
  anyOf([0, 1, -1, 999, 1_000, 1_500_000, 90_500_000_000, 3_600_000_000_000, Number.MAX_SAFE_INTEGER]),
  integer(-1_000_000_000, 100_000_000_000_000)
)

const dataFields = {
  operation: optional(text),
  serviceClass: optional(text),
  arguments: optional(objectOf(nested(nested(scalar)))),
  error: optional(text),
  stepCount: optional(oneOf(anyOf([0, 1, -1, Number.MAX_SAFE_INTEGER]), integer(-100, 100_000))),
  stepId: optional(text),
  stepTool: optional(text),
  conditionResult: optional(text),
  executionId: optional(text),
  toolNames: optional(Arbitrary.array(text, { maxLength: 5 })),
  allowFailure: optional(boolean)
}

/**
 * Event data as it is stored: each of the fourteen fields is there about every second time, and sometimes a field that a
 * host's own catalogue declares (`ticket`).
 *
 * @category data
 * @since 0.1.0
 */
export const eventData: Arbitrary.Arbitrary<EventData> = record({
  name: optional(objectName),
  namespace: optional(namespace),
  ...dataFields,
  duration: optional(durationNanos),
  ticket: optional(json)
})

const durationInput: Arbitrary.Arbitrary<NonNullable<EventDataInput["duration"]>> = oneOf<
  NonNullable<EventDataInput["duration"]>
>(
  integer(0, 100_000_000),
  anyOf<NonNullable<EventDataInput["duration"]>>([
    "5 seconds",
    "1m30.5s",
    "0s",
    "250ms",
    Duration.minutes(3),
    90_500_000_000n
  ])
)

const inputFields = {
  ...dataFields,
  operation: optional(anyText),
  serviceClass: optional(anyText),
  error: optional(anyText),
  stepId: optional(anyText),
  stepTool: optional(anyText),
  conditionResult: optional(anyText),
  executionId: optional(anyText),
  toolNames: optional(Arbitrary.array(anyText, { maxLength: 5 })),
  duration: optional(durationInput)
}

/**
 * Event data as a caller gives it: any text, durations in every form. Without `name` and `namespace`, which are the
 * involved object's; `eventDraft` adds them where they agree with it.
 *
 * @category data
 * @since 0.1.0
 */
export const eventDataInput: Arbitrary.Arbitrary<EventDataInput> = record(inputFields)

// ---------------------------------------------------------------------------
// events
// ---------------------------------------------------------------------------

const kinds = anyOf([
  { apiVersion: "muster.giantswarm.io/v1alpha1", kind: "Workflow" },
  { apiVersion: "shop.example.com/v1", kind: "Order" }
])

const uid = pattern(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)

// As people call what is in no cluster: an MCP server of a registry, and one of a settings file.
const involvedName = oneOf(
  objectName,
  objectName,
  anyOf(["io.github.acme/search", "Weather (staging)", "a%2fb", "a:b"])
)

const namespaced = Arbitrary.map(
  Arbitrary.all({
    kind: kinds,
    rest: record({
      name: involvedName,
      namespace,
      uid: optional(uid),
      fieldPath: optional(anyOf(["spec.containers{web}", "spec.steps{build}"]))
    })
  }),
  ({ kind, rest }): ObjectReference.ObjectReference => ({ ...kind, ...rest })
)

const clusterScoped = Arbitrary.map(
  record({ name: objectName, uid: optional(uid) }),
  (rest): ObjectReference.ObjectReference => ({
    apiVersion: "v1",
    kind: "Node",
    ...rest
  })
)

/**
 * A reference to a `Workflow`, an `Order`, or (cluster-scoped, without a namespace) a `Node`.
 *
 * @category events
 * @since 0.1.0
 */
export const objectReference: Arbitrary.Arbitrary<ObjectReference.ObjectReference> = oneOf(
  namespaced,
  namespaced,
  clusterScoped
)

/**
 * Microseconds since 1970, up to the year 2100.
 *
 * @category events
 * @since 0.1.0
 */
export const micros: Arbitrary.Arbitrary<Micros> = oneOf(
  integer(1_700_000_000_000_000, 1_700_000_000_000_100),
  anyOf([0, 1, 999_999, 1_000_000]),
  integer(0, 4_102_444_800_000_000)
)

const eventType: Arbitrary.Arbitrary<EventType> = anyOf<EventType>(["Normal", "Warning"])

/**
 * The identity of an event.
 *
 * @category events
 * @since 0.1.0
 */
export const eventId: Arbitrary.Arbitrary<EventId.EventId> = Arbitrary.all({
  origin: pattern(/^[0-9a-f]{32}$/),
  seq: oneOf(integer(1, 100), integer(1, Number.MAX_SAFE_INTEGER))
})

const bodyFields = {
  involvedObject: objectReference,
  related: optional(objectReference),
  reason,
  type: eventType,
  action: anyOf(["Run", "Step", "Reconcile"]),
  message,
  data: eventData,
  source: record({ component: anyOf(["controller", "controller-2", "agent"]), host: optional(objectName) }),
  reportingController: anyOf(["example.com/controller", "agent"]),
  reportingInstance: anyOf(["controller-0", "agent-7f9c"]),
  labels: optional(labels)
}

const agreeing = (data: EventData, { name, namespace }: ObjectReference.ObjectReference): EventData =>
  compact({
    ...data,
    name: data.name === undefined ? undefined : name,
    namespace: data.namespace === undefined ? undefined : namespace
  })

/**
 * An event as accepted. Where its data has a name or a namespace, it is that of the involved object.
 *
 * @category events
 * @since 0.1.0
 */
export const eventBody: Arbitrary.Arbitrary<EventBody> = Arbitrary.map(record(bodyFields), (body) => ({
  ...body,
  data: agreeing(body.data, body.involvedObject)
}))

/**
 * An event as it happened once.
 *
 * @category events
 * @since 0.1.0
 */
export const occurrence: Arbitrary.Arbitrary<Occurrence> = Arbitrary.map(
  Arbitrary.all({ body: eventBody, at: micros }),
  ({ at, body }) => ({ ...body, at })
)

/**
 * An event before acceptance, as hosts give it: every optional field is sometimes there, texts are any.
 *
 * All of them are in order: a recorder accepts each.
 *
 * @category events
 * @since 0.1.0
 */
export const eventDraft: Arbitrary.Arbitrary<EventDraft> = Arbitrary.map(
  Arbitrary.all({
    draft: record({
      involvedObject: objectReference,
      related: optional(objectReference),
      reason,
      type: optional(eventType),
      action: optional(anyOf(["Run", "Step", "Reconcile"])),
      message: optional(anyText),
      data: optional(eventDataInput),
      labels: optional(labels),
      at: optional(micros)
    }),
    named: boolean
  }),
  ({ draft, named }): EventDraft =>
    named
      ? {
          ...draft,
          data: { ...draft.data, name: draft.involvedObject.name, namespace: draft.involvedObject.namespace }
        }
      : draft
)

/**
 * The state of one series.
 *
 * @category events
 * @since 0.1.0
 */
export const write: Arbitrary.Arbitrary<Write> = Arbitrary.map(
  Arbitrary.all({
    id: eventId,
    event: eventBody,
    first: micros,
    more: integer(0, 50),
    gaps: integer(0, 50),
    lasted: oneOf(Arbitrary.Constant(0), integer(0, 3_600_000_000))
  }),
  ({ event, first, gaps, id, lasted, more }) => ({
    id,
    upTo: more === 0 ? id.seq : Math.min(Number.MAX_SAFE_INTEGER, id.seq + more + gaps),
    count: 1 + more,
    first,
    last: more === 0 ? first : first + lasted,
    event
  })
)

/**
 * An event as a backend gives it back: named, in a namespace of its own, and sometimes with what a store adds (cluster, uid,
 * resourceVersion, annotations) or with a type that only other writers use.
 *
 * @category events
 * @since 0.1.0
 */
export const event: Arbitrary.Arbitrary<Event> = Arbitrary.map(
  Arbitrary.all({
    write,
    added: record({
      cluster: optional(anyOf<ClusterRef>([{ id: "cluster-1" }, { id: "cluster-2", name: "production" }])),
      uid: optional(uid),
      creationTimestamp: optional(micros),
      resourceVersion: optional(anyOf(["1", "4711"])),
      annotations: optional(Arbitrary.map(text, (value) => ({ "example.com/note": value })))
    }),
    elsewhere: optional(anyOf(["kube-system"])),
    type: optional(anyOf(["Error", ""]))
  }),
  ({ added, elsewhere, type, write }) => ({
    ...write,
    name: EventId.objectName(write.id, write.event.involvedObject.name),
    namespace: elsewhere ?? namespaceOf(write),
    ...added,
    event: type === undefined ? write.event : { ...write.event, type }
  })
)

/**
 * What a recorder writes over some time: a script of writes over a few series, in the order of acceptance. Of each series
 * `upTo` and `count` grow; the time last seen does not always, because what happened earlier may be accepted later.
 *
 * **Example** (A property of a backend)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Arbitraries from "@tidings/testing/Arbitraries"
 * import * as Arbitrary from "effect/Arbitrary"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const everySeriesIsCounted = Arbitrary.checkEffect(Arbitraries.writes(), (script) =>
 *   Effect.gen(function* () {
 *     const backend = yield* Backend.Backend
 *     for (const write of script) yield* backend.write([write])
 *     const page = yield* backend.query({})
 *     return page.totalCount === new Set(script.map((write) => write.id.seq)).size
 *   }).pipe(Effect.provide(Backend.layerMemory(), { local: true }))
 * )
 * assert.equal((await Effect.runPromise(everySeriesIsCounted))._tag, "Passed")
 * ```
 *
 * @category events
 * @since 0.1.0
 */
export const writes = (options?: {
  /** How many series at the most; 5 unless given. */
  readonly series?: number | undefined
  /** How many writes at the most; 20 unless given. */
  readonly length?: number | undefined
}): Arbitrary.Arbitrary<ReadonlyArray<Write>> => {
  const series = options?.series ?? 5
  return Arbitrary.map(
    Arbitrary.all({
      origin: pattern(/^[0-9a-f]{32}$/),
      bodies: Arbitrary.array(eventBody, { minLength: series, maxLength: series }),
      steps: Arbitrary.array(
        Arbitrary.all({ series: integer(0, series - 1), skipped: integer(0, 3), at: integer(0, 30), message }),
        { minLength: 1, maxLength: options?.length ?? 20 }
      )
    }),
    ({ bodies, origin, steps }) => {
      const states = new Map<number, Write>()
      let seq = 0
      return steps.map((step) => {
        const state = states.get(step.series)
        const at = 1_700_000_000_000_000 + step.at
        seq += 1 + step.skipped
        const next: Write =
          state === undefined
            ? { id: { origin, seq }, upTo: seq, count: 1, first: at, last: at, event: bodies[step.series]! }
            : {
                ...state,
                upTo: seq,
                count: state.count + 1,
                first: Math.min(state.first, at),
                last: at,
                event: { ...state.event, message: step.message }
              }
        states.set(step.series, next)
        return next
      })
    }
  )
}

// ---------------------------------------------------------------------------
// filters and queries
// ---------------------------------------------------------------------------

/** One value, mostly, or a set of up to three. */
const oneOrMore = <A>(value: Arbitrary.Arbitrary<A>): Arbitrary.Arbitrary<OneOrMore<A>> =>
  oneOf<OneOrMore<A>>(value, value, Arbitrary.array(value, { maxLength: 3 }))

const kind = anyOf(["Workflow", "Order", "Node", "workflow"])
const apiGroup = anyOf(["muster.giantswarm.io", "shop.example.com", "", "apps"])

// With all of them so often, nothing would match.
const seldom = <A>(value: Arbitrary.Arbitrary<A>): Arbitrary.Arbitrary<A | undefined> => {
  const nothing = Arbitrary.Constant(undefined)
  return oneOf(nothing, nothing, nothing, nothing, value)
}

const filterFields = {
  resourceType: optional(oneOrMore(kind)),
  resourceName: optional(oneOrMore(objectName)),
  object: seldom(oneOrMore(record({ kind, name: objectName, apiGroup: optional(apiGroup) }))),
  namespace: optional(oneOrMore(namespace)),
  objectNamespace: optional(oneOrMore(oneOf(namespace, Arbitrary.Constant("")))),
  apiGroup: optional(oneOrMore(apiGroup)),
  cluster: seldom(oneOrMore(anyOf(["cluster-1", "production", "other"]))),
  eventType: optional(oneOrMore(oneOf<StoredEventType>(eventType, Arbitrary.Constant("Error")))),
  reason: optional(oneOrMore(reason)),
  source: optional(oneOrMore(anyOf(["controller", "agent", "control"]))),
  labels: seldom(labels),
  match: seldom(text),
  since: optional(micros),
  until: optional(micros)
}

/**
 * A filter whose values come from the same pools as the events' own.
 *
 * @category filters
 * @since 0.1.0
 */
export const eventFilter: Arbitrary.Arbitrary<EventFilter> = record(filterFields)

/**
 * A query: a filter, and sometimes a limit from 0 to 20. A page token comes only from an answer.
 *
 * @category filters
 * @since 0.1.0
 */
export const eventQuery: Arbitrary.Arbitrary<EventQuery> = record({ ...filterFields, limit: optional(integer(0, 20)) })

/**
 * A filter that takes each of its values from one of the given events, so that it matches some and not others.
 *
 * @category filters
 * @since 0.1.0
 */
export const eventFilterOf = (events: ReadonlyArray<Write>): Arbitrary.Arbitrary<EventFilter> => {
  if (events.length === 0) return eventFilter
  const of = <A>(value: (event: Write) => A) => anyOf(events.map(value))
  const pick = <A>(value: (event: Write) => A) => optional(oneOrMore(of(value)))
  const pickSeldom = <A>(value: (event: Write) => A) => seldom(oneOrMore(of(value)))
  return record({
    resourceType: pick(({ event }) => event.involvedObject.kind),
    resourceName: pick(({ event }) => event.involvedObject.name),
    object: pickSeldom(({ event: { involvedObject } }) => ({
      kind: involvedObject.kind,
      name: involvedObject.name,
      apiGroup: ObjectReference.groupOf(involvedObject)
    })),
    namespace: pick(namespaceOf),
    objectNamespace: pickSeldom(({ event }) => event.involvedObject.namespace ?? ""),
    apiGroup: pickSeldom(({ event }) => ObjectReference.groupOf(event.involvedObject)),
    cluster: pickSeldom(({ cluster }) => cluster?.name ?? cluster?.id ?? "other"),
    name: pickSeldom(({ event, id }) => EventId.objectName(id, event.involvedObject.name)),
    id: pickSeldom(({ id }) => EventId.format(id)),
    eventType: pick(({ event }) => event.type),
    reason: pick(({ event }) => event.reason),
    source: pick(({ event }) => event.source.component),
    labels: seldom(of(({ event }) => event.labels ?? {})),
    match: seldom(of(({ event }) => event.message.slice(1, 4).toUpperCase().toWellFormed())),
    since: optional(of(({ last }) => last)),
    until: optional(of(({ last }) => last))
  })
}
