/**
 * Parking: what a backend will never take, and what is stuck and takes the room of others, is kept aside in the journal and
 * counted. From there a person has it tried again or gives it up, within the process or beside it.
 *
 * Two accounts: `state.parked` is what the books count as parked, `state.kept` what the journal keeps aside. What is tried
 * again leaves the first at once and the second only when it is through, so that a crash in between repeats and loses
 * nothing.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { BackendError, Transient } from "../BackendError.ts"
import type * as EventId from "../EventId.ts"
import type { Journal, JournalError, Parked, ParkedRequest } from "../Journal.ts"
import type { SinkLedger } from "./ledger.ts"
import type { Checkpoints } from "./sinkCheckpoints.ts"
import type { Expectations } from "./sinkExpectations.ts"
import type { Failures } from "./sinkFailures.ts"
import type { Health } from "./sinkHealth.ts"
import type { Key, Outgoing, Parcel } from "./sinkOutbox.ts"
import type { Signal } from "./sinkSignal.ts"
import type { SinkState } from "./sinkState.ts"
import { SECOND, type SinkTime } from "./sinkTime.ts"

/** How often it is looked what somebody beside this process asks for. */
const REQUESTS_INTERVAL = 5 * SECOND

/** @internal */
export interface Parking {
  /** Parks what is under way of a series. Where the journal refuses, it has failed once more and stays pending. */
  readonly park: (one: Outgoing, parcel: Parcel, reason: string) => Effect.Effect<void>
  /**
   * When the outbox is full of series that fail while others get through, the longest stuck make room: they are parked,
   * which keeps and counts them.
   */
  readonly makeRoom: Effect.Effect<void>
  /** What a write has got through of a series that was parked; answers the occurrences that are visible now with the rest. */
  readonly delivered: (key: Key) => number
  readonly list: Effect.Effect<ReadonlyArray<Parked>, JournalError>
  /** Answers how many occurrences are pending again. */
  readonly retry: (series: ReadonlyArray<EventId.EventId>) => Effect.Effect<number, JournalError>
  /** Answers how many occurrences are given up. */
  readonly drop: (series: ReadonlyArray<EventId.EventId>) => Effect.Effect<number, JournalError>
  /** Carries out what is asked for beside this process, until the scope closes. */
  readonly attend: Effect.Effect<void>
}

