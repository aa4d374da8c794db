// docs/reference/command.md says what habits of other commands are here: each row is run.
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestConsole } from "effect/testing"
import { readFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { backend } from "../src/internal/cli/tidings.ts"
import { eventually, run } from "./harness.ts"

const reference = join(import.meta.dirname, "..", "..", "..", "docs", "reference", "command.md")

const deployed = "the flow is deployed"
const refused = "connection refused"
const started = "it is started"
const scaled = "scaled to three"
const all = [deployed, refused, started, scaled]

const drafts = [
  { involvedObject: "Workflow/deploy", reason: "WorkflowExecuted", message: deployed, at: "2h", source: "ci" },
  {
    involvedObject: "pod/web",
    namespace: "team-a",
    reason: "BackOff",
    type: "Warning",
    message: refused,
    at: "30m",
    source: "kubelet",
    labels: { team: "web" }
  },
  { involvedObject: "pod/web", namespace: "team-a", reason: "Started", message: started, at: "10m", source: "kubelet" },
  { involvedObject: "deployment/web", reason: "ScalingReplicaSet", message: scaled, at: "5m", source: "deployments" }
]

/** What each command has to show: these events and no others, or a text. */
const EXPECTED: { readonly [command: string]: ReadonlyArray<string> | RegExp | undefined } = {
  "tidings list": all,
  "tidings list -A": all,
  "tidings list -n team-a": [refused, started],
  "tidings list --for pod/web": [refused, started],
  "tidings list --types=Warning": [refused],
  "tidings list --watch": all,
  "tidings list --no-headers": all,
  "tidings list --sort-by=.count": all,
  "tidings list --kind Pod --reason BackOff": [refused],
  "tidings list --type Warning": [refused],
  "tidings list -l team=web": [refused],
  "tidings list -o wide": all,
  "tidings list -o jsonpath='{.items[*].reason}'": /^WorkflowExecuted BackOff Started ScalingReplicaSet$/,
  "tidings list -o custom-columns=WHY:.reason": /^WHY\nWorkflowExecuted\nBackOff\nStarted\nScalingReplicaSet$/,
  "tidings get NAME -o yaml": /^message: connection refused$/m,
  "tidings story pod/web": [refused, started],
  "tidings wait pod/web --reason Started --since 1h": [started],
  "tidings list --limit all": all,
  "tidings list --limit 2": [started, scaled],
  "tidings follow": all,
  "tidings follow --limit 0": [],
  "tidings list --reverse": new RegExp(`${scaled}[^]*${started}[^]*${refused}[^]*${deployed}`),
  'tidings list --since "1 hour ago"': [refused, started, scaled],
  "tidings list --since -20m --until now": [started, scaled],
  "tidings list --source kubelet": [refused, started],
  "tidings list --grep refused": [refused],
  "tidings list -o ndjson": all,
  [`tidings list -o jsonpath='{range .items[*]}{.message}{"\\n"}{end}'`]: new RegExp(`^${all.join("\n")}\n?$`),
  "tidings list --utc": /\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z/,
  "tidings list --show-cursor": all,
  "tidings list --cursor-file=cursor.txt": all,
  "tidings retention": /^now: .* in 1 segment$/m,
  "tidings prune": /^$/,
  "tidings follow --name web": [refused, started, scaled],
  "tidings follow deployment/web": [scaled],
  "tidings follow -A -l team=web": [refused],
  "tidings follow --name web --since 15m": [started, scaled],
  "tidings follow --name web --limit 1": [scaled],
  "tidings list --name web": [refused, started, scaled],
  "tidings follow --name web --grep refused --exclude debug": [refused],
  "tidings follow --name web -o json": [refused, started, scaled],
  "tidings follow --name web --color never": [refused, started, scaled],
  "tidings follow --since 1h --until now": [refused, started, scaled],
  "tidings follow --kind Pod --reason BackOff": [refused],
  "tidings follow -l team=web": [refused],
  "tidings follow -o json": all,
  "tidings follow -o jsonpath={.reason}": /^WorkflowExecuted\nBackOff\nStarted\nScalingReplicaSet$/
}

const section = /\n## Habits\n([^]*?)\n## /.exec(readFileSync(reference, "utf8"))![1]!
const commands = [
  ...new Set([...section.matchAll(/^\| `[^`]+` +\| `([^`]+)`/gm)].map(([, command]) => command!.replaceAll("\\|", "|")))
]

/** As a shell takes it apart. */
const words = (line: string): ReadonlyArray<string> =>
  [...line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) =>
    word.replace(/'([^']*)'|"([^"]*)"/g, (_, single?: string, double?: string) => single ?? double ?? "")
  )

describe("the habits of other commands", () => {
  it("are all in the table that is tested, and the other way round", () => {
    assert.deepStrictEqual(commands.toSorted(), Object.keys(EXPECTED).toSorted())
  })

  it.live.each(commands)("%s", (command) =>
    Effect.acquireUseRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "tidings-habits-"))),
      (folder) =>
        Effect.gen(function* () {
          const recorded = yield* run(backend, ["emit", "-"], {
            stdin: drafts.map((draft) => `${JSON.stringify(draft)}\n`).join("")
          })
          assert.strictEqual(recorded.code, 0, recorded.err.join("\n"))
          const argv = words(command)
            .slice(1)
            .map((word) =>
              word === "NAME" ? recorded.out[1]! : word.replace("cursor.txt", join(folder, "cursor.txt"))
            )
          const seen = (yield* TestConsole.logLines).length
          const shown = Effect.map(TestConsole.logLines, (lines) => lines.slice(seen).map(String).join("\n"))
          const expected = EXPECTED[command]!
          const holds = (text: string) =>
            expected instanceof RegExp
              ? expected.test(text)
              : all.every((message) => text.includes(message) === expected.includes(message))
          const goesOn = /^tidings (?:follow|list --watch)/.test(command) && !command.includes("--until")
          if (goesOn) {
            const fiber = yield* Effect.forkChild(run(backend, argv))
            yield* eventually(command, Effect.map(shown, holds), shown)
            // Where nothing is shown at first, it has to say that it waits.
            if (expected instanceof RegExp || expected.length > 0) assert.isUndefined(fiber.pollUnsafe(), "it goes on")
            else {
              const isWaiting = Effect.map(TestConsole.errorLines, (lines) =>
                lines.some((line) => String(line).endsWith("events yet; waiting"))
              )
              yield* eventually("that it waits", isWaiting)
            }
            yield* Fiber.interrupt(fiber)
          } else {
            const { code, err } = yield* run(backend, argv)
            assert.strictEqual(code, 0, err.join("\n"))
            assert.isTrue(holds(yield* shown), yield* shown)
          }
        }).pipe(
          Effect.provideService(
            ConfigProvider.ConfigProvider,
            ConfigProvider.fromUnknown({
              TIDINGS_BACKEND: "filesystem",
              TIDINGS_DIRECTORY: join(folder, "log"),
              HOME: folder
            })
          ),
          Effect.provide(TestConsole.layer)
        ),
      (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
    )
  )
})
