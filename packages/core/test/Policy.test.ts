import * as Backend from "@tidings/core/Backend"
import {
  BackendError,
  CursorMismatch,
  Full,
  Throttled,
  Transient,
  Unauthorized,
  Unavailable
} from "@tidings/core/BackendError"
import type { EventType, Write } from "@tidings/core/Event"
import type { Cursor, EventFilter, PageToken, WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import * as Policy from "@tidings/core/Policy"
import * as Position from "@tidings/core/Position"
import * as Recorder from "@tidings/core/Recorder"
import * as Target from "@tidings/core/Target"
import * as Templates from "@tidings/core/Templates"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { anyOf, integer } from "./support/arbitraries.ts"
import { type Answer, created, refused, retry, scripted, unknown } from "./support/scripted.ts"
import { body, collect, counted, origin, seqs, settle, shown, told, write } from "./support/writes.ts"

const throttled = (retryAfter?: Duration.Duration) =>
  new BackendError({
    reason: new Throttled({
      scope: "backend",
      detail: "slow down",
      ...(retryAfter === undefined ? undefined : { retryAfter })
    })
  })
const full = new BackendError({ reason: new Full({ detail: "the disk is full" }) })
const rejected: Backend.Outcome = { _tag: "Rejected", reason: "never" }
const dropped: Backend.Outcome = { _tag: "Dropped", reason: "sampled" }

const batchOf = (...seqs: ReadonlyArray<number>): ReadonlyArray<Write> => seqs.map((seq) => write(seq))
const use = <A, E>(f: (backend: Backend.Service) => Effect.Effect<A, E>) => Backend.Backend.use(f)

/** Runs an effect to its end while time passes as it asks for. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>, step: Duration.Input = "10 millis") =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    while (fiber.pollUnsafe() === undefined) {
      yield* settle
      if (fiber.pollUnsafe() === undefined) yield* TestClock.adjust(step)
    }
    return yield* Fiber.join(fiber)
  })

// ---------------------------------------------------------------------------

describe("make and split", () => {
  it.effect("wrap a backend that is built once, also where several policies are composed", () => {
    const { builds, layer } = counted()
    const seen: Array<string> = []
    const noting = (name: string) =>
      Policy.make((backend) =>
        Effect.sync(() => ({
          ...backend,
          write: (batch: ReadonlyArray<Write>) =>
            Effect.suspend(() => {
              seen.push(name)
              return backend.write(batch)
            })
        }))
      )
    const stack = layer.pipe(noting("inner"), Policy.retry(), Policy.batch(), noting("outer"))
    return Effect.gen(function* () {
      const context = yield* Layer.build(
        Recorder.layerDirect().pipe(Layer.provideMerge(stack), Layer.provideMerge(Templates.layer))
      )
      const recorder = Context.get(context, Recorder.Recorder)
      yield* recorder.record({ involvedObject: { kind: "Pod", name: "web" }, reason: "Up", message: "m" })
      assert.strictEqual((yield* Context.get(context, Backend.Backend).query({})).totalCount, 1)
      assert.deepStrictEqual(seen, ["outer", "inner"])
      assert.strictEqual(builds(), 1)
    })
  })

  it.effect("keep resources as long as the layer, and have requirements and errors in their types", () => {
    class Limit extends Context.Service<Limit, number>()("test/Limit") {}
    const log: Array<string> = []
    const limited = Policy.make((backend) =>
      Effect.gen(function* () {
        const limit = yield* Limit
        if (limit < 0) return yield* Effect.fail("negative" as const)
        yield* Effect.acquireRelease(
          Effect.sync(() => log.push("acquired")),
          () => Effect.sync(() => log.push("released"))
        )
        return backend
      })
    )
    const policy: Policy.Policy<"negative", Limit> = limited
    const layerOf = (limit: number): Layer.Layer<Backend.Backend, "negative"> =>
      Backend.layerMemory().pipe(policy, Layer.provide(Layer.succeed(Limit, limit)))
    return Effect.gen(function* () {
      yield* Effect.provide(
        use(() => Effect.sync(() => assert.deepStrictEqual(log, ["acquired"]))),
        layerOf(1)
      )
      assert.deepStrictEqual(log, ["acquired", "released"])
      assert.strictEqual(
        yield* Effect.flip(
          Effect.provide(
            use(() => Effect.void),
            layerOf(-1)
          )
        ),
        "negative"
      )
    })
  })

  const odd = (inner: Layer.Layer<Backend.Backend>) =>
    inner.pipe(
      Policy.make((backend) =>
        Effect.succeed(
          Policy.split(backend, ({ id }) =>
            id.seq % 2 === 1 ? { _tag: "Dropped", reason: `odd ${id.seq}` } : undefined
          )
        )
      )
    )
  const oddDropped = (seq: number): Backend.Outcome => ({ _tag: "Dropped", reason: `odd ${seq}` })

  it.effect("pass on with split what it does not decide, and return outcomes in the order of the batch", () => {
    const { calls, layer } = scripted((batch) =>
      Effect.succeed(batch.map(({ id }) => (id.seq === 4 ? rejected : Backend.created)))
    )
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      assert.deepStrictEqual(yield* backend.write(batchOf(1, 2, 3, 4)), [
        oddDropped(1),
        Backend.created,
        oddDropped(3),
        rejected
      ])
      assert.deepStrictEqual(calls.map(seqs), [[2, 4]])
      assert.deepStrictEqual(yield* backend.write(batchOf(1, 3)), [oddDropped(1), oddDropped(3)])
      assert.strictEqual(calls.length, 1)
      assert.deepStrictEqual(yield* backend.write(batchOf(2)), [Backend.created])
    }).pipe(Effect.provide(odd(layer)))
  })

  it.effect("keep the outcomes that split knows where the other backend fails or gives none", () => {
    const { layer } = scripted((_, call) => (call === 2 ? Effect.succeed([]) : Effect.fail(full)))
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      assert.deepStrictEqual(yield* backend.write(batchOf(1, 2)), [oddDropped(1), retry(full)])
      const [first, second] = yield* backend.write(batchOf(1, 2))
      assert.deepStrictEqual(first, oddDropped(1))
      assert.strictEqual(second?._tag, "Retry")
      // Where it decided nothing, the failure is the answer.
      assert.strictEqual(yield* Effect.flip(backend.write(batchOf(2))), full)
    }).pipe(Effect.provide(odd(layer)))
  })

  it.effect("keep the methods of a backend that is a class", () => {
    class Store {
      readonly mode = "mine"
      readonly target = Effect.succeed(Target.make("t"))
      private readonly cursor = "c" as Cursor
      write(batch: ReadonlyArray<Write>) {
        return Effect.succeed(created(batch))
      }
      query() {
        return Effect.succeed({ events: [], totalCount: 7, cursor: this.cursor, coverage: [] })
      }
      watch() {
        return Stream.succeed({ _tag: "Live" as const, cursor: this.cursor })
      }
    }
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      assert.strictEqual(backend.mode, "mine")
      assert.deepStrictEqual(yield* backend.target, Target.make("t"))
      assert.strictEqual((yield* backend.query({})).totalCount, 7)
      assert.deepStrictEqual((yield* Stream.runCollect(backend.watch({}, "now"))).map(told), ["Live"])
      assert.deepStrictEqual(yield* backend.write(batchOf(1, 2)), [oddDropped(1), Backend.created])
    }).pipe(Effect.provide(odd(Layer.succeed(Backend.Backend, new Store())).pipe(Policy.retry(), Policy.batch())))
  })
})

// ---------------------------------------------------------------------------

describe("retry", () => {
  it.effect("retries a temporary failure a limited number of times, then returns it", () => {
    return Effect.forEach([0, 1, 3, 5], (times) => {
      const { calls, layer } = scripted(() => Effect.fail(unknown))
      return Effect.gen(function* () {
        const error = yield* Effect.flip(inTime(use((backend) => backend.write(batchOf(1, 2)))))
        assert.strictEqual(error, unknown)
        assert.deepStrictEqual(
          calls.map(seqs),
          Array.from({ length: times + 1 }, () => [1, 2])
        )
      }).pipe(Effect.provide(layer.pipe(Policy.retry({ times }))))
    })
  })

  it.effect("retries three times by default", () => {
    const { calls, layer } = scripted(() => Effect.fail(refused))
    return Effect.gen(function* () {
      yield* Effect.flip(inTime(use((backend) => backend.write(batchOf(1)))))
      assert.strictEqual(calls.length, 4)
    }).pipe(Effect.provide(layer.pipe(Policy.retry())))
  })

  const lasting = [
    full,
    new BackendError({ reason: new Unauthorized({ detail: "no" }) }),
    new BackendError({ reason: new Unavailable({ detail: "no" }) }),
    new BackendError({ reason: new CursorMismatch({ detail: "no" }) })
  ]
  it.effect.each(lasting)("does not retry a failure that is not temporary: $reason._tag", (error) => {
    const { calls, layer } = scripted((_, call) => (call === 1 ? Effect.fail(error) : Effect.succeed([retry(error)])))
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      assert.strictEqual(yield* Effect.flip(backend.write(batchOf(1))), error)
      assert.deepStrictEqual(yield* backend.write(batchOf(1)), [retry(error)])
      assert.strictEqual(calls.length, 2)
    }).pipe(Effect.provide(layer.pipe(Policy.retry())))
  })

  it.effect(
    "retries only the items without a final outcome, and returns all outcomes in the order of the batch",
    () => {
      const { calls, layer } = scripted((batch, call) => {
        if (call === 1)
          return Effect.succeed([Backend.created, retry(refused), rejected, retry(full), retry(unknown), dropped])
        if (call === 2) return Effect.succeed([retry(refused), Backend.present])
        return Effect.succeed(batch.map(() => Backend.updated))
      })
      return Effect.gen(function* () {
        const outcomes = yield* inTime(use((backend) => backend.write(batchOf(1, 2, 3, 4, 5, 6))))
        assert.deepStrictEqual(outcomes, [
          Backend.created,
          Backend.updated,
          rejected,
          retry(full),
          Backend.present,
          dropped
        ])
        assert.deepStrictEqual(calls.map(seqs), [[1, 2, 3, 4, 5, 6], [2, 5], [2]])
      }).pipe(Effect.provide(layer.pipe(Policy.retry())))
    }
  )

  it.effect("retries items without an outcome, and fails in the end where they have none", () => {
    const { calls, layer } = scripted((_, call) => Effect.succeed(call === 1 ? [Backend.created] : []))
    return Effect.gen(function* () {
      const outcomes = yield* inTime(use((backend) => backend.write(batchOf(1, 2, 3))))
      assert.deepStrictEqual(
        outcomes.map(({ _tag }) => _tag),
        ["Settled", "Retry", "Retry"]
      )
      assert.deepStrictEqual(calls.map(seqs), [
        [1, 2, 3],
        [2, 3],
        [2, 3]
      ])
    }).pipe(Effect.provide(layer.pipe(Policy.retry({ times: 2 }))))
  })

  it.effect("keeps the outcomes of the first try where the retry fails", () => {
    const { layer } = scripted((_, call) =>
      call === 1 ? Effect.succeed([Backend.created, retry(refused)]) : Effect.fail(full)
    )
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* inTime(use((backend) => backend.write(batchOf(1, 2)))), [
        Backend.created,
        retry(full)
      ])
    }).pipe(Effect.provide(layer.pipe(Policy.retry())))
  })

  /** When the calls were made, in milliseconds. */
  const timed = (answer: Answer) => {
    const at: Array<number> = []
    const { layer } = scripted((batch, call) =>
      Effect.andThen(
        Effect.map(Clock.currentTimeMillis, (now) => at.push(now)),
        answer(batch, call)
      )
    )
    return { at, layer }
  }
  const pauses = (at: ReadonlyArray<number>) => at.slice(1).map((time, index) => Math.round(time - at[index]!))

  it.effect("waits for the longest retryAfter of a batch", () => {
    const asked = [Duration.seconds(2), Duration.seconds(10), undefined]
    const { at, layer } = timed((batch, call) => {
      if (call === 1) return Effect.fail(throttled(Duration.seconds(5)))
      if (call === 2) return Effect.succeed(asked.map((after) => retry(throttled(after))))
      return Effect.succeed(created(batch))
    })
    return Effect.gen(function* () {
      yield* inTime(
        use((backend) => backend.write(batchOf(1, 2, 3))),
        "1 second"
      )
      assert.deepStrictEqual(pauses(at), [5_000, 10_000])
    }).pipe(Effect.provide(layer.pipe(Policy.retry())))
  })

  it.effect("waits for a random part of a delay that doubles up to a maximum, the same for the same seed", () => {
    const run = (seed: string) =>
      Effect.gen(function* () {
        const { at, layer } = timed(() => Effect.fail(refused))
        yield* Effect.flip(
          inTime(
            Effect.provide(
              use((backend) => backend.write(batchOf(1))),
              layer.pipe(Policy.retry({ times: 6, baseDelay: "100 millis", maximumDelay: "1 second" }))
            ),
            "1 milli"
          )
        )
        return pauses(at)
      }).pipe(Random.withSeed(seed))
    return Effect.gen(function* () {
      const first = yield* run("a")
      assert.deepStrictEqual(yield* run("a"), first)
      assert.notDeepEqual(yield* run("b"), first)
      assert.strictEqual(first.length, 6)
      for (const [index, pause] of first.entries()) {
        const delay = Math.min(1_000, 100 * 2 ** index)
        assert.isAtLeast(pause, delay / 2)
        assert.isAtMost(pause, delay + 1)
      }
    })
  })

  it.effect("retries queries and reading the target", () => {
    let failing = 2
    const flaky = <A>(effect: Effect.Effect<A, BackendError>) =>
      Effect.suspend(() => (failing-- > 0 ? Effect.fail(unknown) : effect))
    const layer = Backend.layerMemory().pipe(
      Policy.make((backend) =>
        Effect.succeed({ ...backend, target: flaky(backend.target), query: (query) => flaky(backend.query(query)) })
      ),
      Policy.retry({ times: 2 })
    )
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      assert.strictEqual((yield* inTime(backend.query({}))).totalCount, 0)
      failing = 2
      assert.match((yield* inTime(backend.target)).id, /^[0-9a-f]{32}$/)
      failing = 3
      assert.strictEqual(yield* Effect.flip(inTime(backend.query({}))), unknown)
    }).pipe(Effect.provide(layer))
  })

  /** A memory backend whose watches break after some items each. */
  const breaking = (after: ReadonlyArray<number>, error: BackendError) => {
    const froms: Array<WatchFrom> = []
    const layer = Backend.layerMemory().pipe(
      Policy.make((backend) =>
        Effect.succeed({
          ...backend,
          watch: (filter: EventFilter, from: WatchFrom) =>
            Stream.suspend(() => {
              const n = after[froms.length]
              froms.push(from)
              const watch = backend.watch(filter, from)
              return n === undefined ? watch : Stream.concat(Stream.take(watch, n), Stream.fail(error))
            })
        })
      )
    )
    return { froms, layer }
  }

  it.effect("continues a watch after the last item, without a gap or a repetition, and with one Live", () => {
    const { froms, layer } = breaking([0, 2, 0, 2], refused)
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      yield* backend.write(batchOf(1, 2, 3))
      const { items, stop } = yield* collect(backend.watch({}, "beginning"))
      for (let second = 0; second < 10; second++) {
        yield* TestClock.adjust("1 second")
        yield* settle
      }
      yield* backend.write(batchOf(4))
      yield* settle
      assert.deepStrictEqual(items.map(told), ["1@1", "2@2", "3@3", "Live", "4@4"])
      assert.deepStrictEqual(froms.slice(0, 2), ["beginning", "beginning"])
      assert.strictEqual(froms[2], items[1]?.cursor)
      assert.strictEqual(froms[4], items[3]?.cursor)
      assert.strictEqual(froms.length, 5)
      yield* stop
    }).pipe(Effect.provide(layer.pipe(Policy.retry({ times: 2 }))))
  })

  it.effect("ends a watch that fails too often without an item, or with a failure that is not temporary", () =>
    Effect.gen(function* () {
      const often = breaking([1, 0, 0, 0], refused)
      const error = yield* Effect.flip(
        inTime(
          Effect.provide(
            use((backend) => Stream.runDrain(backend.watch({}, "now"))),
            often.layer.pipe(Policy.retry({ times: 2 }))
          )
        )
      )
      assert.strictEqual(error, refused)
      assert.strictEqual(often.froms.length, 3)
      const lasting = breaking([0], full)
      assert.strictEqual(
        yield* Effect.flip(
          Effect.provide(
            use((backend) => Stream.runDrain(backend.watch({}, "now"))),
            lasting.layer.pipe(Policy.retry())
          )
        ),
        full
      )
      assert.strictEqual(lasting.froms.length, 1)
    })
  )

  it.effect("ends a watch when the watch of the backend ends", () => {
    const layer = Backend.layerMemory().pipe(
      Policy.make((backend) =>
        Effect.succeed({ ...backend, watch: (filter, from) => Stream.take(backend.watch(filter, from), 1) })
      ),
      Policy.retry()
    )
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      assert.deepStrictEqual((yield* Stream.runCollect(backend.watch({}, "now"))).map(told), ["Live"])
    }).pipe(Effect.provide(layer))
  })
})

