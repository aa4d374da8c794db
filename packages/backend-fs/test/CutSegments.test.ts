import { assert, describe, it } from "@effect/vitest"
import { Effect, References } from "effect"
import { appendFileSync, copyFileSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { node } from "../src/internal/disk.ts"
import { aged } from "./compressing.ts"
import { line, newestOf, open, run, watch } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { first, seqsOf } from "./writes.ts"

const silent = Effect.provideService(References.MinimumLogLevel, "Error")

const write = (directory: string, ...seqs: ReadonlyArray<number>) =>
  run(directory, ({ backend }) => backend.write(seqs.map((seq) => first(seq))))

const ask = (directory: string) =>
  run(directory, ({ backend }) =>
    Effect.map(backend.query({}), ({ coverage, events }) => ({
      seqs: seqsOf(events),
      gaps: coverage[0]!.gaps.map(({ reason }) => reason)
    }))
  )

/** What `logrotate` does to a segment, and other ways in which it loses its lines and stays where it is. */
const cuts: ReadonlyArray<readonly [how: string, cut: (file: string) => void]> = [
  [
    "copied and cut to nothing, as logrotate does with copytruncate,",
    (file) => {
      copyFileSync(file, `${file}.1`)
      truncateSync(file)
    }
  ],
  [
    "renamed and created anew, as logrotate does with create,",
    (file) => {
      renameSync(file, `${file}.1`)
      writeFileSync(file, "", { mode: 0o600 })
    }
  ],
  ["replaced by one with other lines", (file) => writeFileSync(file, line(900) + line(901))]
]

describe("a newest segment that is cut or replaced, and written to again", () => {
  for (const [how, cut] of cuts) {
    for (const who of ["by the program that is running", "by the next program"] as const) {
      it.live(`a segment that was ${how} and is written to ${who} is told in the coverage from then on`, () =>
        Effect.gen(function* () {
          const directory = yield* TestDirectory.make
          const others = how.startsWith("replaced") ? [901, 900] : []
          if (who === "by the next program") {
            yield* write(directory, 1, 2)
            cut(newestOf(directory))
            yield* write(directory, 3)
          } else {
            yield* run(directory, ({ backend }) =>
              Effect.gen(function* () {
                yield* backend.write([first(1), first(2)])
                cut(newestOf(directory))
                yield* backend.write([first(3)])
                const { coverage } = yield* backend.query({ limit: 0 })
                assert.lengthOf(coverage[0]!.gaps, 1)
              })
            )
          }
          const found = yield* ask(directory)
          assert.deepStrictEqual(found.seqs.toSorted(), [3, ...others].toSorted())
          assert.lengthOf(found.gaps, 1)
          assert.match(found.gaps[0]!, /^lines of segment 1 of the log are gone: it was cut or replaced/)
          // And when the next segment is the newest one, for a program that does not know of the cut.
          yield* Effect.scoped(
            Effect.flatMap(open({ directory, segmentSize: 1 }), ({ backend }) => backend.write([first(4)]))
          )
          yield* write(directory, 5)
          const { gaps } = yield* ask(directory)
          assert.lengthOf(gaps, 1)
          assert.match(gaps[0]!, /^lines of segment 1 of the log are gone: .*; found at \d{4}-/)
        }).pipe(silent)
      )
    }
  }

  for (const [how, cut] of cuts.slice(0, 2)) {
    it.live(`a segment that was ${how} is told where the writer that began it was killed before it noted how`, () =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        yield* write(directory, 1)
        yield* run(directory, ({ backend }) =>
          Effect.gen(function* () {
            // As it is left: a segment with a line that was not answered.
            writeFileSync(newestOf(directory).replace("00000001", "00000002"), line(2), { mode: 0o600 })
            yield* Effect.sleep(30)
            yield* backend.write([first(3)])
            cut(newestOf(directory))
            yield* backend.write([first(4)])
          })
        )
        const { gaps, seqs } = yield* ask(directory)
        assert.deepStrictEqual(seqs, [4, 1])
        assert.lengthOf(gaps, 1)
        assert.match(gaps[0]!, /^lines of segment 2 of the log are gone/)
      }).pipe(silent)
    )

    for (const written of ["", line(7)]) {
      it.live(
        `an event is written again where its segment was ${how} before it was noted how it begins${written === "" ? "" : ", and another process has written since"}`,
        () =>
          Effect.gen(function* () {
            const directory = yield* TestDirectory.make
            let isCut = false
            const lock: typeof node.lock = (file, ...others) => {
              if (!isCut && readFileSync(newestOf(directory)).length > 0) {
                isCut = true
                cut(newestOf(directory))
                appendFileSync(newestOf(directory), written)
              }
              return node.lock(file, ...others)
            }
            const outcomes = yield* Effect.scoped(
              Effect.flatMap(open({ directory }, { ...node, lock }), ({ backend }) => backend.write([first(1)]))
            )
            assert.isTrue(isCut)
            assert.deepStrictEqual(outcomes, [{ _tag: "Settled", how: "created" }])
            assert.deepStrictEqual((yield* ask(directory)).seqs, written === "" ? [1] : [7, 1])
          }).pipe(silent)
      )
    }

    it.live(`a segment that was ${how} and begins with the same event again is told`, () =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        yield* write(directory, 1)
        yield* write(directory, 2)
        cut(newestOf(directory))
        yield* write(directory, 1)
        const { gaps, seqs } = yield* ask(directory)
        assert.deepStrictEqual(seqs, [1])
        assert.lengthOf(gaps, 1)
        assert.match(gaps[0]!, /^lines of segment 1 of the log are gone/)
      }).pipe(silent)
    )
  }

  it.live("a newest segment that is gone is told also where events.log is gone, and its number is not used again", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* write(directory, 1)
      yield* Effect.scoped(
        Effect.flatMap(open({ directory, segmentSize: 1 }), ({ backend }) => backend.write([first(2)]))
      )
      assert.include(newestOf(directory), "00000002")
      rmSync(newestOf(directory))
      rmSync(path.join(directory, "events.log"))
      const gaps = ["segment 2 of the log is gone"]
      assert.deepStrictEqual(yield* ask(directory), { seqs: [1], gaps })
      yield* Effect.scoped(
        Effect.flatMap(open({ directory, segmentSize: 1 }), ({ backend }) => backend.write([first(3)]))
      )
      assert.include(newestOf(directory), "00000003")
      assert.deepStrictEqual(yield* ask(directory), { seqs: [3, 1], gaps })
    }).pipe(silent)
  )

  it.live("an event is answered where the beginning of its segment cannot be noted", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const lock: typeof node.lock = () => {
        throw Object.assign(new Error("no space left"), { code: "ENOSPC" })
      }
      yield* Effect.scoped(
        Effect.flatMap(open({ directory }, { ...node, lock }), ({ backend }) => backend.write([first(1)]))
      )
      assert.deepStrictEqual((yield* ask(directory)).seqs, [1])
    }).pipe(silent)
  )

  it.live("a segment that grows, is copied with its log or loses a damaged line's rest is no loss", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* write(directory, 1)
      yield* write(directory, 2)
      appendFileSync(newestOf(directory), line(3))
      const text = readFileSync(newestOf(directory))
      writeFileSync(`${newestOf(directory)}.copy`, text)
      renameSync(`${newestOf(directory)}.copy`, newestOf(directory))
      yield* write(directory, 4)
      assert.deepStrictEqual(yield* ask(directory), { seqs: [4, 3, 2, 1], gaps: [] })
    }).pipe(silent)
  )

  it.live("of many cuts the oldest are told together, and none is forgotten", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      for (let number = 1; number <= 40; number++) {
        yield* Effect.scoped(
          Effect.flatMap(open({ directory, segmentSize: 1 }, aged), ({ backend }) => backend.write([first(number)]))
        )
        writeFileSync(newestOf(directory), line(1_000 + number))
      }
      yield* Effect.scoped(
        Effect.flatMap(open({ directory, segmentSize: 1 }, aged), ({ backend }) => backend.write([first(99)]))
      )
      const { gaps } = yield* ask(directory)
      assert.lengthOf(gaps, 32)
      assert.match(gaps[0]!, /^lines of segments 1 to 9 of the log are gone: they were cut or replaced/)
      assert.match(gaps[31]!, /^lines of segment 40 of the log are gone/)
    }).pipe(silent)
  )
})

