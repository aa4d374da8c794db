import * as Target from "@tidings/core/Target"
import * as GoDuration from "@tidings/templates/GoDuration"
import type { Mistake } from "@tidings/templates/TemplateCheck"
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Arbitrary, Duration, Effect, Layer, Result, Schema } from "effect"
import * as Backend from "../src/Backend.ts"
import type { Write } from "../src/Event.ts"
import * as EventCatalogue from "../src/EventCatalogue.ts"
import * as EventData from "../src/EventData.ts"
import { EventGenerator } from "../src/EventGenerator.ts"
import * as internalNames from "../src/internal/names.ts"
import type { CheckKinds, CheckMessages, Known, KnownKind, NoReasonTwice } from "../src/internal/catalogueCheck.ts"
import type { InvalidEvent } from "../src/InvalidEvent.ts"
import * as Recorder from "../src/Recorder.ts"
import * as Templates from "../src/Templates.ts"

const orderFields = {
  orderId: "text",
  podCount: "count",
  urgent: "flag",
  took: "duration",
  waited: "duration",
  tools: "list",
  payment: ["card", "cash"],
  error: "text",
  stepCount: "count"
} as const

class Orders extends EventCatalogue.Service<Orders>()("test/Orders", {
  Order: {
    apiVersion: "shop.example.com/v1",
    fields: orderFields,
    reasons: {
      OrderPlaced: { meaning: "A customer placed it.", message: "Order {{.Name}} was placed" },
      OrderScaled: {
        meaning: "More or fewer pods work on it.",
        message: "Order {{.Name}} ({{.OrderID}}) has {{.PodCount}} pods{{if .Took}} after {{.Took}}{{end}}"
      },
      OrderPaid: { meaning: "A customer paid.", message: "Order {{.Name}} was paid by {{.Payment}}" },
      OrderFailed: {
        meaning: "It failed.",
        type: "Warning",
        message: "Order {{.Name}} failed{{if .Error}}: {{.Error}}{{end}}"
      }
    }
  },
  HTTPRoute: {
    apiVersion: "gateway.networking.k8s.io/v1",
    reasons: { RouteUp: { meaning: "It takes traffic.", message: "Route {{.Name}} is up" } }
  }
}) {}

const order = { metadata: { name: "o-17", namespace: "shop" } }
const reference = { apiVersion: "shop.example.com/v1", kind: "Order", name: "o-17", namespace: "shop" }

/** A recorder that keeps what it is given. */
const fake = () => {
  const drafts: Array<Recorder.EventDraft> = []
  const layer = Layer.mock(Recorder.Recorder)({
    record: (draft) =>
      Effect.sync((): Recorder.Recorded => {
        drafts.push(draft)
        return { _tag: "Accepted", id: { origin: "0".repeat(32), seq: drafts.length } }
      })
  })
  return { drafts, layer }
}

const services = (recorder: Layer.Layer<Recorder.Recorder>) =>
  Layer.mergeAll(Templates.layer, recorder, Backend.layerMemory())

/** Runs with `Orders` and answers what was recorded. */
const recorded = <A, E>(use: (orders: Orders["Service"]) => Effect.Effect<A, E>) =>
  Effect.suspend(() => {
    const { drafts, layer } = fake()
    return Effect.as(Effect.provide(Orders.use(use), Layer.provide(Orders.layer, services(layer))), drafts)
  })

/** Runs a call that must be refused, and answers why. */
const refused = (use: (orders: Orders["Service"]) => Effect.Effect<unknown, Recorder.RecordError>) =>
  Effect.gen(function* () {
    const errors: Array<Recorder.RecordError> = []
    const drafts = yield* recorded((orders) => Effect.map(Effect.flip(use(orders)), (error) => errors.push(error)))
    assert.deepStrictEqual(drafts, [], "nothing is recorded")
    assert.strictEqual(errors[0]?._tag, "InvalidEvent")
    return (errors[0] as InvalidEvent).issues
  })

/** As JavaScript sees the methods. */
type Untyped = {
  readonly [method: string]: (...call: ReadonlyArray<unknown>) => Effect.Effect<unknown, Recorder.RecordError>
}
const untyped = (orders: Orders["Service"]): Untyped => orders as unknown as Untyped

