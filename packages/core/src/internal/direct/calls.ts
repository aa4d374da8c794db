/**
 * `record` and `recordSettled` of a recorder without a journal: the answer of the backend is the acceptance.
 *
 * What certainly was not written is the caller's to repeat. What may have been written, by the last try or by one before it,
 * is repeated here with the same id until the outcome is known: a caller who repeated it would have it counted twice. After
 * the recorder has begun to close, nothing is retried, and such a call fails with `Unknown`.
 *
 * Where repeats are counted (`repeats.ts`), a call whose event is being written by another one waits for its turn first.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Backend from "../../Backend.ts"
import type { BackendError } from "../../BackendError.ts"
import type { Delivered, Recorded, Recorder, RecordError, Settlement } from "../../Delivery.ts"
import { Closed, RecorderError, Rejected, Unknown } from "../../Delivery.ts"
import type { Occurrence, Write } from "../../Event.ts"
import type { EventDraft } from "../../EventDraft.ts"
import type * as EventId from "../../EventId.ts"
import { type Caller, type Outcomes, RunningWrite } from "../backendWrite.ts"
import type * as intakes from "../intake.ts"
import { beginWrite, type DirectContext, retryDelay, SINK } from "./context.ts"
import type { Series } from "./repeats.ts"

/**
 * The calls that were open when a flush began, up to an ordinal, and have not ended.
 *
 * @internal
 */
export interface OpenCalls {
  readonly ordinal: number
  left: number
}

/** @internal */
export interface Calls {
  readonly record: Recorder["Service"]["record"]
  readonly recordSettled: Recorder["Service"]["recordSettled"]
  /** Whether no call waits for an outcome. */
  readonly isIdle: () => boolean
  /** Counts the calls that are open now down as they end, until `release`. */
  readonly track: () => OpenCalls
  readonly release: (calls: OpenCalls) => void
  /** Refuses the calls that wait for their turn: at the end of the recorder. */
  readonly refuseWaiting: () => void
}

/** The answer to the caller, once the write has a final outcome. */
type Answer<A> = (id: EventId.EventId, settlement: Settlement) => A

const recorded: Answer<Recorded> = (id) => ({ _tag: "Accepted", id })
const delivered: Answer<Delivered> = (id, settlement) => ({ _tag: "Accepted", id, sinks: { [SINK]: settlement } })

type Final = Extract<Backend.Outcome, { readonly _tag: "Settled" | "Dropped" }>

const isFinal = (outcome: Backend.Outcome): outcome is Final => outcome._tag === "Settled" || outcome._tag === "Dropped"

const isExit = (effect: Effect.Effect<unknown, unknown>): boolean => Exit.isExit(effect)

const mayBeApplied = (error: BackendError): boolean =>
  error.reason._tag === "Transient" && error.reason.applied === "unknown"

/** What the calls of a recorder share. */
class Open {
  readonly context: DirectContext
  readonly conclude: Conclude
  /** Of the calls that wait for their turn, what refuses them. */
  readonly waiting = new Set<() => void>()
  /** Calls that wait for their turn, or have begun a write and have no answer yet. */
  count = 0
  private lastOrdinal = 0
  /** Counted down as calls end, so that a flush costs the same for each call, however many there are. */
  private readonly tracked = new Set<OpenCalls>()

  constructor(context: DirectContext) {
    this.context = context
    this.conclude = concluding(context)
  }

  begin(): number {
    this.count++
    return ++this.lastOrdinal
  }

  end(ordinal: number): void {
    this.count--
    if (this.tracked.size > 0) for (const calls of this.tracked) if (ordinal <= calls.ordinal) calls.left--
    this.context.changed.notify()
  }

  track(): OpenCalls {
    const calls: OpenCalls = { ordinal: this.lastOrdinal, left: this.count }
    this.tracked.add(calls)
    return calls
  }

  release(calls: OpenCalls): void {
    this.tracked.delete(calls)
  }
}

/**
 * A call whose event was taken. All that it counts is done in the step in which it happens, and in the same step either the caller
 * resumes or `cancel` is what happens when it is interrupted, so that an interruption at any moment is counted too.
 *
 * It is the effect that an interruption runs, because one object more for each event costs time.
 */
