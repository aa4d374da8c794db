/**
 * The callers that wait for the outcome of an occurrence: by its sequence number until the sink has read it, then by the
 * series that it was folded into, until a write that includes it has a final outcome.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Settlement } from "../../Delivery.ts"
import type { Write } from "../../Event.ts"
import type { EventId } from "../../EventId.ts"
import type { KeyOf, SeriesKey } from "./state.ts"

type Answer = Deferred.Deferred<Settlement>

/** @internal */
export class Settlements {
  private readonly unread = new Map<number, Answer>()
  private readonly ofSeries = new Map<SeriesKey, Array<{ readonly seq: number; readonly answer: Answer }>>()
  private readonly keyOf: KeyOf
  /** Whether the journal keeps what is not settled, for the next recorder. */
  private readonly isDurable: boolean

  constructor(keyOf: KeyOf, isDurable: boolean) {
    this.keyOf = keyOf
    this.isDurable = isDurable
  }

  /** Whether no caller waits for an occurrence that was read already. */
  get noneOfSeries(): boolean {
    return this.ofSeries.size === 0
  }

  await(seq: number): Effect.Effect<Settlement> {
    const answer = Deferred.makeUnsafe<Settlement>()
    this.unread.set(seq, answer)
    return Deferred.await(answer)
  }

  /** The occurrence was read, and folded into a series. */
  isRead(seq: number, series: EventId): void {
    const answer = this.unread.get(seq)
    if (answer === undefined) return
    this.unread.delete(seq)
    const key = this.keyOf(series)
    const waiting = this.ofSeries.get(key)
    if (waiting === undefined) this.ofSeries.set(key, [{ seq, answer }])
    else waiting.push({ seq, answer })
  }

  /** The journal has lost these, both ends included, so they will never be read. */
  abandon(from: number, to: number, reason: string): void {
    for (let seq = from; seq <= to && this.unread.size > 0; seq++) {
      const answer = this.unread.get(seq)
      if (answer === undefined) continue
      this.unread.delete(seq)
      Deferred.doneUnsafe(answer, Effect.succeed({ _tag: "Dropped", reason }))
    }
  }

  /** Everything that the write includes has this outcome. */
  resolve(write: Write, settlement: Settlement): void {
    const key = this.keyOf(write.id)
    const waiting = this.ofSeries.get(key)
    if (waiting === undefined) return
    const left = waiting.filter(({ seq }) => seq > write.upTo)
    if (left.length === 0) this.ofSeries.delete(key)
    else this.ofSeries.set(key, left)
    for (const { answer, seq } of waiting) {
      if (seq <= write.upTo) Deferred.doneUnsafe(answer, Effect.succeed(settlement))
    }
  }

  /** The outcome of an occurrence that the sink has not settled and stops delivering. */
  unsettled(reason: string): Settlement {
    return this.isDurable ? { _tag: "Kept" } : { _tag: "Dropped", reason }
  }

  /** Answers all callers that still wait. */
  endAll(reason: string): void {
    const settlement = this.unsettled(reason)
    for (const answer of this.unread.values()) Deferred.doneUnsafe(answer, Effect.succeed(settlement))
    for (const waiting of this.ofSeries.values()) {
      for (const { answer } of waiting) Deferred.doneUnsafe(answer, Effect.succeed(settlement))
    }
    this.unread.clear()
    this.ofSeries.clear()
  }
}
