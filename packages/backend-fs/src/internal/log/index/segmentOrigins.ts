import { hashOf } from "../hash.ts"
import * as Block from "./block.ts"
import { bytesOf } from "../bytes.ts"
import type { IndexReader, Scratch } from "./segmentIndex.ts"

/** With more origins there is no table of all of them in a block. */
const MOST_LISTED = 4_096

const FIRST_CAPACITY = 64

/** No block has the origin yet. */
const NONE = 0xffffffff

/** How an origin is kept: as it is, or as the 16 bytes that its hexadecimal digits mean. */
const KIND = { text: 0, digits: 1, uuid: 2 } as const

const PACKED = 17
const DASHES: ReadonlySet<number> = new Set([8, 13, 18, 23])
const DASH = 0x2d

let packed = bytesOf(Buffer.alloc(256))

const digitOf = (code: number): number =>
  code >= 0x30 && code <= 0x39 ? code - 0x30 : code >= 0x61 && code <= 0x66 ? code - 0x57 : -1

/** Reads 32 lower-case hexadecimal digits, with the dashes of a UUID where there are any; false where it is something else. */
const packDigits = (origin: string, isUuid: boolean): boolean => {
  const { buffer } = packed
  let at = 1
  let high = -1
  for (let index = 0; index < origin.length; index++) {
    const code = origin.charCodeAt(index)
    if (isUuid && DASHES.has(index)) {
      if (code !== DASH) return false
      continue
    }
    const digit = digitOf(code)
    if (digit === -1) return false
    if (high === -1) high = digit
    else {
      buffer[at++] = (high << 4) | digit
      high = -1
    }
  }
  buffer[0] = isUuid ? KIND.uuid : KIND.digits
  return at === PACKED
}

/** Puts an origin into `packed`, and answers its length. */
const pack = (origin: string): number => {
  const { length } = origin
  if (length === 32 && packDigits(origin, false)) return PACKED
  if (length === 36 && packDigits(origin, true)) return PACKED
  if (length >= packed.buffer.length) packed = bytesOf(Buffer.alloc(2 * length))
  packed.buffer[0] = KIND.text
  packed.buffer.write(origin, 1, "latin1")
  return length + 1
}

const unpack = (bytes: Buffer, from: number, to: number): string => {
  const kind = bytes[from]
  if (kind === KIND.text) return bytes.toString("latin1", from + 1, to)
  const digits = bytes.toString("hex", from + 1, to)
  return kind === KIND.digits
    ? digits
    : `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`
}

const larger = <A extends Uint32Array | Int32Array | Float64Array>(array: A, into: A): A => {
  into.set(array)
  return into
}

/** What a block in memory added, which is taken back when it is replaced by blocks of the side file. */
interface Added {
  readonly block: Block.Block
  readonly count: number
  readonly changed: Array<readonly [number: number, least: number, greatest: number, first: number, last: number]>
}

/**
 * The origins of a segment: the number of each, from 1, its range of seqs, and which blocks have it.
 *
 * An event that was copied from elsewhere is an origin of its own, with 0 as its seq, so there may be as many as lines: then one costs
 * about 50 bytes.
 *
 * @internal
 */
export class SegmentOrigins {
  /** Number of origins. */
  size = 0
  /** Number of blocks of the side file that are taken in. */
  depth = 0
  private bytes = bytesOf(Buffer.allocUnsafeSlow(PACKED * FIRST_CAPACITY))
  /** Where each ends in the bytes. */
  private ends = new Uint32Array(FIRST_CAPACITY)
  /** Number and hash of each by its hash, with open addressing; a number of 0 is no entry. */
  private table = new Int32Array(2 * 2 * FIRST_CAPACITY)
  /** Absent while all seqs are 0. */
  private seqs: { least: Float64Array; greatest: Float64Array } | undefined
  /** The first and the last block that has it. */
  private firsts = new Uint32Array(FIRST_CAPACITY)
  private lasts = new Uint32Array(FIRST_CAPACITY)
  private tail: Added | undefined

