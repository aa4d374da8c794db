/**
 * Accepting through a journal, end to end through catalogue, template and recorder, against what a program would do at the
 * least to be as sure: a bare queue; a bare loop that makes a line of JSON and writes it; the same with a bare group commit.
 *
 * Like these, the recorder that is held against them only accepts: its backend is away. What it costs while it delivers too
 * stands beside it.
 */
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
import * as Queue from "effect/Queue"
import { spawnSync } from "node:child_process"
import { closeSync, fdatasync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Bar, compare, type Group, median } from "./Measurement.ts"

const IN_FLIGHT = [1, 64, 4_096] as const
const ROUNDS = 7

const BARS: Readonly<Record<Journal.Durability, number>> = { memory: 0.15, process: 0.5, disk: 0.5 }
/** What a million of pending events may cost. */
const PENDING_BAR = 64

interface Contender {
  readonly name: string
  readonly run: (operations: number) => void | Promise<void>
  /** What is left to do after a round, and is not measured. */
  readonly settle?: () => Promise<unknown>
}

/** Nanoseconds an operation: the medians of rounds in which all take turns. */
const measure = async (
  contenders: ReadonlyArray<Contender>,
  operations: number
): Promise<ReadonlyMap<string, number>> => {
  const costs = new Map<string, Array<number>>(contenders.map(({ name }) => [name, []]))
  for (let round = -2; round < ROUNDS; round++) {
    for (const { name, run, settle } of contenders) {
      globalThis.gc?.()
      const begun = process.hrtime.bigint()
      await run(operations)
      if (round >= 0) costs.get(name)!.push(Number(process.hrtime.bigint() - begun) / operations)
      await settle?.()
    }
  }
  return new Map([...costs].map(([name, list]) => [name, median(list)]))
}

/** So many operations in as many fibers as are to be in flight. */
const inFlight = (fibers: number, operations: number, one: Effect.Effect<unknown, unknown>): Effect.Effect<void> => {
  const each = Effect.gen(function* () {
    for (let n = 0; n < operations / fibers; n++) yield* one
  })
  return Effect.orDie(
    fibers === 1
      ? each
      : Effect.forEach(Array.from({ length: fibers }), () => each, { concurrency: "unbounded", discard: true })
  )
}

const workflow = { metadata: { name: "deploy", namespace: "default" } }

const record = Effect.flatMap(EventGenerator.EventGenerator, (generator) =>
  Effect.succeed(
    Effect.suspend(() =>
      generator.workflowEvent(workflow, "WorkflowStepFailed", {
        stepId: "build",
        stepTool: "x_docker_run",
        error: "connection refused"
      })
    )
  )
)

/** A store that is never reached. */
const away = Layer.effect(
  Backend.Backend,
  Effect.map(Effect.provide(Backend.Backend, Backend.layerMemory()), (memory) => ({ ...memory, target: Effect.never }))
)

const hostWith = <E>(backend: Layer.Layer<Backend.Backend>, journal: Layer.Layer<Journal.Journal, E>) =>
  ManagedRuntime.make(
    EventGenerator.EventGenerator.layer.pipe(
      Layer.provideMerge(Recorder.layer({ component: "bench", drainTimeout: 0 })),
      Layer.provideMerge(Layer.mergeAll(Templates.layer, backend, journal, Logger.layer([])))
    )
  )

type Host = ReturnType<typeof hostWith<unknown>>

const accepting = "Tidings"
const delivering = "Tidings, delivering too"

const tidings = async (name: string, host: Host, fibers: number): Promise<Contender> => {
  const one = await host.runPromise(record)
  return {
    name,
    run: (operations) => host.runPromise(inFlight(fibers, operations, one)),
    ...(name === delivering
      ? { settle: () => host.runPromise(Recorder.Recorder.use((recorder) => recorder.flush("1 minute"))) }
      : undefined)
  }
}

const bareQueue = (fibers: number): Contender => {
  const queue = Effect.runSync(Queue.bounded<number>(8_192))
  const one = Effect.andThen(Queue.offer(queue, 1), Queue.take(queue))
  return { name: "bare queue", run: (operations) => Effect.runPromise(inFlight(fibers, operations, one)) }
}

/** What has to be written for one event, at the least. */
const eventOf = (line: Buffer): { at: number } => {
  const text = line.toString()
  return JSON.parse(text.slice(text.indexOf("{"))) as { at: number }
}

