import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { doubles } from "../crash/doubles.ts"
import { run } from "../crash/harness.ts"

/** `npm run test:crash` does with more. */
const KILLS = 12

it.live(
  "hosts that are killed at random moments lose nothing and count nothing twice",
  () =>
    Effect.gen(function* () {
      const report = yield* Effect.promise(() => run({ kills: KILLS, seed: 5, target: doubles }))
      assert.deepStrictEqual(report.problems, [])
      assert.isAbove(report.accepted, 500)
      assert.isAtLeast(report.delivered, report.accepted)
      for (const what of [
        "killed inside of a call of the disk",
        "killed from outside",
        "a torn append",
        "requests that met the fault Reset",
        "plain: created again after it was there"
      ]) {
        assert.isAbove(report.found[what] ?? 0, 0, what)
      }
    }),
  120_000
)
