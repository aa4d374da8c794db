import * as EventQuery from "@tidings/core/EventQuery"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as caseFolding from "../src/internal/caseFolding.ts"
import { anyOf, anyText } from "./support/arbitraries.ts"

/** Every letter that has upper and lower case, and every other code point that is folded. */
const cased = Array.from({ length: 0x11_0000 }, (_, codePoint) => codePoint)
  .filter((codePoint) => codePoint < 0xd800 || codePoint > 0xdfff)
  .map((codePoint) => String.fromCodePoint(codePoint))
  .filter((one) => /[\p{Changes_When_Casefolded}\p{Changes_When_Casemapped}]/u.test(one))

const hex = (text: string): string => text.codePointAt(0)!.toString(16)

const messages = Arbitrary.map(
  Arbitrary.array(
    anyOf([
      "Σ",
      "σ",
      "ς",
      "İ",
      "ı",
      "I",
      "i",
      "\u0307",
      "ſ",
      "s",
      "K",
      "k",
      "ß",
      "ẞ",
      "SS",
      "😀",
      "\ud83d",
      "\ude00",
      "𐐀",
      "𐐨",
      " "
    ]),
    { maxLength: 8 }
  ),
  (parts) => parts.join("")
)

describe("texts compared without the difference of upper and lower case", () => {
  it("code points are the same exactly where Unicode's simple case folding makes them the same, and the letters i", () => {
    assert.isAbove(cased.length, 2_500)
    const all = cased.join("\n")
    const byFold = Map.groupBy(cased, caseFolding.foldCase)
    for (const one of cased) {
      const same = new Set(all.match(new RegExp(one, "giu")))
      if (/[iIİı]/.test(one)) for (const letter of ["i", "I", "İ", "ı"]) same.add(letter)
      const found = byFold.get(caseFolding.foldCase(one))!
      assert.strictEqual([...found].sort().map(hex).join(), [...same].sort().map(hex).join())
    }
  }, 60_000)

  it("code points without case stay what they are", () => {
    const isCased = new Set(cased)
    for (let codePoint = 0; codePoint < 0x11_0000; codePoint++) {
      const one = String.fromCodePoint(codePoint)
      if (!isCased.has(one) && caseFolding.foldCase(one) !== one) assert.fail(hex(one))
    }
  })

  it.prop(
    "a message contains a text exactly where the folded code points of one are in those of the other",
    { message: messages, text: messages },
    ({ message, text }) => {
      const pointsOf = (value: string) => [...value].map((one) => `${hex(caseFolding.foldCase(one))} `).join("")
      const isIn = ` ${pointsOf(message)}`.includes(` ${pointsOf(text)}`)
      assert.strictEqual(EventQuery.isInMessage(text, message), isIn || text === "")
    },
    { arbitrary: { runs: 2_000, size: 60 } }
  )

  it.prop(
    "every part of a message is found in it, whatever stands around it, in upper and lower case",
    { before: messages, after: messages, text: anyText },
    ({ after, before, text }) => {
      const part = text.toWellFormed()
      const points = [...part]
      const mapped = (change: (one: string) => string) =>
        points.map((one) => ([...change(one)].length === 1 ? change(one) : one)).join("")
      const message = `${before.toWellFormed()}${part}${after.toWellFormed()}`
      for (const wanted of [part, mapped((one) => one.toUpperCase()), mapped((one) => one.toLowerCase())]) {
        assert.isTrue(EventQuery.isInMessage(wanted, message))
      }
      assert.strictEqual(caseFolding.foldCase(message).length, message.length)
    },
    { arbitrary: { runs: 500, size: 60 } }
  )
})
