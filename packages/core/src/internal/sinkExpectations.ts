/**
 * The callers who wait for what becomes of an occurrence: first by its seq, until the sink has read it; from then on by the
 * series that it was folded into, until a write that carries it is through.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Write } from "../Event.ts"
import type { EventId } from "../EventId.ts"
import type { Settlement } from "../Recorder.ts"
import type { Key, KeyOf } from "./sinkOutbox.ts"

type Answer = Deferred.Deferred<Settlement>

/** @internal */
export class Expectations {
  private readonly unread = new Map<number, Answer>()
  private readonly ofSeries = new Map<Key, Array<{ readonly seq: number; readonly done: Answer }>>()
  private readonly keyOf: KeyOf
  /** Whether the journal keeps what the sink does not get through, for the next recorder. */
  private readonly isDurable: boolean

  constructor(keyOf: KeyOf, isDurable: boolean) {
    this.keyOf = keyOf
    this.isDurable = isDurable
  }

  /** Whether nobody waits for anything that is read. */
  get noneOfSeries(): boolean {
    return this.ofSeries.size === 0
  }

  expect(seq: number): Effect.Effect<Settlement> {
    const done = Deferred.makeUnsafe<Settlement>()
    this.unread.set(seq, done)
    return Deferred.await(done)
  }

  /** The occurrence is read, and folded into a series. */
  isRead(seq: number, series: EventId): void {
    const done = this.unread.get(seq)
    if (done === undefined) return
    this.unread.delete(seq)
    const key = this.keyOf(series)
    const expecting = this.ofSeries.get(key)
    if (expecting === undefined) this.ofSeries.set(key, [{ seq, done }])
    else expecting.push({ seq, done })
  }

  /** Nobody will ever read these; both ends belong to them. */
  abandon(from: number, to: number, reason: string): void {
    for (let seq = from; seq <= to && this.unread.size > 0; seq++) {
      const done = this.unread.get(seq)
      if (done === undefined) continue
      this.unread.delete(seq)
      Deferred.doneUnsafe(done, Effect.succeed({ _tag: "Dropped", reason }))
    }
  }

  /** All that the write carries is through. */
  resolve(write: Write, settlement: Settlement): void {
    const key = this.keyOf(write.id)
    const expecting = this.ofSeries.get(key)
    if (expecting === undefined) return
    const left = expecting.filter(({ seq }) => seq > write.upTo)
    if (left.length === 0) this.ofSeries.delete(key)
    else this.ofSeries.set(key, left)
    for (const { done, seq } of expecting) {
      if (seq <= write.upTo) Deferred.doneUnsafe(done, Effect.succeed(settlement))
    }
  }

  /** What a caller is told whose occurrence the sink does not get through as it is. */
  unsettled(reason: string): Settlement {
    return this.isDurable ? { _tag: "Kept" } : { _tag: "Dropped", reason }
  }

  /** All callers that still wait are told so. */
  giveUp(reason: string): void {
    const settlement = this.unsettled(reason)
    for (const done of this.unread.values()) Deferred.doneUnsafe(done, Effect.succeed(settlement))
    for (const expecting of this.ofSeries.values()) {
      for (const { done } of expecting) Deferred.doneUnsafe(done, Effect.succeed(settlement))
    }
    this.unread.clear()
    this.ofSeries.clear()
  }
}
