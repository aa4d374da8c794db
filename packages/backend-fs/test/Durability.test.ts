import { FileBackend } from "@tidings/backend-fs"
import { Backend } from "@tidings/core/Backend"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"
import * as path from "node:path"
import { Disk, node } from "../src/internal/disk.ts"
import { eventually, line, open, run, segmentsOf } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { first, seqsOf } from "./writes.ts"

/** A disk whose syncs end when the test says so. */
const held = () => {
  const syncs: Array<(cause?: unknown) => void> = []
  const disk: Disk = {
    ...node,
    syncLater: (file, done) => {
      syncs.push((cause) => (cause === undefined ? node.syncLater(file, done) : done(cause)))
    }
  }
  /** Lets syncs end until a fiber has. */
  const until = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      syncs.shift()?.()
      return fiber.pollUnsafe() === undefined
        ? Effect.andThen(Effect.sleep("1 millis"), until(fiber))
        : Fiber.join(fiber)
    })
  return { disk, syncs, until }
}

const fault = (code: string): Error => Object.assign(new Error(`${code}: on purpose`), { code })

describe("durability disk", () => {
  it.live("a write is answered when its bytes and the name of its segment are synced, many by one sync", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { disk, syncs } = held()
      const { backend } = yield* open({ directory, durability: "disk" }, disk)
      const one = yield* Effect.forkChild(backend.write([first(1)]), { startImmediately: true })
      yield* eventually(() => syncs.length === 1)
      // What comes meanwhile waits for the next one, all of it for one.
      const others = yield* Effect.forEach([2, 3, 4, 5], (seq) =>
        Effect.forkChild(backend.write([first(seq)]), { startImmediately: true })
      )
      const all = [1, 2, 3, 4, 5].map(line).join("")
      yield* eventually(() => readFileSync(path.join(directory, "events.log"), "utf8") === all)
      assert.strictEqual(syncs.length, 1)
      assert.isUndefined(one.pollUnsafe())
      // The file, and then the directory.
      syncs.shift()!()
      yield* eventually(() => syncs.length === 1)
      assert.isUndefined(one.pollUnsafe())
      syncs.shift()!()
      yield* Fiber.join(one)
      yield* eventually(() => syncs.length === 1)
      for (const fiber of others) assert.isUndefined(fiber.pollUnsafe())
      syncs.shift()!()
      yield* Fiber.joinAll(others)
      assert.strictEqual(syncs.length, 0)
    })
  )

  it.live("what was written before the log was opened is synced before a write of it is answered", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend }) => backend.write([first(1)]))
      const { disk, syncs, until } = held()
      const { backend } = yield* open({ directory, durability: "disk" }, disk)
      const fiber = yield* Effect.forkChild(backend.write([first(1)]), { startImmediately: true })
      yield* eventually(() => syncs.length === 1)
      assert.deepStrictEqual(yield* until(fiber), [{ _tag: "Settled", how: "present" }])
    })
  )

  it.live("after a failed sync the bytes are appended to the next segment, and the file is not synced again", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const synced: Array<string> = []
      let failing = false
      const disk: Disk = {
        ...node,
        syncLater: (file, done) => {
          synced.push(node.statusOf(file).identity)
          if (!failing) return node.syncLater(file, done)
          failing = false
          setImmediate(() => done(fault("EIO")))
        }
      }
      const { backend } = yield* open({ directory, durability: "disk" }, disk)
      yield* backend.write([first(1)])
      const before = synced[0]
      synced.length = 0
      failing = true
      assert.deepStrictEqual(yield* backend.write([first(2), first(3)]), [
        { _tag: "Settled", how: "created" },
        { _tag: "Settled", how: "created" }
      ])
      const [older, newer] = segmentsOf(directory)
      assert.strictEqual(readFileSync(path.join(directory, older!), "utf8"), line(1) + line(2) + line(3))
      assert.strictEqual(readFileSync(path.join(directory, newer!), "utf8"), line(2) + line(3))
      assert.strictEqual(synced.filter((file) => file === before).length, 1)
      yield* backend.write([first(4)])
      assert.strictEqual(readFileSync(path.join(directory, newer!), "utf8"), line(2) + line(3) + line(4))
      assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [4, 3, 2, 1])
    })
  )

  it.live(
    "while no sync succeeds, no write is answered as stored, and what was written is durable with the next that does",
    () =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        let failing = true
        const disk: Disk = {
          ...node,
          syncLater: (file, done) => (failing ? setImmediate(() => done(fault("EIO"))) : node.syncLater(file, done))
        }
        const { backend } = yield* open({ directory, durability: "disk" }, disk)
        for (let times = 0; times < 3; times++) {
          const error = yield* Effect.flip(backend.write([first(1)]))
          assert.deepInclude(error.reason, { _tag: "Transient", applied: "unknown" })
        }
        failing = false
        assert.deepStrictEqual(yield* backend.write([first(1)]), [{ _tag: "Settled", how: "present" }])
        assert.include(readFileSync(path.join(directory, segmentsOf(directory).at(-1)!), "utf8"), line(1))
        assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [1])
      })
  )

  it.live("a file system that cannot sync is accepted", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const disk: Disk = { ...node, syncLater: (_, done) => void setImmediate(() => done(fault("EINVAL"))) }
      const { backend } = yield* open({ directory, durability: "disk" }, disk)
      assert.deepStrictEqual(yield* backend.write([first(1)]), [{ _tag: "Settled", how: "created" }])
    })
  )
})

