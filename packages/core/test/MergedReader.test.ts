import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import type {
  Coverage,
  EventFilter,
  EventPage,
  Gap,
  Incomplete,
  PageToken,
  WatchFrom,
  WatchItem
} from "@tidings/core/EventQuery"
import { EventReader } from "@tidings/core/EventReader"
import * as EventId from "@tidings/core/EventId"
import * as Position from "@tidings/core/Position"
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
  readers: ReadonlyArray<MergedReader.Reader>,
  incomplete?: MergedReader.Options["incomplete"]
): EventReader["Service"] =>
  MergedReader.make({
    mode: "merged",
    target: Effect.succeed(Target.make("all")),
    readers: () => readers,
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
      const away: MergedReader.Reader = { query: () => Effect.fail(refused), watch: () => Stream.fail(refused) }
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

describe("a merged reader", () => {
  const counted = (reader: MergedReader.Reader) => {
    const counts = { queries: 0 }
    const query: MergedReader.Reader["query"] = (query) => {
      counts.queries++
      return reader.query(query)
    }
    return { counts, reader: { ...reader, query } }
  }

  it.effect("of no stores finds nothing, is live at once, and goes on from its cursor", () =>
    Effect.gen(function* () {
      const none = merged([])
      const page = yield* none.query({ limit: 5 })
      assert.deepStrictEqual([page.events, page.totalCount, page.coverage, page.next], [[], 0, [], undefined])
      for (const from of ["beginning", "now", { last: 2 }, page.cursor] as const) {
        const queue = yield* Stream.toQueue(none.watch({}, from), { capacity: "unbounded" })
        assert.strictEqual(told(yield* Queue.take(queue)), "Live")
        for (let turn = 0; turn < 20; turn++) yield* Effect.yieldNow
        // It goes on, and has nothing to say.
        assert.strictEqual(yield* Queue.size(queue), 0)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("does not wait for a store of which the watch ends before it is live", () =>
    Effect.gen(function* () {
      const { stores } = yield* three
      yield* stores[0]!.write([write(3)])
      yield* stores[1]!.write([write(1)])
      const ended: MergedReader.Reader = {
        query: stores[1]!.query,
        watch: (filter, from) => Stream.takeWhile(stores[1]!.watch(filter, from), ({ _tag }) => _tag !== "Live")
      }
      const empty: MergedReader.Reader = { query: stores[2]!.query, watch: () => Stream.empty }
      for (const [from, expected] of [
        ["beginning", [1, 3, "Live"]],
        [{ last: 1 }, [9, "Live"]],
        ["now", ["Live"]]
      ] as const) {
        const queue = yield* Stream.toQueue(merged([stores[0]!, ended, empty]).watch({}, from), {
          capacity: "unbounded"
        })
        const items: Array<WatchItem> = []
        for (const _ of expected) items.push(yield* Queue.take(queue))
        assert.sameMembers(items.map(told), [...expected])
        assert.strictEqual(told(items.at(-1)!), "Live")
        // And what is written to the others still comes.
        const seq = 6 + 3 * (yield* stores[0]!.query({})).totalCount
        yield* stores[0]!.write([write(seq)])
        const later = yield* Queue.take(queue)
        assert.strictEqual(told(later), seq)
        const resumed = yield* Stream.runCollect(
          Stream.takeUntil(merged(stores).watch({}, items.at(-1)!.cursor), ({ _tag }) => _tag === "Live")
        )
        assert.include(resumed.map(told), seq)
      }
      for (const from of ["now", { last: 1 }] as const) {
        const [first] = yield* Stream.runCollect(Stream.take(merged([ended, empty]).watch({}, from), 1))
        assert.strictEqual(told(first!), from === "now" ? "Live" : 1)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("knows the stores of a cursor and of a page token by their keys, in whatever order they are given", () =>
    Effect.gen(function* () {
      const { put, stores } = yield* three
      yield* put([1, 2, 3, 4, 5, 6].map((seq) => write(seq, { last: Math.ceil(seq / 2) })))
      const keyed = stores.map((store, index): MergedReader.Reader => ({
        key: `store-${index}`,
        query: store.query,
        watch: store.watch
      }))
      const page = yield* merged(keyed).query({ limit: 3 })
      yield* put([write(7)])
      for (const readers of [keyed.toReversed(), [keyed[1]!, keyed[2]!, keyed[0]!]]) {
        const rest = yield* merged(readers).query({ limit: 10, page: page.next! })
        assert.sameMembers([...seqs(page.events), ...seqs(rest.events)], [1, 2, 3, 4, 5, 6])
        assert.strictEqual(rest.totalCount, 7)
        const items = yield* Stream.runCollect(
          Stream.takeUntil(merged(readers).watch({}, page.cursor), ({ _tag }) => _tag === "Live")
        )
        assert.deepStrictEqual(items.map(told), [7, "Live"])
      }
      const other = [...keyed.slice(0, 2), { ...keyed[2]!, key: "another" }]
      const errors = [
        yield* Effect.flip(Stream.runDrain(merged(other).watch({}, page.cursor))),
        yield* Effect.flip(merged(other).query({ page: page.next! })),
        // Without keys the order tells, and each store refuses what is another one's.
        yield* Effect.flip(
          Effect.flatMap(merged(stores).query({}), ({ cursor }) =>
            Stream.runDrain(merged(stores.toReversed()).watch({}, cursor))
          )
        )
      ]
      for (const { reason } of errors) assert.strictEqual(reason._tag, "CursorMismatch")
    })
  )

  it.effect("goes on from cursors and page tokens that hold no keys and no pages, as they were before", () =>
    Effect.gen(function* () {
      const { put, stores } = yield* three
      yield* put([1, 2, 3, 4, 5, 6].map((seq) => write(seq, { last: Math.ceil(seq / 2) })))
      const scope = { mode: "merged", target: Target.make("all"), filter: {} }
      const cursors = yield* Effect.forEach(stores, (store) => Effect.map(store.query({}), ({ cursor }) => cursor))
      const cursor = Position.cursorEncoder(scope)(JSON.stringify([cursors[0], null, cursors[2]]))
      const shown = { until: 3, seen: [[EventId.format(write(6).id)], [], []] }
      const page = Position.pageTokenEncoder(scope)(JSON.stringify(shown))
      const keyed = stores.map((store, index): MergedReader.Reader => ({ ...store, key: `store-${index}` }))
      for (const reader of [merged(stores), merged(keyed)]) {
        const items = yield* Stream.runCollect(
          Stream.takeUntil(reader.watch({}, cursor), ({ _tag }) => _tag === "Live")
        )
        assert.deepStrictEqual(items.map(told), [1, 4, "Live"])
        assert.deepStrictEqual(seqs((yield* reader.query({ limit: 2, page })).events), [5, 3])
      }
    })
  )

  it.effect("knows of one store what each of its readers knows: its name, every gap, and the shorter time", () =>
    Effect.gen(function* () {
      const { stores } = yield* three
      const covering = (coverage: ReadonlyArray<Coverage>): MergedReader.Reader => ({
        query: (query) => Effect.map(stores[0]!.query(query), (page) => ({ ...page, coverage })),
        watch: stores[0]!.watch
      })
      const gap = (reason: string, from?: number): Gap => ({
        store: "one",
        reason,
        ...(from === undefined ? undefined : { from })
      })
      const page = yield* merged([
        covering([{ store: "one", since: 5, until: "now", gaps: [gap("a", 1), gap("b")] }]),
        covering([{ store: "one", since: 9, until: 70, gaps: [gap("b"), gap("a", 2)] }]),
        covering([
          { store: "two", since: "unknown", until: "unknown", gaps: [] },
          { store: "one", since: 7, until: 80, gaps: [gap("c")] }
        ]),
        covering([{ store: "two", name: "production", since: 3, until: "now", gaps: [] }])
      ]).query({})
      assert.deepStrictEqual(page.coverage, [
        { store: "one", since: 9, until: 70, gaps: [gap("a", 1), gap("b"), gap("a", 2), gap("c")] },
        { store: "two", name: "production", since: "unknown", until: "unknown", gaps: [] }
      ])
    })
  )

  it.effect("asks each store once for a page, and a second time at every fourth page at most", () =>
    Effect.gen(function* () {
      const limit = 10
      // Nearly all of the events are in one store, or the stores have as many each, or one has twice as many.
      for (const share of [
        (seq: number) => (seq % 50 === 0 ? 1 : 0),
        (seq: number) => seq % 2,
        (seq: number) => (seq % 3 === 0 ? 1 : 0)
      ]) {
        const { stores } = yield* three
        for (let seq = 1; seq <= 400; seq++) yield* stores[share(seq)]!.write([write(seq, { last: seq })])
        const readers = stores.slice(0, 2).map((store) => counted(store))
        const pages = yield* pagesOf(merged(readers.map(({ reader }) => reader)), {}, limit)
        assert.strictEqual(pages.length, 40)
        for (const { counts } of readers) assert.isAtMost(counts.queries / pages.length, 1.3)
      }
    })
  )

  it.effect.prop(
    "shows over pages what does not change meanwhile exactly once, whatever else changes",
    {
      times: Arbitrary.array(integer(0, 6), { minLength: 1, maxLength: 24 }),
      changes: Arbitrary.array(integer(1, 24), { maxLength: 12 }),
      limit: integer(1, 5)
    },
    ({ changes, limit, times }) =>
      Effect.gen(function* () {
        const { put, reader } = yield* three
        yield* put(times.map((last, index) => write(index + 1, { last })))
        const changed = new Set<number>()
        const shown: Array<number> = []
        let page: PageToken | undefined
        for (let turn = 0; ; turn++) {
          const found: EventPage = yield* reader.query({ limit, ...(page === undefined ? undefined : { page }) })
          shown.push(...seqs(found.events))
          page = found.next
          if (page === undefined) break
          const seq = changes[turn]
          if (seq === undefined || seq > times.length) continue
          changed.add(seq)
          yield* put([write(seq, { last: 100 + turn, upTo: 1_000 + turn, count: 2 })])
        }
        assert.deepStrictEqual(shown, [...new Set(shown)])
        const unchanged = times.map((_, index) => index + 1).filter((seq) => !changed.has(seq))
        assert.includeMembers(shown, unchanged)
      }),
    { arbitrary: { runs: 200, size: 60 } }
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
