import { assert, describe, it } from "@effect/vitest"
import type * as Backend from "@tidings/core/Backend"
import { BackendError, TargetMismatch } from "@tidings/core/BackendError"
import type * as Journal from "@tidings/core/Journal"
import * as Target from "@tidings/core/Target"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import {
  always,
  assertLaw,
  draft,
  durable,
  memoryJournal,
  namesOf,
  off,
  scripted,
  start,
  statusOf
} from "./support/journalRecorder.ts"
import { created } from "./support/scripted.ts"

const certain = (id: string, ...aliases: ReadonlyArray<string>) => Target.make(id, { aliases })
const weak = (id: string, ...aliases: ReadonlyArray<string>) => Target.make(id, { aliases, isUncertain: true })

/** A journal on a disk that notes the checkpoints of its sinks. */
const noting = Effect.map(memoryJournal(), (memory) => {
  const journal = durable(memory)
  const targets: Array<Pick<Journal.Checkpoint, "target" | "aliases" | "isUncertain">> = []
  const noted: Journal.Journal["Service"] = {
    ...journal,
    checkpoint: (sink, made) => {
      const { state: _state, upTo: _upTo, ...rest } = made
      targets.push(rest)
      return journal.checkpoint(sink, made)
    }
  }
  return { journal: noted, targets }
})

/** A backend whose store may be replaced by another while it runs, and that refuses what is meant for the first one. */
const replaceable = (own: Target.Target) =>
  Effect.map(
    scripted((batch) => Effect.succeed(created(batch))),
    ({ backend, calls }) => {
      const state = { found: own, asked: 0, refused: 0 }
      const replaced: Backend.Service = {
        ...backend,
        target: Effect.sync(() => {
          state.asked++
          return state.found
        }),
        write: (batch) =>
          Effect.suspend(() => {
            if (state.found.id === own.id) return backend.write(batch)
            state.refused++
            const reason = new TargetMismatch({ expected: own.id, found: state.found.id, detail: "it was replaced" })
            return Effect.fail(new BackendError({ reason }))
          })
      }
      return { backend: replaced, calls, state }
    }
  )

/** One life of a recorder on a journal, with one event. */
const live = (journal: Journal.Journal["Service"], target: Target.Target, name: string) =>
  Effect.gen(function* () {
    const { backend, calls } = yield* scripted(always)
    const { close, recorder } = yield* start({ backend: { ...backend, target: Effect.succeed(target) }, journal })
    yield* recorder.record(draft(name))
    yield* TestClock.adjust("1 minute")
    const status = yield* statusOf(recorder)
    yield* close
    return { status, names: namesOf(calls) }
  })

describe("a journal that was bound to one name of its target", () => {
  it.effect("continues when the target has a better one, which is in a checkpoint before the first write", () =>
    Effect.gen(function* () {
      const { journal, targets } = yield* noting
      yield* live(journal, weak("authority"), "a")
      targets.length = 0
      const { names, status } = yield* live(journal, certain("uid", "account", "authority"), "b")
      assert.deepStrictEqual(names, [["b"]])
      assert.strictEqual(status.state, "up")
      assert.deepStrictEqual(targets[0], { target: "uid", aliases: ["account", "authority"] })
      // It is the same one when no more than an alias can be found out again, and it keeps the better name.
      targets.length = 0
      const third = yield* live(journal, certain("account", "authority"), "c")
      assert.deepStrictEqual(third.names, [["c"]])
      assert.isTrue(targets.every(({ target }) => target === "uid"))
    })
  )

  it.effect("waits for a target that is known only by weaker names, which other stores may have", () =>
    Effect.gen(function* () {
      const { journal } = yield* noting
      yield* live(journal, certain("uid", "authority"), "a")
      const { names, status } = yield* live(journal, weak("authority"), "b")
      assert.deepStrictEqual(names, [])
      assert.deepInclude(status, { state: "blocked", pending: 1 })
      assert.include(status.lastError, "its journal belongs to uid")
      assert.include(status.lastError, "grant the permission")
      assert.deepStrictEqual((yield* live(journal, certain("uid"), "c")).names, [["b"], ["c"]])
    })
  )

  it.effect("waits when another target with a common name answers", () =>
    Effect.gen(function* () {
      const { journal } = yield* noting
      yield* live(journal, certain("uid-1", "authority"), "a")
      const { names, status } = yield* live(journal, certain("uid-2", "authority"), "b")
      assert.deepStrictEqual(names, [])
      assert.include(status.lastError, "its journal belongs to uid-1, the backend is uid-2")
    })
  )

  it.effect("has a checkpoint with the names that were found, and no further one without new names", () =>
    Effect.gen(function* () {
      const { journal, targets } = yield* noting
      yield* live(journal, weak("address", "authority"), "a")
      assert.deepStrictEqual(targets.at(-1), { target: "address", aliases: ["authority"], isUncertain: true })
      const { backend } = yield* scripted(always)
      targets.length = 0
      const again = { ...backend, target: Effect.succeed(weak("address", "authority")) }
      yield* (yield* start({ backend: again, journal })).close
      assert.deepStrictEqual(targets, [])
    })
  )
})

