import { closing } from "../fileOperations.ts"
import type { Disk } from "../disk.ts"
import type { DirectoryEntries } from "./directoryEntries.ts"
import { isTemporary, parseSegment, segmentFile } from "./fileNames.ts"

/**
 * A range of seqs: from the one in the name of the file, up to where the next segment starts.
 *
 * @internal
 */
export interface Segment {
  file: string
  readonly first: number
  /** The origin of its entries: a segment holds those of one opening. */
  readonly origin: string
  size: number
  /** Whether the quota evicted it before every sink had read it. Its name stays, and readers report the range as lost. */
  isEvicted: boolean
  /** The last of its seqs that is durable, as far as this process knows. */
  syncedTo: number
  /** A sync of it failed: the kernel may have dropped its dirty pages, and would report success for the next sync. */
  isDistrusted: boolean
  /** Offset up to which damage was counted. */
  countedTo: number
  /** Offsets of some of its entries, in order. */
  readonly marks: Array<{ readonly seq: number; readonly offset: number }>
  nextMark: number
}

/** Minimum distance between two marks of a segment, in bytes. */
const MARK_DISTANCE = 65_536

/** @internal */
export const makeSegment = (file: string, first: number, origin: string, size = 0, isEvicted = false): Segment => ({
  file,
  first,
  origin,
  size,
  isEvicted,
  syncedTo: 0,
  isDistrusted: false,
  countedTo: 0,
  marks: [],
  nextMark: MARK_DISTANCE
})

/**
 * Marks that an entry is about to be written at the end of a segment.
 *
 * @internal
 */
export const mark = (segment: Segment, seq: number): void => {
  if (segment.size < segment.nextMark) return
  segment.marks.push({ seq, offset: segment.size })
  segment.nextMark = segment.size + MARK_DISTANCE
}

/**
 * An offset at or before the entry with a seq.
 *
 * @internal
 */
export const offsetBefore = (segment: Segment, seq: number): number =>
  segment.marks.findLast((mark) => mark.seq <= seq)?.offset ?? 0

/** @internal */
export const markSynced = (segment: Segment, upTo: number): void => {
  segment.syncedTo = Math.max(segment.syncedTo, upTo)
}

/**
 * The segments of a journal, oldest first.
 *
 * The names of the files are the index: opening a journal reads only its newest segment, however long the backlog is.
 *
 * @internal
 */
export class Segments {
  readonly list: Array<Segment> = []
  /** Size of all segments together. */
  bytes = 0
  private readonly disk: Disk
  private readonly entries: DirectoryEntries

  constructor(disk: Disk, entries: DirectoryEntries) {
    this.disk = disk
    this.entries = entries
  }

  /** Adds the segments among the files of the directory, and removes what an earlier process left unfinished. */
  load(files: ReadonlyArray<string>, firstOrigin: string): void {
    for (const file of files) {
      if (isTemporary(file)) {
        this.entries.remove(file)
        continue
      }
      const name = parseSegment(file)
      if (name === undefined) continue
      const size = this.disk.status(this.entries.pathOf(file))?.size ?? 0
      const segment = makeSegment(file, name.first, name.origin ?? firstOrigin, size, name.isEvicted)
      // Its process ended between the two steps of the eviction.
      if (name.isEvicted && size > 0) this.empty(segment)
      this.list.push(segment)
      this.bytes += segment.size
    }
    this.list.sort((a, b) => a.first - b.first)
  }

  get newest(): Segment | undefined {
    return this.list.at(-1)
  }

  pathOf(segment: Segment): string {
    return this.entries.pathOf(segment.file)
  }

  /** The last seq of a segment; infinity for the newest. */
  lastSeq(index: number): number {
    return (this.list[index + 1]?.first ?? Number.POSITIVE_INFINITY) - 1
  }

  /** Changes the size of a segment by a number of bytes. */
  grow(segment: Segment, bytes: number): void {
    segment.size += bytes
    this.bytes += bytes
  }

  removeNewest(): void {
    const segment = this.newest!
    this.entries.remove(segment.file)
    this.list.pop()
    this.bytes -= segment.size
  }

  /** The segments with seqs after one and up to another that may not be durable. */
  unsynced(after: number, upTo: number): ReadonlyArray<Segment> {
    const { newest } = this
    // In nearly all cases it is the newest.
    if (newest !== undefined && newest.first <= after + 1) return newest.syncedTo < upTo ? [newest] : []
    return this.list.filter(({ first, isEvicted, syncedTo }, index) => {
      const last = Math.min(upTo, this.lastSeq(index))
      return !isEvicted && first <= upTo && last > after && syncedTo < last
    })
  }

  /** Deletes the segments that end at a seq or before it, except the newest, whose name holds the seq. */
  freeUpTo(upTo: number): void {
    while (this.list.length > 1 && this.lastSeq(0) <= upTo) {
      try {
        this.entries.remove(this.list[0]!.file)
      } catch {
        // The next checkpoint tries again.
        return
      }
      this.bytes -= this.list.shift()!.size
    }
  }

  /**
   * Evicts the oldest segment that may be evicted; false when there is none. The file stays, renamed and empty, so that readers
   * know why its seqs are missing; where the segment before it tells the same, it is deleted.
   */
  evictOldest(isEvictable: (from: number, to: number) => boolean, evicted: (last: number) => void): boolean {
    for (let index = 0; index < this.list.length - 1; index++) {
      const segment = this.list[index]!
      const last = this.lastSeq(index)
      if (segment.isEvicted || !isEvictable(segment.first, last)) continue
      // The segments after it have to be durable before this one is gone.
      this.entries.syncNow()
      if (index === 0 || this.list[index - 1]!.isEvicted) {
        this.entries.remove(segment.file)
        this.list.splice(index, 1)
      } else {
        const file = segmentFile(segment.first, segment.origin, true)
        this.entries.rename(segment.file, file)
        segment.file = file
        segment.isEvicted = true
      }
      this.entries.changed()
      this.bytes -= segment.size
      evicted(last)
      if (segment.isEvicted) this.empty(segment)
      return true
    }
    return false
  }

  private empty(segment: Segment): void {
    closing(this.disk, this.entries.openToAppend(segment.file), (file) => this.disk.truncate(file, 0))
    segment.size = 0
  }
}
