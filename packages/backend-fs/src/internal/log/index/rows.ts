import type { Event } from "@tidings/core/Event"
import * as Event_ from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import { crc32 } from "node:zlib"
import { type Bytes, bytesOf, isSame } from "../bytes.ts"
import { type Format, GROUP, isIntact, type LogRecord, readLine } from "../line.ts"
import * as Block from "./block.ts"
import { Dictionary } from "../dictionary.ts"
import { LineParts } from "../lineParts.ts"
import { isWritten, SliceLines } from "./sliceChecksums.ts"

/**
 * The lines of a shorter slice are checked one by one: in a new process it takes longer to prepare the lists that checksums are put
 * together with than to check the lines that were written since a block was made.
 */
const SHORTEST_SLICE = 131_072

/** Longest stem of a name that is never cut. */
const LONGEST_STEM = 200

/** More digits than this has no number that is counted with. */
const MOST_DIGITS_36 = 10

/** Origins whose part of names is remembered: imported events have an origin each. */
const MOST_MIDDLES = 4_096

const SOME_ORIGIN = "0".repeat(32)

/**
 * A hash of the name of an event object, never 0.
 *
 * @internal
 */
export const hashOfName = (name: string): number => {
  let hash = 0x811c9dc5
  for (let index = 0; index < name.length; index++) hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0 || 1
}

/** What follows from an involved object. */
interface ObjectFacts {
  /** How names of its events begin. */
  readonly stem: string
  /** As JSON, the namespace of its events. */
  readonly namespace: string
}

const factsOf = (object: ObjectReference): ObjectFacts => ({
  stem: EventId.objectName({ origin: SOME_ORIGIN, seq: 0 }, object.name).slice(0, -19),
  namespace: JSON.stringify(Event_.namespaceOf({ event: { involvedObject: object } }))
})

/** Where something is in the bytes of an object: the start times this, plus the length. */
const PLACE = 65_536

/** The place of a text in the bytes of an object; 0 where they do not have it. */
const placeIn = (bytes: Buffer, text: string): number => {
  const part = Buffer.from(text)
  const at = bytes.indexOf(part)
  return at <= 0 || part.length === 0 || at + part.length >= PLACE ? 0 : at * PLACE + part.length
}

/** The middle of names, which follows from the origin. */
interface Middle {
  readonly text: string
  readonly bytes: Bytes
}

/**
 * What a segment says again and again, by number.
 *
 * @internal
 */
export class Dictionaries {
  readonly all: ReadonlyArray<Dictionary>
  private readonly objects = new Map<number, ObjectFacts>()
  /**
   * Where stem and namespace are in the bytes of an object, by twice its number: to compare a line with itself is faster than to
   * compare it with what is somewhere else in memory.
   */
  private places = new Uint32Array(1_024)
  /** By the number of the origin, of the origins that were seen last. */
  private readonly middles = new Map<number, Middle>()

  constructor(sizes: ReadonlyArray<number>) {
    this.all = sizes.map((size, dictionary) =>
      dictionary === Block.DICTIONARY.origin
        ? new Dictionary(size, undefined, Number.POSITIVE_INFINITY)
        : new Dictionary(size, () => {
            if (dictionary !== Block.DICTIONARY.object) return
            this.objects.clear()
            this.places.fill(0)
          })
    )
  }

  /** Begins those of another segment, which has so many entries already. */
  begin(sizes: ReadonlyArray<number>): void {
    for (const [dictionary, size] of sizes.entries()) this.all[dictionary]!.begin(size)
    this.objects.clear()
    this.places.fill(0)
    this.middles.clear()
  }

  get sizes(): ReadonlyArray<number> {
    return this.all.map(({ size }) => size)
  }

  /** What follows from the object of this number, where that is known. */
  factsOf(number: number): ObjectFacts | undefined {
    return this.objects.get(number)
  }

  /** Notes the object of a number. */
  learn(number: number, object: ObjectReference): ObjectFacts {
    const facts = factsOf(object)
    if (number !== 0) this.objects.set(number, facts)
    return facts
  }

  /** Notes the object of a number, which was read from these bytes. */
  learnFrom(bytes: Buffer, number: number): void {
    const { namespace, stem } = this.learn(number, JSON.parse(bytes.toString()) as ObjectReference)
    if (number === 0 || stem.length > LONGEST_STEM) return
    if (2 * number + 1 >= this.places.length) {
      const larger = new Uint32Array(Math.max(2 * this.places.length, 2 * number + 2))
      larger.set(this.places)
      this.places = larger
    }
    this.places[2 * number] = placeIn(bytes, stem)
    this.places[2 * number + 1] = placeIn(bytes, namespace)
  }

