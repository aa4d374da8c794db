/**
 * The format of a compressed segment: that of `zstd`, with the seek table of its seekable format at the end
 * (https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md).
 *
 * ```text
 * frame          independent, at most 256 KiB of whole lines, with its size and a checksum
 * …
 * note           skippable frame 0x184D2A5D: JSON, what the plain segment was
 * seek table     skippable frame 0x184D2A5E: compressed and decompressed size of each frame, the note included
 * ```
 *
 * Where the seek table is damaged or missing, the frames are found by their headers.
 */
import * as Context from "effect/Context"
import * as zlib from "node:zlib"

/**
 * Bytes of a segment in one frame, at most: smaller ones are read faster one by one, and larger ones save no space. Tests use smaller
 * frames.
 *
 * @internal
 */
export const FrameSize: Context.Reference<number> = Context.Reference<number>("@tidings/backend-fs/FrameSize", {
  defaultValue: () => 262_144
})

/**
 * The largest frame that is read, in bytes of the segment: other programs may make larger ones than this one.
 *
 * @internal
 */
export const LARGEST_FRAME = 8_388_608

const MAGIC = 0xfd2fb528
const SKIPPABLE = 0x184d2a50
const NOTE = 0x184d2a5d
const TABLE = 0x184d2a5e
const SEEKABLE = 0x8f92eab1
const FOOTER = 9
const ENTRY = 8
const HEADER = 8
/** The longest header of a frame, in bytes. */
const FRAME_HEADER = 18
const LARGEST_NOTE = 4_096
const LEVEL = 3

/**
 * Whether this version of Node has zstd: since 22.15.
 *
 * @internal
 */
export const isAvailable = (): boolean => typeof zlib.zstdCompressSync === "function"

/**
 * What the plain segment was.
 *
 * @internal
 */
export interface Note {
  /** Size in bytes. */
  readonly bytes: number
  readonly identity: string
  /** When it was created and last changed, in milliseconds since 1970. */
  readonly made: number
  readonly modified: number
}

/**
 * Where the frames of a compressed segment are.
 *
 * @internal
 */
export interface Layout {
  /** Start of each frame in the file. */
  readonly starts: ReadonlyArray<number>
  /** Length of each frame in the file. */
  readonly lengths: ReadonlyArray<number>
  /** Offset in the segment at which each frame begins, and the size of the segment. */
  readonly offsets: ReadonlyArray<number>
  readonly note: Note | undefined
}

/**
 * Reads bytes of a file: fewer at its end.
 *
 * @internal
 */
export type Read = (position: number, length: number) => Buffer

// ---------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------

/**
 * Compresses one frame: about half a millisecond.
 *
 * @internal
 */
export const compress = (bytes: Uint8Array): Buffer => {
  const { ZSTD_c_checksumFlag, ZSTD_c_compressionLevel } = zlib.constants
  const params = { [ZSTD_c_compressionLevel]: LEVEL, [ZSTD_c_checksumFlag]: 1 }
  return zlib.zstdCompressSync(bytes, { params, chunkSize: 65_536 })
}

/**
 * Where a frame ends that begins with some bytes: after their last line, or, where they are within one line, after all.
 *
 * @internal
 */
export const cut = (bytes: Buffer, isLast: boolean): number => {
  const end = bytes.lastIndexOf(0x0a)
  return isLast || end === -1 ? bytes.length : end + 1
}

const skippable = (magic: number, content: Buffer): Buffer => {
  const header = Buffer.alloc(HEADER)
  header.writeUInt32LE(magic, 0)
  header.writeUInt32LE(content.length, 4)
  return Buffer.concat([header, content])
}

/**
 * What comes after the frames: the note and the seek table.
 *
 * @internal
 */
export const trailer = (
  frames: ReadonlyArray<{ readonly compressed: number; readonly bytes: number }>,
  note: Note
): Buffer => {
  const entries = Buffer.alloc((frames.length + 1) * ENTRY)
  for (const [index, { bytes, compressed }] of frames.entries()) {
    entries.writeUInt32LE(compressed, index * ENTRY)
    entries.writeUInt32LE(bytes, index * ENTRY + 4)
  }
  const check = zlib.crc32(entries.subarray(0, frames.length * ENTRY))
  const noted = skippable(NOTE, Buffer.from(JSON.stringify({ format: 1, ...note, table: check })))
  entries.writeUInt32LE(noted.length, frames.length * ENTRY)
  const footer = Buffer.alloc(FOOTER)
  footer.writeUInt32LE(frames.length + 1, 0)
  footer.writeUInt32LE(SEEKABLE, 5)
  return Buffer.concat([noted, skippable(TABLE, Buffer.concat([entries, footer]))])
}

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

