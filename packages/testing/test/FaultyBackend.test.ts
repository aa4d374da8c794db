import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import type { WatchItem } from "@tidings/core/EventQuery"
import * as Contract from "@tidings/testing/Contract"
import * as FaultyBackend from "@tidings/testing/FaultyBackend"
import { Duration, Effect, Exit, Fiber, Layer, Random, Stream } from "effect"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import { again, series } from "./fixtures/writes.ts"

const faulty = (options?: FaultyBackend.Options) => Backend.layerMemory().pipe(FaultyBackend.layer(options))

const batch = [series(1), series(2), series(3), series(4)]

const services = Effect.all([Backend.Backend, FaultyBackend.FaultyBackend])

const stored = Effect.gen(function* () {
  const backend = yield* Backend.Backend
  return (yield* backend.query({})).events.map(({ id }) => id.seq).sort()
})

const reasonOf = <A>(effect: Effect.Effect<A, BackendError.BackendError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

Contract.suite("the backend in memory behind FaultyBackend without faults", faulty(), { runs: 5 })

describe("faults of writes", () => {
  it.effect("failBefore applies nothing, and its error says so", () =>
    Effect.gen(function* () {
      const [backend, { injected }] = yield* services
      const reason = yield* reasonOf(backend.write(batch))
      assert.deepInclude(reason, { _tag: "Transient", applied: "no" })
      assert.deepStrictEqual(yield* stored, [])
      assert.deepStrictEqual(
        yield* backend.write(batch),
        batch.map(() => Backend.created)
      )
      assert.strictEqual((yield* injected).FailBefore, 1)
    }).pipe(Effect.provide(faulty({ script: { write: [FaultyBackend.failBefore()] } })))
  )

  it.effect("failBefore and failAfter take an error of the caller", () => {
    const full = BackendError.make(new BackendError.Full({ detail: "no space" }))
    const lost = BackendError.make(new BackendError.Unauthorized({ detail: "expired" }))
    return Effect.gen(function* () {
      const [backend] = yield* services
      assert.strictEqual(yield* Effect.flip(backend.write(batch)), full)
      assert.strictEqual(yield* Effect.flip(backend.write(batch)), lost)
      assert.deepStrictEqual(yield* stored, [1, 2, 3, 4])
    }).pipe(
      Effect.provide(faulty({ script: { write: [FaultyBackend.failBefore(full), FaultyBackend.failAfter(lost)] } }))
    )
  })

  it.effect("failAfter applies the whole batch and fails with an unknown outcome", () =>
    Effect.gen(function* () {
      const [backend, { injected }] = yield* services
      const reason = yield* reasonOf(backend.write(batch))
      assert.deepInclude(reason, { _tag: "Transient", applied: "unknown" })
      assert.deepStrictEqual(yield* stored, [1, 2, 3, 4])
      assert.deepStrictEqual(
        yield* backend.write(batch),
        batch.map(() => Backend.present)
      )
      assert.strictEqual((yield* injected).FailAfter, 1)
    }).pipe(Effect.provide(faulty({ script: { write: [FaultyBackend.failAfter()] } })))
  )

  it.effect("partial applies the first of a batch and answers the rest with Retry", () => {
    const error = BackendError.make(new BackendError.Throttled({ scope: "series", detail: "slow down" }))
    return Effect.gen(function* () {
      const [backend, { injected }] = yield* services
      const outcomes = yield* backend.write(batch)
      assert.deepStrictEqual(
        outcomes.map(({ _tag }) => _tag),
        ["Settled", "Settled", "Retry", "Retry"]
      )
      assert.isTrue(outcomes[2]?._tag === "Retry" && outcomes[2].error === error)
      assert.deepStrictEqual(yield* stored, [1, 2])
      assert.strictEqual((yield* injected).Partial, 1)
    }).pipe(Effect.provide(faulty({ script: { write: [FaultyBackend.partial({ applies: 2, error })] } })))
  })

  it.effect("partial with missing answers loses the answers of later writes that were applied", () =>
    Effect.gen(function* () {
      const [backend] = yield* services
      const outcomes = yield* backend.write(batch)
      assert.deepStrictEqual(outcomes, [Backend.created])
      assert.deepStrictEqual(yield* stored, [1, 3, 4])
    }).pipe(
      Effect.provide(
        faulty({ script: { write: [FaultyBackend.partial({ applies: ({ id }) => id.seq !== 2, rest: "missing" })] } })
      )
    )
  )

  it.effect("partial is not counted where nothing is left out", () =>
    Effect.gen(function* () {
      const [backend, { injected, remaining }] = yield* services
      assert.deepStrictEqual(yield* backend.write([series(1)]), [Backend.created])
      assert.strictEqual((yield* injected).Partial, 0)
      assert.strictEqual((yield* remaining).write, 0)
    }).pipe(Effect.provide(faulty({ script: { write: [FaultyBackend.partial({ applies: 2 })] } })))
  )

  it.effect("late fails at once, applies the write after its delay, and then overwrites nothing newer", () => {
    const first = series(1)
    const second = again(first, 2)
    return Effect.gen(function* () {
      const [backend, { injected }] = yield* services
      const reason = yield* reasonOf(backend.write([first]))
      assert.deepInclude(reason, { _tag: "Transient", applied: "unknown" })
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(yield* stored, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* stored, [1])

      yield* Effect.flip(backend.write([first]))
      assert.deepStrictEqual(yield* backend.write([second]), [Backend.updated])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(
        (yield* backend.query({})).events.map(({ count }) => count),
        [2]
      )
      assert.strictEqual((yield* injected).Late, 2)
    }).pipe(
      Effect.provide(faulty({ script: { write: [FaultyBackend.late("1 minute"), FaultyBackend.late("1 minute")] } }))
    )
  })

  it.effect("late applies nothing after its layer was closed", () =>
    Effect.gen(function* () {
      const backend = yield* Layer.build(Backend.layerMemory())
      yield* Effect.flip(Backend.Backend.use((one) => one.write(batch))).pipe(
        Effect.provide(
          Layer.succeedContext(backend).pipe(
            FaultyBackend.layer({ script: { write: [FaultyBackend.late("1 second")] } })
          )
        )
      )
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Effect.provide(stored, backend), [])
    })
  )

  it.effect("throttle fails with the scope and the time to wait", () =>
    Effect.gen(function* () {
      const [backend, { injected }] = yield* services
      const first = yield* reasonOf(backend.write(batch))
      assert.isTrue(first._tag === "Throttled" && first.scope === "backend" && first.retryAfter === undefined)
      const second = yield* reasonOf(backend.write(batch))
      assert.isTrue(second._tag === "Throttled" && second.scope === "namespace")
      assert.strictEqual(second._tag === "Throttled" ? Duration.toMillis(second.retryAfter!) : undefined, 3_000)
      assert.deepStrictEqual(yield* stored, [])
      assert.strictEqual((yield* injected).Throttle, 2)
    }).pipe(
      Effect.provide(
        faulty({
          script: {
            write: [FaultyBackend.throttle(), FaultyBackend.throttle({ scope: "namespace", retryAfter: "3 seconds" })]
          }
        })
      )
    )
  )

  it.effect("delay waits by the clock, then the call succeeds or meets the next fault", () =>
    Effect.gen(function* () {
      const [backend, { injected }] = yield* services
      const slow = yield* Effect.forkChild(backend.write(batch), { startImmediately: true })
      yield* TestClock.adjust("4 seconds")
      assert.isUndefined(slow.pollUnsafe())
      assert.deepStrictEqual(yield* stored, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        yield* Fiber.join(slow),
        batch.map(() => Backend.created)
      )

      const failing = yield* Effect.forkChild(Effect.flip(backend.write([series(9)])), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.deepInclude((yield* Fiber.join(failing)).reason, { _tag: "Transient", applied: "unknown" })
      assert.deepStrictEqual(yield* stored, [1, 2, 3, 4, 9])
      const { Delay, FailAfter } = yield* injected
      assert.deepStrictEqual([Delay, FailAfter], [2, 1])
    }).pipe(
      Effect.provide(
        faulty({
          script: {
            write: [FaultyBackend.delay("5 seconds"), FaultyBackend.delay("1 second", FaultyBackend.failAfter())]
          }
        })
      )
    )
  )

  it.effect("hang and hangAfter never answer, without and with the write applied", () =>
    Effect.gen(function* () {
      const [backend, { injected }] = yield* services
      for (const expected of [[], [1, 2, 3, 4]]) {
        const fiber = yield* Effect.forkChild(backend.write(batch), { startImmediately: true })
        yield* TestClock.adjust("1 day")
        assert.isUndefined(fiber.pollUnsafe())
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* stored, expected)
      }
      const { Hang, HangAfter } = yield* injected
      assert.deepStrictEqual([Hang, HangAfter], [1, 1])
    }).pipe(Effect.provide(faulty({ script: { write: [FaultyBackend.hang, FaultyBackend.hangAfter] } })))
  )
})

