/**
 * A cache of a bounded number of values, which drops those that were not used for longest, about.
 *
 * For what is costly to make and comes again and again, such as the validated reference or the encoded bytes of an object.
 *
 * @since 0.2.0
 */

/**
 * Keeps at least the `capacity` keys that were used last, and at most twice as many.
 *
 * There are two generations. What is found in the older one moves to the younger one, and when that is full the older one is
 * dropped. So a look-up of a key that is in use costs no more than that of a `Map`, and keys in turn never drop each other as
 * long as there are not more of them than the capacity.
 *
 * **Example** (What was used stays)
 *
 * ```ts
 * import { BoundedCache } from "@tidings/core/BoundedCache"
 * import assert from "node:assert/strict"
 *
 * const cache = new BoundedCache<string, number>(2)
 * cache.set("a", 1)
 * for (const key of ["b", "c", "d"]) {
 *   cache.set(key, 0)
 *   assert.equal(cache.get("a"), 1)
 * }
 * assert.equal(cache.get("b"), undefined)
 * ```
 *
 * @category models
 * @since 0.2.0
 */
export class BoundedCache<in out K, in out V> {
  /** The number of keys that are kept in any case; from 1. */
  readonly capacity: number
  private young = new Map<K, V>()
  private old = new Map<K, V>()

  constructor(capacity: number) {
    this.capacity = Math.max(1, capacity)
  }

  /** The value of a key; `undefined` where it is not, or no longer, there. */
  get(key: K): V | undefined {
    const value = this.young.get(key)
    if (value !== undefined) return value
    const older = this.old.get(key)
    if (older !== undefined) this.set(key, older)
    return older
  }

  set(key: K, value: V): void {
    if (this.young.size >= this.capacity && !this.young.has(key)) {
      this.old = this.young
      this.young = new Map()
    }
    this.young.set(key, value)
  }

  /** Number of keys that are kept, where one that is in both generations counts twice. */
  get size(): number {
    return this.young.size + this.old.size
  }
}
