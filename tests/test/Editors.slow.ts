import { assert, describe, layer } from "@effect/vitest"
import { EventGenerator } from "@tidings/core/EventGenerator"
import { Context, Effect, Layer } from "effect"
import * as Editors from "../editors/Editor.ts"

class Editor extends Context.Service<Editor, Editors.Editor>()("tests/Editor") {}

const HEAD = `
import { EventGenerator } from "@tidings/core/EventGenerator"
import * as EventCatalogue from "@tidings/core/EventCatalogue"
import { Orders } from "./Orders.ts"
declare const generator: EventGenerator["Service"]
declare const orders: Orders["Service"]
const object = { metadata: { name: "a" } }
export { EventCatalogue, EventGenerator, generator, object, Orders, orders }
`

const offered = (typed: string) => Editor.use(({ offered }) => offered(`${HEAD}${typed}`))
const errors = (typed: string) => Editor.use(({ errors }) => errors(`${HEAD}${typed}`))

const reasonsOf = (kind: keyof typeof EventGenerator.kinds): ReadonlyArray<string> =>
  Object.keys(EventGenerator.kinds[kind].reasons).toSorted()
const kinds = Object.keys(EventGenerator.kinds) as ReadonlyArray<keyof typeof EventGenerator.kinds>
const allReasons = kinds.flatMap(reasonsOf).toSorted()

/** A catalogue with one message, as it is while somebody types it. */
const typing = (message: string): string =>
  `export class Parcels extends EventCatalogue.Service<Parcels>()("shop/Parcels", {
    Parcel: {
      apiVersion: "v1",
      fields: { parcelId: "text", weight: "count", weighed: "flag" },
      reasons: {
        ParcelSent: { meaning: "It is on its way.", message: "Parcel {{.ParcelID}} was sent" },
        ParcelLost: { meaning: "It is gone.", type: "Warning", message: ${message} }
      }
    }
  }) {}`

