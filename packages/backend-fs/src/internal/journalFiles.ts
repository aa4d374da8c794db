import type { Occurrence } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { Checkpoint, JournalEntry, JournalPage, Parked } from "@tidings/core/Journal"
import * as path from "node:path"
import { crc32 } from "node:zlib"
import type { Disk } from "./disk.ts"
import { codeOf } from "./diskError.ts"

/**
 * A record of a journal's file is one line: `<crc32> TAB <seq> TAB <last> TAB <json> LF`.
 *
 * `last` is the seq of the last record that was appended with it. A batch is whole when that record is there: what is not
 * whole at the end of a file was never answered, and is cut off.
 */
const LF = 0x0a
const CRC_DIGITS = 8
const READ_BYTES = 262_144

/** A segment and a checkpoint are made anew next to the old one; nothing else ever has such a name. */
const TEMPORARY = ".new"

/** @internal */
export interface Segment {
  readonly file: string
  /** The seq of its first record. */
  readonly first: number
  size: number
}

const SEGMENT = /^entries-(\d{16})\.log$/
const segmentFile = (first: number): string => `entries-${String(first).padStart(16, "0")}.log`

const fileOf = (sink: string): string => `sink-${Buffer.from(sink).toString("base64url")}`

const checksum = (body: string): string => crc32(body).toString(16).padStart(CRC_DIGITS, "0")

const lineOf = (body: string): string => `${checksum(body)}\t${body}\n`

/** The body of a line, when its checksum is right. */
const bodyOf = (line: string): string | undefined => {
  const body = line.slice(CRC_DIGITS + 1)
  return line.charAt(CRC_DIGITS) === "\t" && line.slice(0, CRC_DIGITS) === checksum(body) ? body : undefined
}

interface Record {
  readonly seq: number
  readonly last: number
  readonly json: string
}

const recordOf = (line: string): Record | undefined => {
  const body = bodyOf(line)
  if (body === undefined) return undefined
  const first = body.indexOf("\t")
  const second = body.indexOf("\t", first + 1)
  if (first === -1 || second === -1) return undefined
  return {
    seq: Number(body.slice(0, first)),
    last: Number(body.slice(first + 1, second)),
    json: body.slice(second + 1)
  }
}

type Lost = JournalPage["lost"][number]

interface Place {
  /** The seq that was read last. */
  readonly seq: number
  readonly segment: Segment
  readonly offset: number
}

/**
 * The files of one journal. Its methods throw what the disk throws; the journal above makes errors of it.
 *
 * The names of the segments are the index: at the start only the newest segment is read, however long the backlog is.
 *
 * @internal
 */
export class JournalFiles {
  private readonly disk: Disk
  private readonly directory: string
  private readonly origin: string
  private readonly segmentSize: number
  private readonly durable: boolean
  private segments: Array<Segment> = []
  private file: number | undefined
  private readonly places = new Map<string, Place>()
  head = 0
  bytes = 0
  /** Tails cut off at the start: a process ended in the middle of an append. */
  tornTails = 0
  /** Records that were there and could not be read. */
  damagedRecords = 0

  constructor(options: {
    readonly disk: Disk
    readonly directory: string
    readonly origin: string
    readonly segmentSize: number
    readonly durable: boolean
  }) {
    this.disk = options.disk
    this.directory = options.directory
    this.origin = options.origin
    this.segmentSize = options.segmentSize
    this.durable = options.durable
  }

  get segmentCount(): number {
    return this.segments.length
  }

  /** The first seq that is still kept; one more than the head when nothing is. */
  get first(): number {
    return this.segments[0]?.first ?? this.head + 1
  }

  // -------------------------------------------------------------------------
  // start
  // -------------------------------------------------------------------------

  open(): void {
    for (const name of this.disk.list(this.directory)) {
      if (name.endsWith(TEMPORARY)) {
        this.disk.unlink(this.pathOf(name))
        continue
      }
      const match = SEGMENT.exec(name)
      if (match === null) continue
      const size = this.disk.status(this.pathOf(name))?.size ?? 0
      this.segments.push({ file: name, first: Number(match[1]), size })
      this.bytes += size
    }
    this.segments.sort((a, b) => a.first - b.first)
    // A segment that was made and never written to tells at least where the one before it ends.
    const newest = this.segments.at(-1)
    if (newest === undefined) return
    this.head = newest.first - 1
    this.file = this.disk.openToAppend(this.pathOf(newest.file))
    this.recoverTail(newest)
  }

