import type { Micros } from "@tidings/core/Timestamp"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import { SeededDice } from "./dice.ts"
import type { Life, LogLine, Process, Simulation } from "./simulatedWorld.ts"

/** When every run begins, in 2030, so that no time in it is negative. */
const BEGINNING: Micros = 1_900_000_000_000_000

/** How many lines of the trace are kept for the report of a failure. */
const KEPT_LINES = 400

/** Effect's own default: a fiber that never waits yields after so many operations. */
const MAXIMUM_OPERATIONS = 2_048

type Task = () => void

interface Timer {
  readonly at: Micros
  readonly order: number
  readonly owner: SimulatedProcess | undefined
  readonly run: Task
  cancelled: boolean
}

interface Ready {
  readonly owner: SimulatedProcess | undefined
  readonly life: number
  readonly run: Task
}

/** A binary heap by time, then by order of registration. */
class TimerHeap {
  private readonly heap: Array<Timer> = []

  get size(): number {
    return this.heap.length
  }

  peek(): Timer | undefined {
    return this.heap[0]
  }

  push(timer: Timer): void {
    const { heap } = this
    let index = heap.length
    heap.push(timer)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!before(timer, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = timer
  }

  pop(): Timer | undefined {
    const { heap } = this
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let index = 0
    while (true) {
      let child = index * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
    return first
  }
}

const before = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** @internal */
export interface Budget {
  readonly maximumSteps: number
  readonly maximumTime: Micros
}

/**
 * Runs processes on one thread, in an order that the seed alone decides.
 *
 * @internal
 */
export class Kernel implements Simulation {
  readonly seed: string
  readonly dice: SeededDice
  readonly counts: Record<string, number> = {}
  readonly logs: Array<LogLine> = []
  steps = 0
  private readonly order: SeededDice
  private readonly yields: SeededDice
  /** Maximum number of operations between two random yields; differs between runs. */
  private readonly stride: number
  private time: Micros = BEGINNING
  private readonly ready: Array<Ready> = []
  private readonly timers = new TimerHeap()
  private registered = 0
  private readonly invariants: Array<{ readonly name: string; readonly check: () => void }> = []
  private readonly lines: Array<string> = []
  private dropped = 0
  private low = 0x811c9dc5
  private high = 0x1b873593
  private failure: { readonly error: unknown } | undefined

  constructor(seed: string) {
    this.seed = seed
    this.dice = new SeededDice(seed)
    this.order = this.dice.fork("order")
    this.yields = this.dice.fork("yields")
    this.stride = this.yields.pick([10, 50, 50, 400, 400, MAXIMUM_OPERATIONS])
  }

  // -------------------------------------------------------------------------
  // for scenarios
  // -------------------------------------------------------------------------

  now(): Micros {
    return this.time
  }

  elapsed(): Duration.Duration {
    return Duration.micros(BigInt(this.time - BEGINNING))
  }

  process(name: string, options?: { readonly skew?: Duration.Input | undefined }): SimulatedProcess {
    return new SimulatedProcess(this, name, Duration.toMillis(options?.skew ?? 0) * 1_000)
  }

  after(delay: Duration.Input, action: () => void): { readonly cancel: () => void } {
    return this.startTimer(Math.max(0, Math.round(Duration.toMillis(delay) * 1_000)), undefined, action)
  }

  soon(action: () => void): void {
    this.ready.push({ owner: undefined, life: 0, run: action })
  }

  invariant(name: string, check: () => void): void {
    this.invariants.push({ name, check })
  }

  fail(error: unknown): void {
    this.failure ??= { error }
  }

  count(what: string, n = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + n
  }

  trace(line: string): void {
    for (let index = 0; index < line.length; index++) this.mix(line.charCodeAt(index))
    if (this.lines.length >= 2 * KEPT_LINES) {
      this.dropped += KEPT_LINES
      this.lines.splice(0, KEPT_LINES)
    }
    this.lines.push(`${this.stamp()} ${line}`)
  }

  // -------------------------------------------------------------------------
  // for processes
  // -------------------------------------------------------------------------

  startTimer(delay: Micros, owner: SimulatedProcess | undefined, run: Task): { readonly cancel: () => void } {
    const timer: Timer = { at: this.time + delay, order: this.registered++, owner, run, cancelled: false }
    const life = owner?.life ?? 0
    this.timers.push(
      owner === undefined
        ? timer
        : Object.assign(timer, {
            run: () => {
              if (owner.alive && owner.life === life) run()
            }
          })
    )
    return {
      cancel: () => {
        timer.cancelled = true
      }
    }
  }

  enqueue(owner: SimulatedProcess, life: number, run: Task): void {
    this.ready.push({ owner, life, run })
  }

  /** How many operations a process may do before it yields. */
  drawStride(): number {
    return 1 + Math.floor(this.yields.next() * this.stride)
  }

  // -------------------------------------------------------------------------
  // running
  // -------------------------------------------------------------------------

  run<A, E>(scenario: (simulation: Simulation) => Effect.Effect<A, E>, budget: Budget): Exit.Exit<A, E> {
    const world = this.process("world")
    let fiber: Fiber.Fiber<A, E> | undefined
    world.begin(() => {
      fiber = Effect.runForkWith(world.context())(Effect.suspend(() => scenario(this)))
    })
    while (true) {
      if (this.failure !== undefined) return Exit.die(this.failure.error)
      const exit = fiber?.pollUnsafe()
      if (exit !== undefined) return exit
      if (this.ready.length === 0 && !this.advance()) {
        return Exit.die(
          new Error("the run is stuck: nothing is ready, no timer is set, and the scenario has not ended")
        )
      }
      if (this.time - BEGINNING > budget.maximumTime) {
        return Exit.die(new Error(`the run is still going after ${Duration.format(this.elapsed())} of its time`))
      }
      if (++this.steps > budget.maximumSteps) {
        const moment = Duration.format(this.elapsed())
        return Exit.die(new Error(`the run is still going after ${budget.maximumSteps} steps (${moment} of its time)`))
      }
      this.step()
    }
  }

  private step(): void {
    const { ready } = this
    const index = ready.length === 1 ? 0 : this.order.integer(0, ready.length - 1)
    const task = ready[index]!
    const last = ready.pop()!
    if (index < ready.length) ready[index] = last
    const { life, owner } = task
    if (owner !== undefined && (!owner.alive || owner.life !== life)) return
    this.mix(index)
    this.mix(owner === undefined ? 0 : owner.number)
    try {
      task.run()
      for (const { check } of this.invariants) check()
    } catch (error) {
      this.fail(error)
    }
  }

  /** Moves time to the next timer; false when there is none. */
  private advance(): boolean {
    const { timers } = this
    while (timers.peek()?.cancelled === true) timers.pop()
    const first = timers.peek()
    if (first === undefined) return false
    this.time = Math.max(this.time, first.at)
    this.mix(this.time)
    while (timers.peek() !== undefined && timers.peek()!.at <= this.time) {
      const timer = timers.pop()!
      if (!timer.cancelled) {
        // A timer that is cancelled in the same moment, before its turn, must not run.
        this.soon(() => {
          if (!timer.cancelled) timer.run()
        })
      }
    }
    return true
  }

  private processes = 0
  nextNumber(): number {
    return ++this.processes
  }

  // -------------------------------------------------------------------------
  // reports
  // -------------------------------------------------------------------------

  private mix(value: number): void {
    this.low = Math.imul(this.low ^ (value | 0), 0x01000193)
    this.high = Math.imul(this.high ^ (this.low >>> 13) ^ (value | 0), 0x5bd1e995)
  }

  digest(): string {
    const word = (value: number) => (value >>> 0).toString(16).padStart(8, "0")
    return word(this.low) + word(this.high)
  }

  keptLines(): ReadonlyArray<string> {
    const skipped = Math.max(0, this.lines.length - KEPT_LINES) + this.dropped
    const kept = this.lines.slice(-KEPT_LINES)
    return skipped === 0 ? kept : [`(${skipped} earlier lines)`, ...kept]
  }

  private stamp(): string {
    const seconds = (this.time - BEGINNING) / 1_000_000
    return `+${seconds.toFixed(6)}s`
  }
}

/** @internal */
export class SimulatedProcess implements Process {
  readonly name: string
  readonly number: number
  alive = false
  life = 0
  private readonly kernel: Kernel
  private skew: Micros
  private operations = 0
  private readonly exitListeners = new Set<() => void>()

  constructor(kernel: Kernel, name: string, skew: Micros) {
    this.kernel = kernel
    this.name = name
    this.skew = skew
    this.number = kernel.nextNumber()
  }

  /** Begins a new life. */
  begin(run: Task): void {
    if (this.alive) throw new Error(`the process "${this.name}" is alive already: kill it, or let its program end`)
    this.alive = true
    this.life++
    this.operations = 0
    this.kernel.trace(`${this.name}: life ${this.life} begins`)
    this.kernel.enqueue(this, this.life, run)
  }

  start<A, E>(program: Effect.Effect<A, E>): Effect.Effect<Life<A, E>> {
    return Effect.sync(() => {
      let ended: Option.Option<Exit.Exit<A, E>> | undefined
      const waiting = new Set<() => void>()
      const end = (how: Option.Option<Exit.Exit<A, E>>) => {
        if (ended !== undefined) return
        ended = how
        this.exitListeners.delete(onKill)
        for (const wake of [...waiting]) wake()
      }
      const onKill = () => end(Option.none())
      this.exitListeners.add(onKill)
      this.begin(() => {
        const number = this.life
        Effect.runForkWith(this.context())(program).addObserver((exit) => {
          if (!this.alive || this.life !== number) return
          this.alive = false
          const how = Exit.isSuccess(exit) ? "ends" : `ends in failure: ${String(Cause.squash(exit.cause))}`
          this.kernel.trace(`${this.name}: life ${number} ${how}`)
          end(Option.some(exit))
        })
      })
      return {
        number: this.life,
        await: Effect.callback<Option.Option<Exit.Exit<A, E>>>((resume) => {
          const wake = () => resume(Effect.succeed(ended!))
          if (ended !== undefined) wake()
          else waiting.add(wake)
          return Effect.sync(() => waiting.delete(wake))
        })
      }
    })
  }

  readonly kill: Effect.Effect<boolean> = Effect.sync(() => this.killUnsafe())

  killUnsafe(): boolean {
    if (!this.alive) return false
    this.alive = false
    this.kernel.trace(`${this.name}: life ${this.life} is killed`)
    const exitListeners = [...this.exitListeners]
    this.exitListeners.clear()
    // What waits for the end of this life is not part of it, so it runs in a later step.
    for (const tell of exitListeners) this.kernel.soon(tell)
    return true
  }

  adjustClock(by: Duration.Input): Effect.Effect<void> {
    return Effect.sync(() => {
      const micros = Math.round(Duration.toMillis(by) * 1_000)
      this.skew += micros
      this.kernel.trace(`${this.name}: its clock moves by ${micros / 1_000} ms`)
    })
  }

  private wall(): Micros {
    return this.kernel.now() + this.skew
  }

  /** The scheduler, clock, random numbers, metrics and loggers of one life of this process. */
  context(): Context.Context<never> {
    const { kernel } = this
    const { life } = this
    const living = () => this.alive && this.life === life
    const dice = kernel.dice.fork(`${this.name}/${life}`)

    const dispatcher: Scheduler.SchedulerDispatcher = {
      scheduleTask: (task) => {
        if (living()) kernel.enqueue(this, life, task)
      },
      flush: () => {}
    }
    const scheduler: Scheduler.Scheduler = {
      executionMode: "async",
      // A dead process stops at its next operation, wherever it is: that is why a kill runs no finalizer.
      // Never at the first operation of a turn, as with Effect's own scheduler: a fiber that is interrupted before it has begun ends
      // with that operation, and would begin after all if it yielded there.
      shouldYield: ({ currentOpCount }) => {
        if (!living()) return true
        if (--this.operations > 0 || currentOpCount < 2) return false
        this.operations = kernel.drawStride()
        return true
      },
      makeDispatcher: () => dispatcher
    }

    const nanos = () => BigInt(this.wall()) * 1_000n
    const millis = () => Math.floor(this.wall() / 1_000)
    const monotonic = () => BigInt(kernel.now()) * 1_000n
    const clock: Clock.Clock = {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: monotonic,
      monotonicTimeNanos: Effect.sync(monotonic),
      sleep: (duration) =>
        Effect.callback((resume) => {
          const micros = Duration.isFinite(duration)
            ? Math.max(0, Math.round(Duration.toMillis(duration) * 1_000))
            : undefined
          if (micros === undefined) return
          const timer = kernel.startTimer(micros, this, () => resume(Effect.void))
          return Effect.sync(timer.cancel)
        })
    }

    const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
      if (!living()) return
      const text = Array.isArray(message) ? message.map(String).join(" ") : String(message)
      kernel.logs.push({ process: this.name, life, at: kernel.now(), level: logLevel, message: text })
      kernel.trace(`${this.name}: ${logLevel} ${text}`)
    })

    return Context.empty().pipe(
      Context.add(Scheduler.Scheduler, scheduler),
      Context.add(Clock.Clock, clock),
      Context.add(Random.Random, {
        nextDoubleUnsafe: () => dice.next(),
        nextIntUnsafe: () =>
          Math.floor(dice.next() * (Number.MAX_SAFE_INTEGER - Number.MIN_SAFE_INTEGER + 1)) + Number.MIN_SAFE_INTEGER
      }),
      Context.add(
        SecureRandom.SecureRandom,
        SecureRandom.make((size) => Uint8Array.from({ length: size }, () => dice.bits() & 0xff))
      ),
      Context.add(Metric.MetricRegistry, new Map()),
      Context.add(Logger.CurrentLoggers, new Set([logger]))
    )
  }
}
