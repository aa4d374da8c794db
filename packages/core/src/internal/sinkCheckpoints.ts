/**
 * When a sink makes a checkpoint, and how it goes on while its journal fails.
 *
 * A checkpoint is one record of all that is not settled. What it no longer needs of what is kept aside is forgotten only
 * after it; and as both speak of the same occurrences, nothing else that changes them may happen meanwhile.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type * as EventId from "../EventId.ts"
import { type Journal, type JournalError, READ_AHEAD } from "../Journal.ts"
import type { Health } from "./sinkHealth.ts"
import type { SinkState } from "./sinkState.ts"
import { LAST_DELAY, SECOND, type SinkTime } from "./sinkTime.ts"

/** Entries between two checkpoints at the most; half of what a sink may read ahead, so that one may fail. */
const MAXIMUM_ENTRIES = READ_AHEAD / 2
const INTERVAL = 5 * SECOND
const INTERVAL_IDLE = SECOND

/** @internal */
export interface Checkpoints {
  /** How far a sink may have read beyond its last checkpoint, in entries. */
  readonly readAhead: number
  /** Makes one, after whatever is under way that it must not meet. */
  readonly make: Effect.Effect<void, JournalError>
  /** As `make`, for who is `alone` already. */
  readonly makeAlone: Effect.Effect<void, JournalError>
  /** Makes one if it is due; a failure is noted, and it is due again after a pause. */
  readonly makeIfDue: Effect.Effect<void>
  /** A time of the monotonic clock. */
  readonly dueAt: () => number
  /** Makes the next one soon, because the journal needs room. */
  readonly relieve: () => void
  /** Runs what changes what is kept aside, or both that and a checkpoint, with nothing else of the kind meanwhile. */
  readonly alone: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** Tries again what the journal refuses, until it works: what follows must not happen without it. */
  readonly insist: <A>(effect: Effect.Effect<A, JournalError>) => Effect.Effect<A>
}

/** @internal */
export const make = (
  options: { readonly name: string; readonly capacity: number },
  parts: {
    readonly journal: Journal["Service"]
    readonly state: SinkState
    readonly health: Health
    readonly time: SinkTime
    /** The last seq that is accepted. */
    readonly head: () => number
  }
): Checkpoints => {
  const { name } = options
  const { head, health, journal, state, time } = parts
  const isDurable = journal.durability !== "memory"
  // A small sink keeps little of everything.
  const mostEntries = Math.min(MAXIMUM_ENTRIES, 4 * options.capacity)
  const one = Semaphore.makeUnsafe(1)

  let madeAt = Number.NEGATIVE_INFINITY
  /** After one has failed. */
  let notBefore = Number.NEGATIVE_INFINITY
  let isNeeded = false

  /** Forgets what is kept aside and neither parked nor pending any more. */
  const forgetKept: Effect.Effect<void, JournalError> = Effect.suspend(() => {
    const { kept, keyOf, outbox, parked } = state
    const stale: Array<EventId.EventId> = []
    for (const [key, id] of kept) if (!parked.has(key) && !outbox.has(key)) stale.push(id)
    if (stale.length === 0) return Effect.void
    return Effect.andThen(
      journal.unpark(name, stale),
      Effect.sync(() => {
        for (const id of stale) kept.delete(keyOf(id))
      })
    )
  })

  const makeAlone: Effect.Effect<void, JournalError> = Effect.suspend(() => {
    const made = state.snapshot()
    state.isChanged = false
    isNeeded = false
    return Effect.matchEffect(journal.checkpoint(name, made), {
      onFailure: (error) => {
        state.isChanged = true
        return Effect.fail(error)
      },
      onSuccess: () => {
        state.savedUpTo = made.upTo
        madeAt = time.monotonic()
        health.journalWorks()
        return forgetKept
      }
    })
  })

  const makeOne: Effect.Effect<void, JournalError> = one.withPermit(makeAlone)

  const insist = <A>(effect: Effect.Effect<A, JournalError>): Effect.Effect<A> =>
    Effect.matchEffect(effect, {
      onFailure: (error) => {
        const failures = health.journalFailed(error)
        health.tell()
        return Effect.andThen(time.sleep(time.backoff(failures, LAST_DELAY)), insist(effect))
      },
      onSuccess: (value) => {
        health.journalWorks()
        return Effect.succeed(value)
      }
    })

  const dueAt = (): number => {
    const unsaved = state.position - state.savedUpTo
    if (unsaved === 0 && !state.isChanged) return Number.POSITIVE_INFINITY
    // In memory it only frees what is read, so there is nothing to wait for.
    if (!isDurable) return unsaved === 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
    if (unsaved >= mostEntries || (isNeeded && unsaved > 0)) return notBefore
    const isIdle = state.outbox.size === 0 && state.correlator.held === 0 && state.position === head()
    return Math.max(notBefore, madeAt + (isIdle ? INTERVAL_IDLE : INTERVAL))
  }

  const makeIfDue: Effect.Effect<void> = Effect.suspend(() => {
    if (dueAt() > time.monotonic()) return Effect.void
    return Effect.match(makeOne, {
      onFailure: (error) => {
        const failures = health.journalFailed(error)
        notBefore = time.monotonic() + time.backoff(failures, LAST_DELAY)
      },
      onSuccess: () => {
        health.journalWorks()
        notBefore = Number.NEGATIVE_INFINITY
      }
    })
  })

  return {
    readAhead: 2 * mostEntries,
    make: makeOne,
    makeAlone,
    makeIfDue,
    dueAt,
    relieve: () => {
      isNeeded = true
    },
    alone: (effect) => one.withPermit(effect),
    insist
  }
}
