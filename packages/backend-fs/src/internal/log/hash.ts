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

/**
 * Another hash of bytes, for what is kept in memory only: its two halves do not wait for each other, so it takes half the time.
 *
 * @internal
 */
export const quickHashOf = (view: DataView, start: number, end: number): number => {
  let one = end - start
  let other = 0x27d4eb2f
  let at = start
  for (; at + 8 <= end; at += 8) {
    one = Math.imul(one ^ view.getInt32(at, true), 0x9e3779b1)
    other = Math.imul(other ^ view.getInt32(at + 4, true), 0x85ebca6b)
    one ^= one >>> 15
    other ^= other >>> 15
  }
  if (at + 4 <= end) {
    one = Math.imul(one ^ view.getInt32(at, true), 0x9e3779b1)
    one ^= one >>> 15
    at += 4
  }
  for (; at < end; at++) one = Math.imul(one ^ view.getUint8(at), 0x85ebca6b)
  one = Math.imul(one ^ (one >>> 13) ^ other, 0xc2b2ae35)
  return one ^ (one >>> 16)
}
