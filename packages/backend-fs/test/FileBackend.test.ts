import { FileBackend } from "@tidings/backend-fs"
import { Backend } from "@tidings/core/Backend"
import type { Event } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import { Contract } from "@tidings/testing"
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Layer, Logger, Metric, Option, References, Result, Stream } from "effect"
import { TestClock } from "effect/testing"
import { execFileSync } from "node:child_process"
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import * as path from "node:path"
import * as LogLine from "../src/internal/log/line.ts"
import { crc32 } from "node:zlib"
import { line, newestOf, noted, open, run, segmentsOf, shown, withoutChecksums } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { again, at, first, seqsOf } from "./writes.ts"

const quiet = { console: false } as const

const query = (directory: string, asked = {}) => run(directory, ({ backend }) => backend.query(asked))

const fresh = Layer.unwrap(Effect.map(TestDirectory.make, (directory) => FileBackend.layer({ ...quiet, directory })))

Contract.suite("The event log on disk", fresh, {
  other: fresh,
  reopenable: Effect.map(TestDirectory.make, (directory) => FileBackend.layer({ ...quiet, directory }))
})

describe("the directory of a log", () => {
  it.effect("a log is created with files that only their owner may read", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "of", "the", "log")
      const status = yield* run(directory, ({ backend, log }) => Effect.andThen(backend.write([first(1)]), log.status))
      const [segment] = segmentsOf(directory)
      assert.match(segment!, /^events-00000001-\d{8}\.ndjson$/)
      assert.strictEqual(statSync(directory).mode & 0o777, 0o700)
      assert.strictEqual(statSync(path.join(directory, segment!)).mode & 0o777, 0o600)
      assert.strictEqual(statSync(path.join(directory, ".meta.json")).mode & 0o777, 0o600)
      assert.strictEqual(readlinkSync(path.join(directory, "events.log")), segment)
      assert.strictEqual(readFileSync(path.join(directory, "events.log"), "utf8"), line(1))
      assert.deepStrictEqual(status, {
        directory,
        target: status.target,
        segments: [{ file: segment!, bytes: Buffer.byteLength(line(1)) }],
        bytes: Buffer.byteLength(line(1)),
        damaged: { lines: 0, bytes: 0 },
        passedOver: [],
        retention: status.retention,
        removed: undefined
      })
      yield* noted(directory)
      assert.deepStrictEqual(JSON.parse(readFileSync(path.join(directory, ".meta.json"), "utf8")), {
        format: 2,
        id: status.target,
        createdAt: "1970-01-01T00:00:00.000000Z",
        retention: status.retention,
        begun: [`00000001-19700101:256:${crc32(line(1).slice(0, 256)).toString(16)}`]
      })
      const files = [".meta.json", ".meta.lock", "events.log", segment]
      assert.deepStrictEqual(readdirSync(directory).sort(), files.sort())
    })
  )

  it.effect("the lines of a log are what the command prints, and a checksum", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const write = again(first(1, { labels: { app: "shop" }, message: "ünïcödé" }), 4)
      yield* run(directory, ({ backend }) => backend.write([write]))
      const [stored] = readFileSync(newestOf(directory), "utf8").split("\n")
      const text = withoutChecksums(stored!)
      assert.strictEqual(stored, LogLine.encode(LogLine.eventOf(write)).trimEnd())
      assert.strictEqual(text, EventJson.encode(LogLine.eventOf(write)))
      assert.deepStrictEqual(EventJson.decode(text), Result.succeed(LogLine.eventOf(write)))
    })
  )

  it.effect("a log keeps one identity when several backends create it at once", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "log")
      const targets = yield* Effect.all(
        Array.from({ length: 8 }, () => run(directory, ({ backend }) => backend.target)),
        { concurrency: "unbounded" }
      )
      targets.push(yield* run(directory, ({ backend }) => backend.target))
      assert.strictEqual(new Set(targets.map(({ id }) => id)).size, 1)
      assert.match(targets[0]!.id, /^[0-9a-f]{32}$/)
    })
  )

  it.effect("the directory of a log may be a symbolic link", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      mkdirSync(path.join(parent, "real"), { mode: 0o700 })
      symlinkSync("real", path.join(parent, "link"))
      yield* run(path.join(parent, "link"), ({ backend }) => backend.write([first(1)]))
      assert.strictEqual((yield* query(path.join(parent, "real"))).totalCount, 1)
    })
  )

  const failure = (options: FileBackend.Options) =>
    Effect.flip(Effect.scoped(open(options))).pipe(Effect.map(({ message, reason }) => ({ tag: reason._tag, message })))

  it.effect("a log is refused where its directory, or one above it, is a file", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const file = path.join(parent, "file")
      writeFileSync(file, "mine")
      const refused = yield* failure({ directory: file })
      assert.strictEqual(refused.tag, "Unavailable")
      assert.include(refused.message, `${file} is a file where the directory of the log should be: move it away`)
      const below = yield* failure({ directory: path.join(file, "log") })
      assert.strictEqual(below.tag, "Unavailable")
      assert.include(below.message, `${file} is a file where a directory should be; move it away`)
      assert.strictEqual(readFileSync(file, "utf8"), "mine")
    })
  )

  it.effect("a directory that everybody may write to is refused, one that a group may write to is used", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      for (const mode of [0o702, 0o777]) {
        chmodSync(directory, mode)
        const refused = yield* failure({ directory })
        assert.strictEqual(refused.tag, "Unauthorized")
        assert.include(refused.message, `chmod o-w ${directory}`)
      }
      for (const mode of [0o755, 0o720, 0o775, 0o2770, 0o1777]) {
        chmodSync(directory, mode)
        yield* run(directory, ({ backend }) => backend.target)
      }
    })
  )

  it.effect("segments without a meta file are no absent log to a reader, and the first event makes them readable", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "log")
      yield* run(directory, ({ backend }) => backend.write([first(1)]))
      // What a copy with * leaves out.
      rmSync(path.join(directory, ".meta.json"))
      const refused = yield* failure({ directory, create: false })
      assert.strictEqual(refused.tag, "Unavailable")
      assert.match(
        refused.message,
        /\.meta\.json is missing beside the segments of an event log: restore it from a copy/
      )
      assert.include(refused.message, "earlier cursors become invalid")
      yield* run(directory, ({ backend }) => backend.write([first(2)]))
      const page = yield* Effect.scoped(
        Effect.flatMap(open({ directory, create: false }), ({ backend }) => backend.query({}))
      )
      assert.deepStrictEqual(seqsOf(page.events), [2, 1])
    }).pipe(Effect.provideService(References.MinimumLogLevel, "Error"))
  )

  it.effect("no log is created when only reading was asked for", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const directory = path.join(parent, "log")
      for (const prepare of [() => {}, () => mkdirSync(directory, { mode: 0o700 })]) {
        prepare()
        const refused = yield* failure({ directory, create: false })
        assert.strictEqual(refused.tag, "Unavailable")
        assert.include(refused.message, `there is no event log in ${directory}`)
      }
      assert.deepStrictEqual(readdirSync(directory), [])
      yield* run(directory, ({ backend }) => backend.write([first(1)]))
      const page = yield* Effect.scoped(
        Effect.flatMap(open({ directory, create: false }), ({ backend }) => backend.query({}))
      )
      assert.strictEqual(page.totalCount, 1)
    })
  )

  it.effect("a log whose identity cannot be read is refused with advice", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const meta = path.join(directory, ".meta.json")
      for (const [text, words] of [
        ["", "is not JSON"],
        ["{", "is not JSON"],
        ["[]", "lacks format or id"],
        ['{"format":1,"id":""}', "has an id that is not text"],
        ['{"format":3,"id":"x"}', "has format 3, this version reads format 1 and 2"]
      ] as const) {
        writeFileSync(meta, text)
        const refused = yield* failure({ directory })
        assert.strictEqual(refused.tag, "Unavailable")
        assert.include(refused.message, words)
        assert.strictEqual(readFileSync(meta, "utf8"), text)
      }
    })
  )

  it.effect("what is no segment is passed over and told once, and stops neither writing nor reading", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const elsewhere = path.join(parent, "elsewhere")
      writeFileSync(elsewhere, line(9))
      const notFile = "it is not a regular file, as a segment is"
      const foreign: ReadonlyArray<readonly [name: string, reason: string, make: (file: string) => void]> = [
        ["events-00000001-19700101.ndjson", notFile, (file) => symlinkSync(elsewhere, file)],
        ["events-00000001-19700101.ndjson", notFile, (file) => symlinkSync("/nowhere", file)],
        ["events-00000007-20990101.ndjson", notFile, (file) => mkdirSync(file)],
        ["events-00000007-20990101.ndjson", notFile, (file) => execFileSync("mkfifo", [file])],
        [
          "events-999999999999999-20990101.ndjson",
          "its number is above 999999999999, the highest of a segment",
          (file) => writeFileSync(file, line(9))
        ],
        [
          "events-2.ndjson",
          "its name is not that of a segment, such as events-00000001-20261122.ndjson",
          (file) => writeFileSync(file, line(9))
        ]
      ]
      for (const [index, [file, reason, make]] of foreign.entries()) {
        const directory = path.join(parent, `log-${index}`)
        mkdirSync(directory, { mode: 0o700 })
        make(path.join(directory, file))
        const warnings: Array<string> = []
        const logger = Logger.make(({ logLevel, message }) => {
          if (logLevel === "Warn") warnings.push(String(message))
        })
        yield* Effect.gen(function* () {
          const backend = yield* Backend
          assert.strictEqual((yield* backend.query({})).totalCount, 0)
          assert.deepStrictEqual(yield* backend.write([first(1)]), [{ _tag: "Settled", how: "created" }])
          yield* backend.write([first(2)])
          const { events } = yield* backend.query({})
          assert.deepStrictEqual(seqsOf(events), [2, 1])
          const { passedOver, segments } = yield* Effect.flatMap(FileBackend.EventLog, ({ status }) => status)
          assert.deepStrictEqual(passedOver, [{ file, reason }])
          assert.strictEqual(segments.length, 1)
          assert.strictEqual(readFileSync(path.join(directory, segments[0]!.file), "utf8"), line(1) + line(2))
        }).pipe(Effect.provide(FileBackend.layer({ directory, ...quiet })), Effect.provide(Logger.layer([logger])))
        assert.deepStrictEqual(warnings, [
          `not read as segments of the event log in ${directory}: ${file} (${reason}); move them away`
        ])
      }
      assert.strictEqual(readFileSync(elsewhere, "utf8"), line(9))
    })
  )

  it.effect("a segment that was moved away from behind what stood in its place is read", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const file = path.join(directory, "events-00000001-19700101.ndjson")
      yield* run(directory, ({ backend }) =>
        Effect.gen(function* () {
          mkdirSync(file)
          assert.strictEqual((yield* backend.query({})).totalCount, 0)
          rmdirSync(file)
          writeFileSync(file, line(1))
          assert.strictEqual((yield* backend.query({})).totalCount, 1)
        })
      )
    })
  )

  it.effect("a file with the name of the link is not replaced", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      writeFileSync(path.join(directory, "events.log"), "notes of somebody\n")
      yield* run(directory, ({ backend }) => backend.write([first(1)]))
      assert.isFalse(lstatSync(path.join(directory, "events.log")).isSymbolicLink())
      assert.strictEqual((yield* query(directory)).totalCount, 1)
    })
  )
})

