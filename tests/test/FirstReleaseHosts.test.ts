import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as FileJournal from "@tidings/backend-fs/FileJournal"
import * as Backend from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import type { Cursor } from "@tidings/core/EventQuery"
import * as Recorder from "@tidings/core/Recorder"
import * as Target from "@tidings/core/Target"
import * as Templates from "@tidings/core/Templates"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Logger, Stream } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

const fixtures = path.join(import.meta.dirname, "../fixtures/first-release/hosts")

interface Answer {
  readonly cursor: Cursor
  readonly totalCount: number
  readonly events: ReadonlyArray<{
    readonly id: string
    readonly count: number
    readonly involvedObject: { readonly name: string }
  }>
}

/** What a host of the first release said: what it recorded, what its log answered, and what its second store had taken. */
interface Said {
  readonly early: Readonly<Record<string, number>>
  readonly recorded: Readonly<Record<string, number>>
  readonly accepted: number
  readonly atFirst: Answer
  readonly atLast: Answer
  readonly audited: ReadonlyArray<Write>
  readonly sinks: Readonly<Record<string, Recorder.SinkStatus>>
}

const saidBy = (name: string): Said => JSON.parse(fs.readFileSync(path.join(fixtures, `${name}.json`), "utf8")) as Said

/** The directory of the event log in a copy that may be changed. */
const copyOf = (name: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const made = fs.mkdtempSync(path.join(os.tmpdir(), "tidings-first-"))
        fs.cpSync(path.join(fixtures, name, "log"), path.join(made, "log"), { recursive: true, verbatimSymlinks: true })
        for (const directory of ["log", "log/journal"]) fs.chmodSync(path.join(made, directory), 0o700)
        return made
      }),
      (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
    ),
    (made) => path.join(made, "log")
  )

/** How often each object's events occurred. */
const occurrences = (series: Iterable<readonly [name: string, count: number]>): Record<string, number> => {
  const found: Record<string, number> = {}
  for (const [name, count] of series) found[name] = (found[name] ?? 0) + count
  return found
}

const query = Effect.gen(function* () {
  const { events } = yield* (yield* Backend.Backend).query({})
  return events
})

const inLog = Effect.map(query, (events) =>
  occurrences(events.map(({ count, event }) => [event.involvedObject.name, count] as const))
)

/** The second store, with what it had taken already. */
const auditStore = (taken: ReadonlyArray<Write>) => {
  const series = new Map(taken.map((write) => [EventId.format(write.id), write]))
  const service: Backend.Service = {
    mode: "memory",
    target: Effect.succeed(Target.make("audit-store")),
    write: (batch) =>
      Effect.sync(() =>
        batch.map((write): Backend.Outcome => {
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
  const counts = () => occurrences([...series.values()].map((write) => [write.event.involvedObject.name, write.count]))
  return { service, counts }
}

const correlation = { capacity: 4, aggregateAt: 3, aggregateWindow: "10 minutes", burst: 2, refill: "1 hour" } as const

describe("an event log with the journal of a host of the first release inside", () => {
  for (const durability of ["process", "disk"] as const) {
    for (const end of ["closed", "killed"] as const) {
      const name = `${durability}-${end}`

      it.live(`is read and followed as before, of a host that was ${end}, with durability ${durability}`, () =>
        Effect.gen(function* () {
          const directory = yield* copyOf(name)
          const { atFirst, atLast } = saidBy(name)
          yield* Effect.gen(function* () {
            const backend = yield* Backend.Backend
            const all = yield* backend.query({})
            assert.deepStrictEqual(
              JSON.parse(JSON.stringify(all.events.map((event) => EventJson.toObject(event)))),
              atLast.events
            )
            assert.strictEqual(all.totalCount, atLast.totalCount)
            // A snapshot, and what followed it, is what there is now.
            const counts = new Map(atFirst.events.map(({ count, id }) => [id, count]))
            const items = yield* backend.watch({}, atFirst.cursor).pipe(
              Stream.takeUntil(({ _tag }) => _tag === "Live"),
              Stream.runCollect
            )
            for (const item of items) {
              assert.notStrictEqual(item._tag, "Gap")
              if (item._tag === "Event") counts.set(EventId.format(item.event.id), item.event.count)
            }
            assert.deepStrictEqual(counts, new Map(atLast.events.map(({ count, id }) => [id, count])))
          }).pipe(Effect.provide(FileBackend.layer({ directory, console: false })), Effect.provide(Logger.layer([])))
        })
      )

      it.live(`is completed exactly, in both stores, of a host that was ${end}, with durability ${durability}`, () =>
        Effect.gen(function* () {
          const directory = yield* copyOf(name)
          const { audited, early, recorded } = saidBy(name)
          const audit = auditStore(audited)
          const life = <A, E>(use: Effect.Effect<A, E, Recorder.Recorder | Backend.Backend>) =>
            use.pipe(
              Effect.provide(
                Recorder.layer({
                  component: "later",
                  sinks: [
                    Recorder.sink({ name: "default", backend: Backend.Backend, correlation }),
                    Recorder.sink({ name: "audit", backend: Effect.succeed(audit.service), correlation })
                  ]
                }).pipe(
                  Layer.provideMerge(
                    Layer.mergeAll(
                      Templates.layer,
                      FileBackend.layer({ directory, console: false }),
                      FileJournal.layer({ durability })
                    )
                  )
                )
              ),
              Effect.provideService(
                ConfigProvider.ConfigProvider,
                ConfigProvider.fromUnknown({ TIDINGS_DIRECTORY: directory })
              ),
              Effect.provide(Logger.layer([]))
            )

          yield* life(
            Effect.gen(function* () {
              const recorder = yield* Recorder.Recorder
              const parked = yield* recorder.parked
              assert.deepStrictEqual([...new Set(parked.map(({ write }) => write.event.involvedObject.name))], ["lost"])
              yield* recorder.retryParked(
                "default",
                parked.map(({ write }) => write.id)
              )
              assert.isTrue((yield* recorder.flush("10 seconds")).complete)
              assert.deepStrictEqual(yield* inLog, { ...early, ...recorded })
              assert.deepStrictEqual(audit.counts(), recorded)
              const { accepted, sinks } = yield* recorder.status
              assert.strictEqual(accepted, 0)
              for (const { dropped, parked, pending, recovered, settled } of Object.values(sinks)) {
                assert.deepStrictEqual(dropped, {})
                assert.deepStrictEqual({ parked, pending, settled }, { parked: 0, pending: 0, settled: recovered })
              }
              // What is recorded now is counted apart from what is there.
              yield* recorder.record({
                involvedObject: { apiVersion: "v1", kind: "Pod", name: "web", namespace: "shop" },
                reason: "Restarted",
                message: "It runs again"
              })
              assert.isTrue((yield* recorder.flush("10 seconds")).complete)
            })
          )
          const more = { ...recorded, web: recorded["web"]! + 1 }
          yield* life(
            Effect.gen(function* () {
              const recorder = yield* Recorder.Recorder
              assert.isTrue((yield* recorder.flush("10 seconds")).complete)
              const { sinks } = yield* recorder.status
              for (const { parked, pending, recovered } of Object.values(sinks)) {
                assert.deepStrictEqual({ parked, pending, recovered }, { parked: 0, pending: 0, recovered: 0 })
              }
              assert.deepStrictEqual(yield* inLog, { ...early, ...more })
              assert.deepStrictEqual(audit.counts(), more)
            })
          )
        })
      )
    }
  }
})
