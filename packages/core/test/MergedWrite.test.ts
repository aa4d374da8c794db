import * as Backend from "@tidings/core/Backend"
import { BackendError, Full, Transient } from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as Policy from "@tidings/core/Policy"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Transform from "@tidings/core/Transform"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { type Answer, created, retry, scripted, unknown } from "./support/scripted.ts"
import { seqs, settle, write } from "./support/writes.ts"

type Join = Backend.MergedWrite["join"]
type Resume = Parameters<Join>[1]

/** A store that merges writes by itself: what it is brought waits until the test answers it. */
class Store {
  readonly waiting: Array<{ readonly batch: ReadonlyArray<Write>; readonly resume: Resume }> = []
  readonly left: Array<ReadonlyArray<Write>> = []
  onJoin: (batch: ReadonlyArray<Write>, resume: Resume) => boolean = () => false

  readonly layer: Layer.Layer<Backend.Backend> = Layer.effect(
    Backend.Backend,
    Effect.map(Effect.provide(Backend.Backend, Backend.layerMemory()), (memory) => ({
      ...memory,
      write: (batch: ReadonlyArray<Write>) => new StoreWrite(this, batch)
    }))
  )

  recorder(options?: Recorder.DirectOptions) {
    return Recorder.layerDirect(options).pipe(Layer.provide(Layer.merge(Templates.layer, this.layer)))
  }

  /** Answers all that wait. */
  answer(answerOf: (batch: ReadonlyArray<Write>) => ReturnType<Answer>): void {
    for (const { batch, resume } of this.waiting.splice(0)) resume(answerOf(batch))
  }
}

class StoreWrite extends Backend.MergedWrite {
  private readonly store: Store
  private readonly batch: ReadonlyArray<Write>

  constructor(store: Store, batch: ReadonlyArray<Write>) {
    super()
    this.store = store
    this.batch = batch
  }

  override join(_caller: Fiber.Fiber<unknown, unknown>, resume: Resume) {
    const { batch, store } = this
    if (store.onJoin(batch, resume)) return undefined
    const one = { batch, resume }
    store.waiting.push(one)
    return () => {
      store.left.push(batch)
      store.waiting.splice(store.waiting.indexOf(one), 1)
    }
  }
}

const draft = (name: string): Recorder.EventDraft => ({
  involvedObject: { kind: "Pod", name },
  reason: "Up",
  message: "m"
})
const full = new BackendError({ reason: new Full({ detail: "the disk is full" }) })
const stored = (batch: ReadonlyArray<Write>) => Effect.succeed(created(batch))

describe("a merged write", () => {
  it.effect("is an effect for those who do not know it, and is taken back where its fiber is interrupted", () => {
    const store = new Store()
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const fibers = yield* Effect.forEach([1, 2], (seq) =>
        Effect.forkChild(backend.write([write(seq)]), { startImmediately: true })
      )
      yield* Fiber.interrupt(fibers[0]!)
      assert.deepStrictEqual(store.left.map(seqs), [[1]])
      store.answer(stored)
      assert.deepStrictEqual(yield* Fiber.join(fibers[1]!), [Backend.created])
    }).pipe(Effect.provide(store.layer))
  })

  it.effect("is waited for by each caller of a recorder, and answered with what became of it", () => {
    const store = new Store()
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const fibers = yield* Effect.forEach(["a", "b", "c", "d", "e"], (name) =>
        Effect.forkChild(Effect.exit(recorder.record(draft(name))), { startImmediately: true })
      )
      const answers: ReadonlyArray<ReturnType<Answer>> = [
        Effect.succeed([Backend.created]),
        Effect.fail(full),
        Effect.succeed([{ _tag: "Rejected", reason: "never" }]),
        // What the caller has to run first.
        Effect.andThen(Effect.sleep("1 second"), Effect.succeed([Backend.updated])),
        Effect.die("a bug")
      ]
      for (const answer of answers) store.waiting.shift()!.resume(answer)
      yield* TestClock.adjust("1 second")
      store.onJoin = (batch, resume) => {
        resume(stored(batch))
        return true
      }
      // What died may have been applied, and is repeated.
      yield* Effect.andThen(TestClock.adjust("1 minute"), settle)
      const exits = yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(
        exits.map((exit) => (Exit.isSuccess(exit) ? exit.value._tag : "failed")),
        ["Accepted", "failed", "failed", "Accepted", "Accepted"]
      )
      const { accepted, refused, sinks } = yield* recorder.status
      assert.deepStrictEqual([accepted, refused, sinks["default"]!.settled], [3, { failed: 1, rejected: 1 }, 3])
      assert.deepInclude(yield* recorder.flush("1 second"), { complete: true })
    }).pipe(Effect.provide(store.recorder()))
  })

  it.effect("is taken back for a caller that is interrupted, also where it has to be run", () => {
    const store = new Store()
    let interrupted = 0
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const fibers = yield* Effect.forEach(["a", "b"], (name) =>
        Effect.forkChild(recorder.record(draft(name)), { startImmediately: true })
      )
      store.waiting.pop()!.resume(Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++)))
      yield* Effect.forEach(fibers, Fiber.interrupt)
      assert.deepStrictEqual(store.left.map(seqs), [[1]])
      assert.strictEqual(interrupted, 1)
      assert.deepInclude(yield* recorder.status, { accepted: 0, refused: { interrupted: 2 } })
      assert.deepInclude(yield* recorder.flush("1 second"), { complete: true, waiting: 0 })
    }).pipe(Effect.provide(store.recorder()))
  })

  it.effect("is taken back after the timeout, and repeated, because it may have been stored", () => {
    const store = new Store()
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const fiber = yield* Effect.forkChild(recorder.record(draft("a")), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(store.left.map(seqs), [[1]])
      yield* TestClock.adjust("1 second")
      assert.lengthOf(store.waiting, 1)
      store.answer(stored)
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Accepted")
    }).pipe(Effect.provide(store.recorder({ writeTimeout: "5 seconds" })))
  })

  it.effect("is counted where an occurrence waits for its turn, and refused when the recorder closes", () => {
    const store = new Store()
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const fibers = yield* Effect.forEach([1, 2, 3], () =>
        Effect.forkChild(recorder.record(draft("a")), { startImmediately: true })
      )
      assert.lengthOf(store.waiting, 1)
      yield* Fiber.interrupt(fibers[1]!)
      store.answer(stored)
      assert.deepStrictEqual(
        store.waiting.map(({ batch }) => batch[0]!.count),
        [2]
      )
      store.answer(stored)
      const ids = yield* Effect.forEach([fibers[0]!, fibers[2]!], Fiber.join)
      assert.deepStrictEqual(ids[0], ids[1])
      assert.deepInclude(yield* recorder.status, { accepted: 2, refused: { interrupted: 1 } })
    }).pipe(Effect.provide(store.recorder({ correlation: {} })))
  })

  it.effect("passes Policy.batch as it is", () => {
    const store = new Store()
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const writing = backend.write([write(1)])
      assert.isTrue(writing instanceof Backend.MergedWrite)
      const fiber = yield* Effect.forkChild(writing, { startImmediately: true })
      store.answer(stored)
      assert.deepStrictEqual(yield* Fiber.join(fiber), [Backend.created])
      assert.deepStrictEqual(yield* backend.write([]), [])
    }).pipe(Effect.provide(Policy.batch()(store.layer)))
  })

  it.effect("is not passed on by Policy.batch with a maximum, which is kept", () => {
    const store = new Store()
    const calls: Array<ReadonlyArray<number>> = []
    store.onJoin = (batch, resume) => {
      calls.push(seqs(batch))
      resume(stored(batch))
      return true
    }
    return Effect.gen(function* () {
      const backend = yield* Backend.Backend
      const outcomes = yield* Effect.all(
        [1, 2, 3, 4, 5].map((seq) => backend.write([write(seq)])),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        outcomes,
        [1, 2, 3, 4, 5].map(() => [Backend.created])
      )
      assert.deepStrictEqual(calls, [[1, 2], [3, 4], [5]])
    }).pipe(Effect.provide(Policy.batch({ maximum: 2 })(store.layer)))
  })
})

