/**
 * What is left to a host while 64 fibers record without a pause: how long a timer of 10 ms waits for its turn, whether
 * events are delivered meanwhile, and what the turns cost until everything is delivered. The comparison is the same recorder
 * under a scheduler that never leaves its turn of the event loop, so that nothing is left to the host.
 */
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as FileJournal from "@tidings/backend-fs/FileJournal"
import * as Backend from "@tidings/core/Backend"
import * as EventGenerator from "@tidings/core/EventGenerator"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scheduler from "effect/Scheduler"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { compare, type Group, median } from "./Measurement.ts"

const IN_FLIGHT = 64
const ROUNDS = 5
const TIMER = 10
/** A timer of 10 ms fires at least this often, in milliseconds. */
const LARGEST_GAP = 50
const LEAST_THROUGHPUT = 0.9

/** Each event is about an object of its own, so that it is delivered as it is, and not held and counted. */
let objects = 0

const recordAll = (operations: number) =>
  Effect.gen(function* () {
    const generator = yield* EventGenerator.EventGenerator
    const each = Effect.gen(function* () {
      for (let n = 0; n < operations / IN_FLIGHT; n++) {
        const object = { metadata: { name: `deploy-${objects++}`, namespace: "default" } }
        yield* generator.workflowEvent(object, "WorkflowStepFailed", { stepId: "build", error: "connection refused" })
      }
    })
    yield* Effect.forEach(Array.from({ length: IN_FLIGHT }), () => each, { concurrency: "unbounded", discard: true })
  })

type Recording = Layer.Layer<Recorder.Recorder | Backend.Backend, unknown, Templates.Templates>

const hostWith = (recording: Recording) =>
  ManagedRuntime.make(
    EventGenerator.EventGenerator.layer.pipe(
      Layer.provideMerge(recording),
      Layer.provideMerge(Layer.merge(Templates.layer, Logger.layer([])))
    )
  )

type Host = ReturnType<typeof hostWith>

interface Round {
  readonly nanoseconds: number
  /** The longest that the thread worked between two turns of a timer of 10 ms, in milliseconds. */
  readonly gap: number
  readonly delivered: number
}

/**
 * How long this thread has worked, in milliseconds. Other programs on the machine take turns of their own, which no
 * recorder can give back.
 */
const busy = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1_000
}

const settledIn = (host: Host): Promise<number> =>
  host.runPromise(
    Recorder.Recorder.use((recorder) =>
      Effect.map(recorder.status, ({ sinks }) => Object.values(sinks).reduce((sum, { settled }) => sum + settled, 0))
    )
  )

const round = async (host: Host, operations: number, scheduler: Scheduler.Scheduler): Promise<Round> => {
  globalThis.gc?.()
  const before = await settledIn(host)
  let gap = 0
  const begun = busy()
  let last = begun
  const look = () => {
    const now = busy()
    gap = Math.max(gap, now - last)
    last = now
  }
  const timer = setInterval(look, TIMER)
  await host.runPromise(Effect.provideService(recordAll(operations), Scheduler.Scheduler, scheduler))
  look()
  clearInterval(timer)
  const delivered = (await settledIn(host)) - before
  // What is not delivered meanwhile is delivered afterwards: the same work is measured either way.
  await host.runPromise(Recorder.Recorder.use((recorder) => recorder.flush("1 minute")))
  const nanoseconds = ((busy() - begun) * 1e6) / operations
  return { nanoseconds, gap, delivered }
}

const FAIR = "with turns for the host"
const UNFAIR = "without"

const measure = async (title: string, host: Host, operations: number): Promise<Group> => {
  const fair = new Scheduler.MixedScheduler()
  const unfair = new Scheduler.MixedScheduler("sync")
  const rounds: Array<{ readonly fair: Round; readonly unfair: Round }> = []
  try {
    for (let n = -1; n < ROUNDS; n++) {
      const one = { unfair: await round(host, operations, unfair), fair: await round(host, operations, fair) }
      // The first warms the compiler up.
      if (n >= 0) rounds.push(one)
    }
  } finally {
    await host.dispose()
  }
  const costs = new Map([
    [UNFAIR, median(rounds.map(({ unfair }) => unfair.nanoseconds))],
    [FAIR, median(rounds.map(({ fair }) => fair.nanoseconds))]
  ])
  const gap = median(rounds.map(({ fair }) => fair.gap))
  const delivered = median(rounds.map(({ fair }) => fair.delivered / operations))
  return {
    title: `Recorded by ${IN_FLIGHT} fibers without a pause, ${title}`,
    rows: [
      ...compare(costs, UNFAIR, { [FAIR]: { atLeast: LEAST_THROUGHPUT } }),
      {
        name: "work between turns of a 10 ms timer without",
        cost: median(rounds.map(({ unfair }) => unfair.gap)),
        unit: "ms"
      },
      {
        name: "work between turns of a 10 ms timer",
        cost: gap,
        unit: "ms",
        bar: `at most ${LARGEST_GAP} ms`,
        met: gap <= LARGEST_GAP
      },
      {
        name: "delivered meanwhile, of what was recorded",
        cost: 100 * delivered,
        unit: "%",
        bar: "some",
        met: delivered > 0
      }
    ]
  }
}

export const run = async (): Promise<ReadonlyArray<Group>> => {
  const folder = mkdtempSync(join(tmpdir(), "tidings-bench-"))
  const options = { component: "bench" }
  const journalled = (durability: Journal.Durability) =>
    Recorder.layer(options).pipe(
      Layer.provideMerge(Backend.layerMemory()),
      Layer.provide(
        durability === "memory"
          ? Journal.layerMemory({ capacity: 10_000_000 })
          : FileJournal.layer({ directory: join(folder, durability), durability })
      )
    )
  const direct = <E>(backend: Layer.Layer<Backend.Backend, E>) =>
    Recorder.layerDirect(options).pipe(Layer.provideMerge(backend))
  try {
    return [
      await measure("journal in memory", hostWith(journalled("memory")), 32_000),
      await measure("journal at process", hostWith(journalled("process")), 32_000),
      await measure("journal at disk", hostWith(journalled("disk")), 6_400),
      await measure("no journal, to memory", hostWith(direct(Backend.layerMemory())), 32_000),
      await measure(
        "no journal, to the event log",
        hostWith(direct(FileBackend.layer({ directory: join(folder, "log"), console: false }))),
        16_000
      )
    ]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
