/**
 * Delivery of the outbox: which series are written next, the writes themselves, and what becomes of every outcome.
 *
 * - `WriteQueue` chooses. Fresh series are written in batches. A series that has failed before is written alone, so that it
 *   delays no other, and retries take at most half of the slots. While the circuit breaker is open, one write at a time
 *   probes the backend.
 * - `concluding` applies the outcomes of a write: to the ledger, to the callers that wait, to parking, or to the outbox.
 * - `make` writes.
 *
 * Invariants: a series is in at most one write in flight; the ledger is updated before callers are answered; and after the
 * sink has stopped no outcome is applied, because what was in flight is in the last checkpoint already.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Backend from "../../Backend.ts"
import type { BackendError } from "../../BackendError.ts"
import type { Settlement } from "../../Delivery.ts"
import type { Write } from "../../Event.ts"
import { BackendWriter, ForkedWrite, type Outcomes } from "../backendWrite.ts"
import { isRateLimited } from "./availability.ts"
import type { SinkContext } from "./context.ts"
import type { Parking } from "./parking.ts"
import type { Settlements } from "./settlements.ts"
import { namespaceOf, type OutboxEntry, type PendingWrite } from "./state.ts"

// ---------------------------------------------------------------------------
// choice
// ---------------------------------------------------------------------------

/**
 * The series of one write.
 *
 * @internal
 */
export interface Batch {
  readonly series: ReadonlyArray<OutboxEntry>
  /** Whether it takes one of the slots for retries. */
  readonly isRetry: boolean
}

const NOTHING: ReadonlyArray<Batch> = []

type QueueContext = Pick<SinkContext, "availability" | "options" | "state" | "time">

class WriteQueue {
  private readonly context: QueueContext

  private inFlight = 0
  private retriesInFlight = 0
  private retriedLast = false
  private probedNamespace: string | undefined

  constructor(context: QueueContext) {
    this.context = context
  }

  /** The writes that are to begin now, retries first; what they contain is taken from the outbox. */
  next(): ReadonlyArray<Batch> {
    const { availability, options, state, time } = this.context
    const at = time.monotonic()
    const slots = this.freeSlots()
    if (slots <= 0 || at < availability.notBefore) return NOTHING
    const { isOpen, rateLimits } = availability
    const fresh: Array<OutboxEntry> = []
    const retries: Array<OutboxEntry> = []
    const batches: Array<Batch> = []
    for (const entry of state.outbox.all()) {
      if (entry.inFlight !== undefined || entry.next === undefined || entry.nextAt > at) continue
      const openAt = rateLimits.size === 0 ? undefined : rateLimits.openAt(entry.next.write)
      if (openAt !== undefined) {
        // Series under a rate limit are written one at a time, in the slots for retries.
        if (openAt > at || isOpen || this.slotsForRetries(slots, true) <= batches.length) continue
        rateLimits.begin(entry, entry.next.write)
        batches.push({ series: [entry], isRetry: true })
      } else if (entry.failures > 0) retries.push(entry)
      else if (isOpen || fresh.length < slots * options.batch) fresh.push(entry)
    }
    const forRetries = Math.min(
      retries.length,
      Math.max(0, this.slotsForRetries(slots, fresh.length > 0) - batches.length)
    )
    if (isOpen || forRetries < retries.length) retries.sort((a, b) => a.failures - b.failures)
    if (isOpen) return this.start(this.probeOf(fresh, retries))
    for (let index = 0; index < forRetries; index++) batches.push({ series: [retries[index]!], isRetry: true })
    const size = Math.min(options.batch, Math.ceil(fresh.length / Math.max(1, slots - batches.length)))
    for (let from = 0; from < fresh.length && batches.length < slots; from += size) {
      batches.push({ series: fresh.slice(from, from + size), isRetry: false })
    }
    return this.start(batches)
  }

  /** A write has ended, with whatever outcome. */
  ended({ isRetry }: Batch): void {
    this.inFlight--
    if (isRetry) this.retriesInFlight--
  }

