import * as Simulation from "@tidings/testing/Simulation"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import assert from "node:assert/strict"

const run = Simulation.run({ seed: 1 }, (simulation) =>
  Effect.gen(function* () {
    const written: Array<string> = []
    const host = simulation.process("host")
    const program = Effect.gen(function* () {
      written.push("begun")
      yield* Effect.sleep("1 hour")
      written.push("done")
    }).pipe(Effect.ensuring(Effect.sync(() => written.push("closed"))))

    yield* host.start(program)
    yield* Effect.sleep("30 minutes")
    yield* host.kill
    const life = yield* host.start(program)
    yield* life.await
    return written
  })
)
// No finalizer runs in a process that is killed.
assert.deepEqual(run.exit, Exit.succeed(["begun", "begun", "done", "closed"]))
