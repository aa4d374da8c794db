import { FileBackend, FileJournal } from "@tidings/backend-fs"
import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import { BackendError, Unavailable } from "@tidings/core/BackendError"
import * as EventId from "@tidings/core/EventId"
import { Journal, type JournalError } from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import { Effect, Exit, Layer, Logger, References, Scope } from "effect"
import { spawnSync } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync
} from "node:fs"
import * as path from "node:path"
import { type Disk, node } from "../src/internal/disk.ts"
import * as openJournal from "./openJournal.ts"
import * as openLog from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { start } from "./writerProcess.ts"
import { first } from "./writes.ts"

const { lostSeqs, occurrence, occurrences, readAll, run, segmentsOf, seqsOf } = openJournal
const durabilities = ["process", "disk"] as const

interface Change {
  readonly name: string
  readonly make: (directory: string) => void
  /** Whether the file that an append was written to may be found again. */
  readonly applied: "no" | "unknown"
  readonly says: string
}

const changes: ReadonlyArray<Change> = [
  {
    name: "deleted",
    make: (directory) => rmSync(directory, { recursive: true }),
    applied: "no",
    says: "was deleted or moved while this process had its journal in it"
  },
  {
    name: "deleted and made anew",
    make: (directory) => {
      rmSync(directory, { recursive: true })
      mkdirSync(directory, { mode: 0o700 })
    },
    applied: "no",
    says: "another directory is at"
  },
  {
    name: "moved",
    make: (directory) => renameSync(directory, `${directory}-moved`),
    applied: "unknown",
    says: "was deleted or moved while this process had its journal in it"
  },
  {
    name: "moved and replaced by an empty one",
    make: (directory) => {
      renameSync(directory, `${directory}-moved`)
      mkdirSync(directory, { mode: 0o700 })
    },
    applied: "unknown",
    says: "another directory is at"
  },
  {
    name: "left without its lock",
    make: (directory) => unlinkSync(path.join(directory, "lock")),
    applied: "unknown",
    says: "lock was deleted or replaced"
  },
  {
    name: "given another lock",
    make: (directory) => {
      unlinkSync(path.join(directory, "lock"))
      writeFileSync(path.join(directory, "lock"), "")
    },
    applied: "unknown",
    says: "lock was deleted or replaced"
  }
]

const lossOf = <A>(effect: Effect.Effect<A, JournalError>) =>
  Effect.map(Effect.flip(effect), ({ message, reason }) => {
    assert.strictEqual(reason._tag, "JournalLost", message)
    return reason._tag === "JournalLost" ? reason : assert.fail()
  })

/** What is in a directory, and in its files. */
const contentOf = (directory: string): Readonly<Record<string, string>> =>
  existsSync(directory)
    ? Object.fromEntries(
        readdirSync(directory)
          .sort()
          .map((file) => [file, readFileSync(path.join(directory, file)).toString("hex")])
      )
    : {}

const messagesOf = (entries: ReadonlyArray<{ readonly occurrence: { readonly message: string } }>) =>
  entries.map(({ occurrence }) => occurrence.message)

/** A disk on which something happens while it is busy with a sync that is not waited for. */
const whileSyncing = (happens: () => void): Disk => ({
  ...node,
  syncLater: (file, done) => {
    happens()
    node.syncLater(file, done)
  }
})

