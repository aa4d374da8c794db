/**
 * Where a journal is, also where earlier versions had it.
 *
 * A journal and an event log never share a directory, nor is one inside the other: deleting a log must not delete what is
 * accepted and not delivered. The first release had the journal in the directory of the log unless told otherwise, and let both
 * be in one directory.
 */
import { BackendError } from "@tidings/core/BackendError"
import { JournalError, JournalFailed } from "@tidings/core/Journal"
import * as Effect from "effect/Effect"
import * as path from "node:path"
import * as access from "./access.ts"
import type { Disk } from "./disk.ts"
import { codeOf } from "./diskError.ts"
import { SEGMENT, syncNow } from "./journalFiles.ts"
import * as SegmentName from "./segmentName.ts"

const META = ".meta.json"
const LOCK = "lock"

const listOf = (disk: Disk, directory: string): ReadonlyArray<string> =>
  disk.status(directory)?.kind === "directory" ? disk.list(directory) : []

/**
 * Whether a directory with these files has an event log in which events are.
 *
 * @internal
 */
export const hasLog = (files: ReadonlyArray<string>): boolean =>
  files.some((file) => SegmentName.parse(file) !== undefined)

/**
 * Whether a directory with these files has a journal, whichever version made it: an event log has no lock.
 *
 * @internal
 */
export const hasJournal = (files: ReadonlyArray<string>): boolean =>
  files.some((file) => file === LOCK || SEGMENT.test(file))

const isJournal = (files: ReadonlyArray<string>): boolean => files.includes(META) && hasJournal(files) && !hasLog(files)

const isKept = (file: string): boolean => SEGMENT.test(file) || file.startsWith("sink-")
/** The other files of a journal, which each opening makes where they are missing. */
const isAnew = (file: string): boolean => file === LOCK || file === "owner" || file === "reserve"

const failed = (detail: string, cause?: unknown): JournalError =>
  new JournalError({ reason: new JournalFailed({ detail }), cause })

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/**
 * The place beside an event log.
 *
 * @internal
 */
export const beside = (logDirectory: string): string => `${logDirectory}-journal`

const inside = (logDirectory: string): string => path.join(logDirectory, "journal")

/**
 * Where the journal beside an event log is now: in its place, or where the first release had it.
 *
 * @internal
 */
export const find = (disk: Disk, logDirectory: string): string => {
  const place = beside(logDirectory)
  const earlier = inside(logDirectory)
  return !hasJournalAt(disk, place) && hasJournalAt(disk, earlier) ? earlier : place
}

/** What this user may not look at is not its journal. */
const hasJournalAt = (disk: Disk, directory: string): boolean => {
  try {
    return isJournal(listOf(disk, directory))
  } catch (cause) {
    if (codeOf(cause) === "EACCES") return false
    throw cause
  }
}

/** Names that were moved survive a loss of power. */
const syncDirectories = (disk: Disk, ...directories: ReadonlyArray<string>): void => {
  for (const directory of directories) {
    const opened = disk.openDirectory(directory)
    try {
      syncNow(disk, opened)
    } finally {
      disk.close(opened)
    }
  }
}

const deviceOf = (disk: Disk, directory: string): string | undefined => disk.status(directory)?.identity.split(":")[0]

/** The directory of the log is a volume: what is beside it is on another one, which may not survive what this one survives. */
const isVolume = (disk: Disk, logDirectory: string): boolean => {
  const device = deviceOf(disk, logDirectory)
  return device !== undefined && device !== deviceOf(disk, path.dirname(logDirectory))
}

/**
 * The place of the journal beside an event log. One that the first release made inside of the log is moved there first; where
 * that cannot be done it is used where it is. A new one is refused where its place is on another volume than the log.
 *
 * @internal
 */
