import type { Occurrence } from "@tidings/core/Event"
import type * as EventId from "@tidings/core/EventId"
import type { JournalEntry, JournalPage } from "@tidings/core/Journal"
import * as path from "node:path"
import * as access from "./access.ts"
import type { Disk } from "./disk.ts"
import { codeOf } from "./diskError.ts"
import * as Lines from "./journalLines.ts"
import type { Ownership } from "./ownership.ts"

/** What is made anew next to an old one; nothing else ever has such a name. */
const TEMPORARY = ".new"

/**
 * Its first seq, and the origin of its ids; the first release named no origin, since a journal had one for all its life.
 *
 * @internal
 */
export const SEGMENT = /^(entries|taken)-(\d{16})(?:-([0-9a-f]{32}))?\.log$/
const nameOf = (first: number, origin: string, taken: boolean): string =>
  `${taken ? "taken" : "entries"}-${String(first).padStart(16, "0")}-${origin}.log`

/**
 * A range of the journal: from the seq in its name up to where the next one begins.
 *
 * @internal
 */
export interface Segment {
  file: string
  readonly first: number
  /** Of the opening that accepted its entries. */
  readonly origin: string
  size: number
  /** A quota took it before every sink had read it. Its name stays, and says so. */
  taken: boolean
  /** The last of its seqs that is on the disk, as far as this process knows. */
  syncedTo: number
  /** A sync of it failed: the system may have thrown away what it could not write, and would call the next one a success. */
  distrusted: boolean
  /** Up to where what is damaged was counted. */
  countedTo: number
  /** Where some of its entries begin, in order. */
  readonly marks: Array<{ readonly seq: number; readonly offset: number }>
  nextMark: number
}

/** How many bytes lie between two marks of a segment, at the least. */
const MARKED = 65_536

const segmentOf = (file: string, first: number, origin: string, size: number, taken: boolean): Segment => ({
  file,
  first,
  origin,
  size,
  taken,
  syncedTo: 0,
  distrusted: false,
  countedTo: 0,
  marks: [],
  nextMark: MARKED
})

/** How many entries are kept in memory for sinks that keep up, and how large they may be on average, in bytes. */
const MOST_RECENT = 1_024
const LARGEST_RECENT = 4_096
/** A sink that reads so far behind finds what it wants on the disk for long yet. */
const FAR_BEHIND = 8 * MOST_RECENT

/** Of what stands before the JSON of an entry. */
const LONGEST_HEAD = 64

type Lost = JournalPage["lost"][number]

interface Place {
  /** The seq that was read last. */
  readonly seq: number
  readonly segment: Segment
  readonly offset: number
}

/**
 * State that must not be passed over cannot be read.
 *
 * @internal
 */
export class Damaged extends Error {}

const UNABLE = new Set(["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EPERM", "EACCES", "EISDIR", "EBADF"])

/**
 * Some file systems cannot sync some things. Nothing better is to be had there.
 *
 * @internal
 */
export const cannotSync = (cause: unknown): boolean => UNABLE.has(codeOf(cause) ?? "")

const full = (): Error => Object.assign(new Error("the disk takes no more"), { code: "ENOSPC" })

/** @internal */
export const syncNow = (disk: Disk, file: number): void => {
  try {
    disk.sync(file)
  } catch (cause) {
    if (!cannotSync(cause)) throw cause
  }
}

const busy = (): Error => Object.assign(new Error("a sync failed, and another one is under way"), { code: "EBUSY" })

/**
 * Writes all of it, or throws.
 *
 * @internal
 */
export const appendAll = (disk: Disk, file: number, bytes: Uint8Array): void => {
  let written = disk.append(file, bytes, 0, bytes.length)
  while (written < bytes.length) {
    // A full disk takes a part first, and refuses only the rest.
    const more = disk.append(file, bytes, written, bytes.length - written)
    if (more === 0) throw full()
    written += more
  }
}

/**
 * The names in the directory of a journal: made durable together, whatever was made or moved before.
 *
 * @internal
 */
export class Names {
  private readonly disk: Disk
  readonly directory: string
  /** How often something in the directory got another name, or one at all; and how many of these are durable. */
  changes = 1
  syncedTo = 0
  /** Runs before each change of a name: paths may lead to another journal by now. Throws where they do. */
  private guard: () => void = () => {}

  constructor(disk: Disk, directory: string) {
    this.disk = disk
    this.directory = directory
  }

  guardWith(guard: () => void): void {
    this.guard = guard
  }

