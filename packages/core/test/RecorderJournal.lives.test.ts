import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as Correlation from "@tidings/core/Correlation"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Target from "@tidings/core/Target"
import * as Templates from "@tidings/core/Templates"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { type Answer, created, refused } from "./support/scripted.ts"
import {
  always,
  assertLaw,
  draft,
  durable,
  memoryJournal,
  namesOf,
  never,
  off,
  rejecting,
  scripted,
  settle,
  start,
  statusOf
} from "./support/journalRecorder.ts"

// ---------------------------------------------------------------------------
// how far a sink reads, and when it makes checkpoints
// ---------------------------------------------------------------------------

/** A journal on a disk that notes what a sink does. */
const noting = (journal: Journal.Journal["Service"]) => {
  const noted = { furthest: 0, checkpoints: 0, failing: false }
  const noDisk = new Journal.JournalError({ reason: new Journal.JournalFailed({ detail: "no disk" }) })
  const inner = durable(journal)
  return {
    noted,
    journal: {
      ...inner,
      read: (sink: string, after: number, max: number) => {
        noted.furthest = Math.max(noted.furthest, after + max)
        return inner.read(sink, after, max)
      },
      checkpoint: (sink: string, made: Journal.Checkpoint) => {
        noted.checkpoints++
        return noted.failing ? Effect.fail(noDisk) : inner.checkpoint(sink, made)
      }
    }
  }
}

describe("reading the journal", () => {
  it.effect("stops at the capacity, and a little later while every series fails", () =>
    Effect.gen(function* () {
      for (const [answer, least, most] of [
        [never, 8, 8],
        [() => Effect.fail(refused), 16, 16]
      ] as ReadonlyArray<[Answer, number, number]>) {
        const { journal, noted } = noting(yield* memoryJournal())
        const { backend } = yield* scripted(answer)
        const { recorder } = yield* start({
          backend,
          journal,
          sink: { ...off, capacity: 8, writeTimeout: "1 hour" },
          recorder: { drainTimeout: 0 }
        })
        for (let n = 0; n < 40; n++) yield* recorder.record(draft(`pod-${n}`))
        yield* TestClock.adjust("30 minutes")
        assert.isTrue(noted.furthest >= least && noted.furthest <= most, String(noted.furthest))
      }
    })
  )

  it.effect("reports no oldest age when everything is settled", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(always)
      const { recorder } = yield* start({ backend, sink: { ...off, capacity: 2 } })
      for (let n = 0; n < 10; n++) yield* recorder.record(draft(`pod-${n}`))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(Duration.toSeconds((yield* statusOf(recorder)).oldestAge), 0)
    })
  )
})

