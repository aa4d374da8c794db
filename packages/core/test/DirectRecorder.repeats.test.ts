import * as Backend from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import * as Correlation from "@tidings/core/Correlation"
import type { Write } from "@tidings/core/Event"
import * as Policy from "@tidings/core/Policy"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { anyOf, integer } from "./support/arbitraries.ts"
import { type Answer, created, refused, scripted, unknown } from "./support/scripted.ts"
import { settle } from "./support/writes.ts"

const draft = (n: number, more?: Partial<Recorder.EventDraft>): Recorder.EventDraft => ({
  involvedObject: { kind: "Pod", name: "web", namespace: "default" },
  reason: "Restarted",
  message: "It runs again",
  data: { n },
  at: n,
  ...more
})

const over = (answer: Answer, options?: Recorder.DirectOptions) => {
  const { calls, layer } = scripted(answer)
  const recorder = Recorder.layerDirect({ correlation: Correlation.defaults, ...options })
  return { calls, layer: Layer.provide(recorder, Layer.merge(Templates.layer, layer)) }
}

const memory = (options?: Recorder.DirectOptions) =>
  Recorder.layerDirect({ correlation: Correlation.defaults, ...options }).pipe(
    Layer.provideMerge(Layer.merge(Templates.layer, Backend.layerMemory()))
  )

const stored = Effect.map(
  Backend.Backend.use((backend) => backend.query({})),
  ({ events }) => events
)

const start = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

describe("the same event again", () => {
  it.effect("is one series with a count, the first and last time, and the latest data", () =>
    Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const first = yield* recorder.record(draft(20))
      const second = yield* recorder.recordSettled(draft(10))
      const third = yield* recorder.record(draft(30))
      assert.deepInclude(second, { sinks: { default: { _tag: "Settled", how: "updated" } } })
      const [event, ...others] = yield* stored
      assert.isEmpty(others)
      assert.deepInclude(event, { count: 3, first: 10, last: 30, upTo: event!.id.seq + 2 })
      assert.strictEqual(event!.event.data["n"], 30)
      // By the id of an answer the event is found.
      for (const answer of [first, second, third]) assert.deepInclude(answer, { _tag: "Accepted", id: event!.id })
      assert.deepInclude((yield* recorder.status).sinks["default"], { settled: 3, pending: 0 })
    }).pipe(Effect.provide(memory()))
  )

  it.effect("is a series of its own unless the option is given", () =>
    Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      yield* recorder.record(draft(1))
      yield* recorder.record(draft(2))
      assert.lengthOf(yield* stored, 2)
    }).pipe(Effect.provide(memory({ correlation: undefined })))
  )

  it.effect("is one with equal object, related object, reason, type, action and message, and no other", () =>
    Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const { involvedObject } = draft(0)
      const others: ReadonlyArray<Partial<Recorder.EventDraft>> = [
        {},
        { message: "It runs" },
        { reason: "Started" },
        { type: "Warning" },
        { action: "Restart" },
        { related: { kind: "Node", name: "worker-1" } },
        { related: { kind: "Node", name: "worker-2" } },
        { involvedObject: { ...involvedObject, name: "web-0" } },
        { involvedObject: { ...involvedObject, namespace: "team-a" } },
        { involvedObject: { ...involvedObject, kind: "Deployment" } },
        { involvedObject: { ...involvedObject, apiVersion: "v1" } },
        { involvedObject: { ...involvedObject, uid: "5f0c9a3e-8a55-4a57-9b1c-6c8f0a3d2b11" } },
        { involvedObject: { ...involvedObject, fieldPath: "spec.containers{web}" } },
        { involvedObject: { ...involvedObject, fieldPath: "spec.containers{proxy}" } }
      ]
      for (let round = 1; round <= 3; round++) {
        for (const [index, more] of others.entries()) yield* recorder.record(draft(index, more))
      }
      const counts = (yield* stored).map(({ count }) => count)
      assert.deepStrictEqual(
        counts,
        others.map(() => 3)
      )
    }).pipe(Effect.provide(memory()))
  )

  it.effect("is counted for recordNow, record and recordSettled together", () =>
    Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      for (let n = 1; n <= 300; n++) yield* recorder.recordNow(draft(n))
      yield* recorder.record(draft(301))
      yield* recorder.flush("1 second")
      assert.deepStrictEqual(
        (yield* stored).map(({ count }) => count),
        [301]
      )
      assert.deepInclude((yield* recorder.status).sinks["default"], { settled: 301, pending: 0 })
    }).pipe(Effect.provide(memory()))
  )

  it.effect("is counted exactly by many fibers, also behind a policy that batches", () => {
    const store = Layer.provideMerge(Policy.batch()(Backend.layerMemory()), Templates.layer)
    const layer = Layer.provideMerge(Recorder.layerDirect({ correlation: {} }), store)
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const loop = (fiber: number) =>
        Effect.forEach(Array.from({ length: 20 }), (_, n) => recorder.record(draft(n, { message: `m${fiber % 4}` })))
      yield* Effect.forEach(
        Array.from({ length: 64 }, (_, fiber) => fiber),
        loop,
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        (yield* stored).map(({ count }) => count),
        [320, 320, 320, 320]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("begins a new series when it was forgotten: no more than the capacity are remembered", () =>
    Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const record = (name: string, message = "m") =>
        recorder.record(draft(1, { involvedObject: { kind: "Pod", name }, message }))
      yield* record("a")
      yield* record("b")
      // Used last, so that b is forgotten and not a.
      yield* record("a")
      yield* record("c")
      yield* record("a")
      yield* record("b")
      const counts = (yield* stored).map(({ count, event }) => `${event.involvedObject.name}${count}`)
      assert.deepStrictEqual(counts.toSorted(), ["a3", "b1", "b1", "c1"])
    }).pipe(Effect.provide(memory({ correlation: { capacity: 2 } })))
  )

  it.effect("is refused as an option that is no number of series", () =>
    Effect.gen(function* () {
      for (const [correlation, message] of [
        [{ capacity: 0 }, /correlation.capacity is 0, expected a whole number from 1/],
        [{ capacity: Number.NaN }, /correlation.capacity/],
        ["on", /correlation is "on", expected "off", or an object/]
      ] as const) {
        const layer = memory({ correlation: correlation as Correlation.RepeatOptions })
        assert.match((yield* Effect.flip(Effect.scoped(Layer.build(layer)))).message, message)
      }
    })
  )
})