describe("a journal that loses its directory", () => {
  for (const durability of durabilities) {
    for (const { applied, make, name, says } of changes) {
      it.live(
        `a journal whose directory is ${name} accepts nothing more, says why, and delivers what it still can (${durability})`,
        () =>
          Effect.gen(function* () {
            const directory = path.join(yield* TestDirectory.make, "journal")
            const journal = yield* openJournal.open({ directory, durability, segmentSize: 1_000_000 }, node)
            yield* journal.restore("a")
            // Too large to be kept in memory for sinks that keep up: they are read from the open file.
            yield* journal.append(occurrences(1, 5, 8_192))
            make(directory)
            const before = contentOf(directory)
            const loss = yield* lossOf(journal.append([occurrence(6)]))
            assert.strictEqual(loss.applied, applied)
            assert.include(loss.detail, directory)
            assert.include(loss.detail, says)
            for (let n = 7; n < 10; n++) {
              assert.strictEqual((yield* lossOf(journal.append([occurrence(n)]))).applied, "no")
            }
            assert.strictEqual(yield* journal.head, 5)
            // A sink can deliver what is in memory.
            assert.deepStrictEqual(seqsOf(yield* readAll(journal)), [1, 2, 3, 4, 5])
            for (const change of [
              journal.checkpoint("a", { upTo: 5, state: null }),
              journal.park("a", first(1), 1, "gone"),
              journal.unpark("a", [first(1).id]),
              journal.parked("a"),
              journal.requests("a"),
              journal.restore("b")
            ]) {
              assert.strictEqual((yield* lossOf<unknown>(change)).applied, "no")
            }
            const after = contentOf(directory)
            for (const [file, content] of Object.entries(before)) {
              if (!file.startsWith("entries-")) assert.strictEqual(after[file], content, file)
            }
            assert.deepStrictEqual(Object.keys(after), Object.keys(before))
          })
      )

      it.live(
        `after a checkpoint finds that the directory is ${name}, the next append writes nothing (${durability})`,
        () =>
          Effect.gen(function* () {
            const directory = path.join(yield* TestDirectory.make, "journal")
            let written = 0
            const disk: Disk = {
              ...node,
              append: (file, from, offset, length) => {
                written += length
                return node.append(file, from, offset, length)
              }
            }
            const journal = yield* openJournal.open({ directory, durability, segmentSize: 1_000_000 }, disk)
            yield* journal.append(occurrences(1, 5))
            make(directory)
            const before = written
            yield* lossOf(journal.checkpoint("a", { upTo: 0, state: null }))
            assert.strictEqual((yield* lossOf(journal.append([occurrence(6)]))).applied, "no")
            assert.strictEqual(written, before)
          })
      )

      it.live(
        `the last segment stays readable when the directory is ${name} before the next one begins (${durability})`,
        () =>
          Effect.gen(function* () {
            const directory = path.join(yield* TestDirectory.make, "journal")
            const journal = yield* openJournal.open({ directory, durability, segmentSize: 1 }, node)
            yield* journal.restore("a")
            yield* journal.append(occurrences(1, 5, 8_192))
            make(directory)
            assert.strictEqual((yield* lossOf(journal.append([occurrence(6)]))).applied, "no")
            assert.deepStrictEqual(seqsOf(yield* readAll(journal)), [1, 2, 3, 4, 5])
          })
      )

      it.live(`an append during which the directory is ${name} is not accepted (${durability})`, () =>
        Effect.gen(function* () {
          const directory = path.join(yield* TestDirectory.make, "journal")
          let happens = () => {}
          const disk: Disk = {
            ...whileSyncing(() => happens()),
            append: (file, from, offset, length) => {
              const written = node.append(file, from, offset, length)
              if (durability === "process") happens()
              return written
            }
          }
          const journal = yield* openJournal.open({ directory, durability, segmentSize: 1_000_000 }, disk)
          yield* journal.append(occurrences(1, 5))
          happens = () => {
            happens = () => {}
            make(directory)
          }
          const loss = yield* lossOf(journal.append([occurrence(6)]))
          assert.strictEqual(loss.applied, applied)
          assert.strictEqual(yield* journal.head, 5)
        })
      )

      it.live(`a checkpoint during which the directory is ${name} leaves no part of it (${durability})`, () =>
        Effect.gen(function* () {
          const directory = path.join(yield* TestDirectory.make, "journal")
          let happens = () => {}
          const journal = yield* openJournal.open(
            { directory, durability, segmentSize: 1 },
            whileSyncing(() => happens())
          )
          yield* journal.restore("a")
          for (let n = 1; n <= 3; n++) yield* journal.append([occurrence(n)])
          yield* readAll(journal)
          yield* journal.checkpoint("a", { upTo: 1, state: "first" })
          let before: Readonly<Record<string, string>> = {}
          happens = () => {
            happens = () => {}
            make(directory)
            before = contentOf(directory)
          }
          yield* lossOf(journal.checkpoint("a", { upTo: 3, state: "second" }))
          assert.deepStrictEqual(contentOf(directory), before)
          happens = () => {}
        })
      )
    }

    it.live(
      `a journal that was moved and the one begun in its place do not write into each other (${durability})`,
      () =>
        Effect.gen(function* () {
          const directory = path.join(yield* TestDirectory.make, "journal")
          const moved = `${directory}-moved`
          const scope = yield* Scope.make()
          // A new segment for each append: they are made by their path.
          const options = { directory, durability, segmentSize: 1 }
          const owner = yield* Scope.provide(openJournal.open(options, node), scope)
          const ids = [...(yield* owner.append([occurrence(1)]))]
          renameSync(directory, moved)
          const other = yield* openJournal.open(options, node)
          ids.push(...(yield* other.append([occurrence(2)])))
          const before = contentOf(directory)
          yield* lossOf(owner.append([occurrence(3)]))
          assert.deepStrictEqual(contentOf(directory), before)
          ids.push(...(yield* other.append([occurrence(4)])))
          yield* Scope.close(scope, Exit.void)
          assert.lengthOf(new Set(ids.map(EventId.format)), 3)
          assert.deepStrictEqual(seqsOf(yield* readAll(other)), [1, 2])
          const back = yield* openJournal.open({ ...options, directory: moved }, node)
          assert.deepStrictEqual(seqsOf(yield* readAll(back)), [1])
        })
    )

    it.live(
      `a journal whose lock is deleted stops when a second owner opens it, and no identity is given twice (${durability})`,
      () =>
        Effect.gen(function* () {
          const directory = path.join(yield* TestDirectory.make, "journal")
          const options = { directory, durability, segmentSize: 1_000_000 }
          const owner = yield* openJournal.open(options, node)
          const ids = [...(yield* owner.append(occurrences(1, 3)))]
          unlinkSync(path.join(directory, "lock"))
          const second = yield* openJournal.open(options, node)
          yield* lossOf(owner.append([occurrence(4)]))
          ids.push(...(yield* second.append(occurrences(4, 6))))
          yield* lossOf(owner.append([occurrence(7)]))
          assert.lengthOf(new Set(ids.map(EventId.format)), 6)
          assert.deepStrictEqual(seqsOf(yield* readAll(second)), [1, 2, 3, 4, 5, 6])
        })
    )

    it.live(
      `a journal that is moved during an append and put back continues without what was refused (${durability})`,
      () =>
        Effect.gen(function* () {
          const directory = path.join(yield* TestDirectory.make, "journal")
          const options = { directory, durability, segmentSize: 1_000_000 }
          const accepted = [occurrence(1).message, occurrence(3).message, occurrence(4).message]
          yield* run(
            options,
            (journal) =>
              Effect.gen(function* () {
                yield* journal.restore("a")
                yield* journal.append([occurrence(1)])
                renameSync(directory, `${directory}-moved`)
                assert.strictEqual((yield* lossOf(journal.append([occurrence(2)]))).applied, "unknown")
                renameSync(`${directory}-moved`, directory)
                const [id] = yield* journal.append([occurrence(3)])
                assert.strictEqual(id!.seq, 2)
                yield* journal.append([occurrence(4)])
                assert.deepStrictEqual(messagesOf((yield* readAll(journal)).entries), accepted)
              }),
            node
          )
          const page = yield* run(options, readAll, node)
          assert.deepStrictEqual(messagesOf(page.entries), accepted)
          assert.deepStrictEqual(page.lost, [])
        })
    )

    for (const [name, change] of [
      ["deleted", (file: string) => rmSync(file)],
      ["replaced by a copy", (file: string) => copyOver(file)],
      ["moved away", (file: string) => renameSync(file, `${file}.away`)]
    ] as const) {
      it.live(`a journal whose open segment is ${name} restores it before anything is lost (${durability})`, () =>
        Effect.gen(function* () {
          const directory = path.join(yield* TestDirectory.make, "journal")
          const options = { directory, durability, segmentSize: 1_000_000 }
          const ids = yield* run(
            options,
            (journal) =>
              Effect.gen(function* () {
                const ids = [...(yield* journal.append(occurrences(1, 5)))]
                change(path.join(directory, segmentsOf(directory)[0]!))
                ids.push(...(yield* journal.append([occurrence(6)])))
                ids.push(...(yield* journal.append([occurrence(7)])))
                // What the next process finds where this one is killed now.
                const found = `${directory}-found`
                cpSync(directory, found, { recursive: true })
                const { entries } = yield* run({ ...options, directory: found }, readAll, node)
                assert.deepStrictEqual(
                  entries.map(({ id }) => id),
                  ids
                )
                return ids
              }),
            node
          )
          const { entries, lost } = yield* run(options, readAll, node)
          assert.deepStrictEqual(
            entries.map(({ id }) => id),
            ids
          )
          assert.deepStrictEqual(lost, [])
        })
      )
    }
  }

  it.live("the error for a journal in use does not suggest deleting the lock", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      yield* openJournal.open({ directory }, node)
      const error = yield* Effect.flip(openJournal.open({ directory }, node))
      assert.strictEqual(error.reason._tag, "JournalLocked")
      assert.include(error.message, "deleting the file does not release it")
    })
  )
})

