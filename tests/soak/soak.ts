import * as FileJournal from "@tidings/backend-fs/FileJournal"
import * as Backend from "@tidings/core/Backend"
import { Journal, type OnFull } from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { fastClock } from "./fastClock.ts"
import * as stores from "./stores.ts"

export interface Options {
  readonly directory: string
  readonly events: number
  readonly check: (what: string, holds: boolean) => void
  readonly progress: (line: string) => void
}

class Second extends Context.Service<Second, Backend.Service>()("tests/soak/Second") {}

const MEGABYTE = 1_048_576
const QUOTA = 8 * MEGABYTE
const SEGMENT = MEGABYTE / 2
const LIVES = 20
const PRODUCERS = 64
const OBJECTS = 1_000

const megabytes = (bytes: number): string => `${(bytes / MEGABYTE).toFixed(1)} MB`

/** How much `y` grows with `x`, by least squares. */
const slope = (points: ReadonlyArray<readonly [x: number, y: number]>): number => {
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length
  let above = 0
  let below = 0
  for (const [x, y] of points) {
    above += (x - meanX) * (y - meanY)
    below += (x - meanX) ** 2
  }
  return above / below
}

export const soak = async ({ check, directory, events, progress }: Options): Promise<void> => {
  const counting = stores.counting()
  const noting = stores.noting(events + 1)
  /** By sink, what a quota took from it. A life that ends in between finds the same again, so it is noted by seq. */
  const taken = { counting: stores.bits(events + 1), noting: stores.bits(events + 1) }
  const journal = (onFull: OnFull) =>
    Layer.effect(
      Journal,
      Effect.map(Journal, (journal) => ({
        ...journal,
        read: (sink: string, after: number, max: number) =>
          Effect.map(journal.read(sink, after, max), (page) => {
            const bits = sink === "counting" ? taken.counting : taken.noting
            for (const { from, to } of page.lost) for (let seq = from; seq <= to; seq++) bits.add(seq)
            return page
          })
      }))
    ).pipe(
      Layer.provide(FileJournal.layer({ directory, durability: "process", quota: QUOTA, segmentSize: SEGMENT, onFull }))
    )
  const runtime = (onFull: OnFull, drain: boolean) =>
    Recorder.layer({
      component: "soak",
      drainTimeout: drain ? "1 hour" : 0,
      sinks: [
        Recorder.sink({ name: "counting", backend: Backend.Backend }),
        Recorder.sink({ name: "noting", backend: Second, correlation: "off" })
      ]
    }).pipe(
      Layer.provideMerge(
        Layer.mergeAll(
          Templates.layer,
          Layer.succeed(Backend.Backend, counting.service),
          Layer.succeed(Second, noting.service),
          journal(onFull)
        )
      )
    )

  let recorded = 0
  let refused = 0
  let lawHeld = 0
  let lawBroken = 0
  let largest = 0
  const heap: Array<readonly [number, number]> = []
  let resources: number | undefined
  let resourcesGrew = false
  const delay = monitorEventLoopDelay({ resolution: 10 })
  delay.enable()

  const look = (recorder: Recorder.Recorder["Service"]) =>
    Effect.map(recorder.status, (status) => {
      for (const sink of Object.values(status.sinks)) {
        const lost = Object.values(sink.dropped).reduce((sum, n) => sum + n, 0)
        if (status.accepted + sink.recovered === sink.settled + sink.parked + lost + sink.pending) lawHeld++
        else lawBroken++
      }
      const bytes = readdirSync(directory)
        .filter((file) => file.startsWith("entries-"))
        .reduce((sum, file) => sum + statSync(join(directory, file)).size, 0)
      largest = Math.max(largest, bytes)
      return status
    })

  /** Records until so many are accepted, as fast as it goes; what is refused is tried again a little later. */
  const record = (recorder: Recorder.Recorder["Service"], upTo: number) => {
    const one = (producer: number) =>
      Effect.gen(function* () {
        while (recorded < upTo) {
          const n = ++recorded
          const draft = {
            involvedObject: { kind: "Thing", name: `thing-${n % OBJECTS}` },
            reason: "Happened",
            message: `something happened to it, and it was of kind ${n % 3}`,
            data: { stepId: `step-${producer}` }
          }
          while (true) {
            const done = yield* Effect.match(recorder.record(draft), { onFailure: () => false, onSuccess: () => true })
            if (done) break
            refused++
            yield* Effect.sleep("10 seconds")
          }
          if (n % 25_000 === 0) {
            yield* look(recorder)
            globalThis.gc?.()
            heap.push([n, process.memoryUsage().heapUsed])
            progress(
              `${n} events, heap ${megabytes(process.memoryUsage().heapUsed)}, rss ${megabytes(process.memoryUsage.rss())}`
            )
          }
        }
      })
    return Effect.forEach(
      Array.from({ length: PRODUCERS }, (_, index) => index),
      one,
      {
        concurrency: "unbounded",
        discard: true
      }
    )
  }

  /** Each sink is away for a while, again and again: sometimes one, sometimes both, sometimes for longer than the quota lasts. */
  const outages = Effect.gen(function* () {
    for (let turn = 0; ; turn++) {
      yield* Effect.sleep("5 minutes")
      counting.setAway(turn % 3 !== 0)
      noting.setAway(turn % 3 !== 1)
      yield* Effect.sleep(turn % 4 === 0 ? "40 minutes" : "3 minutes")
      counting.setAway(false)
      noting.setAway(false)
    }
  })

  for (let life = 0; life < LIVES; life++) {
    const isLast = life === LIVES - 1
    const onFull = (["block", "fail", "dropOldest"] as const)[life % 3]!
    const program = Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const raging = yield* Effect.forkChild(outages)
      yield* record(recorder, Math.floor((events * (life + 1)) / LIVES))
      if (isLast) {
        raging.interruptUnsafe()
        counting.setAway(false)
        noting.setAway(false)
        yield* recorder.flush("10 hours")
      }
      yield* look(recorder)
      const count = process.getActiveResourcesInfo().length
      if (resources !== undefined && count > resources + 4) resourcesGrew = true
      resources ??= count
    })
    await Effect.runPromise(
      program.pipe(
        Effect.provide(runtime(onFull, isLast)),
        Effect.provide(Logger.layer([])),
        Effect.provideService(Clock.Clock, fastClock(200))
      )
    )
    counting.setAway(false)
    noting.setAway(false)
  }
  delay.disable()

  check(`${recorded} events were accepted in ${LIVES} lives`, recorded >= events)
  check(
    `the quota was reached: ${refused} were refused, ${taken.noting.size} and ${taken.counting.size} taken`,
    refused > 0 && taken.noting.size > 0
  )
  check(
    `of one by one, all that were not taken are there: ${noting.visible()}`,
    noting.visible() + taken.noting.size === recorded
  )
  check(
    `of ${counting.series()} series, the counts are exact: ${counting.visible()}`,
    counting.visible() + taken.counting.size === recorded
  )
  check(`the law held whenever somebody looked (${lawHeld} times)`, lawHeld > LIVES && lawBroken === 0)
  check(`the journal stayed within its quota: ${megabytes(largest)} of ${megabytes(QUOTA)}`, largest <= QUOTA)
  const half = heap.slice(heap.length >> 1)
  const growth = half.length < 3 ? 0 : slope(half) * events
  check(
    `memory is flat: by ${megabytes(growth)} in as many events again, at ${megabytes(half.at(-1)?.[1] ?? 0)}`,
    growth < 4 * MEGABYTE
  )
  check("no handles are left behind", !resourcesGrew)
  progress(
    `event loop held up for ${(delay.percentile(99) / 1e6).toFixed(1)} ms (p99), ${(delay.max / 1e6).toFixed(1)} ms (most)`
  )
}
