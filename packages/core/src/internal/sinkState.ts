/**
 * What a sink has read and is not through with: all that a checkpoint holds, in memory and as JSON.
 *
 * Every occurrence that is read, up to `position`, and not settled stands in exactly one place: held by the correlator, in the
 * outbox, or parked. So one record of these with the position is a whole, and nothing is lost or counted twice after it.
 */
import * as Correlation from "../Correlation.ts"
import type { Write } from "../Event.ts"
import type { Json } from "../EventData.ts"
import type * as EventId from "../EventId.ts"
import type { Checkpoint } from "../Journal.ts"
import type { Target } from "../Target.ts"
import type * as Timestamp from "../Timestamp.ts"
import type { SinkLedger } from "./ledger.ts"
import { type Key, type KeyOf, keysOf, merge, Outbox, type Parcel } from "./sinkOutbox.ts"

interface ParkedSeries {
  readonly upTo: number
  readonly occurrences: number
}

/** What a checkpoint has beside the position and the target. */
interface Saved {
  readonly correlator: Json
  readonly outbox: ReadonlyArray<readonly [write: Write, occurrences: number, from: number, since: Timestamp.Micros]>
  /** What the books count as parked; what the journal has kept aside beyond it is pending here. */
  readonly parked: ReadonlyArray<readonly [origin: string, seq: number, upTo: number, occurrences: number]>
}

const readSaved = (json: Json): Saved => {
  const state = json as unknown as Saved
  const sound =
    typeof state === "object" &&
    state !== null &&
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
  if (!sound) throw new Error("it holds no state of a sink")
  return state
}

/** @internal */
export class SinkState {
  readonly keyOf: KeyOf
  readonly outbox: Outbox
  /** What the books count as parked. */
  readonly parked = new Map<Key, ParkedSeries>()
  /** The series that the journal has kept aside, also those whose occurrences are pending again. */
  readonly kept = new Map<Key, EventId.EventId>()
  correlator: Correlation.Correlator
  /** The last seq that is read. */
  position = 0
  /** The position of the last checkpoint: what is read beyond it is read again by the next life. */
  savedUpTo = 0
  /** Whether anything but the position has changed since the last checkpoint. */
  isChanged = false
  /** What the sink writes to, once it is known. */
  target: Target | undefined
  /** When the first of what is accepted and not read happened. */
  unreadSince: Timestamp.Micros | undefined
  private readonly ledger: SinkLedger
  /** A journal in memory ends with this process, so nobody would read a state. */
  private readonly isDurable: boolean

  constructor(
    options: { readonly correlation: Correlation.Options; readonly isDurable: boolean; readonly origin: string },
    ledger: SinkLedger
  ) {
    this.keyOf = keysOf(options.origin)
    this.outbox = new Outbox(this.keyOf)
    this.correlator = new Correlation.Correlator(options.correlation)
    this.isDurable = options.isDurable
    this.ledger = ledger
  }

  /** What the correlator lets go of is to be delivered. */
  release(released: ReadonlyArray<Parcel>): void {
    if (released.length === 0) return
    for (const one of released) this.outbox.add(one)
    this.ledger.held = this.correlator.held
    this.isChanged = true
  }

  /** The first of what is read and not through. */
  oldest(): { readonly from: number; readonly since: Timestamp.Micros } | undefined {
    let oldest = this.correlator.oldest()
    for (const { next, underway } of this.outbox.all()) {
      const first = underway ?? next!
      if (oldest === undefined || first.from < oldest.from) oldest = first
    }
    return oldest
  }

  isThrough(seq: number): boolean {
    if (this.position < seq) return false
    const first = this.oldest()
    return first === undefined || first.from > seq
  }

  // -------------------------------------------------------------------------
  // in a checkpoint
  // -------------------------------------------------------------------------

  snapshot(): Checkpoint {
    const { position: upTo, target } = this
    const state = this.isDurable ? (this.save() as unknown as Json) : null
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
      outbox: Array.from(this.outbox.all(), ({ next, underway }) => {
        const { from, occurrences, since, write } =
          underway === undefined ? next! : next === undefined ? underway : merge(underway, next)
        return [write, occurrences, from, since]
      }),
      parked: Array.from(this.parked, ([key, { occurrences, upTo }]) => {
        const { origin, seq } = this.kept.get(key)!
        return [origin, seq, upTo, occurrences]
      })
    }
  }

  /** Takes over what an earlier life saved. Throws when it cannot be read: that must stop a sink, never start it empty. */
  restore(json: Json): void {
    const saved = readSaved(json)
    this.correlator = Correlation.Correlator.restore(saved.correlator)
    for (const [write, occurrences, from, since] of saved.outbox) this.outbox.add({ write, occurrences, from, since })
    for (const [origin, seq, upTo, occurrences] of saved.parked) {
      this.parked.set(this.keyOf({ origin, seq }), { upTo, occurrences })
    }
  }

  /** The series that the journal keeps aside. What is counted as parked and is not among them was given up. */
  restoreKept(series: Iterable<EventId.EventId>): void {
    for (const id of series) this.kept.set(this.keyOf(id), id)
    for (const key of [...this.parked.keys()]) if (!this.kept.has(key)) this.parked.delete(key)
  }

  /** Occurrences that are held or wait for delivery, of what is read. */
  get pending(): number {
    let pending = this.correlator.held
    for (const { next, underway } of this.outbox.all())
      pending += (next?.occurrences ?? 0) + (underway?.occurrences ?? 0)
    return pending
  }

  get parkedOccurrences(): number {
    let n = 0
    for (const { occurrences } of this.parked.values()) n += occurrences
    return n
  }
}