const bareWrites = (file: number, line: Buffer): ReadonlyArray<Contender> => {
  const event = eventOf(line)
  return [
    {
      name: "bare stringify and write",
      run: (operations) => {
        for (let n = 0; n < operations; n++) {
          event.at++
          writeSync(file, `${JSON.stringify(event)}\n`)
        }
      }
    },
    {
      name: "bare write of the same bytes",
      run: (operations) => {
        for (let n = 0; n < operations; n++) writeSync(file, line)
      }
    }
  ]
}

/** Everybody in flight waits for one write and one sync, and comes again. */
const bareGroupCommit = (file: number, line: Buffer, fibers: number): ReadonlyArray<Contender> => {
  const event = eventOf(line)
  const block = Buffer.concat(Array.from({ length: fibers }, () => line))
  const sync = () =>
    new Promise<void>((resolve, reject) => fdatasync(file, (error) => (error === null ? resolve() : reject(error))))
  return [
    {
      name: "bare stringify and group commit",
      run: async (operations) => {
        for (let n = 0; n < operations; n += fibers) {
          let text = ""
          for (let one = 0; one < fibers; one++) {
            event.at++
            text += `${JSON.stringify(event)}\n`
          }
          writeSync(file, text)
          await sync()
        }
      }
    },
    {
      name: "bare group commit of the same bytes",
      run: async (operations) => {
        for (let n = 0; n < operations; n += fibers) {
          writeSync(file, block)
          await sync()
        }
      }
    }
  ]
}

/** What the journal writes for one event. */
const lineIn = (directory: string): Buffer => {
  const segment = readdirSync(directory).find((file) => file.startsWith("entries-"))!
  const bytes = readFileSync(join(directory, segment))
  return bytes.subarray(0, bytes.indexOf(0x0a) + 1)
}

const pendingMillion = (folder: string): Group => {
  const child = spawnSync(
    process.execPath,
    ["--expose-gc", "--conditions=@tidings/source", join(import.meta.dirname, "pending.ts"), join(folder, "pending")],
    { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }
  )
  const { delivered, pending } = JSON.parse(child.stdout) as { readonly delivered: number; readonly pending: number }
  return {
    title: "Resident memory of a host",
    rows: [
      { name: "after a million events that were delivered", cost: delivered, unit: "MB" },
      {
        name: "and a million that are pending",
        cost: pending,
        unit: "MB",
        bar: `at most ${PENDING_BAR} MB more`,
        met: pending - delivered <= PENDING_BAR
      }
    ]
  }
}

export const run = async (): Promise<ReadonlyArray<Group>> => {
  const folder = mkdtempSync(join(tmpdir(), "tidings-bench-"))
  const bare = openSync(join(folder, "bare"), "a", 0o600)
  const groups: Array<Group> = []
  const quota = 16 * 1024 ** 3
  const hostsAt = (durability: Journal.Durability) => {
    const journal = (name: string) =>
      durability === "memory"
        ? Journal.layerMemory({ capacity: 10_000_000, quota: Number.POSITIVE_INFINITY })
        : FileJournal.layer({ directory: join(folder, durability, name), durability, quota })
    return {
      accepting: hostWith(away, journal("accepting")),
      delivering: hostWith(Backend.layerMemory(), journal("delivering"))
    }
  }
  try {
    for (const durability of ["memory", "process", "disk"] as const) {
      const hosts = hostsAt(durability)
      try {
        await hosts.accepting.runPromise(Effect.flatten(record))
        const line = durability === "memory" ? Buffer.alloc(0) : lineIn(join(folder, durability, "accepting"))
        for (const fibers of IN_FLIGHT) {
          const bareOnes =
            durability === "memory"
              ? [bareQueue(fibers)]
              : durability === "process"
                ? bareWrites(bare, line)
                : bareGroupCommit(bare, line, fibers)
          const operations = durability === "disk" ? Math.min(200 * fibers, 40_960) : 40_960
          const costs = await measure(
            [
              ...bareOnes,
              await tidings(accepting, hosts.accepting, fibers),
              await tidings(delivering, hosts.delivering, fibers)
            ],
            operations
          )
          const bar: Bar = { atLeast: BARS[durability] }
          groups.push({
            title: `Accepted at ${durability}, ${fibers} in flight${line.length === 0 ? "" : ` (${line.length} bytes each)`}`,
            rows: compare(costs, bareOnes[0]!.name, { [accepting]: bar })
          })
        }
      } finally {
        await hosts.accepting.dispose()
        await hosts.delivering.dispose()
      }
    }
    groups.push(pendingMillion(folder))
  } finally {
    closeSync(bare)
    rmSync(folder, { recursive: true, force: true })
  }
  return groups
}
