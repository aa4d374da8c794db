import type { Event, EventBody } from "@tidings/core/Event"
import type { EventData } from "@tidings/core/EventData"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import * as Result from "effect/Result"
import { type Bytes, wholeIn } from "./bytes.ts"
import { Dictionary } from "./dictionary.ts"
import { LineData } from "./lineData.ts"
import { COUNT_AT, LineParts } from "./lineParts.ts"
import * as PlainObject from "./plainObject.ts"

/** Texts whose values are kept. */
const MOST_KEPT = 8_192

const parse = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

/** Values of texts that lines repeat. */
class Pieces<A> {
  private dictionary = new Dictionary(0)
  /** By the numbers of the texts; undefined where the text has no value. */
  private values: Array<A | undefined> = [undefined]
  private readonly read: (piece: string) => A | undefined

  constructor(read: (piece: string) => A | undefined) {
    this.read = read
  }

  /** The value of some bytes. */
  of(bytes: Bytes, start: number, end: number): A | undefined {
    const number = this.dictionary.at(bytes, start, end)
    if (number !== 0 && number < this.values.length) return this.values[number]
    const value = this.read(bytes.buffer.toString("utf8", start, end))
    if (number !== 0) this.keep(number, value)
    return value
  }

  private keep(number: number, value: A | undefined): void {
    this.values[number] = value
    this.dictionary.entries(true)
    if (number < MOST_KEPT) return
    this.dictionary = new Dictionary(0)
    this.values = [undefined]
  }
}

type What = Pick<EventBody, "type" | "reason" | "action">
type Sender = Pick<EventBody, "source" | "reportingController" | "reportingInstance">

const SOME = {
  lastTimestamp: "2000-01-01T00:00:00Z",
  firstTimestamp: "2000-01-01T00:00:00Z",
  count: 1,
  type: "",
  reason: "some",
  action: "",
  message: "",
  involvedObject: { kind: "", name: "" },
  source: { component: "" },
  reportingComponent: "",
  reportingInstance: "",
  metadata: { name: "" },
  data: {},
  id: "0.0",
  upTo: 0
}

/** The body of an event that has some members, where they are these and no others. */
const bodyOf = (members: string, keys: ReadonlyArray<string>): EventBody | undefined => {
  const found = parse(`{${members}}`)
  if (typeof found !== "object" || found === null) return undefined
  if (!Object.keys(found).every((key) => keys.includes(key))) return undefined
  const event = EventJson.fromObject({ ...SOME, ...found })
  return Result.isSuccess(event) ? event.success.event : undefined
}

const WHAT = ["type", "reason", "action"]
const OBJECT = ["involvedObject"]
const SENDER = ["source", "reportingComponent", "reportingInstance"]

const whatOf = (piece: string): What | undefined => {
  const body = bodyOf(`"type":${piece}`, WHAT)
  return body === undefined ? undefined : { type: body.type, reason: body.reason, action: body.action }
}

/** Events share it, so it is frozen. */
const objectOf = (piece: string): ObjectReference | undefined => {
  const body = bodyOf(`"involvedObject":${piece}`, OBJECT)
  return body === undefined ? undefined : Object.freeze(body.involvedObject)
}

const senderOf = (members: string): Sender | undefined => {
  const body = bodyOf(members, SENDER)
  if (body === undefined) return undefined
  const { reportingController, reportingInstance, source } = body
  return { source: Object.freeze(source), reportingController, reportingInstance }
}