describe("two sinks", () => {
  it.effect("do not write to one target that is known to one of them by an alias of the other", () =>
    Effect.gen(function* () {
      const one = yield* scripted(always)
      const two = yield* scripted(always)
      const { recorder } = yield* start({
        backend: { ...one.backend, target: Effect.succeed(certain("uid", "account")) },
        second: { ...two.backend, target: Effect.succeed(certain("account")) }
      })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([one.calls.length, two.calls.length].sort(), [0, 1])
    })
  )

  it.effect("write to two targets that share an alias", () =>
    Effect.gen(function* () {
      const one = yield* scripted(always)
      const two = yield* scripted(always)
      const { recorder } = yield* start({
        backend: { ...one.backend, target: Effect.succeed(certain("uid-1", "authority")) },
        second: { ...two.backend, target: Effect.succeed(certain("uid-2", "authority")) }
      })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([one.calls.length, two.calls.length], [1, 1])
    })
  )
})

describe("a target that is replaced while a sink writes to it", () => {
  it.effect("halts the sink with both names in the error, and nothing is parked, dropped or delivered", () =>
    Effect.gen(function* () {
      const { backend, calls, state } = yield* replaceable(certain("uid-1"))
      const { logs, recorder } = yield* start({ backend, sink: { ...off, concurrency: 4 } })
      yield* recorder.recordSettled(draft("a"))
      state.found = certain("uid-2")
      for (let n = 0; n < 50; n++) yield* recorder.record(draft(`b-${n}`))
      yield* TestClock.adjust("1 hour")
      const status = yield* recorder.status
      const sink = status.sinks["first"]!
      assert.deepInclude(sink, { state: "blocked", pending: 50, settled: 1, parked: 0, dropped: {} })
      assert.include(sink.lastError, "uid-1")
      assert.include(sink.lastError, "uid-2")
      assertLaw(status)
      assert.lengthOf(calls, 1)
      assert.lengthOf(
        logs.filter((line) => line.includes("uid-2")),
        1
      )
      // Only the writes that were on their way when it was found out.
      assert.isAtMost(state.refused, 4)
    })
  )

  it.effect("is asked for without end, at least every 30 seconds, and delivered to when it is back", () =>
    Effect.gen(function* () {
      const { backend, calls, state } = yield* replaceable(certain("uid-1"))
      const { recorder } = yield* start({ backend, sink: off })
      yield* recorder.recordSettled(draft("a"))
      state.found = certain("uid-2")
      for (let n = 0; n < 50; n++) yield* recorder.record(draft(`b-${n}`))
      yield* TestClock.adjust("1 hour")
      state.asked = 0
      yield* TestClock.adjust("10 minutes")
      assert.isAtLeast(state.asked, 19)
      assert.isAtMost(state.asked, 45)
      state.found = certain("uid-1")
      yield* TestClock.adjust("30 seconds")
      assert.deepInclude(yield* statusOf(recorder), { state: "up", pending: 0, settled: 51, parked: 0 })
      assert.strictEqual(namesOf(calls).flat().length, 51)
      assert.strictEqual(new Set(namesOf(calls).flat()).size, 51)
    })
  )

  it.effect("is asked again within a second, however many writes it refused at once", () =>
    Effect.gen(function* () {
      const { backend, state } = yield* replaceable(certain("uid-1"))
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 16 } })
      yield* recorder.recordSettled(draft("a"))
      state.found = certain("uid-2")
      for (let n = 0; n < 50; n++) yield* recorder.record(draft(`b-${n}`))
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* statusOf(recorder)).state, "blocked")
      state.found = certain("uid-1")
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* statusOf(recorder), { state: "up", settled: 51, pending: 0 })
    })
  )

  it.effect("is not asked without a delay when it answers as the right one", () =>
    Effect.gen(function* () {
      const { backend, state } = yield* replaceable(certain("uid-1"))
      const deceived: Backend.Service = {
        ...backend,
        target: Effect.sync(() => {
          state.asked++
          return certain("uid-1")
        })
      }
      const { recorder } = yield* start({ backend: deceived, sink: off })
      yield* recorder.recordSettled(draft("a"))
      state.found = certain("uid-2")
      yield* recorder.record(draft("b"))
      yield* TestClock.adjust("1 hour")
      assert.isAtMost(state.asked, 300)
      assert.deepInclude(yield* statusOf(recorder), { state: "blocked", pending: 1, parked: 0 })
    })
  )

  it.effect(
    "leaves what is pending in a durable journal when the recorder is closed, without waiting for the deadline",
    () =>
      Effect.gen(function* () {
        const { journal } = yield* noting
        const { backend, state } = yield* replaceable(certain("uid-1"))
        const first = yield* start({ backend, journal, sink: off })
        yield* first.recorder.recordSettled(draft("a"))
        state.found = certain("uid-2")
        yield* first.recorder.record(draft("b"))
        yield* TestClock.adjust("1 minute")
        yield* first.close
        assert.deepInclude(yield* statusOf(first.recorder), { state: "down", pending: 1, dropped: {} })

        const second = yield* start({ backend, journal, sink: off })
        yield* TestClock.adjust("1 minute")
        assert.deepInclude(yield* statusOf(second.recorder), { state: "blocked", recovered: 1, pending: 1 })
        state.found = certain("uid-1")
        yield* TestClock.adjust("30 seconds")
        assert.deepInclude(yield* statusOf(second.recorder), { state: "up", settled: 1, pending: 0 })
      })
  )
})
