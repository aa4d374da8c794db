import * as FileJournal from "@tidings/backend-fs/FileJournal"
import * as Backend from "@tidings/core/Backend"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Target from "@tidings/core/Target"
import * as Templates from "@tidings/core/Templates"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Stream } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

const heap = (): number => {
  for (let n = 0; n < 3; n++) collect()
  return process.memoryUsage().heapUsed / 1_048_576
}

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "tidings-large-"))),
  (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
)

/** A store that keeps no body; away until it is let. */
const store = () => {
  const state = { away: false, occurrences: 0 }
  const service: Backend.Service = {
    mode: "memory",
    target: Effect.succeed(Target.make("store")),
    write: (batch) =>
      Effect.suspend(() => {
        if (state.away) return Effect.never
        state.occurrences += batch.length
        return Effect.succeed(batch.map(() => Backend.created))
      }),
    query: () => Effect.die("not read"),
    watch: () => Stream.empty
  }
  return { state, service }
}

const draft = (n: number, bytes: number): Recorder.EventDraft => ({
  involvedObject: { kind: "Pod", name: `pod-${n}`, namespace: "default" },
  reason: "Failed",
  message: `it failed ${n}`,
  data: { error: `${n} ${"x".repeat(bytes)}` }
})

const host = (journal: Layer.Layer<Journal.Journal, unknown>, service: Backend.Service) =>
  Recorder.layer({ drainTimeout: 0 }).pipe(
    Layer.provide([journal, Templates.layer, Layer.succeed(Backend.Backend, service), Logger.layer([])])
  )

describe("events with large data", () => {
  for (const [size, told, count] of [
    [20_000, "20 KB", 4_096],
    [150_000, "150 KB", 512]
  ] as const) {
    for (const kind of ["process", "memory"] as const) {
      it.live(
        `leave neither bodies nor large checkpoints behind once they are settled: ${count} of ${told}, ${kind}`,
        () =>
          Effect.gen(function* () {
            const place = yield* directory
            const { service, state } = store()
            const journal =
              kind === "memory" ? Journal.layerMemory() : FileJournal.layer({ directory: place, durability: "process" })
            yield* Effect.gen(function* () {
              const recorder = yield* Recorder.Recorder
              yield* recorder.record(draft(0, size))
              yield* recorder.flush("10 seconds")
              const before = heap()
              for (let n = 1; n < count; n++) yield* recorder.record(draft(n, size))
              assert.isTrue((yield* recorder.flush("1 minute")).complete)
              yield* Effect.sleep("2 seconds")
              assert.strictEqual(state.occurrences, count)
              assert.isBelow(heap() - before, 10, "MB of heap are kept")
              if (kind === "process") {
                const checkpoint = fs.statSync(path.join(place, "sink-default.checkpoint")).size
                assert.isBelow(checkpoint, 1_000_000)
              }
            }).pipe(Effect.provide(host(journal, service)))
          })
      )
    }
  }

  it.live("need bounded memory and bounded checkpoints while none of them is settled", () =>
    Effect.gen(function* () {
      const place = yield* directory
      const { service, state } = store()
      state.away = true
      const journal = FileJournal.layer({ directory: place, durability: "process" })
      yield* Effect.gen(function* () {
        const recorder = yield* Recorder.Recorder
        const before = heap()
        for (let n = 0; n < 2_000; n++) yield* recorder.record(draft(n, 60_000))
        yield* Effect.sleep("7 seconds")
        assert.isBelow(heap() - before, 40, "MB of heap are kept")
        const checkpoint = fs.statSync(path.join(place, "sink-default.checkpoint")).size
        assert.isBelow(checkpoint, 8_000_000)
        const { sinks } = yield* recorder.status
        assert.strictEqual(sinks["default"]!.pending, 2_000)
      }).pipe(Effect.provide(host(journal, service)))
    })
  )
})
