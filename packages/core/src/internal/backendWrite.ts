/**
 * One write to a backend, as every recorder makes it: started at once, its answer awaited for a limited time.
 *
 * - A backend that answers in the same turn (memory, the event log) costs neither a timer nor a wake-up.
 * - It never fails. What is thrown, a failure, a defect, a timeout and a missing answer become outcomes (`outcomes.ts`).
 * - A write that has timed out is interrupted, and what it answers after that is ignored.
 */
import type * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Backend from "../Backend.ts"
import type { BackendError } from "../BackendError.ts"
import type { Write } from "../Event.ts"
import * as outcomes from "./outcomes.ts"

/** @internal */
export type RunFork = ReturnType<typeof Effect.runForkWith<never>>

type WriteExit = Exit.Exit<Outcomes, BackendError>

/**
 * One outcome for each item of a write, in the same order.
 *
 * @internal
 */
export type Outcomes = ReadonlyArray<Backend.Outcome>

/**
 * A write that has not answered in the turn in which it was started.
 *
 * @internal
 */
export class RunningWrite {
  readonly fiber: Fiber.Fiber<Outcomes, BackendError>
  private readonly timer: Fiber.Fiber<void>
  private outcomes: Outcomes | undefined
  private listener: ((outcomes: Outcomes) => void) | undefined

  constructor(
    fiber: Fiber.Fiber<Outcomes, BackendError>,
    count: number,
    deadline: { readonly reached: Effect.Effect<void>; readonly exit: WriteExit },
    runFork: RunFork
  ) {
    this.fiber = fiber
    this.outcomes = undefined
    this.listener = undefined
    this.timer = runFork(
      Effect.andThen(
        deadline.reached,
        Effect.sync(() => {
          this.answer(outcomes.ofExit(deadline.exit, count))
          fiber.interruptUnsafe()
        })
      )
    )
    fiber.addObserver((exit) => {
      this.timer.interruptUnsafe()
      this.answer(outcomes.ofExit(exit, count))
    })
  }

  /** Calls `listener` once, when the outcomes are known. A write has one listener. */
  onAnswer(listener: (outcomes: Outcomes) => void): void {
    if (this.outcomes === undefined) this.listener = listener
    else listener(this.outcomes)
  }

  /** For a caller that does not wait for the answer any more. */
  interrupt(): void {
    this.listener = undefined
    this.timer.interruptUnsafe()
    this.fiber.interruptUnsafe()
  }

  /** The first answer counts. */
  private answer(outcomes: Outcomes): void {
    if (this.outcomes !== undefined) return
    this.outcomes = outcomes
    this.listener?.(outcomes)
  }
}

/** @internal */
export class BackendWriter {
  private readonly backend: Backend.Service
  private readonly deadline: { readonly reached: Effect.Effect<void>; readonly exit: WriteExit }

  constructor(backend: Backend.Service, clock: Clock.Clock, timeout: Duration.Duration) {
    this.backend = backend
    this.deadline = { reached: clock.sleep(timeout), exit: Exit.fail(outcomes.timedOutAfter(timeout)) }
  }

  /** Starts a write; returns its outcomes where the backend answers at once. */
  start(batch: ReadonlyArray<Write>, runFork: RunFork): Outcomes | RunningWrite {
    let writing: Effect.Effect<Outcomes, BackendError>
    try {
      writing = this.backend.write(batch)
    } catch (thrown) {
      return outcomes.ofExit(Exit.die(thrown), batch.length)
    }
    const fiber = runFork(writing)
    const exit = fiber.pollUnsafe()
    return exit === undefined
      ? new RunningWrite(fiber, batch.length, this.deadline, runFork)
      : outcomes.ofExit(exit, batch.length)
  }

  /** Writes and waits for the outcomes. Where it is interrupted, so is the write, and `interrupted` is called. */
  write(batch: ReadonlyArray<Write>, interrupted?: () => void): Effect.Effect<Outcomes> {
    return Effect.contextWith((services) => outcomesOf(this.start(batch, Effect.runForkWith(services)), interrupted))
  }
}

/**
 * Waits for the outcomes of a write that was started. Where it is interrupted, so is the write, and `interrupted` is called.
 *
 * @internal
 */
export const outcomesOf = (started: Outcomes | RunningWrite, interrupted?: () => void): Effect.Effect<Outcomes> =>
  started instanceof RunningWrite
    ? Effect.callback((resume) => {
        started.onAnswer((outcomes) => resume(Effect.succeed(outcomes)))
        return Effect.sync(() => {
          started.interrupt()
          interrupted?.()
        })
      })
    : Effect.succeed(started)
