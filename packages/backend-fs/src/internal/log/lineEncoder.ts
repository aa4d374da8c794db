import { BoundedCache } from "@tidings/core/BoundedCache"
import * as ControlCharacters from "@tidings/core/ControlCharacters"
import { type EventBody, namespaceOf, type Write } from "@tidings/core/Event"
import type { EventData } from "@tidings/core/EventData"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import type { Micros } from "@tidings/core/Timestamp"
import * as Timestamp from "@tidings/core/Timestamp"
import { isSameObject } from "../isSameObject.ts"
import * as LogLine from "./line.ts"
import { LineBuffer } from "./lineBuffer.ts"

/** Number of fragments of each kind that are kept; of objects, of which there are many, about 500 bytes each. */
const MOST_OBJECTS = 8_192
const MOST_FRAGMENTS = 512
/** Number of fragments that are kept for one name of an object or of a reason. */
const MOST_OF_A_NAME = 8

/** Maximum length of the name of an event object, and of the seq in it. */
const LONGEST_NAME = 253
const LONGEST_SEQ = 11

/** Fragments of one name form a chain, with the latest one first. */
interface Chained<F> {
  readonly other: F | undefined
}

/** The fields of the data that came last with a reason, in their order; and their bytes, such as `,"stepId":`. */
interface KnownFields {
  readonly keys: Array<string>
  readonly bytes: Array<Uint8Array>
}

interface ReasonFragment extends Chained<ReasonFragment> {
  readonly reason: string
  readonly type: string
  readonly action: string
  readonly bytes: Uint8Array
  readonly fields: KnownFields
}

interface ObjectFragment extends Chained<ObjectFragment> {
  readonly object: ObjectReference
  readonly origin: string
  readonly reporter: Uint8Array
  /** The object, the reporter, and the part of the event name before the seq. */
  readonly bytes: Uint8Array
  /** What is between the event name and the data. */
  readonly afterName: Uint8Array
  /** The same, and the start of data that begins with name and namespace of the object. */
  readonly afterNameWithIdentity: Uint8Array
}

const NOTHING: Uint8Array = new Uint8Array()
const UP_TO = Buffer.from('","upTo":')
const END = Buffer.from(',"apiVersion":"v1","kind":"Event"}\n')

const BETWEEN_TIMES = `${LogLine.BETWEEN_TIMES.beforeChecksum}00000000${LogLine.BETWEEN_TIMES.afterChecksum}`
/** Of a time, what changes once a second, and what is after it. */
const SECOND_LENGTH = "2026-11-28T13:22:05.".length
const FRACTION_LENGTH = "075965Z".length
/** Offsets in a line of what is in a second of its two times. */
const LAST_FRACTION = LogLine.BEGINNING.length + SECOND_LENGTH
const FIRST_TIME = LAST_FRACTION + FRACTION_LENGTH + BETWEEN_TIMES.length
const FIRST_FRACTION = FIRST_TIME + SECOND_LENGTH

/** What is not in fragments and not in the message or the data: times, numbers and their names. */
const MOST_OF_THE_REST = 256
/** Fields of data whose bytes are kept, and those of one reason. */
const MOST_FIELDS = 512
const MOST_OF_A_REASON = 32
const LONGEST_FIELD = 128

/** In seconds. */
const DAY = 86_400

const MOST_SMALL_NUMBER = 0x7fffffff

const QUOTE = 0x22
const OBJECT_START = 0x7b

/** A fragment put before others of its name, of which the last ones are dropped. */
const chain = <F extends Chained<F>>(fragment: Omit<F, "other">, others: F | undefined, length = MOST_OF_A_NAME): F => {
  const rest = others === undefined || length <= 1 ? undefined : chain<F>(others, others.other, length - 1)
  return { ...fragment, other: rest } as F
}

/**
 * Encodes lines with the bytes of `LogLine.encode` in a fraction of the time.
 *
 * Encoding a line takes longer than writing it. Reporter, object and reason are mostly those of earlier lines, so their bytes are
 * kept and copied; only the message and the data are turned into JSON. Rare fields are left to `LogLine.encode`.
 *
 * @internal
 */
