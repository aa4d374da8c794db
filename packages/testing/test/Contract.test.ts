import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as Contract from "@tidings/testing/Contract"
import type { ContractViolation } from "@tidings/testing/ContractViolation"
import { Effect, Exit, Fiber, Result } from "effect"
import { TestClock } from "effect/testing"
import * as LogBackend from "./fixtures/LogBackend.ts"
import { mutants } from "./fixtures/mutants.ts"

const sound: Contract.Options = {
  reopenable: LogBackend.reopenable(),
  other: LogBackend.layer(),
  forgetful: { layer: LogBackend.layer({ keep: 10 }), series: 10 }
}

/**
 * What a check finds; `undefined` when it passes. Nothing here waits for the world outside, so a check that has not ended
 * after so many turns of the scheduler never will: the clock then makes it give up.
 */
const finding = (check: Contract.Check): Effect.Effect<ContractViolation | undefined> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.result(check.effect), { startImmediately: true })
    for (let turn = 0; turn < 20_000 && fiber.pollUnsafe() === undefined; turn++) yield* Effect.yieldNow
    if (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("1 hour")
    const exit = yield* Fiber.await(fiber)
    const result = Exit.isSuccess(exit) ? exit.value : yield* exit
    return Result.isFailure(result) ? result.failure : undefined
  })

describe("Contract.checks", () => {
  const names = Contract.checks(LogBackend.layer(), sound).map(({ name }) => name)

  it("gives each check a distinct name", () => {
    assert.strictEqual(new Set(names).size, names.length)
  })

  it("leaves out what the options do not offer", () => {
    const basic = Contract.checks(Backend.layerMemory()).map(({ name }) => name)
    const more = names.filter((name) => !basic.includes(name))
    assert.strictEqual(basic.length + more.length, names.length)
    assert.strictEqual(more.length, 7)
  })

  it("has for each check a backend that fails it", () => {
    const caught = new Set(mutants.flatMap(({ caughtBy }) => caughtBy))
    assert.deepStrictEqual(
      names.filter((name) => !caught.has(name)),
      []
    )
    assert.deepStrictEqual(
      [...caught].filter((name) => !names.includes(name)),
      []
    )
  })
})

describe("a backend with one defect fails the contract", () => {
  for (const { caughtBy, layer, name, options } of mutants) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const checks = Contract.checks(layer, options)
        for (const by of caughtBy) {
          const check = checks.find((one) => one.name === by)
          assert.isDefined(check, `no check is called "${by}"`)
          const found = yield* finding(check)
          assert.isDefined(found, `"${by}" finds nothing`)
          assert.strictEqual(found.check, by)
        }
      })
    )
  }
})
