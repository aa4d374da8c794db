/**
 * Exclusive locks on files, which end with the process that holds them, however it ends.
 *
 * They are locks of SQLite, because those are locks of the operating system, and Node has no other access to them. The file stays
 * empty: the transaction that holds the lock never writes. Within one process, no other descriptor of a locked file may be opened
 * and closed, because closing any descriptor releases a POSIX lock.
 */
import * as fs from "node:fs"
import { diskFailure } from "./diskError.ts"

/**
 * `node:sqlite`, loaded on first use. Node 22 warns that its interface may change; only beginning and ending a transaction are
 * used of it, so that one warning is suppressed.
 */
const loadSqlite = () => {
  const emitWarning: unknown = Reflect.get(process, "emitWarning")
  process.emitWarning = (warning: string | Error, ...rest: Array<unknown>) => {
    if (!String(warning).startsWith("SQLite ")) Reflect.apply(emitWarning as () => void, process, [warning, ...rest])
  }
  try {
    return process.getBuiltinModule("node:sqlite")
  } finally {
    Reflect.set(process, "emitWarning", emitWarning)
  }
}

const SQLITE_BUSY = 5

const isBusy = (cause: unknown): boolean =>
  cause instanceof Error &&
  "errcode" in cause &&
  typeof cause.errcode === "number" &&
  (cause.errcode & 0xff) === SQLITE_BUSY

/**
 * Whether a process holds the lock of a file. During the check no process can take it.
 *
 * @internal
 */
export const isLocked = (path: string): boolean => {
  const { DatabaseSync } = loadSqlite()
  const database = new DatabaseSync(path, { readOnly: true, timeout: 0 })
  try {
    database.prepare("SELECT 1 FROM sqlite_schema").get()
    return false
  } catch (cause) {
    if (isBusy(cause)) return true
    throw cause
  } finally {
    database.close()
  }
}

/**
 * Whether the file system of a path has locks. SQLite reports "busy" both when another process holds the lock and when the system
 * has no locks (`ENOLCK`), as network file systems do; nobody holds the lock of a new file.
 */
const supportsLocks = (path: string): boolean => {
  const { DatabaseSync } = loadSqlite()
  const probe = `${path}.${process.pid}.new`
  const database = new DatabaseSync(probe, { timeout: 0 })
  try {
    database.exec("PRAGMA journal_mode = MEMORY")
    database.exec("BEGIN EXCLUSIVE")
    return true
  } catch (cause) {
    // Another failure tells nothing about locks.
    return !isBusy(cause)
  } finally {
    database.close()
    fs.rmSync(probe, { force: true })
  }
}

/**
 * Takes the lock of a file, and creates the file where it is missing; absent when another holder has the lock, also in this process.
 *
 * @internal
 */
export const acquire = (path: string, permissions: number): { readonly release: () => void } | undefined => {
  const there = fs.lstatSync(path, { throwIfNoEntry: false })
  if (there !== undefined && !(there.isFile() && there.size === 0)) {
    throw diskFailure("EINVAL", "the lock of a journal is an empty file, and this one is not: move it away", path)
  }
  const { DatabaseSync } = loadSqlite()
  // SQLite creates the file, so that there is no other descriptor of it. It waits for a process that only checks the lock.
  const database = new DatabaseSync(path, { timeout: 100 })
  try {
    // Without a rollback journal on disk, so that the lock can be taken on a full disk.
    database.exec("PRAGMA journal_mode = MEMORY")
    database.exec("BEGIN EXCLUSIVE")
  } catch (cause) {
    database.close()
    if (!isBusy(cause)) throw cause
    if (supportsLocks(path)) return undefined
    throw diskFailure("ENOLCK", "the file system does not support locks", path)
  }
  if (there === undefined) fs.chmodSync(path, permissions)
  // Closing ends the transaction.
  return { release: () => database.close() }
}
