import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import { BackendError, Throttled, Unauthorized } from "@tidings/core/BackendError"
import * as Correlation from "@tidings/core/Correlation"
import type { Write } from "@tidings/core/Event"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { type Answer, created, refused, retry, unknown } from "./support/scripted.ts"

// ---------------------------------------------------------------------------
// a recorder, its journal, and backends that answer as the test says
// ---------------------------------------------------------------------------

class Second extends Context.Service<Second, Backend.Service>()("test/Second") {}

const draft = (name: string, more?: Partial<Recorder.EventDraft>): Recorder.EventDraft => ({
  involvedObject: { kind: "Pod", name, namespace: "default" },
  reason: "Started",
  message: "It runs",
  ...more
})

interface Call {
  readonly batch: ReadonlyArray<Write>
  /** In seconds since the test began. */
  readonly at: number
}

interface Scripted {
  readonly backend: Backend.Service
  readonly calls: Array<Call>
}

const scripted = (answer: Answer, target = "cluster"): Effect.Effect<Scripted> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const memory = yield* Effect.provide(Backend.Backend, Backend.layerMemory())
    const calls: Array<Call> = []
    return {
      calls,
      backend: {
        ...memory,
        target: Effect.succeed(target),
        write: (batch) =>
          Effect.suspend(() => {
            calls.push({ batch, at: clock.currentTimeMillisUnsafe() / 1_000 })
            return answer(batch, calls.length)
          })
      }
    }
  })

const always: Answer = (batch) => Effect.succeed(created(batch))
const never: Answer = () => Effect.never

/** As a journal on a disk: it outlives recorders. */
const durable = (journal: Journal.Journal["Service"]): Journal.Journal["Service"] => ({
  ...journal,
  durability: "process"
})

const memoryJournal = (options?: Parameters<typeof Journal.layerMemory>[0]) =>
  Effect.provide(Journal.Journal, Journal.layerMemory(options))

interface Started {
  readonly recorder: Recorder.Recorder["Service"]
  readonly close: Effect.Effect<void>
  readonly logs: ReadonlyArray<string>
}

type SinkOptions = Omit<Parameters<typeof Recorder.sink<Backend.Backend>>[0], "backend" | "name">

const start = (options: {
  readonly journal?: Journal.Journal["Service"]
  readonly backend: Backend.Service
  readonly second?: Backend.Service
  readonly sink?: SinkOptions
  readonly recorder?: Omit<Recorder.RecorderOptions, "writeTimeout">
}): Effect.Effect<Started, Recorder.InvalidRecorderOptions | Journal.JournalError> =>
  Effect.gen(function* () {
    const logs: Array<string> = []
    const scope = yield* Scope.make()
    const journal = options.journal ?? (yield* memoryJournal())
    const sinks: Array<Recorder.Sink<Backend.Backend | Second>> = [
      Recorder.sink({ name: "first", backend: Backend.Backend, ...options.sink })
    ]
    if (options.second !== undefined) sinks.push(Recorder.sink({ name: "second", backend: Second, ...options.sink }))
    const logger = Logger.make<unknown, void>(
      ({ logLevel, message }) => void logs.push(`${logLevel} ${String(message)}`)
    )
    const context = yield* Layer.buildWithScope(
      Recorder.layer({ ...options.recorder, sinks }).pipe(
        Layer.provide(
          Layer.mergeAll(
            Templates.layer,
            Layer.succeed(Journal.Journal, journal),
            Layer.succeed(Backend.Backend, options.backend),
            Layer.succeed(Second, options.second ?? options.backend),
            Logger.layer([logger])
          )
        )
      ),
      scope
    )
    return { recorder: Context.get(context, Recorder.Recorder), close: Scope.close(scope, Exit.void), logs }
  })

/** Lets everything happen that is due now. */
const settle = TestClock.adjust(0)

const statusOf = (recorder: Recorder.Recorder["Service"], sink = "first") =>
  Effect.map(recorder.status, (status) => status.sinks[sink]!)

const assertLaw = (status: Recorder.RecorderStatus) => {
  for (const [name, sink] of Object.entries(status.sinks)) {
    const dropped = Object.values(sink.dropped).reduce((sum, n) => sum + n, 0)
    assert.strictEqual(status.accepted + sink.recovered, sink.settled + sink.parked + dropped + sink.pending, name)
  }
}

