/**
 * Requests with a whole response, and their deadline.
 */
import type { BackendError } from "@tidings/core/BackendError"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { gunzip } from "node:zlib"
import type { Dispatcher } from "undici"
import type { KubernetesResponse } from "../KubernetesHttp.ts"
import type { Epoch } from "./epoch.ts"
import { connectionError } from "./requestErrors.ts"

/** The headers as undici gives them. */
type RawHeaders = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/** @internal */
export const firstValues = (headers: RawHeaders): KubernetesResponse["headers"] => {
  const values: Record<string, string | undefined> = {}
  for (const name in headers) {
    const value = headers[name]
    values[name] = typeof value === "string" ? value : value?.[0]
  }
  return values
}

type Resume = (result: Effect.Effect<KubernetesResponse, BackendError>) => void

/**
 * One request, dispatched directly to the pool. An HTTP client on top, be it Effect's or undici's own, makes a stream of
 * the body and signals to cancel it, which doubles the CPU time of a create; a response here is a kilobyte and is needed
 * as a whole.
 */
class Exchange implements Dispatcher.DispatchHandler {
  /** In milliseconds of the monotonic clock. */
  readonly deadline: number
  private readonly exchanges: Exchanges
  private readonly resume: Resume
  private controller: Dispatcher.DispatchController | undefined
  private isAborted = false
  private status = 0
  private headers: KubernetesResponse["headers"] = {}
  private readonly chunks: Array<Buffer> = []

  constructor(exchanges: Exchanges, deadline: number, resume: Resume) {
    this.exchanges = exchanges
    this.deadline = deadline
    this.resume = resume
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    if (this.isAborted) this.abort()
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: RawHeaders): void {
    if (status < 200) return
    this.exchanges.options.epoch.responded(status)
    this.status = status
    this.headers = firstValues(headers)
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.chunks.push(chunk)
  }

  onResponseEnd(): void {
    const { chunks } = this
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    if (this.headers["content-encoding"] !== "gzip") return this.succeed(body)
    gunzip(body, (error, unzipped) => {
      if (error === null) this.succeed(unzipped)
      else this.onResponseError(undefined, error)
    })
  }

  private succeed(body: Buffer): void {
    this.end(Effect.succeed({ status: this.status, headers: this.headers, body: body.toString("utf8") }))
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, cause: Error): void {
    // Once there is a status, it holds, whatever happens to the body.
    if (this.status === 0) return this.fail(cause)
    this.exchanges.options.epoch.advance()
    this.end(Effect.succeed({ status: this.status, headers: this.headers, body: undefined }))
  }

  fail(cause: unknown): void {
    this.exchanges.options.epoch.advance()
    this.end(Effect.fail(connectionError(cause, this.exchanges.options.server)))
  }

  /** The caller was interrupted. */
  cancel(): void {
    this.exchanges.underWay.delete(this)
    this.exchanges.options.epoch.advance()
    this.abort()
  }

  expire(late: BackendError): void {
    // Ended first: to abort it is an error of its own.
    this.end(Effect.fail(late))
    this.abort()
  }

  abort(): void {
    this.isAborted = true
    this.controller?.abort(new Error("the request was cancelled"))
  }

  private end(result: Effect.Effect<KubernetesResponse, BackendError>): void {
    this.exchanges.underWay.delete(this)
    this.resume(result)
  }
}

interface ExchangesOptions {
  readonly server: string
  readonly epoch: Epoch
  readonly clock: Clock.Clock
  readonly timeout: Duration.Duration
  /** The error of a request without a response in time. */
  readonly late: BackendError
  readonly onLate: () => void
  readonly scope: Scope.Scope
  readonly context: Context.Context<never>
}

/**
 * The requests under way. One timer serves all of them, because a timer for each would double the cost of a request.
 *
 * @internal
 */
export class Exchanges {
  /** In the order of their deadlines, as all have the same timeout. */
  readonly underWay = new Set<Exchange>()
  readonly options: ExchangesOptions
  private readonly timeoutMillis: number
  private isTimerRunning = false

  constructor(options: ExchangesOptions) {
    this.options = options
    this.timeoutMillis = Duration.toMillis(options.timeout)
  }

  /** Sends a request; interruption cancels it and closes its connection. */
  send(pool: Dispatcher, request: Dispatcher.DispatchOptions): Effect.Effect<KubernetesResponse, BackendError> {
    return Effect.callback((resume) => {
      const exchange = new Exchange(this, this.now() + this.timeoutMillis, resume)
      this.underWay.add(exchange)
      if (!this.isTimerRunning && this.timeoutMillis !== Number.POSITIVE_INFINITY) {
        this.isTimerRunning = true
        Effect.runForkWith(this.options.context)(Effect.forkIn(this.timer, this.options.scope))
      }
      try {
        pool.dispatch(request, exchange)
      } catch (cause) {
        exchange.fail(cause)
      }
      return Effect.sync(() => exchange.cancel())
    })
  }

  abortAll(): void {
    for (const exchange of this.underWay) exchange.abort()
  }

  /** Ends requests at their deadlines, until none is under way. */
  private readonly timer: Effect.Effect<void> = Effect.suspend(() => {
    const now = this.now()
    for (const exchange of this.underWay) {
      if (exchange.deadline > now) {
        return Effect.andThen(this.options.clock.sleep(Duration.millis(exchange.deadline - now)), this.timer)
      }
      this.options.onLate()
      exchange.expire(this.options.late)
    }
    this.isTimerRunning = false
    return Effect.void
  })

  private now(): number {
    return Number(this.options.clock.monotonicTimeNanosUnsafe()) / 1_000_000
  }
}
