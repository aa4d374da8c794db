import type { Disk } from "../disk.ts"
import type { OpenSegment } from "./directory.ts"
import * as LogLine from "./line.ts"

/** Bytes at the start of a segment that tell the format in nearly all cases. */
const FIRST_READ = 4_096

/** Bytes that are read at a time after that, and at most: beyond them a segment that does not tell has no lines of ours. */
const READ = 65_536
const MOST_READ = 16 * 1_048_576

/** Each query reads the start of a segment. */
const first = Buffer.allocUnsafeSlow(FIRST_READ)

const known = new WeakMap<OpenSegment, LogLine.Format>()

/**
 * The format of an open segment. It never changes, because the first line that tells decides, and lines are only appended.
 *
 * A segment that does not tell is empty, or damaged as far as it goes; then its lines need a checksum.
 *
 * @internal
 */
export const formatOf = (disk: Disk, segment: OpenSegment): LogLine.Format => {
  const found = known.get(segment) ?? find(disk, segment)
  if (found === undefined) return "checked"
  known.set(segment, found)
  return found
}

const find = (disk: Disk, { opened }: OpenSegment): LogLine.Format | undefined => {
  let buffer = first
  let position = 0
  while (position < MOST_READ) {
    const read = disk.read(opened, buffer, 0, buffer.length, position)
    const format = LogLine.formatOf(buffer.subarray(0, read))
    if (format !== undefined || read < buffer.length) return format
    // A start of a line may be in the middle of the end.
    position += read - LogLine.TELLING_LENGTH
    if (buffer.length < READ) buffer = Buffer.allocUnsafe(READ)
  }
  return undefined
}
