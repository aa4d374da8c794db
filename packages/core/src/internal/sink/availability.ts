/**
 * What the failures of a sink mean, and what is reported about them.
 *
 * From failed writes alone, a sink has to distinguish
 *
 * - an unavailable backend: so many writes in a row have failed that the circuit breaker opens. Then one write at a time
 *   probes whether the backend is back, and nothing is parked, however long it lasts;
 * - stuck series: one series, or every series of one namespace, fails while others are written. They are retried at growing
 *   intervals, and parked when they take the room that others need;
 * - throttling: the server asks for a later retry. That is not a failure, and nothing is parked for it.
 *
 * All decisions are made from what succeeded when: `lastSuccessAt`, and since when each failing namespace fails.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type BackendError, isTemporary } from "../../BackendError.ts"
import type { SinkStatus } from "../../Delivery.ts"
import type { Write } from "../../Event.ts"
import type { JournalError } from "../../Journal.ts"
import type { RunFork } from "../backendWrite.ts"
import type { SinkLedger } from "../ledger.ts"
import { hasOwnLimit, RateLimits } from "./rateLimits.ts"
import { namespaceOf, type Outbox, type OutboxEntry, type PendingWrite } from "./state.ts"
import { SECOND, type SinkTime } from "./time.ts"

// ---------------------------------------------------------------------------
// failures and retries
// ---------------------------------------------------------------------------

/**
 * Maximum delay of a series that is stuck, or whose failure needs an operator. One series of each namespace is retried at
 * least every 30 seconds as a probe: so a permission that is granted again is noticed within that time, and many series
 * that wait for it cause little load.
 */
const MAXIMUM_SLOW_DELAY = 300 * SECOND
/** How long a series must have failed, while others were written, before it may be parked to make room. */
const STUCK_AFTER = 30 * SECOND
const STUCK_FAILURES = 3
const MAXIMUM_NAMESPACES = 1_024

const isThrottled = ({ reason }: BackendError): boolean => reason._tag === "Throttled"

/**
 * Whether the failure is a refusal by a rate limit of its own: then the series waits for that limit, and has not failed.
 *
 * @internal
 */
export const isRateLimited = ({ reason }: BackendError): boolean =>
  reason._tag === "Throttled" && hasOwnLimit(reason.scope)

/** @internal */
export class Availability {
  readonly rateLimits = new RateLimits()
  private readonly outbox: Outbox
  private readonly time: SinkTime
  private readonly concurrency: number

  /** Writes that failed since the last success, and when the first of them did. */
  private consecutiveFailures = 0
  private failingSince = Number.POSITIVE_INFINITY
  private lastNeedsOperator = false
  private lastSuccessAt = Number.NEGATIVE_INFINITY
  /** By namespace: since when no write of it has succeeded. */
  private readonly failingNamespaces = new Map<string, number>()
  /** By namespace: the series that probes whether the namespace works again. */
  private readonly probing = new Map<string, { readonly entry: OutboxEntry }>()
  private throttledUntil = Number.NEGATIVE_INFINITY
  private openUntil = Number.NEGATIVE_INFINITY

  constructor(outbox: Outbox, time: SinkTime, concurrency: number) {
    this.outbox = outbox
    this.time = time
    this.concurrency = concurrency
  }

  get isFailing(): boolean {
    return this.consecutiveFailures > 0
  }

  /** Whether writes fail for a reason that needs an operator. */
  get isBlocked(): boolean {
    return this.consecutiveFailures > 0 && this.lastNeedsOperator
  }

  /** Whether the circuit breaker is open: one write at a time probes whether the backend is back. */
  get isOpen(): boolean {
    return this.consecutiveFailures >= this.concurrency
  }

  /** Nothing is written before then. */
  get notBefore(): number {
    return Math.max(this.throttledUntil, this.openUntil)
  }

