import * as Simulation from "@tidings/testing/Simulation"
import * as Effect from "effect/Effect"
import assert from "node:assert/strict"

const careless = (simulation: Simulation.Simulation) =>
  Effect.gen(function* () {
    let total = 0
    const add = Effect.gen(function* () {
      const read = total
      yield* Effect.sleep(`${simulation.dice.integer(0, 3)} millis`)
      total = read + 1
    })
    yield* Effect.all([add, add], { concurrency: "unbounded" })
    if (total !== 2) return yield* Effect.die(new Error(`2 were added, the total is ${total}`))
  })

const failure = await Effect.runPromise(
  Effect.flip(Simulation.campaign({ name: "counter", seeds: 100, command: "npm test" }, careless))
)
assert.match(failure.message, /the total is 1/)
assert.match(failure.message, /TIDINGS_SEED=1 npm test/)
