/**
 * One measurement of an event log in a process of its own: `node worker.ts JSON`, which prints what it measured as JSON.
 *
 * It imports only what the first release has too, because a copy of it runs in a checkout of the first release.
 */
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as Backend from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import type { EventQuery } from "@tidings/core/EventQuery"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { closeSync, openSync, rmSync, writeSync } from "node:fs"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { median } from "../Measurement.ts"
import { callAt, writeAt } from "./events.ts"
import { cpuNow, rounds } from "./rounds.ts"

/** What to measure, and in which log. */
export type Job =
  /** Writes events `from` up to `to` in batches, as fast as it can. */
  | {
      readonly _tag: "Fill"
      readonly directory: string
      readonly from: number
      readonly to: number
      readonly end: number
    }
  | {
      readonly _tag: "Query"
      readonly directory: string
      readonly query: EventQuery
      readonly pages?: number
      readonly again?: boolean
    }
  | { readonly _tag: "Everything"; readonly directory: string; readonly limit: number }
  | { readonly _tag: "WatchBeginning"; readonly directory: string }
  /** Compresses the whole log, after one more event that begins the next segment. */
  | { readonly _tag: "Compress"; readonly directory: string; readonly events: number; readonly end: number }
  | { readonly _tag: "FirstAppend"; readonly directory: string; readonly end: number }
  /** Resumes a watch that stopped ten events before the end. */
  | { readonly _tag: "Resume"; readonly directory: string }
  /** Follows from now on, and measures how long events of another process take. */
  | { readonly _tag: "Follow"; readonly directory: string; readonly events: number }
  /** The other process. */
  | { readonly _tag: "Trickle"; readonly directory: string; readonly events: number; readonly end: number }
  | {
      readonly _tag: "Write"
      readonly directory: string
      readonly events: number
      readonly batch: number
      readonly rounds: number
    }
  | {
      readonly _tag: "BareWrite"
      readonly directory: string
      /** Length of a line. */
      readonly bytes: number
      readonly events: number
      readonly batch: number
      readonly rounds: number
    }
  | {
      readonly _tag: "Record"
      readonly directory: string
      readonly events: number
      readonly rounds: number
      readonly batched: boolean
    }
  /** Records through the promises of `Tidings.create`. */
  | { readonly _tag: "Facade"; readonly directory: string; readonly events: number; readonly rounds: number }

/** CPU is in microseconds, per event or for the whole, as the job says. */
export interface Measured {
  readonly cpu: number
  /** Peak resident memory of the process, in MB. */
  readonly rss: number
  /** What was found, such as a total; the caller compares it with what must be found. */
  readonly found: number
  /** Longest time that the event loop did not run, in milliseconds. */
  readonly blocked: number
  /** The part of the CPU that opening the log took, before it was asked anything. */
  readonly opening?: number
  /** CPU of the same once more in the same process, where no JavaScript has to be compiled any more. */
  readonly again?: number
  /** Latencies, in milliseconds. */
  readonly latencies?: ReadonlyArray<number>
}

// What is measured must not be removed by the limits that a new log has: twenty million events are more than their bytes.
const layerOf = (directory: string) =>
  FileBackend.layer({ directory, console: false, retention: { maxAge: "none", maxBytes: "none", maxEvents: "none" } })

/** Runs an effect with the log, and measures it without the start of the process. */
const measured = async (
  directory: string,
  use: (backend: Backend.Service) => Effect.Effect<Partial<Measured> & { readonly found: number }, unknown>,
  /** What is done after it, and not measured. */
  after: (backend: Backend.Service) => Effect.Effect<void, unknown> = () => Effect.void
): Promise<Measured> => {
  const delays = monitorEventLoopDelay({ resolution: 1 })
  delays.enable()
  const before = cpuNow()
  let done = { cpu: 0, opening: 0, rss: 0, blocked: 0 }
  const note = Effect.sync(() => {
    delays.disable()
    done = {
      ...done,
      cpu: cpuNow() - before,
      rss: process.resourceUsage().maxRSS / 1_024,
      blocked: delays.max / 1_000_000
    }
  })
  const program = Effect.flatMap(Backend.Backend, (backend) => {
    done = { ...done, opening: cpuNow() - before }
    return Effect.tap(use(backend), () => Effect.andThen(note, after(backend)))
  })
  const found = await Effect.runPromise(Effect.provide(Effect.orDie(program), layerOf(directory)))
  return { ...done, ...found }
}

const batchesOf = (from: number, to: number, size: number, end: number, total: number): Array<Array<Write>> => {
  const batches: Array<Array<Write>> = []
  for (let index = from; index < to; index += size) {
    batches.push(Array.from({ length: Math.min(size, to - index) }, (_, offset) => writeAt(index + offset, end, total)))
  }
  return batches
}

const fill = ({ directory, end, from, to }: Extract<Job, { _tag: "Fill" }>): Promise<Measured> =>
  measured(directory, (backend) =>
    Effect.gen(function* () {
      for (let index = from; index < to; index += 512) {
        const [batch] = batchesOf(index, Math.min(to, index + 512), 512, end, to)
        yield* backend.write(batch!)
        yield* Effect.yieldNow
      }
      return { found: to - from }
    })
  )