const namesOf = (calls: ReadonlyArray<Call>) =>
  calls.map(({ batch }) => batch.map(({ event }) => event.involvedObject.name))

const off: SinkOptions = { correlation: Correlation.off }

// ---------------------------------------------------------------------------
// accepting
// ---------------------------------------------------------------------------

describe("record", () => {
  it.effect("resolves when the journal has it, whatever the backend does", () =>
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

  it.effect("refuses what is invalid, and everything once it is closed", () =>
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

  it.effect("accepts what its caller no longer waits for", () =>
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

  it.effect("appends what comes meanwhile in one go", () =>
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

  it.effect("appends in one go what several callers bring in one turn, where each write costs", () =>
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

  it.effect("appends at once where a write costs nothing", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted(always)
      const { journal, sizes } = counting(yield* memoryJournal())
      const { recorder } = yield* start({ backend, journal })
      yield* Effect.forEach(["a", "b", "c"], (name) => record(recorder, name))
      assert.deepStrictEqual(sizes, [1, 1, 1])
    })
  )

  it.effect("appends what was collected, or refuses it, when the scope closes in the same turn", () =>
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

  it.effect("fails with what the journal says, and has recorded nothing", () =>
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
  it.effect("waits for every sink, and tells how each is through with it", () =>
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

  it.effect("of a folded occurrence waits for the write that counts it in", () =>
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

describe("recordSettled, several times for one series", () => {
  it.effect("waits each for the write that carries its own", () =>
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
  it.effect("never waits and never fails; what it cannot take is counted", () =>
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

  it.effect("counts what is invalid", () =>
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
  it.effect("lets go of what is held, and is complete when everything is through", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted(always)
      const { recorder } = yield* start({ backend, sink: { correlation: { ...Correlation.defaults, burst: 1 } } })
      for (let n = 0; n < 10; n++) yield* recorder.record(draft("a"))
      yield* settle
      assert.strictEqual((yield* statusOf(recorder)).held, 9)
      assert.deepStrictEqual(yield* recorder.flush("1 second"), { complete: true, pending: { first: 0 } })
      assert.deepStrictEqual(
        calls.map(({ batch }) => batch[0]?.count),
        [1, 10]
      )
    })
  )

  it.effect("waits also for what is not read yet when it begins", () =>
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
      assert.deepStrictEqual(yield* Fiber.join(flushing), { complete: false, pending: { first: 2 } })
    })
  )
})

describe("delivery", () => {
  it.effect("keeps to the limits of a sink, and has a series under way once at the most", () =>
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

  it.effect("repeats with growing pauses, and with the same identity", () =>
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

  it.effect("repeats what was not answered, what broke down, and what nobody answers in time", () =>
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

  it.effect("obeys a Throttled for the whole sink", () =>
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

  it.effect("slows one series alone when that is what is throttled", () =>
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

  it.effect("asks one at a time whether a backend that is away is back, and then goes on at once", () =>
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

  it.effect("has one write under way while a backend is away, and as many as it may when it is there", () =>
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

  it.effect("of one sink does not wait for another", () =>
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

  it.effect("counts what a policy drops", () =>
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

describe("a sink that breaks down", () => {
  it.effect("says so, and leaves what is accepted where it is", () =>
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

  it.effect("is not one whose backend throws", () =>
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
  it.effect("tells how long the longest waiting has waited, wherever it waits", () =>
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

  it.effect("goes from up over degraded or blocked to up, and the log tells each change once", () =>
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

  it.effect("does not flood the log when a backend goes up and down", () =>
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

  it.effect("tells later in the log what it did not tell at once", () =>
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

// ---------------------------------------------------------------------------
// what failures mean, and who goes next
// ---------------------------------------------------------------------------

const unauthorized = new BackendError({ reason: new Unauthorized({ detail: "the token has expired" }) })

const draftIn = (namespace: string, name: string) => draft(name, { involvedObject: { kind: "Pod", name, namespace } })

const namespaceOf = ({ event }: Write) => event.involvedObject.namespace

const each =
  (outcome: (write: Write) => Backend.Outcome): Answer =>
  (batch) =>
    Effect.succeed(batch.map(outcome))

const countOf = (calls: ReadonlyArray<Call>, name: string) =>
  namesOf(calls)
    .flat()
    .filter((one) => one === name).length

/** Waits until the next call has just happened. */
const nextCall = (calls: ReadonlyArray<Call>) =>
  Effect.gen(function* () {
    const before = calls.length
    while (calls.length === before) yield* TestClock.adjust("100 millis")
  })

describe("a backend that is away", () => {
  it.effect(
    "has everything at once when it is back, whatever it answers and whatever pauses have grown meanwhile",
    () =>
      Effect.gen(function* () {
        for (const answer of [always, rejecting(() => true)]) {
          let away = true
          const { backend, calls } = yield* scripted((batch, call) =>
            away ? Effect.fail(unauthorized) : answer(batch, call)
          )
          const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 2 } })
          for (let n = 0; n < 8; n++) yield* recorder.record(draftIn(`namespace-${n}`, `pod-${n}`))
          yield* TestClock.adjust("1 hour")
          // Each of them has been told to wait for minutes.
          away = false
          yield* recorder.record(draft("fresh"))
          const before = calls.length
          while (calls.length === before) yield* TestClock.adjust("1 second")
          yield* settle
          assert.deepInclude(yield* statusOf(recorder), { pending: 0, state: "up" })
          assert.isAtMost(calls.length - before, 3)
        }
      })
  )

  it.effect("is asked with one namespace after the other, so that one alone does not pass for all", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted((batch) =>
        batch.some((write) => namespaceOf(write) === "sick") ? Effect.fail(refused) : Effect.succeed(created(batch))
      )
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 2, batch: 3 } })
      for (let n = 0; n < 20; n++) yield* recorder.record(draftIn("sick", `sick-${n}`))
      yield* recorder.record(draftIn("well", "well"))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* statusOf(recorder)).settled, 1)
      assert.isAtMost(
        calls.findIndex(({ batch }) => batch.some((write) => namespaceOf(write) === "well")),
        3
      )
    })
  )

  it.effect("is back with the first write that gets through, also when that began before", () =>
    Effect.gen(function* () {
      let away = true
      const { backend } = yield* scripted((batch) => {
        const answer = Effect.suspend(() => (away ? Effect.fail(refused) : Effect.succeed(created(batch))))
        const { name } = batch[0]!.event.involvedObject
        if (name === "late") return Effect.delay(answer, "19 seconds")
        return name === "later" ? Effect.delay(Effect.succeed(created(batch)), "19100 millis") : answer
      })
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 3, batch: 1 } })
      for (const name of ["late", "later", "a", "b", "c"]) yield* recorder.record(draft(name))
      yield* TestClock.adjust("19 seconds")
      away = false
      assert.strictEqual((yield* statusOf(recorder)).settled, 0)
      yield* TestClock.adjust("100 millis")
      // All but the one that takes its time again.
      assert.strictEqual((yield* statusOf(recorder)).settled, 4)
    })
  )

  it.effect("is asked more rarely where a person must mend something", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted(() => Effect.fail(unauthorized))
      const { recorder } = yield* start({ backend, sink: off })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("1 hour")
      const before = calls.length
      yield* TestClock.adjust("1 hour")
      assert.isTrue(calls.length - before >= 12 && calls.length - before <= 25, String(calls.length - before))
    })
  )

  it.effect("changes nothing for what failed before", () =>
    Effect.gen(function* () {
      let away = false
      const { backend, calls } = yield* scripted((batch) =>
        away
          ? Effect.fail(refused)
          : Effect.succeed(
              batch.map(({ event }) => (event.involvedObject.name === "bad" ? retry(unauthorized) : Backend.created))
            )
      )
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 2 } })
      yield* recorder.record(draft("bad"))
      yield* TestClock.adjust("1 second")
      yield* recorder.record(draft("well"))
      yield* TestClock.adjust("1 hour")
      const before = calls.length
      away = true
      for (let n = 0; n < 4; n++) yield* recorder.record(draft(`pod-${n}`))
      yield* TestClock.adjust("5 minutes")
      away = false
      while ((yield* statusOf(recorder)).settled < 5) yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("5 seconds")
      // Alone, so that it holds up nobody.
      const after = namesOf(calls.slice(before)).filter((names) => names.includes("bad"))
      assert.isTrue(
        after.every((names) => names.length === 1),
        String(after)
      )
    })
  )

  it.effect("is asked at once, and then after short pauses, when the recorder closes", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted(() => Effect.fail(unauthorized))
      const { close, recorder } = yield* start({ backend, sink: { ...off, concurrency: 1 } })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("1 hour")
      yield* nextCall(calls)
      const before = calls.length
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* settle
      assert.strictEqual(calls.length, before + 1)
      yield* TestClock.adjust("10 seconds")
      // Every quarter to half of a second.
      assert.isAbove(calls.length, before + 18)
      yield* Fiber.join(closing)
    })
  )
})

describe("a namespace that is stuck", () => {
  it.effect("is asked more rarely, has everything at once when it works, and leaves another one alone", () =>
    Effect.gen(function* () {
      const stuck = new Set(["sick", "ill"])
      const { backend, calls } = yield* scripted(
        each((write) => (stuck.has(namespaceOf(write)!) ? retry(refused) : Backend.created))
      )
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 2 } })
      for (let n = 0; n < 4; n++) {
        yield* recorder.record(draftIn("sick", `sick-${n}`))
        yield* recorder.record(draftIn("ill", `ill-${n}`))
      }
      yield* TestClock.adjust("1 second")
      yield* recorder.record(draft("well"))
      yield* TestClock.adjust("1 hour")
      // Though the last write of another one got through.
      assert.strictEqual((yield* statusOf(recorder)).state, "degraded")
      const before = calls.length
      yield* TestClock.adjust("1 hour")
      assert.isAtMost(calls.length - before, 8 * 25)

      stuck.delete("sick")
      const since = calls.length
      while ((yield* statusOf(recorder)).settled === 1) yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepInclude(yield* statusOf(recorder), { settled: 5, pending: 4 })
      const ill = namesOf(calls.slice(since)).filter((names) => names.some((name) => name.startsWith("ill")))
      assert.isTrue(
        ill.every((names) => names.length === 1),
        String(ill)
      )
    })
  )

  it.effect("is none any more after it has worked: when it fails next, that may be an outage", () =>
    Effect.gen(function* () {
      let failing = true
      let underWay = 0
      let most = 0
      const { backend } = yield* scripted((batch) =>
        Effect.suspend(() => {
          most = Math.max(most, ++underWay)
          return Effect.andThen(
            Effect.sleep("1 second"),
            Effect.suspend(() => {
              underWay--
              return Effect.succeed(
                batch.map((write) => (failing && namespaceOf(write) === "sick" ? retry(refused) : Backend.created))
              )
            })
          )
        })
      )
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 4, batch: 1 } })
      yield* recorder.record(draftIn("sick", "sick"))
      yield* TestClock.adjust("3 seconds")
      yield* recorder.record(draft("well"))
      yield* TestClock.adjust("1 minute")
      failing = false
      yield* TestClock.adjust("10 minutes")
      assert.deepInclude(yield* statusOf(recorder), { settled: 2, state: "up" })
      failing = true
      for (let n = 0; n < 12; n++) yield* recorder.record(draftIn("sick", `sick-${n}`))
      yield* TestClock.adjust("1 minute")
      most = 0
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(most, 1)
    })
  )
})

describe("a Throttled", () => {
  const throttled = (scope: "backend" | "series", retryAfter?: Duration.Input) =>
    new BackendError({
      reason: new Throttled({
        scope,
        detail: "too many requests",
        ...(retryAfter === undefined ? undefined : { retryAfter: Duration.fromInputUnsafe(retryAfter) })
      })
    })

  it.effect("that names a time is no failure: the pause does not grow", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted(each(() => retry(throttled("series", "2 seconds"))))
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 100 } })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(calls, 31)
    })
  )

  it.effect("that names next to no time is not taken at its word", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted(each(() => retry(throttled("series", "1 millis"))))
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 100 } })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("10 seconds")
      assert.isAtMost(calls.length, 41)
    })
  )

  it.effect("is obeyed also where its namespace works again", () =>
    Effect.gen(function* () {
      let sick = true
      const { backend, calls } = yield* scripted(
        each(({ event }) => {
          const { name } = event.involvedObject
          if (name.startsWith("busy")) return retry(throttled("series"))
          return sick && name === "sick" ? retry(refused) : Backend.created
        })
      )
      const { recorder } = yield* start({ backend, sink: off })
      yield* recorder.record(draft("sick"))
      yield* settle
      for (let n = 0; n < 8; n++) yield* recorder.record(draft(`busy-${n}`))
      yield* TestClock.adjust("1 second")
      yield* recorder.record(draftIn("well", "well"))
      yield* TestClock.adjust("1 hour")
      sick = false
      while ((yield* statusOf(recorder)).settled === 1) {
        calls.length = 0
        yield* TestClock.adjust("1 second")
      }
      // Some may have been due by themselves.
      assert.isAtMost(calls.length, 5)
    })
  )

  it.effect("for the whole sink is not cut short by a later one", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted((batch, call) => {
        if (call === 1) return Effect.delay(Effect.fail(throttled("backend", "5 seconds")), "1 second")
        return call === 2 ? Effect.fail(throttled("backend", "1 minute")) : Effect.succeed(created(batch))
      })
      const { recorder } = yield* start({ backend, sink: { ...off, batch: 1 } })
      yield* recorder.record(draft("a"))
      yield* recorder.record(draft("b"))
      yield* TestClock.adjust("59 seconds")
      assert.lengthOf(calls, 2)
      yield* TestClock.adjust("2 seconds")
      assert.lengthOf(calls, 4)
    })
  )

  it.effect("keeps to the limits of a sink when what has failed is tried again together with what is fresh", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted((_, call) =>
        call <= 2 ? Effect.fail(throttled("backend")) : Effect.never
      )
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 4, batch: 3 } })
      yield* recorder.record(draft("a"))
      yield* recorder.record(draft("b"))
      yield* settle
      for (let n = 0; n < 12; n++) yield* recorder.record(draft(`pod-${n}`))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(namesOf(calls), [
        ["a"],
        ["b"],
        ["a"],
        ["b"],
        ["pod-0", "pod-1", "pod-2"],
        ["pod-3", "pod-4", "pod-5"]
      ])
    })
  )

  it.effect("leaves what is fresh spread over the places that are left", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted((_, call) =>
        call === 1 ? Effect.fail(throttled("backend")) : Effect.never
      )
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 4, batch: 8 } })
      yield* recorder.record(draft("a"))
      yield* settle
      for (let n = 0; n < 12; n++) yield* recorder.record(draft(`pod-${n}`))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        namesOf(calls.slice(1)).map((names) => names.length),
        [1, 4, 4, 4]
      )
    })
  )
})

