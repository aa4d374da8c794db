import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import { BackendError, Full } from "@tidings/core/BackendError"
import { EventGenerator } from "@tidings/core/EventGenerator"
import * as EventManager from "@tidings/core/EventManager"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Transition from "@tidings/core/Transition"
import * as Arbitrary from "effect/Arbitrary"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { always, assertLaw, direct, memoryJournal, scripted, start } from "./support/journalRecorder.ts"

const server = (name: string, uid?: string) => ({ kind: "MCPServer", name, namespace: "default", ...(uid && { uid }) })

const report = (reason: string, name = "search", uid?: string): Recorder.EventDraft => ({
  involvedObject: server(name, uid),
  reason,
  message: "m"
})

const failed = report("MCPServerHealthCheckFailed")

/** A recorder in memory without correlation, which records each occurrence as an event of its own. */
const recorder = (options?: Recorder.RecorderOptions) =>
  Recorder.layerDirect(options).pipe(
    Layer.provideMerge(Layer.merge(Templates.layer, Backend.layerMemory({ capacity: 20_000 })))
  )

/** Which of the events were recorded: `true` for one that was, else the name of what held it back. */
const outcomes = (drafts: ReadonlyArray<Recorder.EventDraft>) =>
  Effect.gen(function* () {
    const { record } = yield* Recorder.Recorder
    const answers: Array<string | true> = []
    for (const draft of drafts) {
      const answer = yield* record(draft)
      answers.push(answer._tag === "Filtered" ? answer.by : true)
    }
    return answers
  })

