import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as SimulatedBackend from "@tidings/testing/SimulatedBackend"
import * as SimulatedDisk from "@tidings/testing/SimulatedDisk"
import * as Simulation from "@tidings/testing/Simulation"
import { Cause, Deferred, Duration, Effect, Exit, Layer, Option } from "effect"
import { Disk } from "../../packages/backend-fs/src/internal/disk.ts"
import * as fileJournal from "../../packages/backend-fs/src/internal/journal/fileJournal.ts"

const DIRECTORY = "/data/journal"

/** `npm run test:slow` goes through more seeds. */
const isSlow = process.env["TIDINGS_TESTS"] === "slow"

const templates = Layer.succeed(Templates.Templates, Effect.runSync(Templates.make))

const check = (holds: boolean, what: () => string): void => {
  if (!holds) throw new Error(what())
}

const keyOf = (draft: Pick<Recorder.EventDraft, "involvedObject" | "reason">): string =>
  `${draft.involvedObject.name} ${draft.reason}`

/** A bug between the journal and its disk, to see that the campaign finds it. */
type Around = (disk: SimulatedDisk.Disk) => SimulatedDisk.Disk

/**
 * A recorder on the file journal, on a disk that tears and forgets, in a machine that loses power: what was accepted is
 * delivered, counted once.
 */
const wholeStack =
  (around: Around = (disk) => disk) =>
  (simulation: Simulation.Simulation): Effect.Effect<void> =>
    Effect.gen(function* () {
      const { dice } = simulation
      const durability = dice.pick(["disk", "disk", "process"] as const)
      const faulty = dice.chance(0.6)
      const machine = SimulatedDisk.make(simulation, {
        faults: faulty
          ? {
              shortWrite: dice.next() * 0.1,
              sync: dice.next() * 0.05,
              names: dice.next() * 0.03,
              death: dice.next() * 0.03
            }
          : {}
      })
      machine.makeDirectory("/data")
      const server = SimulatedBackend.make(simulation, {
        faults: faulty ? { resetAfter: 0.1, resetBefore: 0.1, hang: 0.03, fail: 0.1, missing: 0.1 } : {}
      })
      const host = simulation.process("host")
      const reasons = dice.integer(1, 3)
      const plan = Array.from({ length: dice.integer(5, 30) }, (_, index) => ({
        draft: {
          involvedObject: { kind: "Order", name: `order-${dice.integer(1, 4)}`, namespace: "shop" },
          reason: `Reason${dice.integer(1, reasons)}`,
          message: "it happened",
          data: { stepCount: index + 1 }
        },
        pause: dice.next() * dice.pick([1, 50, 1_000])
      }))

      let recorder: Recorder.Recorder["Service"] | undefined
      let next = 0
      /** By seq, what its caller was told to be accepted. */
      const acknowledged = new Map<number, string>()
      let closing = Deferred.makeUnsafe<void>()

      const journals = Layer.effect(
        Journal.Journal,
        Effect.suspend(() =>
          fileJournal
            .make({
              directory: DIRECTORY,
              durability,
              quota: 1_000_000,
              onFull: "fail",
              segmentSize: dice.pick([1_000, 4_000, 100_000]),
              reserve: 4_096
            })
            .pipe(Effect.provideService(Disk, around(machine.diskOf(host))))
        )
      )
      const sink = Recorder.sink({
        name: "first",
        backend: Backend.Backend,
        correlation: dice.pick([
          "off",
          { capacity: 4_096, aggregateAt: 0, aggregateWindow: 0, burst: 2, refill: "2 seconds" }
        ]),
        capacity: dice.pick([2, 1_024])
      })
      const program: Effect.Effect<void> = Effect.suspend(() =>
        Effect.gen(function* () {
          const made = yield* Recorder.Recorder
          recorder = made
          const work = Effect.gen(function* () {
            while (next < plan.length) {
              const { draft, pause } = plan[next++]!
              yield* Effect.sleep(Duration.millis(pause))
              yield* Effect.forkChild(
                Effect.ignore(
                  Effect.map(made.record(draft), (recorded) => {
                    if (recorded._tag === "Accepted") acknowledged.set(recorded.id.seq, keyOf(draft))
                  })
                )
              )
            }
            return yield* Effect.never
          })
          yield* Effect.raceFirst(work, Deferred.await(closing))
        }).pipe(
          Effect.provide(
            Recorder.layer({ component: "test", sinks: [sink] }).pipe(
              Layer.provide([journals, templates, server.layer])
            )
          ),
          Effect.catchTag("JournalError", (error) => {
            simulation.count("startFailed")
            simulation.trace(error.message)
            return Effect.andThen(Effect.sleep("1 second"), program)
          }),
          Effect.tapCause((cause) => Effect.sync(() => simulation.fail(Cause.squash(cause)))),
          Effect.orDie
        )
      )
      const begin = Effect.suspend(() => {
        recorder = undefined
        closing = Deferred.makeUnsafe()
        return host.start(program)
      })
      let life = yield* begin

      // ---------------------------------------------------------------------
      // what goes wrong
      // ---------------------------------------------------------------------

      for (let round = dice.integer(0, 5); round > 0; round--) {
        yield* Effect.sleep(Duration.millis(dice.next() * dice.pick([20, 500, 10_000])))
        switch (dice.integer(0, 4)) {
          case 0:
          case 1:
            yield* host.kill
            break
          case 2:
            if (durability === "disk") machine.cutPower()
            break
          case 3:
            yield* Deferred.succeed(closing, undefined)
            yield* life.await
            break
          case 4:
            machine.setCapacity(machine.used() + dice.integer(0, 2_000))
            yield* Effect.sleep(Duration.millis(dice.next() * 5_000))
            machine.setCapacity(Number.POSITIVE_INFINITY)
        }
        if (!host.alive) life = yield* begin
      }
      while (next < plan.length) {
        if (!host.alive) life = yield* begin
        yield* Effect.sleep("1 second")
      }

      // ---------------------------------------------------------------------
      // everything is well again
      // ---------------------------------------------------------------------

      machine.setFaults({})
      server.heal()
      yield* Effect.sleep("1 second")
      // The last life may have died of a fault; nothing it left may be in the way of the next.
      if (durability === "disk" && dice.chance(0.3)) machine.cutPower()
      if (!host.alive) life = yield* begin
      for (let waited = 0; recorder === undefined; waited++) {
        check(waited < 60 && host.alive, () => "the recorder does not start")
        yield* Effect.sleep("1 second")
      }
      const last = recorder
      const fresh = yield* Effect.orDie(
        last.record({ involvedObject: { kind: "Order", name: "fresh" }, reason: "Fresh", message: "fresh" })
      )
      for (let waited = 0; ; waited += 5) {
        const { sinks } = yield* last.status
        const parked = yield* Effect.orDie(last.parked)
        if (sinks["first"]!.pending === 0 && parked.length === 0) break
        yield* Effect.orDie(
          last.retryParked(
            "first",
            parked.map(({ write }) => write.id)
          )
        )
        check(waited < 1_200, () => `still pending after ${waited} s: ${JSON.stringify(sinks)}`)
        yield* Effect.sleep("5 seconds")
      }

      const counted = new Map<string, number>()
      let total = 0
      for (const { write } of server.series()) {
        const key = keyOf(write.event)
        counted.set(key, (counted.get(key) ?? 0) + write.count)
        total += write.count
      }
      const seqs = fresh._tag === "Accepted" ? fresh.id.seq : 0
      // What a life did not live to acknowledge is there or not, where power may be lost; all else is there, once.
      const unclear = durability === "disk" ? next - acknowledged.size : 0
      check(
        total <= seqs && total >= seqs - unclear,
        () => `${seqs} events were accepted in all, ${unclear} of them perhaps; ${total} are counted`
      )
      const expected = new Map<string, number>()
      for (const key of acknowledged.values()) expected.set(key, (expected.get(key) ?? 0) + 1)
      for (const [key, n] of expected) {
        check(
          (counted.get(key) ?? 0) >= n,
          () => `of ${key}, ${n} were acknowledged and ${counted.get(key) ?? 0} are counted`
        )
      }
      simulation.count("acknowledged", acknowledged.size)
      yield* Deferred.succeed(closing, undefined)
      const ended = yield* life.await
      check(Option.isSome(ended) && Exit.isSuccess(ended.value), () => `the host does not end well: ${String(ended)}`)
    })

