/** Sends answers: whole, cut off, or bit by bit. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as zlib from "node:zlib"
import type { Fault } from "../Fault.ts"
import type { Exchange } from "./exchange.ts"
import { type Identity, mastersGroup } from "./rbac.ts"
import { uuid } from "./seed.ts"
import type { Answer } from "./statuses.ts"
import { formatHttpDate } from "./time.ts"

/** Runs in the background, with the clock of the effect that made the server. @internal */
export type Fork = (effect: Effect.Effect<void>) => Fiber.Fiber<void>

// Go's HTTP server gives the length of what fits its buffer, and sends the rest in chunks.
const goBufferSize = 2_048
const gzipThreshold = 128 * 1_024

const priorityHeaders = (seed: number, identity: Identity): Readonly<Record<string, string>> => {
  const level = identity.groups.includes(mastersGroup) ? "exempt" : "service-accounts"
  return {
    "X-Kubernetes-Pf-Flowschema-Uid": uuid(seed, `flowschema ${level}`),
    "X-Kubernetes-Pf-Prioritylevel-Uid": uuid(seed, `prioritylevel ${level}`)
  }
}

/** @internal */
export class Answering {
  readonly #options: { readonly seed: number; readonly now: () => number; readonly fork: Fork }

  constructor(options: { readonly seed: number; readonly now: () => number; readonly fork: Fork }) {
    this.#options = options
  }

  /** The head of an answer whose body follows. */
  begin(
    exchange: Exchange,
    answer: Pick<Answer, "contentType" | "headers" | "status">,
    more: Readonly<Record<string, string>> = {}
  ): void {
    exchange.entry.status = answer.status
    exchange.reply.begin(answer.status, {
      "Audit-Id": uuid(this.#options.seed, `audit ${exchange.entry.ordinal}`),
      "Cache-Control": "no-cache, private",
      "Content-Type": answer.contentType,
      ...answer.headers,
      ...(answer.status === 401 ? {} : priorityHeaders(this.#options.seed, exchange.identity)),
      Date: formatHttpDate(this.#options.now()),
      ...more
    })
  }

  send(exchange: Exchange, answer: Answer, fault?: Fault): void {
    const { reply } = exchange
    if (reply.isGone()) {
      return
    }
    const plain = Buffer.from(answer.body)
    const isCompressed = exchange.acceptsGzip && plain.length > gzipThreshold && answer.status < 300
    const body = isCompressed ? zlib.gzipSync(plain, { level: 1 }) : plain
    this.begin(exchange, answer, {
      ...(isCompressed ? { "Content-Encoding": "gzip", Vary: "Accept-Encoding" } : {}),
      ...(body.length <= goBufferSize ? { "Content-Length": String(body.length) } : {})
    })
    switch (fault?._tag) {
      case "Truncate":
        reply.flush()
        reply.write(body.subarray(0, Math.min(fault.afterBytes, Math.max(0, body.length - 1))))
        return reply.close()
      case "Slow":
        return this.#trickle(exchange, body, fault.bytes, fault.every)
      default:
        // A text goes out in one piece with the head.
        return reply.end(isCompressed ? body : answer.body)
    }
  }

  /** Sends what is no answer of this server. */
  sendInPlace(exchange: Exchange, status: number, headers: Readonly<Record<string, string>>, body: string): void {
    exchange.entry.status = status
    exchange.reply.begin(status, headers)
    exchange.reply.end(body)
  }

  sendLater(exchange: Exchange, after: Duration.Duration, answer: Answer): void {
    this.forkWhileOpen(
      exchange,
      Effect.andThen(
        Effect.sleep(after),
        Effect.sync(() => this.send(exchange, answer))
      )
    )
  }

  /** Runs while the client is there. */
  forkWhileOpen(exchange: Exchange, effect: Effect.Effect<void>): void {
    const fiber = this.#options.fork(effect)
    exchange.reply.onClose(() => fiber.interruptUnsafe())
  }

  #trickle(exchange: Exchange, body: Buffer, bytes: number, every: Duration.Duration): void {
    const { reply } = exchange
    reply.flush()
    this.forkWhileOpen(
      exchange,
      Effect.gen(function* () {
        for (let start = 0; start < body.length; start += bytes) {
          yield* Effect.sleep(every)
          reply.write(body.subarray(start, start + bytes))
        }
        reply.end()
      })
    )
  }
}
