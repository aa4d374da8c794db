import { type Bytes, bytesOf } from "../bytes.ts"

/** Memory for more than this is taken in multiples of it. */
const STEP = 524_288

/**
 * Bytes of a segment that lines are read from.
 *
 * @internal
 */
export class LineBytes {
  bytes: Bytes
  /** The index of the segment. */
  owner: object | undefined
  /** Offset in the segment of the first byte of the memory, and which bytes of the segment are there. */
  base = 0
  from = 0
  to = 0
  /** Which of them are those that were indexed. */
  intactFrom = 0
  intactTo = 0

  constructor(buffer: Buffer) {
    this.bytes = bytesOf(buffer)
  }

  /** Whether all between two offsets are those that were indexed. */
  isIntact(start: number, before: number): boolean {
    return start >= this.intactFrom && before <= this.intactTo
  }

  /** Keeps for the next reader of a segment what cannot have changed since. */
  lend(owner: object): void {
    if (this.owner !== owner) this.intactTo = this.intactFrom
    this.owner = owner
    this.from = this.intactFrom
    this.to = this.intactTo
  }

  reserve(length: number, atLeast: number): void {
    if (this.bytes.buffer.length >= length) return
    const size = length >= STEP ? Math.ceil(length / STEP) * STEP : Math.max(atLeast, 2 * length)
    this.bytes = bytesOf(Buffer.allocUnsafeSlow(size))
  }
}
