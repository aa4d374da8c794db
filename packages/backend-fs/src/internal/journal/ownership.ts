/**
 * Which process a journal belongs to, and whether its directory still is the one that this process has open.
 *
 * The owner holds a lock of the operating system on the file `lock`, which ends with the process. `owner` names it in words, for
 * people, and for the error of a process that comes second.
 *
 * A directory can be deleted, moved or mounted over under a running process, and the lock file can be deleted, so that another
 * process takes it. In each case the path of the lock no longer leads to the file that is locked, which one check tells.
 */
import { JournalError, JournalLocked, JournalLost } from "@tidings/core/Journal"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { hostname } from "node:os"
import type { Disk } from "../disk.ts"
import { diskFailure } from "../diskError.ts"
import { readStart } from "../fileOperations.ts"
import type { DirectoryEntries } from "./directoryEntries.ts"
import { errorOf } from "./errors.ts"
import { LOCK, OWNER } from "./fileNames.ts"

const LONGEST_OWNER = 512

const thisProcess = (): string => `process ${process.pid} on ${hostname()}`

/**
 * The process that has the journal in a directory open, in words.
 *
 * @internal
 */
export const ownerOf = (disk: Disk, entries: DirectoryEntries): string => {
  try {
    return readStart(disk, entries.pathOf(OWNER), LONGEST_OWNER)
  } catch {
    return "another process"
  }
}

/**
 * Writes who has the journal open.
 *
 * @internal
 */
export const writeOwner = (entries: DirectoryEntries): void =>
  entries.writeOptional(OWNER, [Buffer.from(thisProcess())])

/** How often the lock is taken anew when its file is replaced meanwhile. */
const MOST_TRIES = 16

/**
 * Takes the lock, and answers the identity of the file that is locked; absent when another holder has it.
 *
 * The lock is taken by path, so the file may be deleted or replaced between opening and locking it, and other processes then lock
 * the new file. The lock counts only if the path leads to the same file before and after.
 */
const takeLock = (
  disk: Disk,
  entries: DirectoryEntries
): { readonly identity: string; readonly release: () => void } | undefined => {
  const path = entries.pathOf(LOCK)
  for (let attempt = 0; attempt < MOST_TRIES; attempt++) {
    const before = disk.status(path)?.identity
    const lock = disk.lock(path, entries.fileMode())
    if (lock === undefined) return undefined
    // The first attempt creates the file where it is missing, the second one finds it.
    if (before !== undefined && disk.leadsTo(path, before)) return { identity: before, release: lock.release }
    lock.release()
  }
  throw diskFailure("EBUSY", "it is deleted or replaced again and again", path)
}

/** @internal */
export class Ownership {
  private readonly disk: Disk
  private readonly entries: DirectoryEntries
  private readonly lock: string
  private readonly lockIdentity: string
  private readonly directoryIdentity: string | undefined
  /** Result of the last check. */
  wasLost = false

  private constructor(disk: Disk, entries: DirectoryEntries, lockIdentity: string) {
    this.disk = disk
    this.entries = entries
    this.lock = entries.pathOf(LOCK)
    this.lockIdentity = lockIdentity
    this.directoryIdentity = this.identityOf(entries.directory)
  }

  /** Takes the lock until the scope closes, and makes each change in the directory check that it still is the same. */
  static acquire(disk: Disk, entries: DirectoryEntries): Effect.Effect<Ownership, JournalError, Scope.Scope> {
    const { directory } = entries
    const lock = Effect.flatMap(
      Effect.try({
        try: () => takeLock(disk, entries),
        catch: (cause) => errorOf(cause, directory)
      }),
      (lock) => {
        if (lock !== undefined) return Effect.succeed(lock)
        const found = ownerOf(disk, entries)
        const owner = found === thisProcess() ? "another journal of this process" : found
        const detail =
          `${directory} is in use by ${owner}: stop that process, or give this one a directory ` +
          "of its own. The operating system holds the lock; deleting the file does not release it"
        return Effect.fail(new JournalError({ reason: new JournalLocked({ detail }) }))
      }
    )
    return Effect.map(
      Effect.acquireRelease(lock, (lock) => Effect.sync(lock.release)),
      ({ identity }) => {
        const ownership = new Ownership(disk, entries, identity)
        entries.guardWith(() => ownership.check())
        return ownership
      }
    )
  }

  private identityOf(path: string): string | undefined {
    try {
      return this.disk.status(path)?.identity
    } catch {
      return undefined
    }
  }

  /** A journal that was moved and put back is kept again, because its lock was held all the time. */
  isKept(): boolean {
    let isKept = false
    try {
      isKept = this.disk.leadsTo(this.lock, this.lockIdentity)
    } catch {
      // What cannot be checked cannot be used either.
    }
    this.wasLost = !isKept
    return isKept
  }

  /** Throws where it is lost, because nothing may be changed there. */
  check(): void {
    if (!this.isKept()) throw this.lost("no")
  }

  /** Why it is lost, and what to do. `applied`: whether the batch that was to be accepted may be in it. */
  lost(applied: JournalLost["applied"], cause?: unknown): JournalError {
    const { directory } = this.entries
    const found = this.identityOf(directory)
    const detail =
      found === undefined
        ? `${directory} was deleted or moved while this process had its journal in it; put it back, and the journal continues; or ` +
          "restart this process, which then creates a new journal there"
        : found === this.directoryIdentity
          ? `${this.lock} was deleted or replaced, so that another process may have opened the journal; restart this process, ` +
            "which then continues with it, unless another process has opened it"
          : `another directory is at ${directory}, where this process had its journal: the old one was moved, deleted or mounted ` +
            "over; put it back, and the journal continues; or restart this process, which then uses the new one"
    return new JournalError({ reason: new JournalLost({ detail, applied }), cause })
  }
}
