import { assert, describe, it } from "@effect/vitest"
import * as Correlation from "@tidings/core/Correlation"
import { Correlator } from "@tidings/core/Correlator"
import type { Occurrence } from "@tidings/core/Event"
import type { Json } from "@tidings/core/EventData"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import { anyOf, anyText, integer } from "./support/arbitraries.ts"
import { type Operation, occurrenceOf, optionsOf, play, REFILL, SECOND, WINDOW } from "./support/correlationModel.ts"
import { type Bug, plant, product } from "./support/plantCorrelation.ts"

// ---------------------------------------------------------------------------
// what happens to correlators
// ---------------------------------------------------------------------------

const operation: Arbitrary.Arbitrary<Operation> = Arbitrary.map(
  Arbitrary.all({
    kind: integer(0, 12),
    object: integer(1, 4),
    reason: integer(1, 2),
    message: integer(1, 6),
    warning: integer(0, 4),
    late: integer(0, 9),
    wait: anyOf([1, SECOND, REFILL / 3, REFILL, WINDOW, WINDOW + 1])
  }),
  ({ kind, late, message, object, reason, wait, warning }): Operation => {
    if (kind < 8) return { do: "occur", object, reason, message, warning: warning === 0, late: late === 0 }
    if (kind < 10) return { do: "wait", micros: wait }
    return { do: kind === 10 ? "tick" : kind === 11 ? "restart" : "reopen" }
  }
)

const options = Arbitrary.map(
  Arbitrary.all({
    capacity: anyOf([1, 2, 5, 4_096]),
    aggregateAt: anyOf([0, 1, 2, 3, 10]),
    burst: anyOf([0, 1, 2, 3, 25])
  }),
  optionsOf
)

const RUNS = { runs: 3_000, size: 60, seed: "correlation" }

/** `npm run test:slow` takes all of them. */
const runs = process.env["TIDINGS_TESTS"] === "slow" ? RUNS.runs : RUNS.runs / 4

const plays = Arbitrary.all({ options, operations: Arbitrary.array(operation, { minLength: 10, maxLength: 60 }) })

const occurrence: Occurrence = {
  at: 0,
  involvedObject: { kind: "Pod", name: "web", namespace: "default" },
  reason: "Started",
  type: "Normal",
  action: "Start",
  message: "it runs",
  data: {},
  source: { component: "kubelet" },
  reportingController: "kubelet",
  reportingInstance: "kubelet-0"
}

const id = (seq: number) => ({ origin: "test", seq })

describe("Correlator", () => {
  it.effect(
    "counts every occurrence exactly once, stays within its limits, and releases what is held in time",
    () =>
      Effect.gen(function* () {
        const seen = { accepted: 0, writes: 0, evicted: 0 }
        const result = yield* Arbitrary.checkEffect(
          plays,
          ({ operations, options }) =>
            Effect.try({
              try: () => {
                const played = play(product, options, operations)
                seen.accepted += played.accepted
                seen.writes += played.writes
                seen.evicted += played.evicted
                return true
              },
              catch: (error) => error
            }),
          { ...RUNS, runs }
        )
        assert.isUndefined(Arbitrary.formatCheckFailure(result))
        // Enough happened, and enough was folded and given up.
        assert.isAbove(seen.accepted, 10 * runs)
        assert.isBelow(seen.writes, seen.accepted)
        assert.isAbove(seen.evicted, runs)
      }),
    60_000
  )
})

