import type { BackendError } from "@tidings/core/BackendError"
import type { Cursor, EventFilter, PageToken } from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Target from "@tidings/core/Target"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Result from "effect/Result"
import { anyOf, anyText, text } from "./support/arbitraries.ts"

const scope: Position.Scope = {
  mode: "memory",
  target: Target.make("store-1"),
  filter: { namespace: "default", since: 5 }
}

const scopes = Arbitrary.map(
  Arbitrary.all({
    mode: anyOf(["memory", "filesystem", "kubernetes"]),
    target: text,
    namespace: anyOf<string | undefined>([undefined, "a", "b"]),
    reason: anyOf<string | undefined>([undefined, "a", "b", "null"]),
    apiGroup: anyOf<string | undefined>([undefined, "", "a"]),
    objectNamespace: anyOf<string | undefined>([undefined, "", "a"]),
    name: anyOf<string | undefined>([undefined, "a"]),
    id: anyOf<string | undefined>([undefined, "a.1"]),
    since: anyOf<number | undefined>([undefined, 0, 5])
  }),
  ({ apiGroup, id, mode, name, namespace, objectNamespace, reason, since, target }): Position.Scope => ({
    mode,
    target: Target.make(target),
    filter: {
      ...(namespace === undefined ? undefined : { namespace }),
      ...(reason === undefined ? undefined : { reason }),
      ...(apiGroup === undefined ? undefined : { apiGroup }),
      ...(objectNamespace === undefined ? undefined : { objectNamespace }),
      ...(name === undefined ? undefined : { name }),
      ...(id === undefined ? undefined : { id }),
      ...(since === undefined ? undefined : { since })
    }
  })
)

const refusal = (result: Result.Result<string, BackendError>): string => {
  assert.isTrue(Result.isFailure(result))
  if (!Result.isFailure(result)) return ""
  assert.strictEqual(result.failure.reason._tag, "CursorMismatch")
  return result.failure.message
}

