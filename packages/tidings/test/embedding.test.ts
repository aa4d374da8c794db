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
import { memory, run, write } from "./harness.ts"

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

  it.effect("gets a failure with a message and an exit code", () =>
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
      // A verb's own flag of the same name has another one there.
      const { out: served } = yield* run(source, ["mcp", "--help"])
      assert.isTrue(served.some((line) => /^ +--http-token TOKEN/.test(line)))
      assert.isTrue(served.some((line) => /^ +--token TOKEN +Who asks/.test(line)))
      // What needs no backend does not ask for one.
      yield* run(source, ["explain"])
      assert.strictEqual((yield* run(source, ["list", "--limit", "x"])).code, 2)
      assert.strictEqual(seen.length, 3)
    })
  )
})

describe("doctor of a backend of one's own", () => {
  const report = (out: ReadonlyArray<string>) => JSON.parse(out.join("\n"))

  it.effect("checks that it answers and can be read, in the chosen namespace", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      yield* service.write([
        write(1, { at: "2026-08-22T07:30:00Z", namespace: "team-a" }),
        write(2, { at: "2026-08-22T07:30:00Z", namespace: "team-b" })
      ])
      const { code, err, out } = yield* run(layer, ["doctor", "-o", "json"])
      assert.deepStrictEqual([code, err], [0, []])
      assert.deepStrictEqual(report(out), {
        healthy: true,
        checks: [
          { name: "store", state: "ok", found: "memory", facts: { mode: "memory" } },
          {
            name: "identity",
            state: "ok",
            found: (yield* service.target).id,
            facts: { target: (yield* service.target).id, aliases: [] }
          },
          { name: "events", state: "ok", found: "2", facts: { events: 2, namespace: null } }
        ]
      })
      const ofTeam = Layer.merge(layer, Layer.succeed(Cli.DefaultNamespace, "team-a"))
      const events = (...argv: ReadonlyArray<string>) =>
        Effect.map(run(ofTeam, ["doctor", "-ojson", ...argv]), (ran) => report(ran.out).checks[2].facts)
      assert.deepStrictEqual(yield* events(), { events: 1, namespace: "team-a" })
      assert.deepStrictEqual(yield* events("-n", "team-c"), { events: 0, namespace: "team-c" })
      assert.deepStrictEqual(yield* events("-A"), { events: 2, namespace: null })
    })
  )

  it.effect("names what is broken, and fails", () =>
    Effect.gen(function* () {
      const down = BackendError.make(new BackendError.Unavailable({ detail: "the \u001b[31mdatabase is down" }))
      const broken = yield* run(Layer.effect(Backend.Backend, Effect.fail(down)), ["doctor"])
      assert.deepStrictEqual(broken, {
        code: 1,
        out: ["broken  store  the store cannot be used: the \\u001b[31mdatabase is down"],
        err: ["error: 1 of 1 checks is broken"]
      })
    })
  )

  it.effect("shows the checks of the backend instead, with its flags and its location", () =>
    Effect.gen(function* () {
      const { layer } = yield* memory()
      const seen: Array<unknown> = []
      const source = Cli.withFlags({ database: { value: "FILE", description: "The database" } }, () => layer, {
        checks: ({ database }, place) => {
          seen.push([database, place])
          return Effect.succeed([
            { name: "disk", state: "ok", found: "it turns" },
            { name: "temperature", state: "note", found: "warm", advice: "open a window" },
            { name: "fan", state: "broken", found: "gone", advice: "buy one" }
          ])
        }
      })
      const ran = yield* run(source, ["doctor", "--database", "a.db", "-n", "team-a"], { canColor: false })
      assert.deepStrictEqual(ran, {
        code: 1,
        out: [
          "ok      disk         it turns",
          "note    temperature  warm",
          "                     open a window",
          "broken  fan          gone",
          "                     buy one"
        ],
        err: ["error: 1 of 3 checks is broken"]
      })
      assert.deepStrictEqual(seen, [["a.db", { namespace: "team-a", allNamespaces: false }]])
      assert.strictEqual((yield* run(source, ["doctor", "-n", ""])).code, 2)
      const failing = Cli.withFlags({}, () => layer, { checks: () => Effect.fail(new Error("no way")) })
      const failed = yield* run(failing, ["doctor"])
      assert.deepStrictEqual([failed.code, failed.err], [1, ["error: no way"]])
    })
  )
})

describe("what a backend logs", () => {
  it.effect("is a sentence on stderr, from warnings on", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const chatty = Layer.succeed(Backend.Backend, {
        ...service,
        query: (query) =>
          Effect.logInfo("nobody asked").pipe(
            Effect.andThen(Effect.logWarning("two lines\nof", "text")),
            Effect.andThen(Effect.logError("worse")),
            Effect.andThen(service.query(query))
          )
      })
      const { err } = yield* run(chatty, ["list", "--limit", "1", "-o", "json"])
      assert.deepStrictEqual(err.slice(0, 2), ["warning: two lines\\nof text", "error: worse"])
      assert.strictEqual((yield* run(layer, ["list"])).err.length, 1)
    })
  )
})
