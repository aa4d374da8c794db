import * as FileJournal from "@tidings/backend-fs/FileJournal"
import * as Backend from "@tidings/core/Backend"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { statSync } from "node:fs"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import * as stores from "./stores.ts"

const MEGABYTE = 1_048_576
const ROUNDS = 4
const EVENTS = 4_096
const DATA = 20_000
const SMALL_EVENTS = 100
/** Beyond what a checkpoint waits for at the most, so that it has nothing more to do for the large events. */
const SETTLED = "7 seconds"

/**
 * Events with large data, round after round, each delivered while the store goes away once: what is settled leaves neither
 * bodies nor large checkpoints behind, and small events that follow keep nobody waiting.
 */
export const largeData = async ({
  check,
  directory
}: {
  readonly directory: string
  readonly check: (what: string, holds: boolean) => void
}): Promise<void> => {
  const store = stores.noting(ROUNDS * (EVENTS + SMALL_EVENTS) + 1)
  const layer = Recorder.layer({ component: "soak" }).pipe(
    Layer.provide([
      Templates.layer,
      Layer.succeed(Backend.Backend, store.service),
      FileJournal.layer({ directory, durability: "process" })
    ])
  )
  const heap = (): number => {
    globalThis.gc?.()
    return process.memoryUsage().heapUsed / MEGABYTE
  }
  let recorded = 0
  const record = (recorder: Recorder.Recorder["Service"], bytes: number) =>
    Effect.suspend(() =>
      recorder.record({
        involvedObject: { kind: "Thing", name: `thing-${++recorded}` },
        reason: "Happened",
        data: { error: `${recorded} ${"x".repeat(bytes)}` }
      })
    )
  const rounds = Effect.gen(function* () {
    const recorder = yield* Recorder.Recorder
    let longest = 0
    let first: number | undefined
    let largestHeap = 0
    let largestCheckpoint = 0
    for (let round = 0; round < ROUNDS; round++) {
      yield* Effect.forEach(
        Array.from({ length: EVENTS }, (_, n) => n),
        (n) =>
          Effect.andThen(
            Effect.sync(() => {
              if (n === EVENTS >> 2) store.setAway(true)
              if (n === EVENTS >> 1) store.setAway(false)
            }),
            record(recorder, DATA)
          ),
        { concurrency: 64, discard: true }
      )
      const { complete } = yield* recorder.flush("2 minutes")
      if (!complete) throw new Error("the large events are not delivered within two minutes")
      yield* Effect.sleep(SETTLED)
      const kept = heap()
      first ??= kept
      largestHeap = Math.max(largestHeap, kept)
      largestCheckpoint = Math.max(largestCheckpoint, statSync(join(directory, "sink-default.checkpoint")).size)
      const delay = monitorEventLoopDelay({ resolution: 1 })
      delay.enable()
      for (let n = 0; n < SMALL_EVENTS; n++) {
        yield* record(recorder, 10)
        yield* Effect.sleep("10 millis")
      }
      delay.disable()
      longest = Math.max(longest, delay.max / 1e6)
      yield* recorder.flush("2 minutes")
    }
    check(`${recorded} events, ${ROUNDS * EVENTS} of them with 20 KB: all visible`, store.visible() === recorded)
    check(
      `settled, they keep ${(largestHeap - first!).toFixed(1)} MB more than the first round did`,
      largestHeap - first! < 10
    )
    check(`a checkpoint has at most ${Math.round(largestCheckpoint / 1_000)} KB`, largestCheckpoint < 1_000_000)
    check(`small events after them block the event loop for ${longest.toFixed(0)} ms at the most`, longest < 30)
  })
  await Effect.runPromise(Effect.provide(rounds, layer))
}
