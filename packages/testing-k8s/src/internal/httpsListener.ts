/** The TLS socket of the server. */
import * as Effect from "effect/Effect"
import type * as http from "node:http"
import * as https from "node:https"
import * as net from "node:net"
import * as tls from "node:tls"
import * as certificates from "./certificates.ts"
import type { Connection } from "./connections.ts"
import type { Reply } from "./exchange.ts"
import type { Identity } from "./rbac.ts"
import type { ServerProcess } from "./serverProcess.ts"

const bodyLimit = 3_145_728

const certificateIdentity = (socket: net.Socket): Identity | undefined => {
  if (!(socket instanceof tls.TLSSocket) || !socket.authorized) {
    return undefined
  }
  const subject = socket.getPeerCertificate().subject as Readonly<Record<string, string | Array<string>>> | undefined
  const name = subject?.["CN"]
  const groups = subject?.["O"] ?? []
  return typeof name === "string"
    ? { name, uid: "", groups: [...(typeof groups === "string" ? [groups] : groups), "system:authenticated"] }
    : undefined
}

/** What was written before has to arrive first, unless the client does not read it. */
const afterWritten = (response: http.ServerResponse, end: () => void): void => {
  if (!response.headersSent || response.writableEnded || response.writableNeedDrain) end()
  else response.write("", () => setImmediate(end))
}

const replyOver = (response: http.ServerResponse, raw: net.Socket): Reply => ({
  isGone: () => response.destroyed,
  begin: (status, headers) => {
    response.sendDate = false
    // Go says nothing of a connection that it keeps.
    if (response.shouldKeepAlive && headers["Connection"] === undefined) response.removeHeader("Connection")
    const copies = Object.entries(headers).map(([name, value]) => [
      name,
      typeof value === "string" ? value : [...value]
    ])
    response.writeHead(status, Object.fromEntries(copies) as Record<string, string | Array<string>>)
  },
  flush: () => response.flushHeaders(),
  write: (chunk) => response.write(chunk),
  end: (chunk) => void response.end(chunk),
  reset: () => afterWritten(response, () => raw.resetAndDestroy()),
  close: () => afterWritten(response, () => raw.destroy()),
  onClose: (listener) => void response.once("close", listener),
  onDrain: (listener) => void response.on("drain", listener)
})

/** @internal */
export class HttpsListener {
  readonly #process: ServerProcess
  /** By the port of the client, which is all that a request tells of its socket. */
  readonly #connections = new Map<number, { readonly raw: net.Socket; readonly connection: Connection }>()
  readonly #secure: https.Server
  #listener: net.Server | undefined
  /** Connections that were made while the process was paused. */
  #held: Array<net.Socket> = []

  constructor(process: ServerProcess) {
    this.#process = process
    this.#secure = https.createServer(
      {
        key: certificates.serverKey,
        cert: certificates.serverCertificate,
        ca: certificates.authority,
        requestCert: true,
        rejectUnauthorized: false,
        // Time passes by the clock of the test alone.
        keepAliveTimeout: 0,
        requestTimeout: 0,
        headersTimeout: 0,
        connectionsCheckingInterval: 2 ** 31 - 1,
        handshakeTimeout: 2 ** 31 - 1
      },
      (incoming, response) => this.#receive(incoming, response)
    )
    this.#secure.on("clientError", (_error, socket) => socket.destroy())
    this.#secure.on("tlsClientError", (_error, socket) => socket.destroy())
  }

  listen(port: number): Effect.Effect<void, Error> {
    return Effect.callback((resume) => {
      const server = net.createServer({ noDelay: true }, (raw) => this.#connect(raw))
      server.once("error", (error) => resume(Effect.fail(error)))
      server.listen(port, "127.0.0.1", () => {
        this.#listener = server
        resume(Effect.void)
      })
    })
  }

  close(): void {
    this.#listener?.close()
    this.#listener = undefined
  }

  /** Forgets the connections that wait; they are reset with the others. */
  dropHeld(): void {
    this.#held = []
  }

  resume(): void {
    const held = this.#held
    this.#held = []
    for (const raw of held) this.#handshake(raw)
  }

  #connect(raw: net.Socket): void {
    const connection = this.#process.connections.add({
      reset: () => void raw.resetAndDestroy(),
      close: () => void raw.destroy()
    })
    const port = raw.remotePort ?? -1
    this.#connections.set(port, { raw, connection })
    raw.on("error", () => {})
    raw.once("close", () => {
      // Another process may have the port by now.
      if (this.#connections.get(port)?.raw === raw) this.#connections.delete(port)
      this.#process.connections.remove(connection)
    })
    if (this.#process.isPaused) this.#held.push(raw)
    else this.#handshake(raw)
  }

  #handshake(raw: net.Socket): void {
    if (!raw.destroyed) this.#secure.emit("connection", raw)
  }

  #receive(incoming: http.IncomingMessage, response: http.ServerResponse): void {
    const chunks: Array<Buffer> = []
    let size = 0
    let isDone = false
    const done = (isTooLarge: boolean): void => {
      if (isDone) return
      isDone = true
      this.#pass(incoming, response, isTooLarge ? "" : Buffer.concat(chunks).toString(), isTooLarge)
    }
    incoming.on("data", (chunk: Buffer) => {
      size += chunk.length
      if (size > bodyLimit) done(true)
      else chunks.push(chunk)
    })
    incoming.on("end", () => done(false))
    // A client that goes away before its request is whole.
    incoming.on("error", () => {})
    response.on("error", () => {})
  }

  #pass(incoming: http.IncomingMessage, response: http.ServerResponse, body: string, isTooLarge: boolean): void {
    const found = this.#connections.get(incoming.socket.remotePort ?? -1)
    if (found === undefined) return
    const { connection, raw } = found
    const { headers } = incoming
    this.#process.receive(
      {
        method: incoming.method ?? "GET",
        url: incoming.url ?? "/",
        authorization: headers.authorization,
        certified: certificateIdentity(incoming.socket),
        accept: headers.accept,
        acceptEncoding: headers["accept-encoding"],
        contentType: headers["content-type"],
        userAgent: headers["user-agent"],
        body,
        isTooLarge
      },
      connection,
      replyOver(response, raw)
    )
  }
}
