import * as Backend from "@tidings/core/Backend"
import { BackendError, Full, TargetMismatch } from "@tidings/core/BackendError"
import * as Recorder from "@tidings/core/Recorder"
import * as RecorderMetrics from "@tidings/core/RecorderMetrics"
import * as Templates from "@tidings/core/Templates"
import * as Transform from "@tidings/core/Transform"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { type Answer, created, refused, retry, scripted, unknown } from "./support/scripted.ts"
import { settle } from "./support/writes.ts"

const draft: Recorder.EventDraft = { involvedObject: { kind: "Pod", name: "web" }, reason: "Up", message: "m" }
const full = new BackendError({ reason: new Full({ detail: "the disk is full" }) })

const over = (answer: Answer, options?: Recorder.RecorderOptions) => {
  const { calls, layer } = scripted(answer)
  return { calls, layer: Recorder.layerDirect(options).pipe(Layer.provide(Layer.merge(Templates.layer, layer))) }
}

describe("record, after a write that may have been applied", () => {
  it.effect("retries with the same id after any failure, because the outcome of the first write is unknown", () => {
    const { calls, layer } = over((_, call) => {
      if (call === 1) return Effect.fail(unknown)
      if (call === 2) return Effect.fail(refused)
      if (call === 3) return Effect.succeed([retry(full)])
      return Effect.succeed([Backend.present])
    })
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const fiber = yield* Effect.forkChild(recorder.recordSettled(draft), { startImmediately: true })
      for (let minute = 0; minute < 5; minute++) yield* Effect.andThen(TestClock.adjust("1 minute"), settle)
      assert.deepInclude(yield* Fiber.join(fiber), { sinks: { default: { _tag: "Settled", how: "present" } } })
      assert.deepStrictEqual(
        calls.map((batch) => batch[0]!.id.seq),
        [1, 1, 1, 1]
      )
      const status = yield* recorder.status
      assert.deepInclude(status, { accepted: 1, refused: {} })
    }).pipe(Effect.provide(layer))
  })

  it.effect("fails with Unknown when the recorder is closed", () => {
    const { calls, layer } = over((_, call) => Effect.fail(call === 1 ? unknown : refused), {
      drainTimeout: "1 second"
    })
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const recorder = Context.get(yield* Layer.buildWithScope(layer, scope), Recorder.Recorder)
      const fiber = yield* Effect.forkChild(Effect.flip(recorder.record(draft)), { startImmediately: true })
      for (let turn = 0; turn < 10; turn++) yield* Effect.andThen(TestClock.adjust("10 seconds"), settle)
      assert.strictEqual(fiber.pollUnsafe(), undefined)
      assert.isAbove(calls.length, 3)
      const tries = calls.length
      yield* Scope.close(scope, Exit.void)
      // Without any time passing: a host that shuts down is not kept.
      const error = yield* Fiber.join(fiber)
      assert.match(error.message, /it is unknown whether the event was recorded: the recorder was closed/)
      assert.isAtMost(calls.length, tries + 1)
      assert.deepStrictEqual((yield* recorder.status).refused, { unknown: 1 })
    })
  })

  it.effect("fails with Unknown, without a retry, when another store answers", () => {
    const reason = new TargetMismatch({ expected: "uid-1", found: "uid-2", detail: "it was replaced" })
    const replaced = new BackendError({ reason })
    const { calls, layer } = over((_, call) => Effect.fail(call === 1 ? unknown : replaced))
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const fiber = yield* Effect.forkChild(Effect.flip(recorder.record(draft)), { startImmediately: true })
      for (let turn = 0; turn < 3; turn++) yield* Effect.andThen(TestClock.adjust("1 minute"), settle)
      assert.match((yield* Fiber.join(fiber)).message, /it is unknown whether .*uid-2 instead of uid-1/)
      assert.lengthOf(calls, 2)
      // What was never sent anywhere is refused as that.
      const error = yield* Effect.flip(recorder.record(draft))
      assert.match(error.message, /uid-2 instead of uid-1/)
      assert.notMatch(error.message, /unknown/)
      const status = yield* recorder.status
      assert.deepInclude(status, { accepted: 0, refused: { unknown: 1, failed: 1 } })
      assert.strictEqual(status.sinks["default"]?.state, "blocked")
    }).pipe(Effect.provide(layer))
  })

  it.effect("retries also where the backend throws", () => {
    const { calls, layer } = over((batch, call) => {
      if (call < 3) throw new Error("a bug")
      return Effect.succeed(created(batch))
    })
    const throwing = Layer.effect(
      Backend.Backend,
      Effect.map(Effect.provide(Backend.Backend, Backend.layerMemory()), (memory) => {
        let call = 0
        return {
          ...memory,
          write: (batch: Parameters<typeof memory.write>[0]) => {
            if (call++ < 2) throw new Error("a bug")
            return memory.write(batch)
          }
        }
      })
    )
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const fiber = yield* Effect.forkChild(recorder.record(draft), { startImmediately: true })
      for (let turn = 0; turn < 3; turn++) yield* Effect.andThen(TestClock.adjust("1 minute"), settle)
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Accepted")
      assert.strictEqual(calls.length, 3)
      const context = yield* Layer.build(
        Recorder.layerDirect().pipe(Layer.provideMerge(throwing), Layer.provide(Templates.layer))
      )
      const other = yield* Effect.forkChild(Context.get(context, Recorder.Recorder).record(draft), {
        startImmediately: true
      })
      for (let turn = 0; turn < 3; turn++) yield* Effect.andThen(TestClock.adjust("1 minute"), settle)
      assert.strictEqual((yield* Fiber.join(other))._tag, "Accepted")
      assert.strictEqual((yield* Context.get(context, Backend.Backend).query({})).totalCount, 1)
    }).pipe(Effect.provide(layer))
  })
})

describe("the status of a recorder", () => {
  it.effect("has a bounded number of labels, and counts everything", () => {
    const { layer } = over((batch) =>
      Effect.succeed(batch.map(({ id }) => ({ _tag: "Dropped", reason: `drop ${id.seq}` })))
    )
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      for (let n = 0; n < 200; n++) yield* recorder.record(draft)
      const status = yield* recorder.status
      const dropped = status.sinks["default"]!.dropped
      assert.strictEqual(
        Object.values(dropped).reduce((sum, n) => sum + n, 0),
        200
      )
      assert.isAtMost(Object.keys(dropped).length, 65)
      assert.strictEqual(dropped["drop 1"], 1)
      const value = (reason: string) =>
        Effect.map(
          Metric.value(Metric.withAttributes(RecorderMetrics.dropped, { sink: "default", reason })),
          ({ count }) => count
        )
      assert.strictEqual(yield* value("drop 1"), 1)
      assert.strictEqual(yield* value("other"), dropped["other"])
      assert.strictEqual(yield* value("drop 199"), 0)
    }).pipe(Effect.provide(layer), Effect.provideService(Metric.MetricRegistry, new Map()))
  })

  it.effect("counts under any name that a host chooses", () => {
    const name = "__proto__"
    const { layer } = over((batch) => Effect.succeed(created(batch)), {
      transforms: [Transform.filter(name, () => false)]
    })
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      assert.deepStrictEqual(yield* recorder.record(draft), { _tag: "Filtered", by: name })
      yield* recorder.recordNow(draft)
      assert.deepStrictEqual(Object.entries((yield* recorder.status).filtered), [[name, 2]])
    }).pipe(Effect.provide(layer))
  })
})
