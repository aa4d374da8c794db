// Declares kinds, data and reasons of its own: what the compiler checks, and what a reader finds afterwards.
import * as Backend from "@tidings/core/Backend"
import * as EventCatalogue from "@tidings/core/EventCatalogue"
import * as EventGenerator from "@tidings/core/EventGenerator"
import * as EventManager from "@tidings/core/EventManager"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { runMain } from "../gracefulEnd.ts"

/**
 * The events of a shop. `{{.OrderID}}` is the field `orderId`; a message that names an unknown field does not compile, and
 * what a message prints outside every `if` is required in each call.
 */
class ShopEvents extends EventCatalogue.Service<ShopEvents>()("example/ShopEvents", {
  Order: {
    apiVersion: "shop.example.com/v1",
    fields: { orderId: "text", items: "count", payment: ["card", "invoice"], took: "duration", error: "text" },
    reasons: {
      OrderPlaced: {
        meaning: "A customer has placed an order.",
        message: "Order {{.OrderID}} of {{.Items}} items was placed, paid by {{.Payment}}"
      },
      OrderShipped: {
        meaning: "The order has left the warehouse.",
        message: "Order {{.OrderID}} was shipped{{if .Took}} after {{.Took}}{{end}}"
      },
      PaymentFailed: {
        type: "Warning",
        meaning: "The payment of an order was refused.",
        message: "The payment of order {{.OrderID}} failed{{if .Error}}: {{.Error}}{{end}}"
      }
    }
  },
  HTTPRoute: {
    apiVersion: "gateway.networking.k8s.io/v1",
    reasons: {
      RouteAccepted: { meaning: "The gateway took the route up.", message: "Route {{.Name}} is served" }
    }
  }
}) {}

const program = Effect.gen(function* () {
  const shop = yield* ShopEvents
  const builtIn = yield* EventGenerator.EventGenerator
  const manager = yield* EventManager.EventManager

  // Any object with metadata will do, such as one of @kubernetes/client-node.
  const order = { metadata: { name: "order-1017", namespace: "shop" } }
  yield* shop.orderEvent(order, "OrderPlaced", { orderId: "1017", items: 3, payment: "card" })
  yield* shop.orderEvent(order, "PaymentFailed", { orderId: "1017", error: "card expired" })
  yield* shop.orderEvent(order, "OrderShipped", { orderId: "1017", took: Duration.minutes(95) })
  yield* shop.httpRouteEvent({ metadata: { name: "checkout", namespace: "shop" } }, "RouteAccepted")

  // The built-in catalogue works beside it, and a message can change while the program runs.
  yield* builtIn.workflowEvent({ metadata: { name: "nightly", namespace: "shop" } }, "WorkflowExecutionStarted")
  const refused = yield* Effect.flip(shop.setTemplate("OrderShipped", "Order {{.OrderId}} is on its way"))
  console.log(refused.message)
  yield* shop.setTemplate("OrderShipped", "Order {{.OrderID}} is on its way")
  yield* shop.orderEvent(order, "OrderShipped", { orderId: "1017" })

  const { events } = yield* manager.queryEvents({ namespace: "shop" })
  console.log()
  for (const { event } of events.toReversed()) {
    console.log(
      `${event.type.padEnd(8)} ${event.involvedObject.kind.padEnd(10)} ${event.reason.padEnd(25)} ${event.message}`
    )
  }
})

const runtime = EventManager.layer.pipe(
  Layer.provideMerge(EventCatalogue.layerAll(EventGenerator.EventGenerator, ShopEvents)),
  Layer.provideMerge(Recorder.layerDirect({ component: "shop" })),
  Layer.provideMerge(Layer.merge(Templates.layer, Backend.layerMemory()))
)

program.pipe(Effect.provide(runtime), runMain)
