import { assert, describe, it } from "@effect/vitest"
import * as Simulation from "@tidings/testing/Simulation"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { isSlow } from "../../../vitest.shared.ts"
import { archiving, SOMETIMES } from "./support/archiving.ts"
import type { Bug } from "./support/simulatedDatabase.ts"

const COMMAND = "npx vitest run --project @tidings/backend-postgres test/Archive.simulation.test.ts"
const SEEDS = isSlow ? 2_000 : 150
const TIMEOUT = 300_000

describe("an archive in a simulated world", () => {
  it.effect(
    "has every state once, or tells the gap that it is in, whatever is killed, lost or forgotten",
    () =>
      Effect.gen(function* () {
        const campaign = yield* Simulation.campaign(
          { name: "archive", seeds: SEEDS, command: COMMAND, sometimes: SOMETIMES },
          archiving()
        )
        assert.isAbove(campaign.steps, SEEDS)
      }),
    TIMEOUT
  )

  const bugs: ReadonlyArray<Bug> = [
    "position before rows",
    "a gap that is not told",
    "a replica that skips",
    "no epochs"
  ]
  it.effect.each(bugs)(
    "finds %s",
    (bug) =>
      Effect.gen(function* () {
        for (let seed = 1; seed <= 400; seed++) {
          if (Exit.isFailure(Simulation.run({ seed }, archiving(bug)).exit)) return
          if (seed % 16 === 0) yield* Effect.yieldNow
        }
        assert.fail(`400 seeds did not find ${bug}`)
      }),
    TIMEOUT
  )
})