export class LineEncoder {
  private readonly line = new LineBuffer()
  private readonly reasons = new BoundedCache<string, ReasonFragment>(MOST_FRAGMENTS)
  private readonly objects = new BoundedCache<string, ObjectFragment>(MOST_OBJECTS)
  private readonly origins = new BoundedCache<string, Uint8Array>(MOST_FRAGMENTS)
  private readonly fields = new BoundedCache<string, Uint8Array>(MOST_FIELDS)
  private reporter = {
    component: "",
    host: undefined as string | undefined,
    controller: "",
    instance: "",
    bytes: NOTHING
  }
  private lastReason: ReasonFragment | undefined = undefined
  private lastOrigin = ""
  private lastOriginBytes = NOTHING
  /** Of the last line: the second of its last time, the bytes of a line with both times in it, and the checksum up to the fraction. */
  private second = Number.NaN
  private day = Number.NaN
  private times: Uint8Array = NOTHING
  private checksum: LogLine.ChecksumOfStart = LogLine.checksumOfStart(NOTHING, 0)
  /** Of a first time in another second. */
  private firstSecond = Number.NaN
  private firstSecondBytes: Uint8Array = NOTHING

  /** Encodes the line of a write into a buffer, and answers its end; -1 when there is no room for it. */
  encodeInto(write: Write, buffer: Buffer, offset: number): number {
    const end = this.encodeFragments(write, buffer, offset)
    if (end !== -1) return end
    const line = LogLine.encode(LogLine.eventOf(write))
    return Buffer.byteLength(line) > buffer.length - offset ? -1 : offset + buffer.write(line, offset)
  }

  private encodeFragments(
    { cluster, count, event, first, id, last, namespace, upTo }: Write,
    buffer: Buffer,
    offset: number
  ): number {
    if (event.related !== undefined || event.labels !== undefined) return -1
    if (namespace !== undefined || cluster !== undefined) return -1
    const reason = this.reasonOf(event)
    const reporter = this.reporterOf(event)
    if (reporter === undefined) return -1
    const origin = this.originOf(id.origin)
    const object = this.objectOf(event.involvedObject, id.origin, reporter)
    if (object === undefined) return -1
    const { data, message } = event
    if (typeof message !== "string" || typeof data !== "object" || data === null) return -1
    const { line } = this
    line.begin(buffer, offset)
    const reserved =
      reason.bytes.length + object.bytes.length + object.afterNameWithIdentity.length + origin.length + MOST_OF_THE_REST
    if (!line.hasRoomFor(message.length, reserved)) return -1

    this.putTimes(last, first)
    line.putNumber(count, 10)
    line.put(reason.bytes)
    line.putText(message)
    line.put(object.bytes)
    line.putNumber(id.seq, 36)
    if (!this.putData(data, reason.fields, object, origin.length + MOST_OF_THE_REST)) return -1
    line.put(origin)
    line.putNumber(id.seq, 10)
    line.put(UP_TO)
    line.putNumber(upTo, 10)
    line.put(END)
    LogLine.putChecksum(buffer, offset, line.at - 1, this.checksum)
    return line.at
  }

  /** Writes the line up to the count. */
  private putTimes(last: Micros, first: Micros): void {
    const { line } = this
    const { at } = line
    const second = Math.floor(last / 1_000_000)
    if (second !== this.second) this.setSecond(second, last)
    line.put(this.times)
    line.setFraction(at + LAST_FRACTION, last - second * 1_000_000)
    const firstSecond = first === last ? second : Math.floor(first / 1_000_000)
    if (firstSecond !== second) {
      if (firstSecond !== this.firstSecond) {
        this.firstSecond = firstSecond
        this.firstSecondBytes = Buffer.from(secondOf(first))
      }
      line.buffer.set(this.firstSecondBytes, at + FIRST_TIME)
    }
    line.setFraction(at + FIRST_FRACTION, first - firstSecond * 1_000_000)
  }

