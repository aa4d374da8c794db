import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import { BackendError, Throttled, Unauthorized } from "@tidings/core/BackendError"
import * as Correlation from "@tidings/core/Correlation"
import * as Journal from "@tidings/core/Journal"
import type * as Recorder from "@tidings/core/Recorder"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { type Answer, created, refused, retry, unknown } from "./support/scripted.ts"
import {
  always,
  assertLaw,
  draft,
  durable,
  memoryJournal,
  namesOf,
  never,
  off,
  scripted,
  settle,
  start,
  statusOf
} from "./support/journalRecorder.ts"

// ---------------------------------------------------------------------------
// accepting
// ---------------------------------------------------------------------------

describe("record", () => {
  it.effect("resolves when the journal has the event, whatever the backend does", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted(never)
      const { recorder } = yield* start({ backend })
      const first = yield* recorder.record(draft("a"))
      const second = yield* recorder.record(draft("a"))
      assert.deepStrictEqual(
        [first, second].map((one) => (one._tag === "Accepted" ? one.id.seq : one._tag)),
        [1, 2]
      )
      yield* settle
      assert.lengthOf(calls, 1)
      const status = yield* recorder.status
      assert.deepInclude(status.sinks["first"], { settled: 0, pending: 2 })
      assertLaw(status)
    })
  )

  it.effect("refuses invalid events, and every event once the recorder is closed", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(always)
      const { close, recorder } = yield* start({ backend })
      const invalid = yield* Effect.flip(recorder.record(draft("a", { reason: "" })))
      assert.strictEqual(invalid._tag, "InvalidEvent")
      yield* close
      const closed = yield* Effect.flip(recorder.record(draft("a")))
      assert.isTrue(closed._tag === "RecorderError" && closed.reason._tag === "Closed")
      yield* recorder.recordNow(draft("a"))
      assert.deepStrictEqual((yield* recorder.status).refused, { invalid: 1, closed: 2 })
    })
  )

  it.effect("accepts an event whose caller is interrupted", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(always)
      const journal = yield* memoryJournal()
      const open = yield* Deferred.make<void>()
      const slow = {
        ...journal,
        append: (batch: Parameters<typeof journal.append>[0]) =>
          Effect.andThen(Deferred.await(open), journal.append(batch))
      }
      const { recorder } = yield* start({ backend, journal: slow })
      const caller = yield* Effect.forkChild(recorder.record(draft("a")), { startImmediately: true })
      yield* Fiber.interrupt(caller)
      yield* Deferred.succeed(open, undefined)
      yield* settle
      assert.strictEqual((yield* recorder.status).accepted, 1)
    })
  )

  it.effect("appends what is recorded during an append in one batch", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(always)
      const journal = yield* memoryJournal()
      const sizes: Array<number> = []
      const slow: Journal.Journal["Service"] = {
        ...journal,
        append: (batch) => {
          sizes.push(batch.length)
          return Effect.delay(journal.append(batch), "1 second")
        }
      }
      const { recorder } = yield* start({ backend, journal: slow })
      const callers = yield* Effect.forEach(["a", "b", "c", "d"], (name) =>
        Effect.forkChild(recorder.record(draft(name)), { startImmediately: true })
      )
      yield* TestClock.adjust("2 seconds")
      yield* Effect.forEach(callers, Fiber.join)
      assert.deepStrictEqual(sizes, [1, 3])
    })
  )

  const counting = (journal: Journal.Journal["Service"]) => {
    const sizes: Array<number> = []
    const append: typeof journal.append = (batch) => {
      sizes.push(batch.length)
      return journal.append(batch)
    }
    return { sizes, journal: { ...journal, append } }
  }
  const record = (recorder: Recorder.Recorder["Service"], name: string) =>
    Effect.forkChild(recorder.record(draft(name)), { startImmediately: true })

  it.effect("appends the events of several callers in one turn as a batch, with a journal on disk", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(always)
      const { journal, sizes } = counting(durable(yield* memoryJournal()))
      const { recorder } = yield* start({ backend, journal })
      // One caller after another waits for nobody.
      yield* recorder.record(draft("a"))
      yield* recorder.record(draft("b"))
      assert.deepStrictEqual(sizes, [1, 1])
      const callers = yield* Effect.forEach(["c", "d", "e"], (name) => record(recorder, name))
      yield* recorder.recordNow(draft("f"))
      assert.deepStrictEqual(sizes, [1, 1])
      yield* Fiber.interrupt(callers[1]!)
      const ids = yield* Effect.forEach([callers[0]!, callers[2]!], Fiber.join)
      assert.deepStrictEqual(
        ids.map((one) => one._tag === "Accepted" && one.id.seq),
        [3, 5]
      )
      assert.deepStrictEqual(sizes, [1, 1, 4])
      assert.strictEqual((yield* recorder.status).accepted, 6)
    })
  )

  it.effect("appends at once with a journal in memory", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(always)
      const { journal, sizes } = counting(yield* memoryJournal())
      const { recorder } = yield* start({ backend, journal })
      yield* Effect.forEach(["a", "b", "c"], (name) => record(recorder, name))
      assert.deepStrictEqual(sizes, [1, 1, 1])
    })
  )

  it.effect("appends or refuses what was collected when the scope closes in the same turn", () =>
    Effect.gen(function* () {
      for (const drainTimeout of ["10 seconds", 0] as const) {
        const { backend } = yield* scripted(always)
        const { journal } = counting(durable(yield* memoryJournal()))
        const { close, recorder } = yield* start({ backend, journal, recorder: { drainTimeout } })
        const callers = yield* Effect.forEach(["a", "b", "c"], (name) => record(recorder, name))
        const closing = yield* Effect.forkChild(close, { startImmediately: true })
        const exits = yield* Effect.forEach(callers, Fiber.await)
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(closing)
        const status = yield* recorder.status
        assert.strictEqual(exits.filter(Exit.isSuccess).length, status.accepted)
        assert.strictEqual(status.accepted + (status.refused["closed"] ?? 0), 3)
        assertLaw(status)
        if (drainTimeout !== 0) assert.strictEqual(status.accepted, 3)
      }
    })
  )

  it.effect("fails with the error of the journal, and has recorded nothing", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(never)
      const journal = yield* memoryJournal()
      const failing: Journal.Journal["Service"] = {
        ...journal,
        append: () =>
          Effect.fail(new Journal.JournalError({ reason: new Journal.JournalFailed({ detail: "no disk" }) }))
      }
      const { recorder } = yield* start({ backend, journal: failing })
      const error = yield* Effect.flip(recorder.record(draft("a")))
      assert.include(error.message, "no disk")
      const status = yield* recorder.status
      assert.deepInclude(status, { accepted: 0, refused: { failed: 1 } })
    })
  )
})

