import { FileJournal } from "@tidings/backend-fs"
import { assert, describe, it } from "@effect/vitest"
import type { Occurrence } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import { Journal } from "@tidings/core/Journal"
import { Arbitraries, type Simulation } from "@tidings/testing"
import { Arbitrary, Config, ConfigProvider, Context, Effect, Exit, Fiber, Layer, Logger, Metric, Scope } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import * as path from "node:path"
import { Disk } from "../src/internal/disk.ts"
import { inWorld, type Step } from "./JournalWorld.ts"
import { nodeOfRepository } from "./nodeOfRepository.ts"
import {
  disk,
  lostSeqs,
  node,
  occurrence,
  occurrences,
  open,
  readAll,
  run,
  segmentsOf,
  seqsOf,
  type Service
} from "./openJournal.ts"
import * as openLog from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { first } from "./writes.ts"

const seqs = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

/** Reads to the end and makes a checkpoint there. */
const settle = (journal: Service, sink = "a", after = 0) =>
  Effect.flatMap(readAll(journal, sink, after), ({ reached }) =>
    journal.checkpoint(sink, { upTo: reached, state: { upTo: reached } })
  )

const reasonOf = <A>(
  effect: Effect.Effect<A, { readonly reason: { readonly _tag: string; readonly detail: string } }>
) => Effect.map(Effect.flip(effect), ({ reason: { _tag, detail } }) => [_tag, detail] as const)

const fault = (code: string): Error => Object.assign(new Error(`${code}: on purpose`), { code })

const isSlow = process.env["TIDINGS_TESTS"] === "slow"

