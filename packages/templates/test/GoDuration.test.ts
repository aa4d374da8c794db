import { assert, describe, expect, it } from "@effect/vitest"
import { Arbitrary, Result, Schema } from "effect"
import { GoDuration } from "../src/index.ts"
import { fixture } from "./support.ts"

const vectors = fixture("durations.jsonl") as ReadonlyArray<{ readonly ns: string; readonly expected: string }>
const longest = 2n ** 63n - 1n

const parsed = (text: string): number | bigint => Result.getOrThrow(GoDuration.parse(text))

const refused = (text: string): GoDuration.GoDurationError => Result.getOrThrow(Result.flip(GoDuration.parse(text)))

describe("format", () => {
  it("writes durations as Go does", () => {
    assert.isAbove(vectors.length, 200)
    for (const { expected, ns } of vectors) {
      assert.strictEqual(GoDuration.format(BigInt(ns)), expected)
      if (Number.isSafeInteger(Number(ns))) assert.strictEqual(GoDuration.format(Number(ns)), expected)
    }
  })

  it.each([
    [0, "0s"],
    [-0, "0s"],
    [0n, "0s"],
    [999, "999ns"],
    [1_001, "1.001µs"],
    [999_999_999, "999.999999ms"],
    [3_600_000_000_000, "1h0m0s"],
    [Number.MAX_SAFE_INTEGER, "2501h59m59.254740991s"],
    [-longest - 1n, "-2562047h47m16.854775808s"]
  ])("writes %s as %s", (nanoseconds, text) => {
    assert.strictEqual(GoDuration.format(nanoseconds), text)
  })

  it("gives a text for every number", () => {
    assert.strictEqual(GoDuration.format(1.4), "1ns")
    assert.strictEqual(GoDuration.format(1.1 * 1e6), "1.1ms")
    assert.strictEqual(GoDuration.format(Number.NaN), "0s")
    assert.strictEqual(GoDuration.format(Number.POSITIVE_INFINITY), "2562047h47m16.854775807s")
    assert.strictEqual(GoDuration.format(Number.NEGATIVE_INFINITY), "-2562047h47m16.854775808s")
    assert.strictEqual(GoDuration.format(1e300), "2562047h47m16.854775807s")
    assert.strictEqual(GoDuration.format(10n ** 30n), "2562047h47m16.854775807s")
    assert.strictEqual(GoDuration.format(2 ** 60), GoDuration.format(2n ** 60n))
  })
})