/** The origin of an identity that is spelled without escapes. */
const originOf = (text: string): string | undefined =>
  /["\\]/.test(text) ? undefined : EventId.parse(`${text}.0`)?.origin

const dataOf = (json: string): EventData | undefined => {
  const data = EventJson.dataFromObject(parse(json))
  return Result.isSuccess(data) ? data.success : undefined
}

/**
 * Reads the events of lines that are exactly as the encoder writes them, by looking for their parts: what lines repeat is parsed once,
 * and the events share it. That takes a third of the time of decoding.
 *
 * @internal
 */
export class LineDecoder {
  private readonly parts = new LineParts()
  private readonly data = new LineData()
  private readonly whats = new Pieces(whatOf)
  private readonly objects = new Pieces(objectOf)
  private readonly origins = new Pieces(originOf)
  private readonly namespaces = new Pieces((text) => text)
  /** What the lines have that were read last, and its value. */
  private senderBytes = this.parts.sender
  private sender: Sender | undefined
  /** Lines that are decoded before any is read by its parts. */
  private leftToDecode: number

  /** The first so many lines are decoded, because in a new process that takes half as long as code that was not compiled yet. */
  constructor(decodedFirst = 0) {
    this.leftToDecode = decodedFirst
  }

  /** The event of a line with a checksum, which is right; undefined where it is no event. `end` is without the line end. */
  read(bytes: Bytes, start: number, end: number): Event | undefined {
    if (this.leftToDecode > 0) this.leftToDecode -= 1
    else {
      const quick = this.readQuick(bytes, start, end)
      if (quick !== undefined) return quick
    }
    const decoded = EventJson.decode(bytes.buffer.toString("utf8", start, end))
    return Result.isSuccess(decoded) ? decoded.success : undefined
  }

  /** Undefined where the line is spelled in another way, or has rare fields. */
  private readQuick(bytes: Bytes, start: number, end: number): Event | undefined {
    const { parts } = this
    if (!parts.find(bytes, start, end)) return undefined
    const { data, dataEnd, message, messageEnd, name, nameEnd, related } = parts
    const { buffer } = bytes
    const first = parts.firstOf(bytes, start)
    const count = wholeIn(buffer, start + COUNT_AT, parts.countEnd)
    const what = this.whats.of(bytes, parts.reason, parts.actionEnd)
    const object = this.objects.of(bytes, parts.object, parts.objectEnd)
    const other = related === 0 ? undefined : this.objects.of(bytes, related, parts.relatedEnd)
    const sender = this.senderOf()
    const origin = this.origins.of(bytes, parts.origin, parts.originEnd)
    if (Number.isNaN(first) || count < 1 || (related !== 0 && other === undefined)) return undefined
    if (what === undefined || object === undefined || sender === undefined || origin === undefined) return undefined

    // One text of which parts are taken: each call that makes one takes as long as that of a line does.
    const all = buffer.toString("utf8", message, dataEnd)
    const isAscii = all.length === dataEnd - message
    const shared: Shared = isAscii ? all : undefined
    const raw = textOf(bytes, shared, message, message, messageEnd)
    const messageText = parts.isMessagePlain ? raw : messageOf(raw)
    const values =
      (isAscii ? this.data.read(bytes, data, dataEnd, all, data - message) : undefined) ??
      dataOf(textOf(bytes, shared, message, data, dataEnd))
    if (messageText === undefined || values === undefined) return undefined
    const body = new EventBodyOf(what, object, other, sender, messageText, values)
    const nameText = textOf(bytes, shared, message, name, nameEnd)
    const id = new EventIdOf(origin, parts.seq)
    return new EventOf(id, parts.upTo, count, first, parts.last, body, nameText, this.namespaceOf(bytes))
  }

  private namespaceOf(bytes: Bytes): string | undefined {
    const { namespace, namespaceEnd } = this.parts
    return namespaceEnd - namespace <= 2 ? undefined : this.namespaces.of(bytes, namespace + 1, namespaceEnd - 1)
  }

  private senderOf(): Sender | undefined {
    const { parts } = this
    if (parts.sender !== this.senderBytes) {
      this.senderBytes = parts.sender
      this.sender = senderOf(parts.senderMembers())
    }
    return this.sender
  }
}

type Shared = string | undefined

/** The text of a part of a line; `shared`, where it is ASCII, has what is from `sharedAt` on. */
const textOf = ({ buffer }: Bytes, shared: Shared, sharedAt: number, start: number, end: number): string =>
  shared === undefined ? buffer.toString("utf8", start, end) : shared.slice(start - sharedAt, end - sharedAt)

const EventIdOf = PlainObject.make<[origin: string, seq: number], EventId.EventId>(function (origin, seq) {
  this.origin = origin
  this.seq = seq
})

const EventBodyOf = PlainObject.make<
  [
    what: What,
    object: ObjectReference,
    related: ObjectReference | undefined,
    sender: Sender,
    message: string,
    data: EventData
  ],
  EventBody
>(function (what, object, related, sender, message, data) {
  this.involvedObject = object
  this.reason = what.reason
  this.type = what.type
  this.action = what.action
  this.message = message
  this.data = data
  this.source = sender.source
  this.reportingController = sender.reportingController
  this.reportingInstance = sender.reportingInstance
  if (related !== undefined) this.related = related
})

const EventOf = PlainObject.make<
  [
    id: EventId.EventId,
    upTo: number,
    count: number,
    first: number,
    last: number,
    event: EventBody,
    name: string,
    namespace: string | undefined
  ],
  Event
>(function (id, upTo, count, first, last, event, name, namespace) {
  this.id = id
  this.upTo = upTo
  this.count = count
  this.first = first
  this.last = last
  this.event = event
  this.name = name
  if (namespace !== undefined) this.namespace = namespace
})

/** The text of a string of JSON, without its quotes; undefined where there is something else. */
const messageOf = (raw: string): string | undefined => {
  const parsed = parse(`"${raw}"`)
  return typeof parsed === "string" ? parsed : undefined
}
