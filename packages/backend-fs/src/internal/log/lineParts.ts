import {
  type Bytes,
  bytesOf,
  isDigit,
  isSame,
  Literal,
  placeAfterLast,
  placeOf,
  plainEnd,
  stringEnd,
  wholeIn
} from "./bytes.ts"
import { BEGINNING, CHECKSUM_PLACES } from "./line.ts"
import { LineTime, TIME_LENGTH } from "./lineTime.ts"

// The parts of a line with a checksum, as the encoder writes them; the first are at fixed places.
const LAST_AT = BEGINNING.length
const FIRST_KEY = new Literal('","firstTimestamp":"')
/** The quote after the checksum. */
const FIRST_KEY_AT = CHECKSUM_PLACES.memberEnd - 2
const COUNT_KEY = new Literal('","count":')

/**
 * Where the first time and the count start, from the start of the line.
 *
 * @internal
 */
export const FIRST_AT = FIRST_KEY_AT + FIRST_KEY.length

/** @internal */
export const COUNT_AT = FIRST_AT + TIME_LENGTH + COUNT_KEY.length
const TYPE_KEY = new Literal(',"type":"')
const REASON_KEY = new Literal('","reason":"')
const ACTION_KEY = new Literal('","action":"')
const MESSAGE_KEY = new Literal('","message":"')
const OBJECT_KEY = new Literal('","involvedObject":{')
const RELATED_KEY = new Literal('},"related":{')
const SOURCE_KEY = new Literal('},"source":{')
const REPORTER_KEY = new Literal('},"reportingComponent":"')
const INSTANCE_KEY = new Literal('","reportingInstance":"')
const NAME_KEY = new Literal('","metadata":{"name":"')
const NAMESPACE_KEY = new Literal(',"namespace":"')
const DATA_KEY = new Literal('},"data":{')
const ID_KEY = new Literal(',"id":"')
const UP_TO_KEY = new Literal('","upTo":')
const END = new Literal(',"apiVersion":"v1","kind":"Event"}')

/** A line that is shorter has not all parts. */
const SHORTEST = 300

const QUOTE = 0x22
const BRACE = 0x7d
const DOT = 0x2e

/**
 * The parts of a line that rows are made of, as places in the bytes that have the line.
 *
 * They are found by what the encoder writes between them. None of that occurs inside a string of JSON, in which each quote has a
 * backslash before it.
 *
 * @internal
 */
export class LineParts {
  /** Of the last time, in microseconds since 1970. */
  last = 0
  countEnd = 0
  /** The value of the type, up to that of the reason, and to that of the action. */
  reason = 0
  reasonEnd = 0
  actionEnd = 0
  /** Without its quotes. */
  message = 0
  messageEnd = 0
  /** Its text is its bytes. */
  isMessagePlain = false
  object = 0
  objectEnd = 0
  /** 0 where there is none. */
  related = 0
  relatedEnd = 0
  source = 0
  sourceEnd = 0
  /** Without its quotes; its text is its bytes. */
  name = 0
  nameEnd = 0
  /** With its quotes, its text is its bytes; the end is the start where there is none. */
  namespace = 0
  namespaceEnd = 0
  origin = 0
  originEnd = 0
  seq = 0
  upTo = 0
  data = 0
  dataEnd = 0
  /** What is from the source up to the name: most lines have the same, and then it is the same object. */
  sender = bytesOf(Buffer.alloc(0))
  private senderSource = 0
  private readonly time = new LineTime()

  /** Finds the parts of a line with a valid checksum; false where it is spelled in another way, or has rare fields. */
  find(bytes: Bytes, start: number, end: number): boolean {
    return (
      end - start >= SHORTEST &&
      this.findIdentity(bytes, start, end) &&
      this.findFields(bytes, start, this.dataEnd) &&
      !Number.isNaN((this.last = this.time.at(bytes, start + LAST_AT)))
    )
  }

  /** The first time of the line that was found; not a number where there is something else. */
  firstOf(bytes: Bytes, start: number): number {
    const isOne = isSame(bytes, start + LAST_AT, bytes, start + FIRST_AT, TIME_LENGTH)
    return isOne ? this.last : this.time.at(bytes, start + FIRST_AT)
  }

  /** Backwards from the end of the line. */
  private findIdentity(bytes: Bytes, start: number, end: number): boolean {
    const { buffer } = bytes
    const tail = end - END.length
    if (!END.isAt(bytes, tail)) return false
    let at = tail
    while (isDigit(buffer[at - 1])) at--
    this.upTo = wholeIn(buffer, at, tail)
    at -= UP_TO_KEY.length
    if (this.upTo === -1 || at < start || !UP_TO_KEY.isAt(bytes, at)) return false
    const seqEnd = at
    while (at > start && buffer[at - 1] !== DOT) at--
    this.seq = wholeIn(buffer, at, seqEnd)
    this.originEnd = at - 1
    at = placeAfterLast(bytes, QUOTE, start, at)
    this.origin = at
    at -= ID_KEY.length
    this.dataEnd = at
    return this.seq !== -1 && this.originEnd > this.origin && at > start && ID_KEY.isAt(bytes, at)
  }