describe("checkpoints", () => {
  it.effect("are written as often as a stream of events requires", () =>
    Effect.gen(function* () {
      const { journal } = noting(yield* memoryJournal())
      const { backend } = yield* scripted(always)
      const { recorder } = yield* start({ backend, journal, sink: { ...off, capacity: 4 } })
      for (let n = 0; n < 200; n++) yield* recorder.record(draft(`pod-${n}`))
      yield* settle
      assert.strictEqual((yield* statusOf(recorder)).settled, 200)
    })
  )

  it.effect("are written at intervals while something is pending, sooner when it is done, and then not again", () =>
    Effect.gen(function* () {
      let busy = true
      const { journal, noted } = noting(yield* memoryJournal())
      const { backend } = yield* scripted((batch) => (busy ? Effect.never : Effect.succeed(created(batch))))
      const { recorder } = yield* start({ backend, journal, sink: { ...off, writeTimeout: "10 seconds" } })
      yield* TestClock.adjust("10 seconds")
      const before = noted.checkpoints
      for (let n = 0; n < 30; n++) {
        yield* recorder.record(draft(`pod-${n}`))
        yield* TestClock.adjust("1 second")
      }
      // After 5 seconds each, the first at once, for the last one was long ago.
      assert.isTrue(noted.checkpoints - before >= 5 && noted.checkpoints - before <= 7, String(noted.checkpoints))
      busy = false
      while ((yield* statusOf(recorder)).pending > 0) yield* TestClock.adjust("100 millis")
      yield* TestClock.adjust("1100 millis")
      const checkpoint = yield* journal.restore("first")
      assert.strictEqual(checkpoint?.upTo, 30)
      assert.deepInclude(checkpoint?.state, { outbox: [] })
      const then = noted.checkpoints
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(noted.checkpoints, then)
    })
  )

  it.effect("that fail are retried with backoff until one works", () =>
    Effect.gen(function* () {
      const { journal, noted } = noting(yield* memoryJournal())
      const { backend } = yield* scripted(always)
      const { recorder } = yield* start({ backend, journal, sink: off })
      yield* TestClock.adjust("10 seconds")
      noted.failing = true
      const before = noted.checkpoints
      yield* recorder.recordSettled(draft("a"))
      yield* TestClock.adjust("5 minutes")
      assert.isTrue(noted.checkpoints - before >= 12 && noted.checkpoints - before <= 26, String(noted.checkpoints))
      assert.strictEqual((yield* statusOf(recorder)).state, "blocked")
      noted.failing = false
      yield* TestClock.adjust("31 seconds")
      assert.strictEqual((yield* journal.restore("first"))?.upTo, 1)
      assert.strictEqual((yield* statusOf(recorder)).state, "up")
    })
  )

  it.effect("include what is settled, also after one that failed", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { journal, noted } = noting(yield* memoryJournal())
      const { backend } = yield* scripted((batch) => Effect.as(Deferred.await(gate), created(batch)))
      const { recorder } = yield* start({ backend, journal, sink: { ...off, writeTimeout: "1 hour" } })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* journal.restore("first"))?.upTo, 1)
      noted.failing = true
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("5 seconds")
      noted.failing = false
      yield* TestClock.adjust("1 minute")
      assert.deepInclude((yield* journal.restore("first"))?.state, { outbox: [] })
    })
  )
})

// ---------------------------------------------------------------------------
// targets
// ---------------------------------------------------------------------------

