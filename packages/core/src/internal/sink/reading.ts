/**
 * How a sink reads its journal and folds what it reads into series: how far it may read, and with which correlation options.
 *
 * A failed read is retried with backoff, while what was read before is delivered. Entries that the journal has lost are
 * counted as dropped.
 */
import * as Effect from "effect/Effect"
import { Correlator } from "../../Correlator.ts"
import { type JournalPage, READ_AHEAD } from "../../Journal.ts"
import * as dataSize from "../dataSize.ts"
import type { Checkpoints } from "./checkpoints.ts"
import type { SinkContext } from "./context.ts"
import type { Settlements } from "./settlements.ts"

const MAXIMUM_PAGE = 256
/** Approximate maximum size of a page in bytes: with large events it has fewer of them. */
const PAGE_BYTES = 1_048_576
/**
 * Approximate maximum size in bytes of what waits for delivery, in memory and in each checkpoint; the rest stays in the
 * journal.
 */
const OUTBOX_BYTES = 4_194_304

/** @internal */
export interface Reading {
  /** The last sequence number that may be read now. */
  readonly limit: () => number
  /** Reads and folds one page, if one may be read. */
  readonly next: Effect.Effect<void>
  /** When a failed read may be retried, by the monotonic clock. */
  readonly dueAt: () => number
  /** For a start with other correlation options than those of the restored correlator. */
  readonly keepRestoredOptions: () => void
  /** Switches to the configured options, once everything is read that must be folded with the restored ones. */
  readonly applyConfiguredOptions: Effect.Effect<void>
}

/** @internal */
export const make = (context: SinkContext, checkpoints: Checkpoints, settlements: Settlements): Reading => {
  const { head, health, isDurable, journal, ledger, options, signal, state, time } = context
  const { capacity, name } = options
  const { outbox } = state
  const maximumPage = Math.min(MAXIMUM_PAGE, capacity)
  /** Average size of the events of the last page. */
  let averageBytes = PAGE_BYTES / 32
  /** Set after a read has failed. */
  let notBefore: number | undefined
  // When every series in the outbox fails, only a success distinguishes stuck series from an outage, so some more are read.
  const probingCapacity = 2 * capacity
  const probes = Math.max(1, capacity >> 2)

  /** While it is set, occurrences up to it are folded with the restored options. */
  let restoredOptionsUpTo: number | undefined

  const limit = (): number => {
    const { position, savedUpTo } = state
    if (notBefore !== undefined && time.monotonic() < notBefore) return position
    const hasRoom = outbox.size < capacity || (outbox.size < probingCapacity && outbox.allFail())
    if (!hasRoom || outbox.bytes > OUTBOX_BYTES) return position
    const page = Math.max(1, Math.min(maximumPage, Math.floor(PAGE_BYTES / averageBytes)))
    const wanted = Math.min(head(), position + (outbox.size < capacity ? page : Math.min(page, probes)))
    const allowed = isDurable ? Math.min(wanted, savedUpTo + checkpoints.readAhead) : wanted
    return restoredOptionsUpTo === undefined ? allowed : Math.min(allowed, restoredOptionsUpTo)
  }

  const next: Effect.Effect<void> = Effect.suspend(() => {
    const { position } = state
    const upTo = limit()
    if (upTo <= position) return Effect.void
    const page = Effect.suspend(() => journal.read(name, position, upTo - position))
    return Effect.match(page, {
      onFailure: (error) => {
        // What was read before is delivered meanwhile.
        notBefore = time.monotonic() + time.backoff(health.journalFailed(error))
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
      settlements.abandon(from, to, reason)
    }
    let bytes = 0
    for (const { id, occurrence } of entries) {
      bytes += dataSize.estimate(occurrence)
      const { released, series } = correlator.step(id, occurrence, at)
      settlements.isRead(id.seq, series)
      for (const pending of released) outbox.add(pending)
    }
    if (entries.length > 0) averageBytes = bytes / entries.length
    if (isDurable) correlator.prepareSnapshot(entries.length)
    state.position = reached
    state.unreadSince = reached < head() ? (entries.at(-1)?.occurrence.at ?? state.unreadSince) : undefined
    ledger.held = correlator.held
    state.markChanged()
    signal.notifyOthers()
  }

  /**
   * What an earlier opening may have read is folded with the options that its correlator had; otherwise an occurrence could
   * be counted in two series. After that, and after a checkpoint before anything else is read, the configured options
   * apply.
   */
  const applyConfiguredOptions: Effect.Effect<void> = Effect.suspend(() => {
    if (restoredOptionsUpTo === undefined || state.position < restoredOptionsUpTo) return Effect.void
    state.release(state.correlator.drain())
    state.correlator = new Correlator(options.correlation)
    ledger.held = 0
    restoredOptionsUpTo = undefined
    return checkpoints.retryForever(checkpoints.make)
  })

  return {
    limit,
    next,
    dueAt: () => (notBefore !== undefined && time.monotonic() < notBefore ? notBefore : Number.POSITIVE_INFINITY),
    keepRestoredOptions: () => {
      restoredOptionsUpTo = Math.min(head(), state.position + READ_AHEAD)
    },
    applyConfiguredOptions
  }
}
