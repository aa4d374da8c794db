import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { call, events, messages, observed, store, textOf, write } from "./support.ts"

const waitFor = (filter: object = {}) =>
  Effect.gen(function* () {
    const { cursor } = yield* events({ ...filter, limit: 1 })
    const waiting = yield* Effect.forkChild(events({ ...filter, after: cursor, waitSeconds: 50 }))
    yield* TestClock.adjust("10 millis")
    return waiting
  })

describe("calls that wait", () => {
  it.effect("share one watch, read nothing while nothing comes, and end it with the last of them", () => {
    const { layer, seen } = observed()
    return Effect.gen(function* () {
      const waiting = yield* Effect.forEach(Array(100).keys(), (index) => waitFor({ resourceName: `pod-${index}` }))
      assert.strictEqual(seen.open, 1)
      const before = { ...seen }
      yield* TestClock.adjust("40 seconds")
      assert.deepStrictEqual(seen, before)
      const [first, ...others] = waiting
      yield* Fiber.interrupt(first!)
      assert.strictEqual(seen.open, 1)
      yield* store(write(1, { name: "pod-7" }))
      assert.deepStrictEqual(messages(yield* Fiber.join(waiting[7]!)), ["message 1"])
      yield* Fiber.interruptAll(others)
      assert.strictEqual(seen.open, 0)
      // The next call opens another one.
      yield* Fiber.interrupt(yield* waitFor())
      assert.strictEqual(seen.open, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("read the store only for events that match their own filter, also its times", () => {
    const { layer, seen } = observed()
    return Effect.gen(function* () {
      const filters = [
        { resourceName: "web" },
        { resourceName: "db" },
        { eventType: "Normal" },
        { match: "nowhere" },
        { until: "2026-11-28T03:00:00Z" }
      ]
      const waiting = yield* Effect.forEach(filters, waitFor)
      const before = seen.opened
      yield* store(write(1, { name: "web" }))
      assert.deepStrictEqual(messages(yield* Fiber.join(waiting[0]!)), ["message 1"])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(seen.opened - before, 1)
      assert.deepStrictEqual(
        waiting.map((fiber) => fiber.pollUnsafe() === undefined),
        [false, true, true, true, true]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("watch only the namespace that they name", () => {
    const { layer, seen } = observed()
    return Effect.gen(function* () {
      const waiting = yield* Effect.forEach([{}, { namespace: "a" }, { namespace: "a", reason: "X" }], waitFor)
      assert.strictEqual(seen.open, 2)
      yield* store(write(1, { namespace: "b" }))
      assert.deepStrictEqual(messages(yield* Fiber.join(waiting[0]!)), ["message 1"])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(seen.open, 1)
      yield* store(write(2, { namespace: "a" }))
      assert.deepStrictEqual(messages(yield* Fiber.join(waiting[1]!)), ["message 2"])
      yield* Fiber.interrupt(waiting[2]!)
      assert.strictEqual(seen.open, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("are answered what came after their cursor and before they waited", () => {
    let between: Effect.Effect<unknown> = Effect.void
    // When a watch after a cursor ends, the call has read what was there, and does not wait yet.
    const { layer } = observed((items, from) =>
      from === "now"
        ? items
        : Stream.ensuring(
            items,
            Effect.suspend(() => {
              const happens = between
              between = Effect.void
              // The shared watch has time to see it.
              return Effect.andThen(happens, Effect.repeat(Effect.yieldNow, { times: 50 }))
            })
          )
    )
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const { cursor } = yield* events()
      between = Effect.orDie(backend.write([write(1)]))
      const found = yield* events({ after: cursor, waitSeconds: 50 })
      assert.deepStrictEqual(messages(found), ["message 1"])
      yield* store(write(2))
      assert.deepStrictEqual(messages(yield* events({ after: found.cursor, waitSeconds: 50 })), ["message 2"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("are answered nothing twice where the shared watch is behind their cursor", () => {
    const { layer } = observed((items, from) =>
      from === "now"
        ? Stream.tap(items, (item) => (item._tag === "Live" ? Effect.void : Effect.sleep("5 seconds")))
        : items
    )
    return Effect.gen(function* () {
      const first = yield* waitFor({ resourceName: "other" })
      yield* store(write(1))
      const second = yield* waitFor()
      yield* TestClock.adjust("20 seconds")
      assert.isUndefined(second.pollUnsafe())
      yield* store(write(2))
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(messages(yield* Fiber.join(second)), ["message 2"])
      yield* Fiber.interrupt(first)
    }).pipe(Effect.provide(layer))
  })

  it.effect("are all told of a store that fails, and the next call watches it again", () => {
    let broken = Deferred.makeUnsafe<never, BackendError.BackendError>()
    const { layer, seen } = observed((items, from) =>
      from === "now" ? Stream.merge(items, Stream.fromEffect(Effect.suspend(() => Deferred.await(broken)))) : items
    )
    return Effect.gen(function* () {
      const { cursor } = yield* events()
      const waiting = yield* Effect.forEach(Array(3).keys(), () =>
        Effect.forkChild(call("events", { after: cursor, waitSeconds: 50 }))
      )
      yield* TestClock.adjust("1 second")
      yield* Deferred.fail(broken, BackendError.make(new BackendError.Unavailable({ detail: "the disk is gone" })))
      for (const fiber of waiting) {
        const result = yield* Fiber.join(fiber)
        assert.isTrue(result.isError)
        assert.match(textOf(result), /the disk is gone/)
      }
      assert.strictEqual(seen.open, 0)
      broken = Deferred.makeUnsafe<never, BackendError.BackendError>()
      const next = yield* Effect.forkChild(events({ after: cursor, waitSeconds: 50 }))
      yield* TestClock.adjust("1 second")
      yield* store(write(1))
      assert.deepStrictEqual(messages(yield* Fiber.join(next)), ["message 1"])
    }).pipe(Effect.provide(layer))
  })

  it.live("lead 20 followers, each with a filter of its own, to all their events once and in order", () => {
    const { layer, seen } = observed()
    const FOLLOWERS = 20
    const EACH = 50
    return Effect.gen(function* () {
      const follow = (name: string) =>
        Effect.gen(function* () {
          let { cursor } = yield* events({ resourceName: name, limit: 1 })
          const found: Array<unknown> = []
          while (found.length < EACH) {
            const more = yield* events({ resourceName: name, after: cursor, waitSeconds: 10 })
            found.push(...messages(more))
            cursor = more.cursor
          }
          return found
        })
      const followers = yield* Effect.forEach(Array(FOLLOWERS).keys(), (index) =>
        Effect.forkChild(follow(`pod-${index}`))
      )
      yield* Effect.sleep("20 millis")
      for (let index = 0; index < FOLLOWERS * EACH; index++) {
        yield* store(write(index + 1, { name: `pod-${index % FOLLOWERS}` }))
        if (index % 7 === 0) yield* Effect.yieldNow
      }
      for (const [index, fiber] of followers.entries()) {
        assert.deepStrictEqual(
          yield* Fiber.join(fiber),
          Array.from({ length: EACH }, (_, turn) => `message ${turn * FOLLOWERS + index + 1}`)
        )
      }
      assert.strictEqual(seen.open, 0)
    }).pipe(Effect.provide(layer))
  })
})
