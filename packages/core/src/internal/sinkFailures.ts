/**
 * What failures mean to a sink. It only sees writes that fail, and must tell apart
 *
 * - a backend that is away: so many writes in a row have failed. Then one write at a time finds out whether it is back, and
 *   nothing is parked, however long it lasts;
 * - what is stuck: one series, or all of one namespace, fails while others get through. It is tried ever more rarely, and
 *   parked when it takes the room that others need;
 * - who is throttled: it was asked to come later. That is no failure, and nothing is parked for it.
 *
 * Everything here is decided by what got through when: `lastSuccessAt`, and since when each failing namespace fails.
 */
import * as Duration from "effect/Duration"
import type { BackendError } from "../BackendError.ts"
import type { Write } from "../Event.ts"
import { Gates, isGated } from "./sinkGates.ts"
import { namespaceOf, type Outbox, type Outgoing, type Parcel } from "./sinkOutbox.ts"
import { LAST_DELAY, SECOND, type SinkTime } from "./sinkTime.ts"

/**
 * For what a person must mend, and for what is stuck: the longest pause of a series, while another one of its namespace finds
 * out every half a minute whether it is mended. So a right that comes back is noticed within that time, and many series that
 * wait for it cost the server next to nothing.
 */
const LAST_SLOW_DELAY = 300 * SECOND
/** How long a series must have failed, while others got through, before it may be parked to make room. */
const STUCK_AFTER = 30 * SECOND
const STUCK_FAILURES = 3
const MAXIMUM_NAMESPACES = 1_024

/**
 * Whether a person must mend it.
 *
 * @internal
 */
export const isSlow = ({ reason }: BackendError): boolean => reason._tag !== "Transient" && reason._tag !== "Throttled"

const isThrottled = ({ reason }: BackendError): boolean => reason._tag === "Throttled"

/**
 * Whether what is limited has a gate: then the series itself need not wait.
 *
 * @internal
 */
export const isBehindGate = ({ reason }: BackendError): boolean => reason._tag === "Throttled" && isGated(reason.scope)

/** @internal */
export class Failures {
  readonly gates = new Gates()
  private readonly outbox: Outbox
  private readonly time: SinkTime
  private readonly concurrency: number

  /** Writes that failed since the last one that did not, and when the first of them did. */
  private inARow = 0
  private failingSince = Number.POSITIVE_INFINITY
  private lastIsSlow = false
  private lastSuccessAt = Number.NEGATIVE_INFINITY
  /** By namespace, since when nothing for it has got through. */
  private readonly failingNamespaces = new Map<string, number>()
  /** By namespace, the series that finds out whether it works again. */
  private readonly probing = new Map<string, { readonly one: Outgoing }>()
  private throttledUntil = Number.NEGATIVE_INFINITY
  private awayUntil = Number.NEGATIVE_INFINITY

  constructor(outbox: Outbox, time: SinkTime, concurrency: number) {
    this.outbox = outbox
    this.time = time
    this.concurrency = concurrency
  }

  get isFailing(): boolean {
    return this.inARow > 0
  }

  /** Whether it fails for something that a person must mend. */
  get isBlocked(): boolean {
    return this.inARow > 0 && this.lastIsSlow
  }

  /** When so many writes in a row have failed, one at a time finds out whether the backend is back. */
  get isAway(): boolean {
    return this.inARow >= this.concurrency
  }

  /** Nothing is written before then. */
  get gateUntil(): number {
    return Math.max(this.throttledUntil, this.awayUntil)
  }

  // -------------------------------------------------------------------------
  // of one series
  // -------------------------------------------------------------------------

  /** What was under way of a series has failed: it is put back, and waits for its next try. */
  failed(one: Outgoing, parcel: Parcel, error: BackendError): void {
    const at = this.time.monotonic()
    const { reason } = error
    const retryAfter = reason._tag === "Throttled" ? reason.retryAfter : undefined
    this.outbox.putBack(one, parcel, error, at)
    if (reason._tag === "Throttled" && isGated(reason.scope)) {
      this.gates.refused(one, parcel.write, reason, at)
      one.nextAt = Number.NEGATIVE_INFINITY
      return
    }
    if (this.gates.size > 0) this.gates.failed(one, parcel.write, at)
    const namespace = namespaceOf(parcel.write)
    const { failingNamespaces } = this
    // Who asks for less is not stuck.
    if (!isThrottled(error) && !failingNamespaces.has(namespace) && failingNamespaces.size < MAXIMUM_NAMESPACES) {
      failingNamespaces.set(namespace, at)
    }
    // Being asked to come at a certain time is no failure of the series.
    if (retryAfter === undefined) one.failures++
    const isLong = (isSlow(error) || this.isForStuckNamespace(parcel)) && !this.probes(one, namespace, at)
    const delay = this.time.backoff(Math.max(1, one.failures), isLong ? LAST_SLOW_DELAY : LAST_DELAY)
    one.nextAt = at + (retryAfter === undefined ? delay : Math.max(delay, Duration.toMillis(retryAfter) * 1_000))
  }

