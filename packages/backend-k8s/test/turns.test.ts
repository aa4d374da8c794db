import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { Turns } from "../src/internal/turns.ts"

describe("turns", () => {
  /** Starts an effect for each key that ends when it is told to. */
  const started = (turns: Turns, keys: ReadonlyArray<string>) => {
    const begun: Array<number> = []
    return Effect.map(
      Effect.forEach(keys, (key, index) =>
        Effect.gen(function* () {
          const gate = yield* Deferred.make<void>()
          const effect = Effect.andThen(
            Effect.sync(() => begun.push(index)),
            Deferred.await(gate)
          )
          const fiber = yield* Effect.forkChild(turns.take(key, effect), { startImmediately: true })
          return { end: Effect.andThen(Deferred.succeed(gate, undefined), Fiber.await(fiber)), fiber }
        })
      ),
      (all) => ({ all, begun })
    )
  }

  it.effect("let effects of one key run one after the other, and those of others beside them", () =>
    Effect.gen(function* () {
      const { all, begun } = yield* started(new Turns(8), ["a", "b", "a", "a", "c"])
      assert.deepStrictEqual(begun, [0, 1, 4])
      yield* all[0]!.end
      assert.deepStrictEqual(begun, [0, 1, 4, 2])
      yield* all[2]!.end
      assert.deepStrictEqual(begun, [0, 1, 4, 2, 3])
    })
  )

  it.effect("let no more than their number run at once, in the order in which they came", () =>
    Effect.gen(function* () {
      const { all, begun } = yield* started(new Turns(2), ["a", "b", "c", "a", "d"])
      assert.deepStrictEqual(begun, [0, 1])
      yield* all[1]!.end
      assert.deepStrictEqual(begun, [0, 1, 2])
      yield* all[0]!.end
      yield* all[2]!.end
      assert.deepStrictEqual(begun, [0, 1, 2, 3, 4])
    })
  )

  it.effect("pass on the turn of an effect that fails, dies or is interrupted", () =>
    Effect.gen(function* () {
      const turns = new Turns(1)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(turns.take("a", Effect.fail("no")))))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(turns.take("a", Effect.die("no")))))
      const { all, begun } = yield* started(turns, ["a", "b", "c"])
      yield* Fiber.interrupt(all[0]!.fiber)
      assert.deepStrictEqual(begun, [0, 1])
      // One that waits leaves the queue.
      yield* Fiber.interrupt(all[2]!.fiber)
      yield* all[1]!.end
      assert.deepStrictEqual(begun, [0, 1])
      assert.strictEqual(yield* turns.take("c", Effect.succeed(7)), 7)
    })
  )

  it.effect("are not lost when what waits is interrupted at the moment of its turn", () =>
    Effect.gen(function* () {
      const turns = new Turns(1)
      const { all } = yield* started(turns, ["a", "b"])
      yield* Effect.all([all[0]!.end, Fiber.interrupt(all[1]!.fiber)], { concurrency: "unbounded" })
      assert.strictEqual(yield* turns.take("b", Effect.succeed(7)), 7)
    })
  )

  it.effect("go through any number of effects that end at once", () =>
    Effect.gen(function* () {
      const turns = new Turns(1)
      let ended = 0
      const { all } = yield* started(turns, ["a"])
      const fibers = yield* Effect.forEach(
        Array.from({ length: 20_000 }, (_, n) => `${n % 7}`),
        (key) =>
          Effect.forkChild(
            turns.take(
              key,
              Effect.sync(() => ended++)
            ),
            { startImmediately: true }
          )
      )
      assert.strictEqual(ended, 0)
      yield* all[0]!.end
      yield* Fiber.awaitAll(fibers)
      assert.strictEqual(ended, 20_000)
    })
  )
})
