import { CLUSTER_SCOPED_NAMESPACE, type Event, namespaceOf, type Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import * as EventQuery from "@tidings/core/EventQuery"
import type { Micros } from "@tidings/core/Timestamp"
import * as Result from "effect/Result"
import { isUtf8 } from "node:buffer"

// ---------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------

/**
 * How every line begins. Readers that meet a damaged line look for the next beginning in it, so nothing inside of a line
 * may look like one.
 *
 * @internal
 */
export const BEGINNING = '{"lastTimestamp":"'
/** The same key as JSON reads it, and other bytes. */
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
  namespace: namespaceOf(write)
})

/**
 * The line of an event, with its end: what `EventJson.encode` makes of it, except that a nested object never begins as a
 * line does.
 *
 * @internal
 */
export const encode = (event: Event): string => {
  const line = EventJson.encode(event)
  return line.includes(BEGINNING, 1) ? `${line[0]}${line.slice(1).replaceAll(BEGINNING, INNER)}\n` : `${line}\n`
}

// ---------------------------------------------------------------------------
// records
// ---------------------------------------------------------------------------

const TEXT = String.raw`"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"`
const TEXTS = String.raw`\{(?:${TEXT}:${TEXT}(?:,${TEXT}:${TEXT})*)?\}`
const LIST = String.raw`\[(?:${TEXT}(?:,${TEXT})*)?\]`
// Days 29 to 31, and the year in which time ends, are left to the decoder, which knows the calendar.
const TIME = String.raw`"(?!9999)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z"`
const DURATION = String.raw`"-?(?:(?:\d{1,6}h)?(?:\d{1,2}m)?\d{1,2}(?:\.\d{1,9})?s|\d{1,3}(?:\.\d{1,6})?[mµ]s|\d{1,3}ns)"`
const NUMBER = String.raw`-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?(?:[eE][-+]?\d{1,2})?`
const SIMPLE = String.raw`(?:${TEXT}|${NUMBER}|true|false|null)`
const ARGUMENTS = String.raw`\{(?:${TEXT}:${SIMPLE}(?:,${TEXT}:${SIMPLE})*)?\}`
const TEXT_FIELDS = "name|namespace|operation|serviceClass|error|stepId|stepTool|conditionResult|executionId"
const DATUM =
  String.raw`(?:"(?:${TEXT_FIELDS})":${TEXT}|"duration":${DURATION}|"stepCount":-?(?:0|[1-9]\d{0,14})` +
  String.raw`|"allowFailure":(?:true|false)|"toolNames":${LIST}|"arguments":${ARGUMENTS}` +
  // The fields of a host's own catalogue.
  String.raw`|"(?!(?:${TEXT_FIELDS}|duration|stepCount|allowFailure|toolNames|arguments)")[^"\\\u0000-\u001f]*":(?:${SIMPLE}|${LIST}))`

/**
 * A line as this log writes it. What matches is an event, and decoding it would say the same; what does not may still be
 * one and has to be decoded. This takes a tenth of the time of decoding, and leaves the fields that filters ask for.
 *
 * No two parts of it can match the same text, so it takes linear time.
 */
const CANONICAL = new RegExp(
  String.raw`^\{"lastTimestamp":${TIME},"firstTimestamp":${TIME},"count":[1-9]\d{0,14},"type":(${TEXT}),` +
    String.raw`"reason":(?!"")(${TEXT}),"action":${TEXT},"message":${TEXT},"involvedObject":(${TEXTS})` +
    String.raw`(?:,"related":(${TEXTS}))?,"source":(${TEXTS}),"reportingComponent":${TEXT},"reportingInstance":${TEXT},` +
    String.raw`"metadata":\{"name":(${TEXT})(?:,"namespace":(${TEXT}))?(?:,"uid":${TEXT})?(?:,"labels":${TEXTS})?` +
    String.raw`(?:,"annotations":${TEXTS})?\},"data":\{(?:${DATUM}(?:,${DATUM})*)?\},` +
    String.raw`"id":"([!#-[\]-~]+)\.(0|[1-9]\d{0,14})","upTo":(0|[1-9]\d{0,14}),"apiVersion":"v1","kind":"Event"\}$`
)

