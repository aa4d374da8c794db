import * as Backend from "@tidings/core/Backend"
import * as EventCatalogue from "@tidings/core/EventCatalogue"
import * as EventGenerator from "@tidings/core/EventGenerator"
import * as EventManager from "@tidings/core/EventManager"
import * as EventId from "@tidings/core/EventId"
import * as EventReader from "@tidings/core/EventReader"
import type { EventQuery, PageToken, WatchFrom } from "@tidings/core/EventQuery"
import * as Recorder from "@tidings/core/Recorder"
import * as Target from "@tidings/core/Target"
import * as Templates from "@tidings/core/Templates"
import * as Transform from "@tidings/core/Transform"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

class Orders extends EventCatalogue.Service<Orders>()("test/Orders", {
  Order: {
    apiVersion: "shop.example.com/v1",
    fields: {
      podCount: "count",
      took: "duration",
      urgent: "flag",
      tools: "list",
      note: "text",
      payment: ["card", "cash"]
    },
    reasons: {
      OrderPlaced: {
        meaning: "A customer ordered.",
        message: "{{.Name}} took {{.Took}}, {{.PodCount}} pods, {{.Payment}}"
      },
      OrderLost: { meaning: "Nobody finds it.", type: "Warning", message: "{{.Name}} is lost" }
    }
  }
}) {}

const reference = { kind: "Order", name: "o-17", namespace: "shop" }
const memory = EventManager.layerMemory()
const withOrders = Orders.layer.pipe(Layer.provideMerge(memory))

const onlyEvent = Effect.gen(function* () {
  const { events, totalCount } = yield* (yield* EventManager.EventManager).queryEvents()
  assert.strictEqual(totalCount, 1)
  return events[0]!
})

const issuesOf = <A>(recording: Effect.Effect<A, Recorder.RecordError>) =>
  Effect.map(Effect.flip(recording), (error) => {
    assert.strictEqual(error._tag, "InvalidEvent")
    return error._tag === "InvalidEvent" ? error.issues : []
  })

describe("createEvent", () => {
  it.effect("records the message as it is, never as a template", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      yield* TestClock.setTime(1_700_000_000_001)
      const recorded = yield* manager.createEvent(reference, "Custom", "{{.Name}} {{ if }}", "Warning")
      const event = yield* onlyEvent
      assert.deepStrictEqual(recorded, { _tag: "Accepted", id: event.id })
      assert.strictEqual(event.event.message, "{{.Name}} {{ if }}")
      assert.strictEqual(event.event.type, "Warning")
      assert.strictEqual(event.event.action, "Custom")
      assert.deepStrictEqual(event.event.data, { name: "o-17", namespace: "shop" })
      assert.strictEqual(event.last, 1_700_000_000_001_000)
    }).pipe(Effect.provide(memory))
  )

  it.effect("refuses what no event can be, as typed errors, also from plain JavaScript", () =>
    Effect.gen(function* () {
      const { createEvent, createEventWithData } = yield* EventManager.EventManager
      const wrong: ReadonlyArray<readonly [Effect.Effect<unknown, Recorder.RecordError>, ReadonlyArray<string>]> = [
        [
          createEvent({ kind: "", name: "", namespace: "A" }, "", "m", "Normal"),
          ["reason", "involvedObject.kind", "involvedObject.name", "involvedObject.namespace"]
        ],
        [createEvent(null as never, "Up", "m", "Normal"), ["involvedObject"]],
        [createEvent(reference, "Up", 5 as never, "normal" as never), ["type", "message"]],
        [
          createEvent({ ...reference, uid: "a b", apiVersion: "x y", fieldPath: 5 as never }, "Up", "m", "Normal"),
          ["involvedObject.uid", "involvedObject.fieldPath", "involvedObject.apiVersion"]
        ],
        [createEventWithData(null as never, "Up", {}), ["involvedObject"]],
        [createEventWithData(reference, "Up", "x" as never), ["data"]],
        [
          createEventWithData(reference, "Up", {}, { labels: "x" as never, related: 5 as never, action: "" }),
          ["related", "labels", "action"]
        ]
      ]
      for (const [recording, fields] of wrong) {
        const issues = yield* issuesOf(recording)
        assert.deepStrictEqual(
          issues.map(({ field }) => field),
          [...fields]
        )
      }
      assert.strictEqual((yield* (yield* EventManager.EventManager).queryEvents()).totalCount, 0)
    }).pipe(Effect.provide(memory))
  )
})

