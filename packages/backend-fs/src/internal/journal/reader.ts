import type { JournalEntry, JournalPage } from "@tidings/core/Journal"
import type { Disk } from "../disk.ts"
import { codeOf } from "../diskError.ts"
import { entriesOf, type Line, linesIn, occurrenceOf } from "./lines.ts"
import type { Ownership } from "./ownership.ts"
import type { RecentEntries } from "./recentEntries.ts"
import { markSynced, offsetBefore, type Segment, type Segments } from "./segments.ts"
import type { JournalWriter } from "./writer.ts"

/** Where the last read of a sink ended. */
interface ReadPosition {
  readonly seq: number
  readonly segment: Segment
  readonly offset: number
}

interface Options {
  readonly disk: Disk
  readonly segments: Segments
  readonly recent: RecentEntries
  readonly writer: JournalWriter
  readonly ownership: Ownership
  /** The origin of the entries in memory. */
  readonly origin: string
}

/** @internal */
export interface Read {
  readonly page: JournalPage
  /**
   * Segments to sync before the page is returned: what was delivered has to stay in the journal, or after a power failure a
   * checkpoint would be beyond its end.
   */
  readonly unsynced: ReadonlyArray<Segment>
}

/**
 * Reads pages of entries: from memory, or from the segments.
 *
 * Seqs are dense, so a seq that cannot be found is lost: to the quota where its segment was evicted, else to damage.
 *
 * @internal
 */
export class JournalReader {
  /** Number of lines that could not be read. */
  damagedEntries = 0
  private readonly options: Options
  private readonly positions = new Map<string, ReadPosition>()

  constructor(options: Options) {
    this.options = options
  }

  /** Reads the entries of at most `max` seqs after one. */
  read(sink: string, after: number, max: number): Read {
    const { origin, recent, segments, writer } = this.options
    const page = recent.read(origin, writer.head, after, max) ?? this.readSegments(sink, after, max)
    return { page, unsynced: segments.unsynced(after, page.reached) }
  }

  private readSegments(sink: string, after: number, max: number): JournalPage {
    const { segments, writer } = this.options
    const entries: Array<JournalEntry> = []
    const lost: Array<JournalPage["lost"][number]> = []
    const limit = Math.min(writer.head, after + max)
    let reached = after
    const missingUpTo = (seq: number, reason: "quota" | "damaged") => {
      if (seq <= reached) return
      const before = lost.at(-1)
      if (before !== undefined && before.to === reached && before.reason === reason) {
        lost[lost.length - 1] = { ...before, to: seq }
      } else lost.push({ from: reached + 1, to: seq, reason })
      reached = seq
    }
    let index = this.indexOf(sink, after)
    if (index === -1) {
      index = 0
      missingUpTo(Math.min(limit, (segments.list[0]?.first ?? writer.head + 1) - 1), "quota")
    }
    for (; reached < limit; index++) {
      const segment = segments.list[index]!
      const end = Math.min(limit, segments.lastSeq(index))
      if (segment.isEvicted) {
        missingUpTo(end, "quota")
        continue
      }
      let offset = this.offsetIn(segment, sink, reached)
      for (const line of this.linesIn(segment, offset)) {
        const found = entriesOf(line)
        this.countDamage(segment, line, found.length)
        for (const entry of found) {
          if (entry.seq <= reached || entry.seq > end) continue
          missingUpTo(entry.seq - 1, "damaged")
          entries.push({ id: { origin: segment.origin, seq: entry.seq }, occurrence: occurrenceOf(entry) })
          reached = entry.seq
        }
        if (found.length > 0 && found.at(-1)!.seq > end) break
        offset = line.end
        if (reached >= end) break
      }
      missingUpTo(end, "damaged")
      if (reached >= limit) this.positions.set(sink, { seq: reached, segment, offset })
    }
    return { entries, lost, reached }
  }

  /** The lines of a segment from an offset on; none where the file was deleted, so that its seqs count as damaged. */
  private *linesIn(segment: Segment, from: number): Generator<Line, void> {
    const { disk, ownership, segments, writer } = this.options
    const open = writer.fileOf(segment)
    if (open !== undefined) return yield* linesIn(disk, open, from, segment.size)
    ownership.check()
    let opened: number
    try {
      opened = disk.openToRead(segments.pathOf(segment))
    } catch (cause) {
      if (codeOf(cause) !== "ENOENT" || !ownership.isKept()) throw cause
      // There is nothing to sync either.
      markSynced(segment, Number.POSITIVE_INFINITY)
      return
    }
    try {
      yield* linesIn(disk, opened, from, segment.size)
    } finally {
      disk.close(opened)
    }
  }

  private countDamage(segment: Segment, line: Line, entries: number): void {
    // A line that is one complete entry is the common case.
    if ((entries === 1 && line.ended) || line.end <= segment.countedTo) return
    segment.countedTo = line.end
    if (entries === 0) this.damagedEntries++
  }

  /** An offset at or before the entry after a seq. */
  private offsetIn(segment: Segment, sink: string, after: number): number {
    const known = this.positions.get(sink)
    return known?.segment === segment && known.seq === after ? known.offset : offsetBefore(segment, after + 1)
  }

  /** Index of the segment with the seq after one; -1 when that is before all segments. */
  private indexOf(sink: string, after: number): number {
    const { list } = this.options.segments
    const known = this.positions.get(sink)
    if (known !== undefined && known.seq === after) {
      const index = list.indexOf(known.segment)
      const next = list[index + 1]
      if (index !== -1 && (next === undefined || after + 1 < next.first)) return index
    }
    return list.findLastIndex(({ first }) => first <= after + 1)
  }
}
