/**
 * A simulated journal as one life of a process has it open.
 *
 * @internal
 */
import type { Occurrence, Write } from "@tidings/core/Event"
import type * as EventId from "@tidings/core/EventId"
import * as Journal from "@tidings/core/Journal"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Process } from "../../Simulation.ts"
import { type Durable, failure } from "./durable.ts"
import type { Faults } from "./model.ts"

interface Reading {
  /** Its checkpoint. */
  upTo: number
  /** What it may have read beyond its checkpoint, in this life or an earlier one. */
  protectedUpTo: number
}

/** @internal */
export class Opening {
  readonly origin: string
  private readonly durable: Durable
  private readonly process: Process
  private readonly life: number
  private readonly headAtOpen: number
  /** By sink. */
  private readonly reading = new Map<string, Reading>()
  private readonly waitingForRoom = new Set<() => void>()
  private isAppending = false

  constructor(durable: Durable, process: Process) {
    this.durable = durable
    this.process = process
    this.life = process.life
    this.origin = durable.drawOrigin()
    this.headAtOpen = durable.occurrences.length
  }

  private isAlive(): boolean {
    return this.process.alive && this.process.life === this.life
  }

  /** Carries something out in two halves, in the middle of which it takes effect. A kill may come in either. */
  private operation<A>(
    what: keyof Faults,
    carryOut: () => Result.Result<A, Journal.JournalError>
  ): Effect.Effect<A, Journal.JournalError> {
    const { durable } = this
    const { dice, latency, simulation } = durable
    const attempt = (): Result.Result<A, Journal.JournalError> => {
      if (dice.chance(durable.faults[what] ?? 0)) {
        durable.count(`${what}Failed`)
        return Result.fail(failure(new Journal.JournalFailed({ detail: `injected into ${what}` })))
      }
      return carryOut()
    }
    if (latency === 0) return Effect.suspend(() => Effect.fromResult(attempt()))
    return Effect.callback((resume) => {
      simulation.after(dice.next() * latency, () => {
        if (!this.isAlive()) return durable.count(`${what}Lost`)
        const result = attempt()
        simulation.after(dice.next() * latency, () => {
          if (!this.isAlive()) return durable.count(`${what}Unanswered`)
          resume(Effect.fromResult(result))
        })
      })
    })
  }

  // -------------------------------------------------------------------------
  // appending
  // -------------------------------------------------------------------------

  append(batch: ReadonlyArray<Occurrence>): Effect.Effect<ReadonlyArray<EventId.EventId>, Journal.JournalError> {
    const { capacity, onFull } = this.durable
    return Effect.suspend(() => {
      if (this.isAppending) this.durable.fail("a second append while one is under way")
      this.isAppending = true
      const carriedOut = this.operation("append", () => this.appendNow(batch))
      return Effect.ensuring(
        onFull === "block" && batch.length <= capacity
          ? Effect.andThen(this.roomFor(batch.length), Effect.uninterruptible(carriedOut))
          : Effect.uninterruptible(carriedOut),
        Effect.sync(() => {
          this.isAppending = false
        })
      )
    })
  }

  private appendNow(
    batch: ReadonlyArray<Occurrence>
  ): Result.Result<ReadonlyArray<EventId.EventId>, Journal.JournalError> {
    const { durable } = this
    if (batch.length > durable.room() && durable.onFull === "dropOldest") {
      this.takeOldest(batch.length - durable.room())
    }
    if (batch.length > durable.room()) {
      durable.count("full")
      const detail = `${durable.kept.length} of ${durable.capacity} events are kept`
      return Result.fail(failure(new Journal.JournalFull({ detail })))
    }
    const ids = durable.put(this.origin, batch)
    durable.trace(`has ${batch.length} more, up to ${durable.occurrences.length}`)
    return Result.succeed(ids)
  }

  /** Waits for room without taking it. */
  private roomFor(wanted: number): Effect.Effect<void> {
    const { durable, waitingForRoom } = this
    return Effect.interruptible(
      Effect.callback((resume) => {
        const look = () => {
          if (wanted <= durable.room()) resume(Effect.void)
          else waitingForRoom.add(look)
        }
        if (wanted > durable.room()) durable.count("blocked")
        look()
        return Effect.sync(() => waitingForRoom.delete(look))
      })
    )
  }

  private mayBeTaken(seq: number): boolean {
    for (const { protectedUpTo, upTo } of this.reading.values()) if (seq > upTo && seq <= protectedUpTo) return false
    return true
  }

