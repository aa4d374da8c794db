// What many clients cost a server of `tidings mcp`, and whether followers get every event of many once and in order.
// Arguments: a folder for the log, the files writeEvents.ts and readings.mjs, and the program of the server.
// Prints a line for each check, `ok` or `FAILED`.
import * as second from "@modelcontextprotocol/client"
import { StdioClientTransport as SecondStdio } from "@modelcontextprotocol/client/stdio"
import { Client as FirstClient } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport as FirstStdio } from "@modelcontextprotocol/sdk/client/stdio.js"
import { StreamableHTTPClientTransport as FirstHttp } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { LoggingMessageNotificationSchema } from "@modelcontextprotocol/sdk/types.js"
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { request } from "node:http"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { pathToFileURL } from "node:url"

const [home, writer, readings, ...program] = process.argv.slice(2)
const directory = join(home, ".tidings")
const INFO = { name: "tidings-test", version: "1.0.0" }
const CLIENTS = 100
const MOST_BYTES = 60 * 1024 * 1024
const EVENTS = 10_000
/** In which the readings of the server are compared, in milliseconds. */
const WINDOW = 3_000

const check = async (name, test) => {
  try {
    const note = await test()
    console.log(`ok      ${name}${note === undefined ? "" : `: ${note}`}`)
  } catch (error) {
    console.log(`FAILED  ${name}\n${error.stack ?? error}`)
  }
}

const within = (promise, milliseconds, what) =>
  Promise.race([
    promise,
    sleep(milliseconds, undefined, { ref: false }).then(() =>
      Promise.reject(new Error(`${what}: not within ${milliseconds} ms`))
    )
  ])

const writeEvents = async (object, count) => {
  const args = ["--conditions=@tidings/source", writer, directory, object, String(count)]
  const [code] = await once(spawn(process.execPath, args, { stdio: "inherit" }), "close")
  assert.equal(code, 0)
}

const serverArgs = [...program, "--backend", "filesystem", "--directory", directory]
const server = spawn(
  process.execPath,
  ["--import", pathToFileURL(readings).href, ...serverArgs, "--http", "0", "--no-token"],
  { cwd: home, env: { ...process.env, HOME: home }, stdio: ["ignore", "ignore", "pipe", "ipc"] }
)
const url = await new Promise((begun, reject) => {
  let said = ""
  server.stderr.on("data", (chunk) => {
    said += chunk
    const match = /serving at (http:\S+\/mcp)[;\s]/.exec(said)
    if (match !== null) begun(new URL(match[1]))
  })
  server.once("close", () => reject(new Error(`the server ended: ${said}`)))
})
const read = async () => {
  const answered = once(server, "message")
  server.send("read")
  return (await answered)[0]
}
/** How often the server looks at the file system in a while. */
const readsInWindow = async () => {
  const before = await read()
  await sleep(WINDOW)
  return (await read()).reads - before.reads
}

const firstGeneration = async (transport, pushed) => {
  const client = new FirstClient(INFO)
  if (pushed !== undefined)
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => pushed(params))
  await client.connect(transport)
  const call = (args, signal) => client.callTool({ name: "events", arguments: args }, undefined, { signal })
  return { client, call: async (args, signal) => (await call(args, signal)).structuredContent }
}

const secondGeneration = async (transport, options, pushed) => {
  const client = new second.Client(INFO, options)
  if (pushed !== undefined) client.setNotificationHandler("notifications/message", ({ params }) => pushed(params))
  await client.connect(transport)
  const call = (args, signal) => client.callTool({ name: "events", arguments: args }, { signal })
  return { client, call: async (args, signal) => (await call(args, signal)).structuredContent }
}

const NEWEST = { versionNegotiation: { mode: { pin: "2026-07-28" } } }
const overHttp = (index) =>
  index % 2 === 0
    ? firstGeneration(new FirstHttp(url))
    : secondGeneration(new second.StreamableHTTPClientTransport(url), NEWEST)

// ---------------------------------------------------------------------------
// many clients that wait
// ---------------------------------------------------------------------------

/** A client that waits for an event of a pod of its own. */
const waiter = async (index) => {
  const { call, client } = await overHttp(index)
  const filter = { resourceName: `pod-${index}` }
  const { cursor } = await call({ ...filter, limit: 1 })
  const abort = new AbortController()
  const answer = call({ ...filter, after: cursor, waitSeconds: 50 }, abort.signal)
  answer.catch(() => {})
  return { client, abort, answer }
}

const leave = async ({ abort, answer, client }) => {
  abort.abort(new Error("enough"))
  await answer.catch(() => {})
  await client.close().catch(() => {})
}

await writeEvents("default/first", 1)
// The first calls load and compile what all need.
for (const one of await Promise.all([1, 2, 3, 4].map(waiter))) await leave(one)

const before = await read()
const one = await waiter(0)
await sleep(1_000)
const readsOfOne = await readsInWindow()
const others = await Promise.all(Array.from({ length: CLIENTS - 1 }, (_, index) => waiter(index + 1)))
await sleep(1_000)
const readsOfAll = await readsInWindow()
const after = await read()

