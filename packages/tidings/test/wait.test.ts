// wait: until an event comes
import * as Backend from "@tidings/core/Backend"
import * as Timestamp from "@tidings/core/Timestamp"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { TestClock, TestConsole } from "effect/testing"
import { eventually, memory, moment, run, write } from "./harness.ts"

const start = Timestamp.parse("2026-08-22T10:30:00.5Z")!

const begun = Effect.gen(function* () {
  yield* TestClock.setTime(start / 1_000)
  const { service } = yield* memory()
  yield* service.write([write(1, { at: "2026-08-22T10:29:00Z", reason: "NightlyRan" })])
  let isWatched = false
  const watched: Backend.Service = {
    ...service,
    watch: (filter, from) =>
      Stream.tap(service.watch(filter, from), ({ _tag }) => Effect.sync(() => void (isWatched ||= _tag === "Live")))
  }
  /** Lets the command go on until it waits for something. */
  const settle = Effect.gen(function* () {
    yield* eventually(
      "a watch",
      Effect.sync(() => isWatched)
    )
    for (let turn = 0; turn < 20; turn++) yield* moment
  })
  const rewatched = Effect.sync(() => void (isWatched = false))
  return { service, layer: Layer.succeed(Backend.Backend, watched), settle, rewatched }
})

