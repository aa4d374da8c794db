import { assert, describe, it } from "@effect/vitest"
import * as SimulatedDisk from "@tidings/testing/SimulatedDisk"
import * as Simulation from "@tidings/testing/Simulation"
import { Cause, type Duration, Effect, Exit, Option, References } from "effect"
import type { Disk } from "../src/internal/disk.ts"
import { open } from "./openLog.ts"
import { first } from "./writes.ts"
import type { Durability } from "../src/FileBackend.ts"

const DIRECTORY = "/data/log"
const INTERVAL = 200
/** Syncs that fail twice in a row are tried again after the interval; five times in a row none fails. In milliseconds. */
const WINDOW = 5 * (INTERVAL + 50)

/** Of one life of a host. */
const MOST_BATCHES = 15

const quiet = Effect.provideService(References.MinimumLogLevel, "None")

/**
 * Hosts that write to one log, each event again until it is stored, while the disk fails, hosts die and the power is cut.
 * Afterwards everything that was answered, and that its durability promises, is in the log.
 */
const scenario =
  (
    durability: Durability,
    planted?: (disk: Disk) => Partial<Disk>,
    /** After which time hosts compress segments. */
    compressAfter?: Duration.Input
  ) =>
  (simulation: Simulation.Simulation) =>
    Effect.gen(function* () {
      const { dice } = simulation
      const machine = SimulatedDisk.make(simulation)
      const faults = dice.chance(0.7)
        ? {
            shortWrite: dice.next() * 0.1,
            sync: dice.next() * 0.1,
            names: dice.next() * 0.03,
            // When exactly a host died is known only where it was killed.
            death: durability === "interval" ? 0 : dice.next() * 0.01
          }
        : {}
      machine.setFaults(faults)
      machine.makeDirectory("/data")
      const segmentSize = dice.pick([1_000, 5_000, 1_000_000])
      /** When each event was answered, in microseconds, by its origin and seq. */
      const answered = new Map<string, number>()
      const seqs = [0, 0]
      /** What must be there after a loss of power now. */
      const promised = () => {
        if (durability === "process") return []
        const before = durability === "disk" ? Number.POSITIVE_INFINITY : simulation.now() - WINDOW * 1_000
        return [...answered].filter(([, at]) => at < before).map(([key]) => key)
      }
      /** Ends a host. With an interval, the system may take its time to write back what it wrote last. */
      const end = (index: number) => {
        const after = simulation.now() - WINDOW * 1_000
        if (durability !== "interval") return
        for (const [key, at] of answered) if (Number(key[0]) === index && at >= after) answered.delete(key)
      }
      const life = (index: number, host: Simulation.Process) =>
        Effect.scoped(
          Effect.gen(function* () {
            const disk = machine.diskOf(host)
            const { backend } = yield* open(
              { directory: DIRECTORY, segmentSize, durability, syncInterval: INTERVAL, compressAfter },
              planted === undefined ? disk : { ...disk, ...planted(disk) }
            )
            const origin = `${index}`.repeat(32)
            const writeOne = (seq: number): Effect.Effect<void> =>
              Effect.gen(function* () {
                const outcomes = yield* Effect.option(backend.write([first(seq, {}, origin)]))
                const outcome = Option.isSome(outcomes) ? outcomes.value[0]! : undefined
                if (outcome?._tag === "Settled") {
                  answered.set(`${origin} ${seq}`, simulation.now())
                  return simulation.count(outcome.how)
                }
                simulation.count("notStored")
                yield* Effect.sleep(dice.integer(1, 50))
                yield* writeOne(seq)
              })
            for (let batches = 0; batches < MOST_BATCHES; batches++) {
              const batch = Array.from({ length: dice.integer(1, 5) }, () => ++seqs[index]!)
              yield* Effect.forEach(batch, writeOne, { concurrency: "unbounded", discard: true })
              yield* Effect.sleep(dice.integer(0, dice.pick([1, 20, 300])))
            }
            yield* Effect.never
          })
        )

      /** Everything that is in the log. */
      const read = Effect.gen(function* () {
        machine.setFaults({})
        const reader = simulation.process(`reader ${simulation.now()}`)
        const fiber = yield* reader.start(
          Effect.suspend(() =>
            Effect.scoped(
              Effect.gen(function* () {
                const { backend, log } = yield* open({ directory: DIRECTORY }, machine.diskOf(reader))
                const { segments } = yield* log.status
                simulation.count("compressed", segments.filter(({ file }) => file.endsWith(".zst")).length)
                return yield* backend.query({})
              })
            )
          )
        )
        const exit = yield* fiber.await
        machine.setFaults(faults)
        if (Option.isNone(exit)) throw new Error("the reader died")
        return new Set((yield* exit.value).events.map(({ id }) => `${id.origin} ${id.seq}`))
      })

      const hosts = [simulation.process("first"), simulation.process("second")]
      for (let round = 0; round < 4; round++) {
        for (const [index, host] of hosts.entries()) {
          if (!host.alive && dice.chance(0.8)) {
            yield* host.start(Effect.catch(life(index, host), () => Effect.sync(() => simulation.count("notOpened"))))
          }
        }
        yield* Effect.sleep(dice.integer(50, compressAfter === undefined ? 1_500 : 6_000))
        const isPower = dice.chance(0.6)
        const kept = isPower ? promised() : [...answered.keys()]
        if (isPower) machine.cutPower()
        for (const [index, host] of hosts.entries()) {
          if (isPower || dice.chance(0.7)) {
            yield* host.kill
            end(index)
          }
        }
        const found = yield* read
        for (const key of kept) if (!found.has(key)) throw new Error(`${key} was answered, and is not in the log`)
        simulation.count(isPower ? "powerCut" : "killed")
        simulation.count("kept", kept.length)
        // What was not promised is gone for good, and may be written again.
        for (const key of answered.keys()) if (!found.has(key)) answered.delete(key)
      }
    }).pipe(quiet)

