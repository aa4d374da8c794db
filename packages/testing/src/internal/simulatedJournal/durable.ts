/**
 * What is durable of a simulated journal, and who has it open.
 *
 * @internal
 */
import type { Occurrence, Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as Journal from "@tidings/core/Journal"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Process, Simulation } from "../../Simulation.ts"
import type { SeededDice } from "../dice.ts"
import type { Backup, Faults, Options } from "./model.ts"

/** @internal */
export const failure = (reason: Journal.JournalErrorReason) => new Journal.JournalError({ reason })

const copyOfParked = (parked: Backup["parked"]): Map<string, Map<string, string>> =>
  new Map(Array.from(parked, ([sink, bySeries]) => [sink, new Map(bySeries)]))

/** @internal */
export class Durable {
  readonly simulation: Simulation
  readonly name: string
  readonly dice: SeededDice
  /** How long each half of an operation takes at the most, in milliseconds. */
  readonly latency: number
  readonly durability: Journal.Durability
  readonly capacity: number
  readonly onFull: Journal.OnFull
  readonly readAhead: number
  faults: Faults
  occurrences: Array<Occurrence> = []
  /** By seq - 1, the origin of the opening that accepted it. */
  origins: Array<string> = []
  /** The seqs that are kept, in order. */
  kept: Array<number> = []
  /** By sink, the seqs that the quota took before the sink had them behind a checkpoint. */
  private taken = new Map<string, ReadonlyArray<number>>()
  /** As text, as on a disk: nothing in it can change when what it was made of changes. */
  private checkpoints = new Map<string, string>()
  private parked = new Map<string, Map<string, string>>()
  private owner: { readonly process: Process; readonly life: number } | undefined

  constructor(simulation: Simulation, options: Options) {
    this.simulation = simulation
    this.name = options.name ?? "journal"
    this.dice = simulation.dice.fork(this.name) as SeededDice
    this.latency = Duration.toMillis(options.latency ?? "1 millis")
    this.durability = options.durability ?? "disk"
    this.capacity = options.capacity ?? Number.POSITIVE_INFINITY
    this.onFull = options.onFull ?? "fail"
    this.readAhead = options.readAhead ?? Journal.READ_AHEAD
    this.faults = options.faults ?? {}
  }

  count(what: string, n = 1): void {
    this.simulation.count(`${this.name}.${what}`, n)
  }

  trace(line: string): void {
    this.simulation.trace(`${this.name}: ${line}`)
  }

  /** Fails the run: the caller does what a recorder must not do. */
  fail(why: string): void {
    this.simulation.fail(new Error(`${this.name}: ${why}`))
  }

  drawOrigin(): string {
    return Array.from({ length: 4 }, () => this.dice.bits().toString(16).padStart(8, "0")).join("")
  }

  // -------------------------------------------------------------------------
  // who has it open
  // -------------------------------------------------------------------------

  /** Opens it for a life of a process, until the scope closes or the life ends. */
  lock(process: Process): Effect.Effect<void, Journal.JournalError, Scope.Scope> {
    return Effect.suspend(() => {
      const other = this.ownerAlive()
      if (other !== undefined) {
        return Effect.fail(failure(new Journal.JournalLocked({ detail: `the process "${other.name}" has it open` })))
      }
      const mine = { process, life: process.life }
      this.owner = mine
      return Effect.addFinalizer(() =>
        Effect.sync(() => {
          if (this.owner === mine) this.owner = undefined
        })
      )
    })
  }

  private ownerAlive(): Process | undefined {
    const { owner } = this
    return owner !== undefined && owner.process.alive && owner.process.life === owner.life ? owner.process : undefined
  }

  // -------------------------------------------------------------------------
  // events
  // -------------------------------------------------------------------------

  /** How many more events it can keep. */
  room(): number {
    return this.capacity - this.kept.length
  }

  put(origin: string, batch: ReadonlyArray<Occurrence>): ReadonlyArray<EventId.EventId> {
    return batch.map((occurrence) => {
      this.occurrences.push(occurrence)
      this.origins.push(origin)
      this.kept.push(this.occurrences.length)
      return { origin, seq: this.occurrences.length }
    })
  }

  addTaken(sink: string, seqs: ReadonlyArray<number>): void {
    this.taken.set(sink, [...this.takenOf(sink), ...seqs])
  }

  takenOf(sink: string): ReadonlyArray<number> {
    return this.taken.get(sink) ?? []
  }

  // -------------------------------------------------------------------------
  // sinks
  // -------------------------------------------------------------------------

  saveCheckpoint(sink: string, text: string): void {
    this.checkpoints.set(sink, text)
  }

  checkpointOf(sink: string): Journal.Checkpoint | undefined {
    const text = this.checkpoints.get(sink)
    return text === undefined ? undefined : (JSON.parse(text) as Journal.Checkpoint)
  }

  park(sink: string, write: Write, occurrences: number, reason: string): void {
    const bySeries = this.parked.get(sink) ?? new Map<string, string>()
    this.parked.set(sink, bySeries)
    const key = EventId.format(write.id)
    const known = bySeries.get(key)
    if (known !== undefined && (JSON.parse(known) as Journal.Parked).write.upTo > write.upTo) return
    const parked: Journal.Parked = { write, occurrences, reason, at: this.simulation.now() }
    bySeries.set(key, JSON.stringify(parked))
    this.count("parked")
    this.trace(`${sink} parks ${key} up to ${write.upTo} with ${occurrences}`)
  }

  unpark(sink: string, series: ReadonlyArray<EventId.EventId>): void {
    for (const id of series) if (this.parked.get(sink)?.delete(EventId.format(id)) === true) this.count("unparked")
  }

  parkedOf(sink: string): ReadonlyArray<Journal.Parked> {
    return [...(this.parked.get(sink)?.values() ?? [])].map((text) => JSON.parse(text) as Journal.Parked)
  }

  // -------------------------------------------------------------------------
  // backups
  // -------------------------------------------------------------------------

  backup(): Backup {
    return {
      occurrences: [...this.occurrences],
      origins: [...this.origins],
      kept: [...this.kept],
      checkpoints: new Map(this.checkpoints),
      parked: copyOfParked(this.parked),
      taken: new Map(this.taken)
    }
  }

  putBack(saved: Backup): void {
    const owner = this.ownerAlive()
    if (owner !== undefined) this.fail(`a backup is put back while "${owner.name}" has the journal open`)
    this.occurrences = [...saved.occurrences]
    this.origins = [...saved.origins]
    this.kept = [...saved.kept]
    this.checkpoints = new Map(saved.checkpoints)
    this.parked = copyOfParked(saved.parked)
    this.taken = new Map(saved.taken)
    this.count("putBack")
    this.trace(`a backup with ${this.occurrences.length} is put back`)
  }
}
