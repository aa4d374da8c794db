// top: what happens most
import * as Timestamp from "@tidings/core/Timestamp"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock, TestConsole } from "effect/testing"
import * as yaml from "yaml"
import * as sparkline from "../src/internal/cli/sparkline.ts"
import { memory, run, write } from "./harness.ts"

const now = Timestamp.parse("2026-08-22T10:30:00Z")!

const busy = Effect.gen(function* () {
  yield* TestClock.setTime(now / 1_000)
  const backend = yield* memory()
  yield* backend.service.write([
    write(1, {
      at: "2026-08-22T10:29:00Z",
      first: "2026-08-22T09:30:00Z",
      count: 100,
      upTo: 100,
      type: "Warning",
      reason: "BackOff",
      kind: "Pod",
      name: "web",
      source: "kubelet"
    }),
    write(2, { at: "2026-08-22T10:30:00Z", type: "Warning", reason: "BackOff", kind: "Pod", name: "api" }),
    write(3, { at: "2026-08-22T10:00:00Z", reason: "Scaled", kind: "Deployment", name: "web", namespace: "team-a" }),
    write(4, { at: "2026-08-22T10:10:00Z", reason: "Scaled", kind: "Deployment", name: "web", namespace: "team-a" }),
    write(5, { at: "2026-08-22T08:30:00Z", reason: "BackOff", kind: "Pod", name: "web" })
  ])
  return backend
})