/**
 * Decompresses a frame that holds so many bytes of the segment. A damaged one is as many bytes of one damaged line.
 *
 * @internal
 */
export const decompress = (frame: Uint8Array, bytes: number): Buffer => {
  try {
    // With room beyond the end, so that it is one piece.
    const found = zlib.zstdDecompressSync(frame, { chunkSize: bytes + 64, maxOutputLength: bytes + 64 })
    if (found.length === bytes) return found
  } catch {
    // Its lines are counted as damaged.
  }
  const filler = Buffer.alloc(bytes)
  if (bytes > 0) filler[bytes - 1] = 0x0a
  return filler
}

interface Found {
  readonly start: number
  readonly length: number
  readonly bytes: number
}

const layoutOf = (frames: ReadonlyArray<Found>, note: Note | undefined): Layout => {
  const offsets = [0]
  for (const { bytes } of frames) offsets.push(offsets.at(-1)! + bytes)
  return { starts: frames.map(({ start }) => start), lengths: frames.map(({ length }) => length), offsets, note }
}

/**
 * Where the frames of a file are; or, in words, why it is not read: its frames are so large that one cannot be read alone.
 *
 * @internal
 */
export const read = (size: number, from: Read): Layout | string => fromTable(size, from) ?? fromHeaders(size, from)

const TOO_LARGE = `its frames hold more than ${LARGEST_FRAME / 1_048_576} MiB, unpack it with zstd -d`

interface ReadNote extends Note {
  readonly table: number
}

const parseNote = (bytes: Buffer): ReadNote | undefined => {
  if (bytes.length < HEADER || bytes.readUInt32LE(0) !== NOTE) return undefined
  try {
    const note: unknown = JSON.parse(bytes.toString("utf8", HEADER))
    if (typeof note !== "object" || note === null) return undefined
    const { format, identity, ...numbers } = note as Readonly<Record<string, unknown>>
    const isWhole = [numbers["bytes"], numbers["made"], numbers["modified"], numbers["table"]].every(Number.isFinite)
    return format === 1 && typeof identity === "string" && isWhole ? (note as ReadNote) : undefined
  } catch {
    return undefined
  }
}

const withoutCheck = ({ bytes, identity, made, modified }: ReadNote): Note => ({ bytes, identity, made, modified })

const fromTable = (size: number, from: Read): Layout | undefined => {
  if (size < HEADER + FOOTER) return undefined
  const footer = from(size - FOOTER, FOOTER)
  if (footer.length < FOOTER || footer.readUInt32LE(5) !== SEEKABLE) return undefined
  const count = footer.readUInt32LE(0)
  const entry = (footer[4]! & 0x80) === 0 ? ENTRY : ENTRY + 4
  const length = HEADER + count * entry + FOOTER
  if (length > size) return undefined
  const table = from(size - length, length)
  if (table.length < length || table.readUInt32LE(0) !== TABLE || table.readUInt32LE(4) !== length - HEADER) {
    return undefined
  }
  const frames: Array<Found> = []
  let note: ReadNote | undefined
  let at = 0
  for (let index = 0; index < count; index++) {
    const compressed = table.readUInt32LE(HEADER + index * entry)
    const bytes = table.readUInt32LE(HEADER + index * entry + 4)
    if (bytes > LARGEST_FRAME) return undefined
    const noted = index === count - 1 && compressed <= LARGEST_NOTE ? parseNote(from(at, compressed)) : undefined
    if (noted !== undefined && bytes > 0) return undefined
    if (bytes > 0) frames.push({ start: at, length: compressed, bytes })
    note = noted
    at += compressed
  }
  if (at !== size - length) return undefined
  if (note === undefined) return layoutOf(frames, undefined)
  const check = zlib.crc32(table.subarray(HEADER, HEADER + (count - 1) * entry))
  return check === note.table ? layoutOf(frames, withoutCheck(note)) : undefined
}