const query = ({
  again: asksAgain,
  directory,
  pages = 1,
  query
}: Extract<Job, { _tag: "Query" }>): Promise<Measured> => {
  let again = 0
  const ask = (backend: Backend.Service) =>
    Effect.gen(function* () {
      let page = yield* backend.query(query)
      for (let more = 1; more < pages && page.next !== undefined; more++) {
        page = yield* backend.query({ ...query, page: page.next })
      }
      return { found: page.totalCount }
    })
  if (asksAgain !== true) return measured(directory, ask)
  return measured(
    directory,
    ask,
    // As a program that is running asks: the last of some, of which the first are compiled.
    (backend) =>
      Effect.gen(function* () {
        const costs: Array<number> = []
        for (let turn = 0; turn < 5; turn++) {
          const before = cpuNow()
          yield* ask(backend)
          costs.push(cpuNow() - before)
        }
        again = median(costs.slice(2))
      })
  ).then((one) => ({ ...one, again }))
}

const everything = ({ directory, limit }: Extract<Job, { _tag: "Everything" }>): Promise<Measured> =>
  measured(directory, (backend) =>
    Effect.gen(function* () {
      let found = 0
      let page = yield* backend.query({ limit })
      found += page.events.length
      while (page.next !== undefined) {
        page = yield* backend.query({ limit, page: page.next })
        found += page.events.length
      }
      return { found }
    })
  )

const watchBeginning = ({ directory }: Extract<Job, { _tag: "WatchBeginning" }>): Promise<Measured> =>
  measured(directory, (backend) =>
    backend.watch({}, "beginning").pipe(
      Stream.takeWhile((item) => item._tag !== "Live"),
      Stream.runFold(
        () => 0,
        (count, item) => (item._tag === "Event" ? count + 1 : count)
      ),
      Effect.map((found) => ({ found }))
    )
  )

const firstAppend = ({ directory, end }: Extract<Job, { _tag: "FirstAppend" }>): Promise<Measured> =>
  measured(directory, (backend) =>
    Effect.gen(function* () {
      const write = writeAt(0, end, 0)
      const origin = process.hrtime.bigint().toString(16).padStart(32, "a")
      yield* backend.write([{ ...write, id: { origin, seq: 1 }, upTo: 1, count: 1, first: end, last: end }])
      return { found: 1 }
    })
  )

const resume = async ({ directory }: Extract<Job, { _tag: "Resume" }>): Promise<Measured> => {
  const cursors = await Effect.runPromise(
    Effect.flatMap(Backend.Backend, (backend) =>
      Stream.runCollect(Stream.takeWhile(backend.watch({}, { last: 11 }), (item) => item._tag !== "Live"))
    ).pipe(Effect.provide(layerOf(directory)), Effect.orDie)
  )
  const cursor = [...cursors][0]!.cursor
  return measured(directory, (backend) =>
    backend.watch({}, cursor).pipe(
      Stream.takeWhile((item) => item._tag !== "Live"),
      Stream.runCount,
      Effect.map((found) => ({ found }))
    )
  )
}

/** Both processes read the same monotonic clock, and the event tells when it was written. */
const follow = ({ directory, events }: Extract<Job, { _tag: "Follow" }>): Promise<Measured> =>
  measured(directory, (backend) => {
    const latencies: Array<number> = []
    return backend.watch({}, "now").pipe(
      Stream.tap((item) =>
        Effect.sync(() => {
          if (item._tag === "Live") process.send?.("live")
          if (item._tag !== "Event") return
          const sent = BigInt(item.event.event.message.split(" ").at(-1)!)
          latencies.push(Number(process.hrtime.bigint() - sent) / 1_000_000)
        })
      ),
      Stream.takeUntil(() => latencies.length >= events),
      Stream.runDrain,
      Effect.map(() => ({ found: latencies.length, latencies }))
    )
  })

const trickle = ({ directory, end, events }: Extract<Job, { _tag: "Trickle" }>): Promise<Measured> =>
  measured(directory, (backend) =>
    Effect.gen(function* () {
      // One that no query of the benchmark finds.
      const write = writeAt(2, end, 0)
      const origin = process.hrtime.bigint().toString(16).padStart(32, "b")
      for (let seq = 1; seq <= events; seq++) {
        const message = `sent at ${process.hrtime.bigint()}`
        yield* backend.write([
          {
            ...write,
            id: { origin, seq },
            upTo: seq,
            count: 1,
            first: end,
            last: end,
            event: { ...write.event, message }
          }
        ])
        yield* Effect.sleep("10 millis")
      }
      return { found: events }
    })
  )

const NOW = 1_790_000_000_000_000

