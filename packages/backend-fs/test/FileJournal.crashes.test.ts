import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { type End, JournalWorld, type Options, type Step } from "./JournalWorld.ts"
import { run, type Service } from "./openJournal.ts"
import { type Dice, diceOf, type Fault, SimulatedDisk } from "./SimulatedDisk.ts"

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

describe("a journal that is stopped at any call of the disk", () => {
  for (const [name, { options, steps }] of Object.entries(scenarios)) {
    for (const durability of ["disk", "process"] as const) {
      it.effect(
        `${name}, ${durability}`,
        () =>
          Effect.gen(function* () {
            const calls = (yield* new JournalWorld(1, { durability, ...options }).life(steps, "close")).calls
            assert.isAbove(calls, 20)
            const ends: ReadonlyArray<End> = ["kill", "power", "power"]
            for (let dieAt = 1; dieAt <= calls; dieAt++) {
              for (const [index, end] of ends.entries()) {
                const world = new JournalWorld(dieAt * 10 + index, { durability, ...options })
                yield* world.life(steps, end, { dieAt })
                yield* world.life(more, end)
                yield* world.life(more, "close")
                yield* world.life([], "close")
              }
            }
          }),
        60_000
      )
    }
  }
})

it.effect("a checkpoint that was found once is found again, whatever happens to the power", () =>
  Effect.gen(function* () {
    let differed = 0
    for (let dieAt = 1; dieAt < 40; dieAt++) {
      for (let seed = 1; seed <= 4; seed++) {
        const disk = new SimulatedDisk(seed)
        const life = <A>(use: (journal: Service) => Effect.Effect<A, unknown>) =>
          Effect.exit(run({ directory: "/journal", durability: "disk" }, use, disk.disk()))
        disk.plan({})
        yield* life((journal) => journal.checkpoint("a", { upTo: 0, state: 1 }))
        disk.kill()
        const second = Effect.runFork(life((journal) => journal.checkpoint("a", { upTo: 0, state: 2 })))
        yield* Effect.callback<void>((resume) => {
          disk.plan({ dieAt, onDeath: () => resume(Effect.void) })
          second.addObserver(() => resume(Effect.void))
        })
        disk.kill()
        disk.plan({})
        const found = yield* life((journal) => journal.restore("a"))
        disk.cutPower()
        disk.plan({})
        assert.deepStrictEqual(yield* life((journal) => journal.restore("a")), found, `${dieAt}`)
        if (Exit.isSuccess(found) && found.value?.state === 2) differed++
      }
    }
    assert.isAbove(differed, 0)
    assert.isBelow(differed, 39 * 4)
  })
)

const pick = <A>(dice: Dice, from: ReadonlyArray<A>): A => from[dice.below(from.length)]!

const randomSteps = (dice: Dice, sinks: ReadonlyArray<string>): ReadonlyArray<Step> =>
  Array.from({ length: 2 + dice.below(10) }, (): Step => {
    const sink = pick(dice, sinks)
    switch (dice.below(10)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return { do: "append", count: 1 + dice.below(dice.chance(0.2) ? 12 : 3), length: dice.below(200) }
      case 4:
      case 5:
      case 6:
        return { do: "read", sink, max: 1 + dice.below(30) }
      case 7:
        return { do: "checkpoint", sink }
      case 8:
        return { do: "park", sink, series: 1 + dice.below(3), length: dice.below(100) }
      default:
        return { do: "unpark", sink, series: Array.from({ length: dice.below(3) }, () => 1 + dice.below(3)) }
    }
  })

const randomFaults = (dice: Dice, mayBeFull: boolean): ReadonlyArray<Fault> => {
  const of = (call: Fault["call"], code: string, path?: string): Fault => ({
    call,
    code,
    nth: 1 + dice.below(8),
    more: dice.chance(0.3) ? dice.below(3) : 0,
    ...(path === undefined ? undefined : { path })
  })
  // When what a failed sync threw away cannot be written anew either, no later process can know of it.
  if (dice.chance(0.3) && !mayBeFull) {
    const path = pick(dice, ["entries", "checkpoint", "parked", undefined])
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

const campaign = (seed: number, counts: Map<string, number>) => {
  const dice = diceOf(seed)
  const sinks = dice.chance(0.5) ? ["a"] : ["a", "B/ü"]
  const world = new JournalWorld(seed, {
    durability: pick(dice, ["disk", "process"]),
    sinks,
    onFull: pick(dice, ["fail", "dropOldest"]),
    segmentSize: 300 + dice.below(2_000),
    quota: dice.chance(0.6) ? 1_000_000 : 4_000 + dice.below(8_000)
  })
  const mayBeFull = dice.chance(0.2)
  if (mayBeFull) world.disk.capacity = 8_000 + dice.below(20_000)
  return Effect.gen(function* () {
    const lives = 2 + dice.below(5)
    for (let life = 0; life < lives; life++) {
      const faults = dice.chance(0.4) ? randomFaults(dice, mayBeFull) : []
      // What a failed sync threw away is written anew at once; a process that dies in between takes the knowledge with it.
      const dies = dice.chance(0.5) && !faults.some(({ call }) => call === "syncLater")
      yield* world.life(randomSteps(dice, sinks), pick(dice, ["close", "kill", "power"]), {
        ...(dies ? { dieAt: 1 + dice.below(80) } : undefined),
        faults
      })
    }
    // With a sound disk all is well again, and goes on.
    world.disk.capacity = Number.POSITIVE_INFINITY
    const reads = sinks.map((sink): Step => ({ do: "read", sink, max: 10_000 }))
    yield* world.life([{ do: "append", count: 2 }, ...reads], "close")
    yield* world.life([], "close")
    for (const [what, n] of [...world.counts, ...world.disk.counts]) counts.set(what, (counts.get(what) ?? 0) + n)
  }).pipe(
    Effect.catchDefect((defect) => {
      const trace = world.trace.filter((line) => line !== "read").slice(-100)
      const replay = `JOURNAL_SEED=${seed} npx vitest run --project @tidings/backend-fs -t "in random lives"`
      return Effect.die(new Error([String(defect), ...trace, replay].join("\n"), { cause: defect }))
    })
  )
}

/** What has to have happened, or nothing is shown. */
const sometimes = [
  "accepted",
  "append EIO",
  "append ENOSPC",
  "append JournalFailed",
  "append JournalFull",
  "checkpoint JournalFailed",
  "checkpoints",
  "create EMFILE",
  "died",
  "fewer than accepted",
  "found lost damaged",
  "found lost quota",
  "full",
  "holes",
  "lost quota",
  "names lost",
  "nothing of it kept",
  "park JournalFailed",
  "parked",
  "read EIO",
  "read JournalFailed",
  "rename EIO",
  "short write",
  "start failed: JournalFailed",
  "sync EIO",
  "syncLater EIO",
  "torn by power",
  "truncate EIO",
  "unanswered and gone",
  "unanswered and there",
  "unlink EIO",
  "unparked"
]

const SEEDS = 400

it.effect(
  "a journal in random lives, with faults, kills and losses of power",
  () =>
    Effect.gen(function* () {
      const counts = new Map<string, number>()
      const only = process.env["JOURNAL_SEED"]
      if (only !== undefined) return yield* campaign(Number(only), counts)
      for (let seed = 1; seed <= SEEDS; seed++) yield* campaign(seed, counts)
      for (const what of sometimes) assert.isAbove(counts.get(what) ?? 0, 0, what)
    }),
  120_000
)
