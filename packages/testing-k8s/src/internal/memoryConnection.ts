/** A way to the server without a socket. */
import type { Transport, TransportStream } from "@tidings/backend-k8s/KubernetesConnection"
import type { KubernetesRequest, KubernetesResponse } from "@tidings/backend-k8s/KubernetesHttp"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Connection } from "./connections.ts"
import type { Arrival } from "./exchange.ts"
import { connectionRefused, type Head, MemoryReply, type Receiver } from "./memoryReply.ts"
import type { ServerProcess } from "./serverProcess.ts"

/** The requests that share a connection, and are reset with it. */
class MemoryConnection {
  readonly #process: ServerProcess
  readonly #underWay = new Set<MemoryReply>()
  #connection: Connection | undefined
  #breaks = 0

  constructor(process: ServerProcess) {
    this.#process = process
  }

  /** How often it was ended from the other side. */
  get breaks(): number {
    return this.#breaks
  }

  /** Sends a request. Returns how to give up its answer. */
  send(arrival: Arrival, receiver: Receiver): () => void {
    const reply = new MemoryReply(receiver)
    if (!this.#process.isListening && this.#connection === undefined) {
      receiver.onBreak(connectionRefused())
      return () => undefined
    }
    const connection = (this.#connection ??= this.#connect())
    this.#underWay.add(reply)
    reply.onClose(() => this.#underWay.delete(reply))
    this.#process.receive(arrival, connection, reply)
    return () => reply.leave()
  }

  /** The client does not need it any more. */
  leave(): void {
    if (this.#connection !== undefined) this.#process.connections.remove(this.#connection)
    this.#connection = undefined
    for (const reply of [...this.#underWay]) reply.leave()
  }

  #connect(): Connection {
    const connection = this.#process.connections.add({
      reset: () => this.#end(connection, (reply) => reply.reset()),
      close: () => this.#end(connection, (reply) => reply.close())
    })
    return connection
  }

  #end(connection: Connection, end: (reply: MemoryReply) => void): void {
    if (this.#connection !== connection) return
    this.#connection = undefined
    this.#breaks += 1
    this.#process.connections.remove(connection)
    for (const reply of [...this.#underWay]) end(reply)
  }
}

/** The whole of an answer. */
const exchange = (connection: MemoryConnection, arrival: Arrival): Effect.Effect<KubernetesResponse, Error> =>
  Effect.callback((resume) => {
    const chunks: Array<Uint8Array> = []
    let head: Head | undefined
    const leave = connection.send(arrival, {
      onHead: (begun) => {
        head = begun
      },
      onChunk: (chunk) => chunks.push(chunk),
      onEnd: () => {
        if (head !== undefined) resume(Effect.succeed({ ...head, body: Buffer.concat(chunks).toString() }))
      },
      // The status line counts, whatever becomes of the rest.
      onBreak: (error) => resume(head === undefined ? Effect.fail(error) : Effect.succeed({ ...head, body: undefined }))
    })
    return Effect.sync(leave)
  })

/** An answer that goes on. */
const open = (connection: MemoryConnection, arrival: Arrival): Effect.Effect<TransportStream, Error> =>
  Effect.flatMap(Queue.unbounded<Uint8Array, Error | Cause.Done>(), (queue) =>
    Effect.callback((resume) => {
      let isBegun = false
      const leave = connection.send(arrival, {
        onHead: (head) => {
          isBegun = true
          const bytes = Stream.ensuring(
            Stream.fromQueue(queue),
            Effect.sync(() => leave())
          )
          const text = Effect.orElseSucceed(Stream.mkString(Stream.decodeText(bytes)), () => undefined)
          resume(Effect.succeed({ ...head, bytes, text }))
        },
        onChunk: (chunk) => Queue.offerUnsafe(queue, chunk),
        onEnd: () => Queue.endUnsafe(queue),
        onBreak: (error) => {
          if (isBegun) Queue.failCauseUnsafe(queue, Cause.fail(error))
          else resume(Effect.fail(error))
        }
      })
      return Effect.sync(leave)
    })
  )

/** A transport of a user with a token, until the scope ends. @internal */
export const make = (options: {
  readonly process: ServerProcess
  /** The token that is valid now. */
  readonly token: () => string
  readonly userAgent: string
}) =>
  Effect.gen(function* () {
    const { process, token, userAgent } = options
    const connection = yield* Effect.acquireRelease(
      Effect.sync(() => new MemoryConnection(process)),
      (made) => Effect.sync(() => made.leave())
    )
    const arrivalOf = ({ accept, body, contentType, method, path }: KubernetesRequest): Arrival => ({
      method,
      url: path,
      authorization: `Bearer ${token()}`,
      certified: undefined,
      accept: accept ?? "application/json",
      acceptEncoding: undefined,
      contentType: body === undefined ? undefined : (contentType ?? "application/json"),
      userAgent,
      body: body ?? "",
      isTooLarge: false
    })
    /** Once more when the token was not accepted, as clients do that read theirs anew. */
    const authorized = <A extends { readonly status: number }>(
      request: KubernetesRequest,
      send: (connection: MemoryConnection, arrival: Arrival) => Effect.Effect<A, Error>
    ): Effect.Effect<A, Error> => {
      const once = Effect.suspend(() => send(connection, arrivalOf(request)))
      return Effect.flatMap(once, (answer) => (answer.status === 401 ? once : Effect.succeed(answer)))
    }
    return {
      request: (request) => authorized(request, exchange),
      open: (path) => authorized({ method: "GET", path }, open),
      breaks: () => connection.breaks
    } satisfies Transport
  })
