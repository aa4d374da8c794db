import * as Context from "effect/Context"
import * as fs from "node:fs"
import * as path from "node:path"

/**
 * What is known of a path or an open file.
 *
 * @internal
 */
export interface FileStatus {
  readonly kind: "file" | "directory" | "link" | "other"
  /** In bytes. */
  readonly size: number
  /** Device and inode: the same for the same file, whatever it is called. */
  readonly identity: string
  /** How many names lead to it; none when it was unlinked while it was open. */
  readonly links: number
  readonly owner: number
  readonly group: number
  /** The permission bits. */
  readonly permissions: number
  /** When it was made, in milliseconds since 1970, by the clock of the file system. */
  readonly made: number
}

/**
 * All that the log asks of a disk, so that another one can take its place: a simulated one, or one that fails on
 * purpose.
 *
 * Everything is synchronous. A write to the page cache takes less than a microsecond, a promise round trip forty times
 * as much. Failures are thrown and carry the `code` of the operating system.
 *
 * @internal
 */
export interface Disk {
  /** The user that files are made for; absent where the system has no such thing. */
  readonly user: number | undefined
  /** The groups that this process is a member of. */
  readonly groups: ReadonlyArray<number>
  /** Whether this process runs in a pod of Kubernetes, whose volumes only its own containers have. */
  readonly isInPod: boolean
  readonly openToRead: (path: string) => number
  readonly openToAppend: (path: string) => number
  /** Makes the file, and fails with `EEXIST` when there is one. */
  readonly create: (path: string, permissions: number) => number
  readonly openDirectory: (path: string) => number
  readonly close: (file: number) => void
  readonly read: (file: number, into: Uint8Array, offset: number, length: number, position: number) => number
  /** At the end of the file. May write less than it was given. */
  readonly append: (file: number, from: Uint8Array, offset: number, length: number) => number
  readonly sync: (file: number) => void
  /** The same without stopping the process meanwhile: only the data, which is enough for a file that has its name. */
  readonly syncLater: (file: number, done: (cause: unknown) => void) => void
  /** Cuts the file to this many bytes; works on a full disk too. */
  readonly truncate: (file: number, size: number) => void
  /**
   * Makes whoever asks the only one that holds the file's lock, until it lets go or its process ends in whatever way; absent
   * when another one has it, be it in this process.
   */
  readonly lock: (path: string, permissions: number) => { readonly release: () => void } | undefined
  /** Waits until no write to the file is under way in any process. */
  readonly settle: (file: number) => void
  readonly statusOf: (file: number) => FileStatus
  /** Of what the path leads to; absent when there is nothing. */
  readonly status: (path: string) => FileStatus | undefined
  /**
   * Whether there is something at a path. Cheaper than to look at it: to read the times of a file that is just being written
   * makes its next write note finer ones.
   */
  readonly exists: (path: string) => boolean
  /** Whether the path leads to the file with this identity. */
  readonly leadsTo: (path: string, identity: string) => boolean
  /** Whether an open file has no name any more: what is written to it is never found again. */
  readonly isUnlinked: (file: number) => boolean
  readonly list: (directory: string) => ReadonlyArray<string>
  readonly makeDirectory: (path: string, permissions: number) => void
  /** A second name for a file; fails with `EEXIST` when there is one. */
  readonly link: (existing: string, path: string) => void
  readonly linkSymbolic: (target: string, path: string) => void
  /** The target of a symbolic link; absent when the path is none. */
  readonly readLink: (path: string) => string | undefined
  readonly rename: (from: string, to: string) => void
  readonly unlink: (path: string) => void
  /** Calls when something in the directory may have changed. A hint: changes may go unreported. */
  readonly watch: (directory: string, changed: () => void, failed: () => void) => { readonly close: () => void }
}

const kindOf = (stats: fs.Stats): FileStatus["kind"] =>
  stats.isFile() ? "file" : stats.isDirectory() ? "directory" : stats.isSymbolicLink() ? "link" : "other"

const statusOfStats = (stats: fs.Stats): FileStatus => ({
  kind: kindOf(stats),
  size: stats.size,
  identity: `${stats.dev}:${stats.ino}`,
  links: stats.nlink,
  owner: stats.uid,
  group: stats.gid,
  permissions: stats.mode & 0o7777,
  made: stats.birthtimeMs
})

// Never through a symbolic link, and never waiting: a pipe under the name of a segment must not stop the process.
// Systems without these flags have neither danger.
const CAREFULLY = (fs.constants.O_NOFOLLOW ?? 0) | (fs.constants.O_NONBLOCK ?? 0)

/**
 * The lock is SQLite's, because that one is the system's own: it ends with the process, by whatever end, and Node offers
 * no other. The file stays empty, and the transaction that holds the lock never writes.
 *
 * Loaded only when there is something to lock. Node 22 then warns that SQLite's interface may still change, which is meant
 * for whoever programs against it; of that interface nothing is used here but beginning and ending a transaction, so the
 * users of this package are spared that one warning.
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
 * Whether somebody holds a file's lock. Takes none, but for the moment of looking one that only bars the way to a new holder.
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
 * Whether files in the directory of this one can be locked at all. SQLite says busy both for a lock that another process holds
 * and where the system answers that it has none (`ENOLCK`), as network file systems do; a file that is new has no holder.
 */
