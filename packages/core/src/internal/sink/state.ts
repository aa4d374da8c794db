/**
 * What a sink has read and not settled: everything that a checkpoint contains, in memory and as JSON.
 *
 * Invariant: every occurrence that was read (up to `position`) and is not settled is in exactly one place: held by the
 * correlator, in the outbox, or parked. So a snapshot of these with the position is consistent, and after a restart from it
 * nothing is lost or counted twice.
 *
 * How it fails: `restore` throws when a saved state cannot be read. A sink must stop then: with an empty state it would lose
 * what was pending.
 */
import type { BackendError } from "../../BackendError.ts"
import type * as Correlation from "../../Correlation.ts"
import { Correlator, type Released } from "../../Correlator.ts"
import type { Write } from "../../Event.ts"
import type { Json } from "../../EventData.ts"
import * as EventId from "../../EventId.ts"
import type { Checkpoint } from "../../Journal.ts"
import type { Target } from "../../Target.ts"
import type * as Timestamp from "../../Timestamp.ts"
import * as dataSize from "../dataSize.ts"
import * as json from "../json.ts"
import type { SinkLedger } from "../ledger.ts"

// ---------------------------------------------------------------------------
// series
// ---------------------------------------------------------------------------

/**
 * Identifies a series within a sink: its sequence number where its origin is this opening of the journal, which is the usual
 * case, else its full identity as text.
 *
 * @internal
 */
export type SeriesKey = number | string

/** @internal */
export type KeyOf = (id: EventId.EventId) => SeriesKey

const keysOf =
  (origin: string): KeyOf =>
  (id) =>
    id.origin === origin ? id.seq : EventId.format(id)

/**
 * The next write of a series, and how many of its occurrences no earlier write contained.
 *
 * @internal
 */
export type PendingWrite = Released

/** @internal */
export const namespaceOf = ({ event }: Write): string => event.involvedObject.namespace ?? ""

const merge = (earlier: PendingWrite, later: PendingWrite): PendingWrite => ({
  write: later.write.upTo >= earlier.write.upTo ? later.write : earlier.write,
  occurrences: earlier.occurrences + later.occurrences,
  from: Math.min(earlier.from, later.from),
  since: Math.min(earlier.since, later.since)
})

// ---------------------------------------------------------------------------
// outbox
// ---------------------------------------------------------------------------

/**
 * One series with something to deliver.
 *
 * @internal
 */
export interface OutboxEntry {
  readonly key: SeriesKey
  /** What waits for its next write. */
  next: PendingWrite | undefined
  inFlight: PendingWrite | undefined
  /** Consecutive failures, for the backoff; set to 0 when the backend or its namespace works again. */
  failures: number
  /** Set from its first failure until a write of it is settled. */
  firstFailureAt: number | undefined
  lastError: BackendError | undefined
  /** When it may be written again, by the monotonic clock. */
  nextAt: number
  /** Approximate size of its event bodies, in memory and in a checkpoint. */
  bytes: number
}

/**
 * Every series that has something to deliver. A series is in flight at most once; what arrives meanwhile is merged into its
 * next write. `availability.ts` decides what a failure means and when a series is retried, `dispatch.ts` which series are
 * written next.
 *
 * @internal
 */
export class Outbox {
  /** Number of series that have failed and not been settled since. */
  failing = 0
  /** Approximate size of all event bodies. */
  bytes = 0
  private readonly series = new Map<SeriesKey, OutboxEntry>()
  private readonly keyOf: KeyOf

  constructor(keyOf: KeyOf) {
    this.keyOf = keyOf
  }

  get size(): number {
    return this.series.size
  }

  has(key: SeriesKey): boolean {
    return this.series.has(key)
  }

  /** In the order in which they were added. */
  all(): MapIterator<OutboxEntry> {
    return this.series.values()
  }

  allFail(): boolean {
    return this.failing > 0 && this.failing === this.series.size
  }

  add(pending: PendingWrite): void {
    const key = this.keyOf(pending.write.id)
    const known = this.series.get(key)
    if (known === undefined) {
      const bytes = dataSize.estimate(pending.write.event)
      this.bytes += bytes
      this.series.set(key, {
        key,
        next: pending,
        inFlight: undefined,
        failures: 0,
        firstFailureAt: undefined,
        lastError: undefined,
        nextAt: Number.NEGATIVE_INFINITY,
        bytes
      })
    } else {
      known.next = known.next === undefined ? pending : merge(known.next, pending)
      this.measure(known)
    }
  }