const writeBatches = ({
  batch,
  directory,
  events,
  rounds: count
}: Extract<Job, { _tag: "Write" }>): Promise<Measured> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const cpu = yield* Effect.promise(() =>
        rounds(count, events, (round) => {
          const batches = batchesOf(round * events, (round + 1) * events, batch, NOW, 0)
          // The peers get their texts out of JSON, as one piece each; those that were put together here become that by this.
          JSON.stringify(batches)
          return () =>
            Effect.runPromise(
              Effect.gen(function* () {
                for (const one of batches) yield* backend.write(one)
              }).pipe(Effect.orDie)
            )
        })
      )
      return { cpu, rss: process.resourceUsage().maxRSS / 1_024, found: events, blocked: 0 }
    }).pipe(Effect.provide(layerOf(directory)), Effect.orDie)
  )

const bareWrite = async ({
  batch,
  directory,
  events,
  bytes,
  rounds: count
}: Extract<Job, { _tag: "BareWrite" }>): Promise<Measured> => {
  const file = join(directory, "bare.ndjson")
  const opened = openSync(file, "a", 0o600)
  const line = Buffer.from(`${JSON.stringify(writeAt(1, NOW, 0)).padEnd(bytes - 1, " ")}\n`)
  const block = Buffer.concat(Array.from({ length: batch }, () => line))
  const cpu = await rounds(count, events, () => () => {
    for (let n = 0; n < events; n += batch) writeSync(opened, block)
  })
  closeSync(opened)
  rmSync(file)
  return { cpu, rss: 0, found: events, blocked: 0 }
}

const record = async ({
  batched,
  directory,
  events,
  rounds: count
}: Extract<Job, { _tag: "Record" }>): Promise<Measured> => {
  // Loaded here, because the other jobs measure memory without them.
  const EventManager = await import("@tidings/core/EventManager")
  const Policy = await import("@tidings/core/Policy")
  const store = batched ? Policy.batch()(layerOf(directory)) : layerOf(directory)
  const layer = Layer.provide(EventManager.layerDirect({ component: "workflow-controller" }), store)
  return Effect.runPromise(
    Effect.gen(function* () {
      const { generator } = yield* EventManager.EventManager
      const cpu = yield* Effect.promise(() =>
        rounds(count, events, (round) => {
          const first = round * events
          const calls = Array.from({ length: events }, (_, n) => {
            const { data, workflow } = callAt(first + n)
            return generator.workflowEvent(workflow, "WorkflowStepFailed", data)
          })
          return () =>
            Effect.runPromise(Effect.orDie(Effect.forEach(calls, (call) => call, { concurrency: 64, discard: true })))
        })
      )
      return { cpu, rss: process.resourceUsage().maxRSS / 1_024, found: events, blocked: 0 }
    }).pipe(Effect.provide(layer), Effect.orDie)
  )
}

const facade = async ({ directory, events, rounds: count }: Extract<Job, { _tag: "Facade" }>): Promise<Measured> => {
  // Loaded here, because the other jobs measure memory without it.
  const { Tidings } = await import("tidings")
  const tidings = await Tidings.create({
    backend: "filesystem",
    directory,
    component: "workflow-controller",
    console: false,
    logger: false
  })
  const cpu = await rounds(count, events, (round) => {
    const calls = Array.from({ length: events }, (_, n) => callAt(round * events + n))
    return async () => {
      let next = 0
      const one = async (): Promise<void> => {
        while (next < calls.length) {
          const { data, workflow } = calls[next++]!
          await tidings.generator.workflowEvent(workflow, "WorkflowStepFailed", data)
        }
      }
      await Promise.all(Array.from({ length: 64 }, one))
    }
  })
  await tidings.close()
  return { cpu, rss: process.resourceUsage().maxRSS / 1_024, found: events, blocked: 0 }
}

const compress = async ({ directory, end, events }: Extract<Job, { _tag: "Compress" }>): Promise<Measured> => {
  const delays = monitorEventLoopDelay({ resolution: 1 })
  const program = Effect.gen(function* () {
    const log = yield* FileBackend.EventLog
    const backend = yield* Backend.Backend
    yield* backend.write([writeAt(events, end, events)])
    yield* Effect.sleep("1100 millis")
    delays.enable()
    const before = cpuNow()
    const done = yield* log.compress()
    return { cpu: cpuNow() - before, found: done.length }
  })
  const layer = FileBackend.layer({ directory, console: false, segmentSize: 1 })
  const found = await Effect.runPromise(Effect.provide(program, layer))
  delays.disable()
  return { rss: process.resourceUsage().maxRSS / 1_024, blocked: delays.max / 1_000_000, ...found }
}

const run = (job: Job): Promise<Measured> => {
  switch (job._tag) {
    case "Fill":
      return fill(job)
    case "Query":
      return query(job)
    case "Everything":
      return everything(job)
    case "WatchBeginning":
      return watchBeginning(job)
    case "Compress":
      return compress(job)
    case "FirstAppend":
      return firstAppend(job)
    case "Resume":
      return resume(job)
    case "Follow":
      return follow(job)
    case "Trickle":
      return trickle(job)
    case "Write":
      return writeBatches(job)
    case "BareWrite":
      return bareWrite(job)
    case "Record":
      return record(job)
    case "Facade":
      return facade(job)
  }
}

if (process.argv[2] !== undefined && import.meta.main)
  console.log(JSON.stringify(await run(JSON.parse(process.argv[2]) as Job)))