/** Another file with the same bytes. */
const copyOver = (file: string): void => {
  const bytes = readFileSync(file)
  rmSync(file)
  writeFileSync(file, bytes, { mode: 0o600 })
}

describe("files of a journal that are deleted during use", () => {
  it.live("the entries of a deleted older segment are counted as damaged", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      const journal = yield* openJournal.open({ directory, durability: "process", segmentSize: 1 }, node)
      yield* journal.restore("a")
      // Far more than it keeps in memory for sinks that keep up.
      for (let n = 1; n <= 30; n++) yield* journal.append([occurrence(n, 8_192)])
      for (const file of segmentsOf(directory).slice(9, 12)) rmSync(path.join(directory, file))
      const page = yield* readAll(journal)
      assert.deepStrictEqual(lostSeqs(page, "damaged"), [10, 11, 12])
      assert.lengthOf(page.entries, 27)
    })
  )

  it.live("a deleted checkpoint is written again", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      yield* run(
        { directory },
        (journal) =>
          Effect.gen(function* () {
            yield* journal.restore("a")
            yield* journal.append(occurrences(1, 5))
            yield* readAll(journal)
            yield* journal.checkpoint("a", { upTo: 3, state: "first" })
            rmSync(path.join(directory, "sink-a.checkpoint"))
            yield* journal.checkpoint("a", { upTo: 4, state: "second" })
          }),
        node
      )
      const restored = yield* run({ directory }, (journal) => journal.restore("a"), node)
      assert.deepStrictEqual(restored, { upTo: 4, state: "second" })
    })
  )

  it.live("the deleted open segment is restored by the next checkpoint at the latest", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      const options = { directory, durability: "process" as const, segmentSize: 1_000_000 }
      yield* run(
        options,
        (journal) =>
          Effect.gen(function* () {
            yield* journal.restore("a")
            yield* journal.append(occurrences(1, 5))
            const segment = path.join(directory, segmentsOf(directory)[0]!)
            const bytes = readFileSync(segment)
            rmSync(segment)
            yield* journal.checkpoint("a", { upTo: 0, state: null })
            assert.deepStrictEqual(readFileSync(segment), bytes)
          }),
        node
      )
      assert.deepStrictEqual(seqsOf(yield* run(options, readAll, node)), [1, 2, 3, 4, 5])
    })
  )
})

