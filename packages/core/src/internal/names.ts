/**
 * The syntax of names, for catalogues and for acceptance alike, so that everything that is declared can be recorded.
 *
 * @internal
 */
import { CHARACTERS } from "../ControlCharacters.ts"
import { memoize } from "./memoize.ts"
import * as text from "./text.ts"

/**
 * Limits of Kubernetes' Events in bytes of UTF-8: `reason`, `action` and `reportingInstance` 128, `note` (which is the
 * message) 1024; and of the name of any object, 253.
 *
 * @internal
 */
export const LIMITS = { reason: 128, action: 128, reportingInstance: 128, message: 1_024, name: 253 } as const

const matching =
  (pattern: RegExp) =>
  (text: string): boolean =>
    pattern.test(text)

/** @internal */
export const isKind = memoize(matching(/^[A-Za-z][A-Za-z0-9]*$/))

/** @internal */
export const isApiVersion = memoize(
  matching(/^(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/)
)

/**
 * ASCII letters and digits, `-`, `_` and `.`; so its length is its size in bytes.
 *
 * @internal
 */
export const isReason = memoize(matching(/^[A-Za-z](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/))

/** @internal */
export const isNamespace = memoize(matching(/^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/))

// What a terminal or a store would show or keep otherwise: white space, control characters, lone surrogates.
const UNSAFE = String.raw`\s\u00a0\ud800-\udfff${CHARACTERS}`

const SEGMENT = new RegExp(String.raw`^(?!\.{1,2}$)[^/%${UNSAFE}]+$`, "u")

// Objects outside of a cluster may have other names than Kubernetes allows: `io.github.acme/search`, `Weather (staging)`.
// Blanks and slashes are allowed only inside, where they are visible.
const OBJECT_NAME = new RegExp(String.raw`^(?!\.{1,2}$)(?![ /])(?:[^${UNSAFE}]| )+(?<![ /])$`, "u")

/**
 * The name of an object: at most 253 bytes. Not every store accepts each of them as the name of its own objects:
 * `EventId.objectName` derives one that every store accepts.
 *
 * @internal
 */
export const isName = memoize(
  (name) =>
    name.length <= LIMITS.name &&
    OBJECT_NAME.test(name) &&
    (name.length * 3 <= LIMITS.name || text.byteLength(name) <= LIMITS.name)
)

/** @internal */
export const isUid = (uid: string): boolean => uid.length <= 128 && SEGMENT.test(uid)

const QUALIFIED_NAME =
  /^(?:([a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*)\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

/**
 * A qualified name of Kubernetes, for keys of labels and names of controllers: at most 63 characters, after an optional
 * prefix of at most 253 characters and a slash.
 *
 * @internal
 */
export const isQualifiedName = memoize((name) => {
  const match = QUALIFIED_NAME.exec(name)
  return match !== null && (match[1] ?? "").length <= 253
})

/** @internal */
export const isLabelValue = memoize(matching(/^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/))

/**
 * What is wrong with the name of a reason that is declared; `undefined` when it is valid.
 *
 * The reason of an event is cut at the limit. A declared one must fit, because a cut one would not be found.
 *
 * @internal
 */
export const reasonFault = (reason: string): string | undefined => {
  if (text.byteLength(reason) > LIMITS.reason) {
    return `the name has ${text.byteLength(reason)} bytes, expected at most ${LIMITS.reason}`
  }
  if (!isReason(reason)) {
    return "expected a word that begins with a letter, such as OrderPlaced: letters, digits, - _ ."
  }
  return undefined
}

/**
 * The name of a kind's method: `Order` → `orderEvent`, `MCPServer` → `mcpServerEvent`. The type is `Catalogue.MethodName`.
 *
 * @internal
 */
export const methodName = (kind: string): string =>
  `${kind.replace(/^(?:[A-Z]+(?![a-z])|[A-Z])/, (start) => start.toLowerCase())}Event`