/** @internal */
export const make = (
  options: { readonly name: string; readonly capacity: number },
  parts: {
    readonly journal: Journal["Service"]
    readonly state: SinkState
    readonly ledger: SinkLedger
    readonly checkpoints: Checkpoints
    readonly expectations: Expectations
    readonly failures: Failures
    readonly health: Health
    readonly signal: Signal
    readonly time: SinkTime
    /** The last seq that is accepted. */
    readonly head: () => number
  }
): Parking => {
  const { capacity, name } = options
  const { checkpoints, expectations, failures, head, health, journal, ledger, signal, state, time } = parts
  const { kept, keyOf, outbox, parked } = state
  /** Of its own: at the signal of the sink whoever waits is woken by every event. */
  const keeps = Latch.makeUnsafe()

  // -------------------------------------------------------------------------
  // keeping aside
  // -------------------------------------------------------------------------

  const park: Parking["park"] = (one, parcel, reason) =>
    checkpoints.alone(
      Effect.suspend(() => {
        const { write } = parcel
        // All that is parked of the series, so that repeating it after a crash adds nothing.
        const occurrences = (parked.get(one.key)?.occurrences ?? 0) + parcel.occurrences
        return Effect.match(journal.park(name, write, occurrences, reason), {
          onFailure: (error) => {
            // What cannot be kept aside safely stays where it is.
            ledger.lastError = error.message
            const reason = new Transient({ applied: "no", detail: error.message })
            failures.failed(one, parcel, new BackendError({ reason }))
          },
          onSuccess: () => {
            state.isChanged = true
            kept.set(one.key, write.id)
            keeps.openUnsafe()
            parked.set(one.key, { upTo: write.upTo, occurrences })
            ledger.addPending(-parcel.occurrences)
            ledger.park(parcel.occurrences)
            outbox.landed(one)
            expectations.resolve(write, { _tag: "Parked", reason })
          }
        })
      })
    )

  const makeRoom: Effect.Effect<void> = Effect.suspend(() => {
    if (outbox.size < capacity || state.position === head()) return Effect.void
    const stuck = failures.stuck()
    if (stuck.length === 0 || (stuck.length * 2 < capacity && !outbox.allFail())) return Effect.void
    stuck.sort((a, b) => a.firstFailureAt! - b.firstFailureAt!)
    return Effect.forEach(
      stuck.slice(0, Math.ceil(stuck.length / 2)),
      (one) => park(one, outbox.take(one), `stuck: ${one.lastError!.message}`),
      { discard: true }
    )
  })

  const delivered = (key: Key): number => {
    const found = parked.size === 0 ? undefined : parked.get(key)
    if (found === undefined) return 0
    // Counts are absolute: what was parked of this series is now visible with the rest.
    parked.delete(key)
    ledger.park(-found.occurrences)
    return found.occurrences
  }

  // -------------------------------------------------------------------------
  // what a person does with it
  // -------------------------------------------------------------------------

  const readKept = journal.parked(name)

  const list: Parking["list"] = Effect.map(readKept, (all) =>
    all.flatMap((one) => {
      const found = parked.get(keyOf(one.write.id))
      return found === undefined ? [] : [{ ...one, occurrences: found.occurrences }]
    })
  )

  /** Those that are in the books; what is not is pending already. */
  const chosen = (all: ReadonlyArray<Parked>, series: ReadonlyArray<EventId.EventId>) => {
    const keys = new Set(series.map(keyOf))
    return all.flatMap(({ write }) => {
      const key = keyOf(write.id)
      const found = keys.has(key) ? parked.get(key) : undefined
      return found === undefined ? [] : [{ key, write, occurrences: found.occurrences }]
    })
  }

  const retry: Parking["retry"] = (series) =>
    checkpoints.alone(
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
        state.isChanged = true
        signal.notify()
        // Kept aside until it is delivered: a crash before then repeats, and loses nothing.
        return Effect.as(checkpoints.makeAlone, n)
      })
    )

  const drop: Parking["drop"] = (series) =>
    checkpoints.alone(
      Effect.flatMap(readKept, (all) => {
        const given = chosen(all, series)
        if (given.length === 0) return Effect.succeed(0)
        return Effect.map(
          journal.unpark(
            name,
            given.map(({ write }) => write.id)
          ),
          () => {
            let n = 0
            for (const { key } of given) {
              kept.delete(key)
              const occurrences = parked.get(key)?.occurrences
              // A later write of the series has got through meanwhile, with what was parked of it.
              if (occurrences === undefined) continue
              parked.delete(key)
              n += occurrences
              ledger.park(-occurrences)
              ledger.drop(occurrences, "parked")
            }
            state.isChanged = true
            return n
          }
        )
      })
    )

  // -------------------------------------------------------------------------
  // what somebody beside this process asks for
  // -------------------------------------------------------------------------

  let problem: string | undefined

  const carryOut = Effect.suspend(() => {
    if (health.isStopped) return Effect.void
    return Effect.flatMap(journal.requests(name), (requests) => {
      // Of a series the last word counts, so that somebody can think better of it.
      const wanted = new Map<Key, { readonly id: EventId.EventId; readonly action: ParkedRequest["action"] }>()
      for (const { action, series } of requests) for (const id of series) wanted.set(keyOf(id), { id, action })
      const carry = (action: ParkedRequest["action"], use: Parking["retry"]) => {
        const series = [...wanted.values()].flatMap((one) => (one.action === action ? [one.id] : []))
        if (series.length === 0) return Effect.void
        return Effect.flatMap(use(series), (n) =>
          n === 0
            ? Effect.void
            : Effect.logInfo(
                `Somebody asked the sink "${name}" to ${action} what is parked: ${n} ${n === 1 ? "occurrence" : "occurrences"}`
              )
        )
      }
      return Effect.andThen(carry("retry", retry), carry("drop", drop))
    })
  }).pipe(
    Effect.map(() => {
      problem = undefined
    }),
    Effect.catch(({ message }) => {
      if (message === problem) return Effect.void
      problem = message
      return Effect.logWarning(`What is asked for about parked events of the sink "${name}" cannot be done: ${message}`)
    })
  )

  /** What is taken is carried out, because nobody else will. While nothing is parked there is nothing to ask for. */
  const attend: Effect.Effect<void> = Effect.gen(function* () {
    while (!health.isStopped) {
      if (kept.size === 0) {
        keeps.closeUnsafe()
        yield* keeps.await
      }
      yield* Effect.uninterruptible(carryOut)
      yield* time.sleep(REQUESTS_INTERVAL)
    }
  })

  return { park, makeRoom, delivered, list, retry, drop, attend }
}
