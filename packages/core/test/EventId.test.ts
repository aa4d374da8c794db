import * as EventId from "@tidings/core/EventId"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SecureRandom from "effect/crypto/SecureRandom"
import { anyOf, anyText, integer, oneOf } from "./support/arbitraries.ts"

const hexadecimal = Arbitrary.schema(Schema.String.check(Schema.isPattern(/^[0-9a-f]{32}$/)))
const uid = Arbitrary.schema(
  Schema.String.check(Schema.isPattern(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/))
)
const origin = oneOf(hexadecimal, uid, anyText)
const seq = oneOf(integer(0, 100), integer(0, Number.MAX_SAFE_INTEGER))
const name = oneOf(
  anyText,
  anyOf([
    "web",
    "system:Node",
    "..",
    "-",
    "a".repeat(300),
    `${"a".repeat(230)}-.-.-b`,
    "İstanbul",
    "a..b",
    "A.-B",
    "ß",
    "."
  ])
)
const SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/
const many = { arbitrary: { runs: 500, size: 300 } }

describe("objectName", () => {
  it("gives a valid name for the first identity of a process", () => {
    assert.match(EventId.objectName({ origin: "", seq: 1 }, "web"), /^web\.[0-9a-f]{16}\.1$/)
  })

  it.prop(
    "gives a DNS-1123 subdomain of at most 253 characters, and always the same one",
    { origin, seq, name },
    ({ name, origin, seq }) => {
      const made = EventId.objectName({ origin, seq }, name)
      assert.match(made, SUBDOMAIN)
      assert.isAtMost(made.length, 253)
      EventId.objectName({ origin: "another", seq: 1 }, "between")
      assert.strictEqual(EventId.objectName({ origin, seq }, name), made)
    },
    many
  )

  it.prop(
    "gives different names for different identities, also when the name of the object is cut",
    {
      origins: Arbitrary.array(oneOf(hexadecimal, uid, anyText), { maxLength: 20 }),
      seqs: Arbitrary.array(seq, { maxLength: 20 }),
      name
    },
    ({ name, origins, seqs }) => {
      const ids = new Set<string>()
      const names = new Set<string>()
      for (const origin of origins) {
        for (const seq of seqs) {
          ids.add(EventId.format({ origin, seq }))
          names.add(EventId.objectName({ origin, seq }, name))
        }
      }
      assert.strictEqual(names.size, ids.size)
    },
    { arbitrary: { runs: 100, size: 40 } }
  )

  it("keeps a valid name of an object, and cuts one that is too long", () => {
    const id = { origin: "0123456789abcdef0123456789abcdef", seq: 35 }
    assert.strictEqual(EventId.objectName(id, "web-0.shop"), "web-0.shop.0123456789abcdef.z")
    assert.strictEqual(EventId.objectName(id, "a".repeat(253)), `${"a".repeat(234)}.0123456789abcdef.z`)
    assert.strictEqual(EventId.objectName(id, "..."), "event.0123456789abcdef.z")
    assert.strictEqual(
      EventId.objectName({ origin: "01234567-89ab-4def-8123-456789abcdef", seq: 0 }, "web"),
      "web.0123456789ab4def.0"
    )
  })
})

describe("format and parse", () => {
  it.prop(
    "round-trip every identity that a store assigns",
    { origin: oneOf(hexadecimal, uid, anyOf(["host.example:1", "a.1"])), seq },
    ({ origin, seq }) => assert.deepStrictEqual(EventId.parse(EventId.format({ origin, seq })), { origin, seq }),
    many
  )

  it.prop(
    "refuse every other spelling of an identity",
    { text: anyText, seq },
    ({ seq, text }) => {
      for (const candidate of [text, `${text}.${seq}`, `${seq}`, `.${seq}`, `a.0${seq}`, `a.-${seq}`, `a.${seq}.`]) {
        const read = EventId.parse(candidate)
        if (read !== undefined) assert.strictEqual(EventId.format(read), candidate)
      }
    },
    many
  )

  it.each([
    "",
    ".",
    "a",
    "a.",
    ".1",
    "a.01",
    "a.1.5e3",
    "a.-1",
    "a.9007199254740992",
    "a b.1",
    "\u001b[2J.1",
    "a\n.1",
    "ä.1"
  ])("%j is none", (text) => assert.strictEqual(EventId.parse(text), undefined))
})

describe("makeOrigin", () => {
  it.effect("generates 32 hexadecimal digits, different each time", () =>
    Effect.gen(function* () {
      const origins = new Set<string>()
      for (let n = 0; n < 20; n++) origins.add(yield* EventId.makeOrigin)
      assert.strictEqual(origins.size, 20)
      for (const one of origins) assert.match(one, /^[0-9a-f]{32}$/)
    })
  )

  it.effect("uses the source of randomness that a test provides", () =>
    Effect.gen(function* () {
      const bytes = Uint8Array.from({ length: 16 }, (_, index) => index * 17)
      const random = { ...(yield* SecureRandom.SecureRandom), randomBytes: () => Effect.succeed(bytes) }
      const made = yield* Effect.provideService(EventId.makeOrigin, SecureRandom.SecureRandom, random)
      assert.strictEqual(made, "00112233445566778899aabbccddeeff")
    }).pipe(Effect.provide(SecureRandom.layerWebCrypto))
  )
})
