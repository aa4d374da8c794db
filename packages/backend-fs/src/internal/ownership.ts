import { JournalError, JournalFailed } from "@tidings/core/Journal"
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
  private readonly path: string
  private readonly identity: string | undefined

  /** Made when the lock has been taken. */
  constructor(disk: Disk, names: Names) {
    this.disk = disk
    this.names = names
    this.path = names.pathOf("lock")
    this.identity = disk.status(this.path)?.identity
  }

  isKept(): boolean {
    try {
      return this.disk.status(this.path)?.identity === this.identity
    } catch {
      return false
    }
  }

  /** Throws where it is another one: nothing may be written there, and nothing that was written is kept. */
  check(): void {
    if (this.isKept()) return
    const { directory } = this.names
    throw new JournalError({
      reason: new JournalFailed({
        detail:
          `${directory} is no longer the directory of the journal that this process has open: it, or the lock in it, was ` +
          "deleted, moved or mounted over. Nothing more is accepted into it; put the directory back in its place, or restart " +
          "this process, which then begins a journal anew"
      })
    })
  }
}
