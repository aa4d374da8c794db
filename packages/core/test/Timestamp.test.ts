import * as Timestamp from "@tidings/core/Timestamp"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { integer, micros, oneOf } from "./support/arbitraries.ts"

const fixed = { arbitrary: { runs: 500, size: 1_000 } }

describe("format and parse", () => {
  it.prop(
    "round-trip every time, with a fixed width and in the order of time",
    { a: micros, b: micros },
    ({ a, b }) => {
      const [left, right] = [Timestamp.format(a), Timestamp.format(b)]
      assert.match(left, /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$/)
      assert.strictEqual(Timestamp.parse(left), a)
      assert.strictEqual(left < right, a < b)
      assert.strictEqual(Timestamp.formatSeconds(a), `${left.slice(0, 19)}Z`)
    },
    fixed
  )

  it.prop(
    "agree with Date to the millisecond",
    { a: micros },
    ({ a }) => {
      assert.strictEqual(`${Timestamp.format(a).slice(0, 23)}Z`, new Date(Math.floor(a / 1_000)).toISOString())
      assert.strictEqual(Timestamp.toDate(a).getTime(), Math.floor(a / 1_000))
      assert.strictEqual(DateTime.toEpochMillis(Timestamp.toDateTime(a)), Math.floor(a / 1_000))
    },
    fixed
  )

  it.each([
    ["1970-01-01T00:00:00Z", 0],
    ["1970-01-01T00:00:00.000001Z", 1],
    ["1970-01-01T00:00:00.1Z", 100_000],
    ["1970-01-01T00:00:00.123456789Z", 123_456],
    ["1970-01-01T00:00:00.9999999999999999999999Z", 999_999],
    ["1970-01-01t00:00:00z", 0],
    ["1970-01-01 00:00:00Z", 0],
    ["1970-01-01T02:00:00+02:00", 0],
    ["1969-12-31T22:30:00-01:30", 0],
    ["1970-01-01T00:00:00-00:00", 0],
    ["1969-12-31T23:59:59.999999Z", -1],
    ["2024-02-29T00:00:00Z", 1_709_164_800_000_000],
    ["0000-01-01T00:00:00Z", -62_167_219_200_000_000]
  ])("%s is read", (text, expected) => {
    assert.strictEqual(Timestamp.parse(text), expected)
    assert.strictEqual(Timestamp.fromInput(text), expected)
  })

  it("support the last second of the year 9999 with the same width", () => {
    const last = Timestamp.parse("9999-12-31T23:59:59.999999Z")!
    assert.match(Timestamp.format(last), /^9999-12-31T23:59:59\.9999\d\dZ$/)
  })

  it.each([
    "",
    "now",
    "2024",
    "2024-01-01",
    "2024-01-01T00:00:00",
    "2024-01-01T00:00Z",
    "2023-02-29T00:00:00Z",
    "2024-02-30T00:00:00Z",
    "2024-13-01T00:00:00Z",
    "2024-00-01T00:00:00Z",
    "2024-01-01T24:00:00Z",
    "2024-01-01T23:60:00Z",
    "2024-01-01T23:59:60Z",
    "2024-01-01T00:00:00.Z",
    "2024-01-01T00:00:00+24:00",
    "2024-01-01T00:00:00+0100",
    " 2024-01-01T00:00:00Z",
    "2024-01-01T00:00:00Z\n",
    "+002024-01-01T00:00:00Z",
    "0000-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "1700000000"
  ])("%j is none", (text) => assert.strictEqual(Timestamp.parse(text), undefined))
})

describe("fromInput", () => {
  it.prop(
    "reads Date and DateTime",
    { millis: oneOf(integer(-62_167_219_200_000, 253_402_300_799_000), integer(0, 2_000_000_000_000)) },
    ({ millis }) => {
      const expected = millis * 1_000
      assert.strictEqual(Timestamp.fromInput(new Date(millis)), expected)
      assert.strictEqual(Timestamp.fromInput(DateTime.makeUnsafe(millis)), expected)
      assert.strictEqual(Timestamp.fromInput(DateTime.makeZonedUnsafe(millis, { timeZone: "Europe/Berlin" })), expected)
    },
    fixed
  )

  it("refuses every other value, also of other types", () => {
    for (const value of [
      5,
      1_700_000_000_000,
      0,
      Number.NaN,
      {},
      [],
      [2024],
      true,
      false,
      null,
      undefined,
      5n,
      Symbol("t"),
      () => 1,
      { epochMilliseconds: 5 },
      new Date(Number.NaN),
      new Date(8.64e15),
      new Date(-8.64e15)
    ]) {
      assert.strictEqual(Timestamp.fromInput(value as Timestamp.Input), undefined)
    }
  })

  it.prop(
    "returns only times that can be formatted",
    { millis: integer(-8_640_000_000_000_000, 8_640_000_000_000_000) },
    ({ millis }) => {
      const read = Timestamp.fromInput(new Date(millis))
      if (read !== undefined) assert.strictEqual(Timestamp.format(read).length, 27)
    },
    fixed
  )
})

describe("isMicros", () => {
  it("accepts whole numbers in the years 0 to 9999, and nothing else", () => {
    for (const value of [0, -1, 1.7e15, -62_167_219_200_000_000])
      assert.isTrue(Timestamp.isMicros(value), String(value))
    for (const value of [
      0.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      -62_167_219_200_000_008,
      253_402_300_800_000_000,
      "0",
      0n,
      null
    ]) {
      assert.isFalse(Timestamp.isMicros(value), String(value))
    }
  })
})

describe("now", () => {
  it.effect.prop(
    "is exact to the microsecond for every millisecond of the clock",
    { millis: integer(1_600_000_000_000, 2_000_000_000_000) },
    Effect.fnUntraced(function* ({ millis }) {
      yield* TestClock.setTime(millis)
      assert.strictEqual(Timestamp.now(yield* Clock.Clock), millis * 1_000)
    }),
    { arbitrary: { runs: 200, size: 1_000 } }
  )
})