  /** Reads what the first `depth` blocks have. */
  static read(reader: IndexReader, depth: number, scratch: Scratch): SegmentOrigins {
    const origins = new SegmentOrigins()
    for (let one = depth - 1; one >= 0; one--) {
      const table = reader.originsOf(reader.block(one), scratch)
      if (table === undefined || table.hashes.length > 0) continue
      for (let index = 0; index < table.texts.length; index++) {
        origins.add(table.texts[index]!, index + 1)
        origins.extend(index + 1, table.least[index]!, table.greatest[index]!, 0)
        origins.lasts[index + 1] = one
      }
      origins.depth = one + 1
      break
    }
    origins.bring(reader, depth, undefined, scratch)
    return origins
  }

  /** Takes in the first `depth` blocks, and what is in memory after them. False where it has taken in others. */
  bring(reader: IndexReader, depth: number, tail: Block.Block | undefined, scratch: Scratch): boolean {
    if (this.depth > depth) return false
    if (this.depth === depth && this.tail?.block === tail) return true
    this.takeBack()
    for (; this.depth < depth; this.depth++) this.extendBy(reader, reader.block(this.depth), this.depth, scratch)
    if (tail === undefined) return true
    this.tail = { block: tail, count: this.size, changed: [] }
    this.extendBy(reader, tail, depth, scratch)
    return true
  }

  /** Adds what one more block has. */
  private extendBy(reader: IndexReader, block: Block.Block, depth: number, scratch: Scratch): void {
    if (block.dictionarySize(Block.DICTIONARY.origin) > this.size) {
      const words = reader.group(block, Block.GROUP.dictionaries, scratch)
      Block.visitEntries(words, block, 1 << Block.DICTIONARY.origin, (_, id, start, end) => {
        if (id > this.size) this.add(words.bytes.toString("latin1", start, end), id)
      })
    }
    const { greatest, least, origin } = reader.rangesOf(block, scratch)
    for (let index = 0; index < origin.length; index++) {
      this.extend(origin[index]!, least[index]!, greatest[index]!, depth)
    }
  }

  private takeBack(): void {
    const { tail } = this
    if (tail === undefined) return
    this.tail = undefined
    for (const [number, least, greatest, first, last] of tail.changed.toReversed()) {
      this.firsts[number] = first
      this.lasts[number] = last
      if (this.seqs !== undefined) {
        this.seqs.least[number] = least
        this.seqs.greatest[number] = greatest
      }
    }
    // The last one that was entered is at the end of its run, so that taking it out hides no other.
    for (; this.size > tail.count; this.size--) {
      const slot = this.slotOf(this.hashOfNumber(this.size), (number) => number === this.size)
      this.table[slot] = 0
    }
  }

  add(origin: string, number: number): void {
    const length = pack(origin)
    if (number >= this.ends.length) this.grow(number)
    if (4 * (this.size + 1) > this.table.length) this.growTable()
    const from = this.ends[number - 1]!
    const to = from + length
    if (to > this.bytes.buffer.length) {
      const buffer = Buffer.allocUnsafeSlow(2 * to)
      this.bytes.buffer.copy(buffer, 0, 0, from)
      this.bytes = bytesOf(buffer)
    }
    packed.buffer.copy(this.bytes.buffer, from, 0, length)
    this.ends[number] = to
    this.size = number
    this.firsts[number] = NONE
    this.lasts[number] = 0
    if (this.seqs !== undefined) this.forgetSeqs(this.seqs, number)
    const hash = hashOf(packed.view, 0, length)
    const slot = this.slotOf(hash, () => false)
    this.table[slot] = number
    this.table[slot + 1] = hash
  }

  private forgetSeqs({ greatest, least }: { least: Float64Array; greatest: Float64Array }, number: number): void {
    least[number] = Number.POSITIVE_INFINITY
    greatest[number] = Number.NEGATIVE_INFINITY
  }

  private hashOfNumber(number: number): number {
    return hashOf(this.bytes.view, this.ends[number - 1]!, this.ends[number]!)
  }

  /** The place of one with this hash, or an empty one. */
  private slotOf(hash: number, isIt: (number: number) => boolean): number {
    const { table } = this
    const mask = table.length - 1
    let slot = (2 * hash) & mask
    while (table[slot] !== 0 && !(table[slot + 1] === hash && isIt(table[slot]!))) slot = (slot + 2) & mask
    return slot
  }