describe("the default directory", () => {
  const parse = (environment: Record<string, string>) =>
    FileBackend.directory.parse(ConfigProvider.fromUnknown(environment))

  it.effect("the default directory is TIDINGS_DIRECTORY, else .tidings in the current directory", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* parse({}), path.resolve(".tidings"))
      assert.strictEqual(yield* parse({ TIDINGS_DIRECTORY: "" }), path.resolve(".tidings"))
      assert.strictEqual(yield* parse({ TIDINGS_DIRECTORY: "/var/log/deploy" }), "/var/log/deploy")
      assert.strictEqual(yield* parse({ TIDINGS_DIRECTORY: "logs" }), path.resolve("logs"))
    })
  )

  it.effect("the layers use the default directory when none is given", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const found = (layer: Layer.Layer<FileBackend.EventLog, unknown>) =>
        FileBackend.EventLog.use(({ directory }) => Effect.succeed(directory)).pipe(
          Effect.provide(
            Layer.provide(
              layer,
              ConfigProvider.layer(ConfigProvider.fromUnknown({ TIDINGS_DIRECTORY: path.join(parent, "a") }))
            )
          )
        )
      assert.strictEqual(yield* found(FileBackend.layer(quiet)), path.join(parent, "a"))
      assert.strictEqual(yield* found(FileBackend.layerConfig()), path.join(parent, "a"))
      const given = path.join(parent, "b")
      assert.strictEqual(yield* found(FileBackend.layer({ directory: given, ...quiet })), given)
      assert.strictEqual(yield* found(FileBackend.layerConfig({ directory: Config.succeed(given) })), given)
    })
  )
})

