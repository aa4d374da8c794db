import type { Dice } from "./simulatedWorld.ts"

/** Four 32-bit words of a text (MurmurHash3's mixing), so that neighbouring seeds have nothing in common. */
const hash = (text: string): readonly [number, number, number, number] => {
  let a = 0x9e3779b9
  let b = 0x243f6a88
  let c = 0xb7e15162
  let d = 0xdeadbeef
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    a = b ^ Math.imul(a ^ unit, 597399067)
    b = c ^ Math.imul(b ^ unit, 2869860233)
    c = d ^ Math.imul(c ^ unit, 951274213)
    d = a ^ Math.imul(d ^ unit, 2716044179)
  }
  a = Math.imul(c ^ (a >>> 18), 597399067)
  b = Math.imul(d ^ (b >>> 22), 2869860233)
  c = Math.imul(a ^ (c >>> 17), 951274213)
  d = Math.imul(b ^ (d >>> 19), 2716044179)
  return [a ^ b ^ c ^ d, b ^ a, c ^ a, d ^ a]
}

/**
 * A stream of numbers from a seed: the generator sfc32.
 *
 * @internal
 */
export class SeededDice implements Dice {
  readonly seed: string
  private a: number
  private b: number
  private c: number
  private d: number

  constructor(seed: string) {
    this.seed = seed
    const [a, b, c, d] = hash(seed)
    this.a = a
    this.b = b
    this.c = c
    this.d = d
    for (let warm = 0; warm < 12; warm++) this.bits()
  }

  /** 32 random bits as a whole number. */
  bits(): number {
    const sum = (((this.a + this.b) | 0) + this.d) | 0
    this.d = (this.d + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = (this.c << 21) | (this.c >>> 11)
    this.c = (this.c + sum) | 0
    return sum >>> 0
  }

  next(): number {
    return this.bits() / 0x1_0000_0000
  }

  integer(minimum: number, maximum: number): number {
    return minimum + Math.floor(this.next() * (maximum - minimum + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<A>(from: ReadonlyArray<A>): A {
    if (from.length === 0) throw new RangeError("there is nothing to pick from: the list is empty")
    return from[Math.floor(this.next() * from.length)]!
  }

  fork(name: string): SeededDice {
    return new SeededDice(`${this.seed}/${name}`)
  }
}