// ---------------------------------------------------------------------------

describe("batch", () => {
  const instantly: Answer = (batch) => Effect.succeed(created(batch))
  /** Answers when the gate of its call is opened. */
  const gated = (answer: Answer = instantly) => {
    const gates: Array<Deferred.Deferred<void>> = []
    const backend = scripted((batch, call) =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        gates.push(gate)
        yield* Deferred.await(gate)
        return yield* answer(batch, call)
      })
    )
    return { ...backend, open: (call: number) => Deferred.succeed(gates[call - 1]!, undefined) }
  }
  const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(Effect.exit(effect), { startImmediately: true })

  it.effect("merges concurrent writes, also where the backend answers at once", () => {
    const { calls, layer } = scripted(instantly)
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const record = (n: number) =>
        recorder.record({ involvedObject: { kind: "Pod", name: `web-${n}` }, reason: "Up", message: "m" })
      const recorded = yield* Effect.all(
        Array.from({ length: 64 }, (_, n) => record(n)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(recorded.map((one) => one._tag === "Accepted" && one.id.seq)).size, 64)
      assert.strictEqual(calls.flat().length, 64)
      assert.isAtMost(calls.length, 2)
    }).pipe(
      Effect.provide(
        Recorder.layerDirect().pipe(Layer.provide(Layer.merge(Templates.layer, layer.pipe(Policy.batch()))))
      )
    )
  })

  it.effect("sends a single write at the end of the same turn", () => {
    const { calls, layer } = scripted(instantly)
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const fiber = yield* start(backend.write(batchOf(1)))
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      assert.deepStrictEqual(calls.map(seqs), [[1]])
      assert.deepStrictEqual(yield* Fiber.join(fiber), Exit.succeed([Backend.created]))
      assert.deepStrictEqual(yield* backend.write(batchOf(2)), [Backend.created])
    }).pipe(Effect.provide(layer.pipe(Policy.batch())))
  })

  it.effect("sends what is written during a write with the next one", () => {
    const { calls, layer, open } = gated()
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const first = yield* start(backend.write(batchOf(1)))
      yield* settle
      const others = yield* Effect.forEach([2, 3, 4], (seq) => start(backend.write(batchOf(seq))))
      yield* settle
      assert.deepStrictEqual(calls.map(seqs), [[1]])
      yield* open(1)
      assert.deepStrictEqual(yield* Fiber.join(first), Exit.succeed([Backend.created]))
      yield* settle
      assert.deepStrictEqual(calls.map(seqs), [[1], [2, 3, 4]])
      yield* open(2)
      for (const fiber of others) assert.deepStrictEqual(yield* Fiber.join(fiber), Exit.succeed([Backend.created]))
    }).pipe(Effect.provide(layer.pipe(Policy.batch())))
  })

  it.effect("returns to each caller its own outcomes in the order of its batch", () => {
    const outcomeOf = ({ id }: Write): Backend.Outcome =>
      id.seq % 3 === 0 ? rejected : id.seq % 3 === 1 ? Backend.created : { _tag: "Dropped", reason: `d${id.seq}` }
    const { calls, layer } = scripted((batch) => Effect.succeed(batch.map(outcomeOf)))
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const batches = [batchOf(1, 2), batchOf(3), [], batchOf(4, 5, 6), batchOf(7)]
      const answers = yield* Effect.all(
        batches.map((batch) => backend.write(batch)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        answers,
        batches.map((batch) => batch.map(outcomeOf))
      )
      assert.strictEqual(calls.length, 1)
    }).pipe(Effect.provide(layer.pipe(Policy.batch())))
  })

  it.effect("has a series at most once in a write, and keeps its order", () => {
    const { calls, layer } = scripted(instantly)
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const state = (seq: number, upTo: number) => [write(seq, { upTo })]
      yield* Effect.all(
        [state(1, 1), state(2, 2), state(1, 3), state(3, 4), state(1, 5)].map((batch) => backend.write(batch)),
        {
          concurrency: "unbounded"
        }
      )
      assert.deepStrictEqual(
        calls.map((batch) => batch.map(({ id, upTo }) => `${id.seq}@${upTo}`)),
        [["1@1", "2@2"], ["1@3", "3@4"], ["1@5"]]
      )
      // The same seq of another origin is another series.
      yield* Effect.all(
        [batchOf(9), [write(9, { id: { origin: "other", seq: 9 } })]].map((batch) => backend.write(batch)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(calls.length, 4)
    }).pipe(Effect.provide(layer.pipe(Policy.batch())))
  })

  it.effect("limits the items of a write, except for those of one caller", () => {
    const { calls, layer } = scripted(instantly)
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const batches = [batchOf(1, 2), batchOf(3), batchOf(4), batchOf(5, 6, 7, 8, 9), batchOf(10)]
      yield* Effect.all(
        batches.map((batch) => backend.write(batch)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(calls.map(seqs), [[1, 2, 3], [4], [5, 6, 7, 8, 9], [10]])
    }).pipe(Effect.provide(layer.pipe(Policy.batch({ maximum: 3 }))))
  })

  it.effect("limits a write to 256 items by default", () => {
    const { calls, layer } = scripted(instantly)
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      yield* Effect.all(
        Array.from({ length: 600 }, (_, n) => backend.write(batchOf(n))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        calls.map(({ length }) => length),
        [256, 256, 88]
      )
    }).pipe(Effect.provide(layer.pipe(Policy.batch())))
  })

  it.effect("returns a failure or a defect to each caller, and goes on with the next write", () => {
    const { layer } = scripted((batch, call) => {
      if (call === 1) return Effect.fail(full)
      if (call === 2) return Effect.die("a bug")
      return Effect.succeed(created(batch))
    })
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const both = Effect.all(
        [1, 2].map((seq) => Effect.exit(backend.write(batchOf(seq)))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(yield* both, [Exit.fail(full), Exit.fail(full)])
      for (const exit of yield* both) {
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      }
      assert.deepStrictEqual(yield* both, [Exit.succeed([Backend.created]), Exit.succeed([Backend.created])])
    }).pipe(Effect.provide(layer.pipe(Policy.batch())))
  })

  it.effect("answers every caller where the backend throws", () => {
    let throws = true
    const layer = Backend.layerMemory().pipe(
      Policy.make((backend) =>
        Effect.succeed({
          ...backend,
          write: (batch) => {
            if (throws) throw new Error("not even an effect")
            return backend.write(batch)
          }
        })
      ),
      Policy.batch()
    )
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const fiber = yield* start(backend.write(batchOf(1)))
      yield* settle
      const outer = fiber.pollUnsafe()
      const exit = outer !== undefined && Exit.isSuccess(outer) ? outer.value : undefined
      assert.isTrue(exit !== undefined && Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      throws = false
      assert.deepStrictEqual(yield* backend.write(batchOf(2)), [Backend.created])
    }).pipe(Effect.provide(layer))
  })

  it.effect("returns Retry to the caller of an item without an outcome", () => {
    const { layer } = scripted(() => Effect.succeed([Backend.created, Backend.present]))
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const [first, second, third] = yield* Effect.all(
        [batchOf(1), batchOf(2, 3), batchOf(4)].map((batch) => backend.write(batch)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(first, [Backend.created])
      assert.deepStrictEqual([second?.[0], second?.[1]?._tag, third?.[0]?._tag], [Backend.present, "Retry", "Retry"])
    }).pipe(Effect.provide(layer.pipe(Policy.batch())))
  })

  it.effect("removes the waiting items of a caller that is interrupted, and lets a write in flight go on", () => {
    const { calls, layer, open } = gated()
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const flying = yield* Effect.forEach([1, 2], (seq) => start(backend.write(batchOf(seq))))
      yield* settle
      const waiting = yield* Effect.forEach([3, 4, 5], (seq) => start(backend.write(batchOf(seq))))
      yield* settle
      yield* Fiber.interrupt(flying[0]!)
      yield* Fiber.interrupt(waiting[1]!)
      yield* open(1)
      assert.deepStrictEqual(yield* Fiber.join(flying[1]!), Exit.succeed([Backend.created]))
      yield* settle
      assert.deepStrictEqual(calls.map(seqs), [
        [1, 2],
        [3, 5]
      ])
      yield* open(2)
      assert.deepStrictEqual(yield* Fiber.join(waiting[2]!), Exit.succeed([Backend.created]))
      // Also where nobody is left that waits.
      const last = yield* start(backend.write(batchOf(6)))
      yield* Fiber.interrupt(last)
      yield* settle
      assert.strictEqual(calls.length, 2)
      const after = yield* start(backend.write(batchOf(7)))
      yield* settle
      yield* open(3)
      assert.deepStrictEqual(yield* Fiber.join(after), Exit.succeed([Backend.created]))
    }).pipe(Effect.provide(layer.pipe(Policy.batch())))
  })

  it.effect("answers every caller with an unknown outcome when its scope closes", () => {
    const { calls, layer } = gated()
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(layer.pipe(Policy.batch()), scope)
      const backend = Context.get(context, Backend.Backend)
      const flying = yield* start(backend.write(batchOf(1)))
      yield* settle
      const waiting = yield* start(backend.write(batchOf(2)))
      yield* Scope.close(scope, Exit.void)
      const isUnknown = (exit: Exit.Exit<unknown, BackendError>) => {
        const failure = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : undefined
        assert.deepInclude(failure?._tag === "Some" ? failure.value.reason : {}, {
          _tag: "Transient",
          applied: "unknown"
        })
      }
      isUnknown(yield* Fiber.join(flying))
      isUnknown(yield* Fiber.join(waiting))
      isUnknown(yield* Effect.exit(backend.write(batchOf(3))))
      assert.deepStrictEqual(calls.map(seqs), [[1]])
    })
  })

  it.effect.prop(
    "never loses, repeats or mixes up items, in any order of writes, interruptions and failures",
    {
      steps: Arbitrary.array(
        Arbitrary.all({
          does: anyOf(["write", "write", "write", "interrupt", "open", "settle"] as const),
          size: integer(0, 4),
          series: integer(1, 6),
          pick: integer(0, 20)
        }),
        { maxLength: 40 }
      ),
      maximum: integer(1, 6)
    },
    ({ maximum, steps }) => {
      const { calls, layer, open } = gated((batch, call) =>
        call % 5 === 0
          ? Effect.fail(full)
          : Effect.succeed(batch.map(({ upTo }): Backend.Outcome => ({ _tag: "Dropped", reason: String(upTo) })))
      )
      return Effect.gen(function* () {
        const backend = yield* Backend.Backend
        const callers: Array<{
          readonly batch: ReadonlyArray<Write>
          readonly fiber: Fiber.Fiber<Exit.Exit<ReadonlyArray<Backend.Outcome>, BackendError>>
        }> = []
        let upTo = 0
        let opened = 0
        const openNext = Effect.suspend(() => (opened < calls.length ? open(++opened) : Effect.void))
        const interrupted = new Set<number>()
        for (const { does, pick, series, size } of steps) {
          if (does === "write") {
            const batch = Array.from({ length: size }, (_, index) =>
              write(((series + index) % 6) + 1, { upTo: ++upTo })
            )
            callers.push({ batch, fiber: yield* start(backend.write(batch)) })
          } else if (does === "interrupt" && callers.length > 0) {
            interrupted.add(pick % callers.length)
            yield* Fiber.interrupt(callers[pick % callers.length]!.fiber)
          } else if (does === "open") yield* openNext
          else yield* settle
        }
        for (let turn = 0; turn <= callers.length; turn++) {
          yield* settle
          yield* openNext
        }
        yield* settle
        for (const [index, { batch, fiber }] of callers.entries()) {
          const outer = fiber.pollUnsafe()
          assert.isDefined(outer, "every caller has an answer")
          if (interrupted.has(index)) continue
          const exit = outer !== undefined && Exit.isSuccess(outer) ? outer.value : undefined
          if (exit !== undefined && Exit.isSuccess(exit)) {
            assert.deepStrictEqual(
              exit.value,
              batch.map((one): Backend.Outcome => ({ _tag: "Dropped", reason: String(one.upTo) }))
            )
          } else assert.deepStrictEqual<unknown>(exit, Exit.fail(full))
        }
        const sent = calls.flat().map((one) => one.upTo)
        assert.strictEqual(new Set(sent).size, sent.length)
        for (const [index, { batch }] of callers.entries()) {
          if (!interrupted.has(index)) for (const one of batch) assert.include(sent, one.upTo)
        }
        for (const batch of calls) {
          assert.strictEqual(new Set(seqs(batch)).size, batch.length)
          const owners = callers.filter((caller) => caller.batch.some((one) => batch.includes(one))).length
          assert.isTrue(batch.length <= maximum || owners === 1)
        }
        for (let seq = 1; seq <= 6; seq++) {
          const states = calls
            .flat()
            .filter(({ id }) => id.seq === seq)
            .map((one) => one.upTo)
          assert.deepStrictEqual(
            states,
            states.toSorted((a, b) => a - b)
          )
        }
      }).pipe(Effect.provide(layer.pipe(Policy.batch({ maximum }))))
    },
    { arbitrary: { runs: 60, size: 40 } }
  )
})