describe("the method of a kind", () => {
  it.effect("records an event of the object, with the catalogue's apiVersion", () =>
    Effect.gen(function* () {
      const data = { orderId: "17", podCount: 3 }
      const drafts = yield* recorded((orders) => orders.orderEvent(order, "OrderScaled", data))
      assert.deepStrictEqual(drafts, [
        {
          involvedObject: reference,
          reason: "OrderScaled",
          data: { orderId: "17", podCount: 3 },
          type: undefined,
          action: undefined,
          related: undefined,
          labels: undefined,
          at: undefined
        }
      ])
      assert.strictEqual(drafts[0]?.data, data, "data is handed on as it is, not copied")
    })
  )

  it.effect("refuses a call without what the message prints outside every if, and says what is missing", () =>
    Effect.gen(function* () {
      const needed = (...fields: ReadonlyArray<string>) =>
        fields.map((field) => ({
          field: `data.${field}`,
          found: "missing",
          expected: "a value, which the message of OrderScaled requires"
        }))
      const call = (data?: unknown) => (orders: Orders["Service"]) =>
        untyped(orders)["orderEvent"]!(order, "OrderScaled", data)
      for (const none of [
        undefined,
        {},
        { orderId: undefined, podCount: undefined },
        Object.create({ orderId: "17" })
      ]) {
        assert.deepStrictEqual(yield* refused(call(none)), needed("orderId", "podCount"))
      }
      assert.deepStrictEqual(yield* refused(call({ orderId: "17" })), needed("podCount"))
      for (const [method, kind] of [["emit"], ["crdEvent", "Order"]] as const) {
        const object = kind === undefined ? [order] : [kind, "o-17", "shop"]
        const issues = yield* refused((orders) => untyped(orders)[method]!(...object, "OrderScaled", { podCount: 3 }))
        assert.deepStrictEqual(issues, needed("orderId"))
      }
      // Zero, false and an empty text are values.
      yield* recorded(call({ orderId: "", podCount: 0 }))
    })
  )

  it.effect("takes apiVersion and uid from the object", () =>
    Effect.gen(function* () {
      const drafts = yield* recorded((orders) =>
        orders.orderEvent(
          { apiVersion: "shop.example.com/v2", kind: "Order", metadata: { name: "o-17", uid: "u-1" } },
          "OrderPlaced"
        )
      )
      assert.deepStrictEqual(drafts[0]?.involvedObject, {
        apiVersion: "shop.example.com/v2",
        kind: "Order",
        name: "o-17",
        uid: "u-1"
      })
    })
  )

  it.effect("treats empty fields as absent, as clients of Kubernetes send them", () =>
    Effect.gen(function* () {
      const drafts = yield* recorded((orders) =>
        Effect.andThen(
          orders.orderEvent(
            { apiVersion: "", kind: "", metadata: { name: "o", namespace: "", uid: "" } },
            "OrderPlaced"
          ),
          untyped(orders)["orderEvent"]!(
            { kind: null, metadata: { name: "o", namespace: null, uid: null } },
            "OrderPlaced"
          )
        )
      )
      const expected = { apiVersion: "shop.example.com/v1", kind: "Order", name: "o" }
      assert.deepStrictEqual(
        drafts.map(({ involvedObject }) => involvedObject),
        [expected, expected]
      )
    })
  )

  it.effect("passes the options on, with the time in microseconds", () =>
    Effect.gen(function* () {
      const related = { kind: "Pod", name: "web-0" }
      const drafts = yield* recorded((orders) =>
        orders.orderEvent(order, "OrderPlaced", undefined, {
          type: "Warning",
          action: "place",
          related,
          labels: { team: "shop" },
          at: new Date(1_500)
        })
      )
      assert.deepStrictEqual(drafts[0], {
        involvedObject: reference,
        reason: "OrderPlaced",
        data: undefined,
        type: "Warning",
        action: "place",
        related,
        labels: { team: "shop" },
        at: 1_500_000
      })
    })
  )

  it.effect("returns an effect that records an event each time it runs, and none before", () =>
    Effect.gen(function* () {
      const drafts = yield* recorded((orders) => {
        const twice = orders.orderEvent(order, "OrderPlaced")
        orders.orderEvent(order, "OrderFailed")
        return Effect.andThen(twice, twice)
      })
      assert.deepStrictEqual(
        drafts.map(({ reason }) => reason),
        ["OrderPlaced", "OrderPlaced"]
      )
    })
  )

  it.effect("fails with the error of the recorder", () =>
    Effect.gen(function* () {
      const closed = new Recorder.RecorderError({ reason: new Recorder.Closed() })
      const layer = Layer.mock(Recorder.Recorder)({ record: () => Effect.fail(closed) })
      const error = yield* Effect.flip(Orders.use((orders) => orders.orderEvent(order, "OrderPlaced"))).pipe(
        Effect.provide(Layer.provide(Orders.layer, services(layer)))
      )
      assert.strictEqual(error, closed)
    })
  )

  it.effect("refuses an object of another kind", () =>
    Effect.gen(function* () {
      const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "web" } }
      assert.deepStrictEqual(yield* refused((orders) => orders.orderEvent(pod, "OrderPlaced")), [
        { field: "object.kind", found: '"Pod"', expected: "Order, or none" }
      ])
    })
  )

  it.effect("refuses an object without a name", () =>
    Effect.gen(function* () {
      const nameless = (found: string) => [{ field: "object.metadata.name", found, expected: "the name of the Order" }]
      const attempt = (object: unknown) => refused((orders) => untyped(orders)["orderEvent"]!(object, "OrderPlaced"))
      for (const object of [{}, { metadata: {} }, { metadata: null }]) {
        assert.deepStrictEqual(yield* attempt(object), nameless("missing"))
      }
      for (const [object, found] of [
        [undefined, "missing"],
        [null, "null"],
        ["o-17", '"o-17"']
      ] as const) {
        const expected = "an object with metadata.name, the name of the Order"
        assert.deepStrictEqual(yield* attempt(object), [{ field: "object", found, expected }])
      }
      assert.deepStrictEqual(yield* attempt({ metadata: { name: "" } }), nameless('""'))
    })
  )

  it.effect("refuses a reference in the place of an object, and says how the object is written", () =>
    Effect.gen(function* () {
      const attempt = (object: unknown) => refused((orders) => untyped(orders)["orderEvent"]!(object, "OrderPlaced"))
      assert.deepStrictEqual(yield* attempt({ kind: "Order", name: "o-17", namespace: "shop" }), [
        {
          field: "object.name",
          found: '"o-17"',
          expected:
            'name and namespace in metadata, as an object has them: {"metadata":{"name":"o-17","namespace":"shop"}}'
        }
      ])
    })
  )

  it.effect("refuses a reason of another kind or of none, and suggests the nearest one", () =>
    Effect.gen(function* () {
      const attempt = (reason: unknown) => refused((orders) => untyped(orders)["orderEvent"]!(order, reason))
      assert.deepStrictEqual(yield* attempt("RouteUp"), [
        { field: "reason", found: '"RouteUp"', expected: "one of the reasons of Order" }
      ])
      assert.deepStrictEqual(yield* attempt("OrderPlacd"), [
        { field: "reason", found: '"OrderPlacd"', expected: "one of the reasons of Order (did you mean OrderPlaced?)" }
      ])
      assert.deepStrictEqual(yield* attempt(undefined), [
        { field: "reason", found: "missing", expected: "one of the reasons of Order" }
      ])
    })
  )

  it.effect("refuses an invalid time", () =>
    Effect.gen(function* () {
      const issues = yield* refused((orders) => orders.orderEvent(order, "OrderPlaced", {}, { at: "yesterday" }))
      assert.deepStrictEqual(issues, [
        {
          field: "options.at",
          found: '"yesterday"',
          expected: "a Date, a DateTime or RFC 3339 text such as 2026-03-01T12:00:00Z"
        }
      ])
    })
  )

  it.effect("reports every issue of a call at once", () =>
    Effect.gen(function* () {
      const issues = yield* refused((orders) =>
        untyped(orders)["orderEvent"]!({ kind: "Pod" }, "Nothing", { podCount: "3", urgent: 1 }, { at: "?" })
      )
      assert.deepStrictEqual(
        issues.map(({ field }) => field),
        ["object.metadata.name", "object.kind", "reason", "data.podCount", "data.urgent", "options.at"]
      )
    })
  )

  const junk = Arbitrary.schema(
    Schema.Union([
      Schema.Json,
      Schema.Undefined,
      Schema.Literals(["OrderPlaced", "RouteUp", "Order"]),
      Schema.Struct({ metadata: Schema.Struct({ name: Schema.Json, namespace: Schema.Json }), kind: Schema.Json }),
      Schema.Record(Schema.Literals(["podCount", "took", "tools", "type", "at", "payment"]), Schema.Json),
      Schema.BigInt,
      Schema.Symbol
    ])
  )
  it.effect.prop(
    "never throws for arguments of any type",
    [Schema.Literals(["orderEvent", "httpRouteEvent", "emit", "crdEvent"]), Arbitrary.array(junk, { maxLength: 6 })],
    ([method, call]) =>
      recorded((orders) =>
        Effect.gen(function* () {
          // Called outside Effect.suspend on purpose: what throws here would be an exception in the host.
          const exit = yield* Effect.result(untyped(orders)[method]!(...call))
          if (Result.isFailure(exit)) assert.strictEqual(exit.failure._tag, "InvalidEvent")
        })
      ),
    { arbitrary: { runs: 300, size: 40 } }
  )
})

