// An Express service that records what happens to its orders, and loses nothing when it is ended.
import express, { type ErrorRequestHandler } from "express"
import { setTimeout as sleep } from "node:timers/promises"
import * as Tidings from "tidings/Tidings"

const tidings = await Tidings.create({
  component: "shop",
  backend: "filesystem",
  console: false,
  // Lines of the library go to the service's own logger.
  logger: { info: console.error, warn: console.error, error: console.error }
})

/** What would talk to a bank. */
const pay = async (order: string): Promise<void> => {
  await sleep(300)
  if (order.endsWith("-unpaid")) throw new Error("card expired")
}

const app = express()

app.post("/orders/:order/payment", async (request, response) => {
  const { order } = request.params
  console.log(`paying ${order}`)
  await pay(order)
  await tidings.createEvent({ kind: "Order", name: order, namespace: "shop" }, "OrderPaid", "It is paid", "Normal")
  response.json({ order, paid: true })
})

// What a handler throws is in the log before the client knows.
const failed: ErrorRequestHandler<{ readonly order?: string }> = async (error, request, response, _next) => {
  const message = error instanceof Error ? error.message : String(error)
  await tidings.createEvent(
    { kind: "Order", name: request.path.split("/")[2] ?? "unknown", namespace: "shop" },
    "RequestFailed",
    `${request.method} ${request.path}: ${message}`,
    "Warning"
  )
  response.status(500).json({ error: message })
}
app.use(failed)

const server = app.listen(Number(process.env["PORT"] ?? 8080), "127.0.0.1", (error) => {
  if (error !== undefined) throw error
  console.log(JSON.stringify(server.address()))
})

// Requests that are under way are answered and recorded; then the log is closed, and the signal ends the process.
let ending: Promise<unknown> | undefined
const end = (signal: NodeJS.Signals) => {
  // A client that keeps its connection for later would keep the service.
  setInterval(() => server.closeIdleConnections(), 50).unref()
  ending ??= new Promise((done) => server.close(done))
    .then(() => tidings.close())
    .finally(() => process.kill(process.pid, signal))
}
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.once(signal, () => end(signal))
