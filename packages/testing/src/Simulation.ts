/**
 * Whole runs of a program in a world where the seed decides everything: which fiber goes next, what time it is, what
 * every random number is, and when a process is killed.
 *
 * Effect's scheduler, clock and random numbers are services, so a program is simulated as it is, without a seam of its
 * own. No real time passes: hours of retries take milliseconds. Equal seeds give equal runs, so a seed that fails is the
 * reproducer, and belongs into the tests.
 *
 * What is simulated must stay inside Effect: promises, `setTimeout` and real I/O happen outside of the simulated world,
 * which does not wait for them. Stand-ins for the outside, such as `SimulatedDisk`, `SimulatedBackend` and
 * `SimulatedJournal`, take their turns through the simulation.
 *
 * **Example** (A process that is killed in the middle)
 *
 * ```ts
 * import * as Simulation from "@tidings/testing/Simulation"
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import assert from "node:assert/strict"
 *
 * const run = Simulation.run({ seed: 1 }, (simulation) =>
 *   Effect.gen(function* () {
 *     const written: Array<string> = []
 *     const host = simulation.process("host")
 *     const program = Effect.gen(function* () {
 *       written.push("begun")
 *       yield* Effect.sleep("1 hour")
 *       written.push("done")
 *     }).pipe(Effect.ensuring(Effect.sync(() => written.push("closed"))))
 *
 *     yield* host.start(program)
 *     yield* Effect.sleep("30 minutes")
 *     yield* host.kill
 *     const life = yield* host.start(program)
 *     yield* life.await
 *     return written
 *   })
 * )
 * // No finalizer runs in a process that is killed.
 * assert.deepEqual(run.exit, Exit.succeed(["begun", "begun", "done", "closed"]))
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { LogLine, Simulation } from "./internal/simulatedWorld.ts"
import { Kernel } from "./internal/simulationKernel.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

export type { Dice, Life, LogLine, Process, Simulation } from "./internal/simulatedWorld.ts"

/**
 * What a run came to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Run<A, E> {
  readonly seed: string
  readonly exit: Exit.Exit<A, E>
  /** Of every step and every line of the trace: equal runs have equal digests. */
  readonly digest: string
  readonly steps: number
  /** How much time of its own the run took. */
  readonly elapsed: Duration.Duration
  readonly counts: Readonly<Record<string, number>>
  readonly logs: ReadonlyArray<LogLine>
  /** The last lines of the trace. */
  readonly trace: ReadonlyArray<string>
}

/**
 * How long a run may become before it counts as hanging.
 *
 * @category options
 * @since 0.1.0
 */
export interface Limits {
  /** 1,000,000 unless given. */
  readonly maximumSteps?: number | undefined
  /** Of the time of the run; 30 days unless given. */
  readonly maximumTime?: Duration.Input | undefined
}

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/**
 * A seed for which the scenario does not hold.
 *
 * @category errors
 * @since 0.1.0
 */
export class SeedFailed extends Data.TaggedClass("SeedFailed")<{
  readonly seed: string
  readonly cause: Cause.Cause<unknown>
  readonly steps: number
  readonly elapsed: Duration.Duration
  readonly trace: ReadonlyArray<string>
  /** Runs this seed alone. */
  readonly command: string
}> {}

/**
 * Two runs of one seed that differ: something in them does not come from the simulation.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotDeterministic extends Data.TaggedClass("NotDeterministic")<{
  readonly seed: string
  readonly command: string
}> {}

/**
 * What should have happened at least once in a campaign and never did: the campaign proves less than it seems to.
 *
 * @category errors
 * @since 0.1.0
 */
export class NeverHappened extends Data.TaggedClass("NeverHappened")<{
  readonly what: ReadonlyArray<string>
  readonly seeds: number
}> {}

const SHOWN_LINES = 60

const describe = (reason: SeedFailed | NotDeterministic | NeverHappened): string => {
  switch (reason._tag) {
    case "SeedFailed":
      return [
        `seed ${reason.seed} fails after ${reason.steps} steps and ${Duration.format(reason.elapsed)} of its time`,
        Cause.pretty(reason.cause),
        "the last of its trace:",
        ...reason.trace.slice(-SHOWN_LINES).map((line) => `  ${line}`),
        `to run this seed alone: ${reason.command}`
      ].join("\n")
    case "NotDeterministic":
      return `two runs of seed ${reason.seed} differ: something in them is not simulated; compare them with: ${reason.command}`
    case "NeverHappened":
      return `never happened in ${reason.seeds} seeds: ${reason.what.join(", ")}`
  }
}

/**
 * A campaign that did not hold, with a tagged `reason`.
 *
 * @category errors
 * @since 0.1.0
 */
export class SimulationError extends Data.TaggedError("SimulationError")<{
  readonly campaign: string
  readonly reason: SeedFailed | NotDeterministic | NeverHappened
}> {
  override get message(): string {
    return `${this.campaign}: ${describe(this.reason)}`
  }
}

// ---------------------------------------------------------------------------
// running
// ---------------------------------------------------------------------------