describe("a caller that is interrupted by what the recorder calls", () => {
  const inTurn = (before: () => void, answer: Answer, options?: Recorder.DirectOptions) => {
    const { layer } = scripted((batch, call) => {
      before()
      return answer(batch, call)
    })
    return Recorder.layerDirect(options).pipe(Layer.provide(Layer.merge(Templates.layer, layer)))
  }

  /** Records an event whose fiber is interrupted while the recorder calls something, and answers the status afterwards. */
  const interruptedBy = (answer: Answer, where: "transform" | "write") => {
    let caller: Fiber.Fiber<unknown, unknown> | undefined
    const interrupt = () => caller?.interruptUnsafe()
    const layer = inTurn(
      where === "write" ? interrupt : () => {},
      answer,
      where === "transform"
        ? {
            transforms: [
              Transform.make("interrupt", (one) => {
                interrupt()
                return one
              })
            ]
          }
        : undefined
    )
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const recording = Effect.withFiber((fiber) => {
        caller = fiber
        return recorder.record(draft("a"))
      })
      const fiber = yield* Effect.forkChild(recording, { startImmediately: true })
      const exit = yield* Fiber.await(fiber)
      caller = undefined
      assert.isTrue(Exit.hasInterrupts(exit))
      const { complete, waiting } = yield* recorder.flush("1 second")
      const { accepted, refused } = yield* recorder.status
      return { accepted, refused, complete, waiting }
    }).pipe(Effect.provide(layer))
  }

  for (const where of ["transform", "write"] as const) {
    it.effect(`is counted as interrupted while its write waits (${where})`, () =>
      Effect.map(
        interruptedBy(() => Effect.never, where),
        (status) =>
          assert.deepStrictEqual(status, { accepted: 0, refused: { interrupted: 1 }, complete: true, waiting: 0 })
      )
    )

    it.effect(`is counted as interrupted before its write is repeated (${where})`, () =>
      Effect.map(
        interruptedBy(() => Effect.fail(unknown), where),
        (status) =>
          assert.deepStrictEqual(status, { accepted: 0, refused: { interrupted: 1 }, complete: true, waiting: 0 })
      )
    )

    it.effect(`is counted as what became of its write (${where})`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* interruptedBy((batch) => stored(batch), where), {
          accepted: 1,
          refused: {},
          complete: true,
          waiting: 0
        })
        const failed = new BackendError({ reason: new Transient({ applied: "no", detail: "refused" }) })
        assert.deepStrictEqual(yield* interruptedBy(() => Effect.succeed([retry(failed)]), where), {
          accepted: 0,
          refused: { failed: 1 },
          complete: true,
          waiting: 0
        })
      })
    )
  }
})
