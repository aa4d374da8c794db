import * as path from "node:path"
import type { Disk } from "./disk.ts"
import { codeOf, diskFailure, unlessCode } from "./diskError.ts"

const LF = 0x0a

/** What a file system answers that cannot sync a file or a directory. */
const CANNOT_SYNC = ["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EPERM", "EACCES", "EISDIR", "EBADF"]

/**
 * Whether a sync failed because the file system cannot do it, which has to be accepted.
 *
 * @internal
 */
export const cannotSync = (cause: unknown): boolean => CANNOT_SYNC.includes(codeOf(cause) ?? "")

/**
 * Uses an open file, and closes it.
 *
 * @internal
 */
export const closing = <A>(disk: Disk, file: number, use: (file: number) => A): A => {
  try {
    return use(file)
  } finally {
    disk.close(file)
  }
}

/**
 * Syncs an open file, where the file system can.
 *
 * @internal
 */
export const syncNow = (disk: Disk, file: number): void => unlessCode(CANNOT_SYNC, () => disk.sync(file))

/**
 * Makes the names in a directory durable, where the file system can. False when the directory cannot be opened.
 *
 * @internal
 */
export const syncDirectory = (disk: Disk, directory: string): boolean => {
  const opened = unlessCode(CANNOT_SYNC, () => disk.openDirectory(directory))
  if (opened === undefined) return false
  closing(disk, opened, (file) => syncNow(disk, file))
  return true
}

/**
 * Makes the names of the directories above a new one durable, which may be as new.
 *
 * @internal
 */
export const syncAncestors = (disk: Disk, directory: string): void => {
  for (let at = directory; at !== path.dirname(at);) {
    at = path.dirname(at)
    // A directory that this process may not open was not created by it.
    if (!syncDirectory(disk, at)) return
  }
}

/**
 * Appends all bytes, or throws.
 *
 * @internal
 */
export const appendAll = (disk: Disk, file: number, bytes: Uint8Array): void => {
  let written = disk.append(file, bytes, 0, bytes.length)
  while (written < bytes.length) {
    // A full disk writes a part first, and refuses only the rest.
    const more = disk.append(file, bytes, written, bytes.length - written)
    if (more === 0) throw diskFailure("ENOSPC", "the disk is full")
    written += more
  }
}

/**
 * Reads from a position of a file until the buffer is full, and answers how many bytes there were: fewer at the end of the file.
 *
 * @internal
 */
export const readFully = (disk: Disk, file: number, into: Uint8Array, position: number): number => {
  let found = 0
  while (found < into.length) {
    const more = disk.read(file, into, found, into.length - found, position + found)
    if (more === 0) break
    found += more
  }
  return found
}

/**
 * The text at the start of a file, up to a number of bytes.
 *
 * @internal
 */
export const readStart = (disk: Disk, path: string, bytes: number): string =>
  closing(disk, disk.openToRead(path), (file) => {
    const buffer = Buffer.allocUnsafe(bytes)
    return buffer.toString("utf8", 0, disk.read(file, buffer, 0, bytes, 0))
  })

/**
 * Whether an open file of this size ends in the middle of a line.
 *
 * @internal
 */
export const endsInLine = (disk: Disk, file: number, size: number): boolean => {
  if (size === 0) return false
  const last = new Uint8Array(1)
  return disk.read(file, last, 0, 1, size - 1) === 1 && last[0] !== LF
}
