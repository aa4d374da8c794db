import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import type { Event } from "@tidings/core/Event"
import type { Cursor, EventFilter, WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Contract from "@tidings/testing/Contract"
import { Cause, Effect, Queue, Result, Stream } from "effect"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { Store } from "../../core/src/internal/memoryStore.ts"
import { again, series } from "./fixtures/writes.ts"

Contract.suite("the backend in memory", Backend.layerMemory(), {
  other: Backend.layerMemory(),
  forgetful: { layer: Backend.layerMemory({ capacity: 8 }), series: 8 }
})

const integer = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const seqsOf = (events: ReadonlyArray<Event>) => events.map(({ id }) => id.seq)

const stored = Effect.gen(function* () {
  const backend = yield* Backend.Backend
  const page = yield* backend.query({})
  assert.strictEqual(page.totalCount, page.events.length)
  return seqsOf(page.events).sort((a, b) => a - b)
})

const show = (item: WatchItem) => (item._tag === "Event" ? item.event.id.seq : item._tag)

/** What a watch yields up to its first `Live`. */
const untilLive = (filter: EventFilter, from: WatchFrom) =>
  Effect.gen(function* () {
    const backend = yield* Backend.Backend
    return yield* Stream.runCollect(Stream.takeUntil(backend.watch(filter, from), ({ _tag }) => _tag === "Live"))
  })

describe("capacity", () => {
  it.effect("keeps the series that changed last", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      yield* backend.write([series(1), series(2), series(3)])
      assert.deepStrictEqual(yield* backend.write([again(series(1), 4)]), [Backend.updated])
      assert.deepStrictEqual(yield* backend.write([series(5)]), [Backend.created])
      assert.deepStrictEqual(yield* stored, [1, 3, 5])
      yield* backend.write([series(6), series(7)])
      assert.deepStrictEqual(yield* stored, [5, 6, 7])
    }).pipe(Effect.provide(Backend.layerMemory({ capacity: 3 })))
  )

  it.effect("a series written after its eviction is created again with the count of the write", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      yield* backend.write([series(1), series(2), series(3)])
      assert.deepStrictEqual(yield* backend.write([again(series(1), 4)]), [Backend.created])
      const { events } = yield* backend.query({ resourceName: "order-1" })
      assert.deepStrictEqual(
        events.map(({ count, upTo }) => [count, upTo]),
        [[2, 4]]
      )
    }).pipe(Effect.provide(Backend.layerMemory({ capacity: 2 })))
  )

  it.effect("one batch may be larger than the store", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const batch = Array.from({ length: 50 }, (_, index) => series(index + 1))
      assert.deepStrictEqual(
        yield* backend.write(batch),
        batch.map(() => Backend.created)
      )
      assert.deepStrictEqual(yield* stored, [49, 50])
    }).pipe(Effect.provide(Backend.layerMemory({ capacity: 2 })))
  )

  it.effect("is at least 1, and 10,000 by default", () =>
    Effect.gen(function* () {
      const batch = Array.from({ length: 10_001 }, (_, index) => series(index + 1))
      for (const [layer, kept] of [
        [Backend.layerMemory(), 10_000],
        [Backend.layerMemory({ capacity: 0 }), 1]
      ] as const) {
        const page = yield* Effect.gen(function* () {
          const backend = yield* Backend.Backend
          yield* backend.write(batch)
          return yield* backend.query({ limit: 1 })
        }).pipe(Effect.provide(layer))
        assert.strictEqual(page.totalCount, kept)
      }
    })
  )
})

describe("limits", () => {
  it.effect("below 0 are taken as 0", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      yield* backend.write([series(1), series(2), series(3)])
      const page = yield* backend.query({ limit: -1 })
      assert.deepStrictEqual([page.events.length, page.totalCount], [0, 3])
    }).pipe(Effect.provide(Backend.layerMemory()))
  )
})