  /** Where the start of names is in the bytes of an object; 0 where that is not known, or it is not there. */
  stemOf(number: number): number {
    return this.places[2 * number] ?? 0
  }

  /** Where the namespace is. */
  namespaceOf(number: number): number {
    return this.places[2 * number + 1] ?? 0
  }

  /** The part of names that follows from an origin. */
  private learnMiddle(number: number, origin: string): Middle {
    const text = EventId.objectName({ origin, seq: 0 }, "x").slice(1, -1)
    const middle = { text, bytes: bytesOf(Buffer.from(text)) }
    if (this.middles.size >= MOST_MIDDLES) this.middles.clear()
    this.middles.set(number, middle)
    return middle
  }

  /** Whether a name is the one that follows from object and identity. */
  isImplied(name: string, { stem }: ObjectFacts, number: number, origin: string, seq: number): boolean {
    if (stem.length > LONGEST_STEM) return name === EventId.objectName({ origin, seq }, stem)
    const { text } = this.middles.get(number) ?? this.learnMiddle(number, origin)
    const end = seq.toString(36)
    return (
      name.length === stem.length + text.length + end.length &&
      name.startsWith(stem) &&
      name.startsWith(text, stem.length) &&
      name.endsWith(end)
    )
  }

  /** The same of the bytes of a name, which begins with so many bytes of the stem. */
  isImpliedAfter(bytes: Bytes, parts: LineParts, stem: number, number: number): boolean {
    const { name, nameEnd, origin, originEnd, seq } = parts
    const { buffer } = bytes
    const middle = this.middles.get(number) ?? this.learnMiddle(number, buffer.toString("latin1", origin, originEnd))
    const middleAt = name + stem
    const end = middleAt + middle.bytes.buffer.length
    return (
      end < nameEnd &&
      isSame(middle.bytes, 0, bytes, middleAt, middle.bytes.buffer.length) &&
      base36In(buffer, end, nameEnd) === seq
    )
  }
}

/** The whole number between two places that has base 36; -1 where it is spelled in another way. */
const base36In = (buffer: Buffer, start: number, end: number): number => {
  if (end - start > MOST_DIGITS_36 || (buffer[start] === 0x30 && end - start > 1)) return -1
  let value = 0
  for (let at = start; at < end; at++) {
    const byte = buffer[at]!
    if (byte >= 0x30 && byte <= 0x39) value = value * 36 + byte - 0x30
    else if (byte >= 0x61 && byte <= 0x7a) value = value * 36 + byte - 0x57
    else return -1
  }
  return value
}