describe("logging", () => {
  interface Entry {
    readonly level: string
    readonly message: unknown
    readonly annotations: Readonly<Record<string, unknown>>
  }

  const logged = <A, E>(
    use: Effect.Effect<A, E, Backend | FileBackend.EventLog>,
    options: FileBackend.Options,
    minimum: "Info" | "Warn" | "Error"
  ) =>
    Effect.gen(function* () {
      const entries: Array<Entry> = []
      const logger = Logger.make(({ fiber, logLevel, message }) => {
        if (String(message).startsWith("A new event log")) return
        entries.push({ level: logLevel, message, annotations: fiber.getRef(References.CurrentLogAnnotations) })
      })
      const directory = yield* TestDirectory.make
      yield* use.pipe(
        Effect.provide(FileBackend.layer({ directory, ...options })),
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, minimum)
      )
      return entries
    })

  const failed = first(2, { type: "Warning", reason: "WorkflowStepFailed", message: "Step build failed" })
  const node = first(3, { involvedObject: { kind: "Node", name: "worker-1" }, reason: "NodeReady", message: "Ready" })
  const all = Backend.use((backend) =>
    Effect.gen(function* () {
      yield* backend.write([first(1), failed, node])
      yield* backend.write([failed, again(first(1), 4)])
    })
  )

  it.effect("each stored event is logged in one line, a Warning at level Warn", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* logged(all, {}, "Info"), [
        {
          level: "Info",
          message: ["Workflow default/deploy WorkflowStepCompleted: Step 1 of workflow deploy was completed"],
          annotations: { event: `${failed.id.origin}.1` }
        },
        {
          level: "Warn",
          message: ["Workflow default/deploy WorkflowStepFailed: Step build failed"],
          annotations: { event: `${failed.id.origin}.2` }
        },
        { level: "Info", message: ["Node worker-1 NodeReady: Ready"], annotations: { event: `${failed.id.origin}.3` } },
        {
          level: "Info",
          message: ["Workflow default/deploy WorkflowStepCompleted: Step 1 of workflow deploy was completed"],
          annotations: { event: `${failed.id.origin}.1`, count: 2 }
        }
      ])
    })
  )

  it.effect("events are logged only at the minimum log level, and not at all when logging is off", () =>
    Effect.gen(function* () {
      const warnings = yield* logged(all, {}, "Warn")
      assert.deepStrictEqual(
        warnings.map(({ level }) => level),
        ["Warn"]
      )
      assert.deepStrictEqual(yield* logged(all, {}, "Error"), [])
      assert.deepStrictEqual(yield* logged(all, quiet, "Info"), [])
    })
  )

  it.effect("logged events contain no control characters", () =>
    Effect.gen(function* () {
      const hostile = first(1, {
        involvedObject: { kind: "Work\nflow", name: "\u001b[2J", namespace: "a\u2028b" },
        message: "one\r\nINFO two \u009b31m \u202e"
      })
      const [entry] = yield* logged(
        Backend.use((backend) => backend.write([hostile])),
        {},
        "Info"
      )
      assert.deepStrictEqual(entry?.message, [
        String.raw`Work\nflow a\u2028b/\u001b[2J WorkflowStepCompleted: one\r\nINFO two \u009b31m \u202e`
      ])
    })
  )

  it.effect("damage is logged once for each read that finds it, and not when it is found again", () =>
    Effect.gen(function* () {
      const entries = yield* logged(
        Effect.gen(function* () {
          const { directory } = yield* FileBackend.EventLog
          const backend = yield* Backend
          yield* backend.write([first(1)])
          appendFileSync(newestOf(directory), `garbage\n${line(2)}{"lastTimestamp":\n`)
          yield* backend.query({})
          yield* backend.query({})
          appendFileSync(newestOf(directory), "more\n")
          yield* backend.query({})
        }),
        quiet,
        "Info"
      )
      assert.deepStrictEqual(
        entries.map(({ level, message }) => [level, String(message).replace(/in the event log in .*? \(/, "… (")]),
        [
          [
            "Warn",
            "2 damaged lines were skipped … (24 bytes): a process was stopped while it wrote, or the file was changed"
          ],
          [
            "Warn",
            "1 damaged line was skipped … (4 bytes): a process was stopped while it wrote, or the file was changed"
          ]
        ]
      )
    })
  )
})