  pathOf(file: string): string {
    return path.join(this.directory, file)
  }

  changed(): void {
    this.changes++
  }

  get areSynced(): boolean {
    return this.syncedTo === this.changes
  }

  synced(changes: number): void {
    this.syncedTo = Math.max(this.syncedTo, changes)
  }

  syncNow(): void {
    if (this.areSynced) return
    let opened: number | undefined
    try {
      opened = this.disk.openDirectory(this.directory)
    } catch (cause) {
      if (!cannotSync(cause)) throw cause
    }
    if (opened !== undefined) {
      try {
        syncNow(this.disk, opened)
      } finally {
        this.disk.close(opened)
      }
    }
    this.synced(this.changes)
  }

  /** Removes a file that may be gone already. */
  remove(file: string): void {
    this.guard()
    try {
      this.disk.unlink(this.pathOf(file))
    } catch (cause) {
      if (codeOf(cause) !== "ENOENT") throw cause
    }
  }

  /** The permissions of new files. */
  fileMode(): number {
    return access.fileMode(this.disk.status(this.directory))
  }

  /** Makes a file. */
  create(file: string): number {
    this.guard()
    const opened = this.disk.create(this.pathOf(file), this.fileMode())
    try {
      // The directory may have been replaced between the look and the call: nothing is written to what was made elsewhere.
      this.guard()
      return opened
    } catch (cause) {
      this.disk.close(opened)
      throw cause
    }
  }

  /** Opens a file to change or sync it. */
  openToAppend(file: string): number {
    this.guard()
    return this.disk.openToAppend(this.pathOf(file))
  }

  rename(from: string, to: string): void {
    this.guard()
    this.disk.rename(this.pathOf(from), this.pathOf(to))
  }

  /** Makes a file to be filled and then put in the place of another one. */
  createTemporary(file: string): number {
    this.remove(`${file}${TEMPORARY}`)
    return this.create(`${file}${TEMPORARY}`)
  }

  /** Readers find the old file or the new one, and never a part. */
  replace(file: string): void {
    this.rename(`${file}${TEMPORARY}`, file)
    this.changed()
  }
}

/**
 * The entries of one journal. Its methods throw what the disk throws; the journal above makes errors of it.
 *
 * The names of the segments are the index: at the start only the newest segment is read, however long the backlog is.
 *
 * @internal
 */
export class JournalFiles {
  private readonly disk: Disk
  readonly names: Names
  private readonly ownership: Ownership
  private readonly origin: string
  private readonly firstOrigin: string
  private readonly segmentSize: number
  private readonly encoder = new Lines.EntryEncoder()
  private segments: Array<Segment> = []
  /** The newest segment, open for appending; absent when it is sealed. */
  private file: number | undefined
  /** Of that file. */
  private identity: string | undefined
  /** What comes next goes into another segment. */
  private isSealed = false
  /** The open segment is being synced and must stay open. */
  private syncing = false
  private readonly places = new Map<string, Place>()
  /** The last seq that was written, accepted or not. */
  private writtenTo = 0
  /** What was accepted last, up to the head: whoever keeps up needs no file. */
  private recent: Array<Occurrence> = []
  /** How far the sink has read that is ahead of the others. */
  private readTo = 0
  private isLarge = false
  head = 0
  bytes = 0
  /** Appends that were cut off at the start: their process or the machine ended before they were whole. */
  tornTails = 0
  /** Entries that were there and could not be read. */
  damagedEntries = 0

  constructor(options: {
    readonly disk: Disk
    readonly names: Names
    readonly ownership: Ownership
    /** Of this opening: what it accepts gets it. */
    readonly origin: string
    /** Of the segments whose names have none. */
    readonly firstOrigin: string
    readonly segmentSize: number
  }) {
    this.disk = options.disk
    this.names = options.names
    this.ownership = options.ownership
    this.origin = options.origin
    this.firstOrigin = options.firstOrigin
    this.segmentSize = options.segmentSize
  }

  get segmentCount(): number {
    return this.segments.length
  }

  private pathOf(segment: Segment): string {
    return this.names.pathOf(segment.file)
  }

  // -------------------------------------------------------------------------
  // start
  // -------------------------------------------------------------------------