const grown = (list: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> => {
  const larger = new Float64Array(2 * list.length)
  larger.set(list)
  return larger
}

const FIRST_CAPACITY = 64

/** The text of labels and cluster as an entry; the same for all events that have neither. */
const contextOf = ({ cluster, event: { labels } }: Event): string =>
  JSON.stringify({
    ...(labels === undefined ? undefined : { labels }),
    ...(cluster === undefined ? undefined : { cluster })
  })

const NO_CONTEXT = "{}"

/**
 * The rows of a block that is being made.
 *
 * @internal
 */
export class Rows {
  readonly dictionaries: Dictionaries
  count = 0
  /** Dictionaries of which an entry was too long (`Block.untold`). */
  flags = 0
  /** By `Block.COLUMN`; `start` as an offset in the segment, `upTo` as it is. */
  readonly columns: Array<Float64Array<ArrayBuffer>>
  private readonly lines = new SliceLines()
  private readonly parts = new LineParts()
  /** What the line before has as its sender, and the number of its source. */
  private sender: Bytes | undefined
  private source = 0

  constructor(dictionaries: Dictionaries) {
    this.dictionaries = dictionaries
    this.columns = Array.from({ length: 12 }, () => new Float64Array(FIRST_CAPACITY))
  }

  /** Begins the rows of another segment, whose dictionaries have so many entries already. */
  begin(sizes: ReadonlyArray<number>): void {
    this.clear()
    this.columns[Block.COLUMN.dead]!.fill(0)
    this.sender = undefined
    this.dictionaries.begin(sizes)
  }

  /** Takes back that rows are dead. */
  revive(): void {
    this.columns[Block.COLUMN.dead]!.fill(0, 0, this.count)
  }

  clear(): void {
    this.count = 0
    this.flags = 0
  }

  private put(
    reason: number,
    source: number,
    object: number,
    namespace: number,
    context: number,
    name: number,
    last: number,
    origin: number,
    seq: number,
    upTo: number,
    start: number
  ): void {
    const row = this.count
    if (row === this.columns[0]!.length) this.columns.forEach((list, index) => (this.columns[index] = grown(list)))
    const { columns } = this
    columns[Block.COLUMN.reason]![row] = reason
    columns[Block.COLUMN.source]![row] = source
    columns[Block.COLUMN.object]![row] = object
    columns[Block.COLUMN.namespace]![row] = namespace
    columns[Block.COLUMN.context]![row] = context
    columns[Block.COLUMN.name]![row] = name
    columns[Block.COLUMN.last]![row] = last
    columns[Block.COLUMN.origin]![row] = origin
    columns[Block.COLUMN.seq]![row] = seq
    columns[Block.COLUMN.upTo]![row] = upTo
    columns[Block.COLUMN.start]![row] = start
    this.count = row + 1
    if (reason === 0) this.flags |= Block.untold(Block.DICTIONARY.reason)
    if (source === 0) this.flags |= Block.untold(Block.DICTIONARY.source)
    if (object === 0) this.flags |= Block.untold(Block.DICTIONARY.object)
    if (namespace === 0) this.flags |= Block.untold(Block.DICTIONARY.namespace)
    if (context === 0) this.flags |= Block.untold(Block.DICTIONARY.context)
  }

  /** Adds the row of a line. */
  readonly add = (record: LogRecord): void => {
    const { match, text } = record
    // Labels and clusters are rare, and their text may be that of something else.
    if (match === undefined || text.includes('"labels":') || text.includes('"cluster":')) return this.addEvent(record)
    const { dictionaries } = this
    const { all } = dictionaries
    const originText = match[GROUP.origin]!
    const object = match[GROUP.object]!
    const { seq } = record
    const origin = all[Block.DICTIONARY.origin]!.ofLatin1(originText)
    const objectNumber = all[Block.DICTIONARY.object]!.ofText(object)
    const facts =
      dictionaries.factsOf(objectNumber) ?? dictionaries.learn(objectNumber, JSON.parse(object) as ObjectReference)
    const raw = match[GROUP.name]!
    const name = raw.includes("\\") ? (JSON.parse(raw) as string) : raw.slice(1, -1)
    const implied = dictionaries.isImplied(name, facts, origin, originText, seq)
    const namespace = match[GROUP.namespace]
    const own = namespace === undefined || namespace === '""' || namespace === facts.namespace ? "" : namespace
    this.put(
      all[Block.DICTIONARY.reason]!.ofText(`${match[GROUP.type]},"reason":${match[GROUP.reason]}`),
      all[Block.DICTIONARY.source]!.ofText(match[GROUP.source]!),
      objectNumber,
      all[Block.DICTIONARY.namespace]!.ofText(own),
      all[Block.DICTIONARY.context]!.ofText(NO_CONTEXT),
      implied ? 0 : hashOfName(name),
      record.last,
      origin,
      seq,
      record.upTo,
      record.start
    )
  }

  /**
   * Adds the rows of the lines at the start of a buffer that was read at `position`; `damaged` is called with the number of lost
   * bytes of each damaged line. `isStrict` does without the faster way.
   *
   * `before` and `after` are the checksums of what the segment has before and with these lines, or of any part of that.
   */
  addLines(
    buffer: Buffer,
    length: number,
    position: number,
    format: Format,
    isStrict: boolean,
    damaged: (bytes: number) => void,
    before = 0,
    after = crc32(buffer.subarray(0, length))
  ): void {
    const isQuick = format === "checked" && !isStrict
    const { lines } = this
    const bytes = bytesOf(buffer)
    const areIntact = lines.find(bytes, length, before, after, length < SHORTEST_SLICE)
    let start = 0
    for (let index = 0; index < lines.count; index++) {
      const end = lines.ends[index]!
      const next = Math.min(end + 1, length)
      const isRight = isQuick && (areIntact || isWritten(bytes, start, end) || isIntact(buffer, start, end))
      if (!isRight || !this.addLine(bytes, start, end, position)) {
        const lost = readLine(buffer, start, end, position, position + next, format, this.add)
        if (lost > 0) damaged(lost)
      }
      start = next
    }
  }

  /**
   * Adds the row of a line with a valid checksum, by looking for the parts that the encoder writes. False where it is spelled in
   * another way, or has rare fields; then nothing was added.
   */
  private addLine(bytes: Bytes, start: number, end: number, position: number): boolean {
    const { dictionaries, parts } = this
    if (!parts.find(bytes, start, end)) return false
    const { all } = dictionaries
    const { buffer } = bytes
    const { namespace, namespaceEnd } = parts
    const object = all[Block.DICTIONARY.object]!.at(bytes, parts.object, parts.objectEnd)
    if (dictionaries.stemOf(object) === 0 && !this.knowsObject(bytes, object)) return false
    const origin = all[Block.DICTIONARY.origin]!.at(bytes, parts.origin, parts.originEnd)
    const isImplied = this.isImpliedIn(bytes, object, origin)
    const isOwn = this.isOwnNamespace(bytes, object)
    this.put(
      all[Block.DICTIONARY.reason]!.at(bytes, parts.reason, parts.reasonEnd),
      this.sourceIn(bytes),
      object,
      all[Block.DICTIONARY.namespace]!.ofText(isOwn ? buffer.toString("utf8", namespace, namespaceEnd) : ""),
      all[Block.DICTIONARY.context]!.ofText(NO_CONTEXT),
      isImplied ? 0 : hashOfName(buffer.toString("utf8", parts.name, parts.nameEnd)),
      parts.last,
      origin,
      parts.seq,
      parts.upTo,
      position + start
    )
    return true
  }

  /** The number of the source. */
  private sourceIn(bytes: Bytes): number {
    const { dictionaries, parts } = this
    if (parts.sender !== this.sender) {
      this.sender = parts.sender
      this.source = dictionaries.all[Block.DICTIONARY.source]!.at(bytes, parts.source, parts.sourceEnd)
    }
    return this.source
  }

  /** Whether it is known what follows from the object of the line; not where it is none. */
  private knowsObject({ buffer }: Bytes, number: number): boolean {
    const { dictionaries, parts } = this
    if (number !== 0 && dictionaries.factsOf(number) !== undefined) return true
    try {
      dictionaries.learnFrom(buffer.subarray(parts.object, parts.objectEnd), number)
      return true
    } catch {
      // Another program wrote the line.
      return false
    }
  }

  /** Whether the name in the line is the one that follows from object and identity. */
  private isImpliedIn(bytes: Bytes, object: number, origin: number): boolean {
    const { dictionaries, parts } = this
    const place = dictionaries.stemOf(object)
    if (place !== 0) {
      const length = place % PLACE
      const at = parts.object + (place - length) / PLACE
      return isSame(bytes, at, bytes, parts.name, length) && dictionaries.isImpliedAfter(bytes, parts, length, origin)
    }
    const { buffer } = bytes
    const facts = this.factsIn(buffer, object)
    const name = buffer.toString("utf8", parts.name, parts.nameEnd)
    return dictionaries.isImplied(
      name,
      facts,
      origin,
      buffer.toString("latin1", parts.origin, parts.originEnd),
      parts.seq
    )
  }

  /** Whether the line names a namespace, and not the one that follows from the object. */
  private isOwnNamespace(bytes: Bytes, object: number): boolean {
    const { namespace, namespaceEnd, object: objectAt } = this.parts
    const length = namespaceEnd - namespace
    // Two quotes are none.
    if (length <= 2) return false
    const place = this.dictionaries.namespaceOf(object)
    if (place !== 0) {
      if (place % PLACE === length && isSame(bytes, objectAt + (place - length) / PLACE, bytes, namespace, length))
        return false
    }
    const { buffer } = bytes
    return buffer.toString("utf8", namespace, namespaceEnd) !== this.factsIn(buffer, object).namespace
  }

  private factsIn(buffer: Buffer, object: number): ObjectFacts {
    const { dictionaries, parts } = this
    return (
      dictionaries.factsOf(object) ??
      dictionaries.learn(object, JSON.parse(buffer.toString("utf8", parts.object, parts.objectEnd)) as ObjectReference)
    )
  }

  private addEvent(record: LogRecord): void {
    const { event } = record
    const { involvedObject, reason, source, type } = event.event
    const { origin: originText, seq } = event.id
    const { dictionaries } = this
    const { all } = dictionaries
    const origin = all[Block.DICTIONARY.origin]!.ofLatin1(originText)
    const objectNumber = all[Block.DICTIONARY.object]!.ofText(JSON.stringify(involvedObject))
    const facts = dictionaries.factsOf(objectNumber) ?? dictionaries.learn(objectNumber, involvedObject)
    const namespace = JSON.stringify(event.namespace ?? "")
    const own = namespace === '""' || namespace === facts.namespace ? "" : namespace
    const implied = event.name === EventId.objectName(event.id, involvedObject.name)
    this.put(
      all[Block.DICTIONARY.reason]!.ofText(`${JSON.stringify(type)},"reason":${JSON.stringify(reason)}`),
      all[Block.DICTIONARY.source]!.ofText(JSON.stringify(source)),
      objectNumber,
      all[Block.DICTIONARY.namespace]!.ofText(own),
      all[Block.DICTIONARY.context]!.ofText(contextOf(event)),
      implied ? 0 : hashOfName(event.name),
      event.last,
      origin,
      seq,
      event.upTo,
      record.start
    )
  }
}