describe("parse", () => {
  it("reads every text that Go writes", () => {
    for (const { expected, ns } of vectors) assert.strictEqual(BigInt(parsed(expected)), BigInt(ns))
  })

  it.each([
    ["0", 0],
    ["+0", 0],
    ["-0", 0],
    ["0s", 0],
    ["00001s", 1_000_000_000],
    ["+5s", 5_000_000_000],
    ["-1.5h", -5_400_000_000_000],
    [".5s", 500_000_000],
    ["1.s", 1_000_000_000],
    ["1h15m30.918s", 4_530_918_000_000],
    ["1ns1us1\u00b5s1\u03bcs1ms", 1_003_001],
    ["2s1h1s", 3_603_000_000_000],
    // Finer than a nanosecond: cut off, in Go's own floating-point arithmetic.
    ["1.9ns", 1],
    ["0.3333333333333333333h", 1_200_000_000_000],
    ["0.9223372036854775807m", 55_340_232_221],
    ["0.100000000000000000000h", 360_000_000_000],
    ["0.830103483285477580700h", 2_988_372_539_827],
    ["0.99999999999999999999h", 3_600_000_000_000],
    ["0.000000000277777777h", 999],
    ["0.51863914h", 1_867_100_904_000],
    ["0.03174323499027777777777777h", 114_275_645_964],
    ["0.49827298634000000000000000h", 1_793_782_750_823],
    ["0.506028271m", 30_361_696_260],
    ["12345.6789012345678901234567890us", 12_345_678]
  ])("reads %s", (text, nanoseconds) => {
    assert.strictEqual(parsed(text), nanoseconds)
  })

  it("returns a number up to 2^53 - 1 and a bigint beyond", () => {
    assert.strictEqual(parsed("9007199254740991ns"), Number.MAX_SAFE_INTEGER)
    assert.strictEqual(parsed("9007199254740992ns"), 2n ** 53n)
    assert.strictEqual(parsed("-9007199254740991ns"), Number.MIN_SAFE_INTEGER)
    assert.strictEqual(parsed("-9007199254740992ns"), -(2n ** 53n))
    assert.strictEqual(parsed("9223372036854775807ns"), longest)
    assert.strictEqual(parsed("-9223372036854775808ns"), -longest - 1n)
    assert.strictEqual(parsed("-2562047h47m16.854775808s"), -longest - 1n)
  })

  it.each([
    ["", "Empty", 0],
    ["-", "Empty", 1],
    [".", "Syntax", 0],
    ["-.s", "Syntax", 1],
    ["s", "Syntax", 0],
    ["1sx", "UnknownUnit", 1],
    ["--1s", "Syntax", 1],
    ["1h m", "UnknownUnit", 1],
    ["+-1s", "Syntax", 1],
    [" 1s", "Syntax", 0],
    ["3", "MissingUnit", 1],
    ["1h30", "MissingUnit", 4],
    ["1.5.5s", "MissingUnit", 3],
    ["5 minutes", "UnknownUnit", 1],
    ["1d", "UnknownUnit", 1],
    ["1S", "UnknownUnit", 1],
    ["9223372036854775808ns", "OutOfRange", 0],
    ["-9223372036854775809ns", "OutOfRange", 1],
    ["2562047h47m16.854775808s", "OutOfRange", 0],
    ["3000000h", "OutOfRange", 0],
    ["99999999999999999999ns", "OutOfRange", 0]
  ] as const)("refuses %j", (text, reason, offset) => {
    const error = refused(text)
    assert.strictEqual(error._tag, "GoDurationError")
    assert.deepStrictEqual([error.text, error.reason, error.offset], [text, reason, offset])
  })

  it("reports what is wrong, where, and what is expected", () => {
    assert.strictEqual(
      refused("1h5 minutes").message,
      '"1h5 minutes" is not a duration at column 4: unknown unit: use h, m, s, ms, us or ns (an example: 1h2m3.5s)'
    )
    assert.strictEqual(
      refused("90").message,
      '"90" is not a duration at column 3: a number has no unit: write h, m, s, ms, us or ns after it (an example: 1h2m3.5s)'
    )
    assert.strictEqual(refused("").message, '"" is not a duration: there is no number in it (an example: 1h2m3.5s)')
    assert.include(refused("x").message, "at column 1: expected a number")
    assert.include(refused("3000000h").message, "longer than 64 bits of nanoseconds can say")
    expect(refused("\u001b[31m1s").message).not.toContain("\u001b")
    assert.isBelow(refused("x".repeat(100_000)).message.length, 200)
  })

  it.prop(
    "reverses format for every duration of 64 bits",
    [Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: -longest - 1n, maximum: longest }))],
    ([nanoseconds]) => {
      const text = GoDuration.format(nanoseconds)
      assert.strictEqual(BigInt(parsed(text)), nanoseconds)
      if (Number.isSafeInteger(Number(nanoseconds))) assert.strictEqual(GoDuration.format(Number(nanoseconds)), text)
    },
    { arbitrary: { runs: 2000 } }
  )

  it.prop(
    "reverses format for numbers of every size",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999_999_999 })), Schema.Literals([1, 1e3, 1e6, 9007199])],
    ([value, scale]) => {
      const nanoseconds = value * scale
      assert.strictEqual(parsed(GoDuration.format(nanoseconds)), nanoseconds)
      assert.strictEqual(parsed(GoDuration.format(-nanoseconds)), nanoseconds === 0 ? 0 : -nanoseconds)
    },
    { arbitrary: { runs: 1000 } }
  )

  it.prop(
    "never throws",
    [
      Arbitrary.array(
        Arbitrary.schema(Schema.Literals(["1", "9", ".", "-", "h", "ms", "s", "µs", " ", "e", "é", "0"])),
        { maxLength: 12 }
      )
    ],
    ([parts]) => {
      const text = parts.join("")
      const result = GoDuration.parse(text)
      if (Result.isSuccess(result)) assert.strictEqual(parsed(GoDuration.format(result.success)), result.success)
      else assert.isAtMost(result.failure.offset, text.length)
    },
    { arbitrary: { runs: 2000, size: 12 } }
  )
})

describe("read", () => {
  it("reads what parse reads, and answers undefined for what it refuses", () => {
    for (const { expected } of vectors) assert.strictEqual(GoDuration.read(expected), parsed(expected), expected)
    for (const text of ["", "-", "1", ".", "5 minutes", "1x", "1s ", "9".repeat(30) + "s"]) {
      assert.strictEqual(GoDuration.read(text), undefined, text)
      assert.isString(refused(text).message)
    }
  })
})
