// What a shell may offer at the cursor. That the shells take it is shown in completion.slow.ts.
import * as Backend from "@tidings/core/Backend"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Cli from "../src/Cli.ts"
import { backend } from "../src/internal/cli/tidings.ts"
import { memory, run, write } from "./harness.ts"

const BREAKS = " \t\n\"'><=;|&(:"

const stored = Effect.gen(function* () {
  const { service } = yield* memory()
  const at = "2026-08-22T10:30:00Z"
  yield* service.write([
    write(1, { at, kind: "Workflow", name: "deploy", reason: "NightlyRan", namespace: "team-a", source: "ci" }),
    write(2, { at, kind: "Workflow", name: "build", reason: "NightlyRan" }),
    write(3, { at, kind: "Node", name: "worker-1", reason: "NodeReady", type: "Warning" })
  ])
  const asked: Array<string | undefined> = []
  const source = Cli.withFlags(
    {
      shop: {
        value: "NAME",
        description: "The shop",
        complete: ({ region }: { readonly [flag: string]: string | undefined }) =>
          Effect.succeed([`${region ?? "any"}-1`, `${region ?? "any"}-2`])
      },
      region: { value: "NAME", choices: ["eu", "us"], description: "The region" },
      folder: { value: "DIRECTORY", path: "directory", description: "A folder" }
    },
    ({ shop }) => {
      asked.push(shop)
      return Layer.succeed(Backend.Backend, service)
    }
  )
  /** As bash asks. */
  const complete = (line: string) =>
    Effect.map(run(source, ["__complete", "bash", line, BREAKS]), ({ code, err, out }) => {
      assert.deepStrictEqual([code, err], [0, []])
      return { how: out[0], values: out.slice(1) }
    })
  const values = (line: string) => Effect.map(complete(line), (answer) => answer.values)
  return { source, complete, values, asked }
})