/** Longer lines are decoded: what a regular expression remembers on its way grows with the line. */
const LONGEST_MATCHED = 32_768

const digits = (text: string, at: number, count: number): number => {
  let value = 0
  for (let index = at; index < at + count; index++) value = value * 10 + text.charCodeAt(index) - 48
  return value
}

let minuteText = ""
let minute = 0

/** The microseconds of a time of fixed width that stands in a line at `at`. */
const microsAt = (text: string, at: number): Micros => {
  if (!text.startsWith(minuteText, at) || minuteText === "") {
    minuteText = text.slice(at, at + 17)
    minute = Date.parse(`${minuteText}00Z`) * 1_000
  }
  return minute + digits(text, at + 17, 2) * 1_000_000 + digits(text, at + 20, 6)
}

/** Whether a text in JSON, with its quotes, is a certain one; absent when only decoding can tell. */
const isText = (raw: string, wanted: string): boolean | undefined =>
  raw.includes("\\") ? undefined : raw.length === wanted.length + 2 && raw.startsWith(wanted, 1)

/** Whether an object of texts in JSON holds a certain one; absent when only decoding can tell. */
const hasText = (raw: string, key: string, wanted: string): boolean | undefined =>
  raw.includes("\\") ? undefined : !wanted.includes('"') && raw.includes(`"${key}":"${wanted}"`)

/** Whether a reference in JSON has the namespace, the empty text for none; absent when only decoding can tell. */
const isOfNamespace = (object: string, wanted: string): boolean | undefined =>
  wanted !== ""
    ? hasText(object, "namespace", wanted)
    : object.includes("\\")
      ? undefined
      : !object.includes('"namespace":') || object.includes('"namespace":""')

/**
 * Whether the event itself is in a namespace: its own is absent in lines of the first release about objects that are in
 * none. Absent when only decoding can tell.
 */
const isIn = (wanted: string, own: string | undefined, object: string): boolean | undefined => {
  if (own !== undefined && own !== '""') return isText(own, wanted)
  if (wanted !== CLUSTER_SCOPED_NAMESPACE) return isOfNamespace(object, wanted)
  // In it, or without any, which is the same.
  return isOfNamespace(object, wanted) === true ? true : isOfNamespace(object, "")
}

/** Whether a reference in JSON is of an API group; absent when only decoding can tell. */
const isOfGroup = (object: string, wanted: string): boolean | undefined => {
  if (object.includes("\\")) return undefined
  if (wanted.includes('"') || wanted.includes("/")) return false
  return wanted === "" ? !/"apiVersion":"[^"]*\//.test(object) : object.includes(`"apiVersion":"${wanted}/`)
}

/**
 * One state of a series as the log has it.
 *
 * @internal
 */
export class LogRecord {
  /** Where it begins and where the next one may, in bytes from the beginning of the segment. */
  readonly start: number
  readonly end: number
  private readonly text: string
  private readonly match: RegExpExecArray | undefined
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
    return this.match === undefined ? this.event.id.origin : this.match[8]!
  }

  get seq(): number {
    return this.match === undefined ? this.event.id.seq : Number(this.match[9])
  }

  get upTo(): number {
    return this.match === undefined ? this.event.upTo : Number(this.match[10])
  }

  get last(): Micros {
    return this.match === undefined ? this.event.last : microsAt(this.text, BEGINNING.length)
  }

  get event(): Event {
    return (this.decoded ??= Result.getOrThrow(EventJson.decode(this.text)))
  }

  matches(filter: EventQuery.EventFilter): boolean {
    return this.matchesText(filter) ?? EventQuery.matches(filter, this.event)
  }

  private matchesText(filter: EventQuery.EventFilter): boolean | undefined {
    const { match } = this
    if (match === undefined) return undefined
    const object = match[3]!
    let unsure = false
    const { apiGroup, eventType, id, name, namespace, objectNamespace, reason, resourceName, resourceType } = filter
    const { since, source, until } = filter
    if (since !== undefined && this.last < since) return false
    if (until !== undefined && this.last > until) return false
    if (id !== undefined && `${match[8]}.${match[9]}` !== id) return false
    for (const found of [
      eventType === undefined || isText(match[1]!, eventType),
      reason === undefined || isText(match[2]!, reason),
      resourceType === undefined || hasText(object, "kind", resourceType),
      resourceName === undefined || hasText(object, "name", resourceName),
      namespace === undefined || isIn(namespace, match[7], object),
      objectNamespace === undefined || isOfNamespace(object, objectNamespace),
      apiGroup === undefined || isOfGroup(object, apiGroup),
      source === undefined || hasText(match[5]!, "component", source),
      name === undefined || isText(match[6]!, name)
    ]) {
      if (found === false) return false
      if (found === undefined) unsure = true
    }
    return unsure ? undefined : true
  }
}