  /** `files` is what the directory has. */
  open(files: ReadonlyArray<string>): void {
    for (const file of files) {
      if (file.endsWith(TEMPORARY)) {
        this.names.remove(file)
        continue
      }
      const match = SEGMENT.exec(file)
      if (match === null) continue
      const taken = match[1] === "taken"
      const size = this.disk.status(this.names.pathOf(file))?.size ?? 0
      const segment = segmentOf(file, Number(match[2]), match[3] ?? this.firstOrigin, size, taken)
      // It was to become empty when its process ended.
      if (taken && segment.size > 0) this.empty(segment)
      this.segments.push(segment)
      this.bytes += segment.size
    }
    this.segments.sort((a, b) => a.first - b.first)
    const newest = this.segments.at(-1)
    if (newest === undefined) return
    // One that was made and never written to tells at least where the one before it ends.
    this.head = newest.first - 1
    if (newest.taken) return
    this.file = this.names.openToAppend(newest.file)
    this.recover(newest)
    // What this opening accepts has an origin of its own, and so a segment of its own.
    this.close()
  }

  /**
   * Finds the last accepted entry, and cuts off what was never accepted after it.
   *
   * What a process or the power left half written shows by a missing line end, a missing rest of a batch, or bytes that
   * were never written. Anything else that cannot be read was whole once and changed since: it was accepted and may have
   * been delivered, so its seqs are not given again.
   */
  private recover(segment: Segment): void {
    /** The end of the last whole batch of which all entries are there. */
    let whole = { offset: 0, head: this.head }
    /** What came after the last whole batch: an entry of the next one, and how many of them. */
    let open: Lines.Entry | undefined
    let there = 0
    let damaged = 0
    /** Where bytes begin that were never written. */
    let unwritten: number | undefined
    for (const line of Lines.linesOf(this.disk, this.pathOf(segment), 0, segment.size)) {
      const found = this.entriesOf(line)
      if (found?.length !== 1 || !line.ended || line.bytes.length > found[0]!.json.length + LONGEST_HEAD) {
        if (Lines.isUnwritten(line.bytes) || (!line.ended && found === undefined)) unwritten ??= line.start
        else if (found === undefined && unwritten === undefined) damaged++
      }
      for (const entry of found ?? []) {
        there = open?.first === entry.first ? there + 1 : 1
        open = entry
        if (entry.seq < entry.last) continue
        this.head = entry.last
        const hollow = unwritten !== undefined && there <= entry.last - entry.first
        if (!hollow) whole = { offset: line.end, head: entry.last }
        open = undefined
        damaged = 0
        unwritten = undefined
      }
    }
    let end = whole.offset
    if (damaged > 0) {
      this.head = Math.max(open?.last ?? 0, this.head + damaged)
      end = unwritten ?? segment.size
    } else this.head = whole.head
    if (end === segment.size) return
    this.tornTails++
    this.disk.truncate(this.file!, end)
    // Or it would be back after a loss of power.
    syncNow(this.disk, this.file!)
    this.bytes -= segment.size - end
    segment.size = end
  }

  /** The entries in a line; absent when nothing in it can be read. */
  private entriesOf({ bytes, ended }: Lines.Line): ReadonlyArray<Lines.Entry> | undefined {
    const entry = ended ? Lines.entryIn(bytes) : undefined
    if (entry !== undefined) return [entry]
    // An entry without its line end was not finished; one with another byte in that place was, once.
    const found = Lines.entriesIn(ended ? bytes : bytes.subarray(0, -1))
    return found.length === 0 ? undefined : found
  }

  /** What is known to have been given, by whatever else, is never given again. */
  raise(head: number): void {
    if (head <= this.head) return
    this.head = head
    this.close()
  }

  end(): void {
    try {
      this.keepOpen()
    } finally {
      this.close()
    }
  }

  private close(): void {
    const { file } = this
    this.file = undefined
    if (file !== undefined) this.disk.close(file)
  }

  // -------------------------------------------------------------------------
  // append
  // -------------------------------------------------------------------------

  /** What an append of these occurrences writes; good until the next one is asked for. */
  encode(batch: ReadonlyArray<Occurrence>): Buffer {
    return this.encoder.encode(batch, this.head + 1)
  }

  /** Writes; nothing is accepted before `commit`. What a failing write leaves behind is taken back. */
  write(bytes: Buffer, count: number): void {
    let segment = this.segments.at(-1)
    const isFull = this.isSealed || segment === undefined || segment.size >= this.segmentSize
    if (segment === undefined || this.file === undefined || isFull) segment = this.begin()
    try {
      appendAll(this.disk, this.file!, bytes)
    } catch (cause) {
      this.cut(segment)
      throw cause
    }
    if (segment.size >= segment.nextMark) {
      segment.marks.push({ seq: this.head + 1, offset: segment.size })
      segment.nextMark = segment.size + MARKED
    }
    segment.size += bytes.length
    this.bytes += bytes.length
    this.writtenTo = this.head + count
    this.isLarge = bytes.length > LARGEST_RECENT * count
  }

