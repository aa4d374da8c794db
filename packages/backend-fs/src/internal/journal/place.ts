/**
 * The directory of a journal, also where earlier versions had it.
 *
 * A journal and an event log never share a directory, nor is one inside the other, because deleting a log must not delete what is
 * accepted and not delivered. The first release had the journal inside the directory of the log, and let both share one: `settle`
 * and `apart` move such a journal beside the log, while they hold its lock.
 */
import { BackendError } from "@tidings/core/BackendError"
import type { JournalError } from "@tidings/core/Journal"
import * as Effect from "effect/Effect"
import * as path from "node:path"
import * as access from "../access.ts"
import type { Disk } from "../disk.ts"
import { codeOf, messageOf, unlessCode } from "../diskError.ts"
import { syncDirectory } from "../fileOperations.ts"
import * as SegmentName from "../log/segmentName.ts"
import { holdsLog, META } from "../storeDirectory.ts"
import { failed } from "./errors.ts"
import { hasJournal, isKept, isRecreated, isSegment, LOCK } from "./fileNames.ts"

const listOf = (disk: Disk, directory: string): ReadonlyArray<string> =>
  disk.status(directory)?.kind === "directory" ? disk.list(directory) : []

const isJournal = (files: ReadonlyArray<string>): boolean =>
  files.includes(META) && hasJournal(files) && !SegmentName.areIn(files)

/** The directory of the journal beside an event log. */
const beside = (logDirectory: string): string => `${logDirectory}-journal`

const inside = (logDirectory: string): string => path.join(logDirectory, "journal")

/**
 * Where the journal beside an event log is now: beside it, or inside it, where the first release had it.
 *
 * @internal
 */
export const find = (disk: Disk, logDirectory: string): string => {
  const place = beside(logDirectory)
  const earlier = inside(logDirectory)
  return !hasJournalAt(disk, place) && hasJournalAt(disk, earlier) ? earlier : place
}

/** A directory that this user may not read holds no journal of this user. */
const hasJournalAt = (disk: Disk, directory: string): boolean =>
  unlessCode(["EACCES"], () => isJournal(listOf(disk, directory))) ?? false

const deviceOf = (disk: Disk, directory: string): string | undefined => disk.status(directory)?.identity.split(":")[0]

/** Whether the directory of the log is a volume of its own: what is beside it is on another one, which may be less durable. */
const isVolume = (disk: Disk, logDirectory: string): boolean => {
  const device = deviceOf(disk, logDirectory)
  return device !== undefined && device !== deviceOf(disk, path.dirname(logDirectory))
}

/**
 * The directory of the journal beside an event log. A journal that the first release created inside the log is moved there first;
 * where that fails, it is used where it is. A new journal is refused where it would be on another volume than the log.
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
                `There is a journal in ${earlier} and one in ${place}, which is used: undelivered events of the first one are ` +
                  "delivered only by a host that names it in TIDINGS_JOURNAL"
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
      return Effect.fail(failed(`the place of the journal cannot be determined: ${messageOf(cause)}`, cause))
    }
  })

const move = (disk: Disk, from: string, to: string): Effect.Effect<string> => {
  const lock = disk.lock(path.join(from, LOCK), access.fileMode(disk.status(from)))
  // Opening it fails, and names its owner.
  if (lock === undefined) return Effect.succeed(from)
  try {
    disk.rename(from, to)
    syncDirectory(disk, path.dirname(to))
    syncDirectory(disk, path.dirname(from))
    return Effect.as(Effect.logInfo(`Moved the journal from ${from} to ${to}: beside the event log, not inside it`), to)
  } catch (cause) {
    if (disk.status(from) === undefined) return Effect.succeed(to)
    return Effect.as(
      Effect.logWarning(
        `The journal in ${from} cannot be moved to ${to} (${messageOf(cause)}) and is used where it is, so deleting the event ` +
          "log deletes it too; stop the host, move it, and name the new directory with TIDINGS_JOURNAL"
      ),
      from
    )
  } finally {
    lock.release()
  }
}

/**
 * The directory to use for a journal where the one that was asked for holds an event log: the one beside it, to which a journal
 * of the first release is moved. The log is not changed.
 *
 * `adopt` gives the new directory the identity of the old one, which the entries of the first release have as their origin.
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
    if (!SegmentName.areIn(files)) return Effect.succeed(directory)
    const place = beside(directory)
    const there = listOf(disk, place)
    const begun = there.includes(META)
    const kept = files.filter(isKept)
    if (kept.length === 0) {
      return begun ? Effect.succeed(place) : Effect.fail(failed(holdsLog(directory)))
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
      // The identity first, and the entries last: a move that is interrupted is continued by the next opening.
      if (!begun) adopt(place)
      const ordered = kept.toSorted((a, b) => Number(isSegment(a)) - Number(isSegment(b)))
      for (const file of ordered) disk.rename(path.join(directory, file), path.join(place, file))
      for (const file of listOf(disk, directory)) if (isRecreated(file)) disk.unlink(path.join(directory, file))
      for (const one of [place, directory, path.dirname(place)]) syncDirectory(disk, one)
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
