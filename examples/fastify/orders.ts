// The work of the service. It knows nothing of HTTP and is not handed the event manager: it looks it up.
import * as EventCatalogue from "@tidings/core/EventCatalogue"
import { setTimeout as sleep } from "node:timers/promises"
import { getEventManager } from "tidings/Locator"
import * as Rejection from "tidings/Rejection"

export class ShopEvents extends EventCatalogue.Service<ShopEvents>()("example/Shop", {
  Order: {
    apiVersion: "shop.example.com/v1",
    fields: { took: "duration", error: "text" },
    reasons: {
      OrderShipped: {
        meaning: "The order has left the warehouse.",
        message: "Order {{.Name}} was shipped after {{.Took}}"
      },
      OrderRefused: {
        type: "Warning",
        meaning: "The order could not be taken.",
        message: "Order {{.Name}} was refused: {{.Error}}"
      }
    }
  }
}) {}

export interface Shipment {
  readonly order: string
  readonly shipped: boolean
  /** Where the event of it is not recorded: why. The order does not depend on it. */
  readonly eventMissing?: string
}

/** What would talk to the warehouse. */
const pack = (): Promise<void> => sleep(300)

export const ship = async (order: string): Promise<Shipment> => {
  await pack()
  const shipped = !order.startsWith("lost")
  const object = { metadata: { name: order, namespace: "shop" } }
  const shop = getEventManager(ShopEvents)?.shop
  try {
    if (shipped) await shop?.orderEvent(object, "OrderShipped", { took: 1_500 })
    else await shop?.orderEvent(object, "OrderRefused", { error: "nobody knows where it is" })
    return { order, shipped }
  } catch (error) {
    if (!Rejection.is(error)) throw error
    return { order, shipped, eventMissing: error.message }
  }
}
