import { JournalError, JournalLost } from "@tidings/core/Journal"
import type { Disk } from "./disk.ts"
import type { Names } from "./journalFiles.ts"

/**
 * Whether a directory still is the one of the journal that this process has open.
 *
 * A directory can be deleted, moved or mounted over under a running process, and the lock in it can be deleted, so that
 * another process takes it. In each case the path of the lock no longer leads to the file that is locked: one look tells.
 *
 * @internal
 */
export class Ownership {
  private readonly disk: Disk
  private readonly names: Names
  private readonly lock: string
  private readonly lockIdentity: string | undefined
  private readonly directoryIdentity: string | undefined
  /** It was found lost, and not found again since. */
  wasLost = false

  /** Made when the lock has been taken. */
  constructor(disk: Disk, names: Names) {
    this.disk = disk
    this.names = names
    this.lock = names.pathOf("lock")
    this.lockIdentity = this.identityOf(this.lock)
    this.directoryIdentity = this.identityOf(names.directory)
  }

  private identityOf(path: string): string | undefined {
    try {
      return this.disk.status(path)?.identity
    } catch {
      return undefined
    }
  }

  /** A journal that was moved and put back is kept again: its lock was held all the time. */
  isKept(): boolean {
    let isKept = false
    try {
      isKept = this.lockIdentity !== undefined && this.disk.leadsTo(this.lock, this.lockIdentity)
    } catch {
      // What cannot be looked at cannot be used either.
    }
    this.wasLost = !isKept
    return isKept
  }

  /** Throws where it is lost: nothing may be changed there. */
  check(): void {
    if (!this.isKept()) throw this.lost("no")
  }

  /** Why it is lost, and what to do. `applied`: whether the batch that was to be accepted may be in it. */
  lost(applied: JournalLost["applied"], cause?: unknown): JournalError {
    const { directory } = this.names
    const found = this.identityOf(directory)
    const detail =
      found === undefined
        ? `${directory} was deleted or moved while this process had its journal in it; put it back, and the journal goes on; or ` +
          "restart this process, which then begins a new journal there"
        : found === this.directoryIdentity
          ? `${this.lock} was deleted or replaced, so that another process may have opened the journal; restart this process, ` +
            "which then goes on with what is there, unless another one has it"
          : `another directory is at ${directory}, where this process had its journal: the old one was moved, deleted or mounted ` +
            "over; put it back, and the journal goes on; or restart this process, which then uses the new one"
    return new JournalError({ reason: new JournalLost({ detail, applied }), cause })
  }
}