describe("declared fields", () => {
  const scaled = (data: object) => (orders: Orders["Service"]) =>
    untyped(orders)["orderEvent"]!(order, "OrderPlaced", data)

  it.effect("are passed on unchanged where they have the declared type", () =>
    Effect.gen(function* () {
      const data = {
        orderId: "",
        podCount: -1,
        urgent: false,
        tools: ["a"],
        payment: "cash",
        error: undefined,
        other: { x: 1 }
      }
      const drafts = yield* recorded(scaled(data))
      assert.strictEqual(drafts[0]?.data, data)
    })
  )

  const wrong: ReadonlyArray<readonly [string, unknown, string, string]> = [
    ["orderId", 17, "17", "a text"],
    ["orderId", null, "null", "a text"],
    ["podCount", 1.5, "1.5", "a whole number"],
    ["podCount", "3", '"3"', "a whole number"],
    ["podCount", Number.NaN, "NaN", "a whole number"],
    ["podCount", 2 ** 53, "9007199254740992", "a whole number"],
    ["urgent", "yes", '"yes"', "true or false"],
    ["tools", "x", '"x"', "a list of texts"],
    ["tools", ["x", 1], '["x",1]', "a list of texts"],
    ["payment", "cheque", '"cheque"', '"card" or "cash"'],
    ["payment", ["card"], '["card"]', '"card" or "cash"'],
    ["took", "soon", '"soon"', `a finite duration such as "1m30.5s", "90 seconds" or Duration.seconds(90)`],
    ["took", Duration.infinity, "missing", `a finite duration such as "1m30.5s", "90 seconds" or Duration.seconds(90)`],
    ["took", true, "true", `a finite duration such as "1m30.5s", "90 seconds" or Duration.seconds(90)`]
  ]
  it.effect.each(wrong)("refuse: %s is not %j", ([field, value, found, expected]) =>
    Effect.gen(function* () {
      const issues = yield* refused(scaled({ [field]: value }))
      assert.strictEqual(issues.length, 1)
      assert.strictEqual(issues[0]?.field, `data.${field}`)
      assert.strictEqual(issues[0]?.expected, expected)
      if (value !== Duration.infinity) assert.strictEqual(issues[0]?.found, found)
    })
  )

  it.effect("of the built-in names are checked at acceptance only", () =>
    Effect.gen(function* () {
      const data: object = { stepCount: "no number", error: 7, name: "another" }
      const drafts = yield* recorded(scaled(data))
      assert.strictEqual(drafts[0]?.data, data)
    })
  )

  it.effect("have durations converted to Go's text in a copy", () =>
    Effect.gen(function* () {
      const inputs: ReadonlyArray<readonly [Duration.Input | (string & {}), string]> = [
        [1_500, "1.5s"],
        [1_500n, "1.5µs"],
        [[1, 500_000_000], "1.5s"],
        ["90 seconds", "1m30s"],
        ["90s", "1m30s"],
        ["1m30.5s", "1m30.5s"],
        [Duration.minutes(90), "1h30m0s"],
        [{ hours: 1, milliseconds: 5 }, "1h0m0.005s"],
        [0, "0s"],
        ["-2s", "-2s"]
      ]
      for (const [input, text] of inputs) {
        const data = { took: input, waited: "2s", podCount: 1 }
        const drafts = yield* recorded((orders) => orders.orderEvent(order, "OrderPlaced", data))
        assert.deepStrictEqual(drafts[0]?.data, { took: text, waited: "2s", podCount: 1 })
        assert.strictEqual(data.took, input, "the caller's object stays as it is")
      }
    })
  )

  it.effect.prop(
    "keep durations exact to the nanosecond",
    [Schema.Int.check(Schema.isBetween({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }))],
    ([nanoseconds]) =>
      Effect.gen(function* () {
        const drafts = yield* recorded((orders) =>
          orders.orderEvent(order, "OrderPlaced", { took: Duration.nanos(BigInt(nanoseconds)) })
        )
        const text = drafts[0]?.data?.["took"]
        assert.strictEqual(Result.getOrThrow(GoDuration.parse(text as string)), nanoseconds)
      }),
    { arbitrary: { size: 1_000 } }
  )
})

