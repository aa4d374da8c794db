/**
 * How a sink reads its journal and folds what it reads: how far it may go, and which configuration folds what.
 */
import * as Effect from "effect/Effect"
import * as Correlation from "../Correlation.ts"
import { type Journal, type JournalPage, READ_AHEAD } from "../Journal.ts"
import * as dataSize from "./dataSize.ts"
import type { SinkLedger } from "./ledger.ts"
import type { Checkpoints } from "./sinkCheckpoints.ts"
import type { Expectations } from "./sinkExpectations.ts"
import type { Health } from "./sinkHealth.ts"
import type { Signal } from "./sinkSignal.ts"
import type { SinkState } from "./sinkState.ts"
import { LAST_DELAY, type SinkTime } from "./sinkTime.ts"

const MAXIMUM_PAGE = 256
/** A page of large events is shorter, so that it takes about so many bytes at the most. */
const PAGE_BYTES = 1_048_576
/**
 * What waits for delivery takes about so many bytes at the most, in memory and in each checkpoint, whatever the data of events
 * is; what is beyond it stays in the journal.
 */
const OUTBOX_BYTES = 4_194_304

/** @internal */
export interface Reading {
  /** Up to where may be read now. */
  readonly upTo: () => number
  /** Reads one page, if one may be read, and folds it; where the journal fails it reads again after a pause. */
  readonly next: Effect.Effect<void>
  /** When such a pause is over, by the monotonic clock. */
  readonly dueAt: () => number
  /** For a start with another configuration than the correlator has that was found. */
  readonly foldAsBefore: () => void
  /** Where nothing is left that must be folded as before, the configuration of this life takes over. */
  readonly changeConfiguration: Effect.Effect<void>
}

/** @internal */
export const make = (
  options: { readonly name: string; readonly capacity: number; readonly correlation: Correlation.Options },
  parts: {
    readonly journal: Journal["Service"]
    readonly state: SinkState
    readonly ledger: SinkLedger
    readonly checkpoints: Checkpoints
    readonly expectations: Expectations
    readonly health: Health
    readonly signal: Signal
    readonly time: SinkTime
    /** The last seq that is accepted; nothing beyond it is read, though the journal may already have it. */
    readonly head: () => number
  }
): Reading => {
  const { capacity, name } = options
  const { checkpoints, expectations, head, health, journal, ledger, signal, state, time } = parts
  const { outbox } = state
  const isDurable = journal.durability !== "memory"
  // A small sink keeps little of everything.
  const maximumPage = Math.min(MAXIMUM_PAGE, capacity)
  /** Of the events of the last page. */
  let averageBytes = PAGE_BYTES / 32
  /** After a read has failed. */
  let notBefore: number | undefined
  // When all that it has fails, only what gets through tells an outage from stuck series: it reads some more to find out.
  const utmostCapacity = 2 * capacity
  const probes = Math.max(1, capacity >> 2)

  /** While it is set, what was found at the start is folded as before: up to here, then the configuration changes. */
  let foldAsBeforeUpTo: number | undefined

  const upTo = (): number => {
    const { position, savedUpTo } = state
    if (notBefore !== undefined && time.monotonic() < notBefore) return position
    const room = outbox.size < capacity || (outbox.size < utmostCapacity && outbox.allFail())
    if (!room || outbox.bytes > OUTBOX_BYTES) return position
    const page = Math.max(1, Math.min(maximumPage, Math.floor(PAGE_BYTES / averageBytes)))
    const upTo = Math.min(head(), position + (outbox.size < capacity ? page : Math.min(page, probes)))
    const saved = isDurable ? Math.min(upTo, savedUpTo + checkpoints.readAhead) : upTo
    return foldAsBeforeUpTo === undefined ? saved : Math.min(saved, foldAsBeforeUpTo)
  }

  const next: Effect.Effect<void> = Effect.suspend(() => {
    const { position } = state
    const until = upTo()
    if (until <= position) return Effect.void
    const page = Effect.suspend(() => journal.read(name, position, until - position))
    return Effect.match(page, {
      onFailure: (error) => {
        // What is read already goes on being delivered meanwhile.
        notBefore = time.monotonic() + time.backoff(health.journalFailed(error), LAST_DELAY)
      },
      onSuccess: fold
    })
  })

  const fold = ({ entries, lost, reached }: JournalPage): void => {
    notBefore = undefined
    health.journalWorks()
    const { correlator } = state
    const at = time.wall()
    for (const { from, reason = "quota", to } of lost) {
      const n = to - from + 1
      ledger.addPending(-n)
      ledger.drop(n, reason)
      expectations.abandon(from, to, reason)
    }
    let bytes = 0
    for (const { id, occurrence } of entries) {
      bytes += dataSize.estimate(occurrence)
      const { released, series } = correlator.step(id, occurrence, at)
      expectations.isRead(id.seq, series)
      for (const one of released) outbox.add(one)
    }
    if (entries.length > 0) averageBytes = bytes / entries.length
    if (isDurable) correlator.prepareSnapshot(entries.length)
    state.position = reached
    state.unreadSince = reached < head() ? (entries.at(-1)?.occurrence.at ?? state.unreadSince) : undefined
    ledger.held = correlator.held
    state.isChanged = true
    signal.lookAgain()
  }

  /**
   * What an earlier life may have read is folded with the configuration that its correlator had, or a count could be begun
   * twice. Only then, and with a checkpoint before anything else is read, the new configuration takes over.
   */
  const changeConfiguration: Effect.Effect<void> = Effect.suspend(() => {
    if (foldAsBeforeUpTo === undefined || state.position < foldAsBeforeUpTo) return Effect.void
    state.release(state.correlator.drain())
    state.correlator = new Correlation.Correlator(options.correlation)
    ledger.held = 0
    foldAsBeforeUpTo = undefined
    return checkpoints.insist(checkpoints.make)
  })

  return {
    upTo,
    next,
    dueAt: () => (notBefore !== undefined && time.monotonic() < notBefore ? notBefore : Number.POSITIVE_INFINITY),
    foldAsBefore: () => {
      foldAsBeforeUpTo = Math.min(head(), state.position + READ_AHEAD)
    },
    changeConfiguration
  }
}