  /** When there may be something to write again, unless a write ends before, which wakes the pump. */
  dueAt(): number {
    const slots = this.freeSlots()
    if (slots <= 0) return Number.POSITIVE_INFINITY
    const { rateLimits } = this.context.availability
    const noRetries = !this.context.availability.isOpen && this.slotsForRetries(slots, false) <= 0
    let next = Number.POSITIVE_INFINITY
    for (const entry of this.context.state.outbox.all()) {
      if (entry.inFlight !== undefined || entry.next === undefined || (noRetries && entry.failures > 0)) continue
      const openAt = rateLimits.size === 0 ? undefined : rateLimits.openAt(entry.next.write)
      const due = openAt === undefined ? entry.nextAt : Math.max(entry.nextAt, openAt)
      if (due < next) next = due
    }
    return Math.max(next, this.context.availability.notBefore)
  }

  private freeSlots(): number {
    if (this.context.availability.isOpen) return this.inFlight > 0 ? 0 : 1
    return this.context.options.concurrency - this.inFlight
  }

  /**
   * How many of the free slots retries may take: at most half of all slots, so that fresh series always get one. With a
   * single slot they alternate.
   */
  private slotsForRetries(slots: number, hasFresh: boolean): number {
    if (hasFresh && this.context.options.concurrency === 1) return this.retriedLast ? 0 : 1
    return Math.max(0, Math.min(slots, Math.max(1, this.context.options.concurrency >> 1) - this.retriesInFlight))
  }

  /** The write that probes the backend: fresh series before retries, and another namespace than the last time. */
  private probeOf(fresh: ReadonlyArray<OutboxEntry>, retries: ReadonlyArray<OutboxEntry>): ReadonlyArray<Batch> {
    const [from, size] = fresh.length > 0 ? [fresh, this.context.options.batch] : [retries, 1]
    const first = from.find(({ next }) => namespaceOf(next!.write) !== this.probedNamespace) ?? from[0]
    if (first === undefined) return NOTHING
    const namespace = namespaceOf(first.next!.write)
    this.probedNamespace = namespace
    const series = from.filter(({ next }) => namespaceOf(next!.write) === namespace).slice(0, size)
    return [{ series, isRetry: fresh.length === 0 }]
  }

  private start(batches: ReadonlyArray<Batch>): ReadonlyArray<Batch> {
    if (batches.length === 0) return batches
    this.retriedLast = batches[0]!.isRetry
    this.inFlight += batches.length
    for (const { isRetry, series } of batches) {
      if (isRetry) this.retriesInFlight++
      for (const entry of series) this.context.state.outbox.take(entry)
    }
    return batches
  }
}

// ---------------------------------------------------------------------------
// outcomes
// ---------------------------------------------------------------------------

/** The sum of the outcomes of one write. */
interface Conclusion {
  /** Occurrences that are settled or dropped, and how many are settled in each way. */
  occurrences: number
  created: number
  updated: number
  present: number
  hasFinal: boolean
  readonly answers: Array<readonly [Write, Settlement]>
  readonly parks: Array<Effect.Effect<void>>
  failure: BackendError | undefined
  mismatch: BackendError | undefined
}

/** Applies the outcomes of a write that was begun: `pending` is what it carried of each of `series`. */
type Conclude = (series: ReadonlyArray<OutboxEntry>, pending: ReadonlyArray<PendingWrite>, outcomes: Outcomes) => void

