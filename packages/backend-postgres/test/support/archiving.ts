/**
 * Runs of an archive with several replicas that are killed, over a store that forgets and a database that loses connections.
 */
import * as Archive from "@tidings/backend-postgres/Archive"
import { ArchiveStore } from "@tidings/backend-postgres/ArchiveStore"
import { EventReader } from "@tidings/core/EventReader"
import type { Simulation } from "@tidings/testing/Simulation"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Bug, SimulatedDatabase } from "./simulatedDatabase.ts"
import { SimulatedStore } from "./simulatedStore.ts"

/** What must happen in a campaign. */
export const SOMETIMES = [
  "cluster",
  "log",
  "killed",
  "renamed",
  "forgotten",
  "restored",
  "store.broken",
  "store.cut",
  "store.silent",
  "store.gap",
  "database.away",
  "database.lostBefore",
  "database.lostAfter",
  "database.present",
  "database.late",
  "database.adopted",
  "database.epoch",
  "database.preceded",
  "gap.told",
  "gap.none"
]

const describe = (message: string, at: number): string => `${message}, at ${at}`

/** Whether what is in the database is what there was. */
const verify = (simulation: Simulation, store: SimulatedStore, database: SimulatedDatabase): void => {
  const covered = database.covered()
  if (covered === undefined) throw new Error("nothing is covered")
  const stored = new Map<string, number>()
  for (const { event } of database.states) {
    const { message } = event.event
    stored.set(message, (stored.get(message) ?? 0) + 1)
  }
  for (const [message, times] of stored) {
    if (times > 1) throw new Error(`${message} is stored ${times} times`)
  }
  const inGap = (at: number): boolean => covered.holes.some(({ from, to }) => from <= at && at <= to)
  for (const { event, last } of store.states) {
    if (stored.has(event.message) || last < covered.since || inGap(last)) continue
    throw new Error(
      `${describe(event.message, last)}, is neither stored nor in a gap; covered since ${covered.since}, gaps ${JSON.stringify(covered.holes)}`
    )
  }
  for (const hole of covered.holes) {
    if (!database.gaps.some(({ from, to }) => from <= hole.from && hole.to <= to)) {
      throw new Error(`a gap was not told: ${JSON.stringify(hole)}`)
    }
  }
  if (covered.holes.length > 0 && store.gaps === 0 && simulation.counts["restored"] === undefined) {
    throw new Error(`a gap was told where there is none: ${JSON.stringify(covered.holes)}`)
  }
  const positions = [...database.states, ...database.gaps].map(({ position }) => position).sort((a, b) => a - b)
  if (positions.some((position, index) => position !== index + 1)) throw new Error("positions are not dense")
  simulation.count(covered.holes.length > 0 ? "gap.told" : "gap.none")
}

export const archiving =
  (bug?: Bug) =>
  (simulation: Simulation): Effect.Effect<void> =>
    Effect.gen(function* () {
      const { dice } = simulation
      const kind = dice.chance(0.7) ? "cluster" : "log"
      simulation.count(kind)
      const store = new SimulatedStore(simulation, kind)
      const database = new SimulatedDatabase(simulation, bug)
      const replicas = Array.from({ length: dice.integer(1, 3) }, (_, index) => ({
        process: simulation.process(`replica-${index + 1}`),
        name: `replica-${index + 1}`
      }))
      const program = (name: string) =>
        Archive.run({
          replica: name,
          batchSize: dice.integer(1, 8),
          sources: [{ name: "context", reader: Layer.succeed(EventReader, store.reader) }]
        }).pipe(Effect.provideService(ArchiveStore, database.store))
      const start = (replica: (typeof replicas)[number]) => replica.process.start(program(replica.name))

      const severity = dice.pick([0, 0.01, 0.05])
      store.faults.broken = severity
      store.faults.silent = dice.chance(0.3) ? 0.002 : 0
      database.faults.before = dice.pick([0, 0.02, 0.1])
      database.faults.after = dice.pick([0, 0.02, 0.1])
      const forgets = dice.chance(0.6)
      const isRestored = kind === "cluster" && dice.chance(0.3)

      for (let n = 0; n < 5; n++) store.create()
      for (const replica of replicas) yield* start(replica)
      let restore: (() => void) | undefined
      let names = replicas.length
      for (let round = 0; round < 60; round++) {
        yield* Effect.sleep(dice.pick([0, 10, 300, 3_000, 20_000]))
        switch (dice.integer(0, 9)) {
          case 0:
          case 1:
            store.create()
            break
          case 2:
          case 3:
          case 4:
            for (let n = dice.integer(1, 3); n > 0; n--) store.bump()
            break
          case 5:
            store.remove()
            break
          case 6: {
            const replica = dice.pick(replicas)
            if (replica.process.alive) {
              simulation.count("killed")
              yield* replica.process.kill
            } else {
              if (dice.chance(0.3)) {
                simulation.count("renamed")
                replica.name = `replica-${++names}`
              }
              yield* start(replica)
            }
            break
          }
          case 7:
            if (!forgets) break
            simulation.count("forgotten")
            if (dice.chance(0.4)) store.comeAndGo()
            store.forget()
            break
          case 8:
            database.isAway = !database.isAway && dice.chance(0.3)
            break
          case 9:
            if (!isRestored) break
            if (restore === undefined) {
              restore = store.backup()
              // The first that come after the restore have numbers that there were before.
              for (let n = 0; n < 4; n++) store.bump()
              store.passVersions(1_000)
              store.bump()
              // A position of before the backup says nothing about a restore.
            } else if (simulation.counts["restored"] === undefined && database.reached() > 1_000) {
              simulation.count("restored")
              restore()
              for (let n = 0; n < 4; n++) store.bump()
            }
        }
      }
      store.faults.broken = 0
      store.faults.silent = 0
      database.faults.before = 0
      database.faults.after = 0
      database.isAway = false
      for (const replica of replicas) if (!replica.process.alive) yield* start(replica)
      yield* Effect.sleep("5 minutes")
      store.create()
      yield* Effect.sleep("5 minutes")
      yield* Effect.sync(() => verify(simulation, store, database))
    })