class Call<A> extends Effectable.Class<void> {
  private readonly open: Open
  private readonly occurrence: Occurrence
  private readonly series: Series | undefined
  private readonly caller: Caller
  private readonly answer: Answer<A>
  private readonly resume: (answer: Effect.Effect<A, RecordError>) => void
  /** Absent for a call that was answered in the turn in which it came. */
  private ordinal: number | undefined = undefined
  private write: Write | undefined = undefined
  private running: RunningWrite | undefined = undefined
  /** While it waits for its turn. */
  private place: { readonly take: () => void; readonly refuse: () => void } | undefined = undefined
  private isInTurn = true
  /** The caller has its answer, or what it does next. */
  private isDone = false

  constructor(
    open: Open,
    occurrence: Occurrence,
    caller: Caller,
    answer: Answer<A>,
    resume: (answer: Effect.Effect<A, RecordError>) => void
  ) {
    super()
    this.open = open
    this.occurrence = occurrence
    this.series = open.context.repeats?.of(occurrence)
    this.caller = caller
    this.answer = answer
    this.resume = resume
  }

  /** Begins the write, when no other one of the series is under way. Answers what an interruption has to do. */
  start(): Effect.Effect<void> | undefined {
    const { open, series } = this
    if (series?.isBusy === true) {
      this.ordinal = open.begin()
      const take = () => {
        this.place = undefined
        open.waiting.delete(refuse)
        this.begin()
      }
      const refuse = () => this.refuse()
      this.place = { take, refuse }
      open.waiting.add(refuse)
      series.wait(take)
    } else this.begin()
    this.isInTurn = false
    return this.isDone ? undefined : this
  }

  override asEffect(): Effect.Effect<void> {
    this.cancel()
    return Effect.void
  }

  private refuse(): void {
    this.leave()
    this.finish(this.open.context.intake.refuse("closed", new RecorderError({ reason: new Closed() })), false)
  }

  /** Gives the place up among those that wait. */
  private leave(): void {
    const { place } = this
    if (place === undefined) return
    this.place = undefined
    this.open.waiting.delete(place.refuse)
    this.series!.leave(place.take)
  }

  private begin(): void {
    const { ids, writer } = this.open.context
    this.write = beginWrite(ids, this.series, this.occurrence)
    const started = writer.join([this.write], this.caller)
    if (!(started instanceof RunningWrite)) return this.answered(started)
    this.running = started
    this.ordinal ??= this.open.begin()
    started.onAnswer(this)
  }

  /** Called with the outcome of the write. */
  answered(outcomes: Outcomes): void {
    const write = this.write!
    this.running = undefined
    const outcome = outcomes[0]!
    if (isFinal(outcome)) {
      const settlement = count(this.open.context, write, this.series, outcome)
      return this.finish(Effect.succeed(this.answer(write.id, settlement)), true)
    }
    const concluded = this.open.conclude(write, this.series, outcome, 1, undefined)
    const answered = Effect.map(concluded, (settlement) => this.answer(write.id, settlement))
    // A failure, for which there is nothing more to do.
    if (isExit(concluded)) return this.finish(answered, false)
    this.ordinal ??= this.open.begin()
    const follow = (): void => {
      if (this.isDone) return
      this.isDone = true
      this.resume(Effect.onExit(answered, (exit) => Effect.sync(() => this.end(Exit.isSuccess(exit)))))
    }
    // In the turn of the caller it may be interrupted before it follows.
    if (this.isInTurn) this.caller.currentDispatcher.scheduleTask(follow, 0)
    else follow()
  }

  private finish(answer: Effect.Effect<A, RecordError>, isRecorded: boolean): void {
    this.isDone = true
    this.end(isRecorded)
    this.resume(this.isInTurn ? this.open.context.fairness.answer(this.caller, answer) : answer)
  }

  private end(isRecorded: boolean): void {
    if (this.write !== undefined) this.series?.abandon(this.write)
    if (!isRecorded) this.open.context.intake.retract(this.occurrence)
    if (this.ordinal !== undefined) this.open.end(this.ordinal)
  }

  private cancel(): void {
    if (this.isDone) return
    this.isDone = true
    this.leave()
    this.running?.interrupt()
    this.open.context.ledger.refuse(1, "interrupted")
    this.end(false)
  }
}

