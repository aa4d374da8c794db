import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { KeyedMutex } from "../src/internal/keyedMutex.ts"

describe("a mutex by key", () => {
  /** Starts an effect for each key that ends when it is told to. */
  const started = (mutex: KeyedMutex, keys: ReadonlyArray<string>) => {
    const begun: Array<number> = []
    return Effect.map(
      Effect.forEach(keys, (key, index) =>
        Effect.gen(function* () {
          const gate = yield* Deferred.make<void>()
          const effect = Effect.andThen(
            Effect.sync(() => begun.push(index)),
            Deferred.await(gate)
          )
          const fiber = yield* Effect.forkChild(mutex.withLock(key, effect), { startImmediately: true })
          return { end: Effect.andThen(Deferred.succeed(gate, undefined), Fiber.await(fiber)), fiber }
        })
      ),
      (all) => ({ all, begun })
    )
  }

  it.effect("runs effects of one key one after the other, and those of other keys concurrently", () =>
    Effect.gen(function* () {
      const { all, begun } = yield* started(new KeyedMutex(8), ["a", "b", "a", "a", "c"])
      assert.deepStrictEqual(begun, [0, 1, 4])
      yield* all[0]!.end
      assert.deepStrictEqual(begun, [0, 1, 4, 2])
      yield* all[2]!.end
      assert.deepStrictEqual(begun, [0, 1, 4, 2, 3])
    })
  )

  it.effect("runs no more than its limit at once, in the order of arrival", () =>
    Effect.gen(function* () {
      const { all, begun } = yield* started(new KeyedMutex(2), ["a", "b", "c", "a", "d"])
      assert.deepStrictEqual(begun, [0, 1])
      yield* all[1]!.end
      assert.deepStrictEqual(begun, [0, 1, 2])
      yield* all[0]!.end
      yield* all[2]!.end
      assert.deepStrictEqual(begun, [0, 1, 2, 3, 4])
    })
  )

  it.effect("is released by an effect that fails, dies or is interrupted", () =>
    Effect.gen(function* () {
      const mutex = new KeyedMutex(1)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(mutex.withLock("a", Effect.fail("no")))))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(mutex.withLock("a", Effect.die("no")))))
      const { all, begun } = yield* started(mutex, ["a", "b", "c"])
      yield* Fiber.interrupt(all[0]!.fiber)
      assert.deepStrictEqual(begun, [0, 1])
      // An interrupted waiter leaves the queue.
      yield* Fiber.interrupt(all[2]!.fiber)
      yield* all[1]!.end
      assert.deepStrictEqual(begun, [0, 1])
      assert.strictEqual(yield* mutex.withLock("c", Effect.succeed(7)), 7)
    })
  )

  it.effect("is released when a waiter is interrupted at the moment it gets the lock", () =>
    Effect.gen(function* () {
      const mutex = new KeyedMutex(1)
      const { all } = yield* started(mutex, ["a", "b"])
      yield* Effect.all([all[0]!.end, Fiber.interrupt(all[1]!.fiber)], { concurrency: "unbounded" })
      assert.strictEqual(yield* mutex.withLock("b", Effect.succeed(7)), 7)
    })
  )

  it.effect("runs any number of effects that end immediately", () =>
    Effect.gen(function* () {
      const mutex = new KeyedMutex(1)
      let ended = 0
      const { all } = yield* started(mutex, ["a"])
      const fibers = yield* Effect.forEach(
        Array.from({ length: 20_000 }, (_, n) => `${n % 7}`),
        (key) =>
          Effect.forkChild(
            mutex.withLock(
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