describe("a series", () => {
  const text = Arbitrary.map(anyText, (value) => value.slice(0, 8))
  const identity = Arbitrary.all({
    component: text,
    host: text,
    apiVersion: text,
    kind: text,
    namespace: text,
    name: text,
    uid: text,
    fieldPath: text,
    reason: text,
    action: text,
    controller: text,
    instance: text,
    relatedName: text,
    message: text,
    warning: anyOf([true, false])
  })
  const fields = [
    "component",
    "host",
    "apiVersion",
    "kind",
    "namespace",
    "name",
    "uid",
    "fieldPath",
    "reason",
    "action",
    "controller",
    "instance",
    "relatedName",
    "message"
  ] as const
  type Fields = Record<(typeof fields)[number], string> & { readonly warning: boolean }

  // An empty text stands for an absent field.
  const present = <K extends string>(key: K, value: string): { readonly [P in K]?: string } =>
    (value === "" ? {} : { [key]: value }) as { readonly [P in K]?: string }

  const withIdentity = (one: Fields): Occurrence => ({
    ...occurrence,
    source: { component: one.component, ...present("host", one.host) },
    involvedObject: {
      kind: one.kind,
      name: one.name,
      ...present("apiVersion", one.apiVersion),
      ...present("namespace", one.namespace),
      ...present("uid", one.uid),
      ...present("fieldPath", one.fieldPath)
    },
    reason: one.reason,
    action: one.action,
    type: one.warning ? "Warning" : "Normal",
    reportingController: one.controller,
    reportingInstance: one.instance,
    message: one.message,
    ...(one.relatedName === "" ? undefined : { related: { kind: "Pod", name: one.relatedName } })
  })

  it.prop(
    "contains equal events and no others",
    { one: identity, other: identity, differing: Arbitrary.array(integer(0, fields.length - 1), { maxLength: 3 }) },
    ({ differing, one, other }) => {
      const second: Fields = { ...one }
      for (const field of differing) second[fields[field]!] = other[fields[field]!]
      const isSame = fields.every((field) => second[field] === one[field])
      const correlator = new Correlator({ ...Correlation.defaults, aggregateAt: 0 })
      correlator.step(id(1), withIdentity(one), 0)
      // As it comes from a journal: equal, and not the same objects.
      const { series } = correlator.step(id(2), JSON.parse(JSON.stringify(withIdentity(second))) as Occurrence, 0)
      assert.strictEqual(series.seq, isSame ? 1 : 2)
    },
    { arbitrary: { runs: 2_000, size: 20 } }
  )

  it("is separate for a message that looks like that of an aggregate", () => {
    const correlator = new Correlator({ ...Correlation.defaults, aggregateAt: 2 })
    correlator.step(id(1), occurrence, 0)
    const combined = correlator.step(id(2), { ...occurrence, message: "another" }, 0)
    assert.strictEqual(combined.released[0]?.write.event.message, "(combined from similar events): another")
    const similar = new Correlator({ ...Correlation.defaults, aggregateAt: 0 })
    similar.step(id(1), { ...occurrence, message: "(combined from similar events): another" }, 0)
    assert.strictEqual(similar.step(id(2), { ...occurrence, message: "another" }, 0).series.seq, 2)
  })

  it("is written with the data, labels and related object of its latest occurrence", () => {
    const correlator = new Correlator(Correlation.defaults)
    correlator.step(id(1), occurrence, 0)
    const { released } = correlator.step(
      id(2),
      {
        ...occurrence,
        at: 5,
        data: { stepId: "two" },
        labels: { team: "a" },
        related: undefined
      } as unknown as Occurrence,
      0
    )
    assert.deepStrictEqual(released[0]?.write, {
      id: id(1),
      upTo: 2,
      count: 2,
      first: 0,
      last: 5,
      event: {
        involvedObject: occurrence.involvedObject,
        reason: "Started",
        type: "Normal",
        action: "Start",
        message: "it runs",
        data: { stepId: "two" },
        source: occurrence.source,
        reportingController: "kubelet",
        reportingInstance: "kubelet-0",
        labels: { team: "a" }
      }
    })
  })

  it("cuts the message of an aggregate to the limit of Kubernetes", () => {
    const correlator = new Correlator({ ...Correlation.defaults, aggregateAt: 1 })
    const { released } = correlator.step(id(1), { ...occurrence, message: "ä".repeat(512) }, 0)
    assert.isAtMost(new TextEncoder().encode(released[0]!.write.event.message).length, 1_024)
  })
})