const campaign = (durability: Durability, seeds: number, compressAfter?: Duration.Input): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (let seed = 1; seed <= seeds; seed++) {
    const run = Simulation.run({ seed }, scenario(durability, undefined, compressAfter))
    if (Exit.isFailure(run.exit)) {
      throw new Error([`seed ${seed}`, Cause.pretty(run.exit.cause), ...run.trace.slice(-40)].join("\n"))
    }
    for (const [what, n] of Object.entries(run.counts)) counts[what] = (counts[what] ?? 0) + n
  }
  return counts
}

const finds = (
  durability: Durability,
  planted: (disk: Disk) => Partial<Disk>,
  compressAfter?: Duration.Input
): boolean => {
  for (let seed = 1; seed <= 60; seed++) {
    if (Exit.isFailure(Simulation.run({ seed }, scenario(durability, planted, compressAfter)).exit)) return true
  }
  return false
}

/** `npm run test:slow` runs more of them. */
const isSlow = process.env["TIDINGS_TESTS"] === "slow"

describe("the durability of a log, on a simulated disk", () => {
  for (const durability of isSlow ? (["process", "interval", "disk"] as const) : (["process", "disk"] as const)) {
    it(`with durability ${durability}, what was answered is there as promised, whatever fails`, () => {
      const counts = campaign(durability, isSlow ? 100 : durability === "process" ? 30 : 15)
      for (const what of ["created", "present", "powerCut", "killed", "notStored", "disk.synced"]) {
        if (durability !== "disk" && what === "present") continue
        assert.isAbove(counts[what] ?? 0, 5, what)
      }
      assert.isAbove(counts["kept"] ?? 0, 200)
      if (durability !== "process") assert.isAbove(counts["disk.syncLater.EIO"] ?? 0, 5)
    }, 120_000)
  }

  it("hosts that compress segments keep what was answered, whatever fails", () => {
    const counts = campaign("disk", isSlow ? 60 : 10, "1 second")
    for (const what of ["created", "powerCut", "killed", "notStored"]) assert.isAbove(counts[what] ?? 0, 5, what)
    assert.isAbove(counts["compressed"] ?? 0, 50)
    assert.isAbove(counts["kept"] ?? 0, 200)
  }, 240_000)

  it("the simulation finds a compression that does not sync what it puts in the place of a segment", () => {
    assert.isTrue(finds("disk", () => ({ sync: () => {} }), "1 second"))
  }, 240_000)

  it("the simulation finds a log that answers before the sync", () => {
    assert.isTrue(finds("disk", () => ({ syncLater: (_, done) => done(undefined) })))
  })

  it("the simulation finds a log that takes a failed sync for a good one", () => {
    assert.isTrue(finds("disk", (disk) => ({ syncLater: (file, done) => disk.syncLater(file, () => done(undefined)) })))
  })
})
