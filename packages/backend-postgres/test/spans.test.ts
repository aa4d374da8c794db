import { assert, describe, it } from "@effect/vitest"
import * as spans from "../src/internal/spans.ts"

describe("what replicas covered", () => {
  it("says why a span begins, also where another replica went on from its beginning and has come further", () => {
    const before = { since: 1, until: 10 }
    const first = { since: 20, until: 20, why: "the cluster was put back" }
    const further = { since: 20, until: 30 }
    const expected = { since: 1, until: 30, holes: [{ from: 10, to: 20, reason: "the cluster was put back" }] }
    assert.deepStrictEqual(spans.covered([before, first, further]), expected)
    assert.deepStrictEqual(spans.covered([further, before, first]), expected)
    assert.deepStrictEqual(spans.merge([further, first]), [{ ...first, until: 30 }])
  })

  it("is one span where spans touch or overlap, and has a gap where none of them is", () => {
    assert.deepStrictEqual(
      spans.covered([
        { since: 5, until: 9 },
        { since: 1, until: 5 },
        { since: 2, until: 3 },
        { since: 12, until: 13 }
      ]),
      { since: 1, until: 13, holes: [{ from: 9, to: 12, reason: "no replica of the archive was running" }] }
    )
    assert.isUndefined(spans.covered([]))
  })
})
