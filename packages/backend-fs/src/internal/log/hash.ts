/**
 * A hash of bytes, four at a time: the hash of a `Map` of texts takes longer than all else that is done with a line.
 *
 * @internal
 */
export const hashOf = (view: DataView, start: number, end: number): number => {
  let hash = end - start
  let at = start
  for (; at + 4 <= end; at += 4) {
    hash = Math.imul(hash ^ view.getInt32(at, true), 0x9e3779b1)
    hash ^= hash >>> 15
  }
  for (; at < end; at++) hash = Math.imul(hash ^ view.getUint8(at), 0x85ebca6b)
  return hash ^ (hash >>> 13)
}