  /** What was written last is accepted. */
  commit(batch: ReadonlyArray<Occurrence>): ReadonlyArray<EventId.EventId> {
    this.remember(batch)
    const { origin } = this
    if (batch.length === 1) return [{ origin, seq: ++this.head }]
    return batch.map(() => ({ origin, seq: ++this.head }))
  }

  private remember(batch: ReadonlyArray<Occurrence>): void {
    // During an outage nothing is kept for nobody.
    const isUnread = this.head - this.readTo > FAR_BEHIND
    if (this.isLarge || isUnread) this.recent = []
    else if (batch.length === 1) this.recent.push(batch[0]!)
    else this.recent = this.recent.concat(batch)
    if (this.recent.length > 2 * MOST_RECENT) this.recent = this.recent.slice(-MOST_RECENT)
  }

  /** The first seq that is still in memory. */
  private get recentFrom(): number {
    return this.head - this.recent.length + 1
  }

  /**
   * Takes back what was written last and could not be made durable. No more is written to that segment: a file whose sync
   * failed is never trusted again.
   */
  revoke(bytes: Buffer): void {
    const segment = this.segments.at(-1)!
    segment.size -= bytes.length
    this.bytes -= bytes.length
    const clean = this.cut(segment)
    this.close()
    if (clean) return
    try {
      this.begin()
    } catch {
      // The next append tries again; only until then a restart would find what was refused.
    }
  }

  /**
   * What was written last is not accepted, because the files may be another process's by now; so nothing is cut off either. Where
   * this journal gets them back, the next segment begins with the same seqs, and its name rules.
   */
  abandon(bytes: Buffer): void {
    const segment = this.segments.at(-1)!
    segment.size -= bytes.length
    this.bytes -= bytes.length
    this.isSealed = true
  }

  /** Whether no name leads to the open segment any more: what is written to it is certainly not found again. */
  get isUnlinked(): boolean {
    return this.file !== undefined && this.disk.isUnlinked(this.file)
  }

  /** Before what was written last is accepted: of a segment that was deleted the name is there no more, and no other has it. */
  keepNamed(): void {
    if (!this.disk.exists(this.pathOf(this.segments.at(-1)!))) this.keepOpen()
  }

  /** Puts the open segment back in its place, with the same bytes, when its name leads to another file or to none. */
  keepOpen(): void {
    const newest = this.segments.at(-1)
    // An append that is being synced looks itself before it is accepted.
    if (this.file === undefined || this.identity === undefined || newest === undefined || this.syncing) return
    if (this.disk.leadsTo(this.pathOf(newest), this.identity)) return
    this.rewrite(newest)
    this.names.syncNow()
  }

  /** Cuts off what is not accepted. Where that fails, the next segment begins with its seqs, and its name rules. */
  private cut(segment: Segment): boolean {
    try {
      this.disk.truncate(this.file!, segment.size)
      return true
    } catch {
      this.close()
      return false
    }
  }

  /** Begins a segment. Its name says where the one before it ends. */
  begin(): Segment {
    const first = this.head + 1
    const next = segmentOf(nameOf(first, this.origin, false), first, this.origin, 0, false)
    const newest = this.segments.at(-1)
    const same = newest?.first === next.first
    if (same && newest.size === 0 && this.file !== undefined && !this.isSealed) return newest
    // What is accepted stays readable through the open file for as long as there is no other one.
    this.ownership.check()
    this.keepOpen()
    this.close()
    // A segment that nothing was accepted into makes room for its successor.
    if (same) this.removeLast(newest)
    this.file = this.names.create(next.file)
    this.identity = this.disk.statusOf(this.file).identity
    this.isSealed = false
    this.names.changed()
    this.segments.push(next)
    return next
  }

  private removeLast(segment: Segment): void {
    this.names.remove(segment.file)
    this.segments.pop()
    this.bytes -= segment.size
  }

  // -------------------------------------------------------------------------
  // durable
  // -------------------------------------------------------------------------

  /** What was written last is being synced: until `endSync` its file stays open. */
  beginSync(): { readonly opened: number; readonly segment: Segment; readonly upTo: number } {
    this.syncing = true
    return { opened: this.file!, segment: this.segments.at(-1)!, upTo: this.writtenTo }
  }