describe("onlyTransitions", () => {
  it.effect("is off unless given: every failed health check is recorded", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* outcomes([failed, failed, failed]), [true, true, true])
    }).pipe(Effect.provide(recorder()))
  )

  it.effect("records the first of many failed health checks, and counts those that it holds back", () =>
    Effect.gen(function* () {
      const { record, status } = yield* Recorder.Recorder
      for (let minute = 0; minute < 180; minute++) {
        yield* record(failed)
        yield* TestClock.adjust("1 minute")
      }
      const { accepted, filtered, refused } = yield* status
      assert.deepStrictEqual(
        { accepted, filtered, refused },
        { accepted: 1, filtered: { "mcp-server-health": 179 }, refused: {} }
      )
      const { totalCount } = yield* (yield* Backend.Backend).query({})
      assert.strictEqual(totalCount, 1)
    }).pipe(Effect.provide(recorder({ onlyTransitions: true })))
  )

  for (const reason of Transition.mcpServerHealth.endedBy) {
    it.effect(`records a failed health check once more after ${reason}, which is always recorded`, () =>
      Effect.gen(function* () {
        const end = report(reason)
        assert.deepStrictEqual(yield* outcomes([failed, failed, end, end, failed, failed]), [
          true,
          "mcp-server-health",
          true,
          true,
          true,
          "mcp-server-health"
        ])
      }).pipe(Effect.provide(recorder({ onlyTransitions: true })))
    )
  }

  it.effect("records a failed health check once more after ten minutes without one", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* outcomes([failed]), [true])
      yield* TestClock.adjust("9 minutes")
      assert.deepStrictEqual(yield* outcomes([failed]), ["mcp-server-health"])
      yield* TestClock.adjust("599 seconds")
      assert.deepStrictEqual(yield* outcomes([failed]), ["mcp-server-health"])
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* outcomes([failed]), [true])
    }).pipe(Effect.provide(recorder({ onlyTransitions: true })))
  )

  it.effect("records events about tokens when success follows failure, or failure success", () =>
    Effect.gen(function* () {
      for (const [good, bad, by] of [
        ["MCPServerTokenForwarded", "MCPServerTokenForwardingFailed", "mcp-server-token-forwarding"],
        ["MCPServerTokenExchanged", "MCPServerTokenExchangeFailed", "mcp-server-token-exchange"]
      ] as const) {
        const drafts = [good, good, bad, bad, bad, good, "MCPServerUpdated", good, good].map((reason) => report(reason))
        assert.deepStrictEqual(yield* outcomes(drafts), [true, by, true, by, by, true, true, true, by])
        yield* TestClock.adjust("30 days")
        assert.deepStrictEqual(yield* outcomes([report(good)]), [by])
      }
    }).pipe(Effect.provide(recorder({ onlyTransitions: true })))
  )

  it.effect("keeps the states of an object apart from those of others, and one transition from another", () =>
    Effect.gen(function* () {
      const elsewhere = { ...failed, involvedObject: { ...server("search"), namespace: "other" } }
      const other = { ...failed, involvedObject: { ...server("search"), kind: "Proxy" } }
      const drafts = [failed, report("MCPServerHealthCheckFailed", "files"), elsewhere, other]
      assert.deepStrictEqual(yield* outcomes(drafts), [true, true, true, true])
      assert.deepStrictEqual(yield* outcomes([report("MCPServerTokenForwarded"), report("MCPServerTokenExchanged")]), [
        true,
        true
      ])
      assert.deepStrictEqual(yield* outcomes([report("MCPServerStarted", "files"), failed]), [
        true,
        "mcp-server-health"
      ])
    }).pipe(Effect.provide(recorder({ onlyTransitions: true })))
  )

  it.effect("takes an object with another uid for another object, and one without for the same", () =>
    Effect.gen(function* () {
      const of = (uid?: string) => report("MCPServerHealthCheckFailed", "search", uid)
      assert.deepStrictEqual(yield* outcomes([of("uid-1"), of("uid-1"), of(), of("uid-2"), of("uid-2")]), [
        true,
        "mcp-server-health",
        "mcp-server-health",
        true,
        "mcp-server-health"
      ])
    }).pipe(Effect.provide(recorder({ onlyTransitions: true })))
  )

  it.effect("holds events of every way to record: by data, by a message, settled, and without waiting", () =>
    Effect.gen(function* () {
      const { createEvent, createEventWithData, generator } = yield* EventManager.EventManager
      const recorder = yield* Recorder.Recorder
      const object = { metadata: { name: "search", namespace: "default" } }
      const held = { _tag: "Filtered", by: "mcp-server-health" } as const
      assert.strictEqual((yield* generator.mcpServerEvent(object, "MCPServerHealthCheckFailed"))._tag, "Accepted")
      assert.deepStrictEqual(
        yield* generator.mcpServerEvent(object, "MCPServerHealthCheckFailed", { error: "another" }),
        held
      )
      assert.deepStrictEqual(yield* createEventWithData(server("search"), "MCPServerHealthCheckFailed", {}), held)
      assert.deepStrictEqual(yield* createEvent(server("search"), "MCPServerHealthCheckFailed", "m", "Warning"), held)
      assert.deepStrictEqual(yield* recorder.recordSettled(failed), held)
      yield* recorder.recordNow(failed)
      assert.deepStrictEqual((yield* recorder.status).filtered, { "mcp-server-health": 5 })
    }).pipe(Effect.provide(EventManager.layerMemory({ onlyTransitions: true })))
  )

  it.effect("applies after transforms: what they leave out reports nothing", () => {
    const layer = recorder({
      onlyTransitions: true,
      transforms: [{ name: "loud", apply: (draft) => (draft.message === "quiet" ? undefined : draft) }]
    })
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* outcomes([{ ...failed, message: "quiet" }, failed, failed]), [
        "loud",
        true,
        "mcp-server-health"
      ])
    }).pipe(Effect.provide(layer))
  })

  it.effect("does not take an invalid event for a report", () =>
    Effect.gen(function* () {
      const { record } = yield* Recorder.Recorder
      const invalid = { ...failed, labels: { "": "no key" } }
      assert.strictEqual((yield* Effect.flip(record(invalid)))._tag, "InvalidEvent")
      assert.deepStrictEqual(yield* outcomes([failed]), [true])
    }).pipe(Effect.provide(recorder({ onlyTransitions: true })))
  )
})

