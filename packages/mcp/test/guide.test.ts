// docs/guides/mcp.md shows what the tools answer: this keeps it what they answer.
import { assert, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { call, layer, START, store, textOf, write } from "./support.ts"

const file = join(import.meta.dirname, "..", "..", "..", "docs", "guides", "mcp.md")
const BLOCK = /<!-- answer: (text|data) (\w+) (\{.*\}) -->\n\n```text\n[^`]*?```/g

const pod = { kind: "Pod", name: "web-1", namespace: "shop", source: "kubelet" }

const history = [
  write(1, { ...pod, reason: "Started", type: "Normal", message: "Started container web" }),
  write(90, { ...pod, reason: "Unhealthy", message: "Readiness probe failed: connect: connection refused", count: 6 }),
  write(150, { ...pod, reason: "BackOff", message: "Back-off restarting failed container web", count: 14 }),
  write(160, { kind: "Workflow", namespace: "shop", message: "Workflow deploy failed: web is not ready" })
]

/** What is another one in every store. */
const steady = (text: string): string =>
  text.replaceAll(/(WzMsIm|WzMsIn)[\w-]+/g, "$1…").replaceAll(/"store": "[^"]*"/g, '"store": "6d0f…"')

describe("the guide for agents", () => {
  it.effect("shows what the tools answer today (after a change: npx vitest run --project @tidings/mcp -u)", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(START / 1_000 + 600_000)
      yield* store(...history)
      const text = yield* Effect.promise(() => readFile(file, "utf8"))
      const blocks = [...text.matchAll(BLOCK)]
      assert.isAbove(blocks.length, 4)
      let current = text
      for (const [block, what, tool, args] of blocks) {
        const result = yield* call(tool!, JSON.parse(args!))
        const shown = what === "text" ? textOf(result) : JSON.stringify(result.structuredContent, undefined, 2)
        current = current.replace(
          block,
          () => `<!-- answer: ${what!} ${tool!} ${args!} -->\n\n\`\`\`text\n${steady(shown)}\n\`\`\``
        )
      }
      yield* Effect.promise(() => expect(current).toMatchFileSnapshot(file))
    }).pipe(Effect.provide(layer()))
  )
})
