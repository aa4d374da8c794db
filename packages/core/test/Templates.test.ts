import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import type { Kinds } from "../src/EventCatalogue.ts"
import * as Templates from "../src/Templates.ts"

const shop: Kinds = {
  Order: {
    apiVersion: "shop.example.com/v1",
    fields: { orderId: "text", podCount: "count", took: "duration", payment: ["card", "cash"], error: "text" },
    reasons: {
      OrderPlaced: { meaning: "A customer placed it.", message: "Order {{.Name}} was placed" },
      OrderScaled: {
        meaning: "More or fewer pods work on it.",
        message: "Order {{.OrderID}} has {{.PodCount}} pods{{if .Took}} after {{.Took}}{{end}}"
      },
      OrderFailed: { meaning: "It failed.", type: "Warning", message: "Order {{.Name}} failed" }
    }
  },
  Customer: {
    apiVersion: "shop.example.com/v1",
    reasons: { CustomerLeft: { meaning: "It went away.", message: "Customer {{.Name}} left" } }
  }
}

const withTemplates = <A, E>(use: (templates: Templates.Templates["Service"]) => Effect.Effect<A, E>) =>
  Effect.provide(Templates.Templates.use(use), Templates.layer)

const withShop = <A, E>(use: (templates: Templates.Templates["Service"]) => Effect.Effect<A, E>) =>
  withTemplates((templates) => Effect.andThen(templates.register(shop), use(templates)))

const refusal = (definition: Kinds, messages?: { readonly [reason: string]: string }) =>
  withTemplates((templates) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(templates.register(definition, messages))
      assert.deepStrictEqual(templates.reasons(), [], "nothing of a catalogue with faults is registered")
      assert.deepStrictEqual(templates.kinds(), [])
      return error
    })
  )

const only = (reasons: Kinds[string]["reasons"]): Kinds => ({ Order: { apiVersion: "v1", reasons } })
const told = { meaning: "m", message: "x" }

describe("Templates.render", () => {
  it.effect("renders for a reason without a template a message with reason, namespace and name", () =>
    withTemplates((templates) =>
      Effect.sync(() => {
        assert.strictEqual(
          templates.render("Vanished", { name: "web", namespace: "shop" }),
          "Vanished was reported for shop/web"
        )
        assert.strictEqual(templates.render("Vanished", { name: "node-1" }), "Vanished was reported for node-1")
        assert.strictEqual(
          templates.render("Vanished", { name: "node-1", namespace: "" }),
          "Vanished was reported for node-1"
        )
      })
    )
  )

  it.effect("renders the message of a declared reason from its data", () =>
    withShop((templates) =>
      Effect.sync(() => {
        assert.strictEqual(
          templates.render("OrderScaled", { name: "o", orderId: "17", podCount: 3 }),
          "Order 17 has 3 pods"
        )
      })
    )
  )

  it.effect("prints a duration that a host declares from Go's text, and nothing where it is zero", () =>
    withShop((templates) =>
      Effect.sync(() => {
        const data = { name: "o", orderId: "17", podCount: 3 }
        assert.strictEqual(
          templates.render("OrderScaled", { ...data, took: "1m30s" }),
          "Order 17 has 3 pods after 1m30s"
        )
        assert.strictEqual(templates.render("OrderScaled", { ...data, took: "0s" }), "Order 17 has 3 pods")
      })
    )
  )

  it.effect("does not treat names of built-in properties of objects as reasons", () =>
    withShop((templates) =>
      Effect.sync(() => {
        for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"]) {
          assert.strictEqual(templates.render(name, { name: "o" }), `${name} was reported for o`)
          assert.isUndefined(templates.get(name))
          assert.isUndefined(templates.reason(name))
          assert.isUndefined(templates.kind(name))
        }
      })
    )
  )
})