  /** Only the time of day changes from one second to the next one. */
  private setSecond(second: number, micros: Micros): void {
    const day = Math.floor(second / DAY)
    if (day !== this.day) {
      const text = secondOf(micros)
      this.times = Buffer.from(`${LogLine.BEGINNING}${text}000000Z${BETWEEN_TIMES}${text}000000Z","count":`)
      this.day = day
    } else {
      const { times } = this
      const time = second - day * DAY
      for (const end of [LAST_FRACTION, FIRST_FRACTION]) {
        putTwoDigits(times, end - 9, (time / 3_600) | 0)
        putTwoDigits(times, end - 6, ((time / 60) | 0) % 60)
        putTwoDigits(times, end - 3, time % 60)
      }
    }
    this.second = second
    this.checksum = LogLine.checksumOfStart(this.times, LAST_FRACTION)
  }

  /**
   * Writes the fields of the data as `JSON.stringify` does; false where they are left to it, and where there is no room for them and
   * `reserved` bytes.
   */
  private putData(data: EventData, known: KnownFields, object: ObjectFragment, reserved: number): boolean {
    const prototype: unknown = Object.getPrototypeOf(data)
    if (prototype !== Object.prototype && prototype !== null) return false
    const { line } = this
    const keys = Object.keys(data)
    let index = identityOf(keys, data, object.object)
    const hasIdentity = index > 0
    line.put(hasIdentity ? object.afterNameWithIdentity : object.afterName)
    const start = line.at
    for (; index < keys.length; index++) {
      const key = keys[index]!
      const value = data[key]
      if (value === undefined) continue
      const bytes = known.keys[index] === key ? known.bytes[index] : this.fieldOf(key, index, known)
      if (bytes === undefined || !line.hasRoomFor(0, bytes.length + reserved)) return false
      line.put(bytes)
      if (!this.putValue(key === "duration" ? durationOf(value) : value, reserved)) return false
    }
    if (hasIdentity) return true
    // Each field has a comma before it, also the first one.
    if (line.at === start) line.putByte(OBJECT_START)
    else line.buffer[start] = OBJECT_START
    return true
  }

  private putValue(value: unknown, reserved: number): boolean {
    const { line } = this
    switch (typeof value) {
      case "string":
        if (!line.hasRoomFor(value.length, reserved)) return false
        line.putByte(QUOTE)
        line.putText(value)
        line.putByte(QUOTE)
        return true
      case "number":
        if (isSmallNumber(value)) line.putNumber(value, 10)
        else line.putJson(JSON.stringify(value))
        return true
      case "boolean":
        line.putJson(value ? "true" : "false")
        return true
      case "object": {
        if (value !== null && "toJSON" in value) return false
        const json = JSON.stringify(value)
        // Only an object may look like the start of a line.
        if (json.includes(LogLine.BEGINNING) || !line.hasRoomFor(json.length, reserved)) return false
        line.putJson(json)
        return true
      }
      default:
        return false
    }
  }

  /** The bytes of a field of data; absent where it could be the start of a line. */
  private fieldOf(key: string, index: number, known: KnownFields): Uint8Array | undefined {
    if (key === "lastTimestamp") return undefined
    let bytes = this.fields.get(key)
    if (bytes === undefined) {
      bytes = bytesOf(`,${JSON.stringify(key)}:`)
      if (key.length > LONGEST_FIELD) return bytes
      this.fields.set(key, bytes)
    }
    if (index < MOST_OF_A_REASON) {
      known.keys[index] = key
      known.bytes[index] = bytes
    }
    return bytes
  }

  private reasonOf({ action, reason, type }: EventBody): ReasonFragment {
    const last = this.lastReason
    if (last !== undefined && last.reason === reason && last.type === type && last.action === action) return last
    return (this.lastReason = this.findReason(reason, type, action))
  }

  private findReason(reason: string, type: string, action: string): ReasonFragment {
    const ofName = this.reasons.get(reason)
    for (let known = ofName; known !== undefined; known = known.other) {
      if (known.type === type && known.action === action) return known
    }
    const bytes = bytesOf(
      `,"type":${JSON.stringify(type)},"reason":${JSON.stringify(reason)},"action":${JSON.stringify(action)},"message":"`
    )
    const fields = {
      keys: Array.from({ length: MOST_OF_A_REASON }, () => ""),
      bytes: Array.from({ length: MOST_OF_A_REASON }, () => NOTHING)
    }
    const fragment = chain<ReasonFragment>({ reason, type, action, bytes, fields }, ofName)
    this.reasons.set(reason, fragment)
    return fragment
  }

