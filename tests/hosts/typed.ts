// What the compiler knows of the promise API in a host that has the packages from the registry.
import * as EventCatalogue from "@tidings/core/EventCatalogue"
import type * as Promised from "tidings/Promised"
import * as Rejection from "tidings/Rejection"
import * as Tidings from "tidings/Tidings"

class Orders extends EventCatalogue.Service<Orders>()("shop/Orders", {
  Order: {
    apiVersion: "shop.example.com/v1",
    fields: { took: "duration", items: "count" },
    reasons: {
      OrderShipped: { meaning: "It is on its way.", message: "Order {{.Name}} was shipped after {{.Took}}" },
      OrderLost: { meaning: "It is lost.", type: "Warning", message: "Order {{.Name}} is lost" }
    }
  }
}) {}

const order = { metadata: { name: "o-1" } }

const main = async (): Promise<void> => {
  const tidings = await Tidings.create({ backend: "memory", catalogues: [Orders], drainTimeout: "5 seconds" })
  const recorded: Promised.Recorded = await tidings.orders.orderEvent(order, "OrderShipped", { took: "1m30s" })
  await tidings.orders.orderEvent(order, "OrderLost", { items: 3 }, { at: new Date() })
  // @ts-expect-error: the reason is of no order
  await rejects(() => tidings.orders.orderEvent(order, "OrderSent"))
  // @ts-expect-error: the message prints the field
  void (() => tidings.orders.orderEvent(order, "OrderShipped"))
  // @ts-expect-error: the built-in catalogue knows what it needs
  void (() => tidings.generator.workflowEvent(order, "WorkflowStepFailed"))
  // @ts-expect-error: there is no such option
  void (() => Tidings.create({ drainTimout: 1 }))
  const page: Promised.Page = await tidings.queryEvents({})
  const recent = await tidings.queryEvents({ since: new Date(0), until: "2100-01-01T00:00:00Z" })
  const time: Date | undefined = page.events[0]?.lastTimestamp
  if (time === undefined || recent.totalCount !== page.totalCount || recorded._tag !== "Accepted")
    throw new Error("nothing was recorded")
  for await (const item of tidings.watchEvents({}, page.cursor)) {
    if (item._tag === "Live") break
  }
  await tidings.close()
  await rejects(() => tidings.createEvent({ kind: "Pod", name: "web" }, "Started", "it runs", "Normal"))
  console.log("done")
}

const rejects = (call: () => Promise<unknown>): Promise<void> =>
  call().then(
    () => {
      throw new Error("expected a rejection")
    },
    (error: unknown) => {
      if (!Rejection.is(error)) throw error
      switch (error._tag) {
        case "RecorderError":
          if (error.reason._tag !== "Closed") throw error
          break
        case "InvalidEvent":
          if (error.issues[0]?.field !== "reason") throw error
          break
        default:
          throw error
      }
    }
  )

await main()