describe("the directory of a journal", () => {
  it.effect("a journal is created for its owner alone, beside the log unless a directory is given", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const directory = path.join(parent, "log-journal")
      yield* Effect.gen(function* () {
        const journal = yield* Journal
        assert.strictEqual(journal.durability, "disk")
        yield* journal.restore("default")
        yield* journal.append([occurrence(1)])
        yield* settle(journal, "default")
        yield* journal.park("default", first(1), 1, "gone")
      }).pipe(
        Effect.provide(FileJournal.layer()),
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromUnknown({ TIDINGS_DIRECTORY: path.join(parent, "log") })
        )
      )
      const [segment] = segmentsOf(directory)
      assert.match(segment!, /^entries-0000000000000001-[0-9a-f]{32}\.log$/)
      const files = [".meta.json", segment!, "lock", "owner", "reserve"]
      files.push("sink-default.checkpoint", "sink-default.parked")
      assert.deepStrictEqual(readdirSync(directory).sort(), files)
      for (const file of files) assert.strictEqual(statSync(path.join(directory, file)).mode & 0o777, 0o600, file)
      assert.strictEqual(statSync(directory).mode & 0o777, 0o700)
      assert.strictEqual(statSync(path.join(directory, "reserve")).size, 4 * 1024 * 1024)
    })
  )

  it.effect("the directory of a journal can come from the configuration", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      const layer = FileJournal.layerConfig({
        directory: Config.String("JOURNAL"),
        durability: Config.Literals(["process", "disk"], "DURABILITY")
      })
      const durability = yield* Effect.provide(
        Effect.map(Journal, (journal) => journal.durability),
        layer
      ).pipe(
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromUnknown({ JOURNAL: directory, DURABILITY: "process" })
        )
      )
      assert.strictEqual(durability, "process")
      assert.isTrue(existsSync(path.join(directory, "lock")))
    })
  )

  it.effect("a journal and a copy of it never give the same identity", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const [directory, copy] = [path.join(parent, "journal"), path.join(parent, "copy")]
      const append = (directory: string) =>
        run({ directory, segmentSize: 100_000 }, (journal) => journal.append(occurrences(1, 3)))
      const shared = yield* append(directory)
      cpSync(directory, copy, { recursive: true })
      const ids = [...(yield* append(directory)), ...(yield* append(copy))]
      assert.lengthOf(new Set(ids.map(EventId.format)), 6)
      for (const place of [directory, copy]) {
        const { entries } = yield* run({ directory: place }, readAll)
        assert.deepStrictEqual(
          entries.slice(0, 3).map(({ id }) => id),
          shared
        )
        assert.lengthOf(entries, 6)
      }
    })
  )

  it.effect("a journal of the first release keeps its identities, and that release cannot open it any more", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run({ directory }, (journal) => journal.append(occurrences(1, 3)))
      const origin = "0123456789abcdef0123456789abcdef"
      writeFileSync(path.join(directory, ".meta.json"), JSON.stringify({ format: 1, id: origin }))
      const [segment] = segmentsOf(directory)
      renameSync(path.join(directory, segment!), path.join(directory, "entries-0000000000000001.log"))
      const opening = yield* run({ directory }, (journal) => Effect.as(journal.append([occurrence(4)]), journal.origin))
      const { entries } = yield* run({ directory }, readAll)
      assert.deepStrictEqual(
        entries.map(({ id }) => id),
        [1, 2, 3, 4].map((seq) => ({ origin: seq < 4 ? origin : opening, seq }))
      )
      const meta = JSON.parse(readFileSync(path.join(directory, ".meta.json"), "utf8")) as unknown
      assert.deepInclude(meta, { format: 2, kind: "journal", id: origin })
    })
  )

  /** With the environment that a host of the default place has. */
  const inEnvironment = <A, E>(effect: Effect.Effect<A, E, Journal>, log: string, onDisk: Disk = node) =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const value = yield* effect.pipe(
        Effect.provide(Layer.fresh(FileJournal.layer({ durability: "process" }))),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ TIDINGS_DIRECTORY: log })),
        Effect.provideService(Disk, onDisk),
        Effect.provide(Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))]))
      )
      return { value, logged }
    })

  const headAfterOneMore = Effect.gen(function* () {
    const journal = yield* Journal
    yield* journal.append([occurrence(4)])
    return yield* journal.head
  })

  const directoryOf = (environment: Readonly<Record<string, string>>) =>
    Effect.provideService(FileJournal.directory, ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(environment))

  it.effect(
    "a journal that the first release created inside the log is moved beside it with all that is undelivered",
    () =>
      Effect.gen(function* () {
        const log = path.join(yield* TestDirectory.make, "log")
        mkdirSync(log, { mode: 0o700 })
        yield* run({ directory: path.join(log, "journal") }, (journal) => journal.append(occurrences(1, 3)))
        assert.strictEqual(yield* directoryOf({ TIDINGS_DIRECTORY: log }), path.join(log, "journal"))
        const first = yield* inEnvironment(headAfterOneMore, log)
        assert.strictEqual(first.value, 4)
        assert.isTrue(first.logged.some((line) => line.includes(`to ${log}-journal: beside the event log`)))
        assert.strictEqual(yield* directoryOf({ TIDINGS_DIRECTORY: log }), `${log}-journal`)
        assert.isFalse(existsSync(path.join(log, "journal")))
        const second = yield* inEnvironment(headAfterOneMore, log)
        assert.deepStrictEqual(second, { value: 5, logged: [] })
        rmSync(log, { recursive: true })
        assert.strictEqual((yield* inEnvironment(headAfterOneMore, log)).value, 6)
      })
  )

  it.effect("a journal inside the log that cannot be moved is used there, with a warning", () =>
    Effect.gen(function* () {
      const log = path.join(yield* TestDirectory.make, "log")
      mkdirSync(log, { mode: 0o700 })
      const earlier = path.join(log, "journal")
      yield* run({ directory: earlier }, (journal) => journal.append(occurrences(1, 3)))
      const onVolume = disk({
        rename: (from, to) => {
          if (from === earlier) throw fault("EXDEV")
          node.rename(from, to)
        }
      })
      const { logged, value } = yield* inEnvironment(headAfterOneMore, log, onVolume)
      assert.strictEqual(value, 4)
      assert.isTrue(logged.some((line) => line.includes("TIDINGS_JOURNAL") && line.includes("EXDEV")))
      assert.isTrue(existsSync(path.join(earlier, "lock")))
      assert.isFalse(existsSync(`${log}-journal`))
    })
  )

  it.effect("a journal inside the log is not moved while the first release has it open", () =>
    Effect.gen(function* () {
      const log = path.join(yield* TestDirectory.make, "log")
      mkdirSync(log, { mode: 0o700 })
      yield* open({ directory: path.join(log, "journal") }, node)
      const error = yield* Effect.flip(inEnvironment(Effect.void, log))
      assert.strictEqual(error._tag === "JournalError" ? error.reason._tag : error._tag, "JournalLocked")
      assert.isFalse(existsSync(`${log}-journal`))
    })
  )

  it.effect("an event log inside a log is not mistaken for a journal", () =>
    Effect.gen(function* () {
      const log = path.join(yield* TestDirectory.make, "log")
      const nested = path.join(log, "journal")
      for (const directory of [log, nested]) yield* openLog.run(directory, ({ backend }) => backend.write([first(1)]))
      const before = readdirSync(nested).sort()
      assert.strictEqual((yield* inEnvironment(headAfterOneMore, log)).value, 1)
      assert.deepStrictEqual(readdirSync(nested).sort(), before)
    })
  )

  it.effect("a journal has to be named where the directory of the log is a volume", () =>
    Effect.gen(function* () {
      const log = path.join(yield* TestDirectory.make, "log")
      mkdirSync(log, { mode: 0o700 })
      const mounted = disk({
        status: (file) => {
          const status = node.status(file)
          return status !== undefined && file === log ? { ...status, identity: `99:${status.identity}` } : status
        }
      })
      const error = yield* Effect.flip(inEnvironment(Effect.void, log, mounted))
      assert.include(error.message, `${log} is a volume of its own`)
      assert.include(error.message, "TIDINGS_JOURNAL")
      assert.isFalse(existsSync(`${log}-journal`))
    })
  )

  it.effect("a journal that cannot be created names the variable to set", () =>
    Effect.gen(function* () {
      const log = path.join(yield* TestDirectory.make, "log")
      const readOnly = disk({
        makeDirectory: (file) => {
          throw Object.assign(fault("EACCES"), { path: file })
        }
      })
      const error = yield* Effect.flip(inEnvironment(Effect.void, log, readOnly))
      assert.include(error.message, `${log}-journal is not accessible to the user of this process`)
      assert.include(error.message, "TIDINGS_JOURNAL")
    })
  )

  it.effect(
    "a journal that the first release kept in the directory of a log is moved beside it, and the log stays",
    () =>
      Effect.gen(function* () {
        const id = "0123456789abcdef0123456789abcdef"
        /** Of both in one directory, as the first release left it. */
        const shared = Effect.gen(function* () {
          const directory = path.join(yield* TestDirectory.make, "both")
          yield* run({ directory }, (journal) =>
            Effect.gen(function* () {
              yield* journal.restore("a")
              yield* journal.append(occurrences(1, 3))
              yield* readAll(journal)
              yield* journal.checkpoint("a", { upTo: 2, state: "kept" })
            })
          )
          const [segment] = segmentsOf(directory)
          renameSync(path.join(directory, segment!), path.join(directory, "entries-0000000000000001.log"))
          writeFileSync(path.join(directory, ".meta.json"), JSON.stringify({ format: 1, id }))
          writeFileSync(path.join(directory, "events-00000001-20261122.ndjson"), openLog.line(1) + "\n")
          return directory
        })
        const check = (directory: string) =>
          Effect.gen(function* () {
            for (let round = 1; round <= 2; round++) {
              yield* run({ directory }, (journal) =>
                Effect.gen(function* () {
                  assert.deepStrictEqual(yield* journal.restore("a"), { upTo: 2, state: "kept" })
                  const { entries } = yield* readAll(journal, "a", 2)
                  assert.deepStrictEqual(
                    entries.map(({ id }) => id),
                    [{ origin: id, seq: 3 }]
                  )
                })
              )
            }
            assert.deepStrictEqual(readdirSync(directory).sort(), [".meta.json", "events-00000001-20261122.ndjson"])
            assert.deepInclude(JSON.parse(readFileSync(path.join(directory, ".meta.json"), "utf8")), { format: 1, id })
            const { totalCount } = yield* openLog.run(directory, ({ backend }) => backend.query({}))
            assert.strictEqual(totalCount, 1)
          })
        yield* check(yield* shared)

        // Which the first release was started on once more afterwards.
        const again = yield* shared
        yield* run({ directory: `${again}-journal` }, (journal) => journal.append(occurrences(1, 5)))
        const before = readdirSync(again).sort()
        const [tag, detail] = yield* reasonOf(run({ directory: again }, () => Effect.void))
        assert.strictEqual(tag, "JournalFailed")
        assert.include(detail, `there is another journal in ${again}-journal by now`)
        assert.deepStrictEqual(readdirSync(again).sort(), before)

        // Stopped at any of the steps, the next start goes on.
        for (let step = 1; ; step++) {
          const directory = yield* shared
          let calls = 0
          const next = () => {
            if (++calls >= step) throw fault("EIO")
          }
          const failing = disk({
            rename: (from, to) => {
              next()
              node.rename(from, to)
            },
            link: (existing, name) => {
              next()
              node.link(existing, name)
            },
            makeDirectory: (name, permissions) => {
              next()
              node.makeDirectory(name, permissions)
            }
          })
          const exit = yield* Effect.exit(run({ directory }, () => Effect.void, failing))
          yield* check(directory)
          if (Exit.isSuccess(exit)) {
            assert.isAbove(step, 4)
            break
          }
        }
      })
  )

  it.effect("a journal is refused where an event log is, also an empty one", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      for (const [name, use] of [
        ["used", (log: openLog.Log) => log.backend.write([first(1)])],
        ["begun", () => Effect.void]
      ] as const) {
        const directory = path.join(parent, name)
        yield* openLog.run(directory, (log): Effect.Effect<unknown, unknown> => use(log))
        const before = readFileSync(path.join(directory, ".meta.json"), "utf8")
        const [tag, detail] = yield* reasonOf(run({ directory }, () => Effect.void))
        assert.strictEqual(tag, "JournalFailed")
        assert.include(detail, "holds an event log: give the journal a directory of its own")
        assert.strictEqual(readFileSync(path.join(directory, ".meta.json"), "utf8"), before)
      }
    })
  )

  it.effect("an event log is refused where a journal of any release is, also an empty one", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      for (const format of [1, 2]) {
        for (const entries of [0, 3]) {
          const directory = path.join(parent, `${format}-${entries}`)
          yield* run({ directory }, (journal) => journal.append(occurrences(1, entries)))
          const id = "0123456789abcdef0123456789abcdef"
          if (format === 1) writeFileSync(path.join(directory, ".meta.json"), JSON.stringify({ format, id }))
          const error = yield* Effect.flip(openLog.run(directory, () => Effect.void))
          assert.include(error.message, "holds the journal of a recorder")
        }
      }
    })
  )

  it.effect("an error names the file that is wrong, and does not advise another directory", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      yield* run({ directory }, (journal) => journal.append(occurrences(1, 3)))
      const [segment] = segmentsOf(directory).map((file) => path.join(directory, file))
      const lock = path.join(directory, "lock")
      writeFileSync(lock, "not empty")
      const [tag, detail] = yield* reasonOf(run({ directory }, () => Effect.void, node))
      assert.strictEqual(tag, "JournalFailed")
      assert.strictEqual(detail, `${lock}: the lock of a journal is an empty file, and this one is not: move it away`)
      writeFileSync(lock, "")

      const failing = (code: string, file: string) => Object.assign(fault(code), { path: file })
      const noLocks = disk({
        lock: () => {
          throw failing("ENOLCK", lock)
        }
      })
      const [, locks] = yield* reasonOf(run({ directory }, () => Effect.void, noLocks))
      assert.include(locks, `the file system of ${lock} does not support locks (ENOLCK)`)

      for (const [code, says] of [
        ["EACCES", "is not accessible to the user of this process"],
        ["EIO", "reports an input/output error"],
        ["EMFILE", "too many files are open"],
        ["EROFS", "is on a read-only file system"],
        ["EISDIR", "is a directory where a file of the journal should be"],
        ["ELOOP", "is a symbolic link, which the journal never follows"]
      ] as const) {
        const broken = disk({
          openToAppend: (file) => {
            throw failing(code, file)
          }
        })
        const [, detail] = yield* reasonOf(run({ directory }, () => Effect.void, broken))
        assert.include(detail, segment!, code)
        assert.include(detail, says, code)
        assert.notInclude(detail, "another directory", code)
        assert.notInclude(detail, "TIDINGS_DIRECTORY", code)
      }
    })
  )

  it.effect("a journal is refused where its directory is a file, or others may write to it", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      writeFileSync(path.join(parent, "file"), "")
      const [tag] = yield* reasonOf(run({ directory: path.join(parent, "file") }, () => Effect.void))
      assert.strictEqual(tag, "JournalFailed")
      mkdirSync(path.join(parent, "open"))
      chmodSync(path.join(parent, "open"), 0o777)
      const [, detail] = yield* reasonOf(run({ directory: path.join(parent, "open") }, () => Effect.void))
      assert.include(detail, "is writable by everybody")
    })
  )

  it.effect("a journal follows no symbolic link to a file", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const directory = path.join(parent, "journal")
      yield* run({ directory }, (journal) => journal.append([occurrence(1)]))
      const segment = path.join(directory, segmentsOf(directory)[0]!)
      for (const file of [segment, path.join(directory, "lock")]) {
        const target = path.join(parent, "target")
        copyFileSync(file, target)
        renameSync(file, `${file}.away`)
        symlinkSync(target, file)
        const [tag] = yield* reasonOf(run({ directory }, (journal) => journal.append([occurrence(2)])))
        assert.strictEqual(tag, "JournalFailed")
        assert.strictEqual(readFileSync(target, "utf8"), readFileSync(`${file}.away`, "utf8"))
        renameSync(`${file}.away`, file)
      }
      yield* run({ directory }, (journal) => Effect.map(readAll(journal), (page) => assert.lengthOf(page.entries, 1)))
    })
  )

  it.effect("a journal of another format is refused and not changed", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run({ directory }, (journal) => journal.append([occurrence(1)]))
      const meta = path.join(directory, ".meta.json")
      const text = readFileSync(meta, "utf8")
      writeFileSync(meta, text.replace('"format":2', '"format":3'))
      const [tag, detail] = yield* reasonOf(run({ directory }, () => Effect.void))
      assert.strictEqual(tag, "JournalDamaged")
      assert.include(detail, "has format 3")
      assert.include(detail, "use the version that wrote it")
      writeFileSync(meta, text)
      assert.strictEqual(yield* run({ directory }, (journal) => journal.head), 1)
    })
  )
})

