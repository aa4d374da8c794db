// A service that is not on Effect: it records through promises, and ends in order.
import * as EventCatalogue from "@tidings/core/EventCatalogue"
import { createServer } from "node:http"
import * as Rejection from "tidings/Rejection"
import * as Tidings from "tidings/Tidings"

class ShopEvents extends EventCatalogue.Service<ShopEvents>()("example/Shop", {
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

const tidings = await Tidings.create({
  component: "shop",
  backend: "filesystem",
  console: false,
  catalogues: [ShopEvents],
  // What the library says goes to the service's own logger; this one writes to stderr, as the library would by itself.
  logger: { info: console.error, warn: console.error, error: console.error }
})

const ship = async (name: string): Promise<string> => {
  const order = { metadata: { name, namespace: "shop" } }
  try {
    await tidings.shop.orderEvent(order, "OrderShipped", { took: 1_500 })
    return `${name} is on its way\n`
  } catch (error) {
    if (!Rejection.is(error)) throw error
    return `${name} is on its way, and its event is missing: ${error._tag}: ${error.message}\n`
  }
}

const server = createServer((request, response) => {
  const name = (request.url ?? "/").slice(1)
  void ship(name).then((answer) => response.end(answer))
})

// The lines of docs/guides/graceful-end.md.
let ending: Promise<void> | undefined
const end = (signal: NodeJS.Signals) => {
  server.close()
  ending ??= tidings.close().finally(() => process.kill(process.pid, signal))
}
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.once(signal, () => end(signal))

server.listen(0, "127.0.0.1", () => console.log(JSON.stringify(server.address())))
