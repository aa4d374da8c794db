import * as Context from "effect/Context"
import * as fs from "node:fs"
import * as path from "node:path"
import * as fileLock from "./fileLock.ts"

/**
 * The status of a path or an open file.
 *
 * @internal
 */
export interface FileStatus {
  readonly kind: "file" | "directory" | "link" | "other"
  /** In bytes. */
  readonly size: number
  /** Device and inode: the same for all names of a file. */
  readonly identity: string
  /** Number of names; 0 when it was unlinked while it was open. */
  readonly links: number
  readonly owner: number
  readonly group: number
  /** The permission bits. */
  readonly permissions: number
  /** When it was created, in milliseconds since 1970, by the clock of the file system. */
  readonly made: number
  /** When its content, or the names in a directory, were last changed, in milliseconds since 1970, with fractions. */
  readonly modified: number
}

/**
 * The operations on files that the log and the journal use, so that tests can replace the disk by a simulated or a failing one.
 *
 * All but `syncLater` and `closeLater` are synchronous: a write to the page cache takes less than a microsecond, a promise forty times as long.
 * Failures are thrown and have the `code` of the operating system.
 *
 * @internal
 */
export interface Disk {
  /** The user that owns new files; absent where the system has no users. */
  readonly user: number | undefined
  /** The groups that this process is a member of. */
  readonly groups: ReadonlyArray<number>
  /** Whether this process runs in a Kubernetes pod, whose volumes only its own containers can reach. */
  readonly isInPod: boolean
  readonly openToRead: (path: string) => number
  readonly openToAppend: (path: string) => number
  /** Creates the file open for appending, and fails with `EEXIST` when there is one. */
  readonly create: (path: string, permissions: number) => number
  readonly openDirectory: (path: string) => number
  readonly close: (file: number) => void
  /** The same without blocking the process: the system frees a file that has no name any more, which takes long for a large one. */
  readonly closeLater: (file: number) => void
  readonly read: (file: number, into: Uint8Array, offset: number, length: number, position: number) => number
  /** Appends to the file. May write less than it was given. */
  readonly append: (file: number, from: Uint8Array, offset: number, length: number) => number
  readonly sync: (file: number) => void
  /** `fdatasync` without blocking the process: enough for a file whose name is durable. */
  readonly syncLater: (file: number, done: (cause: unknown) => void) => void
  /** Cuts the file to this many bytes; works on a full disk. */
  readonly truncate: (file: number, size: number) => void
  /**
   * Takes the exclusive lock of a file until `release` or the end of the process; absent when another holder has it. `of` says in
   * errors what the lock is for, a journal unless given.
   */
  readonly lock: (path: string, permissions: number, of?: string) => { readonly release: () => void } | undefined
  /** Sets when the content of the file was last changed, in milliseconds since 1970. */
  readonly setModified: (file: number, modified: number) => void
  /** Waits until no process is writing to the file. */
  readonly settle: (file: number) => void
  readonly statusOf: (file: number) => FileStatus
  /** Follows symbolic links; absent when there is no file. */
  readonly status: (path: string) => FileStatus | undefined
  /** Whether the path leads to the file with this identity. */
  readonly leadsTo: (path: string, identity: string) => boolean
  /** Whether an open file has no name any more, so that what is written to it is not found again. */
  readonly isUnlinked: (file: number) => boolean
  /** Size of the file system of a path in bytes; absent where it does not tell. */
  readonly capacity: (path: string) => number | undefined
  readonly list: (directory: string) => ReadonlyArray<string>
  readonly makeDirectory: (path: string, permissions: number) => void
  /** Adds a name to a file; fails with `EEXIST` when the name exists. */
  readonly link: (existing: string, path: string) => void
  readonly linkSymbolic: (target: string, path: string) => void
  /** The target of a symbolic link; absent when the path is not one. */
  readonly readLink: (path: string) => string | undefined
  readonly rename: (from: string, to: string) => void
  readonly unlink: (path: string) => void
  /** Calls `changed` when something in the directory may have changed. Some changes are not reported. */
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
  made: stats.birthtimeMs,
  modified: stats.mtimeMs
})

// Without following a symbolic link, and without blocking on a pipe that has the name of a segment. Systems without these flags
// have neither.
const SAFE_OPEN = (fs.constants.O_NOFOLLOW ?? 0) | (fs.constants.O_NONBLOCK ?? 0)

/**
 * Creates a directory and its missing ancestors. Not with the `recursive` option of Node, which never ends where a file system
 * reports the parent of a new directory as missing.
 */
const makeDirectory = (directory: string, permissions: number): void => {
  const missing: Array<string> = []
  for (let one = path.resolve(directory); !fs.existsSync(one); one = path.dirname(one)) missing.push(one)
  for (const one of missing.reverse()) {
    try {
      fs.mkdirSync(one, permissions)
    } catch (cause) {
      // Another process may have created it.
      if (fs.statSync(one, { throwIfNoEntry: false })?.isDirectory() !== true) throw cause
    }
  }
}

/** @internal */
export const node: Disk = {
  user: process.geteuid?.(),
  groups: [...new Set([...(process.getgroups?.() ?? []), ...[process.getegid?.() ?? []].flat()])],
  isInPod: process.env["KUBERNETES_SERVICE_HOST"] !== undefined,
  openToRead: (path) => fs.openSync(path, fs.constants.O_RDONLY | SAFE_OPEN),
  openToAppend: (path) => fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_APPEND | SAFE_OPEN),
  create: (path, permissions) =>
    fs.openSync(
      path,
      fs.constants.O_RDWR | fs.constants.O_APPEND | fs.constants.O_CREAT | fs.constants.O_EXCL | SAFE_OPEN,
      permissions
    ),
  openDirectory: (path) => fs.openSync(path, fs.constants.O_RDONLY),
  close: (file) => fs.closeSync(file),
  closeLater: (file) => fs.close(file, () => {}),
  read: (file, into, offset, length, position) => fs.readSync(file, into, offset, length, position),
  append: (file, from, offset, length) => fs.writeSync(file, from, offset, length),
  sync: (file) => fs.fsyncSync(file),
  syncLater: (file, done) => fs.fdatasync(file, done),
  truncate: (file, size) => fs.ftruncateSync(file, size),
  lock: fileLock.acquire,
  settle: (file) => {
    // Setting the times of a file waits for the inode lock, which a write holds until it ends.
    const { atime, mtime } = fs.fstatSync(file)
    fs.futimesSync(file, atime, mtime)
  },
  setModified: (file, modified) => fs.futimesSync(file, modified / 1_000, modified / 1_000),
  statusOf: (file) => statusOfStats(fs.fstatSync(file)),
  status: (path) => {
    const stats = fs.statSync(path, { throwIfNoEntry: false })
    return stats === undefined ? undefined : statusOfStats(stats)
  },
  leadsTo: (path, identity) => {
    const stats = fs.statSync(path, { throwIfNoEntry: false })
    return stats !== undefined && `${stats.dev}:${stats.ino}` === identity
  },
  isUnlinked: (file) => fs.fstatSync(file).nlink === 0,
  capacity: (path) => {
    try {
      const { blocks, bsize } = fs.statfsSync(path)
      return blocks * bsize
    } catch {
      return undefined
    }
  },
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