describe("the owner of a journal", () => {
  const holder = (directory: string) =>
    Effect.acquireRelease(
      Effect.gen(function* () {
        const child = spawn(
          nodeOfRepository,
          [
            "--conditions=@tidings/source",
            "--disable-warning=ExperimentalWarning",
            path.join(import.meta.dirname, "fixtures", "journalHolder.ts"),
            directory
          ],
          { stdio: ["ignore", "pipe", "inherit"] }
        )
        const ended = once(child, "exit")
        const [line] = yield* Effect.promise(() => once(child.stdout.setEncoding("utf8"), "data") as Promise<[string]>)
        return { child, ended, said: line.trim() }
      }),
      ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
    )

  it.live(
    "a journal has one owner, and after a kill the next one opens it at once",
    () =>
      Effect.gen(function* () {
        const directory = path.join(yield* TestDirectory.make, "journal")
        const { child, ended, said } = yield* holder(directory)
        assert.strictEqual(said, "holds it, appended 3")
        const [tag, detail] = yield* reasonOf(run({ directory }, () => Effect.void, node))
        assert.strictEqual(tag, "JournalLocked")
        assert.include(detail, `process ${child.pid} on `)
        child.kill("SIGKILL")
        yield* Effect.promise(() => ended)
        const page = yield* run({ directory }, readAll, node)
        assert.deepStrictEqual(seqsOf(page), [1, 2, 3])
      }),
    30_000
  )

  it.live(
    "a second open in the same process is refused, and the first one keeps the journal",
    () =>
      Effect.gen(function* () {
        const directory = path.join(yield* TestDirectory.make, "journal")
        yield* open({ directory }, node)
        const [tag, detail] = yield* reasonOf(run({ directory }, () => Effect.void, node))
        assert.strictEqual(tag, "JournalLocked")
        assert.include(detail, "another journal of this process")
        const { said } = yield* holder(directory)
        assert.include(said, "JournalLocked")
      }),
    30_000
  )

  it.live(
    "opening a journal prints no warning of Node",
    () =>
      Effect.gen(function* () {
        const directory = path.join(yield* TestDirectory.make, "lock")
        const disk = path.join(import.meta.dirname, "..", "src", "internal", "disk.ts")
        const script = `const { node } = await import(${JSON.stringify(disk)}); process.emitWarning("another one"); node.lock(${JSON.stringify(directory)}, 0o600); process.emitWarning("and a last one")`
        const { stderr, stdout } = spawnSync(
          nodeOfRepository,
          ["--conditions=@tidings/source", "--input-type=module", "--eval", script],
          { encoding: "utf8" }
        )
        assert.strictEqual(stdout, "")
        assert.deepStrictEqual(
          stderr.split("\n").flatMap((line) => /Warning: (.*)$/.exec(line)?.[1] ?? []),
          ["another one", "and a last one"]
        )
      }),
    30_000
  )
})