describe("faults of reads", () => {
  it.effect("queries and targets fail, are throttled and are delayed, each by its own script", () =>
    Effect.gen(function* () {
      const [backend, { calls, remaining }] = yield* services
      yield* backend.write(batch)
      assert.deepStrictEqual(yield* remaining, { target: 2, write: 0, query: 3, watch: 0 })
      assert.strictEqual((yield* reasonOf(backend.query({})))._tag, "Transient")
      assert.strictEqual((yield* reasonOf(backend.target))._tag, "Throttled")
      assert.strictEqual((yield* backend.query({})).totalCount, 4)
      const slow = yield* Effect.forkChild(backend.query({}), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(slow)).totalCount, 4)
      const silent = yield* Effect.forkChild(backend.target, { startImmediately: true })
      yield* TestClock.adjust("1 day")
      assert.isUndefined(silent.pollUnsafe())
      assert.deepStrictEqual(yield* remaining, { target: 0, write: 0, query: 0, watch: 0 })
      assert.deepStrictEqual(yield* calls, { target: 2, write: 1, query: 3, watch: 0 })
    }).pipe(
      Effect.provide(
        faulty({
          script: {
            target: [FaultyBackend.throttle(), FaultyBackend.hang],
            query: [FaultyBackend.failBefore(), FaultyBackend.pass, FaultyBackend.delay("1 second")]
          }
        })
      )
    )
  )

  it.effect("a read may be delayed and then fail", () =>
    Effect.gen(function* () {
      const [backend] = yield* services
      const slow = yield* Effect.forkChild(reasonOf(backend.query({})), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(slow))._tag, "Throttled")
    }).pipe(Effect.provide(faulty({ script: { query: [FaultyBackend.delay("1 second", FaultyBackend.throttle())] } })))
  )

  it.effect("cut ends a watch after some items, and a resumed watch misses nothing", () =>
    Effect.gen(function* () {
      const [backend, { injected }] = yield* services
      yield* backend.write(batch)
      const seen: Array<WatchItem> = []
      const collect = (stream: Stream.Stream<WatchItem, BackendError.BackendError>) =>
        Effect.exit(Stream.runForEach(stream, (item) => Effect.sync(() => seen.push(item))))

      const exit = yield* collect(backend.watch({}, "beginning"))
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(seen.length, 2)
      yield* collect(Stream.take(backend.watch({}, seen[1]!.cursor), 3))
      assert.deepStrictEqual(
        seen.map((item) => (item._tag === "Event" ? item.event.id.seq : item._tag)),
        [1, 2, 3, 4, "Live"]
      )
      assert.strictEqual((yield* injected).Cut, 1)
    }).pipe(Effect.provide(faulty({ script: { watch: [FaultyBackend.cut(2)] } })))
  )

  it.effect("a watch fails at its start, begins late, or never", () =>
    Effect.gen(function* () {
      const [backend, { injected }] = yield* services
      yield* backend.write(batch)
      const watch = Stream.runCollect(Stream.take(backend.watch({}, "beginning"), 5))
      assert.strictEqual((yield* reasonOf(watch))._tag, "Transient")
      const late = yield* Effect.forkChild(watch, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(late)).length, 5)
      const never = yield* Effect.forkChild(watch, { startImmediately: true })
      yield* TestClock.adjust("1 day")
      assert.isUndefined(never.pollUnsafe())
      const { Delay, FailBefore, Hang } = yield* injected
      assert.deepStrictEqual([FailBefore, Delay, Hang], [1, 1, 1])
    }).pipe(
      Effect.provide(
        faulty({ script: { watch: [FaultyBackend.failBefore(), FaultyBackend.delay("1 second"), FaultyBackend.hang] } })
      )
    )
  )
})