/** @internal */
export const make = (context: DirectContext): Calls => {
  const { intake } = context
  const open = new Open(context)

  const deliver = <A>(draft: EventDraft, answer: Answer<A>): Effect.Effect<A | intakes.Filtered, RecordError> =>
    Effect.withFiber((caller) =>
      Effect.callback<A | intakes.Filtered, RecordError>((resume) => {
        const taken = intake.take(draft, caller)
        if (taken._tag !== "Accepted") return resume(taken.answer)
        return new Call(open, taken.occurrence, caller, answer, resume).start()
      })
    )

  return {
    record: (draft) => deliver(draft, recorded),
    recordSettled: (draft, options) =>
      intake.timeout(options?.timeout, (timeout) => {
        const delivering = deliver(draft, delivered)
        return Duration.isFinite(timeout) ? within(timeout, delivering) : delivering
      }),
    isIdle: () => open.count === 0,
    track: () => open.track(),
    release: (calls) => open.release(calls),
    refuseWaiting: () => {
      for (const refuse of open.waiting) refuse()
    }
  }
}

/** The write goes on after the timeout: a caller that repeated it would have it counted twice. */
const within = (
  timeout: Duration.Duration,
  delivering: Effect.Effect<Delivered, RecordError>
): Effect.Effect<Delivered, RecordError> =>
  Effect.flatMap(Effect.forkDetach(delivering, { startImmediately: true }), (fiber) =>
    Effect.timeoutOrElse(Fiber.join(fiber), {
      duration: timeout,
      orElse: () => {
        const detail = `the backend did not answer within ${Duration.format(timeout)}, and its write continues`
        return Effect.fail(new RecorderError({ reason: new Unknown({ detail }) }))
      }
    })
  )

/** Counts a final outcome. */
const count = (
  { ledger, sink }: DirectContext,
  write: Write,
  series: Series | undefined,
  outcome: Final
): Settlement => {
  ledger.accept(1)
  if (outcome._tag === "Dropped") {
    sink.drop(1, outcome.reason)
    series?.refuse(write)
  } else {
    sink.settle(1, outcome.how)
    sink.state = "up"
    series?.settle(write)
  }
  return outcome
}

/**
 * Goes on with the outcome of one try: answers, fails, or tries once more. `unclear` is the failure of an earlier try that
 * may have been applied.
 */
type Conclude = (
  write: Write,
  series: Series | undefined,
  outcome: Backend.Outcome,
  failures: number,
  unclear: BackendError | undefined
) => Effect.Effect<Settlement, RecordError>

const concluding = (context: DirectContext): Conclude => {
  const { changed, clock, intake, ledger, random, sink, writer } = context
  const interrupted = () => ledger.refuse(1, "interrupted")

  const failUnknown = (detail: string) =>
    intake.refuse("unknown", new RecorderError({ reason: new Unknown({ detail }) }))

  const conclude: Conclude = (write, series, outcome, failures, unclear) => {
    if (isFinal(outcome)) return Effect.succeed(count(context, write, series, outcome))
    if (outcome._tag === "Rejected") {
      series?.refuse(write)
      return intake.refuse("rejected", new RecorderError({ reason: new Rejected({ detail: outcome.reason }) }))
    }
    const { error } = outcome
    const doubt = mayBeApplied(error) ? error : unclear
    sink.failed(error.message)
    if (doubt === undefined) series?.refuse(write)
    else series?.abandon(write)
    if (error.reason._tag === "TargetMismatch") {
      sink.state = "blocked"
      // The right store may never answer again.
      if (doubt !== undefined) return failUnknown(`${doubt.message}; then ${error.message}`)
    }
    if (doubt === undefined) return intake.refuse("failed", new RecorderError({ reason: error }))
    if (intake.isClosed) {
      return failUnknown(`the recorder was closed before the backend answered: ${doubt.message}`)
    }
    sink.state = "degraded"
    return retry(write, series, error, failures, doubt)
  }

  const retry = (
    write: Write,
    series: Series | undefined,
    error: BackendError,
    failures: number,
    doubt: BackendError
  ) => {
    const pause = Effect.raceFirst(
      clock.sleep(retryDelay(failures, error, random)),
      // Closing cuts the wait short, for a last try.
      changed.until(() => intake.isClosed)
    )
    return Effect.andThen(
      Effect.onInterrupt(pause, () => Effect.sync(interrupted)),
      Effect.flatMap(writer.write([write], interrupted), ([outcome]) =>
        conclude(write, series, outcome!, failures + 1, doubt)
      )
    )
  }

  return conclude
}