describe("recordSettled", () => {
  it.effect("waits for every sink, and returns the outcome of each", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { backend } = yield* scripted((batch) => Effect.as(Deferred.await(gate), created(batch)), "one")
      const { backend: second } = yield* scripted(
        (batch) => Effect.succeed(batch.map(() => ({ _tag: "Rejected", reason: "never" }))),
        "two"
      )
      const { recorder } = yield* start({ backend, second })
      const caller = yield* Effect.forkChild(recorder.recordSettled(draft("a")), { startImmediately: true })
      yield* settle
      assert.isUndefined(caller.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      const delivered = yield* Fiber.join(caller)
      assert.deepStrictEqual(delivered._tag === "Accepted" ? delivered.sinks : undefined, {
        first: { _tag: "Settled", how: "created" },
        second: { _tag: "Parked", reason: "never" }
      })
    })
  )

  it.effect("waits for the write that includes its occurrence", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted(always)
      const { recorder } = yield* start({
        backend,
        sink: { correlation: { ...Correlation.defaults, burst: 1, refill: "30 seconds" } }
      })
      yield* recorder.recordSettled(draft("a"))
      const second = yield* Effect.forkChild(recorder.recordSettled(draft("a")), { startImmediately: true })
      yield* TestClock.adjust("29 seconds")
      assert.isUndefined(second.pollUnsafe())
      assert.deepInclude(yield* statusOf(recorder), { held: 1, pending: 1 })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(second))._tag, "Accepted")
      assert.deepStrictEqual(
        calls.map(({ batch }) => batch[0]?.count),
        [1, 2]
      )
    })
  )
})