// ---------------------------------------------------------------------------

describe("route", () => {
  const of = (seq: number, type: EventType, more?: Partial<Write>) => write(seq, { event: body({ type }), ...more })
  const warnings = (primary: Layer.Layer<Backend.Backend>, other: Layer.Layer<Backend.Backend>) =>
    primary.pipe(Policy.route({ when: { eventType: "Warning" }, to: other }))
  const inMemory = warnings(Backend.layerMemory(), Backend.layerMemory())

  const takes = (when: Policy.Condition, event: Partial<Write["event"]>) => {
    const other = scripted((batch) => Effect.succeed(created(batch)))
    return Effect.gen(function* () {
      yield* use((backend) => backend.write([write(1, { event: body(event) })])).pipe(
        Effect.provide(Backend.layerMemory().pipe(Policy.route({ when, to: other.layer })))
      )
      return other.calls.length === 1
    })
  }
  const pod = { involvedObject: { kind: "Pod", name: "web", namespace: "shop" } }
  const node = { involvedObject: { kind: "Node", name: "n1" } }
  it.effect.each<readonly [Policy.Condition, Partial<Write["event"]>, boolean]>([
    [{}, pod, true],
    [{ resourceType: "Pod" }, pod, true],
    [{ resourceType: "Node" }, pod, false],
    [{ resourceType: ["Node", "Pod"] }, pod, true],
    [{ resourceType: [] }, pod, false],
    [{ namespace: "shop" }, pod, true],
    [{ namespace: ["a", "b"] }, pod, false],
    [{ namespace: "shop" }, node, false],
    [{ namespace: ["shop"] }, node, false],
    [{ eventType: "Warning" }, { type: "Warning" }, true],
    [{ eventType: "Warning" }, { type: "Normal" }, false],
    [{ resourceType: "Pod", namespace: "shop", eventType: "Normal" }, pod, true],
    [{ resourceType: "Pod", namespace: "other" }, pod, false]
  ])("%j takes %j: %s", ([when, event, expected]) =>
    Effect.map(takes(when, event), (taken) => assert.strictEqual(taken, expected))
  )

  it.effect("writes to both backends concurrently, and returns outcomes in the order of the batch", () => {
    const primary = scripted((batch) =>
      Effect.succeed(batch.map(({ id }) => ({ _tag: "Dropped", reason: `p${id.seq}` })))
    )
    const other = scripted((batch) =>
      Effect.succeed(batch.map(({ id }) => ({ _tag: "Dropped", reason: `o${id.seq}` })))
    )
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const outcomes = yield* backend.write([
        of(1, "Warning"),
        of(2, "Normal"),
        of(3, "Normal"),
        of(4, "Warning"),
        of(5, "Normal")
      ])
      assert.deepStrictEqual(
        outcomes.map((outcome) => outcome._tag === "Dropped" && outcome.reason),
        ["o1", "p2", "p3", "o4", "p5"]
      )
      yield* backend.write([of(6, "Normal")])
      yield* backend.write([of(7, "Warning")])
      assert.deepStrictEqual(
        [primary.calls.map(seqs), other.calls.map(seqs)],
        [
          [[2, 3, 5], [6]],
          [[1, 4], [7]]
        ]
      )
    }).pipe(Effect.provide(warnings(primary.layer, other.layer)))
  })

  it.effect("keeps the outcomes of one backend where the other fails or gives none", () => {
    const primary = scripted((_, call) => (call === 1 ? Effect.fail(full) : Effect.succeed([])))
    const other = scripted((batch) => Effect.succeed(created(batch)))
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const batch = [of(1, "Normal"), of(2, "Warning"), of(3, "Normal")]
      assert.deepStrictEqual(yield* backend.write(batch), [retry(full), Backend.created, retry(full)])
      assert.deepStrictEqual(
        (yield* backend.write(batch)).map(({ _tag }) => _tag),
        ["Retry", "Settled", "Retry"]
      )
      assert.strictEqual(
        yield* Effect.flip(
          Effect.provide(
            use((one) => one.write([of(1, "Normal")])),
            warnings(scripted(() => Effect.fail(full)).layer, other.layer)
          )
        ),
        full
      )
    }).pipe(Effect.provide(warnings(primary.layer, other.layer)))
  })

  it.effect("builds each backend once, and two of the same layer", () => {
    const { builds, layer } = counted()
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      yield* backend.write([of(1, "Normal"), of(2, "Warning")])
      assert.strictEqual((yield* backend.query({})).totalCount, 2)
      assert.strictEqual(builds(), 2)
    }).pipe(Effect.provide(warnings(layer, layer).pipe(Policy.retry(), Policy.batch())))
  })

  it.effect("has the mode of the first backend, and a target of both", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      assert.strictEqual(backend.mode, "memory")
      assert.match((yield* backend.target).id, /^[0-9a-f]{32} and [0-9a-f]{32}$/)
    }).pipe(Effect.provide(inMemory))
  )

  // -------------------------------------------------------------------------

  const deep = Backend.layerMemory().pipe(
    Policy.route({
      when: { namespace: ["a", "b"] },
      to: Backend.layerMemory().pipe(Policy.route({ when: { namespace: "b" }, to: Backend.layerMemory() }))
    }),
    Policy.route({ when: { eventType: "Warning" }, to: Backend.layerMemory() })
  )
  const shapes = { one: inMemory, nested: deep } as const

  interface Step {
    readonly series: number
    readonly at: number
  }
  /** What a step writes: series differ in type and namespace, so that every store of every shape gets some. */
  const eventOf = (series: number) =>
    body({
      type: series % 2 === 0 ? "Normal" : "Warning",
      involvedObject: { kind: "Pod", name: `web-${series}`, namespace: ["a", "b", "c"][series % 3]! }
    })
  const script = Arbitrary.array(Arbitrary.all({ series: integer(1, 12), at: integer(0, 3) }), { maxLength: 24 })
  const filters: Arbitrary.Arbitrary<EventFilter> = anyOf<EventFilter>([
    {},
    {},
    { eventType: "Warning" },
    { namespace: "a" },
    { since: 1, until: 2 }
  ])

  const runner = (backend: Backend.Service) => {
    const state = new Map<number, Write>()
    let upTo = 100
    return {
      state,
      /** Times grow where `monotone`, else they are few and tie. */
      run: Effect.fnUntraced(function* ({ at, series }: Step, monotone: boolean) {
        const before = state.get(series)
        upTo++
        const last = monotone ? upTo : Math.max(at, before?.last ?? 0)
        const next = write(series, {
          upTo,
          count: (before?.count ?? 0) + 1,
          first: before?.first ?? last,
          last,
          event: eventOf(series)
        })
        state.set(series, next)
        yield* backend.write([next])
      })
    }
  }

  it.effect.prop(
    "returns in pages each series once, newest first, with the exact total, also among equal times",
    { steps: script, limit: integer(1, 6), filter: filters, shape: anyOf(["one", "nested"] as const) },
    ({ filter, limit, shape, steps }) =>
      Effect.gen(function* () {
        const backend = yield* Backend.Backend
        const { run, state } = runner(backend)
        for (const step of steps) yield* run(step, false)
        const expected = [...state.values()].filter(
          ({ event, last }) =>
            (filter.eventType === undefined || event.type === filter.eventType) &&
            (filter.namespace === undefined || event.involvedObject.namespace === filter.namespace) &&
            last >= (filter.since ?? 0) &&
            last <= (filter.until ?? 100)
        )
        const all = yield* backend.query(filter)
        assert.strictEqual(all.totalCount, expected.length)
        assert.isUndefined(all.next)
        const seen: Array<Write> = []
        let page: PageToken | undefined
        do {
          const answer = yield* backend.query({ ...filter, limit, ...(page === undefined ? undefined : { page }) })
          assert.strictEqual(answer.totalCount, expected.length)
          assert.isAtMost(answer.events.length, limit)
          if (answer.next !== undefined) assert.strictEqual(answer.events.length, limit)
          seen.push(...answer.events)
          page = answer.next
        } while (page !== undefined)
        const lasts = seen.map(({ last }) => last)
        assert.deepStrictEqual(
          lasts,
          lasts.toSorted((a, b) => b - a)
        )
        assert.deepStrictEqual(
          seqs(seen).toSorted((a, b) => a - b),
          seqs(expected).toSorted((a, b) => a - b)
        )
        const none = yield* backend.query({ ...filter, limit: 0 })
        assert.deepStrictEqual([none.events.length, none.totalCount, none.next], [0, expected.length, undefined])
      }).pipe(Effect.provide(shapes[shape])),
    { arbitrary: { runs: 120, size: 40 } }
  )

  it.effect("is not affected in its pages by newer events", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      yield* backend.write([of(1, "Normal"), of(2, "Warning"), of(3, "Normal"), of(4, "Warning")])
      const first = yield* backend.query({ limit: 2 })
      yield* backend.write([of(5, "Normal"), of(6, "Warning"), of(7, "Warning")])
      const second = yield* backend.query({ limit: 2, page: first.next! })
      assert.deepStrictEqual(
        [seqs(first.events), seqs(second.events)],
        [
          [4, 3],
          [2, 1]
        ]
      )
      assert.strictEqual(second.totalCount, 7)
      assert.isUndefined(second.next)
    }).pipe(Effect.provide(inMemory))
  )

  it.effect("keeps the position of one backend in a page that has only events of the other", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      yield* backend.write([of(1, "Warning"), ...[2, 3, 4, 5].map((seq) => of(seq, "Normal"))])
      const first = yield* backend.query({ limit: 2 })
      yield* backend.write([of(6, "Warning", { last: 60 })])
      const second = yield* backend.query({ limit: 2, page: first.next! })
      const third = yield* backend.query({ limit: 2, page: second.next! })
      assert.deepStrictEqual(
        [first, second, third].map(({ events }) => seqs(events)),
        [[5, 4], [3, 2], [1]]
      )
    }).pipe(Effect.provide(inMemory))
  )

  // -------------------------------------------------------------------------

  const fold = (items: ReadonlyArray<WatchItem>) => {
    const states = new Map<number, number>()
    for (const item of items) if (item._tag === "Event") states.set(item.event.id.seq, item.event.upTo)
    return states
  }
  const lives = (items: ReadonlyArray<WatchItem>) => items.filter(({ _tag }) => _tag === "Live").length

  it.effect.prop(
    "watches a snapshot, one Live, then each change; and resumes from the cursor of every item with exactly the rest",
    {
      before: script,
      after: script,
      filter: anyOf<EventFilter>([{}, {}, { eventType: "Warning" }, { namespace: "a" }]),
      from: anyOf<"beginning" | "now" | { readonly last: number }>([
        "beginning",
        "now",
        { last: 0 },
        { last: 1 },
        { last: 3 },
        { last: 5 },
        { last: 50 }
      ]),
      shape: anyOf(["one", "nested"] as const)
    },
    ({ after, before, filter, from, shape }) =>
      Effect.gen(function* () {
        const backend = yield* Backend.Backend
        const { run, state } = runner(backend)
        for (const step of before) yield* run(step, true)
        const matching = () =>
          [...state.values()]
            .filter(
              ({ event }) =>
                (filter.eventType === undefined || event.type === filter.eventType) &&
                (filter.namespace === undefined || event.involvedObject.namespace === filter.namespace)
            )
            .toSorted((a, b) => a.upTo - b.upTo)
        const inStore = matching()
        const { items, stop } = yield* collect(backend.watch(filter, from))

        // The snapshot: what was asked for, each series once, and one Live at its end.
        const begun = [...items]
        const wanted =
          from === "beginning" ? inStore : from === "now" ? [] : inStore.slice(Math.max(0, inStore.length - from.last))
        assert.deepStrictEqual(fold(begun), new Map(wanted.map(({ id, upTo }) => [id.seq, upTo])))
        assert.strictEqual(begun.length, wanted.length + 1)
        assert.strictEqual(begun.at(-1)?._tag, "Live")

        let changes = 0
        for (const step of after) {
          const known = items.length
          yield* run(step, true)
          yield* settle
          changes += items.length - known
        }
        yield* stop
        assert.strictEqual(items.length, begun.length + changes)
        assert.strictEqual(lives(items), 1)
        const changed = matching().filter(({ upTo }) => upTo > 100 + before.length)
        const liveOnly = fold(items.slice(begun.length))
        assert.deepStrictEqual(
          [...liveOnly.values()].toSorted((a, b) => a - b),
          changed.map(({ upTo }) => upTo)
        )

        for (const [index, item] of items.entries()) {
          const rest = fold(items.slice(index + 1))
          const resumed = yield* shown(backend.watch(filter, item.cursor))
          assert.strictEqual(lives(resumed), 1, `one Live after ${told(item)}`)
          assert.strictEqual(resumed.at(-1)?._tag, "Live")
          assert.deepStrictEqual(
            [...fold(resumed)].toSorted(([a], [b]) => a - b),
            [...rest].toSorted(([a], [b]) => a - b),
            `the rest after ${told(item)}`
          )
          assert.strictEqual(resumed.length, rest.size + 1)
        }
      }).pipe(Effect.provide(shapes[shape])),
    { arbitrary: { runs: 60, size: 30 } }
  )

  it.effect("resumes from the cursor of a query with the changes after it in both backends", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      yield* backend.write([of(1, "Normal"), of(2, "Warning")])
      const { cursor } = yield* backend.query({})
      yield* backend.write([of(3, "Warning"), of(4, "Normal")])
      const items = yield* shown(backend.watch({}, cursor))
      assert.sameMembers(items.map(told), ["3@3", "4@4", "Live"])
      assert.strictEqual(items.at(-1)?._tag, "Live")
    }).pipe(Effect.provide(inMemory))
  )

  it.effect("holds changes of one backend until the snapshot of the other is complete", () => {
    const gate = Deferred.makeUnsafe<void>()
    const slow = Backend.layerMemory().pipe(
      Policy.make((backend) =>
        Effect.succeed({
          ...backend,
          watch: (filter, from) =>
            Stream.concat(Stream.fromEffectDrain(Deferred.await(gate)), backend.watch(filter, from))
        })
      )
    )
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      yield* backend.write([of(1, "Normal"), of(2, "Warning"), of(3, "Normal")])
      const { items, stop } = yield* collect(backend.watch({}, { last: 2 }))
      yield* backend.write([of(4, "Normal")])
      yield* settle
      assert.deepStrictEqual(items, [])
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.deepStrictEqual(items.map(told), ["2@2", "3@3", "Live", "4@4"])
      assert.deepStrictEqual((yield* shown(backend.watch({}, items[2]!.cursor))).map(told), ["4@4", "Live"])
      assert.deepStrictEqual((yield* shown(backend.watch({}, items[3]!.cursor))).map(told), ["Live"])
      yield* stop
    }).pipe(Effect.provide(warnings(Backend.layerMemory(), slow)))
  })

  it.effect("passes on a gap of one backend, and resumes after it", () =>
    Effect.gen(function* () {
      const backend = yield* Backend.Backend
      yield* backend.write([of(1, "Normal"), of(2, "Warning")])
      const { cursor } = yield* backend.query({})
      yield* backend.write([3, 4, 5, 6].map((seq) => of(seq, "Warning")))
      const items = yield* shown(backend.watch({}, cursor))
      assert.deepStrictEqual(items.map(told), ["Gap", "5@5", "6@6", "Live"])
      assert.deepStrictEqual((yield* shown(backend.watch({}, items[0]!.cursor))).map(told), ["5@5", "6@6", "Live"])
    }).pipe(Effect.provide(warnings(Backend.layerMemory(), Backend.layerMemory({ capacity: 2 }))))
  )

  it.effect("fails where one backend does, for queries, targets and watches", () => {
    const broken = Backend.layerMemory().pipe(
      Policy.make((backend) =>
        Effect.succeed({ ...backend, query: () => Effect.fail(full), watch: () => Stream.fail(full) })
      )
    )
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      assert.strictEqual(yield* Effect.flip(backend.query({})), full)
      assert.strictEqual(yield* Effect.flip(Stream.runDrain(backend.watch({}, "beginning"))), full)
    }).pipe(Effect.provide(warnings(Backend.layerMemory(), broken)))
  })

  it.effect("fails with CursorMismatch for a cursor or page token of another store or filter, or an invalid one", () =>
    Effect.gen(function* () {
      const stores = yield* Layer.build(Layer.merge(inMemory, Layer.empty))
      const backend = Context.get(stores, Backend.Backend)
      const another = Context.get(yield* Layer.build(Layer.fresh(inMemory)), Backend.Backend)
      const single = Context.get(yield* Layer.build(Backend.layerMemory()), Backend.Backend)
      for (const one of [backend, another, single]) yield* one.write([of(1, "Normal"), of(2, "Warning")])
      const scope = { mode: "memory and memory", target: yield* backend.target, filter: {} }
      const madeUp = [
        "",
        "x",
        "[]",
        "[1,2]",
        "[null]",
        "{}",
        `["a","b"]`,
        "[null,null,null]",
        `{"until":"x","seen":[[],[]]}`,
        `{"until":1,"seen":[[1],[]]}`,
        `{"until":1,"seen":[]}`,
        "null"
      ]
      const cursors = [
        (yield* another.query({})).cursor,
        (yield* single.query({})).cursor,
        (yield* backend.query({ namespace: "a" })).cursor,
        "garbage" as Cursor,
        (yield* backend.query({ limit: 1 })).next as unknown as Cursor,
        ...madeUp.map(Position.cursorEncoder(scope))
      ]
      for (const cursor of cursors) {
        const error = yield* Effect.flip(Stream.runDrain(Stream.take(backend.watch({}, cursor), 1)))
        assert.strictEqual(error.reason._tag, "CursorMismatch")
      }
      const pages = [
        (yield* another.query({ limit: 1 })).next!,
        (yield* single.query({ limit: 1 })).next!,
        (yield* backend.query({ namespace: "default", limit: 1 })).next!,
        "garbage" as PageToken,
        (yield* backend.query({})).cursor as unknown as PageToken,
        ...madeUp.map(Position.pageTokenEncoder(scope))
      ]
      for (const page of pages) {
        assert.strictEqual((yield* Effect.flip(backend.query({ page, limit: 1 }))).reason._tag, "CursorMismatch")
      }
    })
  )
})

describe("writes with an unknown outcome", () => {
  it.effect("are retried safely through several policies: what was applied is counted once", () => {
    let lost = 3
    const losing = Backend.layerMemory().pipe(
      Policy.make((backend) =>
        Effect.succeed({
          ...backend,
          write: (batch: ReadonlyArray<Write>) =>
            Effect.flatMap(backend.write(batch), (outcomes) =>
              lost-- > 0
                ? Effect.fail(new BackendError({ reason: new Transient({ applied: "unknown", detail: "lost" }) }))
                : Effect.succeed(outcomes)
            )
        })
      ),
      Policy.retry(),
      Policy.batch()
    )
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const outcomes = yield* inTime(backend.write([write(1), write(2)]))
      assert.deepStrictEqual(outcomes, [Backend.present, Backend.present])
      const page = yield* backend.query({})
      assert.strictEqual(page.totalCount, 2)
      assert.deepStrictEqual(
        page.events.map(({ count, id }) => [id.origin, count]),
        [
          [origin, 1],
          [origin, 1]
        ]
      )
    }).pipe(Effect.provide(losing))
  })
})
