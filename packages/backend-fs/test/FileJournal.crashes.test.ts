import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import * as SimulatedDisk from "@tidings/testing/SimulatedDisk"
import * as Simulation from "@tidings/testing/Simulation"
import { Cause, Effect, Exit, Option } from "effect"
import type { Disk } from "../src/internal/disk.ts"
import { type End, inWorld, JournalWorld, type Options, type Step } from "./JournalWorld.ts"
import { run, type Service } from "./openJournal.ts"

it("the simulated disk has all operations of the real one", () => {
  expectTypeOf<SimulatedDisk.Disk>().toEqualTypeOf<Disk>()
})

/** Every scenario is stopped at each of its calls, in both ways, and goes on after it. */
const scenarios: Readonly<
  Record<string, { readonly options?: Partial<Options>; readonly steps: ReadonlyArray<Step> }>
> = {
  "appends over several segments": {
    options: { segmentSize: 800 },
    steps: [
      { do: "append", count: 3 },
      { do: "append", count: 1 },
      { do: "append", count: 4 },
      { do: "read", sink: "a", max: 5 },
      { do: "append", count: 2 },
      { do: "read", sink: "a", max: 100 }
    ]
  },
  "checkpoints that replace one another and free segments": {
    options: { segmentSize: 500 },
    steps: [
      { do: "append", count: 3 },
      { do: "read", sink: "a", max: 2 },
      { do: "checkpoint", sink: "a" },
      { do: "append", count: 3 },
      { do: "read", sink: "a", max: 100 },
      { do: "checkpoint", sink: "a" },
      { do: "append", count: 1 },
      { do: "checkpoint", sink: "a" }
    ]
  },
  "what is parked and forgotten": {
    steps: [
      { do: "park", sink: "a", series: 1 },
      { do: "park", sink: "a", series: 2 },
      { do: "park", sink: "a", series: 1 },
      { do: "unpark", sink: "a", series: [1, 2] },
      { do: "park", sink: "a", series: 3 },
      { do: "append", count: 1 }
    ]
  }
}

const more: ReadonlyArray<Step> = [
  { do: "append", count: 2 },
  { do: "read", sink: "a", max: 3 },
  { do: "append", count: 3 },
  { do: "read", sink: "a", max: 100 },
  { do: "checkpoint", sink: "a" },
  { do: "append", count: 1 }
]

describe("a journal that stops at any call of the disk", () => {
  for (const [name, { options, steps }] of Object.entries(scenarios)) {
    for (const durability of ["disk", "process"] as const) {
      it(`${name}, ${durability}`, () => {
        const world = { durability, ...options }
        const { calls } = inWorld("whole", world, (world) => world.life(steps, "close")).value
        assert.isAbove(calls, 20)
        const ends: ReadonlyArray<End> = ["kill", "power", "power"]
        for (let dieAt = 1; dieAt <= calls; dieAt++) {
          for (const [index, end] of ends.entries()) {
            inWorld(`${dieAt} ${end} ${index}`, world, (world) =>
              Effect.gen(function* () {
                const { died } = yield* world.life(steps, end, { dieAt })
                assert.isTrue(died)
                yield* world.life(more, end)
                yield* world.life(more, "close")
                yield* world.life([], "close")
              })
            )
          }
        }
      }, 60_000)
    }
  }
})

it("a checkpoint that was found once is found again after a power failure", () => {
  let differed = 0
  for (let dieAt = 1; dieAt < 40; dieAt++) {
    for (let seed = 1; seed <= 4; seed++) {
      const { exit } = Simulation.run({ seed: `${dieAt} ${seed}` }, (simulation) =>
        Effect.gen(function* () {
          const machine = SimulatedDisk.make(simulation)
          machine.makeDirectory("/data")
          const host = simulation.process("host")
          const life = <A>(use: (journal: Service) => Effect.Effect<A, unknown>) =>
            Effect.gen(function* () {
              const life = yield* host.start(
                Effect.suspend(() => run({ directory: "/data/journal", durability: "disk" }, use, machine.diskOf(host)))
              )
              return yield* life.await
            })
          const restore = Effect.map(
            life((journal) => journal.restore("a")),
            (exit) => (Option.isSome(exit) && Exit.isSuccess(exit.value) ? exit.value.value?.state : exit)
          )
          yield* life((journal) => journal.checkpoint("a", { upTo: 0, state: 1 }))
          machine.plan({ dieAt })
          yield* life((journal) => journal.checkpoint("a", { upTo: 0, state: 2 }))
          machine.plan({})
          const found = yield* restore
          machine.cutPower()
          assert.strictEqual(yield* restore, found, `${dieAt}`)
          return found
        })
      )
      if (Exit.isFailure(exit)) throw new Error(Cause.pretty(exit.cause))
      if (exit.value === 2) differed++
      else assert.strictEqual(exit.value, 1)
    }
  }
  assert.isAbove(differed, 0)
  assert.isBelow(differed, 39 * 4)
})

it("a journal does not open where the names above it cannot be made durable", () => {
  const append: Step = { do: "append", count: 1 }
  let failed = 0
  for (let nth = 1; nth <= 8; nth++) {
    for (let seed = 1; seed <= 4; seed++) {
      const { counts } = inWorld(`${nth} ${seed}`, { durability: "disk" }, (world) =>
        Effect.gen(function* () {
          yield* world.life([append], "power", { faults: [{ call: "sync", nth }] })
          yield* world.life([append], "close")
        })
      )
      failed += counts["start failed: JournalFailed"] ?? 0
    }
  }
  assert.isAbove(failed, 0)
})

