/**
 * When a sink writes a checkpoint, and how it continues while its journal fails.
 *
 * A checkpoint is one record of everything that is not settled (`state.ts`). Parked series that were delivered are deleted
 * only after it. Both are about the same occurrences, so no other change of parked series may happen in between
 * (`exclusively`).
 *
 * How it fails: delivery continues, and the checkpoint is retried with backoff. A sink may read only `readAhead` entries
 * beyond its last checkpoint, so after a while it stops reading until its journal works.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type * as EventId from "../../EventId.ts"
import { type JournalError, READ_AHEAD } from "../../Journal.ts"
import type { SinkContext } from "./context.ts"
import { SECOND } from "./time.ts"

/** Maximum number of entries between two checkpoints: half of what a sink may read ahead, so that one of them can fail. */
const MAXIMUM_ENTRIES = READ_AHEAD / 2
const INTERVAL = 5 * SECOND
const INTERVAL_IDLE = SECOND

/** @internal */
export interface Checkpoints {
  /** How far a sink may have read beyond its last checkpoint, in entries. */
  readonly readAhead: number
  /** Writes one, after any exclusive operation that is under way. */
  readonly make: Effect.Effect<void, JournalError>
  /** As `make`, for a caller that is inside `exclusively` already. */
  readonly makeExclusive: Effect.Effect<void, JournalError>
  /** Writes one if it is due; after a failure it is due again after a delay. */
  readonly makeIfDue: Effect.Effect<void>
  /** A time of the monotonic clock. */
  readonly dueAt: () => number
  /** Makes the next one due soon, because the journal needs room. */
  readonly requestCheckpoint: () => void
  /** Runs a change of parked series, with no checkpoint and no other such change in between. */
  readonly exclusively: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** Retries without end, for what the sink cannot continue without. */
  readonly retryForever: <A>(effect: Effect.Effect<A, JournalError>) => Effect.Effect<A>
}

/** @internal */
export const make = (context: SinkContext): Checkpoints => {
  const { head, health, isDurable, journal, options, state, time } = context
  const { name } = options
  /** Scaled with the capacity, so that a small sink has a small journal. */
  const maximumEntries = Math.min(MAXIMUM_ENTRIES, 4 * options.capacity)
  const semaphore = Semaphore.makeUnsafe(1)

  let madeAt = Number.NEGATIVE_INFINITY
  /** Set after one has failed. */
  let notBefore = Number.NEGATIVE_INFINITY
  let isRequested = false

  /** Deletes the series that the journal keeps and that are neither parked nor pending any more. */
  const deleteDelivered: Effect.Effect<void, JournalError> = Effect.suspend(() => {
    const { kept, keyOf, outbox, parked } = state
    const delivered: Array<EventId.EventId> = []
    for (const [key, id] of kept) if (!parked.has(key) && !outbox.has(key)) delivered.push(id)
    if (delivered.length === 0) return Effect.void
    return Effect.andThen(
      journal.unpark(name, delivered),
      Effect.sync(() => {
        for (const id of delivered) kept.delete(keyOf(id))
      })
    )
  })

  const makeExclusive: Effect.Effect<void, JournalError> = Effect.suspend(() => {
    const checkpoint = state.snapshot()
    isRequested = false
    return Effect.matchEffect(journal.checkpoint(name, checkpoint), {
      onFailure: (error) => {
        state.markChanged()
        return Effect.fail(error)
      },
      onSuccess: () => {
        state.savedUpTo = checkpoint.upTo
        madeAt = time.monotonic()
        health.journalWorks()
        return deleteDelivered
      }
    })
  })

  const makeOne: Effect.Effect<void, JournalError> = semaphore.withPermit(makeExclusive)

  const retryForever = <A>(effect: Effect.Effect<A, JournalError>): Effect.Effect<A> =>
    Effect.matchEffect(effect, {
      onFailure: (error) => {
        const failures = health.journalFailed(error)
        health.report()
        return Effect.andThen(time.sleep(time.backoff(failures)), retryForever(effect))
      },
      onSuccess: (value) => {
        health.journalWorks()
        return Effect.succeed(value)
      }
    })

  const dueAt = (): number => {
    const unsaved = state.position - state.savedUpTo
    if (unsaved === 0 && !state.isChanged) return Number.POSITIVE_INFINITY
    // For a journal in memory a checkpoint costs nothing and frees what was read.
    if (!isDurable) return unsaved === 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
    if (unsaved >= maximumEntries || (isRequested && unsaved > 0)) return notBefore
    const isIdle = state.outbox.size === 0 && state.correlator.held === 0 && state.position === head()
    return Math.max(notBefore, madeAt + (isIdle ? INTERVAL_IDLE : INTERVAL))
  }

  const makeIfDue: Effect.Effect<void> = Effect.suspend(() => {
    if (dueAt() > time.monotonic()) return Effect.void
    return Effect.match(makeOne, {
      onFailure: (error) => {
        notBefore = time.monotonic() + time.backoff(health.journalFailed(error))
      },
      onSuccess: () => {
        health.journalWorks()
        notBefore = Number.NEGATIVE_INFINITY
      }
    })
  })

  return {
    readAhead: 2 * maximumEntries,
    make: makeOne,
    makeExclusive,
    makeIfDue,
    dueAt,
    requestCheckpoint: () => {
      isRequested = true
    },
    exclusively: (effect) => semaphore.withPermit(effect),
    retryForever
  }
}
