import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as path from "node:path"
import { compressedOf, leftOf, openAged } from "./compressing.ts"
import { nodeOfRepository } from "./nodeOfRepository.ts"
import { open, segmentsOf, watch } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { first } from "./writes.ts"

const start = (fixture: string, ...parameters: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync((): ChildProcess => {
      const file = path.join(import.meta.dirname, "fixtures", fixture)
      const flags = ["--conditions=@tidings/source", "--disable-warning=ExperimentalWarning"]
      return spawn(nodeOfRepository, [...flags, file, ...parameters], { stdio: ["pipe", "pipe", "inherit"] })
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

it.live(
  "segments that are compressed at once by processes that are killed lose no line of writers and show none twice",
  () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const WRITERS = 2
      // Batches of 1 and 20 in turn.
      const COUNT = 72 * 21
      const reader = yield* open({ directory })
      yield* reader.backend.write([first(1, {}, "f".repeat(32))])
      const watcher = yield* watch(reader.backend, "now")
      assert.deepStrictEqual(yield* watcher.take(1), ["Live"])
      const writers: Array<ChildProcess> = []
      for (let index = 0; index < WRITERS; index++) {
        const origin = `${index}`.repeat(32)
        writers.push(yield* start("writer.ts", directory, origin, String(COUNT), "20", "100", "1", "20000"))
      }
      yield* Effect.promise(() => Promise.all(writers.map(({ stdout }) => once(stdout!, "data"))))
      const ended = Promise.all(writers.map((writer) => once(writer, "exit")))
      for (const writer of writers) {
        writer.stdout!.resume()
        writer.stdin!.write("go\n")
      }
      let isEnded = false
      void ended.then(() => (isEnded = true))
      let kills = 0
      // On a busy machine some are killed before they have compressed anything.
      while (!isEnded || kills < 3 || compressedOf(directory).length <= 3) {
        const compressor = yield* start("compressor.ts", directory)
        yield* Effect.promise(() => once(compressor.stdout!, "data"))
        // Somewhere in one of many compressions.
        yield* Effect.sleep(50 + 37 * (kills % 7))
        compressor.kill("SIGKILL")
        kills += 1
      }
      assert.deepStrictEqual(
        (yield* Effect.promise(() => ended)).map(([code]: Array<number>) => code),
        writers.map(() => 0)
      )
      const items = yield* watcher.take(WRITERS * COUNT)
      assert.deepStrictEqual(
        items.toSorted((a, b) => Number(a) - Number(b)),
        Array.from({ length: COUNT }, (_, index) => Array.from({ length: WRITERS }, () => index + 1)).flat()
      )
      assert.strictEqual(yield* watcher.left, 0)
      const other = yield* openAged({ directory })
      yield* other.log.compress("0 seconds")
      assert.deepStrictEqual(leftOf(directory), [])
      assert.strictEqual(segmentsOf(directory).length, 1)
      assert.strictEqual((yield* other.backend.query({ limit: 1 })).totalCount, WRITERS * COUNT + 1)
    }),
  { timeout: 120_000 }
)
