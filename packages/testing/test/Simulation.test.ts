import { assert, describe, it } from "@effect/vitest"
import * as Simulation from "@tidings/testing/Simulation"
import {
  Cause,
  Clock,
  ConfigProvider,
  DateTime,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Metric,
  Option,
  Queue,
  Random,
  Semaphore
} from "effect"
import * as SecureRandom from "effect/crypto/SecureRandom"

const valueOf = <A, E>(run: Simulation.Run<A, E>): A => {
  if (Exit.isFailure(run.exit)) throw new Error(Cause.pretty(run.exit.cause))
  return run.exit.value
}

const messageOf = <A, E>(run: Simulation.Run<A, E>): string =>
  Exit.isFailure(run.exit) ? Cause.pretty(run.exit.cause) : "it succeeded"

/** Fibers that hand over and wait for one another, in an order that only the seed knows. */
const race = (simulation: Simulation.Simulation) =>
  Effect.gen(function* () {
    const order: Array<string> = []
    const queue = yield* Queue.bounded<number>(2)
    const semaphore = yield* Semaphore.make(2)
    const worker = (name: string) =>
      Effect.gen(function* () {
        for (let n = 0; n < 3; n++) {
          yield* semaphore.withPermit(Effect.sleep(`${simulation.dice.integer(0, 2)} millis`))
          yield* Queue.offer(queue, n)
          order.push(`${name}${n} ${yield* Random.nextIntBetween(0, 100)}`)
        }
      })
    const consumer = yield* Effect.forkChild(
      Effect.gen(function* () {
        for (let n = 0; n < 12; n++) order.push(`took ${yield* Queue.take(queue)}`)
      })
    )
    yield* Effect.all([worker("a"), worker("b"), worker("c"), worker("d")], { concurrency: "unbounded" })
    yield* Fiber.join(consumer)
    return order
  })

describe("run", () => {
  it("ends fibers that are interrupted before they have begun, at whatever operation others get their turn", () => {
    for (let seed = 0; seed < 200; seed++) {
      const run = Simulation.run({ seed }, () =>
        Effect.gen(function* () {
          for (let n = 0; n < 20; n++) {
            yield* Fiber.interrupt(yield* Effect.forkChild(Effect.never))
          }
        })
      )
      assert.strictEqual(messageOf(run), "it succeeded", `seed ${seed}`)
    }
  })

  it("is equal for equal seeds and differs between seeds", () => {
    const first = Simulation.run({ seed: "one" }, race)
    const again = Simulation.run({ seed: "one" }, race)
    assert.deepStrictEqual(valueOf(again), valueOf(first))
    assert.strictEqual(again.digest, first.digest)
    assert.strictEqual(again.steps, first.steps)
    const orders = new Set(Array.from({ length: 50 }, (_, seed) => valueOf(Simulation.run({ seed }, race)).join()))
    assert.isAbove(orders.size, 45)
  })

  it("simulates hours without waiting for real time", () => {
    const run = Simulation.run({ seed: 1 }, () =>
      Effect.gen(function* () {
        const before = yield* Clock.currentTimeMillis
        yield* Effect.sleep("30 days")
        const after = yield* DateTime.now
        return DateTime.toEpochMillis(after) - before
      })
    )
    assert.strictEqual(messageOf(run), "it succeeded")
    assert.strictEqual(valueOf(run), 30 * 24 * 3_600_000)
  })

  it("returns errors and defects of the scenario", () => {
    assert.deepStrictEqual(Simulation.run({ seed: 1 }, () => Effect.fail("no")).exit, Exit.fail("no"))
    assert.include(messageOf(Simulation.run({ seed: 1 }, () => Effect.die(new Error("broken")))), "broken")
  })

  it("fails when nothing is ready and no timer is set", () => {
    assert.include(messageOf(Simulation.run({ seed: 1 }, () => Effect.never)), "the run is stuck")
  })

  it("fails when its limits of steps or time are exceeded", () => {
    const spin = Effect.forever(Effect.yieldNow)
    assert.include(messageOf(Simulation.run({ seed: 1, maximumSteps: 100 }, () => spin)), "100 steps")
    const wait = Effect.forever(Effect.sleep("1 hour"))
    assert.include(messageOf(Simulation.run({ seed: 1, maximumTime: "2 days" }, () => wait)), "still going after")
  })

  it("lets a fiber that never waits be interrupted by others", () => {
    const run = Simulation.run({ seed: 1 }, () =>
      Effect.gen(function* () {
        const busy = yield* Effect.forkChild(Effect.forever(Effect.void))
        yield* Effect.yieldNow
        yield* Fiber.interrupt(busy)
        return "free"
      })
    )
    assert.strictEqual(valueOf(run), "free")
  })

  it("checks invariants after every step", () => {
    const run = Simulation.run({ seed: 1 }, (simulation) => {
      let total = 0
      simulation.invariant("never three", () => {
        if (total === 3) throw new Error("it was three for a moment")
      })
      return Effect.gen(function* () {
        for (let n = 0; n < 5; n++) {
          total++
          yield* Effect.yieldNow
        }
      })
    })
    assert.include(messageOf(run), "it was three for a moment")
  })

  it("draws every random number from the seed", () => {
    const draw = () =>
      Effect.gen(function* () {
        const secure = yield* Effect.serviceOption(SecureRandom.SecureRandom)
        const bytes = Option.isSome(secure) ? yield* secure.value.randomBytes(4) : new Uint8Array(0)
        return [yield* Random.next, yield* Random.nextInt, ...bytes]
      })
    const [one, two] = [1, 1].map((seed) => valueOf(Simulation.run({ seed }, draw)))
    assert.strictEqual(one!.length, 6)
    assert.deepStrictEqual(one, two)
    assert.notDeepEqual(valueOf(Simulation.run({ seed: 2 }, draw)), one)
  })
})

