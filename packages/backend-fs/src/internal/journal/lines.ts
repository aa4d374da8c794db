/**
 * The lines of the files of a journal: `<crc32> TAB <body> LF`, with the checksum of the body in eight hexadecimal digits.
 *
 * The body of an entry is `<seq> TAB <first> TAB <last> TAB <json>`, with the first and the last seq of its batch: a batch at
 * the end of a file that is not complete was never acknowledged.
 *
 * A line whose checksum is wrong was changed or only partly written. `recovery.ts` tells the two apart.
 */
import type { Occurrence } from "@tidings/core/Event"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import { crc32 } from "node:zlib"
import type { Disk } from "../disk.ts"
import { unlessCode } from "../diskError.ts"
import { isSameObject } from "../isSameObject.ts"

const LF = 0x0a
const TAB = 0x09
const CHECKSUM_DIGITS = 8
const BODY = CHECKSUM_DIGITS + 1

const READ_BYTES = 131_072
/** Size above which the buffer of an encoder is not kept for the next batch. */
const LARGEST_KEPT = 1_048_576

// ---------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------

const putChecksum = (buffer: Buffer, at: number, checksum: number): void => {
  let rest = checksum
  for (let index = at + CHECKSUM_DIGITS - 1; index >= at; index--) {
    const digit = rest & 0xf
    buffer[index] = digit < 10 ? 0x30 + digit : 0x57 + digit
    rest >>>= 4
  }
  buffer[at + CHECKSUM_DIGITS] = TAB
}

/** @internal */
export const lineOf = (body: string): Buffer => {
  const bytes = Buffer.from(`${"\t".repeat(BODY)}${body}\n`)
  putChecksum(bytes, 0, crc32(bytes.subarray(BODY, -1)))
  return bytes
}

/** Number of fragments of each kind that an encoder keeps. */
const MOST_FRAGMENTS = 256

/** All fields of an occurrence: a new one that is not encoded here is a type error. */
type EncodedField =
  | "at"
  | "involvedObject"
  | "related"
  | "reason"
  | "type"
  | "action"
  | "message"
  | "data"
  | "labels"
  | "source"
  | "reportingController"
  | "reportingInstance"
type Complete = [Exclude<keyof Occurrence, EncodedField>] extends [never] ? Occurrence : never

/**
 * Encodes entries as lines. The bytes are valid until the next call.
 *
 * Reporter, object and reason are mostly those of earlier entries, so their text is kept.
 *
 * @internal
 */
export class EntryEncoder {
  private buffer = Buffer.allocUnsafe(65_536)
  private readonly objects = new Map<string, { readonly object: ObjectReference; readonly text: string }>()
  private readonly reasons = new Map<
    string,
    { readonly type: string; readonly action: string; readonly text: string }
  >()
  private reporter: {
    readonly source: Occurrence["source"] | undefined
    readonly controller: string
    readonly instance: string
    readonly text: string
  } = { source: undefined, controller: "", instance: "", text: "" }
  private second = { number: Number.NaN, digits: "" }

  encode(batch: ReadonlyArray<Occurrence>, first: number): Buffer {
    if (this.buffer.length > LARGEST_KEPT) this.buffer = Buffer.allocUnsafe(65_536)
    const together = `\t${first}\t${first + batch.length - 1}\t`
    let at = 0
    for (let index = 0; index < batch.length; index++) {
      const body = `${first + index}${together}${this.json(batch[index]!)}\n`
      // A UTF-16 code unit takes at most three bytes in UTF-8.
      this.reserve(at, BODY + 3 * body.length)
      const end = at + BODY + this.buffer.write(body, at + BODY)
      putChecksum(this.buffer, at, crc32(this.buffer.subarray(at + BODY, end - 1)))
      at = end
    }
    return this.buffer.subarray(0, at)
  }

  private reserve(used: number, more: number): void {
    if (used + more <= this.buffer.length) return
    const larger = Buffer.allocUnsafe(2 * (used + more))
    this.buffer.copy(larger, 0, 0, used)
    this.buffer = larger
  }