  /** Something of a series got through, so its namespace does not fail. */
  reached(one: Outgoing, write: Write): void {
    if (this.gates.size > 0) this.gates.taken(one, write, this.time.monotonic())
    if (this.failingNamespaces.size === 0) return
    const namespace = namespaceOf(write)
    const since = this.failingNamespaces.get(namespace)
    if (since === undefined) return
    this.failingNamespaces.delete(namespace)
    this.tryAgain(since, namespace)
  }

  /** Whether a series is the one of its namespace that finds out whether it works again. */
  private probes(one: Outgoing, namespace: string, at: number): boolean {
    const { probing } = this
    const probe = probing.get(namespace)
    // One that was parked or delivered, or is late, has left its place.
    if (probe !== undefined && probe.one !== one && this.outbox.has(probe.one.key) && at < probe.one.nextAt + SECOND) {
      return false
    }
    if (probe === undefined && probing.size >= MAXIMUM_NAMESPACES) probing.delete(probing.keys().next().value!)
    probing.set(namespace, { one })
    return true
  }

  /** Nothing for it gets through while others do: its failures say nothing of the backend. */
  private isForStuckNamespace(parcel: Parcel): boolean {
    return this.lastSuccessAt > (this.failingNamespaces.get(namespaceOf(parcel.write)) ?? Number.POSITIVE_INFINITY)
  }

  /** What has failed only since the backend, or its namespace, did need not wait on, nor go alone. */
  private tryAgain(since: number, namespace?: string): void {
    for (const one of this.outbox.all()) {
      if (one.failures === 0 || one.firstFailureAt! < since || isThrottled(one.lastError!)) continue
      if (namespace !== undefined && namespaceOf((one.next ?? one.underway)!.write) !== namespace) continue
      one.failures = 0
      one.nextAt = Number.NEGATIVE_INFINITY
    }
  }

  // -------------------------------------------------------------------------
  // of the whole backend
  // -------------------------------------------------------------------------

  /** The backend asked for nothing at all before then. */
  throttle(until: number): void {
    this.throttledUntil = Math.max(this.throttledUntil, until)
  }

  /** Something in a write was answered for good. */
  hasSucceeded(at: number): void {
    this.lastSuccessAt = at
    this.awayUntil = Number.NEGATIVE_INFINITY
    if (this.inARow === 0) return
    this.tryAgain(this.failingSince)
    this.inARow = 0
    this.failingSince = Number.POSITIVE_INFINITY
  }

  /** Nothing in a write was. */
  hasFailed(at: number, parcels: ReadonlyArray<Parcel>, error: BackendError): void {
    if (parcels.every((parcel) => this.isForStuckNamespace(parcel))) return
    if (this.inARow === 0) this.failingSince = at
    this.inARow++
    this.lastIsSlow = isSlow(error)
    if (this.isAway) this.awayUntil = at + this.time.backoff(this.inARow - this.concurrency + 1, LAST_DELAY)
  }

  /** While the scope closes, only its deadline is left to wait for. */
  hurry(): void {
    this.outbox.hurry()
    this.awayUntil = Number.NEGATIVE_INFINITY
  }

  // -------------------------------------------------------------------------
  // what is stuck
  // -------------------------------------------------------------------------

  /** What has failed for long while others got through. */
  stuck(): Array<Outgoing> {
    const at = this.time.monotonic()
    const stuck: Array<Outgoing> = []
    for (const one of this.outbox.all()) {
      const since = one.firstFailureAt
      if (since === undefined || one.underway !== undefined || one.failures < STUCK_FAILURES) continue
      if (isThrottled(one.lastError!)) continue
      // Others got through since it began to fail, or since everything for its namespace did.
      const begun = Math.min(since, this.failingNamespaces.get(namespaceOf(one.next!.write)) ?? since)
      if (at - since >= STUCK_AFTER && this.lastSuccessAt > begun) stuck.push(one)
    }
    return stuck
  }
}
