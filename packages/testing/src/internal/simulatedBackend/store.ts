/**
 * What a simulated API server has stored: the series in the order of their changes, and which of them have expired.
 *
 * @internal
 */
import * as Backend from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { Micros } from "@tidings/core/Timestamp"
import type { Simulation } from "../../Simulation.ts"
import type { StoredSeries } from "./model.ts"

/** @internal */
export interface Stored {
  /** What a reader sees. */
  write: Write
  /** The highest that was ever seen. */
  highest: Write
  exists: boolean
  creations: number
  expiresAt: Micros
  position: number
}

/** @internal */
export class Store {
  /** Of the last change. */
  position = 0
  /** The position up to which the history is lost. */
  forgottenUpTo = 0
  readonly observers: Array<(write: Write, before: Write | undefined) => void> = []
  private readonly simulation: Simulation
  private readonly name: string
  private readonly timeToLive: Micros
  /** In order of change. */
  private readonly stored = new Map<string, Stored>()
  private readonly waiting = new Set<() => void>()

  constructor(simulation: Simulation, name: string, timeToLive: Micros) {
    this.simulation = simulation
    this.name = name
    this.timeToLive = timeToLive
  }

  /** Creates or updates the series, unless what is stored has this and more. */
  apply(write: Write): Backend.Outcome {
    const { name, simulation, stored } = this
    const key = EventId.format(write.id)
    const known = stored.get(key)
    if (known !== undefined) this.expire(known)
    if (known?.exists === true && known.write.upTo >= write.upTo) {
      if (known.write.upTo > write.upTo) this.count("overtaken")
      return Backend.present
    }
    const created = known?.exists !== true
    if (created && known !== undefined) this.count("createdAgain")
    for (const observe of this.observers) observe(write, created ? undefined : known?.write)
    simulation.trace(`${name}: ${created ? "creates" : "updates"} ${key} up to ${write.upTo}, count ${write.count}`)
    stored.delete(key)
    stored.set(key, {
      write,
      highest: known !== undefined && known.highest.upTo > write.upTo ? known.highest : write,
      exists: true,
      creations: (known?.creations ?? 0) + (created ? 1 : 0),
      expiresAt: simulation.now() + this.timeToLive,
      position: ++this.position
    })
    this.wake()
    return created ? Backend.created : Backend.updated
  }

  /** What exists now, in order of change. */
  existing(): Array<Stored> {
    return [...this.stored.values()].filter((one) => {
      this.expire(one)
      return one.exists
    })
  }

  series(): ReadonlyArray<StoredSeries> {
    return [...this.stored.values()].map((one) => {
      this.expire(one)
      return { write: one.highest, exists: one.exists, creations: one.creations }
    })
  }

  /** Calls once when something may have changed, unless it is cancelled before. */
  whenChanged(awake: () => void): { readonly cancel: () => void } {
    this.waiting.add(awake)
    return { cancel: () => void this.waiting.delete(awake) }
  }

  /** Tells those who wait that something may have changed. */
  wake(): void {
    const woken = [...this.waiting]
    this.waiting.clear()
    for (const one of woken) one()
  }

  private expire(one: Stored): void {
    if (!one.exists || one.expiresAt > this.simulation.now()) return
    one.exists = false
    this.count("expired")
  }

  private count(what: string): void {
    this.simulation.count(`${this.name}.${what}`)
  }
}
