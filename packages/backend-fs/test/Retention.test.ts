import { FileBackend } from "@tidings/backend-fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, References } from "effect"
import { TestClock } from "effect/testing"
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { type Disk, node } from "../src/internal/disk.ts"
import { line, open, run, segmentsOf, watch } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { first, seqsOf } from "./writes.ts"

const silent = Effect.provideService(References.MinimumLogLevel, "Error")

const DAY = 86_400_000_000
const START = Date.UTC(2026, 0, 1) * 1_000

const meta = (directory: string): Record<string, unknown> =>
  JSON.parse(readFileSync(path.join(directory, ".meta.json"), "utf8")) as Record<string, unknown>

const numbersOf = (directory: string): Array<number> => segmentsOf(directory).map((file) => Number(file.slice(7, 15)))

/** An event of this time. */
const on = (seq: number, micros: number) => ({ ...first(seq), first: micros, last: micros })

const setTime = (micros: number) => TestClock.setTime(micros / 1_000)

/** Lets what goes on beside the writes end. */
const settle = Effect.andThen(Effect.yieldNow, Effect.repeat(Effect.yieldNow, { times: 200 }))

/** A log with one event each day, in a segment of its own. */
const daily = (directory: string, days: number, options: Partial<FileBackend.Options> = {}) =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* setTime(START)
      const { backend } = yield* open({ directory, ...options })
      for (let day = 0; day < days; day++) {
        yield* setTime(START + day * DAY)
        yield* backend.write([on(day + 1, START + day * DAY)])
        yield* settle
      }
    })
  )

/** A disk on which nothing can be created until so many files that hold something were removed; `removed` has their names. */
const fullUntil = (files: number) => {
  const removed: Array<string> = []
  const disk: Disk = {
    ...node,
    create: (file, permissions) => {
      if (removed.length < files) throw Object.assign(new Error("ENOSPC: on purpose"), { code: "ENOSPC" })
      return node.create(file, permissions)
    },
    unlink: (file) => {
      const size = node.status(file)?.size ?? 0
      node.unlink(file)
      if (size > 0) removed.push(path.basename(file))
    }
  }
  return { disk, removed }
}

describe("the limits of a log on a full disk", () => {
  /** Four segments of a day, the first two of which have side files. */
  const log = Effect.gen(function* () {
    const directory = path.join(yield* TestDirectory.make, "log")
    yield* daily(directory, 4, { retention: { maxAge: "none" } })
    yield* run(directory, ({ log }) => log.setRetention({ maxBytes: 1 }))
    const [first, second] = segmentsOf(directory).map((file) => file.replace(".ndjson", ".index"))
    for (const file of [first!, second!]) writeFileSync(path.join(directory, file), "0123456789abcdef")
    return { directory, first: first!, second: second! }
  })

  for (const files of [1, 2, 3]) {
    it.effect(`prune makes room for its note with what it removes, when that takes ${files} of its files`, () =>
      Effect.gen(function* () {
        const { directory, first, second } = yield* log
        const { disk, removed } = fullUntil(files)
        const { backend, log: pruned } = yield* open({ directory }, disk)
        assert.strictEqual((yield* pruned.prune()).segments.length, 3)
        assert.deepStrictEqual(numbersOf(directory), [4])
        assert.deepStrictEqual(
          removed.slice(0, files),
          [first, second, first.replace(".index", ".ndjson")].slice(0, files)
        )
        const [coverage] = (yield* backend.query({})).coverage
        assert.deepStrictEqual(
          coverage!.gaps.map(({ reason }) => reason.slice(0, 15)),
          ["segments 1 to 3"]
        )
      }).pipe(silent)
    )
  }

  it.effect(
    "where no file of the oldest segment makes room, prune says that the disk is full, and keeps the others",
    () =>
      Effect.gen(function* () {
        const { directory } = yield* log
        const { log: pruned } = yield* open({ directory }, fullUntil(4).disk)
        assert.strictEqual((yield* Effect.flip(pruned.prune())).reason._tag, "Full")
        assert.deepStrictEqual(numbersOf(directory), [2, 3, 4])
        const { backend } = yield* open({ directory })
        const [coverage] = (yield* backend.query({})).coverage
        assert.deepStrictEqual(
          coverage!.gaps.map(({ reason }) => reason),
          ["segment 1 of the log is gone"]
        )
      }).pipe(silent)
  )

  it.effect("limits can be lowered, at the price of one side file", () =>
    Effect.gen(function* () {
      const { directory, first } = yield* log
      const { disk, removed } = fullUntil(1)
      const { log: limited } = yield* open({ directory }, disk)
      assert.strictEqual((yield* limited.setRetention({ maxEvents: 5 })).maxEvents, 5)
      assert.deepStrictEqual(removed, [first])
      assert.strictEqual((meta(directory)["retention"] as { maxEvents: number }).maxEvents, 5)
    }).pipe(silent)
  )
})

