/**
 * One write to a backend, as every recorder makes it: started at once, its answer awaited for a limited time.
 *
 * - A backend that answers in the same turn (memory, the event log) costs neither a timer nor a wake-up.
 * - It never fails. What is thrown, a failure, a defect, a timeout and a missing answer become outcomes (`outcomes.ts`).
 * - A write that has timed out is interrupted, and what it answers after that is ignored.
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { MergedWrite, type Outcome, type Service } from "../Backend.ts"
import type { BackendError } from "../BackendError.ts"
import type { Write } from "../Event.ts"
import * as outcomes from "./outcomes.ts"

/** @internal */
export type RunFork = ReturnType<typeof Effect.runForkWith<never>>

/** @internal */
export type Caller = Fiber.Fiber<unknown, unknown>

type WriteExit = Exit.Exit<Outcomes, BackendError>

/**
 * One outcome for each item of a write, in the same order.
 *
 * @internal
 */
export type Outcomes = ReadonlyArray<Outcome>

/** An object and not a function, because a recorder has one for each event in any case. */
interface Listener {
  readonly answered: (outcomes: Outcomes) => void
}

/**
 * A write that has not answered in the turn in which it was started.
 *
 * @internal
 */
export abstract class RunningWrite {
  protected readonly count: number
  private readonly deadlines: Deadlines
  private known: Outcomes | undefined = undefined
  private listener: Listener | undefined = undefined
  /** Its place among those that wait, in the order in which they were started. */
  earlier: RunningWrite | undefined = undefined
  later: RunningWrite | undefined = undefined
  startedAt = 0n

  constructor(count: number, deadlines: Deadlines) {
    this.count = count
    this.deadlines = deadlines
  }

  /** The outcomes, once they are known. */
  get outcomes(): Outcomes | undefined {
    return this.known
  }

  /** Tells `listener` once, when the outcomes are known. A write has one listener. */
  onAnswer(listener: Listener): void {
    if (this.known === undefined) this.listener = listener
    else listener.answered(this.known)
  }

  /** Answers with the timeout; the write itself is interrupted. */
  expire(exit: WriteExit): void {
    this.answer(outcomes.ofExit(exit, this.count))
    this.stop()
  }

  /** For a caller that does not wait for the answer any more. */
  interrupt(): void {
    this.listener = undefined
    this.deadlines.remove(this)
    this.stop()
  }

  /** Interrupts the write. */
  protected abstract stop(): void

  /** Runs an effect as the write is run. */
  abstract fork<A>(effect: Effect.Effect<A>): Fiber.Fiber<A>

  protected ended(exit: WriteExit): void {
    this.deadlines.remove(this)
    this.answer(outcomes.ofExit(exit, this.count))
  }

  /** The first answer counts. */
  private answer(outcomes: Outcomes): void {
    if (this.known !== undefined) return
    this.known = outcomes
    this.listener?.answered(outcomes)
  }
}

/**
 * A write in a fiber of its own.
 *
 * @internal
 */
export class ForkedWrite extends RunningWrite {
  readonly fiber: Fiber.Fiber<Outcomes, BackendError>
  private readonly runFork: RunFork

  constructor(fiber: Fiber.Fiber<Outcomes, BackendError>, count: number, deadlines: Deadlines, runFork: RunFork) {
    super(count, deadlines)
    this.fiber = fiber
    this.runFork = runFork
    fiber.addObserver((exit) => this.ended(exit))
  }

  protected override stop(): void {
    this.fiber.interruptUnsafe()
  }

  override fork<A>(effect: Effect.Effect<A>): Fiber.Fiber<A> {
    return this.runFork(effect)
  }
}

/** A write that waits with others in a store that merges them, without a fiber unless the store asks for one. */
class JoinedWrite extends RunningWrite {
  private readonly caller: Caller
  private leave: (() => void) | undefined = undefined
  private isTaken = false
  private fiber: Fiber.Fiber<Outcomes, BackendError> | undefined = undefined

  constructor(writing: MergedWrite, count: number, deadlines: Deadlines, caller: Caller) {
    super(count, deadlines)
    this.caller = caller
    try {
      const leave = writing.join(caller, (answer) => this.take(answer))
      if (!this.isTaken) this.leave = leave
    } catch (thrown) {
      this.ended(Exit.die(thrown))
    }
  }

  private take(answer: Effect.Effect<Outcomes, BackendError>): void {
    this.isTaken = true
    this.leave = undefined
    if (Exit.isExit(answer)) return this.ended(answer as WriteExit)
    this.fiber = Effect.runForkWith(this.caller.context)(answer)
    this.fiber.addObserver((exit) => this.ended(exit))
  }

  protected override stop(): void {
    this.leave?.()
    this.fiber?.interruptUnsafe()
  }