describe("appending and reading", () => {
  it.effect("seqs have no gaps across segments and restarts", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      let next = 1
      for (let life = 0; life < 5; life++) {
        yield* run({ directory, segmentSize: 700 }, (journal) =>
          Effect.gen(function* () {
            for (const count of [1, 3, 0, 2]) {
              const ids = yield* journal.append(occurrences(next, next + count - 1))
              assert.deepStrictEqual(
                ids.map(({ seq }) => seq),
                seqs(next, next + count - 1)
              )
              next += count
            }
            assert.strictEqual(yield* journal.head, next - 1)
          })
        )
      }
      assert.isAbove(segmentsOf(directory).length, 5)
      const page = yield* run({ directory }, readAll)
      assert.deepStrictEqual(seqsOf(page), seqs(1, next - 1))
      assert.deepStrictEqual(
        page.entries.map(({ occurrence }) => occurrence),
        occurrences(1, next - 1)
      )
      assert.deepStrictEqual(page.lost, [])
    })
  )

  it.effect.prop(
    "any occurrence is read as it was appended",
    { batch: Arbitrary.array(Arbitraries.occurrence, { minLength: 1, maxLength: 12 }) },
    ({ batch }) =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        yield* run({ directory, segmentSize: 2_000 }, (journal) =>
          Effect.gen(function* () {
            for (const one of batch) yield* journal.append([one])
            yield* journal.append(batch)
          })
        )
        const page = yield* run({ directory }, readAll)
        const read = page.entries.map(({ occurrence }) => occurrence)
        assert.deepStrictEqual(read, JSON.parse(JSON.stringify([...batch, ...batch])))
      }),
    { arbitrary: { runs: 60, size: 20 } }
  )

  it.effect("an occurrence that is like the one before it is read as it was appended", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const one = occurrence(1)
      const object = { apiVersion: "v1", kind: "Pod", name: "web", namespace: "a", uid: "1", fieldPath: "spec" }
      const batch: Array<Occurrence> = [
        ...[object, { ...object, uid: "2" }, { ...object, namespace: "b" }, { ...object, apiVersion: "v2" }],
        ...[{ ...object, kind: "Node" }, { ...object, fieldPath: "status" }, { kind: "Pod", name: "web" }, object]
      ].map((involvedObject) => ({ ...one, involvedObject }))
      batch.push(
        { ...one, type: "Warning" },
        { ...one, action: "other" },
        { ...one, source: { component: "other" } },
        { ...one, source: { component: "other", host: "h" } },
        { ...one, reportingController: "other" },
        { ...one, reportingInstance: "other" },
        { ...one, related: object },
        { ...one, labels: { a: "b" } }
      )
      for (const at of [0, 1, 999_999, 1_000_000, 1_000_001, one.at, one.at + 1, one.at + 999_999, -5, 0.5]) {
        batch.push({ ...one, at })
      }
      yield* run({ directory }, (journal) => journal.append([...batch, ...batch.toReversed()]))
      const { entries } = yield* run({ directory }, readAll)
      assert.deepStrictEqual(
        entries.map(({ occurrence }) => occurrence),
        [...batch, ...batch.toReversed()]
      )
    })
  )

  it.effect("each sink reads pages of the size it asks for, from where it asks", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const journal = yield* open({ directory, segmentSize: 600 })
      yield* journal.append(occurrences(1, 5))
      yield* journal.append(occurrences(6, 10))
      const read = (sink: string, after: number, max: number) =>
        Effect.map(journal.read(sink, after, max), (page) => [seqsOf(page), page.reached])
      assert.deepStrictEqual(yield* read("a", 0, 4), [[1, 2, 3, 4], 4])
      assert.deepStrictEqual(yield* read("b", 7, 1), [[8], 8])
      assert.deepStrictEqual(yield* read("a", 4, 100), [seqs(5, 10), 10])
      assert.deepStrictEqual(yield* read("a", 10, 100), [[], 10])
      assert.deepStrictEqual(yield* read("b", 2, 2), [[3, 4], 4])
      yield* journal.append([occurrence(11)])
      assert.deepStrictEqual(yield* read("a", 10, 100), [[11], 11])
    })
  )

  it.effect("a sink can start to read at any seq, also long after it was appended", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const journal = yield* open({ directory, quota: 100_000_000, segmentSize: 700_000 })
      for (let from = 1; from <= 6_000; from += 10) yield* journal.append(occurrences(from, from + 9))
      assert.isAbove(segmentsOf(directory).length, 2)
      for (let after = 0; after < 6_000; after += 77) {
        const page = yield* journal.read(`sink ${after}`, after, 3)
        assert.deepStrictEqual(
          page.entries.map(({ id, occurrence }) => [id.seq, occurrence.at]),
          occurrences(after + 1, Math.min(6_000, after + 3)).map(({ at }, index) => [after + 1 + index, at])
        )
      }
    })
  )

  it.effect("a batch that was cut at any byte is read completely or not at all", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const whole = path.join(parent, "whole")
      // Batches of one, three, one and four, the last two in a segment of their own.
      const batches = [
        [1, 1],
        [2, 4],
        [5, 5],
        [6, 9]
      ] as const
      const ends: Array<number> = []
      yield* run({ directory: whole, segmentSize: 1_200 }, (journal) =>
        Effect.gen(function* () {
          for (const [from, to] of batches) {
            yield* journal.append(occurrences(from, to))
            ends.push(statSync(path.join(whole, segmentsOf(whole).at(-1)!)).size)
          }
        })
      )
      const [older, newest] = segmentsOf(whole) as [string, string]
      const bytes = readFileSync(path.join(whole, newest))
      const firstOfNewest = Number(newest.slice(8, 24))
      // Every length in `npm run test:slow`.
      for (let size = 0; size < bytes.length; size += isSlow || size < 40 ? 1 : 7) {
        for (const file of segmentsOf(whole)) if (file !== older) rmSync(path.join(whole, file))
        writeFileSync(path.join(whole, newest), bytes.subarray(0, size))
        let last = firstOfNewest - 1
        for (const [index, [from, to]] of batches.entries()) {
          if (from >= firstOfNewest && ends[index]! <= size) last = to
        }
        yield* run({ directory: whole, reserve: 0 }, (journal) =>
          Effect.gen(function* () {
            assert.strictEqual(yield* journal.head, last, `cut at ${size}`)
            const [id] = yield* journal.append([occurrence(100)])
            assert.strictEqual(id!.seq, last + 1)
            const page = yield* readAll(journal)
            assert.deepStrictEqual(seqsOf(page), seqs(1, last + 1))
            assert.deepStrictEqual(page.lost, [])
            assert.deepStrictEqual(page.entries.at(-1)!.occurrence, occurrence(100))
          })
        )
      }
    })
  )

  it.effect("a batch that was not on the disk when the power failed is read completely or not at all", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      for (const [name, followed] of [
        ["last", false],
        ["followed", true]
      ] as const) {
        const directory = path.join(parent, name)
        const ends: Array<number> = []
        const file = () => path.join(directory, segmentsOf(directory)[0]!)
        yield* run({ directory, segmentSize: 100_000 }, (journal) =>
          Effect.gen(function* () {
            for (let n = 1; n <= 2; n++) {
              yield* journal.append([occurrence(n)])
              ends.push(statSync(file()).size)
            }
            yield* journal.append(occurrences(3, 6))
            ends.push(statSync(file()).size)
            if (followed) yield* journal.append([occurrence(7)])
          })
        )
        const bytes = readFileSync(file())
        const [, begin, end] = ends as [number, number, number]
        // Any run of bytes of the batch was never written; its last entry may be there.
        for (let from = begin; from < end - 20; from += 97) {
          for (const to of [from + 20, from + 700, end - 430, end]) {
            if (to <= from + 16 || to > end) continue
            const torn = Buffer.from(bytes).fill(0, from, to)
            for (const rest of segmentsOf(directory)) rmSync(path.join(directory, rest))
            writeFileSync(path.join(directory, "entries-0000000000000001.log"), torn)
            const about = `${name}, ${from - begin} to ${to - begin}`
            yield* run({ directory, reserve: 0 }, (journal) =>
              Effect.gen(function* () {
                assert.strictEqual(yield* journal.head, followed ? 7 : 2, about)
                const page = yield* readAll(journal)
                assert.includeMembers([...seqsOf(page)], followed ? [1, 2, 7] : [1, 2], about)
                // What came after it was accepted, so it was accepted itself, and what is lost of it is counted.
                assert.lengthOf([...seqsOf(page), ...lostSeqs(page, "damaged")], followed ? 7 : 2, about)
              })
            )
          }
        }
      }
    })
  )

  it.effect("a flipped bit loses only the entry it hit, and never changes a body or seq", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const directory = path.join(parent, "journal")
      yield* run({ directory, segmentSize: 1_200, reserve: 0 }, (journal) =>
        Effect.gen(function* () {
          yield* journal.append(occurrences(1, 1))
          yield* journal.append(occurrences(2, 4))
          yield* journal.append(occurrences(5, 6))
          yield* journal.append(occurrences(7, 9))
          yield* journal.append(occurrences(10, 10))
        })
      )
      const segments = segmentsOf(directory)
      assert.lengthOf(segments, 3)
      for (const segment of segments) {
        const file = path.join(directory, segment)
        const bytes = readFileSync(file)
        const newest = segment === segments.at(-1)
        for (let at = 0; at < bytes.length; at++) {
          // All of it around line ends; inside of the JSON one byte is like the other.
          if (at % 5 > 0 && !bytes.subarray(Math.max(0, at - 20), at + 4).includes(10)) continue
          const flipped = Buffer.from(bytes)
          flipped[at]! ^= 1 << ((at * 5) % 8)
          writeFileSync(file, flipped)
          yield* run({ directory, reserve: 0 }, (journal) =>
            Effect.gen(function* () {
              const head = yield* journal.head
              // Where a line end appeared in the last entry, it may have been two.
              assert.isAtLeast(head, 10, `${segment} at ${at}`)
              assert.isAtMost(head, newest ? 11 : 10, `${segment} at ${at}`)
              const page = yield* readAll(journal)
              const lost = lostSeqs(page).filter((seq) => seq <= 10)
              // What stands between two entries belongs to neither.
              assert.isAtMost(lost.length, bytes[at] === 10 ? 0 : 1, `${segment} at ${at}`)
              assert.deepStrictEqual(lostSeqs(page, "quota"), [])
              assert.deepStrictEqual(
                [...seqsOf(page), ...lost].sort((a, b) => a - b),
                seqs(1, 10)
              )
              for (const { id, occurrence: read } of page.entries) assert.deepStrictEqual(read, occurrence(id.seq))
            })
          )
        }
        writeFileSync(file, bytes)
      }
    })
  )

  it.effect("damaged entries are skipped and counted, and their seqs are not given again", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run({ directory, segmentSize: 10_000 }, (journal) => journal.append(occurrences(1, 6)))
      const file = path.join(directory, segmentsOf(directory)[0]!)
      const lines = readFileSync(file, "utf8").split("\n")
      lines[2] = "nonsense"
      lines[5] = lines[5]!.replace("number 6", "number 7")
      writeFileSync(file, lines.join("\n"))
      const registry = new Map()
      yield* run({ directory }, (journal) =>
        Effect.gen(function* () {
          const [id] = yield* journal.append([occurrence(7)])
          assert.strictEqual(id!.seq, 7)
          for (const sink of ["a", "b", "a"]) {
            const page = yield* readAll(journal, sink)
            assert.deepStrictEqual(seqsOf(page), [1, 2, 4, 5, 7])
            assert.deepStrictEqual(lostSeqs(page, "damaged"), [3, 6])
          }
        })
      ).pipe(Effect.provideService(Metric.MetricRegistry, registry))
      const snapshot = yield* Metric.snapshot.pipe(Effect.provideService(Metric.MetricRegistry, registry))
      const damaged = snapshot.find(({ id }) => id === "tidings_journal_damaged_total")
      assert.deepInclude(damaged?.state, { count: 2 })
    })
  )

  it.effect("an unfinished append is counted once, when the journal is opened next", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run({ directory }, (journal) => journal.append(occurrences(1, 2)))
      const file = path.join(directory, segmentsOf(directory)[0]!)
      appendFileSync(file, readFileSync(file).subarray(0, 100))
      const registry = new Map()
      const states = Effect.map(Metric.snapshot, (all) => new Map(all.map(({ id, state }) => [id, state])))
      for (let start = 0; start < 3; start++) {
        const [head, seen] = yield* run({ directory }, (journal) => Effect.all([journal.head, states])).pipe(
          Effect.provideService(Metric.MetricRegistry, registry)
        )
        assert.strictEqual(head, 2)
        assert.deepInclude(seen.get("tidings_journal_torn_tails_total"), { count: 1 })
        assert.deepInclude(seen.get("tidings_journal_bytes"), { value: statSync(file).size })
        assert.deepInclude(seen.get("tidings_journal_segments"), { value: 1 })
      }
      const after = yield* Effect.provideService(states, Metric.MetricRegistry, registry)
      assert.deepStrictEqual([...after.keys()], ["tidings_journal_torn_tails_total"])
    })
  )

  it.effect("random operations on real files behave like a list", () =>
    Effect.gen(function* () {
      const counts: Record<string, number> = {}
      for (let seed = 1; seed <= 40; seed++) {
        const sinks = ["a", "A"].slice(0, 1 + (seed % 2))
        const options = {
          directory: path.join(yield* TestDirectory.make, "journal"),
          durability: seed % 3 === 0 ? "disk" : "process",
          sinks,
          onFull: seed % 5 < 2 ? "fail" : "dropOldest",
          segmentSize: 300 + ((seed * 677) % 2_000),
          quota: seed % 7 < 3 ? 1_000_000 : 4_000 + ((seed * 1_013) % 8_000)
        } as const
        const world = inWorld(String(seed), options, (world) =>
          Effect.gen(function* () {
            for (let life = 0; life < 5; life++) {
              yield* world.life(randomSteps(world.simulation.dice, sinks), "close")
            }
          })
        )
        for (const [what, n] of Object.entries(world.counts)) counts[what] = (counts[what] ?? 0) + n
      }
      for (const what of [
        "accepted",
        "read",
        "checkpoints",
        "parked",
        "unparked",
        "append JournalFull",
        "lost quota"
      ]) {
        assert.isAbove(counts[what] ?? 0, 10, what)
      }
    })
  )
})

