import { type Bytes, bytesOf, isSame } from "./bytes.ts"
import { quickHashOf } from "./hash.ts"

/** Entries longer than this are not kept: only the line tells. */
const LONGEST_ENTRY = 4_096

/** Entries that are remembered while a segment is indexed; an entry that was forgotten gets another number. */
const MOST_REMEMBERED = 32_768

const FIRST_CAPACITY = 64

/**
 * The numbers of texts that repeat in a segment, from 1 in the order in which they came. A text may have several numbers.
 *
 * @internal
 */
export class Dictionary {
  /** Number of entries so far. */
  size: number
  /** The entries since they were taken last, as Latin-1 texts of their bytes. */
  private fresh: Array<string> = []
  private remembered = 0
  /** The bytes of the entries that are remembered, one after the other. */
  private bytes = bytesOf(Buffer.allocUnsafeSlow(16 * FIRST_CAPACITY))
  private length = 0
  /**
   * The entries that are remembered, by the hash of their bytes, with open addressing: number, hash, start and length of each, side by
   * side, because each place in memory that is far from the others takes longer than the rest. A number of 0 is no entry.
   */
  private table = new Int32Array(4 * 2 * FIRST_CAPACITY)
  /** The last text that was looked up. */
  private lastText = ""
  private lastNumber = 0
  private readonly limit: number
  /** Called when numbers are forgotten. */
  private readonly forgotten: () => void

  constructor(size: number, forgotten: () => void = () => {}, limit: number = MOST_REMEMBERED) {
    this.size = size
    this.forgotten = forgotten
    this.limit = limit
  }

  /** The number of an entry that is a part of some bytes; 0 where it is too long. */
  at(bytes: Bytes, start: number, end: number): number {
    if (end - start > LONGEST_ENTRY) return 0
    const hash = quickHashOf(bytes.view, start, end)
    const known = this.find(hash, bytes, start, end)
    if (known !== 0) return known
    if (this.remembered >= this.limit) this.forget()
    this.size += 1
    this.fresh.push(bytes.buffer.toString("latin1", start, end))
    this.put(hash, bytes, start, end, this.size)
    return this.size
  }

  /** The number of an entry that is given as Latin-1 of its bytes; 0 where it is too long. */
  ofLatin1(text: string): number {
    return this.at(bytesOf(Buffer.from(text, "latin1")), 0, text.length)
  }

  /** The number of an entry that is given as text; 0 where it is too long. */
  ofText(text: string): number {
    if (text !== this.lastText || this.lastNumber === 0) {
      const bytes = Buffer.from(text)
      this.lastNumber = this.at(bytesOf(bytes), 0, bytes.length)
      this.lastText = text
    }
    return this.lastNumber
  }

  /** Remembers the number of an entry that is stored already. */
  remember(text: string, number: number): void {
    if (this.remembered >= this.limit) return
    const bytes = bytesOf(Buffer.from(text, "latin1"))
    const hash = quickHashOf(bytes.view, 0, text.length)
    if (this.find(hash, bytes, 0, text.length) === 0) this.put(hash, bytes, 0, text.length, number)
  }

  /** The entries that came since the last call that took them. */
  entries(isTaken: boolean): ReadonlyArray<string> {
    const { fresh } = this
    if (isTaken) this.fresh = []
    return fresh
  }

  private find(hash: number, bytes: Bytes, start: number, end: number): number {
    const { table } = this
    const mask = table.length - 1
    for (let slot = (4 * hash) & mask; ; slot = (slot + 4) & mask) {
      const number = table[slot]!
      if (
        number === 0 ||
        (table[slot + 1] === hash &&
          table[slot + 3] === end - start &&
          isSame(this.bytes, table[slot + 2]!, bytes, start, end - start))
      ) {
        return number
      }
    }
  }

  private put(hash: number, bytes: Bytes, start: number, end: number, number: number): void {
    if (8 * this.remembered >= this.table.length) this.grow()
    const from = this.length
    const to = from + end - start
    if (to > this.bytes.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(to, 2 * this.bytes.buffer.length))
      this.bytes.buffer.copy(larger, 0, 0, from)
      this.bytes = bytesOf(larger)
    }
    bytes.buffer.copy(this.bytes.buffer, from, start, end)
    this.length = to
    this.remembered += 1
    enter(this.table, number, hash, from, end - start)
  }

  private grow(): void {
    const { table } = this
    const larger = new Int32Array(2 * table.length)
    for (let slot = 0; slot < table.length; slot += 4) {
      if (table[slot] !== 0) enter(larger, table[slot]!, table[slot + 1]!, table[slot + 2]!, table[slot + 3]!)
    }
    this.table = larger
  }

  /** Begins another dictionary, which has so many entries already, in the same memory. */
  begin(size: number): void {
    this.size = size
    this.fresh = []
    this.remembered = 0
    this.length = 0
    this.table.fill(0)
    this.lastNumber = 0
  }

  private forget(): void {
    this.remembered = 0
    this.length = 0
    this.table.fill(0)
    this.lastNumber = 0
    this.forgotten()
  }
}

const enter = (table: Int32Array, number: number, hash: number, start: number, length: number): void => {
  const mask = table.length - 1
  let slot = (4 * hash) & mask
  while (table[slot] !== 0) slot = (slot + 4) & mask
  table[slot] = number
  table[slot + 1] = hash
  table[slot + 2] = start
  table[slot + 3] = length
}
