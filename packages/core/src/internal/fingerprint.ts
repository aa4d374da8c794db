/**
 * 128 bits of a text as 28 digits of base 36, for telling texts apart without keeping them. It is part of what checkpoints
 * hold, so it must not change. It guards against chance, not against an adversary: a caller that reads texts of others
 * begins them with something that these others do not know.
 *
 * @internal
 */
export const fingerprint = (text: string): string => {
  let a = 0x9e3779b9
  let b = 0x243f6a88
  let c = 0xb7e15162
  let d = 0x85ebca6b
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    a = b ^ Math.imul(a ^ unit, 0x23f18c55)
    b = c ^ Math.imul(b ^ unit, 0xa5cb9243)
    c = d ^ Math.imul(c ^ unit, 0x38b34ae5)
    d = a ^ Math.imul(d ^ unit, 0x9e3779b1)
  }
  // The last units must reach every digit.
  for (let round = 0; round < 4; round++) {
    a = b ^ Math.imul(a ^ (a >>> 15), 0x2c1b3c6d)
    b = c ^ Math.imul(b ^ (b >>> 13), 0x297a2d39)
    c = d ^ Math.imul(c ^ (c >>> 16), 0x85ebca6b)
    d = a ^ Math.imul(d ^ (d >>> 14), 0xc2b2ae35)
  }
  return digits(a) + digits(b) + digits(c) + digits(d)
}

const digits = (word: number): string => (word >>> 0).toString(36).padStart(7, "0")