const randomSteps = (dice: Simulation.Dice, sinks: ReadonlyArray<string>): ReadonlyArray<Step> =>
  Array.from({ length: dice.integer(4, 33) }, (): Step => {
    const sink = dice.pick(sinks)
    const what = dice.integer(0, 11)
    if (what < 6) return { do: "append", count: dice.integer(1, 5), length: dice.integer(0, 199) }
    if (what < 9) return { do: "read", sink, max: dice.integer(1, 40) }
    if (what < 10) return { do: "checkpoint", sink }
    if (what < 11) return { do: "park", sink, series: dice.integer(1, 4), length: dice.integer(0, 99) }
    return { do: "unpark", sink, series: [dice.integer(1, 4)] }
  })

describe("freeing", () => {
  it.effect("segments are deleted up to the checkpoint that is furthest behind", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const journal = yield* open({ directory, segmentSize: 1 })
      yield* journal.restore("a")
      yield* journal.restore("b")
      for (let n = 1; n <= 6; n++) yield* journal.append([occurrence(n)])
      const kept = () => segmentsOf(directory).map((file) => Number(file.slice(8, 24)))
      yield* journal.checkpoint("a", { upTo: 5, state: null })
      assert.deepStrictEqual(kept(), seqs(1, 6))
      yield* journal.checkpoint("b", { upTo: 3, state: null })
      assert.deepStrictEqual(kept(), [4, 5, 6])
      yield* journal.checkpoint("b", { upTo: 6, state: null })
      assert.deepStrictEqual(kept(), [6])
      yield* journal.checkpoint("a", { upTo: 6, state: null })
      // The last one has the seqs.
      assert.deepStrictEqual(kept(), [6])
      assert.deepStrictEqual(
        (yield* journal.append([occurrence(7)])).map(({ seq }) => seq),
        [7]
      )
    })
  )

  it.effect("segments are deleted without waiting for a sink that no longer exists", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run({ directory, segmentSize: 1 }, (journal) =>
        Effect.gen(function* () {
          yield* journal.restore("old")
          yield* journal.checkpoint("old", { upTo: 0, state: null })
          for (let n = 1; n <= 3; n++) yield* journal.append([occurrence(n)])
        })
      )
      yield* run({ directory, segmentSize: 1 }, (journal) =>
        Effect.gen(function* () {
          yield* journal.restore("new")
          yield* settle(journal, "new")
          // It may still ask for its checkpoint, until the first event is accepted.
          assert.lengthOf(segmentsOf(directory), 3)
          yield* journal.append([occurrence(4)])
          yield* settle(journal, "new", 3)
        })
      )
      assert.lengthOf(segmentsOf(directory), 1)
    })
  )

  it.effect("nothing is deleted before the checkpoint is durable", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const calls: Array<string> = []
      const paths = new Map<number, string>()
      const watched = disk({
        create: (file, permissions) => {
          const opened = node.create(file, permissions)
          paths.set(opened, path.basename(file))
          return opened
        },
        openDirectory: (file) => {
          const opened = node.openDirectory(file)
          paths.set(opened, "directory")
          return opened
        },
        syncLater: (file, done) => {
          calls.push(`sync ${paths.get(file)}`)
          setImmediate(() => {
            calls.push(`synced ${paths.get(file)}`)
            done(undefined)
          })
        },
        rename: (from, to) => {
          calls.push(`rename to ${path.basename(to)}`)
          node.rename(from, to)
        },
        unlink: (file) => {
          if (path.basename(file).startsWith("entries")) calls.push(`delete ${path.basename(file).slice(0, 24)}`)
          node.unlink(file)
        }
      })
      for (const durability of ["disk", "process"] as const) {
        const journal = yield* open(
          { directory: path.join(directory, durability), segmentSize: 1, durability },
          watched
        )
        yield* journal.restore("a")
        yield* journal.append([occurrence(1)])
        yield* journal.append([occurrence(2)])
        yield* readAll(journal)
        calls.length = 0
        yield* journal.checkpoint("a", { upTo: 2, state: null })
        assert.deepStrictEqual(calls, [
          "sync sink-a.checkpoint.new",
          "synced sink-a.checkpoint.new",
          "rename to sink-a.checkpoint",
          "sync directory",
          "synced directory",
          "delete entries-0000000000000001"
        ])
      }
    })
  )

  it.effect("a segment that cannot be deleted is tried again later", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      let failing = true
      const journal = yield* open(
        { directory, segmentSize: 1 },
        disk({
          unlink: (file) => {
            if (failing && path.basename(file).startsWith("entries")) throw fault("EIO")
            node.unlink(file)
          }
        })
      )
      yield* journal.restore("a")
      for (let n = 1; n <= 3; n++) yield* journal.append([occurrence(n)])
      yield* journal.checkpoint("a", { upTo: 3, state: null })
      assert.lengthOf(segmentsOf(directory), 3)
      failing = false
      yield* journal.checkpoint("a", { upTo: 3, state: null })
      assert.lengthOf(segmentsOf(directory), 1)
    })
  )

  it.effect("opening a journal opens no segment but the newest", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const reads = (count: number) =>
        Effect.gen(function* () {
          const directory = path.join(parent, String(count))
          yield* run({ directory, segmentSize: 1_000 }, (journal) =>
            Effect.gen(function* () {
              for (let n = 1; n <= count; n++) yield* journal.append(occurrences(4 * n - 3, 4 * n))
            })
          )
          const opened: Array<string> = []
          const note = (file: string) => void opened.push(path.basename(file))
          yield* run(
            { directory },
            (journal) => journal.head,
            disk({
              openToRead: (file) => (note(file), node.openToRead(file)),
              openToAppend: (file) => (note(file), node.openToAppend(file))
            })
          )
          assert.lengthOf(segmentsOf(directory), count)
          return opened.filter((file) => file.startsWith("entries")).length
        })
      assert.strictEqual(yield* reads(2), 1)
      assert.strictEqual(yield* reads(100), 1)
    })
  )
})

