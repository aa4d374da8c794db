import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import * as McpProcess from "../McpProcess.ts"

const server = fileURLToPath(new URL("server.ts", import.meta.url))
const everything = createRequire(import.meta.url).resolve("@modelcontextprotocol/server-everything/dist/index.js")

describe("the probe of a server", () => {
  for (const [revisions, expected] of [
    [["2026-07-28"], "2026-07-28"],
    [["2025-11-25"], "2025-11-25"],
    [["2025-06-18"], "2025-06-18"],
    [["2025-03-26"], "2025-03-26"],
    [["2024-11-05"], "2024-11-05"],
    [["2026-07-28", "2025-11-25"], "2026-07-28"]
  ] as const) {
    it.live(`succeeds as long as the server answers, and fails when it is gone: ${revisions.join(" and ")}`, () =>
      Effect.gen(function* () {
        const running = yield* McpProcess.start({ command: process.execPath, args: [server, ...revisions] })
        assert.strictEqual(running.revision, expected)
        yield* running.probe
        yield* running.probe
        process.kill(running.pid, "SIGKILL")
        const error = yield* Effect.flip(running.probe)
        assert.strictEqual(error._tag, "McpError")
      })
    )
  }

  it.live("fails when the server is there and does not answer", () =>
    Effect.gen(function* () {
      const running = yield* McpProcess.start({ command: process.execPath, args: [server, "2026-07-28"] })
      process.kill(running.pid, "SIGSTOP")
      const error = yield* Effect.flip(running.probe).pipe(
        Effect.ensuring(Effect.sync(() => process.kill(running.pid, "SIGKILL")))
      )
      assert.match(error.message, /^server\/discover: /)
    })
  )

  it.live("succeeds for the reference server", () =>
    Effect.gen(function* () {
      const running = yield* McpProcess.start({ command: process.execPath, args: [everything, "stdio"] })
      yield* running.probe
    })
  )
})