describe("emit", () => {
  it.effect("finds the kind that declares the reason", () =>
    Effect.gen(function* () {
      const drafts = yield* recorded((orders) =>
        Effect.andThen(
          orders.emit(order, "OrderPaid", { payment: "card" }, { type: "Warning" }),
          orders.emit({ metadata: { name: "r" } }, "RouteUp")
        )
      )
      assert.deepStrictEqual(
        drafts.map(({ data, involvedObject, reason, type }) => ({ data, involvedObject, reason, type })),
        [
          { data: { payment: "card" }, involvedObject: reference, reason: "OrderPaid", type: "Warning" },
          {
            data: undefined,
            involvedObject: { apiVersion: "gateway.networking.k8s.io/v1", kind: "HTTPRoute", name: "r" },
            reason: "RouteUp",
            type: undefined
          }
        ]
      )
    })
  )

  it.effect("refuses a reason that no kind declares, and suggests the nearest one", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* refused((orders) => untyped(orders)["emit"]!(order, "RouteUpp")), [
        {
          field: "reason",
          found: '"RouteUpp"',
          expected: "one of the reasons of the catalogue (did you mean RouteUp?)"
        }
      ])
    })
  )
})

describe("crdEvent", () => {
  it.effect("records an event of the object with the given kind, name and namespace", () =>
    Effect.gen(function* () {
      const drafts = yield* recorded((orders) =>
        Effect.gen(function* () {
          yield* orders.crdEvent("Order", "o-17", "shop", "OrderPaid", { payment: "cash" }, { action: "pay" })
          yield* orders.crdEvent("HTTPRoute", "r", undefined, "RouteUp")
          yield* orders.crdEvent("HTTPRoute", "r", "", "RouteUp")
        })
      )
      const route = { apiVersion: "gateway.networking.k8s.io/v1", kind: "HTTPRoute", name: "r" }
      assert.deepStrictEqual(
        drafts.map(({ involvedObject }) => involvedObject),
        [reference, route, route]
      )
      assert.deepStrictEqual(drafts[0]?.data, { payment: "cash" })
      assert.strictEqual(drafts[0]?.action, "pay")
    })
  )

  it.effect("refuses a kind that the catalogue does not have, and a reason of another kind", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* refused((orders) => untyped(orders)["crdEvent"]!("Ordr", "o", "shop", "OrderPlaced")),
        [{ field: "kind", found: '"Ordr"', expected: "one of the kinds of the catalogue (did you mean Order?)" }]
      )
      assert.deepStrictEqual(
        yield* refused((orders) => untyped(orders)["crdEvent"]!("Order", "o", "shop", "RouteUp")),
        [{ field: "reason", found: '"RouteUp"', expected: "one of the reasons of Order" }]
      )
      assert.deepStrictEqual(
        yield* refused((orders) => untyped(orders)["crdEvent"]!("Order", "", "shop", "OrderPlaced")),
        [{ field: "object.metadata.name", found: '""', expected: "the name of the Order" }]
      )
    })
  )
})

