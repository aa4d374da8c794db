// A Fastify service that records events through promises, answers them, and streams them.
import Fastify, { type FastifyInstance } from "fastify"
import { registerEventManager } from "tidings/Locator"
import * as Tidings from "tidings/Tidings"
import { ship, ShopEvents } from "./orders.ts"

interface OfOrder {
  readonly Params: { readonly name: string }
}

export const make = async (): Promise<FastifyInstance> => {
  const app = Fastify({
    // stdout belongs to the program.
    logger: { level: "info", stream: process.stderr },
    // When all requests are answered: browsers keep connections for later, for which closing would wait a minute.
    forceCloseConnections: true
  })

  // Where there is no cluster, the events are in a log on disk: TIDINGS_BACKEND, TIDINGS_DIRECTORY and KUBECONFIG say so.
  const tidings = await Tidings.create({ component: "shop", console: false, catalogues: [ShopEvents], logger: app.log })
  registerEventManager(tidings)

  // At the end the streams end first, which would not by themselves; then the requests that are under way are answered, and
  // record; then what is accepted is delivered.
  const ending = new AbortController()
  const underWay = new Set<Promise<void>>()
  app.addHook("onRequest", async (_request, reply) => {
    const answered = new Promise<void>((done) => reply.raw.once("close", done))
    underWay.add(answered)
    void answered.then(() => underWay.delete(answered))
  })
  app.addHook("preClose", async () => {
    ending.abort()
    await Promise.all(underWay)
  })
  app.addHook("onClose", () => tidings.close())

  app.post<OfOrder>("/orders/:name", ({ params }) => ship(params.name))

  app.get<OfOrder>("/orders/:name/events", async ({ params }) => {
    const page = await tidings.queryEvents({ resourceType: "Order", resourceName: params.name, limit: 50 })
    return {
      total: page.totalCount,
      events: page.events.map(({ count, event, lastTimestamp }) => ({
        last: lastTimestamp.toISOString(),
        type: event.type,
        reason: event.reason,
        message: event.message,
        count
      }))
    }
  })

  // Server-sent events. The id of each is the cursor after it, so a browser that reconnects misses nothing and sees nothing
  // twice: it sends the last id by itself.
  app.get("/events", async (request, reply) => {
    const after = request.headers["last-event-id"]
    const left = new AbortController()
    reply.hijack()
    reply.raw.on("close", () => left.abort())
    reply.raw.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" })
    const from = typeof after === "string" ? after : "now"
    const signal = AbortSignal.any([left.signal, ending.signal])
    for await (const item of tidings.watchEvents({ namespace: "shop" }, from, { signal })) {
      const data = item._tag === "Event" ? item.event.event : item
      reply.raw.write(`event: ${item._tag}\nid: ${item.cursor}\ndata: ${JSON.stringify(data)}\n\n`)
    }
    reply.raw.end()
  })

  return app
}