describe("damage", () => {
  const damagedCount = Effect.map(Metric.value(FileBackend.damaged), ({ count }) => count)

  it.effect("damaged lines are skipped, and each is counted once in status and metric", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend }) => backend.write([first(1)]))
      const noise = ["garbage", "{", "\0\0\0\0", line(7).slice(0, 90), "[1]", JSON.stringify({ kind: "Event" })]
      appendFileSync(newestOf(directory), `${noise.join("\n")}\n\n\r\n${line(2).replace("\n", "\r\n")}${line(3)}`)
      yield* run(directory, ({ backend, log }) =>
        Effect.gen(function* () {
          for (const asked of [{}, { reason: "WorkflowStepCompleted" }, { limit: 1 }]) {
            assert.strictEqual((yield* backend.query(asked)).totalCount, 3)
          }
          yield* Stream.runCollect(Stream.take(backend.watch({}, "beginning"), 4))
          const { damaged } = yield* log.status
          assert.deepStrictEqual(damaged, { lines: noise.length, bytes: Buffer.byteLength(noise.join("")) })
          assert.strictEqual(yield* damagedCount, noise.length)
        })
      )
    }).pipe(
      Effect.provideService(Metric.MetricRegistry, new Map()),
      Effect.provideService(References.MinimumLogLevel, "Error")
    )
  )

  it.effect("a line cut at any byte affects neither the lines before it nor those written after it", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend }) => backend.write([first(1)]))
      const segment = newestOf(directory)
      const torn = Buffer.from(line(2))
      for (let length = 0; length <= torn.length; length += length < 25 || length > torn.length - 5 ? 1 : 31) {
        for (const tail of [Buffer.alloc(0), Buffer.alloc(5), Buffer.from("\u{1f389}").subarray(0, 2)]) {
          writeFileSync(segment, Buffer.concat([Buffer.from(line(1)), torn.subarray(0, length), tail]))
          const whole = length === torn.length || (length === torn.length - 1 && tail.length !== 2)
          const before = yield* query(directory, { limit: 2 })
          assert.deepStrictEqual(seqsOf(before.events), length === torn.length ? [2, 1] : [1], `${length}`)
          yield* run(directory, ({ backend }) =>
            Effect.gen(function* () {
              assert.deepStrictEqual(yield* backend.write([first(3)]), [{ _tag: "Settled", how: "created" }])
              const page = yield* backend.query({})
              assert.deepStrictEqual(seqsOf(page.events), whole ? [3, 2, 1] : [3, 1], `${length} ${tail.length}`)
            })
          )
          // Nothing was glued: the line that was written stands alone.
          assert.include(readFileSync(segment, "latin1").split("\n"), line(3).slice(0, -1))
        }
      }
    }).pipe(Effect.provideService(References.MinimumLogLevel, "Error"))
  )

  it.effect(
    "a partial line that another process leaves is noticed, and a line appended to it before that is found",
    () =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        yield* run(directory, ({ backend }) =>
          Effect.gen(function* () {
            yield* backend.write([first(1)])
            appendFileSync(newestOf(directory), line(90).slice(0, 200))
            yield* backend.write([first(2)])
            appendFileSync(newestOf(directory), line(91).slice(0, 200))
            yield* TestClock.adjust("30 millis")
            yield* backend.write([first(3)])
            assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [3, 2, 1])
          })
        )
        assert.include(readFileSync(newestOf(directory), "utf8"), `\n${line(3)}`)
      }).pipe(Effect.provideService(References.MinimumLogLevel, "Error"))
  )

  it.effect("blocks that were never written are skipped, and so is a line that is too long", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend }) => backend.write([first(1)]))
      appendFileSync(newestOf(directory), Buffer.alloc(9_000_000))
      appendFileSync(newestOf(directory), line(2))
      appendFileSync(newestOf(directory), `${"x".repeat(5_000_000)}${LogLine.BEGINNING}\n${line(3)}`)
      // Where the reader gives up on a line that long, another begins.
      for (const [index, before] of [1, 10, 17, 18, 300].entries()) {
        appendFileSync(newestOf(directory), `${"x".repeat(4_194_304 - before)}${line(4 + index)}`)
      }
      const page = yield* query(directory)
      assert.deepStrictEqual(seqsOf(page.events), [8, 7, 6, 5, 4, 3, 2, 1])
    }).pipe(Effect.provideService(References.MinimumLogLevel, "Error"))
  )
})