  /** Makes room by taking the oldest that no sink needs any more or has seen yet. */
  private takeOldest(wanted: number): void {
    const { durable } = this
    const gone = new Set(durable.kept.filter((seq) => this.mayBeTaken(seq)).slice(0, wanted))
    durable.kept = durable.kept.filter((seq) => !gone.has(seq))
    for (const [sink, { upTo }] of this.reading) {
      durable.addTaken(
        sink,
        [...gone].filter((seq) => seq > upTo)
      )
    }
    durable.count("taken", gone.size)
  }

  // -------------------------------------------------------------------------
  // reading
  // -------------------------------------------------------------------------

  restore(sink: string): Effect.Effect<Journal.Checkpoint | undefined, Journal.JournalError> {
    return Effect.sync(() => {
      const found = this.durable.checkpointOf(sink)
      const upTo = found?.upTo ?? 0
      this.reading.set(sink, { upTo, protectedUpTo: Math.min(this.headAtOpen, upTo + this.durable.readAhead) })
      if (found !== undefined) this.durable.count("restored")
      return found
    })
  }

  read(sink: string, after: number, max: number): Effect.Effect<Journal.JournalPage, Journal.JournalError> {
    return this.operation("read", () => {
      const page = this.pageAfter(after, max)
      if (page.lost.length > 0) this.durable.count("lostRange", page.lost.length)
      const one = this.reading.get(sink)
      if (one === undefined) this.durable.fail(`the sink "${sink}" reads before it has restored`)
      else {
        if (after < one.upTo) this.durable.fail(`the sink "${sink}" reads behind its checkpoint`)
        one.protectedUpTo = Math.max(one.protectedUpTo, Math.min(this.durable.occurrences.length, after + max))
      }
      return Result.succeed(page)
    })
  }

  private pageAfter(after: number, max: number): Journal.JournalPage {
    const { kept, occurrences, origins } = this.durable
    const reached = Math.min(occurrences.length, after + max)
    const entries: Array<Journal.JournalEntry> = []
    const lost: Array<{ from: number; to: number }> = []
    const there = new Set(kept)
    for (let seq = after + 1; seq <= reached; seq++) {
      const last = lost.at(-1)
      if (there.has(seq)) entries.push({ id: { origin: origins[seq - 1]!, seq }, occurrence: occurrences[seq - 1]! })
      else if (last?.to === seq - 1) last.to = seq
      else lost.push({ from: seq, to: seq })
    }
    return { entries, lost, reached: Math.max(after, reached) }
  }

  checkpoint(sink: string, made: Journal.Checkpoint): Effect.Effect<void, Journal.JournalError> {
    const { durable } = this
    const text = JSON.stringify(made)
    return this.operation("checkpoint", () => {
      const one = this.reading.get(sink)
      if (one !== undefined && one.upTo > made.upTo) {
        durable.fail(`the checkpoint of "${sink}" goes back from ${one.upTo} to ${made.upTo}`)
      }
      durable.saveCheckpoint(sink, text)
      durable.count("checkpoint")
      durable.trace(`checkpoint of ${sink} at ${made.upTo}`)
      if (one !== undefined) one.upTo = made.upTo
      this.free()
      return Result.succeed(undefined)
    })
  }

  /** Frees what all sinks have behind their checkpoints, and wakes who waits for room. */
  private free(): void {
    const { durable, waitingForRoom } = this
    let upTo = Number.POSITIVE_INFINITY
    for (const one of this.reading.values()) upTo = Math.min(upTo, one.upTo)
    if (upTo === Number.POSITIVE_INFINITY) return
    const left = durable.kept.filter((seq) => seq > upTo)
    if (left.length === durable.kept.length) return
    durable.kept = left
    const woken = [...waitingForRoom]
    waitingForRoom.clear()
    for (const wake of woken) wake()
  }

  // -------------------------------------------------------------------------
  // parking
  // -------------------------------------------------------------------------

  park(sink: string, write: Write, occurrences: number, reason: string): Effect.Effect<void, Journal.JournalError> {
    return this.operation("park", () => Result.succeed(this.durable.park(sink, write, occurrences, reason)))
  }

  unpark(sink: string, series: ReadonlyArray<EventId.EventId>): Effect.Effect<void, Journal.JournalError> {
    return this.operation("park", () => Result.succeed(this.durable.unpark(sink, series)))
  }
}