describe("the data that a message requires", () => {
  it.effect("is known for each declared reason, without the fields that are set from the object", () =>
    Effect.gen(function* () {
      const templates = yield* Templates.make
      const definition = {
        Order: {
          apiVersion: "v1",
          fields: { orderId: "text", podCount: "count", error: "text" },
          reasons: {
            Scaled: {
              meaning: "m",
              message: "{{.Namespace}}/{{.Name}} ({{.OrderID}}) has {{.PodCount}}{{if .Error}}: {{.Error}}{{end}}"
            },
            Lost: { meaning: "m", message: "{{.OrderID}} is lost" }
          }
        }
      } as const
      yield* templates.register(definition, { Lost: "an order is lost" })
      assert.deepStrictEqual(templates.reason("Scaled")?.needs, ["orderId", "podCount"])
      assert.deepStrictEqual(templates.reason("Lost")?.needs, ["orderId"], "also where another message replaces it")
      yield* templates.set("Scaled", "{{.Error}}")
      assert.deepStrictEqual(templates.reason("Scaled")?.needs, ["orderId", "podCount"], "also at run time")
    })
  )

  it.effect("has a mark where it has no value, also in messages that are set at run time", () =>
    Effect.gen(function* () {
      const templates = yield* Templates.make
      yield* templates.set(
        "Moved",
        "Step {{.StepID}} of {{.Name}}{{if .Error}}: {{.Error}}{{end}} to {{.Arguments.region}}"
      )
      assert.strictEqual(templates.render("Moved", { name: "d" }), "Step <no stepId> of d to <no arguments.region>")
      assert.strictEqual(
        templates.render("Moved", { name: "d", stepId: "" }),
        "Step <no stepId> of d to <no arguments.region>"
      )
      const whole = { name: "d", stepId: "build", arguments: { region: "eu" } }
      assert.strictEqual(templates.render("Moved", whole), "Step build of d to eu")
      yield* templates.set("Placed", "{{.Name}} in {{.Namespace}}")
      assert.strictEqual(
        templates.render("Placed", { name: "node-1" }),
        "node-1 in ",
        "an object may have no namespace"
      )
    })
  )
})