describe("completion", () => {
  it.effect("offers verbs, verbs of verbs and flags, those of the verb and those of the backend", () =>
    Effect.gen(function* () {
      const { values } = yield* stored
      assert.deepStrictEqual(yield* values("tidings st"), ["story"])
      assert.includeMembers([...(yield* values("tidings "))], ["list", "follow", "emit", "mcp"])
      assert.deepStrictEqual(yield* values("tidings template c"), ["check"])
      assert.deepStrictEqual(yield* values("tidings list --re"), ["--reason", "--reverse", "--region"])
      assert.include(yield* values("tidings list --"), "--region")
      // What was given is not offered again, unless its values add up.
      assert.deepStrictEqual(yield* values("tidings list --reverse --reason A --re"), ["--reason", "--region"])
      assert.deepStrictEqual(yield* values("tidings nonsense --x "), yield* values("tidings "))
    })
  )

  it.effect("offers the values that a flag takes", () =>
    Effect.gen(function* () {
      const { complete, values } = yield* stored
      assert.deepStrictEqual(yield* values("tidings list --type w"), ["Warning"])
      assert.deepStrictEqual(yield* values("tidings top --by na"), ["namespace"])
      assert.deepStrictEqual(yield* values("tidings explain -o "), ["text", "json", "yaml"])
      assert.include(yield* values("tidings list -o cus").pipe(Effect.andThen(values("tidings list -o n"))), "name")
      assert.deepStrictEqual(yield* values("tidings --region "), ["eu", "us"])
      assert.deepStrictEqual(yield* values("tidings list --region=e"), ["eu"])
      assert.deepStrictEqual(yield* values("tidings --region us list --shop us-"), ["us-1", "us-2"])
      assert.strictEqual((yield* complete("tidings list --folder /t")).how, "directories")
      assert.strictEqual((yield* complete("tidings list --cursor-file ")).how, "files")
      assert.strictEqual((yield* complete("tidings import ")).how, "files")
    })
  )

  it.effect("offers what the store has: kinds, objects, reasons, namespaces, sources, names, ids", () =>
    Effect.gen(function* () {
      const { asked, values } = yield* stored
      assert.deepStrictEqual(yield* values("tidings list "), ["Workflow", "Workflow/", "Node", "Node/"])
      assert.deepStrictEqual(yield* values("tidings list work"), ["Workflow", "Workflow/"])
      assert.deepStrictEqual(yield* values("tidings list Workflow/"), ["Workflow/build", "Workflow/deploy"])
      assert.deepStrictEqual(yield* values("tidings list no/"), ["no/worker-1"])
      assert.deepStrictEqual(yield* values("tidings list Workflow/build,Node/w"), ["Workflow/build,Node/worker-1"])
      assert.deepStrictEqual(yield* values("tidings follow --for Node/"), ["Node/worker-1"])
      assert.deepStrictEqual(yield* values("tidings list --reason "), ["NightlyRan", "NodeReady"])
      assert.deepStrictEqual(yield* values("tidings list Node --reason "), ["NodeReady"])
      assert.deepStrictEqual(yield* values("tidings wait --reason NodeReady,n"), [
        "NodeReady,NightlyRan",
        "NodeReady,NodeReady"
      ])
      assert.deepStrictEqual(yield* values("tidings list -n t"), ["team-a"])
      assert.deepStrictEqual(yield* values("tidings list -n team-a Workflow/"), ["Workflow/deploy"])
      assert.deepStrictEqual(yield* values("tidings list -nteam-a --kind "), ["Workflow"])
      assert.deepStrictEqual(yield* values("tidings list --source=c"), ["ci"])
      assert.deepStrictEqual(yield* values("tidings list --kind Node --name "), ["worker-1"])
      assert.strictEqual((yield* values("tidings get ")).length, 3)
      yield* values("tidings list --shop mine --kind ")
      assert.strictEqual(asked.at(-1), "mine")
    })
  )

  it.effect("offers for emit what the catalogue has too", () =>
    Effect.gen(function* () {
      const { complete, values } = yield* stored
      assert.deepStrictEqual(yield* complete("tidings emit MCPS"), { how: "open", values: ["MCPServer/"] })
      assert.include(yield* values("tidings emit Workflow/x Workf"), "WorkflowExecuted")
      assert.include(yield* values("tidings emit Workflow/x "), "NightlyRan")
      assert.notInclude(yield* values("tidings emit Workflow/x "), "MCPServerFailed")
      assert.deepStrictEqual(yield* values("tidings explain MCPServerFailed"), ["MCPServerFailed"])
    })
  )

  it.effect("says for zsh and fish what each value is", () =>
    Effect.gen(function* () {
      const { source } = yield* stored
      for (const shell of ["zsh", "fish"]) {
        const { out } = yield* run(source, ["__complete", shell, "list", "--reason", ""])
        assert.deepStrictEqual(out, ["values", "NightlyRan\t2 events", "NodeReady\t1 event"])
        const verbs = yield* run(source, ["__complete", shell, "lis"])
        assert.match(verbs.out[1]!, /^list\tList events/)
        const attached = yield* run(source, ["__complete", shell, "list", "--reason=Ni"])
        assert.deepStrictEqual(attached.out, ["values", "--reason=NightlyRan\t2 events"])
      }
    })
  )

  it.effect("reads a line as bash does, with quotes", () =>
    Effect.gen(function* () {
      const { values } = yield* stored
      assert.deepStrictEqual(yield* values(`tidings list --grep "a b" 'Node' --reason `), ["NodeReady"])
      assert.deepStrictEqual(yield* values(`tidings list --grep a\\ b Node --reason `), ["NodeReady"])
    })
  )

  it.effect("offers nothing, and says nothing, where the store cannot be read", () =>
    Effect.gen(function* () {
      const gone = Layer.effect(Backend.Backend, Effect.die(new Error("gone")))
      const ran = yield* run(gone, ["__complete", "bash", "tidings list --name ", BREAKS])
      assert.deepStrictEqual(ran, { code: 0, out: ["values"], err: [] })
    })
  )

  it.effect("offers the contexts of the kubeconfig", () =>
    Effect.acquireUseRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "tidings-contexts-"))),
      (folder) =>
        Effect.gen(function* () {
          const file = join(folder, "kubeconfig")
          const contexts = ["production", "staging"].map((name) => `- name: ${name}\n  context: { cluster: c }`)
          yield* Effect.promise(() => writeFile(file, `contexts:\n${contexts.join("\n")}\n`))
          const complete = (line: string) => run(backend, ["__complete", "bash", line, BREAKS])
          const { out } = yield* complete(`tidings list --kubeconfig ${file} --context `)
          assert.deepStrictEqual(out, ["values", "production", "staging"])
          const missing = yield* complete(`tidings list --kubeconfig ${file}.missing --context `)
          assert.deepStrictEqual(missing, { code: 0, out: ["values"], err: [] })
        }),
      (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
    )
  )
})
