// A Fastify service on the promise API: it records events, answers them, streams them without a gap, and answers what is under
// way when SIGTERM ends it.
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline/promises"
import { getEventManager } from "tidings/Locator"
import * as Tidings from "tidings/Tidings"
import { make } from "./app.ts"

interface Message {
  readonly event: string
  readonly id: string
  readonly data: { readonly reason?: string; readonly message?: string }
}

/** What a browser's `EventSource` gets, until it has so many messages. */
const listen = async function* (url: string, lastId?: string): AsyncGenerator<Message, void> {
  const answer = await fetch(url, { headers: lastId === undefined ? {} : { "last-event-id": lastId } })
  let text = ""
  for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    const messages = text.split("\n\n")
    text = messages.pop()!
    for (const message of messages) {
      const fields = Object.fromEntries(
        message.split("\n").map((line) => {
          const colon = line.indexOf(": ")
          return [line.slice(0, colon), line.slice(colon + 2)]
        })
      )
      yield { event: fields["event"]!, id: fields["id"]!, data: JSON.parse(fields["data"]!) as Message["data"] }
    }
  }
}

const take = async (messages: AsyncGenerator<Message, void>, count: number): Promise<ReadonlyArray<Message>> => {
  const taken: Array<Message> = []
  for await (const message of messages) if (taken.push(message) === count) break
  return taken
}

// As the environment of the service would choose: here never a cluster, and a temporary log.
const directory = mkdtempSync(join(tmpdir(), "tidings-fastify-"))
process.once("exit", () => rmSync(directory, { recursive: true, force: true }))
process.env["TIDINGS_BACKEND"] = "filesystem"
process.env["TIDINGS_DIRECTORY"] = directory

const app = await make()
const address = await app.listen({ host: "127.0.0.1", port: 0 })
const post = async (order: string) => {
  const answer = await fetch(`${address}/orders/${order}`, { method: "POST" })
  return answer.text()
}

const stream = listen(`${address}/events`)
const live = await stream.next()
assert.equal(live.value?.event, "Live")
console.log(await post("order-1"))
const [first] = await take(stream, 1)
console.log(`streamed: ${first!.data.reason} ${first!.data.message}`)

// The browser was away for two of them, and comes back with the id of the last one that it saw.
console.log(await post("lost-2"))
console.log(await post("order-3"))
const missed = await take(listen(`${address}/events`, first!.id), 2)
for (const { data } of missed) console.log(`streamed: ${data.reason} ${data.message}`)
assert.deepEqual(
  missed.map(({ data }) => data.reason),
  ["OrderRefused", "OrderShipped"]
)

const events = (await (await fetch(`${address}/orders/lost-2/events`)).json()) as { readonly total: number }
console.log(JSON.stringify(events))
assert.equal(events.total, 1)

await app.close()
assert.equal(getEventManager(), undefined)

// The same service as a process, ended by SIGTERM while an order is under way and a browser listens.
const service = spawn(process.execPath, ["--conditions=@tidings/source", join(import.meta.dirname, "service.ts")], {
  env: { ...process.env, PORT: "0" },
  stdio: ["ignore", "pipe", "pipe"]
})
try {
  const said = createInterface(service.stdout)[Symbol.asyncIterator]()
  const { port } = JSON.parse((await said.next()).value as string) as { readonly port: number }
  const url = `http://127.0.0.1:${port}`
  const listening = listen(`${url}/events`)
  assert.equal((await listening.next()).value?.event, "Live")
  const logged = createInterface(service.stderr)[Symbol.asyncIterator]()
  const shipping = fetch(`${url}/orders/order-4`, { method: "POST" }).then((answer) => answer.json())
  for (let line = await logged.next(); !line.value?.includes("/orders/order-4"); line = await logged.next()) {
    assert.ok(line.done !== true, "the service ended early")
  }
  const ended = once(service, "close")
  service.kill("SIGTERM")
  assert.equal((await listening.next()).done, true)
  const shipment = await shipping
  console.log(JSON.stringify(shipment))
  assert.deepEqual(shipment, { order: "order-4", shipped: true })
  const [, signal] = (await ended) as [number | null, string | null]
  console.log(`the service was ended by ${signal}`)
  assert.equal(signal, "SIGTERM")
} finally {
  service.kill("SIGKILL")
}
await using log = await Tidings.create({ backend: "filesystem", directory, logger: false })
const shipped = await log.queryEvents({ namespace: "shop", resourceName: "order-4" })
assert.deepEqual(
  shipped.events.map(({ event }) => event.reason),
  ["OrderShipped"]
)
