/**
 * Where a journal is, also where earlier versions had it.
 *
 * A journal and an event log never share a directory, nor is one inside the other: whoever deletes a log must not delete what
 * is accepted and not delivered. The first release had the journal in the directory of the log unless told otherwise, and let
 * both be in one directory.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { type Disk, isLocked } from "./disk.ts"
import { SEGMENT } from "./journalFiles.ts"
import * as SegmentName from "./segmentName.ts"

const META = ".meta.json"

/** The files of a journal, but for its identity. */
const isOfJournal = (file: string): boolean => SEGMENT.test(file) || /^sink-|^(?:lock|owner|reserve)$/.test(file)

const listOf = (disk: Disk, directory: string): ReadonlyArray<string> =>
  disk.status(directory)?.kind === "directory" ? disk.list(directory) : []

/**
 * Whether a directory has an event log.
 *
 * @internal
 */
export const hasLog = (files: ReadonlyArray<string>): boolean =>
  files.some((file) => SegmentName.parse(file) !== undefined)

/**
 * Whether a directory has a journal, whichever version made it.
 *
 * @internal
 */
export const hasJournal = (files: ReadonlyArray<string>): boolean => files.some((file) => SEGMENT.test(file))

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
  return disk.status(place) === undefined && listOf(disk, earlier).includes(META) ? earlier : place
}

const isInUse = (disk: Disk, directory: string): boolean => {
  const lock = path.join(directory, "lock")
  return disk.status(lock) !== undefined && isLocked(lock)
}

/**
 * The place of the journal beside an event log. One that the first release made inside of the log is moved there first; where
 * that cannot be done it is used where it is.
 *
 * @internal
 */
export const settle = (disk: Disk, logDirectory: string): Effect.Effect<string> =>
  Effect.suspend(() => {
    const place = beside(logDirectory)
    const earlier = find(disk, logDirectory)
    // Its owner is told by the lock.
    if (earlier === place || isInUse(disk, earlier)) return Effect.succeed(earlier)
    try {
      disk.rename(earlier, place)
      return Effect.as(
        Effect.logInfo(`The journal in ${earlier} is in ${place} now: beside the event log, not inside`),
        place
      )
    } catch (cause) {
      return Effect.as(
        Effect.logWarning(
          `The journal in ${earlier} cannot be moved to ${place} (${String(cause)}), and goes with the event log when that is ` +
            "deleted; name a directory for it with TIDINGS_JOURNAL"
        ),
        earlier
      )
    }
  })

/**
 * The directory to use for a journal that is to be in one which has an event log: that beside it, to which the files of the
 * journal are moved, if the first release made one there. The log stays as it is.
 *
 * @internal
 */
export const apart = (disk: Disk, directory: string): Effect.Effect<string> =>
  Effect.suspend(() => {
    const files = listOf(disk, directory)
    if (!hasLog(files) || isInUse(disk, directory)) return Effect.succeed(directory)
    const place = beside(directory)
    const own = files.filter(isOfJournal)
    if (!hasJournal(own)) return Effect.succeed(listOf(disk, place).includes(META) ? place : directory)
    if (disk.status(place) === undefined) disk.makeDirectory(place, 0o700)
    // Its identity first, and the entries last: until they are moved, what is in the new place is no journal.
    if (!listOf(disk, place).includes(META)) disk.link(path.join(directory, META), path.join(place, META))
    const ordered = [...own.filter((file) => !SEGMENT.test(file)), ...own.filter((file) => SEGMENT.test(file))]
    for (const file of ordered) disk.rename(path.join(directory, file), path.join(place, file))
    return Effect.as(
      Effect.logWarning(
        `${directory} has an event log and had a journal, which is in ${place} now: name that directory for the journal`
      ),
      place
    )
  })