// ---------------------------------------------------------------------------
// real processes
// ---------------------------------------------------------------------------

/** A process that appends to a journal until that refuses: says identities of what was accepted, and last why nothing more was. */
const appender = (directory: string, durability: string) => start("journalAppender.ts", directory, durability)

describe("processes that append to a journal", () => {
  for (const durability of durabilities) {
    it.live(
      `a process stops when its lock is deleted and another one opens the journal, and what either accepted is there once (${durability})`,
      () =>
        Effect.gen(function* () {
          const directory = path.join(yield* TestDirectory.make, "journal")
          const one = yield* appender(directory, durability)
          yield* one.saidAtLeast(20)
          unlinkSync(path.join(directory, "lock"))
          const two = yield* appender(directory, durability)
          yield* one.ended
          const refusal = one.said().at(-1)!
          assert.match(refusal, /^JournalLost /)
          yield* two.saidAtLeast(20)
          two.process.kill("SIGKILL")
          yield* two.ended
          const accepted = [...one.said().slice(0, -1), ...two.said()]
          const { entries } = yield* run({ directory, quota: 100_000_000 }, readAll, node)
          const there = entries.map(({ id }) => EventId.format(id))
          assert.strictEqual(new Set(there).size, there.length)
          assert.deepStrictEqual(
            accepted.filter((id) => !there.includes(id)),
            []
          )
          assert.strictEqual(new Set(accepted).size, accepted.length)
        }),
      60_000
    )

    it.live(
      `what a process accepted is there when it is killed after its open segment was deleted (${durability})`,
      () =>
        Effect.gen(function* () {
          const directory = path.join(yield* TestDirectory.make, "journal")
          const one = yield* appender(directory, durability)
          yield* one.saidAtLeast(20)
          const segment = path.join(directory, segmentsOf(directory)[0]!)
          rmSync(segment)
          // What it says may be older than that: it has noticed when the file is there again.
          yield* one.saidThat(() => existsSync(segment))
          one.process.kill("SIGKILL")
          yield* one.ended
          const { entries } = yield* run({ directory, quota: 100_000_000 }, readAll, node)
          const there = entries.map(({ id }) => EventId.format(id))
          assert.deepStrictEqual(there.slice(0, one.said().length), one.said())
        }),
      60_000
    )

    for (const [name, command] of [
      ["deleted by rm -rf", (directory: string) => ["rm", "-rf", directory]],
      ["moved by mv", (directory: string) => ["mv", directory, `${directory}-moved`]]
    ] as const) {
      it.live(
        `a process stops when its directory is ${name}, and what it accepted before is kept (${durability})`,
        () =>
          Effect.gen(function* () {
            const directory = path.join(yield* TestDirectory.make, "journal")
            const one = yield* appender(directory, durability)
            yield* one.saidAtLeast(20)
            const [program, ...parameters] = command(directory)
            spawnSync(program!, parameters, { stdio: "inherit" })
            yield* one.ended
            const accepted = one.said().slice(0, -1)
            assert.match(one.said().at(-1)!, /^JournalLost /)
            const moved = `${directory}-moved`
            if (existsSync(moved)) {
              const { entries } = yield* run({ directory: moved, quota: 100_000_000 }, readAll, node)
              const there = new Set(entries.map(({ id }) => EventId.format(id)))
              for (const id of accepted) assert.isTrue(there.has(id))
            }
            // The next one begins anew, and gives none of these identities.
            const two = yield* appender(directory, durability)
            yield* two.saidAtLeast(20)
            two.process.kill("SIGKILL")
            yield* two.ended
            assert.strictEqual(new Set([...accepted, ...two.said()]).size, accepted.length + two.said().length)
          }),
        60_000
      )
    }
  }
})

