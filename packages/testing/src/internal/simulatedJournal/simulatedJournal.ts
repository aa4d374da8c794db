import type { Occurrence, Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as Journal from "@tidings/core/Journal"
import type { Micros } from "@tidings/core/Timestamp"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Process, Simulation } from "../../Simulation.ts"
import type { SeededDice } from "../dice.ts"
import type { Backup, Faults, Options, SimulatedJournal } from "./model.ts"

const failure = (reason: Journal.JournalErrorReason) => new Journal.JournalError({ reason })

interface Reading {
  /** Its checkpoint. */
  upTo: number
  /** What it may have read beyond its checkpoint, in this life or an earlier one. */
  protectedUpTo: number
}

/** @internal */
export const make = (
  simulation: Simulation,
  options: Options
): {
  readonly handle: Omit<SimulatedJournal, "layer">
  readonly open: (process: Process) => Effect.Effect<Journal.Journal["Service"], Journal.JournalError, Scope.Scope>
} => {
  const name = options.name ?? "journal"
  const dice = simulation.dice.fork(name) as SeededDice
  const latency = Duration.toMillis(options.latency ?? "1 millis")
  const capacity = options.capacity ?? Number.POSITIVE_INFINITY
  const onFull = options.onFull ?? "fail"
  const readAhead = options.readAhead ?? Journal.READ_AHEAD
  let faults: Faults = options.faults ?? {}

  // -------------------------------------------------------------------------
  // what is durable
  // -------------------------------------------------------------------------

  const drawOrigin = () => Array.from({ length: 4 }, () => dice.bits().toString(16).padStart(8, "0")).join("")
  let occurrences: Array<Occurrence> = []
  /** By seq - 1, the origin of the opening that accepted it. */
  let origins: Array<string> = []
  /** The seqs that are kept, in order. */
  let kept: Array<number> = []
  /** As text, as on a disk: nothing in it can change when what it was made of changes. */
  const checkpoints = new Map<string, string>()
  const parked = new Map<string, Map<string, string>>()
  const taken = new Map<string, Array<number>>()
  let owner: { readonly process: Process; readonly life: number } | undefined

  const checkpointOf = (sink: string): Journal.Checkpoint | undefined => {
    const text = checkpoints.get(sink)
    return text === undefined ? undefined : (JSON.parse(text) as Journal.Checkpoint)
  }

  const parkedOf = (sink: string): ReadonlyArray<Journal.Parked> =>
    [...(parked.get(sink)?.values() ?? [])].map((text) => JSON.parse(text) as Journal.Parked)

  const count = (what: string, n = 1) => simulation.count(`${name}.${what}`, n)

  const backup = (): Backup => ({
    occurrences: [...occurrences],
    origins: [...origins],
    kept: [...kept],
    checkpoints: new Map(checkpoints),
    parked: new Map(Array.from(parked, ([sink, bySeries]) => [sink, new Map(bySeries)])),
    taken: new Map(taken)
  })

  const putBack = (saved: Backup): void => {
    if (owner !== undefined && owner.process.alive && owner.process.life === owner.life) {
      simulation.fail(new Error(`${name}: a backup is put back while "${owner.process.name}" has the journal open`))
    }
    occurrences = [...saved.occurrences]
    origins = [...saved.origins]
    kept = [...saved.kept]
    const replace = <K, V>(target: Map<K, V>, source: ReadonlyMap<K, V>) => {
      target.clear()
      for (const [key, value] of source) target.set(key, value)
    }
    replace(checkpoints, saved.checkpoints)
    replace(parked, new Map(Array.from(saved.parked, ([sink, bySeries]) => [sink, new Map(bySeries)])))
    replace(taken, saved.taken)
    count("putBack")
    simulation.trace(`${name}: a backup with ${occurrences.length} is put back`)
  }

  // -------------------------------------------------------------------------
  // one life
  // -------------------------------------------------------------------------

  const lock = (process: Process): Effect.Effect<void, Journal.JournalError, Scope.Scope> =>
    Effect.suspend(() => {
      if (owner !== undefined && owner.process.alive && owner.process.life === owner.life) {
        const detail = `the process "${owner.process.name}" has it open`
        return Effect.fail(failure(new Journal.JournalLocked({ detail })))
      }
      const mine = { process, life: process.life }
      owner = mine
      return Effect.addFinalizer(() =>
        Effect.sync(() => {
          if (owner === mine) owner = undefined
        })
      )
    })

  const open = (process: Process): Effect.Effect<Journal.Journal["Service"], Journal.JournalError, Scope.Scope> =>
    Effect.andThen(
      lock(process),
      Effect.suspend(() => {
        const { life } = process
        const living = () => process.alive && process.life === life
        const origin = drawOrigin()
        const headAtOpen = occurrences.length
        const reading = new Map<string, Reading>()
        const waiting = new Set<() => void>()

        /** Carries something out in two halves, in the middle of which it takes effect. A kill may come in either. */
        const operation = <A>(
          what: keyof Faults,
          carryOut: () => Result.Result<A, Journal.JournalError>
        ): Effect.Effect<A, Journal.JournalError> => {
          const attempt = (): Result.Result<A, Journal.JournalError> => {
            if (dice.chance(faults[what] ?? 0)) {
              count(`${what}Failed`)
              return Result.fail(failure(new Journal.JournalFailed({ detail: `injected into ${what}` })))
            }
            return carryOut()
          }
          if (latency === 0) return Effect.suspend(() => Effect.fromResult(attempt()))
          return Effect.callback((resume) => {
            simulation.after(dice.next() * latency, () => {
              if (!living()) return count(`${what}Lost`)
              const result = attempt()
              simulation.after(dice.next() * latency, () => {
                if (!living()) return count(`${what}Unanswered`)
                resume(Effect.fromResult(result))
              })
            })
          })
        }

        const room = () => capacity - kept.length

        const free = () => {
          let upTo = Number.POSITIVE_INFINITY
          for (const one of reading.values()) upTo = Math.min(upTo, one.upTo)
          if (upTo === Number.POSITIVE_INFINITY) return
          const left = kept.filter((seq) => seq > upTo)
          if (left.length === kept.length) return
          kept = left
          const woken = [...waiting]
          waiting.clear()
          for (const wake of woken) wake()
        }

        const mayBeTaken = (seq: number): boolean => {
          for (const { protectedUpTo, upTo } of reading.values()) if (seq > upTo && seq <= protectedUpTo) return false
          return true
        }

        /** Makes room by taking the oldest that no sink needs any more or has seen yet. */
        const takeOldest = (wanted: number): void => {
          const gone = new Set(kept.filter(mayBeTaken).slice(0, wanted))
          kept = kept.filter((seq) => !gone.has(seq))
          for (const [sink, { upTo }] of reading) {
            const lost = [...gone].filter((seq) => seq > upTo)
            taken.set(sink, [...(taken.get(sink) ?? []), ...lost])
          }
          count("taken", gone.size)
        }

        const put = (batch: ReadonlyArray<Occurrence>): ReadonlyArray<EventId.EventId> =>
          batch.map((occurrence) => {
            occurrences.push(occurrence)
            origins.push(origin)
            kept.push(occurrences.length)
            return { origin, seq: occurrences.length }
          })

        const appendNow = (
          batch: ReadonlyArray<Occurrence>
        ): Result.Result<ReadonlyArray<EventId.EventId>, Journal.JournalError> => {
          if (batch.length > room() && onFull === "dropOldest") takeOldest(batch.length - room())
          if (batch.length > room()) {
            count("full")
            return Result.fail(
              failure(new Journal.JournalFull({ detail: `${kept.length} of ${capacity} events are kept` }))
            )
          }
          const ids = put(batch)
          simulation.trace(`${name}: has ${batch.length} more, up to ${occurrences.length}`)
          return Result.succeed(ids)
        }

        /** Waits for room without taking it. */
        const roomFor = (wanted: number): Effect.Effect<void> =>
          Effect.interruptible(
            Effect.callback((resume) => {
              const look = () => {
                if (wanted <= room()) resume(Effect.void)
                else waiting.add(look)
              }
              if (wanted > room()) count("blocked")
              look()
              return Effect.sync(() => waiting.delete(look))
            })
          )

        let appending = false
        const append = (
          batch: ReadonlyArray<Occurrence>
        ): Effect.Effect<ReadonlyArray<EventId.EventId>, Journal.JournalError> =>
          Effect.suspend(() => {
            if (appending) simulation.fail(new Error(`${name}: a second append while one is under way`))
            appending = true
            const carriedOut = operation("append", () => appendNow(batch))
            return Effect.ensuring(
              onFull === "block" && batch.length <= capacity
                ? Effect.andThen(roomFor(batch.length), Effect.uninterruptible(carriedOut))
                : Effect.uninterruptible(carriedOut),
              Effect.sync(() => {
                appending = false
              })
            )
          })

        const read = (
          sink: string,
          after: number,
          max: number
        ): Effect.Effect<Journal.JournalPage, Journal.JournalError> =>
          operation("read", () => {
            const reached = Math.min(occurrences.length, after + max)
            const entries: Array<Journal.JournalEntry> = []
            const lost: Array<{ from: number; to: number }> = []
            const there = new Set(kept)
            for (let seq = after + 1; seq <= reached; seq++) {
              const last = lost.at(-1)
              if (there.has(seq))
                entries.push({ id: { origin: origins[seq - 1]!, seq }, occurrence: occurrences[seq - 1]! })
              else if (last?.to === seq - 1) last.to = seq
              else lost.push({ from: seq, to: seq })
            }
            if (lost.length > 0) count("lostRange", lost.length)
            const one = reading.get(sink)
            if (one === undefined)
              simulation.fail(new Error(`${name}: the sink "${sink}" reads before it has restored`))
            else {
              if (after < one.upTo)
                simulation.fail(new Error(`${name}: the sink "${sink}" reads behind its checkpoint`))
              one.protectedUpTo = Math.max(one.protectedUpTo, reached)
            }
            return Result.succeed({ entries, lost, reached: Math.max(after, reached) })
          })

        const checkpoint = (sink: string, made: Journal.Checkpoint): Effect.Effect<void, Journal.JournalError> => {
          const text = JSON.stringify(made)
          return operation("checkpoint", () => {
            const one = reading.get(sink)
            if (one !== undefined && one.upTo > made.upTo) {
              simulation.fail(
                new Error(`${name}: the checkpoint of "${sink}" goes back from ${one.upTo} to ${made.upTo}`)
              )
            }
            checkpoints.set(sink, text)
            count("checkpoint")
            simulation.trace(`${name}: checkpoint of ${sink} at ${made.upTo}`)
            if (one !== undefined) one.upTo = made.upTo
            free()
            return Result.succeed(undefined)
          })
        }

        const restore = (sink: string): Effect.Effect<Journal.Checkpoint | undefined, Journal.JournalError> =>
          Effect.sync(() => {
            const found = checkpointOf(sink)
            const upTo = found?.upTo ?? 0
            reading.set(sink, { upTo, protectedUpTo: Math.min(headAtOpen, upTo + readAhead) })
            if (found !== undefined) count("restored")
            return found
          })

        const park = (
          sink: string,
          write: Write,
          carried: number,
          reason: string
        ): Effect.Effect<void, Journal.JournalError> =>
          operation("park", () => {
            const bySeries = parked.get(sink) ?? new Map<string, string>()
            parked.set(sink, bySeries)
            const key = EventId.format(write.id)
            const known = bySeries.get(key)
            if (known !== undefined && (JSON.parse(known) as Journal.Parked).write.upTo > write.upTo) {
              return Result.succeed(undefined)
            }
            const at: Micros = simulation.now()
            bySeries.set(key, JSON.stringify({ write, occurrences: carried, reason, at } satisfies Journal.Parked))
            count("parked")
            simulation.trace(`${name}: ${sink} parks ${key} up to ${write.upTo} with ${carried}`)
            return Result.succeed(undefined)
          })

        const unpark = (
          sink: string,
          series: ReadonlyArray<EventId.EventId>
        ): Effect.Effect<void, Journal.JournalError> =>
          operation("park", () => {
            for (const id of series) if (parked.get(sink)?.delete(EventId.format(id)) === true) count("unparked")
            return Result.succeed(undefined)
          })

        return Effect.succeed({
          origin,
          durability: options.durability ?? "disk",
          head: Effect.sync(() => occurrences.length),
          append,
          read,
          checkpoint,
          restore,
          park,
          parked: (sink: string) => Effect.sync(() => parkedOf(sink)),
          unpark,
          requests: () => Effect.succeed([])
        })
      })
    )

  return {
    handle: {
      setFaults: (given) => {
        faults = given
      },
      backup,
      putBack,
      head: () => occurrences.length,
      occurrences: () => occurrences,
      ids: () => origins.map((origin, index) => ({ origin, seq: index + 1 })),
      taken: (sink) => taken.get(sink) ?? [],
      checkpoint: checkpointOf,
      parked: parkedOf
    },
    open
  }
}