  endSync(): void {
    this.syncing = false
  }

  synced(segment: Segment, upTo: number): void {
    segment.syncedTo = Math.max(segment.syncedTo, upTo)
  }

  /** A file of its own; absent when the segment was deleted meanwhile, and is needed by nobody. */
  openToSync(segment: Segment): number | undefined {
    return this.segments.includes(segment) ? this.names.openToAppend(segment.file) : undefined
  }

  /** Puts a new file with the same bytes in the place of a segment. */
  rewrite(segment: Segment): void {
    if (!this.segments.includes(segment)) return
    const open = this.file !== undefined && segment === this.segments.at(-1)
    if (open && this.syncing) throw busy()
    const copy = this.names.createTemporary(segment.file)
    let kept = false
    try {
      const source = open ? this.file! : this.disk.openToRead(this.pathOf(segment))
      try {
        const chunk = Buffer.allocUnsafe(131_072)
        for (let at = 0; at < segment.size;) {
          const read = this.disk.read(source, chunk, 0, Math.min(chunk.length, segment.size - at), at)
          if (read === 0) break
          appendAll(this.disk, copy, chunk.subarray(0, read))
          at += read
        }
      } finally {
        if (!open) this.disk.close(source)
      }
      syncNow(this.disk, copy)
      this.names.replace(segment.file)
      if (open) {
        this.close()
        this.file = copy
        this.identity = this.disk.statusOf(copy).identity
        kept = true
      }
    } finally {
      if (!kept) this.disk.close(copy)
    }
    segment.distrusted = false
    this.synced(segment, this.head)
  }

  // -------------------------------------------------------------------------
  // read
  // -------------------------------------------------------------------------

