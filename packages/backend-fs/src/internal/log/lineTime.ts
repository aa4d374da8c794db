import * as Timestamp from "@tidings/core/Timestamp"
import { type Bytes, bytesOf, isSame } from "./bytes.ts"

const MINUTE = "2026-11-24T06:21:".length

/**
 * Length of a time in a line.
 *
 * @internal
 */
export const TIME_LENGTH = "2026-11-24T06:21:34.667686Z".length

const NINE = 0x39
const DIGIT = 0x30
const POINT = 0x2e
const ZULU = 0x5a

/** The number of so many digits; not a number where there is something else. */
const digitsIn = (buffer: Buffer, at: number, count: number): number => {
  let value = 0
  for (let index = at; index < at + count; index++) {
    const digit = buffer[index]! - DIGIT
    if (!(digit >= 0 && digit <= 9)) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

/**
 * Reads times as lines have them. The minute of the time before is kept, because most lines have the same.
 *
 * @internal
 */
export class LineTime {
  private readonly minuteBytes = bytesOf(Buffer.alloc(MINUTE))
  private minute = Number.NaN

  /** The time at a place, in microseconds since 1970; not a number where there is something else, or the year 9999, when time ends. */
  at(bytes: Bytes, at: number): Timestamp.Micros {
    const { buffer } = bytes
    if (!isSame(this.minuteBytes, 0, bytes, at, MINUTE)) this.learn(buffer, at)
    const seconds = digitsIn(buffer, at + MINUTE, 2)
    const micros = digitsIn(buffer, at + MINUTE + 3, 6)
    if (buffer[at + MINUTE + 2] !== POINT || buffer[at + MINUTE + 9] !== ZULU || !(seconds < 60)) return Number.NaN
    return this.minute + seconds * 1_000_000 + micros
  }

  private learn(buffer: Buffer, at: number): void {
    buffer.copy(this.minuteBytes.buffer, 0, at, at + MINUTE)
    const isLast = [0, 1, 2, 3].every((digit) => buffer[at + digit] === NINE)
    const minute = Timestamp.parse(`${buffer.toString("latin1", at, at + MINUTE)}00Z`)
    this.minute = isLast || minute === undefined ? Number.NaN : minute
  }
}
