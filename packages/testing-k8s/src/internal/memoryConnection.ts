/** A way to the server without a socket. */
import type { KubernetesRequest, KubernetesResponse } from "@tidings/backend-k8s/KubernetesHttp"
import type { Transport, TransportStream } from "@tidings/backend-k8s/KubernetesConnection"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Connection } from "./connections.ts"
import type { Arrival } from "./exchange.ts"
import { type BegunAnswer, connectionRefused, MemoryReply } from "./memoryReply.ts"
import type { ServerProcess } from "./serverProcess.ts"

/** The whole body; undefined when the connection breaks before its end. */
const wholeText = (body: BegunAnswer["body"]): Effect.Effect<string | undefined> =>
  Effect.orElseSucceed(Stream.mkString(Stream.decodeText(body)), () => undefined)

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

  exchange(arrival: Arrival): Effect.Effect<BegunAnswer, Error> {
    return Effect.flatMap(Queue.unbounded<Uint8Array, Error | Cause.Done>(), (body) =>
      Effect.callback<BegunAnswer, Error>((resume) => {
        if (!this.#process.isListening && this.#connection === undefined) {
          return resume(Effect.fail(connectionRefused()))
        }
        const connection = (this.#connection ??= this.#connect())
        const reply = new MemoryReply(body, resume)
        this.#underWay.add(reply)
        reply.onClose(() => this.#underWay.delete(reply))
        this.#process.receive(arrival, connection, reply)
        return Effect.sync(() => reply.leave())
      })
    )
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

  /** The client does not need it any more. */
  leave(): void {
    if (this.#connection !== undefined) this.#process.connections.remove(this.#connection)
    this.#connection = undefined
    for (const reply of [...this.#underWay]) reply.leave()
  }
}

/** A transport of somebody with a token, until the scope ends. @internal */
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
    const send = (request: KubernetesRequest): Effect.Effect<BegunAnswer, Error> =>
      Effect.flatMap(
        Effect.suspend(() => connection.exchange(arrivalOf(request))),
        (begun) =>
          begun.status === 401
            ? Effect.andThen(
                wholeText(begun.body),
                Effect.suspend(() => connection.exchange(arrivalOf(request)))
              )
            : Effect.succeed(begun)
      )
    const transport: Transport = {
      request: (request) =>
        Effect.flatMap(send(request), ({ body, headers, status }) =>
          Effect.map(wholeText(body), (text): KubernetesResponse => ({ status, headers, body: text }))
        ),
      open: (path) =>
        Effect.map(send({ method: "GET", path }), ({ body, headers, status }): TransportStream => ({
          status,
          headers,
          text: wholeText(body),
          bytes: body
        })),
      breaks: () => connection.breaks
    }
    return transport
  })
