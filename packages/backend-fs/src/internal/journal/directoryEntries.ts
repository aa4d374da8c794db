import * as path from "node:path"
import * as access from "../access.ts"
import type { Disk } from "../disk.ts"
import { unlessCode } from "../diskError.ts"
import { appendAll, closing, syncDirectory } from "../fileOperations.ts"
import { temporaryOf } from "./fileNames.ts"

/**
 * The entries of a journal's directory: creates, renames and removes files, and makes all such changes durable together.
 *
 * Each change first runs a guard, because the path may lead to the directory of another journal by now.
 *
 * @internal
 */
export class DirectoryEntries {
  readonly directory: string
  private readonly disk: Disk
  /** How many changes there were, and how many of them are durable. */
  private changes = 1
  private syncedTo = 0
  /** Throws where nothing may be changed. */
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

  get areSynced(): boolean {
    return this.syncedTo === this.changes
  }

  /** Has to follow `create`, `rename` and `replace` of what has to be found again. */
  changed(): void {
    this.changes++
  }

  /** Call it before a sync; the answer is called after it. */
  beginSync(): () => void {
    const { changes } = this
    return () => {
      this.syncedTo = Math.max(this.syncedTo, changes)
    }
  }

  syncNow(): void {
    if (this.areSynced) return
    const synced = this.beginSync()
    syncDirectory(this.disk, this.directory)
    synced()
  }

  /** Removes a file that may not exist. */
  remove(file: string): void {
    this.guard()
    unlessCode(["ENOENT"], () => this.disk.unlink(this.pathOf(file)))
  }

  removeQuietly(file: string): void {
    try {
      this.remove(file)
    } catch {
      // It stays.
    }
  }

  /** Writes a file that a journal can do without: where that fails, there is none. */
  writeOptional(file: string, chunks: Iterable<Uint8Array>): void {
    try {
      this.remove(file)
      closing(this.disk, this.create(file), (opened) => {
        for (const chunk of chunks) appendAll(this.disk, opened, chunk)
      })
    } catch {
      this.removeQuietly(file)
    }
  }

  /** The permissions of new files. */
  fileMode(): number {
    return access.fileMode(this.disk.status(this.directory))
  }

  create(file: string): number {
    this.guard()
    const opened = this.disk.create(this.pathOf(file), this.fileMode())
    try {
      // The directory may have been replaced between the check and the call: nothing is written to another one.
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

  /** Creates a file to be written, and then to replace another one. */
  createTemporary(file: string): number {
    this.remove(temporaryOf(file))
    return this.create(temporaryOf(file))
  }

  /** Replaces a file by its temporary one: readers find the old file or the new one, and never a part. */
  replace(file: string): void {
    this.rename(temporaryOf(file), file)
    this.changed()
  }
}
