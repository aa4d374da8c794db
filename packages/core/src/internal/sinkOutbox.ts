/**
 * The outbox of a sink: every series that has something to deliver, and what of it is under way. A series is under way once
 * at the most; what comes meanwhile is merged and leaves with its next write.
 *
 * What a failure means, and so when a series is tried again, is decided in `sinkFailures.ts`; which series go next in
 * `sinkDispatch.ts`.
 */
import type { BackendError } from "../BackendError.ts"
import type * as Correlation from "../Correlation.ts"
import type { Write } from "../Event.ts"
import * as EventId from "../EventId.ts"
import * as dataSize from "./dataSize.ts"

/**
 * Names a series: its seq alone where the journal at hand gave it, which is nearly always.
 *
 * @internal
 */
export type Key = number | string

/** @internal */
export type KeyOf = (id: EventId.EventId) => Key

/** @internal */
export const keysOf =
  (origin: string): KeyOf =>
  (id) =>
    id.origin === origin ? id.seq : EventId.format(id)

/**
 * The state of a series, and which of its occurrences no earlier write has carried.
 *
 * @internal
 */
export type Parcel = Correlation.Released

/**
 * One series with something to deliver.
 *
 * @internal
 */
export interface Outgoing {
  readonly key: Key
  /** What is not under way. */
  next: Parcel | undefined
  underway: Parcel | undefined
  /** What is counted since it was last given a fresh start. */
  failures: number
  /** Set from its first failure on until something of it gets through. */
  firstFailureAt: number | undefined
  lastError: BackendError | undefined
  /** When it may be tried again. */
  nextAt: number
  /** What its bodies take in memory and in a checkpoint, about. */
  bytes: number
}

/** @internal */
export const namespaceOf = ({ event }: Write): string => event.involvedObject.namespace ?? ""

/** @internal */
export const merge = (parcel: Parcel, later: Parcel): Parcel => ({
  write: later.write.upTo >= parcel.write.upTo ? later.write : parcel.write,
  occurrences: parcel.occurrences + later.occurrences,
  from: Math.min(parcel.from, later.from),
  since: Math.min(parcel.since, later.since)
})

/** @internal */
export class Outbox {
  /** How many have failed and not got through since. */
  failing = 0
  /** What all bodies take, about. */
  bytes = 0
  private readonly series = new Map<Key, Outgoing>()
  private readonly keyOf: KeyOf

  constructor(keyOf: KeyOf) {
    this.keyOf = keyOf
  }

  get size(): number {
    return this.series.size
  }

  has(key: Key): boolean {
    return this.series.has(key)
  }

  /** In the order in which they came. */
  all(): MapIterator<Outgoing> {
    return this.series.values()
  }

  allFail(): boolean {
    return this.failing > 0 && this.failing === this.series.size
  }

  add(parcel: Parcel): void {
    const key = this.keyOf(parcel.write.id)
    const known = this.series.get(key)
    if (known === undefined) {
      const bytes = dataSize.estimate(parcel.write.event)
      this.bytes += bytes
      this.series.set(key, {
        key,
        next: parcel,
        underway: undefined,
        failures: 0,
        firstFailureAt: undefined,
        lastError: undefined,
        nextAt: Number.NEGATIVE_INFINITY,
        bytes
      })
    } else {
      known.next = known.next === undefined ? parcel : merge(known.next, parcel)
      this.measure(known)
    }
  }

  private measure(one: Outgoing): void {
    const { next, underway } = one
    const bytes =
      (next === undefined ? 0 : dataSize.estimate(next.write.event)) +
      (underway === undefined ? 0 : dataSize.estimate(underway.write.event))
    this.bytes += bytes - one.bytes
    one.bytes = bytes
  }

  /** Takes something for delivery. */
  take(one: Outgoing): Parcel {
    const parcel = one.next!
    one.next = undefined
    one.underway = parcel
    return parcel
  }

  /** What was under way did not begin after all: it waits again, as if it had never been taken. */
  giveBack(one: Outgoing, parcel: Parcel): void {
    one.underway = undefined
    if (one.next === undefined) one.next = parcel
    else {
      one.next = merge(parcel, one.next)
      this.measure(one)
    }
  }

  /** What was under way has failed: it waits again, with what came since. */
  putBack(one: Outgoing, parcel: Parcel, error: BackendError, at: number): void {
    this.giveBack(one, parcel)
    one.lastError = error
    if (one.firstFailureAt === undefined) {
      one.firstFailureAt = at
      this.failing++
    }
  }

  /** The end of what was under way: delivered, dropped or parked. */
  landed(one: Outgoing): void {
    one.underway = undefined
    if (one.firstFailureAt !== undefined) this.failing--
    one.failures = 0
    one.firstFailureAt = undefined
    one.lastError = undefined
    one.nextAt = Number.NEGATIVE_INFINITY
    if (one.next === undefined) {
      this.series.delete(one.key)
      this.bytes -= one.bytes
    } else this.measure(one)
  }

  /** Whatever waits for its next try may be tried at once. */
  hurry(): void {
    for (const one of this.series.values()) one.nextAt = Number.NEGATIVE_INFINITY
  }
}
