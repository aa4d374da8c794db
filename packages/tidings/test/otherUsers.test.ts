// An event log of another user: who may read it follows it too, and is told why nothing is recorded.
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestConsole } from "effect/testing"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { backend } from "../src/internal/cli/tidings.ts"
import { run } from "./harness.ts"

const HOST = 4_001

const isRoot = process.getuid?.() === 0
if (!isRoot)
  console.error("*** NOT TESTED WITH OTHER USERS: only root can give a log to one (run the tests as root) ***")

if (isRoot) {
  describe("the event log of another user", () => {
    it.live("is listed and followed by root, who records nothing in it", () =>
      Effect.gen(function* () {
        const directory = yield* Effect.acquireRelease(
          Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "tidings-users-"))),
          (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
        )
        const environment = ConfigProvider.fromUnknown({
          HOME: directory,
          TIDINGS_DIRECTORY: directory,
          KUBECONFIG: ""
        })
        const tidings = (...argv: ReadonlyArray<string>) =>
          Effect.provideService(run(backend, argv), ConfigProvider.ConfigProvider, environment)
        assert.strictEqual((yield* tidings("emit", "Workflow/deploy", "WorkflowExecuted")).code, 0)
        fs.chownSync(directory, HOST, HOST)

        assert.match((yield* tidings("list")).out[1]!, /Workflow\/deploy/)
        const refused = yield* tidings("emit", "Workflow/deploy", "WorkflowExecuted")
        assert.strictEqual(refused.code, 4)
        assert.match(refused.err[0]!, /belongs to user 4001.*may only read it/)
        const followed = yield* Effect.forkChild(tidings("follow", "-ondjson"))
        const lines = Effect.map(TestConsole.logLines, (all) => all.map(String).filter((line) => line.startsWith("{")))
        const seen: Effect.Effect<void> = Effect.flatMap(lines, ({ length }) =>
          length > 0 ? Effect.void : Effect.andThen(Effect.sleep(20), seen)
        )
        yield* Effect.timeout(seen, "20 seconds")
        yield* Fiber.interrupt(followed)
        assert.lengthOf(yield* lines, 1)
      }).pipe(Effect.scoped, Effect.provide(TestConsole.layer))
    )
  })
}
