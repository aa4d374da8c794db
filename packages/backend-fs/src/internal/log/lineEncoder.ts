import { type EventBody, namespaceOf, type Write } from "@tidings/core/Event"
import type { EventData } from "@tidings/core/EventData"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import type { Micros } from "@tidings/core/Timestamp"
import * as Timestamp from "@tidings/core/Timestamp"
import { isSameObject } from "../isSameObject.ts"
import * as LogLine from "./line.ts"

/** Number of fragments of each kind that are kept. */
const MOST_FRAGMENTS = 256

/** Maximum length of the name of an event object, and of the seq in it. */
const LONGEST_NAME = 253
const LONGEST_SEQ = 11

interface ReasonFragment {
  readonly count: number
  readonly type: string
  readonly action: string
  readonly bytes: Uint8Array
}

interface ObjectFragment {
  readonly object: ObjectReference
  readonly origin: string
  readonly reporter: Uint8Array
  /** The object, the reporter, and the part of the event name before the seq. */
  readonly bytes: Uint8Array
  readonly afterName: Uint8Array
}

interface Same {
  readonly reason: Uint8Array
  readonly message: Uint8Array
  readonly object: ObjectFragment | undefined
  readonly data: Uint8Array
  readonly origin: Uint8Array
  head: Uint8Array
  tail: Uint8Array
}

const NOTHING: Uint8Array = new Uint8Array()
const BEGINNING = Buffer.from(LogLine.BEGINNING)
const FIRST = Buffer.from('","firstTimestamp":"')
const UP_TO = Buffer.from('","upTo":')
const END = Buffer.from(',"apiVersion":"v1","kind":"Event"}\n')

const isPlain = (json: string, bytes: number): boolean => bytes === json.length && !json.includes("\u007f")

/** The bytes of a JSON fragment; absent when they are not printable ASCII. */
const bytesOf = (json: string): Uint8Array | undefined => {
  const bytes = Buffer.from(json)
  return isPlain(json, bytes.length) ? bytes : undefined
}

/** Whether two data have equal fields. Objects and lists may have been changed in place, and count as different. */
const sameData = (a: EventData, b: EventData): boolean => {
  let fields = 0
  for (const key in b) {
    const value = b[key as keyof EventData]
    if (value !== a[key as keyof EventData] || (typeof value === "object" && value !== null)) return false
    fields += 1
  }
  for (const _ in a) fields -= 1
  return fields === 0
}

/**
 * Encodes lines with the bytes of `LogLine.encode` in half the time.
 *
 * Encoding a line takes longer than writing it. Reporter, object and reason are mostly those of earlier lines, so their bytes are
 * kept and copied. Lines with other than printable ASCII, and rare fields, are left to `LogLine.encode`.
 *
 * @internal
 */
export class LineEncoder {
  private buffer: Buffer = Buffer.alloc(0)
  private at = 0
  private readonly reasons = new Map<string, ReasonFragment>()
  private readonly objects = new Map<string, ObjectFragment>()
  private reporter = {
    component: "",
    host: undefined as string | undefined,
    controller: "",
    instance: "",
    bytes: NOTHING
  }
  private origin = { origin: "", bytes: NOTHING }
  private message: { text: string; same: Uint8Array | undefined } = { text: "", same: undefined }
  private data: { data: EventData; same: Uint8Array | undefined } = { data: {}, same: undefined }
  private same: Same = {
    reason: NOTHING,
    message: NOTHING,
    object: undefined,
    data: NOTHING,
    origin: NOTHING,
    head: NOTHING,
    tail: NOTHING
  }
  private second = Number.NaN
  private secondBytes: Uint8Array = NOTHING

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
    const reason = this.reasonOf(count, event)
    const reporter = this.reporterOf(event)
    const origin = this.originOf(id.origin)
    if (reason === undefined || reporter === undefined || origin === undefined) return -1
    const object = this.objectOf(event.involvedObject, id.origin, reporter)
    if (object === undefined) return -1
    const message = this.messageOf(event.message)
    const data = this.dataOf(event.data)
    if (message === undefined || data === undefined) return -1
    const fragments = reason.length + object.bytes.length + object.afterName.length + origin.length
    // Three bytes for each UTF-16 code unit: `Buffer.write` cuts a text that does not fit without an error.
    if (fragments + 3 * (message.length + data.length) + 256 > buffer.length - offset) return -1

