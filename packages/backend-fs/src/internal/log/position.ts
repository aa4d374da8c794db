import { BackendError, CursorMismatch } from "@tidings/core/BackendError"
import * as Result from "effect/Result"
import { crc32 } from "node:zlib"
import type { Disk } from "../disk.ts"
import * as PlainObject from "./plainObject.ts"
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
export const LogPositionOf = PlainObject.make<
  [segment: LogPosition["segment"], offset: number, check: number],
  LogPosition
>(function (segment, offset, check) {
  this.segment = segment
  this.offset = offset
  this.check = check
})

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

const COLON = 0x3a
const DIGIT = 0x30
const HEXADECIMAL = Buffer.from("0123456789abcdef")
/** Length of the longest offset and a check. */
const MOST_AFTER_KEY = "123456789012345:00000000".length

/**
 * Makes cursors. Those of one segment differ in a few digits, which are put into the bytes of a cursor that was made before: the
 * watch of a long log makes one for each event.
 *
 * @internal
 */
export class CursorEncoder<A extends string> {
  private readonly encode: (position: string) => A
  /** The segment whose cursors the bytes are of, and how many bytes come before the offset and after the check. */
  private key = ""
  private bytes = Buffer.alloc(0)
  private before = 0
  private after = Buffer.alloc(0)

  constructor(encode: (position: string) => A) {
    this.encode = encode
  }

  of(position: LogPosition): A {
    const { offset, segment } = position
    if (segment === undefined || !(offset < 1e15)) return this.encode(format(position))
    if (segment.key !== this.key) this.learn(segment.key)
    if (this.before === 0) return this.encode(format(position))
    const { after, bytes } = this
    let length = 1
    for (let limit = 10; offset >= limit; limit *= 10) length += 1
    const end = this.before + length
    let left = offset
    for (let at = end - 1; at >= this.before; at--) {
      const rest = Math.floor(left / 10)
      bytes[at] = DIGIT + left - 10 * rest
      left = rest
    }
    bytes[end] = COLON
    let check = position.check
    for (let at = end + 8; at > end; at--) {
      bytes[at] = HEXADECIMAL[check & 0xf]!
      check >>>= 4
    }
    for (let index = 0; index < after.length; index++) bytes[end + 9 + index] = after[index]!
    return bytes.toString("base64url", 0, end + 9 + after.length) as A
  }

  /** Takes a cursor of a segment apart; where it is not the position between other texts, each cursor is encoded as a whole. */
  private learn(key: string): void {
    this.key = key
    this.before = 0
    const position = `${key}:0:00000000`
    const token = this.encode(position)
    const bytes = Buffer.from(token, "base64url")
    const at = bytes.lastIndexOf(position)
    if (at === -1 || bytes.toString("base64url") !== token) return
    const before = at + key.length + 1
    this.after = bytes.subarray(at + position.length)
    this.bytes = Buffer.alloc(before + MOST_AFTER_KEY + this.after.length)
    bytes.copy(this.bytes, 0, 0, before)
    this.before = before
  }
}

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