describe("queries of a log written by hand", () => {
  it.effect("repeated, late and older lines of a series show it once, in its newest state", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend }) => backend.target)
      const series = first(1)
      const states = [series, again(series, 3), again(series, 7)].map((write) => LogLine.encode(LogLine.eventOf(write)))
      const other = line(2)
      writeFileSync(
        path.join(directory, "events-00000001-20260101.ndjson"),
        [states[1], other, states[0], states[2], states[1], other, states[2], states[0], other].join("")
      )
      const shown = yield* run(directory, ({ backend }) =>
        Effect.gen(function* () {
          const page = yield* backend.query({})
          assert.deepStrictEqual(
            page.events.map(({ id, upTo }) => [id.seq, upTo]),
            [
              [1, 7],
              [2, 2]
            ]
          )
          assert.deepStrictEqual(yield* backend.write([series, again(series, 5), first(2)]), [
            { _tag: "Settled", how: "present" },
            { _tag: "Settled", how: "present" },
            { _tag: "Settled", how: "present" }
          ])
          return yield* Stream.runCollect(
            Stream.takeUntil(backend.watch({}, "beginning"), ({ _tag }) => _tag === "Live")
          )
        })
      )
      assert.deepStrictEqual(
        shown.map((item) => (item._tag === "Event" ? [item.event.id.seq, item.event.upTo] : item._tag)),
        [[2, 2], [1, 7], "Live"]
      )
    })
  )

  it.effect("a series whose newest state does not match is not in the answer", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const page = yield* run(directory, ({ backend }) =>
        Effect.gen(function* () {
          yield* backend.write([first(1), first(2)])
          yield* backend.write([again(first(1), 50)])
          return yield* backend.query({ until: at(10) })
        })
      )
      assert.deepStrictEqual(seqsOf(page.events), [2])
      assert.strictEqual(page.totalCount, 1)
    })
  )

  it.effect("events of one time are ordered by their last change, across segments and pages", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend }) => backend.target)
      const same = (seq: number): string =>
        LogLine.encode({ ...LogLine.eventOf(first(seq)), first: at(0), last: at(0) })
      const grown = LogLine.encode({ ...LogLine.eventOf(again(first(2), 8)), first: at(0), last: at(0) })
      const long = LogLine.encode({ ...LogLine.eventOf(first(9, { message: "x".repeat(900) })), last: at(-1) })
      writeFileSync(path.join(directory, "events-00000001-20260101.ndjson"), long + same(1) + same(2))
      writeFileSync(path.join(directory, "events-00000002-20260101.ndjson"), same(3) + same(4) + grown)
      yield* run(directory, ({ backend }) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [2, 4, 3, 1, 9])
          const found: Array<number> = []
          let page = yield* backend.query({ limit: 1 })
          for (;;) {
            found.push(...seqsOf(page.events))
            if (page.next === undefined) break
            page = yield* backend.query({ limit: 1, page: page.next })
          }
          assert.deepStrictEqual(found, [2, 4, 3, 1, 9])
          const items = yield* Stream.runCollect(Stream.take(backend.watch({}, "beginning"), 5))
          assert.deepStrictEqual(items.map(shown), [9, 1, 3, 4, 2])
        })
      )
    })
  )

  it.effect("a log that was replaced since the writer read it is read again", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend }) =>
        Effect.gen(function* () {
          yield* backend.write([first(1)])
          yield* backend.write([first(1, {}, "another")])
          const other = [first(3, {}, "third"), first(4, {}, "third"), first(5, {}, "third"), first(6, {}, "third")]
          writeFileSync(newestOf(directory), other.map((write) => LogLine.encode(LogLine.eventOf(write))).join(""))
          assert.deepStrictEqual(yield* backend.write([first(3, {}, "third"), first(7, {}, "third")]), [
            { _tag: "Settled", how: "present" },
            { _tag: "Settled", how: "created" }
          ])
        })
      )
    })
  )

  it.effect("several segments are one log for queries, pages and writes", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend }) => backend.write([first(1), first(2)]))
      // The last line of a segment that is over may lack its end.
      writeFileSync(path.join(directory, "events-00000002-20260102.ndjson"), line(3) + line(4).slice(0, -1), {
        mode: 0o600
      })
      writeFileSync(path.join(directory, "events-00000003-20260101.ndjson"), "", { mode: 0o600 })
      writeFileSync(path.join(directory, "events-00000003-20260102.ndjson"), line(5), { mode: 0o600 })
      writeFileSync(path.join(directory, "events-4.ndjson"), line(99))
      yield* run(directory, ({ backend, log }) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* backend.write([first(6), first(3), first(1)]), [
            { _tag: "Settled", how: "created" },
            { _tag: "Settled", how: "present" },
            { _tag: "Settled", how: "present" }
          ])
          const pages: Array<ReadonlyArray<number>> = []
          let page = yield* backend.query({ limit: 2 })
          for (;;) {
            pages.push(seqsOf(page.events))
            assert.strictEqual(page.totalCount, 6)
            if (page.next === undefined) break
            page = yield* backend.query({ limit: 2, page: page.next })
          }
          assert.deepStrictEqual(pages, [
            [6, 5],
            [4, 3],
            [2, 1]
          ])
          const { damaged, segments } = yield* log.status
          assert.strictEqual(damaged.lines, 0)
          assert.deepStrictEqual(
            segments.map(({ file }) => file.slice(7, 24)),
            [segments[0]!.file.slice(7, 24), "00000002-20260102", "00000003-20260101", "00000003-20260102"]
          )
        })
      )
      assert.strictEqual(
        readFileSync(path.join(directory, "events-00000003-20260102.ndjson"), "utf8"),
        line(5) + line(6)
      )
    })
  )
})

