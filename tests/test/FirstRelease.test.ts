import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as FileJournal from "@tidings/backend-fs/FileJournal"
import * as JournalView from "@tidings/backend-fs/JournalView"
import * as Backend from "@tidings/core/Backend"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import type { Cursor, EventFilter, PageToken } from "@tidings/core/EventQuery"
import type { Write } from "@tidings/core/Event"
import * as Recorder from "@tidings/core/Recorder"
import * as Target from "@tidings/core/Target"
import * as Templates from "@tidings/core/Templates"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Stream } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

const fixtures = path.join(import.meta.dirname, "../fixtures/first-release")

const readJson = (file: string): unknown => JSON.parse(fs.readFileSync(path.join(fixtures, file), "utf8"))

/** A copy that may be changed. */
const copyOf = (folder: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const made = fs.mkdtempSync(path.join(os.tmpdir(), "tidings-first-"))
      const copy = path.join(made, path.basename(folder))
      fs.cpSync(path.join(fixtures, folder), copy, { recursive: true, verbatimSymlinks: true })
      fs.chmodSync(copy, 0o700)
      return { made, copy }
    }),
    ({ made }) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
  ).pipe(Effect.map(({ copy }) => copy))

interface Answer {
  readonly filter: EventFilter
  readonly events: ReadonlyArray<{ readonly id: string }>
  readonly totalCount: number
  readonly firstPage: ReadonlyArray<EventId.EventId>
  readonly next?: PageToken
  readonly cursorOfQuery: Cursor
  readonly cursorAfterTwo: Cursor
  readonly two: ReadonlyArray<EventId.EventId>
}

describe("an event log of the first release", () => {
  for (const answer of readJson("log.json") as ReadonlyArray<Answer>) {
    it.live(`is read, paged and followed as before, with the filter ${JSON.stringify(answer.filter)}`, () =>
      Effect.gen(function* () {
        const directory = yield* copyOf("log")
        const { cursorAfterTwo, cursorOfQuery, events, filter, firstPage, next, totalCount, two } = answer
        yield* Effect.gen(function* () {
          const backend = yield* Backend.Backend
          const all = yield* backend.query(filter)
          assert.deepStrictEqual(
            JSON.parse(JSON.stringify(all.events.map((event) => EventJson.toObject(event)))),
            events
          )
          assert.strictEqual(all.totalCount, totalCount)
          const ids = all.events.map(({ id }) => EventId.format(id))
          if (next !== undefined) {
            const rest = yield* backend.query({ ...filter, page: next })
            assert.deepStrictEqual(
              rest.events.map(({ id }) => EventId.format(id)),
              ids.slice(firstPage.length)
            )
          }
          const after = (cursor: Cursor) =>
            backend.watch(filter, cursor).pipe(
              Stream.takeUntil(({ _tag }) => _tag === "Live"),
              Stream.runCollect,
              Effect.map((items) =>
                Array.from(items).flatMap((item) => (item._tag === "Event" ? [EventId.format(item.event.id)] : []))
              )
            )
          assert.deepStrictEqual(yield* after(cursorOfQuery), [])
          const seen = two.map(EventId.format)
          const rest = yield* after(cursorAfterTwo)
          assert.sameMembers([...new Set([...seen, ...rest])], ids)

          // And it goes on.
          const { annotations: _a, name: _n, uid: _u, ...one } = all.events[0]!
          const later: Write = { ...one, id: { origin: "a".repeat(32), seq: 1 }, upTo: 1, count: 1 }
          assert.deepStrictEqual(yield* backend.write([later]), [Backend.created])
          assert.deepStrictEqual(yield* after(cursorOfQuery), [EventId.format(later.id)])
          assert.strictEqual((yield* backend.query(filter)).totalCount, totalCount + 1)
        }).pipe(Effect.provide(FileBackend.layer({ directory, console: false })), Effect.provide(Logger.layer([])))
      })
    )
  }
})

/** The uid of the cluster that they were bound to; those of `underway` knew it by its authority alone. */
const TARGET = "9b2d4c1e-0f7a-4d1c-8f58-2f1f7b9a6c10"

const store = () => {
  const series = new Map<string, Write>()
  let writes = 0
  const service: Backend.Service = {
    mode: "memory",
    target: Effect.succeed(Target.make(TARGET, { aliases: [`authority-${"a".repeat(32)}`] })),
    write: (batch) =>
      Effect.sync(() =>
        batch.map((write): Backend.Outcome => {
          writes++
          const key = EventId.format(write.id)
          const before = series.get(key)
          if (before !== undefined && before.upTo >= write.upTo) return Backend.present
          series.set(key, write)
          return before === undefined ? Backend.created : Backend.updated
        })
      ),
    query: () => Effect.die("not read"),
    watch: () => Stream.empty
  }
  const counts = () => {
    const found: Record<string, number> = {}
    for (const { count, event } of series.values()) {
      found[event.involvedObject.name] = (found[event.involvedObject.name] ?? 0) + count
    }
    return found
  }
  return { service, counts, writes: () => writes }
}

