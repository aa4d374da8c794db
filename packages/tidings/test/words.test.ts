import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Logger } from "effect"
import * as TestConsole from "effect/testing/TestConsole"
import * as words from "../src/internal/cli/words.ts"

describe("what a backend logs", () => {
  it.effect("is one line, also where it is a cause without a message", () =>
    Effect.gen(function* () {
      yield* Effect.logWarning("the disk is slow\nvery")
      yield* Effect.logError(Cause.fail(new TypeError("the line is torn")))
      yield* Effect.logError("cannot sync", Cause.fail("no space"))
      assert.deepStrictEqual(yield* TestConsole.errorLines, [
        "warning: the disk is slow\\nvery",
        "error: TypeError: the line is torn",
        "error: cannot sync"
      ])
    }).pipe(Effect.provide([Logger.layer([words.logger]), TestConsole.layer]))
  )
})
