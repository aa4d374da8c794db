import { InvalidEvent } from "@tidings/core/InvalidEvent"
import { assert, describe, it } from "@effect/vitest"
import * as names from "../src/internal/names.ts"
import { memoize } from "../src/internal/memoize.ts"
import * as text from "../src/internal/text.ts"
import { anyText, integer } from "./support/arbitraries.ts"

const bytes = (value: string): number => new TextEncoder().encode(value).length
// oxlint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/
const many = { arbitrary: { runs: 500, size: 300 } }

describe("escapeControl", () => {
  it.prop(
    "escapes every control character, and changes nothing else",
    { given: anyText },
    ({ given }) => {
      const escaped = text.escapeControl(given)
      assert.notMatch(escaped, UNSAFE)
      assert.isTrue(escaped.isWellFormed())
      if (!UNSAFE.test(given)) assert.strictEqual(escaped, given.toWellFormed())
      assert.strictEqual(text.escapeControl(escaped), escaped)
    },
    many
  )

  it("escapes each character in the form of JSON", () => {
    assert.strictEqual(
      text.escapeControl("a\nb\rc\td\u0000\u001b\u007f\u0080\u009f\u061c\u200e\u2028\u202e\u2069\ufeff\ud800é👩"),
      String.raw`a\nb\rc\td\u0000\u001b\u007f\u0080\u009f\u061c\u200e\u2028\u202e\u2069\ufeff` + "\ufffdé👩"
    )
  })

  it("checks every unit of UTF-16", () => {
    for (let unit = 0; unit < 0x1_0000; unit++) {
      const character = String.fromCharCode(unit)
      const escaped = text.escapeControl(`a${character}b`)
      const isSurrogate = unit >= 0xd800 && unit < 0xe000
      if (isSurrogate) assert.strictEqual(escaped, "a\ufffdb")
      else assert.strictEqual(escaped === `a${character}b`, !UNSAFE.test(character), unit.toString(16))
    }
  })
})

describe("byteLength", () => {
  it.prop(
    "counts as UTF-8 does",
    { given: anyText },
    ({ given }) => assert.strictEqual(text.byteLength(given.toWellFormed()), bytes(given)),
    many
  )
})

describe("cut", () => {
  it.prop(
    "keeps as much as fits, cuts between characters, and adds a mark",
    { given: anyText, limit: integer(3, 60) },
    ({ given, limit }) => {
      const whole = given.toWellFormed()
      const cut = text.cut(whole, limit)
      assert.isAtMost(bytes(cut), limit)
      assert.isTrue(cut.isWellFormed())
      if (bytes(whole) <= limit) assert.strictEqual(cut, whole)
      else {
        assert.isTrue(cut.endsWith("…"))
        const kept = cut.slice(0, -1)
        assert.isTrue(whole.startsWith(kept))
        const next = String.fromCodePoint(whole.codePointAt(kept.length)!)
        assert.isAbove(bytes(kept + next) + 3, limit)
      }
    },
    many
  )

  it.prop(
    "gives with tidy the same as escaping and then cutting",
    { given: anyText, limit: integer(3, 60) },
    ({ given, limit }) => assert.strictEqual(text.tidy(given, limit), text.cut(text.escapeControl(given), limit)),
    many
  )
})

describe("show", () => {
  it.prop(
    "returns one short line for any value",
    { given: anyText },
    ({ given }) => {
      for (const value of [given, [given], { [given]: given }]) {
        const shown = text.show(value)
        assert.notMatch(shown, UNSAFE)
        assert.isTrue(shown.isWellFormed())
        assert.isAtMost(shown.length, 60)
      }
    },
    many
  )

  it("describes values of each type", () => {
    const loop: Record<string, unknown> = {}
    loop["loop"] = loop
    const hostile = {
      toJSON: () => {
        throw new Error("no")
      }
    }
    const cases: ReadonlyArray<readonly [unknown, string]> = [
      [undefined, "missing"],
      [null, "null"],
      ["", '""'],
      ["a", '"a"'],
      [1.5, "1.5"],
      [Number.NaN, "NaN"],
      [Number.POSITIVE_INFINITY, "Infinity"],
      [true, "true"],
      [5n, "5n"],
      [() => 1, "a function"],
      [Symbol("s"), "a symbol"],
      [{ a: [1, "x"] }, '{"a":[1,"x"]}'],
      [loop, "an object"],
      [[loop], "a list"],
      [hostile, "an object"],
      [Array.from({ length: 1_000 }, () => 1), "a list"],
      ["x".repeat(100), `"${"x".repeat(58)}…`]
    ]
    for (const [value, expected] of cases) assert.strictEqual(text.show(value), expected)
  })

  it("has a bounded cost for any value", () => {
    let shared: unknown = ["end"]
    for (let level = 0; level < 60; level++) shared = [shared, shared]
    assert.strictEqual(text.show(shared), "a list")
    assert.strictEqual(text.show({ text: "x".repeat(1_000_000) }).length, 60)
  })

  it("showThrown never throws", () => {
    assert.strictEqual(text.showThrown(new Error("oops")), '"Error: oops"')
    assert.strictEqual(text.showThrown(Object.create(null)), "{}")
    assert.strictEqual(text.showThrown(undefined), '"undefined"')
  })
})