describe("createEventForCRD", () => {
  it.effect("knows the apiVersion of the kinds of every catalogue", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      yield* manager.createEventForCRD("Workflow", "deploy", "default", "Up", "m", "Normal")
      yield* manager.createEventForCRD("Order", "o-17", "", "OrderLost", "m", "Warning")
      const { events } = yield* manager.queryEvents()
      assert.deepStrictEqual(
        events.map(({ event }) => event.involvedObject),
        [
          { kind: "Order", name: "o-17", apiVersion: "shop.example.com/v1" },
          { kind: "Workflow", name: "deploy", apiVersion: "muster.giantswarm.io/v1alpha1", namespace: "default" }
        ]
      )
    }).pipe(Effect.provide(withOrders))
  )

  it.effect("refuses a kind that no catalogue declares, lists those that are, and says what was meant", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      const create = (kind: string) => issuesOf(manager.createEventForCRD(kind, "a", "b", "Up", "m", "Normal"))
      const [issue] = yield* create("Ordr")
      assert.strictEqual(issue?.field, "kind")
      assert.strictEqual(issue?.found, '"Ordr"')
      assert.strictEqual(
        issue?.expected,
        "a kind that a catalogue declares: MCPServer, ServiceClass, Workflow, ServiceInstance, Order (did you mean Order?)"
      )
      assert.notInclude((yield* create("Zzzzzz"))[0]!.expected, "did you mean")
      assert.strictEqual((yield* create(undefined as never))[0]?.found, "missing")
    }).pipe(Effect.provide(withOrders))
  )

  it.effect("says so where nothing is declared at all", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      const [issue] = yield* issuesOf(manager.createEventForCRD("Order", "a", "b", "Up", "m", "Normal"))
      assert.strictEqual(issue?.expected, "a kind that a catalogue declares")
    }).pipe(
      Effect.provide(
        EventManager.layer.pipe(
          Layer.provideMerge(
            Layer.mock(EventGenerator.EventGenerator)({ getTemplate: () => undefined, isKubernetesMode: false })
          ),
          Layer.provideMerge(Recorder.layerDirect()),
          Layer.provideMerge(Layer.merge(Templates.layer, Backend.layerMemory()))
        )
      )
    )
  )
})

