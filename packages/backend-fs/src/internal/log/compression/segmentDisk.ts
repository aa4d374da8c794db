/**
 * The disk as readers of a log see it: a compressed segment is read as the plain file that it was made of, under the name of that
 * file. Positions in it count uncompressed bytes, and its size, identity and times are those that the plain file had, so what was
 * noted of the plain file stays right.
 *
 * While both files are there, or the compressed one is being put in the place of the plain one, either is found. Where that was
 * stopped, the plain one is read under its hidden name if a line came into it at the last moment.
 */
import type { Disk, FileStatus } from "../../disk.ts"
import { codeOf, NOT_A_FILE, unlessCode } from "../../diskError.ts"
import { readFully } from "../../fileOperations.ts"
import * as path from "node:path"
import * as SegmentName from "../segmentName.ts"
import * as Frames from "./frames.ts"

/** Bytes of segments that stay decompressed. */
const KEPT_BYTES = 16 * 1_048_576

/** Compressed segments of which it stays known where their frames are. */
const KEPT_LAYOUTS = 32

/** Times of files may be kept with less precision than they are noted with, in milliseconds. */
const SAME_TIME = 2_500

/**
 * The status of a segment, plain or compressed.
 *
 * @internal
 */
export interface StoredStatus extends FileStatus {
  /** Bytes on disk, where it is compressed and `size` counts uncompressed ones. */
  readonly stored?: number
  /** Why it cannot be read, where its kind does not say enough. */
  readonly problem?: string
}

/**
 * A disk on which compressed segments are read as plain ones.
 *
 * @internal
 */
export interface SegmentDisk extends Disk {
  readonly statusOf: (file: number) => StoredStatus
  readonly status: (path: string) => StoredStatus | undefined
  /** The status of a segment as far as it is compressed; absent where it is not. */
  readonly compressed: (path: string) => StoredStatus | undefined
}

interface Compressed {
  /** Which file it is, at one state of its content. */
  readonly version: string
  readonly layout: Frames.Layout
}

const keepNewest = <A>(map: Map<string, A>, key: string, value: A): A => {
  map.delete(key)
  map.set(key, value)
  return value
}

const versionOf = ({ identity, modified, size }: FileStatus): string => `${identity}:${size}:${modified}`

const logicalStatus = (stored: FileStatus, layout: Frames.Layout): StoredStatus => {
  const { note } = layout
  const common = { ...stored, size: layout.offsets.at(-1)!, stored: stored.size }
  if (note === undefined) return common
  // A later time is that of a change of the compressed file, which has to show.
  const isUnchanged = Math.abs(stored.modified - note.modified) < SAME_TIME && note.bytes === common.size
  return isUnchanged
    ? { ...common, identity: note.identity, made: note.made, modified: note.modified }
    : { ...common, made: note.made }
}

/** The frame that an offset of the segment is in. */
const frameAt = (offsets: ReadonlyArray<number>, offset: number): number => {
  let low = 0
  let high = offsets.length - 2
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (offsets[middle]! <= offset) low = middle
    else high = middle - 1
  }
  return low
}

class Reader {
  readonly opened = new Map<number, Compressed>()
  readonly statuses = new Map<number, StoredStatus>()
  /** By the path of the compressed file. */
  private readonly known = new Map<string, { readonly version: string; readonly status: StoredStatus }>()
  private readonly layouts = new Map<string, Frames.Layout>()
  private readonly frames = new Map<string, Buffer>()
  private bytes = 0
  private readonly disk: Disk

  constructor(disk: Disk) {
    this.disk = disk
  }

  /** Opens a compressed segment; absent when there is none. */
  open(path: string): number | undefined {
    const { disk } = this
    const file = unlessCode(["ENOENT"], () => disk.openToRead(path))
    if (file === undefined) return undefined
    try {
      const stored = disk.statusOf(file)
      if (stored.kind !== "file") return file
      const layout = this.layoutOf(file, stored)
      if (typeof layout === "string") {
        const problem = `it is compressed and ${layout}`
        this.statuses.set(file, { ...stored, kind: "other", problem })
        return file
      }
      this.statuses.set(file, logicalStatus(stored, layout))
      this.opened.set(file, { version: versionOf(stored), layout })
      return file
    } catch (cause) {
      disk.close(file)
      throw cause
    }
  }

  /** The status of what a compressed segment was made of; absent when there is none. */
  status(path: string): StoredStatus | undefined {
    const { disk, known } = this
    const stored = disk.status(path)
    if (stored?.kind !== "file") {
      known.delete(path)
      return stored
    }
    const version = versionOf(stored)
    const before = known.get(path)
    if (before?.version === version) return before.status
    let file: number | undefined
    try {
      file = this.open(path)
    } catch (cause) {
      if (NOT_A_FILE.has(codeOf(cause) ?? "")) return { ...stored, kind: "other" }
      throw cause
    }
    if (file === undefined) return undefined
    const status = this.statuses.get(file) ?? stored
    this.close(file)
    known.set(path, { version, status })
    return status
  }