describe("the time of an occurrence", () => {
  // What makes a restart safe: the log alone says which series an occurrence belongs to.
  it.prop(
    "affects when a series is released, never which series an occurrence belongs to",
    { options, operations: Arbitrary.array(operation, { minLength: 10, maxLength: 60 }) },
    ({ operations, options }) => {
      const seriesAt = (timeOf: (now: number) => number) => {
        const correlator = new Correlator(options)
        let now = 2_000 * SECOND
        let seq = 0
        return operations.flatMap((operation) => {
          if (operation.do === "wait") now += operation.micros
          if (operation.do !== "occur") return []
          seq++
          return [correlator.step(id(seq), occurrenceOf(operation, now), timeOf(now)).series.seq]
        })
      }
      const live = seriesAt((now) => now)
      assert.deepStrictEqual(
        seriesAt(() => 1_000_000 * SECOND),
        live
      )
      assert.deepStrictEqual(
        seriesAt(() => 0),
        live
      )
    },
    { arbitrary: { runs: 1_000, size: 60 } }
  )

  it("may go back without delaying a release by more than a refill", () => {
    const correlator = new Correlator(optionsOf({ capacity: 10, aggregateAt: 0, burst: 2 }))
    let now = 1_000_000 * SECOND
    for (let seq = 1; seq <= 5; seq++) correlator.step(id(seq), occurrence, now)
    assert.strictEqual(correlator.held, 3)
    now -= 100_000 * SECOND
    assert.lengthOf(correlator.tick(now), 0)
    assert.strictEqual(correlator.nextTick(now), now + REFILL)
    assert.lengthOf(correlator.tick(now + REFILL - 1), 0)
    assert.lengthOf(correlator.tick(now + REFILL), 1)
    assert.strictEqual(correlator.held, 0)
  })

  it("has the numbers of client-go by default, except for the refill", () => {
    const { aggregateAt, aggregateWindow, burst, capacity, refill } = Correlation.defaults
    assert.deepStrictEqual(
      [capacity, aggregateAt, aggregateWindow, burst, refill, Correlation.clientGo.refill],
      [4_096, 10, "600 seconds", 25, "30 seconds", "300 seconds"]
    )
    const correlator = new Correlator(Correlation.clientGo)
    let left = 0
    for (let seq = 1; seq <= 1_000; seq++) left += correlator.step(id(seq), occurrence, 0).released.length
    assert.deepStrictEqual([left, correlator.held], [25, 975])
    assert.lengthOf(correlator.tick(299 * SECOND), 0)
    const [released] = correlator.tick(300 * SECOND)
    assert.deepStrictEqual([released?.write.count, released?.occurrences, released?.from], [1_000, 975, 26])
  })
})

describe("off", () => {
  it("releases every occurrence at once as a series of its own", () => {
    const correlator = new Correlator(Correlation.off)
    for (let seq = 1; seq <= 100; seq++) {
      const { released, series } = correlator.step(id(seq), { ...occurrence, at: seq }, 0)
      const { at: _, ...event } = occurrence
      assert.deepStrictEqual(series, id(seq))
      assert.deepStrictEqual(released, [
        {
          write: { id: id(seq), upTo: seq, count: 1, first: seq, last: seq, event },
          occurrences: 1,
          from: seq,
          since: seq
        }
      ])
    }
    assert.deepStrictEqual([correlator.held, correlator.size, correlator.nextTick(0)], [0, 0, undefined])
    assert.strictEqual(Correlator.restore(correlator.snapshot()).options, "off")
  })
})

describe("snapshots", () => {
  it("contain the options as numbers", () => {
    const made = new Correlator(Correlation.defaults)
    const restored = Correlator.restore(JSON.parse(JSON.stringify(made.snapshot())) as Json)
    assert.isTrue(Correlation.equals(restored.options, Correlation.defaults))
    assert.isFalse(Correlation.equals(restored.options, Correlation.clientGo))
    assert.isFalse(Correlation.equals(restored.options, Correlation.off))
    const { aggregateAt, aggregateWindow, burst, capacity } = Correlation.defaults
    assert.isTrue(
      Correlation.equals({ refill: 30_000, burst, aggregateWindow, aggregateAt, capacity }, Correlation.defaults),
      "whatever the order and the units"
    )
  })

  it("are refused where they are not valid", () => {
    const correlator = new Correlator({ ...Correlation.defaults, burst: 1 })
    for (let seq = 1; seq <= 3; seq++) correlator.step(id(seq), occurrence, 0)
    const sound = JSON.parse(JSON.stringify(correlator.snapshot())) as { [key: string]: Json }
    Correlator.restore(sound)
    const broken: ReadonlyArray<Json> = [
      null,
      1,
      "text",
      [],
      {},
      ...Object.keys(sound).map((key) => ({ ...sound, [key]: null })),
      ...Object.keys(sound).flatMap((key) =>
        Array.isArray(sound[key])
          ? [
              { ...sound, [key]: [{}] },
              { ...sound, [key]: [[]] },
              { ...sound, [key]: [77] }
            ]
          : []
      )
    ]
    for (const [index, one] of broken.entries()) {
      // A budget that is a number is a budget.
      if (typeof one === "object" && one !== null && JSON.stringify(one).includes('"budgets":[77]')) continue
      assert.throws(
        () => Correlator.restore(one),
        /not a snapshot/,
        `number ${index}: ${JSON.stringify(one).slice(0, 80)}`
      )
    }
  })
})