describe("memoize", () => {
  it("caches results of repeated texts, within a limit, and not of long ones", () => {
    const asked: Array<string> = []
    const isLong = memoize((value) => {
      asked.push(value)
      return value.length > 2
    })
    assert.deepStrictEqual([isLong("abc"), isLong("a"), isLong("abc"), isLong("a")], [true, false, true, false])
    assert.deepStrictEqual(asked, ["abc", "a"])
    for (let n = 0; n < 2_048; n++) isLong(`text ${n}`)
    asked.length = 0
    assert.isTrue(isLong("abc"))
    assert.deepStrictEqual(asked, ["abc"])
    const long = "x".repeat(1_000)
    isLong(long)
    isLong(long)
    assert.deepStrictEqual(asked, ["abc", long, long])
  })
})

describe("names", () => {
  it.each([
    ["isKind", names.isKind, ["Pod", "MCPServer", "a1"], ["", "1Pod", "My Kind", "Pod-", "Pöd", "a\n"]],
    [
      "isApiVersion",
      names.isApiVersion,
      ["v1", "apps/v1", "example.com/v1alpha1", "a.b-c.d/v2"],
      ["", "/v1", "a/b/c", "V1", "a/", ".a/v1", "v1-"]
    ],
    ["isReason", names.isReason, ["A", "Started", "a.b-c_d9"], ["", "9", "a b", "a-", "-a", "ä", "a\n"]],
    [
      "isNamespace",
      names.isNamespace,
      ["a", "team-a", "0", "x".repeat(63)],
      ["", "A", "-a", "a-", "a.b", "x".repeat(64)]
    ],
    [
      "isName",
      names.isName,
      [
        "web",
        "system:node",
        "a.b",
        "Ünï",
        "漢字",
        "x".repeat(253),
        "👩",
        "io.github.acme/search",
        "Weather (staging)",
        "a%b",
        "../a"
      ],
      [
        "",
        ".",
        "..",
        "/a",
        "a/",
        " a",
        "a ",
        " ",
        "/",
        "a\tb",
        "a\u00a0b",
        "a\u3000b",
        "a\nb",
        "a\u001bb",
        "a\u202eb",
        "a\u2028b",
        "\ufeffa",
        "a\ud800",
        "x".repeat(254),
        "é".repeat(127)
      ]
    ],
    ["isUid", names.isUid, ["u", "9f2c4e52-0a1b-4c3d-8e4f-5a6b7c8d9e0f"], ["", "a b", "x".repeat(129)]],
    [
      "isQualifiedName",
      names.isQualifiedName,
      ["app", "A_b.c-9", "example.com/app", `${"a".repeat(253)}/b`],
      ["", "-a", "a-", "/a", "a/", "A.com/x", "a..b/x", "a/b/c", "x".repeat(64), `${"a".repeat(254)}/b`]
    ],
    ["isLabelValue", names.isLabelValue, ["", "a", "A_b.c-9", "x".repeat(63)], ["-a", "a-", "a b", "ä", "x".repeat(64)]]
  ] as const)("%s", (_, is, good, bad) => {
    for (const value of good) assert.isTrue(is(value), value)
    for (const value of bad) assert.isFalse(is(value), JSON.stringify(value))
  })
})

describe("InvalidEvent", () => {
  it("names every field, what was found and what would be right", () => {
    const error = new InvalidEvent({
      issues: [
        { field: "reason", found: '""', expected: "a word" },
        { field: "data.stepCount", found: "1.5", expected: "a whole number" }
      ]
    })
    assert.strictEqual(error._tag, "InvalidEvent")
    assert.strictEqual(
      error.message,
      'the event was not recorded: reason is "", expected a word; data.stepCount is 1.5, expected a whole number'
    )
  })
})