describe("an event that passes and is then not recorded", () => {
  const full = new BackendError({ reason: new Full({ detail: "the disk is full" }) })

  it.effect("does not hold back the next one, where the store refuses it", () =>
    Effect.gen(function* () {
      let isFull = true
      const { backend } = yield* scripted((batch, call) => (isFull ? Effect.fail(full) : always(batch, call)))
      const { recorder } = yield* direct(backend, { onlyTransitions: true })
      assert.strictEqual((yield* Effect.flip(recorder.record(failed)))._tag, "RecorderError")
      isFull = false
      assert.strictEqual((yield* recorder.record(failed))._tag, "Accepted")
      assert.strictEqual((yield* recorder.record(failed))._tag, "Filtered")
    })
  )

  it.effect("does not hold back the next one, where its caller is interrupted before the store answers", () =>
    Effect.gen(function* () {
      const { backend } = yield* scripted((batch, call) => (call === 1 ? Effect.never : always(batch, call)))
      const { recorder } = yield* direct(backend, { onlyTransitions: true })
      const fiber = yield* Effect.forkChild(recorder.record(failed), { startImmediately: true })
      assert.strictEqual((yield* recorder.record(failed))._tag, "Filtered")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* recorder.record(failed))._tag, "Accepted")
    })
  )

  for (const way of ["record", "recordNow"] as const) {
    it.effect(`does not hold back the next one, where the journal has no room for it (${way})`, () =>
      Effect.gen(function* () {
        const { backend } = yield* scripted(always)
        const journal = yield* memoryJournal()
        let isFull = true
        const { recorder } = yield* start({
          backend,
          journal: {
            ...journal,
            append: (batch) =>
              isFull
                ? Effect.fail(new Journal.JournalError({ reason: new Journal.JournalFull({ detail: "no room" }) }))
                : journal.append(batch)
          },
          recorder: { onlyTransitions: true }
        })
        if (way === "record") assert.strictEqual((yield* Effect.flip(recorder.record(failed)))._tag, "RecorderError")
        else yield* recorder.recordNow(failed)
        isFull = false
        assert.strictEqual((yield* recorder.record(failed))._tag, "Accepted")
        assert.strictEqual((yield* recorder.record(failed))._tag, "Filtered")
        const status = yield* recorder.status
        assert.deepStrictEqual(
          { accepted: status.accepted, filtered: status.filtered, refused: status.refused },
          { accepted: 1, filtered: { "mcp-server-health": 1 }, refused: { full: 1 } }
        )
        assertLaw(status)
      })
    )
  }

  it.effect("takes back only what it reported itself", () =>
    Effect.gen(function* () {
      const first = yield* Deferred.make<void, BackendError>()
      const { backend } = yield* scripted((batch, call) =>
        call === 1 ? Effect.andThen(Deferred.await(first), always(batch, call)) : always(batch, call)
      )
      const { recorder } = yield* direct(backend, { onlyTransitions: true })
      const bad = report("MCPServerTokenForwardingFailed")
      const fiber = yield* Effect.forkChild(Effect.flip(recorder.record(bad)), { startImmediately: true })
      const good = report("MCPServerTokenForwarded")
      assert.strictEqual((yield* recorder.record(good))._tag, "Accepted")
      yield* Deferred.fail(first, full)
      yield* Fiber.join(fiber)
      assert.strictEqual((yield* recorder.record(good))._tag, "Filtered")
    })
  )
})

describe("a transition of the host's own", () => {
  const queue: Transition.Transition = {
    name: "queue-depth",
    states: ["QueueFull", "QueueDrained"],
    remindAfter: "1 hour"
  }

  it.effect("is recorded once more after remindAfter, while the state lasts", () =>
    Effect.gen(function* () {
      const recorded: Array<number> = []
      for (let minute = 0; minute < 180; minute++) {
        const [outcome] = yield* outcomes([report("QueueFull")])
        if (outcome === true) recorded.push(minute)
        yield* TestClock.adjust("1 minute")
      }
      assert.deepStrictEqual(recorded, [0, 60, 120])
    }).pipe(Effect.provide(recorder({ onlyTransitions: [queue] })))
  )

  it.effect("replaces the built-in ones, or stands beside them", () =>
    Effect.gen(function* () {
      const drafts = [failed, failed, report("QueueFull"), report("QueueFull")]
      assert.deepStrictEqual(yield* Effect.provide(outcomes(drafts), recorder({ onlyTransitions: [queue] })), [
        true,
        true,
        true,
        "queue-depth"
      ])
      const beside = recorder({ onlyTransitions: [...Transition.builtIn, queue] })
      assert.deepStrictEqual(yield* Effect.provide(outcomes(drafts), beside), [
        true,
        "mcp-server-health",
        true,
        "queue-depth"
      ])
    })
  )

  it.effect("is forgotten for the objects that reported least recently, beyond 4,096 of them", () =>
    Effect.gen(function* () {
      const of = (n: number) => report("QueueFull", `queue-${n}`)
      const all = Array.from({ length: 4_096 }, (_, n) => of(n))
      assert.isTrue((yield* outcomes(all)).every((outcome) => outcome === true))
      // The first one reports again, so the second one is the least recent.
      assert.deepStrictEqual(yield* outcomes([of(0), of(4_096), of(0), of(2), of(1)]), [
        "queue-depth",
        true,
        "queue-depth",
        "queue-depth",
        true
      ])
    }).pipe(Effect.provide(recorder({ onlyTransitions: [queue] })))
  )

  it.effect("is refused with what is wrong in each field", () =>
    Effect.gen(function* () {
      const refusals = (given: unknown) =>
        Effect.gen(function* () {
          const layer = recorder({ onlyTransitions: given as never })
          const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
          return error.issues.map(({ field, found }) => `${field}: ${found}`)
        })
      const ok = { name: "a", states: ["A"] }
      assert.deepStrictEqual(yield* refusals("yes"), ['onlyTransitions: "yes"'])
      assert.deepStrictEqual(yield* refusals([null]), ["onlyTransitions[0]: null"])
      assert.deepStrictEqual(yield* refusals([{ ...ok, name: "" }]), ['onlyTransitions[0].name: ""'])
      assert.deepStrictEqual(yield* refusals([ok, { name: "a", states: ["A"] }]), [
        'onlyTransitions[1].name: "a"',
        'onlyTransitions[1].states: "A"'
      ])
      assert.deepStrictEqual(yield* refusals([{ name: "a", states: [] }]), ["onlyTransitions[0].states: []"])
      assert.deepStrictEqual(yield* refusals([{ name: "a", states: ["no reason"] }]), [
        'onlyTransitions[0].states: ["no reason"]'
      ])
      assert.deepStrictEqual(yield* refusals([{ ...ok, endedBy: ["A"] }]), ['onlyTransitions[0].endedBy: "A"'])
      assert.deepStrictEqual(yield* refusals([{ ...ok, endedBy: "B" }]), ['onlyTransitions[0].endedBy: "B"'])
      assert.deepStrictEqual(yield* refusals([{ ...ok, quietAfter: -1, remindAfter: "soon" }]), [
        "onlyTransitions[0].quietAfter: -1",
        'onlyTransitions[0].remindAfter: "soon"'
      ])
      const throwing = new Proxy(ok, {
        get: () => {
          throw new Error("no")
        }
      })
      assert.lengthOf(yield* refusals([throwing]), 1)
    })
  )
})

