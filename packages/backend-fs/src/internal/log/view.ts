import type { BackendError } from "@tidings/core/BackendError"
import * as Effect from "effect/Effect"
import type { LogDirectory, OpenSegment } from "./directory.ts"
import type { LogRecord } from "./line.ts"
import * as LogPosition from "./position.ts"
import { type DamageLedger, SegmentReader } from "./segment.ts"
import * as SegmentName from "./segmentName.ts"

/**
 * How long a segment may still grow after a newer one was created, in milliseconds: writers look for a newer segment about
 * every 20 milliseconds, and repeat what they wrote when they looked too late.
 *
 * @internal
 */
export const GRACE = 250

/**
 * The log at one moment: every segment is open, so that a segment that is deleted meanwhile can still be read.
 *
 * @internal
 */
export class LogView {
  readonly segments: ReadonlyArray<OpenSegment>
  private readonly directory: LogDirectory
  private isOpen = true

  private constructor(directory: LogDirectory, segments: ReadonlyArray<OpenSegment>) {
    this.directory = directory
    this.segments = segments
  }

  private static open(directory: LogDirectory): LogView {
    const segments: Array<OpenSegment> = []
    try {
      for (const name of directory.segments()) {
        const segment = directory.openSegment(name, "read")
        if (segment !== undefined) segments.push(segment)
      }
    } catch (cause) {
      for (const { opened } of segments) directory.disk.close(opened)
      throw cause
    }
    return new LogView(directory, segments)
  }

  /** A view in which all segments but the newest are complete. The caller has to close it. */
  static settled(directory: LogDirectory): Effect.Effect<LogView, BackendError> {
    return Effect.clockWith((clock) => {
      const attempt: Effect.Effect<LogView, BackendError> = Effect.flatMap(
        directory.attempt(() => LogView.open(directory)),
        (view) => {
          const newest = view.segments.at(-1)
          const age = newest === undefined ? GRACE : clock.currentTimeMillisUnsafe() - newest.status.made
          // A negative age means that the clock is behind that of the file system, and tells nothing.
          if (view.segments.length < 2 || age >= GRACE || age < 0) return Effect.succeed(view)
          view.close()
          return Effect.andThen(Effect.sleep(GRACE - age), attempt)
        }
      )
      return attempt
    })
  }

  /** Uses a settled view, and closes it. */
  static use<A>(
    directory: LogDirectory,
    use: (view: LogView) => Effect.Effect<A, BackendError>
  ): Effect.Effect<A, BackendError> {
    return Effect.acquireUseRelease(LogView.settled(directory), use, (view) => Effect.sync(() => view.close()))
  }

  close(): void {
    if (!this.isOpen) return
    this.isOpen = false
    for (const { opened } of this.segments) this.directory.disk.close(opened)
  }

  /** Reads the records, oldest first, and answers the position after the last one. Yields between slices. */
  scan(
    ledger: DamageLedger,
    visit: (record: LogRecord, segment: number) => void,
    bounds: {
      readonly from?: LogPosition.LogPosition | undefined
      readonly until?: LogPosition.LogPosition | undefined
    } = {}
  ): Effect.Effect<LogPosition.LogPosition, BackendError> {
    return Effect.suspend(() => {
      const { directory, segments } = this
      const { disk } = directory
      const { from, until } = bounds
      let index = -1
      let reader: SegmentReader | undefined
      let end = LogPosition.beginning
      const step = (): boolean => {
        const segment = segments[index]
        if (segment !== undefined && reader !== undefined) {
          const last = until?.segment !== undefined && until.segment.key === segment.name.key
          const limit = last ? Math.min(until.offset, segment.status.size) : segment.status.size
          const final = !last && index < segments.length - 1
          if (reader.step(limit, final, (record) => visit(record, index))) return true
          end = LogPosition.at(disk, segment, reader.offset)
          if (last) return false
        }
        index += 1
        const next = segments[index]
        if (next === undefined) return false
        if (until !== undefined && (until.segment === undefined || SegmentName.order(next.name, until.segment) > 0))
          return false
        let offset = 0
        if (from?.segment !== undefined) {
          const order = SegmentName.order(next.name, from.segment)
          if (order < 0) offset = next.status.size
          // A segment that was replaced is read from its start.
          else if (order === 0 && LogPosition.checkAt(disk, next.opened, from.offset) === from.check)
            offset = from.offset
        }
        reader = new SegmentReader(disk, next, ledger, offset)
        return true
      }
      const loop: Effect.Effect<LogPosition.LogPosition, BackendError> = Effect.suspend(() =>
        Effect.flatMap(directory.attempt(step, segments[Math.max(0, index)]?.name.file), (more) =>
          more ? Effect.andThen(Effect.yieldNow, loop) : Effect.succeed(end)
        )
      )
      return loop
    })
  }
}