const OPTIONS = {
  name: "the whole stack",
  seeds: isSlow ? 400 : 200,
  maximumSteps: 20_000,
  command: "npx vitest run --project @tidings/tests test/DiskDelivery.test.ts -t 'delivers what it accepted'",
  sometimes: [
    "disk.torn",
    "disk.hole",
    "disk.forgotten",
    "disk.namesLost",
    "disk.shortWrite",
    "disk.syncFailed",
    "disk.namesFailed",
    "disk.full",
    "disk.died",
    "startFailed"
  ]
}

describe("a recorder on a file journal on a disk with torn and lost writes", () => {
  it.effect(
    "delivers what it accepted, counted once",
    () =>
      Effect.gen(function* () {
        const campaign = yield* Simulation.campaign(OPTIONS, wholeStack())
        if (campaign.seeds > 1) assert.isAbove(campaign.counts["acknowledged"]!, 5 * campaign.seeds)
      }),
    300_000
  )
})

describe("planted bugs", () => {
  const bugs: Readonly<Record<string, Around>> = {
    "an event is acknowledged before it is synced": (disk) => ({ ...disk, syncLater: (_, done) => done(undefined) }),
    "names are not synced": (disk) => {
      const directories = new Set<number>()
      const synced = (file: number): boolean => !directories.has(file)
      return {
        ...disk,
        openDirectory: (path) => {
          const opened = disk.openDirectory(path)
          directories.add(opened)
          return opened
        },
        sync: (file) => (synced(file) ? disk.sync(file) : undefined),
        syncLater: (file, done) => (synced(file) ? disk.syncLater(file, done) : done(undefined))
      }
    },
    "a write that takes less is taken for whole": (disk) => ({
      ...disk,
      append: (file, from, offset, length) => {
        disk.append(file, from, offset, length)
        return length
      }
    })
  }
  for (const [name, around] of Object.entries(bugs)) {
    it.effect(
      name,
      () =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(Simulation.campaign({ ...OPTIONS, sometimes: [] }, wholeStack(around)))
          assert.strictEqual(error.reason._tag, "SeedFailed")
        }),
      300_000
    )
  }
})