const givesLocks = (path: string): boolean => {
  const { DatabaseSync } = loadSqlite()
  const probe = `${path}.${process.pid}.new`
  const database = new DatabaseSync(probe, { timeout: 0 })
  try {
    database.exec("PRAGMA journal_mode = MEMORY")
    database.exec("BEGIN EXCLUSIVE")
    return true
  } catch (cause) {
    // Whatever else fails here says nothing about locks.
    return !isBusy(cause)
  } finally {
    database.close()
    fs.rmSync(probe, { force: true })
  }
}

/**
 * Makes a directory and what is missing above it, from the top. Not by the `recursive` of Node, which tries again without end
 * where a file system answers that the directory above a new one is not there.
 */
const makeDirectory = (directory: string, permissions: number): void => {
  const missing: Array<string> = []
  for (let one = path.resolve(directory); !fs.existsSync(one); one = path.dirname(one)) missing.push(one)
  for (const one of missing.reverse()) {
    try {
      fs.mkdirSync(one, permissions)
    } catch (cause) {
      // Another process was first.
      const isThere = fs.statSync(one, { throwIfNoEntry: false })?.isDirectory() === true
      if (!isThere) throw cause
    }
  }
}

/** @internal */
export const node: Disk = {
  user: process.geteuid?.(),
  groups: [...new Set([...(process.getgroups?.() ?? []), ...[process.getegid?.() ?? []].flat()])],
  isInPod: process.env["KUBERNETES_SERVICE_HOST"] !== undefined,
  openToRead: (path) => fs.openSync(path, fs.constants.O_RDONLY | CAREFULLY),
  openToAppend: (path) => fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_APPEND | CAREFULLY),
  create: (path, permissions) =>
    fs.openSync(
      path,
      fs.constants.O_RDWR | fs.constants.O_APPEND | fs.constants.O_CREAT | fs.constants.O_EXCL | CAREFULLY,
      permissions
    ),
  openDirectory: (path) => fs.openSync(path, fs.constants.O_RDONLY),
  close: (file) => fs.closeSync(file),
  read: (file, into, offset, length, position) => fs.readSync(file, into, offset, length, position),
  append: (file, from, offset, length) => fs.writeSync(file, from, offset, length),
  sync: (file) => fs.fsyncSync(file),
  syncLater: (file, done) => fs.fdatasync(file, done),
  truncate: (file, size) => fs.ftruncateSync(file, size),
  lock: (path, permissions) => {
    const there = fs.lstatSync(path, { throwIfNoEntry: false })
    if (there !== undefined && !(there.isFile() && there.size === 0)) {
      throw Object.assign(new Error("the lock of a journal is an empty file, and this is none: move this file away"), {
        code: "EINVAL",
        path
      })
    }
    const { DatabaseSync } = loadSqlite()
    // Made by SQLite itself: of a file that is locked nobody else in this process may open and close a second
    // descriptor, because the first one to be closed would take the lock with it.
    // Waiting a little, for whoever only looks.
    const database = new DatabaseSync(path, { timeout: 100 })
    try {
      // A rollback journal is a file too, and on a full disk there would be no lock.
      database.exec("PRAGMA journal_mode = MEMORY")
      database.exec("BEGIN EXCLUSIVE")
    } catch (cause) {
      database.close()
      if (!isBusy(cause)) throw cause
      if (givesLocks(path)) return undefined
      throw Object.assign(new Error("the file system gives no locks"), { code: "ENOLCK", path })
    }
    if (there === undefined) fs.chmodSync(path, permissions)
    return {
      release: () => {
        // Which ends the transaction too.
        database.close()
      }
    }
  },
  settle: (file) => {
    // Giving a file the times that it has takes the lock that a write holds from its beginning to its end.
    const { atime, mtime } = fs.fstatSync(file)
    fs.futimesSync(file, atime, mtime)
  },
  statusOf: (file) => statusOfStats(fs.fstatSync(file)),
  status: (path) => {
    const stats = fs.statSync(path, { throwIfNoEntry: false })
    return stats === undefined ? undefined : statusOfStats(stats)
  },
  exists: (path) => fs.existsSync(path),
  leadsTo: (path, identity) => {
    const stats = fs.statSync(path, { throwIfNoEntry: false })
    return stats !== undefined && `${stats.dev}:${stats.ino}` === identity
  },
  isUnlinked: (file) => fs.fstatSync(file).nlink === 0,
  list: (directory) => fs.readdirSync(directory),
  makeDirectory,
  link: (existing, path) => fs.linkSync(existing, path),
  linkSymbolic: (target, path) => fs.symlinkSync(target, path),
  readLink: (path) => {
    try {
      return fs.readlinkSync(path)
    } catch {
      return undefined
    }
  },
  rename: (from, to) => fs.renameSync(from, to),
  unlink: (path) => fs.unlinkSync(path),
  watch: (directory, changed, failed) => {
    const watcher = fs.watch(directory, { persistent: false }, changed)
    watcher.on("error", failed)
    return watcher
  }
}

/** @internal */
export const Disk: Context.Reference<Disk> = Context.Reference<Disk>("@tidings/backend-fs/Disk", {
  defaultValue: () => node
})
