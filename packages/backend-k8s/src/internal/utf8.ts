/**
 * Texts by their length in UTF-8, in which the API server counts.
 */

/** Marks where a text was cut. Three bytes of UTF-8. */
const CUT_MARK = "…"

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