describe("recordSettled for several occurrences of one series", () => {
  it.effect("waits for the write that includes the own occurrence", () =>
    Effect.gen(function* () {
      const gates: Array<Deferred.Deferred<void>> = []
      const { backend } = yield* scripted((batch) => {
        const gate = Deferred.makeUnsafe<void>()
        gates.push(gate)
        return Effect.as(Deferred.await(gate), created(batch))
      })
      const { recorder } = yield* start({ backend })
      const record = Effect.forkChild(recorder.recordSettled(draft("a")), { startImmediately: true })
      const first = yield* record
      yield* settle
      const second = yield* record
      yield* settle
      yield* Deferred.succeed(gates[0]!, undefined)
      yield* settle
      assert.isDefined(first.pollUnsafe())
      assert.isUndefined(second.pollUnsafe())
      yield* Deferred.succeed(gates[1]!, undefined)
      yield* settle
      assert.isDefined(second.pollUnsafe())
    })
  )
})

describe("recordNow", () => {
  it.effect("never waits and never fails, and counts what it refuses", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(always)
      const journal = yield* memoryJournal()
      const stuck: Journal.Journal["Service"] = { ...journal, append: () => Effect.never }
      const { recorder } = yield* start({ backend, journal: stuck, recorder: { queueCapacity: 3 } })
      for (let n = 0; n < 6; n++) yield* recorder.recordNow(draft("a"))
      // One is at the journal and three wait.
      assert.deepStrictEqual((yield* recorder.status).refused, { full: 2 })
    })
  )

  it.effect("counts invalid events", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(always)
      const { recorder } = yield* start({ backend })
      yield* recorder.recordNow(draft("a", { reason: "" }))
      yield* recorder.recordNow(draft("a"))
      yield* settle
      const status = yield* recorder.status
      assert.deepStrictEqual([status.refused, status.accepted, status.sinks["first"]!.settled], [{ invalid: 1 }, 1, 1])
    })
  )
})

// ---------------------------------------------------------------------------
// delivering
// ---------------------------------------------------------------------------

describe("flush", () => {
  it.effect("releases what is held, and is complete when everything is settled", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted(always)
      const { recorder } = yield* start({ backend, sink: { correlation: { ...Correlation.defaults, burst: 1 } } })
      for (let n = 0; n < 10; n++) yield* recorder.record(draft("a"))
      yield* settle
      assert.strictEqual((yield* statusOf(recorder)).held, 9)
      assert.deepStrictEqual(yield* recorder.flush("1 second"), { complete: true, waiting: 0, pending: { first: 0 } })
      assert.deepStrictEqual(
        calls.map(({ batch }) => batch[0]?.count),
        [1, 10]
      )
    })
  )

  it.effect("waits also for events that are not read yet", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted(always)
      const { recorder } = yield* start({ backend, sink: { correlation: { ...Correlation.defaults, burst: 1 } } })
      for (let n = 0; n < 10; n++) yield* recorder.record(draft("a"))
      assert.isTrue((yield* recorder.flush("1 second")).complete)
      assert.strictEqual(calls.at(-1)?.batch[0]?.count, 10)
    })
  )

  it.effect("reports what is left at its deadline", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(never)
      const { recorder } = yield* start({ backend, sink: off })
      yield* recorder.record(draft("a"))
      yield* recorder.record(draft("b"))
      const flushing = yield* Effect.forkChild(recorder.flush("5 seconds"), { startImmediately: true })
      yield* TestClock.adjust("4 seconds")
      assert.isUndefined(flushing.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(flushing), { complete: false, waiting: 0, pending: { first: 2 } })
    })
  )
})