describe("the layers of a catalogue", () => {
  it.effect("register the catalogue in Templates", () =>
    Effect.gen(function* () {
      const templates = yield* Templates.Templates
      assert.strictEqual(templates.reason("OrderFailed")?.type, "Warning")
      assert.deepStrictEqual(templates.kind("Order")?.fields, orderFields)
      assert.strictEqual(templates.render("RouteUp", { name: "r" }), "Route r is up")
    }).pipe(Effect.provide(Layer.provideMerge(Orders.layer, services(fake().layer))))
  )

  it.effect("replace messages with layerWith", () =>
    Effect.gen(function* () {
      const orders = yield* Orders
      assert.strictEqual(orders.getTemplate("OrderPlaced"), "{{.Name}} is new")
      assert.strictEqual(orders.getTemplate("OrderFailed"), Orders.kinds.Order.reasons.OrderFailed.message)
    }).pipe(
      Effect.provide(Layer.provide(Orders.layerWith({ OrderPlaced: "{{.Name}} is new" }), services(fake().layer)))
    )
  )

  it.effect("fail in layerWith where the compiler cannot check a message", () =>
    Effect.gen(function* () {
      const fromFile: { readonly [reason: string]: string } = { OrderPlaced: "{{.Nmae}}", OrderPlacd: "x" }
      const layer = Layer.provide(Orders.layerWith(fromFile), services(fake().layer))
      const error = yield* Effect.flip(
        Effect.provide(
          Orders.use(() => Effect.void),
          layer
        )
      )
      assert.strictEqual(error._tag, "CatalogueError")
      assert.deepStrictEqual(
        error.issues.map(({ path }) => path),
        ["messages.OrderPlaced", "messages.OrderPlacd"]
      )
    })
  )

  it.effect("provide setTemplate and getTemplate of Templates", () =>
    Effect.gen(function* () {
      const orders = yield* Orders
      const templates = yield* Templates.Templates
      yield* orders.setTemplate("OrderPlaced", "placed: {{.Name}}")
      assert.strictEqual(orders.getTemplate("OrderPlaced"), "placed: {{.Name}}")
      assert.strictEqual(templates.render("OrderPlaced", { name: "o" }), "placed: o")
      const error = yield* Effect.flip(orders.setTemplate("OrderPlaced", "{{.Name"))
      assert.strictEqual(error._tag, "TemplateError")
      assert.isUndefined(orders.getTemplate("Unheard"))
    }).pipe(Effect.provide(Layer.provideMerge(Orders.layer, services(fake().layer))))
  )

  it.effect("set isKubernetesMode from the mode of the backend", () =>
    Effect.gen(function* () {
      const modeOf = (mode: Backend.Mode) =>
        Orders.useSync((orders) => orders.isKubernetesMode).pipe(
          Effect.provide(
            Layer.provide(
              Orders.layer,
              Layer.mergeAll(
                Templates.layer,
                fake().layer,
                Layer.mock(Backend.Backend)({ mode, target: Effect.succeed(Target.make("t")) })
              )
            )
          )
        )
      assert.deepStrictEqual(yield* Effect.all([modeOf("kubernetes"), modeOf("filesystem"), modeOf("sqlite")]), [
        true,
        false,
        false
      ])
    })
  )

  it.effect("provide all services with one registry in layerAll", () => {
    const { drafts, layer } = fake()
    return Effect.gen(function* () {
      const orders = yield* Orders
      const generator = yield* EventGenerator
      yield* orders.orderEvent(order, "OrderPlaced")
      yield* generator.mcpServerEvent({ metadata: { name: "github" } }, "MCPServerStarted")
      assert.deepStrictEqual(
        drafts.map(({ involvedObject }) => involvedObject.kind),
        ["Order", "MCPServer"]
      )
      assert.strictEqual((yield* Templates.Templates).reasons().length, 69 + 5)
    }).pipe(Effect.provide(Layer.provideMerge(EventCatalogue.layerAll(EventGenerator, Orders), services(layer))))
  })

  it.effect("fail for catalogues with a common reason that are merged by hand", () =>
    Effect.gen(function* () {
      class Copies extends EventCatalogue.Service<Copies>()("test/Copies", {
        Copy: { apiVersion: "v1", reasons: { OrderPlaced: { meaning: "m", message: "x" } } }
      }) {}
      const layer = Layer.provide(Copies.layer, Layer.provideMerge(Orders.layer, services(fake().layer)))
      const error = yield* Effect.flip(
        Effect.provide(
          Copies.use(() => Effect.void),
          layer
        )
      )
      assert.strictEqual(error._tag, "CatalogueError")
      assert.deepStrictEqual(error.issues, [
        { path: "Copy.OrderPlaced", detail: "Order has this reason already: a reason belongs to one kind only" }
      ])
    })
  )

  it.effect("store data that a host declares, and return it in queries", () =>
    Effect.gen(function* () {
      const orders = yield* Orders
      yield* orders.orderEvent(order, "OrderScaled", {
        orderId: "17",
        podCount: 3,
        took: "90 seconds",
        payment: "card"
      })
      const page = yield* Backend.Backend.use((backend) => backend.query({}))
      const { event }: Write = page.events[0]!
      assert.strictEqual(event.message, "Order o-17 (17) has 3 pods after 1m30s")
      assert.strictEqual(event.type, "Normal")
      assert.deepStrictEqual(event.data, {
        name: "o-17",
        namespace: "shop",
        orderId: "17",
        podCount: 3,
        took: "1m30s",
        payment: "card"
      })
    }).pipe(
      Effect.provide(
        Orders.layer.pipe(
          Layer.provideMerge(Recorder.layerDirect()),
          Layer.provideMerge(Layer.merge(Templates.layer, Backend.layerMemory()))
        )
      )
    )
  )
})

describe("names of methods", () => {
  it("are the same at run time and in the types", () => {
    const names: {
      readonly [
        K in "Order" | "MCPServer" | "HTTPRoute" | "CRD" | "V1Pod" | "IPAddress" | "pod" | "A" | "AB1"
      ]: EventCatalogue.MethodName<K>
    } = {
      Order: "orderEvent",
      MCPServer: "mcpServerEvent",
      HTTPRoute: "httpRouteEvent",
      CRD: "crdEvent",
      V1Pod: "v1PodEvent",
      IPAddress: "ipAddressEvent",
      pod: "podEvent",
      A: "aEvent",
      AB1: "ab1Event"
    }
    for (const [kind, name] of Object.entries(names)) assert.strictEqual(internalNames.methodName(kind), name)
  })
})

// ---------------------------------------------------------------------------
// what the compiler checks
// ---------------------------------------------------------------------------

const told = { meaning: "m", message: "x" } as const