describe("an empty segment", () => {
  it.live("of a writer that was stopped before its first line is no loss, while it is the newest and afterwards", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* write(directory, 1)
      const segment = newestOf(directory)
      const next = (number: number) => segment.replace("events-00000001", `events-0000000${number}`)
      writeFileSync(next(2), "", { mode: 0o600 })
      assert.deepStrictEqual(yield* ask(directory), { seqs: [1], gaps: [] })
      // The next day begins another one.
      writeFileSync(next(3), "", { mode: 0o600 })
      yield* write(directory, 2)
      assert.deepStrictEqual(yield* ask(directory), { seqs: [2, 1], gaps: [] })
      const { backend } = yield* open({ directory })
      const watcher = yield* watch(backend, "beginning")
      assert.deepStrictEqual(yield* watcher.take(3), [1, 2, "Live"])
      // One that had a line and was cut is told.
      truncateSync(segment)
      truncateSync(next(3))
      assert.deepStrictEqual((yield* ask(directory)).gaps, [
        `${path.basename(segment)} is empty: its lines are gone`,
        `${path.basename(next(3))} is empty: its lines are gone`
      ])
    }).pipe(silent)
  )

  it.live("is passed by a watch without a gap", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* write(directory, 1)
      const { backend } = yield* open({ directory })
      const watcher = yield* watch(backend, "beginning")
      assert.deepStrictEqual(yield* watcher.take(2), [1, "Live"])
      const segment = newestOf(directory)
      writeFileSync(segment.replace("events-00000001", "events-00000002"), "", { mode: 0o600 })
      writeFileSync(segment.replace("events-00000001", "events-00000003"), "", { mode: 0o600 })
      yield* write(directory, 2)
      assert.deepStrictEqual(yield* watcher.take(1), [2])
    }).pipe(silent)
  )
})
