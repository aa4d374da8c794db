// A store with the events of several clusters, and of none.
import type { ClusterRef } from "@tidings/core/Event"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock, TestConsole } from "effect/testing"
import { eventually, memory, origin, run, write } from "./harness.ts"

const production: ClusterRef = { id: "11111111-2222-3333-4444-555555555555", name: "production" }
const staging: ClusterRef = { id: "66666666-7777-8888-9999-000000000000", name: "staging" }
const AT = "2026-11-22T12:00:00Z"

const inCluster = (seq: number, cluster: ClusterRef | undefined, given: Partial<Parameters<typeof write>[1]> = {}) => ({
  ...write(seq, { at: AT, ...given }),
  ...(cluster === undefined ? undefined : { cluster })
})

const filled = Effect.gen(function* () {
  const store = yield* memory()
  yield* store.service.write([
    inCluster(1, production, { type: "Warning", reason: "WorkflowFailed" }),
    inCluster(2, staging),
    inCluster(3, undefined)
  ])
  return store
})

/** The lines of a table without the blanks between columns. */
const cells = (lines: ReadonlyArray<string>) => lines.map((line) => line.split(/ {2,}/).slice(0, 3))

describe("--cluster", () => {
  it.effect("is a filter by name or id, with lists and repeats, of every verb that reads", () =>
    Effect.gen(function* () {
      const { layer } = yield* filled
      const messages = (argv: ReadonlyArray<string>) =>
        Effect.map(run(layer, ["list", "-o", 'jsonpath={range .items[*]}{.message}{"\\n"}{end}', ...argv]), ({ out }) =>
          out.filter((line) => line !== "")
        )
      assert.deepStrictEqual(yield* messages(["--cluster", "production"]), ["message 1"])
      assert.deepStrictEqual(yield* messages(["--cluster", staging.id]), ["message 2"])
      assert.deepStrictEqual(yield* messages(["--cluster", "production,staging"]), ["message 1", "message 2"])
      assert.deepStrictEqual(yield* messages(["--cluster", "production", "--cluster", "staging"]), [
        "message 1",
        "message 2"
      ])
      assert.include((yield* run(layer, ["export", "--cluster", "staging"])).out.join("\n"), "message 2")
      assert.notInclude((yield* run(layer, ["export", "--cluster", "staging"])).out.join("\n"), "message 1")
      const top = yield* run(layer, ["top", "--cluster", "production", "-o", "json"])
      assert.strictEqual(JSON.parse(top.out.join("\n")).count, 1)
      const story = yield* run(layer, ["story", "Workflow/deploy", "--cluster", "production", "-o", "json"])
      assert.deepStrictEqual(JSON.parse(story.out.join("\n")).object.cluster, production)
    })
  )

  it.effect("forgives case, and names the nearest cluster that the store has", () =>
    Effect.gen(function* () {
      const { layer } = yield* filled
      assert.include((yield* run(layer, ["list", "--cluster", "Production", "-o", "json"])).out.join("\n"), "message 1")
      assert.deepStrictEqual((yield* run(layer, ["list", "--cluster", "producton"])).err, [
        "no cluster producton here; production has 1 event"
      ])
      const empty = yield* run(layer, ["list", "--cluster", ""])
      assert.deepStrictEqual([empty.code, empty.err[0]], [2, "error: --cluster is empty: leave it out to see all"])
    })
  )
})

describe("a table", () => {
  it.effect("says of which cluster each row is where there are several, and only there", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.parse(AT) + 60_000)
      const { layer } = yield* filled
      const all = yield* run(layer, ["list"])
      assert.deepStrictEqual(cells(all.out), [
        ["CLUSTER", "NAMESPACE", "LAST SEEN"],
        ["production", "default", "60s"],
        ["staging", "default", "60s"],
        ["", "default", "60s"]
      ])
      for (const argv of [
        ["--cluster", "production"],
        ["--type", "Warning"],
        ["-o", "wide", "--cluster", "staging"]
      ]) {
        assert.notInclude((yield* run(layer, ["list", ...argv])).out[0]!, "CLUSTER")
      }
      const one = yield* run(layer, ["get", `${origin}.2`])
      assert.isTrue(
        one.out.some((line) => /^Cluster: +staging \(66666666-/.test(line)),
        one.out.join("\n")
      )
    })
  )

  it.effect("of follow says it from the first event of a second cluster on, below titles of its own", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.parse(AT))
      const { layer, service } = yield* memory()
      yield* service.write([inCluster(1, production)])
      const following = yield* Effect.forkChild(run(layer, ["follow"]))
      const printed = Effect.map(TestConsole.logLines, (texts) => texts.flatMap((text) => String(text).split("\n")))
      const count = (lines: number) =>
        eventually(
          `${lines} lines`,
          Effect.andThen(
            TestClock.adjust("1 second"),
            Effect.map(printed, ({ length }) => length >= lines)
          )
        )
      yield* count(2)
      yield* service.write([inCluster(2, staging)])
      yield* count(4)
      yield* service.write([inCluster(3, production)])
      yield* count(5)
      yield* Fiber.interrupt(following)
      const lines = yield* printed
      assert.deepStrictEqual(
        cells(lines).map(([first]) => first),
        ["NAMESPACE", "default", "CLUSTER", "staging", "production"]
      )
    })
  )

  it.effect("of story and top keeps objects of the same name in two clusters apart", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.parse(AT) + 60_000)
      const { layer } = yield* filled
      assert.deepStrictEqual(
        cells((yield* run(layer, ["story"])).out).map(([cluster, state]) => [cluster, state]),
        [
          ["CLUSTER", "STATE"],
          ["production", "failing"],
          ["", "normal"],
          ["staging", "normal"]
        ]
      )
      const top = yield* run(layer, ["top", "--by", "object", "-o", "json"])
      const { groups } = JSON.parse(top.out.join("\n"))
      assert.sameMembers(
        groups.map(({ cluster }: { readonly cluster?: string }) => cluster),
        ["production", "staging", undefined]
      )
      const by = yield* run(layer, ["top", "--by", "cluster"])
      assert.isTrue(by.out.some((line) => line.includes("production")))
    })
  )
})