describe("types of a definition", () => {
  const mistaken = {
    Order: {
      apiVersion: "v1",
      field: {},
      fields: {
        podCount: "count",
        stepId: "text",
        error: "text",
        name: "text",
        arguments: "text",
        duration: "text",
        operation: ["a", "b"],
        batchId: "text",
        batchID: "text"
      },
      reasons: {
        Fine: {
          meaning: "m",
          message: "{{.Name}} in {{.Namespace}}: {{.PodCount}}{{if .Error}}: {{.Error}}{{end}} {{.Arguments.x}}"
        },
        Near: { meaning: "m", message: "{{.Name}} has {{.PodCnt}} pods" },
        Condition: { meaning: "m", message: "{{.Name}} failed{{if .Eror}}: {{.Error}}{{end}}" },
        Open: { meaning: "m", message: "{{if .Error}}x" },
        Option: { meaning: "m", message: "x", typ: "Warning" },
        Twice: told
      }
    },
    Parcel: { apiVersion: "v1", reasons: { Twice: told, Other: { meaning: "m", message: "{{.PodCount}}" } } },
    HTTPRoute: { apiVersion: "v1", reasons: {} },
    HttpRoute: { apiVersion: "v1", reasons: {} },
    CRD: { apiVersion: "v1", reasons: {} }
  } as const
  type Checked = CheckKinds<typeof mistaken>
  type Reasons = Checked["Order"]["reasons"]
  type Fields = NonNullable<Checked["Order"]["fields"]>

  it("report what is wrong with a message", () => {
    expectTypeOf<Reasons["Fine"]["message"]>().toBeUnknown()
    expectTypeOf<Reasons["Near"]["message"]>().toEqualTypeOf<
      Mistake<"unknown field .PodCnt - did you mean .PodCount?">
    >()
    expectTypeOf<Reasons["Condition"]["message"]>().toEqualTypeOf<
      Mistake<"unknown field .Eror - did you mean .Error?">
    >()
    expectTypeOf<Reasons["Open"]["message"]>().toEqualTypeOf<Mistake<"an {{if}} is never closed - add {{end}}">>()
    expectTypeOf<Checked["Parcel"]["reasons"]["Other"]["message"]>().toEqualTypeOf<Mistake<"unknown field .PodCount">>()
  })

  it("report what is wrong with a reason, a field or a kind", () => {
    expectTypeOf<Reasons["Twice"]["mistake"]>().toEqualTypeOf<"the reason Twice is in two kinds">()
    expectTypeOf<Reasons["Option"]["typ"]>().toEqualTypeOf<Mistake<"no such option: typ">>()
    expectTypeOf<Checked["Order"]["field"]>().toEqualTypeOf<Mistake<"no such option: field">>()
    expectTypeOf<Fields["podCount"]>().toBeUnknown()
    expectTypeOf<Fields["name"]>().toEqualTypeOf<Mistake<"every event has name: leave it out">>()
    expectTypeOf<Fields["arguments"]>().toEqualTypeOf<Mistake<"every event has arguments: leave it out">>()
    expectTypeOf<Fields["duration"]>().toEqualTypeOf<Mistake<'duration is built in as "duration"'>>()
    expectTypeOf<Fields["operation"]>().toBeUnknown()
    expectTypeOf<Fields["batchId"]>().toEqualTypeOf<Mistake<"another field is .BatchID too">>()
    expectTypeOf<
      Checked["HTTPRoute"]["mistake"]
    >().toEqualTypeOf<"HTTPRoute and another kind would share the method httpRouteEvent">()
    expectTypeOf<Checked["CRD"]["mistake"]>().toEqualTypeOf<"CRD would need the method crdEvent, which is taken">()
  })

  it("offer completions for a field that is being typed, in addition to the mistake", () => {
    type Typing = CheckKinds<{
      readonly Order: {
        readonly apiVersion: "v1"
        readonly fields: { readonly podCount: "count"; readonly error: "text" }
        readonly reasons: {
          readonly Begun: { readonly meaning: "m"; readonly message: "{{.Name}} has {{.Po" }
          readonly Far: { readonly meaning: "m"; readonly message: "{{.Zz}}" }
        }
      }
    }>["Order"]["reasons"]
    expectTypeOf<Typing["Begun"]["message"]>().toEqualTypeOf<
      Mistake<"a {{ has no }}"> | "{{.Name}} has {{.PodCount}}"
    >()
    expectTypeOf<Typing["Far"]["message"]>().toEqualTypeOf<Mistake<"unknown field .Zz">>()
  })

  it("accept a kind with one field of any name, and a kind without fields", () => {
    class Alone extends EventCatalogue.Service<Alone>()("test/Alone", {
      Order: {
        apiVersion: "v1",
        fields: { orderId: "text" },
        reasons: { OrderPlaced: { meaning: "m", message: "{{.OrderID}}" } }
      },
      // @ts-expect-error unknown field .OrderID, and no more than that
      Shop: { apiVersion: "v1", fields: {}, reasons: { ShopOpened: { meaning: "m", message: "{{.OrderID}}" } } }
    }) {}
    expectTypeOf<CheckKinds<typeof Alone.kinds>["Order"]["fields"]>().toEqualTypeOf<
      { readonly orderId: unknown } | undefined
    >()
    expectTypeOf<CheckKinds<typeof Alone.kinds>["Shop"]["reasons"]["ShopOpened"]["message"]>().toEqualTypeOf<
      Mistake<"unknown field .OrderID">
    >()
  })

  it("are checked where a catalogue is defined", () => {
    class A extends EventCatalogue.Service<A>()("test/A", {
      Order: {
        apiVersion: "v1",
        // @ts-expect-error every event has name
        fields: { podCount: "count", name: "text" },
        reasons: {
          Fine: { meaning: "m", message: "{{.PodCount}}" },
          // @ts-expect-error unknown field .PodCnt
          Near: { meaning: "m", message: "{{.PodCnt}}" },
          // @ts-expect-error no such option: typ
          Option: { meaning: "m", message: "x", typ: "Warning" }
        }
      },
      // @ts-expect-error no such option: field
      Parcel: { apiVersion: "v1", field: {}, reasons: {} },
      // @ts-expect-error crdEvent is taken
      CRD: { apiVersion: "v1", reasons: {} }
    }) {}
    // What has not even the shape of a definition is reported first, and alone.
    class Shapeless extends EventCatalogue.Service<Shapeless>()("test/Shapeless", {
      Order: {
        apiVersion: "v1",
        reasons: {
          // @ts-expect-error no such type
          Type: { meaning: "m", message: "x", type: "Waring" },
          // @ts-expect-error the meaning is missing
          Meaning: { message: "x" }
        }
      },
      // @ts-expect-error the apiVersion is missing
      Box: { reasons: {} },
      // @ts-expect-error no such type of a field
      Bag: { apiVersion: "v1", fields: { size: "number" }, reasons: {} }
    }) {}
    class B extends EventCatalogue.Service<B>()("test/B", {
      // @ts-expect-error the reason Up is in two kinds
      Order: { apiVersion: "v1", reasons: { Up: told } },
      // @ts-expect-error the reason Up is in two kinds
      Parcel: { apiVersion: "v1", reasons: { Up: told } }
    }) {}
    // @ts-expect-error write class X extends EventCatalogue.Service<X>()
    const C = () => class extends EventCatalogue.Service()("test/C", {}) {}
    expectTypeOf<Mistake<"write class X extends EventCatalogue.Service<X>()">>().toEqualTypeOf(
      EventCatalogue.Service()("test/D", {})
    )
    assert.isDefined([A, Shapeless, B, C])
  })

  it("accept what is not a literal, which is checked when the layer is built", () => {
    const kinds: EventCatalogue.Kinds = {
      Order: { apiVersion: "v1", reasons: { Up: { meaning: "m", message: "{{.Nope}}" } } }
    }
    class Loaded extends EventCatalogue.Service<Loaded>()("test/Loaded", kinds) {}
    assert.strictEqual(Loaded.kinds, kinds)
  })
})

