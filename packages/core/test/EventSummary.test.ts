import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as Backend from "../src/Backend.ts"
import type { Event } from "../src/Event.ts"
import * as EventSummary from "../src/EventSummary.ts"

interface Given {
  readonly seq: number
  readonly name?: string
  readonly reason?: string
  readonly type?: string
  readonly first?: number
  readonly last: number
  readonly count?: number
}

const event = ({ count = 1, first, last, name = "web", reason = "Started", seq, type = "Normal" }: Given): Event => ({
  id: { origin: "00000000000000000000000000000001", seq },
  upTo: seq,
  count,
  first: first ?? last,
  last,
  name: `${name}.${seq}`,
  event: {
    involvedObject: { apiVersion: "v1", kind: "Pod", name, namespace: "default" },
    reason,
    type,
    action: reason,
    message: `${reason} ${seq}`,
    data: {},
    source: { component: "kubelet" },
    reportingController: "kubelet",
    reportingInstance: "node-1"
  }
})

const backOff = (seq: number, last: number, more?: Partial<Given>) =>
  event({ seq, last, reason: "BackOff", type: "Warning", ...more })

const turns = (events: ReadonlyArray<Event>) =>
  EventSummary.of(events).turned.map(({ at, from, to }) => [at, from.id.seq, to.id.seq])

describe("a summary of events", () => {
  it("counts by object and reason, with first, last and the newest message", () => {
    const { groups, objects, reasons, total } = EventSummary.of([
      backOff(1, 50, { first: 10, count: 4 }),
      backOff(2, 90, { first: 60, count: 3 }),
      backOff(3, 70, { name: "db" }),
      event({ seq: 4, last: 20, name: "db" })
    ])
    assert.strictEqual(objects, 2)
    assert.deepStrictEqual(total, { series: 4, count: 9, first: 10, last: 90 })
    assert.deepStrictEqual(
      groups.map(({ count, first, last, newest, object, reason, series }) => [
        object.name,
        reason,
        series,
        count,
        first,
        last,
        newest.event.message
      ]),
      [
        ["web", "BackOff", 2, 7, 10, 90, "BackOff 2"],
        ["db", "BackOff", 1, 1, 70, 70, "BackOff 3"],
        ["db", "Started", 1, 1, 20, 20, "Started 4"]
      ]
    )
    assert.deepStrictEqual(
      reasons.map(({ count, objects, reason, series, type }) => [reason, type, series, count, objects]),
      [
        ["BackOff", "Warning", 3, 8, 2],
        ["Started", "Normal", 1, 1, 1]
      ]
    )
  })

  it("tells objects apart by group, namespace and cluster", () => {
    const one = event({ seq: 1, last: 1 })
    const inObject = (involvedObject: object): Event => ({
      ...one,
      event: { ...one.event, involvedObject: { ...one.event.involvedObject, ...involvedObject } }
    })
    const { objects } = EventSummary.of([
      one,
      inObject({ apiVersion: "apps/v1" }),
      inObject({ namespace: "other" }),
      { ...one, cluster: { id: "east" } },
      { ...one, cluster: { id: "west" } },
      inObject({ uid: "made anew" })
    ])
    assert.strictEqual(objects, 5)
  })

  it("names the objects that turned from Normal to Warning, since when, and from what to what", () => {
    assert.deepStrictEqual(turns([event({ seq: 1, last: 10 }), backOff(2, 20), backOff(3, 30)]), [[20, 1, 2]])
    // In whatever order they come.
    assert.deepStrictEqual(turns([backOff(3, 30), backOff(2, 20), event({ seq: 1, last: 10 })]), [[20, 1, 2]])
  })

  it("names no object that only had Warnings, only was Normal, or turned back", () => {
    assert.deepStrictEqual(turns([backOff(1, 10), backOff(2, 20)]), [])
    assert.deepStrictEqual(turns([event({ seq: 1, last: 10 })]), [])
    assert.deepStrictEqual(turns([event({ seq: 1, last: 10 }), backOff(2, 20), event({ seq: 3, last: 30 })]), [])
    // Another object's Warning is not its own.
    assert.deepStrictEqual(turns([event({ seq: 1, last: 10 }), backOff(2, 20, { name: "db" })]), [])
  })

  it("takes of a series that began before the Normal event the time that is known to be after it", () => {
    const normal = event({ seq: 1, last: 50 })
    assert.deepStrictEqual(turns([normal, backOff(2, 90, { first: 10 })]), [[90, 1, 2]])
    assert.deepStrictEqual(turns([normal, backOff(2, 90, { first: 10 }), backOff(3, 95, { first: 60 })]), [[60, 1, 3]])
  })

  it.prop(
    "loses nothing, and is the same in whatever order the events come",
    {
      given: Arbitrary.array(
        Arbitrary.schema(
          Schema.Struct({
            last: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })),
            count: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 })),
            name: Schema.Literals(["web", "db"]),
            reason: Schema.Literals(["Started", "BackOff"]),
            type: Schema.Literals(["Normal", "Warning"])
          })
        ),
        { maxLength: 30 }
      )
    },
    ({ given }) => {
      // Of different times, so that the order is that of time.
      const events = given.map((one, index) => event({ ...one, last: one.last * 1_000 + index, seq: index + 1 }))
      const summary = EventSummary.of(events)
      const sum = (all: ReadonlyArray<{ readonly count: number }>) => all.reduce((sum, { count }) => sum + count, 0)
      assert.strictEqual(sum(summary.groups), sum(events))
      assert.strictEqual(sum(summary.reasons), sum(events))
      assert.strictEqual(summary.total?.count ?? 0, sum(events))
      assert.strictEqual(EventSummary.stories(events).flatMap((story) => story.events).length, events.length)
      const { groups, turned } = EventSummary.of(events.toReversed())
      assert.deepStrictEqual([groups, turned], [summary.groups, summary.turned])
    }
  )

  it.effect("is read from a store for a window of time, with its coverage and a cursor", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      yield* backend.write([event({ seq: 1, last: 10 }), backOff(2, 20), backOff(3, 30, { name: "db" })])
      const summary = yield* EventSummary.read({ since: 15, until: 25 })
      assert.deepStrictEqual(
        summary.groups.map(({ reason }) => reason),
        ["BackOff"]
      )
      assert.strictEqual(summary.coverage.length, 1)
      assert.isString(summary.cursor)
    }).pipe(Effect.provide(Layer.provideMerge(Backend.layerReader, Backend.layerMemory())))
  )
})