describe("targets", () => {
  it.effect("are bound to a journal: another one is refused, and nothing is lost meanwhile", () =>
    Effect.gen(function* () {
      const journal = durable(yield* memoryJournal())
      const right = yield* scripted(always, "right")
      const wrong = yield* scripted(always, "wrong")
      const first = yield* start({ backend: right.backend, journal })
      yield* first.recorder.recordSettled(draft("a"))
      yield* first.close

      const second = yield* start({ backend: wrong.backend, journal, recorder: { drainTimeout: 0 } })
      yield* second.recorder.record(draft("b"))
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(wrong.calls, 0)
      const status = yield* statusOf(second.recorder)
      assert.deepInclude(status, { state: "blocked", pending: 1 })
      assert.include(status.lastError, "its journal belongs to right, the backend is wrong")
      yield* second.close

      const third = yield* start({ backend: right.backend, journal })
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* statusOf(third.recorder), { recovered: 1, settled: 1, pending: 0 })
      assert.deepStrictEqual(namesOf(right.calls), [["a"], ["b"]])
    })
  )

  it.effect("are not written to before they are in a checkpoint", () =>
    Effect.gen(function* () {
      const journal = durable(yield* memoryJournal())
      const order: Array<string> = []
      const noting: Journal.Journal["Service"] = {
        ...journal,
        checkpoint: (sink, checkpoint) =>
          Effect.tap(journal.checkpoint(sink, checkpoint), () =>
            Effect.sync(() => order.push(`checkpoint ${checkpoint.target}`))
          )
      }
      const { backend } = yield* scripted((batch) => {
        order.push("write")
        return Effect.succeed(created(batch))
      })
      const { recorder } = yield* start({ backend, journal: noting })
      yield* recorder.recordSettled(draft("a"))
      assert.deepStrictEqual(order.slice(0, 3), ["checkpoint undefined", "checkpoint cluster", "write"])
    })
  )

  it.effect("are not shared by two sinks", () =>
    Effect.gen(function* () {
      const one = yield* scripted(always, "same")
      const two = yield* scripted(always, "same")
      const { recorder } = yield* start({ backend: one.backend, second: two.backend })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([one.calls.length, two.calls.length].sort(), [0, 1])
      const { sinks } = yield* recorder.status
      assert.deepStrictEqual(
        Object.values(sinks)
          .map(({ state }) => state)
          .sort(),
        ["blocked", "up"]
      )
    })
  )

  it.effect("that cannot be determined are asked for again, while everything waits in the journal", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted(always)
      let asked = 0
      const shy: Backend.Service = {
        ...backend,
        target: Effect.suspend(() => (++asked <= 5 ? Effect.fail(refused) : Effect.succeed(Target.make("cluster"))))
      }
      const { recorder } = yield* start({ backend: shy })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* statusOf(recorder), { state: "degraded", pending: 1 })
      assert.lengthOf(calls, 0)
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* statusOf(recorder), { state: "up", settled: 1 })
    })
  )

  it.effect("that cannot be determined are asked for again, also with timers that are early", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(always)
      let asked = 0
      const shy: Backend.Service = {
        ...backend,
        target: Effect.suspend(() => (++asked <= 3 ? Effect.fail(refused) : Effect.succeed(Target.make("cluster"))))
      }
      // Those of Node do, by up to a millisecond.
      const clock = yield* Clock.Clock
      const early = Object.assign(Object.create(clock) as Clock.Clock, {
        sleep: (duration: Duration.Duration) =>
          clock.sleep(Duration.millis(Math.max(1, Duration.toMillis(duration) - 1)))
      })
      const { recorder } = yield* Effect.provideService(start({ backend: shy }), Clock.Clock, early)
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* statusOf(recorder), { state: "up", settled: 1 })
    })
  )
})

// ---------------------------------------------------------------------------
// ends and beginnings
// ---------------------------------------------------------------------------

