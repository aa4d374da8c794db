import type * as Journal from "@tidings/core/Journal"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Process, Simulation } from "../../Simulation.ts"
import { Durable } from "./durable.ts"
import type { Options, SimulatedJournal } from "./model.ts"
import { Opening } from "./opening.ts"

const serviceOf = (durable: Durable, opening: Opening): Journal.Journal["Service"] => ({
  origin: opening.origin,
  durability: durable.durability,
  head: Effect.sync(() => durable.occurrences.length),
  append: (batch) => opening.append(batch),
  read: (sink, after, max) => opening.read(sink, after, max),
  checkpoint: (sink, made) => opening.checkpoint(sink, made),
  restore: (sink) => opening.restore(sink),
  park: (sink, write, occurrences, reason) => opening.park(sink, write, occurrences, reason),
  parked: (sink) => Effect.sync(() => durable.parkedOf(sink)),
  unpark: (sink, series) => opening.unpark(sink, series),
  requests: () => Effect.succeed([])
})

/** @internal */
export const make = (
  simulation: Simulation,
  options: Options
): {
  readonly handle: Omit<SimulatedJournal, "layer">
  readonly open: (process: Process) => Effect.Effect<Journal.Journal["Service"], Journal.JournalError, Scope.Scope>
} => {
  const durable = new Durable(simulation, options)
  return {
    handle: {
      setFaults: (given) => {
        durable.faults = given
      },
      backup: () => durable.backup(),
      putBack: (backup) => durable.putBack(backup),
      head: () => durable.occurrences.length,
      occurrences: () => durable.occurrences,
      ids: () => durable.origins.map((origin, index) => ({ origin, seq: index + 1 })),
      taken: (sink) => durable.takenOf(sink),
      checkpoint: (sink) => durable.checkpointOf(sink),
      parked: (sink) => durable.parkedOf(sink)
    },
    open: (process) =>
      Effect.andThen(
        durable.lock(process),
        // With another number of operations every seed would stand for another run.
        Effect.suspend(() => Effect.succeed(serviceOf(durable, new Opening(durable, process))))
      )
  }
}
