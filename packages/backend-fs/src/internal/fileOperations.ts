import type { Disk } from "./disk.ts"
import { codeOf, diskFailure } from "./diskError.ts"

const LF = 0x0a

/** What a file system answers that cannot sync a file or a directory. */
const CANNOT_SYNC = new Set(["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EPERM", "EACCES", "EISDIR", "EBADF"])

/**
 * Whether a sync failed because the file system cannot do it, which has to be accepted.
 *
 * @internal
 */
export const cannotSync = (cause: unknown): boolean => CANNOT_SYNC.has(codeOf(cause) ?? "")

/**
 * Syncs an open file, where the file system can.
 *
 * @internal
 */
export const syncNow = (disk: Disk, file: number): void => {
  try {
    disk.sync(file)
  } catch (cause) {
    if (!cannotSync(cause)) throw cause
  }
}

/**
 * Makes the names in a directory durable, where the file system can. False when the directory cannot be opened.
 *
 * @internal
 */
export const syncDirectory = (disk: Disk, directory: string): boolean => {
  let opened: number
  try {
    opened = disk.openDirectory(directory)
  } catch (cause) {
    if (cannotSync(cause)) return false
    throw cause
  }
  try {
    syncNow(disk, opened)
  } finally {
    disk.close(opened)
  }
  return true
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
 * The text at the start of a file, up to a number of bytes.
 *
 * @internal
 */
export const readStart = (disk: Disk, path: string, bytes: number): string => {
  const opened = disk.openToRead(path)
  try {
    const buffer = Buffer.allocUnsafe(bytes)
    return buffer.toString("utf8", 0, disk.read(opened, buffer, 0, bytes, 0))
  } finally {
    disk.close(opened)
  }
}

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