  override fork<A>(effect: Effect.Effect<A>): Fiber.Fiber<A> {
    return Effect.runForkWith(this.caller.context)(effect)
  }
}

/**
 * The deadlines of the writes that wait for an answer, with one timer for the oldest of them: all have the same timeout, and a timer
 * for each would cost more than a fast write.
 */
class Deadlines {
  private readonly clock: Clock.Clock
  private readonly timeout: Duration.Duration
  private readonly nanoseconds: bigint | undefined
  private readonly exit: WriteExit
  private oldest: RunningWrite | undefined
  private newest: RunningWrite | undefined
  private timer: Fiber.Fiber<void> | undefined

  constructor(clock: Clock.Clock, timeout: Duration.Duration) {
    this.clock = clock
    this.timeout = timeout
    this.nanoseconds = Option.getOrUndefined(Duration.toNanos(timeout))
    this.exit = Exit.fail(outcomes.timedOutAfter(timeout))
  }

  /** Adds a write that begins now. */
  add(write: RunningWrite): void {
    write.earlier = this.newest
    if (this.newest === undefined) this.oldest = write
    else this.newest.later = write
    this.newest = write
    this.timer ??= write.fork(this.wait(this.timeout))
    write.startedAt = this.clock.monotonicTimeNanosUnsafe()
  }

  remove(write: RunningWrite): void {
    const { earlier, later } = write
    // It was removed before.
    if (earlier === undefined && this.oldest !== write) return
    if (earlier === undefined) this.oldest = later
    else earlier.later = later
    if (later === undefined) this.newest = earlier
    else later.earlier = earlier
    write.earlier = undefined
    write.later = undefined
    if (this.oldest !== undefined) return
    const { timer } = this
    this.timer = undefined
    timer?.interruptUnsafe()
  }

  private wait(time: Duration.Duration): Effect.Effect<void> {
    return Effect.flatMap(this.clock.sleep(time), () => this.expire())
  }

  /** Ends the writes whose time is over, and waits for the next one. */
  private expire(): Effect.Effect<void> {
    if (this.nanoseconds === undefined) return Effect.never
    const now = this.clock.monotonicTimeNanosUnsafe()
    for (let write = this.oldest; write !== undefined; write = this.oldest) {
      const left = write.startedAt + this.nanoseconds - now
      if (left > 0n) return this.wait(Duration.nanos(left))
      this.remove(write)
      write.expire(this.exit)
    }
    return Effect.void
  }
}

/** @internal */
export class BackendWriter {
  private readonly backend: Service
  private readonly deadlines: Deadlines

  constructor(backend: Service, clock: Clock.Clock, timeout: Duration.Duration) {
    this.backend = backend
    this.deadlines = new Deadlines(clock, timeout)
  }

  /** Starts a write in a fiber; returns its outcomes where the backend answers at once. */
  start(batch: ReadonlyArray<Write>, runFork: RunFork): Outcomes | ForkedWrite {
    return this.fork(this.writing(batch), batch.length, runFork)
  }

  /** Starts a write for a caller, without a fiber where the store merges the writes of several callers. */
  join(batch: ReadonlyArray<Write>, caller: Caller): Outcomes | RunningWrite {
    const writing = this.writing(batch)
    if (!(writing instanceof MergedWrite)) {
      return this.fork(writing, batch.length, Effect.runForkWith(caller.context))
    }
    const joined = new JoinedWrite(writing, batch.length, this.deadlines, caller)
    if (joined.outcomes !== undefined) return joined.outcomes
    this.deadlines.add(joined)
    return joined
  }

  private writing(batch: ReadonlyArray<Write>): Effect.Effect<Outcomes, BackendError> {
    try {
      return this.backend.write(batch)
    } catch (thrown) {
      return Exit.die(thrown)
    }
  }

  private fork(
    writing: Effect.Effect<Outcomes, BackendError>,
    count: number,
    runFork: RunFork
  ): Outcomes | ForkedWrite {
    const fiber = runFork(writing)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return outcomes.ofExit(exit, count)
    const forked = new ForkedWrite(fiber, count, this.deadlines, runFork)
    this.deadlines.add(forked)
    return forked
  }

  /** Writes and waits for the outcomes. Where it is interrupted, so is the write, and `interrupted` is called. */
  write(batch: ReadonlyArray<Write>, interrupted?: () => void): Effect.Effect<Outcomes> {
    return Effect.contextWith((context: Context.Context<never>) =>
      outcomesOf(this.start(batch, Effect.runForkWith(context)), interrupted)
    )
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
        started.onAnswer({ answered: (outcomes) => resume(Effect.succeed(outcomes)) })
        return Effect.sync(() => {
          started.interrupt()
          interrupted?.()
        })
      })
    : Effect.succeed(started)