describe("cursors and page tokens", () => {
  const format1 = (kind: "c" | "p", filter: string) =>
    Base64Url.encode(JSON.stringify([1, kind, "memory", "store-1", filter, "42"])) as Cursor & PageToken

  it("of format 1, of the first release, are read", () => {
    const token = Base64Url.encode(
      '[1,"c","memory","store-1","[null,null,\\"default\\",null,null,null,5,null]","42"]'
    ) as Cursor
    assert.deepStrictEqual(Position.decodeCursor(scope, token), Result.succeed("42"))
    const newer = { ...scope, filter: { ...scope.filter, apiGroup: "apps" } }
    assert.match(refusal(Position.decodeCursor(newer, token)), /another filter; this one is: .*apiGroup=apps/)

    const later = '[null,null,"default",null,null,null,5,null,{"apiGroup":"apps","id":"a.1"}]'
    const both = { ...newer, filter: { ...newer.filter, id: "a.1" } }
    assert.deepStrictEqual(Position.decodeCursor(both, format1("c", later)), Result.succeed("42"))
    assert.deepStrictEqual(Position.decodePageToken(both, format1("p", later)), Result.succeed("42"))
    refusal(Position.decodeCursor(newer, format1("c", later)))
    for (const filter of ["", "{}", "5", "[5]", '[null,["a"]]', "[null,null,null,null,null,null,[5]]", '[{"a":1}]']) {
      refusal(Position.decodeCursor({ ...scope, filter: { reason: "a" } }, format1("c", filter)))
    }
  })

  it("of format 2, which held the filter itself, are read", () => {
    const format2 = (kind: "c" | "p", filter: string) =>
      Base64Url.encode(JSON.stringify([2, kind, "memory", "store-1", filter, "42"])) as Cursor & PageToken
    const written: ReadonlyArray<readonly [EventFilter, string]> = [
      [{}, "{}"],
      [{ match: "" }, '{"match":""}'],
      [{}, '{"match":""}'],
      [{ match: "" }, "{}"],
      [{ reason: "a", match: "" }, '{"reason":"a","match":""}'],
      [{ match: "Refused İ ΟΔΟΣ" }, '{"match":"refused i̇ οδος"}'],
      [
        {
          namespace: ["b", "a"],
          reason: "x",
          labels: { b: "2", a: "1" },
          object: [
            { kind: "Pod", name: "web" },
            { kind: "Node", name: "n", apiGroup: "" }
          ],
          cluster: "c",
          since: 5,
          until: 9,
          id: "o.1",
          name: ["n"]
        },
        String.raw`{"namespace":["a","b"],"cluster":"c","reason":"x","name":"n","id":"o.1","object":["[\"Node\",\"n\",\"\"]","[\"Pod\",\"web\"]"],"labels":[["a","1"],["b","2"]],"since":5,"until":9}`
      ]
    ]
    for (const [filter, text] of written) {
      const own = { ...scope, filter }
      assert.deepStrictEqual(Position.decodeCursor(own, format2("c", text)), Result.succeed("42"), text)
      assert.deepStrictEqual(Position.decodePageToken(own, format2("p", text)), Result.succeed("42"), text)
      refusal(Position.decodeCursor({ ...scope, filter: { ...filter, source: "other" } }, format2("c", text)))
    }
  })

  it("hold a fingerprint of the fields that are set, the same in every release", () => {
    const contentOf = (filter: EventFilter): string =>
      Result.getOrThrow(Base64Url.decodeString(Position.cursorEncoder({ ...scope, filter })("42")))
    assert.strictEqual(contentOf({}), '[3,"c","memory","store-1","ef6ca5d8af10bc0ebaed6706361d8c6f","42"]')
    assert.strictEqual(contentOf({ reason: "a" }), '[3,"c","memory","store-1","2e3787a205d2b4ccdb18ffd3292a3ecb","42"]')
    const of = { source: "s", labels: { b: "2", a: "1" }, match: "Σ", since: 5, object: { kind: "Pod", name: "web" } }
    assert.strictEqual(contentOf(of), '[3,"c","memory","store-1","dc08129cf7a94e416d81b26789700610","42"]')
  })

  it("are the same for filters that mean the same", () => {
    const same: ReadonlyArray<readonly [EventFilter, EventFilter]> = [
      [{ reason: "a" }, { reason: ["a"] }],
      [{ reason: ["b", "a"] }, { reason: ["a", "b", "a"] }],
      [{ labels: { a: "1", b: "2" } }, { labels: { b: "2", a: "1" } }],
      [{}, { labels: {} }],
      [{}, { match: "" }],
      [{ match: "istanbul ΟΔΟΣ" }, { match: "İSTANBUL οδος" }],
      [{ match: "Refused" }, { match: "rEFUSED" }],
      [{ object: { kind: "A", name: "b" } }, { object: [{ name: "b", kind: "A" }] }]
    ]
    for (const [one, other] of same) {
      const cursor = Position.cursorEncoder({ ...scope, filter: one })("7")
      assert.strictEqual(Position.cursorEncoder({ ...scope, filter: other })("7"), cursor)
      assert.deepStrictEqual(Position.decodeCursor({ ...scope, filter: other }, cursor), Result.succeed("7"))
    }
    const different: ReadonlyArray<readonly [EventFilter, EventFilter]> = [
      [{ reason: [] }, {}],
      [{ reason: ["a,b"] }, { reason: ["a", "b"] }],
      [{ reason: "a" }, { source: "a" }],
      [{ object: { kind: "A", name: "b" } }, { object: { kind: "A", name: "b", apiGroup: "" } }],
      [{ labels: { a: "1" } }, { labels: { a: "1", b: "2" } }],
      [{ match: "a" }, { match: "b" }]
    ]
    for (const [one, other] of different) {
      refusal(
        Position.decodeCursor({ ...scope, filter: other }, Position.cursorEncoder({ ...scope, filter: one })("7"))
      )
    }
  })

  it("are as long with a large filter as without one", () => {
    const lengthWith = (filter: EventFilter): number => Position.cursorEncoder({ ...scope, filter })("7").length
    const values = Array.from({ length: 2_000 }, (_, index) => `value-${index}`)
    assert.isBelow(lengthWith({}), 120)
    for (const filter of [
      { reason: values },
      { match: "x".repeat(100_000) },
      { labels: Object.fromEntries(values.map((value) => [value, value])) },
      { object: values.map((name) => ({ kind: "Workflow", name })), since: 5 }
    ]) {
      assert.strictEqual(lengthWith(filter), lengthWith({}))
    }
    const cursor = Position.cursorEncoder({ ...scope, filter: { reason: values } })("7")
    for (const other of [values.slice(1), [...values, "more"], values.map((value) => `${value}x`)]) {
      refusal(Position.decodeCursor({ ...scope, filter: { reason: other } }, cursor))
    }
  })

  it.prop(
    "lead back to their position in their scope, and are the error CursorMismatch in every other",
    { position: text, own: scopes, other: scopes },
    ({ other, own, position }) => {
      const cursor = Position.cursorEncoder(own)(position)
      const page = Position.pageTokenEncoder(own)(position)
      assert.deepStrictEqual(Position.decodeCursor(own, cursor), Result.succeed(position))
      assert.deepStrictEqual(Position.decodePageToken(own, page), Result.succeed(position))
      assert.match(cursor, /^[-\w]+$/)
      const isSame =
        JSON.stringify([own.mode, own.target, own.filter]) === JSON.stringify([other.mode, other.target, other.filter])
      if (isSame) return
      refusal(Position.decodeCursor(other, cursor))
      refusal(Position.decodePageToken(other, page))
    },
    { arbitrary: { runs: 300, size: 60 } }
  )

  it("are valid under an alias of their target, and those that follow them hold its id", () => {
    const known = { ...scope, target: Target.make("uid", { aliases: ["store-1", "store-0"] }) }
    for (const [encode, decode] of [
      [Position.cursorEncoder, Position.decodeCursor],
      [Position.pageTokenEncoder, Position.decodePageToken]
    ] as const) {
      const earlier = encode(scope)("7") as Cursor & PageToken
      const later = encode(known)("8") as Cursor & PageToken
      assert.deepStrictEqual(decode(known, earlier), Result.succeed("7"))
      assert.deepStrictEqual(decode({ ...scope, target: Target.make("uid") }, later), Result.succeed("8"))
      assert.include(refusal(decode(scope, later)), "uid")
      assert.include(
        refusal(decode({ ...scope, target: Target.make("uid", { aliases: ["store-2"] }) }, earlier)),
        "store-1"
      )
    }
  })

  it("do not depend on the order in which the fields of a filter were written", () => {
    const cursor = Position.cursorEncoder(scope)("7")
    const turned: EventFilter = { since: 5, namespace: "default" }
    assert.deepStrictEqual(Position.decodeCursor({ ...scope, filter: turned }, cursor), Result.succeed("7"))
  })

  it("are not taken for each other, and say what they are", () => {
    const cursor = Position.cursorEncoder(scope)("7")
    const page = Position.pageTokenEncoder(scope)("7")
    assert.include(refusal(Position.decodePageToken(scope, cursor as string as PageToken)), "this is a cursor")
    assert.include(refusal(Position.decodeCursor(scope, page as string as Cursor)), "this is a page token")
  })

  it("say what does not fit: mode, target, filter or format", () => {
    const cursor = Position.cursorEncoder(scope)("7")
    assert.include(refusal(Position.decodeCursor({ ...scope, mode: "filesystem" }, cursor)), "memory backend")
    assert.include(refusal(Position.decodeCursor({ ...scope, target: Target.make("store-2") }, cursor)), "store-1")
    assert.include(refusal(Position.decodeCursor({ ...scope, filter: { namespace: "x" } }, cursor)), "namespace=x")
    assert.include(refusal(Position.decodeCursor({ ...scope, filter: {} }, cursor)), "no filter")
    const parts = JSON.parse(Result.getOrThrow(Base64Url.decodeString(cursor))) as ReadonlyArray<unknown>
    const later = Base64Url.encode(JSON.stringify([4, ...parts.slice(1)])) as Cursor
    assert.include(refusal(Position.decodeCursor(scope, later)), "has format 4, this version reads formats 1 to 3")
  })

  it.prop(
    "are refused where they are garbage, whatever it is",
    { garbage: anyText },
    ({ garbage }) => {
      for (const made of [
        garbage,
        Base64Url.encode(garbage),
        Base64Url.encode(JSON.stringify([garbage])),
        ...[1, 2, 3].map((format) =>
          Base64Url.encode(JSON.stringify([format, "c", "memory", garbage, garbage, garbage]))
        ),
        format1("c", garbage)
      ]) {
        const message = refusal(Position.decodeCursor(scope, made as Cursor))
        // oxlint-disable-next-line no-control-regex
        assert.notMatch(message, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/)
        assert.isBelow(message.length, 500)
      }
    },
    { arbitrary: { runs: 300, size: 60 } }
  )

  it("are refused where JavaScript gives what is no text", () => {
    for (const value of [5, null, undefined, {}, [], true]) refusal(Position.decodeCursor(scope, value as never))
    for (const parts of [
      {},
      null,
      [],
      [1, "c", "memory", "store-1", 5, "7"],
      [{ toString: 0 }, "c", "memory", "store-1", "{}", "7"],
      ["2", "c", "memory", "store-1", "{}", "7"],
      [1, "c", "memory", "store-1", "x", "7", "8"]
    ]) {
      refusal(Position.decodeCursor(scope, Base64Url.encode(JSON.stringify(parts)) as Cursor))
    }
  })
})
