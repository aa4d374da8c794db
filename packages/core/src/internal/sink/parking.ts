/**
 * Parking: a series that the backend will never accept, or that is stuck and takes the room of others, is kept in the
 * journal and counted. From there an operator has it retried or drops it, inside this process or from another one
 * (`operatorRequests.ts`).
 *
 * Two sets: `state.parked` is what the ledger counts as parked, `state.kept` what the journal keeps. A series that is
 * retried is removed from the first at once, and from the second only when it is settled, so that a crash in between loses
 * nothing.
 *
 * Parking, retrying, dropping and checkpoints exclude each other (`checkpoints.exclusively`), because each of them changes
 * both sets in the journal and in memory.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { BackendError, Transient } from "../../BackendError.ts"
import type * as EventId from "../../EventId.ts"
import type { JournalError, Parked } from "../../Journal.ts"
import type { Checkpoints } from "./checkpoints.ts"
import type { SinkContext } from "./context.ts"
import type { Settlements } from "./settlements.ts"
import type { OutboxEntry, PendingWrite, SeriesKey } from "./state.ts"

/** @internal */
export interface Parking {
  /** Parks what is in flight of a series. Where the journal refuses, it counts as one more failure and stays pending. */
  readonly park: (entry: OutboxEntry, pending: PendingWrite, reason: string) => Effect.Effect<void>
  /**
   * When the outbox is full and many of its series fail while others are written, parks the half that has been stuck for the
   * longest time.
   */
  readonly makeRoom: Effect.Effect<void>
  /** A write of the series was settled: returns the number of its occurrences that were parked, which are settled too. */
  readonly delivered: (key: SeriesKey) => number
  readonly list: Effect.Effect<ReadonlyArray<Parked>, JournalError>
  /** Returns the number of occurrences that are pending again. */
  readonly retry: (series: ReadonlyArray<EventId.EventId>) => Effect.Effect<number, JournalError>
  /** Returns the number of occurrences that are dropped. */
  readonly drop: (series: ReadonlyArray<EventId.EventId>) => Effect.Effect<number, JournalError>
  /** Resolves once the journal keeps something. */
  readonly untilKept: Effect.Effect<void>
}

/** @internal */
export const make = (context: SinkContext, checkpoints: Checkpoints, settlements: Settlements): Parking => {
  const { availability, head, health, journal, ledger, options, signal, state } = context
  const { capacity, name } = options
  const { kept, keyOf, outbox, parked } = state
  /** Open while the journal keeps something. The signal of the sink would wake its waiter for every event. */
  const hasKept = Latch.makeUnsafe()

  const park: Parking["park"] = (entry, pending, reason) =>
    checkpoints.exclusively(
      Effect.suspend(() => {
        const { write } = pending
        // The journal stores the total for the series, so that a repetition after a crash adds nothing.
        const occurrences = (parked.get(entry.key)?.occurrences ?? 0) + pending.occurrences
        return Effect.match(journal.park(name, write, occurrences, reason), {
          onFailure: (error) => {
            health.failed(error.message)
            const reason = new Transient({ applied: "no", detail: error.message })
            availability.seriesFailed(entry, pending, new BackendError({ reason }))
          },
          onSuccess: () => {
            state.markChanged()
            kept.set(entry.key, write.id)
            hasKept.openUnsafe()
            parked.set(entry.key, { upTo: write.upTo, occurrences })
            ledger.addPending(-pending.occurrences)
            ledger.park(pending.occurrences)
            outbox.complete(entry)
            settlements.resolve(write, { _tag: "Parked", reason })
          }
        })
      })
    )

  const makeRoom: Effect.Effect<void> = Effect.suspend(() => {
    if (outbox.size < capacity || state.position === head()) return Effect.void
    const stuck = availability.stuck()
    if (stuck.length === 0 || (stuck.length * 2 < capacity && !outbox.allFail())) return Effect.void
    stuck.sort((a, b) => a.firstFailureAt! - b.firstFailureAt!)
    return Effect.forEach(
      stuck.slice(0, Math.ceil(stuck.length / 2)),
      (entry) => park(entry, outbox.take(entry), `stuck: ${entry.lastError!.message}`),
      { discard: true }
    )
  })

  const delivered = (key: SeriesKey): number => {
    const found = parked.size === 0 ? undefined : parked.get(key)
    if (found === undefined) return 0
    // Counts are absolute, so the write that was settled includes what was parked.
    parked.delete(key)
    ledger.park(-found.occurrences)
    return found.occurrences
  }

  const readKept = journal.parked(name)

  const list: Parking["list"] = Effect.map(readKept, (all) =>
    all.flatMap((one) => {
      const found = parked.get(keyOf(one.write.id))
      return found === undefined ? [] : [{ ...one, occurrences: found.occurrences }]
    })
  )

  /** The chosen series that are counted as parked; the others are pending already. */
  const chosen = (all: ReadonlyArray<Parked>, series: ReadonlyArray<EventId.EventId>) => {
    const keys = new Set(series.map(keyOf))
    return all.flatMap(({ write }) => {
      const key = keyOf(write.id)
      const found = keys.has(key) ? parked.get(key) : undefined
      return found === undefined ? [] : [{ key, write, occurrences: found.occurrences }]
    })
  }

  const retry: Parking["retry"] = (series) =>
    checkpoints.exclusively(
      Effect.flatMap(readKept, (all) => {
        let n = 0
        for (const { key, occurrences, write } of chosen(all, series)) {
          parked.delete(key)
          n += occurrences
          ledger.park(-occurrences)
          ledger.addPending(occurrences)
          outbox.add({ write, occurrences, from: write.upTo, since: write.last })
        }
        if (n === 0) return Effect.succeed(0)
        state.markChanged()
        signal.notify()
        // The journal keeps it until it is delivered: a crash before then repeats it, and loses nothing.
        return Effect.as(checkpoints.makeExclusive, n)
      })
    )

  const drop: Parking["drop"] = (series) =>
    checkpoints.exclusively(
      Effect.flatMap(readKept, (all) => {
        const dropped = chosen(all, series)
        if (dropped.length === 0) return Effect.succeed(0)
        return Effect.map(
          journal.unpark(
            name,
            dropped.map(({ write }) => write.id)
          ),
          () => {
            let n = 0
            for (const { key } of dropped) {
              kept.delete(key)
              const occurrences = parked.get(key)?.occurrences
              // A later write of the series was settled meanwhile, and includes what was parked of it.
              if (occurrences === undefined) continue
              parked.delete(key)
              n += occurrences
              ledger.park(-occurrences)
              ledger.drop(occurrences, "parked")
            }
            state.markChanged()
            return n
          }
        )
      })
    )

  const untilKept: Effect.Effect<void> = Effect.suspend(() => {
    if (kept.size > 0) return Effect.void
    hasKept.closeUnsafe()
    return hasKept.await
  })

  return { park, makeRoom, delivered, list, retry, drop, untilKept }
}
