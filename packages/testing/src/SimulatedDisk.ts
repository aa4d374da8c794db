/**
 * A disk for simulated worlds that tears what was not synced, forgets what it was not told to keep, fills up and fails.
 *
 * A kill of the process leaves all that it wrote, as a system does; a loss of power leaves what was synced, and of the rest
 * a part that the seed chooses: nothing, all of it, a beginning, or sectors of 64, 512 or 4096 bytes with holes between them.
 * Names of files are kept apart from their contents, as on a real disk: a new name, a rename and an unlink survive when their
 * directory was synced, and nothing survives in a directory that does not. A sync that fails loses what it should have kept;
 * each descriptor of the file that is open then reports it once, and a later sync reports success. A sync that is not waited
 * for covers what came before it, and perhaps what came since.
 *
 * Faults come by chance (`Faults`), or exactly where they are wanted (`Plan`): the second is for tests that stop a program at
 * each of its calls, one after the other.
 *
 * What happened is counted by the simulation: what a loss of power did (`disk.namesLost`, `disk.unreachable`, and by file
 * `disk.forgotten`, `disk.torn`, `disk.hole`, `disk.whole`), what failed, by kind and by call (`disk.syncFailed`,
 * `disk.syncLater.EIO`), and `disk.shortWrite`, `disk.full`, `disk.synced`, `disk.died` and `disk.rotten`.
 *
 * **Example** (What a loss of power leaves)
 *
 * ```ts
 * import * as SimulatedDisk from "@tidings/testing/SimulatedDisk"
 * import * as Simulation from "@tidings/testing/Simulation"
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import assert from "node:assert/strict"
 *
 * const run = Simulation.run({ seed: 1 }, (simulation) =>
 *   Effect.gen(function* () {
 *     const machine = SimulatedDisk.make(simulation)
 *     machine.makeDirectory("/data")
 *     const host = simulation.process("host")
 *     yield* host.start(
 *       Effect.sync(() => {
 *         const disk = machine.diskOf(host)
 *         const file = disk.create("/data/log", 0o600)
 *         disk.append(file, Buffer.from("kept\n"), 0, 5)
 *         disk.sync(file)
 *         disk.sync(disk.openDirectory("/data"))
 *         disk.append(file, Buffer.from("perhaps\n"), 0, 8)
 *       }).pipe(Effect.andThen(Effect.never))
 *     )
 *     yield* Effect.sleep("1 second")
 *     machine.cutPower()
 *     return Buffer.from(machine.contentOf("/data/log")).toString().slice(0, 5)
 *   })
 * )
 * assert.deepEqual(run.exit, Exit.succeed("kept\n"))
 * ```
 *
 * @since 0.1.0
 */
import type { Options, SimulatedDisk } from "./internal/simulatedDisk/model.ts"
import * as simulatedDisk from "./internal/simulatedDisk/simulatedDisk.ts"
import type { Simulation } from "./Simulation.ts"

export type {
  Call,
  Disk,
  Faults,
  FileStatus,
  Options,
  Plan,
  PlannedFault,
  SimulatedDisk
} from "./internal/simulatedDisk/model.ts"

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * Makes a simulated disk, empty but for its root.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (simulation: Simulation, options?: Options): SimulatedDisk =>
  simulatedDisk.make(simulation, options ?? {})