describe("process", () => {
  it("runs no finalizer when it is killed, and can be started again", () => {
    const run = Simulation.run({ seed: 3 }, (simulation) =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        const host = simulation.process("host")
        const program = (name: string) =>
          Effect.gen(function* () {
            yield* Effect.addFinalizer(() => Effect.sync(() => seen.push(`${name} closed`)))
            yield* Effect.forkScoped(
              Effect.forever(
                Effect.andThen(
                  Effect.sleep("1 second"),
                  Effect.sync(() => seen.push(name))
                )
              )
            )
            yield* Effect.sleep("2500 millis")
          }).pipe(Effect.scoped, Effect.ensuring(Effect.sync(() => seen.push(`${name} over`))))
        const first = yield* host.start(program("first"))
        yield* Effect.sleep("1500 millis")
        assert.isTrue(yield* host.kill)
        assert.isFalse(yield* host.kill)
        assert.deepStrictEqual(yield* first.await, Option.none())
        yield* Effect.sleep("1 minute")
        const second = yield* host.start(program("second"))
        assert.deepStrictEqual(yield* second.await, Option.some(Exit.void))
        assert.deepStrictEqual([first.number, second.number, host.life, host.alive], [1, 2, 2, false])
        return seen
      })
    )
    assert.deepStrictEqual(valueOf(run), ["first", "second", "second", "second closed", "second over"])
  })

  it("runs nothing more when it is killed from inside of one of its steps", () => {
    for (let seed = 1; seed <= 100; seed++) {
      const run = Simulation.run({ seed }, (simulation) =>
        Effect.gen(function* () {
          const done: Array<number> = []
          const host = simulation.process("host")
          const die = simulation.dice.integer(1, 9)
          const step = (n: number) =>
            Effect.sync(() => {
              done.push(n)
              if (n === die) host.killUnsafe()
            })
          yield* host.start(
            Effect.gen(function* () {
              for (let n = 1; n <= 10; n++) yield* step(n)
            }).pipe(Effect.ensuring(Effect.sync(() => done.push(0))))
          )
          yield* Effect.sleep("1 second")
          assert.deepStrictEqual(
            done,
            Array.from({ length: die }, (_, index) => index + 1)
          )
        })
      )
      valueOf(run)
    }
  })

  it("is not resumed after its death by what outlives it", () => {
    const run = Simulation.run({ seed: 1 }, (simulation) =>
      Effect.gen(function* () {
        const woken: Array<string> = []
        const door = yield* Deferred.make<void>()
        const host = simulation.process("host")
        yield* host.start(
          Effect.andThen(
            Deferred.await(door),
            Effect.sync(() => woken.push("host"))
          )
        )
        yield* Effect.sleep("1 second")
        yield* host.kill
        yield* Deferred.succeed(door, undefined)
        yield* Effect.sleep("1 second")
        return woken
      })
    )
    assert.deepStrictEqual(valueOf(run), [])
  })

  it("cannot be started twice", () => {
    const run = Simulation.run({ seed: 1 }, (simulation) => {
      const host = simulation.process("host")
      return Effect.andThen(host.start(Effect.never), host.start(Effect.never))
    })
    assert.include(messageOf(run), 'the process "host" is alive already')
  })

  it("has its own clock, whose skew can change while its monotonic time only grows", () => {
    const run = Simulation.run({ seed: 1 }, (simulation) =>
      Effect.gen(function* () {
        const host = simulation.process("host", { skew: "-5 seconds" })
        const look = Effect.all([Clock.currentTimeMillis, Clock.monotonicTimeNanos])
        const life = yield* host.start(
          Effect.gen(function* () {
            const before = yield* look
            yield* Effect.sleep("10 seconds")
            return [before, yield* look] as const
          })
        )
        const here = yield* Clock.currentTimeMillis
        yield* Effect.sleep("1 second")
        yield* host.adjustClock("-1 hour")
        const ended = yield* life.await
        const [before, after] = Option.isSome(ended) && Exit.isSuccess(ended.value) ? ended.value.value : assert.fail()
        return [before[0] - here, after[0] - here, after[1] - before[1]]
      })
    )
    assert.deepStrictEqual(valueOf(run), [-5_000, 10_000 - 5_000 - 3_600_000, 10_000_000_000n])
  })

  it("has its own metrics and logs", () => {
    const counter = Metric.counter("of_the_simulation")
    const run = Simulation.run({ seed: 1 }, (simulation) =>
      Effect.gen(function* () {
        const program = Effect.gen(function* () {
          yield* Metric.update(counter, 1)
          yield* Effect.logWarning("it is", "so")
          return (yield* Metric.value(counter)).count
        })
        const [one, two] = [simulation.process("one"), simulation.process("two")]
        const counts = [yield* (yield* one.start(program)).await, yield* (yield* two.start(program)).await]
        return counts
      })
    )
    assert.deepStrictEqual(valueOf(run), [Option.some(Exit.succeed(1)), Option.some(Exit.succeed(1))])
    assert.deepStrictEqual(
      run.logs.map(({ level, message, process }) => [process, level, message]),
      [
        ["one", "Warn", "it is so"],
        ["two", "Warn", "it is so"]
      ]
    )
  })
})

