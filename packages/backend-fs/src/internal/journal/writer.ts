/**
 * Appends batches to the newest segment of a journal.
 *
 * - `write` puts a batch into the file, `commit` accepts it. Between them it can be taken back: `revoke` when it could not be made
 *   durable, `abandon` when the files may be another process's by now.
 * - Seqs are dense. The name of a segment holds its first seq, so it overrules what an older segment has from that seq on: where
 *   a rejected batch cannot be cut off, the next segment starts with the same seqs.
 * - A file whose sync failed is not written to again: the kernel may have dropped its dirty pages, and would report success for
 *   the next sync. The batch goes into a new segment, and `rewrite` replaces older segments by copies.
 * - Each opening writes segments of its own, because its entries have an origin of its own.
 *
 * Methods throw what the disk throws.
 */
import type { Occurrence } from "@tidings/core/Event"
import type * as EventId from "@tidings/core/EventId"
import type { Disk } from "../disk.ts"
import { diskFailure } from "../diskError.ts"
import { appendAll, syncNow } from "../fileOperations.ts"
import type { DirectoryEntries } from "./directoryEntries.ts"
import { segmentFile } from "./fileNames.ts"
import { EntryEncoder, linesIn } from "./lines.ts"
import type { Ownership } from "./ownership.ts"
import type { RecentEntries } from "./recentEntries.ts"
import { findEnd } from "./recovery.ts"
import { makeSegment, mark, markSynced, type Segment, type Segments } from "./segments.ts"

/** Bytes that are copied at a time. */
const COPIED = 131_072

interface Options {
  readonly disk: Disk
  readonly entries: DirectoryEntries
  readonly segments: Segments
  readonly recent: RecentEntries
  readonly ownership: Ownership
  /** The origin of what this opening accepts. */
  readonly origin: string
  /** Size in bytes after which a new segment is begun. */
  readonly segmentSize: number
}

/** @internal */
export class JournalWriter {
  /** The last accepted seq. */
  head = 0
  /** Number of appends that were not finished, and were cut off when the journal was opened. */
  tornTails = 0
  private readonly options: Options
  private readonly encoder = new EntryEncoder()
  /** The newest segment, open for appending; absent when the next append begins another one. */
  private open: { readonly file: number; readonly identity: string } | undefined
  /** The open segment is readable, and the next append begins another one. */
  private isSealed = false
  /** The open segment is being synced, and must stay open. */
  private isSyncing = false
  /** The last seq that was written, accepted or not. */
  private writtenTo = 0

  constructor(options: Options) {
    this.options = options
  }

  // -------------------------------------------------------------------------
  // opening and closing
  // -------------------------------------------------------------------------

  /** Finds the head in the newest segment, and cuts off what was never accepted. */
  recover(): void {
    const { disk, entries, segments } = this.options
    const { newest } = segments
    if (newest === undefined) return
    // The name of a segment tells the last seq of the one before it, also while it is empty.
    this.head = newest.first - 1
    if (newest.isEvicted) return
    const file = entries.openToAppend(newest.file)
    try {
      const { end, head } = findEnd(linesIn(disk, file, 0, newest.size), newest.size, this.head)
      this.head = head
      if (end === newest.size) return
      this.tornTails++
      disk.truncate(file, end)
      // It must not be there again after a power failure.
      syncNow(disk, file)
      segments.grow(newest, end - newest.size)
    } finally {
      disk.close(file)
    }
  }

  /** Never gives a seq again that a checkpoint knows. */
  raise(head: number): void {
    this.head = Math.max(this.head, head)
  }

  end(): void {
    try {
      this.keepOpen()
    } finally {
      this.close()
    }
  }

  private close(): void {
    const { open } = this
    this.open = undefined
    if (open !== undefined) this.options.disk.close(open.file)
  }

  // -------------------------------------------------------------------------
  // appending
  // -------------------------------------------------------------------------

  /** The bytes of a batch, valid until the next call. */
  encode(batch: ReadonlyArray<Occurrence>): Buffer {
    return this.encoder.encode(batch, this.head + 1)
  }

  /** Writes a batch; it is not accepted before `commit`. What a failing write left is cut off. */
  write(bytes: Buffer, count: number): void {
    const { disk, segmentSize, segments } = this.options
    let segment = segments.newest
    if (segment === undefined || this.open === undefined || this.isSealed || segment.size >= segmentSize) {
      segment = this.begin()
    }
    try {
      appendAll(disk, this.open!.file, bytes)
    } catch (cause) {
      this.cut(segment)
      throw cause
    }
    mark(segment, this.head + 1)
    segments.grow(segment, bytes.length)
    this.writtenTo = this.head + count
  }

  /** Accepts what was written last. */
  commit(batch: ReadonlyArray<Occurrence>, bytes: Buffer): ReadonlyArray<EventId.EventId> {
    const { origin, recent } = this.options
    recent.add(batch, bytes.length, this.head)
    // Without a closure in the common case.
    if (batch.length === 1) return [{ origin, seq: ++this.head }]
    return batch.map(() => ({ origin, seq: ++this.head }))
  }

