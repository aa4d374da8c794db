/** Watches that are open, and what goes wrong with them. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Fault, WatchCut } from "../Fault.ts"
import type { Answering, Fork } from "./answering.ts"
import type { Exchange } from "./exchange.ts"
import { fraction } from "./seed.ts"
import * as Status from "./statuses.ts"
import type { Store } from "./store.ts"
import { errorLine, type WatchPlan } from "./watchPlan.ts"

/** @internal */
export interface WatchOptions {
  readonly store: Store
  readonly answering: Answering
  readonly seed: number
  readonly now: () => number
  readonly fork: Fork
  /** Whether the process is stopped, and its timers with it. */
  readonly isPaused: () => boolean
  /** Whether nothing is sent for now. */
  readonly isHalted: () => boolean
  /** Ends what is due in the store. */
  readonly advance: () => void
}

const minimumSeconds = 1_800
const batchSize = 64 * 1_024

class OpenWatch {
  readonly #options: WatchOptions
  readonly #exchange: Exchange
  readonly #plan: WatchPlan
  readonly #fault: Fault | undefined
  readonly #onEnd: () => void
  readonly #unsubscribe: () => void
  readonly #timer: Fiber.Fiber<void> | undefined
  /** How many lines it may send. */
  readonly #allowed: number
  #initial: ReadonlyArray<string>
  #position: number
  #sent = 0
  #isBlocked = false
  #isOver = false

  constructor(
    options: WatchOptions,
    exchange: Exchange,
    plan: WatchPlan,
    fault: Fault | undefined,
    onEnd: (watch: OpenWatch) => void
  ) {
    this.#options = options
    this.#exchange = exchange
    this.#plan = plan
    this.#fault = fault
    this.#onEnd = () => onEnd(this)
    this.#allowed =
      fault?._tag === "WatchCut" || fault?._tag === "WatchSilence" ? fault.afterEvents : Number.POSITIVE_INFINITY
    this.#initial = plan.initial
    this.#position = plan.position
    this.#unsubscribe = options.store.subscribe(() => this.pump())
    exchange.reply.onDrain(() => {
      this.#isBlocked = false
      this.pump()
    })
    exchange.reply.onClose(() => this.#finish())
    // A server that is gone does not keep its own time either.
    this.#timer = fault?._tag === "WatchSilence" ? undefined : options.fork(this.#endAfterTime())
  }

  /** Sends what there is to send. */
  pump(): void {
    while (!this.#isBlocked && !this.#isOver && !this.#options.isHalted()) {
      if (this.#initial.length === 0 && this.#position < this.#options.store.log.begin()) {
        return this.#end(errorLine(Status.expiredWatch))
      }
      const lines = this.#nextLines()
      if (lines.length > 0) this.#isBlocked = !this.#exchange.reply.write(lines.join(""))
      if (this.#sent >= this.#allowed) {
        if (this.#fault?._tag === "WatchCut") this.end(this.#fault.how)
        return
      }
      if (this.#initial.length === 0 && this.#plan.endsAtOnce) return this.#end()
      if (lines.length === 0) return
    }
  }

  write(chunk: string | Uint8Array): void {
    if (!this.#isOver) this.#exchange.reply.write(chunk)
  }

  end(how: WatchCut["how"]): void {
    if (this.#isOver) return
    if (how === "end") return this.#end()
    this.#finish()
    if (how === "reset") this.#exchange.reply.reset()
    else this.#exchange.reply.close()
  }

  /** The lines of what it begins with, and then of about as many changes as fit a batch. */
  #nextLines(): ReadonlyArray<string> {
    const lines = this.#initial.slice(0, this.#allowed - this.#sent)
    this.#initial = this.#initial.slice(lines.length)
    this.#sent += lines.length
    let size = 0
    while (this.#sent < this.#allowed && this.#initial.length === 0 && size < batchSize) {
      const line = this.#nextChange()
      if (line === undefined) break
      lines.push(line)
      size += line.length
      this.#sent += 1
    }
    return lines
  }

  #nextChange(): string | undefined {
    for (;;) {
      const change = this.#options.store.log.at(this.#position)
      if (change === undefined) return undefined
      this.#position += 1
      const line = this.#plan.line(change)
      if (line !== undefined) return line
    }
  }

  #endAfterTime(): Effect.Effect<void> {
    const { ordinal } = this.#exchange.entry
    const seconds =
      this.#plan.timeoutSeconds ?? Math.floor(minimumSeconds * (1 + fraction(this.#options.seed, `watch ${ordinal}`)))
    return Effect.andThen(
      Effect.sleep(Duration.seconds(seconds)),
      Effect.sync(() => {
        if (!this.#options.isPaused()) this.end("end")
      })
    )
  }

  #end(last?: string): void {
    this.#finish()
    this.#exchange.reply.end(last)
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#unsubscribe()
    this.#timer?.interruptUnsafe()
    this.#onEnd()
  }
}

/** @internal */
export class OpenWatches {
  readonly #options: WatchOptions
  readonly #open = new Set<OpenWatch>()
  #sleeper: Fiber.Fiber<void> | undefined

  constructor(options: WatchOptions) {
    this.#options = options
  }

  start(exchange: Exchange, plan: WatchPlan, fault: Fault | undefined): void {
    const { reply } = exchange
    this.#options.answering.begin(exchange, { status: 200, contentType: "application/json" })
    reply.flush()
    if (fault?._tag === "WatchEmpty") return reply.end()
    if (fault?._tag === "WatchExpired") return reply.end(errorLine(Status.expiredWatch))
    const watch = new OpenWatch(this.#options, exchange, plan, fault, (ended) => {
      this.#open.delete(ended)
      this.#stopSleeper()
    })
    this.#open.add(watch)
    watch.pump()
    this.watchLeases()
  }

  /** Sends what there is to send, after a time in which nothing was. */
  pump(): void {
    for (const watch of [...this.#open]) watch.pump()
  }

  write(chunk: string | Uint8Array): void {
    for (const watch of [...this.#open]) watch.write(chunk)
  }

  end(how: WatchCut["how"]): void {
    for (const watch of [...this.#open]) watch.end(how)
  }

  /** Only an open watch has to see at once that a lease ended; for the rest it is enough to look when asked. */
  watchLeases(): void {
    const { advance, fork, now, store } = this.#options
    const expiry = store.nextExpiry()
    if (this.#open.size === 0 || expiry === undefined || this.#sleeper !== undefined) return
    this.#sleeper = fork(
      Effect.andThen(
        Effect.sleep(Duration.millis(Math.max(0, expiry - now()))),
        Effect.sync(() => {
          this.#sleeper = undefined
          advance()
          this.watchLeases()
        })
      )
    )
  }

  #stopSleeper(): void {
    if (this.#open.size > 0) return
    this.#sleeper?.interruptUnsafe()
    this.#sleeper = undefined
  }
}
