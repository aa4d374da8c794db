import type { BackendError } from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as Effect from "effect/Effect"
import type { LogDirectory } from "./directory.ts"
import type { LogRecord } from "./line.ts"
import * as LogPosition from "./position.ts"
import type { DamageLedger } from "./segment.ts"
import { LogView } from "./view.ts"
import { SeriesIndex } from "./seriesIndex.ts"

/** Number of entries of each kind that are kept of what is stored. */
const MOST_ENTRIES = 65_536

/** Number of origins that are known to be in the log; beyond that, the log is searched for each new one. */
const MOST_SEEN = 4_194_304

/** 30 bits of an origin, enough to tell that it was not seen. */
const hashOf = (origin: string): number => {
  let hash = 0x811c9dc5
  for (let index = 0; index < origin.length; index++) hash = Math.imul(hash ^ origin.charCodeAt(index), 0x01000193)
  return (hash ^ (hash >>> 15)) & 0x3fffffff
}

/**
 * What an event log has of the origins that one writer writes for.
 *
 * An origin has one writer at a time, so the log is searched for it only once, before its first write. The search reads what was
 * appended since the last one, and the whole log only when the origin may have been among those seen before.
 *
 * @internal
 */
export class StoredSeries {
  readonly index = new SeriesIndex(MOST_ENTRIES)
  private readonly directory: LogDirectory
  private readonly ledger: DamageLedger
  /** Hashes of the origins in the log up to `seenTo`. */
  private readonly seen = new Set<number>()
  private seenTo = LogPosition.beginning

  constructor(directory: LogDirectory, ledger: DamageLedger) {
    this.directory = directory
    this.ledger = ledger
  }

  /** Forgets everything, for another log. */
  clear(): void {
    this.index.clear()
    this.seen.clear()
    this.seenTo = LogPosition.beginning
  }

  /** Whether what is stored is known for all origins of a batch. */
  isKnown(batch: ReadonlyArray<Write>): boolean {
    for (const { id } of batch) if (!this.index.hasOrigin(id.origin)) return false
    return true
  }

  /** Searches the log for the origins of a batch that are not known. */
  learn(batch: ReadonlyArray<Write>): Effect.Effect<void, BackendError> {
    return Effect.suspend(() => {
      const wanted = new Set<string>()
      for (const { id } of batch) if (!this.index.hasOrigin(id.origin)) wanted.add(id.origin)
      if (wanted.size === 0) return Effect.void
      let again = this.seen.size >= MOST_SEEN
      for (const origin of wanted) again ||= this.seen.has(hashOf(origin))
      const from = again ? LogPosition.beginning : this.seenTo
      const learned = new SeriesIndex(MOST_ENTRIES)
      for (const origin of wanted) learned.addOrigin(origin)
      let lastOrigin = ""
      const visit = (record: LogRecord): void => {
        const { origin } = record
        if (wanted.has(origin)) learned.raise(origin, record.seq, record.upTo)
        if (origin === lastOrigin) return
        lastOrigin = origin
        if (this.seen.size < MOST_SEEN) this.seen.add(hashOf(origin))
      }
      return Effect.map(
        LogView.use(this.directory, (view) => view.scan(this.ledger, visit, { from })),
        (end) => {
          this.seenTo = end
          this.index.adopt(learned)
        }
      )
    })
  }
}
