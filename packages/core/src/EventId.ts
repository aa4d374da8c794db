/**
 * The identity of an event, assigned once, at acceptance.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Hex from "effect/encoding/Hex"
import * as Option from "effect/Option"
import * as fingerprint from "./internal/fingerprint.ts"

/**
 * The accepting origin and its sequence number.
 *
 * The identity of the first occurrence identifies the whole series, and the name of the object in the backend is derived
 * from it. So a write that is retried can never create a second object.
 *
 * An origin belongs to one opening of a journal, or to one recorder without a journal. Each opening generates its own, and a
 * series has occurrences of one origin only. So a copy of a journal, or one that was restored from a backup, has the same
 * identities as the original for what both contain, and never assigns one that the original assigns to another event.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventId {
  /** 32 hexadecimal digits, generated at each opening. For events of other writers, the uid that their backend assigned. */
  readonly origin: string
  /**
   * The position in the journal. It starts at 1 and grows by one with each event, also from one opening to the next, so the
   * first event of an origin may have any number. 0 for events of other writers.
   */
  readonly seq: number
}

/**
 * The identity as text, `<origin>.<seq>`: what the command prints and takes.
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (id: EventId): string => `${id.origin}.${id.seq}`

/**
 * Reads the text of an identity; `undefined` where the text is not one. An origin is printable ASCII without blanks.
 *
 * **Example**
 *
 * ```ts
 * import * as EventId from "@tidings/core/EventId"
 * import assert from "node:assert/strict"
 *
 * const id = { origin: "00000000000000000000000000000001", seq: 7 }
 * assert.deepEqual(EventId.parse(EventId.format(id)), id)
 * assert.equal(EventId.parse("7"), undefined)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (text: string): EventId | undefined => {
  const match = /^([!-~]+)\.(0|[1-9]\d{0,15})$/.exec(text)
  if (match === null) return undefined
  const seq = Number(match[2])
  return Number.isSafeInteger(seq) ? { origin: match[1]!, seq } : undefined
}

/**
 * Generates an origin: 128 random bits as 32 hexadecimal digits.
 *
 * The bits come from `SecureRandom` of `effect/crypto` where the host provides it (a test provides a fixed one), else
 * from Web Crypto.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeOrigin: Effect.Effect<string> = Effect.gen(function* () {
  const provided = yield* Effect.serviceOption(SecureRandom.SecureRandom)
  const random = Option.isSome(provided)
    ? provided.value
    : yield* Effect.provide(SecureRandom.SecureRandom, SecureRandom.layerWebCrypto)
  return Hex.encode(yield* random.randomBytes(16))
})

/**
 * The origin of a series that continues another one for a replaced object: 32 hexadecimal digits that depend only on the
 * arguments, so that a write that is retried has the same identity.
 *
 * For backends that keep the events of an object apart from those of the object that replaced it under the same name.
 *
 * **Example**
 *
 * ```ts
 * import * as EventId from "@tidings/core/EventId"
 * import assert from "node:assert/strict"
 *
 * const origin = "00000000000000000000000000000001"
 * const derived = EventId.derivedOrigin(origin, "5f0c9a3e-8a55-4a57-9b1c-6c8f0a3d2b11")
 * assert.match(derived, /^[0-9a-f]{32}$/)
 * assert.notEqual(derived, EventId.derivedOrigin(origin, "another uid"))
 * ```
 *
 * @category conversions
 * @since 0.2.0
 */
export const derivedOrigin = (origin: string, uid: string): string => fingerprint.hexadecimal(`${origin} ${uid}`)

const MAXIMUM_NAME = 253
const HEXADECIMAL_ORIGIN = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/

// Only identities of other writers have origins of another form; for these any hash of 64 bits will do.
const spread = (text: string): string => {
  let high = 0x811c9dc5
  let low = 0x1b873593
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    high = Math.imul(high ^ unit, 0x01000193)
    low = Math.imul(low ^ unit, 0x5bd1e995) ^ (high >>> 15)
  }
  return (high >>> 0).toString(16).padStart(8, "0") + (low >>> 0).toString(16).padStart(8, "0")
}

// A backend names many events of one origin in a row.
let lastOrigin: string | undefined
let lastShort = ""

const shortOrigin = (origin: string): string => {
  if (origin !== lastOrigin) {
    lastShort = HEXADECIMAL_ORIGIN.test(origin) ? origin.replaceAll("-", "").slice(0, 16) : spread(origin)
    lastOrigin = origin
  }
  return lastShort
}

const sanitise = (name: string): string =>
  /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/.test(name)
    ? name
    : name
        .toLowerCase()
        .replace(/[^-a-z0-9.]+/g, "-")
        .replace(/-*\.[-.]*/g, ".")
        .replace(/^[-.]+|[-.]+$/g, "") || "event"

/**
 * The name of the event object for an identity: `<object>.<64 bits of the origin>.<seq in base 36>`, a DNS-1123
 * subdomain of at most 253 characters, which both Kubernetes event APIs take.
 *
 * It depends only on its arguments, so a write that is retried finds the same object.
 *
 * **Example**
 *
 * ```ts
 * import * as EventId from "@tidings/core/EventId"
 * import assert from "node:assert/strict"
 *
 * const id = { origin: "0123456789abcdef0123456789abcdef", seq: 36 }
 * assert.equal(EventId.objectName(id, "web"), "web.0123456789abcdef.10")
 * assert.equal(EventId.objectName(id, "system:Node"), "system-node.0123456789abcdef.10")
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const objectName = (id: EventId, involvedObjectName: string): string => {
  const suffix = `.${shortOrigin(id.origin)}.${id.seq.toString(36)}`
  const stem = sanitise(involvedObjectName)
  const room = MAXIMUM_NAME - suffix.length
  return (stem.length > room ? stem.slice(0, room).replace(/[-.]+$/, "") : stem) + suffix
}
