import { FileBackend, FileJournal } from "@tidings/backend-fs"
import { assert, describe, it } from "@effect/vitest"
import type { Backend } from "@tidings/core/Backend"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import { Effect, Exit, Layer, Logger, Scope } from "effect"
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { type Disk, node } from "../src/internal/disk.ts"
import * as openJournal from "./openJournal.ts"
import * as openLog from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { first } from "./writes.ts"

interface Host {
  readonly recorder: Recorder.Recorder["Service"]
  readonly close: Effect.Effect<void>
}

interface Place {
  readonly log: string
  readonly journal: string
  readonly durability: "process" | "disk"
}

const start = ({ durability, journal, log }: Place): Effect.Effect<Host, unknown> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const layer = Recorder.layer({ component: "example", drainTimeout: "100 millis" }).pipe(
      Layer.provide([
        Templates.layer,
        FileBackend.layer({ directory: log, console: false }),
        FileJournal.layer({ directory: journal, durability })
      ]),
      Layer.fresh
    )
    const context = yield* Scope.provide(Layer.build(layer), scope)
    const recorder = yield* Effect.provide(Recorder.Recorder, context)
    return { recorder, close: Scope.close(scope, Exit.void) }
  }).pipe(Effect.provide(Logger.layer([])))

const nameOf = (n: number): string => `pod-${n}`

/** Records events of different objects, and answers the names of the objects whose event was accepted, and the refusals. */
const record = ({ recorder }: Host, from: number, to: number) =>
  Effect.gen(function* () {
    const accepted: Array<string> = []
    const refused: Array<string> = []
    for (let n = from; n <= to; n++) {
      const name = nameOf(n)
      const draft = { involvedObject: { kind: "Pod", name }, reason: "Started", message: "It runs" }
      const result = yield* Effect.result(recorder.record(draft))
      if (result._tag === "Success") accepted.push(name)
      else refused.push(result.failure.message)
    }
    return { accepted, refused }
  })

const namesIn = (log: string) =>
  openLog.run(log, ({ backend }) =>
    Effect.map(backend.query({}), ({ events }) => events.map(({ event }) => event.involvedObject.name))
  )

describe("a journal inside the directory of an event log that is deleted under its host", () => {
  for (const durability of ["process", "disk"] as const) {
    it.live(
      `what is accepted is delivered to the log that begins anew, and nothing more is accepted before a restart (${durability})`,
      () =>
        Effect.gen(function* () {
          const log = path.join(yield* TestDirectory.make, "log")
          const place: Place = { log, journal: path.join(log, "journal"), durability }
          const host = yield* start(place)
          yield* record(host, 1, 20)
          yield* host.recorder.flush("10 seconds")
          const accepted: Array<string> = [...(yield* record(host, 21, 40)).accepted]
          assert.lengthOf(accepted, 20)
          const before = new Set(yield* namesIn(log))
          rmSync(log, { recursive: true })
          const refused: Array<string> = []
          for (let n = 41; n <= 60; n += 5) {
            const answer = yield* record(host, n, n + 4)
            accepted.push(...answer.accepted)
            refused.push(...answer.refused)
            // The log begins anew meanwhile.
            yield* Effect.sleep(20)
          }
          assert.isAtLeast(refused.length, 19)
          for (const message of refused) assert.match(message, /was deleted|another directory is at/)
          assert.isTrue((yield* host.recorder.flush("10 seconds")).complete)
          yield* host.close
          const after = new Set(yield* namesIn(log))
          for (const name of accepted) assert.isTrue(after.has(name) || before.has(name), name)

          const next = yield* start(place)
          const { accepted: later, refused: none } = yield* record(next, 61, 80)
          assert.deepStrictEqual(none, [])
          assert.isTrue((yield* next.recorder.flush("10 seconds")).complete)
          yield* next.close
          assert.includeMembers([...(yield* namesIn(log))], later)
        }),
      30_000
    )
  }
})