  private json(occurrence: Complete): string {
    const { at, data, involvedObject, labels, message, related } = occurrence
    return (
      `{"involvedObject":${this.objectOf(involvedObject)}` +
      (related === undefined ? "" : `,"related":${JSON.stringify(related)}`) +
      `${this.reasonOf(occurrence)},"message":${JSON.stringify(message)},"data":${JSON.stringify(data)}` +
      this.reporterOf(occurrence) +
      (labels === undefined ? "" : `,"labels":${JSON.stringify(labels)}`) +
      `,"at":${this.timeOf(at)}}`
    )
  }

  /** Formatting all sixteen digits takes as long as encoding the message. */
  private timeOf(at: number): string {
    const second = Math.floor(at / 1_000_000)
    if (second <= 0 || !Number.isSafeInteger(at)) return JSON.stringify(at)
    if (second !== this.second.number) this.second = { number: second, digits: String(second) }
    return this.second.digits + String(1_000_000 + at - second * 1_000_000).slice(1)
  }

  private objectOf(object: ObjectReference): string {
    const known = this.objects.get(object.name)
    if (known !== undefined && isSameObject(known.object, object)) return known.text
    const text = JSON.stringify(object)
    if (this.objects.size >= MOST_FRAGMENTS) this.objects.clear()
    this.objects.set(object.name, { object: { ...object }, text })
    return text
  }

  private reasonOf({ action, reason, type }: Occurrence): string {
    const known = this.reasons.get(reason)
    if (known !== undefined && known.type === type && known.action === action) return known.text
    const fields = { reason, type, action }
    const text = `,${JSON.stringify(fields).slice(1, -1)}`
    if (this.reasons.size >= MOST_FRAGMENTS) this.reasons.clear()
    this.reasons.set(reason, { type, action, text })
    return text
  }

  private reporterOf({ reportingController, reportingInstance, source }: Occurrence): string {
    const { controller, instance, source: known, text } = this.reporter
    if (
      known !== undefined &&
      known.component === source.component &&
      known.host === source.host &&
      controller === reportingController &&
      instance === reportingInstance
    ) {
      return text
    }
    const fields = { source, reportingController, reportingInstance }
    this.reporter = {
      source: { ...source },
      controller: reportingController,
      instance: reportingInstance,
      text: `,${JSON.stringify(fields).slice(1, -1)}`
    }
    return this.reporter.text
  }
}

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

/**
 * An entry, not decoded.
 *
 * @internal
 */
export interface Entry {
  readonly seq: number
  readonly first: number
  readonly last: number
  readonly json: Buffer
}

/** @internal */
export const occurrenceOf = (entry: Entry): Occurrence => JSON.parse(entry.json.toString()) as Occurrence

const checksumIn = (bytes: Buffer): number => {
  let checksum = 0
  for (let index = 0; index < CHECKSUM_DIGITS; index++) {
    const byte = bytes[index]!
    const digit = byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : byte >= 0x61 && byte <= 0x66 ? byte - 0x57 : -1
    if (digit === -1) return -1
    checksum = checksum * 16 + digit
  }
  return checksum
}

/**
 * The body of a line; absent when its checksum is wrong.
 *
 * @internal
 */
export const bodyIn = (line: Buffer): Buffer | undefined => {
  if (line.length <= BODY || line[CHECKSUM_DIGITS] !== TAB) return undefined
  const body = line.subarray(BODY)
  return checksumIn(line) === crc32(body) ? body : undefined
}

/**
 * Parses a line; undefined when its checksum is wrong or it is not an entry.
 *
 * @internal
 */
export const entryIn = (line: Buffer): Entry | undefined => {
  const body = bodyIn(line)
  if (body === undefined) return undefined
  let at = 0
  const number = (): number => {
    const tab = body.indexOf(TAB, at)
    const found = tab === -1 ? Number.NaN : Number(body.toString("latin1", at, tab))
    at = tab + 1
    return found
  }
  const seq = number()
  const first = number()
  const last = number()
  return first <= seq && seq <= last ? { seq, first, last, json: body.subarray(at) } : undefined
}

