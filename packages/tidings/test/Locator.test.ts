import * as EventCatalogue from "@tidings/core/EventCatalogue"
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { runInNewContext } from "node:vm"
import { Worker } from "node:worker_threads"
import * as Locator from "tidings/Locator"
import type * as Promised from "tidings/Promised"
import * as Rejection from "tidings/Rejection"
import * as Tidings from "tidings/Tidings"
import { afterAll, afterEach, assert, beforeAll, describe, expectTypeOf, it } from "vitest"

const open = () => Tidings.create({ backend: "memory", logger: false })

class Orders extends EventCatalogue.Service<Orders>()("shop/Orders", {
  Order: {
    apiVersion: "shop.example.com/v1",
    reasons: { OrderPlaced: { meaning: "A customer placed it.", message: "Order {{.Name}} was placed" } }
  }
}) {}

class Bills extends EventCatalogue.Service<Bills>()("shop/Bills", {
  Bill: {
    apiVersion: "shop.example.com/v1",
    reasons: { BillSent: { meaning: "It was sent.", message: "Bill {{.Name}} was sent" } }
  }
}) {}

const opened: Array<Promised.Tidings> = []
const manager = async (): Promise<Promised.Tidings> => {
  const made = await open()
  opened.push(made)
  return made
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
  assert.isUndefined(Locator.getEventManager(), "something is registered after all managers are closed")
})

describe("registerEventManager", () => {
  it("makes a manager found, where none was before", async () => {
    assert.isUndefined(Locator.getEventManager())
    const first = await manager()
    const registration = Locator.registerEventManager(first)
    assert.isUndefined(registration.replaced)
    assert.strictEqual(Locator.getEventManager(), first)
  })

  it("replaces the former manager and tells which it was", async () => {
    const [first, second] = [await manager(), await manager()]
    Locator.registerEventManager(first)
    const registration = Locator.registerEventManager(second)
    assert.strictEqual(registration.replaced, first)
    assert.strictEqual(Locator.getEventManager(), second)
  })

  it("returns what removes the manager, once", async () => {
    const registration = Locator.registerEventManager(await manager())
    assert.isTrue(registration.remove())
    assert.isUndefined(Locator.getEventManager())
    assert.isFalse(registration.remove())
  })

  it("returns what removes nothing after another manager was registered", async () => {
    const [first, second] = [await manager(), await manager()]
    const registration = Locator.registerEventManager(first)
    Locator.registerEventManager(second)
    assert.isFalse(registration.remove())
    assert.strictEqual(Locator.getEventManager(), second)
  })

  it("returns what removes nothing after the same manager was registered again", async () => {
    const first = await manager()
    const registration = Locator.registerEventManager(first)
    const again = Locator.registerEventManager(first)
    assert.isUndefined(again.replaced)
    assert.isFalse(registration.remove())
    assert.strictEqual(Locator.getEventManager(), first)
    assert.isTrue(again.remove())
  })

  it("registers for a block with using", async () => {
    const first = await manager()
    {
      using registration = Locator.registerEventManager(first)
      assert.isUndefined(registration.replaced)
      assert.strictEqual(Locator.getEventManager(), first)
    }
    assert.isUndefined(Locator.getEventManager())
  })

  it("takes an object of the host's own with the methods of the promise API", async () => {
    const real = await manager()
    const double: Promised.Tidings = { ...real }
    const registration = Locator.registerEventManager(double)
    assert.strictEqual(Locator.getEventManager(), double)
    // Only the manager itself is removed when it is closed.
    await real.close()
    assert.strictEqual(Locator.getEventManager(), double)
    registration.remove()
  })

  it.each([
    ["undefined", undefined],
    ["null", null],
    ["a text", "tidings"],
    ["the class of a service", Orders],
    ["a promise of a manager that was not awaited", Promise.resolve()],
    ["an object without createEvent", { close: () => Promise.resolve(), queryEvents: () => Promise.resolve() }]
  ])("refuses %s, and leaves what is registered", async (_, given) => {
    const first = await manager()
    Locator.registerEventManager(first)
    try {
      Locator.registerEventManager(given as never)
      assert.fail("expected an error")
    } catch (error) {
      assert.isTrue(Rejection.is(error))
      assert.instanceOf(error, Rejection.InvalidOptions)
      assert.strictEqual(error.issues[0]?.field, "manager")
      assert.strictEqual(error.issues[0]?.expected, "what Tidings.create answered")
    }
    assert.strictEqual(Locator.getEventManager(), first)
  })

  it("refuses a manager that was closed", async () => {
    const first = await manager()
    await first.close()
    assert.throws(
      () => Locator.registerEventManager(first),
      "manager is one that was closed, expected one that is open"
    )
  })
})

