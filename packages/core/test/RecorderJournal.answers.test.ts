import { assert, describe, it } from "@effect/vitest"
import type * as Backend from "@tidings/core/Backend"
import { BackendError, Unauthorized } from "@tidings/core/BackendError"
import * as EventManager from "@tidings/core/EventManager"
import type * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Target from "@tidings/core/Target"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import {
  always,
  assertLaw,
  direct,
  draft,
  durable,
  memoryJournal,
  never,
  scripted,
  settle,
  start,
  statusOf
} from "./support/journalRecorder.ts"

/** A journal whose disk answers when it is let: what is appended is there when it answers. */
const slowJournal = Effect.gen(function* () {
  const inner = durable(yield* memoryJournal())
  const disk = Deferred.makeUnsafe<void>()
  const journal: Journal.Journal["Service"] = {
    ...inner,
    append: (batch) => Effect.uninterruptible(Effect.andThen(Deferred.await(disk), inner.append(batch)))
  }
  return { journal, answer: Deferred.succeed(disk, undefined), head: inner.head }
})

const begin = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.forkDetach(Effect.result(effect), { startImmediately: true })

describe("a recorder that closes while the journal stores an event", () => {
  it.effect("accepts the event when the disk answers in time", () =>
    Effect.gen(function* () {
      const { answer, head, journal } = yield* slowJournal
      const { backend } = yield* scripted(always)
      const { close, recorder } = yield* start({ backend, journal, recorder: { drainTimeout: 0 } })
      const call = yield* begin(recorder.record(draft("a")))
      const late = yield* begin(recorder.record(draft("b")))
      const closing = yield* Effect.forkDetach(close, { startImmediately: true })
      yield* TestClock.adjust("500 millis")
      yield* answer
      yield* settle
      yield* Fiber.join(closing)
      assert.deepInclude(yield* Fiber.join(call), { _tag: "Success" })
      // What had not begun is certainly not there.
      const refused = yield* Fiber.join(late)
      assert.isTrue(refused._tag === "Failure" && refused.failure._tag === "RecorderError")
      assert.strictEqual(yield* head, 1)
      const status = yield* recorder.status
      assert.deepInclude(status, { accepted: 1, refused: { closed: 1 } })
      assertLaw(status)
    })
  )

  it.effect(
    "fails with Unknown when the disk does not answer, and says that the next start may deliver the event",
    () =>
      Effect.gen(function* () {
        const { answer, head, journal } = yield* slowJournal
        const { backend } = yield* scripted(always)
        const { close, recorder } = yield* start({ backend, journal, recorder: { drainTimeout: "2 seconds" } })
        const call = yield* begin(recorder.record(draft("a")))
        const closing = yield* Effect.forkDetach(close, { startImmediately: true })
        yield* TestClock.adjust("4 seconds")
        const result = yield* Fiber.join(call)
        assert.isTrue(result._tag === "Failure" && result.failure._tag === "RecorderError")
        const { message, reason } = (result as { readonly failure: Recorder.RecorderError }).failure
        assert.strictEqual(reason._tag, "Unknown")
        assert.match(message, /the next start delivers the event/)
        yield* Fiber.join(closing)
        const status = yield* recorder.status
        assert.deepInclude(status, { accepted: 0, refused: { unknown: 1 } })
        assertLaw(status)
        // The disk answers after all.
        yield* answer
        yield* settle
        assert.strictEqual(yield* head, 1)
        assert.deepInclude(yield* recorder.status, { accepted: 0, refused: { unknown: 1 } })
      })
  )
})

describe("flush", () => {
  it.effect("waits for events that were begun before it and are not accepted yet", () =>
    Effect.gen(function* () {
      const { answer, journal } = yield* slowJournal
      const { backend, calls } = yield* scripted(always)
      const { recorder } = yield* start({ backend, journal })
      for (let n = 0; n < 3; n++) yield* recorder.recordNow(draft(`now-${n}`))
      const call = yield* begin(recorder.record(draft("waiting")))
      assert.deepStrictEqual(yield* recorder.flush(0), { complete: false, waiting: 4, pending: { first: 0 } })
      const flushing = yield* begin(recorder.flush("1 minute"))
      yield* TestClock.adjust("1 second")
      assert.isUndefined(flushing.pollUnsafe())
      yield* answer
      yield* settle
      const report = yield* Fiber.join(flushing)
      assert.deepInclude(report, { success: { complete: true, waiting: 0, pending: { first: 0 } } })
      assert.strictEqual(calls.flatMap(({ batch }) => batch).length, 4)
      yield* Fiber.join(call)
    })
  )

  it.effect("does not wait for events that are begun after it", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(always)
      const { recorder } = yield* start({ backend })
      yield* recorder.record(draft("a"))
      const flushing = yield* begin(recorder.flush("1 minute"))
      yield* Effect.forkChild(Effect.forever(Effect.andThen(Effect.sleep("1 millis"), recorder.record(draft("b")))))
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Fiber.join(flushing), { _tag: "Success" })
    })
  )

  it.effect("refuses an invalid deadline, and accepts zero and Infinity", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(always)
      const { recorder } = yield* start({ backend })
      const meaningless: ReadonlyArray<unknown> = [
        -1,
        Number.NaN,
        "-1 second",
        Duration.negativeInfinity,
        "soon",
        {},
        null,
        undefined,
        -1n
      ]
      for (const deadline of meaningless) {
        const error = yield* Effect.flip(recorder.flush(deadline as Duration.Input))
        assert.strictEqual(error._tag, "InvalidTimeout")
        assert.match(error.message, /^deadline is .*, expected a duration from 0 on/)
        if (deadline === undefined || deadline === null) continue
        const options = { timeout: deadline as Duration.Input }
        assert.strictEqual((yield* Effect.flip(recorder.recordSettled(draft("a"), options)))._tag, "InvalidTimeout")
      }
      for (const deadline of [0, Number.POSITIVE_INFINITY, "Infinity", Duration.infinity] as const) {
        assert.isTrue((yield* recorder.flush(deadline)).complete)
      }
    })
  )
})

