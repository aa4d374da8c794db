/**
 * The types of a simulated API server. `SimulatedBackend` exports them.
 *
 * @internal
 */
import type { Backend, Service } from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import type * as Duration from "effect/Duration"
import type * as Layer from "effect/Layer"

/**
 * How often a request meets each fault: shares of 1, at most 1 together.
 *
 * @category models
 * @since 0.1.0
 */
export interface Faults {
  /** The connection breaks before the request arrives. */
  readonly resetBefore?: number | undefined
  /** The request is carried out, and the connection breaks before the answer. */
  readonly resetAfter?: number | undefined
  /** Answered as timed out, and carried out later, when others may have overtaken it. */
  readonly late?: number | undefined
  /** Never arrives and is never answered. */
  readonly hang?: number | undefined
  /** Carried out and never answered. */
  readonly hangAfter?: number | undefined
  /** Throttled without `retryAfter`. */
  readonly throttle?: number | undefined
  /** Throttled with `retryAfter`. */
  readonly throttleUntil?: number | undefined
  /** Fails, and nothing happened. */
  readonly fail?: number | undefined
  /** Some of a batch is carried out, the rest is answered with `Retry`. */
  readonly partial?: number | undefined
  /** Carried out, and the answers end early. */
  readonly missing?: number | undefined
  /** A gateway answers in place of the server, so the outcome of the request is not known. */
  readonly strange?: number | undefined
}

/**
 * Why all requests fail during an outage.
 *
 * - `refused`: connections are refused
 * - `unauthorized`: the credentials are refused
 * - `unavailable`: the server answers and cannot work
 * - `silent`: requests are never answered
 *
 * @category models
 * @since 0.1.0
 */
export type Outage = "refused" | "unauthorized" | "unavailable" | "silent"

/**
 * Why requests fail for one namespace.
 *
 * - `gone`: writes are rejected permanently
 * - `missing`: it does not exist yet, so writes are answered with `Retry` and `parkAfter`
 * - `failing`: writes are answered with `Retry`
 * - `silent`: a request that has something for it is never answered, though the rest of it is carried out
 *
 * @category models
 * @since 0.1.0
 */
export type NamespaceTrouble = "gone" | "missing" | "failing" | "silent"

/**
 * The state of a series on the server.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredSeries {
  /** The highest state that was ever written, also of an object that has expired since. */
  readonly write: Write
  /** Whether the object exists now. */
  readonly exists: boolean
  /** Number of times it was created: more than 1 when it expired in between. */
  readonly creations: number
}

/**
 * A simulated API server.
 *
 * @category models
 * @since 0.1.0
 */
export interface SimulatedBackend {
  readonly backend: Service
  /** The backend as a layer: every life of a process gets the same server. */
  readonly layer: Layer.Layer<Backend>
  /** Replaces the shares of faults. */
  readonly setFaults: (faults: Faults) => void
  /** Begins an outage; it ends with `recover`. */
  readonly fail: (outage: Outage) => void
  readonly recover: () => void
  /** Makes requests for a namespace fail, or work again. */
  readonly trouble: (namespace: string, trouble: NamespaceTrouble | undefined) => void
  /**
   * Lets another server, with an empty store, answer at the address of this one: `target` answers its identity, what is
   * read is empty, and writes fail with `TargetMismatch` until the caller has asked for the target again. `undefined` lets
   * this one answer again, with all that it had.
   */
  readonly replaceBy: (target: string | undefined) => void
  /** Writes that were sent to a server that answered in place of this one. */
  readonly strays: () => ReadonlyArray<Write>
  /** Ends every fault, outage, trouble and replacement. Requests that are late may still arrive. */
  readonly heal: () => void
  /** Discards the history: a watch that resumes from an older cursor yields a gap. */
  readonly forgetHistory: () => void
  /** Every series that was ever written. */
  readonly series: () => ReadonlyArray<StoredSeries>
  /** Calls for every write that changes a series, with the state before it. */
  readonly onWrite: (told: (write: Write, before: Write | undefined) => void) => void
}

/**
 * How a simulated API server is made.
 *
 * @category options
 * @since 0.2.0
 */
export interface Options {
  /** What faults are counted under; `backend` unless given. */
  readonly name?: string | undefined
  /** Its identity; the name unless given. */
  readonly target?: string | undefined
  readonly faults?: Faults | undefined
  /** How long a request or an answer takes at the most; 20 milliseconds unless given. */
  readonly latency?: Duration.Input | undefined
  /** How late a late request is at the most; 30 seconds unless given. */
  readonly lateness?: Duration.Input | undefined
  /** `retryAfter` of what is throttled, at the most; 10 seconds unless given. */
  readonly retryAfter?: Duration.Input | undefined
  /** `parkAfter` of what is written to a namespace that is missing; 60 seconds unless given. */
  readonly parkAfter?: Duration.Input | undefined
  /** How long an object lives after its last change; for ever unless given. */
  readonly timeToLive?: Duration.Input | undefined
}
