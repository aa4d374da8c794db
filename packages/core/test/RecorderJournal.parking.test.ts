import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import { BackendError, Throttled } from "@tidings/core/BackendError"
import * as Journal from "@tidings/core/Journal"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { type Answer, created, refused, retry } from "./support/scripted.ts"
import {
  always,
  assertLaw,
  draft,
  draftIn,
  durable,
  memoryJournal,
  namesOf,
  namespaceOf,
  never,
  off,
  rejecting,
  scripted,
  settle,
  start,
  statusOf
} from "./support/journalRecorder.ts"

// ---------------------------------------------------------------------------
// parking
// ---------------------------------------------------------------------------

describe("parking", () => {
  it.effect("keeps what a backend will never accept, while the others are delivered", () =>
    Effect.gen(function* () {
      let gone = true
      const { backend, calls } = yield* scripted(rejecting(({ event }) => gone && event.involvedObject.name === "bad"))
      const { recorder } = yield* start({ backend })
      yield* recorder.record(draft("bad"))
      yield* recorder.record(draft("good"))
      yield* recorder.record(draft("bad"))
      yield* settle
      const status = yield* recorder.status
      assert.deepInclude(status.sinks["first"], { settled: 1, parked: 2, pending: 0 })
      assertLaw(status)
      const parked = yield* recorder.parked
      assert.deepStrictEqual(
        parked.map(({ occurrences, reason, sink, write }) => [
          sink,
          write.event.involvedObject.name,
          occurrences,
          write.count,
          reason
        ]),
        [["first", "bad", 2, 2, "the namespace is gone"]]
      )

      gone = false
      assert.strictEqual(
        yield* recorder.retryParked(
          "none",
          parked.map(({ write }) => write.id)
        ),
        0
      )
      assert.strictEqual(yield* recorder.retryParked("first", [{ origin: "none", seq: 1 }]), 0)
      assert.strictEqual(
        yield* recorder.retryParked(
          "first",
          parked.map(({ write }) => write.id)
        ),
        2
      )
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(yield* statusOf(recorder), { settled: 3, parked: 0, pending: 0 })
      assert.deepStrictEqual(yield* recorder.parked, [])
      assert.strictEqual(calls.at(-1)?.batch[0]?.count, 2)
    })
  )

  it.effect("ends for a series with its next write that succeeds", () =>
    Effect.gen(function* () {
      let gone = true
      const { backend, calls } = yield* scripted(rejecting(() => gone))
      const { recorder } = yield* start({ backend })
      yield* recorder.record(draft("a"))
      yield* recorder.record(draft("a"))
      yield* settle
      assert.deepInclude(yield* statusOf(recorder), { parked: 2, settled: 0 })
      gone = false
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(yield* statusOf(recorder), { parked: 0, settled: 3, pending: 0 })
      assert.deepStrictEqual([calls.at(-1)?.batch[0]?.id.seq, calls.at(-1)?.batch[0]?.count], [1, 3])
      assert.deepStrictEqual(yield* recorder.parked, [])
    })
  )

  it.effect("ends for a series that an operator drops", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(rejecting(() => true))
      const journal = yield* memoryJournal()
      const { recorder } = yield* start({ backend, journal })
      yield* recorder.record(draft("a"))
      yield* recorder.record(draft("b"))
      yield* settle
      const [first] = yield* recorder.parked
      assert.strictEqual(yield* recorder.dropParked("first", [first!.write.id]), 1)
      assert.strictEqual(yield* recorder.dropParked("first", [first!.write.id]), 0)
      const status = yield* recorder.status
      assert.deepInclude(status.sinks["first"], { parked: 1, dropped: { parked: 1 } })
      assertLaw(status)
      assert.lengthOf(yield* journal.parked("first"), 1)
    })
  )

  it.effect("waits as long as the parkAfter of the backend", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted((batch) =>
        Effect.succeed(batch.map((): Backend.Outcome => ({ _tag: "Retry", error: refused, parkAfter: "60 seconds" })))
      )
      const { recorder } = yield* start({ backend, sink: off })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("55 seconds")
      assert.deepInclude(yield* statusOf(recorder), { parked: 0, pending: 1 })
      yield* TestClock.adjust("40 seconds")
      assert.deepInclude(yield* statusOf(recorder), { parked: 1, pending: 0 })
    })
  )

  it.effect("makes room when stuck series would block the others", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted((batch) =>
        Effect.succeed(
          batch.map(({ event }) => (event.involvedObject.namespace === "sick" ? retry(refused) : Backend.created))
        )
      )
      const { recorder } = yield* start({ backend, sink: { ...off, capacity: 4 } })
      const sick = { kind: "Pod", namespace: "sick" }
      for (let n = 12; n < 15; n++)
        yield* recorder.record(draft(`sick-${n}`, { involvedObject: { ...sick, name: `sick-${n}` } }))
      yield* TestClock.adjust("1 second")
      yield* recorder.record(draft("well-0"))
      yield* TestClock.adjust("1 second")
      for (let n = 0; n < 12; n++)
        yield* recorder.record(draft(`sick-${n}`, { involvedObject: { ...sick, name: `sick-${n}` } }))
      yield* recorder.record(draft("well-1"))
      yield* TestClock.adjust("10 minutes")
      assert.include(namesOf(calls).flat(), "well-1")
      const status = yield* recorder.status
      const { parked, pending, settled } = status.sinks["first"]!
      assert.deepStrictEqual([settled, parked + pending], [2, 15])
      assert.isAbove(parked, 0)
      assert.isTrue((yield* recorder.parked).every(({ reason }) => reason.startsWith("stuck: ")))
      assertLaw(status)
    })
  )

  it.effect(
    "makes room only where the journal has more to read, starting with the series that have been stuck for the longest time",
    () =>
      Effect.gen(function* () {
        const { backend } = yield* scripted((batch, call) => {
          const answer = Effect.succeed(
            batch.map((write) => (namespaceOf(write) === "sick" ? retry(refused) : Backend.created))
          )
          return call === 1 ? Effect.delay(answer, "15 seconds") : answer
        })
        const { recorder } = yield* start({ backend, sink: { ...off, capacity: 4, batch: 1 } })
        const record = (...names: ReadonlyArray<string>) =>
          Effect.forEach(names, (name) => recorder.record(draftIn("sick", name)), { discard: true })
        const parked = Effect.map(recorder.parked, (all) =>
          all.map(({ write }) => write.event.involvedObject.name).sort()
        )

        // The first to come is the last to fail.
        yield* record("late", "a")
        yield* TestClock.adjust("1 second")
        yield* recorder.record(draft("well"))
        yield* TestClock.adjust("1 second")
        yield* record("b", "c")
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(yield* parked, [])
        yield* record("d", "e", "f", "g", "h")
        yield* settle
        assert.deepStrictEqual(yield* parked, ["a", "b"])
        yield* TestClock.adjust("20 seconds")
        yield* record("i", "j")
        yield* settle
        assert.deepStrictEqual(yield* parked, ["a", "b", "c"])
        assert.deepInclude(yield* statusOf(recorder), { parked: 3, pending: 8, settled: 1 })
        // Where everything fails, room is made also by a few.
        yield* record("k")
        yield* settle
        assert.deepStrictEqual(yield* parked, ["a", "b", "c", "late"])
      })
  )

  it.effect("does not happen to a few stuck series while most of the others are in flight", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted((batch) => {
        const namespace = namespaceOf(batch[0]!)
        if (namespace === "slow") return Effect.never
        return Effect.succeed(batch.map(() => (namespace === "sick" ? retry(refused) : Backend.created)))
      })
      const { recorder } = yield* start({ backend, sink: { ...off, capacity: 8, batch: 1, writeTimeout: "1 hour" } })
      yield* recorder.record(draftIn("sick", "sick"))
      yield* TestClock.adjust("1 second")
      yield* recorder.record(draft("well"))
      yield* settle
      for (let n = 0; n < 12; n++) yield* recorder.record(draftIn("slow", `slow-${n}`))
      yield* TestClock.adjust("10 minutes")
      assert.deepInclude(yield* statusOf(recorder), { settled: 1, parked: 0, pending: 13 })
    })
  )

  it.effect("never happens to series that are throttled", () =>
    Effect.gen(function* () {
      const limit = new BackendError({ reason: new Throttled({ scope: "namespace", detail: "limit reached" }) })
      let limited = true
      const { backend } = yield* scripted((batch) =>
        Effect.succeed(
          batch.map(({ event }) =>
            limited && event.involvedObject.namespace === "busy" ? retry(limit) : Backend.created
          )
        )
      )
      const { recorder } = yield* start({ backend, sink: { ...off, capacity: 4 } })
      const busy = (n: number) =>
        recorder.record(draft("busy", { involvedObject: { kind: "Pod", name: `busy-${n}`, namespace: "busy" } }))
      for (let n = 0; n < 3; n++) yield* busy(n)
      yield* TestClock.adjust("1 second")
      for (let n = 0; n < 10; n++) {
        yield* recorder.record(draft(`well-${n}`))
        yield* busy(n + 3)
        yield* TestClock.adjust("1 minute")
      }
      assert.strictEqual((yield* statusOf(recorder)).parked, 0)
      limited = false
      yield* TestClock.adjust("2 minutes")
      assert.deepInclude(yield* statusOf(recorder), { parked: 0, pending: 0, settled: 23 })
    })
  )

  it.effect("never happens in an outage, however long", () =>
    Effect.gen(function* () {
      let away = true
      const { backend } = yield* scripted((batch) => (away ? Effect.fail(refused) : Effect.succeed(created(batch))))
      const { recorder } = yield* start({ backend, sink: { ...off, capacity: 4 } })
      for (let n = 0; n < 40; n++) yield* recorder.record(draft(`pod-${n}`))
      yield* TestClock.adjust("3 days")
      assert.deepInclude(yield* statusOf(recorder), { parked: 0, pending: 40 })
      away = false
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* statusOf(recorder), { settled: 40, pending: 0 })
    })
  )

  it.effect("that fails leaves the occurrences pending", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(rejecting(() => true))
      const journal = yield* memoryJournal()
      let broken = true
      const failing: Journal.Journal["Service"] = {
        ...journal,
        park: (...given) =>
          broken
            ? Effect.fail(new Journal.JournalError({ reason: new Journal.JournalFailed({ detail: "no disk" }) }))
            : journal.park(...given)
      }
      const { recorder } = yield* start({ backend, journal: failing, sink: off })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("10 seconds")
      const status = yield* statusOf(recorder)
      assert.deepInclude(status, { parked: 0, pending: 1, state: "degraded" })
      assert.include(status.lastError, "no disk")
      broken = false
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* statusOf(recorder), { parked: 1, pending: 0, state: "up" })
    })
  )

  it.effect("that is slow is waited for, and not longer than that", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(rejecting(() => true))
      const journal = yield* memoryJournal()
      const slow: Journal.Journal["Service"] = {
        ...journal,
        park: (...given) => Effect.delay(journal.park(...given), "1 second")
      }
      const { recorder } = yield* start({ backend, journal: slow, sink: off })
      yield* recorder.record(draft("a"))
      const flushing = yield* Effect.forkChild(recorder.flush("1 minute"), { startImmediately: true })
      yield* TestClock.adjust("900 millis")
      assert.isUndefined(flushing.pollUnsafe())
      yield* TestClock.adjust("200 millis")
      assert.deepStrictEqual(flushing.pollUnsafe(), Exit.succeed({ complete: true, waiting: 0, pending: { first: 0 } }))
    })
  )

  it.effect("ends once, whatever ends it first", () =>
    Effect.gen(function* () {
      let gone = true
      const { backend } = yield* scripted(rejecting(() => gone))
      const journal = yield* memoryJournal()
      const slow: Journal.Journal["Service"] = {
        ...journal,
        unpark: (...given) => Effect.delay(journal.unpark(...given), "1 second")
      }
      const { recorder } = yield* start({ backend, journal: slow })
      yield* recorder.record(draft("a"))
      yield* settle
      const [first] = yield* recorder.parked
      gone = false
      const dropping = yield* Effect.forkChild(recorder.dropParked("first", [first!.write.id]), {
        startImmediately: true
      })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(dropping), 0)
      const status = yield* recorder.status
      assert.deepInclude(status.sinks["first"], { settled: 2, parked: 0, pending: 0, dropped: {} })
      assertLaw(status)
    })
  )

  it.effect("lasts in the journal until a retried series is settled", () =>
    Effect.gen(function* () {
      let answer: Answer = rejecting(() => true)
      const { backend } = yield* scripted((batch, call) => answer(batch, call))
      const journal = durable(yield* memoryJournal())
      const { recorder } = yield* start({ backend, journal, sink: { ...off, writeTimeout: "30 seconds" } })
      yield* recorder.record(draft("a"))
      yield* settle
      answer = never
      assert.strictEqual(yield* recorder.retryParked("first", [{ origin: journal.origin, seq: 1 }]), 1)
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(yield* recorder.parked, [])
      assert.lengthOf(yield* journal.parked("first"), 1)
      answer = always
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* journal.parked("first"), [])
    })
  )
})
