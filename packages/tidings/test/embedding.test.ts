// Cli.make inside a larger command, Cli.withFlags
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import type * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import { TestConsole } from "effect/testing"
import * as Cli from "../src/Cli.ts"
import type { CommandError } from "../src/CommandError.ts"
import { memory, run } from "./harness.ts"

describe("a larger command", () => {
  const shopWith = (backend: Cli.BackendSource<unknown>) =>
    Command.runWith(
      Command.make("shop").pipe(Command.withSubcommands([Cli.make(backend, { name: "events", version: "1.0.0" })])),
      { version: "1.0.0" }
    )

  it.effect("has the verbs below its own name", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const shop = shopWith(layer)
      yield* shop(["events", "emit", "Workflow/deploy", "WorkflowExecuted"])
      yield* shop(["events", "--color", "never", "list", "-o", "ndjson"])
      const [id, line] = yield* TestConsole.logLines
      assert.strictEqual(JSON.parse(String(line)).id, id)
      assert.strictEqual((yield* service.query({})).totalCount, 1)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("gets a failure with words and an exit code", () =>
    Effect.gen(function* () {
      const down = BackendError.make(new BackendError.Unavailable({ detail: "the database is down" }))
      const shop = shopWith(Layer.effect(Backend.Backend, Effect.fail(down)))
      const error = yield* Effect.flip(shop(["events", "list"]))
      assert.strictEqual(error.message, "the store cannot be used: the database is down")
      assert.strictEqual(Runtime.getErrorExitCode(error), 4)
      assert.strictEqual("cause" in error ? error.cause : undefined, down)
      assert.include((yield* TestConsole.errorLines).join("\n"), "the database is down")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it("knows the errors in its type", () => {
    const command = Cli.make(Backend.layerMemory(), { name: "events", version: "1" })
    expectTypeOf<Command.Error<typeof command>>().toEqualTypeOf<CliError.CliError | CommandError>()
  })
})

describe("flags of a backend", () => {
  it.effect("reach its layer, before or after the verb, and are explained", () =>
    Effect.gen(function* () {
      const { layer } = yield* memory()
      const seen: Array<unknown> = []
      const source = Cli.withFlags(
        {
          database: { value: "FILE", description: "The database (default events.db)", alias: "d" },
          token: { value: "TOKEN", description: "Who asks" }
        },
        (values, use) => {
          expectTypeOf(values).toEqualTypeOf<{
            readonly database: string | undefined
            readonly token: string | undefined
          }>()
          seen.push([values.database, values.token, use.create])
          return layer
        }
      )
      yield* run(source, ["--database", "a.db", "list"])
      yield* run(source, ["list", "-d", "a.db", "--database", "b.db"])
      yield* run(source, ["emit", "Workflow/deploy", "WorkflowExecuted", "--token=t"])
      assert.deepStrictEqual(seen, [
        ["a.db", undefined, false],
        ["b.db", undefined, false],
        [undefined, "t", true]
      ])
      const { out } = yield* run(source, ["list", "--help"])
      assert.isTrue(out.some((line) => /^ {2}-d, --database FILE +The database/.test(line)))
      // What needs no backend does not ask for one.
      yield* run(source, ["explain"])
      assert.strictEqual((yield* run(source, ["list", "--limit", "x"])).code, 2)
      assert.strictEqual(seen.length, 3)
    })
  )
})
