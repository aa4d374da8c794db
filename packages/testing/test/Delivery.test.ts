import { assert, describe, it } from "@effect/vitest"
import * as Simulation from "@tidings/testing/Simulation"
import { Effect, Exit } from "effect"
import { copies } from "./support/copies.ts"
import { delivery, product, stuckNamespace } from "./support/delivery.ts"
import { mutants, plant } from "./support/mutants.ts"
import { replaced } from "./support/replaced.ts"

const COMMAND = "npx vitest run --project @tidings/testing test/Delivery.test.ts -t"

/** What planted bugs are looked for in, and what `npm run test:slow` goes through. */
const SEEDS = { delivery: 1_200, stuckNamespace: 100, copies: 300, replaced: 300 }

const isSlow = process.env["TIDINGS_TESTS"] === "slow"

/** A third of them hits every fault but the rarest. */
const seedsOf = (scenario: keyof typeof SEEDS): number => (isSlow ? SEEDS[scenario] : Math.ceil(SEEDS[scenario] / 3))
const isRare = (fault: string): boolean => fault === "journal.appendUnanswered"
const LIMITS = { maximumSteps: 50_000 }
const TIMEOUT = 300_000

const scenarios = { delivery, stuckNamespace, copies, replaced }

/** Every fault, and every branch of interest: what never happens is not tested. */
const SOMETIMES = [
  ...["first", "second"].flatMap((name) =>
    [
      "resetBefore",
      "resetAfter",
      "late",
      "arrivedLate",
      "overtaken",
      "hang",
      "hangAfter",
      "throttle",
      "throttleUntil",
      "fail",
      "partial",
      "missing",
      "refused",
      "unauthorized",
      "unavailable",
      "silent",
      "rejected",
      "namespaceMissing",
      "namespaceFailing",
      "namespaceSilent",
      "expired",
      "createdAgain"
    ].map((fault) => `${name}.${fault}`)
  ),
  "journal.appendFailed",
  "journal.appendLost",
  "journal.appendUnanswered",
  "journal.readFailed",
  "journal.checkpointFailed",
  "journal.checkpointLost",
  "journal.checkpointUnanswered",
  "journal.restored",
  "journal.parked",
  "journal.unparked",
  "journal.parkFailed",
  "journal.full",
  "journal.blocked",
  "journal.taken",
  "journal.lostRange",
  "killed",
  "killedAfterAcceptance",
  "closed",
  "reconfigured",
  "startFailed",
  "clockMoved",
  "sameTarget",
  "held",
  "combined",
  "retriedParked",
  "droppedParked",
  "settlementSettled",
  "settlementParked",
  "settlementDropped",
  "settlementKept"
]

describe("delivery", () => {
  it.effect(
    "counts every accepted occurrence once, whatever goes wrong",
    () =>
      Effect.gen(function* () {
        const campaign = yield* Simulation.campaign(
          {
            ...LIMITS,
            name: "delivery",
            seeds: seedsOf("delivery"),
            command: `${COMMAND} "counts every accepted occurrence once"`,
            sometimes: isSlow ? SOMETIMES : SOMETIMES.filter((fault) => !isRare(fault))
          },
          delivery(product)
        )
        if (campaign.seeds > 1) assert.isAbove(campaign.counts["acknowledged"]!, 10 * campaign.seeds)
      }),
    TIMEOUT
  )

  it.effect(
    "reaches the other namespaces while one is stuck",
    () =>
      Simulation.campaign(
        {
          ...LIMITS,
          name: "stuck namespace",
          seeds: seedsOf("stuckNamespace"),
          command: `${COMMAND} "while one is stuck"`,
          sometimes: ["first.namespaceFailing", "first.namespaceSilent", "parkedAsStuck"]
        },
        stuckNamespace(product)
      ),
    TIMEOUT
  )
})

describe("a journal that is put back from a backup, or copied", () => {
  it.effect(
    "gives every identity once, and loses nothing that is in it",
    () =>
      Effect.gen(function* () {
        const campaign = yield* Simulation.campaign(
          {
            ...LIMITS,
            name: "copies",
            seeds: seedsOf("copies"),
            command: `${COMMAND} "gives every identity once"`,
            sometimes: ["putBack", "copied", "server.resetAfter", "server.late", "server.fail"]
          },
          copies(product)
        )
        if (campaign.seeds > 1) assert.isAbove(campaign.counts["accepted"]!, 10 * campaign.seeds)
      }),
    TIMEOUT
  )
})

describe("a server that another one replaces at its address", () => {
  it.effect(
    "gets everything that is meant for it, and the other one nothing",
    () =>
      Effect.gen(function* () {
        const campaign = yield* Simulation.campaign(
          {
            ...LIMITS,
            name: "replaced",
            seeds: seedsOf("replaced"),
            command: `${COMMAND} "gets everything that is meant for it"`,
            sometimes: [
              "server.replaced",
              "server.mismatch",
              "server.strange",
              "server.late",
              "restartedMeanwhile",
              "settlementSettled",
              "settlementKept"
            ]
          },
          replaced(product)
        )
        if (campaign.seeds > 1) assert.isAbove(campaign.counts["acknowledged"]!, 5 * campaign.seeds)
      }),
    TIMEOUT
  )
})

/** The first seed that fails, trying first the one that did before. */
const hunt = (
  scenario: (simulation: Simulation.Simulation) => Effect.Effect<void>,
  seeds: number,
  hint: number | undefined
): number | undefined => {
  const fails = (seed: number) => Exit.isFailure(Simulation.run({ ...LIMITS, seed }, scenario).exit)
  if (hint !== undefined && hint <= seeds && fails(hint)) return hint
  for (let seed = 1; seed <= seeds; seed++) if (fails(seed)) return seed
  return undefined
}

describe("planted bugs", () => {
  it("differ from each other", () => {
    assert.strictEqual(new Set(mutants.map(({ name }) => name)).size, mutants.length)
  })

  // A copy with nothing planted passes: what finds the bugs is not the copying.
  it.effect(
    "are found in a copy that works",
    () =>
      Effect.gen(function* () {
        const { remove, subject } = yield* Effect.promise(() => plant({ name: "none", patches: [] }))
        for (let seed = 1; seed <= 20; seed++) {
          const { exit } = Simulation.run({ ...LIMITS, seed }, delivery(subject))
          assert.isTrue(Exit.isSuccess(exit), String(exit))
        }
        remove()
      }),
    TIMEOUT
  )

  for (const mutant of mutants) {
    it.effect(
      mutant.name,
      () =>
        Effect.gen(function* () {
          const { remove, subject } = yield* Effect.promise(() => plant(mutant))
          const scenario = mutant.scenario ?? "delivery"
          const seed = hunt(scenarios[scenario](subject), SEEDS[scenario], mutant.hint)
          remove()
          assert.isDefined(seed, `no seed of ${SEEDS[scenario]} finds it`)
        }),
      TIMEOUT
    )
  }
})
