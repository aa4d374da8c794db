/**
 * A list of whole numbers in as few bytes as its range needs: each number is a base plus 0, 1, 2, 4, 6 or 8 bytes, little-endian.
 * With 6 and 8 bytes, the low 32 bits of all numbers come first, and then the high 16 or 32 bits of all.
 */

const TWO_32 = 4_294_967_296
const TWO_48 = 281_474_976_710_656

/** @internal */
export type Width = 0 | 1 | 2 | 4 | 6 | 8

/**
 * Where a column is, and how wide its numbers are.
 *
 * @internal
 */
export interface Column {
  /** In bytes from the start of the block; a multiple of 4. */
  readonly offset: number
  readonly width: Width
  /** What is added to each number. */
  readonly base: number
}

/**
 * The bytes of a block in memory, to read numbers of each width from. Blocks start at a multiple of 4.
 *
 * @internal
 */
export class Words {
  readonly bytes: Buffer
  readonly view: DataView
  readonly u16: Uint16Array
  readonly u32: Uint32Array

  /** `size` is rounded up to a multiple of 8. */
  constructor(size: number) {
    const buffer = new ArrayBuffer((size + 7) & ~7)
    this.bytes = Buffer.from(buffer)
    this.view = new DataView(buffer)
    this.u16 = new Uint16Array(buffer)
    this.u32 = new Uint32Array(buffer)
  }
}

/** @internal */
export const align = (length: number): number => (length + 3) & ~3

const widthOf = (range: number): Width => {
  if (range === 0) return 0
  if (range <= 0xff) return 1
  if (range <= 0xffff) return 2
  if (range < TWO_32) return 4
  return range < TWO_48 ? 6 : 8
}

/** The most bytes that a column of so many numbers takes. */
const LARGEST = 8

/** @internal */
export const largestColumn = (count: number): number => align(count * LARGEST)

/**
 * Writes the first `count` numbers at a multiple of 4, and answers the column.
 *
 * @internal
 */
export const write = (words: Words, offset: number, values: Float64Array | Uint32Array, count: number): Column => {
  let least = Number.POSITIVE_INFINITY
  let greatest = Number.NEGATIVE_INFINITY
  for (let index = 0; index < count; index++) {
    const value = values[index]!
    if (value < least) least = value
    if (value > greatest) greatest = value
  }
  if (count === 0) return { offset, width: 0, base: 0 }
  const base = least
  const width = widthOf(greatest - least)
  const { bytes, u16, u32 } = words
  if (width === 1) {
    for (let index = 0; index < count; index++) bytes[offset + index] = values[index]! - base
    bytes.fill(0, offset + count, align(offset + count))
  } else if (width === 2) {
    const at = offset >> 1
    for (let index = 0; index < count; index++) u16[at + index] = values[index]! - base
    if ((count & 1) === 1) u16[at + count] = 0
  } else if (width >= 4) {
    const at = offset >> 2
    for (let index = 0; index < count; index++) u32[at + index] = (values[index]! - base) % TWO_32
    if (width === 6) {
      const high = (at + count) << 1
      for (let index = 0; index < count; index++) u16[high + index] = Math.floor((values[index]! - base) / TWO_32)
      if ((count & 1) === 1) u16[high + count] = 0
    } else if (width === 8) {
      const high = at + count
      for (let index = 0; index < count; index++) u32[high + index] = Math.floor((values[index]! - base) / TWO_32)
    }
  }
  return { offset, width, base }
}

/** @internal */
export const lengthOf = (width: Width, count: number): number => align(width * count)

/**
 * Reads all numbers into a list.
 *
 * @internal
 */
export const read = (words: Words, column: Column, count: number, into: Float64Array | Uint32Array): void => {
  const { base, offset, width } = column
  const { bytes, u16, u32 } = words
  if (width === 0) into.fill(base, 0, count)
  else if (width === 1) for (let index = 0; index < count; index++) into[index] = base + bytes[offset + index]!
  else if (width === 2) {
    const at = offset >> 1
    for (let index = 0; index < count; index++) into[index] = base + u16[at + index]!
  } else {
    const at = offset >> 2
    for (let index = 0; index < count; index++) into[index] = base + u32[at + index]!
    if (width === 6) {
      const high = (at + count) << 1
      for (let index = 0; index < count; index++) into[index]! += u16[high + index]! * TWO_32
    } else if (width === 8) {
      const high = at + count
      for (let index = 0; index < count; index++) into[index]! += u32[high + index]! * TWO_32
    }
  }
}

/**
 * Keeps only the rows of which the number in the column is allowed: `allowed` has a 1 for each number that is.
 *
 * @internal
 */
export const keepAllowed = (
  words: Words,
  column: Column,
  count: number,
  allowed: Uint8Array,
  selected: Uint8Array
): void => {
  const { base, offset, width } = column
  if (width === 0) {
    if (allowed[base] !== 1) selected.fill(0, 0, count)
    return
  }
  if (width === 1) {
    const { bytes } = words
    for (let index = 0; index < count; index++) selected[index]! &= allowed[base + bytes[offset + index]!]!
  } else if (width === 2) {
    const { u16 } = words
    const at = offset >> 1
    for (let index = 0; index < count; index++) selected[index]! &= allowed[base + u16[at + index]!]!
  } else {
    const { u32 } = words
    const at = offset >> 2
    for (let index = 0; index < count; index++) selected[index]! &= allowed[base + u32[at + index]!]!
  }
}

/**
 * The number of one row.
 *
 * @internal
 */
export const at = (words: Words, column: Column, count: number, row: number): number => {
  const { base, offset, width } = column
  const { bytes, u16, u32 } = words
  if (width === 0) return base
  if (width === 1) return base + bytes[offset + row]!
  if (width === 2) return base + u16[(offset >> 1) + row]!
  const low = base + u32[(offset >> 2) + row]!
  if (width === 4) return low
  const high = (offset >> 2) + count
  return low + (width === 6 ? u16[(high << 1) + row]! : u32[high + row]!) * TWO_32
}

/**
 * Puts the rows that have a number in the column into a list from a place on, and answers how long it is then. The rows are searched by
 * what is built in, which is fast from the first row on.
 *
 * @internal
 */
export const findRows = (
  words: Words,
  column: Column,
  count: number,
  wanted: number,
  into: Uint32Array,
  from: number
): number => {
  const { base, offset, width } = column
  const value = wanted - base
  let length = from
  if (width === 0) {
    if (value === 0) for (let row = 0; row < count; row++) into[length++] = row
    return length
  }
  if (value < 0 || (width === 1 && value > 0xff) || (width === 2 && value > 0xffff)) return length
  const list =
    width === 1
      ? // What `indexOf` of a buffer looks at first takes longer than the search.
        new Uint8Array(words.bytes.buffer, words.bytes.byteOffset + offset, count)
      : width === 2
        ? words.u16.subarray(offset >> 1, (offset >> 1) + count)
        : words.u32.subarray(offset >> 2, (offset >> 2) + count)
  for (let row = list.indexOf(value); row !== -1; row = list.indexOf(value, row + 1)) into[length++] = row
  return length
}