const lawHolds = (status: Recorder.RecorderStatus) => {
  for (const sink of Object.values(status.sinks)) {
    const dropped = Object.values(sink.dropped).reduce((sum, n) => sum + n, 0)
    assert.strictEqual(status.accepted + sink.recovered, sink.settled + sink.parked + dropped + sink.pending)
  }
}

describe("a journal of the first release", () => {
  const names = fs
    .readdirSync(path.join(fixtures, "journals"))
    .filter((name) => !name.endsWith(".json"))
    .sort()
  it("has a fixture of each form", () => assert.lengthOf(names, 16))

  for (const name of names) {
    const [kind = "", durability = "", end = ""] = name.split("-")
    it.live(`with events that are ${kind}, ${durability}, whose process was ${end}, is delivered, and goes on`, () =>
      Effect.gen(function* () {
        const directory = yield* copyOf(`journals/${name}`)
        const before = readJson(`journals/${name}.json`) as {
          readonly accepted: number
          readonly sink: Recorder.SinkStatus
        }
        const view = yield* JournalView.read(directory)
        assert.strictEqual(view!.head, before.accepted)
        const { counts, service, writes } = store()
        const life = <A>(use: (recorder: Recorder.Recorder["Service"]) => Effect.Effect<A, unknown>) =>
          Recorder.Recorder.use(use).pipe(
            Effect.provide(
              Recorder.layer({ component: "later" }).pipe(
                Layer.provide([
                  Templates.layer,
                  Layer.succeed(Backend.Backend, service),
                  FileJournal.layer({ directory, durability: durability as "process" | "disk" })
                ])
              )
            ),
            Effect.provide(Logger.layer([]))
          )

        yield* life((recorder) =>
          Effect.gen(function* () {
            const { sinks } = yield* recorder.status
            const { parked, recovered } = sinks["default"]!
            // What was settled after the last checkpoint may be found once more; an orderly end may have delivered the rest.
            assert.isAtLeast(
              recovered,
              end === "killed" ? before.sink.pending + before.sink.parked : before.sink.parked
            )
            assert.isAtMost(recovered, before.accepted)
            assert.strictEqual(parked, before.sink.parked)
            const list = yield* recorder.parked
            yield* recorder.retryParked(
              "default",
              list.map(({ write }) => write.id)
            )
            assert.isTrue((yield* recorder.flush("10 seconds")).complete)
            const status = yield* recorder.status
            lawHolds(status)
            assert.deepInclude(status.sinks["default"], { pending: 0, parked: 0, settled: recovered })
            const found = counts()
            if (kind === "pending") {
              assert.deepStrictEqual(found, { web: 6, "pod-1": 1, "pod-2": 1, "pod-3": 1, late: 1 })
            }
            // Held counts leave under the name of their series, with all that it counts.
            if (kind === "held" && recovered > 0) assert.strictEqual(found["web"], 6)
            if (kind === "parked") assert.strictEqual(found["lost"], 2)
            if (kind === "underway") {
              const total = Object.values(found).reduce((sum, n) => sum + n, 0)
              assert.isAtLeast(total, recovered)
              assert.isAtMost(total, before.accepted)
            }

            // A repeated event begins a series of its own.
            const again = {
              involvedObject: { apiVersion: "v1", kind: "Pod", name: "again", namespace: "shop" },
              reason: "Restarted",
              message: "It runs again (1)"
            }
            yield* recorder.record(again)
            assert.isTrue((yield* recorder.flush("10 seconds")).complete)
            assert.strictEqual(counts()["again"], 1)
          })
        )

        const settled = writes()
        yield* life((recorder) =>
          Effect.gen(function* () {
            assert.isTrue((yield* recorder.flush("10 seconds")).complete)
            assert.deepInclude((yield* recorder.status).sinks["default"], { recovered: 0, parked: 0, pending: 0 })
          })
        )
        assert.strictEqual(writes(), settled)

        // The first release refuses the format.
        const meta = JSON.parse(fs.readFileSync(path.join(directory, ".meta.json"), "utf8")) as { format: number }
        assert.strictEqual(meta.format, 2)
      })
    )
  }
})