describe("campaign", () => {
  const OPTIONS = { name: "a campaign", seeds: 200, command: "npm test" }
  const environment = (values: Record<string, string>) =>
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(values))
  const bare = environment({})

  it.effect("adds up the counts of its runs", () =>
    Effect.gen(function* () {
      const campaign = yield* Simulation.campaign({ ...OPTIONS, sometimes: ["odd", "even"] }, (simulation) =>
        Effect.sync(() => simulation.count(simulation.dice.integer(0, 1) === 0 ? "even" : "odd", 2))
      ).pipe(bare)
      assert.strictEqual(campaign.seeds, 200)
      assert.strictEqual(campaign.counts["odd"]! + campaign.counts["even"]!, 400)
    })
  )

  it.effect("fails with the first seed that fails, and says how to run it", () =>
    Effect.gen(function* () {
      const failing = (simulation: Simulation.Simulation) =>
        Effect.sync(() => {
          simulation.trace("a line of the trace")
          if (Number(simulation.seed) >= 17) throw new Error("17 is too much")
        })
      const error = yield* Effect.flip(Simulation.campaign(OPTIONS, failing)).pipe(bare)
      assert.strictEqual(error.reason._tag === "SeedFailed" ? error.reason.seed : undefined, "17")
      for (const part of ["a campaign", "17 is too much", "a line of the trace", "TIDINGS_SEED=17 npm test"]) {
        assert.include(error.message, part)
      }
    })
  )

  it.effect("runs one seed, or another number of seeds, as the environment says", () =>
    Effect.gen(function* () {
      const seeds: Array<string> = []
      const note = (simulation: Simulation.Simulation) => Effect.sync(() => seeds.push(simulation.seed))
      const sometimes = ["never"]
      yield* Simulation.campaign({ ...OPTIONS, sometimes }, note).pipe(environment({ TIDINGS_SEED: "42" }))
      assert.deepStrictEqual([...new Set(seeds)], ["42"])
      const { seeds: n } = yield* Simulation.campaign(OPTIONS, note).pipe(environment({ TIDINGS_SEEDS: "7" }))
      assert.strictEqual(n, 7)
    })
  )

  it.effect("fails when an expected count stays at zero in all runs", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Simulation.campaign({ ...OPTIONS, sometimes: ["this", "that"] }, (simulation) =>
          Effect.sync(() => simulation.count("this"))
        )
      ).pipe(bare)
      assert.deepStrictEqual(error.reason._tag === "NeverHappened" ? error.reason.what : [], ["that"])
      assert.include(error.message, "never happened in 200 seeds: that")
    })
  )

  it.effect("fails when a second run of a seed differs from the first", () =>
    Effect.gen(function* () {
      let runs = 0
      const error = yield* Effect.flip(
        Simulation.campaign(OPTIONS, (simulation) => Effect.sync(() => simulation.trace(`run ${++runs}`)))
      ).pipe(bare)
      assert.strictEqual(error.reason._tag, "NotDeterministic")
    })
  )
})
