/**
 * Exclusive locks on files, which end with the process that holds them, however it ends.
 *
 * They are locks of SQLite, because those are locks of the operating system, and Node has no other access to them. The file stays
 * empty: the transaction that holds the lock never writes. Within one process, no other descriptor of a locked file may be opened
 * and closed, because closing any descriptor releases a POSIX lock.
 */
import * as fs from "node:fs"
import { dirname } from "node:path"
import { diskFailure, messageOf } from "./diskError.ts"

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

// The result codes of SQLite: https://www.sqlite.org/rescode.html
const SQLITE_PERM = 3
const SQLITE_BUSY = 5
const SQLITE_IOERR = 10
const SQLITE_FULL = 13
const SQLITE_IOERR_RDLOCK = 2314
const SQLITE_IOERR_LOCK = 3850

/** The result code of SQLite, with its extension; absent for what SQLite did not throw. */
const resultOf = (cause: unknown): number | undefined =>
  cause instanceof Error && "errcode" in cause && typeof cause.errcode === "number" ? cause.errcode : undefined

const primaryOf = (cause: unknown): number => (resultOf(cause) ?? 0) & 0xff

const isBusy = (cause: unknown): boolean => primaryOf(cause) === SQLITE_BUSY

/**
 * What the operating system says of using a file; absent where it would allow it. Asked without opening the file, because closing it
 * would release the lock.
 */
const refusalOf = (path: string, mode: number): unknown => {
  try {
    if (fs.existsSync(path)) fs.accessSync(path, mode)
    else fs.accessSync(dirname(path), fs.constants.W_OK | fs.constants.X_OK)
    return undefined
  } catch (cause) {
    return cause
  }
}

/** The failure of the operating system for what SQLite threw, which speaks of a database and names no file. */
const failureOf = (cause: unknown, path: string, mode: number): unknown => {
  const result = resultOf(cause)
  if (result === undefined) return cause
  const refusal = refusalOf(path, mode)
  if (refusal !== undefined) return refusal
  if (result === SQLITE_IOERR_LOCK || result === SQLITE_IOERR_RDLOCK || primaryOf(cause) === SQLITE_PERM) {
    return diskFailure("ENOTSUP", "the file system refuses locks", path)
  }
  if (primaryOf(cause) === SQLITE_FULL) return diskFailure("ENOSPC", "the disk is full", path)
  if (primaryOf(cause) === SQLITE_IOERR) return diskFailure("EIO", "input/output error", path)
  return diskFailure("ERR_SQLITE_ERROR", `the lock cannot be used: ${messageOf(cause)}`, path)
}

const READ = fs.constants.R_OK
const READ_AND_WRITE = fs.constants.R_OK | fs.constants.W_OK

/**
 * Whether a process holds the lock of a file. During the check no process can take it.
 *
 * @internal
 */
export const isLocked = (path: string): boolean => {
  const { DatabaseSync } = loadSqlite()
  let database: InstanceType<typeof DatabaseSync> | undefined
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: 0 })
    database.prepare("SELECT 1 FROM sqlite_schema").get()
    return false
  } catch (cause) {
    if (isBusy(cause)) return true
    throw failureOf(cause, path, READ)
  } finally {
    database?.close()
  }
}

/**
 * Whether the file system of a path has locks. SQLite reports "busy" both when another process holds the lock and when the system
 * has no locks (`ENOLCK`), as network file systems do. The lock of a new file is free, so that "busy" means the latter there.
 */
const supportsLocks = (path: string): boolean => {
  const { DatabaseSync } = loadSqlite()
  const probe = `${path}.${process.pid}.new`
  let database: InstanceType<typeof DatabaseSync> | undefined
  try {
    database = new DatabaseSync(probe, { timeout: 0 })
    database.exec("PRAGMA journal_mode = MEMORY")
    database.exec("BEGIN EXCLUSIVE")
    return true
  } catch (cause) {
    // Another failure tells nothing about locks.
    return !isBusy(cause)
  } finally {
    database?.close()
    fs.rmSync(probe, { force: true })
  }
}

/**
 * Takes the lock of a file, and creates the file where it is missing; absent when another holder has the lock, also in this process.
 * `of` says in errors what the lock is for.
 *
 * @internal
 */
export const acquire = (
  path: string,
  permissions: number,
  of = "a journal"
): { readonly release: () => void } | undefined => {
  const there = fs.lstatSync(path, { throwIfNoEntry: false })
  if (there !== undefined && !(there.isFile() && there.size === 0)) {
    throw diskFailure("EINVAL", `the lock of ${of} is an empty file, and this one is not: move it away`, path)
  }
  const { DatabaseSync } = loadSqlite()
  let database: InstanceType<typeof DatabaseSync> | undefined
  try {
    // SQLite creates the file, so that there is no other descriptor of it. It waits for a process that only checks the lock.
    database = new DatabaseSync(path, { timeout: 100 })
    // Without a rollback journal on disk, so that the lock can be taken on a full disk.
    database.exec("PRAGMA journal_mode = MEMORY")
    database.exec("BEGIN EXCLUSIVE")
    // Without write permission, BEGIN EXCLUSIVE succeeds and takes no lock. This write fails then.
    database.exec("PRAGMA user_version = 1")
  } catch (cause) {
    database?.close()
    if (!isBusy(cause)) throw failureOf(cause, path, READ_AND_WRITE)
    if (supportsLocks(path)) return undefined
    throw diskFailure("ENOLCK", "the file system does not support locks", path)
  }
  if (there === undefined) fs.chmodSync(path, permissions)
  // Closing ends the transaction, which writes nothing.
  const held = database
  return { release: () => held.close() }
}