  /**
   * Covers `max` seqs at the most. Seqs are dense, so whatever is missing is lost: taken by a quota where its segment is,
   * damaged where its segment is there.
   *
   * `unsynced` are the segments that have to be synced before anybody sees the page: what has left the machine must stay in
   * the journal, or after a loss of power a checkpoint would stand beyond what is there.
   */
  read(
    sink: string,
    after: number,
    max: number
  ): { readonly page: JournalPage; readonly unsynced: ReadonlyArray<Segment> } {
    const entries: Array<JournalEntry> = []
    const lost: Array<Lost> = []
    const limit = Math.min(this.head, after + max)
    let reached = after
    this.readTo = Math.max(this.readTo, limit)
    const recent = this.readFromMemory(after, max)
    if (recent !== undefined) return { page: recent, unsynced: this.unsynced(after, recent.reached) }
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
      missingUpTo(Math.min(limit, (this.segments[0]?.first ?? this.head + 1) - 1), "quota")
    }
    for (; reached < limit; index++) {
      const segment = this.segments[index]!
      const end = Math.min(limit, (this.segments[index + 1]?.first ?? Number.POSITIVE_INFINITY) - 1)
      if (segment.taken) {
        missingUpTo(end, "quota")
        continue
      }
      let offset = this.offsetIn(segment, sink, reached)
      for (const line of this.linesIn(segment, offset)) {
        const found = this.entriesOf(line)
        if (found === undefined || found.length > 1 || !line.ended) this.countDamage(segment, line, found)
        const beyond = found !== undefined && found.at(-1)!.seq > end
        for (const entry of found ?? []) {
          if (entry.seq <= reached || entry.seq > end) continue
          missingUpTo(entry.seq - 1, "damaged")
          entries.push({ id: { origin: segment.origin, seq: entry.seq }, occurrence: Lines.occurrenceOf(entry) })
          reached = entry.seq
        }
        if (beyond) break
        offset = line.end
        if (reached >= end) break
      }
      missingUpTo(end, "damaged")
      if (reached >= limit) this.places.set(sink, { seq: reached, segment, offset })
    }
    return { page: { entries, lost, reached }, unsynced: this.unsynced(after, reached) }
  }

  /** The lines of a segment from a place on; none where it was deleted, so that what stood in it is counted as damaged. */
  private *linesIn(segment: Segment, from: number): Generator<Lines.Line, void> {
    if (this.file !== undefined && segment === this.segments.at(-1)) {
      return yield* Lines.linesIn(this.disk, this.file, from, segment.size)
    }
    this.ownership.check()
    let opened: number
    try {
      opened = this.disk.openToRead(this.pathOf(segment))
    } catch (cause) {
      if (codeOf(cause) !== "ENOENT" || !this.ownership.isKept()) throw cause
      // Nor is there anything to be synced.
      this.synced(segment, Number.POSITIVE_INFINITY)
      return
    }
    try {
      yield* Lines.linesIn(this.disk, opened, from, segment.size)
    } finally {
      this.disk.close(opened)
    }
  }

  /** What of it is in memory; absent where a part of it is not. */
  private readFromMemory(after: number, max: number): JournalPage | undefined {
    const { recentFrom } = this
    if (after + 1 < recentFrom) return undefined
    const entries: Array<JournalEntry> = []
    const limit = Math.min(this.head, after + max)
    let reached = after
    for (; reached < limit; reached++) {
      // What is in memory was accepted by this opening.
      const id = { origin: this.origin, seq: reached + 1 }
      entries.push({ id, occurrence: this.recent[id.seq - recentFrom]! })
    }
    return { entries, lost: [], reached }
  }

  /** The segments that have seqs beyond `after` and up to `upTo` which may not be on the disk. */
  private unsynced(after: number, upTo: number): ReadonlyArray<Segment> {
    const newest = this.segments.at(-1)
    // Nearly always it is in the last one.
    if (newest !== undefined && newest.first <= after + 1) return newest.syncedTo < upTo ? [newest] : []
    return this.segments.filter(({ first, syncedTo, taken }, index) => {
      const last = Math.min(upTo, (this.segments[index + 1]?.first ?? Number.POSITIVE_INFINITY) - 1)
      return !taken && first <= upTo && last > after && syncedTo < last
    })
  }

  /** Where in a segment the first entry after a seq begins, or something before it. */
  private offsetIn(segment: Segment, sink: string, after: number): number {
    const known = this.places.get(sink)
    if (known !== undefined && known.segment === segment && known.seq === after) return known.offset
    return segment.marks.findLast(({ seq }) => seq <= after + 1)?.offset ?? 0
  }

  private countDamage(segment: Segment, line: Lines.Line, found: ReadonlyArray<unknown> | undefined): void {
    if (line.end <= segment.countedTo) return
    segment.countedTo = line.end
    if (found === undefined) this.damagedEntries++
  }

  /** Where the segment is in which the seqs after this one stand; -1 when they are before all that is kept. */
  private indexOf(sink: string, after: number): number {
    const known = this.places.get(sink)
    if (known !== undefined && known.seq === after) {
      const index = this.segments.indexOf(known.segment)
      const next = this.segments[index + 1]
      if (index !== -1 && (next === undefined || after + 1 < next.first)) return index
    }
    return this.segments.findLastIndex(({ first }) => first <= after + 1)
  }

  // -------------------------------------------------------------------------
  // freeing
  // -------------------------------------------------------------------------

  /** Deletes the segments that end at `upTo` or before it. The newest one always stays: it has the seqs. */
  freeUpTo(upTo: number): boolean {
    let freed = false
    while (this.segments.length > 1 && this.segments[1]!.first - 1 <= upTo) {
      try {
        this.names.remove(this.segments[0]!.file)
      } catch {
        // What cannot be deleted now is tried again with the next checkpoint.
        break
      }
      this.bytes -= this.segments.shift()!.size
      freed = true
    }
    return freed
  }

  /**
   * Deletes the oldest segment that may be taken; answers whether there was one. Its name stays behind with nothing in it,
   * so that readers know why there is nothing; where the name before it tells as much, none is needed.
   */
  take(mayBeTaken: (from: number, to: number) => boolean): boolean {
    for (let index = 0; index < this.segments.length - 1; index++) {
      const segment = this.segments[index]!
      const next = this.segments[index + 1]!.first
      if (segment.taken || !mayBeTaken(segment.first, next - 1)) continue
      // When this one is gone after a loss of power, those after it have to be there.
      this.names.syncNow()
      if (index === 0 || this.segments[index - 1]!.taken) {
        this.names.remove(segment.file)
        this.segments.splice(index, 1)
      } else {
        const file = nameOf(segment.first, segment.origin, true)
        this.names.rename(segment.file, file)
        segment.file = file
        segment.taken = true
      }
      this.names.changed()
      this.bytes -= segment.size
      // What is gone for the next process is gone for this one too.
      this.recent = this.recent.slice(Math.max(0, next - this.recentFrom))
      if (segment.taken) this.empty(segment)
      return true
    }
    return false
  }

  private empty(segment: Segment): void {
    const file = this.names.openToAppend(segment.file)
    try {
      this.disk.truncate(file, 0)
    } finally {
      this.disk.close(file)
    }
    segment.size = 0
  }
}