const canonical = (text: string): RegExpExecArray | undefined => {
  if (text.length > LONGEST_MATCHED || text.includes("\ufffd")) return undefined
  const match = CANONICAL.exec(text)
  if (match === null) return undefined
  const object = match[3]!
  const related = match[4]
  return object.includes('"kind":') &&
    object.includes('"name":') &&
    match[5]!.includes('"component":') &&
    (related === undefined || (related.includes('"kind":') && related.includes('"name":')))
    ? match
    : undefined
}

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

const BEGINNING_BYTES = Buffer.from(BEGINNING)

/** So many endings of a damaged line are tried, from its end backwards; each try reads to the end of the line. */
const MOST_ENDINGS = 16

const isBlank = (line: Buffer): boolean => {
  for (const byte of line) if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false
  return true
}

const decodeBytes = (bytes: Buffer): { readonly text: string; readonly event: Event } | undefined => {
  const text = bytes.toString("utf8")
  // JSON is UTF-8: what is not was damaged, and the replaced characters might be anything.
  if (text.includes("\ufffd") && !isUtf8(bytes)) return undefined
  const decoded = EventJson.decode(text)
  return Result.isSuccess(decoded) ? { text, event: decoded.success } : undefined
}

const withoutNuls = (bytes: Buffer): Buffer => {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return end === bytes.length ? bytes : bytes.subarray(0, end)
}

/**
 * Reads the records of one line, nearly always one. `start` and `end` are the bounds of the line in the buffer without
 * its end, `position` is where the buffer begins in the segment, `next` where the next line does.
 *
 * A writer that was killed in the middle of its line leaves a piece without an end, and the next writer's line is glued
 * to it: every beginning of a line inside of the line is tried, so that what was stored whole is found. Answers how many
 * bytes are damaged.
 *
 * @internal
 */
export const readLine = (
  buffer: Buffer,
  start: number,
  end: number,
  position: number,
  next: number,
  visit: (record: LogRecord) => void
): number => {
  if (end === start) return 0
  if (end - start <= LONGEST_MATCHED) {
    const text = buffer.toString("utf8", start, end)
    const match = canonical(text)
    if (match !== undefined) {
      visit(new LogRecord(position + start, next, text, match, undefined))
      return 0
    }
  }
  return readOddLine(buffer.subarray(start, end), position + start, next, visit)
}

const readOddLine = (line: Buffer, position: number, next: number, visit: (record: LogRecord) => void): number => {
  if (isBlank(line)) return 0
  // An editor of another system may have put a byte order mark before the first line.
  const mark = line.length > 3 && line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf ? 3 : 0
  const emit = (start: number, end: number, bytes: Buffer): boolean => {
    const decoded = decodeBytes(bytes)
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
    const stripped = withoutNuls(piece)
    const kept = stripped.length < piece.length && emit(from, end, stripped)
    damaged += piece.length - (kept ? stripped.length : 0)
  }
  return damaged
}

/**
 * Where, in the middle of a line that is too long to be one, the next beginning stands that may be looked for later.
 *
 * @internal
 */
export const lastBeginning = (bytes: Buffer): number => {
  const found = bytes.lastIndexOf(BEGINNING_BYTES)
  // A beginning may be cut by the end of what was read.
  return found > 0 ? found : bytes.length - BEGINNING_BYTES.length + 1
}
