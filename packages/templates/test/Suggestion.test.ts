import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { Suggestion } from "../src/index.ts"

const fields = ["Name", "Namespace", "StepID", "StepTool", "StepCount", "Error", "ToolNames", "Duration"]

describe("distance", () => {
  it.each([
    ["", "", 0],
    ["", "abc", 3],
    ["abc", "", 3],
    ["Error", "Error", 0],
    ["Eror", "Error", 1],
    ["Errror", "Error", 1],
    ["Errar", "Error", 1],
    ["Erorr", "Error", 1],
    ["Nmae", "Name", 1],
    ["kitten", "sitting", 3],
    // No character is edited twice: "ca" to "abc" is three edits.
    ["ca", "abc", 3]
  ])("from %j to %j is %i", (left, right, edits) => {
    assert.strictEqual(Suggestion.distance(left, right), edits)
  })

  const word = Arbitrary.map(
    Arbitrary.array(Arbitrary.schema(Schema.Literals(["a", "b", "c"])), { maxLength: 8 }),
    (letters) => letters.join("")
  )
  it.prop(
    "is a metric",
    [word, word],
    ([left, right]) => {
      const edits = Suggestion.distance(left, right)
      assert.strictEqual(edits, Suggestion.distance(right, left))
      assert.strictEqual(edits === 0, left === right)
      assert.isAtLeast(edits, Math.abs(left.length - right.length))
      assert.isAtMost(edits, Math.max(left.length, right.length))
    },
    { arbitrary: { runs: 500, size: 8 } }
  )
})

describe("nearest", () => {
  it.each([
    // The same but for capitals, before anything nearer in another way.
    ["stepid", "StepID"],
    ["STEPTOOL", "StepTool"],
    // A beginning, either way; of several the one that shares most, then the one nearest in length.
    ["Namesp", "Namespace"],
    ["Errors", "Error"],
    ["Dur", "Duration"],
    ["Step", "StepID"],
    // A few edits.
    ["Eror", "Error"],
    ["Nmae", "Name"],
    ["SteCount", "StepCount"],
    ["TolNames", "ToolNames"],
    // Up to a third of the length.
    ["Namspacce", "Namespace"],
    ["Duracione", "Duration"]
  ])("takes %s for %s", (word, meant) => {
    assert.strictEqual(Suggestion.nearest(word, fields), meant)
  })

  it.each([[""], ["Customer"], ["X"], ["xy"], ["__proto__"], ["N"]])("has no suggestion for %j", (word) => {
    assert.isUndefined(Suggestion.nearest(word, fields))
  })

  it("allows two edits in short words and a third of the length in long ones", () => {
    assert.strictEqual(Suggestion.nearest("abxy", ["abcd"]), "abcd")
    assert.isUndefined(Suggestion.nearest("axyz", ["abcd"]))
    assert.strictEqual(Suggestion.nearest("abcdefghxxxx", ["abcdefghijkl"]), "abcdefghijkl")
    assert.isUndefined(Suggestion.nearest("abcdefgxxxxx", ["abcdefghijkl"]))
  })

  it("never suggests a word that has nothing in common", () => {
    assert.isUndefined(Suggestion.nearest("ab", ["xy"]))
    assert.isUndefined(Suggestion.nearest("a", ["x"]))
  })

  it("returns the first of equally near candidates", () => {
    assert.strictEqual(Suggestion.nearest("cat", ["bat", "hat"]), "bat")
    assert.strictEqual(Suggestion.nearest("cat", ["hat", "bat"]), "hat")
  })

  it("has no suggestion for very long words", () => {
    const long = "a".repeat(Suggestion.longestWord)
    assert.strictEqual(Suggestion.nearest(`${long.slice(1)}b`, [long]), long)
    assert.isUndefined(Suggestion.nearest(`${long}b`, [long]))
  })

  it("accepts any iterable, and keeps the type of the candidates", () => {
    const found: "one" | "two" | undefined = Suggestion.nearest("onee", new Set(["one", "two"] as const))
    assert.strictEqual(found, "one")
  })
})