/**
 * Runs a scenario once, now and to its end.
 *
 * The scenario is an effect in a process that is never killed. It ends the run when it ends, whatever the other processes
 * are at.
 *
 * @category running
 * @since 0.1.0
 */
export const run = <A, E>(
  options: Limits & { readonly seed: number | string },
  scenario: (simulation: Simulation) => Effect.Effect<A, E>
): Run<A, E> => {
  const kernel = new Kernel(String(options.seed))
  const exit = kernel.run(scenario, {
    maximumSteps: options.maximumSteps ?? 1_000_000,
    maximumTime: Duration.toMillis(options.maximumTime ?? "30 days") * 1_000
  })
  return {
    seed: kernel.seed,
    exit,
    digest: kernel.digest(),
    steps: kernel.steps,
    elapsed: kernel.elapsed(),
    counts: kernel.counts,
    logs: kernel.logs,
    trace: kernel.keptLines()
  }
}

/**
 * What a campaign came to, all seeds together.
 *
 * @category models
 * @since 0.1.0
 */
export interface Campaign {
  readonly seeds: number
  readonly steps: number
  /** The time of all runs together, of their own. */
  readonly elapsed: Duration.Duration
  readonly counts: Readonly<Record<string, number>>
}

/** One of this many seeds is run twice. */
const COMPARED = 64

/** Number of seeds that are run before other fibers can run. */
const AT_ONCE = 16

/**
 * Runs a scenario with many seeds, and fails with the first that fails.
 *
 * The error says how to run that seed alone: `TIDINGS_SEED` in front of `command`. `TIDINGS_SEEDS` runs another number of
 * seeds than `seeds`. Every now and then a seed is run twice, to prove that its runs are equal.
 *
 * `sometimes` names what `count` must have counted at least once in the whole campaign: each kind of fault, each branch of
 * interest. A campaign in which one of them never happens proves nothing about it, so it fails.
 *
 * **Example** (A counter that two fibers share without care)
 *
 * ```ts
 * import * as Simulation from "@tidings/testing/Simulation"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const careless = (simulation: Simulation.Simulation) =>
 *   Effect.gen(function* () {
 *     let total = 0
 *     const add = Effect.gen(function* () {
 *       const read = total
 *       yield* Effect.sleep(`${simulation.dice.integer(0, 3)} millis`)
 *       total = read + 1
 *     })
 *     yield* Effect.all([add, add], { concurrency: "unbounded" })
 *     if (total !== 2) return yield* Effect.die(new Error(`2 were added, the total is ${total}`))
 *   })
 *
 * const failure = await Effect.runPromise(
 *   Effect.flip(Simulation.campaign({ name: "counter", seeds: 100, command: "npm test" }, careless))
 * )
 * assert.match(failure.message, /the total is 1/)
 * assert.match(failure.message, /TIDINGS_SEED=1 npm test/)
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const campaign = <A, E>(
  options: Limits & {
    readonly name: string
    readonly seeds: number
    /** The command that runs the test of this campaign. */
    readonly command: string
    readonly sometimes?: ReadonlyArray<string> | undefined
  },
  scenario: (simulation: Simulation) => Effect.Effect<A, E>
): Effect.Effect<Campaign, SimulationError> =>
  Effect.gen(function* () {
    const given = yield* environment
    const single = given.seed
    const seeds = single === undefined ? (given.seeds ?? options.seeds) : 1
    const counts: Record<string, number> = {}
    const fail = (reason: SeedFailed | NotDeterministic | NeverHappened) =>
      Effect.fail(new SimulationError({ campaign: options.name, reason }))
    let steps = 0
    let elapsed = Duration.zero
    for (let n = 1; n <= seeds; n++) {
      const seed = single ?? String(n)
      const command = `TIDINGS_SEED=${seed} ${options.command}`
      const one = run({ ...options, seed }, scenario)
      if (Exit.isFailure(one.exit)) {
        return yield* fail(
          new SeedFailed({
            seed,
            cause: one.exit.cause,
            steps: one.steps,
            elapsed: one.elapsed,
            trace: one.trace,
            command
          })
        )
      }
      if (n % COMPARED === 1 && run({ ...options, seed }, scenario).digest !== one.digest) {
        return yield* fail(new NotDeterministic({ seed, command }))
      }
      steps += one.steps
      elapsed = Duration.sum(elapsed, one.elapsed)
      for (const [what, times] of Object.entries(one.counts)) counts[what] = (counts[what] ?? 0) + times
      if (n % AT_ONCE === 0) yield* Effect.yieldNow
    }
    const never = (options.sometimes ?? []).filter((what) => (counts[what] ?? 0) === 0)
    if (never.length > 0 && single === undefined) return yield* fail(new NeverHappened({ what: never, seeds }))
    return { seeds, steps, elapsed, counts }
  })

const environment = Effect.all({
  seed: Effect.map(Effect.orDie(Config.option(Config.String("TIDINGS_SEED"))), Option.getOrUndefined),
  seeds: Effect.map(Effect.orDie(Config.option(Config.Int("TIDINGS_SEEDS"))), Option.getOrUndefined)
})