describe("parts of an object with the keys of client-go", () => {
  const part = (fieldPath: string, message: string): Occurrence => ({
    ...occurrence,
    message,
    involvedObject: { ...occurrence.involvedObject, fieldPath }
  })
  const writes = (options: Correlation.Options) => {
    const correlator = new Correlator(options)
    let seq = 0
    const ids = new Set<number>()
    for (const container of ["a", "b", "c"]) {
      for (let n = 0; n < 12; n++)
        ids.add(correlator.step(id(++seq), part(`spec.containers{${container}}`, `m ${n}`), 0).series.seq)
    }
    return { series: ids.size, held: correlator.held }
  }

  it("share one aggregate and one rate limit", () => {
    // Nine messages of their own, and the aggregate; then one aggregate more for what is new to the window.
    assert.deepStrictEqual(writes(Correlation.clientGo), { series: 10, held: 11 })
    assert.deepStrictEqual(writes(Correlation.defaults), { series: 30, held: 0 })
  })

  it("are different series where only the part differs", () => {
    const correlator = new Correlator(Correlation.clientGo)
    const first = correlator.step(id(1), part("a", "it runs"), 0)
    const second = correlator.step(id(2), part("b", "it runs"), 0)
    assert.notDeepEqual(first.series, second.series)
    const restored = Correlator.restore(JSON.parse(JSON.stringify(correlator.snapshot())) as Json)
    assert.deepStrictEqual(restored.step(id(3), part("b", "it runs"), 0).series, id(2))
    assert.isTrue(Correlation.equals(restored.options, Correlation.clientGo))
  })
})

describe("a snapshot of series with nothing held", () => {
  const long = (n: number): Occurrence => ({
    ...occurrence,
    at: 1_900_000_000 * SECOND + n,
    involvedObject: { ...occurrence.involvedObject, name: `${"w".repeat(240)}-${n}`, uid: "u".repeat(36) },
    message: `${"m".repeat(1_000)} ${n}`,
    data: { error: "e".repeat(20_000) }
  })
  const origin = "0123456789abcdef0123456789abcdef"

  it("has at most 240 bytes for each series, whatever its events are", () => {
    const correlator = new Correlator(Correlation.defaults)
    const count = 4_096
    for (let n = 0; n < count; n++) correlator.step({ origin, seq: 1_000_000_000_000 + n }, long(n), 0)
    assert.strictEqual(correlator.held, 0)
    assert.strictEqual(correlator.size, count)
    assert.isAtMost(JSON.stringify(correlator.snapshot()).length / count, 240)
  })

  it("is the same whether it was prepared or not, also with series that are held, combined or evicted", () => {
    const steps = Array.from({ length: 600 }, (_, n) => ({
      id: { origin, seq: n + 1 },
      occurrence: { ...long(n % 40), message: `message ${n % 13}`, reason: `Reason${n % 3}` }
    }))
    const make = (prepared: number) => {
      const correlator = new Correlator({ ...Correlation.defaults, capacity: 100, burst: 3 })
      for (const { id, occurrence } of steps) {
        correlator.step(id, occurrence, occurrence.at)
        if (id.seq % 7 === 0) correlator.prepareSnapshot(prepared)
      }
      return correlator.snapshot()
    }
    const plain = make(0)
    assert.deepStrictEqual(make(1), plain)
    assert.deepStrictEqual(make(1_000), plain)
  })

  it("restores each series", () => {
    const correlator = new Correlator(Correlation.defaults)
    for (let n = 1; n <= 100; n++) correlator.step({ origin, seq: n }, long(n), 0)
    const restored = Correlator.restore(JSON.parse(JSON.stringify(correlator.snapshot())) as Json)
    for (let n = 1; n <= 100; n++) {
      const { series } = restored.step({ origin, seq: 100 + n }, long(n), 0)
      assert.deepStrictEqual(series, { origin, seq: n })
    }
  })
})

