import * as EventId from "@tidings/core/EventId"
import type { Checkpoint, Parked } from "@tidings/core/Journal"
import { createHash } from "node:crypto"
import type { Disk } from "./disk.ts"
import { appendAll, Damaged, type Names, syncNow } from "./journalFiles.ts"
import * as Lines from "./journalLines.ts"

const LONGEST_NAME = 160

const CHECKPOINT = /^sink-.*\.checkpoint$/

/** The names of sinks are the host's; file systems differ in which characters they tell apart. */
const fileOf = (sink: string): string => {
  const name = sink.replace(/[^-a-z0-9]/g, (character) =>
    Array.from(Buffer.from(character), (byte) => `_${byte.toString(16).padStart(2, "0")}`).join("")
  )
  return name.length <= LONGEST_NAME
    ? `sink-${name}`
    : `sink-${name.slice(0, LONGEST_NAME)}__${createHash("sha256").update(sink).digest("hex").slice(0, 32)}`
}

/** @internal */
export type ParkedChange = { readonly parked: Parked } | { readonly unparked: ReadonlyArray<string> }

/** @internal */
export const foldParked = (all: Map<string, Parked>, change: ParkedChange): void => {
  if ("unparked" in change) {
    for (const key of change.unparked) all.delete(key)
    return
  }
  const { parked } = change
  const key = EventId.format(parked.write.id)
  const known = all.get(key)
  if (known === undefined || known.write.upTo <= parked.write.upTo) all.set(key, parked)
}

/** What is written anew when most of it is over is at least so long. */
const SHORTEST_COMPACTED = 262_144

/**
 * What a journal keeps for one sink: its checkpoint, and a log of what is parked.
 *
 * The log is read whenever somebody asks: what is parked is kept for a person, for as long as it takes, and not in memory.
 *
 * @internal
 */
export class SinkFiles {
  private readonly disk: Disk
  private readonly names: Names
  readonly checkpointFile: string
  readonly requestsFile: string
  private readonly parkedFile: string
  /** How much of the log of what is parked is whole; absent until it was looked at. */
  private parkedSize: number | undefined
  /** What it had when it was written anew the last time. */
  private compactedSize = 0
  /** A change of it failed, and parts of it may be there. */
  private suspect = false
  /** All of it is on the disk. */
  private isSynced = false
  /** Lines of it that could not be read. */
  damagedLines = 0

  constructor(disk: Disk, names: Names, sink: string) {
    this.disk = disk
    this.names = names
    this.checkpointFile = `${fileOf(sink)}.checkpoint`
    this.parkedFile = `${fileOf(sink)}.parked`
    this.requestsFile = `${fileOf(sink)}.requests`
  }

  // -------------------------------------------------------------------------
  // checkpoint
  // -------------------------------------------------------------------------

  /** Throws `Damaged` when there is one and it cannot be read: a sink must never start empty instead. */
  loadCheckpoint(): Checkpoint | undefined {
    return loadCheckpoint(this.disk, this.names, this.checkpointFile)
  }

  // -------------------------------------------------------------------------
  // what is parked
  // -------------------------------------------------------------------------

  loadParked(): ReadonlyArray<Parked> {
    this.mend()
    return [...this.readParked().values()]
  }

  /** What an earlier life left, open to be synced; absent when that is not needed. */
  openToSync(): number | undefined {
    if (this.isSynced) return undefined
    this.suspect = true
    return this.names.openToAppend(this.parkedFile)
  }

  /** That was done. */
  synced(): void {
    this.suspect = false
    this.isSynced = true
  }

  private readParked(): Map<string, Parked> {
    const parked = new Map<string, Parked>()
    for (const { bytes } of this.lines(this.parkedSize!)) {
      const body = Lines.bodyIn(bytes)
      if (body !== undefined) foldParked(parked, JSON.parse(body.toString()) as ParkedChange)
    }
    return parked
  }