  /** What was in flight of a series has failed: it is pending again, and waits for its retry. */
  seriesFailed(entry: OutboxEntry, pending: PendingWrite, error: BackendError): void {
    const at = this.time.monotonic()
    const { reason } = error
    const retryAfter = reason._tag === "Throttled" ? reason.retryAfter : undefined
    this.outbox.fail(entry, pending, error, at)
    if (reason._tag === "Throttled" && hasOwnLimit(reason.scope)) {
      this.rateLimits.refused(entry, pending.write, reason, at)
      entry.nextAt = Number.NEGATIVE_INFINITY
      return
    }
    if (this.rateLimits.size > 0) this.rateLimits.failed(entry, pending.write, at)
    const namespace = namespaceOf(pending.write)
    const { failingNamespaces } = this
    // Throttling does not count as failing.
    if (!isThrottled(error) && !failingNamespaces.has(namespace) && failingNamespaces.size < MAXIMUM_NAMESPACES) {
      failingNamespaces.set(namespace, at)
    }
    // Nor does a delay that the server asked for.
    if (retryAfter === undefined) entry.failures++
    const isSlow = (!isTemporary(error) || this.isOfStuckNamespace(pending)) && !this.isProbe(entry, namespace, at)
    const delay = this.time.backoff(Math.max(1, entry.failures), isSlow ? MAXIMUM_SLOW_DELAY : undefined)
    entry.nextAt = at + (retryAfter === undefined ? delay : Math.max(delay, Duration.toMillis(retryAfter) * 1_000))
  }

  /** A write of a series succeeded, so its namespace works. */
  seriesSucceeded(entry: OutboxEntry, write: Write): void {
    if (this.rateLimits.size > 0) this.rateLimits.accepted(entry, write, this.time.monotonic())
    if (this.failingNamespaces.size === 0) return
    const namespace = namespaceOf(write)
    const since = this.failingNamespaces.get(namespace)
    if (since === undefined) return
    this.failingNamespaces.delete(namespace)
    this.retryFailedSince(since, namespace)
  }

  /** Whether a series is the one that probes its namespace. */
  private isProbe(entry: OutboxEntry, namespace: string, at: number): boolean {
    const { probing } = this
    const probe = probing.get(namespace)
    // A probe that was parked or delivered, or is overdue, is replaced.
    const isActive =
      probe !== undefined &&
      probe.entry !== entry &&
      this.outbox.has(probe.entry.key) &&
      at < probe.entry.nextAt + SECOND
    if (isActive) return false
    if (probe === undefined && probing.size >= MAXIMUM_NAMESPACES) probing.delete(probing.keys().next().value!)
    probing.set(namespace, { entry })
    return true
  }

  /** No write of its namespace succeeds while others do, so its failures say nothing about the backend. */
  private isOfStuckNamespace(pending: PendingWrite): boolean {
    return this.lastSuccessAt > (this.failingNamespaces.get(namespaceOf(pending.write)) ?? Number.POSITIVE_INFINITY)
  }

  /**
   * Series that have failed only since the backend, or their namespace, failed are retried at once, and in batches again.
   */
  private retryFailedSince(since: number, namespace?: string): void {
    for (const entry of this.outbox.all()) {
      if (entry.failures === 0 || entry.firstFailureAt! < since || isThrottled(entry.lastError!)) continue
      if (namespace !== undefined && namespaceOf((entry.next ?? entry.inFlight)!.write) !== namespace) continue
      entry.failures = 0
      entry.nextAt = Number.NEGATIVE_INFINITY
    }
  }

  /** The backend asked for no writes before then. */
  throttle(until: number): void {
    this.throttledUntil = Math.max(this.throttledUntil, until)
  }

  /** A write in which at least one series has a final outcome has ended. */
  writeSucceeded(at: number): void {
    this.lastSuccessAt = at
    this.openUntil = Number.NEGATIVE_INFINITY
    if (this.consecutiveFailures === 0) return
    this.retryFailedSince(this.failingSince)
    this.consecutiveFailures = 0
    this.failingSince = Number.POSITIVE_INFINITY
  }

  /** A write in which no series has a final outcome has ended. */
  writeFailed(at: number, batch: ReadonlyArray<PendingWrite>, error: BackendError): void {
    if (batch.every((pending) => this.isOfStuckNamespace(pending))) return
    if (this.consecutiveFailures === 0) this.failingSince = at
    this.consecutiveFailures++
    this.lastNeedsOperator = !isTemporary(error)
    if (this.isOpen) this.openUntil = at + this.time.backoff(this.consecutiveFailures - this.concurrency + 1)
  }

  /** For the drain: everything is retried at once, because only its deadline is left. */
  retryNow(): void {
    this.outbox.retryNow()
    this.openUntil = Number.NEGATIVE_INFINITY
  }

