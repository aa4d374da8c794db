// What a replica says of itself while a store or the database hangs, as time goes by.
import { assert, describe, it } from "@effect/vitest"
import { Archive, ArchiveStore } from "@tidings/backend-postgres"
import type { Cursor, WatchItem } from "@tidings/core/EventQuery"
import * as EventReader from "@tidings/core/EventReader"
import * as Target from "@tidings/core/Target"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"

const cursor = "cursor" as Cursor
const live: WatchItem = { _tag: "Live", cursor }

/** A replica over a store that says what the test puts into a queue, and a database that answers as long as it is to. */
const running = Effect.fnUntraced(function* (options: Pick<Archive.Options, "silence"> = {}) {
  const said = yield* Queue.unbounded<WatchItem>()
  const database = { hangs: false, isLive: false, shared: false }
  const reader: EventReader.Service = {
    mode: "kubernetes",
    target: Effect.succeed(Target.make("uid-1")),
    query: () => Effect.die("nothing is asked"),
    watch: () => Stream.never,
    copy: () => Stream.fromQueue(said)
  }
  const store: ArchiveStore.ArchiveStore["Service"] = {
    open: () => Effect.succeed({ key: 1, cluster: { id: "uid-1", name: "production" }, epoch: 0 }),
    commit: ({ isLive, rows }) =>
      Effect.suspend(() => {
        database.isLive = isLive
        const committed = {
          written: rows.length,
          isOvertaken: false,
          gaps: 0,
          isPending: false,
          isShared: database.shared
        }
        return database.hangs ? Effect.never : Effect.succeed(committed)
      }),
    newEpoch: () => Effect.void,
    leave: () => Effect.void,
    stores: Effect.succeed([])
  }
  const archive = yield* Archive.make({
    ...options,
    replica: "a",
    sources: [{ name: "production", reader: Layer.succeed(EventReader.EventReader, reader) }]
  }).pipe(Effect.provideService(ArchiveStore.ArchiveStore, store))
  const status = Effect.map(archive.status, ({ sources }) => sources[0]!)
  const say = Effect.andThen(Queue.offer(said, live), TestClock.adjust("1 millis"))
  yield* TestClock.adjust("1 millis")
  yield* say
  assert.strictEqual((yield* status).phase, "live")
  return { database, say, status }
})

describe("a replica", () => {
  it.effect("is failing 80 seconds after the last word of a cluster at the latest, until it hears of it again", () =>
    Effect.gen(function* () {
      const { database, say, status } = yield* running()
      for (let round = 0; round < 5; round++) {
        yield* TestClock.adjust("45 seconds")
        assert.strictEqual((yield* status).phase, "live")
        yield* say
      }
      yield* TestClock.adjust("80 seconds")
      const failing = yield* status
      assert.strictEqual(failing.phase, "failing")
      assert.match(failing.problem!, /^nothing was heard from it for \d+ seconds$/)
      // Commits of the replica itself, and a watch that is begun anew, change nothing about it.
      for (let seconds = 0; seconds < 180; seconds += 10) {
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* status).phase, "failing")
      }
      // Nor does the database say to others that everything is copied until now.
      assert.isFalse(database.isLive)
      yield* say
      const again = yield* status
      assert.deepStrictEqual([again.phase, again.problem], ["live", undefined])
    })
  )

  it.effect("is failing as soon where its watch is begun anew again and again meanwhile", () =>
    Effect.gen(function* () {
      const { say, status } = yield* running({ silence: "20 seconds" })
      yield* TestClock.adjust("70 seconds")
      assert.strictEqual((yield* status).phase, "copying")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* status).phase, "failing")
      yield* say
      assert.strictEqual((yield* status).phase, "live")
    })
  )

  it.effect("is failing 65 seconds after a commit that is not answered at the latest", () =>
    Effect.gen(function* () {
      const { database, say, status } = yield* running()
      database.hangs = true
      yield* say
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual((yield* status).phase, "live")
      yield* TestClock.adjust("15 seconds")
      assert.match((yield* status).problem!, /^the database has not answered for \d+ seconds$/)
    })
  )

  it.effect("says once that another process has its name", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const logger = Logger.make(({ message }) => void logged.push(String(message)))
      yield* Effect.gen(function* () {
        const { database, say } = yield* running()
        database.shared = true
        for (let n = 0; n < 3; n++) yield* say
      }).pipe(Effect.provide(Logger.layer([logger])))
      assert.strictEqual(logged.length, 1)
      assert.match(
        logged[0]!,
        /^another process archives production into the same database as the replica "a": .*--replica/
      )
    })
  )
})