describe("history that is gone", () => {
  it.effect("a cursor from before an eviction yields a gap, then the changes that survive, then Live", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      yield* backend.write([series(1), series(2)])
      const { cursor } = yield* backend.query({})
      yield* backend.write([series(3), series(4), series(5), series(6)])
      const items = yield* untilLive({}, cursor)
      assert.deepStrictEqual(items.map(show), ["Gap", 4, 5, 6, "Live"])
      assert.match(items[0]?._tag === "Gap" ? items[0].reason : "", /up to number 3 are no longer kept/)
      assert.deepStrictEqual((yield* untilLive({}, items[0]!.cursor)).map(show), [4, 5, 6, "Live"])
    }).pipe(Effect.provide(Backend.layerMemory({ capacity: 3 })))
  )

  it.effect("a cursor that covers everything evicted yields no gap", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const cursors: Array<Cursor> = []
      for (let seq = 1; seq <= 6; seq++) {
        yield* backend.write([series(seq)])
        cursors.push((yield* backend.query({})).cursor)
      }
      // 1, 2 and 3 are gone: who has seen them has missed nothing.
      assert.deepStrictEqual((yield* untilLive({}, cursors[1]!)).map(show), ["Gap", 4, 5, 6, "Live"])
      assert.deepStrictEqual((yield* untilLive({}, cursors[2]!)).map(show), [4, 5, 6, "Live"])
      assert.deepStrictEqual((yield* untilLive({}, cursors[5]!)).map(show), ["Live"])
      assert.deepStrictEqual((yield* untilLive({}, "beginning")).map(show), [4, 5, 6, "Live"])
    }).pipe(Effect.provide(Backend.layerMemory({ capacity: 3 })))
  )

  it.effect("a reader that falls behind gets a gap, then the changes that survive", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      yield* backend.write([series(1)])
      const pull = yield* Stream.toPull(Stream.rechunk(backend.watch({}, "beginning"), 1))
      const seen: Array<WatchItem> = []
      const take = (items: number) =>
        Effect.gen(function* () {
          const end = seen.length + items
          while (seen.length < end) seen.push(...(yield* pull))
        })
      yield* take(2)
      for (let seq = 2; seq <= 9; seq++) yield* backend.write([series(seq)])
      yield* take(4)
      assert.deepStrictEqual(seen.map(show), [1, "Live", "Gap", 7, 8, 9])
      assert.match(seen[2]?._tag === "Gap" ? seen[2].reason : "", /this reader fell behind/)
      assert.deepStrictEqual((yield* untilLive({}, seen[2]!.cursor)).map(show), [7, 8, 9, "Live"])
      yield* backend.write([series(10)])
      yield* take(1)
      assert.strictEqual(show(seen.at(-1)!), 10)
    }).pipe(Effect.scoped, Effect.provide(Backend.layerMemory({ capacity: 3 })))
  )

  it.effect("a cursor beyond the newest change of the store is refused", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      yield* backend.write([series(1)])
      const encode = Position.cursorEncoder({ mode: backend.mode, target: yield* backend.target, filter: {} })
      const error = yield* Effect.flip(untilLive({}, encode("2")))
      assert.strictEqual(error.reason._tag, "CursorMismatch")
      assert.match(error.message, /ahead of this store/)
      assert.deepStrictEqual((yield* untilLive({}, encode("0"))).map(show), [1, "Live"])
      assert.deepStrictEqual((yield* untilLive({}, encode("1"))).map(show), ["Live"])
    }).pipe(Effect.provide(Backend.layerMemory()))
  )

  it.effect.prop(
    "a reader of any pace sees each state at most once, the last of all that survive, and a gap where some do not",
    {
      steps: Arbitrary.array(integer(0, 9), { maxLength: 60 })
    },
    ({ steps }) =>
      Effect.gen(function* () {
        const backend = yield* Backend.Backend
        const pull = yield* Stream.toPull(backend.watch({}, "now"))
        const seen: Array<WatchItem> = [...(yield* pull)]
        assert.deepStrictEqual(seen.map(show), ["Live"])
        const last = new Map<number, Event["upTo"]>()
        let seq = 0
        let behind = false
        for (const step of steps) {
          if (step >= 7) {
            if (behind) seen.push(...(yield* pull))
            behind = false
            continue
          }
          // Seven series in a store of four.
          const write = { ...series(step + 1), upTo: ++seq + 100, count: seq }
          last.set(write.id.seq, write.upTo)
          yield* backend.write([write])
          behind = true
        }
        const end = { ...series(8), upTo: 1_000 }
        yield* backend.write([end])
        while (!seen.some((item) => show(item) === 8)) seen.push(...(yield* pull))

        const upTos = seen.flatMap((item) => (item._tag === "Event" ? [item.event.upTo] : []))
        assert.deepStrictEqual(
          upTos,
          [...new Set(upTos)].sort((a, b) => a - b)
        )
        const reached = new Set(upTos)
        const survivors = (yield* backend.query({})).events
        for (const { upTo } of survivors) assert.isTrue(reached.has(upTo))
        const lost = [...last.values()].filter((upTo) => !reached.has(upTo))
        if (lost.length > 0) assert.isTrue(seen.some(({ _tag }) => _tag === "Gap"))
      }).pipe(Effect.scoped, Effect.provide(Backend.layerMemory({ capacity: 4 }), { local: true })),
    { arbitrary: { runs: 300, size: 60 } }
  )
})