/** What others do to an event log whose host has its journal elsewhere. */
const changes: ReadonlyArray<readonly [name: string, make: (log: string) => Effect.Effect<void, unknown>]> = [
  ["deleted", (log) => Effect.sync(() => rmSync(log, { recursive: true }))],
  ["moved away", (log) => Effect.sync(() => renameSync(log, `${log}-away`))],
  [
    "deleted, and begun anew by another process",
    (log) =>
      Effect.suspend(() => {
        rmSync(log, { recursive: true })
        return beginBy(log)
      })
  ],
  [
    "moved away, and begun anew by another process",
    (log) =>
      Effect.suspend(() => {
        renameSync(log, `${log}-away`)
        return beginBy(log)
      })
  ],
  [
    "replaced by another log",
    (log) =>
      Effect.map(beginBy(`${log}-other`), () => {
        renameSync(log, `${log}-away`)
        renameSync(`${log}-other`, log)
      })
  ],
  [
    "emptied",
    (log) =>
      Effect.sync(() => {
        rmSync(log, { recursive: true })
        mkdirSync(log, { mode: 0o700 })
      })
  ]
]

const beginBy = (log: string) =>
  Effect.asVoid(openLog.run(log, ({ backend }: { readonly backend: Backend["Service"] }) => backend.write([first(1)])))

describe("an event log that is changed, with the journal of its host elsewhere", () => {
  for (const [name, change] of changes) {
    for (const isRunning of [true, false]) {
      it.live(
        `what is recorded after the log is ${name} is delivered to what is in its place, ${isRunning ? "by the host that runs and the next one" : "by the next hosts"}`,
        () =>
          Effect.gen(function* () {
            const parent = yield* TestDirectory.make
            const place: Place = {
              log: path.join(parent, "log"),
              journal: path.join(parent, "elsewhere"),
              durability: "process"
            }
            let host = yield* start(place)
            yield* record(host, 1, 5)
            assert.isTrue((yield* host.recorder.flush("10 seconds")).complete)
            if (!isRunning) yield* host.close
            yield* change(place.log)
            if (!isRunning) host = yield* start(place)
            yield* record(host, 6, 10)
            assert.isTrue((yield* host.recorder.flush("20 seconds")).complete)
            for (const [from, to] of [
              [11, 15],
              [16, 20]
            ] as const) {
              yield* host.close
              host = yield* start(place)
              yield* record(host, from, to)
              assert.isTrue((yield* host.recorder.flush("10 seconds")).complete)
              assert.strictEqual((yield* host.recorder.status).sinks["default"]!.state, "up")
            }
            yield* host.close
            const found = (yield* namesIn(place.log)).filter((name) => name.startsWith("pod-"))
            assert.deepStrictEqual(
              found.toSorted(),
              Array.from({ length: 15 }, (_, index) => nameOf(index + 6)).toSorted()
            )
          }),
        30_000
      )
    }
  }
})

describe("one directory for an event log and a journal", () => {
  it.effect("a journal is refused where a log is created in the same moment", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "both")
      const meta = path.join(directory, ".meta.json")
      const identity = JSON.stringify({ format: 2, id: "0123456789abcdef0123456789abcdef" })
      const disk: Disk = {
        ...node,
        link: (existing, name) => {
          if (name === meta) writeFileSync(meta, identity)
          node.link(existing, name)
        }
      }
      const { reason } = yield* Effect.flip(openJournal.run({ directory }, () => Effect.void, disk))
      assert.include(reason.detail, "holds an event log: give the journal a directory of its own")
      assert.strictEqual(readFileSync(meta, "utf8"), identity)
    })
  )

  it.effect("two journals that are created in the same moment are one", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      let isFirst = true
      const disk: Disk = {
        ...node,
        link: (existing, name) => {
          if (isFirst) {
            isFirst = false
            Effect.runSync(openJournal.run({ directory }, () => Effect.void, node))
          }
          node.link(existing, name)
        }
      }
      yield* openJournal.run({ directory }, (journal) => journal.append([openJournal.occurrence(1)]), disk)
      assert.isFalse(isFirst)
    })
  )

  it.effect("a log is refused where the entries of a journal are, also without its identity", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      yield* openJournal.run({ directory }, (journal) => journal.append([openJournal.occurrence(1)]))
      rmSync(path.join(directory, ".meta.json"))
      const error = yield* Effect.flip(openLog.run(directory, () => Effect.void))
      assert.include(error.message, "holds the journal of a recorder")
      const { entries } = yield* openJournal.run({ directory }, (journal) => openJournal.readAll(journal))
      assert.lengthOf(entries, 1)
    })
  )
})
