import type { Occurrence } from "@tidings/core/Event"
import type { Checkpoint, Journal, JournalError, OnFull, Parked } from "@tidings/core/Journal"
import * as SimulatedDisk from "@tidings/testing/SimulatedDisk"
import * as Simulation from "@tidings/testing/Simulation"
import { Cause, Effect, Exit, Option, type Scope } from "effect"
import { Disk, node } from "../src/internal/disk.ts"
import * as fileJournal from "../src/internal/journal/fileJournal.ts"
import { first } from "./writes.ts"

export type Service = Journal["Service"]

/** One thing that a process does with its journal. */
export type Step =
  | { readonly do: "append"; readonly count: number; readonly length?: number }
  | { readonly do: "read"; readonly sink: string; readonly max: number }
  | { readonly do: "checkpoint"; readonly sink: string }
  | { readonly do: "park"; readonly sink: string; readonly series: number; readonly length?: number }
  | { readonly do: "unpark"; readonly sink: string; readonly series: ReadonlyArray<number> }

export interface Options {
  readonly durability: "process" | "disk"
  readonly onFull?: OnFull
  readonly quota?: number
  readonly segmentSize?: number
  readonly sinks?: ReadonlyArray<string>
  /** A real directory instead of the simulated disk; nothing is killed there. */
  readonly directory?: string
}

/** The real one, without the waiting: what a process leaves is there for the next one anyway. */
export const unsynced: Disk = {
  ...node,
  sync: () => {},
  syncLater: (_file, done) => void setImmediate(done, undefined)
}

/** How a life ends; a kill and a loss of power close nothing. */
export type End = "close" | "kill" | "power"

interface SinkState {
  /** As text: what is durable, and what it becomes if the change under way is. */
  checkpoint: string | undefined
  readonly trying: Set<string>
  /** By series, what may be there: what was answered last, and what was tried since. */
  parked: Map<string, Set<string | undefined>>
  /** What it has got: a quota may take what another sink has got, and this one not. */
  readonly seen: Set<number>
  position: number
}

const text = (value: unknown): string => JSON.stringify(value)

/** Operations that never end when their process is dead: what is left of the one that it died in may still run. */
const mortal = (journal: Service, isDead: () => boolean): Service => {
  const until = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.flatMap(Effect.exit(effect), (exit) => (isDead() ? Effect.never : exit))
  return {
    ...journal,
    append: (batch) => until(journal.append(batch)),
    read: (sink, after, max) => until(journal.read(sink, after, max)),
    checkpoint: (sink, checkpoint) => until(journal.checkpoint(sink, checkpoint)),
    restore: (sink) => until(journal.restore(sink)),
    park: (sink, write, occurrences, reason) => until(journal.park(sink, write, occurrences, reason)),
    parked: (sink) => until(journal.parked(sink)),
    unpark: (sink, series) => until(journal.unpark(sink, series))
  }
}

export class Violation extends Error {}

const violated = (what: string): never => {
  throw new Violation(what)
}

/** Runs a scenario with a journal in a simulated world of its own. */
export const inWorld = <A>(
  seed: string,
  options: Options,
  scenario: (world: JournalWorld) => Effect.Effect<A>
): { readonly value: A; readonly counts: Readonly<Record<string, number>> } => {
  const { counts, exit, trace } = Simulation.run({ seed }, (simulation) =>
    scenario(new JournalWorld(simulation, options))
  )
  if (Exit.isSuccess(exit)) return { value: exit.value, counts }
  throw new Error([`seed ${seed}`, Cause.pretty(exit.cause), ...trace.slice(-60)].join("\n"))
}

/** What a journal must keep, beside a journal on a simulated disk that is killed, cut off and started again. */
export class JournalWorld {
  readonly simulation: Simulation.Simulation
  readonly dice: Simulation.Dice
  readonly machine: SimulatedDisk.SimulatedDisk
  private readonly host: Simulation.Process
  readonly options: Options
  private readonly sinks = new Map<string, SinkState>()
  private readonly accepted = new Map<number, string>()
  /** What an append tried to put there that was never answered. */
  private tried: { readonly from: number; readonly texts: ReadonlyArray<string> } | undefined
  /** What appends failed with: after a loss of power it may be there all the same, as it may after any failure. */
  private readonly refused = new Map<number, Set<string>>()
  /** What sinks have got: it may have been delivered. */
  private readonly seen = new Map<number, string>()
  private head = 0
  private body = 0
  /** Of every opening; and by seq, which of them accepted what is there. */
  private readonly origins = new Set<string>()
  private readonly acceptedBy = new Map<number, string>()

