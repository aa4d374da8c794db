import type { BackendError } from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as Effect from "effect/Effect"
import type { LogDirectory } from "./directory.ts"
import type { LogIndex } from "./index/logIndex.ts"
import { visitRows } from "./index/seriesLookup.ts"
import { SeriesIndex } from "./seriesIndex.ts"

/** Number of entries of each kind that are kept of what is stored; half of them at least, which is more than one batch has. */
const MOST_ENTRIES = 131_072

/**
 * What an event log has of the origins that one writer writes for.
 *
 * An origin has one writer at a time, so the side files are asked for it only once, before its first write.
 *
 * @internal
 */
export class StoredSeries {
  readonly index = new SeriesIndex(MOST_ENTRIES)
  private readonly directory: LogDirectory
  private readonly logIndex: LogIndex

  constructor(directory: LogDirectory, logIndex: LogIndex) {
    this.directory = directory
    this.logIndex = logIndex
  }

  /** Forgets everything, for another log. */
  clear(): void {
    this.index.clear()
  }

  /** Whether what is stored is known for all origins of a batch. */
  isKnown(batch: ReadonlyArray<Write>): boolean {
    for (const { id } of batch) if (!this.index.hasOrigin(id.origin)) return false
    return true
  }

  /** Looks up the origins of a batch that are not known. */
  learn(batch: ReadonlyArray<Write>): Effect.Effect<void, BackendError> {
    return Effect.suspend(() => {
      const wanted = new Set<string>()
      for (const { id } of batch) if (!this.index.hasOrigin(id.origin)) wanted.add(id.origin)
      if (wanted.size === 0) return Effect.void
      return this.logIndex.use(({ segments }) => {
        const learned = new SeriesIndex(MOST_ENTRIES)
        for (const origin of wanted) learned.addOrigin(origin)
        const visit = (origin: string, seq: number, upTo: number): void => void learned.raise(origin, seq, upTo)
        return Effect.map(
          Effect.forEach(
            segments,
            (segment) =>
              this.directory.attempt(() => visitRows(this.logIndex, segment, wanted, Number.POSITIVE_INFINITY, visit)),
            { discard: true }
          ),
          () => this.index.adopt(learned)
        )
      })
    })
  }
}
