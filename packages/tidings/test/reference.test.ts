// docs/reference/command.md shows the help of every verb: this keeps it the help that there is.
import { assert, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import * as Cli from "../src/Cli.ts"
import { backend } from "../src/internal/cli/tidings.ts"
import { memory, run } from "./harness.ts"

const file = join(import.meta.dirname, "..", "..", "..", "docs", "reference", "command.md")
const BLOCK = /<!-- help: ([a-z ]*?) ?-->\n\n```text\n[^`]*?```/g

describe("the reference of the command", () => {
  it.effect("shows the help of today (after a change of help: npx vitest run --project tidings -u)", () =>
    Effect.gen(function* () {
      const text = yield* Effect.promise(() => readFile(file, "utf8"))
      let current = text
      for (const [block, verb] of text.matchAll(BLOCK)) {
        const { code, out } = yield* run(backend, [...verb!.split(" ").filter((word) => word !== ""), "--help"])
        assert.strictEqual(code, 0)
        current = current.replace(block, () => `<!-- help: ${verb!} -->\n\n\`\`\`text\n${out.join("\n")}\n\`\`\``)
      }
      yield* Effect.promise(() => expect(current).toMatchFileSnapshot(file))
    })
  )

  it.effect("leaves out no verb", () =>
    Effect.gen(function* () {
      const documented = [...(yield* Effect.promise(() => readFile(file, "utf8"))).matchAll(BLOCK)].map(
        ([, verb]) => verb
      )
      const { subcommands } = Cli.make(backend, { name: "tidings", version: "1" })
      const verbs = subcommands
        .flatMap(({ commands }) => commands)
        .flatMap(({ name, subcommands }) =>
          subcommands.length === 0
            ? [name]
            : subcommands.flatMap(({ commands }) => commands.map((inner) => `${name} ${inner.name}`))
        )
      assert.deepStrictEqual(documented, ["", ...verbs])
    })
  )
})

describe("help", () => {
  it.effect("of a verb that there is not is an error, with the verb that may be meant", () =>
    Effect.gen(function* () {
      const { layer } = yield* memory()
      const { code, err, out } = yield* run(layer, ["help", "lst"])
      assert.deepStrictEqual([code, out, err[0]], [2, [], `error: unknown command "lst"; did you mean list?`])
      for (const args of [["help"], ["help", "list"], ["help", "--color", "never"]]) {
        assert.strictEqual((yield* run(layer, args)).code, 0, args.join(" "))
      }
    })
  )

  it.effect("that is asked for is the answer; a verb left out shows it too", () =>
    Effect.gen(function* () {
      const { layer } = yield* memory()
      const asked = yield* run(layer, ["--help"])
      assert.strictEqual(asked.code, 0)
      assert.deepStrictEqual(asked.err, [])
      assert.deepStrictEqual(yield* run(layer, []), asked)
      const own = yield* run(layer, ["list", "-h"], { options: { name: "shop-events" } })
      assert.include(own.out, "  shop-events list Workflow/deploy --since 1h30m")
      assert.isTrue([...asked.out, ...own.out].every((line) => line.length <= 100))
    })
  )

  it.effect("names the version", () =>
    Effect.gen(function* () {
      const { layer } = yield* memory()
      assert.deepStrictEqual((yield* run(layer, ["--version"])).out, ["tidings 1.2.3"])
    })
  )

  it.effect("suggests a verb", () =>
    Effect.gen(function* () {
      const { layer } = yield* memory()
      assert.deepStrictEqual(yield* run(layer, ["lst"]), {
        code: 2,
        out: [],
        err: [
          `error: unknown command "lst"; did you mean list?`,
          "usage: tidings <command> [flags] (more: tidings --help)"
        ]
      })
    })
  )

  it.effect("completes verbs, flags and their values in PowerShell", () =>
    Effect.gen(function* () {
      const { layer } = yield* memory()
      const { code, out } = yield* run(layer, ["--completions", "powershell"])
      assert.strictEqual(code, 0)
      const script = out.join("\n")
      for (const word of ["follow", "--show-cursor", "ndjson", "MCPServer", "WorkflowStepFailed", "always"]) {
        assert.include(script, word)
      }
    })
  )
})