  private growTable(): void {
    const { table } = this
    this.table = new Int32Array(2 * table.length)
    // In the order in which they came, so that the last one stays at the end of its run.
    for (let number = 1; number <= this.size; number++) {
      const hash = this.hashOfNumber(number)
      const slot = this.slotOf(hash, () => false)
      this.table[slot] = number
      this.table[slot + 1] = hash
    }
  }

  private grow(number: number): void {
    const capacity = Math.max(2 * this.ends.length, number + 1)
    this.ends = larger(this.ends, new Uint32Array(capacity))
    this.firsts = larger(this.firsts, new Uint32Array(capacity))
    this.lasts = larger(this.lasts, new Uint32Array(capacity))
    if (this.seqs !== undefined) {
      const { greatest, least } = this.seqs
      this.seqs = {
        least: larger(least, new Float64Array(capacity)),
        greatest: larger(greatest, new Float64Array(capacity))
      }
    }
  }

  /** Notes that a block has some seqs of an origin. */
  extend(number: number, least: number, greatest: number, depth: number): void {
    if (number === 0 || number > this.size) return
    const { tail } = this
    if (tail !== undefined && number <= tail.count) {
      const before = [this.leastOf(number), this.greatestOf(number), this.firsts[number]!, this.lasts[number]!] as const
      tail.changed.push([number, ...before])
    }
    if (this.seqs === undefined && (least !== 0 || greatest !== 0)) this.noteSeqs()
    if (this.seqs !== undefined) {
      if (least < this.seqs.least[number]!) this.seqs.least[number] = least
      if (greatest > this.seqs.greatest[number]!) this.seqs.greatest[number] = greatest
    }
    if (this.firsts[number] === NONE) this.firsts[number] = depth
    this.lasts[number] = depth
  }

  private noteSeqs(): void {
    const seqs = { least: new Float64Array(this.ends.length), greatest: new Float64Array(this.ends.length) }
    this.seqs = seqs
    for (let number = 1; number <= this.size; number++) {
      if (this.firsts[number] === NONE) this.forgetSeqs(seqs, number)
    }
  }

  /** The number of an origin; 0 where there is none of it. */
  numberOf(origin: string): number {
    const length = pack(origin)
    const { buffer } = this.bytes
    const slot = this.slotOf(
      hashOf(packed.view, 0, length),
      (number) =>
        length === this.ends[number]! - this.ends[number - 1]! &&
        packed.buffer.compare(buffer, this.ends[number - 1], this.ends[number], 0, length) === 0
    )
    return this.table[slot]!
  }

  textOf(number: number): string {
    return unpack(this.bytes.buffer, this.ends[number - 1]!, this.ends[number]!)
  }

  /** The smallest seq of an origin; infinite where it is in no block yet. */
  leastOf(number: number): number {
    if (this.seqs !== undefined) return this.seqs.least[number]!
    return this.firsts[number] === NONE ? Number.POSITIVE_INFINITY : 0
  }

  greatestOf(number: number): number {
    if (this.seqs !== undefined) return this.seqs.greatest[number]!
    return this.firsts[number] === NONE ? Number.NEGATIVE_INFINITY : 0
  }

  /** Whether an origin may have seqs in a range. */
  mayHave(number: number, least: number, greatest: number): boolean {
    return this.leastOf(number) <= greatest && this.greatestOf(number) >= least
  }

  /** Numbers of the first and the last block that may have an origin; that in memory comes after those of the side file. */
  blocksOf(number: number): readonly [first: number, last: number] {
    const first = this.firsts[number]!
    return first === NONE ? [0, -1] : [first, this.lasts[number]!]
  }

  /** The table of all, for a block; undefined where there are many. */
  listed(): Block.OriginTable | undefined {
    const { size } = this
    if (size > MOST_LISTED || this.firsts.subarray(1, size + 1).includes(NONE)) return undefined
    const numbers = Array.from({ length: size }, (_, index) => index + 1)
    return {
      texts: numbers.map((number) => this.textOf(number)),
      least: Float64Array.from(numbers, (number) => this.leastOf(number)),
      greatest: Float64Array.from(numbers, (number) => this.greatestOf(number)),
      hashes: new Uint32Array()
    }
  }
}