    this.buffer = buffer
    this.at = offset
    this.put(BEGINNING)
    const start = this.at
    this.putTime(last)
    const end = this.at
    this.put(FIRST)
    if (first === last) {
      buffer.copyWithin(this.at, start, end)
      this.at += end - start
    } else {
      this.putTime(first)
    }
    const same =
      typeof message === "string" || typeof data === "string"
        ? undefined
        : this.sameOf(reason, message, object, data, origin)
    if (same !== undefined) {
      this.put(same.head)
      this.putDigits(id.seq.toString(36))
      this.put(same.tail)
    } else {
      this.put(reason)
      if (!this.write(message)) return -1
      this.put(object.bytes)
      this.putDigits(id.seq.toString(36))
      this.put(object.afterName)
      if (!this.write(data)) return -1
      this.put(origin)
    }
    const digits = String(id.seq)
    this.putDigits(digits)
    this.put(UP_TO)
    this.putDigits(upTo === id.seq ? digits : String(upTo))
    this.put(END)
    return this.at
  }

  /** The bytes before and after the name, where all fragments are those of the last lines; absent otherwise. */
  private sameOf(
    reason: Uint8Array,
    message: Uint8Array,
    object: ObjectFragment,
    data: Uint8Array,
    origin: Uint8Array
  ): Same | undefined {
    const { same } = this
    if (
      same.reason !== reason ||
      same.message !== message ||
      same.object !== object ||
      same.data !== data ||
      same.origin !== origin
    ) {
      this.same = { reason, message, object, data, origin, head: NOTHING, tail: NOTHING }
      return undefined
    }
    if (same.head.length === 0) {
      same.head = Buffer.concat([reason, message, object.bytes])
      same.tail = Buffer.concat([object.afterName, data, origin])
    }
    return same
  }

  private put(bytes: Uint8Array): void {
    this.buffer.set(bytes, this.at)
    this.at += bytes.length
  }

  private putDigits(digits: string): void {
    for (let index = 0; index < digits.length; index++) this.buffer[this.at++] = digits.charCodeAt(index)
  }

  private write(json: string | Uint8Array): boolean {
    if (typeof json !== "string") {
      this.put(json)
      return true
    }
    const written = this.buffer.write(json, this.at)
    this.at += written
    return isPlain(json, written)
  }

  private putTime(micros: Micros): void {
    const second = Math.floor(micros / 1_000_000)
    if (second !== this.second) {
      // Without the fraction and the Z.
      this.secondBytes = Buffer.from(Timestamp.format(micros).slice(0, -7))
      this.second = second
    }
    this.put(this.secondBytes)
    let fraction = micros - second * 1_000_000
    for (let at = this.at + 5; at >= this.at; at--) {
      const rest = Math.floor(fraction / 10)
      this.buffer[at] = 0x30 + fraction - 10 * rest
      fraction = rest
    }
    this.buffer[this.at + 6] = 0x5a
    this.at += 7
  }

  /** The message as JSON; as bytes when it is repeated. */
  private messageOf(message: string): string | Uint8Array | undefined {
    const { same } = this.message
    if (message !== this.message.text) {
      this.message = { text: message, same: undefined }
      return JSON.stringify(message)
    }
    return same ?? (this.message.same = bytesOf(JSON.stringify(message)))
  }

  /** The data as JSON; as bytes when they are repeated. */
  private dataOf(data: EventData): string | Uint8Array | undefined {
    const { same } = this.data
    if (same !== undefined && sameData(this.data.data, data)) return same
    const json = JSON.stringify(EventJson.dataToObject(data))
    if (json.includes(LogLine.BEGINNING)) return undefined
    const again = sameData(this.data.data, data)
    // A copy, because the caller may change it.
    this.data = { data: { ...data }, same: again ? bytesOf(json) : undefined }
    return json
  }

  private reasonOf(count: number, { action, reason, type }: EventBody): Uint8Array | undefined {
    const known = this.reasons.get(reason)
    if (known !== undefined && known.count === count && known.type === type && known.action === action)
      return known.bytes
    const bytes = bytesOf(
      `","count":${count},"type":${JSON.stringify(type)},"reason":${JSON.stringify(reason)},` +
        `"action":${JSON.stringify(action)},"message":`
    )
    if (bytes === undefined) return undefined
    if (this.reasons.size >= MOST_FRAGMENTS) this.reasons.clear()
    this.reasons.set(reason, { count, type, action, bytes })
    return bytes
  }

  private objectOf(object: ObjectReference, origin: string, reporter: Uint8Array): ObjectFragment | undefined {
    const known = this.objects.get(object.name)
    if (
      known !== undefined &&
      known.reporter === reporter &&
      known.origin === origin &&
      isSameObject(known.object, object)
    ) {
      return known
    }
    const json = JSON.stringify(object)
    const namespace = namespaceOf({ event: { involvedObject: object } })
    const name = EventId.objectName({ origin, seq: 0 }, object.name).slice(0, -1)
    const bytes = bytesOf(`,"involvedObject":${json}`)
    const afterName = bytesOf(`","namespace":${JSON.stringify(namespace)}},"data":`)
    // The cut of a name that is too long depends on the length of the seq.
    if (name.length + LONGEST_SEQ > LONGEST_NAME || json.startsWith(LogLine.BEGINNING)) return undefined
    if (bytes === undefined || afterName === undefined) return undefined
    if (this.objects.size >= MOST_FRAGMENTS) this.objects.clear()
    const fragment: ObjectFragment = {
      object: { ...object },
      origin,
      reporter,
      bytes: Buffer.concat([bytes, reporter, Buffer.from(name)]),
      afterName
    }
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
    const bytes = bytesOf(
      `,"source":${json},"reportingComponent":${JSON.stringify(reportingController)},` +
        `"reportingInstance":${JSON.stringify(reportingInstance)},"metadata":{"name":"`
    )
    if (bytes === undefined || json.startsWith(LogLine.BEGINNING)) return undefined
    this.reporter = { component, host, controller: reportingController, instance: reportingInstance, bytes }
    return bytes
  }

  private originOf(origin: string): Uint8Array | undefined {
    if (this.origin.origin === origin && this.origin.bytes.length > 0) return this.origin.bytes
    const bytes = bytesOf(`,"id":${JSON.stringify(origin).slice(0, -1)}.`)
    if (bytes !== undefined) this.origin = { origin, bytes }
    return bytes
  }
}