describe("Templates.set", () => {
  it.effect("replaces the message of a declared reason and keeps the rest of its declaration", () =>
    withShop((templates) =>
      Effect.gen(function* () {
        yield* templates.set("OrderFailed", "{{.Name}} is broken{{if .Error}}: {{.Error}}{{end}}")
        assert.strictEqual(templates.render("OrderFailed", { name: "o", error: "no stock" }), "o is broken: no stock")
        assert.strictEqual(templates.get("OrderFailed"), "{{.Name}} is broken{{if .Error}}: {{.Error}}{{end}}")
        assert.deepStrictEqual(templates.reason("OrderFailed"), {
          reason: "OrderFailed",
          kind: "Order",
          type: "Warning",
          meaning: "It failed.",
          message: "{{.Name}} is broken{{if .Error}}: {{.Error}}{{end}}",
          needs: []
        })
      })
    )
  )

  it.effect("refuses an invalid template with line, column and hint, and keeps the former one", () =>
    withShop((templates) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(templates.set("OrderScaled", "{{.Name}}\nhas {{.PodCnt}} and {{range .Took}}"))
        assert.strictEqual(error._tag, "TemplateError")
        assert.deepStrictEqual(
          "issues" in error ? error.issues.map(({ ...issue }) => "line" in issue && [issue.line, issue.column]) : [],
          [
            [2, 7],
            [2, 23]
          ]
        )
        assert.match(error.message, /^2:7 unknown field \.PodCnt \(did you mean \.PodCount\?\)/)
        assert.strictEqual(
          templates.render("OrderScaled", { name: "o", orderId: "1", podCount: 2 }),
          "Order 1 has 2 pods"
        )
        assert.strictEqual(templates.get("OrderScaled"), templates.reason("OrderScaled")?.message)
      })
    )
  )

  it.effect("checks with the fields of the kind of the reason: those of another kind are unknown", () =>
    withShop((templates) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(templates.set("CustomerLeft", "{{.PodCount}}"))
        assert.match(error.message, /unknown field \.PodCount/)
      })
    )
  )

  it.effect("checks a reason that no catalogue declares with the built-in fields, and leaves it undeclared", () =>
    withShop((templates) =>
      Effect.gen(function* () {
        yield* templates.set("Vanished", "{{.Name}} vanished in {{.Duration}} at {{.StepID}} from {{.Arguments.shelf}}")
        assert.strictEqual(
          templates.render("Vanished", { name: "o", duration: 1_500_000_000, stepId: "s", arguments: { shelf: 7 } }),
          "o vanished in 1.5s at s from 7"
        )
        assert.isUndefined(templates.reason("Vanished"))
        assert.strictEqual(templates.reasons().length, 4)

        const error = yield* Effect.flip(templates.set("Vanished", "{{.PodCount}}"))
        assert.strictEqual(error._tag, "TemplateError")
      })
    )
  )

  it.effect.each(["", "two words", "9Lives", "Ends-", "Gone!", "R".repeat(129), `R${"é".repeat(64)}`])(
    "refuses %j, which is not a valid reason",
    (reason) =>
      withTemplates((templates) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(templates.set(reason, "x"))
          assert.strictEqual(error._tag, "CatalogueError")
          assert.isUndefined(templates.get(reason))
        })
      )
  )

  it.effect("accepts a reason of 128 bytes, the longest that an event can have", () =>
    withTemplates((templates) =>
      Effect.gen(function* () {
        yield* templates.set("R".repeat(128), "x")
        assert.strictEqual(templates.render("R".repeat(128), { name: "o" }), "x")
      })
    )
  )

  const pieces = [
    "{{",
    "}}",
    "{{.Name}}",
    "{{if .Error}}",
    "{{else}}",
    "{{end}}",
    "{{.Nope}}",
    " ",
    "-",
    "text",
    '"',
    "/*",
    "*/",
    "("
  ]
  it.effect.prop(
    "accepts or refuses any text, and renders the former message after a refusal",
    [Arbitrary.array(Arbitrary.schema(Schema.Union([Schema.Literals(pieces), Schema.String])), { maxLength: 12 })],
    ([parts]) =>
      withShop((templates) =>
        Effect.gen(function* () {
          const source = parts.join("")
          const before = templates.render("OrderPlaced", { name: "o" })
          const error = yield* Effect.match(templates.set("OrderPlaced", source), {
            onFailure: (error) => error,
            onSuccess: () => undefined
          })
          if (error === undefined) {
            assert.strictEqual(templates.get("OrderPlaced"), source)
          } else {
            assert.strictEqual(error._tag, "TemplateError")
            assert.strictEqual(templates.render("OrderPlaced", { name: "o" }), before)
          }
        })
      ),
    { arbitrary: { runs: 500, size: 60 } }
  )
})