describe("the handle", () => {
  it.effect("adds faults to the end of the script", () =>
    Effect.gen(function* () {
      const [backend, handle] = yield* services
      yield* backend.write(batch)
      yield* handle.inject({ write: [FaultyBackend.failBefore()], query: [FaultyBackend.failBefore()] })
      assert.strictEqual((yield* reasonOf(backend.write(batch)))._tag, "Transient")
      assert.strictEqual((yield* reasonOf(backend.query({})))._tag, "Transient")
      assert.deepStrictEqual(yield* stored, [1, 2, 3, 4])
    }).pipe(Effect.provide(faulty()))
  )

  it.effect("fails calls and open watches during an outage without using the script, until it heals", () =>
    Effect.gen(function* () {
      const [backend, handle] = yield* services
      const open = yield* Effect.forkChild(Effect.flip(Stream.runDrain(backend.watch({}, "now"))), {
        startImmediately: true
      })
      yield* backend.query({})
      yield* handle.outage()
      assert.strictEqual((yield* Fiber.join(open)).reason._tag, "Unavailable")
      assert.strictEqual((yield* reasonOf(backend.write(batch)))._tag, "Unavailable")
      assert.strictEqual((yield* reasonOf(backend.target))._tag, "Unavailable")
      assert.strictEqual((yield* reasonOf(Stream.runDrain(backend.watch({}, "now"))))._tag, "Unavailable")
      assert.strictEqual((yield* handle.injected).Outage, 3)
      assert.strictEqual((yield* handle.remaining).write, 1)

      yield* handle.heal
      assert.strictEqual((yield* handle.remaining).write, 0)
      assert.deepStrictEqual(
        yield* backend.write(batch),
        batch.map(() => Backend.created)
      )
      const items = yield* Stream.runCollect(Stream.take(backend.watch({}, "beginning"), 5))
      assert.strictEqual(items.length, 5)
      yield* handle.inject({ query: [FaultyBackend.failBefore()] })
      assert.strictEqual((yield* reasonOf(backend.query({})))._tag, "Transient")
    }).pipe(Effect.provide(faulty({ script: { write: [FaultyBackend.failBefore()] } })))
  )

  it.effect("begins one outage after another, with errors of the caller", () =>
    Effect.gen(function* () {
      const [backend, handle] = yield* services
      const error = BackendError.make(new BackendError.Unauthorized({ detail: "expired" }))
      for (let time = 0; time < 3; time++) {
        const open = yield* Effect.forkChild(Effect.flip(Stream.runDrain(backend.watch({}, "now"))), {
          startImmediately: true
        })
        yield* TestClock.adjust("1 hour")
        assert.isUndefined(open.pollUnsafe())
        yield* handle.outage(error)
        assert.strictEqual(yield* Fiber.join(open), error)
        yield* handle.heal
      }
    }).pipe(Effect.provide(faulty()))
  )
})

