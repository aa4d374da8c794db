// A Fastify service on the promise API: it records events, answers them, and streams them without a gap.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { getEventManager } from "tidings/Locator"
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

// As whoever starts the service would say it: here never a cluster, and a log that nobody keeps.
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
