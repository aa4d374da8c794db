import { type Event, namespaceOf, type Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import type { Micros } from "@tidings/core/Timestamp"
import * as Result from "effect/Result"
import { isUtf8 } from "node:buffer"
import { crc32 } from "node:zlib"
import { TIME_LENGTH } from "./lineTime.ts"

// ---------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------

/**
 * The start of every line. Readers look for it inside damaged lines, so it must not occur inside a line.
 *
 * @internal
 */
export const BEGINNING = '{"lastTimestamp":"'
const BEGINNING_BYTES = Buffer.from(BEGINNING)

/** Whether the lines of a segment have checksums. Those of the first release are plain. */
export type Format = "plain" | "checked"

const CHECKSUM_KEY = '","checksum":"'
const CHECKSUM_DIGITS = 8
const FIRST_KEY = '","firstTimestamp":"'

/** What is between the two times of a line, before and after the digits of the checksum. */
export const BETWEEN_TIMES = { beforeChecksum: CHECKSUM_KEY, afterChecksum: FIRST_KEY } as const

/** Offset of what follows the last time. */
const KEY_AT = BEGINNING.length + TIME_LENGTH
/** The checksum covers a line without these bytes: `"checksum":"0a1b2c3d",`. */
const MEMBER_AT = KEY_AT + 2
const DIGITS_AT = KEY_AT + CHECKSUM_KEY.length
const MEMBER_END = DIGITS_AT + CHECKSUM_DIGITS + 2

/** Where the checksum of a line is, from the start of the line: its name, its digits, and the bytes that it does not cover. */
export const CHECKSUM_PLACES = {
  key: CHECKSUM_KEY,
  keyAt: KEY_AT,
  digitsAt: DIGITS_AT,
  memberAt: MEMBER_AT,
  memberEnd: MEMBER_END
} as const

/** The same JSON in other bytes. */
const INNER = String.raw`{"\u006castTimestamp":"`

/** @internal */
export const eventOf = (write: Write): Event => ({
  id: write.id,
  upTo: write.upTo,
  count: write.count,
  first: write.first,
  last: write.last,
  event: write.event,
  name: EventId.objectName(write.id, write.event.involvedObject.name),
  namespace: namespaceOf(write),
  ...(write.cluster === undefined ? undefined : { cluster: write.cluster })
})

/**
 * The line of an event, with its line end: `EventJson.encode`, with nested objects that start like a line spelled differently, and
 * the checksum after the last time.
 *
 * @internal
 */
export const encode = (event: Event): string => {
  const json = EventJson.encode(event)
  const line = json.includes(BEGINNING, 1) ? `${json[0]}${json.slice(1).replaceAll(BEGINNING, INNER)}` : json
  const checksum = crc32(line).toString(16).padStart(CHECKSUM_DIGITS, "0")
  return `${line.slice(0, KEY_AT)}${CHECKSUM_KEY}${checksum}${line.slice(KEY_AT)}\n`
}

// ---------------------------------------------------------------------------
// checksums
// ---------------------------------------------------------------------------

/**
 * CRC-32 of each byte, for the short start of a line: the call of `crc32` takes longer than the computation.
 *
 * @internal
 */
export const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1
  return crc
})

/**
 * The checksum of some bytes at the start of a line, which many lines have in common.
 *
 * @internal
 */
export interface ChecksumOfStart {
  readonly length: number
  readonly crc: number
}

const continued = (crc: number, bytes: Uint8Array, start: number, end: number): number => {
  let after = crc
  for (let at = start; at < end; at++) after = CRC_TABLE[(after ^ bytes[at]!) & 0xff]! ^ (after >>> 8)
  return after
}

/** @internal */
export const checksumOfStart = (bytes: Uint8Array, length: number): ChecksumOfStart => ({
  length,
  crc: continued(-1, bytes, 0, length)
})

const NOTHING = checksumOfStart(new Uint8Array(), 0)

/** The checksum of the line in the buffer: the CRC-32 of the line without its checksum member and without its line end. */
const checksumOf = (buffer: Buffer, start: number, end: number, { crc, length }: ChecksumOfStart): number =>
  crc32(buffer.subarray(start + MEMBER_END, end), ~continued(crc, buffer, start + length, start + MEMBER_AT) >>> 0)

const HEXADECIMAL = Buffer.from("0123456789abcdef")

/**
 * Writes the checksum into a line, in which the member is there with any digits. `end` is without the line end; `known` is the checksum
 * of the first bytes of this line.
 *
 * @internal
 */
