import type { Occurrence } from "@tidings/core/Event"
import type { JournalEntry, JournalPage } from "@tidings/core/Journal"

/** Number of entries that are kept, and their greatest average size in bytes. */
const MOST_ENTRIES = 1_024
const LARGEST_ENTRY = 4_096
/** Number of unread entries above which nothing is kept, as during an outage. */
const FAR_BEHIND = 8 * MOST_ENTRIES

/**
 * The entries that were accepted last, up to the head of the journal: a sink that keeps up reads no file.
 *
 * @internal
 */
export class RecentEntries {
  private occurrences: Array<Occurrence> = []
  /** The last seq that the foremost sink has read. */
  private readTo = 0

  /** Adds a batch that was accepted after the seq `head`, and takes `bytes` bytes as lines. */
  add(batch: ReadonlyArray<Occurrence>, bytes: number, head: number): void {
    if (bytes > LARGEST_ENTRY * batch.length || head - this.readTo > FAR_BEHIND) this.occurrences = []
    else if (batch.length === 1) this.occurrences.push(batch[0]!)
    else this.occurrences = this.occurrences.concat(batch)
    if (this.occurrences.length > 2 * MOST_ENTRIES) this.occurrences = this.occurrences.slice(-MOST_ENTRIES)
  }

  /** The entries after a seq; absent when not all of them are kept. They are of `origin`, the opening that accepted them. */
  read(origin: string, head: number, after: number, max: number): JournalPage | undefined {
    const limit = Math.min(head, after + max)
    this.readTo = Math.max(this.readTo, limit)
    const first = this.firstSeq(head)
    if (after + 1 < first) return undefined
    const entries: Array<JournalEntry> = []
    let reached = after
    for (; reached < limit; reached++) {
      const id = { origin, seq: reached + 1 }
      entries.push({ id, occurrence: this.occurrences[id.seq - first]! })
    }
    return { entries, lost: [], reached }
  }

  /** Drops the entries up to a seq, where they were evicted: the next process cannot read them either. */
  dropUpTo(seq: number, head: number): void {
    this.occurrences = this.occurrences.slice(Math.max(0, seq + 1 - this.firstSeq(head)))
  }

  private firstSeq(head: number): number {
    return head - this.occurrences.length + 1
  }
}
