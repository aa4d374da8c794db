/**
 * Which series of the outbox may go next, and with whom. What is fresh goes in batches; what has failed before goes alone, so
 * that it can hold up nobody but itself, and has at most half of the places. While the backend is away one write at a time
 * finds out whether it is back.
 *
 * Nothing is written here: `sinkDelivery.ts` carries out what is chosen, and tells when a write has ended.
 */
import type { Failures } from "./sinkFailures.ts"
import { namespaceOf, type Outbox, type Outgoing } from "./sinkOutbox.ts"
import type { SinkTime } from "./sinkTime.ts"

/**
 * The series of one write.
 *
 * @internal
 */
export interface Batch {
  readonly series: ReadonlyArray<Outgoing>
  /** Whether it takes one of the places for what has failed before. */
  readonly isRetry: boolean
}

const NOTHING: ReadonlyArray<Batch> = []

/** @internal */
export class Dispatch {
  private readonly outbox: Outbox
  private readonly failures: Failures
  private readonly time: SinkTime
  private readonly concurrency: number
  /** Series in one write at the most. */
  private readonly most: number

  /** Writes under way, and how many of them are retries. */
  private underway = 0
  private retriesUnderway = 0
  private retriedLast = false
  private probedNamespace: string | undefined

  constructor(
    outbox: Outbox,
    failures: Failures,
    time: SinkTime,
    options: { readonly batch: number; readonly concurrency: number }
  ) {
    this.outbox = outbox
    this.failures = failures
    this.time = time
    this.concurrency = options.concurrency
    this.most = options.batch
  }

  /** The writes that are to begin now, retries first; what they carry is taken from the outbox. */
  next(): ReadonlyArray<Batch> {
    const { failures, most } = this
    const at = this.time.monotonic()
    const slots = this.freeSlots()
    if (slots <= 0 || at < failures.gateUntil) return NOTHING
    const away = failures.isAway
    const { gates } = failures
    const fresh: Array<Outgoing> = []
    const retries: Array<Outgoing> = []
    const batches: Array<Batch> = []
    for (const one of this.outbox.all()) {
      if (one.underway !== undefined || one.next === undefined || one.nextAt > at) continue
      const openAt = gates.size === 0 ? undefined : gates.openAt(one.next.write)
      if (openAt !== undefined) {
        // Through a gate one goes after the other; they have at most the places of retries.
        if (openAt > at || away || this.slotsForRetries(slots, true) <= batches.length) continue
        gates.begin(one, one.next.write)
        batches.push({ series: [one], isRetry: true })
      } else if (one.failures > 0) retries.push(one)
      else if (away || fresh.length < slots * most) fresh.push(one)
    }
    const forRetries = Math.min(
      retries.length,
      Math.max(0, this.slotsForRetries(slots, fresh.length > 0) - batches.length)
    )
    if (away || forRetries < retries.length) retries.sort((a, b) => a.failures - b.failures)
    if (away) return this.start(this.probeOf(fresh, retries))
    for (let index = 0; index < forRetries; index++) batches.push({ series: [retries[index]!], isRetry: true })
    const size = Math.min(most, Math.ceil(fresh.length / Math.max(1, slots - batches.length)))
    for (let from = 0; from < fresh.length && batches.length < slots; from += size) {
      batches.push({ series: fresh.slice(from, from + size), isRetry: false })
    }
    return this.start(batches)
  }

  /** A write has ended, in whatever way. */
  ended({ isRetry }: Batch): void {
    this.underway--
    if (isRetry) this.retriesUnderway--
  }

  /** When there may be something to dispatch again; what lands notifies by itself. */
  dueAt(): number {
    const slots = this.freeSlots()
    if (slots <= 0) return Number.POSITIVE_INFINITY
    const { gates } = this.failures
    const noRetries = !this.failures.isAway && this.slotsForRetries(slots, false) <= 0
    let next = Number.POSITIVE_INFINITY
    for (const one of this.outbox.all()) {
      if (one.underway !== undefined || one.next === undefined || (noRetries && one.failures > 0)) continue
      const openAt = gates.size === 0 ? undefined : gates.openAt(one.next.write)
      const due = openAt === undefined ? one.nextAt : Math.max(one.nextAt, openAt)
      if (due < next) next = due
    }
    return Math.max(next, this.failures.gateUntil)
  }

  private freeSlots(): number {
    if (this.failures.isAway) return this.underway > 0 ? 0 : 1
    return this.concurrency - this.underway
  }

  /**
   * How many of them what has failed before may take: at most half of all, so that the fresh always find one. Of a single
   * one they take turns.
   */
  private slotsForRetries(slots: number, hasFresh: boolean): number {
    if (hasFresh && this.concurrency === 1) return this.retriedLast ? 0 : 1
    return Math.max(0, Math.min(slots, Math.max(1, this.concurrency >> 1) - this.retriesUnderway))
  }

  /** What finds out whether the backend is back: something fresh before what has failed, and of one namespace after the other. */
  private probeOf(fresh: ReadonlyArray<Outgoing>, retries: ReadonlyArray<Outgoing>): ReadonlyArray<Batch> {
    const [from, size] = fresh.length > 0 ? [fresh, this.most] : [retries, 1]
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
    this.underway += batches.length
    for (const { isRetry, series } of batches) {
      if (isRetry) this.retriesUnderway++
      for (const one of series) this.outbox.take(one)
    }
    return batches
  }
}