const randomSteps = (dice: Simulation.Dice, sinks: ReadonlyArray<string>): ReadonlyArray<Step> =>
  Array.from({ length: dice.integer(2, 11) }, (): Step => {
    const sink = dice.pick(sinks)
    switch (dice.integer(0, 9)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return { do: "append", count: dice.integer(1, dice.chance(0.2) ? 12 : 3), length: dice.integer(0, 199) }
      case 4:
      case 5:
      case 6:
        return { do: "read", sink, max: dice.integer(1, 30) }
      case 7:
        return { do: "checkpoint", sink }
      case 8:
        return { do: "park", sink, series: dice.integer(1, 3), length: dice.integer(0, 99) }
      default:
        return {
          do: "unpark",
          sink,
          series: Array.from({ length: dice.integer(0, 2) }, () => dice.integer(1, 3))
        }
    }
  })

const randomFaults = (dice: Simulation.Dice, mayBeFull: boolean): ReadonlyArray<SimulatedDisk.PlannedFault> => {
  const of = (call: SimulatedDisk.Call, code: string, path?: string): SimulatedDisk.PlannedFault => ({
    call,
    code,
    nth: dice.integer(1, 8),
    times: dice.chance(0.3) ? dice.integer(1, 3) : 1,
    path
  })
  // When what a failed sync threw away cannot be written anew either, no later process can know of it.
  if (dice.chance(0.3) && !mayBeFull) {
    const path = dice.pick(["entries", "checkpoint", "parked", undefined])
    const cut = { ...of("truncate", "EIO", "entries"), nth: 1 }
    return [of("syncLater", "EIO", path), ...(path === "entries" && dice.chance(0.5) ? [cut] : [])]
  }
  return [
    of("append", "ENOSPC"),
    of("append", "EIO", "entries"),
    of("create", "EMFILE", "entries"),
    of("rename", "EIO"),
    of("unlink", "EIO"),
    of("sync", "EIO"),
    of("read", "EIO", "entries"),
    { ...of("truncate", "EIO", "entries"), nth: 1 }
  ].filter(() => dice.chance(0.25))
}

const randomLives = (simulation: Simulation.Simulation): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { dice } = simulation
    const sinks = dice.chance(0.5) ? ["a"] : ["a", "B/ü"]
    const world = new JournalWorld(simulation, {
      durability: dice.pick(["disk", "process"]),
      sinks,
      onFull: dice.pick(["fail", "dropOldest"]),
      segmentSize: dice.integer(300, 2_299),
      quota: dice.chance(0.6) ? 1_000_000 : dice.integer(4_000, 11_999)
    })
    const mayBeFull = dice.chance(0.2)
    if (mayBeFull) world.machine.setCapacity(dice.integer(8_000, 27_999))
    for (let lives = dice.integer(2, 6); lives > 0; lives--) {
      const faults = dice.chance(0.4) ? randomFaults(dice, mayBeFull) : []
      // What a failed sync threw away is written anew at once; a process that dies in between takes the knowledge with it.
      const dies = dice.chance(0.5) && !faults.some(({ call }) => call === "syncLater")
      yield* world.life(randomSteps(dice, sinks), dice.pick(["close", "kill", "power"]), {
        dieAt: dies ? dice.integer(1, 80) : undefined,
        faults
      })
    }
    // With a sound disk all is well again, and goes on.
    world.machine.setCapacity(Number.POSITIVE_INFINITY)
    const reads = sinks.map((sink): Step => ({ do: "read", sink, max: 10_000 }))
    yield* world.life([{ do: "append", count: 2 }, ...reads], "close")
    yield* world.life([], "close")
  })

it.effect(
  "a journal in random runs with disk faults, kills and power failures",
  () =>
    Simulation.campaign(
      {
        name: "random lives",
        seeds: process.env["TIDINGS_TESTS"] === "slow" ? 400 : 200,
        command:
          "npx vitest run --project @tidings/backend-fs test/FileJournal.crashes.test.ts -t 'a journal in random runs'",
        sometimes: [
          "accepted",
          "append JournalFailed",
          "append JournalFull",
          "checkpoint JournalFailed",
          "checkpoints",
          "disk.append.EIO",
          "disk.append.ENOSPC",
          "disk.create.EMFILE",
          "disk.died",
          "disk.forgotten",
          "disk.full",
          "disk.hole",
          "disk.namesLost",
          "disk.read.EIO",
          "disk.rename.EIO",
          "disk.shortWrite",
          "disk.sync.EIO",
          "disk.syncLater.EIO",
          "disk.torn",
          "disk.truncate.EIO",
          "disk.unlink.EIO",
          "disk.unreachable",
          "disk.whole",
          "fewer than accepted",
          "found lost damaged",
          "found lost quota",
          "lost quota",
          "park JournalFailed",
          "parked",
          "read JournalFailed",
          "start failed: JournalFailed",
          "unanswered and gone",
          "unanswered and there",
          "unparked"
        ]
      },
      randomLives
    ),
  120_000
)
