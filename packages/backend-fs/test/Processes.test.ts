import { assert, describe, it } from "@effect/vitest"
import * as EventJson from "@tidings/core/EventJson"
import { Effect, References, Result } from "effect"
import { appendFileSync, readFileSync, statSync } from "node:fs"
import * as path from "node:path"
import { bytesOf, line, newestOf, open, watch } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { writer } from "./writerProcess.ts"
import { first } from "./writes.ts"

const originOf = (index: number): string => `${index}`.repeat(32)

/** `npm run test:slow` starts more processes. */
const isSlow = process.env["TIDINGS_TESTS"] === "slow"

describe("several processes on one log", () => {
  for (const { count, processes } of [
    { processes: 2, count: 6_000 },
    ...(isSlow ? [{ processes: 8, count: 3_000 }] : [])
  ]) {
    it.live(
      `${processes} processes that create a log and append at once lose, split and join no lines`,
      () =>
        Effect.gen(function* () {
          const directory = path.join(yield* TestDirectory.make, "log")
          const writers = yield* Effect.all(
            Array.from({ length: processes }, (_, index) => writer(directory, originOf(index), count, 20, index * 40))
          )
          yield* Effect.all(writers.map(({ saidAtLeast }) => saidAtLeast(1)))
          for (const { go } of writers) go()
          yield* Effect.all(writers.map(({ saidAtLeast }) => saidAtLeast(2)))
          const { backend, log } = yield* open({ directory })
          const follower = yield* watch(backend, "beginning")
          for (const { ended } of writers) assert.strictEqual(yield* ended, 0)

          const written = writers.map(({ said }) => Number(said().at(-1)))
          const targets = writers.map(({ said }) => said().find((line) => line.startsWith("target ")))
          const { id } = JSON.parse(readFileSync(path.join(directory, ".meta.json"), "utf8")) as { id: string }
          assert.deepStrictEqual(
            targets,
            writers.map(() => `target ${id}`)
          )
          const total = written.reduce((sum, one) => sum + one, 0)
          assert.isAtLeast(total, processes * count)

          // Each line is whole, and those of one process are in the order in which it wrote them.
          const next = new Map<string, number>()
          const lines = bytesOf(directory).toString().split("\n")
          assert.strictEqual(lines.pop(), "")
          for (const text of lines) {
            const event = Result.getOrThrow(EventJson.decode(text))
            assert.strictEqual(event.id.seq, (next.get(event.id.origin) ?? 0) + 1)
            next.set(event.id.origin, event.id.seq)
          }
          assert.deepStrictEqual(
            writers.map((_, index) => next.get(originOf(index))),
            written
          )

          // Whoever followed meanwhile saw each of them once.
          const seen = new Set<string>()
          for (let events = 0; events < total;) {
            const item = yield* follower.next
            if (item._tag === "Gap") assert.fail(item.reason)
            if (item._tag === "Live") continue
            seen.add(EventJson.encode(item.event))
            events += 1
          }
          assert.strictEqual(seen.size, total)
          assert.strictEqual((yield* backend.query({ limit: 1 })).totalCount, total)
          assert.deepStrictEqual((yield* log.status).damaged, { lines: 0, bytes: 0 })
        }),
      60_000
    )
  }

  it.live(
    "processes that begin a segment every few milliseconds lose and split no line, and a follower misses none",
    () =>
      Effect.gen(function* () {
        const directory = path.join(yield* TestDirectory.make, "log")
        const writers = yield* Effect.all(
          // Each has a size of its own, so that one finds a segment complete that another still writes to.
          Array.from({ length: 4 }, (_, index) =>
            writer(directory, originOf(index), 1_500, 20, 40, 0, 80_000 + 20_000 * index)
          )
        )
        yield* Effect.all(writers.map(({ saidAtLeast }) => saidAtLeast(1)))
        for (const { go } of writers) go()
        yield* Effect.all(writers.map(({ saidAtLeast }) => saidAtLeast(2)))
        const { backend, log } = yield* open({ directory })
        const follower = yield* watch(backend, "beginning")
        for (const { ended } of writers) assert.strictEqual(yield* ended, 0)
        const total = writers.reduce((sum, { said }) => sum + Number(said().at(-1)), 0)
        const followed = new Set<string>()
        while (followed.size < total) {
          const item = yield* follower.next
          if (item._tag === "Gap") assert.fail(item.reason)
          if (item._tag === "Event") followed.add(`${item.event.id.origin} ${item.event.id.seq}`)
        }
        assert.strictEqual((yield* backend.query({ limit: 1 })).totalCount, total)
        const { damaged, segments } = yield* log.status
        assert.deepStrictEqual(damaged, { lines: 0, bytes: 0 })
        assert.isAbove(segments.length, 20)
        assert.deepStrictEqual(
          segments.map(({ file }) => Number(file.slice(7, 15))),
          segments.map((_, index) => index + 1)
        )
      }),
    60_000
  )

  it.live(
    "processes killed during large writes, beside one that goes on, lose nothing that was answered",
    () =>
      Effect.gen(function* () {
        const directory = path.join(yield* TestDirectory.make, "log")
        const survivor = yield* writer(directory, originOf(9), 0, 3, 10, 1)
        const victims = yield* Effect.all(
          // Writes of a MiB, which the kernel does page by page, and dies of a signal between two of them. They end after twelve
          // such writes, for on a busy machine the signal comes late, and the segment would be full.
          Array.from({ length: 4 }, (_, index) => writer(directory, originOf(index), 600, 50, 20_000 + index))
        )
        yield* Effect.all([...victims, survivor].map(({ saidAtLeast }) => saidAtLeast(1)))
        survivor.go()
        for (const [index, victim] of victims.entries()) {
          victim.go()
          yield* victim.saidAtLeast(4 + index)
          yield* Effect.sleep(1 + 0.3 * index)
          victim.process.kill("SIGKILL")
          yield* victim.ended
        }
        const { backend, log } = yield* open({ directory })
        yield* backend.query({ limit: 0 })
        const torn = (yield* log.status).damaged.lines
        // Where the kernel was through each time before it looked: as it leaves it when it is not.
        if (torn === 0) appendFileSync(newestOf(directory), line(1).slice(0, 300))
        // What the survivor says may be older than the torn line: its next write is seen in the size of the segment.
        const { size } = statSync(newestOf(directory))
        while (statSync(newestOf(directory)).size === size) yield* Effect.sleep(1)
        survivor.process.stdin!.end()
        assert.strictEqual(yield* survivor.ended, 0)

        const answered = [...victims, survivor].map(({ said }) => Number(said().at(-1)))
        const origins = [...victims.map((_, index) => originOf(index)), originOf(9)]
        const { events } = yield* backend.query({})
        const found = new Set(events.map(({ id }) => `${id.origin} ${id.seq}`))
        for (const [index, upTo] of answered.entries()) {
          assert.isAbove(upTo, 0)
          for (let seq = 1; seq <= upTo; seq++) assert.isTrue(found.has(`${origins[index]} ${seq}`), `${index} ${seq}`)
        }
        const follower = yield* watch(backend, "beginning")
        const followed = new Set<string>()
        while (followed.size < found.size) {
          const item = yield* follower.next
          if (item._tag === "Event") followed.add(`${item.event.id.origin} ${item.event.id.seq}`)
          else assert.strictEqual(item._tag, "Live")
        }
        assert.deepStrictEqual(followed, found)

        // The log goes on, and what a killed process had no answer for is told apart by writing it again.
        const { damaged, segments } = yield* log.status
        assert.strictEqual(segments.length, 1)
        assert.isAbove(damaged.lines, 0)
        for (const [index, upTo] of answered.slice(0, -1).entries()) {
          const seqs = Array.from({ length: 5 }, (_, more) => upTo + 1 + more)
          const outcomes = yield* backend.write(seqs.map((seq) => first(seq, {}, originOf(index))))
          assert.deepStrictEqual(
            outcomes.map((outcome) => (outcome._tag === "Settled" ? outcome.how : outcome._tag)),
            seqs.map((seq) => (found.has(`${originOf(index)} ${seq}`) ? "present" : "created"))
          )
        }
      }).pipe(Effect.provideService(References.MinimumLogLevel, "Error")),
    60_000
  )
})