  close(file: number): void {
    this.opened.delete(file)
    this.statuses.delete(file)
    this.disk.close(file)
  }

  closeLater(file: number): void {
    this.opened.delete(file)
    this.statuses.delete(file)
    this.disk.closeLater(file)
  }

  private layoutOf(file: number, stored: FileStatus): Frames.Layout | string {
    const version = versionOf(stored)
    const before = this.layouts.get(version)
    if (before !== undefined) return keepNewest(this.layouts, version, before)
    if (!Frames.isAvailable()) return "this version of Node has no zstd, use 22.15 or later"
    const layout = Frames.read(stored.size, (position, length) => this.readStored(file, position, length))
    if (typeof layout === "string") return layout
    keepNewest(this.layouts, version, layout)
    if (this.layouts.size > KEPT_LAYOUTS) this.layouts.delete(this.layouts.keys().next().value!)
    return layout
  }

  private readStored(file: number, position: number, length: number): Buffer {
    const buffer = Buffer.allocUnsafe(length)
    return buffer.subarray(0, readFully(this.disk, file, buffer, position))
  }

  read(
    file: number,
    { layout, version }: Compressed,
    into: Uint8Array,
    offset: number,
    length: number,
    position: number
  ): number {
    const { offsets } = layout
    const wanted = Math.min(length, offsets.at(-1)! - position)
    let done = 0
    while (done < wanted) {
      const frame = frameAt(offsets, position + done)
      const from = position + done - offsets[frame]!
      const bytes = this.frame(file, layout, version, frame)
      const part = bytes.subarray(from, Math.min(bytes.length, from + wanted - done))
      into.set(part, offset + done)
      done += part.length
    }
    return done
  }

  private frame(file: number, { lengths, offsets, starts }: Frames.Layout, version: string, index: number): Buffer {
    const { frames } = this
    const key = `${version}:${index}`
    const before = frames.get(key)
    if (before !== undefined) return keepNewest(frames, key, before)
    const stored = this.readStored(file, starts[index]!, lengths[index]!)
    const bytes = Frames.decompress(stored, offsets[index + 1]! - offsets[index]!)
    frames.set(key, bytes)
    this.bytes += bytes.length
    for (const [oldest, { length }] of frames) {
      if (this.bytes <= KEPT_BYTES || oldest === key) break
      frames.delete(oldest)
      this.bytes -= length
    }
    return bytes
  }
}

/** @internal */
export const make = (disk: Disk): SegmentDisk => {
  const reader = new Reader(disk)
  const compressedOf = (path: string): string | undefined =>
    path.endsWith(SegmentName.PLAIN) ? SegmentName.compressedFileOf(path) : undefined
  /** Plain files that had a hidden name when their directory was listed last. */
  let hidden: ReadonlySet<string> = new Set()
  /** The hidden name of a plain file that has lines which the compressed one lacks. */
  const longer = (file: string, compressed: string): string | undefined => {
    if (!hidden.has(file)) return undefined
    const found = path.join(path.dirname(file), SegmentName.hiddenFileOf(path.basename(file)))
    const { size = -1 } = reader.status(compressed) ?? {}
    return (disk.status(found)?.size ?? -1) > size ? found : undefined
  }
  return {
    ...disk,
    list: (directory) => {
      const files = disk.list(directory)
      hidden = new Set(
        files.flatMap((file) => SegmentName.ofHidden(file) ?? []).map((file) => path.join(directory, file))
      )
      return files
    },
    openToRead: (path) => {
      const compressed = compressedOf(path)
      if (compressed === undefined) return disk.openToRead(path)
      const plain = unlessCode(["ENOENT"], () => disk.openToRead(path))
      if (plain !== undefined) return plain
      const late = longer(path, compressed)
      const found = late === undefined ? undefined : unlessCode(["ENOENT"], () => disk.openToRead(late))
      return found ?? reader.open(compressed) ?? disk.openToRead(path)
    },
    close: (file) => reader.close(file),
    closeLater: (file) => reader.closeLater(file),
    read: (file, into, offset, length, position) => {
      const compressed = reader.opened.size === 0 ? undefined : reader.opened.get(file)
      return compressed === undefined
        ? disk.read(file, into, offset, length, position)
        : reader.read(file, compressed, into, offset, length, position)
    },
    statusOf: (file) => reader.statuses.get(file) ?? disk.statusOf(file),
    status: (path) => {
      const compressed = compressedOf(path)
      const found = disk.status(path)
      if (found !== undefined || compressed === undefined) return found
      const late = longer(path, compressed)
      return (late === undefined ? undefined : disk.status(late)) ?? reader.status(compressed) ?? disk.status(path)
    },
    compressed: (path) => {
      const compressed = compressedOf(path)
      return compressed === undefined ? undefined : reader.status(compressed)
    }
  }
}
