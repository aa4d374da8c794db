/**
 * An API server for simulated worlds: a backend that loses requests, loses answers, answers late, throttles, fails, goes
 * away for a while, forgets objects and loses its history, all as the seed says.
 *
 * It stands outside of every process of the simulation: a request that has left a process is carried out also when the
 * process is killed meanwhile. What happened is counted by the simulation, under the name of the backend and that of the
 * fault (`backend.resetAfter`), so that a campaign can prove that it met each.
 *
 * **Example** (A write whose answer is lost)
 *
 * ```ts
 * import type { Write } from "@tidings/core/Event"
 * import * as SimulatedBackend from "@tidings/testing/SimulatedBackend"
 * import * as Simulation from "@tidings/testing/Simulation"
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import assert from "node:assert/strict"
 *
 * const write: Write = {
 *   id: { origin: "00000000000000000000000000000001", seq: 1 },
 *   upTo: 1,
 *   count: 1,
 *   first: 0,
 *   last: 0,
 *   event: {
 *     involvedObject: { kind: "Order", name: "order-1", namespace: "shop" },
 *     reason: "Shipped",
 *     type: "Normal",
 *     action: "Ship",
 *     message: "order-1 was shipped",
 *     data: {},
 *     source: { component: "shop" },
 *     reportingController: "shop",
 *     reportingInstance: "shop-0"
 *   }
 * }
 *
 * const run = Simulation.run({ seed: 1 }, (simulation) =>
 *   Effect.gen(function* () {
 *     const server = SimulatedBackend.make(simulation, { faults: { resetAfter: 1 } })
 *     yield* Effect.flip(server.backend.write([write]))
 *     server.heal()
 *     return yield* server.backend.write([write])
 *   })
 * )
 * assert.deepEqual(run.exit, Exit.succeed([{ _tag: "Settled", how: "present" }]))
 * assert.equal(run.counts["backend.resetAfter"], 1)
 * ```
 *
 * @since 0.1.0
 */
import { Backend } from "@tidings/core/Backend"
import * as Layer from "effect/Layer"
import type { Options, SimulatedBackend } from "./internal/simulatedBackend/model.ts"
import * as simulatedBackend from "./internal/simulatedBackend/simulatedBackend.ts"
import type { Simulation } from "./Simulation.ts"

export type {
  Faults,
  NamespaceTrouble,
  Options,
  Outage,
  SimulatedBackend,
  StoredSeries
} from "./internal/simulatedBackend/model.ts"

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * Makes a simulated API server.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (simulation: Simulation, options?: Options): SimulatedBackend => {
  const made = simulatedBackend.make(simulation, options ?? {})
  return { ...made, layer: Layer.succeed(Backend, made.backend) }
}