describe("createEventWithData", () => {
  it.effect(
    "records what the catalogue's own method would refuse, with a mark in the place of each missing value",
    () =>
      Effect.gen(function* () {
        const manager = yield* EventManager.EventManager
        const workflow = { kind: "Workflow", name: "deploy", namespace: "default" }
        const [issue] = yield* issuesOf(
          manager.generator.workflowEvent({ metadata: workflow }, "WorkflowStepFailed", {} as never)
        )
        assert.strictEqual(issue?.field, "data.stepId")
        for (const data of [{}, { stepId: "" }, { stepId: undefined }]) {
          yield* manager.createEventWithData(workflow, "WorkflowStepFailed", data)
        }
        const { events } = yield* manager.queryEvents()
        assert.deepStrictEqual(
          events.map(({ event }) => event.message),
          Array.from({ length: 3 }, () => "Step <no stepId> of workflow deploy failed")
        )
        // Whoever words the message needs no data.
        yield* manager.createEvent(workflow, "WorkflowStepFailed", "it failed", "Warning")
        yield* manager.createEventForCRD("Workflow", "deploy", "default", "WorkflowStepFailed", "it failed", "Warning")
      }).pipe(Effect.provide(EventManager.layerMemory()))
  )

  it.effect("takes a number for milliseconds, and refuses a text without a unit", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      const workflow = { kind: "Workflow", name: "deploy", namespace: "default" }
      yield* manager.createEventWithData(workflow, "Up", { duration: 10 })
      const { events } = yield* manager.queryEvents()
      assert.strictEqual(events[0]?.event.data.duration, 10_000_000)
      for (const duration of ["10", " 10 ", "1m30", "-5", "1.5", "1e3"]) {
        const [issue] = yield* issuesOf(manager.createEventWithData(workflow, "Up", { duration }))
        assert.strictEqual(issue?.field, "data.duration", duration)
        assert.match(issue?.expected ?? "", /^a finite duration such as "1m30.5s"/)
      }
    }).pipe(Effect.provide(EventManager.layerMemory()))
  )

  it.effect("renders the template of the reason, with its type", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      yield* manager.createEventWithData(reference, "OrderLost", {})
      const { event } = yield* onlyEvent
      assert.strictEqual(event.message, "o-17 is lost")
      assert.strictEqual(event.type, "Warning")
      assert.strictEqual(event.involvedObject.apiVersion, "shop.example.com/v1")
    }).pipe(Effect.provide(withOrders))
  )

  const data = {
    podCount: 3,
    took: Duration.seconds(3),
    urgent: true,
    tools: ["a"],
    note: "n",
    payment: "card"
  } as const
  it.effect("reads what a catalogue declares exactly as the catalogue's own method does", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      yield* manager.createEventWithData(reference, "OrderPlaced", data)
      yield* (yield* Orders).orderEvent({ metadata: { name: "o-17", namespace: "shop" } }, "OrderPlaced", data)
      const { events } = yield* manager.queryEvents()
      assert.deepStrictEqual(events[0]?.event, events[1]?.event)
      assert.deepStrictEqual(events[0]?.event.data, {
        ...data,
        tools: ["a"],
        took: "3s",
        name: "o-17",
        namespace: "shop"
      })
      assert.strictEqual(events[0]?.event.message, "o-17 took 3s, 3 pods, card")
    }).pipe(Effect.provide(withOrders))
  )

  const wrong = { podCount: 1.5, took: "soon", urgent: "yes", tools: "a", note: 5, payment: "cheque" }
  it.effect("and refuses what was not declared so, with the same words", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      const orders = (yield* Orders) as unknown as Record<
        string,
        (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown, Recorder.RecordError>
      >
      const issues = yield* issuesOf(manager.createEventWithData(reference, "OrderPlaced", wrong))
      const own = yield* issuesOf(
        orders["orderEvent"]!({ metadata: { name: "o-17", namespace: "shop" } }, "OrderPlaced", wrong)
      )
      assert.deepStrictEqual(issues, own)
      assert.deepStrictEqual(
        issues.map(({ field }) => field),
        ["data.podCount", "data.took", "data.urgent", "data.tools", "data.note", "data.payment"]
      )
      for (const duration of [{}, [], new Date(0), { later: 5 }, Number.NaN, Duration.infinity, { hours: "x" }, true]) {
        const [issue] = yield* issuesOf(manager.createEventWithData(reference, "OrderPlaced", { took: duration }))
        assert.strictEqual(issue?.field, "data.took")
        const [builtIn] = yield* issuesOf(
          manager.createEventWithData(reference, "OrderPlaced", { duration: duration as never })
        )
        assert.strictEqual(builtIn?.field, "data.duration")
      }
    }).pipe(Effect.provide(withOrders))
  )

  it.effect("leaves a kind that nobody declares to itself", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      yield* manager.createEventWithData({ ...reference, kind: "Parcel" }, "Sent", { took: 3, podCount: "x" })
      assert.deepStrictEqual((yield* onlyEvent).event.data, { name: "o-17", namespace: "shop", took: 3, podCount: "x" })
    }).pipe(Effect.provide(withOrders))
  )

  it.effect("learns of a kind that is declared while it runs", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      yield* manager.createEventWithData(reference, "OrderPlaced", { took: 3_000 })
      yield* (yield* Templates.Templates).register(Orders.kinds)
      yield* manager.createEventWithData(reference, "OrderPlaced", { took: 3_000 })
      const { events } = yield* manager.queryEvents()
      assert.deepStrictEqual(
        events.map(({ event }) => event.data["took"]),
        ["3s", 3_000]
      )
      assert.deepStrictEqual(
        events.map(({ event }) => event.involvedObject.apiVersion),
        ["shop.example.com/v1", undefined]
      )
    }).pipe(Effect.provide(memory))
  )

  it.effect("takes durations in every form", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      const forms = [
        "90.5s",
        "1m30.5s",
        "90500 millis",
        90_500,
        90_500_000_000n,
        Duration.millis(90_500),
        [90, 500_000_000],
        { minutes: 1, seconds: 30, milliseconds: 500 },
        { seconds: 90.5, hours: undefined }
      ] as const
      for (const duration of forms) yield* manager.createEventWithData(reference, "Up", { duration })
      const { events } = yield* manager.queryEvents()
      for (const { event } of events) assert.strictEqual(event.data.duration, 90_500_000_000)
      yield* manager.createEventWithData({ ...reference, name: "long" }, "Up", { duration: Duration.days(200) })
      const long = yield* manager.queryEvents({ resourceName: "long" })
      assert.strictEqual(long.events[0]?.event.data.duration, 200 * 86_400 * 1e9)
    }).pipe(Effect.provide(memory))
  )

  it.effect("takes type, action, related object, labels and time from the call, and nothing else", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      yield* manager.createEventWithData(reference, "OrderPlaced", {}, {
        type: "Warning",
        action: "place",
        related: { kind: "Pod", name: "web" },
        labels: { team: "a", none: undefined as never },
        at: "1970-01-01T00:00:05Z",
        reason: "Forged",
        involvedObject: { kind: "Pod", name: "forged" },
        message: "forged"
      } as EventManager.CreateOptions)
      const { event, last } = yield* onlyEvent
      assert.strictEqual(last, 5_000_000)
      assert.deepInclude(event, {
        reason: "OrderPlaced",
        type: "Warning",
        action: "place",
        related: { kind: "Pod", name: "web" },
        labels: { team: "a" }
      })
      assert.strictEqual(event.involvedObject.name, "o-17")
      assert.notStrictEqual(event.message, "forged")
      const [issue] = yield* issuesOf(manager.createEventWithData(reference, "OrderPlaced", {}, { at: 5 as never }))
      assert.strictEqual(issue?.field, "options.at")
    }).pipe(Effect.provide(withOrders))
  )

  it.effect("takes the time from a transform too, and refuses one that is none", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      yield* manager.createEvent(reference, "Up", "m", "Normal")
      assert.strictEqual((yield* onlyEvent).last, 42)
      const [issue] = yield* issuesOf(manager.createEvent(reference, "Never", "m", "Normal"))
      assert.strictEqual(issue?.field, "at")
    }).pipe(
      Effect.provide(
        EventManager.layerMemory({
          transforms: [Transform.enrich("at", ({ reason }) => ({ at: reason === "Up" ? 42 : Number.NaN }))]
        })
      )
    )
  )
})