describe("delivery", () => {
  it.effect("keeps to the limits of a sink, and has each series at most once in flight", () =>
    Effect.gen(function* () {
      const gates: Array<Deferred.Deferred<void>> = []
      const { backend, calls } = yield* scripted((batch) => {
        const gate = Deferred.makeUnsafe<void>()
        gates.push(gate)
        return Effect.as(Deferred.await(gate), created(batch))
      })
      const { recorder } = yield* start({
        backend,
        sink: { concurrency: 2, batch: 3, correlation: Correlation.defaults }
      })
      for (let n = 0; n < 20; n++) yield* recorder.record(draft(`pod-${n % 10}`))
      yield* settle
      assert.deepStrictEqual(
        calls.map(({ batch }) => batch.length),
        [3, 3]
      )
      const underWay = new Set(namesOf(calls).flat())
      assert.strictEqual(underWay.size, 6)
      while (gates.length > 0) {
        yield* Deferred.succeed(gates.shift()!, undefined)
        yield* settle
      }
      assert.isAtMost(Math.max(...calls.map(({ batch }) => batch.length)), 3)
      assert.deepInclude(yield* statusOf(recorder), { pending: 0, settled: 20 })
    })
  )

  it.effect("retries with backoff and with the same identity", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted((batch, call) =>
        call <= 8 ? Effect.fail(unknown) : Effect.succeed(created(batch))
      )
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 100 } })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("5 minutes")
      assert.lengthOf(calls, 9)
      assert.strictEqual(new Set(calls.map(({ batch }) => batch[0]?.id.seq)).size, 1)
      const pauses = calls.slice(1).map(({ at }, index) => at - calls[index]!.at)
      for (const [index, pause] of pauses.entries()) {
        const most = Math.min(30, 0.5 * 2 ** index)
        assert.isTrue(pause >= most / 2 && pause <= most + 0.001, `pause ${index + 1} is ${pause} s`)
      }
      assert.deepInclude(yield* statusOf(recorder), { state: "up", settled: 1 })
    })
  )

  it.effect("retries writes without an outcome, with a defect, and without an answer in time", () =>
    Effect.gen(function* () {
      const answers: ReadonlyArray<Answer> = [
        () => Effect.succeed([]),
        () => Effect.die(new Error("a bug in the backend")),
        () => Effect.never,
        () => Effect.uninterruptible(Effect.never),
        (batch) => Effect.succeed(batch.map(() => retry(refused)))
      ]
      const { backend, calls } = yield* scripted((batch, call) => (answers[call - 1] ?? always)(batch, call))
      const { recorder } = yield* start({ backend, sink: { ...off, writeTimeout: "10 seconds" } })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("2 minutes")
      assert.lengthOf(calls, 6)
      assert.deepInclude(yield* statusOf(recorder), { pending: 0, settled: 1 })
    })
  )

  it.effect("pauses the whole sink for a Throttled with the scope backend", () =>
    Effect.gen(function* () {
      const throttled = new BackendError({
        reason: new Throttled({ scope: "backend", retryAfter: Duration.seconds(20), detail: "too many requests" })
      })
      const { backend, calls } = yield* scripted((batch, call) =>
        call === 1 ? Effect.fail(throttled) : Effect.succeed(created(batch))
      )
      const { recorder } = yield* start({ backend, sink: off })
      yield* recorder.record(draft("a"))
      yield* settle
      yield* recorder.record(draft("b"))
      yield* TestClock.adjust("19 seconds")
      assert.lengthOf(calls, 1)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(namesOf(calls).slice(1).flat().sort(), ["a", "b"])
      assert.isTrue(calls.slice(1).every(({ at }) => at >= 20))
    })
  )

  it.effect("delays only one series for a Throttled with the scope series", () =>
    Effect.gen(function* () {
      const throttled = new BackendError({
        reason: new Throttled({ scope: "series", retryAfter: Duration.seconds(20), detail: "this one too often" })
      })
      const { backend, calls } = yield* scripted((batch, call) =>
        Effect.succeed(batch.map(() => (call === 1 ? retry(throttled) : Backend.created)))
      )
      const { recorder } = yield* start({ backend, sink: off })
      yield* recorder.record(draft("a"))
      yield* settle
      yield* recorder.record(draft("b"))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(namesOf(calls), [["a"], ["b"]])
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(namesOf(calls), [["a"], ["b"], ["a"]])
    })
  )

  it.effect("probes an unavailable backend with one write at a time, and continues at once when it works", () =>
    Effect.gen(function* () {
      let away = true
      const { backend, calls } = yield* scripted((batch) =>
        away ? Effect.fail(refused) : Effect.succeed(created(batch))
      )
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 4 } })
      for (let n = 0; n < 40; n++) {
        const involvedObject = { kind: "Pod", name: "web", namespace: `namespace-${n}` }
        yield* recorder.record(draft("web", { involvedObject }))
      }
      yield* TestClock.adjust("10 minutes")
      const before = calls.length
      yield* TestClock.adjust("10 minutes")
      // One every 15 to 30 seconds, instead of one for each of 40 series.
      assert.isAtMost(calls.length - before, 40)
      away = false
      while ((yield* statusOf(recorder)).settled === 0) yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* statusOf(recorder), { pending: 0, settled: 40, state: "up" })
    })
  )

  it.effect(
    "has one write in flight while a backend is unavailable, and as many as its concurrency when it works",
    () =>
      Effect.gen(function* () {
        let underWay = 0
        let most = 0
        const { backend, calls } = yield* scripted(() =>
          Effect.suspend(() => {
            most = Math.max(most, ++underWay)
            return Effect.andThen(
              Effect.sleep("5 seconds"),
              Effect.suspend(() => {
                underWay--
                return Effect.fail(refused)
              })
            )
          })
        )
        const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 4, batch: 1 } })
        for (let n = 0; n < 40; n++) yield* recorder.record(draft(`pod-${n}`))
        yield* TestClock.adjust("6 seconds")
        assert.strictEqual(most, 4)
        // While the first three of them failed, others took their places. The next asks soon.
        const before = calls.length
        assert.isAtMost(before, 7)
        yield* TestClock.adjust("9 seconds")
        assert.lengthOf(calls, before + 1)
        yield* TestClock.adjust("1 minute")
        most = 0
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual(most, 1)
      })
  )

  it.effect("to one sink does not wait for another", () =>
    Effect.gen(function* () {
      const dead = yield* scripted(never, "dead")
      const well = yield* scripted(always, "well")
      const { recorder } = yield* start({ backend: dead.backend, second: well.backend, sink: off })
      for (let n = 0; n < 100; n++) yield* recorder.record(draft(`pod-${n}`))
      yield* settle
      const status = yield* recorder.status
      assert.deepInclude(status.sinks["first"], { settled: 0, pending: 100 })
      assert.deepInclude(status.sinks["second"], { settled: 100, pending: 0 })
      assertLaw(status)
    })
  )

  it.effect("counts as dropped what a policy drops", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted((batch) =>
        Effect.succeed(batch.map(() => ({ _tag: "Dropped", reason: "sampled" })))
      )
      const { recorder } = yield* start({ backend })
      const delivered = yield* recorder.recordSettled(draft("a"))
      assert.deepStrictEqual(delivered._tag === "Accepted" ? delivered.sinks["first"] : undefined, {
        _tag: "Dropped",
        reason: "sampled"
      })
      const status = yield* recorder.status
      assert.deepInclude(status.sinks["first"], { pending: 0, dropped: { sampled: 1 } })
      assertLaw(status)
    })
  )
})

