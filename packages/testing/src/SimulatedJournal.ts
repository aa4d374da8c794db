/**
 * A durable journal for simulated worlds: what it has acknowledged survives every kill, other operations took effect completely or not at all.
 *
 * It stands in for a file journal where the recorder, or what is built on it, is tested with crashes. Each operation takes
 * its time, may fail, and may be cut short by a kill before or after it took effect; what happened is counted by the
 * simulation (`journal.appendLost`, `journal.appendUnanswered`, …).
 *
 * **Example** (Accepted before the kill, there after it)
 *
 * ```ts
 * import * as Journal from "@tidings/core/Journal"
 * import * as SimulatedJournal from "@tidings/testing/SimulatedJournal"
 * import * as Simulation from "@tidings/testing/Simulation"
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import assert from "node:assert/strict"
 *
 * const occurrence = {
 *   at: 0,
 *   involvedObject: { kind: "Order", name: "order-1", namespace: "shop" },
 *   reason: "Shipped",
 *   type: "Normal",
 *   action: "Ship",
 *   message: "order-1 was shipped",
 *   data: {},
 *   source: { component: "shop" },
 *   reportingController: "shop",
 *   reportingInstance: "shop-0"
 * } as const
 *
 * const run = Simulation.run({ seed: 1 }, (simulation) =>
 *   Effect.gen(function* () {
 *     const journal = SimulatedJournal.make(simulation)
 *     const host = simulation.process("host")
 *     const append = Journal.Journal.use((one) => one.append([occurrence]))
 *     yield* host.start(append.pipe(Effect.andThen(Effect.never), Effect.provide(journal.layer(host))))
 *     yield* Effect.sleep("1 second")
 *     yield* host.kill
 *     return journal.head()
 *   })
 * )
 * assert.deepEqual(run.exit, Exit.succeed(1))
 * ```
 *
 * @since 0.1.0
 */
import { Journal } from "@tidings/core/Journal"
import * as Layer from "effect/Layer"
import type { Options, SimulatedJournal } from "./internal/simulatedJournal/model.ts"
import * as simulatedJournal from "./internal/simulatedJournal/simulatedJournal.ts"
import type { Simulation } from "./Simulation.ts"

export type { Backup, Faults, Options, SimulatedJournal } from "./internal/simulatedJournal/model.ts"

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * Makes a simulated journal, empty.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (simulation: Simulation, options?: Options): SimulatedJournal => {
  const made = simulatedJournal.make(simulation, options ?? {})
  return { ...made.handle, layer: (process) => Layer.effect(Journal, made.open(process)) }
}