describe("types of calls", () => {
  const calls = (check: (orders: Orders["Service"]) => ReadonlyArray<unknown>) => expectTypeOf(check).toBeFunction()

  it("return the result of recording", () => {
    calls((orders) => {
      const placed = orders.orderEvent(order, "OrderPlaced")
      expectTypeOf(placed).toEqualTypeOf<Effect.Effect<Recorder.Recorded, Recorder.RecordError>>()
      const emitted = orders.emit(order, "OrderPlaced")
      expectTypeOf(emitted).toEqualTypeOf<Effect.Effect<Recorder.Recorded, Recorder.RecordError>>()
      const crd = orders.crdEvent("Order", "o", undefined, "OrderPlaced")
      expectTypeOf(crd).toEqualTypeOf<Effect.Effect<Recorder.Recorded, Recorder.RecordError>>()
      return []
    })
  })

  it("accept only the reasons of the kind", () => {
    type Reasons = "OrderPlaced" | "OrderFailed"
    expectTypeOf<Known<"OrderPlaced", Reasons, "Order has">>().toBeUnknown()
    expectTypeOf<Known<"OrderPlacd", Reasons, "Order has">>().toEqualTypeOf<
      Mistake<"Order has no reason OrderPlacd - did you mean OrderPlaced?">
    >()
    expectTypeOf<Known<"Zebra", Reasons, "Order has">>().toEqualTypeOf<Mistake<"Order has no reason Zebra">>()
    expectTypeOf<Known<"OrderPlaced" | "Zebra", Reasons, "Order has">>().toEqualTypeOf<
      Mistake<"Order has no reason Zebra">
    >()
    expectTypeOf<Known<string, Reasons, "Order has">>().toEqualTypeOf<
      Mistake<"a reason known only at run time: see EventManager.createEventWithData">
    >()
    const some: string = "OrderPlaced"
    const either = (first: boolean) => (first ? "OrderPlaced" : "OrderLost")
    calls((orders) => [
      orders.orderEvent(order, "OrderPlaced"),
      // @ts-expect-error did you mean OrderPlaced?
      orders.orderEvent(order, "OrderPlacd"),
      // @ts-expect-error a reason of another kind
      orders.orderEvent(order, "RouteUp"),
      // @ts-expect-error known only at run time
      orders.orderEvent(order, some),
      // @ts-expect-error one of both is none
      orders.orderEvent(order, either(true)),
      // @ts-expect-error no kind has it
      orders.emit(order, "OrderPlacd"),
      // @ts-expect-error known only at run time
      orders.emit(order, some),
      // @ts-expect-error no such method
      orders.ordersEvent(order, "OrderPlaced")
    ])
  })

  it("require what the message prints outside every if, and check the types of data", () => {
    calls((orders) => [
      orders.orderEvent(order, "OrderScaled", { orderId: "1", podCount: 3 }),
      orders.orderEvent(order, "OrderScaled", { orderId: "1", podCount: 3, took: "3 seconds", error: undefined }),
      orders.orderEvent(order, "OrderScaled", { orderId: "1", podCount: 3, took: "1m30s", arguments: { any: [1] } }),
      orders.emit(order, "OrderPaid", { payment: "cash" }),
      // @ts-expect-error no data at all
      orders.orderEvent(order, "OrderScaled"),
      // @ts-expect-error podCount is missing
      orders.orderEvent(order, "OrderScaled", { orderId: "1" }),
      // @ts-expect-error podCount may not be undefined
      orders.orderEvent(order, "OrderScaled", { orderId: "1", podCount: undefined }),
      // @ts-expect-error podCount is a number
      orders.orderEvent(order, "OrderScaled", { orderId: "1", podCount: "3" }),
      // @ts-expect-error no such field
      orders.orderEvent(order, "OrderPlaced", { eror: "x" }),
      // @ts-expect-error the name is the object's
      orders.orderEvent(order, "OrderPlaced", { name: "x" }),
      // @ts-expect-error cash or card
      orders.emit(order, "OrderPaid", { payment: "cheque" }),
      // @ts-expect-error payment is missing
      orders.emit(order, "OrderPaid", {})
    ])
  })

  it("require, for a union of reasons, what each of them requires", () => {
    const reason = (paid: boolean) => (paid ? "OrderPaid" : "OrderScaled")
    const ofTwoKinds = (paid: boolean) => (paid ? "OrderPaid" : "RouteUp")
    calls((orders) => [
      orders.orderEvent(order, reason(true), { payment: "card", orderId: "1", podCount: 1 }),
      // @ts-expect-error payment is missing
      orders.orderEvent(order, reason(true), { orderId: "1", podCount: 1 }),
      orders.emit(order, ofTwoKinds(true), { payment: "card" }),
      // @ts-expect-error payment is missing
      orders.emit(order, ofTwoKinds(true), {}),
      // @ts-expect-error payment is missing
      orders.emit(order, ofTwoKinds(true))
    ])
  })

  it("accept in crdEvent only kinds of the catalogue and reasons of the kind", () => {
    expectTypeOf<KnownKind<"Order", "Order" | "Parcel">>().toBeUnknown()
    expectTypeOf<KnownKind<"Ordr", "Order" | "Parcel">>().toEqualTypeOf<
      Mistake<"the catalogue has no kind Ordr - did you mean Order?">
    >()
    expectTypeOf<KnownKind<string, "Order">>().toEqualTypeOf<
      Mistake<"a kind known only at run time: see EventManager.createEventForCRD">
    >()
    const some: string = "Order"
    const either = (first: boolean) => (first ? "Order" : "HTTPRoute")
    calls((orders) => [
      orders.crdEvent("Order", "o", "shop", "OrderPaid", { payment: "card" }),
      // @ts-expect-error payment is missing
      orders.crdEvent("Order", "o", "shop", "OrderPaid", {}),
      // @ts-expect-error no such kind
      orders.crdEvent("Ordr", "o", "shop", "OrderPlaced"),
      // @ts-expect-error known only at run time
      orders.crdEvent(some, "o", "shop", "OrderPlaced"),
      // @ts-expect-error a reason of another kind
      orders.crdEvent("Order", "o", "shop", "RouteUp"),
      // @ts-expect-error a reason of one of both kinds only
      orders.crdEvent(either(true), "o", "shop", "RouteUp")
    ])
  })

  it("check the options", () => {
    calls((orders) => [
      orders.orderEvent(order, "OrderPlaced", undefined, {
        type: "Warning",
        at: new Date(0),
        labels: {},
        action: undefined
      }),
      // @ts-expect-error no such option
      orders.orderEvent(order, "OrderPlaced", {}, { typ: "Warning" }),
      // @ts-expect-error no such type
      orders.orderEvent(order, "OrderPlaced", {}, { type: "Warn" }),
      // @ts-expect-error nobody can tell milliseconds from microseconds
      orders.emit(order, "OrderPlaced", {}, { at: 5 })
    ])
  })

  it("are the same with promises for hosts without Effect", () => {
    type Promised = EventCatalogue.Generator<typeof Orders.kinds, Promise<Recorder.Recorded>>
    const use = (orders: Promised) => {
      expectTypeOf(orders.orderEvent(order, "OrderPlaced")).toEqualTypeOf<Promise<Recorder.Recorded>>()
      expectTypeOf(orders.emit(order, "RouteUp")).toEqualTypeOf<Promise<Recorder.Recorded>>()
      // @ts-expect-error podCount is missing
      return orders.orderEvent(order, "OrderScaled", { orderId: "1" })
    }
    expectTypeOf(use).toBeFunction()
  })
})

