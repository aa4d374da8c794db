import { assert, describe, it } from "@effect/vitest"
import { Effect, References, type Scope } from "effect"
import { readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { bytesOf } from "../src/internal/log/bytes.ts"
import { Step } from "../src/internal/log/index/segmentBuilder.ts"
import { isWritten } from "../src/internal/log/index/sliceChecksums.ts"
import * as LogLine from "../src/internal/log/line.ts"
import { line, newestOf, open, run, segmentsOf, watch, withoutChecksums } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { again, first, seqsOf } from "./writes.ts"

const isSlow = process.env["TIDINGS_TESTS"] === "slow"

const quietly = Effect.provideService(References.MinimumLogLevel, "Error")

/** Every bit of some bytes in `npm run test:slow`, else one bit of some of them: of all where the checksum is. */
const flips = function* (from: number, to: number) {
  for (let at = from; at < to; at += isSlow || (at - from > 40 && at - from < 72) ? 1 : 29) {
    if (isSlow) for (let bit = 0; bit < 8; bit++) yield { at, mask: 1 << bit }
    else yield { at, mask: 1 << (at & 7) }
  }
}

/** A log of the first release, whose lines have no checksums. */
const firstRelease = (count: number): Effect.Effect<string, never, Scope.Scope> =>
  Effect.gen(function* () {
    const directory = yield* TestDirectory.make
    yield* run(directory, ({ backend }) =>
      backend.write(Array.from({ length: count }, (_, index) => first(index + 1)))
    ).pipe(Effect.orDie)
    const segment = newestOf(directory)
    writeFileSync(segment, withoutChecksums(readFileSync(segment, "utf8")))
    assert.notInclude(readFileSync(segment, "utf8"), "checksum")
    return directory
  })

describe("checksums of a log", () => {
  it("the fast way to check a line takes no line for right that the other one does not", () => {
    const bytes = Buffer.from(`\n${line(1)}${line(2)}`)
    const end = 1 + Buffer.byteLength(line(1)) - 1
    const check = (): boolean => isWritten(bytesOf(bytes), 1, end)
    assert.isTrue(check())
    assert.isFalse(isWritten(bytesOf(bytes), 1, end + 1))
    assert.isFalse(isWritten(bytesOf(bytes), 1, bytes.length - 1))
    assert.isFalse(isWritten(bytesOf(bytes), 1, 20))
    for (let at = 1; at < end; at++) {
      for (let bit = 0; bit < 8; bit++) {
        bytes[at]! ^= 1 << bit
        assert.isFalse(check(), `bit ${bit} of byte ${at}`)
        assert.isFalse(LogLine.isIntact(bytes, 1, end))
        bytes[at]! ^= 1 << bit
      }
    }
  })

  it.effect("a changed digit of an id hides no other event, and is counted as damage", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend }) => backend.write([first(1), first(2), first(3)]))
      const segment = newestOf(directory)
      const text = readFileSync(segment, "utf8")
      writeFileSync(segment, text.replace('cdef.2","upTo":2', 'cdef.3","upTo":9'))
      yield* run(directory, ({ backend, log }) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [3, 1])
          const { damaged } = yield* log.status
          assert.deepStrictEqual(damaged, { lines: 1, bytes: line(2).length - 1 })
          // The appender knows that it is not there.
          assert.deepStrictEqual(yield* backend.write([first(2), first(3)]), [
            { _tag: "Settled", how: "created" },
            { _tag: "Settled", how: "present" }
          ])
          assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [3, 2, 1])
        })
      )
    }).pipe(quietly)
  )

  it.effect(
    "a log of one event with a bit flipped has that event or one damaged line",
    () =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        yield* run(directory, ({ backend }) => backend.write([first(2)]))
        const segment = newestOf(directory)
        const bytes = readFileSync(segment)
        const [written] = (yield* run(directory, ({ backend }) => backend.query({}))).events
        for (const { at, mask } of flips(0, bytes.length)) {
          bytes[at]! ^= mask
          writeFileSync(segment, bytes)
          bytes[at]! ^= mask
          yield* run(directory, ({ backend, log }) =>
            Effect.gen(function* () {
              if (at === bytes.length - 1) {
                // Without its line end it may still be being written; the next write ends it.
                assert.deepStrictEqual((yield* backend.query({})).events, [])
                yield* backend.write([first(3)])
                assert.deepStrictEqual((yield* backend.query({})).events.slice(1), [written!])
                return
              }
              const { events } = yield* backend.query({})
              const { damaged } = yield* log.status
              if (events.length === 0) assert.strictEqual(damaged.lines, 1, `byte ${at}`)
              else assert.deepStrictEqual(events, [written!], `byte ${at}`)
            })
          )
        }
      }).pipe(quietly),
    600_000
  )

  it.live("a log of the first release is read, followed and continued without losing a line", () =>
    Effect.gen(function* () {
      const directory = yield* firstRelease(3)
      yield* run(directory, ({ backend, log }) =>
        Effect.scoped(
          Effect.gen(function* () {
            const page = yield* backend.query({ limit: 2 })
            assert.deepStrictEqual(seqsOf(page.events), [3, 2])
            const all = yield* watch(backend, "beginning")
            const later = yield* watch(backend, page.cursor)
            assert.deepStrictEqual(yield* all.take(4), [1, 2, 3, "Live"])
            assert.deepStrictEqual(yield* backend.write([first(1), again(first(2), 7), first(4)]), [
              { _tag: "Settled", how: "present" },
              { _tag: "Settled", how: "updated" },
              { _tag: "Settled", how: "created" }
            ])
            assert.deepStrictEqual(yield* all.take(2), [2, 4])
            assert.deepStrictEqual(yield* later.take(3), ["Live", 2, 4])
            const { events, totalCount } = yield* backend.query({})
            assert.deepStrictEqual(seqsOf(events), [2, 4, 3, 1])
            assert.strictEqual(totalCount, 4)
            assert.deepStrictEqual((yield* log.status).damaged, { lines: 0, bytes: 0 })
          })
        )
      )
      // And by the next process.
      const reopened = yield* run(directory, ({ backend }) => backend.query({}))
      assert.deepStrictEqual(seqsOf(reopened.events), [2, 4, 3, 1])
    })
  )

  it.effect(
    "a line that was changed after it was indexed is not shown, also where all lines of a block are read at once",
    () =>
      Effect.gen(function* () {
        for (const read of ["watch", "pages"] as const) {
          const directory = yield* TestDirectory.make
          yield* run(directory, ({ backend }) =>
            Effect.gen(function* () {
              yield* backend.write([first(1), first(2), first(3), first(4), first(5)])
              const segment = newestOf(directory)
              utimesSync(segment, 1_790_000_000, 1_790_000_000)
              const indexed = yield* backend.query({ limit: 2 })
              assert.deepStrictEqual(seqsOf(indexed.events), [5, 4])
              const bytes = readFileSync(segment)
              const at = bytes.indexOf('"message":"', 2 * line(1).length) + '"message":"'.length
              bytes[at]! ^= 1
              writeFileSync(segment, bytes)
              utimesSync(segment, 1_790_000_000, 1_790_000_000)
              if (read === "pages") {
                const later = yield* backend.query({ limit: 2, page: indexed.next! })
                const seqs = seqsOf(later.events)
                assert.deepStrictEqual(seqs, [2, 1])
                return
              }
              const all = yield* watch(backend, "beginning")
              assert.deepStrictEqual(yield* all.take(5), [1, 2, 4, 5, "Live"])
            })
          ).pipe(Effect.provideService(Step, 600))
        }
      }).pipe(quietly)
  )

  /** Two segments, of which the first has three lines, and side files of both. */
  const indexed = Effect.gen(function* () {
    const directory = yield* TestDirectory.make
    yield* run(directory, ({ backend }) => backend.write([first(1), first(5), first(3)]))
    const segment = newestOf(directory)
    const later = LogLine.encode(LogLine.eventOf(again(first(5), 8)))
    writeFileSync(segment.replace("events-00000001", "events-00000002"), later)
    const bytes = readFileSync(segment)
    const put = (content: Uint8Array) => {
      writeFileSync(segment, content)
      utimesSync(segment, 1_790_000_000, 1_790_000_000)
    }
    const ask = Effect.scoped(
      Effect.flatMap(open({ directory }), ({ backend, log }) =>
        Effect.all([backend.query({}), backend.query({ reason: first(1).event.reason, limit: 2 }), log.status])
      )
    ).pipe(Effect.provideService(Step, 600))
    put(bytes)
    const [{ events }] = yield* ask
    assert.deepStrictEqual(seqsOf(events), [5, 3, 1])
    const sideFiles = readdirSync(directory)
      .filter((file) => file.endsWith(".index"))
      .map((file) => ({ file: path.join(directory, file), content: readFileSync(path.join(directory, file)) }))
    assert.lengthOf(sideFiles, 2)
    /** As it was before anything was changed in the segment, but with this content. */
    const putIndexed = (content: Uint8Array) => {
      for (const { content, file } of sideFiles) writeFileSync(file, content)
      put(content)
    }
    return { ask, bytes, events, putIndexed }
  })

  it.effect(
    "a flipped bit in a segment with a side file is never another event, also where its time was restored",
    () =>
      Effect.gen(function* () {
        const { ask, bytes, events: known, putIndexed } = yield* indexed
        const line = bytes.indexOf("\n") + 1
        for (const { at, mask } of flips(line, bytes.indexOf("\n", line) + 1)) {
          const flipped = Buffer.from(bytes)
          flipped[at]! ^= mask
          putIndexed(flipped)
          const [{ events }, page, { damaged }] = yield* ask
          for (const event of [...events, ...page.events]) assert.deepInclude(known, event, `byte ${at}`)
          // That a line is damaged need not be found out where another one has a later state of its series.
          if (events.length < 3) assert.isAtLeast(damaged.lines, 1, `byte ${at}`)
        }
      }).pipe(quietly),
    600_000
  )

  it.effect(
    "a segment with a side file that is cut at any byte has the events of the lines that are left, also where its time was restored",
    () =>
      Effect.gen(function* () {
        const { ask, bytes, events: known, putIndexed } = yield* indexed
        const ends = [1, 2, 3].map((count) => bytes.toString().split("\n").slice(0, count).join("\n").length + 1)
        for (let length = 0; length < bytes.length; length += isSlow ? 1 : 47) {
          putIndexed(bytes.subarray(0, length))
          const [{ coverage, events }, , { damaged }] = yield* ask
          // The line without its line end is whole: a segment that is not the newest grows no more.
          const left = ends.filter((end) => end - 1 <= length).length
          assert.deepStrictEqual(seqsOf(events), left >= 3 ? [5, 3, 1] : left >= 1 ? [5, 1] : [5], `at ${length}`)
          for (const event of events) assert.deepInclude(known, event, `at ${length}`)
          const isTorn = length > 0 && !ends.some((end) => end === length || end - 1 === length)
          assert.strictEqual(damaged.lines, isTorn ? 1 : 0, `at ${length}`)
          if (length === 0) assert.match(coverage[0]!.gaps[0]!.reason, /is empty: its lines are gone$/)
        }
      }).pipe(quietly),
    600_000
  )

  it.effect("each segment has its own format", () =>
    Effect.gen(function* () {
      const directory = yield* firstRelease(2)
      const [oldest] = segmentsOf(directory)
      const next = oldest!.replace("events-00000001", "events-00000002")
      writeFileSync(path.join(directory, next), line(3))
      // Plain lines have no place where lines have checksums.
      writeFileSync(path.join(directory, next.replace("00000002", "00000003")), line(4) + withoutChecksums(line(5)))
      yield* run(directory, ({ backend, log }) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [4, 3, 2, 1])
          assert.strictEqual((yield* log.status).damaged.lines, 1)
        })
      )
    }).pipe(quietly)
  )

  it.effect("the format of a segment is found behind five megabytes of zeros", () =>
    Effect.gen(function* () {
      const directory = yield* firstRelease(2)
      const segment = newestOf(directory)
      writeFileSync(segment, Buffer.concat([Buffer.alloc(5_000_003), Buffer.from("\n"), readFileSync(segment)]))
      const { events } = yield* run(directory, ({ backend }) => backend.query({}))
      assert.deepStrictEqual(seqsOf(events), [2, 1])
    }).pipe(quietly)
  )
})