describe("closing a recorder", () => {
  it.effect("releases what is held and delivers it", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted(always)
      const { close, recorder } = yield* start({
        backend,
        sink: { correlation: { ...Correlation.defaults, burst: 1 } }
      })
      for (let n = 0; n < 500; n++) yield* recorder.record(draft("a"))
      yield* close
      assert.strictEqual(calls.at(-1)?.batch[0]?.count, 500)
      const status = yield* recorder.status
      assert.deepInclude(status.sinks["first"], { state: "down", settled: 500, pending: 0, dropped: {} })
      assertLaw(status)
    })
  )

  it.effect("waits until its deadline, and retries before it", () =>
    Effect.gen(function* () {
      let away = true
      const { backend } = yield* scripted((batch) => (away ? Effect.fail(refused) : Effect.succeed(created(batch))))
      const { close, recorder } = yield* start({ backend, sink: off, recorder: { drainTimeout: "10 seconds" } })
      yield* recorder.record(draft("a"))
      // The pauses have grown to half a minute.
      yield* TestClock.adjust("10 minutes")
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      away = false
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(closing)
      assert.deepInclude(yield* statusOf(recorder), { settled: 1, dropped: {} })
    })
  )

  it.effect("asks at once for a target that could not be determined", () =>
    Effect.gen(function* () {
      let away = true
      const { backend } = yield* scripted(always)
      const target = Effect.suspend(() => (away ? Effect.fail(refused) : Effect.succeed(Target.make("cluster"))))
      const { close, recorder } = yield* start({ backend: { ...backend, target } })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("10 minutes")
      away = false
      yield* close
      assert.deepInclude(yield* statusOf(recorder), { settled: 1, pending: 0, dropped: {} })
    })
  )

  it.effect("ends its counts: an answer after it changes nothing", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted((batch) => Effect.delay(Effect.succeed(created(batch)), "7 seconds"))
      const journal = yield* memoryJournal()
      const slow: Journal.Journal["Service"] = {
        ...journal,
        checkpoint: (...given) => Effect.delay(journal.checkpoint(...given), "4 seconds")
      }
      const starting = yield* Effect.forkChild(
        start({ backend, journal: slow, sink: off, recorder: { drainTimeout: "5 seconds" } }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("10 seconds")
      const { close, recorder } = yield* Fiber.join(starting)
      yield* recorder.record(draft("a"))
      yield* settle
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(closing)
      const status = yield* recorder.status
      assert.deepInclude(status.sinks["first"], { state: "down", settled: 0, pending: 0, dropped: { shutdown: 1 } })
      assertLaw(status)
    })
  )

  it.effect("counts as dropped what is left in a journal in memory", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(never)
      const journal = yield* memoryJournal()
      const { close, recorder } = yield* start({ backend, journal, sink: { ...off, capacity: 2 } })
      const waiting = yield* Effect.forkChild(recorder.recordSettled(draft("a")), { startImmediately: true })
      for (let n = 0; n < 9; n++) yield* recorder.record(draft(`pod-${n}`))
      yield* settle
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(closing)
      const status = yield* recorder.status
      assert.deepInclude(status.sinks["first"], { pending: 0, dropped: { shutdown: 10 } })
      assertLaw(status)
      const delivered = yield* Fiber.join(waiting)
      assert.deepStrictEqual(delivered._tag === "Accepted" ? delivered.sinks["first"] : undefined, {
        _tag: "Dropped",
        reason: "shutdown"
      })
      // What was counted as dropped is not delivered by the next recorder on the same journal.
      const next = yield* scripted(always)
      const second = yield* start({ backend: next.backend, journal })
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(next.calls, 0)
      assert.deepInclude(yield* statusOf(second.recorder), { recovered: 0, pending: 0 })
    })
  )

  it.effect("leaves the rest in a durable journal, and the next recorder delivers it", () =>
    Effect.gen(function* () {
      const journal = durable(yield* memoryJournal())
      const dead = yield* scripted(never)
      const first = yield* start({ backend: dead.backend, journal })
      const waiting = yield* Effect.forkChild(first.recorder.recordSettled(draft("a")), { startImmediately: true })
      for (let n = 0; n < 9; n++) yield* first.recorder.record(draft(`pod-${n % 3}`))
      yield* settle
      const closing = yield* Effect.forkChild(first.close, { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(closing)
      const delivered = yield* Fiber.join(waiting)
      assert.deepStrictEqual(delivered._tag === "Accepted" ? delivered.sinks["first"] : undefined, { _tag: "Kept" })
      assert.deepInclude(yield* statusOf(first.recorder), { state: "down", pending: 10, dropped: {} })

      const well = yield* scripted(always)
      const second = yield* start({ backend: well.backend, journal })
      const status = yield* second.recorder.status
      assert.deepInclude(status.sinks["first"], { recovered: 10 })
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* statusOf(second.recorder), { recovered: 10, settled: 10, pending: 0 })
      assert.strictEqual(
        well.calls.flatMap(({ batch }) => batch).reduce((sum, { count }) => sum + count, 0),
        10
      )
      assertLaw(yield* second.recorder.status)
    })
  )

  it.effect("refuses events that still wait for room in the journal", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(never)
      const journal = yield* memoryJournal({ capacity: 4, onFull: "block" })
      const { close, recorder } = yield* start({ backend: { ...backend, target: Effect.never }, journal })
      for (let n = 0; n < 4; n++) yield* recorder.record(draft("a"))
      const blocked = yield* Effect.forEach([1, 2], () =>
        Effect.forkChild(Effect.flip(recorder.record(draft("a"))), { startImmediately: true })
      )
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("11 seconds")
      yield* Fiber.join(closing)
      for (const fiber of blocked) {
        const error = yield* Fiber.join(fiber)
        assert.isTrue(error._tag === "RecorderError" && error.reason._tag === "Closed")
      }
      const status = yield* recorder.status
      assert.deepInclude(status, { accepted: 4, refused: { closed: 2 } })
      assertLaw(status)
    })
  )
})