describe("a quota", () => {
  /** Appends until it fails, and says how many were accepted. */
  const fill = (journal: Service, from = 1) =>
    Effect.gen(function* () {
      for (let n = from; n < 10_000; n++) {
        const exit = yield* Effect.exit(journal.append([occurrence(n)]))
        if (Exit.isFailure(exit)) return n - 1
      }
      return assert.fail("it is never full")
    })

  it.effect(
    "an append that exceeds the quota is refused until entries are settled, whatever the size of segments",
    () =>
      Effect.gen(function* () {
        for (const segmentSize of [500, 4_000_000]) {
          const directory = yield* TestDirectory.make
          const journal = yield* open({ directory, quota: 20_000, segmentSize })
          yield* journal.restore("a")
          const last = yield* fill(journal)
          const [tag, detail] = yield* reasonOf(journal.append([occurrence(0)]))
          assert.strictEqual(tag, "JournalFull")
          assert.match(detail, /holds \d+ of 20000 bytes, \d+ more do not fit/)
          const size = () =>
            segmentsOf(directory).reduce((sum, file) => sum + statSync(path.join(directory, file)).size, 0)
          assert.isAtMost(size(), 20_000)
          assert.isAtLeast(size(), 19_000)
          yield* settle(journal)
          const again = yield* fill(journal, last + 1)
          assert.isAtLeast(again - last, 0.8 * last)
          // All of it settled at once, over and over.
          for (let turn = 0; turn < 5; turn++) {
            yield* settle(journal, "a", (yield* journal.head) - 1)
            yield* journal.append(occurrences(1, 20, 500))
          }
        }
      })
  )

  it.effect("a batch as large as the quota is accepted when all entries before it are settled", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const journal = yield* open({ directory, quota: 20_000 })
      yield* journal.restore("a")
      for (let turn = 0; turn < 4; turn++) {
        yield* journal.append(occurrences(1, 10, 1_300))
        yield* settle(journal, "a", 10 * turn)
      }
      const [tag] = yield* reasonOf(journal.append(occurrences(1, 20, 1_300)))
      assert.strictEqual(tag, "JournalFull")
    })
  )

  it.effect("blocked appends wait for room in order, and end when the journal closes", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const scope = yield* Scope.make()
      const journal = yield* Scope.provide(open({ directory, quota: 10_000, onFull: "block" }), scope)
      yield* journal.restore("a")
      let accepted = 0
      const appending = yield* Effect.forkChild(
        Effect.gen(function* () {
          while (true) {
            yield* journal.append([occurrence(accepted + 1)])
            accepted++
            yield* Effect.yieldNow
          }
        })
      )
      const stuck = Effect.gen(function* () {
        for (let last = -1; last !== accepted;) {
          last = accepted
          for (let turn = 0; turn < 50; turn++) yield* Effect.promise(() => new Promise(setImmediate))
        }
        return accepted
      })
      const before = yield* stuck
      assert.isAbove(before, 10)
      yield* settle(journal)
      const after = yield* stuck
      assert.isAbove(after, before)
      const interrupted = yield* Effect.forkChild(journal.append([occurrence(1)]))
      yield* stuck
      yield* Fiber.interrupt(interrupted)
      yield* Scope.close(scope, Exit.void)
      const exit = yield* Fiber.await(appending)
      assert.isTrue(Exit.isFailure(exit))
      const [tag, detail] = yield* reasonOf(journal.append([occurrence(1)]))
      assert.deepStrictEqual([tag, detail.includes("is closed")], ["JournalFailed", true])
      assert.strictEqual(yield* run({ directory }, ({ head }) => head), after)
    })
  )

  it.effect("dropOldest evicts the oldest entries that no sink has begun to read, and reports their range", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const journal = yield* open({ directory, quota: 10_000, segmentSize: 600, onFull: "dropOldest" })
      yield* journal.restore("a")
      yield* journal.append(occurrences(1, 4))
      assert.deepStrictEqual(seqsOf(yield* journal.read("a", 0, 2)), [1, 2])
      for (let n = 5; n <= 100; n++) yield* journal.append([occurrence(n)])
      const page = yield* readAll(journal, "a", 2)
      assert.deepStrictEqual(seqsOf(page).slice(0, 2), [3, 4])
      const lost = lostSeqs(page, "quota")
      assert.isAbove(lost.length, 50)
      assert.deepStrictEqual(lost, seqs(5, 4 + lost.length))
      assert.deepStrictEqual(seqsOf(page), [3, 4, ...seqs(5 + lost.length, 100)])
      assert.deepStrictEqual(lostSeqs(page, "damaged"), [])
      // One name stands for all that is gone.
      assert.lengthOf(
        segmentsOf(directory).filter((file) => file.startsWith("taken")),
        1
      )
      yield* journal.checkpoint("a", { upTo: 100, state: null })
      assert.lengthOf(segmentsOf(directory), 1)
    })
  )

  it.effect("after a restart dropOldest keeps what may have been read, and evicted ranges are still reported", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const options = { directory, quota: 10_000, segmentSize: 600, onFull: "dropOldest" } as const
      const taken = yield* run(options, (journal) =>
        Effect.gen(function* () {
          yield* journal.restore("a")
          yield* journal.append(occurrences(1, 2))
          yield* journal.read("a", 0, 1)
          for (let n = 3; n <= 60; n++) yield* journal.append([occurrence(n)])
          return lostSeqs(yield* readAll(journal, "b"), "quota")
        })
      )
      assert.isAbove(taken.length, 20)
      yield* run(options, (journal) =>
        Effect.gen(function* () {
          yield* journal.restore("a")
          // The next life cannot know how much of it was read.
          yield* fill(journal, 61)
          const page = yield* readAll(journal)
          assert.deepStrictEqual(lostSeqs(page, "quota"), taken)
        })
      )
    })
  )

  it.effect("dropOldest evicts what one sink has settled and another has not begun to read", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const journal = yield* open({ directory, quota: 10_000, segmentSize: 600, onFull: "dropOldest" })
      yield* journal.restore("away")
      yield* journal.restore("busy")
      for (let n = 1; n <= 100; n++) {
        yield* journal.append([occurrence(n)])
        if (n % 5 === 0) yield* settle(journal, "busy", n - 5)
      }
      assert.isAbove(lostSeqs(yield* readAll(journal, "away"), "quota").length, 50)
    })
  )

  it.effect("dropOldest evicts nothing before a sink has restored its checkpoint", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const journal = yield* open({ directory, quota: 10_000, segmentSize: 600, onFull: "dropOldest" })
      yield* fill(journal)
      assert.deepStrictEqual((yield* readAll(journal)).lost, [])
    })
  )
})