describe("the limits of a log", () => {
  it.live("a program that writes one event and ends at once applies the limits", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      for (let seq = 1; seq <= 2; seq++) {
        yield* Effect.scoped(
          Effect.flatMap(open({ directory, segmentSize: 1 }), ({ backend }) => backend.write([first(seq)]))
        )
      }
      yield* run(directory, ({ log }) => log.setRetention({ maxEvents: 1 }))
      yield* run(directory, ({ backend }) => backend.write([first(3)]))
      assert.deepStrictEqual(numbersOf(directory), [2])
    }).pipe(silent)
  )

  it.effect("how far it is with old segments that it has to read is told to whoever prunes", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "log")
      yield* daily(directory, 4, { retention: { maxAge: "none" } })
      yield* run(directory, ({ log }) => log.setRetention({ maxBytes: 1 }))
      for (const dryRun of [true, false]) {
        const told: Array<FileBackend.Progress> = []
        const { log } = yield* open({
          directory,
          onProgress: (progress) => Effect.sync(() => void told.push(progress))
        })
        const totalBytes = segmentsOf(directory).reduce(
          (sum, file) => sum + statSync(path.join(directory, file)).size,
          0
        )
        assert.strictEqual((yield* log.prune({ dryRun })).segments.length, 3)
        assert.deepStrictEqual(
          told.map(({ bytes, task }) => `${task} ${Math.round((4 * bytes) / totalBytes)}/4`),
          ["retention 1/4", "retention 2/4", "retention 3/4", "retention 4/4"]
        )
        assert.isTrue(told.every((progress) => progress.totalBytes === totalBytes))
      }
    }).pipe(silent)
  )

  it.effect("a new log has limits, which the layer that creates it says once", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "log")
      const said: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => void said.push(`${logLevel} ${String(message)}`))
      const start = Effect.provide(
        FileBackend.EventLog.use(({ status }) => status),
        Layer.fresh(FileBackend.layer({ directory })).pipe(Layer.provideMerge(Logger.layer([logger])))
      )
      const { retention } = yield* start
      yield* start
      const quarter = Math.floor(node.capacity(path.dirname(directory))! / 4)
      const maxBytes = Math.min(10 * 1024 ** 3, quarter)
      assert.deepStrictEqual(retention, { maxAgeSeconds: 90 * 86_400, maxBytes, maxEvents: 100_000_000 })
      assert.deepStrictEqual(meta(directory)["retention"], retention)
      assert.strictEqual(said.length, 1)
      assert.include(said[0], `Info A new event log in ${directory} keeps events for 90 days, up to `)
      assert.include(said[0], "100,000,000 events; what is beyond is removed, the oldest first")
    })
  )

  it.effect("segments whose meta file is gone are kept without limits until some are set, which is said", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "log")
      yield* daily(directory, 3, { retention: { maxAge: "none" } })
      rmSync(path.join(directory, ".meta.json"))
      const said: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => void said.push(`${logLevel} ${String(message)}`))
      yield* setTime(START + 400 * DAY)
      const write = (seq: number) =>
        Effect.scoped(
          Effect.gen(function* () {
            const { backend } = yield* open({ directory })
            yield* backend.write([on(seq, START + 400 * DAY)])
            yield* settle
          })
        )
      yield* Effect.provide(write(4), Logger.layer([logger]))
      assert.deepStrictEqual(numbersOf(directory), [1, 2, 3, 4])
      assert.deepStrictEqual(meta(directory)["retention"], {})
      assert.match(said[0]!, /^Warn The event log in .* had no \.meta\.json: .* keeps events without limit until/)
      // Once they are set, they hold.
      yield* run(directory, ({ log }) => log.setRetention({ maxAge: "90 days" }))
      yield* write(5)
      assert.deepStrictEqual(numbersOf(directory), [4])
    })
  )

  it.effect("the limits of a host are those of the log with its first event, and what it does not name stays", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ log }) => log.setRetention({ maxBytes: 1_000_000, maxEvents: "none" }))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { backend, log } = yield* open({ directory, retention: { maxAge: "7 days" } })
          assert.strictEqual((yield* log.status).retention.maxAgeSeconds, 90 * 86_400)
          yield* backend.write([first(1)])
          yield* settle
          assert.deepStrictEqual((yield* log.status).retention, { maxAgeSeconds: 7 * 86_400, maxBytes: 1_000_000 })
        })
      )
      // One that only writes changes nothing.
      yield* run(directory, ({ backend }) => Effect.andThen(backend.write([first(2)]), settle))
      assert.deepStrictEqual(meta(directory)["retention"], { maxAgeSeconds: 7 * 86_400, maxBytes: 1_000_000 })
    }).pipe(silent)
  )

  it.effect("what is no limit is refused with what would be right, and changes nothing", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "log")
      const { log } = yield* open({ directory, retention: { maxBytes: 1_000_000 } })
      const before = (yield* log.status).retention
      const wrong: ReadonlyArray<readonly [FileBackend.RetentionOptions, RegExp]> = [
        [{ maxAge: "soon" as never }, /^maxAge is "soon", which is no duration: give milliseconds, or a text such as/],
        [
          { maxAge: "-1 days" },
          /^maxAgeSeconds is -86400, which is no limit: give one that is not negative, or "none"$/
        ],
        [{ maxBytes: Number.NaN }, /^maxBytes is NaN, which is no limit: give one that is not negative, or "none"$/],
        [{ maxEvents: -1 }, /^maxEvents is -1, which is no limit: give one that is not negative, or "none"$/]
      ]
      for (const [retention, said] of wrong) {
        assert.match((yield* Effect.flip(log.setRetention(retention))).reason.detail ?? "", said)
        assert.match((yield* Effect.flip(open({ directory, retention }))).reason.detail ?? "", said)
      }
      assert.deepStrictEqual((yield* log.status).retention, before)
    }).pipe(silent)
  )

  it.effect("a log of the first release has no limits until they are set", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      writeFileSync(
        path.join(directory, ".meta.json"),
        JSON.stringify({ format: 1, id: "x", createdAt: "2020-01-01T00:00:00.000000Z" })
      )
      writeFileSync(path.join(directory, "events-00000001-20200101.ndjson"), line(1))
      yield* run(directory, ({ backend, log }) =>
        Effect.gen(function* () {
          yield* backend.write([first(2)])
          yield* settle
          assert.deepStrictEqual((yield* log.status).retention, {})
          assert.deepStrictEqual((yield* log.prune()).segments, [])
        })
      )
    })
  )
})

