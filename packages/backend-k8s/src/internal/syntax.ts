/**
 * What the API server takes as names, and the cutting of texts by bytes.
 */

const LABEL = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/
const SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/
const NAME_PART = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/

/**
 * The name of a namespace: a DNS-1123 label.
 *
 * @internal
 */
export const isNamespaceName = (text: string): boolean => text.length <= 63 && LABEL.test(text)

/**
 * `[<DNS-1123 subdomain>/]<name>`: the key of a label, and what `reportingComponent` must be.
 *
 * @internal
 */
export const isQualifiedName = (text: string): boolean => {
  const slash = text.indexOf("/")
  const name = text.slice(slash + 1)
  if (name.length > 63 || !NAME_PART.test(name)) return false
  if (slash === -1) return true
  const prefix = text.slice(0, slash)
  return prefix.length <= 253 && SUBDOMAIN.test(prefix)
}

/** @internal */
export const isLabelValue = (text: string): boolean => text === "" || (text.length <= 63 && NAME_PART.test(text))

/**
 * Marks where a text was cut. Three bytes of UTF-8.
 *
 * @internal
 */
export const CUT_MARK = "…"

/** @internal */
export const byteLength = (text: string): number => Buffer.byteLength(text)

const encoder = new TextEncoder()

/**
 * The text in at most `limit` bytes of UTF-8, cut between code points and marked.
 *
 * @internal
 */
export const cut = (text: string, limit: number): string => {
  if (text.length * 3 <= limit || byteLength(text) <= limit) return text
  const { read } = encoder.encodeInto(text, new Uint8Array(limit - byteLength(CUT_MARK)))
  return text.slice(0, read) + CUT_MARK
}
