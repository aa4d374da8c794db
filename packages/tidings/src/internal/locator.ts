/**
 * The one place of this process where the event manager is registered.
 *
 * It is a property of `globalThis`, so that every copy of the package that is loaded finds it. Its key has the version of
 * its shape, which all copies of that version share: what is below may only change with a new version.
 *
 * @internal
 */
import type * as Promised from "../Promised.ts"

interface Registered {
  readonly manager: Promised.Tidings
}

interface Place {
  registered: Registered | undefined
  /** Managers that were closed, which must not be registered again. */
  readonly closed: WeakSet<object>
}

const KEY = Symbol.for("tidings/event-manager/1")

const place = (): Place => {
  const all = globalThis as { [KEY]?: Place }
  const found = all[KEY]
  if (found !== undefined) return found
  const made: Place = { registered: undefined, closed: new WeakSet() }
  // Not enumerable, so that a program that lists its globals does not meet it.
  Object.defineProperty(all, KEY, { value: made })
  return made
}

/** @internal */
export const current = (): Promised.Tidings | undefined => place().registered?.manager

/** @internal */
export const isClosed = (manager: object): boolean => place().closed.has(manager)

/**
 * Registers, and returns what removes exactly this registration.
 *
 * @internal
 */
export const register = (manager: Promised.Tidings): (() => boolean) => {
  const registered: Registered = { manager }
  place().registered = registered
  return () => {
    const found = place()
    if (found.registered !== registered) return false
    found.registered = undefined
    return true
  }
}

/**
 * For a manager whose `close` is called.
 *
 * @internal
 */
export const closed = (manager: Promised.Tidings): void => {
  const found = place()
  found.closed.add(manager)
  if (found.registered?.manager === manager) found.registered = undefined
}
