/** Answers that reach their client without a socket. */
import type { Reply } from "./exchange.ts"

/** What a client sees of a connection that ends in the middle. */
const connectionReset = (): Error => Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" })

/** What a client sees where no server listens. @internal */
export const connectionRefused = (): Error => Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })

const otherSideClosed = (): Error => Object.assign(new Error("other side closed"), { code: "UND_ERR_SOCKET" })

/** @internal */
export interface Head {
  readonly status: number
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | undefined>>
}

/** The client's side of an answer. @internal */
export interface Receiver {
  readonly onHead: (head: Head) => void
  readonly onChunk: (chunk: Uint8Array) => void
  readonly onEnd: () => void
  /** The connection ended before the answer, or in the middle of it. */
  readonly onBreak: (error: Error) => void
}

const encoder = new TextEncoder()

/** @internal */
export class MemoryReply implements Reply {
  readonly #receiver: Receiver
  readonly #closed: Array<() => void> = []
  /** Until it is sent. */
  #head: Head | undefined
  #isOver = false

  constructor(receiver: Receiver) {
    this.#receiver = receiver
  }

  isGone(): boolean {
    return this.#isOver
  }

  begin(status: number, headers: Readonly<Record<string, string | ReadonlyArray<string>>>): void {
    this.#head = {
      status,
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [
          name.toLowerCase(),
          typeof value === "string" ? value : value[0]
        ])
      )
    }
  }

  flush(): void {
    if (this.#head === undefined || this.#isOver) return
    this.#receiver.onHead(this.#head)
    this.#head = undefined
  }

  write(chunk: string | Uint8Array): boolean {
    if (this.#isOver) return false
    this.flush()
    if (chunk.length > 0) this.#receiver.onChunk(typeof chunk === "string" ? encoder.encode(chunk) : chunk)
    return true
  }

  end(chunk: string | Uint8Array = ""): void {
    this.write(chunk)
    this.#finish(() => this.#receiver.onEnd())
  }

  reset(): void {
    this.#finish(() => this.#receiver.onBreak(connectionReset()))
  }

  close(): void {
    this.#finish(() => this.#receiver.onBreak(otherSideClosed()))
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
    this.#finish(() => this.#receiver.onEnd())
  }

  #finish(tell: () => void): void {
    if (this.#isOver) return
    this.#isOver = true
    tell()
    for (const listener of this.#closed.splice(0)) listener()
  }
}
