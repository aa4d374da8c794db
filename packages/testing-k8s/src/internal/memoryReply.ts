/** Answers that reach their client without a socket. */
import type { KubernetesResponse } from "@tidings/backend-k8s/KubernetesHttp"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Reply } from "./exchange.ts"

/** What a client sees of a connection that ends in the middle. @internal */
export const connectionReset = (): Error => Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" })

/** What a client sees where nobody listens. @internal */
export const connectionRefused = (): Error => Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })

const otherSideClosed = (): Error => Object.assign(new Error("other side closed"), { code: "UND_ERR_SOCKET" })

/** An answer as it begins, with its body still to come. @internal */
export interface BegunAnswer {
  readonly status: number
  readonly headers: KubernetesResponse["headers"]
  readonly body: Stream.Stream<Uint8Array, Error>
}

/** @internal */
export class MemoryReply implements Reply {
  readonly #resume: (begun: Effect.Effect<BegunAnswer, Error>) => void
  readonly #body: Queue.Queue<Uint8Array, Error | Cause.Done>
  readonly #closed: Array<() => void> = []
  #head: Pick<BegunAnswer, "headers" | "status"> | undefined
  #isResumed = false
  #isOver = false

  constructor(
    body: Queue.Queue<Uint8Array, Error | Cause.Done>,
    resume: (begun: Effect.Effect<BegunAnswer, Error>) => void
  ) {
    this.#body = body
    this.#resume = resume
  }

  isGone(): boolean {
    return this.#isOver
  }

  begin(status: number, headers: Readonly<Record<string, string | ReadonlyArray<string>>>): void {
    const first = Object.entries(headers).map(([name, value]) => [
      name.toLowerCase(),
      typeof value === "string" ? value : value[0]
    ])
    this.#head = { status, headers: Object.fromEntries(first) as KubernetesResponse["headers"] }
  }

  flush(): void {
    if (this.#head === undefined || this.#isResumed) return
    this.#isResumed = true
    const body = Stream.ensuring(
      Stream.fromQueue(this.#body),
      Effect.sync(() => this.leave())
    )
    this.#resume(Effect.succeed({ ...this.#head, body }))
  }

  write(chunk: string | Uint8Array): boolean {
    if (this.#isOver) return false
    this.flush()
    if (chunk.length > 0) Queue.offerUnsafe(this.#body, typeof chunk === "string" ? Buffer.from(chunk) : chunk)
    return true
  }

  end(chunk: string | Uint8Array = ""): void {
    this.write(chunk)
    this.#finish(() => Queue.endUnsafe(this.#body))
  }

  reset(): void {
    this.#break(connectionReset())
  }

  close(): void {
    this.#break(otherSideClosed())
  }

  onClose(listener: () => void): void {
    if (this.#isOver) listener()
    else this.#closed.push(listener)
  }

  onDrain(): void {
    // It takes all at once.
  }

  /** The client does not want it any more. */
  leave(): void {
    this.#finish(() => Queue.endUnsafe(this.#body))
  }

  #break(error: Error): void {
    if (this.#isOver) return
    if (!this.#isResumed) {
      this.#isResumed = true
      this.#resume(Effect.fail(error))
    }
    this.#finish(() => Queue.failCauseUnsafe(this.#body, Cause.fail(error)))
  }

  #finish(endBody: () => void): void {
    if (this.#isOver) return
    this.#isOver = true
    endBody()
    for (const listener of this.#closed.splice(0)) listener()
  }
}