describe("starting a recorder", () => {
  it.effect("continues the counts of the series in the checkpoint", () =>
    Effect.gen(function* () {
      const journal = durable(yield* memoryJournal())
      const one = yield* scripted(always)
      const first = yield* start({ backend: one.backend, journal })
      for (let n = 0; n < 3; n++) yield* first.recorder.record(draft("a"))
      yield* first.close
      const two = yield* scripted(always)
      const second = yield* start({ backend: two.backend, journal })
      yield* second.recorder.recordSettled(draft("a"))
      assert.deepStrictEqual(
        two.calls.map(({ batch }) => [batch[0]?.id.seq, batch[0]?.count]),
        [[1, 4]]
      )
    })
  )

  it.effect("delivers to a new sink what is accepted from now on", () =>
    Effect.gen(function* () {
      const journal = durable(yield* memoryJournal())
      const one = yield* scripted(always, "one")
      const first = yield* start({ backend: one.backend, journal })
      yield* first.recorder.recordSettled(draft("a"))
      yield* first.close
      const two = yield* scripted(always, "two")
      const second = yield* start({ backend: one.backend, second: two.backend, journal })
      yield* second.recorder.recordSettled(draft("b"))
      assert.deepStrictEqual(namesOf(two.calls), [["b"]])
      assert.deepInclude(yield* statusOf(second.recorder, "second"), { recovered: 0, settled: 1 })
    })
  )

  it.effect("delivers what was accepted before to a sink that never reached its backend", () =>
    Effect.gen(function* () {
      const journal = durable(yield* memoryJournal())
      const { backend } = yield* scripted(always)
      const first = yield* start({
        backend: { ...backend, target: Effect.never },
        journal,
        recorder: { drainTimeout: 0 }
      })
      yield* first.recorder.record(draft("a"))
      yield* first.close
      const two = yield* scripted(always)
      yield* TestClock.adjust("1 hour")
      const second = yield* start({ backend: two.backend, journal })
      assert.strictEqual(Duration.toMinutes((yield* statusOf(second.recorder)).oldestAge), 60)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(namesOf(two.calls), [["a"]])
      assert.deepInclude(yield* statusOf(second.recorder), { recovered: 1, settled: 1 })
    })
  )

  it.effect("counts what was parked, and can retry it", () =>
    Effect.gen(function* () {
      const journal = durable(yield* memoryJournal())
      const bad = yield* scripted(rejecting(() => true))
      const first = yield* start({ backend: bad.backend, journal })
      yield* first.recorder.record(draft("a"))
      yield* first.recorder.record(draft("a"))
      yield* settle
      yield* first.close
      const well = yield* scripted(always)
      const second = yield* start({ backend: well.backend, journal })
      yield* settle
      assert.deepInclude(yield* statusOf(second.recorder), { recovered: 2, parked: 2, pending: 0 })
      const [parked] = yield* second.recorder.parked
      assert.strictEqual(yield* second.recorder.retryParked("first", [parked!.write.id]), 2)
      yield* TestClock.adjust("10 seconds")
      const status = yield* second.recorder.status
      assert.deepInclude(status.sinks["first"], { settled: 2, parked: 0 })
      assertLaw(status)
      assert.lengthOf(yield* journal.parked("first"), 0)
    })
  )

  it.effect("does not count as parked what was dropped meanwhile", () =>
    Effect.gen(function* () {
      const journal = durable(yield* memoryJournal())
      const { backend } = yield* scripted(rejecting(() => true))
      const first = yield* start({ backend, journal })
      yield* first.recorder.record(draft("a"))
      yield* first.recorder.record(draft("b"))
      yield* settle
      yield* first.close
      yield* journal.unpark("first", [{ origin: journal.origin, seq: 1 }])
      const second = yield* start({ backend, journal })
      assert.deepInclude(yield* statusOf(second.recorder), { recovered: 1, parked: 1, pending: 0 })
      assert.lengthOf(yield* second.recorder.parked, 1)
    })
  )

  it.effect("fails when the state of a sink cannot be read", () =>
    Effect.gen(function* () {
      const journal = durable(yield* memoryJournal())
      const { backend } = yield* scripted(always)
      const first = yield* start({ backend, journal })
      yield* first.recorder.recordSettled(draft("a"))
      yield* first.close
      const checkpoint = yield* journal.restore("first")
      const sound = checkpoint!.state as object
      for (const state of [
        {},
        [],
        "text",
        { ...sound, correlator: {} },
        { ...sound, outbox: 5 },
        { ...sound, outbox: [[1]] },
        { ...sound, outbox: [[{ id: { origin: "a", seq: 1 } }, 1, 1, 1]] },
        { ...sound, parked: [[1, 2, 3, 4]] },
        { outbox: [[1]], parked: [] }
      ]) {
        yield* journal.checkpoint("first", { upTo: 1, state })
        const error = yield* Effect.flip(start({ backend, journal }))
        assert.isTrue(error._tag === "JournalError" && error.reason._tag === "JournalDamaged", String(error))
      }
    })
  )

  it.effect("refuses two sinks with one name, and an empty list of sinks", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(always)
      const sink = Recorder.sink({ name: "same", backend: Backend.Backend })
      for (const sinks of [[], [sink, sink]]) {
        const error = yield* Effect.flip(
          Effect.scoped(
            Layer.build(
              Recorder.layer({ sinks }).pipe(
                Layer.provide(
                  Layer.mergeAll(Templates.layer, Journal.layerMemory(), Layer.succeed(Backend.Backend, backend))
                )
              )
            )
          )
        )
        assert.isTrue(error._tag === "InvalidRecorderOptions" && error.issues[0]?.field === "sinks")
      }
    })
  )
})

