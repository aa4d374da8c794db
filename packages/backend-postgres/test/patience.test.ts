import { assert, describe, it } from "@effect/vitest"
import { BackendError, Transient, Unavailable } from "@tidings/core/BackendError"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { patiently } from "../src/internal/watching.ts"

const away = new BackendError({ reason: new Transient({ applied: "no", detail: "away" }) })
const missing = new BackendError({ reason: new Unavailable({ detail: "no such database" }) })

/** Reads that take 10 seconds to fail, as those of a server that does not answer. */
const slowly = (counts: { reads: number }, error: BackendError) =>
  Effect.suspend(() => {
    counts.reads++
    return Effect.andThen(Effect.sleep("10 seconds"), Effect.fail(error))
  })

describe("a watch that goes on through failures", () => {
  it.effect("gives up a minute after the first failure, however long each read takes", () =>
    Effect.gen(function* () {
      const counts = { reads: 0 }
      const reading = yield* Effect.forkChild(Effect.flip(patiently(slowly(counts, away))))
      yield* TestClock.adjust("69 seconds")
      assert.isUndefined(reading.pollUnsafe())
      yield* TestClock.adjust("11 seconds")
      assert.strictEqual(yield* Fiber.join(reading), away)
      assert.strictEqual(counts.reads, 7)
    })
  )

  it.effect("gives up at once where the failure will not pass by itself", () =>
    Effect.gen(function* () {
      const counts = { reads: 0 }
      const reading = yield* Effect.forkChild(Effect.flip(patiently(slowly(counts, missing))))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(reading), missing)
      assert.strictEqual(counts.reads, 1)
    })
  )
})