export const putChecksum = (buffer: Buffer, start: number, end: number, known: ChecksumOfStart): void => {
  let rest = checksumOf(buffer, start, end, known)
  for (let at = start + DIGITS_AT + CHECKSUM_DIGITS - 1; at >= start + DIGITS_AT; at--) {
    buffer[at] = HEXADECIMAL[rest & 0xf]!
    rest >>>= 4
  }
}

const CHECKSUM_KEY_BYTES = Buffer.from(CHECKSUM_KEY)
const FIRST_KEY_BYTES = Buffer.from(FIRST_KEY)

const isAt = (text: Buffer, buffer: Buffer, at: number): boolean => {
  for (let index = 0; index < text.length; index++) if (buffer[at + index] !== text[index]) return false
  return true
}

/**
 * Whether the bytes from `start` to `end`, a line without its line end, have a checksum, and are those that were written.
 *
 * @internal
 */
export const isIntact = (buffer: Buffer, start: number, end: number): boolean => {
  if (end - start <= MEMBER_END || !isAt(CHECKSUM_KEY_BYTES, buffer, start + KEY_AT)) return false
  if (buffer[start + MEMBER_END - 2] !== 0x22 || buffer[start + MEMBER_END - 1] !== 0x2c) return false
  let rest = checksumOf(buffer, start, end, NOTHING)
  for (let at = start + DIGITS_AT + CHECKSUM_DIGITS - 1; at >= start + DIGITS_AT; at--) {
    if (buffer[at] !== HEXADECIMAL[rest & 0xf]) return false
    rest >>>= 4
  }
  return true
}

/**
 * The format of a segment, from bytes at its start; absent when they do not tell, because there is no whole start of a line.
 *
 * It is decided once for all lines: were each line asked, then damage to the name of its checksum would make it a line that needs none.
 * The first line that has one of the two names decides, so that damage to one line changes nothing for those after it.
 *
 * @internal
 */
export const formatOf = (bytes: Buffer): Format | undefined => {
  for (let at = bytes.indexOf(BEGINNING_BYTES); at !== -1; at = bytes.indexOf(BEGINNING_BYTES, at + 1)) {
    if (isAt(CHECKSUM_KEY_BYTES, bytes, at + KEY_AT)) return "checked"
    if (isAt(FIRST_KEY_BYTES, bytes, at + KEY_AT)) return "plain"
  }
  return undefined
}

/**
 * Length of the start of a line that tells the format.
 *
 * @internal
 */
export const TELLING_LENGTH = KEY_AT + FIRST_KEY.length

// ---------------------------------------------------------------------------
// records
// ---------------------------------------------------------------------------

const TEXT = String.raw`"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"`
const TEXTS = String.raw`\{(?:${TEXT}:${TEXT}(?:,${TEXT}:${TEXT})*)?\}`
const LIST = String.raw`\[(?:${TEXT}(?:,${TEXT})*)?\]`
// Days 29 to 31 and the year 9999 are left to the decoder, which knows the calendar.
const TIME = String.raw`"(?!9999)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z"`
const DURATION = String.raw`"-?(?:(?:\d{1,6}h)?(?:\d{1,2}m)?\d{1,2}(?:\.\d{1,9})?s|\d{1,3}(?:\.\d{1,6})?[mµ]s|\d{1,3}ns)"`
const NUMBER = String.raw`-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?(?:[eE][-+]?\d{1,2})?`
const SIMPLE = String.raw`(?:${TEXT}|${NUMBER}|true|false|null)`
const ARGUMENTS = String.raw`\{(?:${TEXT}:${SIMPLE}(?:,${TEXT}:${SIMPLE})*)?\}`
const TEXT_FIELDS = "name|namespace|operation|serviceClass|error|stepId|stepTool|conditionResult|executionId"
const DATUM =
  String.raw`(?:"(?:${TEXT_FIELDS})":${TEXT}|"duration":${DURATION}|"stepCount":-?(?:0|[1-9]\d{0,14})` +
  String.raw`|"allowFailure":(?:true|false)|"toolNames":${LIST}|"arguments":${ARGUMENTS}` +
  // Fields of custom catalogues.
  String.raw`|"(?!(?:${TEXT_FIELDS}|duration|stepCount|allowFailure|toolNames|arguments)")[^"\\\u0000-\u001f]*":(?:${SIMPLE}|${LIST}))`

/**
 * A line as this log writes it. A line that matches is an event with the values that decoding would give; another line may still be
 * an event, and has to be decoded. Matching takes a tenth of the time of decoding, and captures the fields that filters use.
 *
 * It takes linear time, because no two parts of it can match the same text.
 */
