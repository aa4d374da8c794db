/**
 * What the names in a catalogue may look like. The same as acceptance asks of an event, so that whatever is declared can
 * be recorded.
 *
 * @internal
 */
import * as text from "./text.ts"

/** @internal */
export const KIND = /^[A-Za-z][A-Za-z0-9]*$/

/** @internal */
export const API_VERSION = /^(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/

const REASON = /^[A-Za-z](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/

// Kubernetes' limit on the reason of an Event, in bytes of UTF-8. An event's reason is cut there, a declared one must fit:
// what is cut would never find its message.
const MAXIMUM_REASON = 128

/**
 * What is wrong with the name of a reason, `undefined` when nothing is.
 *
 * @internal
 */
export const reasonFault = (reason: string): string | undefined => {
  if (text.byteLength(reason) > MAXIMUM_REASON) {
    return `the name has ${text.byteLength(reason)} bytes, expected at most ${MAXIMUM_REASON}`
  }
  if (!REASON.test(reason)) {
    return "expected a word that begins with a letter, such as OrderPlaced: letters, digits, - _ ."
  }
  return undefined
}