describe("a checkpoint", () => {
  it.effect("each sink reads its own checkpoint, whatever its name", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const names = ["default", "Default", "a/b", "a_b", "..", "ünïcödé", "", "x".repeat(300), "x".repeat(301)]
      yield* run({ directory }, (journal) =>
        Effect.gen(function* () {
          yield* journal.append(occurrences(1, names.length))
          for (const [index, name] of names.entries()) {
            assert.isUndefined(yield* journal.restore(name))
            yield* journal.checkpoint(name, { upTo: index, state: { name }, target: `target ${index}` })
            yield* journal.park(name, first(index + 1), index + 1, name)
          }
        })
      )
      yield* run({ directory }, (journal) =>
        Effect.gen(function* () {
          for (const [index, name] of names.entries()) {
            assert.deepStrictEqual(yield* journal.restore(name), {
              upTo: index,
              state: { name },
              target: `target ${index}`
            })
            const parked = yield* journal.parked(name)
            assert.deepStrictEqual(
              parked.map(({ occurrences, reason }) => [occurrences, reason]),
              [[index + 1, name]]
            )
          }
        })
      )
      // Also where the file system takes a for A.
      const files = readdirSync(directory)
      assert.strictEqual(new Set(files.map((file) => file.toLowerCase())).size, files.length)
    })
  )

  it.effect("a checkpoint damaged at any byte fails its sink, and is never treated as missing", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run({ directory }, (journal) =>
        Effect.gen(function* () {
          yield* journal.append([occurrence(1)])
          yield* journal.checkpoint("a", { upTo: 1, state: [1, 2] })
          yield* journal.checkpoint("b", { upTo: 1, state: [3] })
        })
      )
      const file = path.join(directory, "sink-a.checkpoint")
      const bytes = readFileSync(file)
      for (let at = 0; at < bytes.length; at++) {
        const damaged = Buffer.from(bytes)
        damaged[at]! ^= 1 << (at % 8)
        for (const content of [damaged, bytes.subarray(0, at), Buffer.alloc(bytes.length)]) {
          writeFileSync(file, content)
          yield* run({ directory, reserve: 0 }, (journal) =>
            Effect.gen(function* () {
              const [tag, detail] = yield* reasonOf(journal.restore("a"))
              assert.strictEqual(tag, "JournalDamaged", String(at))
              assert.include(detail, `${file} is damaged`)
              assert.deepStrictEqual(yield* journal.restore("b"), { upTo: 1, state: [3] })
            })
          )
        }
      }
    })
  )

  it.effect("a checkpoint that was not finished does not exist", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run({ directory }, (journal) =>
        Effect.gen(function* () {
          yield* journal.checkpoint("a", { upTo: 0, state: "whole" })
        })
      )
      writeFileSync(path.join(directory, "sink-a.checkpoint.new"), "half")
      yield* run({ directory }, (journal) =>
        Effect.map(journal.restore("a"), (checkpoint) => assert.strictEqual(checkpoint?.state, "whole"))
      )
      assert.isFalse(existsSync(path.join(directory, "sink-a.checkpoint.new")))
    })
  )

  it.effect("seqs up to a checkpoint are never given again, also when the entries were removed", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run({ directory }, (journal) =>
        Effect.gen(function* () {
          yield* journal.append(occurrences(1, 20))
          yield* settle(journal)
        })
      )
      for (const file of segmentsOf(directory)) rmSync(path.join(directory, file))
      yield* run({ directory }, (journal) =>
        Effect.gen(function* () {
          assert.strictEqual((yield* journal.restore("a"))?.upTo, 20)
          assert.deepStrictEqual(
            (yield* journal.append([occurrence(21)])).map(({ seq }) => seq),
            [21]
          )
          assert.deepStrictEqual(seqsOf(yield* readAll(journal, "a", 20)), [21])
        })
      )
    })
  )
})

describe("parked events", () => {
  const parkedOf = (journal: Service, sink = "a") =>
    Effect.map(journal.parked(sink), (parked) =>
      parked.map(({ occurrences, write }) => [write.id.seq, write.upTo, occurrences])
    )

  it.effect("a parked series keeps its newest state until it is unparked", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const steps = (journal: Service) =>
        Effect.gen(function* () {
          yield* journal.park("a", { ...first(1), upTo: 5 }, 3, "x")
          yield* journal.park("a", { ...first(1), upTo: 4 }, 9, "x")
          yield* journal.park("a", { ...first(2), upTo: 7 }, 1, "x")
          yield* journal.park("a", { ...first(2), upTo: 7 }, 2, "y")
          yield* journal.park("a", first(3), 1, "x")
          yield* journal.unpark("a", [first(3).id, first(4).id])
          yield* journal.unpark("a", [])
          yield* journal.park("b", first(8), 1, "x")
        })
      const expected = [
        [1, 5, 3],
        [2, 7, 2]
      ]
      yield* run({ directory }, (journal) =>
        Effect.gen(function* () {
          yield* steps(journal)
          assert.deepStrictEqual(yield* parkedOf(journal), expected)
        })
      )
      yield* run({ directory }, (journal) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* parkedOf(journal), expected)
          assert.strictEqual((yield* journal.parked("a"))[1]!.reason, "y")
          yield* journal.unpark("a", [first(1).id, first(2).id])
          assert.deepStrictEqual(yield* parkedOf(journal), [])
          assert.deepStrictEqual(yield* parkedOf(journal, "b"), [[8, 8, 1]])
        })
      )
      assert.deepStrictEqual(yield* run({ directory }, parkedOf), [])
    })
  )

  it.effect("parked events survive a change that was not finished, and changes after it", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const whole = path.join(parent, "whole")
      yield* run({ directory: whole }, (journal) =>
        Effect.gen(function* () {
          yield* journal.park("a", first(1), 1, "x")
          yield* journal.park("a", first(2), 1, "x")
        })
      )
      const bytes = readFileSync(path.join(whole, "sink-a.parked"))
      const second = bytes.indexOf(10) + 1
      for (let size = second; size < bytes.length; size += 7) {
        const directory = path.join(parent, String(size))
        mkdirSync(directory, { mode: 0o700 })
        writeFileSync(path.join(directory, "sink-a.parked"), bytes.subarray(0, size))
        yield* run({ directory, reserve: 0 }, (journal) => journal.park("a", first(3), 1, "x"))
        const kept = yield* run({ directory, reserve: 0 }, parkedOf)
        assert.deepStrictEqual(
          kept.map(([seq]) => seq),
          [1, 3]
        )
      }
    })
  )

  it.effect("the log of parked events is compacted when most of it is obsolete", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const size = () => statSync(path.join(directory, "sink-a.parked")).size
      const journal = yield* open({ directory })
      yield* journal.park("a", first(1), 1, "stays")
      let largest = 0
      for (let n = 2; n <= 1_500; n++) {
        yield* journal.park("a", first(n, { message: "x".repeat(500) }), 1, "goes")
        yield* journal.unpark("a", [first(n).id])
        largest = Math.max(largest, size())
      }
      assert.isBelow(largest, 300_000)
      assert.isAbove(largest, 200_000)
      assert.deepStrictEqual(yield* parkedOf(journal), [[1, 1, 1]])
      assert.deepStrictEqual(
        readdirSync(directory).filter((file) => file.endsWith(".new")),
        []
      )
    })
  )
})