// ---------------------------------------------------------------------------
// a whole recorder
// ---------------------------------------------------------------------------

describe("a recorder whose journal loses its directory", () => {
  for (const durability of durabilities) {
    it.live(
      `a recorder whose journal is lost delivers what it holds and refuses new events (${durability})`,
      () =>
        Effect.gen(function* () {
          const directory = path.join(yield* TestDirectory.make, "journal")
          const memory = yield* Effect.provide(Backend.Backend, Backend.layerMemory())
          let isAway = true
          const away = new BackendError({ reason: new Unavailable({ detail: "no route to host" }) })
          const backend: Backend.Service = {
            ...memory,
            write: (batch) => (isAway ? Effect.fail(away) : memory.write(batch))
          }
          const journal = Layer.effect(Journal, openJournal.open({ directory, durability }, node))
          const layer = Recorder.layer({ component: "example", drainTimeout: 0 }).pipe(
            Layer.provide([Templates.layer, Layer.succeed(Backend.Backend, backend), journal])
          )
          const logged: Array<string> = []
          const logger = Logger.make(({ message }) => void logged.push(String(message)))
          yield* Effect.gen(function* () {
            const recorder = yield* Recorder.Recorder
            const draft = (n: number) => ({
              involvedObject: { kind: "Pod", name: `web-${n}` },
              reason: "Started",
              message: "It runs"
            })
            for (let n = 1; n <= 20; n++) yield* recorder.record(draft(n))
            rmSync(directory, { recursive: true })
            for (let n = 21; n <= 23; n++) {
              const error = yield* Effect.flip(recorder.record(draft(n)))
              assert.include(error.message, `${directory} was deleted or moved`)
            }
            isAway = false
            const { complete } = yield* recorder.flush("20 seconds")
            assert.isTrue(complete)
            let status = yield* recorder.status
            // It is told with the next checkpoint, at the latest.
            while (status.sinks["default"]!.state === "up") {
              yield* Effect.sleep(50)
              status = yield* recorder.status
            }
            const { accepted, sinks } = status
            const { pending, settled, state } = sinks["default"]!
            assert.deepStrictEqual({ accepted, pending, settled }, { accepted: 20, pending: 0, settled: 20 })
            assert.strictEqual(state, "blocked")
            assert.strictEqual((yield* memory.query({ limit: 1 })).totalCount, 20)
          }).pipe(
            Effect.provide(layer),
            Effect.provide(Logger.layer([logger])),
            Effect.provideService(References.MinimumLogLevel, "Info")
          )
          assert.isTrue(logged.some((line) => line.includes("ends without a last checkpoint, with 0 occurrences")))
        }),
      60_000
    )
  }
})

