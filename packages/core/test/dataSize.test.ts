import { assert, describe, it } from "@effect/vitest"
import * as EventJson from "@tidings/core/EventJson"
import type { EventData } from "@tidings/core/EventData"
import * as EventManager from "@tidings/core/EventManager"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as dataSize from "../src/internal/dataSize.ts"
import { anyOf, anyText, integer } from "./support/arbitraries.ts"

const bytesOf = (data: EventData) => Buffer.byteLength(JSON.stringify(EventJson.dataToObject(data)))

describe("the data of an event", () => {
  it("is the same object while it is small enough", () => {
    const data = { name: "web", error: "x".repeat(60_000), arguments: { list: [1, 2, 3] } }
    assert.strictEqual(dataSize.bound(data), data)
  })

  it("has its largest texts cut first, with a mark, and keeps the others", () => {
    const bounded = dataSize.bound({
      name: "web",
      error: "ä".repeat(100_000),
      stepId: "build",
      duration: 1_500_000_000,
      allowFailure: true,
      arguments: { stdout: "x".repeat(50_000), short: "here" }
    })
    assert.strictEqual(Buffer.byteLength(bounded.error!), dataSize.MAXIMUM_TEXT - 1)
    assert.isTrue(bounded.error!.endsWith("ä…"))
    assert.deepInclude(bounded, { name: "web", stepId: "build", duration: 1_500_000_000, allowFailure: true })
    assert.strictEqual((bounded.arguments!["stdout"] as string).length, 50_000)
    assert.strictEqual(bounded.arguments!["short"], "here")
  })

  it("has lists and objects that are too large replaced by a mark of the same type", () => {
    const list = Array.from({ length: 20_000 }, (_, n) => `tool-${n}`)
    const bounded = dataSize.bound({ toolNames: list, arguments: { nested: { list } } })
    assert.deepStrictEqual(bounded, { toolNames: ["…"], arguments: { nested: "…" } })
  })

  it("has the number of values that were left out, where there are too many", () => {
    const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`key-${n}`, n]))
    const bounded = dataSize.bound({ name: "web", arguments: many })
    const told = bounded["…"] as string
    assert.match(told, /^\d+ more$/)
    assert.isAtMost(bytesOf(bounded), dataSize.MAXIMUM_DATA)
    assert.strictEqual(bounded.name, "web")
    const kept = Object.keys(bounded.arguments!).length
    assert.isAbove(kept, 1_000)
    assert.strictEqual(kept + Number.parseInt(told, 10), 20_000)
  })

  const large = Arbitrary.map(
    Arbitrary.all({
      text: anyText,
      times: anyOf([0, 1, 500, 20_000]),
      keys: integer(0, 40),
      width: anyOf([1, 50, 3_000]),
      list: anyOf([0, 3, 4_000])
    }),
    ({ keys, list, text, times, width }): EventData => ({
      name: "web",
      error: text.toWellFormed().repeat(Math.ceil(times / Math.max(1, text.length))),
      stepCount: keys,
      toolNames: Array.from({ length: list }, (_, n) => `${text.toWellFormed()}-${n}`),
      arguments: Object.fromEntries(
        Array.from({ length: keys }, (_, n) => [`key-${n}`, `${text.toWellFormed()}${"\u0001".repeat(width)}`])
      )
    })
  )

  it.effect("always fits in 64 KiB of JSON, and equal data is always shortened in the same way", () =>
    Effect.gen(function* () {
      // `npm run test:slow` takes all of them.
      const runs = process.env["TIDINGS_TESTS"] === "slow" ? 300 : 90
      let bounded = 0
      const result = yield* Arbitrary.checkEffect(
        large,
        (data) =>
          Effect.try({
            try: () => {
              const before = JSON.stringify(data)
              const made = dataSize.bound(data)
              if (made !== data) bounded++
              assert.isAtMost(bytesOf(made), dataSize.MAXIMUM_DATA)
              assert.deepStrictEqual(made, dataSize.bound(data))
              assert.strictEqual(JSON.stringify(data), before, "the caller's data was changed")
              assert.strictEqual(dataSize.bound(made), made)
              assert.strictEqual(made.stepCount, data.stepCount)
              return true
            },
            catch: (error) => error
          }),
        { runs, size: 60, seed: "data" }
      )
      assert.isUndefined(Arbitrary.formatCheckFailure(result))
      assert.isAbove(bounded, runs / 6)
    })
  )

  it.effect("is shortened at acceptance, for every backend", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      yield* manager.createEventWithData({ kind: "Pod", name: "web" }, "Failed", { error: "e".repeat(2_000_000) })
      const page = yield* manager.queryEvents()
      assert.isAtMost(bytesOf(page.events[0]!.event.data), dataSize.MAXIMUM_DATA)
      assert.isTrue(page.events[0]!.event.data.error!.endsWith("…"))
    }).pipe(Effect.provide(EventManager.layerMemory()))
  )
})