describe("an occurrence whose write is not the end of it", () => {
  it.effect("is not counted by the next one where it was refused", () => {
    const { calls, layer } = over((batch, call) =>
      call === 2 || call === 3 ? Effect.fail(refused) : Effect.succeed(created(batch))
    )
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      yield* recorder.record(draft(1))
      yield* Effect.flip(recorder.record(draft(2)))
      yield* Effect.flip(recorder.record(draft(3)))
      yield* recorder.record(draft(4))
      assert.deepStrictEqual(
        calls.map(([write]) => [write!.id.seq, write!.upTo, write!.count]),
        [
          [1, 1, 1],
          [1, 2, 2],
          [1, 3, 2],
          [1, 4, 2]
        ]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("neither delays nor is counted by the next one while its outcome is unknown", () => {
    const { calls, layer } = over((batch, call) => (call === 2 ? Effect.fail(unknown) : Effect.succeed(created(batch))))
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      yield* recorder.record(draft(1))
      const second = yield* start(recorder.record(draft(2)))
      yield* settle
      yield* recorder.record(draft(3))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(second)
      yield* recorder.record(draft(4))
      assert.deepStrictEqual(
        calls.map(([write]) => [write!.id.seq, write!.upTo, write!.count]),
        [
          [1, 1, 1],
          [1, 2, 2],
          [3, 3, 1],
          [1, 2, 2],
          [3, 4, 2]
        ]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("goes on in its series when its outcome is known before the next one", () => {
    const { calls, layer } = over((batch, call) => (call === 2 ? Effect.fail(unknown) : Effect.succeed(created(batch))))
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      yield* recorder.record(draft(1))
      const second = yield* start(recorder.record(draft(2)))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(second)
      yield* recorder.record(draft(3))
      assert.deepStrictEqual(
        calls.map(([write]) => [write!.id.seq, write!.upTo, write!.count]),
        [
          [1, 1, 1],
          [1, 2, 2],
          [1, 2, 2],
          [1, 3, 3]
        ]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("may be one of recordNow that is retried: the series is divided once, however long it lasts", () => {
    const { calls, layer } = over((batch, call) => (call < 30 ? Effect.fail(refused) : Effect.succeed(created(batch))))
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      for (let n = 1; n <= 20; n++) {
        yield* recorder.recordNow(draft(n))
        yield* TestClock.adjust("10 seconds")
      }
      yield* Effect.andThen(TestClock.adjust("1 hour"), settle)
      const states = new Map(calls.slice(29).flatMap((batch) => batch.map(({ count, id }) => [id.seq, count])))
      assert.deepStrictEqual([...states], [[1, 20]])
      assert.deepInclude((yield* recorder.status).sinks["default"], { settled: 20, pending: 0 })
    }).pipe(Effect.provide(layer))
  })
})

describe("an occurrence that waits for the write of another one", () => {
  const gated = (options?: Recorder.DirectOptions) => {
    const gate = Deferred.makeUnsafe<void>()
    const { calls, layer } = over((batch) => Effect.as(Deferred.await(gate), created(batch)), options)
    return { calls, layer, open: Deferred.succeed(gate, undefined) }
  }

  it.effect("is waited for by a flush, and by the end of the recorder", () => {
    const { calls, layer, open } = gated()
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const recorder = Context.get(yield* Layer.buildWithScope(layer, scope), Recorder.Recorder)
      const fibers: Array<Fiber.Fiber<Recorder.Recorded, Recorder.RecordError>> = []
      for (let n = 1; n <= 3; n++) fibers.push(yield* start(recorder.record(draft(n))))
      assert.lengthOf(calls, 1)
      const flush = yield* start(recorder.flush("1 second"))
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Fiber.join(flush), { complete: false, waiting: 3 })
      const closing = yield* start(Scope.close(scope, Exit.void))
      yield* settle
      yield* open
      yield* Fiber.join(closing)
      for (const fiber of fibers) assert.deepInclude(yield* Fiber.join(fiber), { _tag: "Accepted" })
      assert.deepStrictEqual(
        calls.map(([write]) => write!.count),
        [1, 2, 3]
      )
    })
  })

  it.effect("is refused as closed when the time for closing is over, and was never written", () => {
    const { calls, layer } = gated({ drainTimeout: "5 seconds" })
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const recorder = Context.get(yield* Layer.buildWithScope(layer, scope), Recorder.Recorder)
      yield* start(recorder.record(draft(1)))
      const second = yield* start(Effect.flip(recorder.record(draft(2))))
      const closing = yield* start(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("5 seconds")
      assert.match((yield* Fiber.join(second)).message, /the event was not recorded: the recorder is closed/)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.lengthOf(calls, 1)
      assert.deepStrictEqual((yield* recorder.status).refused, { closed: 1 })
    })
  })

  it.effect("leaves its place to the next one when it is interrupted", () => {
    const { calls, layer, open } = gated()
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      yield* start(recorder.record(draft(1)))
      const second = yield* start(recorder.record(draft(2)))
      const third = yield* start(recorder.record(draft(3)))
      yield* Fiber.interrupt(second)
      yield* open
      yield* Fiber.join(third)
      assert.deepStrictEqual(
        calls.map(([write]) => [write!.count, write!.event.data["n"]]),
        [
          [1, 1],
          [2, 3]
        ]
      )
      assert.deepInclude(yield* recorder.status, { accepted: 2, refused: { interrupted: 1 } })
    }).pipe(Effect.provide(layer))
  })

  it.effect("does not let a fiber that records without a pause take its turn", () => {
    const { layer } = over((batch) => Effect.as(Effect.yieldNow, created(batch)))
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const done = [0, 0, 0]
      const loop = (fiber: number) =>
        Effect.forever(Effect.andThen(recorder.record(draft(fiber)), () => Effect.sync(() => done[fiber]!++)))
      const fibers = [yield* start(loop(0)), yield* start(loop(1)), yield* start(loop(2))]
      while (done[0]! + done[1]! + done[2]! < 300) yield* Effect.yieldNow
      for (const fiber of fibers) yield* Fiber.interrupt(fiber)
      assert.isAtMost(Math.max(...done) - Math.min(...done), 1)
    }).pipe(Effect.provide(layer))
  })
})

