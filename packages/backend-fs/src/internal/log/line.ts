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
 * The start of every line. Readers look for it inside damaged lines, so it must not occur inside a line.
 *
 * @internal
 */
export const BEGINNING = '{"lastTimestamp":"'
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
 * The line of an event, with its line end: `EventJson.encode`, with nested objects that start like a line spelled differently.
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
const CANONICAL = new RegExp(
  String.raw`^\{"lastTimestamp":${TIME},"firstTimestamp":${TIME},"count":[1-9]\d{0,14},"type":(${TEXT}),` +
    String.raw`"reason":(?!"")(${TEXT}),"action":${TEXT},"message":(${TEXT}),"involvedObject":(${TEXTS})` +
    String.raw`(?:,"related":(${TEXTS}))?,"source":(${TEXTS}),"reportingComponent":${TEXT},"reportingInstance":${TEXT},` +
    String.raw`"metadata":\{"name":(${TEXT})(?:,"namespace":(${TEXT}))?(?:,"uid":${TEXT})?(?:,"labels":(${TEXTS}))?` +
    String.raw`(?:,"annotations":${TEXTS})?\},"data":\{(?:${DATUM}(?:,${DATUM})*)?\},` +
    String.raw`"id":"([!#-[\]-~]+)\.(0|[1-9]\d{0,14})","upTo":(0|[1-9]\d{0,14})(?:,"cluster":(${TEXTS}))?,"apiVersion":"v1","kind":"Event"\}$`
)

