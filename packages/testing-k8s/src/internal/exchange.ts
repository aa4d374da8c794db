/** A request and the way back to its client, whatever lies between. */
import type { LogEntry } from "./requestLog.ts"
import type { Identity } from "./rbac.ts"
import type { IncomingRequest, RequestInfo } from "./request.ts"

/** What comes back to a client. @internal */
export interface Reply {
  /** Whether the client is gone. */
  readonly isGone: () => boolean
  /** The status line and the headers, which may wait for what follows. */
  readonly begin: (status: number, headers: Readonly<Record<string, string | ReadonlyArray<string>>>) => void
  /** Sends what has begun. */
  readonly flush: () => void
  /** Whether the client takes more at once; otherwise it says so by `onDrain`. */
  readonly write: (chunk: string | Uint8Array) => boolean
  readonly end: (chunk?: string | Uint8Array) => void
  /** Resets the connection when what was written has left. */
  readonly reset: () => void
  /** Closes the connection when what was written has left. */
  readonly close: () => void
  /** Called once, when the connection is closed. */
  readonly onClose: (listener: () => void) => void
  readonly onDrain: (listener: () => void) => void
}

/** A request that came in, before it is known what it wants. @internal */
export interface Arrival {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly authorization: string | undefined
  /** Of a client certificate. */
  readonly certified: Identity | undefined
  readonly accept: string | undefined
  readonly acceptEncoding: string | undefined
  readonly contentType: string | undefined
  readonly userAgent: string | undefined
  readonly body: string
  /** Whether the body was larger than the server reads. */
  readonly isTooLarge: boolean
}

/** @internal */
export interface Exchange {
  readonly reply: Reply
  readonly request: IncomingRequest
  readonly info: RequestInfo
  readonly identity: Identity
  readonly acceptsGzip: boolean
  readonly isTooLarge: boolean
  readonly entry: LogEntry
}