  private measure(entry: OutboxEntry): void {
    const { inFlight, next } = entry
    const bytes =
      (next === undefined ? 0 : dataSize.estimate(next.write.event)) +
      (inFlight === undefined ? 0 : dataSize.estimate(inFlight.write.event))
    this.bytes += bytes - entry.bytes
    entry.bytes = bytes
  }

  /** Marks what is pending of a series as in flight. */
  take(entry: OutboxEntry): PendingWrite {
    const pending = entry.next!
    entry.next = undefined
    entry.inFlight = pending
    return pending
  }

  /** What was in flight was not written: it is pending again, as if it had never been taken. */
  giveBack(entry: OutboxEntry, pending: PendingWrite): void {
    entry.inFlight = undefined
    if (entry.next === undefined) entry.next = pending
    else {
      entry.next = merge(pending, entry.next)
      this.measure(entry)
    }
  }

  /** What was in flight has failed: it is pending again, merged with what arrived since. */
  fail(entry: OutboxEntry, pending: PendingWrite, error: BackendError, at: number): void {
    this.giveBack(entry, pending)
    entry.lastError = error
    if (entry.firstFailureAt === undefined) {
      entry.firstFailureAt = at
      this.failing++
    }
  }

  /** What was in flight is settled, dropped or parked. */
  complete(entry: OutboxEntry): void {
    entry.inFlight = undefined
    if (entry.firstFailureAt !== undefined) this.failing--
    entry.failures = 0
    entry.firstFailureAt = undefined
    entry.lastError = undefined
    entry.nextAt = Number.NEGATIVE_INFINITY
    if (entry.next === undefined) {
      this.series.delete(entry.key)
      this.bytes -= entry.bytes
    } else this.measure(entry)
  }

  /** Makes every series that waits for its retry due at once. */
  retryNow(): void {
    for (const entry of this.series.values()) entry.nextAt = Number.NEGATIVE_INFINITY
  }
}

// ---------------------------------------------------------------------------
// state
// ---------------------------------------------------------------------------

/** A parked series, as the ledger counts it. */
interface ParkedSeries {
  readonly upTo: number
  readonly occurrences: number
}

/**
 * The format of `Checkpoint.state`, since the first release. `parked` is what the ledger counts as parked; further series
 * that the journal keeps are pending again.
 */
interface Saved {
  readonly correlator: Json
  readonly outbox: ReadonlyArray<readonly [write: Write, occurrences: number, from: number, since: Timestamp.Micros]>
  readonly parked: ReadonlyArray<readonly [origin: string, seq: number, upTo: number, occurrences: number]>
}

const isSaved = (value: object): value is Saved => {
  const state = value as Saved
  return (
    Array.isArray(state.outbox) &&
    state.outbox.every(
      (one) =>
        Array.isArray(one) &&
        typeof one[0] === "object" &&
        typeof one[0]?.id?.origin === "string" &&
        [one[0].id.seq, one[0].upTo, one[0].count, one[1], one[2], one[3]].every(Number.isSafeInteger) &&
        typeof one[0].event === "object"
    ) &&
    Array.isArray(state.parked) &&
    state.parked.every(
      (one) => Array.isArray(one) && typeof one[0] === "string" && one.slice(1).every(Number.isSafeInteger)
    )
  )
}

const readSaved = (given: Json): Saved => {
  if (typeof given === "object" && given !== null && isSaved(given)) return given
  throw new Error("it contains no state of a sink")
}

/** @internal */
export class SinkState {
  readonly keyOf: KeyOf
  readonly outbox: Outbox
  /** What the ledger counts as parked. */
  readonly parked = new Map<SeriesKey, ParkedSeries>()
  /** The series that the journal keeps as parked, including those whose occurrences are pending again. */
  readonly kept = new Map<SeriesKey, EventId.EventId>()
  correlator: Correlator
  /** The last sequence number that was read. */
  position = 0
  /** The position of the last checkpoint: what is read beyond it is read again after a restart. */
  savedUpTo = 0
  /** What the sink writes to, once it is known. */
  target: Target | undefined
  /** When the first of what is accepted and not read happened. */
  unreadSince: Timestamp.Micros | undefined
  private changed = false
  private readonly ledger: SinkLedger
  /** Whether a state is saved. A journal in memory ends with this process, so its state would never be read. */
  private readonly isDurable: boolean