const CANONICAL =
  String.raw`^\{"lastTimestamp":${TIME},(?:"checksum":"[0-9a-f]{8}",)?"firstTimestamp":${TIME},"count":[1-9]\d{0,14},"type":(${TEXT}),` +
  String.raw`"reason":(?!"")(${TEXT}),"action":${TEXT},"message":${TEXT},"involvedObject":(${TEXTS})` +
  String.raw`(?:,"related":(${TEXTS}))?,"source":(${TEXTS}),"reportingComponent":${TEXT},"reportingInstance":${TEXT},` +
  String.raw`"metadata":\{"name":(${TEXT})(?:,"namespace":(${TEXT}))?(?:,"uid":${TEXT})?(?:,"labels":${TEXTS})?` +
  String.raw`(?:,"annotations":${TEXTS})?\},"data":\{(?:${DATUM}(?:,${DATUM})*)?\},` +
  String.raw`"id":"([!#-[\]-~]+)\.(0|[1-9]\d{0,14})","upTo":(0|[1-9]\d{0,14})(?:,"cluster":\{"id":${TEXT}(?:,"name":${TEXT})?\})?,"apiVersion":"v1","kind":"Event"\}$`

/**
 * The capture groups of it. Each costs time for every line, so a field that few filters name has none.
 *
 * @internal
 */
export const GROUP = {
  type: 1,
  reason: 2,
  object: 3,
  related: 4,
  source: 5,
  name: 6,
  namespace: 7,
  origin: 8,
  seq: 9,
  upTo: 10
} as const

/** Length above which lines are decoded instead: the memory that matching takes grows with the line. */
const LONGEST_MATCHED = 32_768

const digits = (text: string, at: number, count: number): number => {
  let value = 0
  for (let index = at; index < at + count; index++) value = value * 10 + text.charCodeAt(index) - 48
  return value
}

let minuteText = ""
let minute = 0

/**
 * The microseconds of the timestamp at an index of a line.
 *
 * @internal
 */
export const microsAt = (text: string, at: number): Micros => {
  if (!text.startsWith(minuteText, at) || minuteText === "") {
    minuteText = text.slice(at, at + 17)
    minute = Date.parse(`${minuteText}00Z`) * 1_000
  }
  return minute + digits(text, at + 17, 2) * 1_000_000 + digits(text, at + 20, 6)
}

/**
 * A line of the log: one state of a series.
 *
 * @internal
 */
export class LogRecord {
  /** Offset of the line in its segment, and of the next one. */
  readonly start: number
  readonly end: number
  readonly text: string
  /** The captured fields; absent for a line that was decoded at once. */
  readonly match: RegExpExecArray | undefined
  private decoded: Event | undefined

  constructor(
    start: number,
    end: number,
    text: string,
    match: RegExpExecArray | undefined,
    decoded: Event | undefined
  ) {
    this.start = start
    this.end = end
    this.text = text
    this.match = match
    this.decoded = decoded
  }

  get origin(): string {
    return this.match === undefined ? this.event.id.origin : this.match[GROUP.origin]!
  }

  get seq(): number {
    return this.match === undefined ? this.event.id.seq : Number(this.match[GROUP.seq])
  }

  get upTo(): number {
    return this.match === undefined ? this.event.upTo : Number(this.match[GROUP.upTo])
  }

  get last(): Micros {
    return this.match === undefined ? this.event.last : microsAt(this.text, BEGINNING.length)
  }

  get event(): Event {
    return (this.decoded ??= Result.getOrThrow(EventJson.decode(this.text)))
  }
}

let pattern: RegExp | undefined

/**
 * The pattern, made for the first line that needs it: to read it takes half a millisecond.
 *
 * V8 interprets a pattern until it was used twice, and to prepare that takes 10 ms for this one, a third of what Node needs to
 * start; compiling it takes less than 2 ms. A text of 1,000 characters is one for which V8 compiles at once.
 */
const compileCanonical = (): RegExp => {
  const compiled = new RegExp(CANONICAL)
  compiled.test(" ".repeat(1_000))
  return compiled
}

const canonical = (text: string): RegExpExecArray | undefined => {
  if (text.length > LONGEST_MATCHED || text.includes("\ufffd")) return undefined
  pattern ??= compileCanonical()
  const match = pattern.exec(text)
  if (match === null) return undefined
  const object = match[GROUP.object]!
  const related = match[GROUP.related]
  return object.includes('"kind":') &&
    object.includes('"name":') &&
    match[GROUP.source]!.includes('"component":') &&
    (related === undefined || (related.includes('"kind":') && related.includes('"name":')))
    ? match
    : undefined
}

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