  /** Finds the last whole batch of the newest segment, and cuts off what follows it. */
  private recoverTail(segment: Segment): void {
    let wholeUpTo = 0
    for (const { end, line } of this.linesOf(segment, 0)) {
      const record = line === undefined ? undefined : recordOf(line)
      // A damaged line in the middle is passed over when it is read; only what nothing whole follows is a torn tail.
      if (record === undefined) continue
      if (record.seq === record.last) {
        this.head = record.last
        wholeUpTo = end
      }
    }
    if (wholeUpTo === segment.size) return
    this.tornTails++
    this.disk.truncate(this.file!, wholeUpTo)
    if (this.durable) this.disk.sync(this.file!)
    this.bytes -= segment.size - wholeUpTo
    segment.size = wholeUpTo
  }

  close(): void {
    if (this.file !== undefined) this.disk.close(this.file)
    this.file = undefined
  }

  // -------------------------------------------------------------------------
  // append
  // -------------------------------------------------------------------------

  /** What an append of these occurrences would write. */
  encode(batch: ReadonlyArray<Occurrence>): Buffer {
    const last = this.head + batch.length
    let text = ""
    for (const [index, occurrence] of batch.entries()) {
      text += lineOf(`${this.head + index + 1}\t${last}\t${JSON.stringify(occurrence)}`)
    }
    return Buffer.from(text)
  }

  /** Writes; nothing is accepted before `commit`. What a failing write leaves behind is taken back. */
  write(bytes: Buffer): void {
    const segment = this.writable()
    let written = 0
    try {
      while (written < bytes.length) {
        const more = this.disk.append(this.file!, bytes, written, bytes.length - written)
        if (more === 0) throw Object.assign(new Error("the disk took nothing"), { code: "ENOSPC" })
        written += more
      }
    } catch (cause) {
      if (written > 0) this.takeBack(segment)
      throw cause
    }
    segment.size += bytes.length
    this.bytes += bytes.length
  }

  /** The batch is accepted: as far as the operating system knows, or, after a sync, as far as the disk knows. */
  commit(count: number): ReadonlyArray<EventId.EventId> {
    const ids: Array<EventId.EventId> = []
    for (let n = 0; n < count; n++) ids.push({ origin: this.origin, seq: ++this.head })
    return ids
  }

  /** Takes back what was written last and could not be made durable, and seals the segment: see `seal`. */
  revoke(bytes: Buffer): void {
    const segment = this.segments.at(-1)!
    segment.size -= bytes.length
    this.bytes -= bytes.length
    try {
      this.disk.truncate(this.file!, segment.size)
    } catch {
      // The next segment begins with the seqs of what stays behind here, and its name rules.
    }
    this.seal()
  }

  syncLater(done: (cause: unknown) => void): void {
    this.disk.syncLater(this.file!, done)
  }

  /**
   * No more is written to this segment. After a failed sync the operating system may have thrown away what it could not
   * write and call the next sync a success, so a file whose sync failed is never trusted again.
   */
  private seal(): void {
    this.close()
  }

  private takeBack(segment: Segment): void {
    try {
      this.disk.truncate(this.file!, segment.size)
    } catch {
      this.seal()
    }
  }

  private writable(): Segment {
    const newest = this.segments.at(-1)
    if (newest !== undefined && this.file !== undefined && newest.size < this.segmentSize) return newest
    const next: Segment = { file: segmentFile(this.head + 1), first: this.head + 1, size: 0 }
    // A sealed segment that nothing was accepted into has the very name of its successor.
    if (newest !== undefined && newest.first === next.first) {
      this.segments.pop()
      this.bytes -= newest.size
      this.disk.unlink(this.pathOf(newest.file))
    }
    const opened = this.disk.create(this.pathOf(next.file), 0o600)
    this.close()
    this.file = opened
    this.segments.push(next)
    if (this.durable) this.syncDirectory()
    return next
  }

  // -------------------------------------------------------------------------
  // read
  // -------------------------------------------------------------------------

