import { assert, describe, it } from "@effect/vitest"
import { Effect, References, Stream } from "effect"
import { TestClock } from "effect/testing"
import {
  appendFileSync,
  copyFileSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import * as path from "node:path"
import { node, type Disk } from "../src/internal/disk.ts"
import * as LogLine from "../src/internal/log/line.ts"
import { counting, eventually, line, newestOf, open, segmentsOf, shown, until, watch } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { again, first } from "./writes.ts"

const silent = Effect.provideService(References.MinimumLogLevel, "Error")

/** Makes a segment as another process would, in one piece. */
const segment = (directory: string, number: number, text: string): string => {
  const file = path.join(directory, `events-${String(number).padStart(8, "0")}-20990101.ndjson`)
  writeFileSync(`${file}.new`, text, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return file
}

const lines = (...seqs: ReadonlyArray<number>): string => seqs.map(line).join("")

describe("following", () => {
  it.effect("a watch shows what its own process writes while the clock stands still", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory })
      const watcher = yield* watch(backend, "beginning")
      assert.deepStrictEqual(yield* watcher.take(1), ["Live"])
      for (let seq = 1; seq <= 50; seq++) {
        yield* backend.write([first(seq)])
        assert.deepStrictEqual(yield* watcher.take(1), [seq])
      }
    })
  )

  it.live("a watch from the beginning lets timers run between the events that are stored", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory })
      yield* backend.write(Array.from({ length: 3_000 }, (_, n) => first(n + 1)))
      let turns = 0
      let isDone = false
      const count = (): void => {
        turns += 1
        if (!isDone) setImmediate(count)
      }
      yield* Stream.runDrain(
        Stream.takeWhile(
          Stream.tap(backend.watch({}, "beginning"), (item) =>
            Effect.sync(() => {
              if (item._tag === "Event" && item.event.id.seq === 1) setImmediate(count)
            })
          ),
          ({ _tag }) => _tag !== "Live"
        )
      )
      isDone = true
      assert.isAtLeast(turns, 40)
    })
  )

  it.live("a watch shows what other processes append, also where the system reports no changes", () =>
    Effect.gen(function* () {
      for (const disk of [
        node,
        {
          ...node,
          watch: () => {
            throw Object.assign(new Error("too many watchers"), { code: "EMFILE" })
          }
        }
      ]) {
        const directory = yield* TestDirectory.make
        const { backend } = yield* open({ directory }, disk)
        yield* backend.write([first(1)])
        const watcher = yield* watch(backend, "now")
        assert.deepStrictEqual(yield* watcher.take(1), ["Live"])
        appendFileSync(newestOf(directory), lines(2, 3))
        assert.deepStrictEqual(yield* watcher.take(2), [2, 3])
      }
    })
  )

  it.live("several watches share one watcher of the system, which the last one closes", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      let opened = 0
      let closed = 0
      const disk: Disk = {
        ...node,
        watch: (...parameters) => {
          opened += 1
          const watcher = node.watch(...parameters)
          return {
            close: () => {
              closed += 1
              watcher.close()
            }
          }
        }
      }
      const { backend } = yield* open({ directory }, disk)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const watchers = yield* Effect.all([
            watch(backend, "now"),
            watch(backend, "beginning"),
            watch(backend, "now")
          ])
          for (const { take } of watchers) yield* take(1)
          yield* backend.write([first(1)])
          for (const { take } of watchers) assert.deepStrictEqual(yield* take(1), [1])
          assert.deepStrictEqual([opened, closed], [1, 0])
        })
      )
      assert.deepStrictEqual([opened, closed], [1, 1])
    })
  )

  it.live("a watch shows a line only when it is complete", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const disk = counting()
      const { backend } = yield* open({ directory }, disk.disk)
      yield* backend.write([first(1)])
      const watcher = yield* watch(backend, "now")
      yield* watcher.take(1)
      const text = lines(2, 3)
      for (let from = 0; from < text.length; from += 100) {
        appendFileSync(newestOf(directory), text.slice(from, from + 100))
        yield* until(disk, "read")
      }
      assert.deepStrictEqual(yield* watcher.take(2), [2, 3])
      assert.strictEqual(yield* watcher.left, 0)
    })
  )

  it.live("a watch shows a line only when it changes its series, wherever the watch began", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory })
      const states = [first(1), again(first(1), 5), again(again(first(1), 5), 8)].map((write) =>
        LogLine.encode(LogLine.eventOf(write))
      )
      yield* backend.write([first(1), first(2), again(first(1), 5)].slice(0, 2))
      yield* backend.write([again(first(1), 5)])
      const cursor = (yield* backend.query({})).cursor
      for (const from of ["now", "beginning", { last: 1 }, cursor] as const) {
        const watcher = yield* watch(backend, from)
        while ((yield* watcher.next)._tag !== "Live");
        appendFileSync(newestOf(directory), states[0]! + states[1]! + lines(2) + states[2]! + states[1]! + lines(3))
        const upTo = from === "now" ? "first" : "later"
        // The highest state is new to the first watcher only; the line that follows it to none but that one, too.
        if (upTo === "first") assert.deepStrictEqual(yield* watcher.take(2), [1, 3])
        appendFileSync(newestOf(directory), lines(100))
        assert.deepStrictEqual(yield* watcher.take(1), [100])
        truncateSync(newestOf(directory), readFileSync(newestOf(directory)).length - Buffer.byteLength(lines(100)))
      }
    }).pipe(silent)
  )

  it.live("a watch resumes from the cursor of each item, also between two lines that were joined", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory })
      yield* backend.write([first(1)])
      const whole = line(2).slice(0, -1)
      appendFileSync(newestOf(directory), `${whole}${line(3)}${line(4).slice(0, 99)}${line(5)}`)
      segment(directory, 2, lines(6, 7).slice(0, -1))
      segment(directory, 3, lines(8))
      const all = yield* watch(backend, "beginning")
      const rest = [1, 2, 3, 5, 6, 7, 8]
      while (rest.length > 0) {
        const item = yield* all.next
        assert.strictEqual(item._tag === "Event" ? item.event.id.seq : item._tag, rest.shift())
        const resumed = yield* watch(backend, item.cursor)
        assert.deepStrictEqual(yield* resumed.take(rest.length + 1), [...rest, "Live"])
      }
      const live = yield* all.next
      assert.strictEqual(live._tag, "Live")
      yield* backend.write([first(9)])
      const resumed = yield* watch(backend, live.cursor)
      assert.deepStrictEqual(yield* resumed.take(2), [9, "Live"])
    }).pipe(silent)
  )

  it.effect("a watch continues in newer segments after it has waited for late lines of the older one", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const disk = counting()
      const { backend } = yield* open({ directory }, disk.disk)
      yield* backend.write([first(1)])
      const older = newestOf(directory)
      const watcher = yield* watch(backend, "now")
      yield* watcher.take(1)
      segment(directory, 2, lines(4))
      yield* until(disk, "list")
      appendFileSync(older, lines(2))
      assert.deepStrictEqual(yield* watcher.take(1), [2])
      yield* TestClock.adjust("200 millis")
      assert.strictEqual(yield* watcher.left, 0)
      appendFileSync(older, line(3).slice(0, -1))
      yield* TestClock.adjust("50 millis")
      const items = [yield* watcher.next, yield* watcher.next]
      assert.deepStrictEqual(items.map(shown), [3, 4])
      const moveOn = Effect.andThen(until(disk, "list"), TestClock.adjust("250 millis"))
      segment(directory, 3, "")
      yield* moveOn
      segment(directory, 4, lines(5, 6))
      yield* moveOn
      // That there is nothing in segment 3 may be a loss: nothing is noted of it, nor of a later one.
      assert.deepStrictEqual(yield* watcher.take(3), ["Gap", 5, 6])
      const resumed = yield* watch(backend, items[0]!.cursor)
      assert.deepStrictEqual(yield* resumed.take(4), [4, 5, 6, "Live"])
      yield* backend.write([first(7)])
      assert.deepStrictEqual(yield* watcher.take(1), [7])
      assert.deepStrictEqual(yield* resumed.take(1), [7])
    }).pipe(silent)
  )

  it.effect("a watch that begins just after a newer segment misses no late line of the older one", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const disk = counting()
      const { backend } = yield* open({ directory }, disk.disk)
      yield* backend.write([first(1)])
      const older = newestOf(directory)
      yield* TestClock.setTime(statSync(segment(directory, 2, lines(3))).birthtimeMs + 1)
      const looks = disk.calls("list")
      const watcher = yield* watch(backend, "beginning")
      yield* eventually(() => disk.calls("list") > looks)
      yield* TestClock.adjust("240 millis")
      appendFileSync(older, lines(2))
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual(yield* watcher.take(4), [1, 2, 3, "Live"])
    })
  )
})

