import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { stripVTControlCharacters } from "node:util"
import * as escape from "../src/internal/cli/escape.ts"
import * as table from "../src/internal/cli/table.ts"

interface Row {
  readonly name: string
  readonly text: string
}

const columns: ReadonlyArray<table.Column<Row>> = [
  { title: "NAME", cell: ({ name }) => name, paint: (text) => `\u001b[33m${text}\u001b[39m` },
  { title: "TEXT", cell: ({ text }) => text }
]

const plain = columns.map(({ cell, title }) => ({ cell, title }))

describe("tables", () => {
  it("line up, two spaces apart", () => {
    const rows = table.make(plain, {}).print([
      { name: "a", text: "one" },
      { name: "longer", text: "two" }
    ])
    assert.deepStrictEqual(rows, ["NAME    TEXT", "a       one", "longer  two"])
  })

  it("keep their widths while rows come in, and only widen them", () => {
    const streamed = table.make(plain, {})
    assert.deepStrictEqual(streamed.print([{ name: "longer", text: "1" }]), ["NAME    TEXT", "longer  1"])
    assert.deepStrictEqual(streamed.print([{ name: "a", text: "2" }]), ["a       2"])
    assert.deepStrictEqual(streamed.print([{ name: "the longest", text: "3" }]), ["the longest  3"])
    assert.deepStrictEqual(streamed.print([{ name: "b", text: "4" }]), ["b            4"])
  })

  it("count columns of the terminal, not characters", () => {
    const rows = table.make(plain, {}).print([
      { name: "日本", text: "wide" },
      { name: "e\u0301", text: "combining" },
      { name: "👩‍👩‍👧", text: "joined" }
    ])
    assert.deepStrictEqual(rows, ["NAME  TEXT", "日本  wide", "e\u0301     combining", "👩‍👩‍👧    joined"])
  })

  it("are painted without changing their widths", () => {
    const [, row] = table.make(columns, {}).print([{ name: "a", text: "x" }])
    assert.strictEqual(row, "\u001b[33ma\u001b[39m     x")
  })

  it("truncate the last column to the room there is", () => {
    const rows = table.make(plain, { room: 26 }).print([
      { name: "a", text: "as long as the room allows" },
      { name: "b", text: "日本語日本語日本語日本語" },
      { name: "c", text: "exactly twenty wide." }
    ])
    assert.deepStrictEqual(rows.slice(1), [
      "a     as long as the room…",
      "b     日本語日本語日本語…",
      "c     exactly twenty wide."
    ])
  })

  it("cut the widest column where little is left for the last one", () => {
    const rows = table
      .make(plain, { room: 30 })
      .print([{ name: "a-name-of-twenty-five-cha", text: "a message of 25 characters" }])
    assert.deepStrictEqual(rows, ["NAME          TEXT", "a-name-of-t…  a message of 25…"])
  })

  it("show the columns that have room on the narrowest terminal", () => {
    const rows = table.make(plain, { room: 5 }).print([{ name: "abcdefgh", text: "abcdefghijklmnopqrstuvwxyz" }])
    assert.deepStrictEqual(rows, ["NAME", "abcd…"])
  })

  it("follow a terminal that is resized", () => {
    let room = 40
    const streamed = table.make(plain, { room: () => room })
    const row = { name: "a", text: "as long as the room allows, and not longer" }
    assert.strictEqual(streamed.print([row])[1], "a     as long as the room allows, and n…")
    room = 20
    assert.strictEqual(streamed.print([row])[0], "a     as long as th…")
  })

  it.prop(
    "fit into the room, whatever the texts are",
    {
      name: Schema.String,
      text: Schema.String,
      room: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 80 }))
    },
    ({ name, room, text }) => {
      const rows = table.make(plain, { room }).print([{ name: escape.line(name), text: escape.line(text) }])
      return rows.every((row) => table.width(row) <= room && !row.includes("\n"))
    },
    { arbitrary: { runs: 300, size: 120 } }
  )
})

describe("escaping", () => {
  it("writes out what moves a cursor, reorders or hides", () => {
    assert.strictEqual(escape.line("a\nb\tc\r"), "a\\nb\\tc\\r")
    assert.strictEqual(escape.line("\u001b[31mred\u009b0m"), "\\u001b[31mred\\u009b0m")
    assert.strictEqual(escape.line("\u202egnp.exe\u2066\ufeff\u2028"), "\\u202egnp.exe\\u2066\\ufeff\\u2028")
    assert.strictEqual(escape.block("a\nb\u0007"), "a\nb\\u0007")
    for (const code of [0x61c, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202d, 0x202e, 0x2066, 0x2069, 0xfeff]) {
      assert.strictEqual(escape.line(String.fromCharCode(code)), `\\u${code.toString(16).padStart(4, "0")}`)
    }
    assert.strictEqual(escape.line("日本 é 👍"), "日本 é 👍")
  })

  it.prop(
    "leaves nothing for a terminal to obey",
    { text: Schema.String },
    ({ text }) => {
      const escaped = escape.line(`${text}\u001b]0;${text}\u0007`)
      return stripVTControlCharacters(escaped) === escaped && !/\p{Cc}/u.test(escaped)
    },
    { arbitrary: { runs: 300, size: 60 } }
  )

  it.prop(
    "keeps JSON the same JSON",
    { text: Schema.String },
    ({ text }) => JSON.parse(escape.block(JSON.stringify({ text }, undefined, 2))).text === text,
    { arbitrary: { runs: 300, size: 60 } }
  )
})

// Strings of the default size hold few of the characters that matter, so some are put in on purpose.
describe("arbitrary control characters", () => {
  it.prop(
    "are all written out",
    {
      characters: Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xa0 }))))
    },
    ({ characters }) => !/\p{Cc}/u.test(escape.line(String.fromCharCode(...characters))),
    { arbitrary: { runs: 200, size: 60 } }
  )
})