describe("what has failed before", () => {
  it.effect("has half of the places at the most, and of them who failed least", () =>
    Effect.gen(function* () {
      let underWay = 0
      let most = 0
      let flaky = true
      const failed = new Set<string>()
      const { backend, calls } = yield* scripted((batch) =>
        Effect.suspend(() => {
          const [first] = batch
          if (namespaceOf(first!) !== "sick") {
            return Effect.succeed(
              batch.map(({ event }) =>
                flaky && event.involvedObject.name === "flaky" ? retry(refused) : Backend.created
              )
            )
          }
          if (!failed.has(first!.event.involvedObject.name)) {
            for (const { event } of batch) failed.add(event.involvedObject.name)
            return Effect.succeed(batch.map(() => retry(refused)))
          }
          most = Math.max(most, ++underWay)
          return Effect.onExit(Effect.never, () => Effect.sync(() => underWay--))
        })
      )
      const { recorder } = yield* start({
        backend,
        sink: { ...off, concurrency: 4, writeTimeout: "20 seconds", capacity: 64 }
      })
      yield* recorder.record(draftIn("sick", "sick"))
      yield* TestClock.adjust("1 second")
      yield* recorder.record(draft("well"))
      yield* settle
      for (let n = 0; n < 6; n++) yield* recorder.record(draftIn("sick", `sick-${n}`))
      yield* settle
      for (let n = 0; n < 60; n++) {
        yield* recorder.record(draft(`well-${n}`))
        yield* settle
        assert.strictEqual((yield* statusOf(recorder)).settled, n + 2)
        yield* TestClock.adjust("2 seconds")
      }
      assert.strictEqual(most, 2)
      // Both places for it are taken, and others wait for one that have failed more often.
      yield* recorder.record(draft("flaky"))
      yield* settle
      flaky = false
      yield* TestClock.adjust("21 seconds")
      assert.strictEqual(countOf(calls, "flaky"), 2)
    })
  )

  it.effect("takes turns with what is fresh where there is only one place", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      let failing = true
      const { backend } = yield* scripted((batch) =>
        Effect.suspend(() => {
          const namespace = namespaceOf(batch[0]!)!
          order.push(namespace)
          return Effect.delay(
            Effect.succeed(batch.map(() => (failing && namespace === "sick" ? retry(refused) : Backend.created))),
            "1 second"
          )
        })
      )
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 1, batch: 1 } })
      yield* recorder.record(draftIn("sick", "sick"))
      yield* TestClock.adjust("2 seconds")
      yield* recorder.record(draft("well"))
      yield* TestClock.adjust("2 seconds")
      for (let n = 0; n < 8; n++) yield* recorder.record(draftIn("sick", `sick-${n}`))
      for (let n = 0; n < 40; n++) yield* recorder.record(draft(`well-${n}`))
      yield* TestClock.adjust("20 seconds")
      order.length = 0
      yield* TestClock.adjust("20 seconds")
      const sick = order.filter((namespace) => namespace === "sick").length
      assert.isTrue(sick >= 7 && sick <= 11, order.join(" "))
      const twice = order.some((namespace, index) => namespace === "sick" && order[index + 1] === "sick")
      assert.isFalse(twice, order.join(" "))
      // Where nothing fresh comes, it has the place alone.
      yield* TestClock.adjust("2 minutes")
      assert.deepInclude(yield* statusOf(recorder), { settled: 41, pending: 9 })
      failing = false
      yield* TestClock.adjust("6 minutes")
      assert.deepInclude(yield* statusOf(recorder), { settled: 50, pending: 0 })
    })
  )

  it.effect("is as if new when it gets through, also with what came meanwhile", () =>
    Effect.gen(function* () {
      let failing = true
      const { backend, calls } = yield* scripted((batch) =>
        Effect.delay(
          Effect.suspend(() =>
            Effect.succeed(
              batch.map(({ event }): Backend.Outcome =>
                failing && event.involvedObject.name === "a"
                  ? { _tag: "Retry", error: refused, parkAfter: "60 seconds" }
                  : Backend.created
              )
            )
          ),
          "1 second"
        )
      )
      const { recorder } = yield* start({ backend, sink: { concurrency: 1, batch: 8 } })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("40 seconds")
      assert.strictEqual((yield* statusOf(recorder)).state, "degraded")
      failing = false
      yield* nextCall(calls)
      yield* recorder.record(draft("a"))
      yield* recorder.record(draft("b"))
      yield* TestClock.adjust("1 second")
      // Together with another one, as what never failed.
      assert.deepStrictEqual(namesOf(calls.slice(-1)).flat().sort(), ["a", "b"])
      assert.strictEqual((yield* statusOf(recorder)).state, "up")
      failing = true
      yield* TestClock.adjust("40 seconds")
      // Its patience begins anew, and so does what is told.
      assert.deepInclude(yield* statusOf(recorder), { state: "degraded", parked: 0, pending: 1 })
    })
  )

  it.effect("is not through before its first occurrence is", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { backend } = yield* scripted((_, call) =>
        call === 1 ? Effect.andThen(Deferred.await(gate), Effect.fail(refused)) : Effect.never
      )
      const { recorder } = yield* start({ backend })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("5 seconds")
      const flushing = yield* Effect.forkChild(recorder.flush("20 seconds"), { startImmediately: true })
      yield* recorder.record(draft("a"))
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("5 seconds")
      assert.isUndefined(flushing.pollUnsafe())
      assert.strictEqual(Duration.toSeconds((yield* statusOf(recorder)).oldestAge), 10)
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(yield* Fiber.join(flushing), { complete: false, pending: { first: 2 } })
    })
  )
})

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