for (const [version, editor] of [
  ["5.9", Editors.typescript5],
  ["7.", Editors.typescript7]
] as const) {
  layer(Layer.effect(Editor, editor), { timeout: "1 minute" })(`an editor with TypeScript ${version}`, (it) => {
    it.effect("uses the intended version of the compiler", () =>
      Effect.gen(function* () {
        const editor = yield* Editor
        assert.isTrue(editor.version.startsWith(version), editor.version)
      })
    )

    describe("offers the reasons of the built-in catalogue", () => {
      it.effect("of a kind, in its method", () =>
        Effect.gen(function* () {
          const reasons = reasonsOf("Workflow")
          assert.deepStrictEqual(yield* offered(`generator.workflowEvent(object, "¦")`), reasons)
          assert.deepStrictEqual(yield* offered(`generator.workflowEvent(object, "Workflow¦")`), reasons)
          assert.deepStrictEqual(yield* offered(`generator.workflowEvent(object, "¦", { stepId: "build" })`), reasons)
          assert.deepStrictEqual(yield* offered(`generator.workflowEvent(object, "¦`), reasons)
          assert.deepStrictEqual(yield* offered(`generator.mcpServerEvent(object, "¦")`), reasonsOf("MCPServer"))
        })
      )

      it.effect("of all kinds, where the kind follows from the reason", () =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* offered(`generator.emit(object, "¦")`), allReasons)
          assert.deepStrictEqual(yield* offered(`generator.setTemplate("¦", "{{.Name}}")`), allReasons)
          assert.deepStrictEqual(yield* offered(`generator.getTemplate("¦")`), allReasons)
          assert.deepStrictEqual(yield* offered(`EventGenerator.layerWith({ ¦ })`), allReasons)
        })
      )

      it.effect("of the kind that is named, where only names are known", () =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* offered(`generator.crdEvent("¦")`), kinds.toSorted())
          const reasons = yield* offered(`generator.crdEvent("ServiceClass", "web", "default", "¦")`)
          assert.deepStrictEqual(reasons, reasonsOf("ServiceClass"))
        })
      )
    })

    it.effect("offers the reasons of a host's own catalogue", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* offered(`orders.orderEvent(object, "¦")`), ["OrderPlaced", "OrderScaled"])
        assert.deepStrictEqual(yield* offered(`orders.shopEvent(object, "¦")`), ["ShopOpened"])
        const all = ["OrderPlaced", "OrderScaled", "ShopOpened"]
        assert.deepStrictEqual(yield* offered(`orders.emit(object, "¦")`), all)
        assert.deepStrictEqual(yield* offered(`Orders.layerWith({ ¦ })`), all)
        assert.deepStrictEqual(yield* offered(`orders.crdEvent("¦")`), ["Order", "Shop"])
      })
    )

    it.effect("offers the data of a reason", () =>
      Effect.gen(function* () {
        const data = ["arguments", "orderId", "podCount"]
        assert.deepStrictEqual(yield* offered(`orders.orderEvent(object, "OrderScaled", { ¦ })`), data)
        assert.deepStrictEqual(yield* offered(`orders.emit(object, "OrderScaled", { ¦ })`), data)
      })
    )

    it.effect("offers the fields of a kind in a message that is being typed", () =>
      Effect.gen(function* () {
        const fields = ["Name", "Namespace", "ParcelID", "Weighed", "Weight"]
        const whole = (before: string, after: string, names = fields) =>
          names.map((name) => `${before}${name}${after}`).toSorted()
        assert.deepStrictEqual(yield* offered(typing(`"Parcel {{.¦"`)), whole("Parcel {{.", "}}"))
        assert.deepStrictEqual(yield* offered(typing(`"Parcel {{.¦}} is lost"`)), whole("Parcel {{.", "}} is lost"))
        assert.deepStrictEqual(yield* offered(typing(`"{{.Name}} {{.¦ is lost"`)), whole("{{.Name}} {{.", "}} is lost"))
        assert.deepStrictEqual(
          yield* offered(typing(`"Parcel {{.¦ of {{.Weight}} grams"`)),
          whole("Parcel {{.", "}} of {{.Weight}} grams")
        )
        assert.deepStrictEqual(yield* offered(typing(`"{{.We¦"`)), whole("{{.", "}}", ["Weighed", "Weight"]))
        assert.deepStrictEqual(
          yield* offered(typing(`"{{if gt .w¦ 3}}heavy{{end}}"`)),
          whole("{{if gt .", " 3}}heavy{{end}}", ["Weighed", "Weight"])
        )
        assert.deepStrictEqual(
          yield* offered(`Orders.layerWith({ ShopOpened: "{{.¦" })`),
          whole("{{.", "}}", ["Name", "Namespace"])
        )
      })
    )

    it.effect("offers what a definition may have", () =>
      Effect.gen(function* () {
        const define = (kind: string) =>
          `export class X extends EventCatalogue.Service<X>()("x", { Thing: { apiVersion: "v1", ${kind} } }) {}`
        const types = ["count", "duration", "flag", "list", "text"]
        assert.deepStrictEqual(yield* offered(define(`fields: { size: "¦" }, reasons: {}`)), types)
        assert.deepStrictEqual(yield* offered(define(`reasons: { A: { ¦ } }`)), ["meaning", "message", "type"])
        const type = yield* offered(define(`reasons: { A: { meaning: "m", message: "x", type: "¦" } }`))
        assert.deepStrictEqual(type, ["Normal", "Warning"])
      })
    )

    it.effect("underlines one mistake once, and says what was meant", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* errors(typing(`"{{.Name}} is lost"`)), [])
        for (const [source, expected] of [
          [typing(`"{{.Wieght}} grams"`), "unknown field .Wieght - did you mean .Weight?"],
          [typing(`"{{.We}} grams"`), "unknown field .We"],
          [typing(`"{{if .Weight}}grams"`), "an {{if}} is never closed - add {{end}}"],
          [typing(`"lost", typ: "Warning"`), "no such option: typ"],
          [
            `Orders.layerWith({ OrderPlacd: "x" })`,
            "the catalogue has no reason OrderPlacd - did you mean OrderPlaced?"
          ],
          [`Orders.layerWith({ OrderPlaced: "{{.PodCnt}}" })`, "unknown field .PodCnt - did you mean .PodCount?"],
          [`orders.orderEvent(object, "OrderPlacd", {})`, "Order has no reason OrderPlacd - did you mean OrderPlaced?"],
          [`orders.orderEvent(object, "OrderScaled", {})`, "'podCount' is missing in type"],
          [
            `export class Ids extends EventCatalogue.Service<Ids>()("x", { Id: { apiVersion: "v1", fields: { orderId: "text" },
              reasons: { A: { meaning: "m", message: "{{.OrderId}}" } } } }) {}`,
            "unknown field .OrderId - did you mean .OrderID?"
          ]
        ] as const) {
          const found = yield* errors(source)
          assert.strictEqual(found.length, 1, `${source}\n${found.join("\n")}`)
          assert.include(found[0], expected)
        }
      })
    )
  })
}