describe("the built-in transitions", () => {
  it("name only reasons of the catalogue, each a state of one of them", () => {
    const reasons = Object.keys(EventGenerator.kinds.MCPServer.reasons)
    const states = Transition.builtIn.flatMap(({ states }) => states)
    for (const { endedBy, states } of Transition.builtIn) {
      for (const reason of [...states, ...endedBy]) assert.include(reasons, reason)
    }
    assert.strictEqual(new Set<string>(states).size, states.length)
    assert.sameMembers(
      [...states],
      reasons.filter((reason) => reason.includes("Token") || reason === "MCPServerHealthCheckFailed")
    )
  })
})

describe("any sequence of reports", () => {
  const step = Arbitrary.schema(
    Schema.Struct({
      reason: Schema.Literals(["On", "Off", "Gone", "Other"]),
      object: Schema.Literals(["a", "b", "c"]),
      minutes: Schema.Literals([0, 1, 4, 11])
    })
  )
  const steps = Arbitrary.array(step, { minLength: 5, maxLength: 40 })
  const transition: Transition.Transition = {
    name: "switch",
    states: ["On", "Off"],
    endedBy: ["Gone"],
    quietAfter: "10 minutes",
    remindAfter: "15 minutes"
  }

  it.effect.prop(
    "is recorded where a report differs from the one before, is late, or is due again, and every other one is counted",
    { steps },
    ({ steps }) =>
      Effect.gen(function* () {
        const memory = yield* Effect.provide(Backend.Backend, Backend.layerMemory())
        const journalled = yield* start({ backend: memory, recorder: { onlyTransitions: [transition] } })
        const plain = yield* direct(memory, { onlyTransitions: [transition] })
        const known = new Map<string, { reason: string; recorded: number; reported: number }>()
        let now = 0
        let held = 0
        for (const { minutes, object, reason } of steps) {
          yield* TestClock.adjust(`${minutes} minutes`)
          now += minutes
          const before = known.get(object)
          let passes = true
          if (reason === "Gone") known.delete(object)
          else if (reason !== "Other") {
            passes =
              before === undefined ||
              before.reason !== reason ||
              now - before.reported >= 10 ||
              now - before.recorded >= 15
            known.set(object, { reason, reported: now, recorded: passes ? now : before!.recorded })
          }
          if (!passes) held++
          for (const { recorder } of [journalled, plain]) {
            const answer = yield* recorder.record(report(reason, object))
            assert.strictEqual(answer._tag, passes ? "Accepted" : "Filtered")
          }
        }
        for (const { recorder } of [journalled, plain]) {
          const status = yield* recorder.status
          assert.strictEqual(status.accepted, steps.length - held)
          assert.deepStrictEqual(status.filtered, held === 0 ? {} : { switch: held })
          assertLaw(status)
        }
        yield* journalled.close
        yield* plain.close
      })
  )
})
