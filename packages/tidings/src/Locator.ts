/**
 * The event manager of this process, for code that it cannot be passed to: a plugin, a helper deep in a library, a module
 * that is loaded before the host knows its configuration.
 *
 * **When to use**
 *
 * Hand the manager to your code where you can: what a function needs is then seen in its arguments. Register it where you
 * cannot. It is registered once, where the host begins, and looked up at each use.
 *
 * **Details**
 *
 * - There is one for all copies of this package that a process has loaded, such as the copies of two libraries, or one that
 *   was imported and one that a bundler included. Worker threads and the contexts of `node:vm`, so also each test file of
 *   Jest, have one each.
 * - Registering another one replaces the first. The `Registration` of the first then removes nothing.
 * - A manager of `Tidings.create` is removed when its `close` is called, before anything else, so none is found that
 *   refuses events.
 *
 * **Example** (A helper that records where somebody listens)
 *
 * ```ts
 * import { getEventManager, registerEventManager } from "tidings/Locator"
 * import * as Tidings from "tidings/Tidings"
 * import assert from "node:assert/strict"
 *
 * const restart = async (name: string): Promise<void> => {
 *   await getEventManager()?.createEvent({ kind: "Pod", name }, "Restarted", "it did not answer", "Warning")
 * }
 *
 * await restart("web") // nobody listens yet
 *
 * const tidings = await Tidings.create({ backend: "memory", component: "my-service" })
 * registerEventManager(tidings)
 * await restart("web")
 * assert.equal((await tidings.queryEvents()).totalCount, 1)
 *
 * await tidings.close()
 * assert.equal(getEventManager(), undefined)
 * ```
 *
 * @since 0.2.0
 */
import * as locator from "./internal/locator.ts"
import * as options from "./internal/options.ts"
import { catalogueName } from "./internal/promises/catalogueName.ts"
import type * as Promised from "./Promised.ts"
import { InvalidOptions } from "./Rejection.ts"

/**
 * One registration of an event manager.
 *
 * @category models
 * @since 0.2.0
 */
export interface Registration extends Disposable {
  /** What was registered before, and is not any more: register it again where the new one was only for a while. */
  readonly replaced: Promised.Tidings | undefined
  /**
   * Removes the manager, and tells whether it did: where another one was registered meanwhile, or the manager was closed,
   * there is nothing to remove. `using` does it at the end of a block.
   */
  readonly remove: () => boolean
}

/**
 * Registers the event manager of this process, in the place of the former one.
 *
 * Throws `InvalidOptions` where it is given what is no event manager, or one whose `close` was called. An object of one's
 * own that has the methods of `Promised.Tidings`, such as one for tests, is taken too; its `close` does not remove it.
 *
 * **Example** (One for a while, as in a test)
 *
 * ```ts
 * import { getEventManager, registerEventManager } from "tidings/Locator"
 * import * as Tidings from "tidings/Tidings"
 * import assert from "node:assert/strict"
 *
 * await using tidings = await Tidings.create({ backend: "memory" })
 * {
 *   using registration = registerEventManager(tidings)
 *   assert.equal(registration.replaced, undefined)
 *   assert.equal(getEventManager(), tidings)
 * }
 * assert.equal(getEventManager(), undefined)
 * ```
 *
 * @category registration
 * @since 0.2.0
 */
export const registerEventManager = (manager: Promised.Tidings): Registration => {
  if (!isManager(manager)) throw refusal(options.show(manager), "what Tidings.create answered")
  if (locator.isClosed(manager)) throw refusal("one that was closed", "one that is open")
  const replaced = locator.current()
  const remove = locator.register(manager)
  return { replaced: replaced === manager ? undefined : replaced, remove, [Symbol.dispose]: () => void remove() }
}

/**
 * The event manager of this process; `undefined` before one is registered, and after it is removed or closed.
 *
 * Given classes of `EventCatalogue.Service`, it is one that was made with these catalogues, and has their methods;
 * `undefined` also where the one that is registered has not.
 *
 * **Example** (With a catalogue of the host's own)
 *
 * ```ts
 * import * as EventCatalogue from "@tidings/core/EventCatalogue"
 * import { getEventManager, registerEventManager } from "tidings/Locator"
 * import * as Tidings from "tidings/Tidings"
 * import assert from "node:assert/strict"
 *
 * class Orders extends EventCatalogue.Service<Orders>()("shop/Orders", {
 *   Order: {
 *     apiVersion: "shop.example.com/v1",
 *     reasons: { OrderPlaced: { meaning: "A customer placed it.", message: "Order {{.Name}} was placed" } }
 *   }
 * }) {}
 *
 * await using tidings = await Tidings.create({ backend: "memory", catalogues: [Orders] })
 * registerEventManager(tidings)
 * await getEventManager(Orders)?.orders.orderEvent({ metadata: { name: "o-17" } }, "OrderPlaced")
 * assert.equal((await tidings.queryEvents()).events[0]?.event.message, "Order o-17 was placed")
 * ```
 *
 * @category registration
 * @since 0.2.0
 */
export const getEventManager = <const Cs extends ReadonlyArray<Promised.Catalogue> = readonly []>(
  ...catalogues: Cs
): (Promised.Tidings & Promised.Catalogues<Cs>) | undefined => {
  const manager = locator.current()
  return manager !== undefined && catalogues.every((catalogue) => has(manager, catalogue)) ? manager : undefined
}

/** A look-up never throws: what is not a catalogue is a catalogue that the manager does not have. */
const has = (manager: Promised.Tidings, catalogue: Partial<Promised.Catalogue> | undefined): boolean =>
  typeof catalogue?.key === "string" && Object.hasOwn(manager, catalogueName(catalogue.key))

// What every version of the promise API has: another copy of the package may be older or newer than this one.
const METHODS = ["createEvent", "createEventWithData", "queryEvents", "watchEvents", "status", "close"] as const

const isManager = (given: unknown): given is Promised.Tidings => {
  if (typeof given !== "object" || given === null) return false
  const manager = given as Readonly<Record<string, unknown>>
  return METHODS.every((method) => typeof manager[method] === "function")
}

const refusal = (found: string, expected: string): InvalidOptions =>
  new InvalidOptions({ issues: [{ field: "manager", found, expected }] })