  /**
   * Seqs are dense, so whatever is missing between two records is lost: taken by a quota where a whole segment is gone,
   * damaged inside one.
   */
  read(sink: string, after: number, max: number): JournalPage {
    const entries: Array<JournalEntry> = []
    const lost: Array<Lost> = []
    let reached = after
    const missingUpTo = (seq: number, reason: "quota" | "damaged") => {
      if (seq <= reached) return
      lost.push({ from: reached + 1, to: seq, reason })
      reached = seq
    }
    let place = this.placeAfter(sink, after)
    while (entries.length < max && reached < this.head) {
      if (place === undefined) {
        missingUpTo(this.head, "quota")
        break
      }
      const { segment } = place
      missingUpTo(Math.min(this.head, segment.first - 1), "quota")
      const following = this.segments[this.segments.indexOf(segment) + 1]
      // Records from the seq on that the next segment begins with were revoked.
      const end = Math.min(this.head, (following?.first ?? Number.POSITIVE_INFINITY) - 1)
      let offset = place.offset
      for (const { end: lineEnd, line } of this.linesOf(segment, place.offset)) {
        const record = line === undefined ? undefined : recordOf(line)
        if (record !== undefined && record.seq > end) break
        offset = lineEnd
        if (record === undefined) {
          this.damagedRecords++
          continue
        }
        if (record.seq <= reached) continue
        missingUpTo(record.seq - 1, "damaged")
        entries.push({
          id: { origin: this.origin, seq: record.seq },
          occurrence: JSON.parse(record.json) as Occurrence
        })
        reached = record.seq
        if (entries.length >= max) break
      }
      if (entries.length >= max) {
        this.places.set(sink, { seq: reached, segment, offset })
      } else if (following === undefined) {
        missingUpTo(this.head, "damaged")
        this.places.set(sink, { seq: reached, segment, offset })
      } else {
        place = { seq: reached, segment: following, offset: 0 }
      }
    }
    return { entries, lost, reached }
  }

  private placeAfter(sink: string, after: number): Place | undefined {
    const known = this.places.get(sink)
    if (known !== undefined && known.seq === after && this.segments.includes(known.segment)) return known
    let found: Segment | undefined
    for (const segment of this.segments) {
      if (found === undefined || segment.first <= after + 1) found = segment
    }
    return found === undefined ? undefined : { seq: after, segment: found, offset: 0 }
  }

  /** The whole lines from an offset on; `line` is absent for what has no line end, which closes the sequence. */
  private *linesOf(
    segment: Segment,
    from: number
  ): Generator<{ readonly line: string | undefined; readonly end: number }> {
    const file = this.disk.openToRead(this.pathOf(segment.file))
    try {
      let rest: Buffer = Buffer.alloc(0)
      let position = from
      while (true) {
        const wanted = Math.min(READ_BYTES, segment.size - position - rest.length)
        if (wanted <= 0) break
        const chunk = Buffer.alloc(wanted)
        const read = this.disk.read(file, chunk, 0, wanted, position + rest.length)
        if (read === 0) break
        const bytes = rest.length === 0 ? chunk.subarray(0, read) : Buffer.concat([rest, chunk.subarray(0, read)])
        let start = 0
        for (let lf = bytes.indexOf(LF); lf !== -1; lf = bytes.indexOf(LF, start)) {
          const end = position + lf + 1
          yield { line: bytes.toString("utf8", start, lf), end }
          start = lf + 1
        }
        rest = bytes.subarray(start)
        position += start
      }
      if (rest.length > 0) yield { line: undefined, end: position + rest.length }
    } finally {
      this.disk.close(file)
    }
  }

  // -------------------------------------------------------------------------
  // freeing
  // -------------------------------------------------------------------------

  /** Deletes the segments that end at `upTo` or before it. The newest one always stays. */
  freeUpTo(upTo: number): boolean {
    let freed = false
    while (this.segments.length > 1 && this.segments[1]!.first - 1 <= upTo) {
      this.remove(this.segments.shift()!)
      freed = true
    }
    return freed
  }

  /** Deletes the oldest whole segment that begins after `read` and is not the newest; answers whether there was one. */
  takeAfter(read: number): boolean {
    const index = this.segments.findIndex(({ first }) => first > read)
    if (index === -1 || index >= this.segments.length - 1) return false
    this.remove(this.segments.splice(index, 1)[0]!)
    return true
  }

  private remove(segment: Segment): void {
    this.bytes -= segment.size
    this.disk.unlink(this.pathOf(segment.file))
  }

  // -------------------------------------------------------------------------
  // small files
  // -------------------------------------------------------------------------

  private pathOf(file: string): string {
    return path.join(this.directory, file)
  }

  private syncDirectory(): void {
    const opened = this.disk.openDirectory(this.directory)
    try {
      this.disk.sync(opened)
    } finally {
      this.disk.close(opened)
    }
  }

  /** Puts a file in the place of another one, so that whoever looks finds one of the two and never a part. */
  private replace(file: string, bytes: Buffer): void {
    const temporary = this.pathOf(`${file}${TEMPORARY}`)
    try {
      this.disk.unlink(temporary)
    } catch (cause) {
      if (codeOf(cause) !== "ENOENT") throw cause
    }
    const opened = this.disk.create(temporary, 0o600)
    try {
      let written = 0
      while (written < bytes.length) {
        const more = this.disk.append(opened, bytes, written, bytes.length - written)
        if (more === 0) throw Object.assign(new Error("the disk took nothing"), { code: "ENOSPC" })
        written += more
      }
      if (this.durable) this.disk.sync(opened)
    } finally {
      this.disk.close(opened)
    }
    this.disk.rename(temporary, this.pathOf(file))
    if (this.durable) this.syncDirectory()
  }