/** The capture groups of it. */
const GROUP = {
  type: 1,
  reason: 2,
  message: 3,
  object: 4,
  related: 5,
  source: 6,
  name: 7,
  namespace: 8,
  labels: 9,
  origin: 10,
  seq: 11,
  upTo: 12,
  cluster: 13
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

/** The microseconds of the timestamp at an index of a line. */
const microsAt = (text: string, at: number): Micros => {
  if (!text.startsWith(minuteText, at) || minuteText === "") {
    minuteText = text.slice(at, at + 17)
    minute = Date.parse(`${minuteText}00Z`) * 1_000
  }
  return minute + digits(text, at + 17, 2) * 1_000_000 + digits(text, at + 20, 6)
}

/** Whether a JSON string, with its quotes, has a value; absent when only decoding can tell. */
const isText = (raw: string, wanted: string): boolean | undefined =>
  raw.includes("\\") ? undefined : raw.length === wanted.length + 2 && raw.startsWith(wanted, 1)

/** Whether a JSON object of strings has a field with a value; absent when only decoding can tell. */
const hasText = (raw: string, key: string, wanted: string): boolean | undefined =>
  raw.includes("\\") ? undefined : !wanted.includes('"') && raw.includes(`"${key}":"${wanted}"`)

/** Whether a JSON reference has a namespace, the empty text for none; absent when only decoding can tell. */
const isOfNamespace = (object: string, wanted: string): boolean | undefined =>
  wanted !== ""
    ? hasText(object, "namespace", wanted)
    : object.includes("\\")
      ? undefined
      : !object.includes('"namespace":') || object.includes('"namespace":""')

/** Whether one of the wanted values is found; absent when only decoding can tell. */
const isAnyOf = <A>(
  wanted: EventQuery.OneOrMore<A> | undefined,
  isFound: (one: A) => boolean | undefined
): boolean | undefined => {
  if (wanted === undefined) return true
  let found: boolean | undefined = false
  for (const one of EventQuery.valuesOf(wanted)) {
    const is = isFound(one)
    if (is === true) return true
    if (is === undefined) found = undefined
  }
  return found
}

/** Whether all of these hold; absent when only decoding can tell. */
const areAll = (...found: ReadonlyArray<boolean | undefined>): boolean | undefined =>
  found.includes(false) ? false : found.includes(undefined) ? undefined : true

/** Whether a reference in JSON is the object that a filter names; absent when only decoding can tell. */
const isObject = (object: string, { apiGroup, kind, name }: EventQuery.ObjectSelector): boolean | undefined =>
  areAll(
    hasText(object, "kind", kind),
    hasText(object, "name", name),
    apiGroup === undefined || isOfGroup(object, apiGroup)
  )

const isOfCluster = (cluster: string | undefined, wanted: string): boolean | undefined => {
  if (cluster === undefined) return false
  const isId = hasText(cluster, "id", wanted)
  return isId === true ? true : hasText(cluster, "name", wanted)
}

/** Whether a message in JSON contains a text; absent when only decoding can tell. */
const isInMessage = (text: string, raw: string): boolean | undefined =>
  raw.includes("\\") ? undefined : EventQuery.isInMessage(text, raw.slice(1, -1))

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

/** Whether a JSON reference has an API group; absent when only decoding can tell. */
const isOfGroup = (object: string, wanted: string): boolean | undefined => {
  if (object.includes("\\")) return undefined
  if (wanted.includes('"') || wanted.includes("/")) return false
  return wanted === "" ? !/"apiVersion":"[^"]*\//.test(object) : object.includes(`"apiVersion":"${wanted}/`)
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

  matches(filter: EventQuery.EventFilter): boolean {
    return this.matchesText(filter) ?? EventQuery.matches(filter, this.event)
  }

  private matchesText(filter: EventQuery.EventFilter): boolean | undefined {
    const { match } = this
    if (match === undefined) return undefined
    const { since, until } = filter
    if (since !== undefined && this.last < since) return false
    if (until !== undefined && this.last > until) return false
    const object = match[GROUP.object]!
    const labels = match[GROUP.labels]
    let unsure = false
    for (const found of [
      isAnyOf(filter.id, (id) => `${match[GROUP.origin]}.${match[GROUP.seq]}` === id),
      isAnyOf(filter.eventType, (type) => isText(match[GROUP.type]!, type)),
      isAnyOf(filter.reason, (reason) => isText(match[GROUP.reason]!, reason)),
      isAnyOf(filter.resourceType, (kind) => hasText(object, "kind", kind)),
      isAnyOf(filter.resourceName, (name) => hasText(object, "name", name)),
      isAnyOf(filter.object, (wanted) => isObject(object, wanted)),
      isAnyOf(filter.namespace, (namespace) => isIn(namespace, match[GROUP.namespace], object)),
      isAnyOf(filter.objectNamespace, (namespace) => isOfNamespace(object, namespace)),
      isAnyOf(filter.apiGroup, (group) => isOfGroup(object, group)),
      isAnyOf(filter.source, (component) => hasText(match[GROUP.source]!, "component", component)),
      isAnyOf(filter.name, (name) => isText(match[GROUP.name]!, name)),
      isAnyOf(filter.cluster, (cluster) => isOfCluster(match[GROUP.cluster], cluster)),
      filter.match === undefined || isInMessage(filter.match, match[GROUP.message]!),
      ...Object.entries(filter.labels ?? {}).map(([key, value]) => labels !== undefined && hasText(labels, key, value))
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
  const object = match[GROUP.object]!
  const related = match[GROUP.related]
  const cluster = match[GROUP.cluster]
  return object.includes('"kind":') &&
    object.includes('"name":') &&
    match[GROUP.source]!.includes('"component":') &&
    (cluster === undefined || cluster.includes('"id":')) &&
    (related === undefined || (related.includes('"kind":') && related.includes('"name":')))
    ? match
    : undefined
}

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

const BEGINNING_BYTES = Buffer.from(BEGINNING)

/** Number of line starts, from the end of a damaged line, that are tried with all that follows. */
const MOST_ENDINGS = 16

const isBlank = (line: Buffer): boolean => {
  for (const byte of line) if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false
  return true
}

const decodeBytes = (bytes: Buffer): { readonly text: string; readonly event: Event } | undefined => {
  const text = bytes.toString("utf8")
  // JSON is UTF-8, so other bytes are damage.
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
 * Reads the records of one line, in nearly all cases one, and answers how many bytes are damaged. `start` and `end` are the bounds of
 * the line in the buffer, without its line end; `position` is the offset of the buffer in the segment, `next` that of the next line.
 *
 * A writer that was killed leaves a partial line without a line end, and the next line is appended to it. Therefore every line start
 * inside a line is tried, so that complete lines are found.
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
  // An editor may have put a byte order mark before the first line.
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
 * The last line start in the buffer, for a line that is too long: reading continues there.
 *
 * @internal
 */
export const lastBeginning = (bytes: Buffer): number => {
  const found = bytes.lastIndexOf(BEGINNING_BYTES)
  // The end of the buffer may be in the middle of a line start.
  return found > 0 ? found : bytes.length - BEGINNING_BYTES.length + 1
}