describe("recordSettled", () => {
  const elsewhere = (backend: Backend.Service): Backend.Service => ({
    ...backend,
    target: Effect.succeed(Target.make("another"))
  })

  for (const [kind, expected] of [
    ["durable", { _tag: "Kept" }],
    ["memory", { _tag: "Dropped", reason: "halted" }]
  ] as const) {
    it.effect(`resolves for a sink that is halted, with a journal that is ${kind}`, () =>
      Effect.gen(function* () {
        const inner = yield* memoryJournal()
        const journal = kind === "durable" ? durable(inner) : inner
        yield* inner.restore("first")
        yield* inner.checkpoint("first", { upTo: 0, state: null, target: "cluster" })
        const { backend } = yield* scripted(always)
        const { recorder } = yield* start({ backend: elsewhere(backend), journal })
        const before = yield* begin(recorder.recordSettled(draft("before")))
        yield* settle
        assert.strictEqual((yield* statusOf(recorder)).state, "blocked")
        const after = yield* recorder.recordSettled(draft("after"))
        assert.deepInclude(yield* Fiber.join(before), { _tag: "Success" })
        assert.deepStrictEqual(after._tag === "Accepted" ? after.sinks["first"] : undefined, expected)
        assertLaw(yield* recorder.status)
      })
    )
  }

  it.effect("resolves with Pending at a blocked sink after the timeout of the caller, and the sink goes on", () =>
    Effect.gen(function* () {
      let allowed = false
      const { backend } = yield* scripted((batch, call) =>
        allowed
          ? always(batch, call)
          : Effect.fail(new BackendError({ reason: new Unauthorized({ detail: "no rights" }) }))
      )
      const { recorder } = yield* start({ backend })
      const call = yield* begin(recorder.recordSettled(draft("a"), { timeout: "5 seconds" }))
      yield* TestClock.adjust("5 seconds")
      const result = yield* Fiber.join(call)
      assert.isTrue(result._tag === "Success" && result.success._tag === "Accepted")
      const sinks = (result as { readonly success: { readonly sinks: unknown } }).success.sinks
      assert.deepStrictEqual(sinks, { first: { _tag: "Pending" } })
      allowed = true
      yield* TestClock.adjust("10 minutes")
      assert.deepInclude(yield* statusOf(recorder), { settled: 1, pending: 0 })
    })
  )
})

describe("many fibers that record without a pause", () => {
  /** How many events are recorded until a task of the host's event loop has its turn. */
  const until = (record: Effect.Effect<unknown, unknown>, fibers: number): Effect.Effect<number> =>
    Effect.gen(function* () {
      let recorded = 0
      let hadItsTurn = false
      const forEver = Effect.gen(function* () {
        while (true) {
          yield* Effect.orDie(record)
          recorded++
        }
      })
      const running = yield* Effect.forEach(Array.from({ length: fibers }), () =>
        Effect.forkDetach(forEver, { startImmediately: true })
      )
      yield* Effect.promise(
        () =>
          new Promise<void>((done) =>
            setTimeout(() => {
              hadItsTurn = true
              done()
            }, 0)
          )
      )
      const seen = recorded
      assert.isTrue(hadItsTurn)
      yield* Fiber.interruptAll(running)
      return seen
    })

  const MOST = 2_000

  for (const durability of ["memory", "process"] as const) {
    it.effect(`do not block the event loop, and delivery goes on, with a journal that is ${durability}`, () =>
      Effect.gen(function* () {
        const inner = yield* memoryJournal({ capacity: 10_000_000 })
        const { backend } = yield* scripted(always)
        const { recorder } = yield* start({ backend, journal: { ...inner, durability } })
        for (let turn = 0; turn < 5; turn++) {
          assert.isBelow(yield* until(recorder.record(draft("a")), 64), MOST)
        }
        yield* settle
        assert.isAbove((yield* statusOf(recorder)).settled, 0)
      })
    )
  }

  it.effect("do not block the event loop with a recorder without a journal", () =>
    Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      for (let turn = 0; turn < 5; turn++) assert.isBelow(yield* until(recorder.record(draft("a")), 64), MOST)
    }).pipe(Effect.provide(EventManager.layerMemory()))
  )
})