describe("memory", () => {
  it("does not grow with the updates of a series", () => {
    const store = new Store(100)
    const write = series(1)
    let most = 0
    for (let upTo = 1; upTo <= 100_000; upTo++) {
      store.write({ ...write, upTo, count: upTo })
      most = Math.max(most, store.length)
    }
    assert.strictEqual(store.size, 1)
    assert.strictEqual(store.position, 100_000)
    assert.isAtMost(most, 100)
    assert.deepStrictEqual(
      store.after(0, 1_000).entries.map(({ write }) => write.upTo),
      [100_000]
    )
  })

  it.prop(
    "keeps what a plain list would keep, in the same order",
    {
      capacity: integer(1, 6),
      // Many changes of one series in a row, so that places are squeezed out, and others between, so that some are evicted.
      bursts: Arbitrary.array(Arbitrary.all({ seq: integer(1, 9), times: integer(1, 60) }), { maxLength: 30 })
    },
    ({ bursts, capacity }) => {
      const store = new Store(capacity)
      let model: Array<{ readonly seq: number; readonly upTo: number }> = []
      const seqs = bursts.flatMap(({ seq, times }) => Array.from({ length: times }, () => seq))
      for (const [index, seq] of seqs.entries()) {
        const write = { ...series(seq), upTo: index + 100 }
        assert.deepStrictEqual(store.write(write), model.some((one) => one.seq === seq) ? "updated" : "created")
        model = [...model.filter((one) => one.seq !== seq), { seq, upTo: write.upTo }].slice(-capacity)
        const kept = store.entries().map(({ write }) => ({ seq: write.id.seq, upTo: write.upTo }))
        assert.deepStrictEqual(kept, model)
        assert.strictEqual(store.size, model.length)
      }
    },
    { arbitrary: { runs: 60, size: 30 } }
  )

  it("does not grow with the series that were evicted", () => {
    const store = new Store(100)
    const write = series(1)
    let most = 0
    for (let seq = 1; seq <= 100_000; seq++) {
      // Some come once, one again and again between them.
      store.write({ ...write, id: { ...write.id, seq }, upTo: seq })
      if (seq % 3 === 0) store.write({ ...write, id: { ...write.id, seq: 0 }, upTo: seq })
      most = Math.max(most, store.length)
    }
    assert.strictEqual(store.size, 100)
    assert.isAtMost(most, 2_500)
    const { entries, reached } = store.after(0, 1_000)
    assert.strictEqual(entries.length, 100)
    assert.strictEqual(reached, store.position)
  })

  it.effect(
    "a snapshot of more series than a call takes arguments",
    () =>
      Effect.gen(function* () {
        const backend = yield* Backend.Backend
        const write = series(1)
        const length = 130_000
        yield* backend.write(Array.from({ length }, (_, index) => ({ ...write, id: { ...write.id, seq: index + 1 } })))
        const items = yield* Stream.runCount(Stream.take(backend.watch({}, "beginning"), length + 1))
        assert.strictEqual(items, length + 1)
      }).pipe(Effect.provide(Backend.layerMemory({ capacity: 200_000 }))),
    30_000
  )

  it.effect("a watch that finds many changes at once yields all of them in order", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const queue = yield* Stream.toQueue(backend.watch({}, "now"), { capacity: "unbounded" })
      yield* Queue.take(queue)
      const length = 2_000
      yield* backend.write(Array.from({ length }, (_, index) => series(index + 1)))
      const seen: Array<unknown> = []
      while (seen.length < length) seen.push(show(yield* Queue.take(queue)))
      assert.deepStrictEqual(
        seen,
        Array.from({ length }, (_, index) => index + 1)
      )
    }).pipe(Effect.scoped, Effect.provide(Backend.layerMemory()))
  )

  it.effect("interrupted watches do not delay the others", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      for (let round = 1; round <= 50; round++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const queue = yield* Stream.toQueue(backend.watch({}, "now"), { capacity: "unbounded" })
            assert.strictEqual(show(yield* Queue.take(queue)), "Live")
            yield* backend.write([series(round)])
            assert.strictEqual(show(yield* Queue.take(queue)), round)
          })
        )
      }
      assert.isTrue(Result.isSuccess(yield* Effect.result(stored)))
    }).pipe(
      Effect.catchIf(Cause.isDone, () => Effect.die("the watch ended by itself")),
      Effect.provide(Backend.layerMemory())
    )
  )
})