describe("writing", () => {
  it.effect("a write that cannot be encoded is Rejected with the reason, and the rest of the batch is stored", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const cyclic: { self?: unknown } = {}
      cyclic.self = cyclic
      const bad: ReadonlyArray<readonly [object, RegExp]> = [
        [{ count: 0 }, /count/],
        [{ upTo: 0.5 }, /upTo/],
        [{ id: { origin: "x", seq: -1 } }, /seq/],
        [{ id: { origin: "", seq: 1 } }, /origin/],
        [{ id: { origin: "two words", seq: 1 } }, /origin/],
        [{ last: 253_402_300_800_000_000 }, /last/],
        [{ first: Number.NaN }, /first/],
        [{ last: 1.5 }, /last/],
        [{ event: { ...first(1).event, reason: "" } }, /reason/],
        [{ event: { ...first(1).event, type: undefined as never } }, /type/],
        [{ event: { ...first(1).event, data: { arguments: cyclic } } }, /JSON/],
        [
          { event: { ...first(1).event, message: "x".repeat(1_100_000) } },
          /longer than 1048576 bytes; shorten its data/
        ],
        [{ event: { ...first(1).event, message: "ü".repeat(600_000) } }, /longer than 1048576 bytes/]
      ]
      const batch = bad.flatMap(([change], index) => [
        Object.assign(first(2 * index + 1), change),
        first(2 * index + 2)
      ])
      const { outcomes, page } = yield* run(directory, ({ backend }) =>
        Effect.all({ outcomes: backend.write(batch), page: backend.query({}) })
      )
      for (const [index, [, reason]] of bad.entries()) {
        const outcome = outcomes[2 * index]
        assert.match(outcome?._tag === "Rejected" ? outcome.reason : "", reason)
        assert.deepStrictEqual(outcomes[2 * index + 1], { _tag: "Settled", how: "created" })
      }
      assert.strictEqual(page.totalCount, bad.length)
      // Alone, too.
      const alone = yield* run(directory, ({ backend }) =>
        Effect.andThen(backend.write([first(50)]), backend.write([Object.assign(first(51), { count: 0 })]))
      )
      assert.strictEqual(alone[0]?._tag, "Rejected")
    })
  )

  it.effect("a batch of several MiB is stored with all its long lines", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const batch = Array.from({ length: 40 }, (_, index) =>
        first(index + 1, { data: { error: (index % 2 === 0 ? "x" : "ü").repeat(index * 12_000) } })
      )
      const page = yield* run(directory, ({ backend }) =>
        Effect.gen(function* () {
          for (const outcome of yield* backend.write(batch)) assert.strictEqual(outcome._tag, "Settled")
          return yield* backend.query({})
        })
      )
      assert.deepStrictEqual(
        page.events.map(({ event }) => event.data.error?.length),
        batch.map(({ event }) => event.data.error?.length).reverse()
      )
    })
  )

  it.effect("an empty batch writes nothing", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      assert.deepStrictEqual(yield* run(directory, ({ backend }) => backend.write([])), [])
      assert.deepStrictEqual(segmentsOf(directory), [])
    })
  )

  it.effect("what the log has of an origin is known, also for many new origins one after another", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const imported = (index: number, version: number) => ({
        ...first(0, {}, `uid-${index}`),
        upTo: version,
        count: 3
      })
      yield* run(directory, ({ backend }) =>
        Effect.forEach(
          Array.from({ length: 30 }, (_, index) => index),
          (index) => backend.write([imported(index, 10)])
        )
      )
      const size = statSync(newestOf(directory)).size
      const hows = yield* run(directory, ({ backend }) =>
        Effect.forEach(
          Array.from({ length: 32 }, (_, index) => index),
          (index) =>
            Effect.map(backend.write([imported(index, 10 + (index % 2))]), ([outcome]) =>
              outcome?._tag === "Settled" ? outcome.how : outcome?._tag
            )
        )
      )
      assert.deepStrictEqual(
        hows,
        Array.from({ length: 32 }, (_, index) => (index >= 30 ? "created" : index % 2 === 0 ? "present" : "updated"))
      )
      assert.isAbove(statSync(newestOf(directory)).size, size)
      assert.strictEqual((yield* query(directory)).totalCount, 32)
    })
  )

  it.effect("two backends with different origins share one log", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const one = yield* open({ directory })
      const two = yield* open({ directory })
      for (let seq = 1; seq <= 5; seq++) {
        yield* one.backend.write([first(seq, {}, "one")])
        yield* two.backend.write([first(seq, {}, "two")])
      }
      assert.strictEqual((yield* one.backend.query({})).totalCount, 10)
      assert.strictEqual(segmentsOf(directory).length, 1)
      // An origin that moved on to another process, as a journal does after a crash.
      assert.deepStrictEqual(yield* two.backend.write([first(5, {}, "one"), first(6, {}, "one")]), [
        { _tag: "Settled", how: "present" },
        { _tag: "Settled", how: "created" }
      ])
    })
  )

  it.effect("nothing is written after the layer is closed", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const backend = yield* run(directory, ({ backend }) => Effect.as(backend.write([first(1)]), backend))
      const refused = yield* Effect.flip(backend.write([first(2)]))
      assert.strictEqual(refused.reason._tag, "Unavailable")
      assert.strictEqual((yield* query(directory)).totalCount, 1)
    })
  )
})