describe("durability interval", () => {
  const counted = (fails: () => boolean) => {
    const syncs: Array<number> = []
    const disk: Disk = {
      ...node,
      syncLater: (file, done) => {
        syncs.push(file)
        done(fails() ? fault("EIO") : undefined)
      }
    }
    return { disk, syncs }
  }

  it.effect("a write is answered at once, and synced when the interval is over, and when the layer is closed", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { disk, syncs } = counted(() => false)
      const options = { directory, durability: "interval", syncInterval: "2 seconds" } as const
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { backend } = yield* open(options, disk)
          yield* backend.write([first(1)])
          yield* backend.write([first(2)])
          yield* TestClock.adjust("1999 millis")
          assert.strictEqual(syncs.length, 0)
          yield* TestClock.adjust("1 millis")
          // The file and its directory.
          assert.strictEqual(syncs.length, 2)
          yield* TestClock.adjust("1 hour")
          assert.strictEqual(syncs.length, 2)
          yield* backend.write([first(3)])
          assert.strictEqual(syncs.length, 2)
        })
      )
      assert.strictEqual(syncs.length, 3)
    })
  )

  it.effect("so much that its sync would take long waits for it", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { disk, syncs } = counted(() => false)
      const { backend } = yield* open({ directory, durability: "interval" }, disk)
      for (let seq = 1; seq <= 10; seq++) yield* backend.write([first(seq, { data: { error: "x".repeat(900_000) } })])
      assert.isAbove(syncs.length, 0)
    })
  )

  it.effect("a sync that fails is logged as an error, and what it was for is appended anew until one succeeds", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      let failing = true
      const { disk } = counted(() => failing)
      const errors: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (logLevel === "Error") errors.push(String(message))
      })
      yield* Effect.gen(function* () {
        const backend = yield* Backend
        yield* backend.write([first(1)])
        yield* TestClock.adjust("1 second")
        assert.strictEqual(errors.length, 1)
        assert.include(errors[0], `events in ${directory} may not survive a power failure`)
        failing = false
        yield* TestClock.adjust("1 second")
        assert.strictEqual(errors.length, 1)
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(readFileSync(path.join(directory, segmentsOf(directory).at(-1)!), "utf8"), line(1))
      }).pipe(
        Effect.provide(Layer.fresh(FileBackend.layer({ directory, durability: "interval", console: false }))),
        Effect.provideService(Disk, disk),
        Effect.provide(Logger.layer([logger]))
      )
    })
  )
})

describe("the default durability", () => {
  it.effect("the default durability is TIDINGS_DURABILITY, else process", () =>
    Effect.gen(function* () {
      const parse = (environment: Record<string, string>) =>
        FileBackend.durability.parse(ConfigProvider.fromUnknown(environment))
      assert.strictEqual(yield* parse({}), "process")
      assert.strictEqual(yield* parse({ TIDINGS_DURABILITY: "disk" }), "disk")
      const directory = yield* TestDirectory.make
      const error = yield* Effect.flip(
        Effect.scoped(open({ directory })).pipe(
          Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ TIDINGS_DURABILITY: "disc" })))
        )
      )
      assert.include(
        error.message,
        `the durability of the event log is not known: TIDINGS_DURABILITY is none of "process" | "interval" | "disk"`
      )
    })
  )
})