await check(`${CLIENTS} clients that wait cost the server less than 60 MB`, () => {
  const bytes = after.bytes - before.bytes
  assert.ok(bytes < MOST_BYTES, `${bytes} bytes`)
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`
})
await check(`${CLIENTS} clients that wait read the store as often as one of them`, () => {
  const note = `${readsOfOne} looks at the file system in ${WINDOW / 1000} seconds for one, ${readsOfAll} for ${CLIENTS}`
  assert.ok(readsOfOne > 0 && readsOfAll < 1.5 * readsOfOne + 5, note)
  return note
})
await check("an event wakes the client that waits for it, and the server reads for no other", async () => {
  const { reads } = await read()
  await writeEvents("default/pod-7", 1)
  const { events } = await within(others[6].answer, 5_000, "the answer")
  assert.deepEqual(
    events.map(({ message }) => message),
    ["event 1"]
  )
  const looked = (await read()).reads - reads
  // The writer takes a second in which the log is watched; a read of all hundred would be thousands.
  assert.ok(looked < 500, `${looked} looks at the file system`)
  return `${looked} looks at the file system`
})
await check("clients that cancel end their waits in the server", async () => {
  const { events } = await overHttp(0).then(({ call }) => call({ limit: 1 }))
  assert.equal(events.length, 1)
  await leave(one)
  await Promise.all(others.map(leave))
  await sleep(500)
  // The last that left has ended the watch of the store, and nothing else reads it.
  assert.equal(await readsInWindow(), 0)
})

// ---------------------------------------------------------------------------
// many events
// ---------------------------------------------------------------------------

const OBJECT = { resourceType: "Pod", resourceName: "web", namespace: "load" }
const LARGE = { limit: 1_000, maxBytes: 262_144 }

/** Messages as they come, and when all are there. */
const collector = () => {
  const found = []
  const whole = Promise.withResolvers()
  return {
    found,
    whole: whole.promise,
    add: (events) => {
      for (const { message } of events) found.push(message)
      if (found.length >= EVENTS) whole.resolve()
    }
  }
}

const followers = []
const follower = (name, { found, whole }) => followers.push({ name, found, whole })

for (const index of [0, 1]) {
  const { call } = await overHttp(index)
  const seen = collector()
  let { cursor } = await call({ ...OBJECT, limit: 1 })
  const follow = async () => {
    while (seen.found.length < EVENTS) {
      const more = await call({ ...OBJECT, ...LARGE, after: cursor, waitSeconds: 20 })
      cursor = more.cursor
      seen.add(more.events)
    }
  }
  follow().catch((error) => console.error(error))
  follower(`with after and waitSeconds over HTTP, client ${index === 0 ? "1.32" : "2.4 in 2026-07-28"}`, seen)
}

const stdio = { command: process.execPath, args: serverArgs, cwd: home, env: { HOME: home } }
const isEvents = ({ logger }) => logger === "tidings/events"
const overStdio = {
  "1.32": (pushed) => firstGeneration(new FirstStdio(stdio), pushed),
  "2.4": (pushed) => secondGeneration(new SecondStdio(stdio), { supportedProtocolVersions: ["2025-11-25"] }, pushed)
}
for (const [name, open] of Object.entries(overStdio)) {
  const seen = collector()
  const { call } = await open((params) => {
    if (isEvents(params)) seen.add(params.data.events)
  })
  const { notes } = await call({ ...OBJECT, ...LARGE, follow: true })
  assert.match(notes.join("\n"), /pushed/)
  follower(`with follow over stdio, client ${name}`, seen)
}

{
  const { call, client } = await secondGeneration(new second.StreamableHTTPClientTransport(url), NEWEST)
  const seen = collector()
  let { cursor } = await call({ ...OBJECT, limit: 1 })
  let reading = Promise.resolve()
  const readOn = async () => {
    for (;;) {
      const more = await call({ ...OBJECT, ...LARGE, after: cursor })
      cursor = more.cursor
      seen.add(more.events)
      if (more.events.length === 0) return
    }
  }
  client.setNotificationHandler("notifications/resources/updated", () => {
    reading = reading.then(readOn).catch((error) => console.error(error))
  })
  await client.listen({ resourceSubscriptions: ["events://Pod/load/web"] })
  follower("with a subscription over HTTP in 2026-07-28", seen)
}

await writeEvents("load/web", EVENTS)
const expected = Array.from({ length: EVENTS }, (_, index) => `event ${index + 1}`)
for (const { found, name, whole } of followers) {
  await check(`${EVENTS.toLocaleString("en")} events arrive once and in order ${name}`, async () => {
    await within(whole, 60_000, "the last event").catch(() => {})
    // What came twice would come now.
    await sleep(300)
    assert.equal(found.length, EVENTS)
    assert.deepEqual(found, expected)
  })
}

// ---------------------------------------------------------------------------
// who may ask
// ---------------------------------------------------------------------------

const status = (headers) =>
  new Promise((resolve, reject) => {
    const sent = request(
      url,
      { method: "POST", headers: { "content-type": "application/json", ...headers } },
      (response) => {
        response.resume()
        resolve(response.statusCode)
      }
    )
    sent.on("error", reject)
    sent.end(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }))
  })

await check("a request with a foreign Host is refused, also from this machine", async () => {
  for (const host of ["evil.example", `evil.example:${url.port}`, `localhost.evil.example:${url.port}`]) {
    assert.equal(await status({ host }), 403, host)
  }
  assert.notEqual(await status({ host: `localhost:${url.port}` }), 403)
})
await check("a request with a foreign Origin is refused, also from this machine", async () => {
  for (const origin of ["https://evil.example", `http://localhost.evil.example:${url.port}`, "null"]) {
    assert.equal(await status({ origin }), 403, origin)
  }
  assert.notEqual(await status({ origin: "http://localhost:6274" }), 403)
})

const ended = once(server, "close")
server.kill("SIGTERM")
await ended
process.exit(0)