describe("types of layers", () => {
  type Kinds = typeof Orders.kinds

  it("report what is wrong with replaced messages", () => {
    type Checked = CheckMessages<
      Kinds,
      {
        readonly OrderPlaced: "{{.Name}}{{if .Error}}: {{.Error}}{{end}}"
        readonly OrderScaled: "{{.PodCount}} now"
        readonly OrderPaid: "{{.Paymnt}}"
        readonly OrderFailed: "{{.Error}}"
        readonly OrderLost: "x"
      }
    >
    expectTypeOf<Checked["OrderPlaced"]>().toBeUnknown()
    expectTypeOf<Checked["OrderScaled"]>().toBeUnknown()
    expectTypeOf<Checked["OrderPaid"]>().toEqualTypeOf<Mistake<"unknown field .Paymnt - did you mean .Payment?">>()
    expectTypeOf<Checked["OrderFailed"]>().toEqualTypeOf<
      Mistake<"prints .Error outside every {{if}}, but calls need not give it">
    >()
    expectTypeOf<CheckMessages<Kinds, { readonly OrderPlacd: "x" }>["OrderPlacd"]>().toEqualTypeOf<
      Mistake<"the catalogue has no reason OrderPlacd - did you mean OrderPlaced?">
    >()
    const attempts = () => [
      Orders.layerWith({ OrderScaled: "{{.PodCount}} now", OrderPlaced: "x" }),
      // @ts-expect-error unknown field
      Orders.layerWith({ OrderPaid: "{{.Paymnt}}" }),
      // @ts-expect-error calls need not give the error
      Orders.layerWith({ OrderFailed: "{{.Error}}" }),
      // @ts-expect-error no such reason
      Orders.layerWith({ OrderLost: "x" })
    ]
    expectTypeOf(attempts).toBeFunction()
  })

  it("refuse two catalogues with a common reason", () => {
    class Copies extends EventCatalogue.Service<Copies>()("test/Copies", {
      Copy: { apiVersion: "v1", reasons: { RouteUp: told, CopyMade: told } }
    }) {}
    expectTypeOf<NoReasonTwice<[typeof EventGenerator, typeof Orders]>>().toBeUnknown()
    expectTypeOf<NoReasonTwice<[typeof EventGenerator, typeof Orders, typeof Copies]>>().toEqualTypeOf<
      ReadonlyArray<Mistake<"declared twice: RouteUp">>
    >()
    // @ts-expect-error declared twice: RouteUp
    const attempt = () => EventCatalogue.layerAll(EventGenerator, Orders, Copies)
    expectTypeOf(attempt).toBeFunction()
    expectTypeOf(EventCatalogue.layerAll(EventGenerator, Orders)).toEqualTypeOf<
      Layer.Layer<
        EventGenerator | Orders,
        Templates.CatalogueError,
        Templates.Templates | Recorder.Recorder | Backend.Backend
      >
    >()
  })

  it("report a layer that was not provided", () => {
    const program = Orders.use((orders) => orders.orderEvent(order, "OrderPlaced"))
    // @ts-expect-error Orders is not provided
    const attempt = () => Effect.runPromise(program)
    expectTypeOf(attempt).toBeFunction()
    expectTypeOf(program).toEqualTypeOf<Effect.Effect<Recorder.Recorded, Recorder.RecordError, Orders>>()
  })

  it("allow kinds to declare the built-in fields", () => {
    expectTypeOf(EventGenerator.kinds.Workflow.fields).toEqualTypeOf(EventData.fields)
  })
})