describe("close", () => {
  it("removes the registered manager in the turn in which it is called", async () => {
    const first = await manager()
    const registration = Locator.registerEventManager(first)
    const closing = first.close()
    assert.isUndefined(Locator.getEventManager())
    assert.throws(() => Locator.registerEventManager(first))
    await closing
    assert.isFalse(registration.remove())
  })

  it("removes it too where await using closes it", async () => {
    {
      await using tidings = await open()
      Locator.registerEventManager(tidings)
      assert.strictEqual(Locator.getEventManager(), tidings)
    }
    assert.isUndefined(Locator.getEventManager())
  })

  it("leaves a manager that has replaced the closed one", async () => {
    const [first, second] = [await manager(), await manager()]
    Locator.registerEventManager(first)
    Locator.registerEventManager(second)
    await first.close()
    assert.strictEqual(Locator.getEventManager(), second)
  })
})

describe("getEventManager", () => {
  it("has the methods of the catalogues that it is asked for, and their types", async () => {
    await using tidings = await Tidings.create({ backend: "memory", logger: false, catalogues: [Orders] })
    Locator.registerEventManager(tidings)
    const found = Locator.getEventManager(Orders)
    expectTypeOf(found).toEqualTypeOf<(Promised.Tidings & Promised.Catalogues<readonly [typeof Orders]>) | undefined>()
    await found?.orders.orderEvent({ metadata: { name: "o-17" } }, "OrderPlaced")
    assert.strictEqual((await tidings.queryEvents()).events[0]?.event.message, "Order o-17 was placed")
  })

  it("has nothing where the registered manager lacks one of the catalogues", async () => {
    await using tidings = await Tidings.create({ backend: "memory", logger: false, catalogues: [Orders] })
    Locator.registerEventManager(tidings)
    assert.isUndefined(Locator.getEventManager(Orders, Bills))
    assert.strictEqual(Locator.getEventManager(), tidings)
  })

  it.each([
    ["undefined", undefined],
    ["a text", "Orders"],
    ["an object", {}]
  ])("has nothing, and does not throw, where it is asked for %s in the place of a catalogue", async (_, given) => {
    Locator.registerEventManager(await manager())
    assert.isUndefined(Locator.getEventManager(given as never))
  })

  it("has nothing in another thread or another context, which have globals of their own", async () => {
    Locator.registerEventManager(await manager())
    const lookUp = "Reflect.get(globalThis, Symbol.for('tidings/event-manager/1'))?.registered"
    assert.isUndefined(runInNewContext(lookUp))
    const answer = await new Promise((resolve, reject) => {
      const code = `require("node:worker_threads").parentPort.postMessage(${lookUp})`
      new Worker(code, { eval: true }).once("message", resolve).once("error", reject)
    })
    assert.isUndefined(answer)
  })
})

describe("two copies of the package", () => {
  let home: string
  let other: {
    readonly Locator: typeof Locator
    readonly Rejection: typeof Rejection
    readonly Tidings: typeof Tidings
  }
  beforeAll(async () => {
    const root = resolve(import.meta.dirname, "../../..")
    home = mkdtempSync(join(tmpdir(), "tidings-copy-"))
    cpSync(join(root, "packages/tidings/src"), join(home, "src"), { recursive: true })
    symlinkSync(join(root, "node_modules"), join(home, "node_modules"))
    const load = (name: string) => import(pathToFileURL(join(home, "src", `${name}.ts`)).href) as Promise<never>
    other = { Locator: await load("Locator"), Rejection: await load("Rejection"), Tidings: await load("Tidings") }
  })
  afterAll(() => rmSync(home, { recursive: true, force: true }))

  it("are two: no function of one is a function of the other", () => {
    assert.notStrictEqual(other.Locator.getEventManager, Locator.getEventManager)
    assert.notStrictEqual(other.Tidings.create, Tidings.create)
  })

  it("find the manager that the other registered", async () => {
    const ours = await manager()
    Locator.registerEventManager(ours)
    assert.strictEqual(other.Locator.getEventManager(), ours)

    const theirs = await other.Tidings.create({ backend: "memory", logger: false, catalogues: [Orders] })
    opened.push(theirs)
    const registration = other.Locator.registerEventManager(theirs)
    assert.strictEqual(registration.replaced, ours)
    assert.strictEqual(Locator.getEventManager(), theirs)
    await Locator.getEventManager(Orders)?.orders.orderEvent({ metadata: { name: "o-18" } }, "OrderPlaced")
    assert.strictEqual((await theirs.queryEvents()).totalCount, 1)
  })

  it("remove only what they registered themselves", async () => {
    const registration = other.Locator.registerEventManager(await manager())
    const ours = await manager()
    Locator.registerEventManager(ours)
    assert.isFalse(registration.remove())
    assert.strictEqual(other.Locator.getEventManager(), ours)
  })

  it("remove a manager that is closed, whichever of them made it and whichever registered it", async () => {
    const theirs = await other.Tidings.create({ backend: "memory", logger: false })
    Locator.registerEventManager(theirs)
    await theirs.close()
    assert.isUndefined(Locator.getEventManager())
    assert.throws(() => Locator.registerEventManager(theirs), "one that was closed")

    const ours = await open()
    other.Locator.registerEventManager(ours)
    await ours.close()
    assert.isUndefined(other.Locator.getEventManager())
    try {
      other.Locator.registerEventManager(ours)
      assert.fail("expected an error")
    } catch (error) {
      // Each copy has classes of its own, so an error is recognised by its tag.
      assert.isTrue(Rejection.is(error))
    }
  })
})