describe("hostile data", () => {
  it.effect("that contains itself many times over is refused, not followed", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      const tree: Record<string, unknown> = {}
      for (const branch of ["a", "b", "c", "d"]) tree[branch] = { parent: tree, children: [tree, tree] }
      const [cyclic] = yield* issuesOf(manager.createEventWithData(reference, "Up", { arguments: tree }))
      assert.match(cyclic!.field, /^data\.arguments\./)
      assert.include(cyclic!.expected, "no cycles")
      let shared: unknown = "end"
      for (let level = 0; level < 30; level++) shared = [shared, shared]
      const [large] = yield* issuesOf(manager.createEventWithData(reference, "Up", { ticket: shared }))
      assert.deepStrictEqual([large?.field, large?.found], ["data.ticket", "larger"])
      const many = Array.from({ length: 1_000 }, () => () => 1)
      assert.isAtMost(
        (yield* issuesOf(manager.createEventWithData(reference, "Up", { arguments: { many } }))).length,
        10
      )
    }).pipe(Effect.provide(memory))
  )

  it.effect("up to the limits is taken", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      let deep: unknown = "end"
      for (let level = 0; level < 31; level++) deep = [deep]
      const wide = Array.from({ length: 11_000 }, (_, n) => n)
      yield* manager.createEventWithData(reference, "Up", { arguments: { deep, wide } })
      assert.deepStrictEqual((yield* onlyEvent).event.data.arguments, { deep, wide } as never)
      const [issue] = yield* issuesOf(manager.createEventWithData(reference, "Up", { arguments: { deep: [deep] } }))
      assert.include(issue!.expected, "32 levels")
    }).pipe(Effect.provide(memory))
  )

  it.effect("that throws when it is read is a typed error, with and without masking", () =>
    Effect.gen(function* () {
      const hostile = {
        get error(): string {
          throw new Error("gotcha")
        }
      }
      for (const maskSecrets of [true, false]) {
        const [issue] = yield* Effect.provide(
          EventManager.EventManager.use((manager) => issuesOf(manager.createEventWithData(reference, "Up", hostile))),
          EventManager.layerMemory({ maskSecrets })
        )
        assert.include(issue!.found, "gotcha")
      }
    })
  )

  it.effect("keeps names of Object.prototype, pollutes nothing, and makes texts well-formed", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      const data = JSON.parse(
        '{"__proto__": {"polluted": true}, "constructor": "c", "arguments": {"__proto__": {"polluted": 1}, "toString": "t"}, "error": "a\\ud800", "toolNames": ["\\udc00"], "ticket": {"k\\ud800": ["\\ud800"]}}'
      ) as Record<string, unknown>
      yield* manager.createEventWithData(reference, "Up", data)
      const stored = (yield* onlyEvent).event.data
      assert.strictEqual(
        JSON.stringify(stored),
        '{"name":"o-17","namespace":"shop","__proto__":{"polluted":true},"constructor":"c","arguments":{"__proto__":{"polluted":1},"toString":"t"},"error":"a\ufffd","toolNames":["\ufffd"],"ticket":{"k\ufffd":["\ufffd"]}}'
      )
      assert.isUndefined(({} as { polluted?: unknown }).polluted)
    }).pipe(Effect.provide(memory))
  )

  it.effect("does not change an event about the same object, before or after", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      const object: { kind: string; name: string; namespace?: string; uid?: string; fieldPath?: string } = {
        ...reference
      }
      yield* manager.createEvent(object, "One", "m", "Normal")
      object.uid = "u"
      yield* manager.createEvent(object, "Two", "m", "Normal")
      object.fieldPath = "spec"
      yield* manager.createEvent(object, "Three", "m", "Normal")
      delete object.namespace
      yield* manager.createEvent(object, "Four", "m", "Normal")
      object.kind = "Pod"
      yield* manager.createEvent(object, "Five", "m", "Normal")
      yield* manager.createEvent({ ...reference }, "Six", "m", "Normal")
      const { events } = yield* manager.queryEvents()
      assert.deepStrictEqual(events.map(({ event }) => [event.reason, event.involvedObject]).toReversed(), [
        ["One", reference],
        ["Two", { ...reference, uid: "u" }],
        ["Three", { ...reference, uid: "u", fieldPath: "spec" }],
        ["Four", { kind: "Order", name: "o-17", uid: "u", fieldPath: "spec" }],
        ["Five", { kind: "Pod", name: "o-17", uid: "u", fieldPath: "spec" }],
        ["Six", reference]
      ])
    }).pipe(Effect.provide(memory))
  )
})