describe("deleting a log in use", () => {
  it.effect("a log whose directory was deleted is begun anew", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "log")
      yield* run(directory, ({ backend }) =>
        Effect.gen(function* () {
          const before = yield* backend.target
          yield* backend.write([first(1)])
          rmSync(directory, { recursive: true })
          yield* TestClock.adjust("30 millis")
          assert.deepStrictEqual(yield* backend.write([first(2)]), [{ _tag: "Settled", how: "created" }])
          // What was there before is not there now: it is stored when it comes again.
          assert.deepStrictEqual(yield* backend.write([first(1)]), [{ _tag: "Settled", how: "created" }])
          assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [2, 1])
          assert.notDeepEqual(yield* backend.target, before)
          assert.match(segmentsOf(directory)[0]!, /^events-00000001-/)
          assert.isTrue(existsSync(path.join(directory, "events.log")))
        })
      )
    })
  )

  it.effect("a log whose segments were deleted continues in a segment with a new number", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend }) =>
        Effect.gen(function* () {
          const before = yield* backend.target
          yield* backend.write([first(1)])
          rmSync(newestOf(directory))
          yield* TestClock.adjust("30 millis")
          yield* backend.write([first(2)])
          assert.match(segmentsOf(directory)[0]!, /^events-00000002-/)
          // Nor does it go back to an older one.
          writeFileSync(path.join(directory, "events-00000001-20260101.ndjson"), line(9), { mode: 0o600 })
          rmSync(newestOf(directory))
          yield* TestClock.adjust("30 millis")
          yield* backend.write([first(2), first(3)])
          assert.match(segmentsOf(directory)[1]!, /^events-00000003-/)
          rmSync(path.join(directory, segmentsOf(directory)[0]!))
          assert.strictEqual(readlinkSync(path.join(directory, "events.log")), segmentsOf(directory)[0])
          assert.deepStrictEqual(yield* backend.target, before)
          assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [3])
        })
      )
    })
  )

  it.effect("a log that was moved is not changed, and another one is begun in its place", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const directory = path.join(parent, "log")
      yield* run(directory, ({ backend }) =>
        Effect.gen(function* () {
          yield* backend.write([first(1)])
          renameSync(directory, path.join(parent, "moved"))
          yield* TestClock.adjust("30 millis")
          yield* backend.write([first(2)])
          assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [2])
        })
      )
      assert.deepStrictEqual(seqsOf((yield* query(path.join(parent, "moved"))).events), [1])
    })
  )

  it.effect("the next write goes into a newer segment that another process began", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend }) =>
        Effect.gen(function* () {
          yield* backend.write([first(1)])
          const newer = path.join(directory, "events-00000002-20990101.ndjson")
          writeFileSync(newer, "", { mode: 0o600 })
          yield* TestClock.adjust("30 millis")
          yield* backend.write([first(2)])
          assert.strictEqual(readFileSync(newer, "utf8"), line(2))
        })
      )
    })
  )
})