  constructor(simulation: Simulation.Simulation, options: Options) {
    this.simulation = simulation
    this.dice = simulation.dice.fork("journal")
    this.machine = SimulatedDisk.make(simulation)
    this.host = simulation.process("host")
    this.options = options
    for (const sink of options.sinks ?? ["a"]) {
      this.sinks.set(sink, {
        checkpoint: undefined,
        trying: new Set(),
        parked: new Map(),
        seen: new Set(),
        position: 0
      })
    }
  }

  private count(what: string, n = 1): void {
    this.simulation.count(what, n)
    if (what !== "read") this.simulation.trace(what)
  }

  private disk(): Disk {
    if (this.options.directory === undefined) return this.machine.diskOf(this.host)
    return { ...unsynced, syncLater: (_file, done) => this.simulation.soon(() => done(undefined)) }
  }

  open(): Effect.Effect<Service, JournalError, Scope.Scope> {
    return Effect.suspend(() =>
      fileJournal
        .make({
          directory: this.options.directory ?? "/data/journal",
          durability: this.options.durability,
          quota: this.options.quota ?? 1_000_000,
          onFull: this.options.onFull ?? "fail",
          segmentSize: this.options.segmentSize ?? 2_000,
          reserve: 4_096
        })
        .pipe(Effect.provideService(Disk, this.disk()))
    )
  }

  // -------------------------------------------------------------------------
  // one life
  // -------------------------------------------------------------------------

  /** Opens the journal, looks whether all is well, does some steps, and ends. */
  life(
    steps: ReadonlyArray<Step>,
    end: End,
    plan: SimulatedDisk.Plan = {}
  ): Effect.Effect<{ readonly died: boolean; readonly calls: number }> {
    return Effect.gen({ self: this }, function* () {
      const { host, machine, simulation } = this
      let ended = false
      const program = Effect.scoped(
        Effect.gen({ self: this }, function* () {
          const { life } = host
          const journal = mortal(yield* this.open(), () => !host.alive || host.life !== life)
          yield* this.verify(journal)
          for (const step of steps) {
            simulation.trace(text(step))
            yield* this.step(journal, step)
          }
          ended = true
          if (end === "close") return
          if (end === "kill") host.killUnsafe()
          else machine.cutPower()
          return yield* Effect.never
        })
      )
      simulation.trace(`life ${text({ end, ...plan })}`)
      machine.plan(plan)
      const life = yield* host.start(Effect.exit(program))
      const ending = yield* life.await
      const exit = Option.isSome(ending) && Exit.isSuccess(ending.value) ? ending.value.value : undefined
      const calls = machine.calls()
      if (exit !== undefined && Exit.isFailure(exit)) {
        const failure = Cause.findErrorOption(exit.cause)
        // A start may fail for what the disk does; anything else is wrong.
        if (failure._tag === "None") return yield* Effect.failCause(exit.cause as Cause.Cause<never>)
        const firstOnFullDisk = this.origins.size === 0 && failure.value.reason._tag === "JournalFull"
        if ((plan.faults ?? []).length === 0 && !firstOnFullDisk) return yield* Effect.die(failure.value)
        this.count(`start failed: ${failure.value.reason._tag}`)
      }
      if (end === "power") {
        if (!ended) machine.cutPower()
        this.powerWasCut = true
      }
      return { died: Option.isNone(ending) && !ended, calls }
    })
  }

  /** Since the last time that all was looked at. */
  private powerWasCut = false

  private occurrence(length: number): Occurrence {
    const n = ++this.body
    const { event } = first(n, { message: `${"x".repeat(length)} ünïcödé ${n}` })
    return { ...event, at: n }
  }

  private step(journal: Service, step: Step): Effect.Effect<void> {
    switch (step.do) {
      case "append":
        return this.append(journal, step.count, step.length ?? 20)
      case "read":
        return this.read(journal, step.sink, step.max)
      case "checkpoint":
        return this.checkpoint(journal, step.sink)
      case "park":
        return this.park(journal, step.sink, step.series, step.length ?? 20)
      case "unpark":
        return this.unpark(journal, step.sink, step.series)
    }
  }

