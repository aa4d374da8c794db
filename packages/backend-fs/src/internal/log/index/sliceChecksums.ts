/**
 * The checksums of all lines of a slice, compared at once.
 *
 * A CRC-32 of some bytes follows from the CRC-32s of their parts. So what the checksum of a slice has to be follows from those that its
 * lines say they have, from the starts of its lines, and from their lengths; and one pass over the slice, which the side file needs
 * anyway, tells whether all of them are right. That takes a third of the time of a checksum for each line.
 *
 * Where the result is another one, the lines have to be checked one by one.
 */
import { crc32 } from "node:zlib"
import { type Bytes, bytesOf, isSame } from "../bytes.ts"
import { BEGINNING, CHECKSUM_PLACES, CRC_TABLE } from "../line.ts"

const NEWLINE = 0x0a

/** What one byte does to a checksum, where 0 to 3 other bytes follow it. */
const TABLE_0 = CRC_TABLE
const followed = (table: Int32Array): Int32Array => table.map((crc) => (crc >>> 8) ^ TABLE_0[crc & 0xff]!)
const TABLE_1 = followed(TABLE_0)
const TABLE_2 = followed(TABLE_1)
const TABLE_3 = followed(TABLE_2)

/** The state of a checksum after more bytes. */
const continued = (state: number, { view }: Bytes, start: number, end: number): number => {
  let crc = state
  let at = start
  for (; at + 4 <= end; at += 4) {
    crc ^= view.getInt32(at, true)
    crc = TABLE_3[crc & 0xff]! ^ TABLE_2[(crc >>> 8) & 0xff]! ^ TABLE_1[(crc >>> 16) & 0xff]! ^ TABLE_0[crc >>> 24]!
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ TABLE_0[(crc ^ view.getUint8(at)) & 0xff]!
  return crc
}

/**
 * What some number of zero bytes does to a checksum: for each of its eight groups of four bits, a list by their value. So small that
 * all that are needed stay in the cache of the processor.
 */
type Shift = Int32Array

const shifted = (shift: Shift, crc: number): number =>
  shift[crc & 0xf]! ^
  shift[0x10 | ((crc >>> 4) & 0xf)]! ^
  shift[0x20 | ((crc >>> 8) & 0xf)]! ^
  shift[0x30 | ((crc >>> 12) & 0xf)]! ^
  shift[0x40 | ((crc >>> 16) & 0xf)]! ^
  shift[0x50 | ((crc >>> 20) & 0xf)]! ^
  shift[0x60 | ((crc >>> 24) & 0xf)]! ^
  shift[0x70 | (crc >>> 28)]!

const shiftOf = (step: (crc: number) => number): Shift => {
  const shift = new Int32Array(128)
  for (let index = 0; index < shift.length; index++) shift[index] = step((index & 0xf) << (4 * (index >> 4)))
  return shift
}

const BITS = 6
const SHORT = 1 << BITS

/** Shifts by fewer bytes than `SHORT`, and by multiples of it, as far as they were needed. */
const short: Array<Shift> = [shiftOf((crc) => crc)]
const long: Array<Shift> = [shiftOf((crc) => crc)]

/** Longer lines are checked one by one. */
const LONGEST = 8_192

const shiftBy = (crc: number, bytes: number): number => {
  const few = bytes & (SHORT - 1)
  const many = bytes >> BITS
  if (many >= long.length || long.length === 1) prepare(many)
  return shifted(long[many]!, shifted(short[few]!, crc))
}

const prepare = (many: number): void => {
  while (short.length < SHORT) {
    const before = short.at(-1)!
    short.push(
      shiftOf((crc) => {
        const state = shifted(before, crc)
        return (state >>> 8) ^ TABLE_0[state & 0xff]!
      })
    )
  }
  const one = short[SHORT - 1]!
  while (long.length <= many) {
    const before = long.at(-1)!
    long.push(
      shiftOf((crc) => {
        const state = shifted(one, shifted(before, crc))
        return (state >>> 8) ^ TABLE_0[state & 0xff]!
      })
    )
  }
}

const BEGINNING_BYTES = bytesOf(Buffer.from(BEGINNING))
const AFTER_BEGINNING = continued(-1, BEGINNING_BYTES, 0, BEGINNING.length)
const KEY_BYTES = bytesOf(Buffer.from(CHECKSUM_PLACES.key))
const { digitsAt, keyAt, memberAt, memberEnd } = CHECKSUM_PLACES

const hexadecimal = new Int8Array(256).fill(-1)
for (let digit = 0; digit < 16; digit++) hexadecimal[digit.toString(16).charCodeAt(0)] = digit

/** The checksum that a line says it has; -1 where it does not say so as the encoder does. */
const claimOf = (bytes: Bytes, start: number, end: number): number => {
  const { buffer } = bytes
  if (
    end - start <= memberEnd ||
    end - start > LONGEST ||
    !isSame(BEGINNING_BYTES, 0, bytes, start, BEGINNING.length) ||
    !isSame(KEY_BYTES, 0, bytes, start + keyAt, KEY_BYTES.buffer.length) ||
    buffer[start + memberEnd - 2] !== 0x22 ||
    buffer[start + memberEnd - 1] !== 0x2c
  ) {
    return -1
  }
  let claim = 0
  let isWrong = 0
  for (let at = start + digitsAt; at < start + memberEnd - 2; at++) {
    const digit = hexadecimal[buffer[at]!]!
    isWrong |= digit
    claim = (claim << 4) | (digit & 0xf)
  }
  return isWrong < 0 ? -1 : claim >>> 0
}

/**
 * Whether a line has the checksum that it says it has, where it says so as the encoder does; false for all others. `end` is without the
 * line end.
 *
 * @internal
 */
export const isWritten = (bytes: Bytes, start: number, end: number): boolean => {
  const claim = claimOf(bytes, start, end)
  if (claim === -1) return false
  const state = continued(AFTER_BEGINNING, bytes, start + BEGINNING.length, start + memberAt)
  return crc32(bytes.buffer.subarray(start + memberEnd, end), ~state >>> 0) === claim
}

/**
 * Finds the lines of slices.
 *
 * @internal
 */
export class SliceLines {
  /** Number of lines, and where each ends, without its line end. */
  count = 0
  ends = new Uint32Array(256)

  /**
   * Finds the lines at the start of some bytes, and answers whether all of them have the checksum that they say they have: `before` is
   * the checksum of what was before the bytes, `after` with them. False also where some line says nothing, and with
   * `areApart`, which leaves all lines to be checked one by one.
   */
  find(bytes: Bytes, length: number, before: number, after: number, areApart = false): boolean {
    const { buffer } = bytes
    let isSaid = !areApart
    let state = ~before
    let start = 0
    this.count = 0
    while (start < length) {
      let end = buffer.indexOf(NEWLINE, start)
      if (end === -1 || end >= length) end = length
      if (this.count === this.ends.length) this.grow()
      this.ends[this.count] = end
      this.count += 1
      const next = Math.min(end + 1, length)
      const claim = isSaid ? claimOf(bytes, start, end) : -1
      if (claim === -1) isSaid = false
      else {
        const own = continued(AFTER_BEGINNING, bytes, start + BEGINNING.length, start + memberAt)
        // CRC-32 is linear: `own` began with all bits set, and the difference to `state` is shifted by as many bytes.
        state = continued(own ^ shiftBy(~state, memberAt), bytes, start + memberAt, start + memberEnd)
        state = ~(shiftBy(state ^ own, end - start - memberEnd) ^ claim)
        state = continued(state, bytes, end, next)
      }
      start = next
    }
    return isSaid && ~state >>> 0 === after
  }

  private grow(): void {
    const larger = new Uint32Array(2 * this.ends.length)
    larger.set(this.ends)
    this.ends = larger
  }
}
