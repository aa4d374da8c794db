import type { Disk } from "./disk.ts"
import { codeOf, pathOf } from "./diskError.ts"

const named = (cause: unknown, path: string | undefined): unknown =>
  path === undefined || codeOf(cause) === undefined || pathOf(cause) !== undefined
    ? cause
    : Object.assign(cause as Error, { path })

/**
 * A disk whose failures name the file that they are about, also where the operation was given an open file: the operating system
 * names a file only where it was given a path.
 *
 * @internal
 */
export const withNamedFailures = (disk: Disk): Disk => {
  /** The paths of the files that are open. */
  const paths = new Map<number, string>()

  const opened = (file: number, path: string): number => {
    paths.set(file, path)
    return file
  }

  const naming = <A>(file: number, use: () => A): A => {
    try {
      return use()
    } catch (cause) {
      throw named(cause, paths.get(file))
    }
  }

  return {
    ...disk,
    openToRead: (path) => opened(disk.openToRead(path), path),
    openToAppend: (path) => opened(disk.openToAppend(path), path),
    create: (path, permissions) => opened(disk.create(path, permissions), path),
    openDirectory: (path) => opened(disk.openDirectory(path), path),
    close: (file) => {
      const path = paths.get(file)
      paths.delete(file)
      try {
        disk.close(file)
      } catch (cause) {
        throw named(cause, path)
      }
    },
    closeLater: (file) => {
      paths.delete(file)
      disk.closeLater(file)
    },
    read: (file, into, offset, length, position) => naming(file, () => disk.read(file, into, offset, length, position)),
    append: (file, from, offset, length) => naming(file, () => disk.append(file, from, offset, length)),
    sync: (file) => naming(file, () => disk.sync(file)),
    syncLater: (file, done) => naming(file, () => disk.syncLater(file, (cause) => done(named(cause, paths.get(file))))),
    truncate: (file, size) => naming(file, () => disk.truncate(file, size)),
    settle: (file) => naming(file, () => disk.settle(file)),
    statusOf: (file) => naming(file, () => disk.statusOf(file)),
    isUnlinked: (file) => naming(file, () => disk.isUnlinked(file)),
    rename: (from, to) => {
      disk.rename(from, to)
      for (const [file, path] of paths) if (path === from) paths.set(file, to)
    }
  }
}
