/**
 * The world of a run: what scenarios, processes and stand-ins for the outside see of it. `Simulation` exports these types.
 *
 * @internal
 */
import type { Micros } from "@tidings/core/Timestamp"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Option from "effect/Option"

/**
 * Random numbers that are determined by the seed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dice {
  /** From 0, inclusive, to 1, exclusive. */
  readonly next: () => number
  /** A whole number between both, inclusive. */
  readonly integer: (minimum: number, maximum: number) => number
  /** True with this probability. */
  readonly chance: (probability: number) => boolean
  /** One of a list that is not empty. */
  readonly pick: <A>(from: ReadonlyArray<A>) => A
  /** An independent stream of numbers: drawing from it does not change what others draw. */
  readonly fork: (name: string) => Dice
}

/**
 * One life of a process.
 *
 * @category models
 * @since 0.1.0
 */
export interface Life<A, E> {
  /** From 1. */
  readonly number: number
  /** How the program ended; none when it was killed. */
  readonly await: Effect.Effect<Option.Option<Exit.Exit<A, E>>>
}

/**
 * A process of the simulated world: it is started, killed and started again. What it must not lose has to stand outside of
 * it, on a `SimulatedDisk` or in a `SimulatedJournal`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Process {
  readonly name: string
  readonly alive: boolean
  /** The number of the life that it has or last had, from 1; 0 before the first. */
  readonly life: number
  /**
   * Runs a program with the scheduler, the clock and the random numbers of the simulation, and with metrics and loggers of
   * its own. The process is alive until the program ends. Starting a process that is alive is a defect.
   */
  readonly start: <A, E>(program: Effect.Effect<A, E>) => Effect.Effect<Life<A, E>>
  /**
   * As `kill -9`: from now on nothing of this life runs, no finalizer either. False when it was not alive.
   */
  readonly kill: Effect.Effect<boolean>
  /**
   * Kills the process from inside of one of its steps, for example from a simulated disk that it calls: the running
   * operation ends, and nothing runs after it.
   */
  readonly killUnsafe: () => boolean
  /** Moves the wall clock of this process, forward or, when negative, back. Its monotonic clock goes on. */
  readonly adjustClock: (by: Duration.Input) => Effect.Effect<void>
}

/**
 * A line that a process logged.
 *
 * @category models
 * @since 0.1.0
 */
export interface LogLine {
  readonly process: string
  readonly life: number
  readonly at: Micros
  readonly level: string
  readonly message: string
}

/**
 * The world of one run, as its scenario sees it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Simulation {
  readonly seed: string
  /** For the decisions of the scenario. */
  readonly dice: Dice
  /** The true time; processes may see another. */
  readonly now: () => Micros
  /** How much time has passed since the run began. */
  readonly elapsed: () => Duration.Duration
  /** Makes a process. `skew` is how far its wall clock is ahead of the true time, or behind when negative. */
  readonly process: (name: string, options?: { readonly skew?: Duration.Input | undefined }) => Process
  /** Runs an action outside of every process, so that no kill prevents it. */
  readonly after: (delay: Duration.Input, action: () => void) => { readonly cancel: () => void }
  /** Runs an action outside of every process in one of the next steps. */
  readonly soon: (action: () => void) => void
  /** Checked after every step; what it throws fails the run. */
  readonly invariant: (name: string, check: () => void) => void
  /** Fails the run. */
  readonly fail: (error: unknown) => void
  /** Counts that something happened: see `sometimes` of `campaign`. */
  readonly count: (what: string, n?: number) => void
  readonly counts: Readonly<Record<string, number>>
  /** Adds a line to the trace, which becomes part of the digest. */
  readonly trace: (line: string) => void
  /** What processes have logged so far. */
  readonly logs: ReadonlyArray<LogLine>
}
