import { assert, describe, it } from "@effect/vitest"
import type { Outcome } from "@tidings/core/Backend"
import { Effect, Exit, Fiber, References, Scope } from "effect"
import type { Disk } from "../src/internal/disk.ts"
import { node } from "../src/internal/disk.ts"
import { bytesOf, counting, line, noted, open } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { again, first, seqsOf } from "./writes.ts"

const hows = (outcomes: ReadonlyArray<Outcome>) => outcomes.map((one) => ("how" in one ? one.how : one._tag))
const silent = Effect.provideService(References.MinimumLogLevel, "Error")
const concurrently = { concurrency: "unbounded" } as const
const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** A log into which one event is written already, so that its segment is open. */
const opened = (disk: Disk = node) =>
  Effect.gen(function* () {
    const directory = yield* TestDirectory.make
    const log = yield* open({ directory }, disk)
    yield* log.backend.write([first(1)])
    yield* noted(directory)
    return { directory, ...log }
  })

describe("what several callers write in one turn", () => {
  it.live("leaves in one write(2), in order, and each caller has the answer to its own", () =>
    Effect.gen(function* () {
      const log = counting()
      const { backend, directory } = yield* opened(log.disk)
      const before = log.calls("append")
      const answers = yield* Effect.all(
        [
          ...Array.from({ length: 62 }, (_, index) => backend.write([first(index + 2)])),
          backend.write([first(1), again(first(64), 70), first(65)]),
          backend.write([{ ...first(66), count: 0 }])
        ],
        concurrently
      )
      assert.strictEqual(log.calls("append") - before, 1)
      assert.deepStrictEqual(
        answers.slice(0, 62).map((one) => hows(one)),
        Array.from({ length: 62 }, () => ["created"])
      )
      assert.deepStrictEqual(hows(answers[62]!), ["present", "created", "created"])
      assert.deepStrictEqual(hows(answers[63]!), ["Rejected"])
      const lines = bytesOf(directory).toString().split("\n").slice(0, 63)
      assert.deepStrictEqual(
        lines.map((one) => `${one}\n`),
        Array.from({ length: 63 }, (_, index) => line(index + 1))
      )
    })
  )

  it.live("has each series once, also where several callers bring it", () =>
    Effect.gen(function* () {
      const { backend, directory } = yield* opened()
      const answers = yield* Effect.all(
        [
          backend.write([first(5)]),
          backend.write([first(5)]),
          backend.write([again(first(5), 9)]),
          backend.write([first(3)]),
          backend.write([first(2, {}, "f".repeat(32))]),
          backend.write([first(2, {}, "f".repeat(32)), again(first(5), 9)])
        ],
        concurrently
      )
      assert.deepStrictEqual(answers.map(hows), [
        ["created"],
        ["present"],
        ["updated"],
        ["created"],
        ["created"],
        ["present", "present"]
      ])
      assert.strictEqual(bytesOf(directory).toString().trimEnd().split("\n").length, 5)
    })
  )

  it.live("is not written for a caller that was interrupted before", () =>
    Effect.gen(function* () {
      const { backend } = yield* opened()
      const fibers = yield* Effect.forEach([2, 3, 4], (seq) =>
        Effect.forkChild(backend.write([first(seq)]), { startImmediately: true })
      )
      yield* Fiber.interrupt(fibers[1]!)
      assert.deepStrictEqual(hows(yield* Fiber.join(fibers[0]!)), ["created"])
      assert.deepStrictEqual(hows(yield* Fiber.join(fibers[2]!)), ["created"])
      assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [4, 2, 1])
      // A caller that is interrupted by the answer to another has been written, and a repetition finds it.
      const late: Array<Fiber.Fiber<unknown, unknown>> = []
      const early = Effect.tap(backend.write([first(5)]), () => Fiber.interrupt(late[0]!))
      const firstOfTurn = yield* Effect.forkChild(early, { startImmediately: true })
      late.push(yield* Effect.forkChild(backend.write([first(6)]), { startImmediately: true }))
      yield* Fiber.join(firstOfTurn)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(late[0]!)))
      assert.deepStrictEqual(hows(yield* backend.write([first(6)])), ["present"])
    })
  )

  it.live("is answered when the log is closed meanwhile", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const scope = yield* Scope.make()
      const { backend } = yield* Scope.provide(open({ directory }), scope)
      yield* backend.write([first(1)])
      const fibers = yield* Effect.forEach([2, 3, 4], (seq) =>
        Effect.forkChild(Effect.flip(backend.write([first(seq)])), { startImmediately: true })
      )
      yield* Scope.close(scope, Exit.void)
      for (const fiber of fibers) assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "Unavailable")
      assert.strictEqual((yield* Effect.flip(backend.write([first(9)]))).reason._tag, "Unavailable")
    }).pipe(silent)
  )

  it.live("fails only for those whose lines a full disk has not taken", () =>
    Effect.gen(function* () {
      const length = line(2).length
      for (const room of [0, 1, length - 1, length, length + 1, 2 * length, 3 * length - 1]) {
        let left = Number.POSITIVE_INFINITY
        const disk: Disk = {
          ...node,
          append: (file, from, offset, wanted) => {
            const fits = Math.min(wanted, left)
            if (fits === 0) throw Object.assign(new Error("ENOSPC: on purpose"), { code: "ENOSPC" })
            const written = node.append(file, from, offset, fits)
            left -= written
            return written
          }
        }
        const { backend } = yield* opened(disk)
        left = room
        const exits = yield* Effect.all(
          [2, 3, 4].map((seq) => Effect.result(backend.write([first(seq)]))),
          concurrently
        )
        left = Number.POSITIVE_INFINITY
        const stored = Math.floor(room / length)
        for (const [index, exit] of exits.entries()) {
          if (index < stored) assert.deepStrictEqual(exit._tag === "Success" && hows(exit.success), ["created"])
          else assert.strictEqual(exit._tag === "Failure" && exit.failure.reason._tag, "Full", `${room} ${index}`)
        }
        for (const seq of [2, 3, 4]) yield* backend.write([first(seq)])
        assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [4, 3, 2, 1], String(room))
      }
    }).pipe(silent)
  )

  it.live("lets timers and other fibers run, however many callers write without a pause", () =>
    Effect.gen(function* () {
      const { backend } = yield* opened()
      let seq = 1
      let turns = 0
      let isOver = false
      const watcher = yield* Effect.forkChild(
        Effect.gen(function* () {
          while (!isOver) {
            yield* turn
            turns++
          }
        })
      )
      const write = Effect.suspend(() => backend.write([first(++seq)]))
      const caller = Effect.gen(function* () {
        while (seq < 3_200) yield* write
      })
      yield* Effect.all(
        Array.from({ length: 64 }, () => caller),
        concurrently
      )
      isOver = true
      yield* Fiber.join(watcher)
      // 50 turns of 64 callers; the first ones may be fewer.
      assert.isAbove(turns, 40)
    })
  )
})

describe("a caller that is alone", () => {
  it.live("is mostly answered at once", () =>
    Effect.gen(function* () {
      const { backend } = yield* opened()
      let turns = 0
      const count = setInterval(() => turns++, 0)
      const answers = []
      for (let seq = 2; seq < 400; seq++) {
        const fiber = yield* Effect.forkChild(backend.write([first(seq)]), { startImmediately: true })
        answers.push(fiber.pollUnsafe() !== undefined)
        yield* Fiber.join(fiber)
      }
      clearInterval(count)
      assert.isAbove(answers.filter((one) => one).length, 350)
    })
  )

  it.live("may write without any turn, with Effect.runSync", () =>
    Effect.gen(function* () {
      const { backend } = yield* opened()
      for (let seq = 2; seq < 100; seq++) {
        assert.deepStrictEqual(hows(Effect.runSync(backend.write([first(seq)]))), ["created"])
      }
    })
  )
})
