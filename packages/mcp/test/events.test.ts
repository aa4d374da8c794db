import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as EventReader from "@tidings/core/EventReader"
import * as EventTools from "@tidings/mcp/EventTools"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { answer, bytes, call, events, layer, messages, START, store, textOf, write } from "./support.ts"

describe("the tool events", () => {
  it.effect("answers the newest events first, with the exact total, whatever the limit", () =>
    Effect.gen(function* () {
      yield* store(...Array.from({ length: 120 }, (_, index) => write(index + 1)))
      const found = yield* events({ limit: 3 })
      assert.deepStrictEqual(messages(found), ["message 120", "message 119", "message 118"])
      assert.strictEqual(found.totalCount, 120)
      assert.strictEqual((yield* events({ maxBytes: 65_536 })).events.length, 50)
      assert.strictEqual((yield* events({ limit: 0 })).totalCount, 120)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("filters before it limits", () =>
    Effect.gen(function* () {
      yield* store(
        write(1, { name: "wanted", message: "the needle" }),
        ...Array.from({ length: 100 }, (_, index) => write(index + 2, { type: "Normal", reason: "Started" }))
      )
      for (const filter of [
        { resourceName: "wanted" },
        { eventType: "Warning" },
        { eventType: "warning" },
        { reason: "WorkflowFailed" },
        { match: "NEEDLE" },
        { until: "2026-11-28T03:00:01Z" }
      ]) {
        const found = yield* events({ ...filter, limit: 1 })
        assert.deepStrictEqual([messages(found), found.totalCount], [["the needle"], 1], JSON.stringify(filter))
      }
      for (const filter of [{ resourceType: "Pod" }, { namespace: "other" }, { source: "kubelet" }]) {
        assert.strictEqual((yield* events(filter)).totalCount, 0, JSON.stringify(filter))
      }
    }).pipe(Effect.provide(layer()))
  )

  it.effect("leads through all events page by page, also where since is relative", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(START / 1_000 + 60_000)
      yield* store(...Array.from({ length: 7 }, (_, index) => write(index + 1)))
      const seen: Array<unknown> = []
      let page: string | undefined
      do {
        const found = yield* events({ since: "1h", limit: 3, ...(page === undefined ? undefined : { page }) })
        seen.push(...messages(found))
        page = found.next
        yield* TestClock.adjust("10 seconds")
      } while (page !== undefined)
      assert.deepStrictEqual(
        seen,
        [7, 6, 5, 4, 3, 2, 1].map((seq) => `message ${seq}`)
      )
    }).pipe(Effect.provide(layer()))
  )

  it.effect(
    "leads through events that do not fit into an answer, also those of the same time, and counts them all",
    () =>
      Effect.gen(function* () {
        for (const [name, at] of [
          ["apart", undefined],
          ["together", START]
        ] as const) {
          const given = Array.from({ length: 120 }, (_, index) =>
            write(index + 1 + (at === undefined ? 0 : 500), {
              name,
              message: `${index} ${"x".repeat(200)}`,
              ...(at === undefined ? undefined : { at })
            })
          )
          yield* store(...given)
          const seen: Array<unknown> = []
          let page: string | undefined
          do {
            const found = yield* events({
              resourceName: name,
              maxBytes: 6_000,
              limit: 45,
              ...(page === undefined ? undefined : { page })
            })
            assert.strictEqual(found.totalCount, 120)
            assert.isAbove(found.events.length, 0)
            seen.push(...found.events.map(({ id }) => id))
            page = found.next
          } while (page !== undefined)
          assert.strictEqual(seen.length, 120, name)
          assert.strictEqual(new Set(seen).size, 120, name)
        }
      }).pipe(Effect.provide(layer()))
  )

  it.effect("leads through few events of the same time where only some of them fit at once", () =>
    Effect.gen(function* () {
      const long = { name: "n".repeat(250), reason: "R".repeat(250), source: "s".repeat(250), at: START }
      yield* store(...Array.from({ length: 7 }, (_, index) => write(index + 1, long)))
      const seen: Array<unknown> = []
      let page: string | undefined
      let pages = 0
      do {
        const found = yield* events({ maxBytes: 4_096, ...(page === undefined ? undefined : { page }) })
        assert.strictEqual(found.totalCount, 7)
        seen.push(...found.events.map(({ id }) => id))
        page = found.next
        pages++
      } while (page !== undefined && pages < 10)
      assert.isAbove(pages, 2)
      assert.deepStrictEqual([seen.length, new Set(seen).size], [7, 7])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("asks the store once for an answer that does not fit", () => {
    let queries = 0
    const counted = Layer.effect(
      EventReader.EventReader,
      Effect.map(Backend.Backend, (backend) => ({
        ...backend,
        query: (query) => {
          queries++
          return backend.query(query)
        }
      }))
    )
    return Effect.gen(function* () {
      yield* store(...Array.from({ length: 300 }, (_, index) => write(index + 1)))
      const found = yield* events({ limit: 300 })
      assert.isBelow(found.events.length, 300)
      assert.strictEqual(queries, 1)
      assert.strictEqual(
        (yield* events({ limit: 1, page: found.next })).events[0]!["message"],
        `message ${300 - found.events.length}`
      )
    }).pipe(Effect.provide(EventTools.layer().pipe(Layer.provide(counted), Layer.provideMerge(Backend.layerMemory()))))
  })

  it.effect("answers what changed after a cursor, oldest first, and goes on where a limit ended it", () =>
    Effect.gen(function* () {
      yield* store(write(1))
      const { cursor } = yield* events({ since: "2026-11-28T00:00:00Z" })
      yield* store(write(2), write(3), write(4))
      const first = yield* events({ after: cursor, limit: 2, since: "2026-11-28T00:00:00Z" })
      assert.deepStrictEqual([messages(first), first.totalCount], [["message 2", "message 3"], 3])
      const second = yield* events({ after: first.cursor })
      assert.deepStrictEqual([messages(second), second.totalCount], [["message 4"], 1])
      const third = yield* events({ after: second.cursor })
      assert.deepStrictEqual([messages(third), third.totalCount], [[], 0])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("waits for the first change, and not longer", () =>
    Effect.gen(function* () {
      const { cursor } = yield* events()
      const waiting = yield* Effect.forkChild(events({ after: cursor, waitSeconds: 30 }))
      yield* TestClock.adjust("29 seconds")
      assert.isUndefined(waiting.pollUnsafe())
      yield* store(write(1))
      assert.deepStrictEqual(messages(yield* Fiber.join(waiting)), ["message 1"])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("answers with a cursor to go on with where nothing changes while it waits", () =>
    Effect.gen(function* () {
      const { cursor } = yield* events({ eventType: "Warning" })
      const waiting = yield* Effect.forkChild(events({ after: cursor, waitSeconds: 30, eventType: "Warning" }))
      yield* TestClock.adjust("10 seconds")
      yield* store(write(1, { type: "Normal" }))
      yield* TestClock.adjust("20 seconds")
      const nothing = yield* Fiber.join(waiting)
      assert.deepStrictEqual([messages(nothing), nothing.totalCount], [[], 0])
      yield* store(write(2))
      assert.deepStrictEqual(messages(yield* events({ after: nothing.cursor, eventType: "Warning" })), ["message 2"])
    }).pipe(Effect.provide(layer()))
  )

  it.effect(
    "keeps text and data together within maxBytes, cuts messages with a mark, and says how to get the rest",
    () =>
      Effect.gen(function* () {
        yield* store(
          ...Array.from({ length: 300 }, (_, index) => write(index + 1, { message: `${index} ${"é".repeat(5_000)}` }))
        )
        for (const maxBytes of [4_096, 16_384, 100_000]) {
          const result = yield* call("events", { limit: 300, maxBytes })
          assert.isAtMost(bytes(result), maxBytes)
          const found = answer(result)
          assert.strictEqual(found.totalCount, 300)
          assert.isAbove(found.events.length, 3)
          assert.match(String(found.events[0]!["message"]), /^299 é+…$/)
          assert.strictEqual(found.events[0]!["messageLength"], 5_004)
          assert.match(found.notes.join("\n"), /cut \(…\).*maxBytes/)
          assert.match(found.notes.join("\n"), /page = next/)
          // Nothing is left out between the two pages.
          const older = yield* events({ limit: 1, maxBytes, page: found.next })
          assert.match(String(older.events[0]!["message"]), new RegExp(`^${299 - found.events.length} é`))
        }
        assert.isAtMost(bytes(yield* call("events", { limit: 300 })), 16_384)
      }).pipe(Effect.provide(layer()))
  )

  it.effect("leaves nothing out between two calls with after where not all that changed fits", () =>
    Effect.gen(function* () {
      let { cursor } = yield* events()
      yield* store(
        ...Array.from({ length: 200 }, (_, index) => write(index + 1, { message: `${index} ${"x".repeat(500)}` }))
      )
      const seen: Array<number> = []
      for (;;) {
        const result = yield* call("events", { after: cursor, maxBytes: 4_096, limit: 1_000 })
        assert.isAtMost(bytes(result), 4_096)
        const found = answer(result)
        if (found.totalCount === 0) break
        seen.push(...messages(found).map((message) => Number.parseInt(String(message))))
        cursor = found.cursor
      }
      assert.deepStrictEqual(seen, [...Array(200).keys()])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("groups repeats in the text, and leaves each series in the data", () =>
    Effect.gen(function* () {
      yield* store(write(1, { message: "same", count: 4 }), write(2, { message: "same", count: 5 }), write(3))
      const result = yield* call("events")
      assert.strictEqual(answer(result).events.length, 3)
      const rows = textOf(result)
        .split("\n")
        .filter((line) => line.startsWith("2026-"))
      assert.deepStrictEqual(
        rows.map((row) => row.split(/ {2,}/).slice(1)),
        [
          ["1", "Warning", "WorkflowFailed", "default/Workflow/deploy", "message 3"],
          ["9", "Warning", "WorkflowFailed", "default/Workflow/deploy", "same"]
        ]
      )
    }).pipe(Effect.provide(layer()))
  )

  it.effect("says what is there without the filter where nothing matches", () =>
    Effect.gen(function* () {
      assert.match((yield* events()).notes.join(), /no events yet/)
      yield* store(write(1))
      assert.match((yield* events({ reason: "Nothing" })).notes.join(), /without any filter there are 1 event$/)
    }).pipe(Effect.provide(layer()))
  )

  it.live("leads a follower to every one of 5,000 events once and in order, while they are written", () =>
    Effect.gen(function* () {
      const { cursor } = yield* events()
      const writing = Effect.forEach(
        Array.from({ length: 100 }, (_, batch) =>
          Array.from({ length: 50 }, (_, index) => write(batch * 50 + index + 1))
        ),
        (batch) => Effect.andThen(store(...batch), Effect.yieldNow),
        { discard: true }
      )
      const seen: Array<unknown> = []
      const following = Effect.gen(function* () {
        let after = cursor
        while (seen.length < 5_000) {
          const found = yield* events({ after, waitSeconds: 10 })
          seen.push(...messages(found))
          after = found.cursor
        }
      })
      yield* Effect.all([writing, following], { concurrency: 2 })
      assert.deepStrictEqual(
        seen,
        Array.from({ length: 5_000 }, (_, index) => `message ${index + 1}`)
      )
    }).pipe(Effect.provide(layer()))
  )

  it.effect("answers calls that wait when the host is about to end, each with a cursor to go on with", () => {
    const closing = Deferred.makeUnsafe<void>()
    return Effect.gen(function* () {
      const { cursor } = yield* events()
      const waiting = yield* Effect.forEach(Array(100).keys(), () =>
        Effect.forkChild(events({ after: cursor, waitSeconds: 50 }))
      )
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(closing, undefined)
      for (const call of waiting) {
        const found = yield* Fiber.join(call)
        assert.deepStrictEqual([found.totalCount, found.cursor], [0, cursor])
      }
    }).pipe(Effect.provide(layer({ closing: Deferred.await(closing) })))
  })
})
