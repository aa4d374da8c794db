/**
 * How many lines a segment has, and when its newest event was last seen: what retention has to know of it. Each line begins with its
 * time at a fixed width, so no line is parsed.
 *
 * @internal
 */
import * as Timestamp from "@tidings/core/Timestamp"
import type { BackendError } from "@tidings/core/BackendError"
import * as Effect from "effect/Effect"
import type { LogDirectory, OpenSegment } from "./directory.ts"
import * as LogLine from "./line.ts"
import { TIME_LENGTH } from "./lineTime.ts"
import type * as SegmentName from "./segmentName.ts"

/** @internal */
export interface SegmentFacts {
  readonly lines: number
  /** Absent where no line has a time. */
  readonly until: Timestamp.Micros | undefined
}

/** Bytes that are read before other fibers get a turn. */
const SLICE = 1_048_576

const TIME_AT = LogLine.BEGINNING.length
const TIME_END = TIME_AT + TIME_LENGTH
const BEGINNING = Buffer.from(LogLine.BEGINNING)

/** Bytes at the end of a segment in which its last time is looked for. */
const END = 262_144

/**
 * The time of the last event of an open segment that is not damaged; absent where its end has none.
 *
 * @internal
 */
export const lastTime = (directory: LogDirectory, { opened, status }: OpenSegment): Timestamp.Micros | undefined => {
  const buffer = Buffer.allocUnsafe(Math.min(END, status.size))
  const found = directory.disk.read(opened, buffer, 0, buffer.length, status.size - buffer.length)
  for (let at = found; at > 0;) {
    at = buffer.lastIndexOf(LogLine.BEGINNING, at - 1, "latin1")
    if (at === -1) return undefined
    const time = Timestamp.parse(buffer.toString("latin1", at + TIME_AT, at + TIME_END))
    if (time !== undefined && at + TIME_END <= found) return time
  }
  return undefined
}

/**
 * Reads a segment; absent when it does not exist. Yields between slices, and tells how many bytes it has read.
 *
 * @internal
 */
export const read = (
  directory: LogDirectory,
  name: SegmentName.SegmentName,
  onSlice: (bytes: number) => Effect.Effect<void>
): Effect.Effect<SegmentFacts | undefined, BackendError> =>
  Effect.acquireUseRelease(
    directory.attempt(() => directory.openSegment(name, "read"), name.file),
    (segment) => {
      if (segment === undefined) return Effect.succeed(undefined)
      const buffer = Buffer.allocUnsafe(SLICE)
      let position = 0
      let lines = 0
      let newest = ""
      const step = (): boolean => {
        const found = directory.disk.read(segment.opened, buffer, 0, SLICE, position)
        if (found === 0) return false
        // Also within a damaged line, of which readers find the events that are whole.
        for (
          let at = buffer.indexOf(BEGINNING);
          at !== -1 && at + TIME_END <= found;
          at = buffer.indexOf(BEGINNING, at + 1)
        ) {
          lines++
          const time = buffer.toString("latin1", at + TIME_AT, at + TIME_END)
          // A damaged time could be later than all others, and the segment would never be removed.
          if (time > newest && Timestamp.parse(time) !== undefined) newest = time
        }
        const last = buffer.lastIndexOf(0x0a, found - 1)
        // The end of a slice may be in the middle of a time.
        position += last === -1 ? Math.max(1, found - TIME_END) : last + 1
        return found === SLICE
      }
      const loop: Effect.Effect<void, BackendError> = Effect.suspend(() =>
        Effect.flatMap(directory.attempt(step, name.file), (more) =>
          Effect.andThen(onSlice(position), more ? Effect.andThen(Effect.yieldNow, loop) : Effect.void)
        )
      )
      return Effect.map(loop, () => ({ lines, until: newest === "" ? undefined : Timestamp.parse(newest) }))
    },
    (segment) => Effect.sync(() => segment !== undefined && directory.disk.close(segment.opened))
  )