describe("faults by seed", () => {
  const rates: FaultyBackend.Rates = {
    write: {
      failBefore: 0.1,
      failAfter: 0.1,
      partial: 0.1,
      late: 0.1,
      throttle: 0.1,
      delay: 0.1,
      hang: 0.1,
      hangAfter: 0.1
    },
    query: { failBefore: 0.2, throttle: 0.1, delay: 0.1 },
    watch: { cut: 0.5, failBefore: 0.2 }
  }

  /** What 60 calls come to, as text. */
  const run = (options: FaultyBackend.Options) =>
    Effect.gen(function* () {
      const [backend, { injected }] = yield* services
      const call = (index: number): Effect.Effect<string, BackendError.BackendError> => {
        if (index % 5 === 4) return Effect.map(Stream.runCount(Stream.take(backend.watch({}, "now"), 1)), String)
        if (index % 3 === 2) return Effect.map(backend.query({}), ({ totalCount }) => `${totalCount} events`)
        return Effect.map(backend.write(batch), (outcomes) => outcomes.map(({ _tag }) => _tag).join())
      }
      const trace: Array<string> = []
      for (let index = 0; index < 60; index++) {
        const fiber = yield* Effect.forkChild(
          call(index).pipe(
            Effect.timeout("1 minute"),
            Effect.catch((error) => Effect.succeed(error.message))
          ),
          { startImmediately: true }
        )
        yield* TestClock.adjust("2 minutes")
        trace.push(yield* Fiber.join(fiber))
      }
      return { trace, injected: yield* injected }
    }).pipe(Effect.provide(faulty(options)))

  it.effect("the same seed gives the same faults, another seed others", () =>
    Effect.gen(function* () {
      const first = yield* run({ rates, seed: 1 })
      assert.deepStrictEqual(yield* run({ rates, seed: 1 }), first)
      assert.notDeepEqual((yield* run({ rates, seed: 2 })).trace, first.trace)
    })
  )

  it.effect("without a seed, the Random service decides", () =>
    Effect.gen(function* () {
      const first = yield* Random.withSeed(run({ rates }), "a")
      assert.deepStrictEqual(yield* Random.withSeed(run({ rates }), "a"), first)
      assert.notDeepEqual((yield* Random.withSeed(run({ rates }), "b")).trace, first.trace)
    })
  )

  it.effect("every fault that has a rate is injected", () =>
    Effect.gen(function* () {
      const met = { ...(yield* run({ rates, seed: 1 })).injected } as Record<string, number>
      for (let seed = 2; seed < 8; seed++) {
        for (const [fault, times] of Object.entries((yield* run({ rates, seed })).injected)) met[fault]! += times
      }
      const { Outage, ...faults } = met
      assert.strictEqual(Outage, 0)
      for (const [fault, times] of Object.entries(faults)) assert.isAbove(times, 0, fault)
    })
  )

  it.effect("a rate of 1 always injects its fault, a rate of 0 never", () =>
    Effect.gen(function* () {
      const [backend, { injected }] = yield* services
      for (let call = 0; call < 50; call++) yield* Effect.flip(backend.query({}))
      yield* backend.write(batch)
      const { FailAfter, FailBefore } = yield* injected
      assert.deepStrictEqual([FailBefore, FailAfter], [50, 0])
    }).pipe(Effect.provide(faulty({ rates: { query: { failBefore: 1 }, write: { failAfter: 0 } }, seed: 1 })))
  )

  it.effect("a partial write drawn by its rate leaves out at least one write, even of a batch of one", () =>
    Effect.gen(function* () {
      const [backend, { injected }] = yield* services
      for (let call = 0; call < 30; call++) {
        const outcomes = yield* backend.write([series(1)])
        assert.notStrictEqual(outcomes[0]?._tag, "Settled")
      }
      assert.strictEqual((yield* injected).Partial, 30)
      assert.deepStrictEqual(yield* stored, [])
    }).pipe(Effect.provide(faulty({ rates: { write: { partial: 1 } }, seed: 1 })))
  )

  it.effect("rates outside of 0 to 1, or above 1 together, are refused when the layer is built", () =>
    Effect.gen(function* () {
      for (const [rates, message] of [
        [{ write: { failBefore: 0.6, late: 0.6 } }, /the rates of write add up to 1.2/],
        [{ query: { hang: -0.1 } }, /rates.query.hang is -0.1/],
        [{ watch: { cut: Number.NaN } }, /rates.watch.cut is NaN/]
      ] as ReadonlyArray<readonly [FaultyBackend.Rates, RegExp]>) {
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(faulty({ rates }))))
        assert.match(String(exit), message)
      }
    })
  )

  it.effect.prop(
    "whoever repeats what is not settled ends with every write applied once, whatever goes wrong",
    { seed: Schema.Int, growth: Arbitrary.array(Arbitrary.schema(Schema.Literals([0, 1, 2, 3])), { maxLength: 12 }) },
    ({ growth, seed }) =>
      Effect.gen(function* () {
        const [backend, handle] = yield* services
        const states = batch.map((one) => one)
        const deliver = (writes: ReadonlyArray<Write>) =>
          Effect.gen(function* () {
            let pending = writes
            while (pending.length > 0) {
              const outcomes = yield* Effect.orElseSucceed(
                Effect.timeout(backend.write(pending), "10 seconds"),
                (): ReadonlyArray<Backend.Outcome> => []
              )
              pending = pending.filter((_, index) => outcomes[index]?._tag !== "Settled")
            }
          })
        const program = Effect.gen(function* () {
          yield* deliver(states)
          let seq = 4
          for (const index of growth) {
            const next = again(states[index]!, ++seq)
            states[index] = next
            yield* deliver([next])
          }
        })
        const fiber = yield* Effect.forkChild(program, { startImmediately: true })
        while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(fiber)
        yield* TestClock.adjust("1 hour")
        yield* handle.heal
        const { events } = yield* backend.query({})
        assert.deepStrictEqual(
          events.map(({ count, id, upTo }) => ({ count, id, upTo })).sort((a, b) => a.id.seq - b.id.seq),
          states.map(({ count, id, upTo }) => ({ count, id, upTo }))
        )
      }).pipe(Effect.provide(faulty({ rates, seed, maximumDelay: "30 seconds" }), { local: true })),
    { arbitrary: { runs: 60, size: 100_000 } }
  )
})