describe("an event log that is deleted under a running host", () => {
  it.live("a log that was deleted during use has every event answered after the deletion", () =>
    Effect.gen(function* () {
      for (let round = 0; round < 5; round++) {
        const directory = path.join(yield* TestDirectory.make, "log")
        const { backend } = yield* openLog.open({ directory })
        for (let seq = 1; seq <= 50; seq++) yield* backend.write([first(seq)])
        rmSync(directory, { recursive: true })
        const answered: Array<number> = []
        for (let seq = 51; seq <= 150; seq++) {
          const [outcome] = yield* backend
            .write([first(seq)])
            .pipe(Effect.catch(() => Effect.succeed([{ _tag: "Retry" } as const])))
          if (outcome!._tag === "Settled") answered.push(seq)
        }
        const { events } = yield* backend.query({})
        const there = new Set(events.map(({ id }) => id.seq))
        assert.deepStrictEqual(
          answered.filter((seq) => !there.has(seq)),
          []
        )
        assert.isAbove(answered.length, 90)
      }
    })
  )
})

describe("a host with a journal elsewhere, whose event log is deleted", () => {
  for (const [when, isRunning] of [
    ["while it runs", true],
    ["while it is stopped", false]
  ] as const) {
    it.live(`a host delivers to the log that is begun anew when the old one is deleted ${when}`, () =>
      Effect.gen(function* () {
        const parent = yield* TestDirectory.make
        const log = path.join(parent, "log")
        const journal = path.join(parent, "elsewhere")
        const draft = (n: number) => ({
          involvedObject: { kind: "Pod", name: `web-${n}` },
          reason: "Started",
          message: "It runs"
        })
        const life = <A, E>(use: (recorder: Recorder.Recorder["Service"]) => Effect.Effect<A, E>) =>
          Recorder.Recorder.use(use).pipe(
            Effect.provide(
              Recorder.layer({ component: "example" }).pipe(
                Layer.provide([
                  Templates.layer,
                  FileBackend.layer({ directory: log, console: false }),
                  FileJournal.layer({ directory: journal, durability: "process" })
                ]),
                Layer.fresh
              )
            )
          )
        const record = (from: number, to: number) => (recorder: Recorder.Recorder["Service"]) =>
          Effect.gen(function* () {
            for (let n = from; n <= to; n++) yield* recorder.record(draft(n))
            return (yield* recorder.flush("20 seconds")).complete
          })
        const complete = yield* life((recorder) =>
          Effect.gen(function* () {
            const before = yield* record(1, 5)(recorder)
            if (!isRunning) return before
            rmSync(log, { recursive: true })
            return before && (yield* record(6, 10)(recorder))
          })
        )
        assert.isTrue(complete)
        if (!isRunning) rmSync(log, { recursive: true })
        assert.isTrue(yield* life(record(11, 15)))
        const found = yield* openLog.run(log, ({ backend }) => backend.query({}))
        assert.deepStrictEqual(
          found.events.map(({ event }) => event.involvedObject.name).sort(),
          (isRunning ? [6, 7, 8, 9, 10, 11, 12, 13, 14, 15] : [11, 12, 13, 14, 15]).map((n) => `web-${n}`).sort()
        )
      })
    )
  }
})