  /** Takes back what was written last and could not be made durable, and closes its segment. */
  revoke(bytes: Buffer): void {
    const segment = this.options.segments.newest!
    this.options.segments.grow(segment, -bytes.length)
    const isCut = this.cut(segment)
    this.close()
    if (isCut) return
    try {
      this.begin()
    } catch {
      // The next append tries again; until then a restart would find what was rejected.
    }
  }

  /**
   * Takes back what was written last where the files may be another process's by now, so that nothing may be cut off. The next
   * segment starts with the same seqs.
   */
  abandon(bytes: Buffer): void {
    const { segments } = this.options
    segments.grow(segments.newest!, -bytes.length)
    this.isSealed = true
  }

  /** Cuts off what is not accepted; false, and the segment closed, where that fails. */
  private cut(segment: Segment): boolean {
    try {
      this.options.disk.truncate(this.open!.file, segment.size)
      return true
    } catch {
      this.close()
      return false
    }
  }

  /** Begins a segment after the head. */
  begin(): Segment {
    const { disk, entries, origin, ownership, segments } = this.options
    const first = this.head + 1
    const { newest } = segments
    const isSame = newest?.first === first
    if (isSame && newest.size === 0 && this.open !== undefined && !this.isSealed) return newest
    ownership.check()
    // Until there is another segment, the open file keeps the accepted entries readable.
    this.keepOpen()
    this.close()
    // A segment without entries is replaced.
    if (isSame) segments.removeNewest()
    const segment = makeSegment(segmentFile(first, origin, false), first, origin)
    const file = entries.create(segment.file)
    entries.changed()
    segments.list.push(segment)
    this.isSealed = false
    this.open = { file, identity: disk.statusOf(file).identity }
    return segment
  }

  // -------------------------------------------------------------------------
  // the name of the open segment
  // -------------------------------------------------------------------------

  /** Whether no name leads to the open segment any more: what is written to it is not found again. */
  get isUnlinked(): boolean {
    return this.open !== undefined && this.options.disk.isUnlinked(this.open.file)
  }

  /**
   * Puts a copy of the open segment in its place where its name leads to another file or to none. Call it before accepting what was
   * written: the next opening reads the file that has the name.
   */
  keepOpen(): void {
    const { disk, entries, segments } = this.options
    const { newest } = segments
    // An append that is being synced checks this itself before it is accepted.
    if (this.open === undefined || newest === undefined || this.isSyncing) return
    if (disk.leadsTo(segments.pathOf(newest), this.open.identity)) return
    this.rewrite(newest)
    entries.syncNow()
  }

  // -------------------------------------------------------------------------
  // syncing and reading
  // -------------------------------------------------------------------------

  /** The open file of a segment; absent when it is not open. */
  fileOf(segment: Segment): number | undefined {
    return segment === this.options.segments.newest ? this.open?.file : undefined
  }

  /** Keeps the open file open for a sync until `endSync`. */
  beginSync(): { readonly file: number; readonly segment: Segment; readonly upTo: number } {
    this.isSyncing = true
    return { file: this.open!.file, segment: this.options.segments.newest!, upTo: this.writtenTo }
  }

  endSync(): void {
    this.isSyncing = false
  }

  /** Opens a segment to sync it; absent when it was deleted meanwhile. */
  openToSync(segment: Segment): number | undefined {
    const { entries, segments } = this.options
    return segments.list.includes(segment) ? entries.openToAppend(segment.file) : undefined
  }

  /** Replaces a segment by a durable copy. */
  rewrite(segment: Segment): void {
    const { disk, entries, segments } = this.options
    if (!segments.list.includes(segment)) return
    const file = this.fileOf(segment)
    if (file !== undefined && this.isSyncing) throw diskFailure("EBUSY", "a sync failed, and another one is under way")
    const copy = entries.createTemporary(segment.file)
    let isKept = false
    try {
      const source = file ?? disk.openToRead(segments.pathOf(segment))
      try {
        const chunk = Buffer.allocUnsafe(COPIED)
        for (let at = 0; at < segment.size;) {
          const read = disk.read(source, chunk, 0, Math.min(chunk.length, segment.size - at), at)
          if (read === 0) break
          appendAll(disk, copy, chunk.subarray(0, read))
          at += read
        }
      } finally {
        if (file === undefined) disk.close(source)
      }
      syncNow(disk, copy)
      entries.replace(segment.file)
      if (file !== undefined) {
        this.close()
        this.open = { file: copy, identity: disk.statusOf(copy).identity }
        isKept = true
      }
    } finally {
      if (!isKept) disk.close(copy)
    }
    segment.isDistrusted = false
    markSynced(segment, this.head)
  }
}