const concluding = (context: SinkContext, parking: Parking, settlements: Settlements): Conclude => {
  const { availability, health, ledger, publish, runFork, scope, state, time } = context
  const { outbox } = state

  const conclude: Conclude = (series, pending, outcomes) => {
    const at = time.monotonic()
    const conclusion: Conclusion = {
      occurrences: 0,
      created: 0,
      updated: 0,
      present: 0,
      hasFinal: false,
      answers: [],
      parks: [],
      failure: undefined,
      mismatch: undefined
    }
    for (let index = 0; index < pending.length; index++) {
      concludeSeries(series[index]!, pending[index]!, outcomes[index]!, at, conclusion)
    }
    concludeWrite(pending, at, conclusion)
  }

  const concludeSeries = (
    entry: OutboxEntry,
    pending: PendingWrite,
    outcome: Backend.Outcome,
    at: number,
    conclusion: Conclusion
  ): void => {
    switch (outcome._tag) {
      case "Settled":
        conclusion[outcome.how] += pending.occurrences + parking.delivered(entry.key)
        return concludeFinal(entry, pending, outcome, conclusion)
      case "Dropped":
        ledger.drop(pending.occurrences, outcome.reason)
        return concludeFinal(entry, pending, outcome, conclusion)
      case "Rejected":
        conclusion.hasFinal = true
        conclusion.parks.push(parking.park(entry, pending, outcome.reason))
        return
      case "Retry":
        return concludeRetry(entry, pending, outcome, at, conclusion)
    }
  }

  const concludeFinal = (
    entry: OutboxEntry,
    pending: PendingWrite,
    outcome: Settlement,
    conclusion: Conclusion
  ): void => {
    conclusion.hasFinal = true
    conclusion.occurrences += pending.occurrences
    outbox.complete(entry)
    availability.seriesSucceeded(entry, pending.write)
    if (!settlements.noneOfSeries) conclusion.answers.push([pending.write, outcome])
  }

  const concludeRetry = (
    entry: OutboxEntry,
    pending: PendingWrite,
    { error, parkAfter }: Extract<Backend.Outcome, { readonly _tag: "Retry" }>,
    at: number,
    conclusion: Conclusion
  ): void => {
    health.failed(error.message)
    const { reason } = error
    if (reason._tag === "TargetMismatch") {
      // Another store answers, and nothing was written.
      conclusion.mismatch = error
      return outbox.giveBack(entry, pending)
    }
    const maximum = parkAfter === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(parkAfter) * 1_000
    if (at - (entry.firstFailureAt ?? at) >= maximum) {
      conclusion.parks.push(parking.park(entry, pending, error.message))
      return
    }
    // A rate limit of its own is no failure of the backend, which accepts other writes.
    if (!isRateLimited(error)) conclusion.failure = error
    availability.seriesFailed(entry, pending, error)
    if (reason._tag === "Throttled" && reason.scope === "backend") availability.throttle(entry.nextAt)
  }

  const concludeWrite = (pending: ReadonlyArray<PendingWrite>, at: number, conclusion: Conclusion): void => {
    const { answers, failure, hasFinal, mismatch, occurrences, parks } = conclusion
    if (occurrences > 0) {
      state.markChanged()
      ledger.addPending(-occurrences)
      for (const how of ["created", "updated", "present"] as const) {
        if (conclusion[how] > 0) ledger.settle(conclusion[how], how)
      }
    }
    // After the ledger: a caller continues as soon as it is answered, and may read the status.
    for (const [write, settlement] of answers) settlements.resolve(write, settlement)
    if (hasFinal) availability.writeSucceeded(at)
    else if (failure !== undefined) availability.writeFailed(at, pending, failure)
    if (mismatch !== undefined) {
      // The first of several writes has halted the sink already.
      if (!health.isHalted) {
        health.mismatched(mismatch.message)
        settlements.endAll("halted")
      }
    } else if (hasFinal && !health.isHalted) health.mismatches = 0
    if (parks.length > 0) {
      const parkAll = Effect.forEach(parks, (park) => park, { discard: true })
      runFork(Effect.forkIn(Effect.andThen(parkAll, Effect.sync(publish)), scope))
    }
    publish()
  }

  return conclude
}

// ---------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------

/** @internal */
export interface Dispatch {
  /** Begins the writes that may begin now. */
  readonly begin: () => void
  /** When there may be something to write again, by the monotonic clock. */
  readonly dueAt: () => number
  /** For the end: interrupts the writes that have not answered. */
  readonly interruptWrites: Effect.Effect<void>
}

/** @internal */
export const make = (context: SinkContext, parking: Parking, settlements: Settlements): Dispatch => {
  const { backend, clock, health, options, runFork } = context
  const queue = new WriteQueue(context)
  const writer = new BackendWriter(backend, clock, options.writeTimeout)
  const conclude = concluding(context, parking, settlements)
  /** Writes in flight. */
  const writing = new Set<Fiber.Fiber<unknown, unknown>>()

  const write = (batch: Batch): void => {
    const pending = batch.series.map((entry) => entry.inFlight!)
    const end = (outcomes: Outcomes) => {
      queue.ended(batch)
      if (!health.isStopped) conclude(batch.series, pending, outcomes)
    }
    const started = writer.start(
      pending.map(({ write }) => write),
      runFork
    )
    if (!(started instanceof ForkedWrite)) return end(started)
    const { fiber } = started
    writing.add(fiber)
    fiber.addObserver(() => writing.delete(fiber))
    started.onAnswer({ answered: end })
  }

  return {
    begin: () => {
      for (const batch of queue.next()) write(batch)
    },
    dueAt: () => queue.dueAt(),
    interruptWrites: Effect.suspend(() => Fiber.interruptAll(writing))
  }
}
