import { assert, describe, it } from "@effect/vitest"
import type { ArchiveStore, Commit, Row } from "@tidings/backend-postgres/ArchiveStore"
import type { Event } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import type { Cursor } from "@tidings/core/EventQuery"
import * as Target from "@tidings/core/Target"
import * as Effect from "effect/Effect"
import { openArchive } from "./archives.ts"
import { schema } from "./testDatabase.ts"
import { first } from "./writes.ts"

/** A state of another writer's event, by its resourceVersion; what is in it is told by `text`. */
const state = (uid: string, upTo: number, text = `${uid} at ${upTo}`): Row => {
  const write = first(1)
  const event: Event = {
    ...write,
    id: { origin: uid, seq: 0 },
    upTo,
    name: uid,
    namespace: "default",
    cluster: { id: "cluster-1", name: "east" },
    event: { ...write.event, message: text }
  }
  return { event, line: EventJson.encode(event) }
}

/** Commits of replicas, in one epoch unless told otherwise. */
const commits = (store: ArchiveStore["Service"], key: number) => (replica: string, commit: Partial<Commit>) =>
  store.commit({
    key,
    replica,
    epoch: 0,
    rows: [],
    isMixed: false,
    isLive: true,
    tell: false,
    isFirst: false,
    ...commit,
    until: commit.until ?? commit.span?.until
  })

const open = Effect.gen(function* () {
  const { backend, store } = yield* openArchive({ schema: yield* schema })
  const target = Target.make("cluster-1")
  const begin = (replica: string) => store.open({ target, name: "east", replica })
  const { key } = yield* begin("one")
  return { backend, store, begin, key, commit: commits(store, key) }
})