  constructor(
    options: { readonly correlation: Correlation.Options; readonly isDurable: boolean; readonly origin: string },
    ledger: SinkLedger
  ) {
    this.keyOf = keysOf(options.origin)
    this.outbox = new Outbox(this.keyOf)
    this.correlator = new Correlator(options.correlation)
    this.isDurable = options.isDurable
    this.ledger = ledger
  }

  /** Whether anything but the position has changed since the last snapshot. */
  get isChanged(): boolean {
    return this.changed
  }

  markChanged(): void {
    this.changed = true
  }

  /** Moves what the correlator releases into the outbox. */
  release(released: ReadonlyArray<PendingWrite>): void {
    if (released.length === 0) return
    for (const pending of released) this.outbox.add(pending)
    this.ledger.held = this.correlator.held
    this.markChanged()
  }

  /** The oldest occurrence that was read and has no outcome. */
  oldest(): { readonly from: number; readonly since: Timestamp.Micros } | undefined {
    let oldest = this.correlator.oldest()
    for (const { inFlight, next } of this.outbox.all()) {
      const first = inFlight ?? next!
      if (oldest === undefined || first.from < oldest.from) oldest = first
    }
    return oldest
  }

  /** Whether everything up to `seq` has an outcome. */
  isSettled(seq: number): boolean {
    if (this.position < seq) return false
    const first = this.oldest()
    return first === undefined || first.from > seq
  }

  // -------------------------------------------------------------------------
  // in a checkpoint
  // -------------------------------------------------------------------------

  /** The current checkpoint; `isChanged` is about changes after this call. */
  snapshot(): Checkpoint {
    const { position: upTo, target } = this
    this.changed = false
    const state = this.isDurable ? json.ofPlain(this.save()) : null
    if (target === undefined) return { upTo, state }
    return {
      upTo,
      state,
      target: target.id,
      ...(target.aliases.length === 0 ? undefined : { aliases: target.aliases }),
      ...(target.isUncertain === true ? { isUncertain: true } : undefined),
      ...(target.place === undefined ? undefined : { place: target.place })
    }
  }

  private save(): Saved {
    return {
      correlator: this.correlator.snapshot(),
      outbox: Array.from(this.outbox.all(), ({ inFlight, next }) => {
        const { from, occurrences, since, write } =
          inFlight === undefined ? next! : next === undefined ? inFlight : merge(inFlight, next)
        return [write, occurrences, from, since]
      }),
      parked: Array.from(this.parked, ([key, { occurrences, upTo }]) => {
        const { origin, seq } = this.kept.get(key)!
        return [origin, seq, upTo, occurrences]
      })
    }
  }

  /** Restores the state that an earlier opening saved. Throws when it cannot be read. */
  restore(given: Json): void {
    const saved = readSaved(given)
    this.correlator = Correlator.restore(saved.correlator)
    for (const [write, occurrences, from, since] of saved.outbox) this.outbox.add({ write, occurrences, from, since })
    for (const [origin, seq, upTo, occurrences] of saved.parked) {
      this.parked.set(this.keyOf({ origin, seq }), { upTo, occurrences })
    }
  }

  /** Sets the series that the journal keeps. A parked series that is not among them was dropped by an operator. */
  restoreKept(series: Iterable<EventId.EventId>): void {
    for (const id of series) this.kept.set(this.keyOf(id), id)
    for (const key of [...this.parked.keys()]) if (!this.kept.has(key)) this.parked.delete(key)
  }

  /** Occurrences that are held or wait for delivery, of what is read. */
  get pending(): number {
    let pending = this.correlator.held
    for (const { inFlight, next } of this.outbox.all()) {
      pending += (next?.occurrences ?? 0) + (inFlight?.occurrences ?? 0)
    }
    return pending
  }

  get parkedOccurrences(): number {
    return [...this.parked.values()].reduce((sum, { occurrences }) => sum + occurrences, 0)
  }
}