// ---------------------------------------------------------------------------
// the journal's limits
// ---------------------------------------------------------------------------

describe("a full journal", () => {
  // Nothing is read while the target is unknown, so the journal fills up.
  const unbound = Effect.map(scripted(always), (one) => {
    const gate = Deferred.makeUnsafe<void>()
    return {
      ...one,
      gate,
      backend: { ...one.backend, target: Effect.as(Deferred.await(gate), Target.make("cluster")) }
    }
  })

  it.effect("refuses events with onFull fail", () =>
    Effect.gen(function* () {
      const { backend, gate } = yield* unbound
      const { recorder } = yield* start({ backend, journal: yield* memoryJournal({ capacity: 3 }) })
      for (let n = 0; n < 3; n++) yield* recorder.record(draft("a"))
      const error = yield* Effect.flip(recorder.record(draft("a")))
      assert.isTrue(
        error._tag === "RecorderError" &&
          error.reason._tag === "JournalError" &&
          error.reason.reason._tag === "JournalFull"
      )
      assert.deepStrictEqual((yield* recorder.status).refused, { full: 1 })
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* recorder.record(draft("a")))._tag, "Accepted")
    })
  )

  it.effect("accepts of several events those for which it has room", () =>
    Effect.gen(function* () {
      const { backend } = yield* unbound
      const journal = yield* memoryJournal({ capacity: 3 })
      const slow: Journal.Journal["Service"] = {
        ...journal,
        append: (batch) => Effect.delay(journal.append(batch), "1 second")
      }
      const { recorder } = yield* start({ backend, journal: slow })
      const callers = yield* Effect.forEach([1, 2, 3, 4, 5], () =>
        Effect.forkChild(Effect.exit(recorder.record(draft("a"))), { startImmediately: true })
      )
      yield* TestClock.adjust("20 seconds")
      const exits = yield* Effect.forEach(callers, Fiber.join)
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, true, true, false, false])
      assert.deepInclude(yield* recorder.status, { accepted: 3, refused: { full: 2 } })
    })
  )

  it.effect("lets callers wait with onFull block", () =>
    Effect.gen(function* () {
      const { backend, gate } = yield* unbound
      const { recorder } = yield* start({ backend, journal: yield* memoryJournal({ capacity: 3, onFull: "block" }) })
      for (let n = 0; n < 3; n++) yield* recorder.record(draft("a"))
      const fourth = yield* Effect.forkChild(recorder.record(draft("a")), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(fourth.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(fourth))._tag, "Accepted")
      assert.deepInclude(yield* statusOf(recorder), { settled: 4, pending: 0 })
    })
  )

  it.effect("drops and counts the oldest events with onFull dropOldest", () =>
    Effect.gen(function* () {
      const { backend, calls, gate } = yield* unbound
      const { recorder } = yield* start({
        backend,
        journal: yield* memoryJournal({ capacity: 3, onFull: "dropOldest" }),
        sink: off
      })
      const first = yield* Effect.forkChild(recorder.recordSettled(draft("pod-0")), { startImmediately: true })
      for (let n = 1; n < 8; n++) yield* recorder.record(draft(`pod-${n}`))
      assertLaw(yield* recorder.status)
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("1 second")
      const status = yield* recorder.status
      assert.deepInclude(status.sinks["first"], { settled: 3, dropped: { quota: 5 }, pending: 0 })
      assertLaw(status)
      assert.deepStrictEqual(namesOf(calls).flat().sort(), ["pod-5", "pod-6", "pod-7"])
      const delivered = yield* Fiber.join(first)
      assert.deepStrictEqual(delivered._tag === "Accepted" ? delivered.sinks["first"] : undefined, {
        _tag: "Dropped",
        reason: "quota"
      })
    })
  )
})