/** Number of line starts, from the end of a damaged line, that are tried with all that follows. */
const MOST_ENDINGS = 16

const isBlankByte = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0d

const isBlank = (line: Buffer): boolean => {
  for (const byte of line) if (!isBlankByte(byte)) return false
  return true
}

const decodeBytes = (bytes: Buffer, format: Format): { readonly text: string; readonly event: Event } | undefined => {
  if (format === "checked" && !isIntact(bytes, 0, bytes.length)) return undefined
  const text = bytes.toString("utf8")
  // JSON is UTF-8, so other bytes are damage.
  if (text.includes("\ufffd") && !isUtf8(bytes)) return undefined
  const decoded = EventJson.decode(text)
  return Result.isSuccess(decoded) ? { text, event: decoded.success } : undefined
}

/** Without what an editor or a conversion of line ends may have put around a line, which is no damage. */
const withoutBlanks = (bytes: Buffer): Buffer => {
  let start = 0
  let end = bytes.length
  while (start < end && isBlankByte(bytes[start])) start++
  while (end > start && isBlankByte(bytes[end - 1])) end--
  return start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)
}

/** A piece of a damaged line up to where an event may end: before zeros, and with a checksum also before anything else. */
const upToEnd = (bytes: Buffer, format: Format): Buffer => {
  let end = bytes.length
  if (format === "checked") end = bytes.lastIndexOf(0x7d) + 1
  else while (end > 0 && bytes[end - 1] === 0) end--
  return end === bytes.length ? bytes : bytes.subarray(0, end)
}

/**
 * Reads the records of one line, in nearly all cases one, and answers how many bytes are damaged. `start` and `end` are the bounds of
 * the line in the buffer, without its line end; `position` is the offset of the buffer in the segment, `next` that of the next line.
 *
 * A writer that was killed leaves a partial line without a line end, and the next line is appended to it. Therefore every line start
 * inside a line is tried, so that complete lines are found. In a segment with checksums only what has the right one is an event.
 *
 * @internal
 */
export const readLine = (
  buffer: Buffer,
  start: number,
  end: number,
  position: number,
  next: number,
  format: Format,
  visit: (record: LogRecord) => void
): number => {
  if (end === start) return 0
  if (end - start <= LONGEST_MATCHED && (format === "plain" || isIntact(buffer, start, end))) {
    const text = buffer.toString("utf8", start, end)
    const match = canonical(text)
    if (match !== undefined) {
      visit(new LogRecord(position + start, next, text, match, undefined))
      return 0
    }
  }
  return readOddLine(buffer.subarray(start, end), position + start, next, format, visit)
}

const readOddLine = (
  line: Buffer,
  position: number,
  next: number,
  format: Format,
  visit: (record: LogRecord) => void
): number => {
  if (isBlank(line)) return 0
  // An editor may have put a byte order mark before the first line.
  const mark = line.length > 3 && line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf ? 3 : 0
  const emit = (start: number, end: number, bytes: Buffer): boolean => {
    const decoded = decodeBytes(withoutBlanks(bytes), format)
    if (decoded === undefined) return false
    visit(new LogRecord(position + start, end, decoded.text, undefined, decoded.event))
    return true
  }
  if (emit(mark, next, mark === 0 ? line : line.subarray(mark))) return 0

  const beginnings: Array<number> = []
  for (let at = line.indexOf(BEGINNING_BYTES); at !== -1; at = line.indexOf(BEGINNING_BYTES, at + 1))
    beginnings.push(at)
  let damaged = (beginnings[0] ?? line.length) - mark
  for (let index = 0; index < beginnings.length; index++) {
    const from = beginnings[index]!
    const to = beginnings[index + 1] ?? line.length
    if (to < line.length && beginnings.length - index <= MOST_ENDINGS && emit(from, next, line.subarray(from))) {
      return damaged
    }
    const piece = line.subarray(from, to)
    const end = to === line.length ? next : position + to
    if (emit(from, end, piece)) continue
    const stripped = upToEnd(piece, format)
    const kept = stripped.length < piece.length && emit(from, end, stripped)
    damaged += piece.length - (kept ? stripped.length : 0)
  }
  return damaged
}

/**
 * The last line start in the buffer, for a line that is too long: reading continues there.
 *
 * @internal
 */
export const lastBeginning = (bytes: Buffer): number => {
  const found = bytes.lastIndexOf(BEGINNING_BYTES)
  // The end of the buffer may be in the middle of a line start.
  return found > 0 ? found : bytes.length - BEGINNING_BYTES.length + 1
}