describe("Templates.register", () => {
  it.effect("lists reasons and kinds in the order of their declaration", () =>
    withShop((templates) =>
      Effect.sync(() => {
        assert.deepStrictEqual(
          templates.reasons().map(({ kind, reason, type }) => [kind, reason, type]),
          [
            ["Order", "OrderPlaced", "Normal"],
            ["Order", "OrderScaled", "Normal"],
            ["Order", "OrderFailed", "Warning"],
            ["Customer", "CustomerLeft", "Normal"]
          ]
        )
        assert.deepStrictEqual(templates.kinds(), [
          { kind: "Order", apiVersion: "shop.example.com/v1", fields: shop["Order"]!.fields! },
          { kind: "Customer", apiVersion: "shop.example.com/v1", fields: {} }
        ])
        assert.deepStrictEqual(templates.kind("Customer"), templates.kinds()[1])
      })
    )
  )

  it.effect("replaces the messages of some reasons", () =>
    withTemplates((templates) =>
      Effect.gen(function* () {
        yield* templates.register(shop, { OrderPlaced: "{{.Name}}!" })
        assert.strictEqual(templates.render("OrderPlaced", { name: "o" }), "o!")
        assert.strictEqual(templates.reason("OrderPlaced")?.message, "{{.Name}}!")
        assert.strictEqual(templates.render("OrderFailed", { name: "o" }), "Order o failed")
      })
    )
  )

  it.effect("accepts the same definition again: it keeps templates that were set, and applies messages", () =>
    withShop((templates) =>
      Effect.gen(function* () {
        yield* templates.set("OrderFailed", "set before")
        yield* templates.register(shop, { OrderPlaced: "given again" })
        assert.strictEqual(templates.render("OrderFailed", { name: "o" }), "set before")
        assert.strictEqual(templates.render("OrderPlaced", { name: "o" }), "given again")
        assert.strictEqual(templates.reasons().length, 4)

        const error = yield* Effect.flip(templates.register(shop, { OrderPlaced: "{{.Nope}}", OrderFailed: "lost" }))
        assert.deepStrictEqual(
          error.issues.map(({ path }) => path),
          ["messages.OrderPlaced"]
        )
        assert.strictEqual(templates.render("OrderFailed", { name: "o" }), "set before")
      })
    )
  )

  it.effect("adds reasons to a kind of another catalogue with the same apiVersion", () =>
    withShop((templates) =>
      Effect.gen(function* () {
        const more = (apiVersion: string): Kinds => ({
          Order: {
            apiVersion,
            fields: { lane: "text" },
            reasons: { OrderMoved: { meaning: "m", message: "{{.Lane}}" } }
          }
        })
        yield* templates.register(more("shop.example.com/v1"))
        assert.strictEqual(templates.render("OrderMoved", { name: "o", lane: "fast" }), "fast")
        assert.deepStrictEqual(templates.kind("Order")?.fields, { ...shop["Order"]!.fields, lane: "text" })

        const error = yield* Effect.flip(templates.register(more("shop.example.com/v2")))
        assert.deepStrictEqual(
          error.issues.map(({ path }) => path),
          ["Order.apiVersion", "Order.OrderMoved"]
        )
      })
    )
  )

  it.effect("refuses a reason that another kind declares, and names that kind", () =>
    withShop((templates) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          templates.register({ Parcel: { apiVersion: "v1", reasons: { OrderPlaced: told, ParcelLost: told } } })
        )
        assert.deepStrictEqual(error.issues, [
          { path: "Parcel.OrderPlaced", detail: "Order has this reason already: a reason belongs to one kind only" }
        ])
        assert.isUndefined(templates.reason("ParcelLost"), "all or nothing")
        assert.isUndefined(templates.kind("Parcel"))
      })
    )
  )

  it.effect("reports every mistake in a catalogue", () =>
    Effect.gen(function* () {
      const error = yield* refusal(
        {
          Order: {
            apiVersion: "Shop/v1",
            fields: {
              name: "text",
              orderId: "text",
              orderID: "text",
              "pod-count": "count",
              duration: "text",
              error: ["lost", "late"],
              // @ts-expect-error as JavaScript could have it
              size: "number"
            },
            reasons: {
              OrderPlaced: { meaning: "", message: "Order {{.Nmae}}" },
              "Order Lost": told,
              [`O${"o".repeat(128)}`]: told,
              // @ts-expect-error as JavaScript could have it
              OrderLate: { meaning: "m", message: 7, type: "Error" }
            }
          },
          HTTPRoute: { apiVersion: "v1", reasons: { RouteUp: told } },
          HttpRoute: { apiVersion: "v1", reasons: { RouteUp: told } },
          CRD: { apiVersion: "v1", reasons: {} },
          "My Kind": { apiVersion: "v1", reasons: {} }
        },
        { RouteUpp: "x", OrderPlaced: "{{.Error}} {{end}}" }
      )
      assert.deepStrictEqual(
        error.issues.map(({ detail, path }) => [path, detail.split("\n")[0]]),
        [
          ["Order.apiVersion", 'found "Shop/v1", expected a version such as v1 or apps/v1'],
          ["Order.fields.name", "every event has it: leave it out"],
          ["Order.fields.orderID", 'the data keys "orderId" and "orderID" are both .OrderID in a template: rename one'],
          [
            "Order.fields.pod-count",
            'the data key "pod-count" cannot be named in a template: use letters, digits and _, and no digit first'
          ],
          ["Order.fields.duration", 'it is built in as "duration": declare it as that, or choose another name'],
          [
            "Order.fields.size",
            '"number" is not a type of a field, expected text, count, flag, duration, list, or a list of texts to choose from'
          ],
          ["Order.OrderPlaced.meaning", "expected a sentence that says what the reason means"],
          ["Order.OrderPlaced.message", "1:9 unknown field .Nmae (did you mean .Name?)"],
          [
            "Order.Order Lost",
            "expected a word that begins with a letter, such as OrderPlaced: letters, digits, - _ ."
          ],
          [`Order.O${"o".repeat(128)}`, "the name has 129 bytes, expected at most 128"],
          ["Order.OrderLate.type", 'found "Error", expected Normal or Warning'],
          ["Order.OrderLate.message", "found 7, expected a text"],
          ["HttpRoute", "its method would be httpRouteEvent, which HTTPRoute has: rename the kind"],
          ["HttpRoute.RouteUp", "HTTPRoute has this reason already: a reason belongs to one kind only"],
          ["CRD", "its method would be crdEvent, which every catalogue has: rename the kind"],
          ['"My Kind"', "expected a kind such as Order: letters and digits, a letter first"],
          ["messages.RouteUpp", "the catalogue has no such reason (did you mean RouteUp?)"],
          ["messages.OrderPlaced", error.issues.at(-1)!.detail.split("\n")[0]]
        ]
      )
      assert.strictEqual(error.issues[7]?.template?.issues[0]?.code, "unknown-field")
      assert.strictEqual(error.issues.at(-1)?.template?.issues[0]?.code, "unexpected-end")
    })
  )

  it.effect("reports each mistake on a line of its own, and those of templates with their position", () =>
    Effect.gen(function* () {
      const error = yield* refusal(only({ OrderLost: { meaning: "m", message: "{{.Nmae}}" }, "": told }))
      assert.strictEqual(
        error.message,
        [
          "the catalogue cannot be used:",
          "- Order.OrderLost.message: 1:3 unknown field .Nmae (did you mean .Name?)",
          "    {{.Nmae}}",
          "      ^^^^^",
          "- Order.: expected a word that begins with a letter, such as OrderPlaced: letters, digits, - _ ."
        ].join("\n")
      )
    })
  )

  it.effect.each(["arguments", "namespace", "name"])("refuses the field %s, which every event has", (field) =>
    Effect.gen(function* () {
      const error = yield* refusal({ Order: { apiVersion: "v1", fields: { [field]: "text" }, reasons: {} } })
      assert.deepStrictEqual(error.issues, [
        { path: `Order.fields.${field}`, detail: "every event has it: leave it out" }
      ])
    })
  )

  it.effect("accepts a built-in field with its own type, and a built-in text as a list of values", () =>
    withTemplates((templates) =>
      Effect.gen(function* () {
        yield* templates.register({
          Order: {
            apiVersion: "v1",
            fields: { duration: "duration", toolNames: "list", operation: ["pack", "send"] },
            reasons: { OrderSent: { meaning: "m", message: "{{.Operation}} {{.Duration}} {{.ToolNames}}" } }
          }
        })
        assert.strictEqual(
          templates.render("OrderSent", { name: "o", operation: "send", duration: 2_000_000, toolNames: ["a", "b"] }),
          "send 2ms a, b"
        )
      })
    )
  )
})
