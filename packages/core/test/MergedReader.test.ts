import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import type { EventFilter, EventPage, Incomplete, PageToken, WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import { EventReader } from "@tidings/core/EventReader"
import * as MergedReader from "@tidings/core/MergedReader"
import * as Target from "@tidings/core/Target"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { integer } from "./support/arbitraries.ts"
import { seqs, write } from "./support/writes.ts"

const memory = Effect.provide(Backend.Backend, Layer.fresh(Backend.layerMemory()))

const refused = BackendError.make(new BackendError.Unauthorized({ detail: "not allowed to read store 2" }))

const missing = ({ reason }: BackendError.BackendError): Incomplete | undefined =>
  reason._tag === "Unauthorized" ? { store: "2", reason: reason.detail } : undefined

const merged = (
  sides: ReadonlyArray<MergedReader.Side>,
  incomplete?: MergedReader.Options["incomplete"]
): EventReader["Service"] =>
  MergedReader.make({
    mode: "merged",
    target: Effect.succeed(Target.make("all")),
    sides: () => sides,
    incomplete
  })

const told = (item: WatchItem): string | number => (item._tag === "Event" ? item.event.id.seq : item._tag)

const pagesOf = Effect.fnUntraced(function* (reader: EventReader["Service"], filter: EventFilter, limit: number) {
  const pages: Array<EventPage> = []
  let page: PageToken | undefined
  do {
    const found: EventPage = yield* reader.query({ ...filter, limit, ...(page === undefined ? undefined : { page }) })
    pages.push(found)
    page = found.next
  } while (page !== undefined)
  return pages
})

/** Three stores, into which writes go in turn. */
const three = Effect.gen(function* () {
  const stores = [yield* memory, yield* memory, yield* memory]
  const put = (batch: ReadonlyArray<Write>) =>
    Effect.forEach(batch, (one) => stores[one.id.seq % 3]!.write([one]), { discard: true })
  return { stores, put, reader: merged(stores) }
})

describe("several stores that are read as one", () => {
  it.effect.prop(
    "yield every event once, newest first, over pages of any size, whatever was last seen at the same time",
    {
      times: Arbitrary.array(integer(0, 3), { maxLength: 20 }),
      limit: integer(1, 5)
    },
    ({ limit, times }) =>
      Effect.gen(function* () {
        const { put, reader } = yield* three
        const batch = times.map((last, index) => write(index + 1, { last }))
        yield* put(batch)
        const pages = yield* pagesOf(reader, {}, limit)
        const events = pages.flatMap((page) => page.events)
        assert.sameMembers([...seqs(events)], [...seqs(batch)])
        assert.deepStrictEqual(
          events.map(({ last }) => last),
          [...times].sort((a, b) => b - a)
        )
        for (const page of pages) assert.strictEqual(page.totalCount, batch.length)
      }),
    { arbitrary: { runs: 100, size: 60 } }
  )

  it.effect("cover each store once", () =>
    Effect.gen(function* () {
      const { stores, reader } = yield* three
      const targets = yield* Effect.forEach(stores, (store) => Effect.map(store.target, ({ id }) => id))
      const page = yield* reader.query({})
      assert.deepStrictEqual(
        page.coverage.map(({ store }) => store),
        targets
      )
      const twice = yield* merged([stores[0]!, stores[0]!]).query({})
      assert.strictEqual(twice.coverage.length, 1)
    })
  )

  const starts: ReadonlyArray<readonly [WatchFrom, ReadonlyArray<string | number>]> = [
    ["now", ["Live"]],
    [{ last: 0 }, ["Live"]],
    [{ last: 2 }, [3, 4, "Live"]],
    ["beginning", [1, 2, 3, 4, "Live"]]
  ]
  it.effect.each(starts)("are watched from %j, and go on from each item of it", ([from, expected]) =>
    Effect.gen(function* () {
      const { put, reader } = yield* three
      yield* put([1, 2, 3, 4].map((seq) => write(seq)))
      const queue = yield* Stream.toQueue(reader.watch({}, from), { capacity: "unbounded" })
      const items: Array<WatchItem> = []
      for (const _ of expected) items.push(yield* Queue.take(queue))
      assert.sameMembers(items.map(told), [...expected])
      assert.strictEqual(told(items.at(-1)!), "Live")
      for (const seq of [5, 6, 7]) {
        yield* put([write(seq)])
        items.push(yield* Queue.take(queue))
      }
      assert.deepStrictEqual(items.slice(-3).map(told), [5, 6, 7])
      for (const [index, { cursor }] of items.entries()) {
        const rest = items.slice(index + 1).flatMap((item) => (item._tag === "Event" ? [item.event.id.seq] : []))
        const resumed = yield* Stream.runCollect(
          Stream.takeUntil(reader.watch({}, cursor), (item) => item._tag === "Live")
        )
        const again = resumed.flatMap((item) => (item._tag === "Event" ? [item.event.id.seq] : []))
        // Nothing that came after the item is missing, and nothing that came before it comes again.
        assert.includeMembers(again, rest)
        const before = items.slice(0, index + 1).flatMap((item) => (item._tag === "Event" ? [item.event.id.seq] : []))
        assert.isFalse(before.some((seq) => again.includes(seq)))
      }
    }).pipe(Effect.scoped)
  )

  it.effect("answer without a store that may not be read, and say so, where the reader is told to", () =>
    Effect.gen(function* () {
      const { stores } = yield* three
      yield* stores[0]!.write([write(1)])
      const away: MergedReader.Side = { query: () => Effect.fail(refused), watch: () => Stream.fail(refused) }
      const reader = merged([stores[0]!, away], missing)
      const page = yield* reader.query({})
      assert.deepStrictEqual(seqs(page.events), [1])
      assert.deepStrictEqual(page.incomplete, [{ store: "2", reason: "not allowed to read store 2" }])
      assert.strictEqual(yield* Effect.flip(merged([stores[0]!, away]).query({})), refused)
      assert.strictEqual(yield* Effect.flip(merged([away, away], missing).query({})), refused)
      assert.strictEqual(yield* Effect.flip(Stream.runDrain(reader.watch({}, "now"))), refused)

      // Once it may be read, the cursor of that page leads to all of it: nothing of it was shown.
      yield* stores[1]!.write([write(2)])
      const later = merged([stores[0]!, stores[1]!], missing)
      const items = yield* Stream.runCollect(
        Stream.takeUntil(later.watch({}, page.cursor), (item) => item._tag === "Live")
      )
      assert.deepStrictEqual(items.map(told), [2, "Live"])
    })
  )

  it.effect("refuse a cursor that holds another number of stores", () =>
    Effect.gen(function* () {
      const { stores, reader } = yield* three
      yield* stores[0]!.write([write(3), write(6)])
      const { cursor, next } = yield* reader.query({ limit: 1 })
      const two = merged(stores.slice(0, 2))
      const errors = [
        yield* Effect.flip(Stream.runDrain(two.watch({}, cursor))),
        yield* Effect.flip(two.query({ limit: 1, page: next! }))
      ]
      for (const { reason } of errors) assert.strictEqual(reason._tag, "CursorMismatch")
    })
  )
})

describe("the reader of a backend", () => {
  it.effect("has everything but write", () =>
    Effect.gen(function* () {
      const reader = yield* EventReader
      assert.sameMembers(Object.keys(reader), ["mode", "target", "query", "watch"])
      assert.strictEqual((yield* reader.query({})).totalCount, 0)
    }).pipe(Effect.provide(Layer.provide(Backend.layerReader, Backend.layerMemory())))
  )
})

describe("the memory backend", () => {
  it.effect("covers the time since it was made, and after an eviction the time after what it evicted", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const { cursor } = yield* backend.query({})
      const sinceOf = Effect.map(backend.query({}), ({ coverage }) => coverage[0]!.since)
      assert.strictEqual(yield* sinceOf, 0)
      yield* backend.write([write(1, { last: 700 }), write(2, { last: 500 })])
      assert.strictEqual(yield* sinceOf, 0)
      yield* backend.write([write(3, { last: 100 })])
      assert.strictEqual(yield* sinceOf, 701)
      yield* backend.write([write(4, { last: 900 })])
      assert.strictEqual(yield* sinceOf, 701)
      const [gap] = yield* Stream.runCollect(Stream.take(backend.watch({}, cursor), 1))
      assert.deepInclude(gap, { _tag: "Gap", to: 700 })
    }).pipe(Effect.provide(Backend.layerMemory({ capacity: 2 })))
  )
})