describe("wait", () => {
  it.effect("exits with 0 when the event comes, and prints it", () =>
    Effect.gen(function* () {
      const { layer, service, settle } = yield* begun
      const fiber = yield* Effect.forkChild(
        run(layer, ["wait", "Workflow/deploy", "--reason", "NightlyRan", "-o", "ndjson"])
      )
      yield* settle
      yield* service.write([
        write(2, { at: "2026-08-22T10:30:10Z", name: "other", reason: "NightlyRan" }),
        write(3, { at: "2026-08-22T10:30:11Z", reason: "Another" })
      ])
      yield* settle
      assert.isUndefined(fiber.pollUnsafe())
      yield* service.write([write(4, { at: "2026-08-22T10:30:12Z", reason: "NightlyRan" })])
      const { code, err, out } = yield* Fiber.join(fiber)
      assert.deepStrictEqual([code, err.join("")], [0, ""])
      assert.strictEqual(JSON.parse(out.join("\n")).upTo, 4)
    })
  )

  it.effect("exits with 0 for a repeat of what happened before", () =>
    Effect.gen(function* () {
      const { layer, service, settle } = yield* begun
      const fiber = yield* Effect.forkChild(run(layer, ["wait", "--reason", "NightlyRan"]))
      yield* settle
      yield* service.write([
        write(1, {
          at: "2026-08-22T10:31:00Z",
          first: "2026-08-22T10:29:00Z",
          count: 2,
          upTo: 2,
          reason: "NightlyRan"
        })
      ])
      const { code, out } = yield* Fiber.join(fiber)
      assert.strictEqual(code, 0)
      assert.match(out[1]!, /NightlyRan {2}Workflow\/deploy {2}message 1$/)
    })
  )

  it.effect("takes an event of the second of the start for a new one only where its store keeps whole seconds", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* begun
      const look = run(layer, ["wait", "Workflow/deploy", "--reason", "NightlyRan", "--timeout", "0s"])
      yield* service.write([write(2, { at: "2026-08-22T10:30:00.25Z", reason: "NightlyRan" })])
      assert.strictEqual((yield* look).code, 124)
      yield* service.write([write(3, { at: "2026-08-22T10:30:00Z", name: "web", reason: "NightlyRan" })])
      const { code } = yield* run(layer, ["wait", "Workflow/web", "--reason", "NightlyRan", "--timeout", "0s"])
      assert.strictEqual(code, 0)
    })
  )

  it.effect("exits with 124 when the time is over, whatever else comes", () =>
    Effect.gen(function* () {
      const { layer, service, settle } = yield* begun
      const fiber = yield* Effect.forkChild(run(layer, ["wait", "Workflow/deploy", "--timeout", "1m30s"]))
      yield* settle
      yield* TestClock.adjust("89 seconds")
      yield* service.write([write(2, { at: "2026-08-22T10:31:00Z", name: "other" })])
      yield* settle
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      const ran = yield* Fiber.join(fiber)
      assert.deepStrictEqual(ran, { code: 124, out: [], err: ["error: no such event came within 1m30s"] })
    })
  )

  it.effect("waits for five minutes unless told otherwise, and without end with none", () =>
    Effect.gen(function* () {
      const { layer, rewatched, settle } = yield* begun
      const usual = yield* Effect.forkChild(run(layer, ["wait", "Workflow/deploy"]))
      yield* settle
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual((yield* Fiber.join(usual)).code, 124)
      yield* rewatched
      const endless = yield* Effect.forkChild(run(layer, ["wait", "Workflow/deploy", "--timeout", "none"]))
      yield* settle
      yield* TestClock.adjust("10 days")
      assert.isUndefined(endless.pollUnsafe())
      yield* Fiber.interrupt(endless)
    })
  )

  it.effect("takes what is there already with --since, and what came in the second of the start", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* begun
      const since = yield* run(layer, ["wait", "--reason", "nightlyran", "--since", "2m", "-o", "json"])
      assert.deepStrictEqual([since.code, JSON.parse(since.out.join("\n")).upTo], [0, 1])
      // Clusters keep whole seconds.
      yield* service.write([write(2, { at: "2026-08-22T10:30:00Z", reason: "NightlyRan" })])
      const now = yield* run(layer, ["wait", "--reason", "NightlyRan", "-o", "json"])
      assert.deepStrictEqual([now.code, JSON.parse(now.out.join("\n")).upTo], [0, 2])
    })
  )

  it.effect("takes what comes from a clock that is a little behind, and not what is older", () =>
    Effect.gen(function* () {
      const { layer, service, settle } = yield* begun
      const fiber = yield* Effect.forkChild(run(layer, ["wait", "--reason", "NightlyRan", "-o", "ndjson"]))
      yield* settle
      yield* service.write([write(2, { at: "2026-08-22T10:29:30Z", reason: "NightlyRan" })])
      yield* settle
      assert.isUndefined(fiber.pollUnsafe())
      yield* service.write([write(3, { at: "2026-08-22T10:29:55Z", reason: "NightlyRan" })])
      assert.strictEqual(JSON.parse((yield* Fiber.join(fiber)).out.join("")).upTo, 3)
    })
  )

  it.effect("only looks with a timeout of 0s", () =>
    Effect.gen(function* () {
      const { layer } = yield* begun
      const { code, err } = yield* run(layer, ["wait", "Workflow/deploy", "--timeout", "0s"])
      assert.strictEqual(code, 124)
      assert.deepStrictEqual(err, [
        "error: there is no such event since the start",
        "what was last seen before the start counts only with --since"
      ])
      assert.strictEqual((yield* run(layer, ["wait", "Workflow/deploy", "--timeout", "0", "--since", "1h"])).code, 0)
    })
  )

  it.effect("goes on with what is meant, also where another value is found to be spelled otherwise after that", () =>
    Effect.gen(function* () {
      const { service } = yield* begun
      const reasons: Array<unknown> = []
      const late = service.write([write(2, { at: "2026-08-22T10:29:30Z", reason: "Newcomer" })])
      const watched: Backend.Service = {
        ...service,
        watch: (filter, from) => {
          reasons.push(filter.reason)
          const watch = service.watch(filter, from)
          return reasons.length === 2 ? Stream.unwrap(Effect.as(late, watch)) : watch
        }
      }
      const fiber = yield* Effect.forkChild(
        run(Layer.succeed(Backend.Backend, watched), ["wait", "--reason", "nightlyran,newcomer"])
      )
      yield* eventually(
        "a third watch",
        Effect.sync(() => reasons.length === 3 || fiber.pollUnsafe() !== undefined)
      )
      for (let turn = 0; turn < 20; turn++) yield* moment
      yield* service.write([write(3, { at: "2026-08-22T10:30:10Z", reason: "Newcomer" })])
      const { code, err } = yield* Fiber.join(fiber)
      assert.deepStrictEqual([code, err], [0, []])
      assert.deepStrictEqual(reasons, [
        ["nightlyran", "newcomer"],
        ["NightlyRan", "newcomer"],
        ["NightlyRan", "Newcomer"]
      ])
    })
  )

  it.effect.each([
    [["--reason", "rolloutstarted"]],
    [["rollouts/web"]],
    [["rollout"]],
    [["Rollout/WEB", "--reason", "rolloutStarted"]],
    [["--type", "warnings"]]
  ] as const)("takes %j for what is first recorded, otherwise spelled, while it waits", ([argv]) =>
    Effect.gen(function* () {
      const { layer, service, settle } = yield* begun
      const fiber = yield* Effect.forkChild(run(layer, ["wait", ...argv, "-o", "ndjson"]))
      yield* settle
      yield* service.write([write(2, { at: "2026-08-22T10:31:00Z", reason: "Other" })])
      yield* settle
      assert.isUndefined(fiber.pollUnsafe())
      yield* service.write([
        write(3, {
          at: "2026-08-22T10:31:00Z",
          kind: "Rollout",
          name: "web",
          reason: "RolloutStarted",
          type: "Warning"
        })
      ])
      const { code, out } = yield* Fiber.join(fiber)
      assert.deepStrictEqual([code, (JSON.parse(out[0]!) as { reason: string }).reason], [0, "RolloutStarted"])
    })
  )

  it.effect("says what is near to a reason that there is not, and waits", () =>
    Effect.gen(function* () {
      const { layer, service, settle } = yield* begun
      const fiber = yield* Effect.forkChild(run(layer, ["wait", "--reason", "NightlyRn", "--grep", "done"]))
      const said = Effect.map(TestConsole.errorLines, (lines) => lines.map(String))
      yield* eventually(
        "a hint",
        Effect.map(said, ({ length }) => length > 0)
      )
      assert.deepStrictEqual(yield* said, ["no reason NightlyRn here; NightlyRan has 1 event"])
      yield* service.write([write(2, { at: "2026-08-22T10:31:00Z", reason: "NightlyRn" })])
      yield* settle
      assert.isUndefined(fiber.pollUnsafe())
      yield* service.write([write(3, { at: "2026-08-22T10:31:00Z", reason: "NightlyRn", message: "it is done" })])
      assert.strictEqual((yield* Fiber.join(fiber)).code, 0)
    })
  )

  it.effect.each([
    [["wait"], "error: say what to wait for: KIND/NAME, --reason, --type or another filter"],
    [
      ["wait", "Workflow/a", "--timeout", "5"],
      `error: --timeout is "5", expected a duration such as 5m or 1h30m, or none`
    ],
    [
      ["wait", "Workflow/a", "--timeout", "9999999h"],
      `error: --timeout is "9999999h", expected a duration up to 2562047h (292 years), or none`
    ],
    [
      ["wait", "Workflow/a", "--timeout=-5m"],
      `error: --timeout is "-5m", expected a duration such as 5m or 1h30m, or none`
    ]
  ] as const)("refuses %j", ([argv, expected]) =>
    Effect.gen(function* () {
      const { layer } = yield* begun
      const { code, err } = yield* run(layer, argv)
      assert.deepStrictEqual([code, err[0]], [2, expected])
    })
  )
})