export const settle = (disk: Disk, logDirectory: string): Effect.Effect<string, JournalError> =>
  Effect.suspend((): Effect.Effect<string, JournalError> => {
    const place = beside(logDirectory)
    const earlier = inside(logDirectory)
    try {
      const isThere = isJournal(listOf(disk, place))
      if (isJournal(listOf(disk, earlier))) {
        return isThere
          ? Effect.as(
              Effect.logWarning(
                `There is a journal in ${earlier} beside that in ${place}, which is used: what is not delivered in the first one is ` +
                  "delivered by a host that names it in TIDINGS_JOURNAL"
              ),
              place
            )
          : move(disk, earlier, place)
      }
      if (!isThere && isVolume(disk, logDirectory)) {
        return Effect.fail(
          failed(
            `${logDirectory} is a volume of its own, and ${place}, where the journal would be, is not on it: name a directory for ` +
              "the journal with TIDINGS_JOURNAL"
          )
        )
      }
      return Effect.succeed(place)
    } catch (cause) {
      if (codeOf(cause) === undefined) throw cause
      return Effect.fail(failed(`the place of the journal cannot be found out: ${messageOf(cause)}`, cause))
    }
  })

const move = (disk: Disk, from: string, to: string): Effect.Effect<string> => {
  const lock = disk.lock(path.join(from, LOCK), access.fileMode(disk.status(from)))
  // To open it there fails with the name of its owner.
  if (lock === undefined) return Effect.succeed(from)
  try {
    disk.rename(from, to)
    syncDirectories(disk, path.dirname(to), path.dirname(from))
    return Effect.as(Effect.logInfo(`The journal in ${from} is in ${to} now: beside the event log, not inside`), to)
  } catch (cause) {
    if (disk.status(from) === undefined) return Effect.succeed(to)
    return Effect.as(
      Effect.logWarning(
        `The journal in ${from} cannot be moved to ${to} (${messageOf(cause)}) and is used where it is, so it goes when the event ` +
          "log is deleted; stop the host, move it, and name the new directory with TIDINGS_JOURNAL"
      ),
      from
    )
  } finally {
    lock.release()
  }
}

/**
 * The directory to use for a journal that is to be in one which has an event log: that beside it, to which the files of the
 * journal are moved, if the first release made one there. The log stays as it is.
 *
 * `adopt` gives the new directory the identity of the old one, which the entries of the first release have.
 *
 * @internal
 */
export const apart = (
  disk: Disk,
  directory: string,
  adopt: (place: string) => void
): Effect.Effect<string, JournalError> =>
  Effect.suspend((): Effect.Effect<string, JournalError> => {
    const files = listOf(disk, directory)
    if (!hasLog(files)) return Effect.succeed(directory)
    const place = beside(directory)
    const there = listOf(disk, place)
    const begun = there.includes(META)
    const kept = files.filter(isKept)
    if (kept.length === 0) {
      return begun
        ? Effect.succeed(place)
        : Effect.fail(failed(`${directory} holds an event log: give the journal a directory of its own`))
    }
    if (there.includes(LOCK)) {
      return Effect.fail(
        failed(
          `${directory} has an event log and a journal, and there is another journal in ${place} by now: move the files of the first ` +
            "one (entries-*, taken-*, sink-*) and a copy of .meta.json to a directory of their own, and name that for the journal"
        )
      )
    }
    const lock = disk.lock(path.join(directory, LOCK), access.fileMode(disk.status(directory)))
    if (lock === undefined) return Effect.succeed(directory)
    try {
      if (disk.status(place) === undefined)
        disk.makeDirectory(place, access.directoryMode(disk.status(path.dirname(place))))
      // Its identity first, and the entries last: one that is interrupted goes on with the next start.
      if (!begun) adopt(place)
      const ordered = [...kept.filter((file) => !SEGMENT.test(file)), ...kept.filter((file) => SEGMENT.test(file))]
      for (const file of ordered) disk.rename(path.join(directory, file), path.join(place, file))
      for (const file of listOf(disk, directory)) if (isAnew(file)) disk.unlink(path.join(directory, file))
      syncDirectories(disk, place, directory, path.dirname(place))
      return Effect.as(
        Effect.logWarning(
          `${directory} has an event log and had a journal, which is in ${place} now: name that directory for the journal`
        ),
        place
      )
    } catch (cause) {
      if (codeOf(cause) === undefined && !(cause instanceof BackendError)) throw cause
      return Effect.fail(
        failed(
          `${directory} has an event log and a journal, and the journal cannot be moved to ${place} (${messageOf(cause)}): move its ` +
            "files (entries-*, taken-*, sink-*) and a copy of .meta.json to a directory of their own, and name that for the journal",
          cause
        )
      )
    } finally {
      lock.release()
    }
  })
