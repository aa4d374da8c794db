import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Duration, Effect, Option, Schema } from "effect"
import { readDuration } from "../src/internal/acceptance.ts"

/** What the library of durations makes of a text. */
const byEffect = (text: string): number | undefined =>
  Duration.fromInput(text as Duration.Input).pipe(
    Option.flatMap(Duration.toNanos),
    Option.map(Number),
    Option.filter((nanoseconds) => Math.abs(nanoseconds) <= 2 ** 63),
    Option.getOrUndefined
  )

const int = (range: { readonly minimum: number; readonly maximum: number }) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween(range)))

const UNITS = ["nano", "micro", "milli", "second", "minute", "hour", "day", "week"].flatMap((unit) => [
  unit,
  `${unit}s`
])

describe("durations in event data", () => {
  it.effect.prop(
    "a number and a unit are read as Effect reads them",
    {
      amount: int({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
      digits: int({ minimum: 1, maximum: 16 }),
      unit: int({ minimum: 0, maximum: UNITS.length - 1 }),
      between: int({ minimum: 0, maximum: 3 })
    },
    ({ amount, between, digits, unit }) =>
      Effect.sync(() => {
        const text = `${String(amount).slice(0, digits)}${[" ", "  ", "\t", ""][between]!}${UNITS[unit]!}`
        assert.strictEqual(readDuration(text), byEffect(text), text)
        assert.strictEqual(readDuration(`-${text}`), byEffect(`-${text}`), `-${text}`)
        assert.strictEqual(readDuration(`${text} `), byEffect(`${text} `))
      }),
    { arbitrary: { runs: 2_000, size: 1_000 } }
  )

  it("texts of Go and of Effect are both read, and others are not", () => {
    assert.strictEqual(readDuration("1m30.5s"), 90_500_000_000)
    assert.strictEqual(readDuration("123 millis"), 123_000_000)
    assert.strictEqual(readDuration("007 seconds"), 7_000_000_000)
    assert.strictEqual(readDuration("1.5 seconds"), 1_500_000_000)
    assert.strictEqual(readDuration("10000 weeks"), 6_048_000_000_000_000_000)
    for (const text of [
      "",
      " ",
      "soon",
      "5 fortnights",
      "5",
      "x seconds",
      "1 constructor",
      "1e3 seconds",
      "Infinity"
    ]) {
      assert.strictEqual(readDuration(text), undefined, text)
    }
  })
})