describe("many series at once", () => {
  const BURST = Correlation.defaults.burst

  /** Occurrences of objects that take turns, with a body of about this size; answers how many writes each object gives. */
  const writesOf = (objects: number, rounds: number, bytes: number, busy?: string) => {
    const correlator = new Correlator(Correlation.defaults)
    const message = "x".repeat(Math.min(bytes, 1_024))
    const data = { detail: "x".repeat(Math.max(0, bytes - message.length)) }
    const writes = new Map<string, number>()
    let seq = 0
    const occur = (name: string) => {
      const one = { ...occurrence, involvedObject: { kind: "Pod", name }, message, data, at: seq }
      for (const { write } of correlator.step({ origin: "a", seq: ++seq }, one, seq).released) {
        const released = write.event.involvedObject.name
        writes.set(released, (writes.get(released) ?? 0) + 1)
      }
    }
    for (let round = 0; round < rounds; round++) {
      for (let n = 0; n < objects; n++) {
        occur(`pod-${n}`)
        if (busy !== undefined && n % 10 === 0) occur(busy)
      }
    }
    return { writes, total: [...writes.values()].reduce((sum, n) => sum + n, 0), held: correlator.held, seq }
  }

  it("holds each of as many series as the capacity allows, with 200 bytes of message and data each", () => {
    const { capacity } = Correlation.defaults
    const { held, seq, total } = writesOf(capacity, 40, 200)
    assert.strictEqual(total, capacity * BURST)
    assert.strictEqual(held, seq - total)
  })

  for (const [objects, bytes] of [
    [4_000, 600],
    [2_000, 1_500],
    [100, 40_000]
  ] as const) {
    it(`folds most of what does not fit into memory: ${objects} objects that take turns, with ${bytes} bytes each`, () => {
      const rounds = 60
      const { total } = writesOf(objects, rounds, bytes)
      const fits = Math.floor(3_145_728 / (526 + bytes))
      assert.isBelow(fits, objects)
      // Those that do not fit, and a sixteenth of those that do, are written each time.
      const written = (objects - fits + Math.ceil(fits / 16) + 1) * (rounds - BURST)
      assert.isAtMost(total - objects * BURST, written)
    })
  }

  it("holds a series with many occurrences when many others do not fit into memory", () => {
    const { writes } = writesOf(4_000, 60, 600, "busy")
    assert.isAtMost(writes.get("busy")!, BURST + 1)
  })
})

// ---------------------------------------------------------------------------
// planted bugs
// ---------------------------------------------------------------------------

