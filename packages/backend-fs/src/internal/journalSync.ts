import * as Effect from "effect/Effect"
import type { Disk } from "./disk.ts"
import { cannotSync, type JournalFiles, type Names, type Segment } from "./journalFiles.ts"

// What waits for the disk without stopping the process. The effects fail with what the disk throws.

type Synced = Effect.Effect<void, unknown>

const trying = <A>(use: () => A): Effect.Effect<A, unknown> => Effect.try({ try: use, catch: (cause) => cause })

const fdatasync = (disk: Disk, opened: number): Synced =>
  Effect.callback((resume) => {
    disk.syncLater(opened, (cause) => resume(cause ? Effect.fail(cause) : Effect.void))
  })

const ifAble = (sync: Synced): Synced =>
  Effect.catch(sync, (cause) => (cannotSync(cause) ? Effect.void : Effect.fail(cause)))

/**
 * Closes the file too, however the sync ends.
 *
 * @internal
 */
export const andClose = (disk: Disk, opened: number): Synced =>
  Effect.flatMap(Effect.exit(ifAble(fdatasync(disk, opened))), (exit) =>
    Effect.andThen(
      trying(() => disk.close(opened)),
      exit
    )
  )

/** @internal */
export const names = (disk: Disk, names: Names): Synced =>
  Effect.suspend(() => {
    const { changes } = names
    if (names.syncedTo === changes) return Effect.void
    return ifAble(
      Effect.flatMap(
        trying(() => disk.openDirectory(names.directory)),
        (opened) => andClose(disk, opened)
      )
    ).pipe(Effect.map(() => names.synced(changes)))
  })

/**
 * What was written last, and the name that it stands under.
 *
 * @internal
 */
export const written = (disk: Disk, files: JournalFiles): Synced =>
  Effect.suspend(() => {
    const { opened, segment, upTo } = files.beginSync()
    return Effect.ensuring(
      fdatasync(disk, opened),
      Effect.sync(() => files.endSync())
    ).pipe(
      Effect.map(() => files.synced(segment, upTo)),
      Effect.andThen(names(disk, files.names))
    )
  })

/**
 * A segment as far as it is written. When that fails, all of it goes into a new file, which takes its place: of the old one
 * the system may have thrown away what it could not write, and would call the next sync a success.
 *
 * @internal
 */
export const segment = (disk: Disk, files: JournalFiles, segment: Segment): Synced =>
  Effect.suspend(() => {
    if (segment.distrusted) return trying(() => files.rewrite(segment))
    const upTo = files.head
    return trying(() => files.openToSync(segment)).pipe(
      Effect.flatMap((opened) => (opened === undefined ? Effect.void : andClose(disk, opened))),
      Effect.map(() => files.synced(segment, upTo)),
      Effect.catch(() => {
        segment.distrusted = true
        return trying(() => files.rewrite(segment))
      })
    )
  })
