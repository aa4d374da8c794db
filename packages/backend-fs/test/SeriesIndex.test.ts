import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { SeriesIndex } from "../src/internal/log/seriesIndex.ts"

const small = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))
const step = Arbitrary.all({ origin: small(0, 1), seq: small(0, 12), more: small(0, 3) })

describe("SeriesIndex", () => {
  it.effect.prop(
    "the index has the highest upTo of every series, as a map does",
    { steps: Arbitrary.array(step, { maxLength: 60 }) },
    ({ steps }) =>
      Effect.sync(() => {
        const index = new SeriesIndex()
        const plain = new Map<string, number>()
        for (const { more, origin, seq } of steps) {
          const key = `${origin} ${seq}`
          const before = plain.get(key)
          const upTo = seq + more
          const changes = before === undefined || before < upTo
          assert.strictEqual(index.raise(`origin-${origin}`, seq, upTo), changes)
          if (changes) plain.set(key, upTo)
        }
        for (const origin of [0, 1]) {
          for (let seq = 0; seq <= 14; seq++) {
            assert.strictEqual(index.get(`origin-${origin}`, seq), plain.get(`${origin} ${seq}`), `${origin} ${seq}`)
          }
        }
      }),
    { arbitrary: { runs: 300, size: 60 } }
  )

  it("a million seqs in order take two numbers", () => {
    const index = new SeriesIndex()
    for (let seq = 1; seq <= 1_000_000; seq++) index.raise("one", seq, seq)
    const state = Object.values(index).find((value) => value instanceof Map)
    assert.deepStrictEqual(
      [...(state as Map<string, { ranges: unknown }>).values()].map(({ ranges }) => ranges),
      [[1, 1_000_000]]
    )
  })

  it("an index with a limit drops its oldest entries", () => {
    const index = new SeriesIndex(2)
    for (const origin of ["a", "b", "c"]) index.raise(origin, 1, 1)
    assert.isFalse(index.hasOrigin("a"))
    assert.isTrue(index.hasOrigin("c"))
    for (const seq of [1, 3, 5, 7, 9]) index.raise("c", seq, seq + 1)
    assert.strictEqual(index.get("c", 9), 10)
    assert.strictEqual(index.get("c", 3), undefined)
    for (const seq of [20, 22, 24, 26, 28]) index.raise("b", seq, seq)
    assert.strictEqual(index.get("b", 28), 28)
    assert.strictEqual(index.get("b", 20), undefined)
  })

  it("an index adopts the entries of another one", () => {
    const index = new SeriesIndex()
    const learned = new SeriesIndex()
    learned.raise("a", 1, 4)
    learned.addOrigin("b")
    index.adopt(learned)
    assert.strictEqual(index.get("a", 1), 4)
    assert.isTrue(index.hasOrigin("b"))
  })
})
