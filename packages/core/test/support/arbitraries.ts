import type { Event } from "@tidings/core/Event"
import type { EventData, Json } from "@tidings/core/EventData"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"

export const integer = (minimum: number, maximum: number): Arbitrary.Arbitrary<number> =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

export const oneOf = <A>(...choices: ReadonlyArray<Arbitrary.Arbitrary<A>>): Arbitrary.Arbitrary<A> =>
  Arbitrary.flatMap(integer(0, choices.length - 1), (index) => choices[index]!)

export const anyOf = <A>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.map(integer(0, values.length - 1), (index) => values[index]!)

const hostile = [
  "",
  "plain",
  "{{.Name}}",
  "\u001b[31m",
  "\u009b2J",
  "\u0000",
  "\u007f",
  "a\nb\r\n",
  "\t",
  "\u2028\u2029",
  "\u202e",
  "\ufeff",
  "ünï",
  "漢字",
  "👩‍👩‍👧‍👦",
  "\"q\" 'q'",
  "back\\slash",
  "__proto__",
  "constructor",
  "toString",
  "token",
  "null",
  "-1e9",
  "long ".repeat(300)
]

/** Well-formed Unicode, with what has broken programs. */
export const text: Arbitrary.Arbitrary<string> = oneOf(
  anyOf(hostile),
  Arbitrary.map(Arbitrary.schema(Schema.String), (value) => value.toWellFormed()),
  Arbitrary.map(Arbitrary.array(anyOf(hostile), { maxLength: 4 }), (parts) => parts.join(""))
)

/** Any string of JavaScript. */
export const anyText: Arbitrary.Arbitrary<string> = oneOf(
  text,
  Arbitrary.schema(Schema.String),
  anyOf(["\ud800", "a\udc00b", "\udc00\ud800", "\ud83d"])
)

const scalar: Arbitrary.Arbitrary<Json> = oneOf<Json>(
  text,
  anyOf<Json>([null, true, false, 0, 1, -1, 0.1, 1e300, 5e-324, Number.MAX_SAFE_INTEGER]),
  integer(-1_000_000, 1_000_000)
)

const record = (member: Arbitrary.Arbitrary<Json>): Arbitrary.Arbitrary<{ readonly [key: string]: Json }> =>
  Arbitrary.map(Arbitrary.array(Arbitrary.all({ key: text, member }), { maxLength: 4 }), (entries) =>
    Object.fromEntries(entries.map(({ key, member }) => [key, member]))
  )

const nested = (member: Arbitrary.Arbitrary<Json>): Arbitrary.Arbitrary<Json> =>
  oneOf<Json>(member, Arbitrary.array(member, { maxLength: 4 }), record(member))

/** JSON up to three levels deep, with hostile keys. */
export const json: Arbitrary.Arbitrary<Json> = nested(nested(scalar))

const optional = <A>(present: Arbitrary.Arbitrary<A>): Arbitrary.Arbitrary<A | undefined> =>
  oneOf<A | undefined>(Arbitrary.Constant(undefined), present)

const compact = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T

/** Whole microseconds of the years 0 to 9999, most of them near now. */
export const micros: Arbitrary.Arbitrary<number> = oneOf(
  integer(1_700_000_000_000_000, 1_800_000_000_000_000),
  anyOf([0, -1, 1, 999_999, 1_000_000, -62_167_219_200_000_000, 4_102_444_800_000_000]),
  integer(-9_000_000_000_000_000, 9_000_000_000_000_000)
)

const reference = Arbitrary.map(
  Arbitrary.all({
    kind: text,
    name: text,
    apiVersion: optional(text),
    namespace: optional(text),
    uid: optional(text),
    fieldPath: optional(text)
  }),
  compact
)

const texts = Arbitrary.map(Arbitrary.array(Arbitrary.all({ key: text, value: text }), { maxLength: 3 }), (entries) =>
  Object.fromEntries(entries.map(({ key, value }) => [key, value]))
)

const data = Arbitrary.map(
  Arbitrary.all({
    name: optional(text),
    namespace: optional(text),
    operation: optional(text),
    serviceClass: optional(text),
    arguments: optional(record(nested(scalar))),
    error: optional(text),
    duration: optional(oneOf(anyOf([0, 1, -1, 90_500_000_000, Number.MAX_SAFE_INTEGER, 2 ** 60]), integer(-1e9, 1e15))),
    stepCount: optional(integer(-5, 1_000)),
    stepId: optional(text),
    stepTool: optional(text),
    conditionResult: optional(text),
    executionId: optional(text),
    toolNames: optional(Arbitrary.array(text, { maxLength: 3 })),
    allowFailure: optional(Arbitrary.schema(Schema.Boolean)),
    ticket: optional(json)
  }),
  (fields) => compact(fields) as EventData
)

/** Any event that JSON can say, also one that no recorder would accept. */
export const event: Arbitrary.Arbitrary<Event> = Arbitrary.map(
  Arbitrary.all({
    origin: anyOf(["00000000000000000000000000000001", "9f2c4e52-0a1b-4c3d-8e4f-5a6b7c8d9e0f", "host.example:1"]),
    seq: oneOf(integer(0, 100), Arbitrary.Constant(Number.MAX_SAFE_INTEGER)),
    upTo: integer(0, Number.MAX_SAFE_INTEGER),
    count: integer(1, 1_000_000),
    first: micros,
    last: micros,
    name: text,
    uid: optional(text),
    annotations: optional(texts),
    involvedObject: reference,
    related: optional(reference),
    reason: Arbitrary.map(text, (value) => value || "Up"),
    type: anyOf(["Normal", "Warning"] as const),
    action: text,
    message: text,
    data,
    source: Arbitrary.map(Arbitrary.all({ component: text, host: optional(text) }), compact),
    reportingController: text,
    reportingInstance: text,
    labels: optional(texts)
  }),
  ({ annotations, count, first, last, name, origin, seq, uid, upTo, ...body }) =>
    compact({ id: { origin, seq }, upTo, count, first, last, event: compact(body), name, uid, annotations }) as Event
)