  private objectOf(object: ObjectReference, origin: string, reporter: Uint8Array): ObjectFragment | undefined {
    const ofName = this.objects.get(object.name)
    for (let known = ofName; known !== undefined; known = known.other) {
      if (known.reporter !== reporter || known.origin !== origin) continue
      if (known.object === object || isSameObject(known.object, object)) return known
    }
    const json = JSON.stringify(object)
    const namespace = namespaceOf({ event: { involvedObject: object } })
    const name = EventId.objectName({ origin, seq: 0 }, object.name).slice(0, -1)
    // The cut of a name that is too long depends on the length of the seq.
    if (name.length + LONGEST_SEQ > LONGEST_NAME || json.startsWith(LogLine.BEGINNING)) return undefined
    const afterName = `","namespace":${JSON.stringify(namespace)}},"data":`
    const fragment = chain<ObjectFragment>(
      {
        // A copy where the caller may change it.
        object: Object.isFrozen(object) ? object : { ...object },
        origin,
        reporter,
        bytes: Buffer.concat([bytesOf(`","involvedObject":${json}`), reporter, bytesOf(name)]),
        afterName: bytesOf(afterName),
        afterNameWithIdentity: bytesOf(afterName + JSON.stringify(identityIn(object)).slice(0, -1))
      },
      ofName
    )
    this.objects.set(object.name, fragment)
    return fragment
  }

  private reporterOf({ reportingController, reportingInstance, source }: EventBody): Uint8Array | undefined {
    const { reporter } = this
    const { component, host } = source
    if (
      reporter.component === component &&
      reporter.host === host &&
      reporter.controller === reportingController &&
      reporter.instance === reportingInstance &&
      reporter.bytes.length > 0
    ) {
      return reporter.bytes
    }
    const json = JSON.stringify(source)
    if (json.startsWith(LogLine.BEGINNING)) return undefined
    const bytes = bytesOf(
      `,"source":${json},"reportingComponent":${JSON.stringify(reportingController)},` +
        `"reportingInstance":${JSON.stringify(reportingInstance)},"metadata":{"name":"`
    )
    this.reporter = { component, host, controller: reportingController, instance: reportingInstance, bytes }
    return bytes
  }

  private originOf(origin: string): Uint8Array {
    if (origin === this.lastOrigin && this.lastOriginBytes.length > 0) return this.lastOriginBytes
    let bytes = this.origins.get(origin)
    if (bytes === undefined) {
      bytes = bytesOf(`},"id":${JSON.stringify(origin).slice(0, -1)}.`)
      this.origins.set(origin, bytes)
    }
    this.lastOrigin = origin
    this.lastOriginBytes = bytes
    return bytes
  }
}

/** A time up to the fraction of its second. */
const secondOf = (micros: Micros): string => Timestamp.format(micros).slice(0, -FRACTION_LENGTH)

const putTwoDigits = (bytes: Uint8Array, at: number, value: number): void => {
  const tens = (value / 10) | 0
  bytes[at] = 0x30 + tens
  bytes[at + 1] = 0x30 + value - 10 * tens
}

/** What the data of an object's event begins with, unless a host has put it together by itself. */
const identityIn = ({ name, namespace }: ObjectReference): EventData =>
  namespace === undefined ? { name } : { name, namespace }

/** How many fields of data are the identity of its object; 0 where it does not begin with that. */
const identityOf = (keys: ReadonlyArray<string>, data: EventData, { name, namespace }: ObjectReference): number => {
  if (keys[0] !== "name" || data.name !== name) return 0
  if (namespace === undefined) return 1
  return keys[1] === "namespace" && data.namespace === namespace ? 2 : 0
}

const durationOf = (nanoseconds: unknown): unknown =>
  EventJson.dataToObject({ duration: nanoseconds as number })["duration"]

/** Whether a number is written with the digits of its value; minus zero is 0 in JSON too. */
const isSmallNumber = (value: number): boolean => value >= 0 && value <= MOST_SMALL_NUMBER && Number.isInteger(value)

const bytesOf = (json: string): Uint8Array => Buffer.from(ControlCharacters.escapeExceptLineFeeds(json))