describe("queryEvents", () => {
  const seed = Effect.gen(function* () {
    const manager = yield* EventManager.EventManager
    for (let second = 0; second < 5; second++) {
      yield* TestClock.setTime(second * 1_000)
      yield* manager.createEvent(
        { ...reference, name: `o-${second}` },
        "Up",
        "m",
        second % 2 === 0 ? "Normal" : "Warning"
      )
    }
    return manager
  })
  const namesOf = (page: {
    readonly events: ReadonlyArray<{ readonly event: { readonly involvedObject: { readonly name: string } } }>
  }) => page.events.map(({ event }) => event.involvedObject.name)

  it.effect("reads times as Date, DateTime and text, inclusive on both ends", () =>
    Effect.gen(function* () {
      const manager = yield* seed
      for (const at of [
        (s: number) => new Date(s * 1_000),
        (s: number) => DateTime.makeUnsafe(s * 1_000),
        (s: number) => `1970-01-01T00:00:0${s}Z`
      ]) {
        assert.deepStrictEqual(namesOf(yield* manager.queryEvents({ since: at(1), until: at(3) })), [
          "o-3",
          "o-2",
          "o-1"
        ])
      }
    }).pipe(Effect.provide(memory))
  )

  it.effect("asks for a label of any name, also one that every object inherits", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      yield* manager.createEventWithData(reference, "Up", {}, { labels: { team: "a" } })
      const labels = JSON.parse('{"__proto__":"x"}') as Record<string, string>
      assert.strictEqual((yield* manager.queryEvents({ labels })).totalCount, 0)
      assert.strictEqual((yield* manager.queryEvents({ labels: { constructor: "a" } })).totalCount, 0)
      assert.strictEqual((yield* manager.queryEvents({ labels: { team: "a" } })).totalCount, 1)
    }).pipe(Effect.provide(memory))
  )

  it.effect("finds an event until the Date of its own time, which has no microseconds, and not until one before", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      yield* manager.createEventWithData(reference, "Up", {}, { at: "2026-11-28T10:00:00.000999Z" })
      const own = new Date("2026-11-28T10:00:00.000Z")
      for (const until of [own, DateTime.fromDateUnsafe(own), "2026-11-28T10:00:00.000999Z"]) {
        assert.strictEqual((yield* manager.queryEvents({ until })).totalCount, 1, String(until))
      }
      for (const until of [new Date(own.getTime() - 1), "2026-11-28T10:00:00.000998Z", "2026-11-28T10:00:00Z"]) {
        assert.strictEqual((yield* manager.queryEvents({ until })).totalCount, 0, String(until))
      }
    }).pipe(Effect.provide(memory))
  )

  it.effect("filters, counts, and pages through everything once", () =>
    Effect.gen(function* () {
      const manager = yield* seed
      assert.deepStrictEqual(
        namesOf(
          yield* manager.queryEvents({
            eventType: "Warning",
            resourceType: "Order",
            namespace: "shop",
            reason: "Up",
            source: "tidings"
          })
        ),
        ["o-3", "o-1"]
      )
      assert.deepStrictEqual(namesOf(yield* manager.queryEvents({ resourceName: "o-2", namespace: "", source: "" })), [
        "o-2"
      ])
      const [first] = (yield* manager.queryEvents({ resourceName: "o-2" })).events
      for (const filter of [
        { apiGroup: "", resourceName: "o-2" },
        { objectNamespace: "shop", resourceName: "o-2" },
        { name: first!.name },
        { id: EventId.format(first!.id) }
      ]) {
        assert.deepStrictEqual(namesOf(yield* manager.queryEvents(filter)), ["o-2"], JSON.stringify(filter))
      }
      for (const filter of [{ apiGroup: "apps" }, { objectNamespace: "" }, { eventType: "Error" }]) {
        assert.deepStrictEqual(namesOf(yield* manager.queryEvents(filter)), [], JSON.stringify(filter))
      }
      const seen: Array<string> = []
      let page: PageToken | undefined
      do {
        const answer = yield* manager.queryEvents({ limit: 2, page })
        assert.strictEqual(answer.totalCount, 5)
        seen.push(...namesOf(answer))
        page = answer.next
      } while (page !== undefined)
      assert.deepStrictEqual(seen, ["o-4", "o-3", "o-2", "o-1", "o-0"])
    }).pipe(Effect.provide(memory))
  )

  const wrong: ReadonlyArray<readonly [object, ReadonlyArray<string>]> = [
    [{ since: "yesterday", until: 5 }, ["since", "until"]],
    [{ since: new Date(Number.NaN), until: {} }, ["since", "until"]],
    [{ limit: -1 }, ["limit"]],
    [{ limit: 1.5 }, ["limit"]],
    [{ limit: "5" }, ["limit"]],
    [{ eventType: "warning" }, ["eventType"]],
    [
      { resourceType: 5, resourceName: {}, namespace: false, reason: true, source: null },
      ["resourceType", "resourceName", "namespace", "reason", "source"]
    ],
    [{ page: 5 }, ["page"]],
    [{ namespace: ["a", 5, ""], eventType: ["Normal", "WARNING"] }, ["namespace[1]", "namespace[2]", "eventType[1]"]],
    [{ match: ["a"] }, ["match"]],
    [{ labels: "team=a" }, ["labels"]],
    [{ labels: ["team"] }, ["labels"]],
    [{ labels: new Map([["team", "a"]]) }, ["labels"]],
    [new Map([["reason", "Up"]]), ["query"]],
    [[], ["query"]],
    [new Date(0), ["query"]],
    [{ labels: { team: 5 } }, ["labels.team"]],
    [{ object: "Workflow/deploy" }, ["object"]],
    [{ object: [{ kind: "Workflow" }, { name: "deploy" }] }, ["object[0].name", "object[1].kind"]],
    [{ object: { kind: "Workflow", name: "a", apigroup: "" } }, ["object.apigroup"]],
    [{ object: { kind: "Workflow", name: "a", apiGroup: 5 } }, ["object.apiGroup"]],
    [{ resourcetype: "Order" }, ["resourcetype"]]
  ]
  it.effect.each(wrong)("%j is a typed error that names the fields", ([query, fields]) =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      const error = yield* Effect.flip(manager.queryEvents(query as EventManager.EventQueryInput))
      assert.instanceOf(error, EventManager.InvalidQuery)
      if (error._tag !== "InvalidQuery") return
      assert.deepStrictEqual(
        error.issues.map(({ field }) => field),
        [...fields]
      )
      for (const field of fields) assert.include(error.message, field)
    }).pipe(Effect.provide(memory))
  )

  it.effect("says what was meant, and refuses what is no query", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      const error = yield* Effect.flip(manager.queryEvents({ resourcetype: "Order" } as never))
      assert.include(error.message, "did you mean resourceType?")
      for (const query of [null, 5, "x"]) {
        assert.instanceOf(yield* Effect.flip(manager.queryEvents(query as never)), EventManager.InvalidQuery)
      }
    }).pipe(Effect.provide(memory))
  )

  it.effect("a token that is none is the backend's error", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      const error = yield* Effect.flip(manager.queryEvents({ page: "garbage" as PageToken }))
      assert.strictEqual(error._tag === "BackendError" && error.reason._tag, "CursorMismatch")
    }).pipe(Effect.provide(memory))
  )
})

