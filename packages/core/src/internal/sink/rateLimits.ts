/**
 * Rate limits that a server applies to a part of the writes: to one namespace, or to one object. While such a limit is
 * known, its writes are sent one at a time, at the rate at which the server accepts them, and all others at full speed.
 *
 * The rate is adapted: each accepted write shortens the interval a little, each refused one lengthens it. A refused write
 * takes no token from the server's bucket, so a rate slightly above the refill rate uses its whole capacity; with the two
 * factors, about two of three writes are accepted. A limit that refuses nothing any more is removed.
 */
import * as Duration from "effect/Duration"
import type { Throttled } from "../../BackendError.ts"
import type { Write } from "../../Event.ts"
import type { OutboxEntry } from "./state.ts"
import { SECOND } from "./time.ts"

const FIRST_INTERVAL = SECOND / 20
const MAXIMUM_INTERVAL = 30 * SECOND
/** A limit of more than a hundred writes per second is removed. */
const MINIMUM_INTERVAL = SECOND / 100
const AFTER_ACCEPTED = 0.85
const AFTER_REFUSED = 1.4
/** After this number of consecutive refusals the interval is meaningless: it starts anew once a write is accepted. */
const CLOSED_AFTER = 6

/** Maximum number of limits; the one with the oldest refusal is removed for a new one. */
const MAXIMUM_LIMITS = 1_024

interface RateLimit {
  interval: number
  openAt: number
  /** The series of its only write in flight. */
  inFlight: OutboxEntry | undefined
  /** Number of consecutive refusals. */
  refusals: number
}

type Scope = Throttled["scope"]

const keyOf = (scope: Scope, { event: { involvedObject } }: Write): string =>
  JSON.stringify(
    scope === "namespace"
      ? [involvedObject.namespace ?? ""]
      : [involvedObject.namespace ?? "", involvedObject.kind, involvedObject.name]
  )

/**
 * Whether a limit of this scope is tracked here. For any other scope the series, or the whole sink, waits.
 *
 * @internal
 */
export const hasOwnLimit = (scope: Scope): boolean => scope === "namespace" || scope === "object"

/** @internal */
export class RateLimits {
  private readonly limits = new Map<string, RateLimit>()

  get size(): number {
    return this.limits.size
  }

  /**
   * When a write may be sent: `undefined` where no limit applies to it, infinity while another write of the limit is in
   * flight.
   */
  openAt(write: Write): number | undefined {
    let openAt: number | undefined
    for (const limit of this.of(write)) {
      openAt = Math.max(openAt ?? 0, limit.inFlight === undefined ? limit.openAt : Number.POSITIVE_INFINITY)
    }
    return openAt
  }

  begin(entry: OutboxEntry, write: Write): void {
    for (const limit of this.of(write)) limit.inFlight = entry
  }

  /** The server refused a write because of the limit. */
  refused(entry: OutboxEntry, write: Write, { retryAfter, scope }: Throttled, at: number): void {
    const wait = retryAfter === undefined ? 0 : Duration.toMillis(retryAfter) * 1_000
    const key = keyOf(scope, write)
    const limit = this.limits.get(key)
    if (limit === undefined) {
      if (this.limits.size >= MAXIMUM_LIMITS) this.limits.delete(this.limits.keys().next().value!)
      this.limits.set(key, {
        interval: FIRST_INTERVAL,
        openAt: at + Math.max(FIRST_INTERVAL, wait),
        inFlight: undefined,
        refusals: 1
      })
    } else if (limit.inFlight === entry) {
      limit.refusals++
      limit.interval = Math.min(MAXIMUM_INTERVAL, limit.interval * AFTER_REFUSED)
      limit.openAt = at + Math.max(limit.interval, wait)
      limit.inFlight = undefined
      this.limits.delete(key)
      this.limits.set(key, limit)
    } else {
      // The write was sent before the limit was known, so its refusal says nothing about the rate.
      limit.openAt = Math.max(limit.openAt, at + wait)
    }
    // It is not known whether the other limit of the write would have accepted it.
    this.ended(entry, write, at, false)
  }

  /** The server accepted a write. */
  accepted(entry: OutboxEntry, write: Write, at: number): void {
    this.ended(entry, write, at, true)
  }

  /** A write ended in another way. */
  failed(entry: OutboxEntry, write: Write, at: number): void {
    this.ended(entry, write, at, false)
  }

  private ended(entry: OutboxEntry, write: Write, at: number, isAccepted: boolean): void {
    for (const scope of ["namespace", "object"] as const) {
      const key = keyOf(scope, write)
      const limit = this.limits.get(key)
      if (limit?.inFlight !== entry) continue
      limit.inFlight = undefined
      if (isAccepted) {
        limit.interval = limit.refusals >= CLOSED_AFTER ? FIRST_INTERVAL : limit.interval * AFTER_ACCEPTED
        limit.refusals = 0
      }
      limit.openAt = at + limit.interval
      if (limit.interval < MINIMUM_INTERVAL) this.limits.delete(key)
    }
  }

  private of(write: Write): ReadonlyArray<RateLimit> {
    const ofNamespace = this.limits.get(keyOf("namespace", write))
    const ofObject = this.limits.get(keyOf("object", write))
    if (ofNamespace === undefined) return ofObject === undefined ? [] : [ofObject]
    return ofObject === undefined ? [ofNamespace] : [ofNamespace, ofObject]
  }
}