interface Header {
  /** Size of the content in bytes; absent where it does not tell. */
  readonly content: number | undefined
  /** Size of the header in bytes. */
  readonly header: number
}

/** The header of a frame; absent where it is cut. */
const parseHeader = (bytes: Buffer): Header | undefined => {
  if (bytes.length < 6) return undefined
  const descriptor = bytes[4]!
  const kind = descriptor >> 6
  const isSingle = (descriptor & 0x20) !== 0
  const length = kind === 0 ? (isSingle ? 1 : 0) : 1 << kind
  const at = 5 + (isSingle ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!
  if (bytes.length < at + length) return undefined
  if (length === 0) return { content: undefined, header: at }
  const content =
    length === 1
      ? bytes[at]!
      : length === 2
        ? bytes.readUInt16LE(at) + 256
        : length === 4
          ? bytes.readUInt32LE(at)
          : Number(bytes.readBigUInt64LE(at))
  return { content, header: at + length }
}

/** Length of a frame in the file; absent where it is damaged or cut. */
const lengthOf = (start: number, header: number, size: number, from: Read): number | undefined => {
  const hasChecksum = (from(start + 4, 1)[0]! & 4) !== 0
  for (let at = start + header; ;) {
    const block = from(at, 3)
    if (block.length < 3) return undefined
    const value = block.readUIntLE(0, 3)
    const kind = (value >> 1) & 3
    if (kind === 3) return undefined
    at += 3 + (kind === 1 ? 1 : value >> 3)
    if ((value & 1) === 0) continue
    if (hasChecksum) at += 4
    return at > size ? undefined : at - start
  }
}

/** Size of the content of a frame whose header does not tell; absent where it is damaged. */
const sizeOf = (frame: Uint8Array): number | undefined => {
  try {
    return zlib.zstdDecompressSync(frame, { maxOutputLength: LARGEST_FRAME }).length
  } catch (cause) {
    return cause instanceof RangeError ? Number.POSITIVE_INFINITY : undefined
  }
}

const isSkippable = (magic: number): boolean => magic >= SKIPPABLE && magic <= SKIPPABLE + 15

/** Start of the next frame after a position, the size of the file where there is none. */
const nextFrame = (position: number, size: number, from: Read): number => {
  const STEP = 65_536
  for (let at = position; at < size; at += STEP - 3) {
    const bytes = from(at, STEP)
    for (let index = 0; index + 4 <= bytes.length; index++) {
      const magic = bytes.readUInt32LE(index)
      if (magic === MAGIC || magic === NOTE || magic === TABLE) return at + index
    }
    if (bytes.length < STEP) break
  }
  return size
}

const fromHeaders = (size: number, from: Read): Layout | string => {
  const frames: Array<Found> = []
  let note: ReadNote | undefined
  for (let at = 0; at < size;) {
    const bytes = from(at, FRAME_HEADER)
    const magic = bytes.length < HEADER ? 0 : bytes.readUInt32LE(0)
    if (isSkippable(magic)) {
      const length = HEADER + bytes.readUInt32LE(4)
      if (magic === NOTE && length <= LARGEST_NOTE) note ??= parseNote(from(at, length))
      // A seek table that was cut is the end.
      at = at + length > size && magic !== TABLE ? nextFrame(at + 1, size, from) : at + length
      continue
    }
    const header = magic === MAGIC ? parseHeader(bytes) : undefined
    const length = header === undefined ? undefined : lengthOf(at, header.header, size, from)
    const content = length === undefined ? header?.content : (header?.content ?? sizeOf(from(at, length)))
    const isKnown = content !== undefined && content <= LARGEST_FRAME
    if (length !== undefined && isKnown) {
      if (content > 0) frames.push({ start: at, length, bytes: content })
      at += length
      continue
    }
    if (at === 0 && length !== undefined && content !== undefined) return TOO_LARGE
    // Of so many bytes of the segment that are lost, nothing is known but that there are some.
    const next = nextFrame(at + 1, size, from)
    frames.push({ start: at, length: next - at, bytes: isKnown ? content : Math.min(next - at, LARGEST_FRAME) })
    at = next
  }
  return layoutOf(frames, note === undefined ? undefined : withoutCheck(note))
}