const bugs: ReadonlyArray<Bug> = [
  {
    name: "an evicted series loses what it holds",
    find: "      if (flushed !== undefined) released = [flushed]\n",
    replace: ""
  },
  {
    name: "a series that must wait is dropped",
    find: "      bucket.waiting.add(series)\n",
    replace: "      this.heldOccurrences -= series.held\n      series.held = 0\n"
  },
  {
    name: "the burst is one write too large",
    find: "if (bucket.fullAt - (this.burst - 1) * this.refill > now) return false",
    replace: "if (bucket.fullAt - this.burst * this.refill > now) return false"
  },
  {
    name: "a budget forgets a part of a refill",
    find: "bucket.fullAt = Math.max(bucket.fullAt, now) + this.refill",
    replace:
      "bucket.fullAt = now + Math.ceil((Math.max(bucket.fullAt, now) - now) / this.refill) * this.refill + this.refill"
  },
  {
    name: "a budget is never full again",
    find: "bucket.fullAt = Math.max(bucket.fullAt, now) + this.refill",
    replace: "bucket.fullAt = (bucket.fullAt === 0 ? now : bucket.fullAt) + this.refill"
  },
  {
    name: "the series that waits for the shortest time is released first",
    find: "      for (const series of bucket.waiting) {\n        if (!this.tryAcquire",
    replace: "      for (const series of [...bucket.waiting].reverse()) {\n        if (!this.tryAcquire"
  },
  {
    name: "a new occurrence overtakes series that wait",
    find: "if (bucket.waiting.size === 0 && this.tryAcquire(bucket, now)) {",
    replace: "if (this.tryAcquire(bucket, now)) {"
  },
  {
    name: "use is forgotten",
    find: "      this.byUse.touch(series)\n",
    replace: ""
  },
  {
    name: "one series too many is remembered",
    find: "this.byUse.size > this.capacity",
    replace: "this.byUse.size > this.capacity + 1"
  },
  {
    name: "aggregation begins one message later",
    find: "group.distinct + 1 >= this.aggregateAt",
    replace: "group.distinct >= this.aggregateAt"
  },
  {
    name: "a pause does not end a group",
    find: "      group.window++\n      group.distinct = 0\n",
    replace: ""
  },
  {
    name: "a message of an earlier window counts as known",
    find: "own === undefined || own.window !== group.window",
    replace: "own === undefined"
  },
  {
    name: "an event from the past takes the clock of its group back",
    find: "if (at > group.lastAt) group.lastAt = at",
    replace: "group.lastAt = at"
  },
  {
    name: "a bump does not say how far it counts",
    find: "      series.upTo = id.seq\n",
    replace: ""
  },
  {
    name: "the first time is that of the first to come",
    find: "      if (at < series.first) series.first = at\n",
    replace: ""
  },
  {
    name: "the last time is that of the last to come",
    find: "      if (at > series.last) series.last = at\n",
    replace: "      series.last = at\n"
  },
  {
    name: "what has left is still held",
    find: "    series.held = 0\n",
    replace: ""
  },
  {
    name: "all series of a group have one name",
    find: "      isCombined,\n      id,\n      upTo: id.seq,",
    replace: "      isCombined,\n      id: { origin: id.origin, seq: 1 },\n      upTo: id.seq,"
  },
  {
    name: "a snapshot forgets who waits",
    find: "state.holding) {\n      const one",
    replace: "[] as Array<readonly [number]>) {\n      const one"
  },
  {
    name: "a snapshot forgets budgets",
    find: "({ fullAt, key }) => [fullAt, key!]",
    replace: "({ key }) => [0, key!]"
  },
  {
    name: "a snapshot forgets the order of waiting",
    find: "Array.from(waiting, (one) => [",
    replace: "Array.from([...waiting].sort((a, b) => series.get(a)! - series.get(b)!), (one) => ["
  },
  {
    name: "what is restored has budgets that are whole",
    find: "{ ...newBucket(fullAt), key }",
    replace: "{ ...newBucket(fullAt * 0), key }"
  },
  {
    name: "what is restored does not know how many messages there were",
    find: "      window,\n      distinct,\n      key\n",
    replace: "      window,\n      distinct: distinct * 0,\n      key\n"
  },
  {
    name: "a restored series is not known by its message",
    find: "group.byMessage.get(message) ?? this.findRestored(group, message)",
    replace: "group.byMessage.get(message)"
  },
  {
    name: "a restored group is not known by its identity",
    find: "keyOfGroup(this.opening, occurrence, this.byFieldPath)",
    replace: 'keyOfGroup("another", occurrence, this.byFieldPath)'
  },
  {
    name: "a restored budget is not known by what it belongs to",
    find: "keyOfBudget(this.opening, occurrence, this.byFieldPath)",
    replace: 'keyOfBudget("another", occurrence, this.byFieldPath)'
  },
  {
    name: "occurrences of a new opening join series of an earlier one",
    find: "    if (id.origin !== this.opening) this.beginOpening(id.origin)\n",
    replace: ""
  },
  {
    name: "a new opening forgets what is held",
    find: "      if (series.held === 0) {\n        this.byUse.remove",
    replace: "      if (series.held >= 0) {\n        this.byUse.remove"
  },
  {
    name: "what is held of an earlier opening is restored as a series of the latest one",
    find: "return isClosed ? [...row, id.origin] : row",
    replace: "return row"
  },
  {
    name: "what has left of an earlier opening is remembered",
    find: "    if (series.isClosed) this.remove(series)\n",
    replace: ""
  }
]

describe("planted bugs", () => {
  for (const bug of bugs) {
    it.effect(bug.name, () =>
      Effect.gen(function* () {
        const { machines, remove } = yield* Effect.promise(() => plant(bug))
        const result = yield* Arbitrary.checkEffect(
          plays,
          ({ operations, options }) =>
            Effect.try({ try: () => play(machines, options, operations).accepted >= 0, catch: (error) => error }),
          { ...RUNS, maxShrinks: 0 }
        )
        remove()
        assert.isDefined(Arbitrary.formatCheckFailure(result), `none of ${RUNS.runs} runs finds it`)
      })
    )
  }
})
