import * as EventCatalogue from "@tidings/core/EventCatalogue"

/** A catalogue of a host, for the tests that ask editors. */
export class Orders extends EventCatalogue.Service<Orders>()("shop/Orders", {
  Order: {
    apiVersion: "shop.example.com/v1",
    fields: { orderId: "text", podCount: "count" },
    reasons: {
      OrderPlaced: { meaning: "A customer placed it.", message: "Order {{.Name}} was placed" },
      OrderScaled: { meaning: "More or fewer pods work on it.", message: "Order {{.Name}} has {{.PodCount}} pods" }
    }
  },
  Shop: {
    apiVersion: "shop.example.com/v1",
    reasons: { ShopOpened: { meaning: "It is open.", message: "Shop {{.Name}} is open" } }
  }
}) {}