  // -------------------------------------------------------------------------
  // checkpoints
  // -------------------------------------------------------------------------

  saveCheckpoint(sink: string, checkpoint: Checkpoint): void {
    this.replace(`${fileOf(sink)}.checkpoint`, Buffer.from(lineOf(JSON.stringify(checkpoint))))
  }

  /** Throws `Damaged` when there is one and it cannot be read: a sink must never start empty instead. */
  loadCheckpoint(sink: string): Checkpoint | undefined {
    const file = `${fileOf(sink)}.checkpoint`
    const text = this.readWhole(file)
    if (text === undefined) return undefined
    const body = bodyOf(text.trimEnd())
    if (body === undefined) throw new Damaged(this.pathOf(file))
    return JSON.parse(body) as Checkpoint
  }

  // -------------------------------------------------------------------------
  // what is parked: a log of its own for each sink, written anew when most of it is over
  // -------------------------------------------------------------------------

  /** Adds a line to the log of what is parked. */
  appendParked(sink: string, change: ParkedChange): void {
    const file = this.pathOf(`${fileOf(sink)}.parked`)
    const bytes = Buffer.from(lineOf(JSON.stringify(change)))
    const opened = this.openOrCreate(file)
    try {
      const before = this.disk.statusOf(opened).size
      const written = this.disk.append(opened, bytes, 0, bytes.length)
      if (written < bytes.length) {
        this.disk.truncate(opened, before)
        throw Object.assign(new Error("the disk took a part"), { code: "ENOSPC" })
      }
      if (this.durable) this.disk.sync(opened)
    } finally {
      this.disk.close(opened)
    }
  }

  loadParked(sink: string): Map<string, Parked> {
    const parked = new Map<string, Parked>()
    const text = this.readWhole(`${fileOf(sink)}.parked`) ?? ""
    let lines = 0
    for (const line of text.split("\n")) {
      const body = bodyOf(line)
      if (body === undefined) {
        if (line !== "") this.damagedRecords++
        continue
      }
      lines++
      applyParked(parked, JSON.parse(body) as ParkedChange)
    }
    if (lines > 2 * parked.size + 64) {
      const kept = [...parked.values()].map((one) => lineOf(JSON.stringify({ parked: one } satisfies ParkedChange)))
      this.replace(`${fileOf(sink)}.parked`, Buffer.from(kept.join("")))
    }
    return parked
  }

  private openOrCreate(file: string): number {
    try {
      return this.disk.openToAppend(file)
    } catch (cause) {
      if (codeOf(cause) !== "ENOENT") throw cause
      return this.disk.create(file, 0o600)
    }
  }

  private readWhole(name: string): string | undefined {
    const file = this.pathOf(name)
    let opened: number
    try {
      opened = this.disk.openToRead(file)
    } catch (cause) {
      if (codeOf(cause) === "ENOENT") return undefined
      throw cause
    }
    try {
      const bytes = Buffer.alloc(this.disk.statusOf(opened).size)
      let read = 0
      while (read < bytes.length) {
        const more = this.disk.read(opened, bytes, read, bytes.length - read, read)
        if (more === 0) break
        read += more
      }
      return bytes.toString("utf8", 0, read)
    } finally {
      this.disk.close(opened)
    }
  }
}

/**
 * State that must not be passed over cannot be read.
 *
 * @internal
 */
export class Damaged extends Error {
  readonly file: string

  constructor(file: string) {
    super(`${file} is damaged`)
    this.file = file
  }
}

/** @internal */
export type ParkedChange = { readonly parked: Parked } | { readonly unparked: string }

/**
 * Of a series the highest `upTo` is kept, and the occurrences add up.
 *
 * @internal
 */
export const applyParked = (all: Map<string, Parked>, change: ParkedChange): void => {
  if ("unparked" in change) {
    all.delete(change.unparked)
    return
  }
  const { parked } = change
  const key = EventId.format(parked.write.id)
  const known = all.get(key)
  all.set(
    key,
    known === undefined
      ? parked
      : {
          ...parked,
          write: known.write.upTo > parked.write.upTo ? known.write : parked.write,
          occurrences: known.occurrences + parked.occurrences
        }
  )
}