describe("the database of an archive", () => {
  it.live(
    "stores what is older than the current state, which a replica that was behind brings, and nothing twice",
    () =>
      Effect.gen(function* () {
        const { backend, commit } = yield* open
        const written = (replica: string, rows: ReadonlyArray<Row>) =>
          Effect.map(commit(replica, { rows }), ({ written }) => written)
        assert.strictEqual(yield* written("one", [state("a", 7), state("b", 8)]), 2)
        assert.strictEqual(yield* written("two", [state("a", 5), state("a", 6), state("a", 7), state("a", 7)]), 2)
        assert.strictEqual(yield* written("one", [state("a", 5), state("a", 6), state("a", 7)]), 0)
        // What is current is the newest, whichever came last.
        const { events } = yield* backend.query({ name: "a" })
        assert.deepStrictEqual(
          events.map(({ upTo }) => upTo),
          [7]
        )
        assert.strictEqual(yield* written("two", [state("a", 10), state("a", 9)]), 2)
        assert.strictEqual((yield* backend.query({ name: "a" })).events[0]!.upTo, 10)
      })
  )

  it.live("tells states of two epochs apart by what is in them, and a later epoch is the newer one", () =>
    Effect.gen(function* () {
      const { backend, begin, commit, key, store } = yield* open
      yield* commit("one", { rows: [state("a", 5), state("a", 6), state("b", 7)], cursor: "7" as Cursor })
      yield* store.newEpoch({ key, replica: "one", epoch: 0 })
      // Of two replicas that find it out, one begins it.
      yield* store.newEpoch({ key, replica: "two", epoch: 0 })
      const opening = yield* begin("one")
      assert.strictEqual(opening.epoch, 1)
      assert.isUndefined(opening.cursor)
      const rows = [state("a", 5), state("a", 6, "another one"), state("b", 7)]
      assert.strictEqual((yield* commit("one", { epoch: 1, rows })).written, 1)
      assert.strictEqual((yield* commit("two", { epoch: 1, rows })).written, 0)
      assert.strictEqual((yield* backend.query({ name: "a" })).events[0]!.event.message, "another one")
      assert.isTrue((yield* commit("three", { epoch: 0, rows: [state("b", 8)] })).isOvertaken)
      // A seq of our own means the same in each epoch.
      const own = first(3)
      const event: Event = { ...own, name: "own", cluster: { id: "cluster-1" } }
      const row = { event, line: EventJson.encode(event) }
      assert.strictEqual((yield* commit("one", { epoch: 0, rows: [row] })).written, 1)
      assert.strictEqual((yield* commit("one", { epoch: 1, rows: [row] })).written, 0)
    })
  )

  it.live("a gap is told once no replica may still cover it, and not at all where one does", () =>
    Effect.gen(function* () {
      const { commit, store } = yield* open
      const gaps = Effect.map(store.stores, ([one]) => one!.coverage.gaps.map(({ from, to }) => [from, to]))
      yield* commit("one", { cursor: "1" as Cursor, span: { since: 100, until: 200 } })
      yield* commit("two", { cursor: "1" as Cursor, span: { since: 100, until: 190 } })
      const later = { since: 300, until: 310, why: "history was forgotten" }
      const pending = yield* commit("one", { ended: { since: 100, until: 200 }, span: later, tell: true })
      assert.deepInclude(pending, { gaps: 0, isPending: true })
      assert.deepStrictEqual(yield* gaps, [[200, 300]])
      // The other one has read all of it.
      yield* commit("two", { cursor: "2" as Cursor, span: { since: 100, until: 320 } })
      assert.deepStrictEqual(yield* gaps, [])
      assert.deepInclude(yield* commit("one", { span: later, tell: true }), { gaps: 0, isPending: false })
      const last = { since: 500, until: 510, why: "and again" }
      yield* commit("two", { ended: { since: 100, until: 320 }, span: last })
      yield* commit("one", { ended: later, span: last })
      assert.deepInclude(yield* commit("one", { span: last, tell: true }), { gaps: 1, isPending: false })
      assert.deepInclude(yield* commit("two", { span: last, tell: true }), { gaps: 0, isPending: false })
      const [stored] = yield* store.stores
      assert.deepStrictEqual(stored!.coverage.gaps, [{ store: "cluster-1", from: 320, to: 500, reason: "and again" }])
    })
  )

  it.live("of two replicas that copy everything at once, the second one goes on from the first", () =>
    Effect.gen(function* () {
      const { begin, commit } = yield* open
      yield* begin("two")
      const done = (replica: string, at: number) =>
        commit(replica, { cursor: String(at) as Cursor, span: { since: at, until: at }, isFirst: true })
      assert.isFalse((yield* done("one", 100)).isOvertaken)
      // The same commit once more, because its answer was lost.
      assert.isFalse((yield* done("one", 100)).isOvertaken)
      assert.isTrue((yield* done("two", 150)).isOvertaken)
      assert.deepInclude(yield* begin("two"), { cursor: "100" as Cursor, span: { since: 100, until: 100 } })
    })
  )

  it.live("a store keeps its id when it is known by a better name, and is found by both", () =>
    Effect.gen(function* () {
      const { backend, store } = yield* openArchive({ schema: yield* schema })
      const weak = Target.make("address-1", { aliases: ["authority-1"], isUncertain: true })
      const known = Target.make("uid-1", { aliases: ["address-1", "authority-1"] })
      const before = yield* store.open({ target: weak, name: "east", replica: "one" })
      const after = yield* store.open({ target: known, replica: "one" })
      assert.strictEqual(after.key, before.key)
      assert.deepStrictEqual(after.cluster, { id: "address-1", name: "east" })
      const row = state("a", 5)
      const event: Event = { ...row.event, cluster: after.cluster }
      yield* commits(store, after.key)("one", { rows: [{ event, line: EventJson.encode(event) }] })
      for (const cluster of ["east", "uid-1", "address-1"]) {
        assert.strictEqual((yield* backend.query({ cluster })).totalCount, 1, cluster)
      }
    })
  )
})
