// What somebody beside the process asks for about what is parked.
import * as Backend from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import type { EventId } from "@tidings/core/EventId"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"

/** A host with a journal that outlives it, a backend that may refuse everything, and somebody who asks. */
const world = Effect.gen(function* () {
  const memory = yield* Effect.provide(Journal.Journal, Journal.layerMemory())
  const asked: Array<Journal.ParkedRequest> = []
  const state = {
    refusing: true,
    looks: 0,
    failing: undefined as Journal.JournalError | undefined,
    stored: [] as Array<Write>,
    logs: [] as Array<string>
  }
  const journal: Journal.Journal["Service"] = {
    ...memory,
    durability: "process",
    requests: () =>
      Effect.suspend(() => {
        state.looks++
        return state.failing === undefined ? Effect.succeed(asked.splice(0)) : Effect.fail(state.failing)
      })
  }
  const backend: Backend.Service = {
    ...(yield* Effect.provide(Backend.Backend, Backend.layerMemory())),
    write: (batch) =>
      Effect.sync(() =>
        batch.map((write) => {
          if (state.refusing) return { _tag: "Rejected", reason: "no" }
          state.stored.push(write)
          return Backend.created
        })
      )
  }
  const start = (scope: Scope.Scope) =>
    Layer.buildWithScope(
      Recorder.layer({ drainTimeout: 0 }).pipe(
        Layer.provide(
          Layer.mergeAll(
            Templates.layer,
            Layer.succeed(Journal.Journal, journal),
            Layer.succeed(Backend.Backend, backend),
            Logger.layer([Logger.make<unknown, void>(({ message }) => void state.logs.push(String(message)))])
          )
        )
      ),
      scope
    ).pipe(Effect.map((context) => Context.get(context, Recorder.Recorder)))
  return { asked, journal, start, state }
})

const record = (recorder: Recorder.Recorder["Service"], name: string) =>
  Effect.map(
    recorder.recordSettled({ involvedObject: { kind: "Pod", name }, reason: "Started", message: "it runs" }),
    (delivered): EventId => {
      assert.strictEqual(delivered._tag, "Accepted")
      return (delivered as Recorder.Delivered & { readonly _tag: "Accepted" }).id
    }
  )

const sinkStatus = (recorder: Recorder.Recorder["Service"]) =>
  Effect.map(recorder.status, ({ accepted, sinks }) => {
    const { dropped, parked, pending, recovered, settled } = sinks["default"]!
    const lost = Object.values(dropped).reduce((sum, n) => sum + n, 0)
    assert.strictEqual(accepted + recovered, settled + parked + pending + lost)
    return { settled, parked, pending, dropped }
  })

describe("requests of operators in other processes", () => {
  it.effect("are carried out within seconds, and nothing else is retried or dropped", () =>
    Effect.gen(function* () {
      const { asked, start, state } = yield* world
      const recorder = yield* start(yield* Effect.scope)
      const [one, two, three] = [
        yield* record(recorder, "a"),
        yield* record(recorder, "b"),
        yield* record(recorder, "c")
      ]
      assert.deepStrictEqual(yield* sinkStatus(recorder), { settled: 0, parked: 3, pending: 0, dropped: {} })

      state.refusing = false
      asked.push({ action: "retry", series: [one] }, { action: "drop", series: [two] })
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* sinkStatus(recorder), { settled: 1, parked: 1, pending: 0, dropped: { parked: 1 } })
      assert.deepStrictEqual(
        state.stored.map(({ id }) => id),
        [one]
      )
      assert.deepStrictEqual(
        (yield* recorder.parked).map(({ write }) => write.id),
        [three]
      )
      assert.deepStrictEqual(
        state.logs.filter((line) => line.startsWith("An operator")),
        [
          `An operator asked the sink "default" to retry parked events: 1 occurrence`,
          `An operator asked the sink "default" to drop parked events: 1 occurrence`
        ]
      )
      // What is not parked any more is not asked about twice.
      asked.push({ action: "drop", series: [one, two] })
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* sinkStatus(recorder), { settled: 1, parked: 1, pending: 0, dropped: { parked: 1 } })
    }).pipe(Effect.scoped)
  )

  it.effect("apply in the order of the journal: the last one of each series wins", () =>
    Effect.gen(function* () {
      const { asked, start, state } = yield* world
      const recorder = yield* start(yield* Effect.scope)
      const [one, two] = [yield* record(recorder, "a"), yield* record(recorder, "b")]
      state.refusing = false
      asked.push(
        { action: "drop", series: [one, two] },
        { action: "retry", series: [one] },
        { action: "retry", series: [two] },
        { action: "drop", series: [two] }
      )
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* sinkStatus(recorder), { settled: 1, parked: 0, pending: 0, dropped: { parked: 1 } })
      assert.deepStrictEqual(
        state.stored.map(({ id }) => id),
        [one]
      )
    }).pipe(Effect.scoped)
  )

  it.effect("are not polled while nothing is parked", () =>
    Effect.gen(function* () {
      const { asked, start, state } = yield* world
      state.refusing = false
      const recorder = yield* start(yield* Effect.scope)
      yield* record(recorder, "a")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(state.looks, 0)
      state.refusing = true
      yield* record(recorder, "b")
      yield* TestClock.adjust("1 minute")
      assert.isAtLeast(state.looks, 12)
      assert.isAtMost(state.looks, 14)
      state.refusing = false
      const [parked] = yield* recorder.parked
      asked.push({ action: "retry", series: [parked!.write.id] })
      // What is delivered is forgotten with the next checkpoint.
      yield* TestClock.adjust("30 seconds")
      const looks = state.looks
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(state.looks, looks)
    }).pipe(Effect.scoped)
  )

  it.effect("from before a start are carried out after it", () =>
    Effect.gen(function* () {
      const { asked, start, state } = yield* world
      const first = yield* Scope.make()
      const id = yield* record(yield* start(first), "a")
      yield* Scope.close(first, Exit.void)
      const looks = state.looks
      asked.push({ action: "drop", series: [id] })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([state.looks, asked.length], [looks, 1])
      const recorder = yield* start(yield* Effect.scope)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* sinkStatus(recorder), { settled: 0, parked: 0, pending: 0, dropped: { parked: 1 } })
      assert.deepStrictEqual(yield* recorder.parked, [])
    }).pipe(Effect.scoped)
  )

  it.effect("that cannot be read are logged once, and read again later", () =>
    Effect.gen(function* () {
      const { asked, start, state } = yield* world
      const recorder = yield* start(yield* Effect.scope)
      const id = yield* record(recorder, "a")
      state.failing = new Journal.JournalError({ reason: new Journal.JournalFailed({ detail: "not yours" }) })
      yield* TestClock.adjust("1 minute")
      const said = () => state.logs.filter((line) => line.includes("Requests about"))
      assert.deepStrictEqual(said(), [
        `Requests about parked events of the sink "default" fail: the journal failed: not yours`
      ])
      state.failing = undefined
      state.refusing = false
      asked.push({ action: "retry", series: [id] })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* sinkStatus(recorder)).settled, 1)
      assert.strictEqual(said().length, 1)
    }).pipe(Effect.scoped)
  )
})
