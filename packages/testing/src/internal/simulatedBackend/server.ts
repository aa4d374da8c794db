/**
 * A simulated API server as its requests find it: how it is, what is wrong with it, and what it has stored.
 *
 * @internal
 */
import type { Write } from "@tidings/core/Event"
import * as Target from "@tidings/core/Target"
import * as Duration from "effect/Duration"
import type { Dice, Simulation } from "../../Simulation.ts"
import type { Faults, NamespaceTrouble, Options, Outage } from "./model.ts"
import { Store } from "./store.ts"

/** @internal */
export class Server {
  readonly simulation: Simulation
  readonly name: string
  readonly dice: Dice
  /** Its identity. */
  readonly home: Target.Target
  /** In milliseconds, at the most. */
  readonly latency: number
  /** In milliseconds, at the most. */
  readonly lateness: number
  /** In milliseconds, at the most. */
  readonly retryAfter: number
  readonly parkAfter: Duration.Input
  readonly store: Store
  readonly troubles = new Map<string, NamespaceTrouble>()
  /** What was written to servers in the place of this one. */
  readonly strays: Array<Write> = []
  faults: Faults
  outage: Outage | undefined
  /** The server that answers in the place of this one. */
  replacement: Target.Target | undefined
  /** Which server the host knows that it talks to. */
  told: Target.Target

  constructor(simulation: Simulation, options: Options) {
    const name = options.name ?? "backend"
    this.simulation = simulation
    this.name = name
    this.dice = simulation.dice.fork(name)
    this.home = Target.make(options.target ?? name)
    this.told = this.home
    this.latency = Duration.toMillis(options.latency ?? "20 millis")
    this.lateness = Duration.toMillis(options.lateness ?? "30 seconds")
    this.retryAfter = Duration.toMillis(options.retryAfter ?? "10 seconds")
    this.parkAfter = options.parkAfter ?? "60 seconds"
    this.faults = options.faults ?? {}
    const { timeToLive } = options
    this.store = new Store(
      simulation,
      name,
      timeToLive === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(timeToLive) * 1_000
    )
  }

  target(): Target.Target {
    return this.replacement ?? this.home
  }

  count(what: string): void {
    this.simulation.count(`${this.name}.${what}`)
  }
}