describe("disk failures of a journal", () => {
  /** Fails the syncs of these numbers, counted over the appends. */
  const failingSyncs = (failing: ReadonlyArray<number>) => {
    const paths = new Map<number, string>()
    const synced: Array<string> = []
    let made = 0
    let count = 0
    return {
      synced,
      disk: disk({
        create: (file, permissions) => {
          const opened = node.create(file, permissions)
          paths.set(opened, `${path.basename(file)} ${++made}`)
          return opened
        },
        syncLater: (file, done) => {
          const name = paths.get(file)
          if (name === undefined || !name.startsWith("entries")) return void setImmediate(done, undefined)
          synced.push(name)
          setImmediate(done, failing.includes(++count) ? fault("EIO") : undefined)
        }
      })
    }
  }

  it.effect("after a failed sync the batch goes into another file, and the first one is never synced again", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const failing = failingSyncs([2, 5])
      const journal = yield* open({ directory, segmentSize: 100_000 }, failing.disk)
      for (let n = 1; n <= 8; n += 2) {
        const ids = yield* journal.append(occurrences(n, n + 1))
        assert.deepStrictEqual(
          ids.map(({ seq }) => seq),
          [n, n + 1]
        )
      }
      assert.lengthOf(failing.synced, 6)
      for (const failed of [1, 4]) {
        assert.notInclude(failing.synced.slice(failed + 1), failing.synced[failed], "it was synced again")
      }
      assert.deepStrictEqual(
        segmentsOf(directory).map((file) => Number(file.slice(8, 24))),
        [1, 3, 7]
      )
      const page = yield* readAll(journal)
      assert.deepStrictEqual(seqsOf(page), seqs(1, 8))
    })
  )

  it.effect("a file whose first sync fails is replaced", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const failing = failingSyncs([1])
      const journal = yield* open({ directory }, failing.disk)
      yield* journal.append(occurrences(1, 2))
      assert.lengthOf(new Set(failing.synced), 2)
      assert.lengthOf(segmentsOf(directory), 1)
      assert.deepStrictEqual(seqsOf(yield* readAll(journal)), [1, 2])
    })
  )

  it.effect("a refused batch that cannot be cut off is never read", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const failing = failingSyncs([2, 3])
      yield* run(
        { directory, segmentSize: 100_000 },
        (journal) =>
          Effect.gen(function* () {
            yield* journal.append(occurrences(1, 2))
            yield* reasonOf(journal.append(occurrences(3, 5)))
            yield* journal.append(occurrences(13, 14))
          }),
        {
          ...failing.disk,
          truncate: () => {
            throw fault("EIO")
          }
        }
      )
      assert.lengthOf(segmentsOf(directory), 2)
      const page = yield* run({ directory }, readAll)
      assert.deepStrictEqual(
        page.entries.map(({ occurrence }) => occurrence),
        [1, 2, 13, 14].map((n) => occurrence(n))
      )
      assert.deepStrictEqual(seqsOf(page), [1, 2, 3, 4])
    })
  )

  it.effect("a batch that cannot be synced in a second file either is never read", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const failing = failingSyncs([2, 3])
      yield* run(
        { directory, segmentSize: 100_000 },
        (journal) =>
          Effect.gen(function* () {
            yield* journal.append(occurrences(1, 2))
            const [tag, detail] = yield* reasonOf(journal.append(occurrences(3, 5)))
            assert.strictEqual(tag, "JournalFailed")
            assert.include(detail, "input/output error")
            assert.strictEqual(yield* journal.head, 2)
            assert.deepStrictEqual(seqsOf(yield* readAll(journal)), [1, 2])
          }),
        failing.disk
      )
      yield* run({ directory }, (journal) =>
        Effect.gen(function* () {
          assert.strictEqual(yield* journal.head, 2)
          yield* journal.append([occurrence(3)])
          assert.deepStrictEqual(seqsOf(yield* readAll(journal)), [1, 2, 3])
        })
      )
    })
  )

  for (const code of ["ENOSPC", "EDQUOT", "EFBIG"]) {
    it.effect(`${code} refuses the event, leaves no part of it, and the next one is accepted`, () =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        let room = Number.POSITIVE_INFINITY
        const journal = yield* open(
          { directory, segmentSize: 100_000 },
          disk({
            append: (file, from, offset, length) => {
              if (room <= 0) throw fault(code)
              const written = node.append(file, from, offset, Math.min(length, room))
              room -= written
              return written
            }
          })
        )
        yield* journal.append([occurrence(1)])
        const file = path.join(directory, segmentsOf(directory)[0]!)
        const before = readFileSync(file)
        for (const left of [0, 1, 100, 700]) {
          room = left
          const [tag] = yield* reasonOf(journal.append(occurrences(2, 4)))
          assert.strictEqual(tag, "JournalFull")
          assert.deepStrictEqual(readFileSync(file), before)
        }
        room = Number.POSITIVE_INFINITY
        yield* journal.append(occurrences(2, 4))
        assert.deepStrictEqual(seqsOf(yield* readAll(journal)), [1, 2, 3, 4])
      })
    )
  }

  it.effect("on a full disk the reserve makes room for checkpoints and parked events, which free the rest", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const capacity = 60_000
      const used = () =>
        readdirSync(directory).reduce((sum, file) => sum + statSync(path.join(directory, file)).size, 0)
      const limited = disk({
        append: (file, from, offset, length) => {
          const room = capacity - used()
          if (room <= 0) throw fault("ENOSPC")
          return node.append(file, from, offset, Math.min(length, room))
        }
      })
      const fill = (journal: Service) =>
        Effect.gen(function* () {
          for (let n = 1; n < 1_000; n++) {
            const exit = yield* Effect.exit(journal.append([occurrence(n)]))
            if (Exit.isFailure(exit)) return n
          }
          return assert.fail("it is never full")
        })
      const options = { directory, segmentSize: 2_000, reserve: 20_000 }
      const ballast = path.join(directory, "ballast")
      yield* run(
        options,
        (journal) =>
          Effect.gen(function* () {
            writeFileSync(ballast, Buffer.alloc(10_000))
            yield* journal.restore("a")
            yield* fill(journal)
            yield* journal.park("a", first(1, { message: "x".repeat(1_000) }), 1, "on a full disk")
            assert.isFalse(existsSync(path.join(directory, "reserve")))
          }),
        limited
      )
      // A start needs no room.
      writeFileSync(ballast, Buffer.alloc(10_000 + capacity - used()))
      yield* run(options, (journal) => journal.restore("a"), limited)
      rmSync(ballast)
      yield* run(
        options,
        (journal) =>
          Effect.gen(function* () {
            assert.strictEqual(statSync(path.join(directory, "reserve")).size, 20_000)
            yield* journal.restore("a")
            assert.lengthOf(yield* journal.parked("a"), 1)
            yield* fill(journal)
            const { reached } = yield* readAll(journal)
            yield* journal.checkpoint("a", { upTo: reached, state: "x".repeat(5_000) })
            assert.lengthOf(segmentsOf(directory), 1)
            // There is room again for all of it.
            assert.strictEqual(statSync(path.join(directory, "reserve")).size, 20_000)
            yield* journal.append([occurrence(1)])
          }),
        limited
      )
    })
  )

  it.effect("with durability process an event is on the disk before it is delivered", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      let syncs = 0
      let failing = false
      const journal = yield* open(
        { directory, durability: "process", segmentSize: 100_000 },
        disk({
          syncLater: (_file, done) => {
            syncs++
            setImmediate(done, failing ? fault("EIO") : undefined)
          }
        })
      )
      yield* journal.append(occurrences(1, 5))
      assert.strictEqual(syncs, 0)
      yield* journal.read("a", 0, 2)
      const after = syncs
      assert.isAbove(after, 0)
      yield* journal.read("a", 2, 3)
      yield* journal.read("b", 0, 5)
      assert.strictEqual(syncs, after)
      // What the sync of one file may have thrown away is written into a new one.
      const segment = path.join(directory, segmentsOf(directory)[0]!)
      const { ino } = statSync(segment)
      failing = true
      yield* journal.append([occurrence(6)])
      const exit = yield* Effect.exit(journal.read("a", 5, 1))
      assert.isTrue(Exit.isFailure(exit))
      failing = false
      assert.deepStrictEqual(seqsOf(yield* journal.read("a", 5, 1)), [6])
      assert.notStrictEqual(statSync(segment).ino, ino)
      yield* journal.append([occurrence(7)])
      assert.deepStrictEqual(seqsOf(yield* readAll(journal)), seqs(1, 7))
    })
  )

  it.effect("closing a journal closes no file during its sync", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const scope = yield* Scope.make()
      let finish: (() => void) | undefined
      let closed = false
      let closedEarly = false
      const busy = new Set<number>()
      const journal = yield* Scope.provide(
        open(
          { directory },
          disk({
            close: (file) => {
              closedEarly ||= busy.has(file)
              node.close(file)
            },
            syncLater: (file, done) => {
              busy.add(file)
              finish = () => {
                busy.delete(file)
                done(undefined)
              }
              if (!closed) setImmediate(() => undefined)
            }
          })
        ),
        scope
      )
      const appending = yield* Effect.forkChild(journal.append([occurrence(1)]))
      yield* Effect.promise(() => new Promise(setImmediate))
      closed = true
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(appending))
      while (Fiber.isFiber(closing) && closing.pollUnsafe() === undefined) {
        yield* Effect.promise(() => new Promise(setImmediate))
        const go = finish
        finish = undefined
        go?.()
      }
      yield* Fiber.join(interrupting)
      assert.isFalse(closedEarly)
      assert.strictEqual(yield* run({ directory }, ({ head }) => head), 1)
    })
  )
})

it.effect("one layer is one journal, closed with its scope", () =>
  Effect.gen(function* () {
    const directory = path.join(yield* TestDirectory.make, "journal")
    const layer = FileJournal.layer({ directory, durability: "process" })
    const use = Effect.gen(function* () {
      const context = yield* Layer.build(layer)
      return yield* Context.get(context, Journal).append([occurrence(1)])
    })
    for (const seq of [1, 2]) {
      assert.deepStrictEqual(
        (yield* Effect.scoped(use)).map((id) => id.seq),
        [seq]
      )
    }
  })
)
