/** Syncs that do not block the process. The effects fail with what the disk throws. */
import * as Effect from "effect/Effect"
import type { Disk } from "../disk.ts"
import { cannotSync } from "../fileOperations.ts"
import type { DirectoryEntries } from "./directoryEntries.ts"
import { markSynced, type Segment } from "./segments.ts"
import type { JournalWriter } from "./writer.ts"

type Synced = Effect.Effect<void, unknown>

const attempt = <A>(use: () => A): Effect.Effect<A, unknown> => Effect.try({ try: use, catch: (cause) => cause })

const fdatasync = (disk: Disk, opened: number): Synced =>
  Effect.callback((resume) => {
    disk.syncLater(opened, (cause) => resume(cause ? Effect.fail(cause) : Effect.void))
  })

const ifAble = (sync: Synced): Synced =>
  Effect.catch(sync, (cause) => (cannotSync(cause) ? Effect.void : Effect.fail(cause)))

/**
 * Syncs a file, and closes it however that ends.
 *
 * @internal
 */
export const andClose = (disk: Disk, opened: number): Synced =>
  Effect.flatMap(Effect.exit(ifAble(fdatasync(disk, opened))), (exit) =>
    Effect.andThen(
      attempt(() => disk.close(opened)),
      exit
    )
  )

/** @internal */
export const directory = (disk: Disk, entries: DirectoryEntries): Synced =>
  Effect.suspend(() => {
    if (entries.areSynced) return Effect.void
    const synced = entries.beginSync()
    const sync = Effect.flatMap(
      attempt(() => disk.openDirectory(entries.directory)),
      (opened) => andClose(disk, opened)
    )
    return Effect.map(ifAble(sync), synced)
  })

/**
 * Syncs what the writer wrote last, and the name of its segment.
 *
 * @internal
 */
export const written = (disk: Disk, writer: JournalWriter, entries: DirectoryEntries): Synced =>
  Effect.suspend(() => {
    const { file, segment, upTo } = writer.beginSync()
    return Effect.ensuring(
      fdatasync(disk, file),
      Effect.sync(() => writer.endSync())
    ).pipe(
      Effect.map(() => markSynced(segment, upTo)),
      Effect.andThen(directory(disk, entries))
    )
  })

/**
 * Syncs a segment up to the head; where that fails, replaces it by a durable copy.
 *
 * @internal
 */
export const segment = (disk: Disk, writer: JournalWriter, segment: Segment): Synced =>
  Effect.suspend(() => {
    const rewrite = attempt(() => writer.rewrite(segment))
    if (segment.isDistrusted) return rewrite
    const upTo = writer.head
    return attempt(() => writer.openToSync(segment)).pipe(
      Effect.flatMap((opened) => (opened === undefined ? Effect.void : andClose(disk, opened))),
      Effect.map(() => markSynced(segment, upTo)),
      Effect.catch(() => {
        segment.isDistrusted = true
        return rewrite
      })
    )
  })