/**
 * The complete entries in a line that is not an entry itself: where the line end between two entries was overwritten, they are one line. JSON
 * contains no TAB, so an entry can start in few places.
 */
const joinedEntries = (line: Buffer): ReadonlyArray<Entry> => {
  const found: Array<Entry> = []
  let rest = line
  while (rest.length > 0) {
    let start = -1
    for (let tab = rest.indexOf(TAB, CHECKSUM_DIGITS); tab !== -1; tab = rest.indexOf(TAB, tab + 1)) {
      const entry = entryIn(rest.subarray(tab - CHECKSUM_DIGITS))
      if (entry === undefined) continue
      found.unshift(entry)
      start = tab - CHECKSUM_DIGITS
      break
    }
    if (start <= 0) break
    rest = rest.subarray(0, start - 1)
  }
  return found
}

/**
 * The entries in a line, in order; none when nothing in it can be read.
 *
 * @internal
 */
export const entriesOf = ({ bytes, ended }: Line): ReadonlyArray<Entry> => {
  const entry = ended ? entryIn(bytes) : undefined
  // Without its line end an entry was not finished; with another byte in place of it, it was.
  return entry === undefined ? joinedEntries(ended ? bytes : bytes.subarray(0, -1)) : [entry]
}

/** Blocks of a file that were never written read as zeros; no line has that many zeros in a row. */
const UNWRITTEN = Buffer.alloc(16)

/**
 * Whether a part of a line was never written, because the power failed before the disk had it.
 *
 * @internal
 */
export const isUnwritten = (line: Buffer): boolean => line.includes(UNWRITTEN)

/**
 * A line of a file.
 *
 * @internal
 */
export interface Line {
  /** Without the line end. */
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
  /** Whether it has a line end; only the last line may have none. */
  readonly ended: boolean
}

/**
 * The bodies of a file, or of its first bytes, without the lines that are damaged. None where there is no file.
 *
 * @internal
 */
export function* bodiesOf(disk: Disk, path: string, size?: number): Generator<Buffer, void> {
  if (size === 0) return
  for (const { bytes } of size === undefined ? allLinesOf(disk, path) : linesOf(disk, path, 0, size)) {
    const body = bodyIn(bytes)
    if (body !== undefined) yield body
  }
}

/**
 * All lines of a file; none where there is no file. Another process may replace it or take it away, so its size is that of what was
 * opened.
 *
 * @internal
 */
export function* allLinesOf(disk: Disk, path: string): Generator<Line, void> {
  const file = unlessCode(["ENOENT"], () => disk.openToRead(path))
  if (file === undefined) return
  try {
    yield* linesIn(disk, file, 0, disk.statusOf(file).size)
  } finally {
    disk.close(file)
  }
}

/**
 * The lines of a file between two offsets.
 *
 * @internal
 */
export function* linesOf(disk: Disk, path: string, from: number, to: number): Generator<Line, void> {
  const file = disk.openToRead(path)
  try {
    yield* linesIn(disk, file, from, to)
  } finally {
    disk.close(file)
  }
}

/**
 * The lines of an open file between two offsets.
 *
 * @internal
 */
export function* linesIn(disk: Disk, file: number, from: number, to: number): Generator<Line, void> {
  let rest = Buffer.alloc(0)
  let start = from
  while (true) {
    const wanted = Math.min(READ_BYTES, to - start - rest.length)
    if (wanted <= 0) break
    const chunk = Buffer.allocUnsafe(wanted)
    const read = disk.read(file, chunk, 0, wanted, start + rest.length)
    if (read === 0) break
    const searched = rest.length
    const bytes = searched === 0 ? chunk.subarray(0, read) : Buffer.concat([rest, chunk.subarray(0, read)])
    let at = 0
    for (let lf = bytes.indexOf(LF, searched); lf !== -1; lf = bytes.indexOf(LF, at)) {
      yield { bytes: bytes.subarray(at, lf), start: start + at, end: start + lf + 1, ended: true }
      at = lf + 1
    }
    rest = bytes.subarray(at)
    start += at
  }
  if (rest.length > 0) yield { bytes: rest, start, end: start + rest.length, ended: false }
}