describe("retention", () => {
  it.effect("segments whose newest event is too old are removed with their side files, and coverage says so", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* daily(directory, 3, { retention: { maxAge: "5 days" } })
      for (const file of segmentsOf(directory)) {
        writeFileSync(path.join(directory, file.replace("ndjson", "index")), "side file")
      }
      yield* daily(directory, 3)
      assert.deepStrictEqual(numbersOf(directory), [1, 2, 3])
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { backend, log } = yield* open({ directory })
          // The first two are more than five days older than this event.
          for (const days of [3.5, 5, 6.5]) {
            yield* setTime(START + days * DAY)
            yield* backend.write([on(10 + 2 * days, START + days * DAY)])
            yield* settle
          }
          yield* log.prune()
          assert.deepStrictEqual(numbersOf(directory).slice(0, 2), [3, 4])
          assert.isFalse(existsSync(path.join(directory, "events-00000001-20260101.index")))
          const { coverage, events } = yield* backend.query({})
          assert.deepStrictEqual(seqsOf(events).slice(-1), [3])
          const until = START + DAY
          assert.strictEqual(coverage[0]!.since, until + 1)
          assert.strictEqual(coverage[0]!.gaps.length, 1)
          assert.strictEqual(coverage[0]!.gaps[0]!.to, until)
          assert.match(
            coverage[0]!.gaps[0]!.reason,
            /^segments 1 to 2 with events up to 2026-01-02T00:00:00.000000Z were removed by retention at 2026-01-.*: older than 5 days$/
          )
          const { removed } = yield* log.status
          assert.deepInclude(removed, { upTo: 2, until, why: "older than 5 days" })
        })
      )
    }).pipe(silent)
  )

  it.effect("a segment with one event that is not too old stays, and so do all after it", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* daily(directory, 5, { retention: { maxAge: "2 days" } })
      const before = segmentsOf(directory)
      // The oldest that is left gets a late event.
      const late = on(50, START + 4 * DAY)
      const { encode, eventOf } = yield* Effect.promise(() => import("../src/internal/log/line.ts"))
      writeFileSync(
        path.join(directory, before[0]!),
        readFileSync(path.join(directory, before[0]!), "utf8") + encode(eventOf(late))
      )
      yield* setTime(START + 5 * DAY)
      yield* run(directory, ({ backend, log }) =>
        Effect.gen(function* () {
          yield* backend.write([on(60, START + 5 * DAY)])
          yield* settle
          assert.deepStrictEqual((yield* log.prune()).segments, [])
          assert.include(segmentsOf(directory), before[0])
        })
      )
    }).pipe(silent)
  )

  it.effect(
    "an event that readers find within a damaged line keeps its segment, and a segment without any event does not",
    () =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        yield* daily(directory, 3, { retention: { maxAge: "1 day" } })
        yield* setTime(START + 2 * DAY)
        yield* run(directory, ({ backend, log }) =>
          Effect.gen(function* () {
            yield* log.setRetention({ maxAge: "36 hours" })
            const [oldest] = segmentsOf(directory)
            const file = path.join(directory, oldest!)
            const { encode, eventOf } = yield* Effect.promise(() => import("../src/internal/log/line.ts"))
            writeFileSync(file, `${"\0".repeat(5_000)}${encode(eventOf(on(70, START + 2 * DAY)))}`)
            assert.deepStrictEqual((yield* log.prune()).segments, [])
            assert.include(seqsOf((yield* backend.query({})).events), 70)
            yield* setTime(START + 4 * DAY)
            yield* backend.write([on(71, START + 4 * DAY)])
            writeFileSync(file, "\0".repeat(5_000))
            yield* log.prune()
            assert.notInclude(segmentsOf(directory), oldest)
          })
        )
      }).pipe(silent)
  )

  it.effect("a log of old events, such as those of an import, keeps them while no newer one is there", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* setTime(START + 1_000 * DAY)
      yield* run(directory, ({ backend, log }) =>
        Effect.gen(function* () {
          yield* backend.write([on(1, START)])
          // Begun, and without a line so far.
          writeFileSync(path.join(directory, "events-00000002-20990101.ndjson"), "", { mode: 0o600 })
          assert.deepStrictEqual((yield* log.prune()).segments, [])
          yield* TestClock.adjust("30 millis")
          yield* backend.write([on(2, START + DAY)])
          yield* settle
          assert.deepStrictEqual((yield* log.prune()).segments, [])
          assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [2, 1])
        })
      )
    }).pipe(silent)
  )

  it.effect("the oldest segments beyond the size or the number are removed when the next one is begun", () =>
    Effect.gen(function* () {
      const bytes = Buffer.byteLength(line(1))
      for (const retention of [{ maxBytes: 3 * bytes }, { maxEvents: 3 }]) {
        const directory = yield* TestDirectory.make
        const { backend } = yield* open({ directory, segmentSize: 1, retention })
        for (let seq = 1; seq <= 8; seq++) {
          yield* backend.write([first(seq)])
          yield* settle
        }
        assert.isAtMost(numbersOf(directory).length, 4)
        assert.strictEqual(numbersOf(directory).at(-1), 8)
        assert.deepInclude(seqsOf((yield* backend.query({})).events), 8)
      }
    }).pipe(silent)
  )

  it.effect("the newest segment stays, however old or large it is", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend, log }) =>
        Effect.gen(function* () {
          yield* backend.write([first(1)])
          yield* log.setRetention({ maxAge: 0, maxBytes: 0, maxEvents: 0 })
          yield* TestClock.setTime(Date.UTC(2030, 0, 1))
          assert.deepStrictEqual((yield* log.prune()).segments, [])
          assert.strictEqual((yield* backend.query({})).totalCount, 1)
        })
      )
    })
  )

  it.effect("a clock that jumps removes nothing, neither at once nor with what is written meanwhile", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* daily(directory, 3, { retention: { maxAge: "30 days" } })
      const before = segmentsOf(directory)
      yield* run(directory, ({ backend, log }) =>
        Effect.gen(function* () {
          for (const [hours, seq] of [
            [0, 10],
            [5, 11],
            [23, 12]
          ] as const) {
            const now = START + 400 * DAY + hours * 3_600_000_000
            yield* setTime(now)
            assert.isDefined((yield* log.prune({ dryRun: true })).segments)
            yield* backend.write([on(seq, now)])
            yield* settle
            const { doubt, segments } = yield* log.prune()
            assert.deepStrictEqual(segments, [])
            assert.match(doubt ?? "", /^the time went on by 39\d days at once, to 2027-/)
          }
          assert.includeMembers(segmentsOf(directory), before)
          // Set back, everything is as before.
          yield* setTime(START + 3 * DAY)
          yield* backend.write([on(13, START + 3 * DAY)])
          assert.deepStrictEqual(yield* log.prune(), { segments: [], doubt: undefined, stays: undefined })
        })
      )
    }).pipe(silent)
  )

  for (const [where, times] of [
    ["the first", [4_000, 1]],
    ["another", [1, 4_000]]
  ] as const) {
    it.effect(`${where} event of a segment, from the future, keeps it and all after it, which prune says`, () =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        yield* daily(directory, 1, { retention: { maxAge: "30 days" } })
        yield* run(directory, ({ backend, log }) =>
          Effect.gen(function* () {
            yield* setTime(START + DAY)
            yield* backend.write(times.map((days, index) => on(2 + index, START + days * DAY)))
            // The time goes on in steps that are believed.
            for (let day = 2; day < 60; day++) {
              yield* setTime(START + day * DAY)
              yield* backend.write([on(2 + day, START + day * DAY)])
              yield* settle
            }
            const { doubt, segments } = yield* log.prune({ dryRun: true })
            assert.deepStrictEqual(segments, [])
            assert.deepStrictEqual(numbersOf(directory)[0], 2)
            assert.match(
              doubt ?? "",
              /^events-00000002-20260102\.ndjson has an event from 2036-12-14T00:00:00\.000000Z, ahead of the clock: for their age /
            )
          })
        )
      }).pipe(silent)
    )
  }

  it.effect("what was removed is told up to its newest event, also where that is older than the log", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* setTime(START + 1_000 * DAY)
      const { backend, log } = yield* open({ directory, segmentSize: 1 })
      for (let seq = 1; seq <= 3; seq++) yield* backend.write([on(seq, START + seq * DAY)])
      yield* log.setRetention({ maxEvents: 1 })
      yield* log.prune()
      assert.strictEqual((yield* log.status).removed!.until, START + 2 * DAY)
      const [coverage] = (yield* backend.query({})).coverage
      assert.strictEqual(coverage!.gaps[0]!.to, START + 2 * DAY)
      // Before the log was created, nothing was recorded in it.
      assert.strictEqual(coverage!.since, START + 1_000 * DAY)
    }).pipe(silent)
  )

  it.effect("a step of the time that holds for a day is believed", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* daily(directory, 3, { retention: { maxAge: "30 days" } })
      yield* run(directory, ({ backend, log }) =>
        Effect.gen(function* () {
          for (const [days, left] of [
            [400, [1, 2, 3, 4]],
            [401.1, [4, 5]]
          ] as const) {
            yield* setTime(START + days * DAY)
            yield* backend.write([on(Math.floor(days), START + days * DAY)])
            yield* settle
            yield* log.prune()
            assert.deepStrictEqual(numbersOf(directory), [...left])
          }
        })
      )
    }).pipe(silent)
  )

  it.effect("a dry run says what would be removed and why, and removes nothing", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* daily(directory, 4)
      yield* run(directory, ({ log }) =>
        Effect.gen(function* () {
          yield* log.setRetention({ maxEvents: 2 })
          const before = meta(directory)
          const { segments } = yield* log.prune({ dryRun: true })
          assert.deepStrictEqual(
            segments.map(({ file, lines, until, why }) => ({ file, lines, until, why })),
            [1, 2].map((day) => ({
              file: `events-0000000${day}-2026010${day}.ndjson`,
              lines: 1,
              until: START + (day - 1) * DAY,
              why: "the log had more than 2 events"
            }))
          )
          assert.isAbove(segments[0]!.bytes, 300)
          assert.deepStrictEqual(numbersOf(directory), [1, 2, 3, 4])
          assert.deepStrictEqual(meta(directory), before)
          assert.deepStrictEqual((yield* log.prune()).segments, segments)
          assert.deepStrictEqual(numbersOf(directory), [3, 4])
        })
      )
    }).pipe(silent)
  )

  it.effect("compressed segments are read for their age and number, and removed", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* daily(directory, 4)
      yield* run(directory, ({ backend, log }) =>
        Effect.gen(function* () {
          yield* setTime(Date.now() * 1_000 + DAY)
          assert.isAbove((yield* log.compress()).length, 1)
          yield* log.setRetention({ maxEvents: 2 })
          const { segments } = yield* log.prune()
          assert.deepStrictEqual(
            segments.map(({ lines, until }) => [lines, until]),
            [
              [1, START],
              [1, START + DAY]
            ]
          )
          const left = readdirSync(directory).filter((file) => /^events-0000000[12]-/.test(file))
          assert.deepStrictEqual(left, [])
          assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [4, 3])
        })
      )
    }).pipe(silent)
  )

  it.effect("a cursor and a watch that retention has passed get a gap with what is gone and since when", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* daily(directory, 4)
      yield* run(directory, ({ backend, log }) =>
        Effect.gen(function* () {
          const all = yield* watch(backend, "beginning")
          const { cursor } = yield* all.next
          yield* log.setRetention({ maxEvents: 2 })
          yield* log.prune()
          const resumed = yield* watch(backend, cursor)
          const gap = yield* resumed.next
          assert.strictEqual(gap._tag, "Gap")
          if (gap._tag !== "Gap") return
          assert.strictEqual(gap.to, START + DAY)
          assert.include(
            gap.reason,
            "segments 1 to 2 with events up to 2026-01-02T00:00:00.000000Z were removed by retention"
          )
          assert.include(gap.reason, "the log had more than 2 events")
          assert.deepStrictEqual(yield* resumed.take(3), [3, 4, "Live"])
        })
      )
    }).pipe(silent)
  )

  it.effect("while another process changes the limits or removes segments, nothing is removed twice", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* daily(directory, 4)
      const locked = { ...node, lock: () => undefined }
      yield* run(directory, ({ log }) => log.setRetention({ maxEvents: 2 }))
      const { log } = yield* open({ directory }, locked)
      assert.deepStrictEqual((yield* log.prune()).segments, [])
      const error = yield* Effect.flip(log.setRetention({ maxEvents: 3 }))
      assert.deepInclude(error.reason, { _tag: "Transient", applied: "no" })
      assert.deepStrictEqual(numbersOf(directory), [1, 2, 3, 4])
    }).pipe(silent)
  )

  it.effect("the size of segments follows the limit, so that several are within it", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory, retention: { maxBytes: 16 * 1_048_576 } })
      for (let seq = 1; seq <= 5; seq++) yield* backend.write([first(seq, { data: { error: "x".repeat(900_000) } })])
      assert.strictEqual(numbersOf(directory).length, 2)
    }).pipe(silent)
  )
})
