import * as ControlCharacters from "@tidings/core/ControlCharacters"

const DIGITS = Buffer.from("0123456789abcdefghijklmnopqrstuvwxyz")
/** The greatest number whose digits are found by division of 32-bit integers. */
const MOST_BY_DIVISION = 0x7fffffff

/** Bytes for each UTF-16 code unit in JSON at most: those of an escaped control character. */
const MOST_OF_A_UNIT = 6

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Whether a byte stands for itself in JSON, and is no control character. */
const isPlainByte = (byte: number): boolean => byte >= 0x20 && byte < 0x7f && byte !== QUOTE && byte !== BACKSLASH

/**
 * Writes the parts of a line into a buffer, one after the other. What has no bounded length comes after `hasRoomFor`, because
 * `Buffer.write` cuts what does not fit.
 *
 * @internal
 */
export class LineBuffer {
  buffer: Buffer = Buffer.alloc(0)
  private view: DataView = new DataView(new ArrayBuffer(0))
  /** Where the next part begins. */
  at = 0

  /** Begins a line at an offset of a buffer. */
  begin(buffer: Buffer, offset: number): void {
    if (buffer !== this.buffer) {
      this.buffer = buffer
      this.view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
    }
    this.at = offset
  }

  /** Whether a text of this many UTF-16 code units, and as many other bytes, fit in any case. */
  hasRoomFor(units: number, others: number): boolean {
    return this.at + MOST_OF_A_UNIT * units + others <= this.buffer.length
  }

  put(bytes: Uint8Array): void {
    this.buffer.set(bytes, this.at)
    this.at += bytes.length
  }

  putByte(byte: number): void {
    this.buffer[this.at++] = byte
  }

  /**
   * Writes a text as JSON, without its quotes. A usual text is written as it is: to look at its bytes afterwards, four at a time, costs a
   * fraction of what `JSON.stringify` does.
   */
  putText(text: string): void {
    const { at, buffer } = this
    const written = buffer.write(text, at)
    // Only ASCII has as many bytes as code units.
    if (written === text.length && this.isPlain(at, at + written)) this.at = at + written
    else this.at = at + buffer.write(ControlCharacters.escapeExceptLineFeeds(JSON.stringify(text).slice(1, -1)), at)
  }

  /** Writes JSON with the control characters escaped that `JSON.stringify` leaves as they are. */
  putJson(json: string): void {
    this.at += this.buffer.write(ControlCharacters.escapeExceptLineFeeds(json), this.at)
  }

  private isPlain(start: number, end: number): boolean {
    const { buffer, view } = this
    let at = start
    for (; at + 4 <= end; at += 4) {
      const four = view.getInt32(at, true)
      // The highest bit of a byte is set by a difference below zero: of what is below a space, and of what is a quote, a backslash or DEL.
      const unusual =
        four |
        (four - 0x20202020) |
        ((four ^ 0x22222222) - 0x01010101) |
        ((four ^ 0x5c5c5c5c) - 0x01010101) |
        ((four ^ 0x7f7f7f7f) - 0x01010101)
      if ((unusual & 0x80808080) !== 0) return false
    }
    for (; at < end; at++) if (!isPlainByte(buffer[at]!)) return false
    return true
  }

  /** Sets the six digits of a fraction of a second. */
  setFraction(offset: number, micros: number): void {
    const { buffer } = this
    let rest = micros
    for (let at = offset + 5; at >= offset; at--) {
      const higher = (rest / 10) | 0
      buffer[at] = 0x30 + rest - 10 * higher
      rest = higher
    }
  }

  /** Writes a whole number that is not negative. */
  putNumber(value: number, radix: number): void {
    const { buffer } = this
    if (value > MOST_BY_DIVISION) {
      const digits = value.toString(radix)
      for (let index = 0; index < digits.length; index++) buffer[this.at++] = digits.charCodeAt(index)
      return
    }
    let length = 1
    for (let rest = value; rest >= radix; rest = (rest / radix) | 0) length++
    let at = this.at + length
    this.at = at
    let rest = value
    do {
      const higher = (rest / radix) | 0
      buffer[--at] = DIGITS[rest - radix * higher]!
      rest = higher
    } while (rest > 0)
  }
}