  /** The series that have failed for `STUCK_AFTER` while others were written. */
  stuck(): Array<OutboxEntry> {
    const at = this.time.monotonic()
    const stuck: Array<OutboxEntry> = []
    for (const entry of this.outbox.all()) {
      const since = entry.firstFailureAt
      if (since === undefined || entry.inFlight !== undefined || entry.failures < STUCK_FAILURES) continue
      if (isThrottled(entry.lastError!)) continue
      // Others were written since it began to fail, or since every series of its namespace did.
      const begun = Math.min(since, this.failingNamespaces.get(namespaceOf(entry.next!.write)) ?? since)
      if (at - since >= STUCK_AFTER && this.lastSuccessAt > begun) stuck.push(entry)
    }
    return stuck
  }
}

// ---------------------------------------------------------------------------
// health
// ---------------------------------------------------------------------------

const LOG_INTERVAL = 30 * SECOND

interface HealthParts {
  /** Of the sink. */
  readonly name: string
  readonly ledger: SinkLedger
  readonly outbox: Outbox
  readonly availability: Availability
  readonly time: SinkTime
  readonly runFork: RunFork
}

/**
 * The health of a sink: in the status at once, in the log at intervals, so that a backend that fails and recovers
 * repeatedly does not flood the log.
 *
 * @internal
 */
export class Health {
  /** Set while the target cannot be determined. */
  unreachable: "degraded" | "blocked" | undefined
  /**
   * Why nothing is read or written. `repair`: until an operator restarts the recorder. `target`: until the store answers
   * that the journal belongs to.
   */
  haltedFor: "repair" | "target" | undefined
  /** Number of times that another store answered since the last delivery. */
  mismatches = 0
  /** The sink has stopped: its scope is closed. */
  isStopped = false
  private journalFailures = 0
  private loggedState: SinkStatus["state"] = "up"
  private loggedAt = Number.NEGATIVE_INFINITY

  private readonly parts: HealthParts

  constructor(parts: HealthParts) {
    this.parts = parts
  }

  get isHalted(): boolean {
    return this.haltedFor !== undefined
  }

  failed(message: string): void {
    this.parts.ledger.failed(message)
  }

  halt(why: string): void {
    this.haltedFor = "repair"
    this.failed(why)
  }

  /** Another store answers. */
  mismatched(why: string): void {
    this.haltedFor ??= "target"
    this.mismatches++
    this.failed(why)
  }

  /** The right store answers. */
  matched(): void {
    if (this.haltedFor === "target") this.haltedFor = undefined
  }

  /** Returns the number of consecutive failures of the journal. */
  journalFailed({ message }: JournalError): number {
    this.failed(message)
    return ++this.journalFailures
  }

  journalWorks(): void {
    this.journalFailures = 0
  }

  now(): SinkStatus["state"] {
    const { journalFailures, unreachable } = this
    const { availability, outbox } = this.parts
    if (this.isStopped) return "down"
    if (this.isHalted || journalFailures > 0 || availability.isBlocked) return "blocked"
    if (unreachable !== undefined) return unreachable
    return outbox.failing > 0 || availability.isFailing ? "degraded" : "up"
  }

  /** Called after every change. */
  report(): void {
    const { ledger, name, runFork } = this.parts
    ledger.state = this.now()
    // What is left at the end is reported once, by `reportEnd`.
    if (this.isStopped) return
    if (ledger.state === this.loggedState || this.parts.time.monotonic() - this.loggedAt < LOG_INTERVAL) return
    this.loggedState = ledger.state
    this.loggedAt = this.parts.time.monotonic()
    runFork(
      ledger.state === "up"
        ? Effect.logInfo(`Events reach the sink "${name}" again`)
        : Effect.logWarning(
            `Events wait for the sink "${name}" (${ledger.state}): ${ledger.lastError ?? "no reason given"}`
          )
    )
  }

  /** Called once, when nothing more is delivered: logs what is left undelivered, or that an outage is over. */
  reportEnd(left: number, isKept: boolean): void {
    const { ledger, name, runFork } = this.parts
    if (left > 0) {
      const fate = isKept ? "left in the journal for the next start" : "dropped with the journal in memory"
      const why = ledger.lastError === undefined ? "" : `: ${ledger.lastError}`
      runFork(Effect.logWarning(`The recorder is closed; undelivered for the sink "${name}": ${left}, ${fate}${why}`))
    } else if (this.loggedState !== "up") {
      runFork(Effect.logInfo(`Events reach the sink "${name}" again`))
    }
  }

  /** When a state that is not logged yet may be logged. */
  logDueAt(): number {
    return this.parts.ledger.state === this.loggedState ? Number.POSITIVE_INFINITY : this.loggedAt + LOG_INTERVAL
  }
}