describe("reading", () => {
  it.effect("stops where the capacity is reached, and a little later while everything fails", () =>
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

  it.effect("leaves nothing behind that looks old when everything is through", () =>
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
  it.effect("come as often as a stream of events needs them", () =>
    Effect.gen(function* () {
      const { journal } = noting(yield* memoryJournal())
      const { backend } = yield* scripted(always)
      const { recorder } = yield* start({ backend, journal, sink: { ...off, capacity: 4 } })
      for (let n = 0; n < 200; n++) yield* recorder.record(draft(`pod-${n}`))
      yield* settle
      assert.strictEqual((yield* statusOf(recorder)).settled, 200)
    })
  )

  it.effect("come at intervals while there is something to do, sooner when it is done, and then no more", () =>
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

  it.effect("that fail are tried again after pauses that grow, until one works", () =>
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

  it.effect("are made of what is settled too, also after one that failed", () =>
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
// parking
// ---------------------------------------------------------------------------

const rejecting =
  (rejects: (write: Write) => boolean): Answer =>
  (batch) =>
    Effect.succeed(
      batch.map((write) => (rejects(write) ? { _tag: "Rejected", reason: "the namespace is gone" } : Backend.created))
    )

describe("parking", () => {
  it.effect("keeps what a backend will never take, beside what it takes", () =>
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

  it.effect("is over for a series with the next write of it that gets through", () =>
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

  it.effect("ends in dropping when somebody says so", () =>
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

  it.effect("waits as long as the backend has patience", () =>
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

  it.effect("makes room when stuck series would stop the others", () =>
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

  it.effect("makes room only where somebody waits for it, of what is stuck for long, and the longest stuck first", () =>
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

  it.effect("does not happen to a few that are stuck while most of what fills a sink is under way", () =>
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

  it.effect("never happens to what is only asked to wait", () =>
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

  it.effect("that takes its time is waited for, and no longer", () =>
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
      assert.deepStrictEqual(flushing.pollUnsafe(), Exit.succeed({ complete: true, pending: { first: 0 } }))
    })
  )

  it.effect("is over once, whoever ends it first", () =>
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

  it.effect("lasts for the journal until what is tried again is through", () =>
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

// ---------------------------------------------------------------------------
// targets
// ---------------------------------------------------------------------------

describe("targets", () => {
  it.effect("bind a journal: another one is refused, and nothing is lost meanwhile", () =>
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

  it.effect("are not written to before they stand in a checkpoint", () =>
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

  it.effect("that cannot be told yet are asked again, and everything waits in the journal", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted(always)
      let asked = 0
      const shy: Backend.Service = {
        ...backend,
        target: Effect.suspend(() => (++asked <= 5 ? Effect.fail(refused) : Effect.succeed("cluster")))
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
})

// ---------------------------------------------------------------------------
// ends and beginnings
// ---------------------------------------------------------------------------

describe("closing", () => {
  it.effect("lets go of what is held and delivers it", () =>
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

  it.effect("waits for its deadline, and tries again within it", () =>
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

  it.effect("asks once more at once for a target that could not be told", () =>
    Effect.gen(function* () {
      let away = true
      const { backend } = yield* scripted(always)
      const target = Effect.suspend(() => (away ? Effect.fail(refused) : Effect.succeed("cluster")))
      const { close, recorder } = yield* start({ backend: { ...backend, target } })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("10 minutes")
      away = false
      yield* close
      assert.deepInclude(yield* statusOf(recorder), { settled: 1, pending: 0, dropped: {} })
    })
  )

  it.effect("is the end of the books: what is answered later changes nothing", () =>
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

  it.effect("counts what a journal in memory takes along", () =>
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

  it.effect("leaves the rest in a journal that outlives it, and the next one delivers it", () =>
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

  it.effect("refuses what still waits for room in the journal", () =>
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

describe("starting", () => {
  it.effect("goes on with the counts of the series that it finds", () =>
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

  it.effect("gives a new sink what is accepted from now on", () =>
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

  it.effect("gives a sink that never reached its backend what was accepted before", () =>
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

  it.effect("counts what was parked, and can deliver it", () =>
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

  it.effect("does not count as parked what was given up meanwhile", () =>
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

  it.effect("refuses sinks without a name of their own, and none at all", () =>
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
    return { ...one, gate, backend: { ...one.backend, target: Effect.as(Deferred.await(gate), "cluster") } }
  })

  it.effect("refuses, if it fails", () =>
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

  it.effect("takes of several what it has room for", () =>
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

  it.effect("makes callers wait, if it blocks", () =>
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

  it.effect("drops the oldest, counted, if it is told to", () =>
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

describe("a full journal that outlives the recorder", () => {
  it.effect("gets room by a checkpoint as soon as somebody needs it", () =>
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

describe("a journal that had no room once", () => {
  it.effect("is not written to more often from then on", () =>
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

  it.effect("at reading blocks the sink until it works again", () =>
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

  it.effect("at checkpoints lets a sink read so far ahead and no further", () =>
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
