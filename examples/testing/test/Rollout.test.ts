import * as Backend from "@tidings/core/Backend"
import * as Policy from "@tidings/core/Policy"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import { FaultyBackend } from "@tidings/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { ReplicaError, rollOut, RolloutEvents } from "../Rollout.ts"

/** Everything the host needs, in memory; `backend` is visible to the test, which asks it what was recorded. */
const over = <E, R>(backend: Layer.Layer<Backend.Backend | R, E>) =>
  RolloutEvents.layer.pipe(
    Layer.provideMerge(Recorder.layerDirect({ component: "rollout" })),
    Layer.provideMerge(Layer.merge(Templates.layer, backend))
  )

const recorded = Effect.map(
  Backend.Backend.use((backend) => backend.query({})),
  ({ events }) => events.toReversed()
)

/** Lets the program run to its end, however long that takes on the clock. */
const untilDone = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(program)
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("1 second")
    return yield* Fiber.join(fiber)
  })

const failing = (tries: number) => {
  let failures = 0
  return Effect.suspend(() =>
    failures++ < tries ? Effect.fail(new ReplicaError({ message: "no route to host" })) : Effect.void
  )
}

describe("rollOut", () => {
  it.effect("waits between tries, and records how long it took", () =>
    Effect.gen(function* () {
      const update = failing(2)
      assert.isTrue(yield* untilDone(rollOut({ name: "web", version: "v2", replicas: 1, update: () => update })))
      const [started, completed] = yield* recorded
      assert.strictEqual(started?.event.message, "Version v2 is being rolled out")
      assert.strictEqual(completed?.event.message, "Version v2 is rolled out in 20s")
      assert.strictEqual(completed!.last - started!.last, 20_000_000)
    }).pipe(Effect.provide(over(Backend.layerMemory())))
  )

  it.effect("stops at the first replica that fails, with a warning that says why", () =>
    Effect.gen(function* () {
      const update = (replica: number) => (replica === 2 ? failing(3) : Effect.void)
      assert.isFalse(yield* untilDone(rollOut({ name: "web", version: "v2", replicas: 3, update })))
      const warnings = (yield* recorded).filter(({ event }) => event.type === "Warning")
      assert.deepStrictEqual(
        warnings.map(({ event }) => event.message),
        ["Replica 2 did not take version v2: no route to host", "The rollout of version v2 stopped"]
      )
    }).pipe(Effect.provide(over(Backend.layerMemory())))
  )

  it.effect.prop(
    "tells the end of every rollout exactly once, whichever replicas fail",
    {
      failures: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 }))).check(
        Schema.isMaxLength(6)
      )
    },
    ({ failures }) =>
      Effect.gen(function* () {
        const updates = failures.map(failing)
        const replicas = updates.length
        const done = yield* untilDone(
          rollOut({ name: "web", version: "v2", replicas, update: (replica) => updates[replica - 1]! })
        )
        const reasons = (yield* recorded).map(({ event }) => event.reason)
        const ends = reasons.filter((reason) => reason === "RolloutCompleted" || reason === "RolloutStopped")
        assert.deepStrictEqual(ends, [done ? "RolloutCompleted" : "RolloutStopped"])
        assert.strictEqual(
          done,
          failures.every((tries) => tries < 3)
        )
      }).pipe(Effect.provide(over(Backend.layerMemory()))),
    { arbitrary: { runs: 50 } }
  )

  it.effect("loses no event when the store answers badly", () =>
    Effect.gen(function* () {
      assert.isTrue(yield* untilDone(rollOut({ name: "web", version: "v2", replicas: 1, update: () => Effect.void })))
      assert.deepStrictEqual(
        (yield* recorded).map(({ count, event }) => [event.reason, count]),
        [
          ["RolloutStarted", 1],
          ["RolloutCompleted", 1]
        ]
      )
    }).pipe(
      Effect.provide(
        over(
          // The answer to the first write gets lost, the second write does not get through at first.
          Backend.layerMemory().pipe(
            FaultyBackend.layer({
              script: { write: [FaultyBackend.failAfter(), FaultyBackend.pass, FaultyBackend.failBefore()] }
            }),
            Policy.retry({ times: 2 })
          )
        )
      )
    )
  )
})