describe("a full durable journal", () => {
  it.effect("gets room by a checkpoint as soon as an append needs it", () =>
    Effect.gen(function* () {
      for (const onFull of ["fail", "block"] as const) {
        const { backend } = yield* scripted(never)
        const { recorder } = yield* start({ backend, journal: durable(yield* memoryJournal({ capacity: 3, onFull })) })
        for (let n = 0; n < 3; n++) yield* recorder.record(draft("a"))
        yield* settle
        const fourth = yield* Effect.forkChild(Effect.exit(recorder.record(draft("a"))), { startImmediately: true })
        yield* TestClock.adjust("200 millis")
        assert.strictEqual(Exit.isSuccess(yield* Fiber.join(fourth)), onFull === "block")
        assert.strictEqual((yield* recorder.record(draft("a")))._tag, "Accepted")
      }
    })
  )
})

describe("a journal that was full once", () => {
  it.effect("does not get more frequent checkpoints from then on", () =>
    Effect.gen(function* () {
      const { journal, noted } = noting(yield* memoryJournal({ capacity: 8 }))
      const { backend } = yield* scripted(never)
      const { recorder } = yield* start({ backend, journal, sink: { writeTimeout: "1 hour" } })
      yield* TestClock.adjust("10 seconds")
      for (let n = 0; n < 8; n++) yield* recorder.record(draft("a"))
      yield* settle
      for (let n = 0; n < 8; n++) yield* recorder.record(draft("a"))
      assert.strictEqual((yield* Effect.flip(recorder.record(draft("a"))))._tag, "RecorderError")
      yield* settle
      const before = noted.checkpoints
      for (let n = 0; n < 7; n++) {
        yield* recorder.record(draft("a"))
        yield* TestClock.adjust("1 second")
      }
      assert.isAtMost(noted.checkpoints - before, 2)
    })
  )
})