  private append(journal: Service, count: number, length: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const batch = Array.from({ length: count }, () => this.occurrence(length))
      const texts = batch.map(text)
      this.tried = { from: this.head + 1, texts }
      return Effect.match(journal.append(batch), {
        onSuccess: (ids) => {
          this.tried = undefined
          if (ids.length !== count) violated(`${count} were appended, ${ids.length} answered`)
          ids.forEach((id, index) => {
            if (id.seq !== this.head + 1 + index) violated(`seq ${id.seq} after ${this.head + index}`)
            if (id.origin !== journal.origin) violated(`the origin of ${id.seq} is ${id.origin}`)
            this.accepted.set(id.seq, texts[index]!)
            this.acceptedBy.set(id.seq, id.origin)
          })
          this.head += count
          this.count("accepted", count)
        },
        onFailure: (error) => {
          this.tried = undefined
          for (const [index, body] of texts.entries()) {
            const seq = this.head + 1 + index
            this.refused.set(seq, (this.refused.get(seq) ?? new Set()).add(body))
          }
          this.count(`append ${error.reason._tag}`)
        }
      })
    })
  }

  private read(journal: Service, name: string, max: number): Effect.Effect<void> {
    const sink = this.sinks.get(name)!
    return Effect.match(journal.read(name, sink.position, max), {
      onSuccess: (page) => {
        let reached = sink.position
        const covered: Array<readonly [number, number]> = [
          ...page.entries.map(({ id }) => [id.seq, id.seq] as const),
          ...page.lost.map(({ from, to }) => [from, to] as const)
        ]
        covered.sort(([a], [b]) => a - b)
        for (const [from, to] of covered) {
          if (from !== reached + 1 || to < from) violated(`a page has ${from} to ${to} after ${reached}`)
          reached = to
        }
        if (reached !== page.reached) violated(`a page says it reached ${page.reached}, and reached ${reached}`)
        const wanted = Math.min(this.head, sink.position + max)
        if (reached !== wanted) violated(`a read after ${sink.position} of ${max} reached ${reached}, not ${wanted}`)
        for (const { id, occurrence } of page.entries) {
          if (id.origin !== this.acceptedBy.get(id.seq)) violated(`the origin of ${id.seq} is ${id.origin}`)
          if (this.accepted.get(id.seq) !== text(occurrence)) violated(`${id.seq} is not what was accepted`)
          this.seen.set(id.seq, text(occurrence))
          sink.seen.add(id.seq)
          this.count("read")
        }
        for (const { from, reason, to } of page.lost) {
          for (let seq = from; seq <= to; seq++) {
            if (sink.seen.has(seq)) violated(`${seq} was delivered before it was lost (${reason})`)
            if (this.accepted.has(seq) && reason !== "quota") violated(`${seq} is lost (${reason})`)
            this.accepted.delete(seq)
          }
          if (reason === "quota" && this.options.onFull !== "dropOldest") violated(`${from} to ${to} lost to a quota`)
          this.count(`lost ${reason}`, to - from + 1)
        }
        sink.position = reached
      },
      onFailure: (error) => this.count(`read ${error.reason._tag}`)
    })
  }

  private checkpoint(journal: Service, name: string): Effect.Effect<void> {
    const sink = this.sinks.get(name)!
    const made: Checkpoint = { upTo: sink.position, state: { position: sink.position, n: ++this.body }, target: "t" }
    const tried = text(made)
    sink.trying.add(tried)
    return Effect.match(journal.checkpoint(name, made), {
      onSuccess: () => {
        sink.checkpoint = tried
        sink.trying.clear()
        this.count("checkpoints")
      },
      // It may be the one that is found.
      onFailure: (error) => this.count(`checkpoint ${error.reason._tag}`)
    })
  }

  private park(journal: Service, name: string, series: number, length: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const sink = this.sinks.get(name)!
      const n = ++this.body
      const write = { ...first(series, { message: `${"p".repeat(length)} ${n}` }), upTo: n, count: n }
      const key = String(series)
      const parked = text({ write, occurrences: n, reason: "gone" })
      sink.parked.set(key, (sink.parked.get(key) ?? new Set([undefined])).add(parked))
      return Effect.match(journal.park(name, write, n, "gone"), {
        onSuccess: () => {
          sink.parked.set(key, new Set([parked]))
          this.count("parked")
        },
        onFailure: (error) => this.count(`park ${error.reason._tag}`)
      })
    })
  }

  private unpark(journal: Service, name: string, series: ReadonlyArray<number>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const sink = this.sinks.get(name)!
      for (const one of series) sink.parked.get(String(one))?.add(undefined)
      return Effect.match(
        journal.unpark(
          name,
          series.map((one) => first(one).id)
        ),
        {
          onSuccess: () => {
            for (const one of series) sink.parked.set(String(one), new Set([undefined]))
            this.count("unparked")
          },
          onFailure: (error) => this.count(`unpark ${error.reason._tag}`)
        }
      )
    })
  }

  // -------------------------------------------------------------------------
  // after a start
  // -------------------------------------------------------------------------

  private verify(journal: Service): Effect.Effect<void, JournalError> {
    return Effect.gen({ self: this }, function* () {
      const { durability, onFull } = this.options
      /** Whether everything accepted has to be there. */
      const strict = !this.powerWasCut || durability === "disk"
      if (this.origins.has(journal.origin)) violated("an origin of an earlier opening")
      this.origins.add(journal.origin)
      const head = yield* journal.head
      const { tried } = this
      const lastSeen = Math.max(0, ...this.seen.keys())
      if (head < (strict ? this.head : lastSeen)) violated(`the head is ${head}, and ${this.head} were accepted`)
      const refused = this.powerWasCut ? Math.max(0, ...this.refused.keys()) : 0
      if (head > Math.max(refused, this.head + (tried?.texts.length ?? 0)))
        violated(`the head is ${head}, at the most ${this.head} are`)
      const recovered = new Map<number, string>()
      const gone = new Set<number>()
      for (const [name, sink] of this.sinks) {
        const restored = yield* journal.restore(name)
        const found = restored === undefined ? undefined : text(restored)
        if (found !== sink.checkpoint && (found === undefined || !sink.trying.has(found)))
          violated(`the checkpoint of ${name} is ${found}`)
        sink.checkpoint = found
        sink.trying.clear()
        sink.position = restored?.upTo ?? 0
        if (sink.position > head) violated(`the checkpoint of ${name} is at ${sink.position}, the head at ${head}`)
        const parked = new Map(
          (yield* journal.parked(name)).map(({ at: _, ...one }: Parked) => [String(one.write.id.seq), text(one)])
        )
        for (const key of new Set([...parked.keys(), ...sink.parked.keys()])) {
          if (!(sink.parked.get(key) ?? new Set([undefined])).has(parked.get(key)))
            violated(`parked ${key} is ${parked.get(key)}`)
        }
        sink.parked = new Map([...parked].map(([key, one]) => [key, new Set([one])]))
        let after = sink.position
        while (after < head) {
          const max = this.dice.integer(1, 20)
          const page = yield* journal.read(name, after, max)
          if (page.reached <= after || page.reached > after + max)
            violated(`a read after ${after} reached ${page.reached}`)
          let reached = after
          const missing = (to: number) => {
            for (; reached < to; reached++) {
              const seq = reached + 1
              const lost = page.lost.find(({ from, to }) => from <= seq && seq <= to)
              if (lost === undefined) violated(`${seq} is neither there nor lost`)
              const quota = lost!.reason === "quota" && onFull === "dropOldest"
              if ((quota ? sink.seen : this.seen).has(seq))
                violated(`${seq} was delivered and is lost (${lost!.reason})`)
              if (strict && this.accepted.has(seq) && !quota) violated(`${seq} was accepted and is lost`)
              gone.add(seq)
              this.count(`found lost ${lost!.reason}`)
            }
          }
          for (const { id, occurrence } of page.entries) {
            missing(id.seq - 1)
            if (id.seq !== reached + 1) violated(`${id.seq} comes after ${reached}`)
            reached = id.seq
            const body = text(occurrence)
            const wasTried = tried?.texts[id.seq - tried.from]
            if (this.seen.has(id.seq) && this.seen.get(id.seq) !== body) violated(`${id.seq} was something else once`)
            const wasRefused = this.powerWasCut && this.refused.get(id.seq)?.has(body) === true
            if (body !== this.accepted.get(id.seq) && body !== wasTried && !wasRefused)
              violated(`${id.seq} is an invention: ${body}`)
            if (body === this.accepted.get(id.seq) && id.origin !== this.acceptedBy.get(id.seq)) {
              violated(`${id.seq} was accepted by ${this.acceptedBy.get(id.seq)}, and is read as of ${id.origin}`)
            }
            if (!this.origins.has(id.origin)) violated(`${id.seq} is of ${id.origin}, which was never opened`)
            this.acceptedBy.set(id.seq, id.origin)
            recovered.set(id.seq, body)
          }
          missing(page.reached)
          after = page.reached
        }
        // It has read all of it, and may have delivered it.
        for (const [seq, body] of recovered) {
          if (seq <= sink.position) continue
          this.seen.set(seq, body)
          sink.seen.add(seq)
        }
      }
      if (tried !== undefined) {
        const { from, texts } = tried
        const there = texts.filter((body, index) => recovered.get(from + index) === body).length
        if (strict && there !== 0 && there !== texts.length) {
          violated(`of an append of ${texts.length} that was not answered, ${there} are there`)
        }
        this.count(there === 0 ? "unanswered and gone" : "unanswered and there")
      }
      this.tried = undefined
      this.powerWasCut = false
      for (const seq of [...this.accepted.keys()]) if (seq > head || gone.has(seq)) this.accepted.delete(seq)
      for (const [seq, body] of recovered) this.accepted.set(seq, body)
      if (head < this.head) this.count("fewer than accepted")
      this.head = head
    })
  }
}
