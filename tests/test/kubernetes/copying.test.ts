import { assert, describe, it } from "@effect/vitest"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import type * as Backend from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import type { Cursor, WatchItem } from "@tidings/core/EventQuery"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { bump, write } from "../../../packages/backend-k8s/test/writes.ts"
import { makeServer } from "./InterceptedServer.ts"

const make = Effect.fnUntraced(function* () {
  const cluster = yield* makeServer
  const backend = yield* KubernetesBackend.make({ pageSize: 2 }).pipe(Effect.provide(cluster.layer))
  return { cluster, backend }
})

const settle = Effect.repeat(Effect.yieldNow, { times: 60 })

/** Lets everything run that can, and lets so many milliseconds pass. */
const pass = (millis = 0) => Effect.andThen(Effect.andThen(settle, TestClock.adjust(millis)), settle)

interface Copying {
  readonly items: Array<WatchItem>
  readonly fiber: Fiber.Fiber<void, BackendError>
}

const copy = (backend: Backend.Service, from: "beginning" | Cursor) =>
  Effect.gen(function* () {
    const items: Array<WatchItem> = []
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(backend.copy!({}, from), (item) => Effect.sync(() => void items.push(item))),
      { startImmediately: true }
    )
    yield* pass()
    return { items, fiber }
  })

/** What was yielded, without what only says that nothing is missing. */
const show = ({ items }: Copying) =>
  items.flatMap((item) =>
    item._tag === "Event" ? [`${item.event.id.seq}:${item.event.count}`] : item._tag === "Gap" ? ["Gap"] : []
  )

const put = (backend: Backend.Service, ...writes: ReadonlyArray<Parameters<Backend.Service["write"]>[0][number]>) =>
  Effect.andThen(
    Effect.forEach(writes, (one) => backend.write([one])),
    pass()
  )

describe("a copy of all events", () => {
  it.effect("comes page by page, and until the last page the cursor leads back to the beginning", () =>
    Effect.gen(function* () {
      const { backend } = yield* make()
      yield* put(backend, write(1), write(2), write(3), bump(write(1)))
      const copying = yield* copy(backend, "beginning")
      assert.sameMembers(show(copying), ["1:2", "2:1", "3:1"])
      assert.deepStrictEqual(
        copying.items.map(({ _tag }) => _tag),
        ["Event", "Event", "Event", "Live"]
      )
      assert.strictEqual(new Set(copying.items.slice(0, 3).map(({ cursor }) => cursor)).size, 1)
      const again = yield* copy(backend, copying.items[1]!.cursor)
      assert.sameMembers(show(again), ["1:2", "2:1", "3:1"])
      const after = yield* copy(backend, copying.items[3]!.cursor)
      yield* put(backend, write(4), bump(write(2)))
      assert.deepStrictEqual(show(after), ["4:1", "2:2"])
      assert.deepStrictEqual(show(copying).slice(3), ["4:1", "2:2"])
    })
  )

  it.effect("says at least once a minute that nothing is missing, and a quiet hour is no gap for one who resumes", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* put(backend, write(1))
      const copying = yield* copy(backend, "beginning")
      let lives = 0
      for (let round = 0; round < 60; round++) {
        // Everything but events is busy, so the position of the last event gets old.
        cluster.put(`noise-${round}`, { reason: "Noise" })
        cluster.remove(`noise-${round}`)
        yield* pass(60_000)
        const now = copying.items.filter(({ _tag }) => _tag === "Live").length
        assert.isAbove(now, lives, `round ${round}`)
        lives = now
      }
      yield* Fiber.interrupt(copying.fiber)
      yield* put(backend, write(2), bump(write(2)))
      const again = yield* copy(backend, copying.items.at(-1)!.cursor)
      assert.deepStrictEqual(show(again), ["2:1", "2:2"])
      assert.notInclude(show(copying), "Gap")
    })
  )

  it.effect("tells history that expired as a gap from when it was last whole, then what is left", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* put(backend, write(1))
      const copying = yield* copy(backend, "beginning")
      yield* pass(90_000)
      cluster.cut()
      yield* put(backend, write(2), bump(write(2)), write(3))
      cluster.compact()
      yield* pass(5_000)
      const gap = copying.items.findIndex(({ _tag }) => _tag === "Gap")
      assert.isAbove(gap, 0)
      const told = copying.items[gap]!
      assert.isTrue(told._tag === "Gap" && told.from !== undefined && told.from >= 40_000_000 && told.to! >= told.from)
      // Until what is left is listed the cursor leads to before the gap, so that a kill does not hide it.
      assert.strictEqual(told.cursor, copying.items[gap + 1]!.cursor)
      assert.sameMembers(show(copying).slice(-2), ["2:2", "3:1"])
      const resumed = yield* copy(backend, told.cursor)
      assert.deepStrictEqual(show(resumed)[0], "Gap")
    })
  )

  it.effect("ends where the cluster was put back to an earlier state", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* put(backend, write(1))
      const backup = yield* cluster.double.backup
      const copying = yield* copy(backend, "beginning")
      yield* put(backend, write(2), write(3))
      yield* cluster.double.startApiServer({ etcd: backup, rolesAfter: 0 })
      yield* pass(60_000)
      const exit = yield* Fiber.await(copying.fiber).pipe(Effect.timeout("1 second"), Effect.exit)
      assert.isTrue(Exit.isSuccess(exit) && Exit.isFailure(exit.value))
      const error = yield* Effect.flip(Fiber.join(copying.fiber))
      assert.strictEqual(error.reason._tag, "CursorMismatch")
    })
  )
})
