/** The requests that came in. */
import type { Fault } from "../Fault.ts"

/**
 * A request that came in.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoggedRequest {
  /** From 1, over all requests. */
  readonly ordinal: number
  /** Milliseconds since the epoch, by the clock of the server. */
  readonly at: number
  /** Which connection it came on: from 1, in the order of opening. One without a socket counts as one. */
  readonly connection: number
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** Without the question mark. */
  readonly query: string
  /** Undefined where the token is unknown. */
  readonly user: string | undefined
  /** Of Kubernetes: `list` and `watch` are both GET. */
  readonly verb: string
  readonly group: string
  /** Empty for paths such as `/version`. */
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  /** Name of the object, also of one that is to be created. */
  readonly name: string
  readonly userAgent: string | undefined
  /** Of the body. */
  readonly bytes: number
  /** Which fault it met. */
  readonly fault: Fault["_tag"] | undefined
  /** Undefined as long as there is no answer. */
  readonly status: number | undefined
}

/** One that goes on being filled in while it is answered. @internal */
export type LogEntry = { -readonly [Key in keyof LoggedRequest]: LoggedRequest[Key] }

/** @internal */
export class RequestLog {
  #entries: Array<LogEntry> = []
  #count = 0
  readonly #size: number

  constructor(size: number) {
    this.#size = size
  }

  add(request: Omit<LoggedRequest, "fault" | "ordinal" | "status">): LogEntry {
    this.#count += 1
    const entry: LogEntry = { ordinal: this.#count, ...request, fault: undefined, status: undefined }
    this.#entries.push(entry)
    if (this.#entries.length > this.#size * 2) this.#entries = this.#entries.slice(-this.#size)
    return entry
  }

  /** The last ones, oldest first. */
  last(): ReadonlyArray<LoggedRequest> {
    return this.#entries.slice(-this.#size).map((entry) => ({ ...entry }))
  }

  /** How many there were in all. */
  get count(): number {
    return this.#count
  }
}