describe("deleted and replaced segments", () => {
  it.live("deleted segments are a gap for a running watch and for a cursor", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory })
      segment(directory, 1, lines(1, 2))
      segment(directory, 2, lines(3))
      segment(directory, 3, lines(4, 5))
      const all = yield* watch(backend, "beginning")
      const cursors = [(yield* all.next).cursor, (yield* all.next).cursor, (yield* all.next).cursor]
      assert.deepStrictEqual(yield* all.take(3), [4, 5, "Live"])
      rmSync(path.join(directory, segmentsOf(directory)[0]!))
      // The end of segment 1 is the beginning of segment 2, but nobody can tell that it was the end.
      for (const cursor of cursors.slice(0, 2)) {
        const resumed = yield* watch(backend, cursor)
        assert.deepStrictEqual(yield* resumed.take(5), ["Gap", 3, 4, 5, "Live"])
      }
      const untouched = yield* watch(backend, cursors[2]!)
      assert.deepStrictEqual(yield* untouched.take(3), [4, 5, "Live"])
      segment(directory, 6, lines(6))
      const gap = yield* all.next
      assert.strictEqual(gap._tag, "Gap")
      assert.strictEqual(gap._tag === "Gap" ? gap.reason : "", "segments 4 to 5 of the log are gone")
      assert.deepStrictEqual(yield* all.take(1), [6])
      const resumed = yield* watch(backend, gap.cursor)
      assert.deepStrictEqual(yield* resumed.take(2), [6, "Live"])
    })
  )

  it.live("a segment that was cut or replaced fails a cursor into it", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory })
      yield* backend.write([first(1), first(2), first(3)])
      const { cursor } = yield* backend.query({})
      const file = newestOf(directory)
      const text = readFileSync(file, "utf8")
      for (const other of [
        text.slice(0, -10),
        text.slice(0, -line(3).length),
        lines(1, 2, 4),
        lines(1, 2, 4) + lines(5, 6),
        ""
      ]) {
        writeFileSync(file, other)
        const refused = yield* Effect.flip(Stream.runCollect(Stream.take(backend.watch({}, cursor), 1)))
        assert.strictEqual(refused.reason._tag, "CursorMismatch")
        assert.include(refused.message, "was cut or replaced")
      }
      // Put back as it was, it is good again.
      writeFileSync(file, text + line(7))
      const resumed = yield* watch(backend, cursor)
      assert.deepStrictEqual(yield* resumed.take(2), [7, "Live"])
    })
  )

  it.live("a segment that is cut, grows again or is replaced during a watch is a gap, and nothing is shown twice", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory })
      yield* backend.write([first(1), first(2), first(3)])
      const file = newestOf(directory)
      const early = yield* watch(backend, "beginning")
      assert.deepStrictEqual(yield* early.take(4), [1, 2, 3, "Live"])
      const late = yield* watch(backend, "now")
      assert.deepStrictEqual(yield* late.take(1), ["Live"])

      writeFileSync(file, lines(1, 2) + line(4).slice(0, 100))
      for (const { take } of [early, late]) assert.deepStrictEqual(yield* take(1), ["Gap"])
      appendFileSync(file, line(4).slice(100))
      for (const { take } of [early, late]) assert.deepStrictEqual(yield* take(1), [4])

      // As long as before and longer, so that only what it says tells.
      writeFileSync(file, lines(1, 2, 5, 6))
      for (const { take } of [early, late]) assert.deepStrictEqual(yield* take(3), ["Gap", 5, 6])

      copyFileSync(file, `${file}.copy`)
      appendFileSync(`${file}.copy`, lines(7))
      renameSync(`${file}.copy`, file)
      // The same bytes up to where the watch is: nothing is lost.
      for (const { take } of [early, late]) assert.deepStrictEqual(yield* take(1), [7])

      writeFileSync(`${file}.other`, lines(8, 9))
      renameSync(`${file}.other`, file)
      for (const { take } of [early, late]) assert.deepStrictEqual(yield* take(3), ["Gap", 8, 9])
      for (const { left } of [early, late]) assert.strictEqual(yield* left, 0)
    })
  )

  it.live("what the snapshot showed is not shown again where its segment was cut and a writer repeats it", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory })
      yield* backend.write([first(1), first(2), first(3)])
      const file = newestOf(directory)
      const watcher = yield* watch(backend, "beginning")
      assert.deepStrictEqual(yield* watcher.take(4), [1, 2, 3, "Live"])
      truncateSync(file)
      assert.deepStrictEqual(yield* watcher.take(1), ["Gap"])
      appendFileSync(file, lines(3, 4))
      assert.deepStrictEqual(yield* watcher.take(1), [4])
    })
  )

  it.live("a segment that is replaced before a line of it was read is a gap", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory, segmentSize: 1 })
      yield* backend.write([first(1)])
      const watcher = yield* watch(backend, "beginning")
      assert.deepStrictEqual(yield* watcher.take(2), [1, "Live"])
      yield* backend.write([first(2)])
      const file = newestOf(directory)
      renameSync(file, `${file}.1`)
      writeFileSync(file, "", { mode: 0o600 })
      // By then the watch has left the segment before.
      yield* Effect.sleep(600)
      yield* backend.write([first(3)])
      assert.deepStrictEqual(yield* watcher.take(2), ["Gap", 3])
    })
  )

  it.live("a segment that is replaced after a cursor to its start was taken is a gap", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory })
      yield* backend.write([first(1)])
      const file = newestOf(directory)
      const replace = (): void => {
        renameSync(file, `${file}.1`)
        writeFileSync(file, "", { mode: 0o600 })
      }
      replace()
      const { cursor } = yield* Effect.scoped(Effect.flatMap(watch(backend, "now"), ({ next }) => next))
      yield* backend.write([first(2)])
      replace()
      yield* backend.write([first(3)])
      const watcher = yield* watch(backend, cursor)
      assert.deepStrictEqual(yield* watcher.take(3), ["Gap", 3, "Live"])
    })
  )

  it.live("another log in place of the watched one is a gap, and later cursors are of the new log", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "log")
      const disk = counting()
      const { backend } = yield* open({ directory }, disk.disk)
      yield* backend.write([first(1), first(2)])
      const before = (yield* backend.query({})).cursor
      const watcher = yield* watch(backend, "now")
      assert.deepStrictEqual(yield* watcher.take(1), ["Live"])
      rmSync(directory, { recursive: true })
      yield* until(disk, "openToRead", 2)
      assert.strictEqual(yield* watcher.left, 0)
      const other = yield* open({ directory })
      yield* other.backend.write([first(3)])
      assert.deepStrictEqual(yield* watcher.take(1), ["Gap"])
      const item = yield* watcher.next
      assert.strictEqual(item._tag === "Event" ? item.event.id.seq : item._tag, 3)
      yield* other.backend.write([first(4)])
      assert.deepStrictEqual(yield* watcher.take(1), [4])
      // The watcher of the system has gone over to the new directory.
      yield* eventually(() => disk.calls("watch") > 1)
      const resumed = yield* watch(backend, item.cursor)
      assert.deepStrictEqual(yield* resumed.take(2), [4, "Live"])
      const refused = yield* Effect.flip(Stream.runCollect(Stream.take(backend.watch({}, before), 1)))
      assert.strictEqual(refused.reason._tag, "CursorMismatch")
    })
  )

  it.live("a watch continues without a gap when its directory is moved away and back", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const directory = path.join(parent, "log")
      const disk = counting()
      const { backend } = yield* open({ directory }, disk.disk)
      yield* backend.write([first(1)])
      const watcher = yield* watch(backend, "now")
      yield* watcher.take(1)
      renameSync(directory, path.join(parent, "away"))
      yield* until(disk, "openToRead", 2)
      appendFileSync(newestOf(path.join(parent, "away")), lines(2))
      renameSync(path.join(parent, "away"), directory)
      appendFileSync(newestOf(directory), lines(3))
      assert.deepStrictEqual(yield* watcher.take(2), [2, 3])
    })
  )

  it.effect("a cursor that is not of an event log is refused", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory })
      yield* backend.write([first(1)])
      const page = yield* backend.query({ limit: 1 })
      const replaceIn = (cursor: string, position: string): string => {
        const parts = JSON.parse(Buffer.from(cursor, "base64url").toString()) as Array<unknown>
        parts[parts.length - 1] = position
        return Buffer.from(JSON.stringify(parts)).toString("base64url")
      }
      for (const position of ["", "7", "x:1:0", "00000001-20260101:-1:0", "00000001-20260101:1"]) {
        const cursor = replaceIn(page.cursor, position) as typeof page.cursor
        const refused = yield* Effect.flip(Stream.runCollect(Stream.take(backend.watch({}, cursor), 1)))
        assert.strictEqual(refused.reason._tag, "CursorMismatch", position)
      }
      yield* backend.write([first(2)])
      const { next } = yield* backend.query({ limit: 1 })
      for (const position of ["", "7", "x 1 0", "1 00000001-20260101 -1"]) {
        const token = replaceIn(next!, position) as typeof next & string
        const refused = yield* Effect.flip(backend.query({ limit: 1, page: token }))
        assert.strictEqual(refused.reason._tag, "CursorMismatch", position)
      }
    })
  )
})

