import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { BoundedCache } from "../src/BoundedCache.ts"

const int = (range: { readonly minimum: number; readonly maximum: number }) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween(range)))

describe("BoundedCache", () => {
  it("keeps keys in turn, as long as there are not more of them than its capacity", () => {
    const cache = new BoundedCache<number, string>(100)
    for (let key = 0; key < 100; key++) cache.set(key, `value ${key}`)
    for (let turn = 0; turn < 5; turn++) {
      for (let key = 0; key < 100; key++) assert.strictEqual(cache.get(key), `value ${key}`)
    }
  })

  it.effect.prop(
    "has the last value of each of the keys that were used last, and a bounded number of others",
    {
      capacity: int({ minimum: 1, maximum: 6 }),
      uses: Arbitrary.array(int({ minimum: 0, maximum: 20 }), { minLength: 1, maxLength: 200 })
    },
    ({ capacity, uses }) =>
      Effect.sync(() => {
        const cache = new BoundedCache<number, string>(capacity)
        const values = new Map<number, string>()
        /** The latest last. */
        let recent: Array<number> = []
        for (const [turn, key] of uses.entries()) {
          const kept = recent.slice(-capacity).includes(key)
          const found = cache.get(key)
          if (kept || found !== undefined) assert.strictEqual(found, values.get(key), `turn ${turn}`)
          if (found === undefined || turn % 3 === 0) {
            cache.set(key, `value ${turn}`)
            values.set(key, `value ${turn}`)
          }
          recent = [...recent.filter((one) => one !== key), key]
          assert.isAtMost(cache.size, 2 * capacity)
        }
      }),
    { arbitrary: { runs: 300 } }
  )
})