describe("watchEvents", () => {
  it.effect("begins with now unless told otherwise, and reads times in the filter", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      yield* manager.createEvent(reference, "Before", "m", "Normal")
      const watching = yield* Effect.forkChild(
        Stream.runCollect(Stream.take(manager.watchEvents({ since: "1970-01-01T00:00:00Z", eventType: "Warning" }), 2)),
        { startImmediately: true }
      )
      yield* Effect.yieldNow
      yield* manager.createEvent(reference, "Quiet", "m", "Normal")
      yield* manager.createEvent(reference, "Loud", "m", "Warning")
      const items = yield* Fiber.join(watching)
      assert.deepStrictEqual(
        items.map((item) => (item._tag === "Event" ? item.event.event.reason : item._tag)),
        ["Live", "Loud"]
      )
    }).pipe(Effect.provide(memory))
  )

  it.effect("shows a snapshot where it is asked to", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      for (const reason of ["A", "B", "C"]) yield* manager.createEvent(reference, reason, "m", "Normal")
      const shown = (from: WatchFrom, n: number) =>
        Effect.map(Stream.runCollect(Stream.take(manager.watchEvents({}, from), n)), (items) =>
          items.map((item) => (item._tag === "Event" ? item.event.event.reason : item._tag))
        )
      assert.deepStrictEqual(yield* shown("beginning", 4), ["A", "B", "C", "Live"])
      assert.deepStrictEqual(yield* shown({ last: 2 }, 3), ["B", "C", "Live"])
      assert.deepStrictEqual(yield* shown({ last: 0 }, 1), ["Live"])
    }).pipe(Effect.provide(memory))
  )

  it.effect.each<readonly [unknown, unknown, ReadonlyArray<string>]>([
    [{ since: 5 }, "now", ["since"]],
    [{ limit: 5 }, "now", ["limit"]],
    [{}, { last: -1 }, ["from"]],
    [{}, { last: 1.5 }, ["from"]],
    [{}, {}, ["from"]],
    [{}, null, ["from"]],
    [{}, 5, ["from"]],
    [{}, "", ["from"]],
    [null, "now", ["query"]]
  ])("%j from %j is a typed error", ([filter, from, fields]) =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      const error = yield* Effect.flip(Stream.runDrain(manager.watchEvents(filter as never, from as never)))
      assert.instanceOf(error, EventManager.InvalidQuery)
      if (error._tag === "InvalidQuery")
        assert.deepStrictEqual(
          error.issues.map(({ field }) => field),
          [...fields]
        )
    }).pipe(Effect.provide(memory))
  )
})

