import { assert, describe, it } from "@effect/vitest"
import * as EventId from "@tidings/core/EventId"
import type { JournalError } from "@tidings/core/Journal"
import * as SimulatedDisk from "@tidings/testing/SimulatedDisk"
import * as Simulation from "@tidings/testing/Simulation"
import { Cause, Effect, Exit, Option } from "effect"
import type { Disk } from "../src/internal/disk.ts"
import * as openJournal from "./openJournal.ts"

const PLACE = "/data/journal"
const AWAY = "/data/away"

/** What an owner was told, by its origin. */
interface Told {
  /** By identity, its message. */
  readonly accepted: Map<string, string>
  /** What was accepted before its files were deleted. */
  readonly deleted: Set<string>
}

/**
 * Hosts that append, read and make checkpoints, one after the other and beside each other, while their directory, their lock
 * and their files are deleted, moved and put back by others.
 */
const scenario = (durability: "process" | "disk", planted?: Partial<Disk>) => (simulation: Simulation.Simulation) =>
  Effect.gen(function* () {
    const machine = SimulatedDisk.make(simulation)
    machine.makeDirectory("/data")
    const dice = simulation.dice.fork("vanishing")
    const told = new Map<string, Told>()
    const options = { directory: PLACE, durability, segmentSize: 400, quota: 10_000_000, reserve: 64 }
    const has = (path: string) => machine.paths().includes(path)

    /** What others do comes in the middle of what a journal does, too. */
    const disturbed = (disk: Disk): Disk => {
      const perhaps = () => {
        if (dice.chance(0.01)) disturb()
      }
      return {
        ...disk,
        ...planted,
        append: (file, from, offset, length) => {
          const written = disk.append(file, from, offset, length)
          perhaps()
          return written
        },
        create: (path, permissions) => {
          perhaps()
          return disk.create(path, permissions)
        },
        rename: (from, to) => {
          perhaps()
          disk.rename(from, to)
        },
        unlink: (path) => {
          perhaps()
          disk.unlink(path)
        }
      }
    }

    const life = (host: Simulation.Process) =>
      Effect.scoped(
        Effect.gen(function* () {
          const journal = yield* openJournal.open(options, disturbed(machine.diskOf(host)))
          const mine: Told = { accepted: new Map(), deleted: new Set() }
          told.set(journal.origin, mine)
          yield* journal.restore("a")
          let position = 0
          for (let step = 0; ; step++) {
            yield* Effect.sleep(dice.integer(1, 10))
            const expectLost = (error: JournalError) => {
              const { reason } = error
              // Between the look and the call the path may lead nowhere.
              simulation.count(reason._tag === "JournalLost" ? `lost.${reason.applied}` : reason._tag)
            }
            const how = dice.integer(0, 3)
            if (how <= 1) {
              const batch = openJournal.occurrences(10 * step, 10 * step + dice.integer(0, 3))
              const exit = yield* Effect.result(journal.append(batch))
              if (exit._tag === "Success") {
                exit.success.forEach((id, index) => mine.accepted.set(EventId.format(id), batch[index]!.message))
                simulation.count("accepted")
              } else expectLost(exit.failure)
            } else if (how === 2) {
              const page = yield* Effect.result(journal.read("a", position, 7))
              if (page._tag === "Success") position = page.success.reached
              else expectLost(page.failure)
            } else {
              const made = yield* Effect.result(journal.checkpoint("a", { upTo: 0, state: { step } }))
              if (made._tag === "Failure") expectLost(made.failure)
            }
          }
        })
      )

    const isIn = (directory: string, origin: string) =>
      machine.paths().some((path) => path.startsWith(`${directory}/entries-`) && path.includes(origin))

    /** Deletes what is at a path; what was accepted into it is forgiven. */
    const forgive = (directory: string) => {
      for (const [origin, { accepted, deleted }] of told) {
        if (!isIn(directory, origin)) continue
        for (const id of accepted.keys()) deleted.add(id)
      }
    }

    const disturb = (): void => {
      const pick = dice.integer(0, 5)
      if (pick === 0 && has(PLACE)) {
        forgive(PLACE)
        machine.removeTree(PLACE)
      } else if (pick <= 2 && has(PLACE) && !has(AWAY)) machine.renameTree(PLACE, AWAY)
      else if (pick <= 4 && has(AWAY) && !has(PLACE)) machine.renameTree(AWAY, PLACE)
      else if (pick === 5 && has(`${PLACE}/lock`)) machine.removeTree(`${PLACE}/lock`)
    }

    const hosts = [simulation.process("first"), simulation.process("second")]
    for (let round = 0; round < 6; round++) {
      for (const host of hosts) {
        if (!host.alive && dice.chance(0.7)) {
          yield* host.start(
            Effect.catch(life(host), (error) =>
              Effect.sync(() => {
                // What vanishes while a journal opens fails it in one way or another.
                simulation.count(error.reason._tag === "JournalLocked" ? "locked" : "notOpened")
              })
            )
          )
        }
      }
      for (let moment = 0; moment < 4; moment++) {
        yield* Effect.sleep(dice.integer(1, 40))
        disturb()
      }
      for (const host of hosts) if (host.alive && dice.chance(0.3)) yield* host.kill
    }
    for (const host of hosts) if (host.alive) yield* host.kill

    // What is left, as the next owners find it.
    const found = new Map<string, { readonly directory: string; readonly message: string }>()
    for (const directory of [PLACE, AWAY]) {
      if (!has(`${directory}/.meta.json`)) continue
      const reader = simulation.process(`reader of ${directory}`)
      const fiber = yield* reader.start(
        Effect.suspend(() =>
          openJournal.run({ ...options, directory }, (journal) => openJournal.readAll(journal), machine.diskOf(reader))
        )
      )
      const exit = yield* fiber.await
      if (Option.isNone(exit)) throw new Error("the reader died")
      const page = yield* exit.value
      if (page.lost.some(({ reason }) => reason === "damaged")) throw new Error(`${directory} is damaged`)
      for (const { id, occurrence } of page.entries) {
        const text = EventId.format(id)
        if (found.has(text)) throw new Error(`${text} is in ${found.get(text)!.directory} and in ${directory}`)
        found.set(text, { directory, message: occurrence.message })
      }
    }
    const all = new Set<string>()
    for (const [origin, { accepted, deleted }] of told) {
      for (const [id, message] of accepted) {
        if (all.has(id)) throw new Error(`${id} was given twice`)
        all.add(id)
        const there = found.get(id)
        if (there === undefined && !deleted.has(id))
          throw new Error(`${id} of ${origin} was accepted, and is not there`)
        if (there !== undefined && there.message !== message)
          throw new Error(`${id} is another event than was accepted`)
      }
    }
  })

describe("journals whose files are deleted or moved", () => {
  for (const durability of ["process", "disk"] as const) {
    it(`on a simulated disk with durability ${durability}, what was accepted is in one journal, once`, () => {
      const counts: Record<string, number> = {}
      for (let seed = 1; seed <= 150; seed++) {
        const run = Simulation.run({ seed }, scenario(durability))
        if (Exit.isFailure(run.exit)) {
          throw new Error([`seed ${seed}`, Cause.pretty(run.exit.cause), ...run.trace.slice(-40)].join("\n"))
        }
        for (const [what, n] of Object.entries(run.counts)) counts[what] = (counts[what] ?? 0) + n
      }
      for (const what of ["accepted", "lost.no", "lost.unknown", "locked", "disk.treeMoved", "disk.treeRemoved"]) {
        assert.isAbove(counts[what] ?? 0, 10, what)
      }
    })
  }

  it("the simulation finds a journal that does not check its lock", () => {
    let seed = 1
    while (seed <= 150 && Exit.isSuccess(Simulation.run({ seed }, scenario("process", { leadsTo: () => true })).exit))
      seed++
    assert.isAtMost(seed, 150)
  })
})
