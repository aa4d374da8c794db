import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { campaign, disturbances, place } from "./disturbances.ts"

/** With `npm run test:kills`; a part of it in `npm run test:slow`. */
const isWhole = process.env["TIDINGS_WHOLE"] === "yes"

/** The same things in another order. */
const shuffled = <A>(things: ReadonlyArray<A>, seed: number): ReadonlyArray<A> =>
  things
    .map((thing, index) => ({ thing, at: (Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b)) >>> 0 }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ thing }) => thing)

describe("a log whose files are disturbed while processes write to it and watch it", () => {
  it.live(
    `each event that was answered is there, or coverage and a gap tell that it is gone, after each of: ${disturbances.map(({ name }) => name).join("; ")}`,
    () =>
      Effect.gen(function* () {
        const { batches } = yield* campaign({
          place: yield* place,
          writers: 2,
          followers: 1,
          disturbances,
          kills: false
        })
        assert.isAbove(batches, 100)
      }),
    120_000
  )

  for (const seed of isWhole ? [1, 2, 3, 4, 5, 6] : [1, 2]) {
    it.live(
      `each event that was answered is there, or its loss is told, also where writers are killed meanwhile (${seed})`,
      () =>
        Effect.gen(function* () {
          const { batches } = yield* campaign({
            place: yield* place,
            writers: 3,
            followers: 2,
            disturbances: shuffled(disturbances, seed),
            kills: true
          })
          assert.isAbove(batches, 100)
        }),
      900_000
    )
  }
})
