/**
 * A proxy between a client and a server of PostgreSQL, which cuts connections at a COMMIT, or swallows notifications as a
 * pooler in transaction mode does.
 */
import * as Effect from "effect/Effect"
import { once } from "node:events"
import { connect, createServer, type Socket } from "node:net"

export interface Proxy {
  /** The URL of the database through the proxy. */
  readonly url: string
  /** What happens at the next COMMIT: the server gets it and its answer is lost, or it does not get it. */
  cutAtCommit: "after" | "before" | undefined
  /** Whether no notification gets through. */
  swallow: boolean
  /** How many connections were cut at a COMMIT. */
  cuts: number
}

/** Whole messages of a server; what is left is the beginning of the next one. */
const messagesIn = (data: Buffer): { readonly messages: Array<Buffer>; readonly rest: Buffer } => {
  const messages: Array<Buffer> = []
  let at = 0
  while (data.length - at >= 5) {
    const end = at + 1 + data.readInt32BE(at + 1)
    if (end > data.length) break
    messages.push(data.subarray(at, end))
    at = end
  }
  return { messages, rest: data.subarray(at) }
}

const NOTIFICATION = "A".charCodeAt(0)

const relay = (proxy: Proxy, client: Socket, server: Socket): void => {
  const end = () => {
    client.destroy()
    server.destroy()
  }
  let isCutting = false
  let rest: Buffer = Buffer.alloc(0)
  client.on("data", (data: Buffer) => {
    if (proxy.cutAtCommit !== undefined && data.includes("COMMIT")) {
      proxy.cuts++
      const where = proxy.cutAtCommit
      proxy.cutAtCommit = undefined
      if (where === "before") return end()
      isCutting = true
    }
    server.write(data)
  })
  server.on("data", (data: Buffer) => {
    // The server has answered, so it has committed.
    if (isCutting) return end()
    const { messages, rest: left } = messagesIn(Buffer.concat([rest, data]))
    rest = left
    for (const message of messages) {
      if (!proxy.swallow || message[0] !== NOTIFICATION) client.write(message)
    }
  })
  for (const socket of [client, server]) {
    // Each message waits for an answer: held back to be sent with others, it would take 40 milliseconds.
    socket.setNoDelay(true)
    socket.on("error", end)
    socket.on("close", end)
  }
}

/** Opens a proxy to the server of a URL. */
export const open = (url: string) =>
  Effect.gen(function* () {
    const { hostname, pathname, port } = new URL(url)
    const proxy = { url: "", cutAtCommit: undefined, swallow: false, cuts: 0 } as {
      -readonly [K in keyof Proxy]: Proxy[K]
    }
    const sockets = new Set<Socket>()
    const server = createServer((client) => {
      const upstream = connect(Number(port || 5432), hostname)
      for (const socket of [client, upstream]) {
        sockets.add(socket)
        socket.once("close", () => sockets.delete(socket))
      }
      relay(proxy, client, upstream)
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => once(server.listen(0, "127.0.0.1"), "listening")),
      () =>
        Effect.sync(() => {
          for (const socket of sockets) socket.destroy()
          server.close()
        })
    )
    const address = server.address()
    if (address === null || typeof address === "string") return yield* Effect.die("no port")
    const through = new URL(url)
    through.hostname = "127.0.0.1"
    through.port = String(address.port)
    through.pathname = pathname
    proxy.url = through.href
    return proxy
  })
