/**
 * A hash of 128 bits, to distinguish texts without keeping them. Checkpoints and clusters contain such hashes, so the
 * algorithm must not change. It is not cryptographic: a caller that hashes texts of others prefixes them with something
 * secret.
 *
 * @internal
 */
const words = (text: string): readonly [number, number, number, number] => {
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
  // Mix, so that the last units affect every digit.
  for (let round = 0; round < 4; round++) {
    a = b ^ Math.imul(a ^ (a >>> 15), 0x2c1b3c6d)
    b = c ^ Math.imul(b ^ (b >>> 13), 0x297a2d39)
    c = d ^ Math.imul(c ^ (c >>> 16), 0x85ebca6b)
    d = a ^ Math.imul(d ^ (d >>> 14), 0xc2b2ae35)
  }
  return [a, b, c, d]
}

/** Filled as they are needed, which few programs do. */
const PAIRS: Array<string | undefined> = Array.from({ length: 36 ** 2 })

const pair = (n: number): string => (PAIRS[n] ??= n.toString(36).padStart(2, "0"))

/** Seven digits of base 36. A checkpoint needs ten thousands of them, and `toString(36)` is slow. */
const base36 = (word: number): string => {
  const all = word >>> 0
  const [last, upper] = [all % 1_296, Math.floor(all / 1_296)]
  const [middle, rest] = [upper % 1_296, Math.floor(upper / 1_296)]
  return `${Math.floor(rest / 1_296)}${pair(rest % 1_296)}${pair(middle)}${pair(last)}`
}

/**
 * As 28 digits of base 36.
 *
 * @internal
 */
export const short = (text: string): string => {
  const [a, b, c, d] = words(text)
  return base36(a) + base36(b) + base36(c) + base36(d)
}

const hexadecimalDigits = (word: number): string => (word >>> 0).toString(16).padStart(8, "0")

/**
 * As 32 hexadecimal digits.
 *
 * @internal
 */
export const hexadecimal = (text: string): string => {
  const [a, b, c, d] = words(text)
  return hexadecimalDigits(a) + hexadecimalDigits(b) + hexadecimalDigits(c) + hexadecimalDigits(d)
}