describe("a journal that fails", () => {
  const noDisk = new Journal.JournalError({ reason: new Journal.JournalFailed({ detail: "no disk" }) })

  it.effect("when it is read blocks the sink until it works again", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(always)
      const journal = yield* memoryJournal()
      let broken = false
      const failing: Journal.Journal["Service"] = {
        ...journal,
        read: (sink, after, max) => (broken ? Effect.fail(noDisk) : journal.read(sink, after, max))
      }
      const { recorder } = yield* start({ backend, journal: failing })
      broken = true
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* statusOf(recorder), { state: "blocked", pending: 1, lastError: noDisk.message })
      broken = false
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* statusOf(recorder), { state: "up", settled: 1 })
    })
  )

  it.effect("at checkpoints lets a sink read only up to its limit", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted(always)
      const journal = durable(yield* memoryJournal())
      let broken = false
      let furthest = 0
      const failing: Journal.Journal["Service"] = {
        ...journal,
        checkpoint: (sink, checkpoint) => (broken ? Effect.fail(noDisk) : journal.checkpoint(sink, checkpoint)),
        read: (sink, after, max) => {
          furthest = Math.max(furthest, after + max)
          return journal.read(sink, after, max)
        }
      }
      const { recorder } = yield* start({ backend, journal: failing, sink: { ...off, capacity: 4 } })
      yield* recorder.recordSettled(draft("a"))
      yield* TestClock.adjust("10 seconds")
      broken = true
      for (let n = 0; n < 200; n++) yield* recorder.record(draft(`pod-${n}`))
      yield* TestClock.adjust("10 minutes")
      // One may fail before reading has to stop.
      assert.isTrue(furthest > 1 + 4 * 4 && furthest <= 1 + 8 * 4, String(furthest))
      assert.deepInclude(yield* statusOf(recorder), { state: "blocked", lastError: noDisk.message })
      broken = false
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* statusOf(recorder), { state: "up", settled: 201, pending: 0 })
      assert.strictEqual(new Set(namesOf(calls).flat()).size, 201)
    })
  )
})

describe("correlation with flushes and orderly ends", () => {
  /** Writes that 100 series of 200 occurrences each leave as, all of them accepted before the sink reads the first. */
  const writesOf = (
    end: (started: {
      readonly recorder: Recorder.Recorder["Service"]
      readonly close: Effect.Effect<void>
    }) => Effect.Effect<unknown, unknown>,
    capacity: number
  ) =>
    Effect.gen(function* () {
      const answering = Deferred.makeUnsafe<void>()
      const { backend, calls } = yield* scripted(always)
      const held: Backend.Service = { ...backend, target: Effect.andThen(Deferred.await(answering), backend.target) }
      const journal = yield* memoryJournal()
      const started = yield* start({
        backend: held,
        journal: durable(journal),
        sink: { capacity },
        recorder: { drainTimeout: "1 hour" }
      })
      for (let n = 0; n < 200; n++)
        for (let one = 0; one < 100; one++) yield* started.recorder.record(draft(`pod-${one}`))
      const ending = yield* Effect.forkChild(end(started), { startImmediately: true })
      yield* Deferred.succeed(answering, undefined)
      while (ending.pollUnsafe() === undefined) yield* TestClock.adjust("10 millis")
      yield* Fiber.join(ending)
      const { settled } = yield* statusOf(started.recorder)
      assert.strictEqual(settled, 20_000)
      return calls.reduce((sum, { batch }) => sum + batch.length, 0)
    })

  const inCourse = (capacity: number) =>
    writesOf(({ recorder }) => Effect.andThen(Effect.sleep("8 seconds"), recorder.flush("1 hour")), capacity)

  for (const capacity of [1_024, 16]) {
    it.effect(`makes at most twice as many writes as without them, with a capacity of ${capacity} series`, () =>
      Effect.gen(function* () {
        const course = yield* inCourse(capacity)
        const flushed = yield* writesOf(({ recorder }) => recorder.flush("1 hour"), capacity)
        const several = yield* writesOf(
          ({ recorder }) => Effect.forEach([1, 2, 3], () => recorder.flush("1 hour"), { concurrency: "unbounded" }),
          capacity
        )
        const closed = yield* writesOf(({ close }) => close, capacity)
        assert.isAtMost(flushed, 2 * course)
        assert.isAtMost(several, 2 * course)
        assert.isAtMost(closed, 2 * course)
      })
    )
  }
})
