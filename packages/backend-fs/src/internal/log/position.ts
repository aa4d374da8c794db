import { BackendError, CursorMismatch } from "@tidings/core/BackendError"
import * as Result from "effect/Result"
import { crc32 } from "node:zlib"
import type { Disk } from "../disk.ts"
import * as SegmentName from "./segmentName.ts"

/** Number of bytes before a position that its checksum covers. */
const CHECKED = 256

/**
 * A position between two lines of the log.
 *
 * @internal
 */
export interface LogPosition {
  /** Absent before the first segment. */
  readonly segment: SegmentName.SegmentName | undefined
  readonly offset: number
  /** Checksum of the bytes before the offset: it differs when the file was replaced, or cut and written again. */
  readonly check: number
}

/** @internal */
export const beginning: LogPosition = { segment: undefined, offset: 0, check: 0 }

/** @internal */
export const startOf = (segment: SegmentName.SegmentName): LogPosition => ({ segment, offset: 0, check: 0 })

/**
 * The position at an offset of an open segment.
 *
 * @internal
 */
export const at = (
  disk: Disk,
  { name, opened }: { readonly name: SegmentName.SegmentName; readonly opened: number },
  offset: number
): LogPosition => ({ segment: name, offset, check: checkAt(disk, opened, offset) ?? 0 })

const BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

/** Eight hexadecimal digits: `toString(16)` takes several times as long for numbers of this size. */
const hexadecimal = (check: number): string =>
  BYTES[check >>> 24]! + BYTES[(check >>> 16) & 0xff]! + BYTES[(check >>> 8) & 0xff]! + BYTES[check & 0xff]!

/** @internal */
export const format = ({ check, offset, segment }: LogPosition): string =>
  segment === undefined ? "beginning" : `${segment.key}:${offset}:${hexadecimal(check)}`

const POSITION = /^([\d-]+):(\d{1,15}):([0-9a-f]{1,8})$/

/** @internal */
export const parse = (text: string): Result.Result<LogPosition, BackendError> => {
  if (text === "beginning") return Result.succeed(beginning)
  const match = POSITION.exec(text)
  const segment = match === null ? undefined : SegmentName.parseKey(match[1]!)
  return match === null || segment === undefined
    ? Result.fail(mismatch("its position is not one of an event log; start over without it"))
    : Result.succeed({ segment, offset: Number(match[2]), check: Number.parseInt(match[3]!, 16) })
}

/** @internal */
export const isSame = (a: LogPosition, b: LogPosition): boolean =>
  a.segment?.key === b.segment?.key && a.offset === b.offset

/** @internal */
export const mismatch = (detail: string): BackendError => new BackendError({ reason: new CursorMismatch({ detail }) })

const checked = Buffer.allocUnsafe(CHECKED)

/**
 * The checksum of the bytes before an offset; absent when the file is shorter.
 *
 * @internal
 */
export const checkAt = (disk: Disk, opened: number, offset: number): number | undefined => {
  const length = Math.min(offset, CHECKED)
  if (length === 0) return 0
  const found = disk.read(opened, checked, 0, length, offset - length)
  return found === length ? crc32(checked.subarray(0, length)) : undefined
}
