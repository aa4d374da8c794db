import { assert, describe, it } from "@effect/vitest"
import * as Target from "@tidings/core/Target"

const weak = (id: string, ...aliases: ReadonlyArray<string>) => Target.make(id, { aliases, isUncertain: true })
const certain = (id: string, ...aliases: ReadonlyArray<string>) => Target.make(id, { aliases })

describe("a target that was bound is continued", () => {
  const cases: ReadonlyArray<readonly [why: string, bound: Target.Target, found: Target.Target, expected: boolean]> = [
    ["by the same id", certain("uid"), certain("uid"), true],
    ["by a store that was known under the bound name", certain("authority"), certain("uid", "authority"), true],
    [
      "by a certain alias when the better name cannot be read any more",
      certain("uid", "account"),
      certain("account"),
      true
    ],
    ["by the same certain id, whatever else is known", certain("uid", "account-1"), certain("uid", "account-2"), true],
    [
      "not by another store that shares a weak name",
      certain("uid-1", "authority"),
      certain("uid-2", "authority"),
      false
    ],
    ["not by a weak name once a certain one was known", certain("uid", "authority"), weak("authority"), false],
    ["not by a weak name that also has an alias of it", certain("uid", "a", "b"), weak("a", "b"), false],
    ["by one of two weak names", weak("address-1", "authority"), weak("address-2", "authority"), true],
    ["by the other of two weak names", weak("address", "authority-1"), weak("address", "authority-2"), true],
    ["not by weak names that all differ", weak("address-1", "authority-1"), weak("address-2", "authority-2"), false],
    ["not by a store of other names", certain("uid-1"), certain("uid-2"), false],
    [
      "not by another account of which nothing else is known",
      certain("account-1", "authority"),
      certain("account-2", "authority"),
      false
    ]
  ]
  for (const [why, bound, found, expected] of cases) {
    it(why, () => assert.strictEqual(Target.isContinued(bound, found), expected))
  }
})

describe("new names of a target", () => {
  it("replace its id by a better one, and keep all names that were known", () => {
    assert.deepStrictEqual(Target.learned(certain("authority"), certain("uid", "account", "authority")), {
      id: "uid",
      aliases: ["account", "authority"]
    })
    assert.deepStrictEqual(Target.learned(certain("uid", "account-1"), certain("uid", "account-2")), {
      id: "uid",
      aliases: ["account-2", "account-1"]
    })
  })

  it("do not replace its id when they are weaker", () => {
    assert.deepStrictEqual(Target.learned(certain("uid", "account"), certain("account", "address")), {
      id: "uid",
      aliases: ["account", "address"]
    })
  })

  it("replace a weak name that the store no longer has", () => {
    assert.deepStrictEqual(Target.learned(weak("address", "authority-1"), weak("address", "authority-2")), {
      id: "address",
      aliases: ["authority-2"],
      isUncertain: true
    })
    assert.deepStrictEqual(Target.learned(weak("address", "authority"), certain("uid", "address")), {
      id: "uid",
      aliases: ["address"]
    })
  })

  it("are limited in number, and the latest are kept", () => {
    let target = certain("uid", "account-0")
    for (let n = 1; n < 1_000; n++) target = Target.learned(target, certain("uid", `account-${n}`))
    assert.isAtMost(target.aliases.length, 16)
    assert.strictEqual(target.aliases[0], "account-999")
    assert.isTrue(Target.isContinued(target, certain("account-990")))
  })

  it("change nothing when they are known already", () => {
    for (const target of [certain("a", "b", "c"), certain("a"), weak("a", "b")]) {
      assert.isTrue(Target.equals(target, Target.learned(target, target)))
    }
    assert.isFalse(Target.equals(certain("a", "b"), certain("a", "c")))
    assert.isFalse(Target.equals(certain("a", "b"), weak("a", "b")))
    assert.isFalse(Target.equals(certain("a"), certain("a", "b")))
  })
})

describe("two targets are the same store", () => {
  it("when one is known by the id of the other, and not when they only share an alias", () => {
    assert.isTrue(Target.isSame(certain("a"), certain("a")))
    assert.isTrue(Target.isSame(certain("a"), certain("b", "a")))
    assert.isTrue(Target.isSame(certain("b", "a"), certain("a")))
    assert.isFalse(Target.isSame(certain("a", "c"), certain("b", "c")))
  })
})

describe("a store that was deleted", () => {
  const bound = Target.make("log-1", { place: "/data/log" })

  it("is continued by a new store in the same place, under the id of the new one only", () => {
    const found = Target.make("log-2", { place: "/data/log" })
    assert.isTrue(Target.isContinued(bound, found))
    assert.deepStrictEqual(Target.learned(bound, found), found)
  })

  it("is not continued by a store in another or an unknown place", () => {
    assert.isFalse(Target.isContinued(bound, Target.make("log-2", { place: "/other/log" })))
    assert.isFalse(Target.isContinued(bound, Target.make("log-2")))
    assert.isFalse(Target.isContinued(Target.make("log-1"), Target.make("log-2")))
    assert.isFalse(Target.isContinued(Target.make("log-1"), Target.make("log-2", { place: "/data/log" })))
  })

  it("is the same store after a move, and has the new place from then on", () => {
    const found = Target.make("log-1", { place: "/other/log" })
    assert.isTrue(Target.isContinued(bound, found))
    assert.deepStrictEqual(Target.learned(bound, found), found)
    assert.isFalse(Target.equals(bound, found))
  })
})
