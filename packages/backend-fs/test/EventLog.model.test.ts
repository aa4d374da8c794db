import { describe, it } from "@effect/vitest"
import { runOperations } from "./LogOperations.ts"

/** `npm run test:slow` does 50,000 operations, in about five minutes of CPU. */
const isSlow = process.env["TIDINGS_TESTS"] === "slow"

/** `SEEDS="FROM TO OPERATIONS"` runs others. */
const [from = 1, to = 1, operations = 1] = (process.env["SEEDS"] ?? (isSlow ? "1 125 400" : "1 4 200"))
  .split(" ")
  .map(Number)

/** For how long a shorter list of operations is looked for that fails too. */
const SHORTEN = isSlow ? 60_000 : 15_000

describe("an event log that several programs write, query and follow", () => {
  for (let seed = from; seed <= to; seed++) {
    it.effect(
      `an event log answers as a list of its lines does, whatever is done with it and its files (${seed})`,
      () => runOperations(seed, operations, SHORTEN),
      240_000
    )
  }
})
