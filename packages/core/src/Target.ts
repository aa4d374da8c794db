/**
 * Which store a backend writes to and reads from, by the names under which it is known.
 *
 * The same store may be known under a better name later: a cluster by its certificate authority, and, once its uid may be
 * read, by that. So a target has an id and aliases. Cursors, page tokens and journals that were bound to an alias stay
 * valid, and go on under the id.
 *
 * @since 0.2.0
 */

/**
 * The identity of a store.
 *
 * @category models
 * @since 0.2.0
 */
export interface Target {
  /** The best name there is. Cursors and journals are bound to it. */
  readonly id: string
  /** Other names under which the same store was known, or would be if less could be found out about it. */
  readonly aliases: ReadonlyArray<string>
  /**
   * Whether another store could have all of these names, such as an address. Absent: only this store has the id.
   *
   * A store that is known so well is never taken for one that is only known by names that others could have.
   */
  readonly isUncertain?: boolean
  /**
   * Where the store is, when a store that was deleted is begun anew in its place, as an event log is in its directory. Nothing
   * of a deleted store is left to wait for, so what was to be delivered there goes to the one that has its place. Cursors are
   * not bound to it. Absent where another store in the same place is a foreign one.
   */
  readonly place?: string
}

/**
 * Makes a target; an alias that is the id, or stands there twice, is left out.
 *
 * **Example**
 *
 * ```ts
 * import * as Target from "@tidings/core/Target"
 * import assert from "node:assert/strict"
 *
 * assert.deepEqual(Target.make("log-1"), { id: "log-1", aliases: [] })
 * assert.deepEqual(Target.make("uid-1", { aliases: ["authority-1", "uid-1"] }).aliases, ["authority-1"])
 * ```
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (
  id: string,
  options?: {
    readonly aliases?: ReadonlyArray<string> | undefined
    readonly isUncertain?: boolean | undefined
    readonly place?: string | undefined
  }
): Target => {
  const aliases = [...new Set(options?.aliases)].filter((alias) => alias !== id)
  const target = options?.isUncertain === true ? { id, aliases, isUncertain: true } : { id, aliases }
  return options?.place === undefined ? target : { ...target, place: options.place }
}

/**
 * Whether a store is, or was, known under a name: whether what is bound to that name is valid there.
 *
 * @category getters
 * @since 0.2.0
 */
export const isNamed = (target: Target, name: string): boolean => target.id === name || target.aliases.includes(name)

/**
 * Whether the store that is found is the one that was bound earlier.
 *
 * - It is when it is known under the name that was bound: meanwhile more may have been learned about it.
 * - It is when its id is certain and was an alias of what was bound: less can be found out about it now.
 * - Where neither id is certain, it is when they share a name: an address changes, or an authority, but not both at once.
 * - It is when it has its place (`Target.place`).
 * - Otherwise it is another one, or may be one.
 *
 * **Example** (More is known, then less)
 *
 * ```ts
 * import * as Target from "@tidings/core/Target"
 * import assert from "node:assert/strict"
 *
 * const weak = Target.make("address-1", { aliases: ["authority-1"], isUncertain: true })
 * const cluster = Target.make("uid-1", { aliases: ["account-1", "address-1", "authority-1"] })
 * const replaced = Target.make("uid-2", { aliases: ["account-2", "address-1", "authority-1"] })
 *
 * assert.equal(Target.isContinued(weak, cluster), true)
 * assert.equal(Target.isContinued(cluster, Target.make("account-1", { aliases: ["address-1"] })), true)
 * assert.equal(Target.isContinued(cluster, replaced), false)
 * assert.equal(Target.isContinued(cluster, weak), false)
 * ```
 *
 * @category getters
 * @since 0.2.0
 */
export const isContinued = (bound: Target, found: Target): boolean => {
  if (isNamed(found, bound.id) || hasPlaceOf(bound, found)) return true
  if (found.isUncertain !== true) return bound.aliases.includes(found.id)
  return bound.isUncertain === true && (isNamed(bound, found.id) || found.aliases.some((name) => isNamed(bound, name)))
}

const hasPlaceOf = (bound: Target, found: Target): boolean => bound.place !== undefined && bound.place === found.place

/**
 * Whether two backends have one store behind them, as far as their names tell.
 *
 * @category getters
 * @since 0.2.0
 */
export const isSame = (one: Target, other: Target): boolean => isNamed(one, other.id) || isNamed(other, one.id)

/** How many names of a store are remembered at the most: accounts come and go. */
const MAXIMUM_ALIASES = 16

/**
 * What is known of a store that was bound earlier, now that it was found again (`isContinued`): the better id of the two,
 * and the names of both.
 *
 * Of names that other stores could have only those are kept that it has now, so that no chain of them leads elsewhere.
 *
 * @category combining
 * @since 0.2.0
 */
export const learned = (bound: Target, found: Target): Target => {
  if (found.isUncertain === true) return found
  // It is begun anew: of the one before there is nothing left to be found under its names.
  if (!isSame(bound, found) && hasPlaceOf(bound, found)) return found
  const id = isNamed(found, bound.id) ? found.id : bound.id
  const known = bound.isUncertain === true ? [] : bound.aliases
  return make(id, {
    aliases: make(id, { aliases: [found.id, ...found.aliases, bound.id, ...known] }).aliases.slice(0, MAXIMUM_ALIASES),
    place: found.place
  })
}

/**
 * Whether two targets have the same names, so that there is nothing new to be noted.
 *
 * @category getters
 * @since 0.2.0
 */
export const equals = (one: Target, other: Target): boolean =>
  one.id === other.id &&
  one.place === other.place &&
  (one.isUncertain === true) === (other.isUncertain === true) &&
  one.aliases.length === other.aliases.length &&
  one.aliases.every((alias) => other.aliases.includes(alias))
