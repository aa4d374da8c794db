// A host that has the package twice, each with dependencies of its own, as two libraries of different versions bring it.
// Writes one word to stdout, at the end.
"use strict"
const assert = require("node:assert/strict")
const { cpSync, existsSync } = require("node:fs")
const path = require("node:path")

const modules = path.join(__dirname, "node_modules")
const second = path.join(modules, "second-tidings")
if (!existsSync(second)) {
  cpSync(path.join(modules, "tidings"), second, { recursive: true })
  for (const name of ["@tidings", "effect"]) {
    cpSync(path.join(modules, name), path.join(second, "node_modules", name), { recursive: true })
  }
}

const load = (name) => ({
  Locator: require(`${name}/Locator`),
  Rejection: require(`${name}/Rejection`),
  Tidings: require(`${name}/Tidings`)
})

const run = async () => {
  const [one, other] = [load("tidings"), load("second-tidings")]
  assert.notEqual(one.Tidings.create, other.Tidings.create)
  assert.notEqual(one.Rejection.InvalidOptions, other.Rejection.InvalidOptions)

  const tidings = await one.Tidings.create({ backend: "memory", component: "host" })
  const registration = one.Locator.registerEventManager(tidings)
  const found = other.Locator.getEventManager()
  assert.equal(found, tidings)
  await found.createEvent({ kind: "Pod", name: "web" }, "Started", "it runs", "Normal")
  assert.equal((await tidings.queryEvents()).totalCount, 1)

  const theirs = await other.Tidings.create({ backend: "memory", logger: false })
  assert.equal(other.Locator.registerEventManager(theirs).replaced, tidings)
  assert.equal(registration.remove(), false)
  assert.equal(one.Locator.getEventManager(), theirs)
  await theirs.close()
  assert.equal(one.Locator.getEventManager(), undefined)
  await tidings.close()
  try {
    other.Locator.registerEventManager(tidings)
    assert.fail("a closed manager was registered")
  } catch (error) {
    assert.ok(one.Rejection.is(error), String(error))
  }
  console.log("done")
}

run().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