  /** Forwards, up to a place in the line after all of them. */
  private findFields(bytes: Bytes, start: number, end: number): boolean {
    const { buffer } = bytes
    let at = start + COUNT_AT
    if (!FIRST_KEY.isAt(bytes, start + FIRST_KEY_AT) || !COUNT_KEY.isAt(bytes, at - COUNT_KEY.length)) return false
    while (isDigit(buffer[at])) at++
    this.countEnd = at
    if (!TYPE_KEY.isAt(bytes, at)) return false
    at += TYPE_KEY.length
    this.reason = at - 1
    at = stringEnd(bytes, at, end)
    if (at >= end || !REASON_KEY.isAt(bytes, at)) return false
    at = stringEnd(bytes, at + REASON_KEY.length, end)
    this.reasonEnd = at + 1
    if (at >= end || !ACTION_KEY.isAt(bytes, at)) return false
    at = stringEnd(bytes, at + ACTION_KEY.length, end)
    this.actionEnd = at + 1
    if (at >= end || !MESSAGE_KEY.isAt(bytes, at)) return false
    this.message = at + MESSAGE_KEY.length
    at = plainEnd(bytes, this.message, end)
    this.isMessagePlain = at < end && buffer[at] === QUOTE
    if (!this.isMessagePlain) at = stringEnd(bytes, this.message, end)
    this.messageEnd = at
    if (at >= end || !OBJECT_KEY.isAt(bytes, at)) return false
    at += OBJECT_KEY.length
    this.object = at - 1
    this.objectEnd = 0
    this.related = 0
    for (;;) {
      at = placeOf(bytes, BRACE, at, end)
      if (at + SOURCE_KEY.length >= end) return false
      if (SOURCE_KEY.isAt(bytes, at)) break
      if (this.objectEnd === 0 && RELATED_KEY.isAt(bytes, at)) {
        this.objectEnd = at + 1
        this.related = at + RELATED_KEY.length - 1
      }
      at += 1
    }
    this.relatedEnd = at + 1
    if (this.objectEnd === 0) this.objectEnd = at + 1
    at = this.findSender(bytes, at + SOURCE_KEY.length - 1, end)
    return at !== -1 && this.findName(bytes, at, end)
  }

  /** Who reports, as members of JSON. */
  senderMembers(): string {
    const { buffer } = this.sender
    return `"source":${buffer.toString("utf8", 0, buffer.length - NAME_KEY.length)}"`
  }

  /** The source and who reports it; answers where the name starts. */
  private findSender(bytes: Bytes, source: number, end: number): number {
    const { sender } = this
    const { length } = sender.buffer
    this.source = source
    if (length > 0 && source + length < end && isSame(sender, 0, bytes, source, length)) {
      this.sourceEnd = source + this.senderSource
      return source + length
    }
    let at = source
    for (;;) {
      at = placeOf(bytes, BRACE, at, end)
      if (at >= end) return -1
      if (REPORTER_KEY.isAt(bytes, at)) break
      at += 1
    }
    this.sourceEnd = at + 1
    at = stringEnd(bytes, at + REPORTER_KEY.length, end)
    if (at >= end || !INSTANCE_KEY.isAt(bytes, at)) return -1
    at = stringEnd(bytes, at + INSTANCE_KEY.length, end)
    if (at >= end || !NAME_KEY.isAt(bytes, at)) return -1
    at += NAME_KEY.length
    this.sender = bytesOf(Buffer.from(bytes.buffer.subarray(source, at)))
    this.senderSource = this.sourceEnd - source
    return at
  }

  private findName(bytes: Bytes, name: number, end: number): boolean {
    const { buffer } = bytes
    this.name = name
    this.nameEnd = plainEnd(bytes, name, end)
    let at = this.nameEnd + 1
    if (at >= end || buffer[this.nameEnd] !== QUOTE) return false
    this.namespace = at
    this.namespaceEnd = at
    if (NAMESPACE_KEY.isAt(bytes, at)) {
      this.namespace = at + NAMESPACE_KEY.length - 1
      at = plainEnd(bytes, this.namespace + 1, end) + 1
      this.namespaceEnd = at
      if (at >= end || buffer[at - 1] !== QUOTE) return false
    }
    this.data = at + DATA_KEY.length - 1
    return DATA_KEY.isAt(bytes, at)
  }
}