describe("the manager", () => {
  it.effect("says which kind of store it reads, and has the built-in methods", () =>
    Effect.gen(function* () {
      const backend = yield* Effect.provide(Backend.Backend, Backend.layerMemory())
      for (const mode of ["kubernetes", "filesystem", "memory"]) {
        const layer = EventManager.layerDirect().pipe(
          Layer.provide(Layer.succeed(Backend.Backend, { ...backend, mode }))
        )
        const context = yield* Layer.build(layer)
        const manager = Context.get(context, EventManager.EventManager)
        assert.strictEqual(manager.isKubernetesMode, mode === "kubernetes")
        assert.strictEqual(manager.generator.isKubernetesMode, mode === "kubernetes")
        assert.strictEqual(manager.generator, Context.get(context, EventGenerator.EventGenerator))
      }
    })
  )

  it.effect("asks a backend that is a class, and hands its query through", () => {
    const asked: Array<EventQuery> = []
    class Store {
      readonly mode = "mine"
      readonly target = Effect.succeed(Target.make("t"))
      private readonly cursor = "c" as never
      readonly write: Backend.Service["write"] = (batch) => Effect.succeed(batch.map(() => Backend.created))
      query(query: EventQuery) {
        asked.push(query)
        return Effect.succeed({ events: [], totalCount: 0, cursor: this.cursor, coverage: [] })
      }
      watch() {
        return Stream.succeed({ _tag: "Live" as const, cursor: this.cursor })
      }
    }
    return Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      yield* manager.queryEvents({ namespace: "a", since: new Date(1), limit: 3 })
      assert.deepStrictEqual(asked, [{ namespace: "a", since: 1_000, limit: 3 }])
      assert.strictEqual((yield* Stream.runCollect(manager.watchEvents())).length, 1)
    }).pipe(Effect.provide(EventManager.layerDirect().pipe(Layer.provide(Layer.succeed(Backend.Backend, new Store())))))
  })

  it.effect("layerMemory keeps as many series as it is told, and one store for writing and reading", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      for (const reason of ["A", "B", "C"]) yield* manager.createEvent(reference, reason, "m", "Normal")
      const { events, totalCount } = yield* (yield* Backend.Backend).query({})
      assert.strictEqual(totalCount, 2)
      assert.deepStrictEqual(
        events.map(({ event }) => event.reason),
        ["C", "B"]
      )
      assert.strictEqual(events[0]?.event.source.component, "mine")
    }).pipe(Effect.provide(EventManager.layerMemory({ capacity: 2, component: "mine" })))
  )
})

describe("queries that follow one another without a pause", () => {
  /** Asks until a timer of the host has fired, and answers whether it did within this number of queries. */
  const firesDuring = async (query: () => Promise<unknown>): Promise<boolean> => {
    let hasFired = false
    setTimeout(() => (hasFired = true), 0)
    for (let asked = 0; asked < 50_000 && !hasFired; asked++) await query()
    return hasFired
  }

  it.live("leave turns of the event loop to a host that awaits promises", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      assert.isTrue(
        yield* Effect.promise(() => firesDuring(() => Effect.runPromise(manager.queryEvents({ limit: 1 }))))
      )
    }).pipe(Effect.provide(memory))
  )

  it.live("leave turns of the event loop to a host that asks a reader", () =>
    Effect.gen(function* () {
      const reader = yield* EventReader.EventReader
      assert.isTrue(yield* Effect.promise(() => firesDuring(() => Effect.runPromise(reader.query({ limit: 1 })))))
    }).pipe(Effect.provide(Backend.layerReader), Effect.provide(Backend.layerMemory()))
  )
})