describe("the rows of a table", () => {
  const same = (seq: number, last: number, more?: Partial<Event>, body?: Partial<Event["event"]>): Event => {
    const one = event({ seq, last })
    return { ...one, ...more, event: { ...one.event, message: "it runs", ...body } }
  }

  it("have the same events of several series in one, with the sum of their counts and what was last seen", () => {
    const rows = EventSummary.rows([
      same(1, 50, { count: 4, first: 10 }, { data: { name: "1" } }),
      same(2, 90, { count: 3, first: 60 }, { data: { name: "2" } }),
      same(3, 70, {}, { message: "it stopped" }),
      same(4, 30)
    ])
    assert.deepStrictEqual(
      rows.map(({ count, first, last, newest, series }) => ({ count, first, last, seq: newest.id.seq, series })),
      [
        { count: 1, first: 70, last: 70, seq: 3, series: 1 },
        { count: 8, first: 10, last: 90, seq: 2, series: 3 }
      ]
    )
  })

  it("are apart where anything but time, count, data and labels differs", () => {
    const { involvedObject } = same(0, 0).event
    const bodies: ReadonlyArray<Partial<Event["event"]>> = [
      {},
      { type: "Warning" },
      { reason: "Restarted" },
      { action: "Restart" },
      { message: "it runs\n" },
      { source: { component: "kubelet", host: "node-1" } },
      { source: { component: "kubelet", host: "node-2" } },
      { reportingController: "other" },
      { reportingInstance: "node-2" },
      { related: { kind: "Node", name: "node-1" } },
      ...["kind", "name", "namespace", "uid", "fieldPath", "apiVersion"].map((field) => ({
        involvedObject: { ...involvedObject, [field]: "other" }
      }))
    ]
    const others: ReadonlyArray<Partial<Event>> = [
      { namespace: "other" },
      { cluster: { id: "a" } },
      { cluster: { id: "b" } }
    ]
    const all = [...bodies.map((body) => [{}, body] as const), ...others.map((more) => [more, {}] as const)]
    const events = [1, 2].flatMap((round) =>
      all.map(([more, body], index) =>
        same(100 * round + index, index, more, { ...body, labels: { round: `${round}` } })
      )
    )
    assert.deepStrictEqual(
      EventSummary.rows(events).map(({ series }) => series),
      all.map(() => 2)
    )
  })

  it.prop(
    "leave nothing out and are in the order in which they were last seen",
    {
      given: Arbitrary.array(
        Arbitrary.all({
          last: Arbitrary.schema(Schema.Literals([1, 2, 3, 4, 5])),
          message: Arbitrary.schema(Schema.Literals(["a", "b", "c"])),
          count: Arbitrary.schema(Schema.Literals([1, 2, 7]))
        }),
        { maxLength: 20 }
      )
    },
    ({ given }) => {
      const events = given.map(({ count, last, message }, seq) => same(seq, last, { count }, { message }))
      const rows = EventSummary.rows(events)
      assert.strictEqual(rows.length, new Set(given.map(({ message }) => message)).size)
      for (const { count, first, last, newest, series } of rows) {
        const own = given.filter(({ message }) => message === newest.event.message)
        assert.strictEqual(series, own.length)
        assert.strictEqual(
          count,
          own.reduce((sum, one) => sum + one.count, 0)
        )
        assert.deepStrictEqual([first, last], [Math.min(...own.map((one) => one.last)), newest.last])
      }
      const lasts = rows.map(({ last }) => last)
      assert.deepStrictEqual(lasts, lasts.toSorted())
    }
  )
})
