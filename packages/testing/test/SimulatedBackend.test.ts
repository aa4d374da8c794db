import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as Contract from "@tidings/testing/Contract"
import * as SimulatedBackend from "@tidings/testing/SimulatedBackend"
import * as Simulation from "@tidings/testing/Simulation"
import { Cause, Effect, Exit, Fiber, Layer, Stream } from "effect"
import { series } from "./fixtures/writes.ts"

const inWorld = <A, E>(
  scenario: (simulation: Simulation.Simulation) => Effect.Effect<A, E>
): { readonly value: A; readonly counts: Readonly<Record<string, number>> } => {
  const run = Simulation.run({ seed: 1 }, scenario)
  if (Exit.isFailure(run.exit)) throw new Error(Cause.pretty(run.exit.cause))
  return { value: run.exit.value, counts: run.counts }
}

const grown = (write: Write, by: number): Write => ({ ...write, upTo: write.upTo + by, count: write.count + by })

const reasonOf = (error: BackendError) => error.reason

describe("the simulated backend", () => {
  it("keeps the contract of backends while nothing goes wrong", () => {
    const { value } = inWorld((simulation) =>
      Effect.gen(function* () {
        const fresh = Layer.unwrap(Effect.sync(() => SimulatedBackend.make(simulation).layer))
        const checks = Contract.checks(fresh, {
          runs: 5,
          other: Layer.unwrap(Effect.sync(() => SimulatedBackend.make(simulation, { target: "another" }).layer))
        })
        for (const { effect } of checks) yield* effect
        return checks.length
      })
    )
    assert.isAbove(value, 20)
  })

  const write = (faults: SimulatedBackend.Faults, batch: ReadonlyArray<Write> = [series(1), series(2)]) =>
    inWorld((simulation) =>
      Effect.gen(function* () {
        const server = SimulatedBackend.make(simulation, { faults })
        const answer = yield* Effect.result(Effect.timeoutOption(server.backend.write(batch), "1 minute"))
        return { answer, stored: server.series().length }
      })
    )

  it("loses a request, or only its answer", () => {
    const lost = write({ resetBefore: 1 })
    assert.strictEqual(lost.value.stored, 0)
    assert.deepInclude(lost.value.answer._tag === "Failure" ? reasonOf(lost.value.answer.failure) : {}, {
      _tag: "Transient",
      applied: "unknown"
    })
    const answerLost = write({ resetAfter: 1 })
    assert.strictEqual(answerLost.value.stored, 2)
    assert.strictEqual(answerLost.value.answer._tag, "Failure")
    assert.deepStrictEqual([lost.counts["backend.resetBefore"], answerLost.counts["backend.resetAfter"]], [1, 1])
  })

  it("leaves a request without an answer, with and without carrying it out", () => {
    for (const [faults, stored] of [
      [{ hang: 1 }, 0],
      [{ hangAfter: 1 }, 2]
    ] as const) {
      const { value } = write(faults)
      assert.strictEqual(value.stored, stored)
      assert.isTrue(value.answer._tag === "Success" && value.answer.success._tag === "None")
    }
  })

  it("throttles requests, with and without a time to wait", () => {
    const until = write({ throttleUntil: 1 })
    const bare = write({ throttle: 1 })
    for (const { value } of [until, bare]) assert.strictEqual(value.stored, 0)
    const reasons = [until, bare].map(({ value }) =>
      value.answer._tag === "Failure" ? reasonOf(value.answer.failure) : undefined
    )
    assert.isTrue(reasons[0]?._tag === "Throttled" && reasons[0].retryAfter !== undefined)
    assert.isTrue(reasons[1]?._tag === "Throttled" && reasons[1].retryAfter === undefined)
  })

  it("applies a part of a batch, and omits answers", () => {
    const partial = write({ partial: 1 }).value
    const outcomes =
      partial.answer._tag === "Success" && partial.answer.success._tag === "Some" ? partial.answer.success.value : []
    assert.strictEqual(outcomes.length, 2)
    assert.strictEqual(outcomes.filter(({ _tag }) => _tag === "Settled").length, partial.stored)
    assert.isBelow(partial.stored, 2)
    const missing = write({ missing: 1 }).value
    const answers =
      missing.answer._tag === "Success" && missing.answer.success._tag === "Some" ? missing.answer.success.value : []
    assert.strictEqual(missing.stored, 2)
    assert.isBelow(answers.length, 2)
  })

  it("keeps the newer state when a late request arrives after a newer one", () => {
    const { counts, value } = inWorld((simulation) =>
      Effect.gen(function* () {
        const server = SimulatedBackend.make(simulation, { faults: { late: 1 } })
        yield* Effect.flip(server.backend.write([series(1)]))
        server.setFaults({})
        yield* server.backend.write([grown(series(1), 3)])
        yield* Effect.sleep("1 minute")
        return server.series().map(({ write }) => write.count)
      })
    )
    assert.deepStrictEqual(value, [grown(series(1), 3).count])
    assert.strictEqual(counts["backend.overtaken"], 1)
  })

  it("carries out the request of a process that was killed after it was sent", () => {
    const { value } = inWorld((simulation) =>
      Effect.gen(function* () {
        const server = SimulatedBackend.make(simulation, { latency: "1 second" })
        const host = simulation.process("host")
        yield* host.start(Effect.orDie(server.backend.write([series(1)])))
        yield* Effect.sleep("1 millis")
        yield* host.kill
        yield* Effect.sleep("10 seconds")
        return server.series().length
      })
    )
    assert.strictEqual(value, 1)
  })

  it("fails in each kind of outage, and works again afterwards", () => {
    const { counts, value } = inWorld((simulation) =>
      Effect.gen(function* () {
        const server = SimulatedBackend.make(simulation)
        const tags: Array<string> = []
        for (const outage of ["refused", "unauthorized", "unavailable"] as const) {
          server.fail(outage)
          tags.push((yield* Effect.flip(server.backend.write([series(1)]))).reason._tag)
          tags.push((yield* Effect.flip(server.backend.target)).reason._tag)
        }
        server.fail("silent")
        const silent = yield* Effect.timeoutOption(server.backend.write([series(1)]), "1 hour")
        server.recover()
        const outcomes = yield* server.backend.write([series(1)])
        return { tags, silent: silent._tag, outcomes }
      })
    )
    assert.deepStrictEqual(value, {
      tags: ["Transient", "Transient", "Unauthorized", "Unauthorized", "Unavailable", "Unavailable"],
      silent: "None",
      outcomes: [Backend.created]
    })
    assert.deepInclude(counts, {
      "backend.refused": 2,
      "backend.unauthorized": 2,
      "backend.unavailable": 2,
      "backend.silent": 1
    })
  })

  it("can fail for single namespaces", () => {
    const { value } = inWorld((simulation) =>
      Effect.gen(function* () {
        const server = SimulatedBackend.make(simulation, { parkAfter: "1 minute" })
        const namespace = series(1).event.involvedObject.namespace ?? ""
        const elsewhere: Write = {
          ...series(2),
          event: { ...series(2).event, involvedObject: { kind: "Pod", name: "other", namespace: "elsewhere" } }
        }
        const tags: Array<string> = []
        for (const trouble of ["gone", "missing", "failing"] as const) {
          server.trouble(namespace, trouble)
          const [one, other] = yield* server.backend.write([series(1), elsewhere])
          tags.push(
            `${one!._tag} ${one?._tag === "Retry" && one.parkAfter !== undefined ? "for a while" : ""} ${other!._tag}`
          )
        }
        server.trouble(namespace, "silent")
        const silent = yield* Effect.timeoutOption(server.backend.write([series(1), grown(elsewhere, 1)]), "1 hour")
        server.trouble(namespace, undefined)
        const [well] = yield* server.backend.write([series(1)])
        return { tags, silent: silent._tag, well, counts: server.series().map(({ write }) => write.count) }
      })
    )
    assert.deepStrictEqual(value.tags, ["Rejected  Settled", "Retry for a while Settled", "Retry  Settled"])
    assert.strictEqual(value.silent, "None")
    assert.deepStrictEqual(value.well, Backend.created)
    assert.deepStrictEqual(value.counts, [grown(series(2), 1).count, series(1).count])
  })

  it("deletes objects after their time to live, and creates them again", () => {
    const { counts, value } = inWorld((simulation) =>
      Effect.gen(function* () {
        const server = SimulatedBackend.make(simulation, { timeToLive: "1 hour" })
        yield* server.backend.write([series(1)])
        yield* Effect.sleep("2 hours")
        const { totalCount } = yield* server.backend.query({})
        const outcomes = yield* server.backend.write([grown(series(1), 1)])
        const [one] = server.series()
        return { totalCount, outcomes, creations: one?.creations, exists: one?.exists }
      })
    )
    assert.deepStrictEqual(value, { totalCount: 0, outcomes: [Backend.created], creations: 2, exists: true })
    assert.strictEqual(counts["backend.createdAgain"], 1)
  })

  it("yields a gap to a watch that resumes from before its lost history", () => {
    const { value } = inWorld((simulation) =>
      Effect.gen(function* () {
        const server = SimulatedBackend.make(simulation)
        yield* server.backend.write([series(1)])
        const { cursor } = yield* server.backend.query({})
        yield* server.backend.write([series(2)])
        server.forgetHistory()
        yield* server.backend.write([series(3)])
        const items = yield* Stream.runCollect(
          Stream.takeUntil(server.backend.watch({}, cursor), ({ _tag }) => _tag === "Live")
        )
        return items.map((item) => (item._tag === "Event" ? item.event.id.seq : item._tag))
      })
    )
    assert.deepStrictEqual(value, ["Gap", 2, 3, "Live"])
  })

  it("can answer as a gateway in its place, which carries out nothing", () => {
    const { counts, value } = write({ strange: 1 })
    assert.strictEqual(value.stored, 0)
    assert.deepInclude(value.answer._tag === "Failure" ? reasonOf(value.answer.failure) : {}, {
      _tag: "Transient",
      applied: "unknown"
    })
    assert.strictEqual(counts["backend.strange"], 1)
  })

  it("can be replaced by another server, and still has its events when it returns", () => {
    const { value } = inWorld((simulation) =>
      Effect.gen(function* () {
        const server = SimulatedBackend.make(simulation)
        const { backend } = server
        yield* backend.write([series(1)])
        const { cursor } = yield* backend.query({})
        const cut = yield* Effect.forkChild(Effect.exit(Stream.runDrain(backend.watch({}, "now"))))
        yield* Effect.sleep("1 second")

        server.replaceBy("another")
        assert.isTrue(Exit.isFailure(yield* Fiber.join(cut)), "a watch goes on with another server")
        const refused = yield* Effect.flip(backend.write([series(2)]))
        assert.deepInclude(refused.reason, { _tag: "TargetMismatch", expected: "backend", found: "another" })
        assert.strictEqual((yield* backend.query({})).totalCount, 0)
        const mismatch = yield* Effect.flip(Stream.runDrain(backend.watch({}, cursor)))
        assert.strictEqual(mismatch.reason._tag, "CursorMismatch")

        // A host that asks, and then writes, means the other one.
        assert.strictEqual((yield* backend.target).id, "another")
        assert.deepStrictEqual(server.strays(), [])
        yield* backend.write([series(2)])
        assert.strictEqual(server.strays().length, 1)

        server.replaceBy(undefined)
        assert.strictEqual((yield* backend.target).id, "backend")
        return (yield* backend.query({})).events.map(({ id }) => id.seq)
      })
    )
    assert.deepStrictEqual(value, [1])
  })

  it("fails the run when a batch contains a series twice", () => {
    const run = Simulation.run({ seed: 1 }, (simulation) =>
      SimulatedBackend.make(simulation).backend.write([series(1), grown(series(1), 1)])
    )
    assert.include(String(run.exit), "twice in one batch")
  })
})