  /** Adds to the log; answers the open file, which has to be synced and closed before `keepParked`. */
  writeParked(parked: Parked | undefined, unparked: ReadonlyArray<EventId.EventId>): ParkedWrite {
    this.mend()
    const line = Lines.lineOf(
      JSON.stringify(
        (parked === undefined ? { unparked: unparked.map(EventId.format) } : { parked }) satisfies ParkedChange
      )
    )
    const file = this.parkedSize === 0 ? this.createParked() : this.names.openToAppend(this.parkedFile)
    // Until it is durable.
    this.suspect = true
    try {
      appendAll(this.disk, file, line)
    } catch (cause) {
      this.disk.close(file)
      this.suspect = !this.takeBackParked()
      throw cause
    }
    return { file, size: this.parkedSize! + line.length }
  }

  /** Cuts off what is not whole or could not be made durable: a later life must not find it either. */
  takeBackParked(): boolean {
    try {
      const file = this.names.openToAppend(this.parkedFile)
      try {
        this.disk.truncate(file, this.parkedSize!)
      } finally {
        this.disk.close(file)
      }
      return true
    } catch {
      // In this life it is written anew before it is used again.
      return false
    }
  }

  private createParked(): number {
    this.names.remove(this.parkedFile)
    const file = this.names.create(this.parkedFile)
    this.names.changed()
    return file
  }

  /** What was written is durable. */
  keepParked({ size }: ParkedWrite): void {
    this.synced()
    this.parkedSize = size
    if (size <= SHORTEST_COMPACTED + 2 * this.compactedSize) return
    try {
      this.compact()
    } catch {
      // It is as good as it was; the next change tries again.
    }
  }

  /**
   * Before the log is used: what an earlier life did not finish is cut off, and after a failure it is written anew. A file
   * whose sync failed is never trusted again.
   */
  private mend(): void {
    if (this.parkedSize === undefined) {
      const path = this.names.pathOf(this.parkedFile)
      const status = this.disk.status(path)
      if (status === undefined) this.isSynced = true
      const size = status?.size ?? 0
      this.parkedSize = size
      for (const line of this.lines(size)) {
        if (line.ended) {
          if (Lines.bodyIn(line.bytes) === undefined) this.damagedLines++
        } else this.parkedSize = line.start
      }
      this.suspect = this.parkedSize < size && !this.takeBackParked()
    }
    if (this.suspect) this.compact()
  }

  private *lines(size: number): Generator<Lines.Line, void> {
    if (size > 0) yield* Lines.linesOf(this.disk, this.names.pathOf(this.parkedFile), 0, size)
  }

  /** Writes the log anew with what is still parked. */
  private compact(): void {
    const file = this.names.createTemporary(this.parkedFile)
    let size = 0
    try {
      for (const parked of this.readParked().values()) {
        const line = Lines.lineOf(JSON.stringify({ parked } satisfies ParkedChange))
        appendAll(this.disk, file, line)
        size += line.length
      }
      syncNow(this.disk, file)
    } finally {
      this.disk.close(file)
    }
    this.names.replace(this.parkedFile)
    this.names.syncNow()
    this.parkedSize = size
    this.compactedSize = size
    this.synced()
  }
}

/** @internal */
export interface ParkedWrite {
  readonly file: number
  readonly size: number
}

/**
 * Throws `Damaged` when there is one and it cannot be read.
 *
 * @internal
 */
export const loadCheckpoint = (disk: Disk, names: Names, file: string): Checkpoint | undefined => {
  const path = names.pathOf(file)
  const status = disk.status(path)
  if (status === undefined) return undefined
  const [line, more] = Lines.linesOf(disk, path, 0, status.size)
  const body = line?.ended === true && more === undefined ? Lines.bodyIn(line.bytes) : undefined
  if (body !== undefined) return JSON.parse(body.toString()) as Checkpoint
  throw new Damaged(
    `${path} is damaged: restore it from a copy; or remove it, then what is still in the journal is not delivered to this sink`
  )
}

/**
 * Up to where the sinks of a journal have read, by the files of their checkpoints; 0 where that cannot be read, which fails
 * the sink that restores it, if there still is one.
 *
 * @internal
 */
export const checkpointsIn = (disk: Disk, names: Names, files: ReadonlyArray<string>): Map<string, number> => {
  const found = new Map<string, number>()
  for (const file of files) {
    if (!CHECKPOINT.test(file)) continue
    try {
      found.set(file, loadCheckpoint(disk, names, file)?.upTo ?? 0)
    } catch (cause) {
      if (!(cause instanceof Damaged)) throw cause
      found.set(file, 0)
    }
  }
  return found
}