describe("top", () => {
  it.effect("counts by reason and type, with the course over time", () =>
    Effect.gen(function* () {
      const { layer } = yield* busy
      assert.deepStrictEqual(yield* run(layer, ["top"], { columns: 80 }), {
        code: 0,
        out: [
          "COUNT  TYPE     OBJECTS  LAST SEEN  REASON   OVER 120m",
          "101    Warning  2        0s         BackOff         ▁████████",
          "2      Normal   1        20m        Scaled               ██",
          "1      Normal   1        120m       BackOff  █"
        ],
        err: []
      })
    })
  )

  it.effect("counts by object, kind, source, namespace and type", () =>
    Effect.gen(function* () {
      const { layer } = yield* busy
      const by = (what: string) =>
        Effect.map(run(layer, ["top", "--by", what], { columns: 80 }), ({ out }) =>
          out.slice(1).map((line) => line.split(/ {2,}/).slice(0, what === "object" ? 4 : 5))
        )
      assert.deepStrictEqual(yield* by("object"), [
        ["101", "100", "60s", "Pod/web"],
        ["2", "0", "20m", "Deployment/web"],
        ["1", "1", "0s", "Pod/api"]
      ])
      assert.deepStrictEqual(yield* by("kind"), [
        ["102", "101", "2", "0s", "Pod"],
        ["2", "0", "1", "20m", "Deployment"]
      ])
      assert.deepStrictEqual(yield* by("source"), [
        ["100", "100", "1", "60s", "kubelet"],
        ["4", "1", "3", "0s", "test"]
      ])
      assert.deepStrictEqual(yield* by("namespace"), [
        ["102", "101", "2", "0s", "default"],
        ["2", "0", "1", "20m", "team-a"]
      ])
      assert.deepStrictEqual(yield* by("type"), [
        ["101", "101", "2", "0s", "Warning"],
        ["3", "0", "2", "20m", "Normal"]
      ])
    })
  )

  it.effect("counts what a filter and a window leave, and shows as many rows as --limit says", () =>
    Effect.gen(function* () {
      const { layer } = yield* busy
      const recent = yield* run(layer, ["top", "--since", "1h", "--limit", "1"])
      assert.strictEqual(recent.out.length, 2)
      assert.match(recent.out[0]!, /OVER 60m$/)
      assert.deepStrictEqual(recent.err, ["1 of 2 reasons, the most frequent; show all with --limit all"])
      const filtered = yield* run(layer, ["top", "deploy/web", "--grep", "message 4", "-o", "json"])
      assert.deepStrictEqual(filtered.err, ["looked through 2 events, 1 matches"])
      const { course, ...group } = JSON.parse(filtered.out.join("\n")).groups[0]
      assert.deepStrictEqual(group, {
        reason: "Scaled",
        type: "Normal",
        count: 1,
        warnings: 0,
        events: 1,
        objects: 1,
        firstSeen: "2026-08-22T10:10:00.000000Z",
        lastSeen: "2026-08-22T10:10:00.000000Z"
      })
      assert.strictEqual(course.length, 32)
    })
  )

  it.effect("prints one document with -o json, the same with -o yaml", () =>
    Effect.gen(function* () {
      const { layer } = yield* busy
      const document = JSON.parse((yield* run(layer, ["top", "--by", "kind", "-o", "json"])).out.join("\n"))
      assert.deepStrictEqual(
        [document.by, document.since, document.until, document.count, document.events, document.groupCount],
        ["kind", "2026-08-22T08:30:00.000000Z", "2026-08-22T10:30:00.000000Z", 104, 5, 2]
      )
      const asYaml = yaml.parse((yield* run(layer, ["top", "--by", "kind", "-o", "yaml"])).out.join("\n"))
      assert.deepStrictEqual(asYaml, document)
    })
  )

  it.effect("says where there is nothing, and what is near", () =>
    Effect.gen(function* () {
      const { layer } = yield* busy
      assert.deepStrictEqual(yield* run(layer, ["top", "--since", "1s", "--type", "Normal"]), {
        code: 0,
        out: [],
        err: ["no events match"]
      })
      assert.deepStrictEqual((yield* run(layer, ["top", "--reason", "BackOf"])).err, [
        "no reason BackOf here; BackOff has 3 events"
      ])
    })
  )

  it.effect("goes on with --watch, and counts repeats once", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* busy
      const fiber = yield* Effect.forkChild(run(layer, ["top", "--watch", "--by", "kind", "-o", "json"]))
      const shown = Effect.map(TestConsole.logLines, (lines) =>
        lines.map((line) =>
          JSON.parse(String(line)).groups.map((group: any) => [group.kind, group.count, group.events])
        )
      )
      const until = (count: number) =>
        Effect.gen(function* () {
          while ((yield* shown).length < count) {
            yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
            yield* TestClock.adjust("1 second")
          }
        })
      yield* until(1)
      yield* service.write([
        write(4, { at: "2026-08-22T10:31:00Z", count: 5, upTo: 9, kind: "Deployment", name: "web", reason: "Scaled" }),
        write(20, { at: "2026-08-22T10:31:00Z", kind: "Deployment", name: "web" })
      ])
      yield* until(2)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual((yield* shown).at(-1), [
        ["Pod", 102, 3],
        ["Deployment", 7, 3]
      ])
    })
  )

  it.effect.each([
    [["top", "--by", "colour"], /--by is "colour", expected one of reason, object, kind, source, namespace, type/],
    [["top", "--watch", "--until", "now"], /--watch goes on with what happens, and --until ends before: leave one out/],
    [["top", "-w", "-o", "yaml"], /--watch prints tables, or lines with -o json/]
  ] as const)("refuses %j", ([argv, expected]) =>
    Effect.gen(function* () {
      const { layer } = yield* busy
      const { code, err } = yield* run(layer, argv)
      assert.strictEqual(code, 2)
      assert.match(err[0]!, expected)
    })
  )
})

describe("a course over time", () => {
  it("keeps what was counted, however long it gets", () => {
    const scale = sparkline.scale(undefined)
    const course = sparkline.course(scale)
    for (let day = 0; day < 400; day++) sparkline.add(course, day * 86_400_000_000, day * 86_400_000_000, 1)
    sparkline.add(course, 0, 399 * 86_400_000_000, 1_000)
    const sums = sparkline.sample(course, 0, 400 * 86_400_000_000, 4)
    for (const sum of sums) assert.closeTo(sum, 350, 5)
    assert.isAtMost(course.counts.size, 258)
  })

  it("has the share of a series that lies in the window", () => {
    const course = sparkline.course(sparkline.scale(50_000_000))
    sparkline.add(course, 0, 100_000_000, 200)
    const [first, second] = sparkline.sample(course, 50_000_000, 100_000_001, 2)
    assert.closeTo(first!, 50, 2)
    assert.closeTo(second!, 50, 2)
  })
})
