import type { BackendError } from "@tidings/core/BackendError"
import * as Effect from "effect/Effect"
import type { LogDirectory } from "./directory.ts"
import * as LogPosition from "./position.ts"
import * as SegmentName from "./segmentName.ts"

/**
 * How long a segment may still grow after a newer one was created, in milliseconds: writers look for a newer segment about
 * every 20 milliseconds, and repeat what they wrote when they looked too late.
 *
 * @internal
 */
export const GRACE = 250

/**
 * A segment at one moment.
 *
 * @internal
 */
export interface SegmentStatus {
  readonly name: SegmentName.SegmentName
  readonly size: number
  readonly identity: string
  readonly made: number
  readonly modified: number
}

const statusOf = (directory: LogDirectory): ReadonlyArray<SegmentStatus> =>
  directory.segments().flatMap((name): ReadonlyArray<SegmentStatus> => {
    const status = directory.disk.status(directory.pathOf(name.file))
    if (status === undefined) return []
    const { identity, made, modified, size } = status
    return [{ name, size, identity, made, modified }]
  })

/**
 * The segments, oldest first, of which all but the last are complete. Those that are begun while it waits for that are not among
 * them: otherwise it would wait without end where segments are begun faster.
 *
 * @internal
 */
export const settledSegments = (directory: LogDirectory): Effect.Effect<ReadonlyArray<SegmentStatus>, BackendError> => {
  const look = directory.attempt(() => statusOf(directory))
  return Effect.clockWith((clock) => {
    // Before the sizes are read: a process that had no turn since then would take old ones for those of complete segments.
    const begun = clock.currentTimeMillisUnsafe()
    return Effect.flatMap(look, (segments) => {
      const newest = segments.at(-1)
      if (newest === undefined || segments.length < 2) return Effect.succeed(segments)
      const age = begun - newest.made
      // One that is newer than now means that the clock is behind that of the file system, and tells nothing.
      if (age >= GRACE || clock.currentTimeMillisUnsafe() < newest.made) return Effect.succeed(segments)
      return Effect.andThen(
        Effect.sleep(GRACE - Math.max(0, age)),
        Effect.map(look, (later) => later.filter(({ name }) => SegmentName.order(name, newest.name) <= 0))
      )
    })
  })
}

/**
 * The position after the last complete line of a segment.
 *
 * @internal
 */
export const endOf = (directory: LogDirectory, segment: SegmentStatus | undefined): LogPosition.LogPosition => {
  const opened = segment === undefined ? undefined : directory.openSegment(segment.name, "read")
  if (opened === undefined) return LogPosition.beginning
  const { disk } = directory
  try {
    const block = Buffer.allocUnsafe(65_536)
    let offset = opened.status.size
    while (offset > 0) {
      const length = Math.min(block.length, offset)
      const found = disk.read(opened.opened, block, 0, length, offset - length)
      const at = found === 0 ? -1 : block.lastIndexOf(0x0a, found - 1)
      if (at !== -1) {
        offset += at + 1 - length
        break
      }
      offset -= length
    }
    return LogPosition.at(disk, opened, offset)
  } finally {
    disk.close(opened.opened)
  }
}

/**
 * Runs steps until one answers false; other fibers get a turn between them.
 *
 * @internal
 */
export const repeat = (directory: LogDirectory, step: () => boolean): Effect.Effect<void, BackendError> => {
  const loop: Effect.Effect<void, BackendError> = Effect.suspend(() =>
    Effect.flatMap(directory.attempt(step), (more) => (more ? Effect.andThen(Effect.yieldNow, loop) : Effect.void))
  )
  return loop
}