describe("the coverage of a log", () => {
  const coverageOf = (directory: string, disk?: Disk) =>
    Effect.gen(function* () {
      const { backend } = yield* open({ directory }, disk)
      const { coverage } = yield* backend.query({ limit: 0 })
      assert.strictEqual(coverage.length, 1)
      assert.strictEqual(coverage[0]!.store, (yield* backend.target).id)
      assert.strictEqual(coverage[0]!.until, "now")
      return coverage[0]!
    }).pipe(Effect.scoped, silent)

  it.live("begins with the log, also where it is empty", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const before = (Date.now() - 5_000) * 1_000
      const empty = yield* coverageOf(directory)
      assert.isAbove(empty.since as number, before)
      assert.isBelow(empty.since as number, (Date.now() + 5_000) * 1_000)
      segment(directory, 1, lines(1, 2))
      segment(directory, 2, lines(3))
      assert.deepStrictEqual(yield* coverageOf(directory), empty)
    })
  )

  it.live("begins with the first event that is left, and has gaps for the segments that are gone", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* coverageOf(directory)
      segment(directory, 3, lines(1))
      segment(directory, 6, lines(2))
      const { gaps, since } = yield* coverageOf(directory)
      assert.strictEqual(since, first(1).last)
      // Of which time is not known: what a file system tells of it is changed by a copy.
      assert.deepStrictEqual(
        gaps.map(({ store: _, ...gap }) => gap),
        [{ reason: "segments 1 to 2 of the log are gone" }, { reason: "segments 4 to 5 of the log are gone" }]
      )
    })
  )

  it.live("has a gap for the newest segment and for all of them when they are gone", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      segment(directory, 1, lines(1))
      yield* Effect.scoped(
        Effect.flatMap(open({ directory, segmentSize: 1 }), ({ backend }) => backend.write([first(2)]))
      )
      const [older, newest] = segmentsOf(directory)
      rmSync(path.join(directory, newest!))
      const withoutNewest = yield* coverageOf(directory)
      assert.deepStrictEqual(
        withoutNewest.gaps.map(({ reason }) => reason),
        ["segment 2 of the log is gone"]
      )
      rmSync(path.join(directory, older!))
      const withoutAny = yield* coverageOf(directory)
      assert.deepStrictEqual(
        withoutAny.gaps.map(({ reason }) => reason),
        ["segments 1 to 2 of the log are gone"]
      )
      assert.strictEqual(withoutAny.since, "unknown")
    })
  )

  it.live("has a gap for a segment that was cut to nothing", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const older = segment(directory, 1, lines(1))
      const newer = segment(directory, 2, lines(2))
      assert.deepStrictEqual((yield* coverageOf(directory)).gaps, [])
      for (const file of [older, newer]) {
        truncateSync(file)
        const { gaps } = yield* coverageOf(directory)
        assert.include(
          gaps.map(({ reason }) => reason),
          `${path.basename(file)} is empty: its lines are gone`
        )
      }
    })
  )

  it.live("has a gap for damaged lines, of which the time is not known", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      segment(directory, 1, `${line(1)}{"lastTimestamp":"broken\n${line(2)}`)
      const { gaps } = yield* coverageOf(directory)
      assert.strictEqual(gaps.length, 1)
      assert.match(gaps[0]!.reason, /^1 damaged line was skipped \(\d+ bytes\)$/)
      assert.isUndefined(gaps[0]!.from)
    })
  )

  it.live("is unknown where the log does not say when it was created, and not that of files", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const meta = path.join(directory, ".meta.json")
      writeFileSync(meta, JSON.stringify({ format: 1, id: "x" }))
      assert.strictEqual((yield* coverageOf(directory)).since, "unknown")
      writeFileSync(meta, JSON.stringify({ format: 1, id: "x", createdAt: "2026-01-02T03:04:05.000006Z" }))
      assert.strictEqual((yield* coverageOf(directory)).since, Date.UTC(2026, 0, 2, 3, 4, 5) * 1_000 + 6)
    })
  )
})
