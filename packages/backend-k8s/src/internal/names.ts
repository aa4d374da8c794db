/**
 * Which names the API server accepts.
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
 * Whether a text can be one segment of a path, as the names of all objects can.
 *
 * @internal
 */
export const isPathSegment = (text: string): boolean =>
  text !== "" && text !== "." && text !== ".." && !/[/%]/.test(text) && text.isWellFormed()
