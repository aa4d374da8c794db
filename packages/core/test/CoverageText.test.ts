import * as CoverageText from "@tidings/core/CoverageText"
import type { Coverage } from "@tidings/core/EventQuery"
import { assert, describe, it } from "@effect/vitest"

const time: CoverageText.WriteTime = (at, beside) => (beside === undefined ? `t${at}` : `${at}`)

const sentences = (...all: ReadonlyArray<Partial<Coverage>>) =>
  CoverageText.sentences(
    all.map((one) => ({ store: "uid-1", since: 1, until: "now", gaps: [], ...one })),
    time
  )

const gap = (from: number | undefined, to: number | undefined, reason: string) => ({
  store: "uid-1",
  ...(from === undefined ? undefined : { from }),
  ...(to === undefined ? undefined : { to }),
  reason
})

describe("the sentences of a coverage", () => {
  it("say since when an archived store is complete, and which gaps it has", () => {
    assert.deepStrictEqual(sentences({ name: "production" }), ["production: complete since t1"])
    assert.deepStrictEqual(sentences({ name: "production", until: 9 }), [
      "production: complete from t1 until t9, and not archived since"
    ])
    assert.deepStrictEqual(sentences({ name: "production", since: "unknown", until: "unknown" }), [
      "production: not known since when it is complete"
    ])
    assert.deepStrictEqual(
      sentences({ name: "a", gaps: [gap(2, 3, "x"), gap(undefined, 5, "y"), gap(6, undefined, "z")] }),
      ["a: complete since t1; gap t2–3 (x); gap until t5 (y); gap from t6 (z)"]
    )
  })

  it("count the earlier ones of many gaps", () => {
    const gaps = [2, 4, 6, 8, 10].map((from) => gap(from, from + 1, "x"))
    assert.deepStrictEqual(sentences({ name: "a", gaps }), [
      "a: complete since t1; 2 earlier gaps; gap t6–7 (x); gap t8–9 (x); gap t10–11 (x)"
    ])
    assert.deepStrictEqual(sentences({ name: "a", gaps: gaps.slice(1) }), [
      "a: complete since t1; 1 earlier gap; gap t6–7 (x); gap t8–9 (x); gap t10–11 (x)"
    ])
  })

  it("are none where no store is archived, and name what was recorded beside those that are", () => {
    assert.deepStrictEqual(sentences({}), [])
    assert.deepStrictEqual(sentences({}, { name: "production" }), [
      "what was recorded in this store directly: complete since t1",
      "production: complete since t1"
    ])
  })
})