describe("a sink with a defect", () => {
  it.effect("reports it, and leaves what is accepted in the journal", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(always)
      const journal = yield* memoryJournal()
      let broken = false
      const breaking: Journal.Journal["Service"] = {
        ...journal,
        read: (sink, after, max) =>
          broken ? Effect.die(new Error("a bug in the journal")) : journal.read(sink, after, max)
      }
      const { close, logs, recorder } = yield* start({ backend, journal: breaking })
      broken = true
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("1 minute")
      const status = yield* statusOf(recorder)
      assert.deepInclude(status, { state: "blocked", pending: 1 })
      assert.include(status.lastError, "a bug in the journal")
      assert.isTrue(logs.some((line) => line.startsWith("Error ")))
      // Nothing is left to wait for.
      yield* close
    })
  )

  it.effect("is not halted where only its backend throws", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted((batch, call) => {
        if (call === 1) throw new Error("a bug in the backend")
        return Effect.succeed(created(batch))
      })
      const throwing: Backend.Service = { ...backend }
      const { recorder } = yield* start({ backend: throwing })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* statusOf(recorder), { state: "up", settled: 1 })
    })
  )
})

describe("status", () => {
  it.effect("has the age of the oldest pending occurrence, wherever it is", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(never)
      const unbound = { ...backend, target: Effect.never }
      for (const [one, sink] of [
        [unbound, off],
        [backend, off],
        [backend, { correlation: { ...Correlation.defaults, burst: 0, aggregateAt: 0 } }]
      ] as const) {
        const { recorder } = yield* start({ backend: one, sink })
        assert.strictEqual(Duration.toSeconds((yield* statusOf(recorder)).oldestAge), 0)
        yield* recorder.record(draft("a"))
        yield* TestClock.adjust("10 seconds")
        yield* recorder.record(draft("b"))
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(Duration.toSeconds((yield* statusOf(recorder)).oldestAge), 15)
      }
    })
  )

  it.effect("changes from up to degraded or blocked to up, and logs each change once", () =>
    Effect.gen(function* () {
      let failing: BackendError | undefined
      const { backend } = yield* scripted((batch) =>
        failing === undefined ? Effect.succeed(created(batch)) : Effect.fail(failing)
      )
      const { logs, recorder } = yield* start({ backend, sink: off })
      yield* recorder.record(draft("a"))
      yield* settle
      assert.strictEqual((yield* statusOf(recorder)).state, "up")

      failing = refused
      yield* recorder.record(draft("b"))
      yield* TestClock.adjust("2 minutes")
      assert.deepInclude(yield* statusOf(recorder), { state: "degraded", lastError: refused.message })

      failing = new BackendError({ reason: new Unauthorized({ detail: "the token has expired" }) })
      yield* TestClock.adjust("10 minutes")
      assert.deepInclude(yield* statusOf(recorder), { state: "blocked", lastError: failing.message })

      failing = undefined
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual((yield* statusOf(recorder)).state, "up")
      assert.deepStrictEqual(logs, [
        `Warn Events wait for the sink "first" (degraded): ${refused.message}`,
        `Warn Events wait for the sink "first" (blocked): not allowed: the token has expired`,
        `Info Events reach the sink "first" again`
      ])
    })
  )

  it.effect("does not flood the log when a backend fails and recovers repeatedly", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted((batch, call) =>
        call % 2 === 0 ? Effect.succeed(created(batch)) : Effect.fail(refused)
      )
      const { logs, recorder } = yield* start({ backend, sink: off })
      for (let n = 0; n < 120; n++) {
        yield* recorder.record(draft(`pod-${n}`))
        yield* TestClock.adjust("1 second")
      }
      assert.isAtMost(logs.length, 6)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(logs.at(-1), `Info Events reach the sink "first" again`)
    })
  )

  it.effect("logs later what it did not log at once", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted((batch, call) =>
        call === 1 ? Effect.fail(refused) : Effect.succeed(created(batch))
      )
      const { logs, recorder } = yield* start({ backend, sink: off })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* statusOf(recorder)).state, "up")
      assert.lengthOf(logs, 1)
      yield* TestClock.adjust("11 seconds")
      assert.strictEqual(logs.at(-1), `Info Events reach the sink "first" again`)
    })
  )
})