describe("a recorder without a journal that closes during a write", () => {
  it.effect("returns the outcome of the backend when it answers in time", () =>
    Effect.gen(function* () {
      const answered = Deferred.makeUnsafe<void>()
      const { backend } = yield* scripted((batch, call) =>
        Effect.andThen(Deferred.await(answered), always(batch, call))
      )
      const { close, recorder } = yield* direct(backend)
      const call = yield* begin(recorder.record(draft("a")))
      const closing = yield* Effect.forkDetach(close, { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      assert.isUndefined(closing.pollUnsafe())
      yield* Deferred.succeed(answered, undefined)
      yield* settle
      assert.deepInclude(yield* Fiber.join(call), { _tag: "Success" })
      yield* Fiber.join(closing)
    })
  )

  it.effect("waits in flush for calls that have no answer yet", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(never)
      const { recorder } = yield* direct(backend)
      yield* begin(recorder.record(draft("a")))
      assert.deepStrictEqual(yield* recorder.flush(0), { complete: false, waiting: 1, pending: { default: 0 } })
    })
  )

  it.effect("fails with Unknown when the backend does not answer within the timeout of recordSettled", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(never)
      const { recorder } = yield* direct(backend)
      const call = yield* begin(recorder.recordSettled(draft("a"), { timeout: "3 seconds" }))
      yield* TestClock.adjust("3 seconds")
      const result = yield* Fiber.join(call)
      assert.isTrue(result._tag === "Failure" && result.failure._tag === "RecorderError")
      assert.match((result as { readonly failure: Error }).failure.message, /it is unknown .* its write continues/)
    })
  )
})

describe("the log at the end of a recorder", () => {
  it.effect("has no warning about events that were delivered, also with slow checkpoints", () =>
    Effect.gen(function* () {
      const inner = durable(yield* memoryJournal())
      let begun = 0
      const journal: Journal.Journal["Service"] = {
        ...inner,
        checkpoint: (sink, checkpoint) =>
          Effect.suspend(() => {
            begun++
            return Effect.andThen(Effect.sleep("1 second"), inner.checkpoint(sink, checkpoint))
          })
      }
      const { backend } = yield* scripted(always)
      const starting = yield* Effect.forkDetach(start({ backend, journal }), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      const { close, logs, recorder } = yield* Fiber.join(starting)
      yield* recorder.record(draft("a"))
      const before = begun
      yield* TestClock.adjust("1500 millis")
      assert.isAbove(begun, before)
      yield* recorder.record(draft("b"))
      const closing = yield* Effect.forkDetach(close, { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(closing)
      assert.deepInclude(yield* statusOf(recorder), { settled: 2, pending: 0 })
      assert.deepStrictEqual(logs, [])
    })
  )

  it.effect("says that events are delivered where the last entry was that they wait", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted((batch, call) =>
        call > 1
          ? always(batch, call)
          : Effect.fail(new BackendError({ reason: new Unauthorized({ detail: "no rights" }) }))
      )
      const { close, logs, recorder } = yield* start({ backend })
      yield* recorder.record(draft("a"))
      yield* settle
      const closing = yield* Effect.forkDetach(close, { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(closing)
      assert.deepInclude(yield* statusOf(recorder), { settled: 1, pending: 0 })
      assert.strictEqual(logs.at(-1), `Info Events reach the sink "first" again`)
    })
  )

  for (const [kind, fate] of [
    ["durable", "left in the journal for the next start"],
    ["in memory", "dropped with the journal in memory"]
  ] as const) {
    it.effect(`says once how many events are left, with a journal that is ${kind}`, () =>
      Effect.gen(function* () {
        const inner = yield* memoryJournal()
        const { backend } = yield* scripted(never)
        const { close, logs, recorder } = yield* start({
          backend,
          journal: kind === "durable" ? durable(inner) : inner
        })
        yield* recorder.record(draft("a"))
        yield* recorder.record(draft("b"))
        const closing = yield* Effect.forkDetach(close, { startImmediately: true })
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(closing)
        assert.deepStrictEqual(
          logs.filter((line) => line.includes("closed")),
          [`Warn The recorder is closed; undelivered for the sink "first": 2, ${fate}`]
        )
      })
    )
  }
})

describe("a flush with an infinite deadline", () => {
  it.effect("ends when the recorder is closed with events that are not delivered", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(never)
      const { close, recorder } = yield* start({ backend, journal: durable(yield* memoryJournal()) })
      yield* recorder.record(draft("a"))
      const flushing = yield* Effect.forkDetach(recorder.flush(Number.POSITIVE_INFINITY), { startImmediately: true })
      const closing = yield* Effect.forkDetach(close, { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(yield* Fiber.join(flushing), { complete: false, waiting: 0, pending: { first: 1 } })
    })
  )
})
