import * as Context from "effect/Context"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { node } from "../../disk.ts"
import { unlessCode } from "../../diskError.ts"
import { appendAll, closing } from "../../fileOperations.ts"
import type { LogDirectory } from "../directory.ts"
import * as Block from "./block.ts"
import { Words } from "./column.ts"
import { IndexDamaged, SegmentIndex } from "./segmentIndex.ts"

/**
 * Where a process that may not write beside the segments keeps its side files.
 *
 * @internal
 */
export const TemporaryDirectory: Context.Reference<string> = Context.Reference<string>(
  "@tidings/backend-fs/TemporaryDirectory",
  { defaultValue: () => os.tmpdir() }
)

/**
 * The name of the side file of a segment.
 *
 * @internal
 */
export const fileOf = (key: string): string => `events-${key}.index`

/** What the system answers where this process may not write, or where there is no room. */
const CANNOT_WRITE = [
  "ENOENT",
  "EACCES",
  "EPERM",
  "EROFS",
  "ENOSPC",
  "EDQUOT",
  "EFBIG",
  "EMFILE",
  "ENFILE",
  "EISDIR",
  "ELOOP"
]

/** A block that stays in memory, without the room that was left around it. */
const inMemory = (block: Block.Block): Block.Block => {
  const words = new Words(block.length)
  words.bytes.set(block.memory!.bytes.subarray(0, block.length))
  return new Block.Block(block.header, 0, words)
}

/**
 * Writes side files: beside the segments, or, where that is not possible, in a temporary directory of this process, so that a
 * reader without the right to write needs no more memory.
 *
 * @internal
 */
export class SideFiles {
  private readonly directory: LogDirectory
  /** Where the temporary directory is made. */
  private readonly parent: string
  private temporary: string | undefined

  constructor(directory: LogDirectory, parent: string) {
    this.directory = directory
    this.parent = parent
  }

  /** Removes the temporary directory. */
  close(): void {
    if (this.temporary !== undefined) fs.rmSync(this.temporary, { recursive: true, force: true })
    this.temporary = undefined
  }

  /**
   * Appends a block to the side file of its segment; makes the file where there is none that can be used. False when another
   * process appended first: then the index has to be opened again.
   */
  append(index: SegmentIndex, block: Block.Block): boolean {
    const { tip } = index
    if (tip?.memory !== undefined) return keep(index, block)
    try {
      return this.write(index, block)
    } catch (cause) {
      if (!cannotWrite(cause)) throw cause
    }
    try {
      if (this.move(index)) return this.write(index, block)
    } catch (cause) {
      if (!cannotWrite(cause)) throw cause
    }
    return keep(index, block)
  }

  private write(index: SegmentIndex, block: Block.Block): boolean {
    const { disk, path, tip } = index
    const bytes = block.memory!.bytes.subarray(0, block.length)
    if (tip === undefined) return this.begin(index, block, bytes)
    const opened = unlessCode(["ENOENT"], () => disk.openToAppend(path))
    if (opened === undefined) return false
    return closing(disk, opened, (file) => {
      const status = disk.statusOf(file)
      if (status.identity !== index.identity || status.size !== tip.offset + tip.length) return false
      if (disk.append(file, bytes, 0, bytes.length) === bytes.length) {
        index.push(new Block.Block(block.header, status.size))
        return true
      }
      // A part of a block at the end hides all others.
      disk.unlink(path)
      return false
    })
  }

  /** Makes a new file with one block; false where another process has made one. */
  private begin(index: SegmentIndex, block: Block.Block, bytes: Uint8Array): boolean {
    const { disk } = index
    if (SegmentIndex.open(disk, index.key, index.path).identity !== index.identity) return false
    const temporary = this.directory.temporaryOf(index.path)
    const opened = disk.create(temporary, this.directory.modeOfFiles())
    try {
      const identity = closing(disk, opened, (file) => {
        appendAll(disk, file, bytes)
        return disk.statusOf(file).identity
      })
      disk.rename(temporary, index.path)
      index.identity = identity
      index.push(new Block.Block(block.header, 0))
      return true
    } catch (cause) {
      unlessCode(CANNOT_WRITE, () => disk.unlink(temporary))
      throw cause
    }
  }

  /** Continues a side file in the temporary directory; false where it is there already. */
  private move(index: SegmentIndex): boolean {
    this.temporary ??= fs.mkdtempSync(path.join(this.parent, "tidings-index-"))
    const moved = path.join(this.temporary, fileOf(index.key))
    if (index.path === moved) return false
    if (index.tip === undefined) {
      index.moveTo(node, moved, undefined)
      return true
    }
    const { disk } = index
    const length = index.tip.offset + index.tip.length
    const bytes = Buffer.allocUnsafe(length)
    const found = closing(disk, disk.openToRead(index.path), (file) => disk.read(file, bytes, 0, length, 0))
    if (found < length) throw new IndexDamaged(index.key)
    fs.writeFileSync(moved, bytes, { mode: 0o600 })
    index.moveTo(node, moved, node.status(moved)?.identity)
    return true
  }
}

const cannotWrite = (cause: unknown): boolean =>
  unlessCode(CANNOT_WRITE, () => {
    throw cause
  }) === undefined

const keep = (index: SegmentIndex, block: Block.Block): boolean => {
  index.push(inMemory(block))
  return true
}
