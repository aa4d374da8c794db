import * as EventId from "@tidings/core/EventId"
import type { Checkpoint, Parked } from "@tidings/core/Journal"
import type { Disk } from "../disk.ts"
import { appendAll, closing, syncNow } from "../fileOperations.ts"
import type { DirectoryEntries } from "./directoryEntries.ts"
import { Damaged } from "./errors.ts"
import { checkpointFile, parkedFile, requestsFile } from "./fileNames.ts"
import { allLinesOf, bodiesOf, bodyIn, lineOf, linesOf } from "./lines.ts"

/** A line of the log of parked events. */
type ParkedChange = { readonly parked: Parked } | { readonly unparked: ReadonlyArray<string> }

/**
 * What a log of parked events holds, by series: of several changes to a series the one with the highest `upTo`.
 *
 * @internal
 */
export const readParked = (disk: Disk, path: string, size?: number): Map<string, Parked> => {
  const all = new Map<string, Parked>()
  for (const body of bodiesOf(disk, path, size)) {
    const change = JSON.parse(body.toString()) as ParkedChange
    if ("unparked" in change) {
      for (const key of change.unparked) all.delete(key)
      continue
    }
    const { parked } = change
    const key = EventId.format(parked.write.id)
    const known = all.get(key)
    if (known === undefined || known.write.upTo <= parked.write.upTo) all.set(key, parked)
  }
  return all
}

/** Size in bytes below which a log of parked events is not compacted. */
const SHORTEST_COMPACTED = 262_144

/**
 * The files of one sink: its checkpoint, and its log of parked events.
 *
 * The log is read on demand, and not kept in memory, because parked events stay until an operator decides about them. It is
 * written anew after a failure, because a file whose sync failed is not used again, and when most of it is obsolete.
 *
 * @internal
 */
export class SinkFiles {
  private readonly disk: Disk
  private readonly entries: DirectoryEntries
  /** The files without extension. */
  readonly file: string
  private readonly parkedFile: string
  /** The size of the log up to its last complete line; absent before it was checked. */
  private parkedSize: number | undefined
  /** Its size when it was compacted last. */
  private compactedSize = 0
  /** Whether a change failed, so that a part of it may be in the file. */
  private isSuspect = false
  /** Whether the whole log is durable. */
  private isSynced = false
  /** Number of its lines that could not be read. */
  damagedLines = 0

  constructor(disk: Disk, entries: DirectoryEntries, file: string) {
    this.disk = disk
    this.entries = entries
    this.file = file
    this.parkedFile = parkedFile(file)
  }

  get checkpointFile(): string {
    return checkpointFile(this.file)
  }

  get requestsFile(): string {
    return requestsFile(this.file)
  }

  /** Throws `Damaged` when it cannot be read: a sink must not start without it. */
  loadCheckpoint(): Checkpoint | undefined {
    return loadCheckpoint(this.disk, this.entries, this.file)
  }

  loadParked(): ReadonlyArray<Parked> {
    this.repair()
    return [...this.readParked().values()]
  }

  private readParked(): Map<string, Parked> {
    return readParked(this.disk, this.entries.pathOf(this.parkedFile), this.parkedSize)
  }

  /** Opens what an earlier process left, to be synced; absent when that is not needed. */
  openToSync(): number | undefined {
    if (this.isSynced) return undefined
    this.isSuspect = true
    return this.entries.openToAppend(this.parkedFile)
  }

  /** Call it after the sync. */
  synced(): void {
    this.isSuspect = false
    this.isSynced = true
  }

  /** Appends to the log, and answers the open file, which has to be synced and closed before `acceptParked`. */
  writeParked(parked: Parked | undefined, unparked: ReadonlyArray<EventId.EventId>): ParkedWrite {
    this.repair()
    const line = lineOf(
      JSON.stringify(
        (parked === undefined ? { unparked: unparked.map(EventId.format) } : { parked }) satisfies ParkedChange
      )
    )
    const file = this.parkedSize === 0 ? this.createParked() : this.entries.openToAppend(this.parkedFile)
    this.isSuspect = true
    try {
      appendAll(this.disk, file, line)
    } catch (cause) {
      this.disk.close(file)
      this.isSuspect = !this.revokeParked()
      throw cause
    }
    return { file, size: this.parkedSize! + line.length }
  }

  /** Cuts off what is not complete or not durable, so that the next process does not find it; false where that fails. */
  revokeParked(): boolean {
    try {
      closing(this.disk, this.entries.openToAppend(this.parkedFile), (file) =>
        this.disk.truncate(file, this.parkedSize!)
      )
      return true
    } catch {
      // This process compacts the log before it uses it again.
      return false
    }
  }

  private createParked(): number {
    this.entries.remove(this.parkedFile)
    const file = this.entries.create(this.parkedFile)
    this.entries.changed()
    return file
  }

  /** Call it after what was written is durable. */
  acceptParked({ size }: ParkedWrite): void {
    this.synced()
    this.parkedSize = size
    if (size <= SHORTEST_COMPACTED + 2 * this.compactedSize) return
    try {
      this.compact()
    } catch {
      // The log stays as it is; the next change tries again.
    }
  }

  /** Makes the log usable: cuts off what an earlier process did not finish, and compacts it after a failure. */
  private repair(): void {
    if (this.parkedSize === undefined) {
      const path = this.entries.pathOf(this.parkedFile)
      const size = this.disk.status(path)?.size
      if (size === undefined) this.isSynced = true
      this.parkedSize = size ?? 0
      for (const line of this.parkedSize === 0 ? [] : linesOf(this.disk, path, 0, this.parkedSize)) {
        if (!line.ended) this.parkedSize = line.start
        else if (bodyIn(line.bytes) === undefined) this.damagedLines++
      }
      this.isSuspect = this.parkedSize < (size ?? 0) && !this.revokeParked()
    }
    if (this.isSuspect) this.compact()
  }

  /** Writes the log anew with what is still parked. */
  private compact(): void {
    let size = 0
    closing(this.disk, this.entries.createTemporary(this.parkedFile), (file) => {
      for (const parked of this.readParked().values()) {
        const line = lineOf(JSON.stringify({ parked } satisfies ParkedChange))
        appendAll(this.disk, file, line)
        size += line.length
      }
      syncNow(this.disk, file)
    })
    this.entries.replace(this.parkedFile)
    this.entries.syncNow()
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
 * The checkpoint of the sink with these files; absent when there is none. Throws `Damaged` when it cannot be read.
 *
 * @internal
 */
export const loadCheckpoint = (disk: Disk, entries: DirectoryEntries, file: string): Checkpoint | undefined => {
  const path = entries.pathOf(checkpointFile(file))
  if (disk.status(path) === undefined) return undefined
  const [line, more] = allLinesOf(disk, path)
  const body = line?.ended === true && more === undefined ? bodyIn(line.bytes) : undefined
  if (body !== undefined) return JSON.parse(body.toString()) as Checkpoint
  throw new Damaged(
    `${path} is damaged: restore it from a copy; or remove it, then what is still in the journal is not delivered to this sink`
  )
}