describe("any order of calls, outcomes and interruptions", () => {
  const behaviours = [
    "answers",
    "answers",
    "answersLater",
    "answersLater",
    "refuses",
    "refusesItems",
    "losesTheAnswer",
    "losesTheWrite",
    "leavesOneOut",
    "storesLateAndDoesNotAnswer",
    "rejects",
    "drops"
  ] as const

  /** What the store has: of each series every state that was written, and what each occurrence is in. */
  class Store {
    readonly series = new Map<string, Array<Write>>()
    readonly calls: Array<ReadonlyArray<Write>> = []
    readonly dropped = new Set<unknown>()
    private readonly script: ReadonlyArray<(typeof behaviours)[number]>
    isHealthy = false

    constructor(script: ReadonlyArray<(typeof behaviours)[number]>) {
      this.script = script
    }

    private put(write: Write): Backend.Outcome {
      const key = `${write.id.origin}.${write.id.seq}`
      const states = this.series.get(key) ?? []
      this.series.set(key, states)
      const same = states.find(({ upTo }) => upTo === write.upTo)
      if (same !== undefined) {
        assert.deepStrictEqual(write, same, "a repeated write is the same")
        return Backend.present
      }
      assert.isAbove(write.upTo, states.at(-1)?.upTo ?? 0, "no later state of the series was stored before")
      states.push(write)
      return states.length === 1 ? Backend.created : Backend.updated
    }

    write(batch: ReadonlyArray<Write>): Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError> {
      this.calls.push(batch)
      const all = () => batch.map((write) => this.put(write))
      switch (this.isHealthy ? "answers" : this.script[this.calls.length % this.script.length]!) {
        case "answers":
          return Effect.sync(all)
        case "answersLater":
          return Effect.andThen(Effect.sleep("3 seconds"), Effect.sync(all))
        case "refuses":
          return Effect.fail(refused)
        case "refusesItems":
          return Effect.sync(() =>
            batch.map((write, index) => (index % 2 === 1 ? this.put(write) : { _tag: "Retry", error: refused }))
          )
        case "losesTheAnswer":
          return Effect.andThen(Effect.sync(all), Effect.fail(unknown))
        case "losesTheWrite":
          return Effect.andThen(Effect.sleep("1 second"), Effect.fail(unknown))
        case "leavesOneOut":
          return Effect.sync(() => all().slice(1))
        case "storesLateAndDoesNotAnswer":
          return Effect.andThen(
            Effect.forkDetach(Effect.delay(Effect.sync(all), "45 seconds"), { startImmediately: true }),
            Effect.never
          )
        case "rejects":
          return Effect.succeed(batch.map(() => ({ _tag: "Rejected", reason: "never" })))
        case "drops":
          return Effect.sync(() => {
            for (const { event } of batch) this.dropped.add(event.data["n"])
            return batch.map(() => ({ _tag: "Dropped", reason: "sampled" }))
          })
      }
    }
  }

  const steps = Arbitrary.array(
    Arbitrary.all({
      does: anyOf(["record", "record", "record", "recordNow", "recordNow", "interrupt", "wait", "flush"] as const),
      event: integer(0, 2),
      pick: integer(0, 50),
      at: integer(0, 1_000)
    }),
    { maxLength: 50 }
  )

  it.effect.prop(
    "stores each acknowledged occurrence before it is acknowledged, and counts each stored one once",
    {
      steps,
      script: Arbitrary.array(anyOf(behaviours), { minLength: 1, maxLength: 12 }),
      capacity: integer(1, 4),
      closesEarly: anyOf([true, false])
    },
    ({ capacity, closesEarly, script, steps }) => {
      const store = new Store(script)
      const { layer } = over((batch) => store.write(batch), { correlation: { capacity }, drainTimeout: "20 seconds" })
      return Effect.gen(function* () {
        const scope = yield* Scope.make()
        const recorder = Context.get(yield* Layer.buildWithScope(layer, scope), Recorder.Recorder)
        const ats = new Map<unknown, number>()
        const isStored = (n: number) => [...store.series.values()].flat().some(({ event }) => event.data["n"] === n)
        const fibers: Array<Fiber.Fiber<unknown>> = []
        let acknowledged = 0
        const record = (n: number, given: Recorder.EventDraft) =>
          recorder.record(given).pipe(
            Effect.map(() => {
              acknowledged++
              assert.isTrue(isStored(n) || store.dropped.has(n), `occurrence ${n} is stored`)
            }),
            Effect.catchTag(["RecorderError", "InvalidEvent"], () => Effect.void)
          )
        for (const [n, { at, does, event, pick }] of steps.entries()) {
          const given = draft(n, { message: `m${event}`, at })
          if (does === "record" || does === "recordNow") ats.set(n, at)
          if (does === "record") fibers.push(yield* start(record(n, given)))
          else if (does === "recordNow") yield* recorder.recordNow(given)
          else if (does === "interrupt" && fibers.length > 0) yield* Fiber.interrupt(fibers[pick % fibers.length]!)
          else if (does === "wait") yield* TestClock.adjust(`${pick} seconds`)
          else if (does === "flush") yield* start(recorder.flush("10 seconds"))
          const { accepted, sinks } = yield* recorder.status
          const { dropped, pending, settled } = sinks["default"]!
          const drops = Object.values(dropped).reduce((sum, count) => sum + count, 0)
          assert.strictEqual(accepted, settled + drops + pending)
        }
        if (!closesEarly) {
          store.isHealthy = true
          for (let turn = 0; turn < 100; turn++) yield* Effect.andThen(TestClock.adjust("1 minute"), settle)
          assert.deepInclude(yield* recorder.flush(0), { complete: true, waiting: 0 })
        }
        const closing = yield* start(Scope.close(scope, Exit.void))
        for (let turn = 0; turn < 5; turn++) yield* Effect.andThen(TestClock.adjust("20 seconds"), settle)
        yield* Fiber.join(closing)
        for (const fiber of fibers) {
          const exit = yield* Fiber.await(fiber)
          if (Exit.isFailure(exit) && !Exit.hasInterrupts(exit)) yield* exit
        }
        const written = new Set<unknown>()
        for (const states of store.series.values()) {
          for (const [index, { count, event, first, last }] of states.entries()) {
            // A state counts what was stored in its series, and nothing else.
            const times = states.slice(0, index + 1).map(({ event }) => ats.get(event.data["n"])!)
            assert.deepStrictEqual([count, first, last], [index + 1, Math.min(...times), Math.max(...times)])
            assert.isFalse(written.has(event.data["n"]), "an occurrence is stored once")
            assert.strictEqual(event.message, states[0]!.event.message)
            written.add(event.data["n"])
          }
        }
        for (const batch of store.calls) {
          assert.strictEqual(new Set(batch.map(({ id }) => id.seq)).size, batch.length, "a series is in a batch once")
        }
        assert.isAtMost(acknowledged, written.size + store.dropped.size)
      })
    },
    { arbitrary: { runs: 150, size: 50 } }
  )
})