describe("reading", () => {
  it.effect("a large log is read in slices with exact totals, and other fibers run meanwhile", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend }) => backend.target)
      const lines: Array<string> = []
      const total = 4_000
      for (let seq = 1; seq <= total; seq++) {
        const event: Event = LogLine.eventOf(first(seq, seq % 10 === 0 ? { type: "Warning" } : {}))
        lines.push(LogLine.encode(event))
      }
      writeFileSync(path.join(directory, "events-00000001-20260101.ndjson"), lines.join(""))
      yield* run(directory, ({ backend }) =>
        Effect.gen(function* () {
          let turns = 0
          const others = yield* Effect.forkChild(
            Effect.forever(
              Effect.andThen(
                Effect.sync(() => turns++),
                Effect.yieldNow
              )
            )
          )
          const page = yield* backend.query({ limit: 3, eventType: "Warning" })
          others.interruptUnsafe()
          assert.deepStrictEqual(seqsOf(page.events), [4_000, 3_990, 3_980])
          assert.strictEqual(page.totalCount, 400)
          assert.isAbove(turns, 4)
          assert.strictEqual((yield* backend.query({})).events.length, total)
          assert.strictEqual((yield* backend.query({ limit: 0 })).totalCount, total)
        })
      )
    })
  )

  it.effect("a query of an empty log answers no events and a cursor from which later events are followed", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend }) =>
        Effect.gen(function* () {
          const page = yield* backend.query({})
          assert.deepStrictEqual([page.events, page.totalCount, page.next], [[], 0, undefined])
          yield* backend.write([first(1)])
          const items = yield* Stream.runCollect(Stream.take(backend.watch({}, page.cursor), 2))
          assert.deepStrictEqual(
            items.map(({ _tag }) => _tag),
            ["Event", "Live"]
          )
        })
      )
    })
  )

  it.effect("a query that is interrupted leaves no file open", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend }) => backend.target)
      writeFileSync(
        path.join(directory, "events-00000001-20260101.ndjson"),
        Array.from({ length: 3_000 }, (_, index) => line(index + 1)).join("")
      )
      const openFiles = () =>
        Option.getOrElse(Option.liftThrowable(() => readdirSync("/proc/self/fd").length)(), () => 0)
      yield* run(directory, ({ backend }) =>
        Effect.gen(function* () {
          const before = openFiles()
          for (let times = 0; times < 20; times++) {
            const fiber = yield* Effect.forkChild(backend.query({}), { startImmediately: true })
            yield* Effect.yieldNow
            fiber.interruptUnsafe()
            yield* Effect.yieldNow
            const watching = yield* Effect.forkChild(Stream.runDrain(backend.watch({}, "beginning")), {
              startImmediately: true
            })
            yield* Effect.yieldNow
            watching.interruptUnsafe()
          }
          yield* Effect.yieldNow
          assert.isAtMost(openFiles(), before + 2)
        })
      )
    })
  )
})
